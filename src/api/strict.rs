//! Strict bodies: an unknown field is refused with a pointer and the nearest known name.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::Problem;

/// Query parameters without unknown names.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match axum::extract::Query::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::new("invalid_query", rejection.body_text())),
        }
    }
}

/// A JSON body without unknown fields.
pub(super) struct Strict<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Strict<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|_| Problem::new("body_too_large", "the body exceeds the limit of this route"))?;
        parse(&bytes).map(Strict)
    }
}

/// Reads a JSON text; an empty one is an empty object.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize(&mut reader) {
        Ok(value) => reader.end().map(|()| value).map_err(|e| not_json(&e)),
        Err(error) => {
            let pointer = pointer(&error.path().to_string());
            let inner = error.into_inner();
            Err(if inner.is_data() { wrong(&pointer, &inner.to_string()) } else { not_json(&inner) })
        }
    }
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::new("invalid_json", format!("line {} column {}: not JSON", error.line(), error.column()))
}

/// `a.b[0].c` -> `/a/b/0/c`.
fn pointer(path: &str) -> String {
    if path == "." {
        return String::new();
    }
    let mut pointer = String::new();
    for part in path.split(['.', '[', ']']).filter(|p| !p.is_empty()) {
        pointer.push('/');
        pointer.push_str(part);
    }
    pointer
}

/// The message of serde names fields and types; it never repeats a value of the body.
fn wrong(pointer: &str, message: &str) -> Problem {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if message.starts_with("unknown field") {
        let name = quoted.first().copied().unwrap_or_default();
        let nearest =
            quoted.iter().skip(1).max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)));
        let hint = nearest.map(|n| format!("; did you mean \"{n}\"?")).unwrap_or_default();
        // The path may or may not end in the unknown field itself.
        let at = if pointer.ends_with(&format!("/{name}")) { pointer.to_owned() } else { format!("{pointer}/{name}") };
        let detail = format!("field \"{name}\" is not known{hint}");
        return Problem::new("unknown_field", detail.clone()).item(at, "unknown_field", detail);
    }
    let message = message.split(" at line ").next().unwrap_or(message);
    let safe = match message.split_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => message.to_owned(),
    };
    Problem::new("invalid_value", format!("{pointer}: {safe}")).item(pointer, "invalid_value", safe)
}

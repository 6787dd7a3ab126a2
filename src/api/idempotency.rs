//! Repeated requests: the same key and body get the stored answer, once and for all.

use std::collections::HashSet;
use std::sync::LazyLock;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::{ApiContext, Problem, Route};
use crate::access::Principal;
use crate::event::now_rfc3339;
use crate::store::{IdempotentAnswer, Write};

/// Largest answer that is kept, bytes.
const ANSWER_MAX: usize = 1 << 20;

/// Routes on which a key has no effect: an answer with a secret is kept nowhere, and a recording is not held in memory to be
/// compared with an earlier one.
const NOT_KEPT: [&str; 4] =
    ["/api/v1/admin/tokens", "/api/v1/tickets", "/v1/audio/transcriptions", "/compat/openai/v1/audio/transcriptions"];

static RUNNING: LazyLock<Mutex<HashSet<(String, String)>>> = LazyLock::new(Mutex::default);

/// Frees the key however the request ends.
struct InProgress((String, String));

impl Drop for InProgress {
    fn drop(&mut self) {
        RUNNING.lock().remove(&self.0);
    }
}

/// Answers repeated requests from the store.
pub(super) async fn idempotency(State(context): State<ApiContext>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<Route>().cloned();
    let principal = request.extensions().get::<Principal>().cloned();
    let key = request.headers().get("idempotency-key").and_then(|v| v.to_str().ok()).map(str::to_owned);
    let (Some(route), Some(principal)) = (route, principal) else { return next.run(request).await };
    match key {
        Some(key) if request.method() == axum::http::Method::POST && !NOT_KEPT.contains(&route.path) => {
            match repeatable(&context, &principal, key, request, next).await {
                Ok(response) => response,
                Err(problem) => problem.into_response(),
            }
        }
        None if route.keyed => {
            Problem::new("idempotency_key_missing", "send Idempotency-Key: 1 to 255 printable ASCII characters").into_response()
        }
        _ => next.run(request).await,
    }
}

async fn repeatable(
    context: &ApiContext,
    principal: &Principal,
    key: String,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if key.is_empty() || key.len() > 255 || !key.bytes().all(|b| (32..127).contains(&b)) {
        return Err(Problem::new("idempotency_key_missing", "Idempotency-Key must be 1 to 255 printable ASCII characters"));
    }
    let name = (principal.token_id.clone(), key.clone());
    let guard = {
        let mut running = RUNNING.lock();
        if !running.insert(name.clone()) {
            return Err(Problem::new("idempotency_in_progress", "wait for the answer of the first request"));
        }
        InProgress(name)
    };
    let (parts, body) = request.into_parts();
    // The body is read whole to compare it with that of an earlier request of the same key.
    let limit = match parts.uri.path() {
        "/api/v1/knowledge/imports" => super::knowledge_import::MAX_UPLOAD_BYTES,
        "/api/v1/knowledge/documents" => 5 << 20,
        _ => context.limits.json_bytes,
    };
    let bytes =
        to_bytes(body, limit).await.map_err(|_| Problem::new("body_too_large", "the body exceeds the limit of this route"))?;
    let mut hasher = Sha256::new();
    hasher.update(parts.method.as_str());
    hasher.update(parts.uri.to_string());
    hasher.update(&bytes);
    let body_hash: String = hasher.finalize().iter().map(|b| format!("{b:02x}")).collect();
    if let Some(stored) = context.store().idempotent(&principal.token_id, &key).await? {
        let fresh = chrono::Utc::now() - IdempotentAnswer::LIFE;
        if chrono::DateTime::parse_from_rfc3339(&stored.created_at).is_ok_and(|at| at > fresh) {
            return replay(stored, &body_hash);
        }
    }
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    if response.status().is_server_error() || response.status() == StatusCode::TOO_MANY_REQUESTS {
        return Ok(response);
    }
    if !is_kept(response.headers()) {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, ANSWER_MAX).await.map_err(|_| Problem::new("internal", "the answer is too large to keep"))?;
    let answer = IdempotentAnswer {
        token_id: principal.token_id.clone(),
        key,
        body_hash,
        status: parts.status.as_u16(),
        answer: String::from_utf8_lossy(&bytes).into_owned(),
        created_at: now_rfc3339(),
    };
    context.store().write(vec![Write::Idempotent(answer)]).await?;
    drop(guard);
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

/// Only JSON, and answers without a body: a stream would have to end before its first part is sent.
fn is_kept(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or_default());
    kind.is_none_or(|kind| matches!(kind.split(';').next(), Some("application/json" | "application/problem+json")))
}

fn replay(stored: IdempotentAnswer, body_hash: &str) -> Result<Response, Problem> {
    if stored.body_hash != body_hash {
        return Err(Problem::new("idempotency_key_reused", "this key was used for another request within 24 h"));
    }
    let status = StatusCode::from_u16(stored.status).unwrap_or(StatusCode::OK);
    let problem = status.is_client_error();
    let mut response = (status, stored.answer).into_response();
    let kind = if problem { "application/problem+json" } else { "application/json" };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    Ok(response)
}

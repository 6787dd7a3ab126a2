//! Rasa's NLU server: `POST /model/parse`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{count_unknown, encode, object_of};
use crate::api::{ApiContext, Problem};
use crate::conversation::{Role, Understanding, UtteranceId};

/// The intent of a text that is nothing a service desk handles.
const FALLBACK: &str = "nlu_fallback";
const OUT_OF_SCOPE: &str = "out_of_scope";
/// The version of Rasa's interface that is spoken.
const VERSION: &str = "3.6.0";

/// Intent, ranking and entities of a text, as Rasa's NLU server gives them.
#[utoipa::path(post, path = "/model/parse", tag = "compat",
    request_body(content = Value, description = "`{\"text\": \"…\", \"message_id\": \"…\"}`"),
    responses((status = 200, description = "`text intent intent_ranking entities`"), (status = 400, description = "Rasa's error body")))]
pub(in crate::api) async fn parse(
    State(context): State<ApiContext>,
    RawQuery(query): RawQuery,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    match answer(&context, query.as_deref().unwrap_or_default(), body).await {
        Ok(answer) => Json(answer).into_response(),
        Err(problem) => refuse(&problem),
    }
}

async fn answer(context: &ApiContext, query: &str, body: Result<Bytes, BytesRejection>) -> Result<Value, Problem> {
    let mode = query.split('&').find_map(|p| p.strip_prefix("emulation_mode="));
    if mode.is_some_and(|mode| !mode.is_empty() && !mode.eq_ignore_ascii_case("none")) {
        return Err(Problem::new("invalid_query", "emulation modes other than none are not offered; leave emulation_mode out"));
    }
    let object = object_of(body)?;
    count_unknown("rasa", &object, &["text", "message_id"]);
    let text = match object.get("text") {
        Some(Value::String(text)) => text.clone(),
        _ => return Err(Problem::new("invalid_json", "the body needs a string field \"text\"")),
    };
    let mut answer = if text.trim().is_empty() {
        json!({"text": text, "intent": {"name": null, "confidence": 0.0}, "intent_ranking": [], "entities": []})
    } else {
        let (encodings, _) = encode(context, vec![text.clone()]).await?;
        let stages = context.hub.stages();
        let read = |e| stages.read(&UtteranceId::new(), Role::Customer, &text, e, None, None);
        let understanding = encodings.first().map(read).ok_or_else(|| Problem::new("internal", "no encoding"))?;
        parsed(&text, &understanding)
    };
    if let Some(id) = object.get("message_id").filter(|id| id.is_string()) {
        answer["message_id"] = id.clone();
    }
    Ok(answer)
}

fn parsed(text: &str, understanding: &Understanding) -> Value {
    let mut ranking: Vec<(&str, f32)> = understanding
        .intents
        .iter()
        .filter(|i| i.name != OUT_OF_SCOPE)
        .filter_map(|i| Some((i.name.as_str(), i.confidence?)))
        .collect();
    if understanding.out_of_scope.flag {
        let top = ranking.first().map_or(0.0, |(_, p)| *p);
        ranking.insert(0, (FALLBACK, (1.0 - top).max(top)));
    }
    let ranking: Vec<Value> = ranking.into_iter().map(|(name, p)| json!({"name": name, "confidence": p})).collect();
    let entities: Vec<Value> = understanding
        .entities
        .iter()
        .map(|e| {
            json!({"entity": e.kind, "start": e.start, "end": e.end, "value": e.value, "confidence": e.confidence, "extractor": "zhiyin"})
        })
        .collect();
    let intent = ranking.first().cloned().unwrap_or_else(|| json!({"name": null, "confidence": 0.0}));
    json!({"text": text, "intent": intent, "intent_ranking": ranking, "entities": entities})
}

/// The version of the interface, as Rasa's clients ask for it.
pub(in crate::api) async fn version() -> Json<Value> {
    Json(json!({"version": VERSION, "minimum_compatible_version": VERSION}))
}

/// Which model answers.
pub(in crate::api) async fn status(State(context): State<ApiContext>) -> Json<Value> {
    let model = context.hub.stages().encoder.model().version().to_string();
    Json(json!({"model_file": model, "model_id": model, "num_active_training_jobs": 0}))
}

/// Rasa's error body.
pub(in crate::api) fn refuse(problem: &Problem) -> Response {
    let (status, reason) = match problem.status {
        401 => (StatusCode::UNAUTHORIZED, "NotAuthenticated"),
        403 => (StatusCode::FORBIDDEN, "NotAuthorized"),
        429 => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
        413 => (StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge"),
        500.. => (StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), "ParsingError"),
        404 => (StatusCode::NOT_FOUND, "NotFound"),
        _ => (StatusCode::BAD_REQUEST, "BadRequest"),
    };
    let body = json!({
        "version": VERSION, "status": "failure", "reason": reason, "message": problem.detail, "code": status.as_u16(),
        "details": {"code": problem.code},
    });
    let mut response = (status, Json(body)).into_response();
    if let Some(seconds) = problem.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

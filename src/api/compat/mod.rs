//! Interfaces of other products over the same listening stages: a client of theirs needs another address and token only.
//!
//! ```text
//! OpenAI    POST /v1/audio/transcriptions, WS /v1/realtime?intent=transcription
//! FunASR    WS   /compat/funasr
//! Deepgram  WS   /v1/listen
//! Twilio    WS   /compat/twilio/media      (makes a call: assist and quality run on it)
//!
//! bytes -> Ear (decoder, resampler, voice activity, recogniser) -> Piece -> the vendor's message
//! ```
//!
//! Errors have the vendor's shape and carry our code where the vendor has a free string. Unknown fields, parameters and
//! messages are ignored and counted, as the vendors do.

mod append;
pub(super) mod deepgram;
mod deepgram_options;
mod ear;
pub(super) mod funasr;
pub(super) mod openai_audio;
pub(super) mod openai_chat;
mod openai_form;
mod pulse;
pub(super) mod rasa;
pub(super) mod realtime;
mod realtime_config;
mod realtime_items;
pub(super) mod twilio;

use axum::Json;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;

use super::{ApiContext, Problem};

pub(super) use append::Appended;
pub(super) use ear::{Ear, EarOptions, Piece};
use pulse::Pulse;

/// Largest recording that one request may bring, bytes.
const MAX_UPLOAD_BYTES: usize = 200 << 20;

/// Weight of a hot word whose client gives none, 1 to 10.
const HOT_WORD_WEIGHT: f32 = 5.0;

/// The routes of these surfaces.
pub(super) fn routes() -> Router<ApiContext> {
    Router::new()
        .route("/v1/audio/transcriptions", post(openai_audio::transcribe).layer(DefaultBodyLimit::max(MAX_UPLOAD_BYTES)))
        .route(
            "/compat/openai/v1/audio/transcriptions",
            post(openai_audio::transcribe).layer(DefaultBodyLimit::max(MAX_UPLOAD_BYTES)),
        )
        .route("/v1/realtime", get(realtime::socket))
        .route("/compat/openai/v1/realtime", get(realtime::socket))
        .route("/v1/chat/completions", post(openai_chat::complete))
        .route("/compat/openai/v1/chat/completions", post(openai_chat::complete))
        .route("/v1/models", get(openai_chat::models))
        .route("/v1/models/{model}", get(openai_chat::one_model))
        .route("/compat/openai/v1/models", get(openai_chat::models))
        .route("/compat/openai/v1/models/{model}", get(openai_chat::one_model))
        .route("/webhooks/rest/", get(rasa::alive))
        .route("/webhooks/rest/webhook", post(rasa::webhook))
        .route("/compat/funasr", get(funasr::socket))
        .route("/v1/listen", get(deepgram::socket))
        .route("/compat/deepgram/v1/listen", get(deepgram::socket))
        .route("/compat/twilio/media", get(twilio::socket))
}

/// Counts something of a vendor's protocol that is not known here.
pub(super) fn count_unknown(surface: &'static str) {
    metrics::counter!("zhiyin_compat_unknown_total", "surface" => surface).increment(1);
}

/// A problem in the shape of the product whose path was asked for; problem+json elsewhere.
pub(super) fn shaped(path: &str, problem: Problem) -> Response {
    let path = path.strip_prefix("/compat/openai").or_else(|| path.strip_prefix("/compat/deepgram")).unwrap_or(path);
    match path {
        "/v1/listen" => deepgram_problem(problem),
        "/v1/audio/transcriptions" | "/v1/realtime" | "/v1/chat/completions" => openai_problem(problem),
        path if path.starts_with("/v1/models") => openai_problem(problem),
        "/webhooks/rest/webhook" | "/webhooks/rest/" => super::text_surfaces::rasa::refuse(&problem),
        _ => problem.into_response(),
    }
}

/// OpenAI's error body. Refusals that another try cannot change say so.
pub(super) fn openai_problem(problem: Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = match problem.status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    let code = match problem.code.as_str() {
        "unauthenticated" | "token_expired" => "invalid_api_key",
        "rate_limited" | "overloaded" => "rate_limit_exceeded",
        other => other,
    };
    let param = problem.errors.first().map(|e| e.pointer.trim_start_matches('/').to_owned());
    let body = json!({"error": {"message": problem.detail, "type": kind, "param": param, "code": code}});
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    match problem.retry_after_s {
        Some(seconds) => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        None => {
            headers.insert(HeaderName::from_static("x-should-retry"), HeaderValue::from_static("false"));
        }
    }
    response
}

/// Deepgram's error body of a refused handshake.
fn deepgram_problem(problem: Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let code = match problem.status {
        401 => "INVALID_AUTH",
        403 => "INSUFFICIENT_PERMISSIONS",
        429 => "TOO_MANY_REQUESTS",
        500.. => "INTERNAL_SERVER_ERROR",
        _ => "Bad Request",
    };
    let request_id = ulid::Ulid::new().to_string();
    let body = json!({"err_code": code, "err_msg": problem.detail, "request_id": request_id});
    let mut response = (status, Json(body)).into_response();
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(HeaderName::from_static("dg-request-id"), value);
    }
    if let Some(seconds) = problem.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

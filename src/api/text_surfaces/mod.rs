//! Interfaces of other products over understanding: a client of theirs needs another address and token only.
//!
//! ```text
//! Rasa                         POST /model/parse
//! text-embeddings-inference    POST /embed, /rerank, /predict   GET /info
//! OpenAI                       POST /v1/embeddings
//! ```
//!
//! Each also stands under `/compat/<name>/…`. Errors have the vendor's shape. Unknown fields are ignored and counted, as the
//! vendors do; a known option that cannot be honoured is refused if ignoring it would change the meaning.

pub(super) mod embeddings;
mod ranking;
pub(super) mod rasa;
pub(super) mod tei;
mod vectors;

use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::response::Response;
use axum::routing::{get, post};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{ApiContext, Problem};
use crate::inference::Encoding;

/// Requests that run at once in this process; one more is refused at once instead of waiting.
const IN_FLIGHT_MAX: usize = 512;
static IN_FLIGHT: Semaphore = Semaphore::const_new(IN_FLIGHT_MAX);

/// The routes of these surfaces.
pub(super) fn routes() -> Router<ApiContext> {
    Router::new()
        .route("/model/parse", post(rasa::parse))
        .route("/compat/rasa/model/parse", post(rasa::parse))
        .route("/compat/rasa/version", get(rasa::version))
        .route("/compat/rasa/status", get(rasa::status))
        .route("/embed", post(tei::embed))
        .route("/rerank", post(tei::rerank))
        .route("/predict", post(tei::predict_root))
        .route("/info", get(tei::info_root))
        .route("/compat/tei/{model_id}", post(tei::by_kind))
        .route("/compat/tei/{model_id}/embed", post(tei::embed_of))
        .route("/compat/tei/{model_id}/rerank", post(tei::rerank_of))
        .route("/compat/tei/{model_id}/predict", post(tei::predict_of))
        .route("/compat/tei/{model_id}/info", get(tei::info_of))
        .route("/v1/embeddings", post(embeddings::create))
        .route("/compat/openai/v1/embeddings", post(embeddings::create))
}

/// A problem in the shape of the product whose path was asked for; the problem itself on other paths.
pub(super) fn shaped(path: &str, problem: Problem) -> Result<Response, Box<Problem>> {
    match path {
        "/model/parse" => Ok(rasa::refuse(&problem)),
        "/embed" | "/rerank" | "/predict" | "/info" => Ok(tei::refuse_problem(&problem)),
        "/v1/embeddings" | "/compat/openai/v1/embeddings" => Ok(embeddings::refuse(&problem)),
        _ if path.starts_with("/compat/rasa/") => Ok(rasa::refuse(&problem)),
        _ if path.starts_with("/compat/tei/") => Ok(tei::refuse_problem(&problem)),
        _ => Err(Box::new(problem)),
    }
}

/// Whether a path may carry its token in the address, as Rasa's clients do.
pub(super) fn takes_query_token(path: &str) -> bool {
    path == "/model/parse" || path.starts_with("/compat/rasa/") || path.starts_with("/webhooks/rest/")
}

/// The body, or why it cannot be had.
fn body_of(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    body.map_err(|_| Problem::new("body_too_large", "the body exceeds the limit of this route"))
}

/// The body as a JSON object.
fn object_of(body: Result<Bytes, BytesRejection>) -> Result<serde_json::Map<String, serde_json::Value>, Problem> {
    let bytes = body_of(body)?;
    match serde_json::from_slice(&bytes) {
        Ok(serde_json::Value::Object(object)) => Ok(object),
        Ok(_) => Err(Problem::new("invalid_json", "the body must be a JSON object")),
        Err(error) => {
            Err(Problem::new("invalid_json", format!("line {} column {}: not JSON in UTF-8", error.line(), error.column())))
        }
    }
}

/// Counts fields that the vendor's protocol does not know here.
fn count_unknown(surface: &'static str, object: &serde_json::Map<String, serde_json::Value>, known: &[&str]) {
    let unknown = object.keys().filter(|key| !known.contains(&key.as_str())).count();
    if unknown > 0 {
        metrics::counter!("zhiyin_compat_unknown_total", "surface" => surface).increment(unknown as u64);
    }
}

/// A place among the running requests; `overloaded` at once if there is none.
fn permit() -> Result<SemaphorePermit<'static>, Problem> {
    IN_FLIGHT.try_acquire().map_err(|_| Problem::new("overloaded", "this node is full; try again"))
}

/// Texts encoded, and how long it took in milliseconds.
async fn encode(context: &ApiContext, texts: Vec<String>) -> Result<(Vec<Encoding>, f64), Problem> {
    let _permit = permit()?;
    let started = Instant::now();
    let encodings = context.hub.stages().encoder.encode_batch_async(texts).await;
    let encodings = encodings.map_err(|e| Problem::from(crate::pipeline::PipelineError::from(e)))?;
    Ok((encodings, started.elapsed().as_secs_f64() * 1e3))
}

//! text-embeddings-inference: `/embed`, `/rerank`, `/predict`, `/info`.

use std::time::Instant;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::ranking::make_ranking;
use super::vectors::cut;
use super::{IN_FLIGHT_MAX, count_unknown, encode, object_of};
use crate::api::{ApiContext, Problem};
use crate::inference::{Encoding, HeadKind};

/// Texts in one request.
const BATCH_MAX: usize = 32;
/// The head at the root.
const ROOT_HEAD: &str = "intent";

type Body = Result<Bytes, BytesRejection>;

/// A refusal with TEI's own words.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    kind: &'static str,
    message: String,
    retry_after_s: Option<u64>,
}

impl Refusal {
    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, kind: "Validation", message: message.into(), retry_after_s: None }
    }

    pub(super) fn empty() -> Self {
        let message = "`inputs` cannot be empty".to_owned();
        Self { status: StatusCode::BAD_REQUEST, kind: "Empty", message, retry_after_s: None }
    }

    pub(super) fn backend(message: impl Into<String>) -> Self {
        Self { status: StatusCode::FAILED_DEPENDENCY, kind: "Backend", message: message.into(), retry_after_s: None }
    }
}

impl From<&Problem> for Refusal {
    fn from(problem: &Problem) -> Self {
        let (status, kind) = match problem.status {
            429 => (StatusCode::TOO_MANY_REQUESTS, "Overloaded"),
            503 => (StatusCode::SERVICE_UNAVAILABLE, "Unhealthy"),
            401 => (StatusCode::UNAUTHORIZED, "Unauthorized"),
            403 => (StatusCode::FORBIDDEN, "Unauthorized"),
            404 => (StatusCode::NOT_FOUND, "Validation"),
            413 => (StatusCode::PAYLOAD_TOO_LARGE, "Validation"),
            500.. => (StatusCode::FAILED_DEPENDENCY, "Backend"),
            _ => (StatusCode::UNPROCESSABLE_ENTITY, "Validation"),
        };
        Self { status, kind, message: problem.detail.clone(), retry_after_s: problem.retry_after_s }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({"error": self.message, "error_type": self.kind}))).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// TEI's error body of a problem that came up before the handler.
pub(super) fn refuse_problem(problem: &Problem) -> Response {
    Refusal::from(problem).into_response()
}

/// What an answer says about its making.
pub(super) struct Made {
    pub body: Value,
    pub tokens: usize,
    pub inference_ms: f64,
}

fn respond(context: &ApiContext, started: Instant, head: Option<&str>, made: Result<Made, Refusal>) -> Response {
    let made = match made {
        Ok(made) => made,
        Err(refusal) => return refusal.into_response(),
    };
    let total_ms = started.elapsed().as_secs_f64() * 1e3;
    let version = context.hub.stages().encoder.model().version().to_string();
    let model = head.map_or_else(|| version.clone(), |head| format!("{version}/{head}"));
    let mut response = Json(made.body).into_response();
    let mut put = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    };
    put("zhiyin-model", model);
    put("x-compute-type", "cpu".into());
    put("x-compute-tokens", made.tokens.to_string());
    put("x-total-time", (total_ms.round() as u64).to_string());
    // Splitting into tokens and waiting for a worker are parts of the encoder's time and not told apart.
    put("x-tokenization-time", "0".into());
    put("x-queue-time", "0".into());
    put("x-inference-time", (made.inference_ms.min(total_ms).floor() as u64).to_string());
    response
}

/// Sentence vectors.
#[utoipa::path(post, path = "/embed", tag = "compat",
    request_body(content = Value, description = "`{inputs, normalize, truncate, truncation_direction, dimensions?}`"),
    responses((status = 200, description = "a list of rows"), (status = 422, description = "TEI's error body")))]
pub(in crate::api) async fn embed(State(context): State<ApiContext>, body: Body) -> Response {
    let started = Instant::now();
    let made = make_rows(&context, body).await;
    respond(&context, started, None, made)
}

/// Passages by their nearness to a query.
#[utoipa::path(post, path = "/rerank", tag = "compat",
    request_body(content = Value, description = "`{query, texts[], raw_scores, return_text, truncate}`"),
    responses((status = 200, description = "`[{index, score, text?}]`, best first"), (status = 422, description = "TEI's error body")))]
pub(in crate::api) async fn rerank(State(context): State<ApiContext>, body: Body) -> Response {
    let started = Instant::now();
    let made = make_ranking(&context, body).await;
    respond(&context, started, None, made)
}

/// Labels of the intent head.
#[utoipa::path(post, path = "/predict", tag = "compat",
    request_body(content = Value, description = "`{inputs: \"s\" | [\"a\",\"b\"] | [[\"s\"],[\"a\",\"b\"]], raw_scores, truncate}`"),
    responses((status = 200, description = "`[{score, label}]`, or a list of those"), (status = 422, description = "TEI's error body")))]
pub(in crate::api) async fn predict_root(State(context): State<ApiContext>, body: Body) -> Response {
    predict_head(&context, ROOT_HEAD, body).await
}

/// What model answers at the root.
#[utoipa::path(get, path = "/info", tag = "compat", responses((status = 200, description = "TEI's model description")))]
pub(in crate::api) async fn info_root(State(context): State<ApiContext>) -> Response {
    info(&context, Some(ROOT_HEAD))
}

/// What a model of this id is: a head, or the encoder itself.
enum Mounted {
    Head(String),
    Encoder,
}

fn mounted(context: &ApiContext, id: &str) -> Result<Mounted, Refusal> {
    let model = context.hub.stages().encoder.model();
    let version = model.version().to_string();
    if id == version || Some(id) == version.split('@').next() || id == "encoder" {
        return Ok(Mounted::Encoder);
    }
    let heads: Vec<String> = model.head_specs().iter().filter(|h| h.kind != HeadKind::Token).map(|h| h.name.clone()).collect();
    if heads.iter().any(|head| head == id) {
        return Ok(Mounted::Head(id.to_owned()));
    }
    Err(Refusal {
        status: StatusCode::NOT_FOUND,
        kind: "Validation",
        message: format!("no such model; known are encoder, {}", heads.join(", ")),
        retry_after_s: None,
    })
}

pub(in crate::api) async fn by_kind(State(context): State<ApiContext>, Path(id): Path<String>, body: Body) -> Response {
    match mounted(&context, &id) {
        Ok(Mounted::Head(head)) => predict_head(&context, &head, body).await,
        Ok(Mounted::Encoder) => embed(State(context), body).await,
        Err(refusal) => refusal.into_response(),
    }
}

pub(in crate::api) async fn embed_of(State(context): State<ApiContext>, Path(id): Path<String>, body: Body) -> Response {
    match mounted(&context, &id) {
        Ok(Mounted::Encoder) => embed(State(context), body).await,
        Ok(Mounted::Head(_)) => Refusal::backend("this model is a classifier; use /predict").into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

pub(in crate::api) async fn rerank_of(State(context): State<ApiContext>, Path(id): Path<String>, body: Body) -> Response {
    match mounted(&context, &id) {
        Ok(Mounted::Encoder) => rerank(State(context), body).await,
        Ok(Mounted::Head(_)) => Refusal::backend("this model is a classifier; use /predict").into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

pub(in crate::api) async fn predict_of(State(context): State<ApiContext>, Path(id): Path<String>, body: Body) -> Response {
    match mounted(&context, &id) {
        Ok(Mounted::Head(head)) => predict_head(&context, &head, body).await,
        Ok(Mounted::Encoder) => Refusal::backend("this model gives vectors; use /embed, or /predict of a head").into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

pub(in crate::api) async fn info_of(State(context): State<ApiContext>, Path(id): Path<String>) -> Response {
    match mounted(&context, &id) {
        Ok(Mounted::Head(head)) => info(&context, Some(&head)),
        Ok(Mounted::Encoder) => info(&context, None),
        Err(refusal) => refusal.into_response(),
    }
}

fn info(context: &ApiContext, head: Option<&str>) -> Response {
    let stages = context.hub.stages();
    let model = stages.encoder.model();
    let version = model.version().to_string();
    let (id, revision) = version.split_once('@').unwrap_or((&version, ""));
    let spec = head.and_then(|name| model.head_specs().into_iter().find(|spec| spec.name == name));
    let model_type = match &spec {
        Some(spec) => {
            let by_id: Map<String, Value> = spec.labels.iter().enumerate().map(|(n, l)| (n.to_string(), json!(l))).collect();
            let by_label: Map<String, Value> = spec.labels.iter().enumerate().map(|(n, l)| (l.clone(), json!(n))).collect();
            json!({"classifier": {"id2label": by_id, "label2id": by_label}})
        }
        None => json!({"embedding": {"pooling": "mean"}}),
    };
    Json(json!({
        "model_id": id,
        "model_sha": revision,
        "model_dtype": "float32",
        "model_type": model_type,
        "head": spec.map(|s| s.name.clone()),
        "rerank": stages.reranker.as_ref().map_or("cosine", |r| &**r.version()),
        "dimensions": model.embedding_size(),
        "max_concurrent_requests": IN_FLIGHT_MAX,
        "max_input_length": model.max_tokens(),
        "max_batch_tokens": model.max_tokens() * BATCH_MAX,
        "max_batch_requests": null,
        "max_client_batch_size": BATCH_MAX,
        "auto_truncate": false,
        "tokenization_workers": 1,
        "version": env!("CARGO_PKG_VERSION"),
    }))
    .into_response()
}

pub(super) fn flag(object: &Map<String, Value>, name: &str, default: bool) -> Result<bool, Refusal> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(Refusal::validation(format!("`{name}` must be true or false"))),
    }
}

pub(super) fn texts_of(value: Option<&Value>, name: &str) -> Result<Vec<String>, Refusal> {
    let one = |value: &Value| match value {
        Value::String(text) if text.is_empty() => Err(Refusal::empty()),
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Array(_) => {
            Err(Refusal::validation(format!("`{name}`: lists of token numbers are not taken; send texts")))
        }
        _ => Err(Refusal::validation(format!("`{name}` must be a text or a list of texts"))),
    };
    let texts: Vec<String> = match value {
        None => return Err(Refusal::validation(format!("missing field `{name}`"))),
        Some(Value::Array(list)) => list.iter().map(one).collect::<Result<_, _>>()?,
        Some(value) => vec![one(value)?],
    };
    match texts.len() {
        0 => Err(Refusal::empty()),
        n if n > BATCH_MAX => Err(Refusal::validation(format!("batch size {n} > maximum allowed batch size {BATCH_MAX}"))),
        _ => Ok(texts),
    }
}

/// Encodes texts; one that is too long is refused unless it may be cut.
pub(super) async fn encode_texts(
    context: &ApiContext,
    texts: Vec<String>,
    object: &Map<String, Value>,
) -> Result<(Vec<Encoding>, usize, f64), Refusal> {
    let truncate = flag(object, "truncate", false)?;
    let from_left = match object.get("truncation_direction").and_then(Value::as_str) {
        None => false,
        Some(direction) if direction.eq_ignore_ascii_case("right") => false,
        Some(direction) if direction.eq_ignore_ascii_case("left") => true,
        Some(_) => return Err(Refusal::validation("`truncation_direction` must be \"Left\" or \"Right\"")),
    };
    if object.get("prompt_name").is_some_and(|name| !name.is_null()) {
        return Err(Refusal::validation("`prompt_name`: this model has no prompts; leave it out"));
    }
    let (mut encodings, mut inference_ms) = encode(context, texts.clone()).await.map_err(|problem| Refusal::from(&problem))?;
    let limit = context.hub.stages().encoder.model().max_tokens();
    if let Some(place) = encodings.iter().position(|e| e.truncated).filter(|_| !truncate) {
        let message =
            format!("`inputs` must have less than {limit} tokens; text {place} has more. Send \"truncate\": true to cut it");
        return Err(Refusal::validation(message));
    }
    if from_left {
        for (text, encoding) in texts.iter().zip(encodings.iter_mut()).filter(|(_, e)| e.truncated) {
            let (tail, spent_ms) = encode_tail(context, text).await?;
            *encoding = tail;
            inference_ms += spent_ms;
        }
    }
    let tokens = encodings.iter().map(|e| e.tokens.len() + 2).sum();
    Ok((encodings, tokens, inference_ms))
}

/// The encoding of the longest end of a text that is not cut: found by halving.
async fn encode_tail(context: &ApiContext, text: &str) -> Result<(Encoding, f64), Refusal> {
    let chars: Vec<char> = text.chars().collect();
    let (mut low, mut high, mut spent_ms) = (0, chars.len(), 0.0);
    let mut best = None;
    while low < high {
        let from = low + (high - low) / 2;
        let tail: String = chars[from..].iter().collect();
        let (mut encodings, ms) = encode(context, vec![tail]).await.map_err(|problem| Refusal::from(&problem))?;
        spent_ms += ms;
        match encodings.pop() {
            Some(encoding) if !encoding.truncated => {
                best = Some(encoding);
                high = from;
            }
            _ => low = from + 1,
        }
    }
    best.map(|encoding| (encoding, spent_ms)).ok_or_else(|| Refusal::validation("the text cannot be cut to the limit"))
}

async fn make_rows(context: &ApiContext, body: Body) -> Result<Made, Refusal> {
    let object = object_of(body).map_err(|problem| Refusal::from(&problem))?;
    const KNOWN: [&str; 6] = ["inputs", "normalize", "truncate", "truncation_direction", "prompt_name", "dimensions"];
    count_unknown("tei", &object, &KNOWN);
    let texts = texts_of(object.get("inputs"), "inputs")?;
    let normalise = flag(&object, "normalize", true)?;
    let size = context.hub.stages().encoder.model().embedding_size();
    let dimensions = match object.get("dimensions") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let wanted = value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=size).contains(n));
            Some(wanted.ok_or_else(|| Refusal::validation(format!("`dimensions` must be from 1 to {size}")))?)
        }
    };
    let (encodings, tokens, inference_ms) = encode_texts(context, texts, &object).await?;
    let rows: Vec<Vec<f32>> = encodings.iter().map(|e| cut(&e.embedding, dimensions, normalise)).collect();
    Ok(Made { body: json!(rows), tokens, inference_ms })
}

async fn predict_head(context: &ApiContext, head: &str, body: Body) -> Response {
    let started = Instant::now();
    let made = make_labels(context, head, body).await;
    respond(context, started, Some(head), made)
}

async fn make_labels(context: &ApiContext, head: &str, body: Body) -> Result<Made, Refusal> {
    let object = object_of(body).map_err(|problem| Refusal::from(&problem))?;
    count_unknown("tei", &object, &["inputs", "raw_scores", "truncate", "truncation_direction"]);
    let (texts, batch) = sequences(object.get("inputs"))?;
    let raw = flag(&object, "raw_scores", false)?;
    let (encodings, tokens, inference_ms) = encode_texts(context, texts, &object).await?;
    let mut rows = Vec::with_capacity(encodings.len());
    for encoding in &encodings {
        let output = encoding.head(head).ok_or_else(|| Refusal::backend(format!("the encoder has no head \"{head}\"")))?;
        // Raw scores of a softmax are only known up to a constant: its logarithm.
        let score = |p: f32| if raw { p.max(f32::MIN_POSITIVE).ln() } else { p };
        rows.push(output.ranked().into_iter().map(|(label, p)| json!({"score": score(p), "label": label})).collect::<Value>());
    }
    let body = if batch { Value::Array(rows) } else { rows.pop().unwrap_or_default() };
    Ok(Made { body, tokens, inference_ms })
}

/// Texts of `/predict`: one, a pair (read as one text), or a batch of either; whether it was a batch.
fn sequences(inputs: Option<&Value>) -> Result<(Vec<String>, bool), Refusal> {
    let Some(Value::Array(list)) = inputs else {
        return texts_of(inputs, "inputs").map(|texts| (texts, false));
    };
    if list.iter().any(Value::is_array) {
        if list.len() > BATCH_MAX {
            return texts_of(Some(&Value::Array(vec![json!("x"); list.len()])), "inputs").map(|texts| (texts, true));
        }
        let rows = list.iter().map(|row| match row {
            Value::Array(parts) if (1..=2).contains(&parts.len()) => Ok(texts_of(Some(row), "inputs")?.join(" ")),
            Value::String(_) => Ok(texts_of(Some(row), "inputs")?.join(" ")),
            _ => Err(Refusal::validation("`inputs`: an entry of a batch is a list of one or two texts")),
        });
        return Ok((rows.collect::<Result<_, _>>()?, true));
    }
    match list.len() {
        0 => Err(Refusal::empty()),
        1 | 2 => Ok((vec![texts_of(inputs, "inputs")?.join(" ")], false)),
        _ => Err(Refusal::validation("`inputs`: a list of texts is a pair; send a batch as a list of lists")),
    }
}

//! OpenAI's `POST /v1/embeddings`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::vectors::cut;
use super::{count_unknown, encode, object_of};
use crate::api::compat::openai_problem;
use crate::api::{ApiContext, Problem};

/// Texts in one request.
const INPUTS_MAX: usize = 2_048;
/// Texts that are encoded together.
const BATCH: usize = 64;

/// Sentence vectors, as OpenAI's clients ask for them: numbers, or little-endian f32 in base64.
#[utoipa::path(post, path = "/v1/embeddings", tag = "compat",
    request_body(content = Value, description = "`{input, model, encoding_format?, dimensions?}`"),
    responses((status = 200, description = "`{object, data[{object, index, embedding}], model, usage}`"), (status = 400, description = "OpenAI's error body")))]
pub(in crate::api) async fn create(State(context): State<ApiContext>, body: Result<Bytes, BytesRejection>) -> Response {
    match answer(&context, body).await {
        Ok(answer) => Json(answer).into_response(),
        Err(problem) => refuse(&problem),
    }
}

async fn answer(context: &ApiContext, body: Result<Bytes, BytesRejection>) -> Result<Value, Problem> {
    let object = object_of(body)?;
    count_unknown("openai_embeddings", &object, &["input", "model", "encoding_format", "dimensions", "user"]);
    let texts = inputs(&object)?;
    let model = match object.get("model") {
        Some(Value::String(model)) if !model.is_empty() => model.clone(),
        _ => return Err(Problem::invalid("/model", "name a model, for example \"zhiyin-encoder-small\"")),
    };
    let base64 = match object.get("encoding_format").and_then(Value::as_str) {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => return Err(Problem::invalid("/encoding_format", "must be \"float\" or \"base64\"")),
    };
    let size = context.hub.stages().encoder.model().embedding_size();
    let dimensions = match object.get("dimensions") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let wanted = value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=size).contains(n));
            Some(wanted.ok_or_else(|| Problem::invalid("/dimensions", format!("must be from 1 to {size}")))?)
        }
    };
    let (mut data, mut tokens) = (Vec::with_capacity(texts.len()), 0);
    for batch in texts.chunks(BATCH) {
        let (encodings, _) = encode(context, batch.to_vec()).await?;
        for encoding in encodings {
            tokens += encoding.tokens.len() + 2;
            let vector = cut(&encoding.embedding, dimensions, true);
            let value = if base64 {
                let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                Value::String(base64::engine::general_purpose::STANDARD.encode(bytes))
            } else {
                json!(vector)
            };
            data.push(json!({"object": "embedding", "index": data.len(), "embedding": value}));
        }
    }
    Ok(json!({"object": "list", "data": data, "model": model, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}))
}

fn inputs(object: &Map<String, Value>) -> Result<Vec<String>, Problem> {
    let text = |value: &Value, place: String| match value {
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        Value::String(_) => Err(Problem::invalid(&place, "must not be empty")),
        _ => Err(Problem::invalid(
            &place,
            "must be a text; lists of token numbers are not taken, since they belong to another vocabulary",
        )),
    };
    match object.get("input") {
        Some(Value::Array(list)) if list.is_empty() => Err(Problem::invalid("/input", "must not be empty")),
        Some(Value::Array(list)) if list.len() > INPUTS_MAX => {
            Err(Problem::invalid("/input", format!("at most {INPUTS_MAX} texts in one request")))
        }
        Some(Value::Array(list)) => list.iter().enumerate().map(|(n, value)| text(value, format!("/input/{n}"))).collect(),
        Some(value) => Ok(vec![text(value, "/input".to_owned())?]),
        None => Err(Problem::invalid("/input", "is missing")),
    }
}

/// OpenAI's error body; a value that cannot be used is 400 there.
pub(super) fn refuse(problem: &Problem) -> Response {
    let status = if problem.code == "invalid_value" { 400 } else { problem.status };
    openai_problem(Problem { status, ..problem.clone() })
}

//! `/rerank`: passages by a cross-encoder where one is configured, else by the cosine of sentence vectors.

use std::time::Instant;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use serde_json::{Map, Value, json};

use super::tei::{Made, Refusal, encode_texts, flag, texts_of};
use super::vectors::cosine;
use super::{count_unknown, object_of};
use crate::api::ApiContext;

/// Scores of passages in their order, raw and in [0, 1]; tokens read, and milliseconds spent.
struct Scored {
    scores: Vec<(f32, f32)>,
    tokens: usize,
    inference_ms: f64,
}

pub(super) async fn make_ranking(context: &ApiContext, body: Result<Bytes, BytesRejection>) -> Result<Made, Refusal> {
    let object = object_of(body).map_err(|problem| Refusal::from(&problem))?;
    const KNOWN: [&str; 6] = ["query", "texts", "raw_scores", "return_text", "truncate", "truncation_direction"];
    count_unknown("tei", &object, &KNOWN);
    let query = match object.get("query") {
        Some(Value::String(query)) if !query.is_empty() => query.clone(),
        Some(Value::String(_)) => return Err(Refusal::empty()),
        _ => return Err(Refusal::validation("missing field `query`")),
    };
    let texts = texts_of(object.get("texts"), "texts")?;
    let (raw, return_text) = (flag(&object, "raw_scores", false)?, flag(&object, "return_text", false)?);
    let Scored { scores, tokens, inference_ms } = match &context.hub.stages().reranker {
        Some(_) => by_cross_encoder(context, query, texts.clone(), &object).await?,
        None => by_cosine(context, query, &texts, &object).await?,
    };
    let mut ranking: Vec<(usize, (f32, f32))> = scores.into_iter().enumerate().collect();
    ranking.sort_by(|(i, a), (j, b)| b.0.total_cmp(&a.0).then(i.cmp(j)));
    let rows: Vec<Value> = ranking
        .into_iter()
        .map(|(index, (logit, unit))| {
            let score = if raw { logit } else { unit };
            if return_text {
                json!({"index": index, "score": score, "text": texts[index]})
            } else {
                json!({"index": index, "score": score})
            }
        })
        .collect();
    Ok(Made { body: Value::Array(rows), tokens, inference_ms })
}

async fn by_cosine(
    context: &ApiContext,
    query: String,
    texts: &[String],
    object: &Map<String, Value>,
) -> Result<Scored, Refusal> {
    let all: Vec<String> = std::iter::once(query).chain(texts.iter().cloned()).collect();
    let (encodings, tokens, inference_ms) = encode_texts(context, all, object).await?;
    let Some((query, passages)) = encodings.split_first() else { return Err(Refusal::empty()) };
    let score = |cosine: f32| (cosine, f32::midpoint(1.0, cosine));
    let scores = passages.iter().map(|p| score(cosine(&query.embedding, &p.embedding))).collect();
    Ok(Scored { scores, tokens, inference_ms })
}

async fn by_cross_encoder(
    context: &ApiContext,
    query: String,
    texts: Vec<String>,
    object: &Map<String, Value>,
) -> Result<Scored, Refusal> {
    let truncate = flag(object, "truncate", false)?;
    let Some(reranker) = context.hub.stages().reranker.clone() else { return Err(Refusal::backend("no cross-encoder")) };
    let limit = reranker.max_tokens();
    let started = Instant::now();
    let scored = tokio::task::spawn_blocking(move || reranker.scores(&query, &texts)).await;
    let scored = scored.map_err(|_| Refusal::backend("the cross-encoder failed"))?;
    let scored = scored.map_err(|error| Refusal::backend(error.to_string()))?;
    if let Some(place) = scored.iter().position(|s| s.truncated).filter(|_| !truncate) {
        let message = format!(
            "`query` and text {place} must have less than {limit} tokens together. Send \"truncate\": true to cut the longer one"
        );
        return Err(Refusal::validation(message));
    }
    let tokens = scored.iter().map(|s| s.tokens).sum();
    let scores = scored.into_iter().map(|s| (s.score, s.probability())).collect();
    Ok(Scored { scores, tokens, inference_ms: started.elapsed().as_secs_f64() * 1e3 })
}

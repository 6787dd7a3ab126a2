//! OpenAI's chat completions and list of models: the bot behind another address.
//!
//! With `user` the conversation is a chat of ours that goes on from request to request; only the last message of the
//! customer is read. Without it the earlier messages of the request are heard again, and nothing is kept.

use std::convert::Infallible;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::chat_desk::Opening;
use super::super::{ApiContext, Problem};
use super::openai_problem;
use crate::access::Principal;
use crate::chat::{Citation, HandOver, State as Dialogue};
use crate::conversation::Language;
use crate::pipeline::{Bot, Talker};

/// Models that the surface offers.
const MODELS: [&str; 3] = ["zhiyin-chat", "zhiyin-live", "zhiyin-final"];
/// When they were made, seconds since 1970.
const CREATED: i64 = 1_767_225_600;
/// Earlier messages of the customer that are heard again without `user`.
const HEARD_AGAIN: usize = 12;

/// A refusal in OpenAI's shape.
fn refuse(status: StatusCode, code: &str, param: Option<&str>, message: &str) -> Response {
    let body = json!({ "error": { "message": message, "type": "invalid_request_error", "param": param, "code": code } });
    (status, [("x-should-retry", "false")], Json(body)).into_response()
}

fn model(id: &str) -> Value {
    json!({ "id": id, "object": "model", "created": CREATED, "owned_by": "zhiyin" })
}

/// The list of models.
#[utoipa::path(get, path = "/v1/models", tag = "compatibility", responses((status = 200, description = "the models")))]
pub(in crate::api) async fn models() -> Json<Value> {
    Json(json!({ "object": "list", "data": MODELS.map(model) }))
}

/// One model.
#[utoipa::path(get, path = "/v1/models/{model}", tag = "compatibility", params(("model" = String, Path)),
    responses((status = 200, description = "the model"), (status = 404, description = "there is no such model")))]
pub(in crate::api) async fn one_model(Path(id): Path<String>) -> Response {
    match MODELS.iter().find(|known| **known == id) {
        Some(known) => Json(model(known)).into_response(),
        None => refuse(StatusCode::NOT_FOUND, "model_not_found", Some("model"), "there is no such model"),
    }
}

#[derive(Deserialize)]
struct Request {
    model: String,
    messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    n: Option<u32>,
    #[serde(default)]
    tools: Option<Value>,
    #[serde(default)]
    functions: Option<Value>,
    #[serde(default, alias = "max_tokens")]
    max_completion_tokens: Option<usize>,
}

#[derive(Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Value,
}

impl Message {
    /// The words; `None` if there is anything but words.
    fn text(&self) -> Option<String> {
        match &self.content {
            Value::String(text) => Some(text.clone()),
            Value::Null => Some(String::new()),
            Value::Array(parts) => {
                let texts: Option<Vec<&str>> = parts.iter().map(|p| p["text"].as_str().filter(|_| p["type"] == "text")).collect();
                texts.map(|t| t.join("\n"))
            }
            _ => None,
        }
    }
}

/// What is answered.
struct Answer {
    text: String,
    parts: Vec<String>,
    citations: Vec<Citation>,
    intent: Option<String>,
    hand_over: Option<HandOver>,
}

/// Answers the last message of the customer.
#[utoipa::path(post, path = "/v1/chat/completions", tag = "compatibility", request_body = String,
    responses((status = 200, description = "the answer, whole or as a stream"), (status = 400, description = "not supported")))]
pub(in crate::api) async fn complete(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    body: axum::body::Bytes,
) -> Response {
    let request: Request = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => {
            let message = format!("the body cannot be read at line {} column {}", error.line(), error.column());
            return refuse(StatusCode::BAD_REQUEST, "invalid_value", None, &message);
        }
    };
    if let Some(refusal) = unsupported(&request) {
        return refusal;
    }
    let said: Option<Vec<String>> = request.messages.iter().filter(|m| m.role == "user").map(Message::text).collect();
    let Some(said) = said else {
        return refuse(StatusCode::BAD_REQUEST, "unsupported_parameter", Some("messages"), "only text parts are understood");
    };
    if said.last().is_none_or(|text| text.trim().is_empty()) {
        return refuse(StatusCode::BAD_REQUEST, "invalid_value", Some("messages"), "the last user message has no text");
    }
    match answer(&context, &principal, &request, &said).await {
        Ok(answer) => written(&request, &said, answer),
        Err(problem) => openai_problem(problem),
    }
}

fn unsupported(request: &Request) -> Option<Response> {
    if !MODELS.contains(&request.model.as_str()) {
        return Some(refuse(StatusCode::NOT_FOUND, "model_not_found", Some("model"), "there is no such model; use zhiyin-chat"));
    }
    let present = |value: &Option<Value>| value.as_ref().is_some_and(|v| v.as_array().is_none_or(|a| !a.is_empty()));
    let param = if present(&request.tools) {
        "tools"
    } else if present(&request.functions) {
        "functions"
    } else if request.n.is_some_and(|n| n > 1) {
        "n"
    } else {
        return None;
    };
    Some(refuse(StatusCode::BAD_REQUEST, "unsupported_parameter", Some(param), "this parameter is not supported"))
}

/// The messages that are heard again, each with the name under which its business calls are made. The name comes from all
/// that was said up to the message, also from what is not heard any more: it stays the same from request to request.
fn heard_again<'a>(token_id: &str, said: &'a [String]) -> Vec<(String, &'a str)> {
    let mut before = Sha256::new();
    let mut named = Vec::new();
    for (at, text) in said.iter().enumerate() {
        if at > 0 {
            before.update("\n");
        }
        before.update(text);
        if at + HEARD_AGAIN >= said.len() {
            let hash = before.clone().finalize();
            let name = hash[..8].iter().map(|b| format!("{b:02x}")).collect::<String>();
            named.push((format!("{token_id}/{name}"), text.as_str()));
        }
    }
    named
}

async fn answer(context: &ApiContext, principal: &Principal, request: &Request, said: &[String]) -> Result<Answer, Problem> {
    let last = said.last().map(String::as_str).unwrap_or_default();
    if last.chars().count() > context.limits.message_chars {
        return Err(Problem::invalid("/messages", format!("at most {} code points", context.limits.message_chars)));
    }
    if let Some(user) = request.user.as_deref().filter(|u| !u.is_empty()) {
        let opening = Opening {
            owner: principal.token_id.clone(),
            name: Some(format!("openai:{}", user.chars().take(200).collect::<String>())),
            source: Some("openai".into()),
            language: Some(Language::of_text(last)),
            ..Opening::default()
        };
        let session = context.chat_named(opening).await?;
        let reply = context.chat_message(&session.chat_id, last, &ulid::Ulid::new().to_string()).await?;
        return Ok(Answer {
            text: reply.text,
            parts: reply.parts,
            citations: reply.citations,
            intent: reply.intent,
            hand_over: reply.handoff,
        });
    }
    let bot = &context.chat.bot;
    let first = said.first().map_or(Language::Zh, |text| Language::of_text(text));
    let mut state = Dialogue::new(first, Bot::today(context.chat.settings.utc_offset_min));
    let mut turn = None;
    for (key, text) in heard_again(&principal.token_id, said) {
        let talker = Talker { key: &key, queue: None, consent: false };
        let made = bot.reply(&state, text, &talker).await?;
        state = made.state.clone();
        turn = Some(made);
    }
    let turn = turn.ok_or_else(|| Problem::invalid("/messages", "there is no user message"))?;
    Ok(Answer {
        text: turn.text(),
        parts: turn.said,
        citations: turn.citations,
        intent: turn.intent.map(|(name, _)| name),
        hand_over: turn.hand_over,
    })
}

/// Tokens as our own messages count them: Han characters and words.
fn tokens(text: &str) -> usize {
    crate::chat::units(text)
}

fn written(request: &Request, said: &[String], answer: Answer) -> Response {
    let id = format!("chatcmpl-{}", ulid::Ulid::new());
    let created = chrono::Utc::now().timestamp();
    let (prompt, mut completion) = (said.iter().map(|t| tokens(t)).sum::<usize>(), tokens(&answer.text));
    let cut = request.max_completion_tokens.filter(|max| *max > 0 && completion > *max);
    let (text, parts, finish) = match cut {
        Some(max) => {
            let text: String = answer.text.chars().take(max * 4).collect();
            completion = max;
            (text.clone(), vec![text], "length")
        }
        None => (answer.text, answer.parts, "stop"),
    };
    let usage = json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion });
    let ours = json!({ "citations": answer.citations, "intent": answer.intent, "handoff": answer.hand_over });
    if !request.stream {
        let choice =
            json!({ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": finish, "logprobs": null });
        let body = json!({
            "id": id, "object": "chat.completion", "created": created, "model": request.model,
            "choices": [choice], "usage": usage, "zhiyin": ours,
        });
        return Json(body).into_response();
    }
    let chunk = |delta: Value, finish: Value| {
        json!({
            "id": id, "object": "chat.completion.chunk", "created": created, "model": request.model,
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
        })
    };
    let mut chunks = vec![chunk(json!({ "role": "assistant", "content": "" }), Value::Null)];
    for (at, part) in parts.iter().enumerate() {
        let content = if at == 0 { part.clone() } else { format!("\n{part}") };
        chunks.push(chunk(json!({ "content": content }), Value::Null));
    }
    let mut last = chunk(json!({}), finish.into());
    last["zhiyin"] = ours;
    chunks.push(last);
    if request.stream_options.as_ref().is_some_and(|o| o.include_usage) {
        let mut counted = chunk(json!({}), Value::Null);
        counted["choices"] = json!([]);
        counted["usage"] = usage;
        chunks.push(counted);
    }
    let lines = chunks.into_iter().map(|c| c.to_string()).chain(["[DONE]".to_owned()]);
    let events: Vec<Result<Event, Infallible>> = lines.map(|line| Ok(Event::default().data(line))).collect();
    Sse::new(futures::stream::iter(events)).into_response()
}

#[cfg(test)]
mod tests {
    use super::{HEARD_AGAIN, heard_again};

    #[test]
    fn a_message_keeps_its_name_when_earlier_ones_are_not_heard_any_more() {
        let said: Vec<String> = (0..HEARD_AGAIN + 3).map(|n| format!("message {n}")).collect();
        let short = heard_again("tok_a", &said[..HEARD_AGAIN]);
        let long = heard_again("tok_a", &said);
        assert_eq!((short.len(), long.len()), (HEARD_AGAIN, HEARD_AGAIN));
        assert_eq!(short[3..], long[..HEARD_AGAIN - 3]);
        // The same words at another place, and those of somebody else, are another message.
        let twice = [said[0].clone(), said[0].clone()];
        let again = heard_again("tok_a", &twice);
        assert_ne!(again[0].0, again[1].0);
        assert_ne!(heard_again("tok_b", &said[..1])[0].0, short[0].0);
    }
}

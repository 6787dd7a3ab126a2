//! Rasa's REST channel: a front end made for Rasa talks to the bot.

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::chat_desk::Opening;
use super::super::text_surfaces::rasa::refuse;
use super::super::{ApiContext, Problem};
use crate::access::Principal;
use crate::conversation::Language;

/// Says that the channel is there.
#[utoipa::path(get, path = "/webhooks/rest/", tag = "compatibility", responses((status = 200, description = "it is")))]
pub(in crate::api) async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

#[derive(Deserialize)]
struct Incoming {
    #[serde(default)]
    sender: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

#[derive(Deserialize)]
pub(in crate::api) struct WebhookQuery {
    #[serde(default)]
    stream: Option<String>,
}

/// Answers a message of a sender; inner failures are an empty list, as the original has it.
#[utoipa::path(post, path = "/webhooks/rest/webhook", tag = "compatibility", request_body = String,
    responses((status = 200, description = "the replies"), (status = 400, description = "not a message")))]
pub(in crate::api) async fn webhook(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Query(query): Query<WebhookQuery>,
    body: Bytes,
) -> Response {
    let Ok(incoming) = serde_json::from_slice::<Incoming>(&body) else {
        return refuse(&Problem::new("invalid_json", "the body is no JSON object of this channel"));
    };
    let Some(text) = incoming.message.filter(|m| !m.trim().is_empty()) else {
        return refuse(&Problem::new("invalid_query", "message is missing"));
    };
    let sender = incoming.sender.unwrap_or_else(|| "default".into());
    let messages = match said(&context, &principal, &sender, &text).await {
        Ok(messages) => messages,
        Err(problem) => {
            tracing::warn!(code = %problem.code, "a message of the rest channel failed");
            Vec::new()
        }
    };
    if query.stream.as_deref() == Some("true") {
        let lines: String = messages.iter().map(|m| format!("{m}\n")).collect();
        return ([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response();
    }
    Json(messages).into_response()
}

async fn said(context: &ApiContext, principal: &Principal, sender: &str, text: &str) -> Result<Vec<Value>, Problem> {
    let opening = Opening {
        owner: principal.token_id.clone(),
        name: Some(format!("rasa:{}", sender.chars().take(200).collect::<String>())),
        source: Some("rasa".into()),
        language: Some(Language::of_text(text)),
        ..Opening::default()
    };
    let session = context.chat_named(opening).await?;
    let reply = context.chat_message(&session.chat_id, text, &ulid::Ulid::new().to_string()).await?;
    if reply.text.is_empty() {
        return Ok(Vec::new());
    }
    let mut messages: Vec<Value> = reply.parts.iter().map(|part| json!({ "recipient_id": sender, "text": part })).collect();
    if let Some(last) = messages.last_mut().filter(|_| !reply.buttons.is_empty()) {
        last["buttons"] = json!(reply.buttons);
    }
    if reply.handoff.is_some() || !reply.citations.is_empty() {
        let custom = json!({ "citations": reply.citations, "handoff": reply.handoff });
        messages.push(json!({ "recipient_id": sender, "custom": custom }));
    }
    Ok(messages)
}

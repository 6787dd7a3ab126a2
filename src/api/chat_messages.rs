//! What was said in a chat, in pages.

use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{ApiContext, Problem};
use crate::access::Principal;
use crate::conversation::Role;
use crate::event::EventBody;

/// A message of a chat.
#[derive(Serialize, ToSchema)]
pub(super) struct MessageView {
    message_id: String,
    role: Role,
    text: String,
    language: String,
    sent_at: String,
}

/// Messages of a chat.
#[derive(Serialize, ToSchema)]
pub(super) struct MessagePage {
    items: Vec<MessageView>,
    next_cursor: Option<String>,
}

/// Which messages of a chat.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageQuery {
    /// At most so many, 1 to 200; 50 by default.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Events that are read at once while a page is filled.
const EVENTS_AT_ONCE: u32 = 256;

/// Messages of a chat, oldest first, in pages. On the telephone what the caller said is a message too.
#[utoipa::path(get, path = "/api/v1/chat/sessions/{chat_id}/messages", tag = "chat", params(("chat_id" = String, Path), MessageQuery),
    responses((status = 200, body = MessagePage), (status = 422, body = Problem)))]
pub(super) async fn messages(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(chat_id): Path<String>,
    Query(query): Query<MessageQuery>,
) -> Result<Json<MessagePage>, Problem> {
    let session = context.visible_chat(&chat_id, &principal).await?;
    let limit = query.limit.unwrap_or(50).clamp(1, 200);
    let wrong = || Problem::new("invalid_query", "the cursor was not made here; begin the list anew");
    let mut seq = query.cursor.as_deref().map(|c| c.parse::<u64>().map_err(|_| wrong())).transpose()?.unwrap_or(1);
    let mut items = Vec::new();
    loop {
        let events = context.store().events(session.call_id.as_str(), seq, EVENTS_AT_ONCE).await?;
        let last_page = events.len() < EVENTS_AT_ONCE as usize;
        for event in events {
            if items.len() == limit && view(&event.body, "").is_some() {
                return Ok(Json(MessagePage { items, next_cursor: Some(event.seq.to_string()) }));
            }
            seq = event.seq + 1;
            items.extend(view(&event.body, &event.time));
        }
        if last_page {
            return Ok(Json(MessagePage { items, next_cursor: None }));
        }
    }
}

fn view(body: &EventBody, time: &str) -> Option<MessageView> {
    match body {
        EventBody::MessageAdded { message_id, role, text, language, sent_at, .. } => Some(MessageView {
            message_id: message_id.clone(),
            role: *role,
            text: text.clone(),
            language: language.clone(),
            sent_at: sent_at.clone(),
        }),
        EventBody::TranscriptFinal(heard) => Some(MessageView {
            message_id: heard.utterance_id.to_string(),
            role: heard.role,
            text: heard.text.clone(),
            language: heard.language.clone(),
            sent_at: time.to_owned(),
        }),
        _ => None,
    }
}

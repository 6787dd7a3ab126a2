//! From the bot to a person and back: asked for, accepted, returned.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::chat::ChatView;
use super::chat_desk::requested;
use super::strict::Strict;
use super::{ApiContext, Problem};
use crate::access::Principal;
use crate::chat::{HandOver, Reason};
use crate::conversation::Role;
use crate::event::{EventBody, millis_between, now_rfc3339};
use crate::pipeline::NewMessage;
use crate::store::{ChatWrite, Write};

/// A wish for a person.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HandOverRequest {
    reason: Reason,
    queue: Option<String>,
    /// 1 at once, 2 soon, 3 in turn.
    priority: Option<u8>,
}

/// A hand-over that was asked for.
#[derive(Serialize, ToSchema)]
pub(super) struct HandOverAnswer {
    context: HandOver,
    transcript_url: String,
}

/// Asks for a person.
#[utoipa::path(post, path = "/api/v1/chat/sessions/{chat_id}/handoff", tag = "chat", request_body = HandOverRequest, params(("chat_id" = String, Path)),
    responses((status = 202, body = HandOverAnswer), (status = 409, body = Problem)))]
pub(super) async fn handoff(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(chat_id): Path<String>,
    Strict(request): Strict<HandOverRequest>,
) -> Result<(StatusCode, Json<HandOverAnswer>), Problem> {
    let (_busy, mut session) = context.held_chat(&chat_id, &principal).await?;
    if session.ended {
        return Err(Problem::new("call_ended", "the chat is over"));
    }
    let transcript_url = format!("/api/v1/calls/{}/transcript", session.call_id);
    if let Some(context) = session.state.handed_over.clone() {
        return Ok((StatusCode::ACCEPTED, Json(HandOverAnswer { context, transcript_url })));
    }
    let flow = session.state.stack.last().map(|f| f.flow.clone());
    let book = context.chat.bot.dialogue().book();
    let queue = request.queue.or_else(|| flow.as_deref().and_then(|f| book.flow(f)?.queue.clone()));
    let made = HandOver {
        reason: request.reason,
        queue,
        priority: request.priority.unwrap_or_else(|| request.reason.priority()),
        summary: session.state.opening.clone().unwrap_or_default(),
        intent: None,
        flow,
        slots: session.state.slots(),
        emotion: None,
    };
    session.state.handed_over = Some(made.clone());
    session.handed_at = Some(now_rfc3339());
    context.change_chat(&session, requested(made.clone())).await?;
    Ok((StatusCode::ACCEPTED, Json(HandOverAnswer { context: made, transcript_url })))
}

/// Who takes a chat over.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Acceptance {
    agent: Option<String>,
}

/// Takes a chat over: the bot is silent from now on.
#[utoipa::path(post, path = "/api/v1/chat/sessions/{chat_id}/handoff/accept", tag = "chat", request_body = Acceptance, params(("chat_id" = String, Path)),
    responses((status = 200, body = ChatView), (status = 409, body = Problem)))]
pub(super) async fn accept(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(chat_id): Path<String>,
    Strict(request): Strict<Acceptance>,
) -> Result<Json<ChatView>, Problem> {
    let (_busy, mut session) = context.held_chat(&chat_id, &principal).await?;
    if session.state.human || session.ended {
        return Err(Problem::new("state_conflict", "the chat is over or has been taken already"));
    }
    let waited_ms = session.handed_at.as_deref().and_then(|at| millis_between(at, &now_rfc3339())).unwrap_or(0);
    session.state.human = true;
    let agent = request.agent.unwrap_or(principal.token_id);
    context.change_chat(&session, EventBody::HandoffAccepted { agent, waited_ms }).await?;
    Ok(Json(ChatView::of(&session)))
}

/// What was done.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Return {
    note: Option<String>,
}

/// Gives a chat back to the bot.
#[utoipa::path(post, path = "/api/v1/chat/sessions/{chat_id}/handoff/return", tag = "chat", request_body = Return, params(("chat_id" = String, Path)),
    responses((status = 200, body = ChatView), (status = 409, body = Problem)))]
pub(super) async fn give_back(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(chat_id): Path<String>,
    Strict(request): Strict<Return>,
) -> Result<Json<ChatView>, Problem> {
    let (_busy, mut session) = context.held_chat(&chat_id, &principal).await?;
    if session.ended || (session.state.handed_over.is_none() && !session.state.human) {
        return Err(Problem::new("state_conflict", "no person has this chat"));
    }
    session.state.human = false;
    session.state.handed_over = None;
    session.state.misses = 0;
    session.handed_at = None;
    context.change_chat(&session, EventBody::HandoffReturned { by: principal.token_id, note: request.note }).await?;
    Ok(Json(ChatView::of(&session)))
}

/// A message of the person who took over.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentMessage {
    text: String,
    external_id: Option<String>,
}

/// Says something as the person who has the chat.
#[utoipa::path(post, path = "/api/v1/chat/sessions/{chat_id}/agent-messages", tag = "chat", request_body = AgentMessage, params(("chat_id" = String, Path)),
    responses((status = 201), (status = 409, body = Problem)))]
pub(super) async fn agent_message(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(chat_id): Path<String>,
    Strict(request): Strict<AgentMessage>,
) -> Result<StatusCode, Problem> {
    let session = context.visible_chat(&chat_id, &principal).await?;
    if !session.state.human || session.ended {
        return Err(Problem::new("state_conflict", "take the chat over first"));
    }
    if request.text.trim().is_empty() || request.text.chars().count() > context.limits.message_chars {
        return Err(Problem::invalid("/text", format!("1 to {} code points", context.limits.message_chars)));
    }
    let message = NewMessage { role: Role::Agent, text: request.text, external_id: request.external_id, ..NewMessage::default() };
    let said = ChatWrite::Said { chat_id, at: now_rfc3339() };
    context.store().write(vec![Write::Chat(said)]).await?;
    context.hub.message(&session.call_id, message).await?;
    Ok(StatusCode::CREATED)
}

//! Chats with the bot: sessions, messages (JSON or server-sent events), verdicts, hand-over, visitors of web sites.

use std::convert::Infallible;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::chat_desk::{Mode, Opening, Reply, Session};
use super::strict::Strict;
use super::{ApiContext, Problem};
use crate::access::{Principal, RowFilter, Scope, hash_secret, new_secret};
use crate::chat::HandOver;
use crate::conversation::{Language, Role};
use crate::event::{Consent, millis_between, now_rfc3339};
use crate::store::{ChatWrite, KnowledgeWrite, PassageFeedbackRow, Write};

/// How long a visitor's ticket lives without a message, hours.
const VISITOR_HOURS: i64 = 2;
/// What a visitor's ticket begins with.
pub(super) const VISITOR_PREFIX: &str = "zv_";

/// What opens a chat.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewChat {
    source: Option<String>,
    /// `zh` or `en`.
    language: Option<String>,
    #[serde(default)]
    mode: Mode,
    #[schema(value_type = Option<Object>)]
    customer: Option<Value>,
    /// What the customer agreed to; his words go to no other server without `third_party`.
    consent: Option<Consent>,
    queue: Option<String>,
    /// `flow` begins a flow by name, as a survey does.
    #[serde(default)]
    #[schema(value_type = Object)]
    metadata: serde_json::Map<String, Value>,
}

/// A chat that was opened.
#[derive(Serialize, ToSchema)]
pub(super) struct Opened {
    chat_id: String,
    call_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    greeting: Option<String>,
    /// For visitors: the bearer of this one chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

/// A chat as it stands.
#[derive(Serialize, ToSchema)]
pub(super) struct ChatView {
    chat_id: String,
    call_id: String,
    /// `open`, `handoff`, `human` or `ended`.
    state: String,
    mode: Mode,
    source: Option<String>,
    language: String,
    /// The flow in front.
    flow: Option<String>,
    /// The slot that was asked for.
    asked: Option<String>,
    #[schema(value_type = Object)]
    slots: std::collections::BTreeMap<String, String>,
    handoff: Option<HandOver>,
    created_at: String,
}

impl ChatView {
    pub(super) fn of(session: &Session) -> Self {
        let state = &session.state;
        let name = match (session.ended, state.human, state.handed_over.is_some()) {
            (true, _, _) => "ended",
            (_, true, _) => "human",
            (_, _, true) => "handoff",
            _ => "open",
        };
        Self {
            chat_id: session.chat_id.clone(),
            call_id: session.call_id.to_string(),
            state: name.to_owned(),
            mode: session.mode,
            source: session.source.clone(),
            language: state.language.name().to_owned(),
            flow: state.stack.last().map(|f| f.flow.clone()),
            asked: state.stack.last().and_then(|f| f.asked.clone()),
            slots: state.slots(),
            handoff: state.handed_over.clone(),
            created_at: session.created_at.clone(),
        }
    }
}

fn language(tag: Option<&str>) -> Result<Option<Language>, Problem> {
    let wrong =
        || Problem::new("language_unsupported", "zh and en are supported").item("/language", "language_unsupported", "zh or en");
    tag.map(|t| Language::from_tag(t).ok_or_else(wrong)).transpose()
}

/// Opens a chat.
#[utoipa::path(post, path = "/api/v1/chat/sessions", tag = "chat", request_body = NewChat,
    responses((status = 201, body = Opened), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Strict(request): Strict<NewChat>,
) -> Result<(StatusCode, Json<Opened>), Problem> {
    if request.metadata.len() > 64 || serde_json::to_string(&request.metadata).is_ok_and(|t| t.len() > 16_384) {
        return Err(Problem::invalid("/metadata", "at most 64 keys and 16 KiB"));
    }
    let opening = Opening {
        owner: principal.token_id,
        name: None,
        source: request.source,
        language: language(request.language.as_deref())?,
        mode: request.mode,
        queue: request.queue,
        customer: request.customer,
        consent: request.consent,
        metadata: request.metadata,
    };
    let (session, greeting) = context.open_chat(opening).await?;
    let opened =
        Opened { chat_id: session.chat_id, call_id: session.call_id.to_string(), greeting, ticket: None, expires_at: None };
    Ok((StatusCode::CREATED, Json(opened)))
}

/// Opens a chat for a visitor of a web site that the settings know.
#[utoipa::path(post, path = "/api/v1/chat/visits", tag = "chat",
    responses((status = 201, body = Opened), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn visit(State(context): State<ApiContext>, headers: HeaderMap) -> Result<(StatusCode, Json<Opened>), Problem> {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let key = hash_secret(header("x-site-key"));
    let sites = &context.chat.settings.sites;
    let site = sites.iter().find(|s| s.key.reveal().is_some_and(|k| hash_secret(k) == key));
    let site = site.ok_or_else(|| Problem::new("unauthenticated", "send the site's key in X-Site-Key"))?;
    if !site.origins.iter().any(|o| o == header("origin")) {
        return Err(Problem::new("outside_row_filter", "this origin is not on the list of the site's key"));
    }
    let limiter = format!("site:{}", &key[..16]);
    if !context.limiter.take(&limiter, crate::access::RateClass::Stream).admitted {
        return Err(Problem::new("rate_limited", "too many new chats of this site; try again later"));
    }
    let wished = header("accept-language").split(',').find_map(|tag| Language::from_tag(tag.trim()));
    let opening =
        Opening { owner: limiter, source: Some("web".into()), language: wished, queue: site.queue.clone(), ..Opening::default() };
    let (session, greeting) = context.open_chat(opening).await?;
    let ticket = new_secret().replacen("zy_", VISITOR_PREFIX, 1);
    let visitor =
        ChatWrite::Visitor { ticket_sha256: hash_secret(&ticket), chat_id: session.chat_id.clone(), seen_at: now_rfc3339() };
    context.store().write(vec![Write::Chat(visitor)]).await?;
    let expires = chrono::Utc::now() + chrono::Duration::hours(VISITOR_HOURS);
    let opened = Opened {
        chat_id: session.chat_id,
        call_id: session.call_id.to_string(),
        greeting,
        ticket: Some(ticket),
        expires_at: Some(expires.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)),
    };
    Ok((StatusCode::CREATED, Json(opened)))
}

/// For whom a visitor's ticket stands: messages, events, verdicts and hand-over of his one chat.
pub(super) async fn visitor(context: &ApiContext, ticket: &str, path: &str) -> Result<Principal, Problem> {
    let unknown = || Problem::new("unauthenticated", "the ticket has expired or is for another chat");
    let hash = hash_secret(ticket);
    let (chat_id, seen_at) = context.store().chat_visitor(&hash).await?.ok_or_else(unknown)?;
    let idle_ms = millis_between(&seen_at, &now_rfc3339()).unwrap_or(i64::MAX);
    let rest = path.strip_prefix("/api/v1/chat/sessions/").and_then(|p| p.strip_prefix(chat_id.as_str()));
    let allowed = rest.is_some_and(|r| r.is_empty() || r.starts_with("/messages") || r == "/events" || r == "/handoff");
    if idle_ms > VISITOR_HOURS * 3_600_000 || !allowed {
        return Err(unknown());
    }
    if idle_ms > 60_000 {
        let seen = ChatWrite::Visitor { ticket_sha256: hash.clone(), chat_id, seen_at: now_rfc3339() };
        context.store().write(vec![Write::Chat(seen)]).await?;
    }
    Ok(Principal {
        token_id: format!("visitor:{}", &hash[..16]),
        scopes: vec![Scope::ChatRead, Scope::ChatWrite],
        row_filter: RowFilter::default(),
    })
}

/// A chat as it stands.
#[utoipa::path(get, path = "/api/v1/chat/sessions/{chat_id}", tag = "chat", params(("chat_id" = String, Path)),
    responses((status = 200, body = ChatView), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(chat_id): Path<String>,
) -> Result<Json<ChatView>, Problem> {
    Ok(Json(ChatView::of(&context.visible_chat(&chat_id, &principal).await?)))
}

/// Ends a chat.
#[utoipa::path(delete, path = "/api/v1/chat/sessions/{chat_id}", tag = "chat", params(("chat_id" = String, Path)), responses((status = 204)))]
pub(super) async fn delete(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(chat_id): Path<String>,
) -> Result<StatusCode, Problem> {
    let (_busy, session) = context.held_chat(&chat_id, &principal).await?;
    context.end_chat(session, Some(Role::System), "closed").await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Events of a chat as they happen: messages of both sides, hand-over, the end.
#[utoipa::path(get, path = "/api/v1/chat/sessions/{chat_id}/events", tag = "chat", params(("chat_id" = String, Path)),
    responses((status = 200, content_type = "text/event-stream")))]
pub(super) async fn events(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(chat_id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let session = context.visible_chat(&chat_id, &principal).await?;
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    let subscription = context.log.subscribe(&session.call_id, last.map_or(1, |id| id + 1)).await?;
    Ok(super::events::stream_of(subscription, &["message.added", "handoff.*", "call.ended"]))
}

/// A message of the customer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChatMessage {
    text: String,
    /// 1 to 128 characters; the same id gets the same reply.
    client_message_id: String,
}

/// A reply.
#[derive(Serialize, ToSchema)]
pub(super) struct Replied {
    reply: Reply,
}

/// Answers a message; as server-sent events with `Accept: text/event-stream`.
#[utoipa::path(post, path = "/api/v1/chat/sessions/{chat_id}/messages", tag = "chat", request_body = ChatMessage, params(("chat_id" = String, Path)),
    responses((status = 200, body = Replied), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn message(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(chat_id): Path<String>,
    headers: HeaderMap,
    Strict(request): Strict<ChatMessage>,
) -> Result<Response, Problem> {
    context.visible_chat(&chat_id, &principal).await?;
    let id = request.client_message_id.as_str();
    if id.is_empty() || id.len() > 128 || id.chars().any(char::is_control) {
        return Err(Problem::invalid("/client_message_id", "1 to 128 characters"));
    }
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let reply = context.chat_message(&chat_id, &request.text, id).await?;
    if !accept.contains("text/event-stream") {
        return Ok(Json(Replied { reply }).into_response());
    }
    let made = sse_of(&reply).into_iter().map(Ok::<_, Infallible>);
    Ok(Sse::new(futures::stream::iter(made)).keep_alive(KeepAlive::default()).into_response())
}

fn sse_of(reply: &Reply) -> Vec<SseEvent> {
    let event = |name: &str, data: Value| SseEvent::default().event(name).data(data.to_string());
    let mut events = vec![event("reply.started", json!({ "message_id": reply.message_id }))];
    for (at, part) in reply.parts.iter().enumerate() {
        let text = if at == 0 { part.clone() } else { format!("\n{part}") };
        events.push(event("reply.delta", json!({ "text": text })));
    }
    events.extend(reply.citations.iter().map(|c| event("reply.citation", json!(c))));
    if !reply.buttons.is_empty() {
        events.push(event("reply.options", json!({ "buttons": reply.buttons })));
    }
    let completed =
        json!({ "message": reply, "intent": reply.intent, "confidence": reply.confidence, "answered": reply.answered });
    events.push(event("reply.completed", completed));
    if let Some(context) = &reply.handoff {
        events.push(event("handoff.requested", json!(context)));
    }
    events
}

/// A verdict on a reply.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Verdict {
    /// `up` or `down`.
    verdict: String,
    reason: Option<String>,
}

/// Says whether a reply helped; it flows to the feedback of the articles that were cited.
#[utoipa::path(post, path = "/api/v1/chat/sessions/{chat_id}/messages/{message_id}/feedback", tag = "chat", request_body = Verdict,
    params(("chat_id" = String, Path), ("message_id" = String, Path)), responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn feedback(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path((chat_id, message_id)): Path<(String, String)>,
    Strict(verdict): Strict<Verdict>,
) -> Result<StatusCode, Problem> {
    context.visible_chat(&chat_id, &principal).await?;
    let helpful = match verdict.verdict.as_str() {
        "up" => "helpful",
        "down" => "not_helpful",
        _ => return Err(Problem::invalid("/verdict", "up or down")),
    };
    let stored = context.store().chat_reply_by_message(&chat_id, &message_id).await?;
    let stored = stored.ok_or_else(|| Problem::not_found("reply"))?;
    let reply: Reply = serde_json::from_str(&stored).map_err(|_| Problem::new("internal", "the reply cannot be read"))?;
    let (actor, at) = (principal.token_id, now_rfc3339());
    let body = serde_json::to_string(&verdict).unwrap_or_default();
    let mut writes: Vec<Write> = reply
        .citations
        .into_iter()
        .map(|c| {
            Write::Knowledge(KnowledgeWrite::PassageFeedback(PassageFeedbackRow {
                passage_id: c.passage_id,
                actor: actor.clone(),
                document_id: c.document_id,
                verdict: helpful.to_owned(),
                at: at.clone(),
                body: body.clone(),
            }))
        })
        .collect();
    writes.push(Write::Chat(ChatWrite::Feedback { message_id, actor, at, body }));
    context.store().write(writes).await?;
    Ok(StatusCode::NO_CONTENT)
}

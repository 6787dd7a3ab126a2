//! Live events: pages, server-sent events and WebSocket, all resumable.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::stream::{self, Stream, StreamExt};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::alerts::acknowledge_for;
use super::strict::Query;
use super::{ApiContext, Problem};
use crate::access::{Principal, Scope};
use crate::conversation::CallId;
use crate::event::Event;
use crate::store::{Subscription, SubscriptionItem};

/// Heartbeat of streams.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Subprotocol of the event socket.
const PROTOCOL: &str = "zhiyin.events.v1";

/// Which events.
#[derive(Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct EventQuery {
    /// The next one wanted, from 1.
    from_seq: Option<u64>,
    /// Types, separated by commas; `transcript.*` stands for all that begin so.
    types: Option<String>,
    /// Size of a page, 1 to 1000.
    limit: Option<u32>,
    /// Of the wall: only calls of this queue.
    queue: Option<String>,
    /// A ticket of `POST /tickets`.
    #[expect(dead_code, reason = "read by the guard, before any handler")]
    ticket: Option<String>,
}

/// A page of events.
#[derive(Serialize, ToSchema)]
pub(super) struct EventPage {
    items: Vec<Event>,
    /// Ask for this one next.
    next_seq: u64,
}

/// Whether a type is wanted; no list means all.
#[derive(Clone, Debug, Default)]
pub(super) struct TypeFilter(Vec<String>);

impl TypeFilter {
    /// From a comma-separated list.
    pub(super) fn parse(list: Option<&str>) -> Self {
        Self(list.unwrap_or_default().split(',').map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect())
    }

    /// From names.
    pub(super) fn of(names: Vec<String>) -> Self {
        Self(names)
    }

    /// Whether it wants a type.
    pub(super) fn wants(&self, kind: &str) -> bool {
        self.0.is_empty()
            || self.0.iter().any(|t| t == kind || t.strip_suffix('*').is_some_and(|prefix| kind.starts_with(prefix)))
    }
}

/// Events of a call: a page (`Accept: application/json`) or a stream (`text/event-stream`).
#[utoipa::path(get, path = "/api/v1/calls/{call_id}/events", tag = "events", params(("call_id" = String, Path), EventQuery),
    responses((status = 200, body = EventPage), (status = 404, body = Problem)))]
pub(super) async fn list(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(call_id): Path<String>,
    Query(query): Query<EventQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let call = context.visible_call(&call_id, &principal).await?;
    let filter = TypeFilter::parse(query.types.as_deref());
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("application/json");
    let last_id = headers.get("last-event-id").and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    let from_seq = last_id.map(|id| id + 1).or(query.from_seq).unwrap_or(1);
    if !accept.contains("text/event-stream") {
        let limit = query.limit.unwrap_or(200).clamp(1, 1_000);
        let items = context.store().events(&call_id, from_seq, limit).await?;
        let next_seq = items.last().map_or(from_seq, |e| e.seq + 1);
        let items = items.into_iter().filter(|e| filter.wants(e.body.kind())).collect();
        return Ok(Json(EventPage { items, next_seq }).into_response());
    }
    let subscription = context.log.subscribe(&call.call_id, from_seq).await?;
    let events = stream::unfold(Some(subscription), move |state| {
        let filter = filter.clone();
        async move { next_sse(state, &filter).await }
    });
    Ok(sse(events))
}

fn sse(events: impl Stream<Item = Result<SseEvent, Infallible>> + Send + 'static) -> Response {
    let first = stream::once(async { Ok(SseEvent::default().retry(Duration::from_secs(1)).comment("zhiyin events v1")) });
    Sse::new(first.chain(events)).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response()
}

async fn next_sse(
    state: Option<Subscription>,
    filter: &TypeFilter,
) -> Option<(Result<SseEvent, Infallible>, Option<Subscription>)> {
    let mut subscription = state?;
    loop {
        match subscription.next().await? {
            SubscriptionItem::Event(event) if event.body.is_last() => {
                return Some((Ok(sse_event(&event).event("end")), None));
            }
            SubscriptionItem::Event(event) if filter.wants(event.body.kind()) => {
                return Some((Ok(sse_event(&event)), Some(subscription)));
            }
            SubscriptionItem::Event(_) => {}
            // The client reconnects with Last-Event-ID and loses nothing.
            SubscriptionItem::TooSlow { .. } => return None,
        }
    }
}

/// Only durable events have an id, so that a client resumes behind the last of them.
fn sse_event(event: &Event) -> SseEvent {
    let data = serde_json::to_string(event).unwrap_or_default();
    let made = SseEvent::default().data(data);
    if event.sub == 0 { made.id(event.seq.to_string()) } else { made }
}

/// Events of all calls that the token sees: the supervisor's wall.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(EventQuery), responses((status = 200, content_type = "text/event-stream")))]
pub(super) async fn wall(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Query(query): Query<EventQuery>,
) -> Response {
    let filter = TypeFilter::parse(query.types.as_deref());
    let receiver = context.log.wall();
    let events = stream::unfold((receiver, context, principal), move |(mut receiver, context, principal)| {
        let (filter, queue) = (filter.clone(), query.queue.clone());
        async move {
            loop {
                // A wall that is too slow is cut off; the client begins anew.
                let event = receiver.recv().await.ok()?;
                if filter.wants(event.body.kind()) && sees(&context, &principal, &event, queue.as_deref()).await {
                    return Some((Ok(sse_event(&event)), (receiver, context, principal)));
                }
            }
        }
    });
    sse(events)
}

async fn sees(context: &ApiContext, principal: &Principal, event: &Event, queue: Option<&str>) -> bool {
    match context.visible_call(event.call_id.as_str(), principal).await {
        Ok(call) => queue.is_none_or(|wanted| call.queue.as_deref() == Some(wanted)),
        Err(_) => false,
    }
}

/// Events of a call over a WebSocket.
#[utoipa::path(get, path = "/api/v1/calls/{call_id}/events/ws", tag = "events", params(("call_id" = String, Path), EventQuery),
    responses((status = 101, description = "the socket is open"), (status = 404, body = Problem)))]
pub(super) async fn socket(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(call_id): Path<String>,
    Query(query): Query<EventQuery>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let call = context.visible_call(&call_id, &principal).await?;
    let from_seq = query.from_seq.unwrap_or(1);
    let filter = TypeFilter::parse(query.types.as_deref());
    let subscription = context.log.subscribe(&call.call_id, from_seq).await?;
    Ok(upgrade
        .protocols([PROTOCOL])
        .max_message_size(64 << 10)
        .on_upgrade(move |socket| serve(socket, context, principal, call.call_id, subscription, filter)))
}

/// What a client of the event socket may say.
#[derive(Deserialize)]
#[serde(tag = "type")]
enum ClientMessage {
    #[serde(rename = "subscribe")]
    Subscribe {
        types: Vec<String>,
        #[serde(default, rename = "ref")]
        reference: Option<String>,
    },
    #[serde(rename = "alert.acknowledge")]
    Acknowledge {
        alert_id: String,
        #[serde(default, rename = "ref")]
        reference: Option<String>,
    },
}

async fn serve(
    mut socket: WebSocket,
    context: ApiContext,
    principal: Principal,
    call_id: CallId,
    mut subscription: Subscription,
    mut filter: TypeFilter,
) {
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    metrics::gauge!("zhiyin_streams_open", "kind" => "events").increment(1.0);
    let close = loop {
        tokio::select! {
            item = subscription.next() => match item {
                Some(SubscriptionItem::Event(event)) => {
                    let last = event.body.is_last();
                    if filter.wants(event.body.kind()) && !send_event(&mut socket, &event).await {
                        break None;
                    }
                    if last {
                        break Some((1000, "completed".to_owned()));
                    }
                }
                Some(SubscriptionItem::TooSlow { last_seq }) => break Some((4490, format!("too_slow;last_seq={last_seq}"))),
                None => break Some((1012, "restart".to_owned())),
            },
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    let answer = answer(&context, &principal, &mut filter, &text).await;
                    if socket.send(Message::Text(answer.into())).await.is_err() {
                        break None;
                    }
                }
                Some(Ok(Message::Binary(_))) => break Some((1003, "text_expected".to_owned())),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => break None,
            },
            _ = heartbeat.tick() => {
                if context.hub.is_draining() {
                    break Some((1012, "draining".to_owned()));
                }
                if socket.send(Message::Ping(axum::body::Bytes::new())).await.is_err() {
                    break None;
                }
            }
        }
    };
    metrics::gauge!("zhiyin_streams_open", "kind" => "events").decrement(1.0);
    tracing::debug!(%call_id, "event socket closed");
    if let Some((code, reason)) = close {
        let _ = socket.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
    }
}

async fn send_event(socket: &mut WebSocket, event: &Arc<Event>) -> bool {
    let text = serde_json::to_string(event.as_ref()).unwrap_or_default();
    // A reader that takes nothing for so long is gone.
    matches!(tokio::time::timeout(HEARTBEAT, socket.send(Message::Text(text.into()))).await, Ok(Ok(())))
}

async fn answer(context: &ApiContext, principal: &Principal, filter: &mut TypeFilter, text: &str) -> String {
    let (reference, outcome) = match serde_json::from_str(text) {
        Ok(ClientMessage::Subscribe { types, reference }) => {
            *filter = TypeFilter::of(types);
            (reference, Ok(()))
        }
        Ok(ClientMessage::Acknowledge { alert_id, reference }) => {
            let outcome = if principal.may(Scope::AlertsWrite) {
                acknowledge_for(context, principal, &alert_id).await
            } else {
                Err(Problem::scope_missing(Scope::AlertsWrite))
            };
            (reference, outcome)
        }
        Err(_) => (None, Err(Problem::new("invalid_json", "not a message of this socket"))),
    };
    match outcome {
        Ok(()) => serde_json::json!({"type": "ok", "ref": reference}).to_string(),
        Err(problem) => serde_json::json!({"type": "error", "ref": reference, "code": problem.code}).to_string(),
    }
}

/// A stream of the wanted types of a subscription.
pub(super) fn stream_of(subscription: Subscription, types: &[&str]) -> Response {
    let filter = TypeFilter::of(types.iter().map(|t| (*t).to_owned()).collect());
    let events = stream::unfold(Some(subscription), move |state| {
        let filter = filter.clone();
        async move { next_sse(state, &filter).await }
    });
    sse(events)
}

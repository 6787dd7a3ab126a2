//! Calls: open, read, change, end; messages and transcripts.

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine as _;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::context::admits;
use super::export::{TranscriptFormat, render};
use super::strict::{Query, Strict};
use super::{ApiContext, Problem};
use crate::access::Principal;
use crate::conversation::{CallId, Channel, Language, Role, Utterance};
use crate::event::{AgentRef, Call, Consent, NewCall, Participant, SinkError, now_rfc3339};
use crate::pipeline::{Ending, NewMessage, PipelineError, spoken_in};
use crate::store::CallFilter;

/// Rates that the wire knows.
const RATES_HZ: [u32; 4] = [8_000, 16_000, 24_000, 48_000];

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct OnConflict {
    /// `return`: answer the existing call with 200 instead of 409.
    on_conflict: Option<String>,
}

/// Opens a call.
#[utoipa::path(post, path = "/api/v1/calls", tag = "calls", request_body = NewCall, params(OnConflict),
    responses((status = 201, body = Call), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(super) async fn create(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Query(conflict): Query<OnConflict>,
    Strict(request): Strict<NewCall>,
) -> Result<Response, Problem> {
    if context.hub.is_draining() {
        return Err(Problem::new("draining", "try another node"));
    }
    check(&request)?;
    let external_id = request.external_id.clone();
    if let Some(known) = known_call(&context, &principal, &conflict, external_id.as_deref()).await? {
        return Ok(known);
    }
    match context.hub.open(Call::open(request, CallId::new(), &now_rfc3339())).await {
        Ok(call) => {
            let location = format!("/api/v1/calls/{}", call.call_id);
            Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(call)).into_response())
        }
        Err(error) => {
            // Another request of this name was first.
            let taken = matches!(error, PipelineError::Sink(SinkError::Exists { .. }));
            let name = external_id.as_deref().filter(|_| taken);
            known_call(&context, &principal, &conflict, name).await?.ok_or_else(|| error.into())
        }
    }
}

/// The answer when a call has this external id already; `None` if none has it. A call that the token does not see is not given.
async fn known_call(
    context: &ApiContext,
    principal: &Principal,
    conflict: &OnConflict,
    external_id: Option<&str>,
) -> Result<Option<Response>, Problem> {
    let Some(external_id) = external_id else { return Ok(None) };
    let Some(existing) = context.store().call_by_external_id(external_id).await? else { return Ok(None) };
    let seen = admits(principal, &existing);
    match (conflict.on_conflict.as_deref() == Some("return"), seen) {
        (true, true) => Ok(Some(Json(existing).into_response())),
        (true, false) => Err(Problem::new("outside_row_filter", "the token's row filter excludes the call of this external_id")),
        (false, _) => {
            let mut problem = Problem::new("call_exists", "a call with this external_id exists");
            problem.existing_id = seen.then(|| existing.call_id.to_string());
            Err(problem)
        }
    }
}

/// Everything that is wrong with a request, at once.
fn check(request: &NewCall) -> Result<(), Problem> {
    let mut problem = Problem::new("invalid_value", "the call cannot be opened");
    for (place, tag) in request.languages.iter().enumerate() {
        if Language::from_tag(tag).is_none() {
            problem = problem.item(format!("/languages/{place}"), "language_unsupported", "zh and en are supported");
        }
    }
    if let Some(audio) = &request.audio {
        if !RATES_HZ.contains(&audio.sample_rate_hz) {
            problem = problem.item(
                "/audio/sample_rate_hz",
                "not_in_set",
                format!("{} is not one of 8000, 16000, 24000, 48000", audio.sample_rate_hz),
            );
        }
        if audio.channels.len() > 2 {
            problem = problem.item("/audio/channels", "invalid_value", "at most two channels");
        }
    }
    if request.metadata.len() > 64 || serde_json::to_string(&request.metadata).is_ok_and(|t| t.len() > 16_384) {
        problem = problem.item("/metadata", "invalid_value", "at most 64 keys and 16 KiB");
    }
    if request.hot_words.len() > 2_000 {
        problem = problem.item("/hot_words", "invalid_value", "at most 2000 hot words");
    }
    if request.pipeline.as_deref().is_some_and(|p| p != "live-assist") {
        problem = problem.item("/pipeline", "invalid_value", "known pipelines: live-assist");
    }
    for (pointer, time) in [("/started_at", &request.started_at), ("/answered_at", &request.answered_at)] {
        if time.as_deref().is_some_and(|t| chrono::DateTime::parse_from_rfc3339(t).is_err()) {
            problem = problem.item(pointer, "invalid_value", "not an RFC 3339 time");
        }
    }
    if request.audio.as_ref().is_some_and(|a| !RATES_HZ.contains(&a.sample_rate_hz)) {
        problem.code = "invalid_audio".into();
        problem.kind = "urn:zhiyin:problem:invalid_audio".into();
    }
    if problem.errors.is_empty() { Ok(()) } else { Err(problem) }
}

/// Parameters of a list of calls.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    state: Option<String>,
    queue: Option<String>,
    agent_id: Option<String>,
    channel: Option<String>,
    /// 1 to 200.
    limit: Option<u32>,
    cursor: Option<String>,
}

/// A page of calls.
#[derive(Serialize, ToSchema)]
pub(super) struct CallPage {
    items: Vec<Call>,
    next_cursor: Option<String>,
}

/// Lists calls, newest first.
#[utoipa::path(get, path = "/api/v1/calls", tag = "calls", params(ListQuery), responses((status = 200, body = CallPage)))]
pub(super) async fn list(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Query(query): Query<ListQuery>,
) -> Result<Json<CallPage>, Problem> {
    let after = query.cursor.as_deref().map(read_cursor).transpose()?;
    let filter = CallFilter {
        state: query.state,
        queue: query.queue,
        agent_id: query.agent_id,
        channel: query.channel,
        rows: principal.row_filter,
        after,
        limit: query.limit,
    };
    let page = context.store().list_calls(&filter).await?;
    let next_cursor = page.more.then(|| page.items.last().map(write_cursor)).flatten();
    Ok(Json(CallPage { items: page.items, next_cursor }))
}

/// Hours that a cursor lives.
const CURSOR_HOURS: i64 = 24;

fn write_cursor(call: &Call) -> String {
    let text = format!("{}|{}|{}", chrono::Utc::now().timestamp(), call.created_at, call.call_id);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

fn read_cursor(cursor: &str) -> Result<(String, String), Problem> {
    let unreadable = || Problem::new("invalid_query", "the cursor was not made here");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(cursor).map_err(|_| unreadable())?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable())?;
    let parts: Vec<&str> = text.split('|').collect();
    let [made, created_at, call_id] = parts.as_slice() else { return Err(unreadable()) };
    let made: i64 = made.parse().map_err(|_| unreadable())?;
    if chrono::Utc::now().timestamp() - made > CURSOR_HOURS * 3_600 {
        return Err(Problem::new("cursor_expired", "begin the list anew"));
    }
    Ok(((*created_at).to_owned(), (*call_id).to_owned()))
}

/// One call.
#[utoipa::path(get, path = "/api/v1/calls/{call_id}", tag = "calls", params(("call_id" = String, Path)),
    responses((status = 200, body = Call), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(call_id): Path<String>,
) -> Result<Json<Call>, Problem> {
    Ok(Json(context.visible_call(&call_id, &principal).await?))
}

/// What can be changed of a call; absent fields stay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CallPatch {
    agent: Option<AgentRef>,
    queue: Option<String>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<serde_json::Map<String, serde_json::Value>>,
    labels: Option<Vec<String>>,
    participants: Option<Vec<Participant>>,
    answered_at: Option<String>,
    consent: Option<Consent>,
}

/// Changes an open call.
#[utoipa::path(patch, path = "/api/v1/calls/{call_id}", tag = "calls", request_body = CallPatch, params(("call_id" = String, Path)),
    responses((status = 200, body = Call), (status = 409, body = Problem)))]
pub(super) async fn patch(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(call_id): Path<String>,
    Strict(patch): Strict<CallPatch>,
) -> Result<Json<Call>, Problem> {
    let mut call = context.visible_call(&call_id, &principal).await?;
    if let Some(metadata) = patch.metadata {
        // Merge patch (RFC 7396): null removes.
        for (key, value) in metadata {
            if value.is_null() {
                call.metadata.shift_remove(&key);
            } else {
                call.metadata.insert(key, value);
            }
        }
    }
    if let Some(answered_at) = patch.answered_at {
        let ms = crate::event::millis_between(&call.started_at, &answered_at);
        call.answered_ms = ms.ok_or_else(|| Problem::invalid("/answered_at", "not an RFC 3339 time"))?.max(0);
        call.answered_at = answered_at;
    }
    call.agent = patch.agent.or(call.agent);
    call.queue = patch.queue.or(call.queue);
    call.labels = patch.labels.unwrap_or(call.labels);
    call.participants = patch.participants.unwrap_or(call.participants);
    call.consent = patch.consent.unwrap_or(call.consent);
    Ok(Json(context.hub.update(call).await?))
}

/// How a call ends.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EndRequest {
    /// `agent`, `customer` or `system`.
    hangup_by: Option<Role>,
    reason: Option<String>,
    #[expect(dead_code, reason = "part of the request's form; kept by the telephone system")]
    disconnect_reason: Option<String>,
}

/// Ends a call: what was heard becomes final, then score and summary follow.
#[utoipa::path(post, path = "/api/v1/calls/{call_id}/end", tag = "calls", request_body = EndRequest, params(("call_id" = String, Path)),
    responses((status = 202, body = Call), (status = 200, body = Call, description = "was over already")))]
pub(super) async fn end(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(call_id): Path<String>,
    Strict(request): Strict<EndRequest>,
) -> Result<Response, Problem> {
    let call = context.visible_call(&call_id, &principal).await?;
    if !call.state.is_open() || !context.hub.is_open(&call.call_id) {
        return Ok(Json(call).into_response());
    }
    let ending = Ending { hangup_by: request.hangup_by, reason: request.reason.unwrap_or_else(|| "hangup".into()) };
    let call = context.hub.end(&call.call_id, ending).await?;
    Ok((StatusCode::ACCEPTED, Json(call)).into_response())
}

/// A message of a text conversation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageRequest {
    role: Role,
    text: String,
    sent_at: Option<String>,
    external_id: Option<String>,
}

/// Adds a message to a text conversation.
#[utoipa::path(post, path = "/api/v1/calls/{call_id}/messages", tag = "calls", request_body = MessageRequest, params(("call_id" = String, Path)),
    responses((status = 201, body = Utterance), (status = 200, body = Utterance, description = "the message was there already"), (status = 409, body = Problem)))]
pub(super) async fn message(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(call_id): Path<String>,
    Strict(request): Strict<MessageRequest>,
) -> Result<Response, Problem> {
    let call = context.visible_call(&call_id, &principal).await?;
    if call.channel == Channel::Voice {
        return Err(Problem::new("state_conflict", "this is a voice call; send audio"));
    }
    if request.text.trim().is_empty() {
        return Err(Problem::invalid("/text", "must not be blank"));
    }
    if request.text.chars().count() > context.limits.message_chars {
        return Err(Problem::invalid("/text", format!("at most {} code points", context.limits.message_chars)));
    }
    if request.sent_at.as_deref().is_some_and(|t| chrono::DateTime::parse_from_rfc3339(t).is_err()) {
        return Err(Problem::invalid("/sent_at", "not an RFC 3339 time"));
    }
    if let Some(external_id) = &request.external_id
        && let Some(body) = context.store().message(&call_id, external_id).await?
    {
        return Ok((StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], body).into_response());
    }
    let message = NewMessage {
        role: request.role,
        text: request.text,
        sent_at: request.sent_at,
        external_id: request.external_id,
        ..NewMessage::default()
    };
    let utterance = context.hub.message(&call.call_id, message).await?;
    Ok((StatusCode::CREATED, Json(utterance)).into_response())
}

/// How a transcript is given.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct TranscriptQuery {
    /// `json`, `text`, `srt` or `vtt`.
    #[serde(default)]
    #[param(inline)]
    format: TranscriptFormat,
    /// Mask personal data of every kind, also what the settings allow to be kept.
    #[serde(default)]
    redacted: bool,
}

/// The transcript of a call: the conversation in its interchange form, plain text or subtitles.
#[utoipa::path(get, path = "/api/v1/calls/{call_id}/transcript", tag = "calls", params(("call_id" = String, Path), TranscriptQuery),
    responses((status = 200, description = "the transcript"), (status = 404, body = Problem)))]
pub(super) async fn transcript(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(call_id): Path<String>,
    Query(query): Query<TranscriptQuery>,
) -> Result<Response, Problem> {
    let call = context.visible_call(&call_id, &principal).await?;
    let events = context.store().events(&call_id, 1, u32::MAX).await?;
    let spoken = spoken_in(&events);
    let conversation = crate::conversation::Conversation::from_utterances(crate::pipeline::head_of(&call), &spoken);
    if query.redacted {
        let all = crate::privacy::Kind::ALL.into_iter().collect();
        return Ok(render(&crate::privacy::redact_conversation(&conversation, &all).0, query.format));
    }
    Ok(render(&conversation, query.format))
}

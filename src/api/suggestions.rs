//! Suggestions, what became of them, and questions of the agent.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::shelf_learning::gap_row;
use super::strict::{Query, Strict};
use super::{ApiContext, Problem};
use crate::access::Principal;
use crate::assist::Suggestion;
use crate::conversation::Language;
use crate::event::now_rfc3339;
use crate::knowledge::Gap;
use crate::pipeline::spoken_in;
use crate::store::{FeedbackRow, SuggestionRow, UsageRow};

/// Actions on a suggestion.
const ACTIONS: [&str; 5] = ["shown", "clicked", "used", "dismissed", "wrong"];
/// Reasons of `wrong`.
const WRONG_REASONS: [&str; 4] = ["outdated", "irrelevant", "incorrect", "unsafe"];

/// Which suggestions.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct SuggestionQuery {
    /// `open` (default) or `all`.
    state: Option<String>,
}

/// A list of suggestions.
#[derive(Serialize, ToSchema)]
pub(super) struct SuggestionPage {
    #[schema(value_type = Vec<crate::assist::Suggestion>)]
    items: Vec<Value>,
    next_cursor: Option<String>,
}

/// Suggestions of a call.
#[utoipa::path(get, path = "/api/v1/calls/{call_id}/suggestions", tag = "suggestions", params(("call_id" = String, Path), SuggestionQuery),
    responses((status = 200, body = SuggestionPage)))]
pub(super) async fn list(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(call_id): Path<String>,
    Query(query): Query<SuggestionQuery>,
) -> Result<Json<SuggestionPage>, Problem> {
    context.visible_call(&call_id, &principal).await?;
    let state = match query.state.as_deref() {
        None | Some("open") => Some("open"),
        Some("all") => None,
        Some(_) => return Err(Problem::new("invalid_query", "state is open or all")),
    };
    let rows = context.store().suggestions(&call_id, state).await?;
    let items = rows.iter().filter_map(|r| serde_json::from_str(&r.body).ok()).collect();
    Ok(Json(SuggestionPage { items, next_cursor: None }))
}

/// What became of a suggestion.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Feedback {
    /// `shown`, `clicked`, `used`, `dismissed` or `wrong`.
    action: String,
    /// RFC 3339; now by default.
    at: Option<String>,
    /// For `wrong`: `outdated`, `irrelevant`, `incorrect` or `unsafe`.
    reason: Option<String>,
    edited_text: Option<String>,
    dwell_ms: Option<u64>,
}

/// Says what became of a suggestion. The first report of an action by an actor stays.
#[utoipa::path(post, path = "/api/v1/suggestions/{suggestion_id}/feedback", tag = "suggestions", request_body = Feedback,
    params(("suggestion_id" = String, Path)), responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn feedback(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(suggestion_id): Path<String>,
    Strict(feedback): Strict<Feedback>,
) -> Result<StatusCode, Problem> {
    record(&context, &principal, &suggestion_id, &feedback).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Feedback on one of several suggestions.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FeedbackItem {
    suggestion_id: String,
    feedback: Feedback,
}

/// Feedback on several suggestions, at most 100.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FeedbackBatch {
    items: Vec<FeedbackItem>,
}

/// The outcome for one item.
#[derive(Serialize, ToSchema)]
pub(super) struct FeedbackOutcome {
    suggestion_id: String,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

/// Says what became of several suggestions; each succeeds or fails on its own.
#[utoipa::path(post, path = "/api/v1/suggestions/feedback", tag = "suggestions", request_body = FeedbackBatch,
    responses((status = 200, body = Vec<FeedbackOutcome>), (status = 413, body = Problem)))]
pub(super) async fn feedback_batch(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Strict(batch): Strict<FeedbackBatch>,
) -> Result<Json<Vec<FeedbackOutcome>>, Problem> {
    if batch.items.len() > 100 {
        return Err(Problem::new("too_many_items", "at most 100 items"));
    }
    let mut outcomes = Vec::with_capacity(batch.items.len());
    for item in batch.items {
        let outcome = record(&context, &principal, &item.suggestion_id, &item.feedback).await;
        outcomes.push(FeedbackOutcome {
            suggestion_id: item.suggestion_id,
            ok: outcome.is_ok(),
            code: outcome.err().map(|p| p.code),
        });
    }
    Ok(Json(outcomes))
}

async fn record(context: &ApiContext, principal: &Principal, suggestion_id: &str, feedback: &Feedback) -> Result<(), Problem> {
    if !ACTIONS.contains(&feedback.action.as_str()) {
        return Err(Problem::invalid("/action", format!("one of {}", ACTIONS.join(", "))));
    }
    if feedback.action == "wrong" && !feedback.reason.as_deref().is_some_and(|r| WRONG_REASONS.contains(&r)) {
        return Err(Problem::invalid("/reason", format!("wrong needs one of {}", WRONG_REASONS.join(", "))));
    }
    let row = context.store().suggestion(suggestion_id).await?.ok_or_else(|| Problem::not_found("suggestion"))?;
    let call = context.visible_call(&row.call_id, principal).await?;
    let agent = call.agent.as_ref().map_or_else(|| principal.token_id.clone(), |agent| agent.id.clone());
    let usage = usage_of(&row, &feedback.action, agent);
    if let ("wrong", Some(usage)) = (feedback.action.as_str(), &usage) {
        record_gap(context, &row, usage).await?;
    }
    let row = FeedbackRow {
        suggestion_id: suggestion_id.to_owned(),
        action: feedback.action.clone(),
        actor: principal.token_id.clone(),
        at: feedback.at.clone().unwrap_or_else(now_rfc3339),
        body: serde_json::to_string(feedback).unwrap_or_default(),
    };
    metrics::counter!("zhiyin_suggestions_total", "outcome" => row.action.clone()).increment(1);
    Ok(context.shelf.keep_feedback(row, usage).await?)
}

/// The count of the article that a suggestion cites; none if it cites none.
fn usage_of(row: &SuggestionRow, action: &str, agent: String) -> Option<UsageRow> {
    let suggestion: Suggestion = serde_json::from_str(&row.body).ok()?;
    Some(UsageRow {
        day: now_rfc3339().get(..10)?.to_owned(),
        document_id: suggestion.citations.first()?.document_id.clone(),
        topic: suggestion.trigger.intent.unwrap_or_default(),
        agent,
        action: action.to_owned(),
        count: 1,
    })
}

/// The words that a wrong suggestion was made for are a gap.
async fn record_gap(context: &ApiContext, row: &SuggestionRow, usage: &UsageRow) -> Result<(), Problem> {
    let Ok(suggestion) = serde_json::from_str::<Suggestion>(&row.body) else { return Ok(()) };
    let Some(asked) = suggestion.trigger.utterance_ids.first() else { return Ok(()) };
    let spoken = spoken_in(&context.store().events(&row.call_id, 1, u32::MAX).await?);
    let Some((utterance, _)) = spoken.into_iter().find(|(utterance, _)| utterance.utterance_id == *asked) else { return Ok(()) };
    let gap = Gap {
        // one gap for a suggestion, however often it is reported
        gap_id: format!("gap_{}", row.suggestion_id),
        time: now_rfc3339(),
        question: utterance.text,
        reason: "not_helpful".into(),
        intent: Some(usage.topic.clone()).filter(|topic| !topic.is_empty()),
        call_id: Some(row.call_id.clone()),
        document_id: Some(usage.document_id.clone()),
    };
    Ok(context.store().record_gap(gap_row(gap, "feedback", Some(suggestion.score))).await?)
}

/// A question of the agent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AskRequest {
    text: String,
}

/// Passages for a question, and a draft that quotes the best one.
#[derive(Serialize, ToSchema)]
pub(super) struct AskAnswer {
    #[schema(value_type = Vec<Object>)]
    passages: Vec<crate::knowledge::PassageHit>,
    /// `None` when nothing fits.
    draft: Option<String>,
    degraded: Vec<String>,
}

/// Answers a question of the agent from the knowledge base.
#[utoipa::path(post, path = "/api/v1/calls/{call_id}/ask", tag = "suggestions", request_body = AskRequest, params(("call_id" = String, Path)),
    responses((status = 200, body = AskAnswer)))]
pub(super) async fn ask(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(call_id): Path<String>,
    Strict(request): Strict<AskRequest>,
) -> Result<Json<AskAnswer>, Problem> {
    let call = context.visible_call(&call_id, &principal).await?;
    if request.text.trim().is_empty() {
        return Err(Problem::invalid("/text", "must not be blank"));
    }
    let stages = context.hub.stages();
    let vector = stages.encoder.embed_async(request.text.clone()).await.ok();
    let language = Language::of_text(&request.text);
    let found = stages.search(request.text, vector, call.queue, language).await;
    let draft =
        found.passages.first().filter(|hit| hit.score >= stages.advisor.min_score).map(|hit| {
            hit.text.chars().skip(hit.citation.start).take(hit.citation.end.saturating_sub(hit.citation.start)).collect()
        });
    Ok(Json(AskAnswer { passages: found.passages, draft, degraded: found.degraded }))
}

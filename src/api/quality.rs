//! Rules, scoring and scorecards.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::quality_jobs::score_row;
use super::strict::{Query, Strict};
use super::trust::not_blind;
use super::{ApiContext, Problem};
use crate::access::Principal;
use crate::conversation::{CallId, Conversation, IdKind, new_id};
use crate::pipeline::{annotate, head_of, spoken_in};
use crate::quality::{Rule, Scorecard, Severity, check_conversation};
use crate::store::{ScoreRow, Write};

/// A rule in brief.
#[derive(Serialize, ToSchema)]
pub(super) struct RuleView {
    rule_id: String,
    name: String,
    level: String,
    version: u64,
    state: &'static str,
}

/// The rules in force.
#[utoipa::path(get, path = "/api/v1/quality/rules", tag = "quality", responses((status = 200, body = Vec<RuleView>)))]
pub(super) async fn rules(State(context): State<ApiContext>) -> Json<Vec<RuleView>> {
    let in_force = context.hub.stages().rules();
    let view = in_force.rules().iter().map(|rule| RuleView {
        rule_id: rule.id.clone(),
        name: rule.title().to_owned(),
        level: rule.level.name().to_owned(),
        version: rule.version.unwrap_or(1),
        state: "published",
    });
    Json(view.collect())
}

/// A rule to be checked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckRequest {
    /// The rule in its JSON form.
    #[schema(value_type = Object)]
    rule: Value,
}

/// Everything that is wrong with a rule, and what is doubtful.
#[utoipa::path(post, path = "/api/v1/quality/rules/check", tag = "quality", request_body = CheckRequest, responses((status = 200, body = Object)))]
pub(super) async fn check(Strict(request): Strict<CheckRequest>) -> Json<Value> {
    let problems = match Rule::from_json(&request.rule) {
        Ok(rule) => rule.warnings,
        Err(problems) => problems,
    };
    let (errors, warnings): (Vec<_>, Vec<_>) = problems.into_iter().partition(|p| p.severity == Severity::Error);
    Json(serde_json::json!({ "errors": errors, "warnings": warnings }))
}

/// What to score: a stored call, or a conversation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScoreRequest {
    call_id: Option<String>,
    #[schema(value_type = Option<Object>)]
    conversation: Option<Conversation>,
    /// The scheme in force by default.
    scheme_id: Option<String>,
    /// Keep the scorecard.
    #[serde(default)]
    persist: bool,
}

/// Scores a call or a conversation.
#[utoipa::path(post, path = "/api/v1/quality/score", tag = "quality", request_body = ScoreRequest,
    responses((status = 200, body = Object), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn score(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Strict(request): Strict<ScoreRequest>,
) -> Result<Json<Scorecard>, Problem> {
    let stages = context.hub.stages().clone();
    let scheme = match &request.scheme_id {
        None => stages.scheme(),
        Some(id) => stages.quality.scheme_of(id).ok_or_else(|| {
            let known: Vec<String> = stages.quality.schemes().iter().map(|s| s.id.clone()).collect();
            Problem::invalid("/scheme_id", format!("known schemes: {}", known.join(", ")))
        })?,
    };
    let conversation = match (request.call_id, request.conversation) {
        (Some(call_id), None) => stored(&context, &principal, &call_id).await?,
        (None, Some(conversation)) => conversation,
        _ => return Err(Problem::invalid("", "give either call_id or conversation")),
    };
    check_conversation(&conversation).map_err(|e| Problem::invalid("/conversation", e.to_string()))?;
    let worker = stages.clone();
    let scored = tokio::task::spawn_blocking(move || {
        let conversation = annotate(&worker, conversation)?;
        let id = new_id(IdKind::Score);
        let card = crate::quality::score(&id, &conversation, &worker.rules(), &scheme, &worker.models)?;
        Ok::<_, crate::pipeline::PipelineError>((card, conversation))
    });
    let (card, conversation) = scored.await.map_err(|_| Problem::new("internal", "scoring was interrupted"))??;
    if request.persist {
        context.store().write(vec![Write::Score(score_row(&card, &conversation))]).await?;
    }
    Ok(Json(card))
}

async fn stored(context: &ApiContext, principal: &Principal, call_id: &str) -> Result<Conversation, Problem> {
    let call = context.visible_call(call_id, principal).await?;
    let events = context.store().events(call_id, 1, u32::MAX).await?;
    Ok(Conversation::from_utterances(head_of(&call), &spoken_in(&events)))
}

/// Which scorecards.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ScoreQuery {
    call_id: Option<String>,
    /// 1 to 200.
    limit: Option<u32>,
}

/// A scorecard in brief.
#[derive(Serialize, ToSchema)]
pub(super) struct ScoreView {
    score_id: String,
    call_id: String,
    scheme_id: String,
    clock: String,
    total: Option<f64>,
    agent_id: Option<String>,
    queue: Option<String>,
    created_at: String,
}

/// A list of scorecards.
#[derive(Serialize, ToSchema)]
pub(super) struct ScorePage {
    items: Vec<ScoreView>,
    next_cursor: Option<String>,
}

/// Scorecards, newest first.
#[utoipa::path(get, path = "/api/v1/quality/scores", tag = "quality", params(ScoreQuery), responses((status = 200, body = ScorePage)))]
pub(super) async fn scores(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Query(query): Query<ScoreQuery>,
) -> Result<Json<ScorePage>, Problem> {
    let limit = query.limit.unwrap_or(50).clamp(1, 200);
    let rows = context.store().scores_seen(&principal.row_filter, query.call_id.as_deref(), limit).await?;
    let items = rows.into_iter().map(|row| ScoreView {
        score_id: row.score_id,
        call_id: row.call_id,
        scheme_id: row.scheme_id,
        clock: row.clock,
        total: row.total,
        agent_id: row.agent_id,
        queue: row.queue,
        created_at: row.created_at,
    });
    let items = items.collect();
    Ok(Json(ScorePage { items, next_cursor: None }))
}

/// A scorecard of a stored call is seen by whom the call is; one of an imported conversation by its agent and queue.
pub(super) async fn sees(context: &ApiContext, principal: &Principal, row: &ScoreRow) -> bool {
    context.may_see(&CallId::from(row.call_id.as_str()), principal).await
        || principal.row_filter.admits(row.queue.as_deref(), None, row.agent_id.as_deref())
}

/// A whole scorecard with its evidence; not for who is still to answer it blind.
#[utoipa::path(get, path = "/api/v1/quality/scores/{score_id}", tag = "quality", params(("score_id" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn get(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(score_id): Path<String>,
) -> Result<Response, Problem> {
    let row = context.store().score(&score_id).await?.ok_or_else(|| Problem::not_found("scorecard"))?;
    if !sees(&context, &principal, &row).await {
        return Err(Problem::new("outside_row_filter", "the token's row filter excludes this scorecard"));
    }
    not_blind(&context, &principal, &row).await?;
    Ok((StatusCode::OK, [(axum::http::header::CONTENT_TYPE, "application/json")], row.body).into_response())
}

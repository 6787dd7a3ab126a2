//! Appeals of agents, decisions, and what people agree on.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::reviews::{audit_write, next_revision, standing, visible_score};
use super::strict::{Query, Strict};
use super::trust::{automatic_rules, hits_of, mode_changes};
use super::{ApiContext, Problem};
use crate::access::{Principal, Scope};
use crate::event::now_rfc3339;
use crate::quality::review::{Judged, Judgement, Standing};
use crate::quality::{ManualAnswers, Scorecard};
use crate::store::{AppealRow, JudgementRow, QualityWrite, ScoreRow, Write};

/// Days after the review within which an appeal is taken.
const APPEAL_DAYS: i64 = 7;

/// An appeal as it is kept and shown.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Appeal {
    appeal_id: String,
    score_id: String,
    /// `appealed`, `decided` (one more appeal is possible) or `closed`.
    state: String,
    /// Token id of who appeals.
    by: String,
    reason: String,
    created_at: String,
    items: Vec<AppealItem>,
    /// Token ids of who decided, in their order.
    #[serde(default)]
    decided_by: Vec<String>,
}

/// An appealed hit.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct AppealItem {
    hit_id: String,
    rule_id: String,
    /// `upheld`: the hit stands; `overturned`: it falls.
    decision: Option<String>,
    comment: Option<String>,
}

/// A hit that is appealed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AppealedHit {
    hit_id: String,
}

/// An appeal.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAppeal {
    items: Vec<AppealedHit>,
    reason: String,
}

/// The agent says that hits are wrong: within seven days of the review (of the scorecard, for hits that need none), once a
/// hit, with a reason.
#[utoipa::path(post, path = "/api/v1/quality/scores/{score_id}/appeals", tag = "quality", params(("score_id" = String, Path)),
    request_body = NewAppeal, responses((status = 201, body = Appeal), (status = 409, body = Problem)))]
pub(super) async fn create(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(score_id): Path<String>,
    Strict(request): Strict<NewAppeal>,
) -> Result<(StatusCode, Json<Appeal>), Problem> {
    let (machine, row) = visible_score(&context, &principal, &score_id).await?;
    // An agent's token sees its own calls only; who sees more must be a judge to appeal for somebody.
    let own = principal.row_filter.agent_id.is_some() && principal.row_filter.agent_id == row.agent_id;
    if !own && !principal.may(Scope::QualityJudge) {
        return Err(Problem::new("outside_row_filter", "only the agent of this conversation, or a judge, may appeal"));
    }
    if request.reason.trim().is_empty() {
        return Err(Problem::invalid("/reason", "say why the hits are wrong"));
    }
    in_time(&context, &machine, &row, &request.items).await?;
    let earlier = context.store().appeals(Some(&score_id), None).await?;
    let mut items = Vec::new();
    for (n, hit) in request.items.iter().enumerate() {
        let rule = machine.results.iter().find(|r| r.result.hits.iter().any(|h| h.hit_id == hit.hit_id));
        let rule = rule.ok_or_else(|| Problem::invalid(&format!("/items/{n}/hit_id"), "no such hit in this scorecard"))?;
        let times = earlier.iter().filter(|a| a.body.contains(&hit.hit_id)).collect::<Vec<_>>();
        let open = times.iter().any(|a| a.state == "appealed");
        let closed = times.iter().any(|a| a.state == "closed");
        if open || closed || times.len() > 1 {
            return Err(Problem::new("state_conflict", format!("hit {} was appealed before", hit.hit_id)));
        }
        items.push(AppealItem { hit_id: hit.hit_id.clone(), rule_id: rule.result.rule.clone(), decision: None, comment: None });
    }
    if items.is_empty() {
        return Err(Problem::invalid("/items", "name the hits that are appealed"));
    }
    let appeal = Appeal {
        appeal_id: format!("apl_{}", ulid::Ulid::new()),
        score_id: score_id.clone(),
        state: "appealed".into(),
        by: principal.token_id.clone(),
        reason: request.reason,
        created_at: now_rfc3339(),
        items,
        decided_by: Vec::new(),
    };
    let audit = audit_write(&principal, "quality.appeal", &score_id, appeal.appeal_id.clone());
    context.store().write(vec![appeal_write(&appeal), audit]).await?;
    Ok((StatusCode::CREATED, Json(appeal)))
}

/// Refuses appeals of what is not final yet, or has been for too long: the days count from the review, and for hits of
/// rules in automatic mode, which nobody reviews, from the scorecard.
async fn in_time(context: &ApiContext, machine: &Scorecard, row: &ScoreRow, items: &[AppealedHit]) -> Result<(), Problem> {
    let judged = context.store().judgements_of_score(&row.score_id).await?;
    let since = match judged.iter().rfind(|j| j.stage == "review") {
        Some(review) => review.at.clone(),
        None => {
            let hits = hits_of(context, machine, &automatic_rules(context).await?).await?;
            let automatic = |id: &str| hits.iter().any(|h| h.hit_id == id && h.standing == Standing::Automatic);
            if !items.iter().all(|i| automatic(&i.hit_id)) {
                return Err(Problem::new("state_conflict", "this scorecard was not reviewed yet"));
            }
            row.created_at.clone()
        }
    };
    let until = chrono::DateTime::parse_from_rfc3339(&since).map(|t| t + chrono::Duration::days(APPEAL_DAYS));
    if until.is_ok_and(|until| until < chrono::Utc::now()) {
        return Err(Problem::new("state_conflict", format!("the {APPEAL_DAYS} days for appeals are over")));
    }
    Ok(())
}

fn appeal_write(appeal: &Appeal) -> Write {
    Write::Quality(QualityWrite::Appeal(AppealRow {
        appeal_id: appeal.appeal_id.clone(),
        score_id: appeal.score_id.clone(),
        state: appeal.state.clone(),
        created_at: appeal.created_at.clone(),
        body: serde_json::to_string(appeal).unwrap_or_default(),
    }))
}

/// Which appeals.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct AppealQuery {
    score_id: Option<String>,
    /// `appealed`, `decided` or `closed`.
    state: Option<String>,
}

/// A list of appeals.
#[derive(Serialize, ToSchema)]
pub(super) struct AppealPage {
    items: Vec<Appeal>,
    next_cursor: Option<String>,
}

/// Appeals, newest first.
#[utoipa::path(get, path = "/api/v1/quality/appeals", tag = "quality", params(AppealQuery), responses((status = 200, body = AppealPage)))]
pub(super) async fn list(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Query(query): Query<AppealQuery>,
) -> Result<Json<AppealPage>, Problem> {
    let mut items = Vec::new();
    for row in context.store().appeals(query.score_id.as_deref(), query.state.as_deref()).await? {
        if visible_score(&context, &principal, &row.score_id).await.is_ok()
            && let Ok(appeal) = serde_json::from_str(&row.body)
        {
            items.push(appeal);
        }
    }
    Ok(Json(AppealPage { items, next_cursor: None }))
}

/// A decision on a hit.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DecidedHit {
    hit_id: String,
    decision: Decision,
    comment: Option<String>,
}

/// Whether a hit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Decision {
    /// It stands.
    Upheld,
    /// It falls.
    Overturned,
}

/// A decision on an appeal.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DecideRequest {
    items: Vec<DecidedHit>,
    /// No further appeal.
    #[serde(default)]
    r#final: bool,
}

/// Decides an appeal: by somebody else than the reviewer. The second decision always closes.
#[utoipa::path(post, path = "/api/v1/quality/appeals/{appeal_id}/decide", tag = "quality", params(("appeal_id" = String, Path)),
    request_body = DecideRequest, responses((status = 200, body = Object), (status = 409, body = Problem)))]
pub(super) async fn decide(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(appeal_id): Path<String>,
    Strict(request): Strict<DecideRequest>,
) -> Result<Json<Value>, Problem> {
    let row = context.store().appeal(&appeal_id).await?.ok_or_else(|| Problem::not_found("appeal"))?;
    let mut appeal: Appeal =
        serde_json::from_str(&row.body).map_err(|_| Problem::new("internal", "the appeal cannot be read"))?;
    if appeal.state != "appealed" {
        return Err(Problem::new("state_conflict", format!("this appeal is {}", appeal.state)));
    }
    let (machine, score) = visible_score(&context, &principal, &appeal.score_id).await?;
    let history = context.store().judgements_of_score(&appeal.score_id).await?;
    let touched = |j: &&JudgementRow| appeal.items.iter().any(|i| i.hit_id == j.hit_id);
    if appeal.by == principal.token_id || history.iter().filter(touched).any(|j| j.author == principal.token_id) {
        return Err(Problem::new(
            "state_conflict",
            "an appeal is decided by somebody who neither made it nor judged its hits before",
        ));
    }
    let mut judgements = standing(context.store(), &appeal.score_id).await?;
    let earlier = context.store().appeals(Some(&appeal.score_id), None).await?;
    let second = appeal.items.iter().any(|i| earlier.iter().any(|a| a.appeal_id != appeal_id && a.body.contains(&i.hit_id)));
    let closed = request.r#final || second;
    let mut rows = Vec::new();
    for item in &mut appeal.items {
        let decided = request.items.iter().find(|d| d.hit_id == item.hit_id);
        let decided = decided.ok_or_else(|| Problem::invalid("/items", format!("decide hit {} too", item.hit_id)))?;
        let verdict = if decided.decision == Decision::Upheld { Judged::TrueHit } else { Judged::FalseHit };
        item.decision = Some(if decided.decision == Decision::Upheld { "upheld" } else { "overturned" }.to_owned());
        item.comment.clone_from(&decided.comment);
        judgements.retain(|j| j.hit_id != item.hit_id);
        let judgement = Judgement { rule_id: item.rule_id.clone(), hit_id: item.hit_id.clone(), turn: None, verdict };
        judgements.push(judgement);
        let rule = machine.results.iter().find(|r| r.result.rule == item.rule_id);
        rows.push(JudgementRow {
            score_id: appeal.score_id.clone(),
            call_id: machine.call_id.clone(),
            rule_id: item.rule_id.clone(),
            rule_version: rule.and_then(|r| r.result.version).and_then(|v| i64::try_from(v).ok()),
            hit_id: item.hit_id.clone(),
            verdict: verdict.name().to_owned(),
            stage: if closed { "final" } else { "appeal" }.to_owned(),
            author: principal.token_id.clone(),
            at: now_rfc3339(),
            body: json!({ "comment": decided.comment }).to_string(),
        });
    }
    let mut writes = mode_changes(&context, &principal, &rows).await?;
    writes.extend(rows.into_iter().map(|row| Write::Quality(QualityWrite::Judgement(row))));
    appeal.state = if closed { "closed" } else { "decided" }.to_owned();
    appeal.decided_by.push(principal.token_id.clone());
    let (card, more) = next_revision(&context, &principal, &machine, &score, &judgements, &ManualAnswers::new()).await?;
    writes.extend(more);
    writes.push(appeal_write(&appeal));
    writes.push(audit_write(&principal, "quality.appeal.decide", &appeal_id, appeal.state.clone()));
    context.store().write(writes).await?;
    Ok(Json(json!({ "appeal": appeal, "revision": card.revision, "total": card.total })))
}

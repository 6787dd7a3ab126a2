//! Who looks at which scorecard, and what people say of its hits.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::quality::sees;
use super::quality_jobs::scored;
use super::strict::{Query, Strict};
use super::{ApiContext, Problem};
use crate::access::{Principal, Scope};
use crate::conversation::{IdKind, new_id};
use crate::event::now_rfc3339;
use crate::quality::review::{Candidate, Choice, Judged, Judgement, choose, missed_hit_id, revise};
use crate::quality::{ManualAnswers, RuleState, Scorecard};
use crate::store::{AssignmentRow, AuditEntry, JudgementRow, QualityWrite, ScoreFilter, ScoreRow, Write};

/// Scorecards that a choice looks at.
const CANDIDATES: u32 = 10_000;
/// Scorecards that one request assigns.
const SIZE_MAX: usize = 1_000;

/// How scorecards are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum By {
    /// At random.
    Random,
    /// The riskiest first: fatal items, serious hits, low totals.
    Risk,
    /// Hits of one rule, at random.
    Rule,
    /// Those named.
    List,
}

/// Which scorecards are assigned to whom.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAssignments {
    by: By,
    /// Token ids; scorecards are dealt out in turn.
    assignees: Vec<String>,
    /// For `by: rule`.
    rule_id: Option<String>,
    /// For `by: list`.
    #[serde(default)]
    score_ids: Vec<String>,
    scheme_id: Option<String>,
    agent_id: Option<String>,
    queue: Option<String>,
    /// Scored at or after, RFC 3339.
    from: Option<String>,
    /// Scored before, RFC 3339.
    to: Option<String>,
    /// How many …
    size: Option<usize>,
    /// … or which share of those that fit, above 0 and up to 1.
    share: Option<f64>,
    /// The same seed chooses the same ones; the day by default.
    seed: Option<String>,
    /// The reviewer does not see what the machine says.
    #[serde(default)]
    blind: bool,
}

/// An assignment.
#[derive(Serialize, ToSchema)]
pub(super) struct AssignmentView {
    assignment_id: String,
    score_id: String,
    assignee: String,
    /// `assigned` or `reviewed`.
    state: String,
    blind: bool,
    created_at: String,
    /// Which choice led to it.
    by: Option<String>,
    /// The scorecard; absent where the machine's answers are hidden.
    #[schema(value_type = Option<Object>)]
    score: Option<Value>,
    /// The conversation to look at.
    call_id: Option<String>,
    /// The rules to be answered.
    rules: Vec<String>,
}

/// A list of assignments.
#[derive(Serialize, ToSchema)]
pub(super) struct AssignmentPage {
    items: Vec<AssignmentView>,
    next_cursor: Option<String>,
}

pub(super) fn audit_write(principal: &Principal, action: &str, object: &str, detail: String) -> Write {
    Write::Audit(AuditEntry {
        time: now_rfc3339(),
        actor: principal.token_id.clone(),
        action: action.to_owned(),
        object: object.to_owned(),
        detail,
    })
}

/// The scorecards that a choice gives.
async fn chosen(context: &ApiContext, principal: &Principal, request: &NewAssignments) -> Result<Vec<String>, Problem> {
    if request.by == By::List {
        return Ok(request.score_ids.clone());
    }
    if request.by == By::Rule && request.rule_id.is_none() {
        return Err(Problem::invalid("/rule_id", "name the rule whose hits are reviewed"));
    }
    let filter = ScoreFilter {
        scheme_id: request.scheme_id.clone(),
        agent_id: request.agent_id.clone(),
        queue: request.queue.clone(),
        from: request.from.clone(),
        to: request.to.clone(),
        rule_id: request.rule_id.clone().filter(|_| request.by == By::Rule),
        reviewed: Some(false),
        limit: CANDIDATES,
        ..ScoreFilter::default()
    };
    let rows = context.store().scores_where(&filter).await?;
    let mut candidates = Vec::new();
    for row in &rows {
        if sees(context, principal, row).await
            && let Ok(card) = serde_json::from_str::<Scorecard>(&row.body)
        {
            candidates.push(Candidate::of(&card));
        }
    }
    let size = match (request.size, request.share) {
        (Some(size), None) => size,
        (None, Some(share)) if share > 0.0 && share <= 1.0 => (candidates.len() as f64 * share).ceil() as usize,
        _ => return Err(Problem::invalid("/size", "give either size or share (above 0 and up to 1)")),
    };
    let seed = request.seed.clone().unwrap_or_else(|| now_rfc3339()[..10].to_owned());
    let choice = if request.by == By::Risk { Choice::Risk } else { Choice::Random { seed: &seed } };
    Ok(choose(candidates, choice, size))
}

/// Assigns scorecards to reviewers: at random, by risk, by rule, or those named.
#[utoipa::path(post, path = "/api/v1/quality/assignments", tag = "quality", request_body = NewAssignments,
    responses((status = 201, body = AssignmentPage), (status = 422, body = Problem)))]
pub(super) async fn assign(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Strict(request): Strict<NewAssignments>,
) -> Result<(StatusCode, Json<AssignmentPage>), Problem> {
    if request.assignees.is_empty() {
        return Err(Problem::invalid("/assignees", "name at least one reviewer by token id"));
    }
    for assignee in &request.assignees {
        let known = context.tokens.all().into_iter().find(|t| t.token_id == *assignee && t.revoked_at.is_none());
        if !known.is_some_and(|t| t.scopes.contains(&Scope::QualityReview)) {
            return Err(Problem::invalid("/assignees", format!("{assignee} is no token in force with the scope quality:review")));
        }
    }
    let score_ids = chosen(&context, &principal, &request).await?;
    if score_ids.len() > SIZE_MAX {
        return Err(Problem::new("too_many_items", format!("at most {SIZE_MAX} scorecards are assigned at once")));
    }
    let (mut rows, mut writes) = (Vec::new(), Vec::new());
    for (n, score_id) in score_ids.iter().enumerate() {
        visible_score(&context, &principal, score_id).await?;
        let row = AssignmentRow {
            assignment_id: format!("asg_{}", ulid::Ulid::new()),
            score_id: score_id.clone(),
            assignee: request.assignees[n % request.assignees.len()].clone(),
            state: "assigned".into(),
            blind: request.blind,
            calibration: None,
            created_at: now_rfc3339(),
            body: json!({ "by": request.by, "rule_id": request.rule_id, "assigned_by": principal.token_id }).to_string(),
        };
        writes.push(Write::Quality(QualityWrite::Assignment(row.clone())));
        rows.push(row);
    }
    writes.push(audit_write(&principal, "quality.assign", &format!("{} scorecards", rows.len()), String::new()));
    context.store().write(writes).await?;
    let mut items = Vec::new();
    for row in rows {
        items.push(assignment_view(&context, row).await?);
    }
    Ok((StatusCode::CREATED, Json(AssignmentPage { items, next_cursor: None })))
}

async fn assignment_view(context: &ApiContext, row: AssignmentRow) -> Result<AssignmentView, Problem> {
    let score = context.store().score(&row.score_id).await?;
    let card: Option<Scorecard> = score.as_ref().and_then(|s| serde_json::from_str(&s.body).ok());
    let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
    let only = body["rule_id"].as_str().map(str::to_owned);
    let rules = card.iter().flat_map(|c| &c.results).map(|r| r.result.rule.clone());
    let rules = rules.filter(|id| only.as_ref().is_none_or(|o| o == id)).collect();
    let hidden = row.blind && row.state != "reviewed";
    Ok(AssignmentView {
        call_id: card.as_ref().map(|c| c.call_id.clone()),
        rules,
        score: card.filter(|_| !hidden).and_then(|c| serde_json::to_value(c).ok()),
        by: body["by"].as_str().map(str::to_owned),
        assignment_id: row.assignment_id,
        score_id: row.score_id,
        assignee: row.assignee,
        state: row.state,
        blind: row.blind,
        created_at: row.created_at,
    })
}

/// Which assignments.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ReviewQuery {
    /// A token id, or `me`.
    assignee: Option<String>,
    /// `assigned` or `reviewed`.
    state: Option<String>,
}

/// Assignments, newest first.
#[utoipa::path(get, path = "/api/v1/quality/reviews", tag = "quality", params(ReviewQuery), responses((status = 200, body = AssignmentPage)))]
pub(super) async fn list(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Query(query): Query<ReviewQuery>,
) -> Result<Json<AssignmentPage>, Problem> {
    let assignee = query.assignee.map(|a| if a == "me" { principal.token_id.clone() } else { a });
    let rows = context.store().assignments(assignee.as_deref(), query.state.as_deref(), None, None).await?;
    let mut items = Vec::new();
    for row in rows.into_iter().filter(|r| r.calibration.is_none()).take(200) {
        items.push(assignment_view(&context, row).await?);
    }
    Ok(Json(AssignmentPage { items, next_cursor: None }))
}

/// A judgement of a hit, or of a rule on the conversation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReviewItem {
    rule_id: String,
    /// The hit that is judged.
    hit_id: Option<String>,
    /// The turn of a missed hit, from 0.
    turn: Option<usize>,
    #[schema(value_type = String)]
    verdict: Judged,
    comment: Option<String>,
}

/// A review.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewReview {
    items: Vec<ReviewItem>,
    /// Answers to manual items of the scheme: an answer or a number by question.
    #[schema(value_type = Object)]
    #[serde(default)]
    manual: ManualAnswers,
    /// The review is complete: the assignment is done, and rules that rightly did not hit count for recall if the
    /// scorecard was drawn at random.
    #[serde(default)]
    submit: bool,
}

/// The scorecard as the machine made it, and the row as it stands.
pub(super) async fn visible_score(
    context: &ApiContext,
    principal: &Principal,
    score_id: &str,
) -> Result<(Scorecard, ScoreRow), Problem> {
    let row = context.store().score(score_id).await?.ok_or_else(|| Problem::not_found("scorecard"))?;
    if !sees(context, principal, &row).await {
        return Err(Problem::new("outside_row_filter", "the token's row filter excludes this scorecard"));
    }
    let first = context.store().score_history(score_id).await?.into_iter().next();
    let body = first.as_ref().unwrap_or(&row.body);
    let card = serde_json::from_str(body).map_err(|_| Problem::new("internal", "the scorecard cannot be read"))?;
    Ok((card, row))
}

/// What the judgements of a scorecard come to: the newest of each hit.
pub(super) async fn standing(context: &ApiContext, score_id: &str) -> Result<Vec<Judgement>, Problem> {
    let mut newest: BTreeMap<(String, String, Option<usize>), Judgement> = BTreeMap::new();
    for row in context.store().judgements_of_score(score_id).await? {
        let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
        let turn = body["turn"].as_u64().and_then(|t| usize::try_from(t).ok());
        let Some(verdict) = Judged::of(&row.verdict) else { continue };
        let judgement = Judgement { rule_id: row.rule_id.clone(), hit_id: row.hit_id.clone(), turn, verdict };
        newest.insert((row.rule_id, row.hit_id, turn), judgement);
    }
    Ok(newest.into_values().collect())
}

/// The next revision of a scorecard from judgements, and what to write for it: the old one goes into history.
pub(super) async fn next_revision(
    context: &ApiContext,
    principal: &Principal,
    machine: &Scorecard,
    row: &ScoreRow,
    judgements: &[Judgement],
    manual: &ManualAnswers,
) -> Result<(Scorecard, Vec<Write>), Problem> {
    let stages = context.hub.stages();
    let scheme = stages.quality.scheme_of(&row.scheme_id).ok_or_else(|| {
        Problem::new("state_conflict", format!("scheme {} is no longer in force; the score cannot be made again", row.scheme_id))
    })?;
    let present: Scorecard =
        serde_json::from_str(&row.body).map_err(|_| Problem::new("internal", "the scorecard cannot be read"))?;
    let card = revise(machine, present.revision + 1, &stages.rules(), &scheme, judgements, manual);
    let history = QualityWrite::History(
        row.score_id.clone(),
        present.revision,
        now_rfc3339(),
        principal.token_id.clone(),
        row.body.clone(),
    );
    let body = serde_json::to_string(&card).map_err(|_| Problem::new("internal", "the scorecard could not be written"))?;
    let next = ScoreRow { total: card.total, body, ..row.clone() };
    Ok((card, vec![Write::Quality(history), Write::Score(next)]))
}

/// Judges hits of a scorecard; the score is made again.
#[utoipa::path(post, path = "/api/v1/quality/scores/{score_id}/reviews", tag = "quality", params(("score_id" = String, Path)),
    request_body = NewReview, responses((status = 201, body = Object), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn review(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(score_id): Path<String>,
    Strict(request): Strict<NewReview>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let (machine, row) = visible_score(&context, &principal, &score_id).await?;
    let appealed = context.store().appeals(Some(&score_id), None).await?;
    if !appealed.is_empty() {
        return Err(Problem::new("state_conflict", "there is an appeal; its decision is the next word"));
    }
    let mut judgements = standing(&context, &score_id).await?;
    let mut rows = Vec::new();
    for (n, item) in request.items.iter().enumerate() {
        let (judgement, stored) =
            judged(&machine, item, &principal).map_err(|message| Problem::invalid(&format!("/items/{n}"), message))?;
        judgements.retain(|j| (&j.rule_id, &j.hit_id, j.turn) != (&judgement.rule_id, &judgement.hit_id, judgement.turn));
        judgements.push(judgement);
        rows.push(stored);
    }
    let assignments = context.store().assignments(Some(&principal.token_id), Some("assigned"), None, Some(&score_id)).await?;
    let mut writes = Vec::new();
    if request.submit {
        let random = assignments.iter().any(|a| a.calibration.is_none() && a.body.contains("\"by\":\"random\""));
        if random {
            rows.extend(true_misses(&machine, &judgements, &principal));
        }
        for assignment in assignments.into_iter().filter(|a| a.calibration.is_none()) {
            writes.push(Write::Quality(QualityWrite::Assignment(AssignmentRow { state: "reviewed".into(), ..assignment })));
        }
    }
    let (card, more) = next_revision(&context, &principal, &machine, &row, &judgements, &request.manual).await?;
    writes.extend(more);
    writes.extend(rows.into_iter().map(|r| Write::Quality(QualityWrite::Judgement(r))));
    let review_id = new_id(IdKind::Review);
    writes.push(audit_write(&principal, "quality.review", &score_id, format!("{review_id}: {} judgements", request.items.len())));
    context.store().write(writes).await?;
    let answer = json!({
        "review_id": review_id, "score_id": score_id, "revision": card.revision, "total": card.total,
        "state": if request.submit { "reviewed" } else { "open" },
    });
    Ok((StatusCode::CREATED, Json(answer)))
}

fn judged(machine: &Scorecard, item: &ReviewItem, principal: &Principal) -> Result<(Judgement, JudgementRow), String> {
    let rule = machine.results.iter().find(|r| r.result.rule == item.rule_id);
    let rule = rule.ok_or_else(|| format!("rule {} is no part of this scorecard", item.rule_id))?;
    let hit_id = match item.verdict {
        Judged::TrueHit | Judged::FalseHit => {
            let hit_id = item.hit_id.clone().ok_or("name the hit by hit_id")?;
            if !rule.result.hits.iter().any(|h| h.hit_id == hit_id) {
                return Err(format!("{hit_id} is no hit of rule {}", item.rule_id));
            }
            hit_id
        }
        Judged::Missed => missed_hit_id(&machine.call_id, &item.rule_id, item.turn),
        Judged::TrueMiss if rule.result.state == RuleState::Hit => return Err("this rule hits; judge its hits".into()),
        Judged::TrueMiss | Judged::NotApplicable => String::new(),
    };
    let judgement = Judgement { rule_id: item.rule_id.clone(), hit_id: hit_id.clone(), turn: item.turn, verdict: item.verdict };
    let row = JudgementRow {
        score_id: machine.score_id.clone(),
        call_id: machine.call_id.clone(),
        rule_id: item.rule_id.clone(),
        rule_version: rule.result.version.and_then(|v| i64::try_from(v).ok()),
        hit_id,
        verdict: item.verdict.name().to_owned(),
        stage: "review".into(),
        author: principal.token_id.clone(),
        at: now_rfc3339(),
        body: json!({ "turn": item.turn, "comment": item.comment }).to_string(),
    };
    Ok((judgement, row))
}

/// Rules that did not hit on a randomly drawn scorecard and were not called missed: the sample for recall.
fn true_misses(machine: &Scorecard, judgements: &[Judgement], principal: &Principal) -> Vec<JudgementRow> {
    let quiet = machine.results.iter().filter(|r| r.result.state == RuleState::Miss);
    quiet
        .filter(|r| !judgements.iter().any(|j| j.rule_id == r.result.rule))
        .map(|r| JudgementRow {
            score_id: machine.score_id.clone(),
            call_id: machine.call_id.clone(),
            rule_id: r.result.rule.clone(),
            rule_version: r.result.version.and_then(|v| i64::try_from(v).ok()),
            hit_id: String::new(),
            verdict: Judged::TrueMiss.name().to_owned(),
            stage: "review".into(),
            author: principal.token_id.clone(),
            at: now_rfc3339(),
            body: "{}".into(),
        })
        .collect()
}

/// Scorecards that fit, for calibrations.
pub(super) async fn candidates(context: &ApiContext, scheme_id: Option<String>) -> Result<Vec<Candidate>, Problem> {
    let filter = ScoreFilter { scheme_id, limit: CANDIDATES, ..ScoreFilter::default() };
    Ok(scored(context.store(), &filter).await?.iter().map(Candidate::of).collect())
}

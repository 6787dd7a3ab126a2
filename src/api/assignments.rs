//! Who looks at which scorecard: chosen at random, by risk, by rule, or named. What rules in automatic mode found does
//! not wait for people and is not chosen by risk or rule.

use std::collections::HashSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::calibrations::calibration;
use super::quality_jobs::scored;
use super::reviews::{audit_write, machine_card, visible_score};
use super::strict::{Query, Strict};
use super::times::maybe_in_utc;
use super::trust::{HitView, automatic_rules, hits_of};
use super::{ApiContext, Problem};
use crate::access::{Principal, Scope};
use crate::event::now_rfc3339;
use crate::quality::Scorecard;
use crate::quality::review::{Candidate, Choice, choose};
use crate::store::{AssignmentRow, QualityWrite, ScoreFilter, Write};

/// Scorecards that a choice looks at.
const CANDIDATES: u32 = 10_000;
/// Assignments that one list shows.
const LIST_MAX: u32 = 200;
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
    /// The hits of these rules and how each stands; those `waiting` or under `audit` are to be judged. Empty where the
    /// machine's answers are hidden.
    hits: Vec<HitView>,
    /// The calibration that asks; answer there.
    calibration: Option<String>,
}

/// A list of assignments.
#[derive(Serialize, ToSchema)]
pub(super) struct AssignmentPage {
    items: Vec<AssignmentView>,
    next_cursor: Option<String>,
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
        from: maybe_in_utc("/from", request.from.as_deref())?,
        to: maybe_in_utc("/to", request.to.as_deref())?,
        rule_id: request.rule_id.clone().filter(|_| request.by == By::Rule),
        reviewed: Some(false),
        rows: principal.row_filter.clone(),
        limit: CANDIDATES,
        ..ScoreFilter::default()
    };
    let rows = context.store().scores_where(&filter).await?;
    let automatic = automatic_rules(context).await?;
    let mut candidates = Vec::new();
    for row in &rows {
        if let Ok(card) = serde_json::from_str::<Scorecard>(&row.body) {
            candidates.extend(candidate(context, request, &card, &automatic).await?);
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

/// A scorecard as a choice sees it; none if people have nothing to do there. A random choice takes all: what it finds
/// missed is the sample for recall.
async fn candidate(
    context: &ApiContext,
    request: &NewAssignments,
    card: &Scorecard,
    automatic: &HashSet<String>,
) -> Result<Option<Candidate>, Problem> {
    if request.by == By::Random {
        return Ok(Some(Candidate::of(card)));
    }
    let hits = hits_of(context, card, automatic).await?;
    let waiting: HashSet<&str> = hits.iter().filter(|h| h.standing.needs_people()).map(|h| h.rule_id.as_str()).collect();
    let wanted = match &request.rule_id {
        Some(rule) if request.by == By::Rule => waiting.contains(rule.as_str()),
        _ => !waiting.is_empty(),
    };
    Ok(wanted.then(|| Candidate::of_rules(card, |rule| waiting.contains(rule))))
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
    let items = views(&context, &principal, rows).await?;
    Ok((StatusCode::CREATED, Json(AssignmentPage { items, next_cursor: None })))
}

async fn views(context: &ApiContext, reader: &Principal, rows: Vec<AssignmentRow>) -> Result<Vec<AssignmentView>, Problem> {
    let automatic = automatic_rules(context).await?;
    // What a reader is still to answer blind, he does not see through another's assignment either.
    let own = context.store().assignments(Some(&reader.token_id), Some("assigned"), None, None).await?;
    let unanswered: HashSet<String> = own.into_iter().filter(|a| a.blind).map(|a| a.score_id).collect();
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let hidden = row.blind && !(row.state == "reviewed" && row.calibration.is_none());
        let hidden = hidden || unanswered.contains(&row.score_id);
        items.push(view(context, row, hidden, &automatic).await?);
    }
    Ok(items)
}

async fn view(
    context: &ApiContext,
    row: AssignmentRow,
    hidden: bool,
    automatic: &HashSet<String>,
) -> Result<AssignmentView, Problem> {
    let score = context.store().score(&row.score_id).await?;
    let card: Option<Scorecard> = score.as_ref().and_then(|s| serde_json::from_str(&s.body).ok());
    let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
    let rules: Vec<String> = match (&row.calibration, body["rule_id"].as_str()) {
        (Some(id), _) => calibration(context, id).await?.rules,
        (None, Some(only)) => vec![only.to_owned()],
        (None, None) => card.iter().flat_map(|c| &c.results).map(|r| r.result.rule.clone()).collect(),
    };
    let shown = card.as_ref().filter(|_| !hidden);
    let hits = match (&score, shown) {
        (Some(score), Some(_)) => hits_of(context, &machine_card(context.store(), score).await?, automatic).await?,
        _ => Vec::new(),
    };
    Ok(AssignmentView {
        call_id: card.as_ref().map(|c| c.call_id.clone()),
        hits: hits.into_iter().filter(|h| rules.contains(&h.rule_id)).collect(),
        rules,
        score: shown.and_then(|c| serde_json::to_value(c).ok()),
        by: body["by"].as_str().map(str::to_owned),
        assignment_id: row.assignment_id,
        score_id: row.score_id,
        assignee: row.assignee,
        state: row.state,
        blind: row.blind,
        created_at: row.created_at,
        calibration: row.calibration,
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

/// Assignments on scorecards that the token sees, newest first; of calibrations only one's own.
#[utoipa::path(get, path = "/api/v1/quality/reviews", tag = "quality", params(ReviewQuery), responses((status = 200, body = AssignmentPage)))]
pub(super) async fn list(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Query(query): Query<ReviewQuery>,
) -> Result<Json<AssignmentPage>, Problem> {
    let assignee = query.assignee.map(|a| if a == "me" { principal.token_id.clone() } else { a });
    // Another reviewer's answers in a calibration are nobody's business.
    let reader = (principal.token_id.as_str(), &principal.row_filter);
    let rows = context.store().assignments_seen(reader, assignee.as_deref(), query.state.as_deref(), LIST_MAX).await?;
    let items = views(&context, &principal, rows).await?;
    Ok(Json(AssignmentPage { items, next_cursor: None }))
}

/// Scorecards that fit and that the principal sees, for calibrations.
pub(super) async fn candidates(
    context: &ApiContext,
    principal: &Principal,
    scheme_id: Option<String>,
) -> Result<Vec<Candidate>, Problem> {
    let filter = ScoreFilter { scheme_id, rows: principal.row_filter.clone(), limit: CANDIDATES, ..ScoreFilter::default() };
    Ok(scored(context.store(), &filter).await?.iter().map(Candidate::of).collect())
}

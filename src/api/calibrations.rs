//! Whether people agree among themselves: several answer the same questions, and none sees another's answers.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::assignments::candidates;
use super::reviews::{audit_write, visible_score};
use super::strict::Strict;
use super::{ApiContext, Problem};
use crate::access::{Principal, Scope};
use crate::event::now_rfc3339;
use crate::quality::agreement::mean_kappa;
use crate::quality::review::{Choice, choose};
use crate::store::{AssignmentRow, QualityWrite, Write};

/// A calibration to be held.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCalibration {
    /// Two or more token ids.
    reviewers: Vec<String>,
    /// The rules that everybody answers.
    rules: Vec<String>,
    /// These scorecards …
    #[serde(default)]
    score_ids: Vec<String>,
    /// … or this many at random.
    size: Option<usize>,
    scheme_id: Option<String>,
    seed: Option<String>,
}

/// A calibration as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Calibration {
    calibration_id: String,
    created_at: String,
    by: String,
    reviewers: Vec<String>,
    pub(super) rules: Vec<String>,
    score_ids: Vec<String>,
}

/// Begins a calibration: each reviewer answers each rule on each conversation and sees neither the machine's answers nor
/// the others'.
#[utoipa::path(post, path = "/api/v1/quality/calibrations", tag = "quality", request_body = NewCalibration,
    responses((status = 201, body = Calibration), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Strict(request): Strict<NewCalibration>,
) -> Result<(StatusCode, Json<Calibration>), Problem> {
    let mut reviewers = request.reviewers.clone();
    reviewers.sort();
    reviewers.dedup();
    if reviewers.len() < 2 {
        return Err(Problem::invalid("/reviewers", "a calibration needs two or more different reviewers"));
    }
    let known = context.tokens.all();
    if let Some(wrong) =
        reviewers.iter().find(|r| !known.iter().any(|t| t.token_id == **r && t.scopes.contains(&Scope::QualityReview)))
    {
        return Err(Problem::invalid("/reviewers", format!("{wrong} is no token with the scope quality:review")));
    }
    let rules = context.hub.stages().rules();
    if request.rules.is_empty() {
        return Err(Problem::invalid("/rules", "name the rules that are answered"));
    }
    if let Some(wrong) = request.rules.iter().find(|id| rules.rule(id).is_none()) {
        return Err(Problem::invalid("/rules", format!("there is no rule {wrong}")));
    }
    let calibration_id = format!("cal_{}", ulid::Ulid::new());
    let score_ids = match (request.score_ids.is_empty(), request.size) {
        (false, None) => request.score_ids,
        (true, Some(size)) if size > 0 => {
            let seed = request.seed.unwrap_or_else(|| calibration_id.clone());
            choose(candidates(&context, &principal, request.scheme_id).await?, Choice::Random { seed: &seed }, size)
        }
        _ => return Err(Problem::invalid("/score_ids", "give either score_ids or size")),
    };
    let calibration = Calibration {
        calibration_id: calibration_id.clone(),
        created_at: now_rfc3339(),
        by: principal.token_id.clone(),
        reviewers,
        rules: request.rules,
        score_ids,
    };
    let mut writes = Vec::new();
    for score_id in &calibration.score_ids {
        visible_score(&context, &principal, score_id).await?;
        for reviewer in &calibration.reviewers {
            writes.push(Write::Quality(QualityWrite::Assignment(AssignmentRow {
                assignment_id: format!("asg_{}", ulid::Ulid::new()),
                score_id: score_id.clone(),
                assignee: reviewer.clone(),
                state: "assigned".into(),
                blind: true,
                calibration: Some(calibration_id.clone()),
                created_at: calibration.created_at.clone(),
                body: "{}".into(),
            })));
        }
    }
    let body = serde_json::to_string(&calibration).unwrap_or_default();
    writes.push(Write::Quality(QualityWrite::Calibration(calibration_id.clone(), calibration.created_at.clone(), body)));
    writes.push(audit_write(&principal, "quality.calibration", &calibration_id, String::new()));
    context.store().write(writes).await?;
    Ok((StatusCode::CREATED, Json(calibration)))
}

pub(super) async fn calibration(context: &ApiContext, id: &str) -> Result<Calibration, Problem> {
    let body = context.store().calibration(id).await?.ok_or_else(|| Problem::not_found("calibration"))?;
    serde_json::from_str(&body).map_err(|_| Problem::new("internal", "the calibration cannot be read"))
}

/// Answers of one reviewer on one conversation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CalibrationAnswers {
    score_id: String,
    /// Whether each rule holds, by rule id: all rules of the calibration.
    answers: BTreeMap<String, bool>,
}

/// Answers a conversation of a calibration; an answer can be given once.
#[utoipa::path(post, path = "/api/v1/quality/calibrations/{calibration_id}/answers", tag = "quality",
    params(("calibration_id" = String, Path)), request_body = CalibrationAnswers,
    responses((status = 200, body = Object), (status = 409, body = Problem)))]
pub(super) async fn answer(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(calibration_id): Path<String>,
    Strict(request): Strict<CalibrationAnswers>,
) -> Result<Json<Value>, Problem> {
    let held = calibration(&context, &calibration_id).await?;
    let mine = context.store().assignments(Some(&principal.token_id), None, Some(&calibration_id), None).await?;
    let row = mine.iter().find(|a| a.score_id == request.score_id);
    let row = row.ok_or_else(|| Problem::invalid("/score_id", "this conversation is not assigned to you in this calibration"))?;
    if row.state == "reviewed" {
        return Err(Problem::new("state_conflict", "you have answered this conversation"));
    }
    if let Some(missing) = held.rules.iter().find(|r| !request.answers.contains_key(*r)) {
        return Err(Problem::invalid("/answers", format!("answer rule {missing} too")));
    }
    if let Some(extra) = request.answers.keys().find(|r| !held.rules.contains(r)) {
        return Err(Problem::invalid("/answers", format!("rule {extra} is not asked in this calibration")));
    }
    let body = json!({ "answers": request.answers }).to_string();
    let done = AssignmentRow { state: "reviewed".into(), body, ..row.clone() };
    let audit = audit_write(&principal, "quality.calibration.answer", &calibration_id, request.score_id);
    context.store().write(vec![Write::Quality(QualityWrite::Assignment(done)), audit]).await?;
    let left = mine.iter().filter(|a| a.state != "reviewed").count().saturating_sub(1);
    Ok(Json(json!({ "left": left })))
}

/// What came of a calibration: kappa for each rule once everybody has answered; before that only who is missing.
#[utoipa::path(get, path = "/api/v1/quality/calibrations/{calibration_id}", tag = "quality",
    params(("calibration_id" = String, Path)), responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub(super) async fn get(State(context): State<ApiContext>, Path(calibration_id): Path<String>) -> Result<Json<Value>, Problem> {
    let held = calibration(&context, &calibration_id).await?;
    let rows = context.store().assignments(None, None, Some(&calibration_id), None).await?;
    let open: BTreeMap<&str, usize> = held
        .reviewers
        .iter()
        .map(|r| (r.as_str(), rows.iter().filter(|a| a.assignee == *r && a.state != "reviewed").count()))
        .filter(|(_, n)| *n > 0)
        .collect();
    if !open.is_empty() {
        return Ok(Json(json!({ "calibration": held, "state": "open", "left": open })));
    }
    let mut by_rule = Vec::new();
    for rule in &held.rules {
        let reviewers: Vec<BTreeMap<String, bool>> = held
            .reviewers
            .iter()
            .map(|reviewer| {
                let own = rows.iter().filter(|a| a.assignee == *reviewer);
                own.filter_map(|a| {
                    let body: Value = serde_json::from_str(&a.body).ok()?;
                    Some((a.score_id.clone(), body["answers"][rule].as_bool()?))
                })
                .collect()
            })
            .collect();
        let same = held
            .score_ids
            .iter()
            .filter(|s| {
                let mut answers = reviewers.iter().filter_map(|r| r.get(*s));
                answers.next().is_none_or(|first| answers.all(|a| a == first))
            })
            .count();
        by_rule.push(json!({
            "rule_id": rule, "n": held.score_ids.len(), "unanimous": same, "kappa": mean_kappa(&reviewers),
        }));
    }
    Ok(Json(json!({ "calibration": held, "state": "complete", "by_rule": by_rule })))
}

//! What people say of the hits of a scorecard, and the revision that comes of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::quality::sees;
use super::rule_book::{RULE, SCHEME};
use super::strict::Strict;
use super::trust::mode_changes;
use super::{ApiContext, Problem};
use crate::access::Principal;
use crate::conversation::{IdKind, new_id};
use crate::event::now_rfc3339;
use crate::pipeline::overlay;
use crate::quality::review::{Judged, Judgement, missed_hit_id, revise};
use crate::quality::{ManualAnswers, Rule, RuleSet, RuleState, Scheme, Scorecard};
use crate::store::{AssignmentRow, AuditEntry, JudgementRow, QualityWrite, ScoreRow, Store, StoreError, Write};

pub(super) fn audit_write(principal: &Principal, action: &str, object: &str, detail: String) -> Write {
    Write::Audit(AuditEntry {
        time: now_rfc3339(),
        actor: principal.token_id.clone(),
        action: action.to_owned(),
        object: object.to_owned(),
        detail,
    })
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

/// The newest revision of a scorecard that the machine made.
pub(super) async fn machine_card(store: &Store, row: &ScoreRow) -> Result<Scorecard, Problem> {
    let read = |body: &str| {
        serde_json::from_str::<Scorecard>(body).map_err(|_| Problem::new("internal", "the scorecard cannot be read"))
    };
    let present = read(&row.body)?;
    let Some(machine) = present.revises else { return Ok(present) };
    for body in store.score_history(&row.score_id).await? {
        let card = read(&body)?;
        if card.revision == machine {
            return Ok(card);
        }
    }
    Err(Problem::new("internal", "the machine's own revision of this scorecard is gone"))
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
    Ok((machine_card(context.store(), &row).await?, row))
}

/// What the judgements of a scorecard come to: the newest of each hit.
pub(super) async fn standing(store: &Store, score_id: &str) -> Result<Vec<Judgement>, StoreError> {
    let mut newest: BTreeMap<(String, String, Option<usize>), Judgement> = BTreeMap::new();
    for row in store.judgements_of_score(score_id).await? {
        let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
        let turn = body["turn"].as_u64().and_then(|t| usize::try_from(t).ok());
        let Some(verdict) = Judged::of(&row.verdict) else { continue };
        let judgement = Judgement { rule_id: row.rule_id.clone(), hit_id: row.hit_id.clone(), turn, verdict };
        newest.insert((row.rule_id, row.hit_id, turn), judgement);
    }
    Ok(newest.into_values().collect())
}

/// The body of a version of a rule or scheme, if it was published here.
async fn published(store: &Store, kind: &str, id: &str, version: Option<u64>) -> Result<Option<Value>, StoreError> {
    let Some(version) = version else { return Ok(None) };
    let kept = store.quality_documents(kind, Some(id)).await?;
    let document = kept.into_iter().find(|d| u64::try_from(d.version) == Ok(version));
    Ok(document.and_then(|d| serde_json::from_str(&d.body).ok()))
}

/// The rules in the versions that made a scorecard: what was published since must not change what it is worth. A version
/// that is kept nowhere is stood in for by the one in force.
async fn rules_of(context: &ApiContext, machine: &Scorecard) -> Result<Arc<RuleSet>, Problem> {
    let quality = &context.hub.stages().quality;
    let in_force = quality.rules();
    let mut earlier = Vec::new();
    for scored in &machine.results {
        let (id, version) = (&scored.result.rule, scored.result.version);
        if in_force.rule(id).is_some_and(|rule| rule.version == version) {
            continue;
        }
        let shipped = quality.shipped_rules().rule(id).filter(|rule| rule.version == version).cloned();
        let rule = match shipped {
            Some(rule) => Some(rule),
            None => published(context.store(), RULE, id, version).await?.and_then(|json| Rule::from_json(&json).ok()),
        };
        match rule {
            Some(rule) => earlier.push(Rule { version, ..rule }),
            None => {
                tracing::warn!(rule_id = %id, ?version, "this version of a rule is gone; a review counts by the one in force")
            }
        }
    }
    Ok(if earlier.is_empty() { in_force } else { Arc::new(overlay(&in_force, earlier)) })
}

/// The scheme in the version that made a scorecard; the one in force if that version is kept nowhere.
async fn scheme_of(context: &ApiContext, machine: &Scorecard, id: &str) -> Result<Arc<Scheme>, Problem> {
    let quality = &context.hub.stages().quality;
    let in_force = quality.scheme_of(id);
    let version = machine.scheme_version;
    let known = [in_force.clone(), quality.shipped_scheme(id)].into_iter().flatten().find(|scheme| scheme.version == version);
    if let Some(scheme) = known {
        return Ok(scheme);
    }
    let kept = published(context.store(), SCHEME, id, version).await?.and_then(|json| Scheme::from_json(&json).ok());
    let kept = kept.map(|scheme| Arc::new(Scheme { version, ..scheme }));
    kept.or(in_force).ok_or_else(|| {
        Problem::new("state_conflict", format!("scheme {id} is no longer in force; the score cannot be made again"))
    })
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
    let rules = rules_of(context, machine).await?;
    let scheme = scheme_of(context, machine, &row.scheme_id).await?;
    let present: Scorecard =
        serde_json::from_str(&row.body).map_err(|_| Problem::new("internal", "the scorecard cannot be read"))?;
    let mut answers = present.manual.clone();
    answers.extend(manual.clone());
    let card = revise(machine, present.revision + 1, &rules, &scheme, judgements, &answers);
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
    let mut judgements = standing(context.store(), &score_id).await?;
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
    writes.extend(mode_changes(&context, &principal, &rows).await?);
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
    // Who answers blind names the sentence; if the machine found it too, that is a judgement of its hit.
    let found = rule.result.hits.iter().find(|h| item.verdict == Judged::Missed && h.turn == item.turn);
    let verdict = if found.is_some() { Judged::TrueHit } else { item.verdict };
    let hit_id = match verdict {
        Judged::TrueHit if found.is_some() => found.map(|h| h.hit_id.clone()).unwrap_or_default(),
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
    let judgement = Judgement { rule_id: item.rule_id.clone(), hit_id: hit_id.clone(), turn: item.turn, verdict };
    let row = JudgementRow {
        score_id: machine.score_id.clone(),
        call_id: machine.call_id.clone(),
        rule_id: item.rule_id.clone(),
        rule_version: rule.result.version.and_then(|v| i64::try_from(v).ok()),
        hit_id,
        verdict: verdict.name().to_owned(),
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

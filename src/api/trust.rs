//! How good a rule is by what people said of its hits, and which hits therefore need nobody.
//!
//! A rule with `review = "auto_when_trusted"` earns automatic mode by reviewed hits and loses it by them
//! ([`TrustRule`]), or by drift. While it has it, its hits are final without a reviewer, but for the twentieth that is
//! still audited; without it they wait for people, those of before too. Each judgement that turns the mode leaves a line
//! in the audit trail.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::{Extension, Json};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::reviews::{audit_write, visible_score};
use super::{ApiContext, Problem};
use crate::access::Principal;
use crate::quality::agreement::recall;
use crate::quality::review::{Standing, TrustRule, drifted, precision, standing, trusted};
use crate::quality::{Review, Rule, RuleState, Scorecard};
use crate::store::{JudgementRow, ScoreRow, Store, StoreError, Write};

/// How long what is known of a rule's drift is used; counting its hits reads every scorecard of a month.
const DRIFT_LIFE: Duration = Duration::from_secs(60);
/// Days of scorecards that drift looks at: 28 and the two in question.
const DRIFT_DAYS: i64 = 30;

/// By rule and its version: when its drift was looked at, and whether it drifts.
type KnownDrift = HashMap<(String, Option<i64>), (Instant, bool)>;

/// What is known of the drift of rules. It can be made again from the store at any time.
#[derive(Default)]
pub struct DriftBook {
    known: Mutex<KnownDrift>,
}

impl DriftBook {
    async fn drifting(&self, store: &Store, rule: &Rule) -> Result<bool, StoreError> {
        let key = (rule.id.clone(), version_of(rule));
        let known = self.known.lock().get(&key).filter(|(at, _)| at.elapsed() < DRIFT_LIFE).map(|(_, drift)| *drift);
        if let Some(drift) = known {
            return Ok(drift);
        }
        let from = (chrono::Utc::now() - chrono::Duration::days(DRIFT_DAYS)).format("%Y-%m-%d").to_string();
        let states = store.rule_states(&rule.id, Some(&from)).await?;
        let mut days: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (day, _, state, n) in states.iter().filter(|s| s.1 == key.1 && matches!(s.2.as_str(), "hit" | "miss")) {
            let entry = days.entry(day.as_str()).or_default();
            entry.0 += if state == "hit" { *n } else { 0 };
            entry.1 += n;
        }
        let drift = drifted(&days.into_values().collect::<Vec<_>>());
        self.known.lock().insert(key, (Instant::now(), drift));
        Ok(drift)
    }
}

fn version_of(rule: &Rule) -> Option<i64> {
    rule.version.and_then(|v| i64::try_from(v).ok())
}

/// Judged hits of the version in force, in the order of time.
fn history(rule: &Rule, judgements: &[JudgementRow]) -> Vec<(String, bool)> {
    let version = version_of(rule);
    let own = judgements.iter().filter(|j| j.rule_id == rule.id && j.rule_version == version);
    own.filter(|j| matches!(j.verdict.as_str(), "true_hit" | "false_hit"))
        .map(|j| (j.hit_id.clone(), j.verdict == "true_hit"))
        .collect()
}

fn earned(history: &[(String, bool)]) -> bool {
    trusted(history.iter().map(|(hit, truth)| (hit.as_str(), *truth)), TrustRule::default())
}

/// Whether the hits of a rule need no reviewer now.
async fn automatic(context: &ApiContext, rule: &Rule) -> Result<bool, Problem> {
    match rule.review {
        Review::Auto => Ok(true),
        Review::Human => Ok(false),
        Review::AutoWhenTrusted => {
            let judgements = context.store().judgements_of_rule(&rule.id).await?;
            Ok(earned(&history(rule, &judgements)) && !context.drift.drifting(context.store(), rule).await?)
        }
    }
}

/// The rules in force whose hits need no reviewer now.
pub(super) async fn automatic_rules(context: &ApiContext) -> Result<HashSet<String>, Problem> {
    let mut ids = HashSet::new();
    for rule in context.hub.stages().rules().rules() {
        if automatic(context, rule).await? {
            ids.insert(rule.id.clone());
        }
    }
    Ok(ids)
}

/// Lines for the audit trail where judgements, written with them, turn the mode of a rule.
pub(super) async fn mode_changes(
    context: &ApiContext,
    principal: &Principal,
    added: &[JudgementRow],
) -> Result<Vec<Write>, Problem> {
    let rules = context.hub.stages().rules();
    let ids: HashSet<&str> = added.iter().map(|j| j.rule_id.as_str()).collect();
    let mut writes = Vec::new();
    for rule in ids.into_iter().filter_map(|id| rules.rule(id)).filter(|r| r.review == Review::AutoWhenTrusted) {
        let mut judgements = context.store().judgements_of_rule(&rule.id).await?;
        let before = earned(&history(rule, &judgements));
        judgements.extend(added.iter().cloned());
        let known = history(rule, &judgements);
        let now = earned(&known);
        if before != now {
            let measured = precision(&known)
                .map_or_else(String::new, |p| format!("{} of {} hits right, precision at least {:.3}", p.k, p.n, p.low));
            let action = if now { "quality.rule.automatic" } else { "quality.rule.human" };
            writes.push(audit_write(principal, action, &rule.id, measured));
        }
    }
    Ok(writes)
}

/// A hit, and how it stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct HitView {
    pub(super) rule_id: String,
    pub(super) hit_id: String,
    /// The sentence, from 0; absent for a hit by absence.
    turn: Option<usize>,
    /// `waiting` or `audit`: a person is to look at it; `automatic`: final without one; `true_hit` or `false_hit`: judged.
    #[schema(value_type = String)]
    pub(super) standing: Standing,
}

/// How each hit of the machine's scorecard stands.
pub(super) async fn hits_of(
    context: &ApiContext,
    machine: &Scorecard,
    automatic: &HashSet<String>,
) -> Result<Vec<HitView>, Problem> {
    let judgements = context.store().judgements_of_score(&machine.score_id).await?;
    let rules = context.hub.stages().rules();
    let said = |hit_id: &str| {
        let newest = judgements.iter().rfind(|j| j.hit_id == hit_id && matches!(j.verdict.as_str(), "true_hit" | "false_hit"));
        newest.map(|j| j.verdict == "true_hit")
    };
    let hitting = machine.results.iter().filter(|r| r.result.state == RuleState::Hit);
    Ok(hitting
        .flat_map(|r| r.result.hits.iter().map(move |h| (&r.result, h)))
        .map(|(result, hit)| HitView {
            rule_id: result.rule.clone(),
            hit_id: hit.hit_id.clone(),
            turn: hit.turn,
            standing: standing(
                rules.rule(&result.rule),
                result,
                &hit.hit_id,
                said(&hit.hit_id),
                automatic.contains(&result.rule),
            ),
        })
        .collect())
}

/// Refuses who is still to answer this scorecard blind.
pub(super) async fn not_blind(context: &ApiContext, principal: &Principal, row: &ScoreRow) -> Result<(), Problem> {
    let open = context.store().assignments(Some(&principal.token_id), Some("assigned"), None, Some(&row.score_id)).await?;
    if open.iter().any(|a| a.blind) {
        let why = "you are to judge this conversation without the machine's answers; they are shown once you have answered";
        return Err(Problem::new("state_conflict", why));
    }
    Ok(())
}

/// How the hits of a scorecard stand, and what people said of them.
#[derive(Serialize, ToSchema)]
pub(super) struct StandingView {
    score_id: String,
    revision: u32,
    /// `open` while a hit waits for people, else `final`.
    state: &'static str,
    hits: Vec<HitView>,
    /// Oldest first: `rule_id hit_id verdict stage author at`.
    #[schema(value_type = Vec<Object>)]
    judgements: Vec<Value>,
}

/// How each hit of a scorecard stands: waiting for people, final without them, or judged.
#[utoipa::path(get, path = "/api/v1/quality/scores/{score_id}/reviews", tag = "quality", params(("score_id" = String, Path)),
    responses((status = 200, body = StandingView), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn hits(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(score_id): Path<String>,
) -> Result<Json<StandingView>, Problem> {
    let (machine, row) = visible_score(&context, &principal, &score_id).await?;
    not_blind(&context, &principal, &row).await?;
    let hits = hits_of(&context, &machine, &automatic_rules(&context).await?).await?;
    let present: Scorecard =
        serde_json::from_str(&row.body).map_err(|_| Problem::new("internal", "the scorecard cannot be read"))?;
    let judgements = context.store().judgements_of_score(&score_id).await?;
    let judgements = judgements.iter().map(|j| {
        json!({ "rule_id": j.rule_id, "hit_id": j.hit_id, "verdict": j.verdict, "stage": j.stage, "author": j.author, "at": j.at })
    });
    let open = hits.iter().any(|h| h.standing.needs_people());
    Ok(Json(StandingView {
        score_id,
        revision: present.revision,
        state: if open { "open" } else { "final" },
        judgements: judgements.collect(),
        hits,
    }))
}

/// Precision, recall and trust of a rule: of its present version where versions are known.
#[utoipa::path(get, path = "/api/v1/quality/rules/{rule_id}/accuracy", tag = "quality", params(("rule_id" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub(super) async fn accuracy(State(context): State<ApiContext>, Path(rule_id): Path<String>) -> Result<Json<Value>, Problem> {
    let rules = context.hub.stages().rules();
    let rule = rules.rule(&rule_id).ok_or_else(|| Problem::not_found("rule"))?;
    let version = version_of(rule);
    let judgements = context.store().judgements_of_rule(&rule_id).await?;
    let known = history(rule, &judgements);
    let own = |verdict: &str| judgements.iter().filter(|j| j.rule_version == version && j.verdict == verdict).count() as u64;
    let states = context.store().rule_states(&rule_id, None).await?;
    let count = |state: &str| states.iter().filter(|s| s.1 == version && s.2 == state).map(|s| s.3).sum::<u64>();
    let (hits, misses) = (count("hit"), count("miss"));
    let missed = own("missed");
    let sampled = missed + own("true_miss");
    let measured = precision(&known);
    let drift = context.drift.drifting(context.store(), rule).await?;
    let review = serde_json::to_value(rule.review).unwrap_or_default();
    let mode = if automatic(&context, rule).await? { "automatic" } else { "human" };
    Ok(Json(json!({
        "rule_id": rule_id, "version": version, "hits": hits, "misses": misses,
        "n": measured.map_or(0, |m| m.n), "precision": measured,
        "recall": measured.and_then(|p| recall(hits, p, misses, missed, sampled)),
        "recall_sample": sampled, "drift": drift, "review": review,
        // A drifting rule goes back to people whatever it has earned.
        "trusted": earned(&known) && !drift,
        "mode": mode,
    })))
}

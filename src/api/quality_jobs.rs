//! Scoring stored calls again, and running changed rules over them before they are published.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Problem;
use super::job_desk::{ItemEffect, JobKind};
use super::reviews::standing;
use super::times::maybe_in_utc;
use crate::access::{RowFilter, Scope};
use crate::conversation::{Conversation, IdKind, new_id};
use crate::event::now_rfc3339;
use crate::pipeline::{Stages, annotate, head_of, overlay, spoken_in};
use crate::quality::diff::{Case, DiffBuilder};
use crate::quality::review::revise;
use crate::quality::{Rule, RuleSet, Scheme, Scorecard, score};
use crate::store::{CallChoice, JobRow, QualityWrite, ScoreFilter, ScoreRow, Store, Write};

/// Items read at a time when a job is put together.
const PAGE: u32 = 500;

/// Which finished calls.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CallFilterBody {
    /// Queue.
    pub(super) queue: Option<String>,
    /// Agent.
    pub(super) agent_id: Option<String>,
    /// Medium.
    pub(super) channel: Option<String>,
    /// Opened at or after, RFC 3339.
    pub(super) from: Option<String>,
    /// Opened before, RFC 3339.
    pub(super) to: Option<String>,
}

impl CallFilterBody {
    /// The same with its times as the store compares them.
    ///
    /// # Errors
    /// A time cannot be read.
    pub(super) fn in_utc(self) -> Result<Self, Problem> {
        let from = maybe_in_utc("/filter/from", self.from.as_deref())?;
        let to = maybe_in_utc("/filter/to", self.to.as_deref())?;
        Ok(Self { from, to, ..self })
    }
}

/// What a job of this file was asked for, as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct QualitySpec {
    pub(super) call_ids: Vec<String>,
    pub(super) filter: Option<CallFilterBody>,
    pub(super) rows: RowFilter,
    pub(super) scheme_id: String,
    /// A changed scheme, in its JSON form.
    pub(super) scheme: Option<Value>,
    /// Version the changed scheme would get.
    pub(super) scheme_version: Option<u64>,
    /// Changed rules, in their JSON form, with the version each would get.
    pub(super) rules: Vec<(Value, u64)>,
    /// Scores of record are replaced, their earlier revisions kept.
    pub(super) restate: bool,
}

impl QualitySpec {
    pub(super) fn of(job: &JobRow) -> Result<Self, String> {
        serde_json::from_str(&job.spec).map_err(|e| format!("what the job was asked for cannot be read: {e}"))
    }

    /// The changed rules and scheme.
    pub(super) fn drafts(&self) -> Result<(Vec<Rule>, Option<Scheme>), String> {
        let join = |p: Vec<crate::quality::Problem>| p.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        let mut rules = Vec::new();
        for (json, version) in &self.rules {
            let rule = Rule::from_json(json).map_err(join)?;
            rules.push(Rule { version: Some(*version), ..rule });
        }
        let scheme = match &self.scheme {
            Some(json) => Some(Scheme { version: self.scheme_version, ..Scheme::from_json(json).map_err(join)? }),
            None => None,
        };
        Ok((rules, scheme))
    }
}

/// Rules and schemes of a job, compiled once.
struct Sides {
    old_rules: Arc<RuleSet>,
    old_scheme: Arc<Scheme>,
    new_rules: Arc<RuleSet>,
    new_scheme: Arc<Scheme>,
    ids: Vec<String>,
    restate: bool,
}

/// What the two kinds share.
struct Bench {
    stages: Arc<Stages>,
    store: Store,
    compiled: Mutex<HashMap<String, Arc<Sides>>>,
}

impl Bench {
    async fn plan(&self, job: &JobRow) -> Result<Vec<String>, String> {
        let spec = QualitySpec::of(job)?;
        if !spec.call_ids.is_empty() {
            return Ok(spec.call_ids);
        }
        let filter = spec.filter.unwrap_or_default();
        let choice = CallChoice {
            queue: filter.queue,
            agent_id: filter.agent_id,
            channel: filter.channel,
            from: filter.from,
            to: filter.to,
            rows: spec.rows,
        };
        self.store.chosen_calls(&choice).await.map_err(|e| e.to_string())
    }

    fn sides(&self, job: &JobRow) -> Result<Arc<Sides>, String> {
        if let Some(known) = self.compiled.lock().get(&job.job_id) {
            return Ok(Arc::clone(known));
        }
        let spec = QualitySpec::of(job)?;
        let (rules, scheme) = spec.drafts()?;
        let old_rules = self.stages.rules();
        let old_scheme = self.stages.quality.scheme_of(&spec.scheme_id).or_else(|| scheme.clone().map(Arc::new));
        let old_scheme = old_scheme.ok_or_else(|| format!("there is no scheme {}", spec.scheme_id))?;
        let new_rules = if rules.is_empty() { Arc::clone(&old_rules) } else { Arc::new(overlay(&old_rules, rules)) };
        let new_scheme = scheme.map_or_else(|| Arc::clone(&old_scheme), Arc::new);
        let mut ids: Vec<String> = old_scheme.rules().chain(new_scheme.rules()).map(str::to_owned).collect();
        ids.sort();
        ids.dedup();
        let sides = Arc::new(Sides { old_rules, old_scheme, new_rules, new_scheme, ids, restate: spec.restate });
        self.compiled.lock().insert(job.job_id.clone(), Arc::clone(&sides));
        Ok(sides)
    }

    /// A stored call with its stored annotations; only turns that were never understood are read now.
    async fn conversation(&self, call_id: &str) -> Result<Conversation, String> {
        let call = self.store.call(call_id).await.map_err(|e| e.to_string())?;
        let call = call.ok_or("the call is not stored any more")?;
        let events = self.store.events(call_id, 1, u32::MAX).await.map_err(|e| e.to_string())?;
        let conversation = Conversation::from_utterances(head_of(&call), &spoken_in(&events));
        let stages = Arc::clone(&self.stages);
        tokio::task::spawn_blocking(move || annotate(&stages, conversation))
            .await
            .map_err(|_| "understanding was interrupted".to_owned())?
            .map_err(|e| e.to_string())
    }

    fn forget(&self, job: &JobRow) {
        self.compiled.lock().remove(&job.job_id);
    }
}

fn card(conversation: &Conversation, rules: &RuleSet, scheme: &Scheme, stages: &Stages) -> Result<Scorecard, String> {
    score(&new_id(IdKind::Score), conversation, rules, scheme, &stages.models).map_err(|e| e.to_string())
}

/// The row of a scorecard.
pub(super) fn score_row(card: &Scorecard, conversation: &Conversation) -> ScoreRow {
    ScoreRow {
        score_id: card.score_id.clone(),
        call_id: conversation.id.clone(),
        scheme_id: card.scheme_id.clone(),
        clock: "post".into(),
        total: card.total,
        agent_id: conversation.agent_id.clone(),
        queue: conversation.queue.clone(),
        created_at: now_rfc3339(),
        body: serde_json::to_string(card).unwrap_or_default(),
    }
}

/// Scores stored calls and keeps the scorecards.
pub struct QualityScoring(Bench);

impl QualityScoring {
    /// Over the calls of a store.
    pub fn new(stages: Arc<Stages>, store: Store) -> Self {
        Self(Bench { stages, store, compiled: Mutex::default() })
    }

    async fn score(&self, job: &JobRow, call_id: &str) -> Result<ItemEffect, String> {
        let sides = self.0.sides(job)?;
        let conversation = self.0.conversation(call_id).await?;
        let made = card(&conversation, &sides.new_rules, &sides.new_scheme, &self.0.stages)?;
        let body = serde_json::json!({ "score_id": made.score_id, "total": made.total });
        let mut writes = Vec::new();
        let known = self.0.store.scores(Some(call_id), 200).await.map_err(|e| e.to_string())?;
        let known = known.into_iter().find(|row| row.clock == "post" && row.scheme_id == made.scheme_id);
        let row = match known.filter(|_| sides.restate) {
            None => score_row(&made, &conversation),
            Some(old) => {
                let before: Scorecard = serde_json::from_str(&old.body).map_err(|e| e.to_string())?;
                let next = Scorecard { score_id: old.score_id.clone(), revision: before.revision + 1, ..made };
                let history =
                    QualityWrite::History(old.score_id.clone(), before.revision, now_rfc3339(), job.owner.clone(), old.body);
                writes.push(Write::Quality(history));
                let judged = standing(&self.0.store, &old.score_id).await.map_err(|e| e.to_string())?;
                let row = ScoreRow { created_at: old.created_at, ..score_row(&next, &conversation) };
                if judged.is_empty() && before.manual.is_empty() {
                    row
                } else {
                    // What people said of its hits and answered holds for the new rules too.
                    let revised = revise(&next, next.revision + 1, &sides.new_rules, &sides.new_scheme, &judged, &before.manual);
                    writes.push(Write::Quality(QualityWrite::History(
                        old.score_id,
                        next.revision,
                        now_rfc3339(),
                        job.owner.clone(),
                        row.body.clone(),
                    )));
                    ScoreRow { total: revised.total, body: serde_json::to_string(&revised).unwrap_or_default(), ..row }
                }
            }
        };
        writes.push(Write::Score(row));
        Ok(ItemEffect { writes, body: Some(body) })
    }

    async fn sum_up(&self, job: &JobRow) -> Result<ItemEffect, String> {
        self.0.forget(job);
        let (mut scored, mut measured, mut sum, mut from) = (0_u64, 0_u64, 0.0, 0);
        loop {
            let items = self.0.store.job_items(&job.job_id, "done", from, PAGE).await.map_err(|e| e.to_string())?;
            let Some(last) = items.last() else { break };
            from = last.item + 1;
            for item in &items {
                scored += 1;
                let body: Value = serde_json::from_str(item.body.as_deref().unwrap_or("null")).unwrap_or_default();
                if let Some(total) = body["total"].as_f64() {
                    measured += 1;
                    sum += total;
                }
            }
        }
        let mean = (measured > 0).then(|| sum / measured as f64);
        Ok(ItemEffect { writes: Vec::new(), body: Some(serde_json::json!({ "scored": scored, "mean_total": mean })) })
    }
}

impl JobKind for QualityScoring {
    fn name(&self) -> &'static str {
        "quality.score"
    }

    fn scope(&self) -> Scope {
        Scope::QualityScore
    }

    fn plan<'a>(&'a self, job: &'a JobRow) -> BoxFuture<'a, Result<Vec<String>, String>> {
        Box::pin(self.0.plan(job))
    }

    fn work<'a>(&'a self, job: &'a JobRow, key: &'a str) -> BoxFuture<'a, Result<ItemEffect, String>> {
        Box::pin(self.score(job, key))
    }

    fn finish<'a>(&'a self, job: &'a JobRow) -> BoxFuture<'a, Result<ItemEffect, String>> {
        Box::pin(self.sum_up(job))
    }
}

/// Runs changed rules over stored calls; no live result is touched. Its result is the diff.
pub struct QualityBackfill(Bench);

impl QualityBackfill {
    /// Over the calls of a store.
    pub fn new(stages: Arc<Stages>, store: Store) -> Self {
        Self(Bench { stages, store, compiled: Mutex::default() })
    }

    async fn compare(&self, job: &JobRow, call_id: &str) -> Result<ItemEffect, String> {
        let sides = self.0.sides(job)?;
        let conversation = self.0.conversation(call_id).await?;
        let before = card(&conversation, &sides.old_rules, &sides.old_scheme, &self.0.stages)?;
        let now = card(&conversation, &sides.new_rules, &sides.new_scheme, &self.0.stages)?;
        let body = serde_json::to_value(Case::of(&sides.ids, &before, &now)).map_err(|e| e.to_string())?;
        Ok(ItemEffect { writes: Vec::new(), body: Some(body) })
    }

    async fn sum_up(&self, job: &JobRow) -> Result<ItemEffect, String> {
        let sides = self.0.sides(job)?;
        let judged: HashMap<String, bool> = self.0.store.judged_hits().await.map_err(|e| e.to_string())?.into_iter().collect();
        let mut builder = DiffBuilder::new(&sides.ids, judged);
        let mut from = 0;
        loop {
            let items = self.0.store.job_items(&job.job_id, "done", from, PAGE).await.map_err(|e| e.to_string())?;
            let Some(last) = items.last() else { break };
            from = last.item + 1;
            for item in &items {
                let case = serde_json::from_str(item.body.as_deref().unwrap_or_default()).map_err(|e| e.to_string())?;
                builder.add(&case);
            }
        }
        self.0.forget(job);
        let diff = serde_json::to_value(builder.finish()).map_err(|e| e.to_string())?;
        Ok(ItemEffect { writes: Vec::new(), body: Some(diff) })
    }
}

impl JobKind for QualityBackfill {
    fn name(&self) -> &'static str {
        "quality.backfill"
    }

    fn scope(&self) -> Scope {
        Scope::QualityRead
    }

    fn plan<'a>(&'a self, job: &'a JobRow) -> BoxFuture<'a, Result<Vec<String>, String>> {
        Box::pin(self.0.plan(job))
    }

    fn work<'a>(&'a self, job: &'a JobRow, key: &'a str) -> BoxFuture<'a, Result<ItemEffect, String>> {
        Box::pin(self.compare(job, key))
    }

    fn finish<'a>(&'a self, job: &'a JobRow) -> BoxFuture<'a, Result<ItemEffect, String>> {
        Box::pin(self.sum_up(job))
    }
}

/// The scorecards of a filter, for choices.
pub(super) async fn scored(store: &Store, filter: &ScoreFilter) -> Result<Vec<Scorecard>, crate::store::StoreError> {
    let rows = store.scores_where(filter).await?;
    Ok(rows.iter().filter_map(|row| serde_json::from_str(&row.body).ok()).collect())
}

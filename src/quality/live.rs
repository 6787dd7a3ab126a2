//! The live engine: the same rules on a conversation that goes on.
//!
//! It receives final sentences, marks of sentences that have begun, annotations and the clock of the audio, and
//! tells what each of these changed. A settled state that is not provisional equals the state after the end.

mod head;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use serde::Serialize;

use super::evaluate::Evaluation;
use super::model::{Clock, Policy, Rule};
use super::models::Models;
use super::ruleset::{RuleHit, RuleResult, RuleSet, RuleState, applies, result};
use super::sentence::{Sentence, View};
use super::value::Value;
use crate::conversation::{Conversation, Role, Turn};

/// What became of a live hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The final result hits in the same sentences.
    Confirmed,
    /// The final result hits, with other evidence.
    Amended,
    /// The final result does not hit.
    Retracted,
    /// The hit was seen at the end only.
    Late,
}

/// A change of a rule's state, or new hits of a rule that hits already.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LiveChange {
    /// The rule's id.
    pub rule: String,
    /// Its place in the rule set.
    pub rule_index: usize,
    /// Alert level: `critical`, `warning`, `info`.
    pub level: &'static str,
    /// The state now.
    pub state: RuleState,
    /// A deadline or an eager policy made it fire; it may be taken back.
    pub provisional: bool,
    /// No continuation can change it.
    pub settled: bool,
    /// Hits that were not reported before.
    pub hits: Vec<RuleHit>,
    /// Whether an alert is due: a hit outside the rule's cooldown.
    pub alert: bool,
    /// For the verdict on an earlier live hit.
    pub verdict: Option<Verdict>,
    /// The audio clock in milliseconds.
    pub at_ms: i64,
}

/// A sentence that has begun and is not final.
#[derive(Clone, Debug)]
struct Running {
    key: String,
    start_ms: i64,
    order: u64,
}

#[derive(Debug)]
struct Placed {
    key: String,
    order: u64,
}

#[derive(Clone, Debug)]
struct Progress {
    state: RuleState,
    provisional: bool,
    settled: bool,
    /// Hit sentences that were reported, for alerts and verdicts.
    reported: Vec<RuleHit>,
    last_alert_ms: Option<i64>,
    fired: bool,
}

/// Rules on one running conversation.
#[derive(Debug)]
pub struct LiveEvaluator {
    rules: Arc<RuleSet>,
    models: Models,
    /// Everything but the turns and what only the end tells.
    head: Conversation,
    /// What only the end tells, until then as unknown.
    turns: Vec<Sentence<'static>>,
    keys: Vec<Placed>,
    running: Vec<Running>,
    clock_ms: i64,
    ended: bool,
    next_order: u64,
    progress: Vec<Progress>,
}

impl LiveEvaluator {
    /// Begins a conversation. `head` is everything known at the start; its turns, `duration_ms` and `hangup_by`
    /// are ignored. The first changes come with the first event.
    pub fn new(rules: Arc<RuleSet>, head: &Conversation, models: Models) -> Self {
        let head = Conversation { turns: Vec::new(), duration_ms: None, hangup_by: None, ..head.clone() };
        let start = Progress {
            state: RuleState::Pending,
            provisional: false,
            settled: false,
            reported: Vec::new(),
            last_alert_ms: None,
            fired: false,
        };
        let progress = vec![start; rules.rules().len()];
        Self {
            rules,
            models,
            head,
            turns: Vec::new(),
            keys: Vec::new(),
            running: Vec::new(),
            clock_ms: 0,
            ended: false,
            next_order: 0,
            progress,
        }
    }

    /// A sentence has begun. `key` names it until its final; its role does not matter to any rule before that.
    pub fn speech_started(&mut self, key: &str, _role: Role, start_ms: i64) -> Vec<LiveChange> {
        self.mark_running(key, start_ms);
        self.update()
    }

    pub(super) fn mark_running(&mut self, key: &str, start_ms: i64) {
        if self.running.iter().any(|r| r.key == key) || self.keys.iter().any(|k| k.key == key) {
            return;
        }
        let order = self.take_order();
        self.running.push(Running { key: key.to_owned(), start_ms, order });
    }

    /// A sentence that had begun turns out to be none.
    pub fn speech_dropped(&mut self, key: &str) -> Vec<LiveChange> {
        self.running.retain(|r| r.key != key);
        self.update()
    }

    fn take_order(&mut self) -> u64 {
        self.next_order += 1;
        self.next_order
    }

    /// A sentence is final. `annotated` says that annotations it lacks will not come any more. A final of a key
    /// that is known replaces the turn (a second recogniser pass), and all rules are looked at anew.
    pub fn final_turn(&mut self, key: &str, turn: Turn, annotated: bool) -> Vec<LiveChange> {
        self.insert(key, turn, annotated);
        self.update()
    }

    pub(super) fn insert(&mut self, key: &str, turn: Turn, annotated: bool) {
        if let Some(at) = self.keys.iter().position(|k| k.key == key) {
            self.turns[at] = self.prepare(turn, annotated);
            self.forget();
            return;
        }
        let order = match self.running.iter().position(|r| r.key == key) {
            Some(at) => self.running.remove(at).order,
            None => self.take_order(),
        };
        let place = match turn.start_ms {
            None => self.turns.len(),
            Some(start) => self
                .turns
                .iter()
                .zip(&self.keys)
                .rposition(|(t, k)| t.start.is_none_or(|s| (s, k.order) < (start, order)))
                .map_or(0, |at| at + 1),
        };
        if place < self.turns.len() {
            // Remembered values name turns by number, and those behind move.
            for sentence in &self.turns[place..] {
                sentence.decided.borrow_mut().fill(0);
            }
        }
        let sentence = self.prepare(turn, annotated);
        self.turns.insert(place, sentence);
        self.keys.insert(place, Placed { key: key.to_owned(), order });
    }

    fn prepare(&self, turn: Turn, annotated: bool) -> Sentence<'static> {
        let mut sentence = self.rules.prepare(Cow::Owned(turn), self.head.language.as_deref(), true);
        sentence.complete = annotated;
        sentence
    }

    /// Everything has to be looked at anew.
    fn forget(&mut self) {
        for sentence in &self.turns {
            sentence.decided.borrow_mut().fill(0);
        }
        for progress in &mut self.progress {
            progress.settled = false;
        }
    }

    /// Annotations of a final sentence have arrived: the fields of `turn` that are present are taken over.
    /// `complete` says that those still absent will not come; they are then unmeasured.
    pub fn annotated(&mut self, key: &str, turn: &Turn, complete: bool) -> Vec<LiveChange> {
        let Some(at) = self.keys.iter().position(|k| k.key == key) else { return Vec::new() };
        let old = &self.turns[at];
        let merged = Turn {
            intents: turn.intents.clone().or_else(|| old.turn.intents.clone()),
            emotion: turn.emotion.clone().or_else(|| old.turn.emotion.clone()),
            labels: turn.labels.clone().or_else(|| old.turn.labels.clone()),
            entities: turn.entities.clone().or_else(|| old.turn.entities.clone()),
            energy_db: turn.energy_db.or(old.turn.energy_db),
            timed_out: turn.timed_out.iter().chain(&old.turn.timed_out).cloned().collect(),
            ..old.turn.clone().into_owned()
        };
        let complete = complete || old.complete;
        self.turns[at] = self.prepare(merged, complete);
        self.update()
    }

    /// The audio clock: up to `clock_ms` everything that was said is final or marked as begun.
    pub fn advance_clock(&mut self, clock_ms: i64) -> Vec<LiveChange> {
        self.clock_ms = self.clock_ms.max(clock_ms);
        self.update()
    }

    /// The rule of a place in the set.
    pub fn rule(&self, index: usize) -> &Rule {
        &self.rules.rules()[index]
    }

    /// The state of a rule now, and whether it is provisional.
    pub fn state(&self, rule: usize) -> (RuleState, bool) {
        (self.progress[rule].state, self.progress[rule].provisional)
    }

    /// Whether the turn of a key is final.
    pub(super) fn is_final(&self, key: &str) -> bool {
        self.keys.iter().any(|k| k.key == key)
    }

    /// How many rules are still open.
    pub fn pending(&self) -> usize {
        self.progress.iter().filter(|p| !p.settled).count()
    }

    /// The conversation so far.
    pub fn conversation(&self) -> Conversation {
        let turns = self.turns.iter().map(|t| t.turn.clone().into_owned()).collect();
        Conversation { turns, ..self.head.clone() }
    }

    /// Interim results of the rules that are settled, in the order of the rule set; open ones are left out.
    pub fn settled_results(&self) -> Vec<RuleResult> {
        let view = self.view(true);
        (0..self.progress.len()).filter(|i| self.progress[*i].settled).map(|i| self.rules.result(i, &view)).collect()
    }

    /// The call is over: every rule runs on the final transcript. Sentences that have begun and never became
    /// final are dropped.
    pub fn end(&mut self, duration_ms: Option<i64>, hangup_by: Option<Role>) -> (Vec<RuleResult>, Vec<LiveChange>) {
        self.running.clear();
        self.ended = true;
        self.head.duration_ms = duration_ms;
        self.head.hangup_by = hangup_by;
        for sentence in &mut self.turns {
            sentence.complete = true;
        }
        // The end may say what was open; the batch result is computed from nothing remembered.
        self.forget();
        let view = self.view(true);
        let results: Vec<RuleResult> = (0..self.progress.len()).map(|i| self.rules.result(i, &view)).collect();
        let mut changes = Vec::new();
        for (index, result) in results.iter().enumerate() {
            changes.extend(self.settle_at_end(index, result));
        }
        (results, changes)
    }

    fn settle_at_end(&mut self, index: usize, result: &RuleResult) -> Option<LiveChange> {
        let post = self.rules.rules()[index].live.clock == Clock::Post;
        let progress = &self.progress[index];
        let hit = result.state == RuleState::Hit;
        let same = || {
            let turns = |hits: &[RuleHit]| hits.iter().map(|h| h.turn).collect::<Vec<_>>();
            let timer = progress.reported.iter().all(|h| h.turn.is_none());
            timer || turns(&progress.reported) == turns(&result.hits)
        };
        let verdict = match (progress.fired, hit) {
            (true, true) => Some(if same() { Verdict::Confirmed } else { Verdict::Amended }),
            (true, false) => Some(Verdict::Retracted),
            (false, true) if !post => Some(Verdict::Late),
            _ => None,
        };
        let changed = progress.state != result.state || progress.provisional || verdict.is_some();
        let known: Vec<String> = progress.reported.iter().map(|h| h.hit_id.clone()).collect();
        let hits = result.hits.iter().filter(|h| !known.contains(&h.hit_id)).cloned().collect();
        let change = self.change(index, result.state, false, true, hits, false, verdict);
        let progress = &mut self.progress[index];
        progress.state = result.state;
        progress.provisional = false;
        progress.settled = true;
        changed.then_some(change)
    }

    #[expect(clippy::too_many_arguments, reason = "one field of the change each")]
    fn change(
        &self,
        index: usize,
        state: RuleState,
        provisional: bool,
        settled: bool,
        hits: Vec<RuleHit>,
        alert: bool,
        verdict: Option<Verdict>,
    ) -> LiveChange {
        let rule = &self.rules.rules()[index];
        LiveChange {
            rule: rule.id.clone(),
            rule_index: index,
            level: rule.level.alert(),
            state,
            provisional,
            settled,
            hits,
            alert,
            verdict,
            at_ms: self.effective_clock(),
        }
    }

    /// The clock does not pass the start of a running sentence.
    fn effective_clock(&self) -> i64 {
        self.running.iter().map(|r| r.start_ms).chain([self.clock_ms]).min().unwrap_or(self.clock_ms)
    }

    /// The conversation now, or as if the call ended now.
    fn view(&self, ended: bool) -> View<'_> {
        let clock = self.effective_clock();
        let first_running = self.running.iter().map(|r| r.start_ms).min();
        let placed = self
            .turns
            .iter()
            .position(|t| t.start.is_some_and(|start| start > clock || first_running.is_some_and(|r| r <= start)))
            .unwrap_or(self.turns.len());
        View {
            head: &self.head,
            placed: if ended { self.turns.len() } else { placed },
            turns: &self.turns,
            ended,
            clock: if ended { i64::MAX } else { clock },
            duration: if self.ended { self.head.duration_ms } else { ended.then_some(clock) },
            hangup_by: self.head.hangup_by,
            models: &self.models,
            shared: self.rules.room(),
        }
    }

    /// Looks at every open rule, and at rules that hit and may hit again.
    fn update(&mut self) -> Vec<LiveChange> {
        let judged: Vec<(usize, Judged)> = {
            let (view, copies) = (self.view(false), Copies::new());
            let as_ended = OnceCell::new();
            let open = |p: &Progress| !p.settled || p.state == RuleState::Hit;
            let indices = (0..self.progress.len()).filter(|i| open(&self.progress[*i]));
            indices.map(|i| (i, self.judge(i, &view, &copies, &as_ended))).collect()
        };
        judged.into_iter().filter_map(|(i, now)| self.note(i, now.state, now.provisional, now.result)).collect()
    }

    fn note(&mut self, index: usize, state: RuleState, provisional: bool, result: Option<RuleResult>) -> Option<LiveChange> {
        let settled = state != RuleState::Pending && !provisional;
        let cooldown = self.rules.rules()[index].live.cooldown_ms;
        let clock = self.effective_clock();
        let progress = &self.progress[index];
        let hits: Vec<RuleHit> = match (&result, state) {
            (Some(result), RuleState::Hit) => {
                result.hits.iter().filter(|h| !progress.reported.iter().any(|r| r.hit_id == h.hit_id)).cloned().collect()
            }
            _ => Vec::new(),
        };
        let changed = progress.state != state || progress.provisional != provisional;
        if !changed && hits.is_empty() {
            self.progress[index].settled = settled;
            return None;
        }
        let cooled = progress.last_alert_ms.is_none_or(|at| clock >= at + cooldown);
        let alert = state == RuleState::Hit && !hits.is_empty() && cooled;
        // What a settled hit stood on was known wrongly: it is none, or is open again. (A gap that fired by timer is open for a
        // moment too, but was not looked at anew.)
        let anew = settled || !progress.settled;
        let undone = progress.state == RuleState::Hit && !progress.provisional && state != RuleState::Hit && anew;
        let verdict = match state {
            _ if progress.fired && undone => Some(Verdict::Retracted),
            _ if !(progress.fired && settled && progress.provisional) => None,
            RuleState::Hit if hits.is_empty() => Some(Verdict::Confirmed),
            RuleState::Hit => Some(Verdict::Amended),
            _ => Some(Verdict::Retracted),
        };
        let change = self.change(index, state, provisional, settled, hits.clone(), alert, verdict);
        let progress = &mut self.progress[index];
        progress.state = state;
        progress.provisional = provisional;
        progress.settled = settled;
        progress.fired = (progress.fired || state == RuleState::Hit) && verdict != Some(Verdict::Retracted);
        progress.reported.extend(hits);
        if verdict == Some(Verdict::Retracted) {
            // Should it hit there after all, that is news.
            progress.reported.clear();
        }
        if alert {
            progress.last_alert_ms = Some(clock);
        }
        Some(change)
    }

    /// `copies` are the sentences as they would be if the call ended now, and `ended` the view of them, made for the first
    /// rule that asks.
    fn judge<'c>(&'c self, index: usize, view: &View, copies: &'c Copies, ended: &OnceCell<View<'c>>) -> Judged {
        let rule = &self.rules.rules()[index];
        let open = Judged { state: RuleState::Pending, provisional: false, result: None };
        match applies(&rule.applies, &self.head) {
            Some(true) => {}
            Some(false) => return Judged { state: RuleState::NotApplicable, ..open },
            None => return open,
        }
        if rule.live.clock == Clock::Post {
            return open;
        }
        let classes = self.rules.classes(index);
        let mut evaluation = Evaluation::new(rule, view, classes, false);
        let value = evaluation.when();
        match value {
            Value::True => {
                let result = result(rule, classes, view);
                return Judged { state: RuleState::Hit, provisional: false, result: Some(result) };
            }
            Value::False | Value::Na => return Judged { state: RuleState::of(value), ..open },
            Value::Pending => {}
        }
        if rule.live.policy != Policy::Eager && !deadline_passed(&mut evaluation, view) {
            return open;
        }
        let as_ended = result(rule, classes, ended.get_or_init(|| self.as_ended(copies)));
        match as_ended.state {
            RuleState::Hit => Judged { state: RuleState::Hit, provisional: true, result: Some(as_ended) },
            _ => open,
        }
    }

    /// The conversation as if the call ended now; nothing is remembered of it.
    fn as_ended<'c>(&'c self, copies: &'c Copies) -> View<'c> {
        let copy =
            |t: &Sentence| self.rules.prepare(Cow::Owned(t.turn.clone().into_owned()), self.head.language.as_deref(), false);
        let (head, turns) = copies.get_or_init(|| (self.head_as_ended(), self.turns.iter().map(copy).collect()));
        View { head, turns, ..self.view(true) }
    }
}

/// Head and sentences as they would be if the call ended now.
type Copies = OnceCell<(Conversation, Vec<Sentence<'static>>)>;

struct Judged {
    state: RuleState,
    provisional: bool,
    result: Option<RuleResult>,
}

fn deadline_passed(evaluation: &mut Evaluation, view: &View) -> bool {
    let live = &evaluation.rule().live;
    let Some(deadline) = live.deadline_ms else { return false };
    let from = match live.deadline_from {
        None => Some(view.answered()),
        Some(index) => {
            let state = evaluation.condition(index);
            let first = state.hits.iter().filter_map(|h| h.turn).min().filter(|_| state.value == Value::True);
            first.filter(|t| *t < view.placed).and_then(|t| view.sentence(t).end.or(view.sentence(t).start))
        }
    };
    from.is_some_and(|from| view.clock >= from + deadline)
}

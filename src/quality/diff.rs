//! What changed rules or a changed scheme would change, over conversations that were scored before.
//!
//! [`Case::of`] compares two scorecards of one conversation and keeps little more than what differs; a [`DiffBuilder`]
//! takes cases one by one, in any order, in bounded memory, and [`DiffBuilder::finish`] gives the [`Diff`].

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::agreement::mean_interval;
use super::ruleset::{RuleHit, RuleState};
use super::score::{Scorecard, ScoredRule};

/// Examples that are kept of each kind of change of a rule.
const EXAMPLES: usize = 50;
/// Conversations with the largest shift of their total.
const SHIFTS: usize = 20;

/// A hit in an example: enough to open it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HitRef {
    /// The conversation.
    pub call_id: String,
    /// The sentence, from 0; absent for a hit by absence.
    pub turn: Option<usize>,
    /// The hit.
    pub hit_id: String,
}

/// How a rule's result on one conversation changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The rule.
    pub rule_id: String,
    /// Hits there are now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gained: Vec<HitRef>,
    /// Hits there were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<HitRef>,
    /// Hits that stay, with other spans.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<HitRef>,
}

/// One conversation, scored before and now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The conversation.
    pub call_id: String,
    /// Its agent.
    pub agent_id: Option<String>,
    /// Its team.
    pub team: Option<String>,
    /// Total before and now.
    pub totals: (Option<f64>, Option<f64>),
    /// One letter for each rule of the diff, before: `h`it, `m`iss, `n`a, `x` not applicable, `-` no such rule.
    pub before: String,
    /// The same now.
    pub now: String,
    /// Rules with different hits.
    pub changes: Vec<Change>,
    /// Turns whose annotations are of another model than the present one.
    #[serde(default)]
    pub stale: bool,
}

fn letter(rule: Option<&ScoredRule>) -> char {
    match rule.map(|r| r.result.state) {
        Some(RuleState::Hit) => 'h',
        Some(RuleState::Miss) => 'm',
        Some(RuleState::Na | RuleState::Pending) => 'n',
        Some(RuleState::NotApplicable) => 'x',
        None => '-',
    }
}

fn hits(rule: Option<&ScoredRule>) -> &[RuleHit] {
    rule.filter(|r| r.result.state == RuleState::Hit).map_or(&[], |r| &r.result.hits)
}

impl Case {
    /// Compares two scorecards of a conversation. `rules` are the ids of the rules of either, in the order of the diff.
    pub fn of(rules: &[String], before: &Scorecard, now: &Scorecard) -> Self {
        let find = |card: &Scorecard| -> HashMap<String, usize> {
            card.results.iter().enumerate().map(|(i, r)| (r.result.rule.clone(), i)).collect()
        };
        let (old_at, new_at) = (find(before), find(now));
        let mut changes = Vec::new();
        let (mut old_letters, mut new_letters) = (String::new(), String::new());
        for id in rules {
            let old = old_at.get(id).map(|i| &before.results[*i]);
            let new = new_at.get(id).map(|i| &now.results[*i]);
            old_letters.push(letter(old));
            new_letters.push(letter(new));
            let (old, new) = (hits(old), hits(new));
            let refer = |hit: &RuleHit| HitRef { call_id: now.call_id.clone(), turn: hit.turn, hit_id: hit.hit_id.clone() };
            let without = |a: &[RuleHit], b: &[RuleHit]| -> Vec<HitRef> {
                a.iter().filter(|h| !b.iter().any(|o| o.hit_id == h.hit_id)).map(refer).collect()
            };
            let evidence: Vec<HitRef> =
                new.iter().filter(|h| old.iter().any(|o| o.hit_id == h.hit_id && o.spans != h.spans)).map(refer).collect();
            let change = Change { rule_id: id.clone(), gained: without(new, old), lost: without(old, new), evidence };
            if !(change.gained.is_empty() && change.lost.is_empty() && change.evidence.is_empty()) {
                changes.push(change);
            }
        }
        Self {
            call_id: now.call_id.clone(),
            agent_id: now.agent_id.clone(),
            team: now.team.clone(),
            totals: (before.total, now.total),
            before: old_letters,
            now: new_letters,
            changes,
            stale: false,
        }
    }
}

/// How a rule's results changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleDiff {
    /// The rule.
    pub rule_id: String,
    /// Hits gained.
    pub gained: u64,
    /// Hits lost.
    pub lost: u64,
    /// Hits with other evidence.
    pub evidence_changed: u64,
    /// Conversations that became not measurable.
    pub to_na: u64,
    /// Conversations that became measurable.
    pub from_na: u64,
    /// Share of hits among measured conversations before; absent if none was measured.
    pub rate_old: Option<f64>,
    /// The same now.
    pub rate_new: Option<f64>,
    /// At most 50 of each kind.
    pub examples: Examples,
}

/// Hits to open.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Examples {
    /// Gained.
    pub gained: Vec<HitRef>,
    /// Lost.
    pub lost: Vec<HitRef>,
    /// With other evidence.
    pub evidence: Vec<HitRef>,
}

/// How the scores of an agent or a team shift.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShiftOf {
    /// The agent or team.
    pub id: String,
    /// Conversations with a total before and now.
    pub n: u64,
    /// Mean before.
    pub mean_old: f64,
    /// Mean now.
    pub mean_new: f64,
    /// Mean of the differences.
    pub mean_diff: f64,
    /// Lower bound of its 95 % interval.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

/// A conversation whose total shifts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    /// The conversation.
    pub call_id: String,
    /// Its agent.
    pub agent_id: Option<String>,
    /// Total before.
    pub old: f64,
    /// Total now.
    pub new: f64,
}

/// What people said of hits that change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdicts {
    /// Hits judged true that would be lost.
    pub true_lost: Vec<HitRef>,
    /// Hits judged false that would go.
    pub false_gone: Vec<HitRef>,
    /// Hits judged false that would come back.
    pub false_back: Vec<HitRef>,
}

/// The whole comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Diff {
    /// Conversations run.
    pub conversations: u64,
    /// Conversations annotated by an older model; their annotations were used as they are.
    pub stale: u64,
    /// Rules whose results differ, the largest change first.
    pub by_rule: Vec<RuleDiff>,
    /// Agents, the largest shift first.
    pub by_agent: Vec<ShiftOf>,
    /// Teams.
    pub by_team: Vec<ShiftOf>,
    /// The largest single shifts.
    pub largest_shifts: Vec<Shift>,
    /// Against what people judged.
    pub verdicts: Verdicts,
}

impl Diff {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.by_rule.is_empty() && self.largest_shifts.is_empty()
    }
}

#[derive(Default)]
struct RuleSums {
    diff: RuleDiff,
    old: (u64, u64),
    new: (u64, u64),
}

#[derive(Default)]
struct Sums {
    n: u64,
    old: f64,
    new: f64,
    diff: f64,
    squares: f64,
}

/// Adds up cases.
pub struct DiffBuilder {
    rules: Vec<RuleSums>,
    agents: BTreeMap<String, Sums>,
    teams: BTreeMap<String, Sums>,
    /// Final judgements: whether a hit is true, by hit id.
    judged: HashMap<String, bool>,
    out: Diff,
}

impl DiffBuilder {
    /// Nothing so far. `rules` as in [`Case::of`]; `judged` says which hits people judged true or false.
    pub fn new(rules: &[String], judged: HashMap<String, bool>) -> Self {
        let sums =
            |id: &String| RuleSums { diff: RuleDiff { rule_id: id.clone(), ..RuleDiff::default() }, ..RuleSums::default() };
        Self {
            rules: rules.iter().map(sums).collect(),
            agents: BTreeMap::new(),
            teams: BTreeMap::new(),
            judged,
            out: Diff::default(),
        }
    }

    /// Takes a case.
    pub fn add(&mut self, case: &Case) {
        self.out.conversations += 1;
        self.out.stale += u64::from(case.stale);
        for ((sums, before), now) in self.rules.iter_mut().zip(case.before.chars()).zip(case.now.chars()) {
            let measured = |counts: &mut (u64, u64), letter: char| {
                counts.0 += u64::from(letter == 'h');
                counts.1 += u64::from(matches!(letter, 'h' | 'm'));
            };
            measured(&mut sums.old, before);
            measured(&mut sums.new, now);
            sums.diff.to_na += u64::from(now == 'n' && matches!(before, 'h' | 'm'));
            sums.diff.from_na += u64::from(before == 'n' && matches!(now, 'h' | 'm'));
        }
        for change in &case.changes {
            self.add_change(change);
        }
        if let (Some(old), Some(new)) = case.totals {
            for (map, key) in [(&mut self.agents, &case.agent_id), (&mut self.teams, &case.team)] {
                let Some(key) = key else { continue };
                let sums = map.entry(key.clone()).or_default();
                sums.n += 1;
                sums.old += old;
                sums.new += new;
                sums.diff += new - old;
                sums.squares += (new - old).powi(2);
            }
            self.add_shift(Shift { call_id: case.call_id.clone(), agent_id: case.agent_id.clone(), old, new });
        }
    }

    fn add_change(&mut self, change: &Change) {
        for hit in &change.lost {
            match self.judged.get(&hit.hit_id) {
                Some(true) => keep(&mut self.out.verdicts.true_lost, hit),
                Some(false) => keep(&mut self.out.verdicts.false_gone, hit),
                None => {}
            }
        }
        for hit in change.gained.iter().filter(|h| self.judged.get(&h.hit_id) == Some(&false)) {
            keep(&mut self.out.verdicts.false_back, hit);
        }
        let Some(sums) = self.rules.iter_mut().find(|s| s.diff.rule_id == change.rule_id) else { return };
        let diff = &mut sums.diff;
        diff.gained += change.gained.len() as u64;
        diff.lost += change.lost.len() as u64;
        diff.evidence_changed += change.evidence.len() as u64;
        change.gained.iter().for_each(|h| keep(&mut diff.examples.gained, h));
        change.lost.iter().for_each(|h| keep(&mut diff.examples.lost, h));
        change.evidence.iter().for_each(|h| keep(&mut diff.examples.evidence, h));
    }

    fn add_shift(&mut self, shift: Shift) {
        let size = (shift.new - shift.old).abs();
        if size == 0.0 {
            return;
        }
        let shifts = &mut self.out.largest_shifts;
        let place = shifts.partition_point(|s| (s.new - s.old).abs() >= size);
        if place < SHIFTS {
            shifts.insert(place, shift);
            shifts.truncate(SHIFTS);
        }
    }

    /// The comparison.
    pub fn finish(self) -> Diff {
        let rate = |(hit, measured): (u64, u64)| (measured > 0).then(|| hit as f64 / measured as f64);
        let mut by_rule: Vec<RuleDiff> = self
            .rules
            .into_iter()
            .map(|s| RuleDiff { rate_old: rate(s.old), rate_new: rate(s.new), ..s.diff })
            .filter(|d| d.gained + d.lost + d.evidence_changed + d.to_na + d.from_na > 0)
            .collect();
        by_rule.sort_by_key(|d| std::cmp::Reverse(d.gained + d.lost + d.evidence_changed));
        Diff { by_rule, by_agent: shifts(self.agents), by_team: shifts(self.teams), ..self.out }
    }
}

fn keep(list: &mut Vec<HitRef>, hit: &HitRef) {
    if list.len() < EXAMPLES {
        list.push(hit.clone());
    }
}

fn shifts(sums: BTreeMap<String, Sums>) -> Vec<ShiftOf> {
    let mut all: Vec<ShiftOf> = sums
        .into_iter()
        .filter_map(|(id, s)| {
            let (mean_diff, low, high) = mean_interval(s.n, s.diff, s.squares)?;
            Some(ShiftOf { id, n: s.n, mean_old: s.old / s.n as f64, mean_new: s.new / s.n as f64, mean_diff, low, high })
        })
        .collect();
    all.sort_by(|a, b| b.mean_diff.abs().total_cmp(&a.mean_diff.abs()));
    all
}

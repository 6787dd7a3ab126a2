//! What people make of scorecards: judgements of hits, the revised scorecard, trust in a rule, and who looks at what.
//!
//! A scorecard as the machine made it never changes. [`revise`] puts all standing judgements upon it and gives the next
//! revision, so the order in which people judged does not matter, only which judgement of a hit is the newest.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::agreement::{Share, wilson};
use super::model::{Clock, Effect, Level, Review, Rule};
use super::ruleset::{RuleHit, RuleResult, RuleSet, RuleState};
use super::scheme::Scheme;
use super::score::{Given, ManualAnswers, Scorecard, ScoredRule, total};

/// What a person says of a hit, or of a rule on a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judged {
    /// The hit stands.
    TrueHit,
    /// The hit falls.
    FalseHit,
    /// The rule should have hit here.
    Missed,
    /// The rule rightly does not hit.
    TrueMiss,
    /// The rule does not concern this conversation.
    NotApplicable,
}

impl Judged {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::TrueHit => "true_hit",
            Self::FalseHit => "false_hit",
            Self::Missed => "missed",
            Self::TrueMiss => "true_miss",
            Self::NotApplicable => "not_applicable",
        }
    }

    /// The verdict of a name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::TrueHit, Self::FalseHit, Self::Missed, Self::TrueMiss, Self::NotApplicable].into_iter().find(|j| j.name() == name)
    }
}

/// A judgement that stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The rule.
    pub rule_id: String,
    /// The hit; empty for a judgement of the rule on the whole conversation.
    #[serde(default)]
    pub hit_id: String,
    /// The sentence of a missed hit.
    #[serde(default)]
    pub turn: Option<usize>,
    /// The verdict.
    pub verdict: Judged,
}

/// The scorecard after people: hits judged false leave (with the last one the rule is a miss), missed ones are added,
/// rules judged not applicable drop out, and the totals are computed again. `machine` is the first revision.
pub fn revise(
    machine: &Scorecard,
    revision: u32,
    rules: &RuleSet,
    scheme: &Scheme,
    judgements: &[Judgement],
    manual: &ManualAnswers,
) -> Scorecard {
    let mut card = Scorecard { revision, revises: Some(machine.revision), manual: manual.clone(), ..machine.clone() };
    for rule in &mut card.results {
        let own = || judgements.iter().filter(|j| j.rule_id == rule.result.rule);
        if own().any(|j| j.verdict == Judged::NotApplicable) {
            rule.result.state = RuleState::NotApplicable;
            rule.result.hits.clear();
            rule.result.evidence.clear();
            continue;
        }
        let fallen: Vec<&str> = own().filter(|j| j.verdict == Judged::FalseHit).map(|j| j.hit_id.as_str()).collect();
        rule.result.hits.retain(|h| !fallen.contains(&h.hit_id.as_str()));
        for missed in own().filter(|j| j.verdict == Judged::Missed) {
            let hit_id = missed_hit_id(&card.call_id, &missed.rule_id, missed.turn);
            if !rule.result.hits.iter().any(|h| h.hit_id == hit_id) {
                rule.result.hits.push(RuleHit { hit_id, turn: missed.turn, spans: Vec::new() });
            }
        }
        rule.result.hits.sort_by_key(|h| h.turn);
        rule.result.evidence = rule.result.hits.iter().flat_map(|h| h.spans.iter().copied()).collect();
        match rule.result.state {
            RuleState::Hit if rule.result.hits.is_empty() => rule.result.state = RuleState::Miss,
            RuleState::Miss | RuleState::Na if !rule.result.hits.is_empty() => rule.result.state = RuleState::Hit,
            _ => {}
        }
    }
    // A live-only rule raises alerts and is left out of scores, here as on the first revision.
    let scored = |r: &ScoredRule| if live_only(rules, &r.result.rule) { RuleState::Na } else { r.result.state };
    let given: HashMap<String, Given> =
        card.results.iter().map(|r| (r.result.rule.clone(), Given { state: scored(r), n: r.result.hit_count() })).collect();
    let effects: HashMap<&str, &Effect> = rules.rules().iter().filter_map(|r| Some((r.id.as_str(), r.score.as_ref()?))).collect();
    let outcome = total(scheme, &|id| Some((*given.get(id)?, effects.get(id).copied())), manual);
    for rule in &mut card.results {
        rule.points = outcome.points_of(&rule.result.rule);
        let effect = effects.get(rule.result.rule.as_str()).filter(|_| rule.result.state == RuleState::Hit);
        rule.result.score_delta = effect.map_or(0.0, |e| e.delta(rule.result.hits.len().max(1)).to_f64());
    }
    Scorecard { total: outcome.total, dimensions: outcome.dimensions, fatal: outcome.fatal, ..card }
}

fn live_only(rules: &RuleSet, id: &str) -> bool {
    rules.rule(id).is_some_and(|rule| rule.clock() == Clock::Live)
}

/// The id of a hit that a person adds: as `quality-rules` §7 makes ids of hits, the turn by its number.
pub fn missed_hit_id(call_id: &str, rule_id: &str, turn: Option<usize>) -> String {
    let turn = turn.map_or(String::new(), |t| t.to_string());
    let digest = Sha256::digest([call_id, rule_id, turn.as_str()].join("\u{1F}").as_bytes());
    let mut bits = [0_u8; 16];
    bits.copy_from_slice(&digest[..16]);
    format!("hit_{}", ulid::Ulid(u128::from_be_bytes(bits)))
}

/// When a rule's hits skip people.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrustRule {
    /// Reviewed hits that are needed.
    pub min_reviews: u64,
    /// The lower bound of precision that earns trust.
    pub target: f64,
    /// How far below the target the lower bound may fall before trust is lost.
    pub slack: f64,
}

impl Default for TrustRule {
    fn default() -> Self {
        Self { min_reviews: 50, target: 0.90, slack: 0.05 }
    }
}

/// Whether a rule is trusted after a history of judged hits `(hit, true?)` in the order of time: trust is earned at the
/// target, and lost below target − slack. A later judgement of a hit replaces the earlier one.
pub fn trusted<'h>(history: impl IntoIterator<Item = (&'h str, bool)>, rule: TrustRule) -> bool {
    let mut known: HashMap<&str, bool> = HashMap::new();
    let (mut k, mut n, mut trust) = (0_u64, 0_u64, false);
    for (hit, truth) in history {
        match known.insert(hit, truth) {
            Some(before) => k -= u64::from(before),
            None => n += 1,
        }
        k += u64::from(truth);
        let low = wilson(k, n).map_or(0.0, |share| share.low);
        if n >= rule.min_reviews && low >= rule.target {
            trust = true;
        } else if low < rule.target - rule.slack {
            trust = false;
        }
    }
    trust
}

/// Whether a hit of a trusted rule is still looked at: one of twenty, the same ones on every run.
pub fn audited(hit_id: &str) -> bool {
    place_of("audit", hit_id) < u64::MAX / 20
}

/// Whether the day's hits leave what the 28 days before let expect: outside the 99.7 % Wilson interval on two days
/// running. `days` are `(hits, measured)`, oldest first, the last two the days in question.
pub fn drifted(days: &[(u64, u64)]) -> bool {
    let Some((recent, before)) = days.split_last_chunk::<2>().map(|(before, recent)| (recent, before)) else { return false };
    let before = &before[before.len().saturating_sub(28)..];
    let (k, n) = before.iter().fold((0, 0), |(k, n), day| (k + day.0, n + day.1));
    let Some(expected) = super::agreement::wilson_at(k, n, 3.0) else { return false };
    recent.iter().all(|(k, n)| {
        let rate = *k as f64 / (*n).max(1) as f64;
        *n > 0 && (rate < expected.low || rate > expected.high)
    })
}

/// How a hit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nobody has judged it, and somebody should.
    Waiting,
    /// Its rule is in automatic mode, but this hit is one of the twentieth that people still look at.
    Audit,
    /// Its rule is in automatic mode: it is final without a reviewer.
    Automatic,
    /// A person says that it is right.
    TrueHit,
    /// A person says that it is wrong.
    FalseHit,
}

impl Standing {
    /// Whether a person is to look at it.
    pub fn needs_people(self) -> bool {
        matches!(self, Self::Waiting | Self::Audit)
    }
}

/// How a hit of a result stands. `trusted` says whether the version in force of the rule has earned automatic mode;
/// hits of other versions, and of rules that are gone, wait for people.
pub fn standing(rule: Option<&Rule>, result: &RuleResult, hit_id: &str, judged: Option<bool>, trusted: bool) -> Standing {
    match judged {
        Some(true) => return Standing::TrueHit,
        Some(false) => return Standing::FalseHit,
        None => {}
    }
    let current = rule.filter(|rule| rule.version == result.version);
    match current.map(|rule| rule.review) {
        Some(Review::Auto) => Standing::Automatic,
        Some(Review::AutoWhenTrusted) if trusted && audited(hit_id) => Standing::Audit,
        Some(Review::AutoWhenTrusted) if trusted => Standing::Automatic,
        _ => Standing::Waiting,
    }
}

/// A measured precision over judged hits, the newest judgement of each.
pub fn precision(history: &[(String, bool)]) -> Option<Share> {
    let newest: BTreeMap<&str, bool> = history.iter().map(|(hit, truth)| (hit.as_str(), *truth)).collect();
    wilson(newest.values().filter(|t| **t).count() as u64, newest.len() as u64)
}

/// What a choice of conversations for review knows of each.
#[derive(Clone, Debug, Default)]
pub struct Candidate {
    /// The scorecard.
    pub score_id: String,
    /// Its total, as a share of the highest possible one.
    pub share: Option<f64>,
    /// Fatal items hit.
    pub fatal: usize,
    /// Violations hit: serious, medium, light.
    pub hits: [usize; 3],
}

impl Candidate {
    /// From a scorecard.
    pub fn of(card: &Scorecard) -> Self {
        Self::of_rules(card, |_| true)
    }

    /// From those rules of a scorecard that count: for example those with a hit that waits for people.
    pub fn of_rules(card: &Scorecard, counts: impl Fn(&str) -> bool) -> Self {
        let mut hits = [0; 3];
        let violations =
            card.results.iter().filter(|r| r.result.state == RuleState::Hit && r.kind == super::model::Kind::Violation);
        for rule in violations.filter(|r| counts(&r.result.rule)) {
            hits[match rule.level {
                Level::Serious => 0,
                Level::Medium => 1,
                Level::Light => 2,
            }] += 1;
        }
        let share = card.total.filter(|_| card.max > 0.0).map(|t| t / card.max);
        let fatal = card.fatal.iter().filter(|id| counts(id)).count();
        Self { score_id: card.score_id.clone(), share, fatal, hits }
    }

    /// Risk: 100 for each fatal item, 10 / 3 / 1 for each serious / medium / light violation, and up to 20 for what is
    /// missing of the highest total.
    pub fn risk(&self) -> f64 {
        let [serious, medium, light] = self.hits;
        self.fatal as f64 * 100.0
            + serious as f64 * 10.0
            + medium as f64 * 3.0
            + light as f64
            + self.share.map_or(0.0, |s| (1.0 - s).clamp(0.0, 1.0) * 20.0)
    }
}

/// How conversations are chosen for review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice<'c> {
    /// At random; the same seed chooses the same ones.
    Random {
        /// Any text.
        seed: &'c str,
    },
    /// The riskiest first.
    Risk,
}

/// Chooses `size` of the candidates.
pub fn choose(mut candidates: Vec<Candidate>, choice: Choice, size: usize) -> Vec<String> {
    match choice {
        Choice::Random { seed } => candidates.sort_by_key(|c| place_of(seed, &c.score_id)),
        Choice::Risk => candidates.sort_by(|a, b| b.risk().total_cmp(&a.risk()).then_with(|| a.score_id.cmp(&b.score_id))),
    }
    candidates.into_iter().take(size).map(|c| c.score_id).collect()
}

/// A place in a random order that depends on the seed and the name alone.
fn place_of(seed: &str, name: &str) -> u64 {
    let digest = Sha256::digest(format!("{seed}\u{1F}{name}").as_bytes());
    let mut first = [0_u8; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first)
}

//! What became of shown articles changes their ranking, a little.
//!
//! Counts decay by half every [`LearningConfig::half_life_days`]. For an article (and for an article under one topic) the
//! rate of success is estimated with a prior, so that little evidence says little:
//!
//! ```text
//! success = used + 0.5 clicked        failure = 2 wrong + 0.5 dismissed        trials = max(shown, success + failure)
//! r = (success - failure + a r0) / (trials + a)      factor = 1 + w clamp(ln(r / r0), -1, 1)
//! ```
//!
//! with r0 the rate over all articles. Each agent's trials for an article count at most [`LearningConfig::agent_cap`], so
//! that one who clicks on the wrong things all day moves nothing. An agent's own habits have a factor of their own. With no
//! evidence every factor is exactly 1: a cold start ranks as without learning.

use std::collections::HashMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// What became of a shown article.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was on the screen.
    Shown,
    /// It was opened.
    Clicked,
    /// Its text was used.
    Used,
    /// It was put away.
    Dismissed,
    /// It was called wrong.
    Wrong,
}

impl Outcome {
    /// The outcome of a wire name.
    pub fn from_name(name: &str) -> Option<Self> {
        serde_json::from_value(serde_json::Value::String(name.to_owned())).ok()
    }
}

/// How often something became of an article on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The day, UTC.
    pub day: NaiveDate,
    /// The article.
    pub document_id: String,
    /// Intent under which it was shown; empty if unknown.
    pub topic: String,
    /// The agent; empty if unknown.
    pub agent: String,
    /// What became of it.
    pub outcome: Outcome,
    /// How often.
    pub count: u32,
}

/// How much is learned from what.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LearningConfig {
    /// Days after which a count weighs half.
    pub half_life_days: f32,
    /// Trials of the prior.
    pub prior: f32,
    /// Greatest change of a score by what everybody did, as a share.
    pub weight: f32,
    /// Greatest change of a score by what this agent did, as a share.
    pub agent_weight: f32,
    /// Trials of one agent for one article that count at most.
    pub agent_cap: f32,
}

impl Default for LearningConfig {
    fn default() -> Self {
        Self { half_life_days: 30.0, prior: 8.0, weight: 0.15, agent_weight: 0.05, agent_cap: 6.0 }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    shown: f32,
    success: f32,
    failure: f32,
}

impl Counts {
    fn add(&mut self, outcome: Outcome, weight: f32) {
        match outcome {
            Outcome::Shown => self.shown += weight,
            Outcome::Clicked => self.success += 0.5 * weight,
            Outcome::Used => self.success += weight,
            Outcome::Dismissed => self.failure += 0.5 * weight,
            Outcome::Wrong => self.failure += 2.0 * weight,
        }
    }

    fn trials(self) -> f32 {
        self.shown.max(self.success + self.failure)
    }

    /// The same rates with at most so many trials.
    fn capped(self, cap: f32) -> Self {
        let trials = self.trials();
        let share = if trials > cap { cap / trials } else { 1.0 };
        Self { shown: self.shown * share, success: self.success * share, failure: self.failure * share }
    }

    fn plus(self, other: Self) -> Self {
        Self { shown: self.shown + other.shown, success: self.success + other.success, failure: self.failure + other.failure }
    }
}

/// What was learned, ready to be asked. A value: a later one replaces it.
#[derive(Clone, Debug, Default)]
pub struct Learned {
    config: LearningConfig,
    by_document: HashMap<String, Counts>,
    by_topic: HashMap<(String, String), Counts>,
    by_agent: HashMap<(String, String), Counts>,
    base_rate: f32,
}

impl Learned {
    /// Learns from counts as they weigh on a day.
    pub fn from_uses<'a>(uses: impl IntoIterator<Item = &'a Use>, today: NaiveDate, config: LearningConfig) -> Self {
        let mut by_person: HashMap<(&str, &str, &str), Counts> = HashMap::new();
        for item in uses {
            let age_days = (today - item.day).num_days().max(0) as f32;
            let weight = item.count as f32 * 0.5_f32.powf(age_days / config.half_life_days.max(0.1));
            by_person.entry((&item.document_id, &item.topic, &item.agent)).or_default().add(item.outcome, weight);
        }
        let mut learned = Self { config, ..Self::default() };
        let mut all = Counts::default();
        for ((document, topic, agent), counts) in by_person {
            let capped = counts.capped(config.agent_cap);
            all = all.plus(capped);
            let merge = |entry: &mut Counts, counts: Counts| *entry = entry.plus(counts);
            merge(learned.by_document.entry(document.to_owned()).or_default(), capped);
            if !topic.is_empty() {
                merge(learned.by_topic.entry((document.to_owned(), topic.to_owned())).or_default(), capped);
            }
            if !agent.is_empty() {
                merge(learned.by_agent.entry((document.to_owned(), agent.to_owned())).or_default(), counts);
            }
        }
        learned.base_rate = rate(all, BASE_PRIORS * config.prior, BASE_RATE).max(LEAST_RATE);
        learned
    }

    /// What a score is multiplied by: 1 without evidence, else within 1 +- (`weight` + `agent_weight`).
    pub fn factor(&self, document_id: &str, topic: Option<&str>, agent: Option<&str>) -> f32 {
        if self.by_document.is_empty() {
            return 1.0;
        }
        let of_topic = topic.and_then(|topic| self.by_topic.get(&(document_id.to_owned(), topic.to_owned())));
        let everybody = of_topic.or_else(|| self.by_document.get(document_id));
        let own = agent.and_then(|agent| self.by_agent.get(&(document_id.to_owned(), agent.to_owned())));
        let change = |counts: Option<&Counts>, weight: f32| counts.map_or(0.0, |counts| weight * self.tendency(*counts));
        1.0 + change(everybody, self.config.weight) + change(own, self.config.agent_weight)
    }

    /// How many articles there is evidence for.
    pub fn len(&self) -> usize {
        self.by_document.len()
    }

    /// Whether there is no evidence.
    pub fn is_empty(&self) -> bool {
        self.by_document.is_empty()
    }

    fn tendency(&self, counts: Counts) -> f32 {
        let rate = rate(counts, self.config.prior, self.base_rate).max(LEAST_RATE);
        (rate / self.base_rate).ln().clamp(-1.0, 1.0)
    }
}

/// Trials of the prior of the common rate, in priors of an article: it must not follow the first few verdicts itself.
const BASE_PRIORS: f32 = 10.0;
/// Rate of success before anything is known.
const BASE_RATE: f32 = 0.2;
/// Least rate: failures may outnumber successes.
const LEAST_RATE: f32 = 0.01;

fn rate(counts: Counts, prior: f32, base: f32) -> f32 {
    (counts.success - counts.failure + prior * base) / (counts.trials() + prior).max(f32::EPSILON)
}

//! Compiled rules: what is left of a rule file once it has been checked.

use serde::{Deserialize, Serialize};

use super::expr::Expr;
use super::number::Ratio;
use super::operators::Operator;
use super::rule_test::RuleTest;
use crate::conversation::Role;

/// What a hit of a rule means; for reports only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Something that should not happen.
    #[default]
    Violation,
    /// Something to praise.
    Merit,
    /// A fact worth knowing.
    Info,
}

impl Kind {
    /// The name in files and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Violation => "violation",
            Self::Merit => "merit",
            Self::Info => "info",
        }
    }
}

/// How grave a hit is: it orders review and gives a live alert its level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Alert level `info`.
    #[default]
    Light,
    /// Alert level `warning`.
    Medium,
    /// Alert level `critical`.
    Serious,
}

impl Level {
    /// The level of a live alert.
    pub fn alert(self) -> &'static str {
        match self {
            Self::Light => "info",
            Self::Medium => "warning",
            Self::Serious => "critical",
        }
    }

    /// The name in rule files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Medium => "medium",
            Self::Serious => "serious",
        }
    }
}

/// Who judges the hits of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Review {
    /// People.
    #[default]
    Human,
    /// Nobody: hits count at once.
    Auto,
    /// People until its precision is proven.
    AutoWhenTrusted,
}

/// On which clock a rule runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// Live and post-call.
    #[default]
    Both,
    /// Live only: raises alerts, is left out of scores.
    Live,
    /// Post-call only: pending until the end.
    Post,
}

/// When an undecided rule fires live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Once no continuation can change it (or at its deadline).
    #[default]
    Settled,
    /// As if the call ended at every event.
    Eager,
}

/// The live settings of a rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct LiveOptions {
    pub(crate) clock: Clock,
    pub(crate) policy: Policy,
    pub(crate) deadline_ms: Option<i64>,
    /// The condition from whose first hit the deadline counts.
    pub(crate) deadline_from: Option<usize>,
    pub(crate) cooldown_ms: i64,
}

/// What a hit does to a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectKind {
    /// Adds points.
    Add,
    /// Takes points.
    Deduct,
    /// The dimension gets these points.
    Set,
    /// The total becomes the fatal score.
    Fatal,
    /// Nothing.
    Flag,
}

#[derive(Clone, Debug)]
pub(crate) struct Effect {
    pub(crate) kind: EffectKind,
    pub(crate) points: Ratio,
    pub(crate) each: bool,
    pub(crate) cap: Option<Ratio>,
}

impl Effect {
    /// The points of `hits` hit sentences, unsigned and capped.
    pub(crate) fn amount(&self, hits: usize) -> Ratio {
        let times = if self.each { i64::try_from(hits.max(1)).unwrap_or(i64::MAX) } else { 1 };
        let amount = self.points.times(Ratio::int(times));
        self.cap.map_or(amount, |cap| amount.min(cap))
    }

    /// The signed points that a hit adds to a score.
    pub(crate) fn delta(&self, hits: usize) -> Ratio {
        match self.kind {
            EffectKind::Add => self.amount(hits),
            EffectKind::Deduct => Ratio::ZERO.minus(self.amount(hits)),
            _ => Ratio::ZERO,
        }
    }
}

/// Conversations that a rule or scheme concerns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Applies {
    pub(crate) channels: Option<Vec<String>>,
    pub(crate) queues: Option<Vec<String>>,
    pub(crate) languages: Option<Vec<String>>,
    pub(crate) directions: Option<Vec<String>>,
    pub(crate) agents: Option<Vec<String>>,
    pub(crate) teams: Option<Vec<String>>,
    pub(crate) meta: Vec<super::operators::meta::Meta>,
    /// First moment, milliseconds since 1970.
    pub(crate) from: Option<i64>,
    /// First moment behind, milliseconds since 1970.
    pub(crate) to: Option<i64>,
}

/// A set of roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Roles(u16);

impl Roles {
    pub(crate) const ALL: Self = Self(u16::MAX);

    pub(crate) fn of(roles: &[Role]) -> Self {
        Self(roles.iter().fold(0, |set, role| set | bit(*role)))
    }

    pub(crate) fn has(self, role: Role) -> bool {
        self.0 & bit(role) != 0
    }

    pub(crate) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

fn bit(role: Role) -> u16 {
    match role {
        Role::Agent => 1,
        Role::Customer => 2,
        Role::Bot => 4,
        Role::Supervisor => 8,
        Role::Ivr => 16,
        Role::System => 32,
        Role::Unknown | Role::Mixed => 64,
    }
}

/// The unit that operators see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scope {
    #[default]
    Sentence,
    Clause,
    Window,
}

/// How many sentences must satisfy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Any,
    All,
    Count(usize),
}

/// The time part of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeWindow {
    /// `[from, to)` in milliseconds.
    Ms { from: i64, to: i64 },
    /// The last milliseconds.
    LastMs(i64),
    /// Percent borders.
    Percent { from: i64, to: i64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Where {
    Before,
    After,
    Around,
    Current,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Nth(usize),
    Last,
    Every,
    Any,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    pub(crate) of: usize,
    pub(crate) place: Where,
    pub(crate) which: Which,
}

/// One condition of a rule.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) id: String,
    pub(crate) roles: Roles,
    pub(crate) sentences: Option<(i64, i64)>,
    pub(crate) time: Option<TimeWindow>,
    pub(crate) within_ms: Option<i64>,
    pub(crate) anchor: Option<Anchor>,
    pub(crate) absolute: bool,
    pub(crate) scope: Scope,
    pub(crate) need: Need,
    pub(crate) ops: Vec<Operator>,
    /// Whether each operator stands in a positive position of `expr`.
    pub(crate) positive: Vec<bool>,
    pub(crate) expr: Expr<usize>,
    /// Its operators are tested once per window (W), not per sentence (S).
    pub(crate) per_window: bool,
    /// Works on placed sentences while the call goes on.
    pub(crate) placed_only: bool,
    /// The value of a sentence depends on that sentence alone (and on earlier placed ones), so it may be kept.
    pub(crate) cacheable: bool,
}

/// A checked rule, ready to run. Made by [`RuleFile`](super::RuleFile) or [`Rule::from_json`].
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name everywhere.
    pub id: String,
    /// For people.
    pub name: Option<String>,
    /// What a hit means.
    pub kind: Kind,
    /// How grave a hit is.
    pub level: Level,
    /// Free words.
    pub tags: Vec<String>,
    /// Set by the store at publication.
    pub version: Option<u64>,
    /// Who judges hits.
    pub review: Review,
    /// The rule as JSON: the form of files, store and API.
    pub source: serde_json::Value,
    /// What its author should look at.
    pub warnings: Vec<super::Problem>,
    /// Its tests.
    pub tests: Vec<RuleTest>,
    pub(crate) when: Expr<usize>,
    pub(crate) evidence: Vec<usize>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) applies: Applies,
    pub(crate) score: Option<Effect>,
    pub(crate) live: LiveOptions,
}

impl Rule {
    /// The clock it runs on.
    pub fn clock(&self) -> Clock {
        self.live.clock
    }

    /// Whether its value depends on a model that is asked while it runs (similarity, articles, a language model).
    pub fn asks_models(&self) -> bool {
        self.conditions
            .iter()
            .flat_map(|c| &c.ops)
            .any(|op| matches!(op, Operator::Similar(_) | Operator::Knowledge(_) | Operator::Ask(_)))
    }

    /// Its name for people: `name`, else the id.
    pub fn title(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }
}

/// A stretch of a turn's text: code points `[start, end)` of turn `turn` (from 0). Written as
/// `[turn, start, end]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(usize, usize, usize)", into = "(usize, usize, usize)")]
pub struct Span {
    /// The turn, from 0.
    pub turn: usize,
    /// First code point.
    pub start: usize,
    /// First code point behind it.
    pub end: usize,
}

impl From<(usize, usize, usize)> for Span {
    fn from((turn, start, end): (usize, usize, usize)) -> Self {
        Self { turn, start, end }
    }
}

impl From<Span> for (usize, usize, usize) {
    fn from(span: Span) -> Self {
        (span.turn, span.start, span.end)
    }
}

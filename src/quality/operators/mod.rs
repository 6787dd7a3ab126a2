//! The operators. *S* operators test one unit (a sentence, a clause, a joined window), *W* operators a whole
//! window once.

pub(crate) mod ask;
pub(crate) mod ends;
pub(crate) mod energy;
pub(crate) mod entity;
pub(crate) mod flow;
pub(crate) mod interrupt;
pub(crate) mod keyword;
pub(crate) mod knowledge;
pub(crate) mod labels;
pub(crate) mod measure;
pub(crate) mod meta;
pub(crate) mod pattern;
pub(crate) mod rate;
pub(crate) mod regex;
pub(crate) mod repeat;
pub(crate) mod silence;
pub(crate) mod similar;
pub(crate) mod trend;

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::fields::{Fields, Report, did_you_mean};
use super::model::{Roles, Scope, Span};
use super::sentence::{Sentence, View};
use super::source::Spot;
use super::value::{UnitValue, Value};
use crate::conversation::{AudioLayout, Channel};

/// Keys of all operators.
pub(crate) const NAMES: [&str; 20] = [
    "keyword",
    "regex",
    "pattern",
    "similar",
    "repeat",
    "entity",
    "silence",
    "rate",
    "interrupt",
    "speaker",
    "hangup",
    "answer",
    "measure",
    "energy",
    "intent",
    "emotion",
    "label",
    "trend",
    "meta",
    "knowledge",
];
/// Operators over other conditions and over language models.
pub(crate) const MORE_NAMES: [&str; 2] = ["flow", "ask"];

/// An operator of a condition.
#[derive(Clone, Debug)]
pub(crate) enum Operator {
    Keyword(keyword::Keyword),
    Regex(Box<regex::RegexOp>),
    Pattern(pattern::Pattern),
    Similar(similar::Similar),
    Repeat(repeat::Repeat),
    Entity(Box<entity::EntityOp>),
    Silence(Box<silence::Silence>),
    Rate(Box<rate::Rate>),
    Interrupt(Box<interrupt::Interrupt>),
    Speaker(Roles),
    Hangup(Box<ends::Hangup>),
    Answer(Box<ends::Answered>),
    Measure(Box<measure::Measure>),
    Energy(Box<energy::Energy>),
    Labels(labels::Labels),
    Trend(Box<trend::Trend>),
    Meta(Box<meta::Meta>),
    Knowledge(knowledge::Knowledge),
    Flow(flow::Flow),
    Ask(Box<ask::Ask>),
}

/// What the reader of an operator may look at.
pub(crate) struct Reading<'r, 's> {
    pub(crate) report: &'r mut Report<'s>,
    pub(crate) lists: &'r BTreeMap<String, Vec<String>>,
    pub(crate) conditions: &'r [String],
}

impl Operator {
    /// Reads the operator `name` from its table.
    pub(crate) fn read(name: &str, json: &Json, pointer: &str, cx: &mut Reading) -> Option<Self> {
        let report = &mut *cx.report;
        Some(match name {
            "keyword" => Self::Keyword(keyword::Keyword::read(json, pointer, cx)?),
            "regex" => Self::Regex(Box::new(regex::RegexOp::read(json, pointer, report)?)),
            "pattern" => Self::Pattern(pattern::Pattern::read(json, pointer, report)?),
            "similar" => Self::Similar(similar::Similar::read(json, pointer, cx)?),
            "repeat" => Self::Repeat(repeat::Repeat::read(json, pointer, report)?),
            "entity" => Self::Entity(Box::new(entity::EntityOp::read(json, pointer, report)?)),
            "silence" => Self::Silence(Box::new(silence::Silence::read(json, pointer, report)?)),
            "rate" => Self::Rate(Box::new(rate::Rate::read(json, pointer, report)?)),
            "interrupt" => Self::Interrupt(Box::new(interrupt::Interrupt::read(json, pointer, report)?)),
            "speaker" => {
                let fields = Fields::new(json, pointer, &["is"], report)?;
                fields.require("is", report)?;
                Self::Speaker(Roles::of(&fields.roles("is", report)?))
            }
            "hangup" => Self::Hangup(Box::new(ends::Hangup::read(json, pointer, report)?)),
            "answer" => Self::Answer(Box::new(ends::Answered::read(json, pointer, report)?)),
            "measure" => Self::Measure(Box::new(measure::Measure::read(json, pointer, report)?)),
            "energy" => Self::Energy(Box::new(energy::Energy::read(json, pointer, report)?)),
            "intent" | "emotion" | "label" => Self::Labels(labels::Labels::read(name, json, pointer, report)?),
            "trend" => Self::Trend(Box::new(trend::Trend::read(json, pointer, report)?)),
            "meta" => Self::Meta(Box::new(meta::Meta::read(json, pointer, report)?)),
            "knowledge" => Self::Knowledge(knowledge::Knowledge::read(json, pointer, report)?),
            "flow" => Self::Flow(flow::Flow::read(json, pointer, cx)?),
            "ask" => Self::Ask(Box::new(ask::Ask::read(json, pointer, report)?)),
            _ => {
                let hint = did_you_mean(name, NAMES.into_iter().chain(MORE_NAMES));
                report.push(pointer, Spot::Key, "unknown_field", format!("\"{name}\" is not an operator"), hint);
                return None;
            }
        })
    }

    /// Tested once per window.
    pub(crate) fn per_window(&self) -> bool {
        match self {
            Self::Rate(rate) => rate.average,
            Self::Energy(energy) => energy.is_span(),
            Self::Hangup(_)
            | Self::Answer(_)
            | Self::Measure(_)
            | Self::Trend(_)
            | Self::Meta(_)
            | Self::Flow(_)
            | Self::Ask(_) => true,
            _ => false,
        }
    }

    /// Whether it accepts a scope.
    pub(crate) fn accepts(&self, scope: Scope) -> bool {
        match self {
            Self::Keyword(_) | Self::Regex(_) | Self::Pattern(_) | Self::Similar(_) => true,
            Self::Entity(_) => scope != Scope::Window,
            _ => scope == Scope::Sentence || self.per_window(),
        }
    }

    /// Whether it works on placed sentences while the call goes on.
    pub(crate) fn placed_only(&self) -> bool {
        match self {
            Self::Repeat(_) | Self::Silence(_) | Self::Interrupt(_) | Self::Knowledge(_) | Self::Flow(_) => true,
            Self::Energy(energy) => energy.is_jump(),
            _ => false,
        }
    }

    /// Whether the value of a sentence, once decided, depends on nothing that may change with the window.
    pub(crate) fn cacheable(&self) -> bool {
        !self.per_window() && !matches!(self, Self::Energy(energy) if energy.is_jump())
    }

    /// Whether it can never be measured in this conversation.
    pub(crate) fn never(&self, view: &View) -> bool {
        match self {
            Self::Interrupt(op) => {
                view.head.channel.is_some_and(|c| c != Channel::Voice)
                    || (view.head.audio == Some(AudioLayout::Mono) && !op.allow_mono)
            }
            Self::Similar(_) => view.models.similarity.is_none(),
            Self::Knowledge(_) => view.models.similarity.is_none() || view.models.articles.is_none(),
            Self::Ask(_) => view.models.ask.is_none(),
            _ => false,
        }
    }

    /// Whether an empty window makes it false.
    pub(crate) fn needs_sentences(&self) -> bool {
        matches!(self, Self::Trend(_) | Self::Rate(_) | Self::Energy(_)) || !self.per_window()
    }
}

/// What an S operator is tested on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit<'m> {
    Sentence(usize),
    /// Turn and code point range.
    Clause(usize, usize, usize),
    Window(&'m [usize]),
}

impl Unit<'_> {
    /// The stretches of text it consists of.
    pub(crate) fn parts(&self, view: &View) -> Vec<Span> {
        let whole = |turn: usize| Span { turn, start: 0, end: view.sentence(turn).len };
        match *self {
            Self::Sentence(turn) => vec![whole(turn)],
            Self::Clause(turn, start, end) => vec![Span { turn, start, end }],
            Self::Window(turns) => turns.iter().map(|t| whole(*t)).collect(),
        }
    }

    /// Its text as it stands, joined with line feeds.
    pub(crate) fn text(&self, view: &View) -> String {
        let parts = self.parts(view);
        let texts: Vec<String> =
            parts.iter().map(|p| view.sentence(p.turn).text().chars().skip(p.start).take(p.end - p.start).collect()).collect();
        texts.join("\n")
    }

    fn turn(&self) -> usize {
        match *self {
            Self::Sentence(turn) | Self::Clause(turn, _, _) => turn,
            Self::Window(turns) => turns.first().copied().unwrap_or(0),
        }
    }
}

/// The outcome of an operator on a unit: its value and its located spans.
pub(crate) type Outcome = (UnitValue, Vec<Span>);

/// An outcome without located spans.
pub(crate) fn plain(truth: bool) -> Outcome {
    (UnitValue::of(truth), Vec::new())
}

/// The state of an absent annotation: it may still come, or it never will.
pub(crate) fn absent(sentence: &Sentence) -> Outcome {
    (if sentence.complete { UnitValue::Unmeasured } else { UnitValue::Pending }, Vec::new())
}

/// Tests an S operator. `members` is the window, `spans` asks for evidence.
pub(crate) fn test(op: &Operator, unit: Unit, members: &[usize], view: &View, spans: bool) -> Outcome {
    let turn = unit.turn();
    match op {
        Operator::Keyword(op) => op.test(unit, view, spans),
        Operator::Regex(op) => op.test(unit, view, spans),
        Operator::Pattern(op) => op.test(unit, view),
        Operator::Similar(op) => op.test(unit, view),
        Operator::Repeat(op) => op.test(turn, view),
        Operator::Entity(op) => op.test(unit, view),
        Operator::Silence(op) => op.test(turn, view),
        Operator::Rate(op) => op.test(view.sentence(turn)),
        Operator::Interrupt(op) => op.test(turn, view),
        Operator::Speaker(roles) => plain(roles.has(view.sentence(turn).role)),
        Operator::Energy(op) => op.test(turn, members, view),
        Operator::Labels(op) => op.test(view.sentence(turn)),
        Operator::Knowledge(op) => op.test(turn, view),
        _ => plain(false),
    }
}

/// Tests a W operator other than `flow` on a window.
pub(crate) fn test_window(op: &Operator, members: &[usize], whole_call: bool, view: &View) -> (Value, Vec<Span>) {
    match op {
        Operator::Answer(op) => op.test(view),
        Operator::Measure(op) => op.test(members, whole_call, view),
        Operator::Meta(op) => (op.test(view), Vec::new()),
        _ if !view.ended => (Value::Pending, Vec::new()),
        Operator::Hangup(op) => op.test(view),
        Operator::Rate(op) => (op.test_average(members, view), Vec::new()),
        Operator::Energy(op) => op.test_span(members, view),
        Operator::Trend(op) => op.test(members, view),
        Operator::Ask(op) => op.test(members, view),
        _ => (Value::Na, Vec::new()),
    }
}

/// The span of a whole turn.
pub(crate) fn whole(turn: usize, view: &View) -> Span {
    Span { turn, start: 0, end: view.sentence(turn).len }
}

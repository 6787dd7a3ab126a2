//! Scorecards: rule results put together by a scheme.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::error::ConversationError;
use super::model::{Clock, Effect, EffectKind, Kind, Level};
use super::models::Models;
use super::number::Ratio;
use super::ruleset::{RuleResult, RuleSet, RuleState};
use super::scheme::{Asks, Dimension, Item, Mode, Scheme};
use crate::conversation::Conversation;

/// The version of the evaluation, part of every scorecard.
pub const ENGINE_VERSION: &str = concat!("zhiyin-quality/", env!("CARGO_PKG_VERSION"));

/// An inspector's answer to a manual item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ManualAnswer {
    /// A number, mapped by the item's ranges.
    Number(f64),
    /// One of the item's answers.
    Choice(String),
}

/// Answers to manual items, by the id of the question.
pub type ManualAnswers = BTreeMap<String, ManualAnswer>;

/// The score of a dimension.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DimensionScore {
    /// Its id.
    pub id: String,
    /// Its name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its weight in the total.
    pub weight: f64,
    /// Its score to two decimals; absent if nothing in it could be measured.
    pub score: Option<f64>,
}

/// A rule's result in a scorecard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoredRule {
    /// The result.
    #[serde(flatten)]
    pub result: RuleResult,
    /// The rule's name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How grave a hit is.
    pub level: Level,
    /// What a hit means.
    pub kind: Kind,
    /// Signed points that the scheme's items gave for it (mode `points`).
    pub points: f64,
}

/// The scorecard of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scorecard {
    /// Given by the caller.
    pub score_id: String,
    /// Counts from 1; reviews make new ones.
    pub revision: u32,
    /// The revision by the machine that people's judgements were put upon; absent on the machine's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revises: Option<u32>,
    /// The conversation.
    pub call_id: String,
    /// The scheme.
    pub scheme_id: String,
    /// Its version, if it has one.
    pub scheme_version: Option<u64>,
    /// `post`, or `live` for an interim score.
    pub clock: String,
    /// To two decimals; absent if nothing could be measured.
    pub total: Option<f64>,
    /// The highest total.
    pub max: f64,
    /// The dimensions.
    pub dimensions: Vec<DimensionScore>,
    /// Rules whose fatal item hit.
    pub fatal: Vec<String>,
    /// The results of the rules that the scheme asks for, in the order of the rule set.
    pub results: Vec<ScoredRule>,
    /// Rules that are still open (live).
    pub n_pending: usize,
    /// The version of the evaluation.
    pub engine_version: String,
    /// Inspectors' answers to manual items.
    #[serde(default, skip_serializing_if = "ManualAnswers::is_empty")]
    pub manual: ManualAnswers,
    /// The employee, for reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The team, for reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
}

/// State and number of hit sentences of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The state.
    pub state: RuleState,
    /// Hit sentences.
    #[serde(default)]
    pub n: usize,
}

/// Scores a conversation: evaluates the rules and puts them together.
pub fn score(
    score_id: &str,
    conversation: &Conversation,
    rules: &RuleSet,
    scheme: &Scheme,
    models: &Models,
) -> Result<Scorecard, ConversationError> {
    let asked: std::collections::HashSet<&str> = scheme.rules().collect();
    let results = rules.evaluate_only(conversation, models, |id| asked.contains(id))?;
    Ok(scorecard(score_id, conversation, rules, scheme, results, &ManualAnswers::new()))
}

/// Puts results together; results of rules that the scheme does not ask for are left out.
pub fn scorecard(
    score_id: &str,
    conversation: &Conversation,
    rules: &RuleSet,
    scheme: &Scheme,
    results: Vec<RuleResult>,
    manual: &ManualAnswers,
) -> Scorecard {
    let mut given: HashMap<&str, (Given, Option<&Effect>)> = HashMap::with_capacity(results.len());
    for result in &results {
        let Some(rule) = rules.rule(&result.rule) else { continue };
        // A live-only rule raises alerts and is left out of scores.
        let state = if rule.clock() == Clock::Live { RuleState::Na } else { result.state };
        given.insert(&rule.id, (Given { state, n: result.hit_count() }, rule.score.as_ref()));
    }
    let total = total(scheme, &|id| given.get(id).copied(), manual);
    let asked: std::collections::HashSet<&str> = scheme.rules().collect();
    let pending = results.iter().filter(|r| r.state == RuleState::Pending && asked.contains(r.rule.as_str())).count();
    let results = results
        .into_iter()
        .filter(|r| asked.contains(r.rule.as_str()))
        .filter_map(|result| {
            let rule = rules.rule(&result.rule)?;
            let points = total.points_of(&result.rule);
            Some(ScoredRule { name: rule.name.clone(), level: rule.level, kind: rule.kind, points, result })
        })
        .collect();
    Scorecard {
        score_id: score_id.to_owned(),
        revision: 1,
        revises: None,
        call_id: conversation.id.clone(),
        scheme_id: scheme.id.clone(),
        scheme_version: scheme.version,
        clock: "post".to_owned(),
        total: total.total,
        max: scheme.max(),
        dimensions: total.dimensions,
        fatal: total.fatal,
        results,
        n_pending: pending,
        engine_version: ENGINE_VERSION.to_owned(),
        manual: manual.clone(),
        agent_id: conversation.agent_id.clone(),
        team: conversation.team.clone(),
    }
}

/// Scores conversations in parallel, in their order. `make_id` names the scorecard of a conversation.
pub fn score_all(
    conversations: &[Conversation],
    rules: &RuleSet,
    scheme: &Scheme,
    models: &Models,
    make_id: impl Fn(&Conversation) -> String + Sync,
) -> Vec<Result<Scorecard, ConversationError>> {
    conversations.par_iter().map(|c| score(&make_id(c), c, rules, scheme, models)).collect()
}

/// A total and where it comes from.
pub(crate) struct Total {
    pub(crate) total: Option<f64>,
    pub(crate) dimensions: Vec<DimensionScore>,
    pub(crate) fatal: Vec<String>,
    points: HashMap<String, Ratio>,
}

impl Total {
    /// Signed points that the items gave for a rule.
    pub(crate) fn points_of(&self, rule: &str) -> f64 {
        self.points.get(rule).copied().unwrap_or(Ratio::ZERO).to_f64()
    }
}

/// What a rule said, and its own effect, by its id.
pub(crate) type GivenOf<'g> = dyn Fn(&str) -> Option<(Given, Option<&'g Effect>)> + 'g;

pub(crate) fn total(scheme: &Scheme, given: &GivenOf, manual: &ManualAnswers) -> Total {
    let mut out = Total { total: None, dimensions: Vec::new(), fatal: Vec::new(), points: HashMap::new() };
    let (mut weighted, mut weights) = (Ratio::ZERO, Ratio::ZERO);
    for dimension in &scheme.dimensions {
        let score = dimension_score(scheme, dimension, given, manual, &mut out);
        if let Some(score) = score {
            weighted = weighted.plus(dimension.weight.times(score));
            weights = weights.plus(dimension.weight);
        }
        out.dimensions.push(DimensionScore {
            id: dimension.id.clone(),
            name: dimension.name.clone(),
            weight: dimension.weight.to_f64(),
            score: score.map(Ratio::to_hundredths),
        });
    }
    out.total = weighted.over(weights).map(Ratio::to_hundredths);
    if !out.fatal.is_empty() {
        out.total = Some(scheme.fatal_score.to_hundredths());
    }
    out
}

/// What an item says: a rule's state, or the value of an inspector's answer. `None`: it drops out.
enum Said<'i> {
    Rule { hit: bool, hits: usize, id: &'i str, effect: Option<&'i Effect> },
    Manual(Ratio),
}

fn said<'i>(item: &'i Item, given: &'i GivenOf, manual: &ManualAnswers) -> Option<Said<'i>> {
    match &item.asks {
        Asks::Rule(id) => match given(id)? {
            (Given { state: RuleState::Hit, n }, effect) => Some(Said::Rule { hit: true, hits: n, id, effect }),
            (Given { state: RuleState::Miss, .. }, effect) => Some(Said::Rule { hit: false, hits: 0, id, effect }),
            _ => None,
        },
        Asks::Manual(id) => {
            let value = match manual.get(id)? {
                ManualAnswer::Choice(name) => item.answers.iter().find(|(answer, _)| answer == name).map(|(_, v)| *v),
                ManualAnswer::Number(number) => {
                    let number = Ratio::of_f64(*number)?;
                    let inside = |r: &&super::scheme::Range| {
                        r.from.is_none_or(|from| number >= from) && r.to.is_none_or(|to| number <= to)
                    };
                    item.ranges.iter().find(inside).map(|r| r.value)
                }
            };
            value.map(Said::Manual)
        }
    }
}

fn dimension_score(
    scheme: &Scheme,
    dimension: &Dimension,
    given: &GivenOf,
    manual: &ManualAnswers,
    out: &mut Total,
) -> Option<Ratio> {
    let mut points = scheme.base;
    let mut set: Option<Ratio> = None;
    let (mut earned, mut weights) = (Ratio::ZERO, Ratio::ZERO);
    let mut measured = false;
    for item in &dimension.items {
        let Some(said) = said(item, given, manual) else { continue };
        measured = true;
        let value = match said {
            Said::Manual(value) => {
                points = points.plus(value);
                value
            }
            Said::Rule { hit, hits, id, effect } => {
                let effect = item.effect.as_ref().or(effect).filter(|_| hit);
                match effect.map(|e| (e.kind, e)) {
                    Some((EffectKind::Fatal, _)) => out.fatal.push(id.to_owned()),
                    Some((EffectKind::Set, effect)) => set = Some(set.map_or(effect.points, |s| s.min(effect.points))),
                    Some((_, effect)) => {
                        let delta = effect.delta(hits);
                        points = points.plus(delta);
                        let sum = out.points.entry(id.to_owned()).or_insert(Ratio::ZERO);
                        *sum = sum.plus(delta);
                    }
                    None => {}
                }
                if hit { item.on_hit } else { item.on_miss }
            }
        };
        earned = earned.plus(item.weight.times(value));
        weights = weights.plus(item.weight);
    }
    if !measured {
        return None;
    }
    match scheme.mode {
        Mode::Points => Some(set.unwrap_or(points.max(scheme.min).min(scheme.max))),
        Mode::Form => Ratio::int(100).times(earned).over(weights),
    }
}

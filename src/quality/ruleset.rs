//! A set of compiled rules, and what it says of a conversation.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::{RegexSet, RegexSetBuilder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::classes::classes;
use super::error::ConversationError;
use super::evaluate::{Evaluation, Hit};
use super::model::{Applies, Rule, Span};
use super::models::Models;
use super::operators::Operator;
use super::operators::regex::STATES_BYTES;
use super::sentence::{Sentence, Shared, View};
use super::value::Value;
use crate::conversation::Conversation;

/// The most turns of a conversation.
pub const MAX_TURNS: usize = 20_000;

/// What a rule says of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleState {
    /// It holds.
    Hit,
    /// It does not hold.
    Miss,
    /// It cannot be measured.
    Na,
    /// It does not concern this conversation.
    NotApplicable,
    /// The call goes on and it is open.
    Pending,
}

impl RuleState {
    pub(crate) fn of(value: Value) -> Self {
        match value {
            Value::True => Self::Hit,
            Value::False => Self::Miss,
            Value::Na => Self::Na,
            Value::Pending => Self::Pending,
        }
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Na => "na",
            Self::NotApplicable => "not_applicable",
            Self::Pending => "pending",
        }
    }
}

/// A hit sentence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleHit {
    /// Stable over re-runs and versions.
    pub hit_id: String,
    /// The sentence, from 0; absent for a hit by absence alone.
    pub turn: Option<usize>,
    /// What shows it.
    pub spans: Vec<Span>,
}

/// What a rule says of a conversation, with its proof.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleResult {
    /// The rule's id.
    pub rule: String,
    /// Its version, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The state.
    pub state: RuleState,
    /// One entry for each hit sentence of the evidence conditions, or one without a turn.
    pub hits: Vec<RuleHit>,
    /// Spans, sorted, overlapping ones merged.
    pub evidence: Vec<Span>,
    /// Signed points of the rule's own score effect.
    pub score_delta: f64,
    /// Steps of flows that were not found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Names and versions of the models that were asked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pins: BTreeMap<String, String>,
}

impl RuleResult {
    /// The number of hit sentences that `per = "each"` counts.
    pub fn hit_count(&self) -> usize {
        if self.state == RuleState::Hit { self.hits.len().max(1) } else { 0 }
    }
}

/// Rules that run together. Immutable; share it between threads with [`std::sync::Arc`].
#[derive(Clone, Debug)]
pub struct RuleSet {
    rules: Vec<Rule>,
    /// Number of each rule's first condition.
    bases: Vec<usize>,
    /// For each condition its class: equal conditions of different rules are one class and are answered once.
    classes: Vec<usize>,
    class_count: usize,
    /// Finds which keyword operators may match a sentence.
    words: Option<AhoCorasick>,
    /// For each word of `words` the operators that hold it.
    owners: Vec<Vec<usize>>,
    slots: usize,
    /// Different regular expressions.
    regexes: usize,
    /// Many of them at once, and their slots: finds in one pass which of these may match a sentence.
    expressions: Option<(RegexSet, Vec<usize>)>,
    /// Place of a rule by its id.
    by_id: HashMap<String, usize>,
}

/// Regular expressions up to which all are searched at once; of more, too many states of the search would be new.
const TOGETHER: usize = 64;

/// Length of a pattern up to which it is searched together with others, bytes: long lists of wordings have too many states.
const TOGETHER_BYTES: usize = 240;

/// Words up to which the index of all words is a table, which is faster and larger.
const TABLE_WORDS: usize = 4_000;

impl RuleSet {
    /// Puts rules together. Their order does not matter for results; results come in this order.
    pub fn compile(mut rules: Vec<Rule>) -> Self {
        let mut needles: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut regexes: HashMap<_, usize> = HashMap::new();
        let mut together: Vec<(String, usize)> = Vec::new();
        let (classes, class_count) = classes(&rules);
        let (mut bases, mut conditions, mut slots) = (Vec::new(), 0, 0);
        for rule in &mut rules {
            bases.push(conditions);
            conditions += rule.conditions.len();
            for op in rule.conditions.iter_mut().flat_map(|c| &mut c.ops) {
                if let Operator::Keyword(keyword) = op {
                    keyword.slot = slots;
                    for phrase in keyword.heads.iter().flatten() {
                        needles.entry(phrase.needle()).or_default().push(slots);
                    }
                    slots += 1;
                }
                if let Operator::Regex(regex) = op {
                    let next = regexes.len();
                    regex.slot = *regexes.entry(regex.identity()).or_insert_with(|| {
                        together.extend(regex.inline().filter(|s| s.len() <= TOGETHER_BYTES).map(|source| (source, next)));
                        next
                    });
                }
            }
        }
        let form = (needles.len() <= TABLE_WORDS).then_some(AhoCorasickKind::DFA);
        let words = AhoCorasick::builder().kind(form).build(needles.keys()).ok().filter(|_| !needles.is_empty());
        if words.is_none() {
            // Without the index every operator searches for itself.
            for op in rules.iter_mut().flat_map(|r| &mut r.conditions).flat_map(|c| &mut c.ops) {
                if let Operator::Keyword(keyword) = op {
                    keyword.slot = usize::MAX;
                }
            }
        }
        let by_id = rules.iter().enumerate().rev().map(|(i, r)| (r.id.clone(), i)).collect();
        let owners = needles.into_values().collect();
        together.truncate(TOGETHER);
        let (sources, places): (Vec<String>, Vec<usize>) = together.into_iter().unzip();
        let expressions = RegexSetBuilder::new(&sources)
            .dfa_size_limit(STATES_BYTES)
            .build()
            .ok()
            .filter(|_| !sources.is_empty())
            .map(|set| (set, places));
        Self { rules, bases, classes, class_count, words, owners, slots, regexes: regexes.len(), expressions, by_id }
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule of an id.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.by_id.get(id).map(|at| &self.rules[*at])
    }

    /// The classes of a rule's conditions.
    pub(crate) fn classes(&self, rule: usize) -> &[usize] {
        let base = self.bases[rule];
        &self.classes[base..base + self.rules[rule].conditions.len()]
    }

    /// Room for the answers of all classes, without and with evidence.
    pub(crate) fn room(&self) -> Shared {
        RefCell::new(vec![None; self.class_count * 2])
    }

    /// Prepares a turn; `live` makes it remember decided values.
    pub(crate) fn prepare<'t>(
        &self,
        turn: Cow<'t, crate::conversation::Turn>,
        language: Option<&str>,
        live: bool,
    ) -> Sentence<'t> {
        let mut sentence = Sentence::new(turn, language);
        if let Some(words) = &self.words {
            let mut candidates = vec![0_u64; self.slots.div_ceil(64)];
            for found in words.find_overlapping_iter(&sentence.folded) {
                for slot in &self.owners[found.pattern().as_usize()] {
                    candidates[slot / 64] |= 1 << (slot % 64);
                }
            }
            sentence.candidates = candidates;
        }
        let mut known = vec![None; self.regexes];
        if let Some((expressions, slots)) = &self.expressions {
            let possible = expressions.matches(sentence.regex_text());
            for (_, slot) in slots.iter().enumerate().filter(|(place, _)| !possible.matched(*place)) {
                known[*slot] = Some(false);
            }
        }
        sentence.regexes.replace(known);
        if live {
            sentence.decided.replace(vec![0; self.class_count]);
        }
        sentence
    }

    /// What every rule says of a whole conversation.
    pub fn evaluate(&self, conversation: &Conversation, models: &Models) -> Result<Vec<RuleResult>, ConversationError> {
        self.evaluate_only(conversation, models, |_| true)
    }

    /// What the rules whose ids are wanted say of a whole conversation, in the order of the set.
    pub fn evaluate_only(
        &self,
        conversation: &Conversation,
        models: &Models,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<RuleResult>, ConversationError> {
        check_conversation(conversation)?;
        Ok(self.on_whole(conversation, models, |view| {
            (0..self.rules.len()).filter(|i| wanted(&self.rules[*i].id)).map(|i| self.result(i, view)).collect()
        }))
    }

    /// Prepares all turns of a conversation that is over, and looks at it.
    pub(crate) fn on_whole<T>(&self, conversation: &Conversation, models: &Models, look: impl FnOnce(&View) -> T) -> T {
        let language = conversation.language.as_deref();
        let turns: Vec<Sentence> = conversation.turns.iter().map(|t| self.prepare(Cow::Borrowed(t), language, false)).collect();
        look(&View {
            head: conversation,
            placed: turns.len(),
            turns: &turns,
            ended: true,
            clock: i64::MAX,
            duration: conversation.duration_ms,
            hangup_by: conversation.hangup_by,
            models,
            shared: self.room(),
        })
    }

    /// The result of one rule on a view that has ended.
    pub(crate) fn result(&self, index: usize, view: &View) -> RuleResult {
        let rule = &self.rules[index];
        match applies(&rule.applies, view.head) {
            Some(true) => result(rule, self.classes(index), view),
            _ => plain_result(rule, RuleState::NotApplicable, view),
        }
    }
}

/// Refuses what cannot be scored.
pub fn check_conversation(conversation: &Conversation) -> Result<(), ConversationError> {
    if conversation.turns.len() > MAX_TURNS {
        return Err(ConversationError::TooManyTurns { turns: conversation.turns.len(), limit: MAX_TURNS });
    }
    let mut latest: Option<(usize, i64)> = None;
    for (turn, start) in conversation.turns.iter().enumerate().filter_map(|(i, t)| t.start_ms.map(|s| (i, s))) {
        if let Some((before, before_ms)) = latest.filter(|(_, ms)| *ms > start) {
            return Err(ConversationError::TurnsOutOfOrder { turn, start_ms: start, before, before_ms });
        }
        latest = Some((turn, start));
    }
    Ok(())
}

/// Whether a rule or scheme concerns a conversation; `None` while a metadata key is missing.
pub(crate) fn applies(applies: &Applies, head: &Conversation) -> Option<bool> {
    let among = |list: &Option<Vec<String>>, value: Option<&str>| {
        list.as_ref().is_none_or(|list| value.is_some_and(|v| list.iter().any(|l| l == v)))
    };
    let language = applies
        .languages
        .as_ref()
        .is_none_or(|list| head.language.as_deref().is_some_and(|tag| list.iter().any(|l| covers(l, tag))));
    let fits = among(&applies.channels, head.channel.map(|c| c.name()))
        && among(&applies.queues, head.queue.as_deref())
        && among(&applies.directions, head.direction.map(|d| d.name()))
        && among(&applies.agents, head.agent_id.as_deref())
        && among(&applies.teams, head.team.as_deref())
        && language;
    let in_time = (applies.from.is_none() && applies.to.is_none())
        || head
            .started_at
            .as_deref()
            .and_then(|t| chrono::DateTime::parse_from_rfc3339(t).ok())
            .map(|t| t.timestamp_millis())
            .is_some_and(|at| applies.from.is_none_or(|from| at >= from) && applies.to.is_none_or(|to| at < to));
    if !fits || !in_time {
        return Some(false);
    }
    let mut missing = false;
    for meta in &applies.meta {
        match meta.test_head(head) {
            Some(false) => return Some(false),
            Some(true) => {}
            None => missing |= !meta.holds(None),
        }
    }
    if missing { None } else { Some(true) }
}

/// Whether a language tag covers another: `zh` covers `zh-CN`.
fn covers(wide: &str, tag: &str) -> bool {
    let same = |a: u8, b: u8| a.eq_ignore_ascii_case(&b) || (matches!(a, b'-' | b'_') && matches!(b, b'-' | b'_'));
    let (wide, tag) = (wide.as_bytes(), tag.as_bytes());
    tag.len() >= wide.len()
        && wide.iter().zip(tag).all(|(a, b)| same(*a, *b))
        && tag.get(wide.len()).is_none_or(|next| matches!(next, b'-' | b'_'))
}

pub(crate) fn plain_result(rule: &Rule, state: RuleState, view: &View) -> RuleResult {
    RuleResult {
        rule: rule.id.clone(),
        version: rule.version,
        state,
        hits: Vec::new(),
        evidence: Vec::new(),
        score_delta: 0.0,
        missing: Vec::new(),
        pins: if rule.asks_models() { view.models.pins.clone() } else { BTreeMap::new() },
    }
}

/// The result of an applicable rule on a view: first its value, and only for a hit the evidence.
pub(crate) fn result(rule: &Rule, classes: &[usize], view: &View) -> RuleResult {
    let value = Evaluation::new(rule, view, classes, false).when();
    let mut result = plain_result(rule, RuleState::of(value), view);
    if value != Value::True {
        return result;
    }
    let mut evaluation = Evaluation::new(rule, view, classes, true);
    let mut hits: Vec<Hit> = Vec::new();
    for &index in &rule.evidence {
        let state = evaluation.condition(index);
        if state.value != Value::True {
            continue;
        }
        for hit in &state.hits {
            match hits.iter_mut().find(|h| h.turn == hit.turn) {
                Some(known) => known.spans.extend(hit.spans.iter().copied()),
                None => hits.push(hit.clone()),
            }
        }
    }
    for index in 0..rule.conditions.len() {
        if rule.conditions[index].ops.iter().any(|op| matches!(op, Operator::Flow(_))) {
            result.missing.extend(evaluation.condition(index).missing.iter().cloned());
        }
    }
    if hits.is_empty() {
        hits.push(Hit { turn: None, spans: Vec::new() });
    }
    hits.sort_by_key(|h| h.turn);
    result.evidence = merge(hits.iter().flat_map(|h| h.spans.iter().copied()).collect());
    result.hits = hits
        .into_iter()
        .map(|hit| RuleHit { hit_id: hit_id(rule, hit.turn, view), turn: hit.turn, spans: merge(hit.spans) })
        .collect();
    result.score_delta = rule.score.as_ref().map_or(0.0, |effect| effect.delta(result.hits.len()).to_f64());
    result
}

/// Sorted by turn and position, equal spans once, overlapping ones merged; touching ones stay apart.
fn merge(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut out: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans.into_iter().filter(|s| s.start < s.end) {
        match out.last_mut() {
            Some(last) if last.turn == span.turn && span.start < last.end => last.end = last.end.max(span.end),
            _ => out.push(span),
        }
    }
    out
}

/// `hit_` and the first 128 bits of SHA-256 over conversation id, rule id and turn id, in Crockford's base 32.
pub(crate) fn hit_id(rule: &Rule, turn: Option<usize>, view: &View) -> String {
    let turn_id = turn.map_or(String::new(), |t| match &view.sentence(t).turn.id {
        Some(id) => id.clone(),
        None => t.to_string(),
    });
    let text = [view.head.id.as_str(), rule.id.as_str(), turn_id.as_str()].join("\u{1F}");
    let digest = Sha256::digest(text.as_bytes());
    let mut bits = [0_u8; 16];
    bits.copy_from_slice(&digest[..16]);
    format!("hit_{}", ulid::Ulid(u128::from_be_bytes(bits)))
}

//! Tests inside rule files: reading them and running them.

use serde::Serialize;
use serde_json::Value as Json;

use super::fields::{Fields, Report};
use super::live::LiveEvaluator;
use super::model::{Rule, Span};
use super::models::Models;
use super::number::Ratio;
use super::ruleset::{RuleResult, RuleSet, RuleState};
use crate::conversation::{Channel, Conversation, Direction, Role, Turn};

/// A test of a rule: a conversation and what the rule must say of it.
#[derive(Clone, Debug)]
pub struct RuleTest {
    /// For people.
    pub name: String,
    /// Whether the rule must hit.
    pub hit: bool,
    /// The exact state, if the test says more than hit or not.
    pub state: Option<RuleState>,
    /// Turns and the exact text of their spans.
    pub evidence: Option<Vec<(usize, String)>>,
    /// Signed points.
    pub score_delta: Option<f64>,
    /// States while the call goes on: seconds and state.
    pub live: Vec<(f64, RuleState)>,
    /// The conversation.
    pub conversation: Conversation,
    /// It was written as a dialogue, so it is taken to be one that the rule applies to.
    from_dialogue: bool,
}

/// The outcome of one test.
#[derive(Clone, Debug, Serialize)]
pub struct TestOutcome {
    /// The rule.
    pub rule: String,
    /// The test.
    pub test: String,
    /// Whether all was as expected.
    pub passed: bool,
    /// What was not.
    pub differences: Vec<String>,
    /// What the rule said.
    pub result: Option<RuleResult>,
    /// The value of every condition.
    pub trace: Vec<(String, &'static str)>,
}

const STATES: [(&str, RuleState); 5] = [
    ("hit", RuleState::Hit),
    ("miss", RuleState::Miss),
    ("na", RuleState::Na),
    ("not_applicable", RuleState::NotApplicable),
    ("pending", RuleState::Pending),
];

impl RuleTest {
    pub(crate) fn read(json: &Json, pointer: &str, report: &mut Report) -> Option<Self> {
        let allowed = ["name", "dialogue", "conversation", "hit", "state", "evidence", "score_delta", "live"];
        let fields = Fields::new(json, pointer, &allowed, report)?;
        fields.require("hit", report);
        let before = report.problems.len();
        let from_dialogue = fields.has("dialogue");
        let conversation = match (fields.text("dialogue", report), fields.get("conversation")) {
            (Some(text), None) => read_dialogue(text).map_err(|message| report.bad(&fields.at("dialogue"), message)).ok(),
            (None, Some(json)) => serde_json::from_value(json.clone())
                .map_err(|e| report.bad(&fields.at("conversation"), format!("not a conversation: {e}")))
                .ok(),
            _ => {
                report.push(
                    pointer,
                    super::source::Spot::Value,
                    "missing_field",
                    "give either `dialogue` or `conversation`".into(),
                    None,
                );
                None
            }
        };
        let live = read_live(&fields, report);
        let test = Self {
            name: fields.text("name", report).unwrap_or("").to_owned(),
            hit: fields.flag("hit", false, report),
            state: fields.choice("state", &STATES, report),
            evidence: read_evidence(&fields, report),
            score_delta: fields.decimal("score_delta", -1_000_000, 1_000_000, report).map(Ratio::to_f64),
            live,
            conversation: conversation.unwrap_or_default(),
            from_dialogue,
        };
        (report.problems.len() == before).then_some(test)
    }

    /// The conversation, made one that the rule applies to if it was written as a dialogue.
    fn conversation_for(&self, rule: &Rule) -> Conversation {
        let mut conversation = self.conversation.clone();
        if !self.from_dialogue {
            return conversation;
        }
        let first = |list: &Option<Vec<String>>| list.as_ref().and_then(|l| l.first().cloned());
        let applies = &rule.applies;
        conversation.language = first(&applies.languages);
        conversation.queue = first(&applies.queues);
        conversation.agent_id = first(&applies.agents);
        conversation.team = first(&applies.teams);
        conversation.direction = first(&applies.directions)
            .map(|d| if d == Direction::Outbound.name() { Direction::Outbound } else { Direction::Inbound });
        conversation.channel = Some(match first(&applies.channels).as_deref() {
            Some("chat") => Channel::Chat,
            Some("email") => Channel::Email,
            Some("ticket") => Channel::Ticket,
            _ => Channel::Voice,
        });
        let moment = applies.from.or(applies.to.map(|to| to - 1));
        conversation.started_at = moment.and_then(chrono::DateTime::from_timestamp_millis).map(|m| m.to_rfc3339());
        conversation
    }
}

fn read_evidence(fields: &Fields, report: &mut Report) -> Option<Vec<(usize, String)>> {
    let value = fields.get("evidence")?;
    match serde_json::from_value(value.clone()) {
        Ok(list) => Some(list),
        Err(_) => {
            report.bad(&fields.at("evidence"), "a list of [turn, \"text\"] is expected here".into());
            None
        }
    }
}

fn read_live(fields: &Fields, report: &mut Report) -> Vec<(f64, RuleState)> {
    let Some(value) = fields.get("live") else { return Vec::new() };
    let Json::Array(list) = value else {
        report.bad(&fields.at("live"), "a list of { at, state } is expected here".into());
        return Vec::new();
    };
    let mut out = Vec::new();
    for (i, step) in list.iter().enumerate() {
        let place = format!("{}/{i}", fields.at("live"));
        let Some(step) = Fields::new(step, &place, &["at", "state"], report) else { continue };
        step.require("at", report);
        step.require("state", report);
        let at = step.decimal("at", 0, 1_000_000, report).map(Ratio::to_f64);
        if let (Some(at), Some(state)) = (at, step.choice("state", &STATES, report)) {
            out.push((at, state));
        }
    }
    out
}

/// Reads a dialogue: one line a turn, role, perhaps `start-end` in seconds, text; `#` starts a comment line.
/// Without times turn k starts at 4 k seconds and lasts 3.
pub fn read_dialogue(text: &str) -> Result<Conversation, String> {
    let mut turns: Vec<Turn> = Vec::new();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let (role, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let role = Role::from_name(role).ok_or_else(|| format!("\"{role}\" is not a role, in \"{line}\""))?;
        let rest = rest.trim_start();
        let (first, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let times = first.split_once('-').and_then(|(a, b)| Some((seconds(a)?, seconds(b)?)));
        let k = i64::try_from(turns.len()).unwrap_or(0);
        let ((start, end), text) = match times {
            Some(times) => (times, after.trim_start()),
            None => ((4_000 * k, 4_000 * k + 3_000), rest),
        };
        turns.push(Turn { role, text: text.to_owned(), start_ms: Some(start), end_ms: Some(end), ..Turn::default() });
    }
    if turns.is_empty() {
        return Err("the dialogue has no turn".to_owned());
    }
    Ok(Conversation { id: "test".into(), channel: Some(Channel::Voice), turns, ..Conversation::default() })
}

fn seconds(text: &str) -> Option<i64> {
    let ratio = Ratio::parse(text)?.times(Ratio::int(1_000));
    i64::try_from(ratio.floor()).ok()
}

/// Runs the tests inside a rule.
pub fn run_rule_tests(rule: &Rule, models: &Models) -> Vec<TestOutcome> {
    let set = RuleSet::compile(vec![rule.clone()]);
    rule.tests.iter().map(|test| run_test(&set, test, models)).collect()
}

fn run_test(set: &RuleSet, test: &RuleTest, models: &Models) -> TestOutcome {
    let rule = &set.rules()[0];
    let conversation = test.conversation_for(rule);
    let mut outcome = TestOutcome {
        rule: rule.id.clone(),
        test: test.name.clone(),
        passed: false,
        differences: Vec::new(),
        result: None,
        trace: Vec::new(),
    };
    let result = match set.evaluate(&conversation, models) {
        Ok(mut results) => results.remove(0),
        Err(error) => {
            outcome.differences.push(error.to_string());
            return outcome;
        }
    };
    let expected = test.state.unwrap_or(if test.hit { RuleState::Hit } else { RuleState::Miss });
    let state_differs = if test.state.is_some() || test.hit { result.state != expected } else { result.state == RuleState::Hit };
    if state_differs {
        outcome.differences.push(format!("state: expected {}, got {}", expected.name(), result.state.name()));
    }
    if let Some(expected) = &test.evidence {
        let got: Vec<(usize, String)> = result.evidence.iter().map(|s| (s.turn, quote(&conversation, *s))).collect();
        if got != *expected {
            outcome.differences.push(format!("evidence: expected {expected:?}, got {got:?}"));
        }
    }
    if test.score_delta.is_some_and(|delta| (delta - result.score_delta).abs() > 1e-9) {
        outcome.differences.push(format!("score_delta: expected {:?}, got {}", test.score_delta, result.score_delta));
    }
    for (at, state) in &test.live {
        let at_ms = (at * 1000.0).round() as i64;
        let (got, _) = LiveEvaluator::state_at(set, 0, &conversation, at_ms, models);
        if got != *state {
            outcome.differences.push(format!("live at {at} s: expected {}, got {}", state.name(), got.name()));
        }
    }
    outcome.trace = super::trace::trace(set, 0, &conversation, models);
    outcome.passed = outcome.differences.is_empty();
    outcome.result = Some(result);
    outcome
}

/// The words of a span.
pub fn quote(conversation: &Conversation, span: Span) -> String {
    let text = conversation.turns.get(span.turn).map_or("", |t| t.text.as_str());
    text.chars().skip(span.start).take(span.end.saturating_sub(span.start)).collect()
}

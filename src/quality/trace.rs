//! The value of every condition of a rule on a conversation, for authors.

use std::borrow::Cow;

use super::evaluate::Evaluation;
use super::models::Models;
use super::ruleset::RuleSet;
use super::sentence::{Sentence, View};
use super::value::Value;
use crate::conversation::Conversation;

/// Condition ids and their values, in the order of the rule.
pub fn trace(set: &RuleSet, rule: usize, conversation: &Conversation, models: &Models) -> Vec<(String, &'static str)> {
    let language = conversation.language.as_deref();
    let turns: Vec<Sentence> = conversation.turns.iter().map(|t| set.prepare(Cow::Borrowed(t), language, false)).collect();
    let view = View {
        head: conversation,
        placed: turns.len(),
        turns: &turns,
        ended: true,
        clock: i64::MAX,
        duration: conversation.duration_ms,
        hangup_by: conversation.hangup_by,
        models,
    };
    let rule_ref = &set.rules()[rule];
    let mut evaluation = Evaluation::new(rule_ref, &view, set.base(rule), false);
    (0..rule_ref.conditions.len())
        .map(|i| {
            let name = match evaluation.condition(i).value {
                Value::True => "true",
                Value::False => "false",
                Value::Na => "na",
                Value::Pending => "pending",
            };
            (rule_ref.conditions[i].id.clone(), name)
        })
        .collect()
}

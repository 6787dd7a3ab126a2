//! The value of every condition of a rule on a conversation, for authors.

use super::evaluate::Evaluation;
use super::models::Models;
use super::ruleset::RuleSet;
use super::value::Value;
use crate::conversation::Conversation;

/// Condition ids and their values, in the order of the rule.
pub fn trace(set: &RuleSet, rule: usize, conversation: &Conversation, models: &Models) -> Vec<(String, &'static str)> {
    let conditions = &set.rules()[rule].conditions;
    set.on_whole(conversation, models, |view| {
        let mut evaluation = Evaluation::new(&set.rules()[rule], view, set.classes(rule), false);
        (0..conditions.len())
            .map(|i| {
                let name = match evaluation.condition(i).value {
                    Value::True => "true",
                    Value::False => "false",
                    Value::Na => "na",
                    Value::Pending => "pending",
                };
                (conditions[i].id.clone(), name)
            })
            .collect()
    })
}

//! Conditions of different rules that ask the same.

use std::collections::HashMap;

use super::model::Rule;
use super::operators::Operator;

/// A class for each condition of each rule, and how many there are. Conditions are of one class if they are written
/// alike and their anchors are of one class; a flow speaks of its own rule's conditions and stands alone.
pub(crate) fn classes(rules: &[Rule]) -> (Vec<usize>, usize) {
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut all = Vec::new();
    for (number, rule) in rules.iter().enumerate() {
        let mut own = vec![None; rule.conditions.len()];
        for index in 0..rule.conditions.len() {
            class_of(number, rule, index, &mut own, &mut known);
        }
        all.extend(own.into_iter().flatten());
    }
    (all, known.len())
}

fn class_of(number: usize, rule: &Rule, index: usize, own: &mut [Option<usize>], known: &mut HashMap<String, usize>) -> usize {
    if let Some(class) = own[index] {
        return class;
    }
    let condition = &rule.conditions[index];
    // Anchors run in no circle, or the rule would have been refused.
    let anchor = condition.anchor.map(|anchor| class_of(number, rule, anchor.of, own, known));
    // Steps of a shared graph are not written in the rule.
    let mut written = rule.source["conditions"][&condition.id].clone();
    if let Some(written) = written.get_mut("anchor").and_then(serde_json::Value::as_object_mut) {
        written.remove("of");
    }
    let mut key = format!("{anchor:?} {written}");
    let alone = written.is_null() || condition.ops.iter().any(|op| matches!(op, Operator::Flow(_)));
    if alone {
        key.push_str(&format!(" {number} {index}"));
    }
    if key.contains("\"@") {
        key.push_str(&rule.source["lists"].to_string());
    }
    let next = known.len();
    let class = *known.entry(key).or_insert(next);
    own[index] = Some(class);
    class
}

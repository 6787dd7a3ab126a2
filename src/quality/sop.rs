//! Step graphs shared with agent assist: `flow = { sop = "id" }` takes its steps from one.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::fields::{Report, did_you_mean};
use super::source::{Spot, pointer_key};

/// A step of a graph: a condition of the rule language, perhaps under a guard.
#[derive(Clone, Debug)]
pub struct SopStep {
    /// Its name inside the graph: letters, digits, `_`, `-`.
    pub id: String,
    /// The condition in its JSON form; it must not have an anchor.
    pub condition: Json,
    /// The guard of the branch that leads here, a condition too.
    pub guard: Option<Json>,
    /// May be left out.
    pub optional: bool,
}

/// Graphs by id, each flattened to its steps in order.
#[derive(Clone, Debug, Default)]
pub struct SopFlows(pub BTreeMap<String, Vec<SopStep>>);

/// Replaces every `flow.sop` by steps over conditions that are added to the rule.
pub(crate) fn expand(rule: &Json, sops: &SopFlows, report: &mut Report) -> Json {
    let mut out = rule.clone();
    let Some(conditions) = rule.get("conditions").and_then(Json::as_object) else { return out };
    let mut added = Map::new();
    for (name, condition) in conditions {
        let Some(id) = condition.get("flow").and_then(|f| f.get("sop")) else { continue };
        let pointer = format!("/conditions/{}/flow/sop", pointer_key(name));
        let Some(id) = id.as_str() else {
            report.bad(&pointer, "the id of an SOP graph is expected here".into());
            continue;
        };
        let Some(steps) = sops.0.get(id) else {
            let hint = did_you_mean(id, sops.0.keys().map(String::as_str));
            report.push(&pointer, Spot::Value, "unknown_id", format!("there is no SOP graph \"{id}\""), hint);
            continue;
        };
        let mut list = Vec::new();
        for step in steps {
            let step_id = format!("{id}-{}", step.id);
            let mut entry = json!({ "step": step_id, "optional": step.optional });
            added.insert(step_id.clone(), step.condition.clone());
            if let Some(guard) = &step.guard {
                let guard_id = format!("{step_id}-if");
                entry["if"] = json!(guard_id);
                added.insert(guard_id, guard.clone());
            }
            list.push(entry);
        }
        if let Some(flow) = out.pointer_mut(&format!("/conditions/{}/flow", pointer_key(name))).and_then(Json::as_object_mut) {
            flow.remove("sop");
            flow.insert("steps".into(), Json::Array(list));
        }
    }
    if let Some(all) = out.get_mut("conditions").and_then(Json::as_object_mut) {
        for (name, condition) in added {
            all.entry(name).or_insert(condition);
        }
    }
    out
}

//! `flow`: ordered steps. Its steps are conditions of the rule; the evaluation itself is in `flow_run.rs`.

use serde_json::Value as Json;

use super::Reading;
use crate::quality::fields::{Fields, did_you_mean};
use crate::quality::source::Spot;

/// A step: a condition, perhaps under a guard, perhaps optional.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) condition: usize,
    pub(crate) guard: Option<usize>,
    pub(crate) optional: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) steps: Vec<Step>,
    pub(crate) strict: bool,
    pub(crate) at_least: Option<usize>,
    pub(crate) on_broken: bool,
}

impl Flow {
    pub(crate) fn read(json: &Json, pointer: &str, cx: &mut Reading) -> Option<Self> {
        let fields = Fields::new(json, pointer, &["steps", "order", "at_least", "on"], cx.report)?;
        let list = fields.require("steps", cx.report)?;
        let strict = fields.choice("order", &[("strict", true), ("any", false)], cx.report).unwrap_or(true);
        let at_least = fields.int("at_least", 1, cx.report).and_then(|n| usize::try_from(n).ok());
        if strict && at_least.is_some() {
            cx.report.bad(&fields.at("at_least"), "`at_least` belongs to `order = \"any\"`".into());
        }
        let on_broken = fields.choice("on", &[("complete", false), ("broken", true)], cx.report).unwrap_or(false);
        let place = fields.at("steps");
        let Json::Array(list) = list else {
            cx.report.bad(&place, "a list of steps is expected here".into());
            return None;
        };
        if list.is_empty() {
            cx.report.bad(&place, "the list is empty".into());
            return None;
        }
        let steps: Vec<Step> =
            list.iter().enumerate().filter_map(|(i, step)| read_step(step, &format!("{place}/{i}"), cx)).collect();
        (steps.len() == list.len()).then_some(Self { steps, strict, at_least, on_broken })
    }

    /// Conditions that it refers to.
    pub(crate) fn references(&self) -> impl Iterator<Item = usize> + '_ {
        self.steps.iter().flat_map(|s| std::iter::once(s.condition).chain(s.guard))
    }
}

fn read_step(json: &Json, pointer: &str, cx: &mut Reading) -> Option<Step> {
    if let Json::String(id) = json {
        return Some(Step { condition: find(id, pointer, cx)?, guard: None, optional: false });
    }
    let fields = Fields::new(json, pointer, &["step", "if", "optional"], cx.report)?;
    fields.require("step", cx.report);
    let step = fields.text("step", cx.report)?;
    let condition = find(step, &fields.at("step"), cx);
    let guard = match fields.text("if", cx.report) {
        Some(id) => Some(find(id, &fields.at("if"), cx)?),
        None => None,
    };
    Some(Step { condition: condition?, guard, optional: fields.flag("optional", false, cx.report) })
}

fn find(id: &str, pointer: &str, cx: &mut Reading) -> Option<usize> {
    let found = cx.conditions.iter().position(|c| c == id);
    if found.is_none() {
        let hint = did_you_mean(id, cx.conditions.iter().map(String::as_str));
        cx.report.push(pointer, Spot::Value, "unknown_id", format!("\"{id}\" is not a condition of this rule"), hint);
    }
    found
}

//! Running a `flow`: the chain of its steps.

use std::rc::Rc;

use super::evaluate::{Evaluation, State};
use super::model::{Scope, Span};
use super::operators::flow::{Flow, Step};
use super::value::Value;

/// The value of a window operator, its spans, and the steps that a flow misses.
pub(crate) type Outcome = (Value, Vec<Span>, Vec<String>);

/// A step with what is known of its condition and whether it is required.
struct Known<'f> {
    step: &'f Step,
    state: Rc<State>,
    required: bool,
}

pub(crate) fn run(flow: &Flow, evaluation: &mut Evaluation) -> Outcome {
    let mut steps = Vec::new();
    let mut open = Value::True;
    for step in &flow.steps {
        let guard = step.guard.map_or(Value::True, |g| evaluation.condition(g).value);
        let state = evaluation.condition(step.condition);
        let stepped = &evaluation.rule().conditions[step.condition];
        // The hit of a window condition lies at the last sentence, which is known at the end only.
        let unplaced = !evaluation.view().ended && (stepped.per_window || stepped.scope == Scope::Window);
        if !step.optional {
            open = open.and(match guard {
                Value::True if unplaced && state.value == Value::True => Value::Pending,
                Value::True if matches!(state.value, Value::Na | Value::Pending) => state.value,
                Value::Na | Value::Pending => guard,
                _ => Value::True,
            });
        }
        let skipped = step.optional && guard == Value::False;
        let required = !step.optional && guard == Value::True;
        if required || (step.optional && !skipped) {
            steps.push(Known { step, state, required });
        }
    }
    // A required step or a guard that is na leaves nothing to say; pending is stronger.
    if open != Value::True {
        return (open, Vec::new(), Vec::new());
    }
    let (chain, missing) = if flow.strict { strict(&steps, evaluation) } else { any(&steps, evaluation) };
    let found = chain.iter().filter(|(i, _)| steps[*i].required).count();
    let needed = match flow.at_least {
        Some(n) if !flow.strict => n,
        _ => steps.iter().filter(|s| s.required).count(),
    };
    let counted = if flow.at_least.is_some() { chain.len() } else { found };
    let complete = counted >= needed;
    if !complete && !evaluation.view().ended {
        return (Value::Pending, Vec::new(), Vec::new());
    }
    let mut spans = Vec::new();
    for (index, hit) in &chain {
        spans.extend(steps[*index].state.hits[*hit].spans.iter().copied());
    }
    let missing = if complete { Vec::new() } else { missing };
    (Value::of(complete != flow.on_broken), spans, missing)
}

fn name(known: &Known, evaluation: &Evaluation) -> String {
    evaluation.rule().conditions[known.step.condition].id.clone()
}

/// Step and number of its hit, for every step found; and the steps that are missing.
type Chain = (Vec<(usize, usize)>, Vec<String>);

fn any(steps: &[Known], evaluation: &Evaluation) -> Chain {
    let (mut chain, mut missing) = (Vec::new(), Vec::new());
    for (index, known) in steps.iter().enumerate() {
        match first_hit(&known.state, 0, None) {
            Some((hit, _)) => chain.push((index, hit)),
            None if known.required => missing.push(name(known, evaluation)),
            None => {}
        }
    }
    (chain, missing)
}

fn strict(steps: &[Known], evaluation: &Evaluation) -> Chain {
    let mut chain: Vec<(usize, usize, usize)> = Vec::new();
    let mut missing = Vec::new();
    let mut from = 0;
    for (index, known) in steps.iter().enumerate().filter(|(_, k)| k.required) {
        let found = if missing.is_empty() { first_hit(&known.state, from, None) } else { None };
        match found {
            Some((hit, turn)) => {
                chain.push((index, hit, turn));
                from = turn;
            }
            None => missing.push(name(known, evaluation)),
        }
    }
    let found_to = chain.last().map_or(0, |(index, _, _)| *index);
    for (index, known) in steps.iter().enumerate().filter(|(_, k)| !k.required) {
        if !missing.is_empty() && index > found_to {
            break;
        }
        let low = chain.iter().filter(|(i, _, _)| *i < index).map(|(_, _, turn)| *turn).max().unwrap_or(0);
        let high = chain.iter().find(|(i, _, _)| *i > index && steps[*i].required).map(|(_, _, turn)| *turn);
        if let Some((hit, turn)) = first_hit(&known.state, low, high) {
            chain.push((index, hit, turn));
            chain.sort_unstable();
        }
    }
    (chain.into_iter().map(|(index, hit, _)| (index, hit)).collect(), missing)
}

/// The earliest hit within `[low, high]`: its number and its turn.
fn first_hit(state: &State, low: usize, high: Option<usize>) -> Option<(usize, usize)> {
    if state.value != Value::True {
        return None;
    }
    state
        .hits
        .iter()
        .enumerate()
        .filter_map(|(i, hit)| hit.turn.map(|turn| (i, turn)))
        .filter(|(_, turn)| *turn >= low && high.is_none_or(|high| *turn <= high))
        .min_by_key(|(_, turn)| *turn)
}

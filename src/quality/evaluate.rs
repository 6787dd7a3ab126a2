//! Evaluation of one rule on a view. Batch and live are the same code: a view either has ended, or values that
//! a continuation may still change come out as pending.

use std::rc::Rc;

use super::model::{Anchor, Condition, Need, Rule, Scope, Span, Where, Which};
use super::operators::{self, Operator, Unit};
use super::sentence::View;
use super::silence_timer::running_gap;
use super::value::{UnitValue, Value};
use super::window::{Window, window};

/// A hit of a condition: its sentence and its spans.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hit {
    pub(crate) turn: Option<usize>,
    pub(crate) spans: Vec<Span>,
}

/// What is known of a condition.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) value: Value,
    /// Hits so far, by turn; only of a true condition.
    pub(crate) hits: Vec<Hit>,
    /// The hits below this turn are exactly the final ones.
    pub(crate) known_below: usize,
    /// No further hit can come.
    pub(crate) complete: bool,
    /// Steps of a flow that were not found.
    pub(crate) missing: Vec<String>,
}

impl State {
    /// A state without hits; it stays so unless it is pending.
    pub(crate) fn plain(value: Value) -> Self {
        let complete = value != Value::Pending;
        let known_below = if complete { usize::MAX } else { 0 };
        Self { value, hits: Vec::new(), known_below, complete, missing: Vec::new() }
    }
}

/// The evaluation of one rule on one view.
pub(crate) struct Evaluation<'e> {
    rule: &'e Rule,
    view: &'e View<'e>,
    /// Classes of the rule's conditions, for what sentences and the view remember.
    classes: &'e [usize],
    /// Whether evidence is wanted.
    spans: bool,
}

impl<'e> Evaluation<'e> {
    pub(crate) fn new(rule: &'e Rule, view: &'e View<'e>, classes: &'e [usize], spans: bool) -> Self {
        Self { rule, view, classes, spans }
    }

    pub(crate) fn view(&self) -> &'e View<'e> {
        self.view
    }

    pub(crate) fn rule(&self) -> &'e Rule {
        self.rule
    }

    /// The value of `when`.
    pub(crate) fn when(&mut self) -> Value {
        let rule = self.rule;
        rule.when.eval(&mut |id| self.condition(*id).value)
    }

    /// The state of a condition, computed once for all rules that ask the same.
    pub(crate) fn condition(&mut self, index: usize) -> Rc<State> {
        let place = self.classes[index] * 2 + usize::from(self.spans);
        let known = self.view.shared.borrow()[place].clone();
        known.unwrap_or_else(|| {
            let state = Rc::new(self.evaluate(index));
            self.view.shared.borrow_mut()[place] = Some(Rc::clone(&state));
            state
        })
    }

    fn evaluate(&mut self, index: usize) -> State {
        let condition = &self.rule.conditions[index];
        let view = self.view;
        if condition.ops.iter().any(|op| op.never(view)) && condition.expr.always_open(&|op| condition.ops[*op].never(view)) {
            return State::plain(Value::Na);
        }
        if (condition.time.is_some() || condition.within_ms.is_some())
            && !view.turns.is_empty()
            && view.turns.iter().all(|t| t.start.is_none())
        {
            return State::plain(if view.ended { Value::Na } else { Value::Pending });
        }
        match condition.anchor {
            None => self.instance(index, None),
            Some(anchor) => self.anchored(index, anchor),
        }
    }

    /// The condition on one window.
    fn instance(&mut self, index: usize, anchor: Option<usize>) -> State {
        let condition = &self.rule.conditions[index];
        let window = window(condition, anchor, self.view);
        if condition.per_window {
            self.on_window(condition, &window)
        } else if condition.scope == Scope::Window {
            self.joined(condition, &window)
        } else {
            self.on_sentences(index, condition, &window)
        }
    }

    // --- sentence by sentence -------------------------------------------------------------------------------

    fn on_sentences(&self, index: usize, condition: &Condition, window: &Window) -> State {
        let (mut yes, mut no, mut unmeasured) = (0, 0, 0);
        let mut first_pending = None;
        let mut hits = Vec::new();
        for &member in &window.members {
            let (value, spans) = self.sentence(index, condition, member, &window.members);
            match value {
                UnitValue::True => {
                    yes += 1;
                    hits.push(Hit { turn: Some(member), spans });
                }
                UnitValue::False => no += 1,
                UnitValue::Unmeasured => unmeasured += 1,
                UnitValue::Skipped => {}
                UnitValue::Pending => {
                    first_pending.get_or_insert(member);
                }
            }
        }
        if running_gap(condition, self.view) {
            yes += 1;
            hits.push(Hit { turn: None, spans: Vec::new() });
        }
        let known = window.closed && first_pending.is_none();
        let value = match condition.need {
            Need::Any if yes > 0 => Value::True,
            Need::Count(n) if yes >= n => Value::True,
            Need::All if no > 0 => Value::False,
            _ if !known => Value::Pending,
            Need::Any if unmeasured > 0 => Value::Na,
            Need::Count(n) if yes + unmeasured >= n => Value::Na,
            Need::All if unmeasured > 0 => Value::Na,
            Need::All => Value::of(yes > 0),
            _ => Value::False,
        };
        if value != Value::True {
            return State::plain(value);
        }
        let known_below = if known { usize::MAX } else { window.certain_below.min(first_pending.unwrap_or(usize::MAX)) };
        State { value, hits, known_below, complete: known, missing: Vec::new() }
    }

    /// The value of one sentence; what was decided for good is remembered by the sentence.
    fn sentence(&self, index: usize, condition: &Condition, turn: usize, members: &[usize]) -> (UnitValue, Vec<Span>) {
        let memory = &self.view.sentence(turn).decided;
        let slot = self.classes[index];
        let remembered = memory.borrow().get(slot).copied().unwrap_or(0);
        match remembered {
            1 if !self.spans => return (UnitValue::True, Vec::new()),
            2 => return (UnitValue::False, Vec::new()),
            3 => return (UnitValue::Unmeasured, Vec::new()),
            4 => return (UnitValue::Skipped, Vec::new()),
            _ => {}
        }
        let (value, spans) = match condition.scope {
            Scope::Clause => self.clauses(condition, turn, members),
            _ => self.unit(condition, Unit::Sentence(turn), members),
        };
        if condition.cacheable
            && let Some(cell) = memory.borrow_mut().get_mut(slot)
        {
            *cell = match value {
                UnitValue::True => 1,
                UnitValue::False => 2,
                UnitValue::Unmeasured => 3,
                UnitValue::Skipped => 4,
                UnitValue::Pending => 0,
            };
        }
        (value, spans)
    }

    fn clauses(&self, condition: &Condition, turn: usize, members: &[usize]) -> (UnitValue, Vec<Span>) {
        let mut best = UnitValue::Skipped;
        let mut all = Vec::new();
        let clauses = self.view.sentence(turn).clauses();
        for (start, end) in clauses {
            let (value, spans) = self.unit(condition, Unit::Clause(turn, *start, *end), members);
            all.extend(spans);
            best = best.or_stronger(value);
        }
        if clauses.is_empty() {
            return (UnitValue::False, Vec::new());
        }
        (best, all)
    }

    /// The expression of a condition on one unit.
    fn unit(&self, condition: &Condition, unit: Unit, members: &[usize]) -> (UnitValue, Vec<Span>) {
        if let ([op], super::expr::Expr::Id(_)) = (&condition.ops[..], &condition.expr) {
            let (value, mut spans) = operators::test(op, unit, members, self.view, self.spans);
            if value == UnitValue::True && self.spans && spans.is_empty() {
                spans = unit.parts(self.view);
            }
            return (value, if value == UnitValue::True { spans } else { Vec::new() });
        }
        if !self.spans {
            let mut lacking = false;
            let value = condition.expr.eval(&mut |op| {
                let (value, _) = operators::test(&condition.ops[*op], unit, members, self.view, false);
                lacking |= value == UnitValue::Unmeasured;
                value.to_value()
            });
            let value = match value {
                Value::True => UnitValue::True,
                Value::False => UnitValue::False,
                Value::Pending => UnitValue::Pending,
                Value::Na if lacking => UnitValue::Unmeasured,
                Value::Na => UnitValue::Skipped,
            };
            return (value, Vec::new());
        }
        let mut tested: Vec<Option<(UnitValue, Vec<Span>)>> = vec![None; condition.ops.len()];
        let value = condition.expr.eval(&mut |op| {
            let outcome =
                tested[*op].get_or_insert_with(|| operators::test(&condition.ops[*op], unit, members, self.view, self.spans));
            outcome.0.to_value()
        });
        match value {
            Value::False => (UnitValue::False, Vec::new()),
            Value::Pending => (UnitValue::Pending, Vec::new()),
            Value::Na => {
                let lacking = tested.iter().flatten().any(|(v, _)| *v == UnitValue::Unmeasured);
                (if lacking { UnitValue::Unmeasured } else { UnitValue::Skipped }, Vec::new())
            }
            Value::True => {
                let mut spans = Vec::new();
                for (op, _) in condition.positive.iter().enumerate().filter(|(_, p)| **p) {
                    let (value, found) =
                        tested[op].take().unwrap_or_else(|| operators::test(&condition.ops[op], unit, members, self.view, true));
                    if value == UnitValue::True {
                        spans.extend(found);
                    }
                }
                if spans.is_empty() {
                    spans = unit.parts(self.view);
                }
                (UnitValue::True, spans)
            }
        }
    }

    // --- joined windows and window operators ----------------------------------------------------------------

    fn joined(&self, condition: &Condition, window: &Window) -> State {
        let positive_words = condition.positive.iter().all(|p| *p)
            && condition.ops.iter().all(|op| matches!(op, Operator::Keyword(k) if k.grows()));
        if !window.closed && (!positive_words || window.members.is_empty() || condition.expr.negates()) {
            return State::plain(Value::Pending);
        }
        if window.members.is_empty() {
            return State::plain(Value::False);
        }
        let (value, mut spans) = self.unit(condition, Unit::Window(&window.members), &window.members);
        let value = match value {
            UnitValue::True => Value::True,
            _ if !window.closed => Value::Pending,
            UnitValue::Unmeasured => Value::Na,
            UnitValue::Pending => Value::Pending,
            UnitValue::False | UnitValue::Skipped => Value::False,
        };
        if value != Value::True {
            return State::plain(value);
        }
        spans.sort_unstable();
        let last = spans.iter().map(|s| s.turn).max().or(window.members.last().copied());
        let hits = vec![Hit { turn: last, spans }];
        let known_below = if window.closed { usize::MAX } else { 0 };
        State { value, hits, known_below, complete: window.closed, missing: Vec::new() }
    }

    fn on_window(&mut self, condition: &Condition, window: &Window) -> State {
        let view = self.view;
        let whole_call = condition.sentences.is_none() && condition.time.is_none() && condition.anchor.is_none();
        let mut found: Vec<Option<super::flow_run::Outcome>> = vec![None; condition.ops.len()];
        let mut tested = |op: usize| {
            let operator = &condition.ops[op];
            match operator {
                _ if operator.never(view) => (Value::Na, Vec::new(), Vec::new()),
                Operator::Flow(flow) => super::flow_run::run(flow, self),
                _ if view.ended && operator.needs_sentences() && window.members.is_empty() => {
                    (Value::False, Vec::new(), Vec::new())
                }
                _ => {
                    let (value, spans) = operators::test_window(operator, &window.members, whole_call, view);
                    (value, spans, Vec::new())
                }
            }
        };
        let value = condition.expr.eval(&mut |op| found[*op].get_or_insert_with(|| tested(*op)).0);
        let mut state = State::plain(value);
        for (_, _, missing) in found.iter_mut().flatten() {
            state.missing.append(missing);
        }
        if value == Value::True {
            let mut spans = Vec::new();
            for (op, _) in condition.positive.iter().enumerate().filter(|(_, p)| **p) {
                // what decided the value may have left others out that are true too
                let (value, located, _) = found[op].take().unwrap_or_else(|| tested(op));
                if value == Value::True {
                    spans.extend(located);
                }
            }
            let turn = window.members.last().copied().or_else(|| view.last_sentence());
            state.hits = vec![Hit { turn, spans }];
            state.complete = view.ended;
            state.known_below = if view.ended { usize::MAX } else { 0 };
        }
        state
    }

    // --- anchors --------------------------------------------------------------------------------------------

    fn anchored(&mut self, index: usize, anchor: Anchor) -> State {
        let of = self.condition(anchor.of);
        if of.value != Value::True {
            return State::plain(of.value);
        }
        let mut turns: Vec<usize> = of.hits.iter().filter_map(|h| h.turn).collect();
        turns.sort_unstable();
        turns.dedup();
        let ended = self.view.ended;
        match anchor.which {
            Which::Nth(n) => {
                turns.retain(|t| *t < of.known_below && (ended || *t < self.view.placed));
                match turns.get(n - 1) {
                    Some(turn) => self.instance(index, Some(*turn)),
                    None => State::plain(if of.complete { Value::False } else { Value::Pending }),
                }
            }
            Which::Last if !ended => State::plain(Value::Pending),
            Which::Last => match turns.last() {
                Some(turn) => self.instance(index, Some(*turn)),
                None => State::plain(Value::False),
            },
            Which::Any | Which::Every => {
                let certain = ended || self.certain_hits(anchor.of);
                turns.retain(|t| ended || (certain && *t < self.view.placed));
                self.several(index, anchor, &of, &turns)
            }
        }
    }

    /// Whether each hit so far of a true condition is final, whatever comes.
    fn certain_hits(&self, index: usize) -> bool {
        let condition = &self.rule.conditions[index];
        let union = condition.anchor.is_none_or(|a| a.which != Which::Last);
        union && !condition.per_window && condition.scope != Scope::Window
    }

    /// The condition at several anchor sentences.
    fn several(&mut self, index: usize, anchor: Anchor, of: &State, turns: &[usize]) -> State {
        let every = anchor.which == Which::Every;
        let complete = of.complete && (self.view.ended || of.hits.iter().filter_map(|h| h.turn).all(|t| turns.contains(&t)));
        let states: Vec<State> = turns.iter().map(|t| self.instance(index, Some(*t))).collect();
        let mut value = if every { Value::True } else { Value::False };
        for state in &states {
            value = if every { value.and(state.value) } else { value.or(state.value) };
        }
        if turns.is_empty() {
            value = Value::False;
        }
        let decided = if every { Value::False } else { Value::True };
        if !complete && value != decided {
            value = Value::Pending;
        }
        if turns.is_empty() && !complete {
            value = Value::Pending;
        }
        if value != Value::True {
            return State::plain(value);
        }
        let condition = &self.rule.conditions[index];
        let all_known = complete && states.iter().all(|s| s.complete);
        let forward = matches!(anchor.place, Where::After | Where::Current) && condition.need == Need::Any && !every;
        let known_below = if all_known {
            usize::MAX
        } else if forward {
            // An anchor still to come lies behind all that is known and reaches only further on.
            let instances = states.iter().filter(|s| s.value == Value::True).map(|s| s.known_below).min();
            let undecided = states.iter().zip(turns).filter(|(s, _)| s.value == Value::Pending).map(|(_, t)| *t).min();
            of.known_below.min(instances.unwrap_or(0)).min(undecided.unwrap_or(usize::MAX))
        } else {
            0
        };
        let mut hits: Vec<Hit> = Vec::new();
        for hit in states.into_iter().filter(|s| s.value == Value::True).flat_map(|s| s.hits) {
            match hits.iter_mut().find(|h| h.turn == hit.turn) {
                Some(known) => known.spans.extend(hit.spans),
                None => hits.push(hit),
            }
        }
        hits.sort_by_key(|h| h.turn);
        State { value, hits, known_below, complete: all_known, missing: Vec::new() }
    }
}

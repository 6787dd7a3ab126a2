//! `silence`: silence before a sentence, and the time a party takes to answer.

use serde_json::Value as Json;

use super::keyword::{Phrase, find};
use super::{Outcome, whole};
use crate::conversation::Role;
use crate::quality::fields::{Fields, Report};
use crate::quality::model::Roles;
use crate::quality::number::{Bounds, Ratio};
use crate::quality::sentence::View;
use crate::quality::value::UnitValue;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Silence,
    Turn,
    TurnEnd,
    Own,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Between {
    Any,
    Different,
    Same,
}

#[derive(Clone, Debug)]
struct Excuse {
    before: Vec<Phrase>,
    after: Vec<Phrase>,
    look_back: usize,
    roles: Roles,
    max_ms: Option<i64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Silence {
    gap_ms: Bounds,
    how: How,
    back: usize,
    between: Between,
    exclude_hold: bool,
    include_start: bool,
    trailing: bool,
    excuse: Option<Excuse>,
}

impl Silence {
    pub(crate) fn read(json: &Json, pointer: &str, report: &mut Report) -> Option<Self> {
        let allowed = ["gap_ms", "how", "back", "between", "hold", "include_start", "trailing", "excuse"];
        let fields = Fields::new(json, pointer, &allowed, report)?;
        let gap_ms = fields.need_bounds("gap_ms", report);
        let hows = [("silence", How::Silence), ("turn", How::Turn), ("turn_end", How::TurnEnd), ("own", How::Own)];
        let betweens = [("any", Between::Any), ("different", Between::Different), ("same", Between::Same)];
        Some(Self {
            how: fields.choice("how", &hows, report).unwrap_or(How::Silence),
            back: fields.count("back", 1, 1, report),
            between: fields.choice("between", &betweens, report).unwrap_or(Between::Any),
            exclude_hold: fields.choice("hold", &[("exclude", true), ("include", false)], report).unwrap_or(true),
            include_start: fields.flag("include_start", false, report),
            trailing: fields.flag("trailing", false, report),
            excuse: fields.get("excuse").and_then(|json| Excuse::read(json, &fields.at("excuse"), report)),
            gap_ms: gap_ms?,
        })
    }

    pub(crate) fn test(&self, turn: usize, view: &View) -> Outcome {
        let here = self.before(turn, view);
        let value = if self.trailing { either(here, self.trailing_value(turn, view)) } else { here };
        let spans = if value == UnitValue::True { vec![whole(turn, view)] } else { Vec::new() };
        (value, spans)
    }

    /// The gap before the sentence.
    fn before(&self, turn: usize, view: &View) -> UnitValue {
        let sentence = view.sentence(turn);
        let (Some(start), end) = (sentence.start, sentence.end) else { return UnitValue::Unmeasured };
        if self.how == How::Own {
            return end.map_or(UnitValue::Unmeasured, |end| self.judge(end - start));
        }
        if turn == 0 {
            if !self.include_start {
                return UnitValue::Skipped;
            }
            let gap = (start - view.answered() - self.held(view.answered(), start, view)).max(0);
            return self.judge(gap);
        }
        let Some(from) = self.reference_turn(turn, view) else {
            return if self.how != How::Silence && turn < self.back { UnitValue::Skipped } else { UnitValue::Unmeasured };
        };
        let Some(from_end) = view.sentence(from).end else { return UnitValue::Unmeasured };
        let gap = match self.how {
            How::Silence => (start - from_end - self.held(from_end, start, view)).max(0),
            How::TurnEnd => match end {
                Some(end) => end - from_end,
                None => return UnitValue::Unmeasured,
            },
            _ => start - from_end,
        };
        let same = view.sentence(from).role == sentence.role;
        if (self.between == Between::Different && same) || (self.between == Between::Same && !same) {
            return UnitValue::False;
        }
        if !self.gap_ms.hold(Ratio::int(gap)) {
            return UnitValue::False;
        }
        let forgiven = self.excuse.as_ref().is_some_and(|e| e.max_ms.is_none_or(|max| gap <= max) && e.given(turn, view));
        UnitValue::of(!forgiven)
    }

    /// The turn from whose end the gap is measured.
    fn reference_turn(&self, turn: usize, view: &View) -> Option<usize> {
        if self.how != How::Silence {
            return turn.checked_sub(self.back);
        }
        let mut latest: Option<(i64, usize)> = None;
        for j in 0..turn {
            latest = latest.max(Some((view.sentence(j).end?, j)));
        }
        latest.map(|(_, j)| j)
    }

    /// The gap behind the last sentence of the call.
    fn trailing_value(&self, turn: usize, view: &View) -> UnitValue {
        if view.last_sentence() != Some(turn) {
            return UnitValue::False;
        }
        if !view.ended {
            return UnitValue::Pending;
        }
        match (view.last_end(), view.duration) {
            (Some(end), Some(duration)) => self.judge((duration - end - self.held(end, duration, view)).max(0)),
            _ => UnitValue::Unmeasured,
        }
    }

    fn judge(&self, gap: i64) -> UnitValue {
        UnitValue::of(self.gap_ms.hold(Ratio::int(gap)))
    }

    fn held(&self, start: i64, end: i64, view: &View) -> i64 {
        if self.how == How::Silence && self.exclude_hold { view.held_within(start, end) } else { 0 }
    }

    /// Whether a condition with this operator alone, without role, window and anchor, can fire by timer.
    pub(crate) fn by_timer(&self) -> bool {
        self.how == How::Silence
            && self.between == Between::Any
            && self.gap_ms.only_lower()
            && self.excuse.as_ref().is_none_or(|e| e.after.is_empty())
    }

    /// Whether the gap that is running now is long enough already.
    pub(crate) fn running_gap(&self, view: &View) -> bool {
        if view.ended || view.placed != view.turns.len() || view.turns.iter().any(|t| t.end.is_none()) {
            return false;
        }
        let from = match view.last_end() {
            Some(end) => end,
            None if self.include_start => view.answered(),
            None => return false,
        };
        let gap = view.clock - from - self.held(from, view.clock, view);
        let forgiven = self.excuse.as_ref().is_some_and(|e| {
            view.last_end().is_some() && e.max_ms.is_none_or(|max| gap <= max) && e.given(view.turns.len(), view)
        });
        gap > 0 && self.gap_ms.hold(Ratio::int(gap)) && !forgiven
    }
}

fn either(a: UnitValue, b: UnitValue) -> UnitValue {
    use UnitValue::{False, Pending, Skipped, True, Unmeasured};
    match (a, b) {
        (True, _) | (_, True) => True,
        (Pending, _) | (_, Pending) => Pending,
        (Unmeasured, _) | (_, Unmeasured) => Unmeasured,
        (Skipped, False) => Skipped,
        _ => False,
    }
}

impl Excuse {
    fn read(json: &Json, pointer: &str, report: &mut Report) -> Option<Self> {
        let fields = Fields::new(json, pointer, &["before", "after", "look_back", "role", "max_ms"], report)?;
        let phrases = |key: &str, report: &mut Report| -> Vec<Phrase> {
            fields.texts(key, report).unwrap_or_default().iter().map(|t| Phrase::new(t, false)).collect()
        };
        if !fields.has("before") && !fields.has("after") {
            report.push(
                pointer,
                crate::quality::source::Spot::Value,
                "missing_field",
                "give `before` or `after` phrases".into(),
                None,
            );
        }
        Some(Self {
            before: phrases("before", report),
            after: phrases("after", report),
            look_back: fields.count("look_back", 2, 1, report),
            roles: fields.roles("role", report).map_or(Roles::ALL, |roles: Vec<Role>| Roles::of(&roles)),
            max_ms: fields.int("max_ms", 0, report),
        })
    }

    /// Whether an excuse stands before (or in) the sentence `turn`, which may be one yet to come.
    fn given(&self, turn: usize, view: &View) -> bool {
        let says = |index: usize, phrases: &[Phrase]| {
            let sentence = view.sentence(index);
            !find(phrases, sentence.chars(), 0, sentence.len, true).is_empty()
        };
        let first = turn.saturating_sub(self.look_back);
        (first..turn).any(|j| self.roles.has(view.sentence(j).role) && says(j, &self.before))
            || (turn < view.turns.len() && says(turn, &self.after))
    }
}

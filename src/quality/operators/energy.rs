//! `energy`: loudness, its jumps and its range.

use serde_json::Value as Json;

use super::{Outcome, absent, plain, whole};
use crate::quality::fields::{Fields, Report};
use crate::quality::model::Span;
use crate::quality::number::{Bounds, Ratio};
use crate::quality::sentence::{Sentence, View};
use crate::quality::source::Spot;
use crate::quality::value::{UnitValue, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Each,
    Jump,
    Span,
}

#[derive(Clone, Debug)]
pub(crate) struct Energy {
    mode: Mode,
    level: Option<Bounds>,
    db: Option<Bounds>,
}

impl Energy {
    pub(crate) fn read(json: &Json, pointer: &str, report: &mut Report) -> Option<Self> {
        let fields = Fields::new(json, pointer, &["level", "db", "mode"], report)?;
        let modes = [("each", Mode::Each), ("jump", Mode::Jump), ("span", Mode::Span)];
        let mode = fields.choice("mode", &modes, report).unwrap_or(Mode::Each);
        if !fields.has("level") && !fields.has("db") {
            report.push(pointer, Spot::Value, "missing_field", "give `level` or `db`".into(), None);
        }
        if fields.has("db") && mode != Mode::Each {
            report.bad(&fields.at("db"), "`db` belongs to mode \"each\"; use `level`".into());
        }
        if fields.has("db") && fields.has("level") {
            report.bad(&fields.at("db"), "give either `level` or `db`".into());
        }
        Some(Self { mode, level: fields.bounds("level", report), db: fields.bounds("db", report) })
    }

    pub(crate) fn is_span(&self) -> bool {
        self.mode == Mode::Span
    }

    pub(crate) fn is_jump(&self) -> bool {
        self.mode == Mode::Jump
    }

    pub(crate) fn test(&self, turn: usize, members: &[usize], view: &View) -> Outcome {
        let sentence = view.sentence(turn);
        let Some(db) = decibel(sentence) else { return absent(sentence) };
        if self.mode == Mode::Each {
            let level_holds = self.level.as_ref().is_none_or(|b| b.hold(Ratio::int(level(db))));
            return plain(level_holds && self.db.as_ref().is_none_or(|b| b.hold(db)));
        }
        let place = members.iter().position(|m| *m == turn).unwrap_or(0);
        for earlier in members[..place].iter().rev() {
            match decibel(view.sentence(*earlier)) {
                Some(before) => {
                    let jump = Ratio::int(level(db) - level(before));
                    let truth = self.level.as_ref().is_none_or(|b| b.hold(jump));
                    return (UnitValue::of(truth), vec![whole(*earlier, view), whole(turn, view)]);
                }
                None if !view.sentence(*earlier).complete => return (UnitValue::Pending, Vec::new()),
                None => {}
            }
        }
        (UnitValue::Skipped, Vec::new())
    }

    /// Highest minus lowest level of a window.
    pub(crate) fn test_span(&self, members: &[usize], view: &View) -> (Value, Vec<Span>) {
        let levels: Vec<(i64, usize)> =
            members.iter().filter_map(|m| decibel(view.sentence(*m)).map(|db| (level(db), *m))).collect();
        let low = levels.iter().min_by_key(|(l, m)| (*l, *m));
        let high = levels.iter().min_by_key(|(l, m)| (-*l, *m));
        match (low, high) {
            (Some((low, a)), Some((high, b))) => {
                let truth = self.level.as_ref().is_none_or(|bounds| bounds.hold(Ratio::int(high - low)));
                (Value::of(truth), vec![whole(*a, view), whole(*b, view)])
            }
            _ if members.is_empty() => (Value::False, Vec::new()),
            _ => (Value::Na, Vec::new()),
        }
    }
}

fn decibel(sentence: &Sentence) -> Option<Ratio> {
    if sentence.timed_out("energy_db") {
        return None;
    }
    sentence.turn.energy_db.and_then(Ratio::of_f64)
}

/// Tens of decibels, kept within 1 to 10.
fn level(db: Ratio) -> i64 {
    i64::try_from(db.times(Ratio::new(1, 10).unwrap_or(Ratio::ZERO)).floor()).unwrap_or(10).clamp(1, 10)
}

//! `rate`: how fast someone speaks.

use serde_json::Value as Json;

use super::Outcome;
use crate::quality::fields::{Fields, Report};
use crate::quality::number::{Bounds, Ratio};
use crate::quality::sentence::{Sentence, View};
use crate::quality::value::{UnitValue, Value};

#[derive(Clone, Debug)]
pub(crate) struct Rate {
    per_min: Bounds,
    /// Count characters (true), words (false), or as the language does.
    chars: Option<bool>,
    min_units: i64,
    pub(crate) average: bool,
}

enum Measured {
    Skipped,
    Unmeasured,
    Units { units: i64, duration: i64 },
}

impl Rate {
    pub(crate) fn read(json: &Json, pointer: &str, report: &mut Report) -> Option<Self> {
        let fields = Fields::new(json, pointer, &["per_min", "unit", "min_units", "average"], report)?;
        let per_min = fields.need_bounds("per_min", report);
        let units = [("auto", None), ("chars", Some(true)), ("words", Some(false))];
        Some(Self {
            chars: fields.choice("unit", &units, report).flatten(),
            min_units: fields.int("min_units", 0, report).unwrap_or(4),
            average: fields.flag("average", false, report),
            per_min: per_min?,
        })
    }

    fn measure(&self, sentence: &Sentence) -> Measured {
        let units = sentence.units(self.chars);
        if units < self.min_units {
            return Measured::Skipped;
        }
        match (sentence.start, sentence.end) {
            (Some(start), Some(end)) if end > start => Measured::Units { units, duration: end - start },
            _ => Measured::Unmeasured,
        }
    }

    fn holds(&self, units: i64, duration: i64) -> bool {
        Ratio::new(i128::from(units) * 60_000, i128::from(duration)).is_some_and(|rate| self.per_min.hold(rate))
    }

    pub(crate) fn test(&self, sentence: &Sentence) -> Outcome {
        let value = match self.measure(sentence) {
            Measured::Skipped => UnitValue::Skipped,
            Measured::Unmeasured => UnitValue::Unmeasured,
            Measured::Units { units, duration } => UnitValue::of(self.holds(units, duration)),
        };
        (value, Vec::new())
    }

    /// Sum of units over sum of durations of the tested sentences of a window.
    pub(crate) fn test_average(&self, members: &[usize], view: &View) -> Value {
        let (mut all_units, mut all_ms, mut unmeasured) = (0, 0, false);
        for index in members {
            match self.measure(view.sentence(*index)) {
                Measured::Skipped => {}
                Measured::Unmeasured => unmeasured = true,
                Measured::Units { units, duration } => {
                    all_units += units;
                    all_ms += duration;
                }
            }
        }
        match (all_ms > 0, unmeasured) {
            (true, _) => Value::of(self.holds(all_units, all_ms)),
            (false, true) => Value::Na,
            (false, false) => Value::False,
        }
    }
}

//! `trend`: where the feelings of a party go.

use serde_json::Value as Json;

use super::whole;
use crate::quality::fields::{Fields, Report};
use crate::quality::model::Span;
use crate::quality::number::{Bounds, Ratio};
use crate::quality::sentence::{Sentence, View};
use crate::quality::value::Value;

#[derive(Clone, Debug)]
enum Mode {
    Delta(Bounds),
    Mean(Bounds),
    Streak(Bounds, usize),
}

#[derive(Clone, Debug)]
pub(crate) struct Trend {
    mode: Mode,
    min_sentences: usize,
}

impl Trend {
    pub(crate) fn read(json: &Json, pointer: &str, report: &mut Report) -> Option<Self> {
        let fields = Fields::new(json, pointer, &["mode", "delta", "valence", "min_sentences", "length"], report)?;
        fields.require("mode", report);
        let mode = match fields.choice("mode", &[("delta", 0), ("mean", 1), ("streak", 2)], report)? {
            0 => Mode::Delta(fields.need_bounds("delta", report)?),
            1 => Mode::Mean(fields.need_bounds("valence", report)?),
            _ => Mode::Streak(fields.need_bounds("valence", report)?, fields.count("length", 3, 1, report)),
        };
        Some(Self { mode, min_sentences: fields.count("min_sentences", 4, 1, report) })
    }

    pub(crate) fn test(&self, members: &[usize], view: &View) -> (Value, Vec<Span>) {
        if members.is_empty() {
            return (Value::False, Vec::new());
        }
        let measured: Vec<(usize, Ratio)> = members.iter().filter_map(|m| valence(view.sentence(*m)).map(|v| (*m, v))).collect();
        let values: Vec<Ratio> = measured.iter().map(|(_, v)| *v).collect();
        match &self.mode {
            Mode::Streak(bounds, length) => streak(&measured, bounds, *length, view),
            _ if values.len() < self.min_sentences => (Value::Na, Vec::new()),
            Mode::Mean(bounds) => (mean(&values).map_or(Value::Na, |m| Value::of(bounds.hold(m))), Vec::new()),
            Mode::Delta(bounds) => {
                let half = values.len() / 2;
                let (first, second) = (mean(&values[..half]), mean(&values[values.len() - half..]));
                let value = match (first, second) {
                    (Some(first), Some(second)) => Value::of(bounds.hold(second.minus(first))),
                    _ => Value::Na,
                };
                (value, Vec::new())
            }
        }
    }
}

fn streak(measured: &[(usize, Ratio)], bounds: &Bounds, length: usize, view: &View) -> (Value, Vec<Span>) {
    if measured.is_empty() {
        return (Value::Na, Vec::new());
    }
    let mut spans = Vec::new();
    for run in measured.chunk_by(|a, b| bounds.hold(a.1) == bounds.hold(b.1)) {
        if bounds.hold(run[0].1) && run.len() >= length {
            spans.extend(run.iter().map(|(turn, _)| whole(*turn, view)));
        }
    }
    (Value::of(!spans.is_empty()), spans)
}

fn mean(values: &[Ratio]) -> Option<Ratio> {
    let sum = values.iter().fold(Ratio::ZERO, |sum, v| sum.plus(*v));
    sum.over(Ratio::int(i64::try_from(values.len()).ok()?))
}

fn valence(sentence: &Sentence) -> Option<Ratio> {
    if sentence.timed_out("emotion") {
        return None;
    }
    sentence.turn.emotion.as_ref().and_then(|e| e.valence).and_then(Ratio::of_f64)
}

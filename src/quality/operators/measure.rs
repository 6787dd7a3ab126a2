//! `measure`: lengths, counts, shares and hold times.

use serde_json::Value as Json;

use crate::quality::fields::{Fields, Report};
use crate::quality::model::Span;
use crate::quality::number::{Bounds, Ratio};
use crate::quality::sentence::View;
use crate::quality::text;
use crate::quality::value::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Metric {
    Sentences,
    Chars,
    Words,
    TalkMs,
    TalkPct,
    ResponseFirstMs,
    ResponseAvgMs,
    ResponseMaxMs,
    CallMs,
    AnsweredCallMs,
    SpeakerChanges,
    NontalkMs,
    NontalkLongestMs,
    NontalkPct,
    HoldMs,
    HoldLongestMs,
    HoldCount,
    HoldPct,
}

const METRICS: [(&str, Metric); 18] = [
    ("sentences", Metric::Sentences),
    ("chars", Metric::Chars),
    ("words", Metric::Words),
    ("talk_ms", Metric::TalkMs),
    ("talk_pct", Metric::TalkPct),
    ("response_first_ms", Metric::ResponseFirstMs),
    ("response_avg_ms", Metric::ResponseAvgMs),
    ("response_max_ms", Metric::ResponseMaxMs),
    ("call_ms", Metric::CallMs),
    ("answered_call_ms", Metric::AnsweredCallMs),
    ("speaker_changes", Metric::SpeakerChanges),
    ("nontalk_ms", Metric::NontalkMs),
    ("nontalk_longest_ms", Metric::NontalkLongestMs),
    ("nontalk_pct", Metric::NontalkPct),
    ("hold_ms", Metric::HoldMs),
    ("hold_longest_ms", Metric::HoldLongestMs),
    ("hold_count", Metric::HoldCount),
    ("hold_pct", Metric::HoldPct),
];

#[derive(Clone, Debug)]
pub(crate) struct Measure {
    metric: Metric,
    value: Bounds,
}

impl Measure {
    pub(crate) fn read(json: &Json, pointer: &str, report: &mut Report) -> Option<Self> {
        let fields = Fields::new(json, pointer, &["metric", "value"], report)?;
        fields.require("metric", report);
        let metric = fields.choice("metric", &METRICS, report);
        let value = fields.need_bounds("value", report);
        Some(Self { metric: metric?, value: value? })
    }

    /// `whole_call`: the window has no sentence numbers, time or anchor.
    pub(crate) fn test(&self, members: &[usize], whole_call: bool, view: &View) -> (Value, Vec<Span>) {
        if !view.ended {
            let grows = matches!(
                self.metric,
                Metric::Sentences
                    | Metric::Chars
                    | Metric::Words
                    | Metric::SpeakerChanges
                    | Metric::TalkMs
                    | Metric::HoldMs
                    | Metric::HoldCount
                    | Metric::CallMs
            );
            let crossed =
                grows && whole_call && self.value.only_lower() && self.measure(members, view).is_some_and(|v| self.value.hold(v));
            return (if crossed { Value::True } else { Value::Pending }, Vec::new());
        }
        let value = self.measure(members, view).map_or(Value::Na, |v| Value::of(self.value.hold(v)));
        (value, Vec::new())
    }

    fn measure(&self, members: &[usize], view: &View) -> Option<Ratio> {
        let int = |n: usize| Some(Ratio::int(i64::try_from(n).ok()?));
        let answered = view.answered();
        match self.metric {
            Metric::Sentences => int(members.len()),
            Metric::Chars => Some(Ratio::int(members.iter().map(|i| text::count_chars(view.sentence(*i).chars())).sum())),
            Metric::Words => Some(Ratio::int(members.iter().map(|i| text::count_words(view.sentence(*i).chars())).sum())),
            Metric::TalkMs => talk_ms(members.iter().copied(), view).map(Ratio::int),
            Metric::TalkPct => talk_pct(members, view),
            Metric::ResponseFirstMs => Some(Ratio::int(view.sentence(*members.first()?).start? - answered)),
            Metric::ResponseAvgMs => {
                let gaps = responses(members, view)?;
                Ratio::new(gaps.iter().map(|g| i128::from(*g)).sum(), gaps.len() as i128)
            }
            Metric::ResponseMaxMs => responses(members, view)?.into_iter().max().map(Ratio::int),
            Metric::CallMs if !view.ended => Some(Ratio::int(view.clock)),
            Metric::CallMs => view.duration.map(Ratio::int),
            Metric::AnsweredCallMs => view.duration.map(|d| Ratio::int(d - answered)),
            Metric::SpeakerChanges => {
                let roles: Vec<_> = view.turns.iter().filter(|t| !t.blank).map(|t| t.role).collect();
                int(roles.windows(2).filter(|pair| pair[0] != pair[1]).count())
            }
            Metric::NontalkMs => pauses(view).map(|p| Ratio::int(p.iter().sum())),
            Metric::NontalkLongestMs => pauses(view).map(|p| Ratio::int(p.into_iter().max().unwrap_or(0))),
            Metric::NontalkPct => share(pauses(view)?.iter().sum(), view.length() - answered),
            Metric::HoldMs => view.holds().map(|h| Ratio::int(h.iter().map(|(a, b)| b - a).sum())),
            Metric::HoldLongestMs => view.holds().map(|h| Ratio::int(h.iter().map(|(a, b)| b - a).max().unwrap_or(0))),
            Metric::HoldCount => int(view.holds()?.len()),
            Metric::HoldPct => share(view.holds()?.iter().map(|(a, b)| b - a).sum(), view.length() - answered),
        }
    }
}

/// `part` as percent of `whole`.
fn share(part: i64, whole: i64) -> Option<Ratio> {
    if whole <= 0 { None } else { Ratio::new(i128::from(part) * 100, i128::from(whole)) }
}

/// The pieces of time that turns cover, merged; `None` if a turn has no times.
fn covered(turns: impl Iterator<Item = usize>, view: &View) -> Option<Vec<(i64, i64)>> {
    let mut pieces = Vec::new();
    for index in turns {
        let sentence = view.sentence(index);
        pieces.push((sentence.start?, sentence.end?));
    }
    pieces.sort_unstable();
    let mut merged: Vec<(i64, i64)> = Vec::new();
    for (start, end) in pieces {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    Some(merged)
}

fn talk_ms(turns: impl Iterator<Item = usize>, view: &View) -> Option<i64> {
    Some(covered(turns, view)?.iter().map(|(a, b)| (b - a).max(0)).sum())
}

/// Talk time of the window as percent of the sum of every role's talk time.
fn talk_pct(members: &[usize], view: &View) -> Option<Ratio> {
    let sentences: Vec<usize> = (0..view.turns.len()).filter(|i| !view.sentence(*i).blank).collect();
    let mut roles: Vec<_> = sentences.iter().map(|i| view.sentence(*i).role).collect();
    roles.sort_unstable();
    roles.dedup();
    let mut all = 0;
    for role in roles {
        all += talk_ms(sentences.iter().copied().filter(|i| view.sentence(*i).role == role), view)?;
    }
    share(talk_ms(members.iter().copied(), view)?, all)
}

/// Response times of the window's sentences whose previous sentence has another role.
fn responses(members: &[usize], view: &View) -> Option<Vec<i64>> {
    let mut gaps = Vec::new();
    for index in members {
        let Some(previous) = (0..*index).rev().find(|j| !view.sentence(*j).blank) else { continue };
        if view.sentence(previous).role != view.sentence(*index).role {
            gaps.push((view.sentence(*index).start? - view.sentence(previous).end?).max(0));
        }
    }
    (!gaps.is_empty()).then_some(gaps)
}

/// The stretches between the answer and the end that no turn covers.
fn pauses(view: &View) -> Option<Vec<i64>> {
    let (mut at, end) = (view.answered(), view.length());
    if view.duration.is_none() && view.last_end().is_none() {
        return None;
    }
    let mut gaps = Vec::new();
    for (start, stop) in covered(0..view.turns.len(), view)? {
        if start > at {
            gaps.push((start.min(end) - at).max(0));
        }
        at = at.max(stop);
    }
    gaps.push((end - at).max(0));
    Some(gaps)
}

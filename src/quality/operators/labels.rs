//! `intent`, `emotion` and `label`: what models said of a sentence.

use std::sync::LazyLock;

use serde_json::Value as Json;

use super::{Outcome, absent, plain};
use crate::conversation::{EmotionScore, Named};
use crate::quality::fields::{Fields, Report, did_you_mean};
use crate::quality::number::{Least, Ratio};
use crate::quality::sentence::Sentence;
use crate::quality::source::Spot;

/// The emotions that the models give.
pub(crate) const EMOTIONS: [&str; 8] =
    ["neutral", "satisfied", "grateful", "anxious", "confused", "disappointed", "sad", "angry"];

/// Conduct, dialogue acts, and labels that only an operator of the service can train.
pub(crate) const LABELS: [&str; 27] = [
    "polite",
    "impolite",
    "empathy",
    "apology",
    "promise",
    "abuse",
    "sarcasm",
    "complaint_threat",
    "media_threat",
    "asks_supervisor",
    "greet",
    "thank",
    "apologise",
    "comfort",
    "confirm",
    "reject",
    "ask",
    "inform",
    "instruct",
    "hold",
    "close",
    "backchannel",
    "other",
    "high_risk",
    "doubts_attitude",
    "internal_complaint",
    "dead_air_filler",
];

/// The intents of the shipped taxonomy; a deployment may train others, so that an unknown one is a warning only.
static INTENTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let taxonomy: toml::Value = toml::from_str(include_str!("../../../pipelines/taxonomy/intent.toml"))
        .unwrap_or_else(|error| unreachable!("the taxonomy is part of the program: {error}"));
    let groups = taxonomy.get("group").and_then(toml::Value::as_array).into_iter().flatten();
    groups
        .filter_map(|group| group.get("intents")?.as_array())
        .flatten()
        .filter_map(|intent| intent.get("id")?.as_str().map(str::to_owned))
        .collect()
});

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Intent,
    Emotion,
    Label,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Any,
    All,
    None,
}

#[derive(Clone, Debug)]
pub(crate) struct Labels {
    field: Field,
    mode: Mode,
    names: Vec<String>,
    min_score: Least,
    top: usize,
}

impl Labels {
    pub(crate) fn read(name: &str, json: &Json, pointer: &str, report: &mut Report) -> Option<Self> {
        let field = match name {
            "intent" => Field::Intent,
            "emotion" => Field::Emotion,
            _ => Field::Label,
        };
        let allowed: &[&str] = if field == Field::Intent {
            &["any", "all", "none", "min_score", "top"]
        } else {
            &["any", "all", "none", "min_score"]
        };
        let fields = Fields::new(json, pointer, allowed, report)?;
        let modes = [("any", Mode::Any), ("all", Mode::All), ("none", Mode::None)];
        let given: Vec<_> = modes.into_iter().filter(|(key, _)| fields.has(key)).collect();
        let [(key, mode)] = given[..] else {
            let code = if given.is_empty() { "missing_field" } else { "bad_value" };
            report.push(pointer, Spot::Value, code, "give exactly one of any, all, none".into(), None);
            return None;
        };
        let names = fields.texts(key, report)?;
        let known: Vec<&str> = match field {
            Field::Intent => INTENTS.iter().map(String::as_str).collect(),
            Field::Emotion => EMOTIONS.to_vec(),
            Field::Label => LABELS.to_vec(),
        };
        for (i, name) in names.iter().enumerate().filter(|(_, n)| !known.contains(&n.as_str())) {
            let place = format!("{}/{i}", fields.at(key));
            report.warn(
                &place,
                "unknown_label",
                format!("no shipped model gives \"{name}\""),
                did_you_mean(name, known.iter().copied()),
            );
        }
        let half = Ratio::new(1, 2).unwrap_or(Ratio::ZERO);
        Some(Self {
            field,
            mode,
            names,
            min_score: Least::new(fields.decimal("min_score", 0, 1, report).unwrap_or(half)),
            top: fields.count("top", 1, 1, report),
        })
    }

    pub(crate) fn test(&self, sentence: &Sentence) -> Outcome {
        let turn = &sentence.turn;
        let (list, emotion): (&[Named], Option<&EmotionScore>) = match self.field {
            Field::Intent if sentence.timed_out("intents") => return absent(sentence),
            Field::Emotion if sentence.timed_out("emotion") => return absent(sentence),
            Field::Label if sentence.timed_out("labels") => return absent(sentence),
            Field::Intent => match &turn.intents {
                Some(list) => (&list[..list.len().min(self.top)], None),
                None => return absent(sentence),
            },
            Field::Label => match &turn.labels {
                Some(list) => (list, None),
                None => return absent(sentence),
            },
            Field::Emotion => match &turn.emotion {
                Some(emotion) => (&[], Some(emotion)),
                None => return absent(sentence),
            },
        };
        let has = |name: &String| {
            list.iter().any(|n| n.name == *name && self.min_score.reached(n.score))
                || emotion.is_some_and(|e| e.name == *name && self.min_score.reached(e.score))
        };
        plain(match self.mode {
            Mode::Any => self.names.iter().any(has),
            Mode::All => self.names.iter().all(has),
            Mode::None => !self.names.iter().any(has),
        })
    }
}

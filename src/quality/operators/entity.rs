//! `entity`: entities found in a sentence.

use ::regex::Regex;
use serde_json::Value as Json;

use super::{Outcome, Unit, absent};
use crate::conversation::{EntitySpan, MetadataValue};
use crate::quality::fields::{Fields, Report};
use crate::quality::model::Span;
use crate::quality::number::{Least, Ratio};
use crate::quality::sentence::View;
use crate::quality::text::{fold_for_regex, fold_text};
use crate::quality::value::UnitValue;

#[derive(Clone, Debug)]
pub(crate) struct EntityOp {
    kind: String,
    equals: Option<String>,
    one_of: Option<Vec<String>>,
    matches: Option<Regex>,
    equals_meta: Option<String>,
    differs_meta: Option<String>,
    min_score: Least,
    min_count: usize,
}

impl EntityOp {
    pub(crate) fn read(json: &Json, pointer: &str, report: &mut Report) -> Option<Self> {
        let allowed = ["type", "equals", "in", "matches", "equals_meta", "differs_meta", "min_score", "min_count"];
        let fields = Fields::new(json, pointer, &allowed, report)?;
        fields.require("type", report);
        let kind = fields.text("type", report)?.to_owned();
        let owned = |key: &str, report: &mut Report| fields.text(key, report).map(str::to_owned);
        let matches = fields
            .text("matches", report)
            .and_then(|pattern| super::regex::compile(pattern, false, &fields.at("matches"), report));
        Some(Self {
            kind,
            equals: owned("equals", report).map(|t| fold_text(&t)),
            one_of: fields.texts("in", report).map(|list| list.iter().map(|t| fold_text(t)).collect()),
            matches,
            equals_meta: owned("equals_meta", report),
            differs_meta: owned("differs_meta", report),
            min_score: Least::new(fields.decimal("min_score", 0, 1, report).unwrap_or(Ratio::ZERO)),
            min_count: fields.count("min_count", 1, 1, report),
        })
    }

    pub(crate) fn test(&self, unit: Unit, view: &View) -> Outcome {
        let part = unit.parts(view)[0];
        let sentence = view.sentence(part.turn);
        let entities = match &sentence.turn.entities {
            Some(entities) if !sentence.timed_out("entities") => entities,
            _ => return absent(sentence),
        };
        let found: Vec<Span> = entities
            .iter()
            .filter(|e| e.start >= part.start && e.end <= part.end && self.passes(e, view))
            .map(|e| Span { turn: part.turn, start: e.start, end: e.end })
            .collect();
        let truth = found.len() >= self.min_count;
        (UnitValue::of(truth), if truth { found } else { Vec::new() })
    }

    fn passes(&self, entity: &EntitySpan, view: &View) -> bool {
        if entity.kind != self.kind || !self.min_score.reached(entity.score) {
            return false;
        }
        let value = fold_text(&entity.value);
        let meta = |key: &String| view.head.metadata.get(key).map(|v| meta_equals(v, &value));
        self.equals.as_ref().is_none_or(|e| *e == value)
            && self.one_of.as_ref().is_none_or(|list| list.contains(&value))
            && self
                .matches
                .as_ref()
                .is_none_or(|re| re.is_match(fold_for_regex(&entity.value).as_deref().unwrap_or(&entity.value)))
            && self.equals_meta.as_ref().is_none_or(|key| meta(key) == Some(true))
            && self.differs_meta.as_ref().is_none_or(|key| meta(key) == Some(false))
    }
}

/// Whether a metadata value, or a member of a list, equals a folded text.
fn meta_equals(meta: &MetadataValue, folded: &str) -> bool {
    match meta {
        MetadataValue::Text(text) => fold_text(text) == folded,
        MetadataValue::Number(number) => number.to_string() == folded,
        MetadataValue::Bool(truth) => truth.to_string() == folded,
        MetadataValue::List(list) => list.iter().any(|t| fold_text(t) == folded),
    }
}

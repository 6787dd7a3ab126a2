//! `similar`: closeness of meaning to samples.

use serde_json::Value as Json;

use super::keyword::expand;
use super::{Outcome, Reading, Unit, absent, plain};
use crate::quality::fields::Fields;
use crate::quality::sentence::View;
use crate::quality::source::Spot;
use crate::quality::value::UnitValue;

const MAX_SAMPLE_CHARS: usize = 500;

#[derive(Clone, Debug)]
pub(crate) struct Similar {
    to: Vec<String>,
    score: u16,
}

impl Similar {
    pub(crate) fn read(json: &Json, pointer: &str, cx: &mut Reading) -> Option<Self> {
        let fields = Fields::new(json, pointer, &["to", "score"], cx.report)?;
        fields.require("to", cx.report);
        let score = read_score(&fields, "score", cx.report);
        let to = expand(&fields, "to", cx)?;
        if let Some(long) = to.iter().position(|s| s.chars().count() > MAX_SAMPLE_CHARS) {
            let place = format!("{}/{long}", fields.at("to"));
            cx.report.push(&place, Spot::Value, "limit", format!("a sample has at most {MAX_SAMPLE_CHARS} characters"), None);
            return None;
        }
        Some(Self { to, score })
    }

    /// Its threshold, 0 to 100.
    pub(crate) fn score(&self) -> u16 {
        self.score
    }

    /// Its samples.
    pub(crate) fn samples(&self) -> &[String] {
        &self.to
    }

    pub(crate) fn test(&self, unit: Unit, view: &View) -> Outcome {
        let sentences: Vec<usize> = unit.parts(view).iter().map(|p| p.turn).collect();
        if sentences.iter().any(|t| view.sentence(*t).timed_out("similarity")) {
            return (UnitValue::Unmeasured, Vec::new());
        }
        let text = unit.text(view);
        match best(&text, &self.to, view) {
            Some(best) => plain(best / 100 >= self.score),
            None => match sentences.iter().find(|t| !view.sentence(**t).complete) {
                Some(open) => absent(view.sentence(*open)),
                None => (UnitValue::Unmeasured, Vec::new()),
            },
        }
    }
}

/// A similarity threshold between 0 and 100, by default 80.
pub(crate) fn read_score(fields: &Fields, key: &str, report: &mut crate::quality::fields::Report) -> u16 {
    match fields.int(key, 0, report) {
        Some(score) if score <= 100 => u16::try_from(score).unwrap_or(80),
        Some(_) => {
            report.bad(&fields.at(key), "a score between 0 and 100 is expected here".into());
            80
        }
        None => 80,
    }
}

/// The best similarity in ten-thousandths; `None` if one of them is not known.
pub(crate) fn best(text: &str, samples: &[String], view: &View) -> Option<u16> {
    let mut best = 0;
    for sample in samples {
        best = best.max(view.models.similarity(text, sample)?);
        if best == 10_000 {
            break;
        }
    }
    Some(best)
}

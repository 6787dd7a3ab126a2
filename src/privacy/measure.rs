//! Precision and recall against marked utterances.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Finding, Kind, PrivacyError, Watcher};

/// A marked utterance or exchange.
#[derive(Clone, Debug, Deserialize)]
pub struct Marked {
    /// Its name.
    pub id: String,
    /// `dev` or `test`.
    #[serde(default)]
    pub split: String,
    /// What it is about.
    #[serde(default)]
    pub situation: String,
    /// The turns.
    pub turns: Vec<MarkedTurn>,
}

/// A marked turn.
#[derive(Clone, Debug, Deserialize)]
pub struct MarkedTurn {
    /// Who speaks.
    #[serde(default)]
    pub role: String,
    /// Words.
    pub text: String,
    /// What is personal in them.
    pub spans: Vec<MarkedSpan>,
}

/// A marked place, code points, end exclusive.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct MarkedSpan {
    /// Kind.
    pub kind: Kind,
    /// First code point.
    pub start: usize,
    /// First code point behind it.
    pub end: usize,
}

/// Counts of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Counts {
    /// Found, and marked with the same kind.
    pub hits: usize,
    /// Found, but not marked so.
    pub false_alarms: usize,
    /// Marked, but not found.
    pub misses: usize,
}

/// A share with its 95 % Wilson score interval (Wilson, 1927).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share {
    /// In [0, 1]; `None` without any case.
    pub value: Option<f64>,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Share {
    /// `hits` of `cases`.
    pub fn new(hits: usize, cases: usize) -> Self {
        if cases == 0 {
            return Self { value: None, low: 0.0, high: 1.0 };
        }
        const Z: f64 = 1.959_963_985;
        let (n, p) = (cases as f64, hits as f64 / cases as f64);
        let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        Self { value: Some(p), low: (centre - half).max(0.0), high: (centre + half).min(1.0) }
    }
}

impl Counts {
    /// Of what was found, the share that is right.
    pub fn precision(&self) -> Share {
        Share::new(self.hits, self.hits + self.false_alarms)
    }

    /// Of what is there, the share that was found.
    pub fn recall(&self) -> Share {
        Share::new(self.hits, self.hits + self.misses)
    }

    fn add(&mut self, other: Self) {
        self.hits += other.hits;
        self.false_alarms += other.false_alarms;
        self.misses += other.misses;
    }
}

/// An utterance on which rules and marks differ: for the eyes of the person who mends the rules.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Which.
    pub id: String,
    /// Turn, from 0.
    pub turn: usize,
    /// Kind.
    pub kind: Kind,
    /// `missed` or `false_alarm`.
    pub what: &'static str,
    /// Words of the turn.
    pub text: String,
    /// The place.
    pub span: [usize; 2],
}

/// Precision and recall of the rules on marked utterances.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Utterances looked at.
    pub utterances: usize,
    /// Utterances without personal data.
    pub without: usize,
    /// Of those, the ones where something was found.
    pub without_false: usize,
    /// Counts per kind.
    pub kinds: BTreeMap<Kind, Counts>,
    /// Where rules and marks differ.
    pub differences: Vec<Difference>,
}

impl Measured {
    /// All kinds whose form proves them.
    pub fn patterned(&self) -> Counts {
        self.sum(Kind::is_patterned)
    }

    /// All kinds.
    pub fn all(&self) -> Counts {
        self.sum(|_| true)
    }

    fn sum(&self, wanted: impl Fn(Kind) -> bool) -> Counts {
        let mut sum = Counts::default();
        self.kinds.iter().filter(|(kind, _)| wanted(**kind)).for_each(|(_, counts)| sum.add(*counts));
        sum
    }

    /// Adds one marked exchange. A finding is right if kind and both ends are those of a mark.
    pub fn add(&mut self, marked: &Marked) {
        let mut watcher = Watcher::default();
        let mut found: Vec<Vec<Finding>> = Vec::new();
        for turn in &marked.turns {
            let seen = watcher.take(&turn.role, &turn.text);
            found.push(seen.findings);
            for (place, finding) in seen.earlier {
                found[place].retain(|other| !other.overlaps(&finding));
                found[place].push(finding);
            }
        }
        self.utterances += 1;
        if marked.turns.iter().all(|turn| turn.spans.is_empty()) {
            self.without += 1;
            self.without_false += usize::from(found.iter().any(|f| !f.is_empty()));
        }
        for (place, (turn, findings)) in marked.turns.iter().zip(&found).enumerate() {
            self.compare(&marked.id, place, turn, findings);
        }
    }

    fn compare(&mut self, id: &str, place: usize, turn: &MarkedTurn, findings: &[Finding]) {
        let same = |f: &Finding, m: &MarkedSpan| f.kind == m.kind && f.start == m.start && f.end == m.end;
        let mut differ = |kind: Kind, what, span| {
            self.differences.push(Difference { id: id.to_owned(), turn: place, kind, what, text: turn.text.clone(), span });
        };
        for mark in &turn.spans {
            let counts = self.kinds.entry(mark.kind).or_default();
            if findings.iter().any(|f| same(f, mark)) {
                counts.hits += 1;
            } else {
                counts.misses += 1;
                differ(mark.kind, "missed", [mark.start, mark.end]);
            }
        }
        for finding in findings.iter().filter(|f| !turn.spans.iter().any(|m| same(f, m))) {
            self.kinds.entry(finding.kind).or_default().false_alarms += 1;
            differ(finding.kind, "false_alarm", [finding.start, finding.end]);
        }
    }
}

/// Measures a file of marked utterances, one JSON object a line; `split` keeps those of one split.
///
/// # Errors
/// The file cannot be read, a line is not of the form, a place lies outside its text, or nothing is left.
pub fn measure(path: &Path, split: Option<&str>) -> Result<Measured, PrivacyError> {
    let text = std::fs::read_to_string(path).map_err(|source| PrivacyError::Unreadable { path: path.to_owned(), source })?;
    let mut measured = Measured::default();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let invalid = |message: String| PrivacyError::Invalid { path: path.to_owned(), line: number + 1, message };
        let marked: Marked = serde_json::from_str(line).map_err(|error| invalid(error.to_string()))?;
        for turn in &marked.turns {
            let length = turn.text.chars().count();
            if let Some(span) = turn.spans.iter().find(|span| span.start >= span.end || span.end > length) {
                return Err(invalid(format!(
                    "the place {}..{} is not inside a text of {length} code points",
                    span.start, span.end
                )));
            }
        }
        if split.is_none_or(|split| split == marked.split) {
            measured.add(&marked);
        }
    }
    if measured.utterances == 0 {
        return Err(PrivacyError::Empty { path: path.to_owned(), split: split.unwrap_or_default().to_owned() });
    }
    Ok(measured)
}

//! Which flow a message opens: patterns, likeness to examples by words and by vector, and the intent, together.

use std::collections::{BTreeSet, HashMap};

use regex::RegexSet;

use super::flow::{Flow, Trigger};
use crate::conversation::{IntentScore, Language};
use crate::text::{fold, is_han, segment};

/// A pattern that matches counts as this much likeness …
const PATTERN: f32 = 0.85;
/// … and the likeness to the examples parts flows whose patterns both match.
const BESIDE_PATTERN: f32 = 0.14;
/// Share of the likeness by words; the rest is by vector.
const BY_WORDS: f32 = 0.55;

/// How well a flow fits a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// Flow id.
    pub flow: String,
    /// In [0, 1].
    pub score: f32,
    /// A pattern matched.
    pub sure: bool,
}

/// One example of a flow, prepared.
struct Example {
    flow: usize,
    language: Language,
    text: String,
    features: BTreeSet<String>,
    vector: Option<Vec<f32>>,
}

struct Patterns {
    wanted: RegexSet,
    forbidden: RegexSet,
}

/// The triggers of all flows, prepared.
pub(super) struct Triggers {
    ids: Vec<String>,
    intents: Vec<Vec<String>>,
    patterns: Vec<Patterns>,
    examples: Vec<Example>,
    weights: HashMap<String, f32>,
}

/// Stems and pairs of Han characters.
fn features(text: &str) -> BTreeSet<String> {
    let folded = fold(text);
    let mut found = BTreeSet::new();
    let mut before: Option<char> = None;
    for c in folded.chars() {
        if is_han(c) {
            if let Some(previous) = before {
                found.insert([previous, c].iter().collect());
            }
            found.insert(c.to_string());
            before = Some(c);
        } else {
            before = None;
        }
    }
    let mut last: Option<String> = None;
    for word in folded.split(|c: char| !(c.is_ascii_alphanumeric() || c == '\'')).filter(|w| !w.is_empty()) {
        if word.chars().any(|c| c.is_ascii_digit()) {
            last = None;
            continue;
        }
        let stem = segment::stem(word);
        if let Some(previous) = &last {
            found.insert(format!("{previous} {stem}"));
        }
        if !segment::is_stop_word(word) {
            found.insert(stem.clone());
        }
        last = Some(stem);
    }
    found
}

impl Triggers {
    /// Prepares flows whose patterns were checked before; one that does not compile is left out.
    pub(super) fn new(flows: &[Flow]) -> Self {
        let mut examples = Vec::new();
        let mut patterns = Vec::new();
        for (index, flow) in flows.iter().enumerate() {
            let both = [(&flow.trigger.zh, Language::Zh), (&flow.trigger.en, Language::En)];
            for (trigger, language) in both {
                examples.extend(trigger.examples.iter().map(|text| Example {
                    flow: index,
                    language,
                    text: text.clone(),
                    features: features(text),
                    vector: None,
                }));
            }
            let set = |pick: fn(&Trigger) -> &Vec<String>| {
                RegexSet::new(both.iter().flat_map(|(t, _)| pick(t))).unwrap_or_else(|_| RegexSet::empty())
            };
            patterns.push(Patterns { wanted: set(|t| &t.patterns), forbidden: set(|t| &t.not) });
        }
        let mut weights = HashMap::new();
        #[expect(clippy::cast_precision_loss, reason = "some hundred examples")]
        let total = examples.len() as f32;
        for example in &examples {
            for feature in &example.features {
                *weights.entry(feature.clone()).or_insert(0.0_f32) += 1.0;
            }
        }
        weights.values_mut().for_each(|count| *count = (1.0 + total / (1.0 + *count)).ln());
        let ids = flows.iter().map(|f| f.id.clone()).collect();
        let intents = flows.iter().map(|f| f.intents.clone()).collect();
        Self { ids, intents, patterns, examples, weights }
    }

    /// Adds sentence vectors of the examples, of length 1.
    pub(super) fn embed(&mut self, vectors: impl IntoIterator<Item = Vec<f32>>) {
        for (example, vector) in self.examples.iter_mut().zip(vectors) {
            example.vector = Some(vector);
        }
    }

    /// The examples in the order in which [`Self::embed`] takes their vectors.
    pub(super) fn texts(&self) -> Vec<String> {
        self.examples.iter().map(|e| e.text.clone()).collect()
    }

    fn weight(&self, feature: &str) -> f32 {
        // a feature that no example has weighs as if one had it
        let unseen = || (1.0 + self.examples.len() as f32 / 2.0).ln();
        let weight = self.weights.get(feature).copied().unwrap_or_else(unseen);
        if feature.chars().count() == 1 { 0.3 * weight } else { weight }
    }

    /// Weighted cosine of two sets of features.
    fn by_words(&self, a: &BTreeSet<String>, b: &BTreeSet<String>) -> f32 {
        let norm = |set: &BTreeSet<String>| set.iter().map(|f| self.weight(f).powi(2)).sum::<f32>().sqrt();
        let shared: f32 = a.intersection(b).map(|f| self.weight(f).powi(2)).sum();
        let norms = norm(a) * norm(b);
        if norms > 0.0 { shared / norms } else { 0.0 }
    }

    /// All flows that fit at all, best first.
    pub(super) fn fits(&self, text: &str, vector: Option<&[f32]>, intents: &[IntentScore], bonus: f32) -> Vec<Fit> {
        let plain = fold(text);
        let features = features(text);
        let language = Language::of_text(text);
        let mut likeness = vec![0.0_f32; self.ids.len()];
        for example in self.examples.iter().filter(|e| e.language == language) {
            let words = self.by_words(&features, &example.features);
            let near = match (vector, &example.vector) {
                (Some(a), Some(b)) => a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>().max(0.0),
                _ => words,
            };
            let like = BY_WORDS * words + (1.0 - BY_WORDS) * near;
            if like > likeness[example.flow] {
                likeness[example.flow] = like;
            }
        }
        let mut fits: Vec<Fit> = (0..self.ids.len())
            .filter(|&i| !self.patterns[i].forbidden.is_match(&plain))
            .map(|i| {
                let meant: f32 = intents.iter().filter(|s| self.intents[i].contains(&s.name)).filter_map(|s| s.confidence).sum();
                let sure = self.patterns[i].wanted.is_match(&plain);
                let score = if sure { PATTERN + BESIDE_PATTERN * likeness[i] } else { likeness[i] + bonus * meant };
                Fit { flow: self.ids[i].clone(), score: score.min(1.0), sure }
            })
            .filter(|fit| fit.score > 0.0)
            .collect();
        fits.sort_by(|a, b| b.score.total_cmp(&a.score));
        fits
    }
}

//! Which flow a message opens: patterns, likeness to examples by words and by vector, and the intent, together.

use std::collections::{BTreeMap, BTreeSet, HashMap};

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
    /// Numbers of its features, rising.
    features: Vec<u32>,
    /// Length of the vector of their weights.
    norm: f32,
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
    /// Numbers of all features of the examples.
    numbers: HashMap<String, u32>,
    /// Squared weight of each.
    squares: Vec<f32>,
    /// Squared weight of a feature that no example has: as if one had it.
    unseen: f32,
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

/// Square of the weight of a feature; a single character says less than a word.
fn square(feature: &str, weight: f32) -> f32 {
    let weight = if feature.chars().count() == 1 { 0.3 * weight } else { weight };
    weight * weight
}

impl Triggers {
    /// Prepares flows whose patterns were checked before; one that does not compile is left out.
    pub(super) fn new(flows: &[Flow]) -> Self {
        let mut found: Vec<(usize, Language, &String, BTreeSet<String>)> = Vec::new();
        let mut patterns = Vec::new();
        for (index, flow) in flows.iter().enumerate() {
            let both = [(&flow.trigger.zh, Language::Zh), (&flow.trigger.en, Language::En)];
            for (trigger, language) in both {
                found.extend(trigger.examples.iter().map(|text| (index, language, text, features(text))));
            }
            let set = |pick: fn(&Trigger) -> &Vec<String>| {
                RegexSet::new(both.iter().flat_map(|(t, _)| pick(t))).unwrap_or_else(|_| RegexSet::empty())
            };
            patterns.push(Patterns { wanted: set(|t| &t.patterns), forbidden: set(|t| &t.not) });
        }
        let mut counts: BTreeMap<&String, f32> = BTreeMap::new();
        found.iter().flat_map(|(.., features)| features).for_each(|feature| *counts.entry(feature).or_default() += 1.0);
        #[expect(clippy::cast_precision_loss, reason = "some hundred examples")]
        let total = found.len() as f32;
        let squares: Vec<f32> = counts.iter().map(|(name, count)| square(name, (1.0 + total / (1.0 + count)).ln())).collect();
        let numbers: HashMap<String, u32> = counts.keys().zip(0..).map(|(name, number)| ((*name).clone(), number)).collect();
        let number_of = |name: &String| numbers.get(name).copied().unwrap_or(u32::MAX);
        let prepared = |(flow, language, text, features): &(usize, Language, &String, BTreeSet<String>)| {
            let features: Vec<u32> = features.iter().map(number_of).collect();
            let norm = features.iter().map(|&n| squares[n as usize]).sum::<f32>().sqrt();
            Example { flow: *flow, language: *language, text: (*text).clone(), features, norm, vector: None }
        };
        let examples = found.iter().map(prepared).collect();
        let ids = flows.iter().map(|f| f.id.clone()).collect();
        let intents = flows.iter().map(|f| f.intents.clone()).collect();
        Self { ids, intents, patterns, examples, numbers, squares, unseen: (1.0 + total / 2.0).ln() }
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

    /// A message as the examples are kept: the numbers of its known features, rising, and its norm over all of them.
    fn read(&self, text: &str) -> (Vec<u32>, f32) {
        let mut known = Vec::new();
        let mut sum = 0.0;
        for feature in features(text) {
            match self.numbers.get(&feature) {
                Some(&number) => {
                    sum += self.squares[number as usize];
                    known.push(number);
                }
                None => sum += square(&feature, self.unseen),
            }
        }
        (known, sum.sqrt())
    }

    /// Weighted cosine of a message and an example.
    fn by_words(&self, (features, norm): &(Vec<u32>, f32), example: &Example) -> f32 {
        let (mut left, mut right, mut shared) = (0, 0, 0.0);
        while let (Some(a), Some(b)) = (features.get(left), example.features.get(right)) {
            match a.cmp(b) {
                std::cmp::Ordering::Less => left += 1,
                std::cmp::Ordering::Greater => right += 1,
                std::cmp::Ordering::Equal => {
                    shared += self.squares[*a as usize];
                    (left, right) = (left + 1, right + 1);
                }
            }
        }
        let norms = norm * example.norm;
        if norms > 0.0 { shared / norms } else { 0.0 }
    }

    /// All flows that fit at all, best first.
    pub(super) fn fits(&self, text: &str, vector: Option<&[f32]>, intents: &[IntentScore], bonus: f32) -> Vec<Fit> {
        let plain = fold(text);
        let read = self.read(text);
        let language = Language::of_text(text);
        let mut likeness = vec![0.0_f32; self.ids.len()];
        for example in self.examples.iter().filter(|e| e.language == language) {
            let words = self.by_words(&read, example);
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

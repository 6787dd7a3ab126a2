//! Thresholds of similarity from what people said of hits.
//!
//! A score of the operator `similar` does not carry over between encoders, so it is proposed from examples: texts that
//! should hit and texts that should not, with their best similarity to the samples under the encoder in use.

use serde::Serialize;

use super::agreement::{Share, wilson};
use super::model::Rule;
use super::models::Models;
use super::operators::Operator;

/// A `similar` operator of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SimilarPlace {
    /// Its condition.
    pub condition: String,
    /// Its place among the operators of the condition, from 0.
    pub operator: usize,
    /// The threshold it has, 0 to 100.
    pub score: u16,
    /// Its samples.
    #[serde(skip)]
    pub samples: Vec<String>,
}

/// The `similar` operators of a rule.
pub fn similar_places(rule: &Rule) -> Vec<SimilarPlace> {
    let mut places = Vec::new();
    for condition in &rule.conditions {
        for (operator, op) in condition.ops.iter().enumerate() {
            if let Operator::Similar(similar) = op {
                places.push(SimilarPlace {
                    condition: condition.id.clone(),
                    operator,
                    score: similar.score(),
                    samples: similar.samples().to_vec(),
                });
            }
        }
    }
    places
}

impl SimilarPlace {
    /// The best similarity of a text to the samples, 0 to 100; `None` without an encoder.
    pub fn similarity(&self, text: &str, models: &Models) -> Option<u16> {
        let all: Option<Vec<u16>> = self.samples.iter().map(|sample| models.similarity(text, sample)).collect();
        Some(all?.into_iter().max().unwrap_or(0) / 100)
    }
}

/// A proposed threshold and what it does to the examples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Proposal {
    /// The threshold, 0 to 100.
    pub score: u16,
    /// Of the texts at or above it, those that should hit.
    pub precision: Share,
    /// Of the texts that should hit, those at or above it.
    pub recall: Share,
    /// The harmonic mean of both.
    pub f1: f64,
}

/// What a threshold does to examples `(similarity, should hit)`; `None` if nothing reaches it or nothing should hit.
pub fn at_threshold(examples: &[(u16, bool)], score: u16) -> Option<Proposal> {
    let found = examples.iter().filter(|(s, _)| *s >= score).count() as u64;
    let right = examples.iter().filter(|(s, truth)| *s >= score && *truth).count() as u64;
    let wanted = examples.iter().filter(|(_, truth)| *truth).count() as u64;
    let (precision, recall) = (wilson(right, found)?, wilson(right, wanted)?);
    let sum = precision.value + recall.value;
    let f1 = if sum > 0.0 { 2.0 * precision.value * recall.value / sum } else { 0.0 };
    Some(Proposal { score, precision, recall, f1 })
}

/// The threshold with the highest F1 among those that reach the wanted precision (all of them, if none does); of equal
/// ones the middle of the gap between the texts, so that new texts have room on both sides. `None` without examples of
/// both kinds: nothing can be learnt from one kind alone.
pub fn propose(examples: &[(u16, bool)], least_precision: f64) -> Option<Proposal> {
    if !examples.iter().any(|(_, truth)| *truth) || examples.iter().all(|(_, truth)| *truth) {
        return None;
    }
    let all: Vec<Proposal> = (0..=100).filter_map(|score| at_threshold(examples, score)).collect();
    let precise: Vec<Proposal> = all.iter().copied().filter(|p| p.precision.value >= least_precision).collect();
    let pool = if precise.is_empty() { all } else { precise };
    let best = pool.iter().map(|p| p.f1).fold(0.0, f64::max);
    let equal: Vec<&Proposal> = pool.iter().filter(|p| (p.f1 - best).abs() < 1e-12).collect();
    equal.get(equal.len() / 2).map(|p| **p)
}

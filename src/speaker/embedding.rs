//! A stretch of speech as a few numbers that differ between voices: statistics of its spectrum, projected on the directions
//! that tell speakers apart best (linear discriminant analysis, learnt by `models/recipes/speaker/projection.py`).

use std::sync::LazyLock;

use serde::Deserialize;

use super::features::{Frame, active, frames, statistics};

/// Numbers of an embedding.
pub const DIMENSIONS: usize = 20;

/// The numbers of an embedding.
pub(super) type Values = [f32; DIMENSIONS];
/// Distance from the mean of all speakers at which the mean of two of them usually lies.
const USUAL_MEAN: f32 = 5.0;

/// The voice of a stretch of speech.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SpeakerEmbedding {
    /// Its place: two stretches of 2 s of one speaker differ by about 1 in each number. Zero if there was no voice.
    pub values: [f32; DIMENSIONS],
    /// Voice that it was measured on, in milliseconds.
    pub voiced_ms: u32,
}

impl SpeakerEmbedding {
    /// How alike two voices are, -1 to 1: the cosine of their directions from the mean of all speakers.
    pub fn similarity(&self, other: &Self) -> f32 {
        let middle = std::array::from_fn(|n| (self.values[n] + other.values[n]) / 2.0);
        let offset = offset(&middle);
        dot(&direction(&self.values, &offset), &direction(&other.values, &offset))
    }
}

#[derive(Deserialize)]
struct Projection {
    mean: Vec<f32>,
    directions: Vec<Vec<f32>>,
}

static PROJECTION: LazyLock<Projection> = LazyLock::new(|| {
    // Part of the program: a test reads it, so a bad one never ships. An empty one gives embeddings of zeros.
    serde_json::from_str(include_str!("projection.json")).unwrap_or(Projection { mean: Vec::new(), directions: Vec::new() })
});

/// The embedding of samples at 16 kHz.
pub fn embed(samples: &[f32]) -> SpeakerEmbedding {
    let frames = frames(samples);
    let voiced: Vec<Frame> = frames.iter().zip(active(&frames)).filter(|(_, active)| *active).map(|(frame, _)| *frame).collect();
    embed_frames(&voiced)
}

/// The embedding of frames that are voice.
pub(super) fn embed_frames(voiced: &[Frame]) -> SpeakerEmbedding {
    let Some(statistics) = statistics(voiced.iter()) else { return SpeakerEmbedding::default() };
    let mut values = [0.0f32; DIMENSIONS];
    for (value, row) in values.iter_mut().zip(&PROJECTION.directions) {
        *value = row.iter().zip(statistics.iter().zip(&PROJECTION.mean)).map(|(weight, (s, mean))| weight * (s - mean)).sum();
    }
    SpeakerEmbedding { values, voiced_ms: voiced.len() as u32 * 10 }
}

/// What is taken from all voices of a recording so that their mean lies where speakers lie: a line or a voice unlike all that
/// was learnt on moves them all alike, and their directions would say nothing.
pub(super) fn offset(mean: &Values) -> Values {
    let norm = dot(mean, mean).sqrt();
    let share = if norm > USUAL_MEAN { 1.0 - USUAL_MEAN / norm } else { 0.0 };
    mean.map(|value| share * value)
}

/// The direction of a voice, of unit length; zero if it has none.
pub(super) fn direction(values: &Values, offset: &Values) -> Values {
    let moved: Values = std::array::from_fn(|n| values[n] - offset[n]);
    unit(&moved)
}

pub(super) fn dot(a: &Values, b: &Values) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

pub(super) fn unit(a: &Values) -> Values {
    let length = dot(a, a).sqrt();
    if length > 0.0 { a.map(|value| value / length) } else { *a }
}

/// Whether the numbers of the program have their shape.
#[cfg(test)]
pub(super) fn projection_is_whole() -> bool {
    let inputs = 2 * (super::features::CEPSTRA - 1);
    PROJECTION.mean.len() == inputs
        && PROJECTION.directions.len() == DIMENSIONS
        && PROJECTION.directions.iter().all(|row| row.len() == inputs)
}

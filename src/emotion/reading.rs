//! Emotion of one utterance.

use crate::conversation::{EmotionReading, EmotionSources};
use crate::inference::{Encoding, SentenceOutput};

/// Valence of each label, in [-1, 1].
pub const VALENCES: [(&str, f32); 8] = [
    ("neutral", 0.0),
    ("satisfied", 0.7),
    ("grateful", 0.8),
    ("anxious", -0.4),
    ("confused", -0.2),
    ("disappointed", -0.6),
    ("sad", -0.6),
    ("angry", -1.0),
];

/// 5 x sum p(label) v(label), in [-5, 5]; a label without a valence counts 0.
pub fn valence(output: &SentenceOutput) -> f32 {
    5.0 * VALENCES.iter().map(|(label, v)| output.probability(label).unwrap_or(0.0) * v).sum::<f32>()
}

/// The emotion of an encoded utterance; `arousal` comes from the voice. `None` if the encoder has no emotion head.
pub fn read(encoding: &Encoding, arousal: Option<f32>) -> Option<EmotionReading> {
    let output = encoding.head("emotion")?;
    let (label, confidence) = output.top()?;
    Some(EmotionReading {
        label: label.to_owned(),
        valence: valence(output),
        arousal,
        confidence: Some(confidence),
        sources: EmotionSources { text: true, acoustic: arousal.is_some() },
    })
}

//! Was it said, or did the recogniser make it up? Silence, music and noise must give no words.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::Hypothesis;
use super::config::GateConfig;
use crate::vad::SpeechEvidence;

/// Texts shorter than this many bytes say nothing by their compression.
const MIN_COMPRESSION_BYTES: usize = 48;
/// Longest group of words that is looked for in repetitions.
const MAX_GROUP: usize = 6;

/// Why a text was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Nothing was recognised.
    Empty,
    /// The recogniser itself says that nobody spoke.
    NoSpeech,
    /// The text is too unlikely.
    Unsure,
    /// There was too little voice for a text of this sureness.
    WeakEvidence,
    /// It repeats itself.
    Repetition,
    /// More words than anybody can say in the time.
    TooFast,
    /// It was a tone, no voice.
    Tone,
}

impl Rejection {
    /// A name for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NoSpeech => "no_speech",
            Self::Unsure => "unsure",
            Self::WeakEvidence => "weak_evidence",
            Self::Repetition => "repetition",
            Self::TooFast => "too_fast",
            Self::Tone => "tone",
        }
    }
}

/// The first reason to drop a hypothesis, `None` if it may stand. `voiced_share`: of active frames with a pitch, where it was
/// measured.
pub fn judge(
    hypothesis: &Hypothesis,
    evidence: &SpeechEvidence,
    voiced_share: Option<f64>,
    duration_ms: i64,
    config: &GateConfig,
) -> Option<Rejection> {
    let unvoiced = voiced_share.is_some_and(|share| share < f64::from(config.min_voiced_share));
    let sure = hypothesis.log_probability >= if unvoiced { config.unvoiced_log_probability } else { config.sure_log_probability };
    let weak =
        unvoiced || evidence.speech_ratio < config.min_speech_ratio || hypothesis.log_probability < asked_for(evidence, config);
    let words_per_s = hypothesis.words.len() as f32 * 1_000.0 / duration_ms.max(200) as f32;
    if hypothesis.text.is_empty() {
        Some(Rejection::Empty)
    } else if hypothesis.no_speech > config.max_no_speech && !sure {
        Some(Rejection::NoSpeech)
    } else if hypothesis.log_probability < config.min_log_probability {
        Some(Rejection::Unsure)
    } else if weak && !sure || unvoiced && duration_ms > i64::from(config.max_unvoiced_ms) {
        Some(Rejection::WeakEvidence)
    } else if words_per_s > config.max_words_per_s {
        Some(Rejection::TooFast)
    } else if repeats(&hypothesis.words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>()) > config.max_repeats
        || compression(&hypothesis.text) > config.max_compression
    {
        Some(Rejection::Repetition)
    } else {
        None
    }
}

/// Whether the words of a speaker who goes on may be shown.
pub(super) fn may_show(hypothesis: &Hypothesis, evidence: &SpeechEvidence, duration_ms: i64, config: &GateConfig) -> bool {
    let looser = GateConfig { min_log_probability: config.min_partial_log_probability, ..config.clone() };
    judge(hypothesis, evidence, None, duration_ms, &looser).is_none()
}

/// The log-probability that a text needs, by how much its audio sounds like a voice.
fn asked_for(evidence: &SpeechEvidence, config: &GateConfig) -> f32 {
    const DOUBTFUL: f32 = 0.5;
    let clear = config.clear_speech_probability.max(DOUBTFUL + 0.01);
    let clarity = ((evidence.mean_probability - DOUBTFUL) / (clear - DOUBTFUL)).clamp(0.0, 1.0);
    config.sure_log_probability + clarity * (config.min_log_probability - config.sure_log_probability)
}

/// The longest run of one group of words, in groups. Digits may be said many times: a run of single words counts half.
fn repeats(words: &[&str]) -> usize {
    let mut most = 1;
    for group in 1..=MAX_GROUP.min(words.len()) {
        let mut run = 0;
        for index in group..words.len() {
            run = if words[index] == words[index - group] { run + 1 } else { 0 };
            let groups = run / group + 1;
            most = most.max(if group == 1 { groups.div_ceil(2) } else { groups });
        }
    }
    most
}

/// Length of the text over its deflated length; 1 for short ones.
fn compression(text: &str) -> f32 {
    if text.len() < MIN_COMPRESSION_BYTES {
        return 1.0;
    }
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    let packed = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    // Writing to memory does not fail; if it did, the text would stand on its other merits.
    packed.map_or(1.0, |packed| text.len() as f32 / packed.len().max(1) as f32)
}

#[cfg(test)]
pub(super) fn repeats_for_test(words: &[&str]) -> usize {
    repeats(words)
}

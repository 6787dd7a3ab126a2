//! A recogniser for known audio: finds a segment in recordings that it was given together with their words, and says the
//! words spoken there. Its transcripts are exact, so tests of everything behind it can be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::AsrError;
use super::recognizer::{DecodeRequest, Decoder, Hypothesis, RecognizerEngine};
use super::words::join;
use crate::audio::MODEL_RATE_HZ;
use crate::conversation::{Language, Word};

/// Samples compared, around the loudest: 64 ms.
const PROBE_SAMPLES: usize = 1_024;
/// Largest difference of a sample, in 16-bit steps: another resampler start shifts the last bits.
const TOLERANCE: i32 = 6;
const SAMPLES_PER_MS: i64 = MODEL_RATE_HZ as i64 / 1_000;

/// A recording whose words are known.
#[derive(Clone, Debug)]
pub struct ScriptedTrack {
    /// Samples at 16 kHz, as the recogniser will hear them.
    pub samples: Vec<f32>,
    /// Its words in order; times in milliseconds from its start.
    pub words: Vec<Word>,
    /// Its language.
    pub language: Language,
}

/// Knows some tracks by heart; hears nothing in any other audio.
#[derive(Debug)]
pub struct ScriptedEngine {
    tracks: Arc<[(Vec<i16>, ScriptedTrack)]>,
    max_segment_ms: i64,
}

impl ScriptedEngine {
    /// An engine that knows these tracks.
    pub fn new(tracks: Vec<ScriptedTrack>) -> Self {
        let tracks: Vec<_> = tracks.into_iter().map(|track| (quantise(&track.samples), track)).collect();
        Self { tracks: tracks.into(), max_segment_ms: 30_000 }
    }
}

impl RecognizerEngine for ScriptedEngine {
    fn model_id(&self) -> &str {
        "scripted"
    }

    fn max_segment_ms(&self) -> i64 {
        self.max_segment_ms
    }

    fn decoder(&self) -> Result<Box<dyn Decoder>, AsrError> {
        Ok(Box::new(ScriptedDecoder { tracks: Arc::clone(&self.tracks), cancel: Arc::default() }))
    }
}

struct ScriptedDecoder {
    tracks: Arc<[(Vec<i16>, ScriptedTrack)]>,
    cancel: Arc<AtomicBool>,
}

impl Decoder for ScriptedDecoder {
    fn decode(&mut self, request: &DecodeRequest) -> Result<Hypothesis, AsrError> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(AsrError::Cancelled);
        }
        let segment = quantise(&request.samples);
        let found = self.tracks.iter().find_map(|(known, track)| locate(known, &segment).map(|at| (at, track)));
        let Some((start_sample, track)) = found else { return Ok(Hypothesis { no_speech: 1.0, ..Hypothesis::default() }) };
        let start_ms = start_sample / SAMPLES_PER_MS;
        let end_ms = (start_sample + segment.len() as i64) / SAMPLES_PER_MS;
        let words: Vec<Word> = track
            .words
            .iter()
            .filter(|word| (start_ms..end_ms).contains(&((word.start_ms + word.end_ms) / 2)))
            .map(|word| Word { start_ms: word.start_ms - start_ms, end_ms: word.end_ms - start_ms, ..word.clone() })
            .collect();
        let confidences: Vec<f32> = words.iter().map(|word| word.confidence.unwrap_or(1.0)).collect();
        let mean = |of: fn(f32) -> f32| confidences.iter().map(|&p| of(p)).sum::<f32>() / confidences.len().max(1) as f32;
        Ok(Hypothesis {
            text: join(words.iter().map(|word| word.text.as_str())),
            confidence: mean(|p| p),
            log_probability: mean(|p| p.max(1e-6).ln()),
            language: track.language,
            language_probabilities: request.languages.iter().map(|&l| (l, f32::from(u8::from(l == track.language)))).collect(),
            words,
            no_speech: 0.0,
        })
    }

    fn cancel_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancel)
    }
}

fn quantise(samples: &[f32]) -> Vec<i16> {
    samples.iter().map(|sample| (sample * 32_768.0).round() as i16).collect()
}

/// Where a segment begins in a track, in samples; may be before its start. By the stretch around the loudest sample.
fn locate(track: &[i16], segment: &[i16]) -> Option<i64> {
    let loudest = segment.iter().enumerate().max_by_key(|(_, sample)| sample.unsigned_abs())?.0;
    let from = loudest.saturating_sub(PROBE_SAMPLES / 2);
    let probe = &segment[from..(from + PROBE_SAMPLES).min(segment.len())];
    // Silence is everywhere: it proves nothing.
    if segment[loudest].unsigned_abs() < 64 {
        return None;
    }
    let pivot = loudest - from;
    let near = |a: i16, b: i16| (i32::from(a) - i32::from(b)).abs() <= TOLERANCE;
    track
        .windows(probe.len())
        .position(|window| near(window[pivot], probe[pivot]) && window.iter().zip(probe).all(|(&a, &b)| near(a, b)))
        .map(|at| at as i64 - from as i64)
}

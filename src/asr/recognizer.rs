//! What turns a segment into words: the contract of an engine's model, and the values that cross it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::AsrError;
use crate::conversation::{Language, Word};

/// A recogniser whose weights are shared by all decoders. Two exist: [`super::WhisperEngine`] and [`super::ScriptedEngine`].
pub trait RecognizerEngine: Send + Sync {
    /// Name of the model for logs and results.
    fn model_id(&self) -> &str;
    /// Longest segment in milliseconds.
    fn max_segment_ms(&self) -> i64;
    /// A decoder with a state of its own.
    ///
    /// # Errors
    /// [`AsrError::Decoder`] if there is no memory for it.
    fn decoder(&self) -> Result<Box<dyn Decoder>, AsrError>;
}

/// One decoder: lives on one thread, decodes one segment at a time.
pub trait Decoder: Send {
    /// Recognises a segment. The same request gives the same hypothesis.
    ///
    /// # Errors
    /// [`AsrError::Cancelled`] once the flag is set, [`AsrError::SegmentTooLong`], [`AsrError::Decoder`].
    fn decode(&mut self, request: &DecodeRequest) -> Result<Hypothesis, AsrError>;
    /// Set by others to make the running `decode` give up; cleared by the owner before each.
    fn cancel_flag(&self) -> Arc<AtomicBool>;
}

/// A segment to recognise.
#[derive(Clone, Debug)]
pub struct DecodeRequest {
    /// Samples at 16 kHz in [-1, 1].
    pub samples: Arc<[f32]>,
    /// Languages that it may be in, the likeliest first; never empty. One: no detection.
    pub languages: Vec<Language>,
    /// What was said before on the channel, as a prompt to the recogniser; empty: none.
    pub context: String,
}

/// What a decoder heard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hypothesis {
    /// The text, empty if nothing was said.
    pub text: String,
    /// Its words; times in milliseconds from the start of the segment.
    pub words: Vec<Word>,
    /// The language that it was decoded in.
    pub language: Language,
    /// Probability of each language asked for, in the order asked; empty if there was no choice.
    pub language_probabilities: Vec<(Language, f32)>,
    /// Mean probability of its tokens, 0 to 1.
    pub confidence: f32,
    /// Mean natural log-probability of its tokens.
    pub log_probability: f32,
    /// Probability that nobody spoke, 0 to 1.
    pub no_speech: f32,
}

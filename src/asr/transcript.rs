//! What goes into a session and what comes out of it: plain values.

use std::time::Instant;

use super::gate::Rejection;
use super::hot_words::CallHints;
use super::language::CallLanguage;
use crate::audio::VoiceFeatures;
use crate::conversation::{Role, TimeSpan, Utterance, UtteranceId};
use crate::vad::Endpoint;

/// Who speaks on the channel, and how urgent it is.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Place in the audio.
    pub channel_index: u16,
    /// Who speaks.
    pub role: Role,
    /// Tells parties of one role apart.
    pub speaker: Option<String>,
    /// The language of the call.
    pub language: CallLanguage,
    /// Words that the call expects.
    pub hints: CallHints,
    /// Whether partials are wanted.
    pub partials: bool,
    /// Whether the words decide with the silence where an utterance ends. Not for recordings that are played fast: what the
    /// words are is known too late then, and the same recording must give the same finals.
    pub by_meaning: bool,
    /// How soon a final is due after the end of its segment, in milliseconds: 250 for a live call; more for a recording,
    /// which then lets live calls pass.
    pub urgency_ms: u32,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            channel_index: 0,
            role: Role::Unknown,
            speaker: None,
            language: CallLanguage::default(),
            hints: CallHints::default(),
            partials: true,
            by_meaning: false,
            urgency_ms: 250,
        }
    }
}

/// Where the time went between the end of speech and the final, wall clock, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Timings {
    /// Audio waiting for the rest of its block.
    pub capture_ms: u64,
    /// From the last voiced sample to the decision that speech has ended.
    pub vad_ms: u64,
    /// From that decision to the begin of decoding; 0 if the result was ready.
    pub asr_queue_ms: u64,
    /// Decoding, as far as it was waited for.
    pub asr_ms: u64,
}

/// What the listener knows of the end of a segment.
#[derive(Clone, Copy, Debug)]
pub struct SegmentTimes {
    /// See [`Timings::capture_ms`].
    pub capture_ms: u64,
    /// See [`Timings::vad_ms`].
    pub vad_ms: u64,
    /// When the decision fell.
    pub decided_at: Instant,
}

/// A revisable text of an utterance that is being spoken.
#[derive(Clone, Debug, PartialEq)]
pub struct PartialTranscript {
    /// The utterance, the same as of its final.
    pub utterance_id: UtteranceId,
    /// 1, 2, 3 …
    pub rev: u32,
    /// Its begin.
    pub start_ms: i64,
    /// How far it was heard.
    pub end_ms: i64,
    /// The text.
    pub text: String,
    /// So many code points from its start stay as they are in later partials.
    pub stable_chars: usize,
    /// BCP 47 tag.
    pub language: String,
}

/// An utterance for good.
#[derive(Clone, Debug, PartialEq)]
pub struct FinalTranscript {
    /// The utterance; `text` is as recognised, making it readable is a later stage.
    pub utterance: Utterance,
    /// Where the time went.
    pub timings: Timings,
    /// Whether it changes what a partial had called stable.
    pub rewrites_stable: bool,
    /// How it was said.
    pub voice: VoiceFeatures,
    /// Why it ended where it ends.
    pub endpoint: Endpoint,
}

/// What a session has to say. Of one utterance, in this order: `SpeechStarted`, any `Partial`s, `SpeechEnded`, and one of
/// `Final`, `Discarded`, `Failed`. These last are ordered by start over the whole channel.
#[derive(Clone, Debug, PartialEq)]
pub enum AsrEvent {
    /// Somebody began to speak.
    SpeechStarted {
        /// The utterance to come.
        utterance_id: UtteranceId,
        /// Its begin.
        start_ms: i64,
    },
    /// What was said so far.
    Partial(PartialTranscript),
    /// The speaker has stopped.
    SpeechEnded {
        /// The utterance.
        utterance_id: UtteranceId,
        /// Its place.
        span: TimeSpan,
        /// Why.
        endpoint: Endpoint,
    },
    /// What was said.
    Final(Box<FinalTranscript>),
    /// No words; partials of it are to be withdrawn.
    Discarded {
        /// The utterance.
        utterance_id: UtteranceId,
        /// Its place.
        span: TimeSpan,
        /// Why.
        reason: Rejection,
    },
    /// It could not be decoded; the cause is in the log.
    Failed {
        /// The utterance.
        utterance_id: UtteranceId,
        /// Its place.
        span: TimeSpan,
    },
}

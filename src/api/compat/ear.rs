//! A stream of samples that is listened to without being a call: one listener per channel.

use futures::future::select_all;

use super::super::{ApiContext, Problem};
use crate::asr::{AsrEvent, CallHints, CallLanguage, HotWords, SessionConfig};
use crate::audio::{Encoding, FrameDecoder};
use crate::conversation::{Language, Role, Utterance, UtteranceId};
use crate::pipeline::{ListenError, Listener, ListenerConfig, PipelineError};
use crate::vad::{Endpoint, VadConfig};

/// How to listen.
#[derive(Clone, Debug)]
pub(in crate::api) struct EarOptions {
    /// How samples are written.
    pub encoding: Encoding,
    /// Rate of the samples, hertz.
    pub rate_hz: u32,
    /// Interleaved channels, 1 or 2.
    pub channels: usize,
    /// BCP 47 tags, the likeliest first; none: both languages.
    pub languages: Vec<String>,
    /// Voice activity and endpoints.
    pub vad: VadConfig,
    /// Whether revisable texts are wanted.
    pub partials: bool,
    /// How soon a final is due after its segment, milliseconds.
    pub urgency_ms: u32,
    /// Words that are likely to be said, with weights from 1 to 10.
    pub hot_words: Vec<(String, f32)>,
}

impl Default for EarOptions {
    fn default() -> Self {
        Self {
            encoding: Encoding::PcmS16le,
            rate_hz: 16_000,
            channels: 1,
            languages: Vec::new(),
            vad: VadConfig::default(),
            partials: true,
            urgency_ms: 250,
            hot_words: Vec::new(),
        }
    }
}

/// Something heard on a channel. Of one utterance: `Started`, any `Partial`s, `Ended`, then `Final` or `Nothing`.
#[derive(Clone, Debug)]
pub(in crate::api) enum Piece {
    /// Somebody began to speak.
    Started { channel: usize, id: UtteranceId, at_ms: i64 },
    /// What was said so far; the first `stable_chars` code points stay.
    Partial { channel: usize, id: UtteranceId, start_ms: i64, end_ms: i64, text: String, stable_chars: usize },
    /// The speaker has stopped.
    Ended { id: UtteranceId, at_ms: i64 },
    /// What was said; `text` is readable, `raw_text` as recognised.
    Final { channel: usize, utterance: Utterance, endpoint: Endpoint },
    /// What began has no words.
    Nothing { id: UtteranceId },
}

/// Listens to a stream of one or two channels.
pub(in crate::api) struct Ear {
    context: ApiContext,
    listeners: Vec<Listener>,
    decoder: FrameDecoder,
}

impl Ear {
    /// Takes a slot of the recogniser for each channel.
    ///
    /// # Errors
    /// `draining`, `model_unavailable`, `overloaded`, `language_unsupported` or `invalid_audio`.
    pub(in crate::api) fn open(context: &ApiContext, options: EarOptions) -> Result<Self, Problem> {
        if context.hub.is_draining() {
            return Err(Problem::new("draining", "try another node"));
        }
        let stages = context.hub.stages();
        let engine = stages.recogniser.as_ref().ok_or(PipelineError::NoRecogniser)?;
        let invalid = |e: &dyn std::fmt::Display| Problem::new("invalid_audio", e.to_string());
        let decoder = FrameDecoder::new(options.encoding, options.channels).map_err(|e| invalid(&e))?;
        let language =
            CallLanguage::new(&options.languages).map_err(|_| Problem::new("language_unsupported", "zh and en are supported"))?;
        let hints = CallHints::new(HotWords::new(options.hot_words.iter().map(|(word, weight)| (word.as_str(), *weight))));
        let listeners = (0..options.channels)
            .map(|channel| {
                let session = SessionConfig {
                    channel_index: channel as u16,
                    role: Role::Unknown,
                    language: language.clone(),
                    hints: hints.clone(),
                    partials: options.partials,
                    urgency_ms: options.urgency_ms,
                    ..SessionConfig::default()
                };
                let vad = options.vad.clone();
                Listener::new(engine, ListenerConfig { rate_hz: options.rate_hz, start_offset_ms: 0, vad, session })
            })
            .collect::<Result<Vec<_>, ListenError>>()
            .map_err(|error| match error {
                ListenError::Asr(error) => Problem::from(PipelineError::Recogniser(error)),
                other => invalid(&other),
            })?;
        Ok(Self { context: context.clone(), listeners, decoder })
    }

    /// Takes bytes of the wire; half a sample waits for its rest.
    pub(in crate::api) fn push(&mut self, bytes: &[u8]) -> Vec<Piece> {
        let samples = self.decoder.push(bytes);
        self.push_samples(&samples)
    }

    /// Takes samples, one `Vec` per channel.
    pub(in crate::api) fn push_samples(&mut self, samples: &[Vec<f32>]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for (channel, samples) in samples.iter().enumerate().take(self.listeners.len()) {
            let events = self.listeners[channel].push(samples);
            pieces.extend(self.pieces(channel, events));
        }
        pieces
    }

    /// What the decoders have done since.
    pub(in crate::api) fn poll(&mut self) -> Vec<Piece> {
        self.each(Listener::poll)
    }

    /// Everything heard so far becomes final soon.
    pub(in crate::api) fn flush(&mut self) -> Vec<Piece> {
        self.each(Listener::flush)
    }

    /// Everything heard so far on one channel becomes final soon.
    pub(in crate::api) fn flush_channel(&mut self, channel: usize) -> Vec<Piece> {
        match self.listeners.get_mut(channel).map(Listener::flush) {
            Some(events) => self.pieces(channel, events),
            None => Vec::new(),
        }
    }

    /// Everything is over: waits for the rest.
    pub(in crate::api) async fn finish(&mut self) -> Vec<Piece> {
        let mut pieces = self.each(Listener::finish);
        pieces.extend(self.drain().await);
        pieces
    }

    /// Waits until nothing that has ended is without its words.
    pub(in crate::api) async fn drain(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for channel in 0..self.listeners.len() {
            let events = self.listeners[channel].drain().await;
            pieces.extend(self.pieces(channel, events));
        }
        pieces
    }

    /// Resolves once [`Ear::poll`] has something to do.
    pub(in crate::api) async fn ready(&self) {
        select_all(self.listeners.iter().map(|l| Box::pin(l.ready()))).await;
    }

    /// Whether more audio may come now, for senders that are not bound to real time.
    pub(in crate::api) fn wants_audio(&self) -> bool {
        self.listeners.iter().all(Listener::wants_audio)
    }

    /// Segments that have ended and wait for their words.
    pub(in crate::api) fn pending(&self) -> usize {
        self.listeners.iter().map(|l| l.progress().pending_finals).sum()
    }

    /// Audio received, milliseconds.
    pub(in crate::api) fn received_ms(&self) -> i64 {
        self.listeners.iter().map(|l| l.progress().received_ms).min().unwrap_or(0)
    }

    fn each(&mut self, mut act: impl FnMut(&mut Listener) -> Vec<AsrEvent>) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for channel in 0..self.listeners.len() {
            let events = act(&mut self.listeners[channel]);
            pieces.extend(self.pieces(channel, events));
        }
        pieces
    }

    fn pieces(&self, channel: usize, events: Vec<AsrEvent>) -> Vec<Piece> {
        events.into_iter().map(|event| self.piece(channel, event)).collect()
    }

    fn piece(&self, channel: usize, event: AsrEvent) -> Piece {
        match event {
            AsrEvent::SpeechStarted { utterance_id, start_ms } => Piece::Started { channel, id: utterance_id, at_ms: start_ms },
            AsrEvent::Partial(p) => Piece::Partial {
                channel,
                id: p.utterance_id,
                start_ms: p.start_ms,
                end_ms: p.end_ms,
                text: p.text,
                stable_chars: p.stable_chars,
            },
            AsrEvent::SpeechEnded { utterance_id, span, .. } => Piece::Ended { id: utterance_id, at_ms: span.end_ms },
            AsrEvent::Final(transcript) => {
                let mut utterance = transcript.utterance;
                let language = Language::from_tag(&utterance.language).unwrap_or_else(|| Language::of_text(&utterance.raw_text));
                utterance.text = self.context.hub.stages().normalise(&utterance.raw_text, language);
                Piece::Final { channel, utterance, endpoint: transcript.endpoint }
            }
            AsrEvent::Discarded { utterance_id, .. } | AsrEvent::Failed { utterance_id, .. } => {
                Piece::Nothing { id: utterance_id }
            }
        }
    }
}

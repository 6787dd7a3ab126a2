//! What one channel heard, as events of the wire.

use super::listen::Listener;
use crate::asr::{AsrEvent, FinalTranscript};
use crate::conversation::{Role, TimeSpan, Utterance, UtteranceId};
use crate::emotion::VoiceSample;
use crate::event::{Draft, EventBody, StageNotice, Timings, TranscriptFinal, TranscriptPartial};
use crate::speaker::SpeakerEmbedding;

/// Something that was heard.
pub(super) enum Heard {
    /// A revisable transcript.
    Partial(Draft),
    /// Somebody began to speak.
    Started {
        /// Its name.
        utterance_id: UtteranceId,
        /// Who.
        role: Role,
        /// When.
        start_ms: i64,
        /// The event.
        draft: Draft,
    },
    /// What began has no words.
    Dropped {
        /// Its name.
        utterance_id: UtteranceId,
        /// Its end.
        at_ms: i64,
        /// The event.
        draft: Draft,
    },
    /// Another event.
    Notice(Draft),
    /// A transcript that stays.
    Final {
        /// The event; its text is not normalised yet.
        event: Box<TranscriptFinal>,
        /// The utterance; its text is not normalised yet.
        utterance: Utterance,
        /// The voice.
        voice: Option<VoiceSample>,
        /// Whose voice it may be, on a channel with several parties.
        embedding: Option<SpeakerEmbedding>,
    },
}

impl Heard {
    /// Begin of the utterance, for what must be kept.
    pub(super) fn start_ms(&self) -> i64 {
        match self {
            Self::Started { start_ms, .. } => *start_ms,
            Self::Final { utterance, .. } => utterance.span.start_ms,
            Self::Partial(draft) | Self::Notice(draft) | Self::Dropped { draft, .. } => match &draft.body {
                EventBody::SpeechEnded { start_ms, .. } => *start_ms,
                EventBody::TranscriptPartial(partial) => partial.start_ms,
                EventBody::StageDegraded(notice) => notice.since_ms,
                _ => draft.at_ms,
            },
        }
    }
}

/// Longer than any frame: places further off lie outside of it.
const FAR_MS: i64 = 3_600_000;

/// One channel of a call and its listener.
pub(super) struct Channel {
    pub(super) listener: Listener,
    pub(super) role: Role,
    pub(super) writer: u64,
    pub(super) last_rev: u32,
    /// Events of the listener that were not taken yet.
    pub(super) pending: Vec<AsrEvent>,
    /// What was said before is kept already: it comes again only for the sake of another channel.
    pub(super) deaf_until_ms: i64,
    /// Its sender has sent everything: its clock stands still and holds nobody back.
    pub(super) ended: bool,
}

impl Channel {
    /// Takes samples of the wire; those that are kept already, and those of `withheld` stretches, count as silence.
    pub(super) fn push(&mut self, samples: &[f32], withheld: &[[i64; 2]]) {
        let now_ms = self.listener.progress().received_ms;
        let place = |ms: i64| self.listener.samples_in((ms - now_ms).clamp(0, FAR_MS)).min(samples.len());
        let known = [0, self.deaf_until_ms];
        let silent = withheld.iter().chain([&known]).map(|[from, until]| place(*from)..place(*until));
        let silent: Vec<_> = silent.filter(|part| !part.is_empty()).collect();
        let events = if silent.is_empty() {
            self.listener.push(samples)
        } else {
            let mut silenced = samples.to_vec();
            silent.into_iter().for_each(|part| silenced[part].fill(0.0));
            self.listener.push(&silenced)
        };
        self.keep(events);
    }

    pub(super) fn keep(&mut self, events: Vec<AsrEvent>) {
        self.pending.extend(events);
    }

    pub(super) fn drain(&mut self, index: u16) -> Vec<Heard> {
        let events = std::mem::take(&mut self.pending);
        events.into_iter().map(|event| self.heard(index, event)).collect()
    }

    fn heard(&mut self, channel_index: u16, event: AsrEvent) -> Heard {
        let role = self.turn_role();
        match event {
            AsrEvent::SpeechStarted { utterance_id, start_ms } => {
                let body = EventBody::SpeechStarted { channel_index, role, start_ms };
                Heard::Started { utterance_id, role, start_ms, draft: Draft::new(start_ms, body) }
            }
            AsrEvent::SpeechEnded { span: TimeSpan { start_ms, end_ms }, endpoint, .. } => {
                let endpoint = endpoint.name().to_owned();
                Heard::Notice(Draft::new(end_ms, EventBody::SpeechEnded { channel_index, role, start_ms, end_ms, endpoint }))
            }
            AsrEvent::Partial(p) => {
                self.last_rev = p.rev;
                let partial = TranscriptPartial {
                    utterance_id: p.utterance_id,
                    rev: p.rev,
                    channel_index,
                    role,
                    start_ms: p.start_ms,
                    end_ms: p.end_ms,
                    text: p.text,
                    stable_chars: p.stable_chars,
                    language: p.language,
                };
                Heard::Partial(Draft::new(partial.end_ms, EventBody::TranscriptPartial(partial)))
            }
            // No words after all: an empty partial takes the words so far from the screens.
            AsrEvent::Discarded { utterance_id, span: TimeSpan { start_ms, end_ms }, .. } => {
                self.listener.take_voice(&utterance_id);
                let partial = TranscriptPartial {
                    utterance_id: utterance_id.clone(),
                    rev: self.last_rev + 1,
                    channel_index,
                    role,
                    start_ms,
                    end_ms,
                    text: String::new(),
                    stable_chars: 0,
                    language: String::new(),
                };
                let draft = Draft::new(end_ms, EventBody::TranscriptPartial(partial));
                Heard::Dropped { utterance_id, at_ms: end_ms, draft }
            }
            AsrEvent::Failed { utterance_id, span: TimeSpan { start_ms, end_ms } } => {
                self.listener.take_voice(&utterance_id);
                let notice = StageNotice {
                    stage: "listen".into(),
                    level: 0,
                    cause: "decoder_failed".into(),
                    effect: format!("no transcript from {start_ms} ms to {end_ms} ms"),
                    n_dropped: 1,
                    since_ms: start_ms,
                };
                let draft = Draft::new(end_ms, EventBody::StageDegraded(notice));
                Heard::Dropped { utterance_id, at_ms: end_ms, draft }
            }
            AsrEvent::Final(transcript) => self.heard_final(channel_index, *transcript),
        }
    }

    /// The role of what is said on this channel, before anybody knows more.
    fn turn_role(&self) -> Role {
        if self.role == Role::Mixed { Role::Unknown } else { self.role }
    }

    fn heard_final(&mut self, channel_index: u16, transcript: FinalTranscript) -> Heard {
        let FinalTranscript { mut utterance, timings, rewrites_stable, voice, .. } = transcript;
        utterance.role = self.turn_role();
        let embedding = self.listener.take_voice(&utterance.utterance_id);
        let minutes = utterance.span.duration_ms() as f32 / 60_000.0;
        let rate_per_min = (minutes > 0.0).then(|| utterance.words.len() as f32 / minutes);
        let voice = voice.energy_db.map(|energy_db| VoiceSample {
            energy_db: energy_db as f32,
            pitch_hz: voice.pitch_hz.map(|p| p as f32),
            rate_per_min,
        });
        let event = TranscriptFinal {
            utterance_id: utterance.utterance_id.clone(),
            revision: 1,
            channel_index,
            role: utterance.role,
            speaker: utterance.speaker.clone(),
            start_ms: utterance.span.start_ms,
            end_ms: utterance.span.end_ms,
            text: utterance.text.clone(),
            raw_text: utterance.raw_text.clone(),
            language: utterance.language.clone(),
            confidence: utterance.confidence,
            words: utterance.words.clone(),
            redactions: Vec::new(),
            overlaps: Vec::new(),
            timings_ms: Timings {
                capture: timings.capture_ms as f32,
                vad: timings.vad_ms as f32,
                asr_queue: timings.asr_queue_ms as f32,
                asr: timings.asr_ms as f32,
            },
            rewrites_stable,
        };
        Heard::Final { event: Box::new(event), utterance, voice, embedding }
    }
}

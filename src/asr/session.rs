//! One audio channel: segments in, partial and final utterances out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::engine::{PartialPolicy, Slot};
use super::gate::{Rejection, judge, may_show};
use super::mailbox::{Mailbox, Reply};
use super::meaning::{Ending, ending_of};
use super::partial::Agreement;
use super::queue::{JobKind, Ticket};
use super::transcript::{AsrEvent, FinalTranscript, PartialTranscript, SegmentTimes, SessionConfig, Timings};
use super::words::join;
use super::{AsrError, DecodeRequest, Hypothesis};
use crate::audio::{MODEL_RATE_HZ, VoiceFeatures, voice_features};
use crate::conversation::{TimeSpan, Utterance, UtteranceId, Word};
use crate::vad::{Endpoint, OpenSegment, Patience, SpeechEvidence, SpeechSegment};

/// Finals of one session in the engine at once: a long recording waits in its own session, not before others.
const MAX_UNDER_WAY: usize = 4;
/// Decodes of one final before it is given up.
const MAX_ATTEMPTS: u32 = 2;
/// New speech before the next try for a first partial, milliseconds.
const FIRST_RETRY_MS: u64 = 100;
const SAMPLES_PER_MS: u64 = MODEL_RATE_HZ as u64 / 1_000;

/// The utterance that is being spoken.
#[derive(Debug)]
struct Open {
    id: UtteranceId,
    start_ms: i64,
    agreement: Agreement,
    partial: Option<Asked>,
    /// Samples at the last partial asked for.
    asked_samples: usize,
    likely: Option<Likely>,
    evidence: SpeechEvidence,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    ticket: Ticket,
    n_samples: usize,
}

/// The decode of what will be the final if silence goes on.
#[derive(Debug)]
struct Likely {
    n_samples: usize,
    state: Decode,
}

#[derive(Debug)]
enum Decode {
    /// Not given to the engine yet.
    Held,
    Waiting(Ticket),
    Done(Reply),
}

/// A segment that has ended and waits for its words.
#[derive(Debug)]
struct Pending {
    id: UtteranceId,
    span: TimeSpan,
    segment: SpeechSegment,
    agreement: Agreement,
    voice: VoiceFeatures,
    times: SegmentTimes,
    decode: Decode,
    attempts: u32,
    refused: Option<Rejection>,
}

/// Recognition of one channel. Never blocks but in [`Session::wait`].
#[derive(Debug)]
pub struct Session {
    slot: Slot,
    config: SessionConfig,
    mailbox: Arc<Mailbox>,
    origin_ms: i64,
    open: Option<Open>,
    pending: VecDeque<Pending>,
    /// Text of the last final, if it is carried over.
    context: String,
}

impl Session {
    pub(super) fn new(slot: Slot, config: SessionConfig) -> Self {
        Self { slot, config, mailbox: Arc::default(), origin_ms: 0, open: None, pending: VecDeque::new(), context: String::new() }
    }

    /// Sets the time of sample 0, for segments to come.
    pub fn set_origin_ms(&mut self, origin_ms: i64) {
        self.origin_ms = origin_ms;
    }

    /// Audio of the channel came in, speech or not: what the load of the engine is measured against.
    pub fn count_heard(&self, us: u64) {
        self.slot.shared.count_heard(us);
    }

    /// Speech began at a sample.
    pub fn start(&mut self, start_sample: u64) -> AsrEvent {
        let open = Open {
            id: UtteranceId::new(),
            start_ms: self.time_ms(start_sample),
            agreement: Agreement::default(),
            partial: None,
            asked_samples: 0,
            likely: None,
            evidence: SpeechEvidence::default(),
        };
        let event = AsrEvent::SpeechStarted { utterance_id: open.id.clone(), start_ms: open.start_ms };
        self.open = Some(open);
        event
    }

    /// Looks at the segment that is being spoken and asks for a partial, or for the final to come, if it is time.
    pub fn hear(&mut self, segment: &OpenSegment<'_>) {
        let Some(open) = self.open.as_mut().filter(|_| self.config.partials) else { return };
        open.evidence = segment.evidence;
        let urgency = Duration::from_millis(self.config.urgency_ms.into());
        let shared = &self.slot.shared;
        if let Some(likely) = segment.likely_final {
            if open.likely.as_ref().is_none_or(|known| known.n_samples != likely.len()) {
                let request = request(likely.into(), &self.config, &self.context);
                let ticket = shared.submit(self.slot.id, JobKind::Likely, urgency, request, &self.mailbox);
                open.likely = Some(Likely { n_samples: likely.len(), state: Decode::Waiting(ticket) });
            }
            return;
        }
        let policy = shared.partial_policy();
        let every_ms = match policy {
            PartialPolicy::Full => u64::from(shared.config.partial_interval_ms),
            PartialPolicy::Coalesced => 2 * u64::from(shared.config.partial_interval_ms),
            PartialPolicy::Off => return,
        };
        let n_samples = segment.samples.len();
        let shown = open.agreement.was_shown();
        let due = match (open.asked_samples, shown) {
            (0, _) => segment.lead_samples + (u64::from(shared.config.first_partial_ms) * SAMPLES_PER_MS) as usize,
            // Nothing is on the screen yet: the next try comes sooner.
            (asked, false) => asked + (every_ms.min(FIRST_RETRY_MS) * SAMPLES_PER_MS) as usize,
            (asked, true) => asked + (every_ms * SAMPLES_PER_MS) as usize,
        };
        if n_samples >= due && open.partial.is_none() {
            let request = request(segment.samples.into(), &self.config, &self.context);
            let kind = if shown { JobKind::Partial } else { JobKind::First };
            let ticket = shared.submit(self.slot.id, kind, urgency, request, &self.mailbox);
            open.partial = Some(Asked { ticket, n_samples });
            open.asked_samples = n_samples;
        }
    }

    /// What the words of the segment that is being spoken say about the silence behind them; `None` if they are not known, say
    /// nothing, or are not asked.
    pub fn patience(&self, segment: &OpenSegment<'_>) -> Option<Patience> {
        let likely = self.open.as_ref().filter(|_| self.config.by_meaning)?.likely.as_ref()?;
        // Somebody spoke again since: these are not its last words.
        if segment.likely_final.is_none_or(|samples| samples.len() != likely.n_samples) {
            return None;
        }
        let Decode::Done(Reply { outcome: Ok(hypothesis), .. }) = &likely.state else { return None };
        match ending_of(&hypothesis.text, hypothesis.language) {
            Ending::Question => Some(Patience::Complete),
            ending if ending.is_unfinished() => Some(Patience::Unfinished),
            _ => None,
        }
    }

    /// Speech ended.
    pub fn end(&mut self, segment: SpeechSegment, times: SegmentTimes) -> Vec<AsrEvent> {
        let end_sample = segment.start_sample + segment.samples.len() as u64;
        let span = TimeSpan::new(self.time_ms(segment.start_sample), self.time_ms(end_sample));
        let mut events = Vec::new();
        if self.open.is_none() {
            events.push(self.start(segment.start_sample));
        }
        let Some(open) = self.open.take() else { return events };
        events.push(AsrEvent::SpeechEnded { utterance_id: open.id.clone(), span, endpoint: segment.endpoint });
        let decode = match open.likely.filter(|likely| likely.n_samples == segment.samples.len()) {
            Some(Likely { state: Decode::Done(reply), .. }) if reply.outcome.is_ok() => {
                self.slot.shared.count_reused();
                Decode::Done(reply)
            }
            Some(Likely { state: Decode::Waiting(ticket), .. }) if self.slot.shared.promote(ticket, self.urgency()) => {
                Decode::Waiting(ticket)
            }
            _ => Decode::Held,
        };
        self.slot.shared.withdraw_partials(self.slot.id);
        self.pending.push_back(Pending {
            id: open.id,
            span,
            voice: VoiceFeatures::default(),
            segment,
            agreement: open.agreement,
            times,
            decode,
            attempts: 0,
            refused: None,
        });
        self.submit_held();
        // measured while the decoder works
        if let Some(last) = self.pending.back_mut() {
            last.voice = voice_features(&last.segment.samples);
        }
        events.extend(self.poll());
        events
    }

    /// What began was no speech; `end_sample` is the first behind it.
    pub fn reject(&mut self, end_sample: u64) -> Vec<AsrEvent> {
        let Some(open) = self.open.take() else { return Vec::new() };
        self.slot.shared.withdraw_partials(self.slot.id);
        let span = TimeSpan::new(open.start_ms, self.time_ms(end_sample).max(open.start_ms));
        let segment = SpeechSegment {
            start_sample: 0,
            samples: Vec::new().into(),
            speech_end_sample: 0,
            endpoint: Endpoint::Vad,
            evidence: open.evidence,
        };
        let ended = AsrEvent::SpeechEnded { utterance_id: open.id.clone(), span, endpoint: Endpoint::Vad };
        // It waits its turn behind finals that are still being decoded, so that order holds.
        self.pending.push_back(Pending {
            id: open.id,
            span,
            segment,
            agreement: open.agreement,
            voice: VoiceFeatures::default(),
            times: SegmentTimes { capture_ms: 0, vad_ms: 0, decided_at: Instant::now() },
            decode: Decode::Held,
            attempts: 0,
            refused: Some(Rejection::Tone),
        });
        let mut events = vec![ended];
        events.extend(self.poll());
        events
    }

    /// What the decoders have done since the last call.
    pub fn poll(&mut self) -> Vec<AsrEvent> {
        let mut events = Vec::new();
        for reply in self.mailbox.take() {
            self.take_reply(reply, &mut events);
        }
        let settled = |pending: &Pending| pending.refused.is_some() || matches!(pending.decode, Decode::Done(_));
        while self.pending.front().is_some_and(settled) {
            let Some(done) = self.pending.pop_front() else { break };
            events.push(self.finish(done));
        }
        self.submit_held();
        events
    }

    /// Resolves once [`Session::poll`] has something to do.
    pub async fn ready(&self) {
        self.mailbox.ready().await;
    }

    /// Blocks until [`Session::poll`] has something to do, or the time is over.
    pub fn wait(&self, patience: Duration) {
        self.mailbox.wait(patience);
    }

    /// Segments that have ended and wait for their words.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Begin of the earliest utterance that is not final, in milliseconds.
    pub fn first_unsettled_ms(&self) -> Option<i64> {
        self.pending.front().map(|pending| pending.span.start_ms).or(self.open.as_ref().map(|open| open.start_ms))
    }

    /// How long the oldest ended segment has waited, in milliseconds; 0 if none waits.
    pub fn lag_ms(&self) -> u64 {
        self.pending.front().map_or(0, |pending| pending.times.decided_at.elapsed().as_millis() as u64)
    }

    fn time_ms(&self, sample: u64) -> i64 {
        self.origin_ms + (sample / SAMPLES_PER_MS) as i64
    }

    fn urgency(&self) -> Duration {
        Duration::from_millis(self.config.urgency_ms.into())
    }

    /// Gives held finals to the engine, a few at a time, in order.
    fn submit_held(&mut self) {
        let urgency = self.urgency();
        for pending in self.pending.iter_mut().take(MAX_UNDER_WAY) {
            if matches!(pending.decode, Decode::Held) && pending.refused.is_none() {
                let samples = Arc::clone(&pending.segment.samples);
                let request = request(samples, &self.config, &self.context);
                let shared = &self.slot.shared;
                let ticket = shared.submit(self.slot.id, JobKind::Final, urgency, request, &self.mailbox);
                pending.decode = Decode::Waiting(ticket);
            }
        }
    }

    fn take_reply(&mut self, reply: Reply, events: &mut Vec<AsrEvent>) {
        let reply = Reply { outcome: reply.outcome.map(|hypothesis| self.expected(hypothesis)), ..reply };
        let waits = |decode: &Decode| matches!(decode, Decode::Waiting(ticket) if *ticket == reply.ticket);
        if let Some(pending) = self.pending.iter_mut().find(|pending| waits(&pending.decode)) {
            pending.decode = match &reply.outcome {
                // given up for another final between two looks, or a decoder that broke: once more
                Err(AsrError::Cancelled) => Decode::Held,
                Err(AsrError::Decoder { .. }) if pending.attempts + 1 < MAX_ATTEMPTS => {
                    pending.attempts += 1;
                    Decode::Held
                }
                _ => Decode::Done(reply),
            };
            return;
        }
        let Some(open) = self.open.as_mut() else { return };
        let asked = open.partial.filter(|asked| asked.ticket == reply.ticket);
        let likely = open.likely.as_mut().filter(|likely| waits(&likely.state));
        let n_samples = match (&asked, &likely) {
            (Some(asked), _) => asked.n_samples,
            (None, Some(likely)) => likely.n_samples,
            (None, None) => return,
        };
        let duration_ms = (n_samples as u64 / SAMPLES_PER_MS) as i64;
        if let Ok(hypothesis) = &reply.outcome {
            let gate = &self.slot.shared.config.gate;
            let heard = may_show(hypothesis, &open.evidence, duration_ms, gate);
            let words = hypothesis.words.iter().map(|word| word.text.clone()).collect();
            if let Some(shown) = heard.then(|| open.agreement.take(words)).flatten() {
                events.push(AsrEvent::Partial(PartialTranscript {
                    utterance_id: open.id.clone(),
                    rev: shown.rev,
                    start_ms: open.start_ms,
                    end_ms: open.start_ms + duration_ms,
                    text: shown.text,
                    stable_chars: shown.stable_chars,
                    language: self.config.language.tag(hypothesis.language),
                }));
            }
        }
        if asked.is_some() {
            open.partial = None;
        } else if let Some(likely) = likely {
            likely.state = if reply.outcome.is_ok() { Decode::Done(reply) } else { Decode::Held };
        }
    }

    /// The hypothesis with the words that the call expects.
    fn expected(&self, hypothesis: Hypothesis) -> Hypothesis {
        let hot = self.config.hints.words();
        match hot.apply(&hypothesis.words).filter(|_| !hot.is_empty()) {
            Some(words) => Hypothesis { text: join(words.iter().map(|word| word.text.as_str())), words, ..hypothesis },
            None => hypothesis,
        }
    }

    /// The last word on a segment.
    fn finish(&mut self, pending: Pending) -> AsrEvent {
        let Pending { id, span, segment, agreement, voice, times, decode, refused, .. } = pending;
        let discarded = |utterance_id, reason| AsrEvent::Discarded { utterance_id, span, reason };
        if let Some(reason) = refused {
            return discarded(id, reason);
        }
        let Decode::Done(reply) = decode else { return AsrEvent::Failed { utterance_id: id, span } };
        let hypothesis = match reply.outcome {
            Ok(hypothesis) => hypothesis,
            Err(error) => {
                tracing::error!(utterance_id = %id, duration_ms = span.duration_ms(), %error, "an utterance was not recognised");
                return AsrEvent::Failed { utterance_id: id, span };
            }
        };
        let gate = &self.slot.shared.config.gate;
        let rejected = judge(&hypothesis, &segment.evidence, voice.voiced_share, span.duration_ms(), gate);
        tracing::debug!(
            utterance_id = %id,
            rejected = rejected.map(Rejection::name),
            shown = agreement.was_shown(),
            words = hypothesis.words.len(),
            log_probability = hypothesis.log_probability,
            no_speech = hypothesis.no_speech,
            mean_probability = segment.evidence.mean_probability,
            speech_ratio = segment.evidence.speech_ratio,
            voiced_share = voice.voiced_share,
            duration_ms = span.duration_ms(),
            "judged"
        );
        if let Some(reason) = rejected {
            return discarded(id, reason);
        }
        if self.slot.shared.config.carry_over {
            self.context.clone_from(&hypothesis.text);
        }
        self.config.language.observe(&hypothesis.language_probabilities, span.duration_ms());
        let waited_ms = times.decided_at.elapsed().as_millis() as u64;
        let asr_ms = reply.decode_ms.min(waited_ms);
        AsrEvent::Final(Box::new(FinalTranscript {
            rewrites_stable: agreement.broken_by(&hypothesis.text),
            utterance: self.utterance(id, span, hypothesis),
            timings: Timings { capture_ms: times.capture_ms, vad_ms: times.vad_ms, asr_queue_ms: waited_ms - asr_ms, asr_ms },
            voice,
            endpoint: segment.endpoint,
        }))
    }

    fn utterance(&self, id: UtteranceId, span: TimeSpan, hypothesis: Hypothesis) -> Utterance {
        let words = hypothesis.words.into_iter().map(|word| Word {
            start_ms: (span.start_ms + word.start_ms).clamp(span.start_ms, span.end_ms),
            end_ms: (span.start_ms + word.end_ms).clamp(span.start_ms, span.end_ms),
            ..word
        });
        Utterance {
            utterance_id: id,
            channel_index: Some(self.config.channel_index),
            role: self.config.role,
            speaker: self.config.speaker.clone(),
            span,
            raw_text: hypothesis.text.clone(),
            text: hypothesis.text,
            language: self.config.language.tag(hypothesis.language),
            confidence: Some(hypothesis.confidence),
            words: words.collect(),
        }
    }
}

fn request(samples: Arc<[f32]>, config: &SessionConfig, context: &str) -> DecodeRequest {
    DecodeRequest { samples, languages: config.language.candidates(), context: context.to_owned() }
}

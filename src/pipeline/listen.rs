//! Listening: the samples of one channel to utterances. Resampler, voice activity and recognition in a row, and the clock
//! that places everything in the call.
//!
//! ```text
//! samples (wire rate) -> audio::Resampler -> vad::SpeechDetector -> asr::Session ~> AsrEvent
//! ```
//!
//! Time is the number of samples received, plus what was said to be missing (`gap`) or withheld (`pause`).

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::asr::{AsrError, AsrEvent, Engine, SegmentTimes, Session, SessionConfig};
use crate::audio::{AudioError, MODEL_RATE_HZ, Resampler};
use crate::conversation::{Role, UtteranceId};
use crate::speaker::{SpeakerEmbedding, changes, embed};
use crate::vad::{Endpoint, SpeechDetector, SpeechSegment, VadConfig, VadError, VadEvent};

/// A gap up to this long is filled with silence, so that speech goes on over it; behind it the clock jumps.
const MAX_FILLED_GAP_MS: u64 = 2_000;
/// Finals that may wait before a sender that is not bound to real time should pause.
const MAX_PENDING: usize = 6;
/// Arrival times kept, at most; one per push.
const MAX_ARRIVALS: usize = 1_024;
const SAMPLES_PER_MS: u64 = MODEL_RATE_HZ as u64 / 1_000;

/// Why a channel cannot be listened to.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The audio is not usable.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The settings of voice activity are not.
    #[error(transparent)]
    Vad(#[from] VadError),
    /// Recognition refuses.
    #[error(transparent)]
    Asr(#[from] AsrError),
}

/// What to listen to, and how.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Rate of the samples pushed, in hertz, 8 000 to 48 000.
    pub rate_hz: u32,
    /// Time of the first sample in the call.
    pub start_offset_ms: i64,
    /// Where speech begins and ends; the longest segment is cut to what the model hears.
    pub vad: VadConfig,
    /// Channel, role, language.
    pub session: SessionConfig,
}

/// How far a channel is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Audio received, as a time in the call.
    pub received_ms: i64,
    /// Everything before is final and will not be asked for again.
    pub final_ms: i64,
    /// How long the oldest ended segment has waited for its words.
    pub lag_ms: u64,
    /// Segments that have ended and wait for their words.
    pub pending_finals: usize,
}

/// Listens to one channel.
#[derive(Debug)]
pub struct Listener {
    resampler: Resampler,
    detector: SpeechDetector,
    session: Session,
    rate_hz: u64,
    start_offset_ms: i64,
    /// Samples of the wire rate that have passed, heard or not.
    passed_samples: u64,
    /// Samples to come that were received before.
    surplus_samples: u64,
    /// Silence that was said to be missing and could not be counted in samples of the wire rate, in milliseconds.
    skipped_ms: u64,
    /// Time of sample 0 of the detector.
    origin_ms: i64,
    paused: bool,
    /// When the audio up to a sample (16 kHz) arrived, oldest first.
    arrivals: VecDeque<(u64, Instant)>,
    /// Several parties speak on this channel.
    mixed: bool,
    /// Whose words are not final yet, or have not been asked for: how they sound. Of mixed channels only.
    voices: HashMap<UtteranceId, SpeakerEmbedding>,
}

impl Listener {
    /// A listener that holds a slot of the engine.
    ///
    /// # Errors
    /// [`ListenError`]: a rate or a setting out of range, or no free slot.
    pub fn new(engine: &Engine, config: ListenerConfig) -> Result<Self, ListenError> {
        let longest_ms = u32::try_from(engine.max_segment_ms()).unwrap_or(u32::MAX);
        let vad = VadConfig { max_segment_ms: config.vad.max_segment_ms.min(longest_ms), ..config.vad };
        let resampler = Resampler::new(config.rate_hz)?;
        let detector = SpeechDetector::new(vad)?;
        let mixed = config.session.role == Role::Mixed;
        let mut session = engine.session(config.session)?;
        session.set_origin_ms(config.start_offset_ms);
        Ok(Self {
            resampler,
            detector,
            session,
            rate_hz: config.rate_hz.into(),
            start_offset_ms: config.start_offset_ms,
            passed_samples: 0,
            surplus_samples: 0,
            skipped_ms: 0,
            origin_ms: config.start_offset_ms,
            paused: false,
            arrivals: VecDeque::new(),
            mixed,
            voices: HashMap::new(),
        })
    }

    /// Takes samples of the wire rate and tells what is new.
    pub fn push(&mut self, samples: &[f32]) -> Vec<AsrEvent> {
        let samples = &samples[self.take_surplus(samples.len())..];
        self.passed_samples += samples.len() as u64;
        self.session.count_heard(samples.len() as u64 * 1_000_000 / self.rate_hz);
        if self.paused {
            return self.session.poll();
        }
        let ready = self.resampler.push(samples);
        self.hear(&ready)
    }

    /// The sender goes on from this millisecond, at or before the one that [`Progress::received_ms`] names: what was received
    /// beyond it comes again and is left out.
    pub fn go_on(&mut self, from_ms: i64) {
        let again = self.samples_in(self.now_ms() - from_ms) as u64;
        self.surplus_samples = self.passed_samples % (self.rate_hz / 1_000).max(1) + again;
    }

    /// Samples come at another rate from now on; what is open is finalised if it is another.
    ///
    /// # Errors
    /// The rate is out of range; nothing was changed.
    pub fn set_rate(&mut self, rate_hz: u32) -> Result<Vec<AsrEvent>, ListenError> {
        if u64::from(rate_hz) == self.rate_hz {
            return Ok(Vec::new());
        }
        let resampler = Resampler::new(rate_hz)?;
        let mut events = self.settle();
        self.start_offset_ms = self.now_ms();
        (self.passed_samples, self.surplus_samples, self.skipped_ms) = (0, 0, 0);
        self.rate_hz = rate_hz.into();
        self.resampler = resampler;
        self.reset_origin();
        events.extend(self.session.poll());
        Ok(events)
    }

    /// How many of the next samples were heard before.
    fn take_surplus(&mut self, n_samples: usize) -> usize {
        let again = usize::try_from(self.surplus_samples).unwrap_or(usize::MAX).min(n_samples);
        self.surplus_samples -= again as u64;
        again
    }

    /// Samples were lost: their time passes.
    pub fn gap(&mut self, duration_ms: u64) -> Vec<AsrEvent> {
        let filled_ms = duration_ms.min(MAX_FILLED_GAP_MS);
        let mut events = self.push(&vec![0.0; (filled_ms * self.rate_hz / 1_000) as usize]);
        let rest_ms = duration_ms - filled_ms;
        if rest_ms > 0 {
            events.extend(self.settle());
            self.skipped_ms += rest_ms;
            self.reset_origin();
        }
        events
    }

    /// Nothing is heard until [`Listener::resume`]; what is open is finalised, the clock runs on.
    pub fn pause(&mut self) -> Vec<AsrEvent> {
        let events = self.settle();
        self.paused = true;
        events
    }

    /// Ends a pause.
    pub fn resume(&mut self) -> Vec<AsrEvent> {
        if self.paused {
            self.paused = false;
            self.reset_origin();
        }
        self.session.poll()
    }

    /// Finalises what is pending now.
    pub fn flush(&mut self) -> Vec<AsrEvent> {
        let mut events = self.settle();
        self.reset_origin();
        events.extend(self.session.poll());
        events
    }

    /// The audio is over. Finals may still be with the decoders: see [`Listener::drain`].
    pub fn finish(&mut self) -> Vec<AsrEvent> {
        self.settle()
    }

    /// What the decoders have done since; never blocks.
    pub fn poll(&mut self) -> Vec<AsrEvent> {
        self.session.poll()
    }

    /// Resolves once [`Listener::poll`] has something to do.
    pub async fn ready(&self) {
        self.session.ready().await;
    }

    /// Waits until nothing is pending.
    pub async fn drain(&mut self) -> Vec<AsrEvent> {
        let mut events = self.session.poll();
        while self.session.pending() > 0 {
            self.session.ready().await;
            events.extend(self.session.poll());
        }
        events
    }

    /// Waits until nothing is pending, on this thread.
    pub fn drain_blocking(&mut self) -> Vec<AsrEvent> {
        let mut events = self.session.poll();
        while self.session.pending() > 0 {
            self.session.wait(Duration::from_millis(200));
            events.extend(self.session.poll());
        }
        events
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let received_ms = self.now_ms();
        let settled_ms = if self.paused { received_ms } else { self.time_ms(self.detector.settled_samples()) };
        Progress {
            received_ms,
            final_ms: self.session.first_unsettled_ms().unwrap_or(settled_ms).min(received_ms),
            lag_ms: self.session.lag_ms(),
            pending_finals: self.session.pending(),
        }
    }

    /// Whether more audio may come now. A sender that is not bound to real time should wait while this is false.
    pub fn wants_audio(&self) -> bool {
        self.session.pending() < MAX_PENDING
    }

    /// Samples of the wire rate in a time.
    pub fn samples_in(&self, duration_ms: i64) -> usize {
        (duration_ms.max(0) as u64 * self.rate_hz / 1_000) as usize
    }

    fn now_ms(&self) -> i64 {
        self.start_offset_ms + (self.passed_samples * 1_000 / self.rate_hz + self.skipped_ms) as i64
    }

    fn time_ms(&self, sample: u64) -> i64 {
        self.origin_ms + (sample / SAMPLES_PER_MS) as i64
    }

    /// Lets everything taken so far become final: the rest of the resampler, then what is open.
    fn settle(&mut self) -> Vec<AsrEvent> {
        if self.paused {
            return self.session.poll();
        }
        let rest = self.resampler.finish();
        let mut events = self.hear(&rest);
        if let Some(event) = self.detector.flush() {
            events.extend(self.take(event));
        }
        events
    }

    /// The next sample of the detector is at this moment of the call.
    fn reset_origin(&mut self) {
        self.origin_ms = self.now_ms() - (self.detector.taken_samples() / SAMPLES_PER_MS) as i64;
        self.session.set_origin_ms(self.origin_ms);
    }

    fn hear(&mut self, samples: &[f32]) -> Vec<AsrEvent> {
        let before = self.detector.taken_samples();
        self.arrivals.push_back((before + samples.len() as u64, Instant::now()));
        if self.arrivals.len() > MAX_ARRIVALS {
            self.arrivals.pop_front();
        }
        let mut events = Vec::new();
        for event in self.detector.push(samples) {
            events.extend(self.take(event));
        }
        if let Some(open) = self.detector.open_segment() {
            self.session.hear(&open);
        }
        events.extend(self.session.poll());
        let patience = self.detector.open_segment().and_then(|open| self.session.patience(&open));
        self.detector.set_patience(patience);
        events
    }

    fn take(&mut self, event: VadEvent) -> Vec<AsrEvent> {
        match event {
            VadEvent::Started { start_sample } => vec![self.session.start(start_sample)],
            VadEvent::Ended(segment) if self.mixed => self.end_turns(&segment),
            VadEvent::Ended(segment) => {
                let times = self.times_of(&segment);
                self.session.end(segment, times)
            }
            VadEvent::Rejected { end_sample, .. } => self.session.reject(end_sample),
        }
    }

    /// Ends a segment in which several parties may speak: each part of one voice becomes an utterance of its own.
    fn end_turns(&mut self, segment: &SpeechSegment) -> Vec<AsrEvent> {
        let mut events = Vec::new();
        for (number, part) in parts(segment, &changes(&segment.samples)).into_iter().enumerate() {
            if number > 0 {
                events.push(self.session.start(part.start_sample));
            }
            let voice = embed(&part.samples);
            let times = self.times_of(&part);
            let ended = self.session.end(part, times);
            let id = ended.iter().find_map(|event| match event {
                AsrEvent::SpeechEnded { utterance_id, .. } => Some(utterance_id.clone()),
                _ => None,
            });
            self.voices.extend(id.map(|id| (id, voice)));
            events.extend(ended);
        }
        events
    }

    /// How an utterance of a mixed channel sounds; asked for once, when its words are final or there are none.
    pub fn take_voice(&mut self, utterance: &UtteranceId) -> Option<SpeakerEmbedding> {
        self.voices.remove(utterance)
    }

    /// Wall-clock times of the end of a segment.
    fn times_of(&mut self, segment: &SpeechSegment) -> SegmentTimes {
        let decided_at = Instant::now();
        // At the longest length, or on a flush, the audio itself ends the segment.
        let last_sample = match segment.endpoint {
            Endpoint::Vad | Endpoint::Semantic => segment.speech_end_sample,
            Endpoint::MaxLength | Endpoint::Flush => segment.start_sample + segment.samples.len() as u64,
        };
        while self.arrivals.len() > 1 && self.arrivals.front().is_some_and(|(until, _)| *until < last_sample) {
            self.arrivals.pop_front();
        }
        let arrived = self.arrivals.front().map_or(decided_at, |(_, at)| *at);
        // The frame that ends the hangover waited for its last sample: at most one frame of the detector.
        let capture_ms = self.detector.taken_samples() % crate::vad::FRAME_SAMPLES as u64 / SAMPLES_PER_MS;
        let total_ms = decided_at.duration_since(arrived).as_millis() as u64;
        SegmentTimes { capture_ms: capture_ms.min(total_ms), vad_ms: total_ms.saturating_sub(capture_ms), decided_at }
    }
}

/// A segment cut at samples of it, in order.
fn parts(segment: &SpeechSegment, cuts: &[usize]) -> Vec<SpeechSegment> {
    if cuts.is_empty() {
        return vec![segment.clone()];
    }
    let borders: Vec<usize> = std::iter::once(0).chain(cuts.iter().copied()).chain([segment.samples.len()]).collect();
    borders
        .windows(2)
        .map(|border| {
            let (from, to) = (border[0], border[1]);
            let last = to == segment.samples.len();
            let start_sample = segment.start_sample + from as u64;
            SpeechSegment {
                start_sample,
                samples: segment.samples[from..to].into(),
                speech_end_sample: if last { segment.speech_end_sample } else { segment.start_sample + to as u64 },
                endpoint: if last { segment.endpoint } else { Endpoint::Vad },
                evidence: segment.evidence,
            }
        })
        .collect()
}

#[cfg(test)]
#[path = "listen_tests.rs"]
mod tests;

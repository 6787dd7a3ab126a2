//! The listeners of one call and the sockets that feed them.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use futures::future::select_all;
use tokio::sync::mpsc;

use super::PipelineError;
use super::heard::{Channel, Heard};
use super::listen::{Listener, ListenerConfig};
use super::overlap::Overlaps;
pub use super::sockets::{Attach, AudioNotice, AudioReady};
use crate::asr::{AsrEvent, CallHints, CallLanguage, Engine, HotWords, PartialPolicy, SessionConfig};
use crate::event::{Call, Draft, EventBody, StageNotice};
use crate::vad::VadConfig;

/// How far live audio may run ahead of real time, milliseconds.
pub const MAX_AHEAD_MS: i64 = 10_000;
/// Lag from which on the sender is told, milliseconds.
const SLOW_MS: i64 = 2_000;

struct Writer {
    channels: Vec<u16>,
    notices: mpsc::UnboundedSender<AudioNotice>,
    replay: bool,
    opened: Instant,
    start_ms: i64,
    marks: Vec<(String, i64)>,
}

/// All listeners of a call.
pub(super) struct Ears {
    vad: VadConfig,
    heard_until_ms: i64,
    /// Where each channel goes on that was thrown away because what it said could not be kept.
    go_on_at: BTreeMap<u16, i64>,
    overlaps: Overlaps,
    channels: BTreeMap<u16, Channel>,
    writers: HashMap<u64, Writer>,
    language: Option<CallLanguage>,
    hints: CallHints,
    engine: Option<Engine>,
    hold_since_ms: Option<i64>,
    n_utterances: u64,
    ladder_level: u8,
}

impl Ears {
    /// `heard_until_ms`: where listening goes on, for a call that was taken up again.
    pub(super) fn new(vad: VadConfig, heard_until_ms: i64) -> Self {
        Self {
            overlaps: Overlaps::new(vad.padding_ms),
            vad,
            heard_until_ms,
            go_on_at: BTreeMap::new(),
            channels: BTreeMap::new(),
            writers: HashMap::new(),
            language: None,
            hints: CallHints::default(),
            engine: None,
            hold_since_ms: None,
            n_utterances: 0,
            ladder_level: 0,
        }
    }

    /// Lets a socket send on its channels.
    pub(super) fn attach(&mut self, attach: Attach, engine: Option<&Engine>, call: &Call) -> Result<AudioReady, PipelineError> {
        let engine = engine.ok_or(PipelineError::NoRecogniser)?;
        for spec in &attach.channels {
            let present = self.channels.get(&spec.channel_index).map(|c| c.writer).filter(|w| self.writers.contains_key(w));
            // A newer socket may take over, an older one that was slow to say who it is may not.
            if present.is_some_and(|present| !attach.resume || present > attach.writer) {
                return Err(PipelineError::WriterPresent(spec.channel_index));
            }
        }
        let language = match &self.language {
            Some(language) => language.clone(),
            None => CallLanguage::new(&call.languages).map_err(PipelineError::Recogniser)?,
        };
        self.language = Some(language.clone());
        self.engine = Some(engine.clone());
        for spec in &attach.channels {
            match self.channels.get_mut(&spec.channel_index) {
                Some(channel) => {
                    if let Some(old) = self.writers.remove(&channel.writer) {
                        let _ = old.notices.send(AudioNotice::TakenOver);
                    }
                    channel.writer = attach.writer;
                    channel.role = spec.role;
                    channel.listener.go_on();
                }
                None => {
                    let session = SessionConfig {
                        channel_index: spec.channel_index,
                        role: spec.role,
                        language: language.clone(),
                        hints: self.hints.clone(),
                        partials: attach.partials,
                        by_meaning: !attach.replay,
                        urgency_ms: if attach.replay { 1_000 } else { 250 },
                        ..SessionConfig::default()
                    };
                    let config = ListenerConfig {
                        rate_hz: attach.sample_rate_hz,
                        start_offset_ms: attach.start_offset_ms.max(self.heard_until_ms),
                        vad: self.vad.clone(),
                        session,
                    };
                    let listener = Listener::new(engine, config)?;
                    let channel = Channel {
                        listener,
                        role: spec.role,
                        writer: attach.writer,
                        last_rev: 0,
                        pending: Vec::new(),
                        deaf_until_ms: self.go_on_at.remove(&spec.channel_index).unwrap_or(0),
                    };
                    self.channels.insert(spec.channel_index, channel);
                }
            }
        }
        let start_ms = self.received_ms().unwrap_or(self.heard_until_ms);
        self.writers.insert(
            attach.writer,
            Writer {
                channels: attach.channels.iter().map(|c| c.channel_index).collect(),
                notices: attach.notices,
                replay: attach.replay,
                opened: Instant::now(),
                start_ms,
                marks: Vec::new(),
            },
        );
        Ok(AudioReady { resume_from_ms: start_ms, max_ahead_ms: MAX_AHEAD_MS })
    }

    /// Samples per channel of a writer; those of a writer that lost its channels are dropped.
    pub(super) fn push(&mut self, writer: u64, samples: &[Vec<f32>]) {
        let Some(from) = self.writers.get(&writer) else { return };
        for (index, channel_samples) in from.channels.iter().zip(samples) {
            if let Some(channel) = self.channels.get_mut(index).filter(|c| c.writer == writer) {
                channel.push(channel_samples);
            }
        }
        let ahead = self.received_ms().unwrap_or(0) - from.start_ms - from.opened.elapsed().as_millis() as i64;
        if !from.replay && ahead > MAX_AHEAD_MS {
            let _ = from.notices.send(AudioNotice::TooFarAhead);
        }
    }

    fn each(&mut self, index: Option<u16>, mut act: impl FnMut(&mut Listener) -> Vec<AsrEvent>) {
        for (_, channel) in self.channels.iter_mut().filter(|(i, _)| index.is_none_or(|wanted| wanted == **i)) {
            let events = act(&mut channel.listener);
            channel.keep(events);
        }
    }

    pub(super) fn gap(&mut self, writer: u64, index: Option<u16>, duration_ms: u64) {
        if self.writers.contains_key(&writer) {
            self.each(index, |l| l.gap(duration_ms));
        }
    }

    pub(super) fn pause(&mut self) {
        self.each(None, Listener::pause);
    }

    pub(super) fn resume(&mut self) {
        self.each(None, Listener::resume);
    }

    pub(super) fn flush(&mut self, index: Option<u16>) {
        self.each(index, Listener::flush);
    }

    pub(super) fn mark(&mut self, writer: u64, name: String) {
        let at_ms = self.received_ms().unwrap_or(0);
        if let Some(writer) = self.writers.get_mut(&writer) {
            writer.marks.push((name, at_ms));
        }
        self.tell_marks();
    }

    fn tell_marks(&mut self) {
        self.tell_marks_until(self.clock_ms().unwrap_or(0));
    }

    fn tell_marks_until(&mut self, final_ms: i64) {
        for writer in self.writers.values_mut() {
            let (done, waiting) = writer.marks.drain(..).partition(|(_, at_ms)| *at_ms <= final_ms);
            writer.marks = waiting;
            for (name, at_ms) in done {
                let _ = writer.notices.send(AudioNotice::Marked { name, at_ms });
            }
        }
    }

    /// Words that the call expects from the next segment on.
    pub(super) fn expect(&mut self, words: HotWords) {
        self.hints.set(words);
    }

    /// Whether words were given before.
    pub(super) fn has_expectations(&self) -> bool {
        !self.hints.words().is_empty()
    }

    pub(super) fn hold_from(&mut self, at_ms: i64) {
        self.hold_since_ms.get_or_insert(at_ms);
    }

    pub(super) fn hold_until(&mut self) -> Option<i64> {
        self.hold_since_ms.take()
    }

    /// Resolves when a listener has something; never, if there is none.
    pub(super) async fn ready(&self) {
        if self.channels.is_empty() {
            return std::future::pending().await;
        }
        let all = self.channels.values().map(|c| Box::pin(c.listener.ready()));
        select_all(all).await;
    }

    /// Whether a replaying sender has to wait for the decoders.
    pub(super) fn should_wait(&self) -> bool {
        let replaying = self.writers.values().any(|w| w.replay);
        replaying && self.channels.values().any(|c| !c.listener.wants_audio())
    }

    /// Everything heard since the last time, per channel in its order.
    pub(super) fn take(&mut self) -> Vec<(u16, Heard)> {
        let mut heard = Vec::new();
        for (index, channel) in &mut self.channels {
            let events = channel.listener.poll();
            channel.keep(events);
            heard.extend(channel.drain(*index).into_iter().map(|heard| (*index, heard)));
        }
        self.note(&mut heard);
        heard
    }

    /// Ends all segments and waits for their transcripts.
    pub(super) async fn finish(&mut self) -> Vec<(u16, Heard)> {
        self.each(None, Listener::finish);
        let mut heard = Vec::new();
        for (index, channel) in &mut self.channels {
            let events = channel.listener.drain().await;
            channel.keep(events);
            heard.extend(channel.drain(*index).into_iter().map(|heard| (*index, heard)));
        }
        self.note(&mut heard);
        heard
    }

    /// Marks what was said at the same time, and counts.
    fn note(&mut self, heard: &mut [(u16, Heard)]) {
        heard.iter().for_each(|(index, heard)| self.overlaps.observe(*index, heard));
        for (index, heard) in heard {
            if let Heard::Final { event, utterance, .. } = heard {
                self.n_utterances += 1;
                event.overlaps = self.overlaps.of(*index, utterance.span);
            }
        }
    }

    /// Everything that was taken is kept: marks may be told. `all`: also those behind the last speech.
    pub(super) fn kept(&mut self, all: bool) {
        if all { self.tell_marks_until(i64::MAX) } else { self.tell_marks() }
    }

    /// What some channels said from these places on could not be kept: all sockets are closed, and who comes back sends from
    /// there again. What other channels said in that time is kept; they stay deaf for it.
    pub(super) fn go_back(&mut self, lost: &BTreeMap<u16, i64>) {
        let places = self
            .channels
            .iter()
            .map(|(index, channel)| (*index, lost.get(index).copied().unwrap_or_else(|| channel.listener.progress().final_ms)));
        self.go_on_at = places.collect();
        self.heard_until_ms = self.go_on_at.values().copied().min().unwrap_or(self.heard_until_ms);
        self.notify_all(&AudioNotice::NotKept);
        self.writers.clear();
        self.channels.clear();
    }

    /// Audio received on every channel, `None` without audio.
    pub(super) fn received_ms(&self) -> Option<i64> {
        self.channels.values().map(|c| c.listener.progress().received_ms).min()
    }

    /// Everything before this is final on every channel.
    pub(super) fn clock_ms(&self) -> Option<i64> {
        self.channels.values().map(|c| c.listener.progress().final_ms).min()
    }

    /// Tells every sender how far the call is; says when the overload ladder changed.
    pub(super) fn acknowledge(&mut self) -> Option<Draft> {
        for writer in self.writers.values() {
            let of = |f: fn(&super::listen::Progress) -> i64| {
                writer.channels.iter().filter_map(|i| self.channels.get(i)).map(move |c| f(&c.listener.progress()))
            };
            let lag_ms = of(|p| p.lag_ms as i64).max().unwrap_or(0);
            metrics::histogram!("zhiyin_asr_lag_seconds").record(lag_ms as f64 / 1_000.0);
            let _ = writer.notices.send(AudioNotice::Ack {
                received_ms: of(|p| p.received_ms).min().unwrap_or(0),
                final_ms: of(|p| p.final_ms).min().unwrap_or(0),
                lag_ms,
            });
            if lag_ms > SLOW_MS {
                let _ = writer.notices.send(AudioNotice::Slow { lag_ms });
            }
        }
        self.tell_marks();
        self.ladder()
    }

    fn ladder(&mut self) -> Option<Draft> {
        let engine = self.engine.as_ref()?;
        let level = match engine.partial_policy() {
            PartialPolicy::Full => 0,
            PartialPolicy::Coalesced => 1,
            PartialPolicy::Off => 2,
        };
        let before = std::mem::replace(&mut self.ladder_level, level);
        // Who replays fills the decoders on purpose.
        if level == before || self.writers.values().all(|w| w.replay) {
            return None;
        }
        let at_ms = self.received_ms().unwrap_or(0);
        let notice = StageNotice {
            stage: "listen".into(),
            level: level.max(before),
            cause: "overload".into(),
            effect: match level {
                0 => "partials as usual",
                1 => "partials come less often",
                _ => "partials are off",
            }
            .into(),
            n_dropped: engine.stats().shed_partials,
            since_ms: at_ms,
        };
        Some(Draft::new(at_ms, if level > before { EventBody::StageDegraded(notice) } else { EventBody::StageRecovered(notice) }))
    }

    /// Everything of a writer is final; whether it was there.
    pub(super) fn close(&mut self, writer: u64) -> bool {
        let duration_ms = self.received_ms().unwrap_or(0);
        let Some(writer) = self.writers.remove(&writer) else { return false };
        let _ = writer.notices.send(AudioNotice::Closed { duration_ms, n_utterances: self.n_utterances });
        true
    }

    /// A socket is gone; true if it was the last one.
    pub(super) fn detach(&mut self, writer: u64) -> bool {
        self.writers.remove(&writer).is_some() && self.writers.is_empty()
    }

    pub(super) fn notify_all(&self, notice: &AudioNotice) {
        for writer in self.writers.values() {
            let _ = writer.notices.send(notice.clone());
        }
    }

    pub(super) fn close_all(&mut self) {
        self.notify_all(&AudioNotice::CallEnded);
        self.writers.clear();
        self.channels.clear();
    }
}

//! The listeners of one call and the sockets that feed them.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use futures::future::select_all;
use tokio::sync::mpsc;

use super::PipelineError;
use super::heard::{Channel, Heard};
use super::listen::{Listener, ListenerConfig, Progress};
use super::overlap::Overlaps;
pub use super::sockets::{Attach, AudioNotice, AudioReady};
use crate::asr::{AsrEvent, CallHints, CallLanguage, Engine, HotWords, PartialPolicy, SessionConfig};
use crate::event::{Call, ChannelSpec, Draft, EventBody, StageNotice};
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

impl Writer {
    /// How far its own channels are.
    fn progress(&self, channels: &BTreeMap<u16, Channel>) -> impl Iterator<Item = Progress> {
        self.channels.iter().filter_map(move |index| channels.get(index)).map(|channel| channel.listener.progress())
    }

    /// Received on all of them.
    fn received_ms(&self, channels: &BTreeMap<u16, Channel>) -> Option<i64> {
        self.progress(channels).map(|p| p.received_ms).min()
    }

    /// Everything before is final on all of them.
    fn final_ms(&self, channels: &BTreeMap<u16, Channel>) -> Option<i64> {
        self.progress(channels).map(|p| p.final_ms).min()
    }

    fn tell_marks(&mut self, final_ms: i64) {
        let (done, waiting) = self.marks.drain(..).partition(|(_, at_ms)| *at_ms <= final_ms);
        self.marks = waiting;
        for (name, at_ms) in done {
            let _ = self.notices.send(AudioNotice::Marked { name, at_ms });
        }
    }
}

/// Which channels are meant: one by its number, those of a writer, all if neither is said.
#[derive(Clone, Copy)]
struct Of {
    index: Option<u16>,
    writer: Option<u64>,
}

impl Of {
    const ALL: Self = Self { index: None, writer: None };

    fn covers(self, index: u16, channel: &Channel) -> bool {
        self.index.is_none_or(|wanted| wanted == index) && self.writer.is_none_or(|writer| writer == channel.writer)
    }
}

/// Nothing is heard from a place on, unless that is so already.
fn withhold(spans: &mut Vec<[i64; 2]>, from_ms: i64) {
    if spans.iter().all(|[_, until]| *until != i64::MAX) {
        spans.push([from_ms, i64::MAX]);
    }
}

/// All listeners of a call.
pub(super) struct Ears {
    vad: VadConfig,
    heard_until_ms: i64,
    /// Where each channel goes on that was thrown away because what it said could not be kept.
    go_on_at: BTreeMap<u16, i64>,
    /// A pause goes on: whoever comes meanwhile is not heard either.
    paused: bool,
    /// Stretches of each channel that fell into a pause, the running one until `i64::MAX`: not heard when they are sent again.
    withheld: BTreeMap<u16, Vec<[i64; 2]>>,
    overlaps: Overlaps,
    channels: BTreeMap<u16, Channel>,
    writers: HashMap<u64, Writer>,
    language: Option<CallLanguage>,
    hints: CallHints,
    engine: Option<Engine>,
    n_utterances: u64,
    ladder_level: u8,
}

impl Ears {
    /// `heard_until_ms`: where listening goes on, for a call that was taken up again; `go_on_at`: where, on channels of which
    /// more is known.
    pub(super) fn new(vad: VadConfig, heard_until_ms: i64, go_on_at: BTreeMap<u16, i64>) -> Self {
        Self {
            overlaps: Overlaps::new(vad.padding_ms),
            vad,
            heard_until_ms,
            go_on_at,
            paused: false,
            withheld: BTreeMap::new(),
            channels: BTreeMap::new(),
            writers: HashMap::new(),
            language: None,
            hints: CallHints::default(),
            engine: None,
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
        let place_ms = self.place_of(&attach.channels);
        for spec in &attach.channels {
            match self.channels.get_mut(&spec.channel_index) {
                Some(channel) => {
                    if let Some(old) = self.writers.remove(&channel.writer) {
                        let _ = old.notices.send(AudioNotice::TakenOver);
                    }
                    let events = channel.listener.set_rate(attach.sample_rate_hz)?;
                    channel.keep(events);
                    channel.writer = attach.writer;
                    channel.role = spec.role;
                    channel.ended = false;
                    channel.listener.go_on(place_ms);
                }
                None => self.listen_on(spec.clone(), &attach, (engine, &language), place_ms)?,
            }
        }
        let mut writer = Writer {
            channels: attach.channels.iter().map(|c| c.channel_index).collect(),
            notices: attach.notices,
            replay: attach.replay,
            opened: Instant::now(),
            start_ms: place_ms,
            marks: Vec::new(),
        };
        writer.start_ms = writer.received_ms(&self.channels).unwrap_or(place_ms);
        let resume_from_ms = writer.start_ms;
        self.writers.insert(attach.writer, writer);
        Ok(AudioReady { resume_from_ms, max_ahead_ms: MAX_AHEAD_MS })
    }

    /// Begins to listen on a channel.
    fn listen_on(
        &mut self,
        spec: ChannelSpec,
        attach: &Attach,
        (engine, language): (&Engine, &CallLanguage),
        place_ms: i64,
    ) -> Result<(), PipelineError> {
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
            start_offset_ms: attach.start_offset_ms.max(place_ms),
            vad: self.vad.clone(),
            session,
        };
        let listener = Listener::new(engine, config)?;
        if self.paused {
            withhold(self.withheld.entry(spec.channel_index).or_default(), listener.progress().received_ms);
        }
        let channel = Channel {
            listener,
            role: spec.role,
            writer: attach.writer,
            last_rev: 0,
            pending: Vec::new(),
            deaf_until_ms: self.go_on_at.remove(&spec.channel_index).unwrap_or(0),
            ended: false,
        };
        self.channels.insert(spec.channel_index, channel);
        Ok(())
    }

    /// Where a socket goes on: behind what was received on its channels, or what was kept of them. Where other sockets are on
    /// theirs does not matter.
    fn place_of(&self, channels: &[ChannelSpec]) -> i64 {
        let indexes = || channels.iter().map(|c| c.channel_index);
        let received = indexes().filter_map(|i| self.channels.get(&i)).map(|c| c.listener.progress().received_ms).min();
        let kept = indexes().filter_map(|i| self.go_on_at.get(&i).copied()).min();
        received.or(kept).unwrap_or(self.heard_until_ms)
    }

    /// Samples per channel of a writer; those of a writer that lost its channels are dropped.
    pub(super) fn push(&mut self, writer: u64, samples: &[Vec<f32>]) {
        let Some(from) = self.writers.get(&writer) else { return };
        for (index, channel_samples) in from.channels.iter().zip(samples) {
            if let Some(channel) = self.channels.get_mut(index).filter(|c| c.writer == writer) {
                channel.push(channel_samples, self.withheld.get(index).map(Vec::as_slice).unwrap_or_default());
            }
        }
        let ahead = from.received_ms(&self.channels).unwrap_or(0) - from.start_ms - from.opened.elapsed().as_millis() as i64;
        if !from.replay && ahead > MAX_AHEAD_MS {
            let _ = from.notices.send(AudioNotice::TooFarAhead);
        }
    }

    fn each(&mut self, of: Of, mut act: impl FnMut(&mut Listener) -> Vec<AsrEvent>) {
        for (_, channel) in self.channels.iter_mut().filter(|(index, channel)| of.covers(**index, channel)) {
            let events = act(&mut channel.listener);
            channel.keep(events);
        }
    }

    /// Samples of a writer were lost, on one of its channels or on all of them.
    pub(super) fn gap(&mut self, writer: u64, index: Option<u16>, duration_ms: u64) {
        if self.writers.contains_key(&writer) {
            self.each(Of { index, writer: Some(writer) }, |l| l.gap(duration_ms));
        }
    }

    pub(super) fn pause(&mut self) {
        self.paused = true;
        for (index, channel) in &self.channels {
            let Progress { received_ms, final_ms, .. } = channel.listener.progress();
            let spans = self.withheld.entry(*index).or_default();
            // Nobody is asked for that again.
            spans.retain(|[_, until]| *until > final_ms);
            withhold(spans, received_ms);
        }
        self.each(Of::ALL, Listener::pause);
    }

    pub(super) fn resume(&mut self) {
        self.paused = false;
        let received = |channel: &Channel| channel.listener.progress().received_ms;
        let furthest_ms = self.channels.values().map(received).max().unwrap_or(0);
        for (index, spans) in &mut self.withheld {
            let now_ms = self.channels.get(index).map_or(furthest_ms, received);
            for span in spans.iter_mut().filter(|[_, until]| *until == i64::MAX) {
                span[1] = now_ms;
            }
        }
        self.each(Of::ALL, Listener::resume);
    }

    pub(super) fn flush(&mut self, index: Option<u16>) {
        self.each(Of { index, writer: None }, Listener::flush);
    }

    pub(super) fn mark(&mut self, writer: u64, name: String) {
        if let Some(writer) = self.writers.get_mut(&writer) {
            let at_ms = writer.received_ms(&self.channels).unwrap_or(0);
            writer.marks.push((name, at_ms));
        }
        self.tell_marks();
    }

    /// What was taken is kept: tells each writer which of its marks are passed, as everything before them is final on its own
    /// channels.
    pub(super) fn tell_marks(&mut self) {
        for writer in self.writers.values_mut() {
            let final_ms = writer.final_ms(&self.channels).unwrap_or(0);
            writer.tell_marks(final_ms);
        }
    }

    /// Everything of a writer was taken and is kept, of all writers if `None`: also the marks behind its last speech may be told.
    pub(super) fn all_kept(&mut self, of: Option<u64>) {
        for (_, writer) in self.writers.iter_mut().filter(|(number, _)| of.is_none_or(|of| of == **number)) {
            writer.tell_marks(i64::MAX);
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

    /// Ends all segments of a writer, or of all writers, and waits for their transcripts.
    pub(super) async fn finish(&mut self, writer: Option<u64>) -> Vec<(u16, Heard)> {
        let of = Of { index: None, writer };
        self.each(of, Listener::finish);
        let mut heard = Vec::new();
        for (index, channel) in &mut self.channels {
            if !of.covers(*index, channel) {
                continue;
            }
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

    /// Audio received on every channel that goes on, `None` without audio.
    pub(super) fn received_ms(&self) -> Option<i64> {
        self.least(|p| p.received_ms)
    }

    /// Everything before this is final on every channel that goes on.
    pub(super) fn clock_ms(&self) -> Option<i64> {
        self.least(|p| p.final_ms)
    }

    /// A channel that has ended does not hold back the others; when all have, the longest counts.
    fn least(&self, place: fn(Progress) -> i64) -> Option<i64> {
        let of =
            |ended: bool| self.channels.values().filter(move |c| c.ended == ended).map(move |c| place(c.listener.progress()));
        of(false).min().or_else(|| of(true).max())
    }

    /// Tells every sender how far the call is; says when the overload ladder changed.
    pub(super) fn acknowledge(&mut self) -> Option<Draft> {
        for writer in self.writers.values() {
            let lag_ms = writer.progress(&self.channels).map(|p| p.lag_ms as i64).max().unwrap_or(0);
            metrics::histogram!("zhiyin_asr_lag_seconds").record(lag_ms as f64 / 1_000.0);
            let _ = writer.notices.send(AudioNotice::Ack {
                received_ms: writer.received_ms(&self.channels).unwrap_or(0),
                final_ms: writer.final_ms(&self.channels).unwrap_or(0),
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
    pub(super) fn close(&mut self, number: u64) -> bool {
        let Some(writer) = self.writers.remove(&number) else { return false };
        let duration_ms = writer.received_ms(&self.channels).unwrap_or(0);
        self.channels.values_mut().filter(|c| c.writer == number).for_each(|channel| channel.ended = true);
        let _ = writer.notices.send(AudioNotice::Closed { duration_ms, n_utterances: self.n_utterances });
        true
    }

    /// Whether no socket sends.
    pub(super) fn is_deserted(&self) -> bool {
        self.writers.is_empty()
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

#[cfg(test)]
#[path = "ears_tests.rs"]
mod tests;

//! The pool: decoder threads behind one queue.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::load::{EngineLoad, LoadMeter};
use super::mailbox::{Mailbox, Reply};
use super::queue::{Job, JobKind, JobQueue, Ticket};
use super::session::Session;
use super::transcript::SessionConfig;
use super::{AsrError, DecodeRequest, Decoder, EngineConfig, Hypothesis, RecognizerEngine};
use crate::audio::MODEL_RATE_HZ;

/// A final that waited this long before decoding makes partials rarer, or stops them, for a while.
const COALESCE_WAIT: Duration = Duration::from_millis(120);
const STOP_WAIT: Duration = Duration::from_millis(400);
const PRESSURE_HOLD: Duration = Duration::from_secs(2);

/// What partials are allowed, by load: levels 0, 1 and 2 of the ladder of degradation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartialPolicy {
    /// As configured.
    Full,
    /// Twice as rare.
    Coalesced,
    /// None.
    Off,
}

impl PartialPolicy {
    /// Level of the ladder: 0, 1 or 2.
    pub fn level(self) -> u8 {
        match self {
            Self::Full => 0,
            Self::Coalesced => 1,
            Self::Off => 2,
        }
    }
}

/// Counters of an engine. Counts only grow; the first three are as of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Sessions open now.
    pub sessions: usize,
    /// Finals waiting now.
    pub queued_finals: usize,
    /// Partials waiting now.
    pub queued_partials: usize,
    /// Segments decoded as finals.
    pub finals: u64,
    /// Decodes of speech that had not ended.
    pub partials: u64,
    /// Finals that were ready when the segment ended, because silence had been expected.
    pub reused: u64,
    /// Partials dropped because of load.
    pub shed_partials: u64,
    /// Decodes that failed.
    pub failed: u64,
    /// Audio decoded, in milliseconds, every pass counted.
    pub audio_ms: u64,
    /// Time spent decoding, in milliseconds, over all threads.
    pub busy_ms: u64,
    /// How long the last final waited for a decoder, in milliseconds.
    pub last_queue_ms: u64,
}

/// A recogniser with its decoder threads. Clones are the same engine; the last one to go stops the threads.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    _threads: Arc<Threads>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("model_id", &self.model_id()).field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts the decoder threads.
    ///
    /// # Errors
    /// [`AsrError::Setting`], or [`AsrError::Decoder`] if a decoder cannot be made.
    pub fn start(recognizer: Arc<dyn RecognizerEngine>, config: EngineConfig) -> Result<Self, AsrError> {
        config.check()?;
        let decoders: Vec<Box<dyn Decoder>> =
            (0..config.decoder_count()).map(|_| recognizer.decoder()).collect::<Result<_, _>>()?;
        let patience = Duration::from_millis(config.partial_patience_ms.into());
        let shared = Arc::new(Shared {
            recognizer,
            state: Mutex::new(State {
                queue: JobQueue::new(decoders.len(), patience),
                running: Vec::new(),
                idle: decoders.len(),
                closing: false,
                stats: EngineStats::default(),
                load: LoadMeter::default(),
                pressure: None,
            }),
            work: Condvar::new(),
            next: AtomicU64::new(1),
            config,
        });
        let mut threads = Threads { shared: Arc::clone(&shared), handles: Vec::new() };
        for (index, decoder) in decoders.into_iter().enumerate() {
            let shared = Arc::clone(&shared);
            let spawned = std::thread::Builder::new()
                .name(format!("asr-{index}"))
                .spawn(move || shared.work(decoder))
                .map_err(|error| AsrError::Decoder { detail: format!("no thread: {error}") })?;
            threads.handles.push(spawned);
        }
        Ok(Self { shared, _threads: Arc::new(threads) })
    }

    /// A session for one audio channel. It holds a slot until it is dropped.
    ///
    /// # Errors
    /// [`AsrError::Overloaded`] at once if all slots are taken.
    pub fn session(&self, config: SessionConfig) -> Result<Session, AsrError> {
        let slot = Slot::take(&self.shared)?;
        Ok(Session::new(slot, config))
    }

    /// Name of the model.
    pub fn model_id(&self) -> &str {
        self.shared.recognizer.model_id()
    }

    /// Longest segment that may be given, in milliseconds.
    pub fn max_segment_ms(&self) -> i64 {
        self.shared.recognizer.max_segment_ms()
    }

    /// Counters as of now.
    pub fn stats(&self) -> EngineStats {
        let state = self.shared.state.lock();
        EngineStats { queued_finals: state.queue.finals(), queued_partials: state.queue.others(), ..state.stats }
    }

    /// What partials are allowed now.
    pub fn partial_policy(&self) -> PartialPolicy {
        self.shared.partial_policy()
    }

    /// What it has to carry now.
    pub fn load(&self) -> EngineLoad {
        let (state, now) = (self.shared.state.lock(), Instant::now());
        let oldest = state.queue.oldest_final().map_or(Duration::ZERO, |at| now.duration_since(at));
        state.load.load(state.idle + state.running.len(), oldest, now)
    }

    /// Slots that are free.
    pub fn free_slots(&self) -> usize {
        self.shared.config.max_sessions.saturating_sub(self.shared.state.lock().stats.sessions)
    }
}

/// Stops and joins the threads when the last engine goes.
struct Threads {
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        let orphans = {
            let mut state = self.shared.state.lock();
            state.closing = true;
            state.running.iter().for_each(|running| running.cancel.store(true, Ordering::Relaxed));
            state.queue.clear()
        };
        orphans.into_iter().for_each(|job| job.mailbox.put(Reply::of(&job, Err(AsrError::ShuttingDown))));
        self.shared.work.notify_all();
        for handle in self.handles.drain(..) {
            if handle.join().is_err() {
                tracing::error!("a decoder thread had panicked");
            }
        }
    }
}

/// A permit for one session.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) shared: Arc<Shared>,
    pub(super) id: u64,
}

impl Slot {
    fn take(shared: &Arc<Shared>) -> Result<Self, AsrError> {
        let mut state = shared.state.lock();
        let capacity = shared.config.max_sessions;
        if state.stats.sessions >= capacity {
            return Err(AsrError::Overloaded { capacity });
        }
        state.stats.sessions += 1;
        drop(state);
        Ok(Self { shared: Arc::clone(shared), id: shared.next.fetch_add(1, Ordering::Relaxed) })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // The caller is gone: so is its queued work.
        let mut state = self.shared.state.lock();
        state.stats.sessions -= 1;
        state.queue.withdraw(self.id, true);
    }
}

struct Running {
    ticket: Ticket,
    kind: JobKind,
    cancel: Arc<AtomicBool>,
}

struct State {
    queue: JobQueue,
    running: Vec<Running>,
    idle: usize,
    closing: bool,
    stats: EngineStats,
    load: LoadMeter,
    pressure: Option<(PartialPolicy, Instant)>,
}

/// What engine, sessions and threads share.
pub(super) struct Shared {
    recognizer: Arc<dyn RecognizerEngine>,
    pub(super) config: EngineConfig,
    state: Mutex<State>,
    work: Condvar,
    next: AtomicU64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    /// Puts a segment into the queue; the reply comes into the mailbox, also if the job is dropped.
    pub(super) fn submit(
        &self,
        session: u64,
        kind: JobKind,
        urgency: Duration,
        request: DecodeRequest,
        mailbox: &Arc<Mailbox>,
    ) -> Ticket {
        let ticket = Ticket(self.next.fetch_add(1, Ordering::Relaxed));
        let now = Instant::now();
        let mailbox = Arc::clone(mailbox);
        let job = Job { ticket, session, kind, deadline: now + urgency, queued_at: now, request, mailbox };
        let mut state = self.state.lock();
        if state.closing {
            drop(state);
            job.mailbox.put(Reply::of(&job, Err(AsrError::ShuttingDown)));
            return ticket;
        }
        let dropped = state.queue.push(job);
        state.stats.shed_partials += u64::from(dropped.is_some());
        if kind == JobKind::Final && state.idle == 0 {
            state.give_up_a_partial();
        }
        drop(state);
        if let Some(job) = dropped {
            job.mailbox.put(Reply::of(&job, Err(AsrError::Cancelled)));
        }
        self.work.notify_one();
        ticket
    }

    /// Makes a job a final, waiting or running. Whether its reply will come as if it had been one from the start.
    pub(super) fn promote(&self, ticket: Ticket, urgency: Duration) -> bool {
        let mut state = self.state.lock();
        if state.queue.promote(ticket, Instant::now() + urgency) {
            if state.idle == 0 {
                state.give_up_a_partial();
            }
            return true;
        }
        match state.running.iter_mut().find(|running| running.ticket == ticket) {
            Some(running) => {
                running.kind = JobKind::Final;
                !running.cancel.load(Ordering::Relaxed)
            }
            None => false,
        }
    }

    /// Takes back what a session has waiting, but for finals.
    pub(super) fn withdraw_partials(&self, session: u64) {
        self.state.lock().queue.withdraw(session, false);
    }

    /// Counts audio of one channel, heard or silent, in microseconds.
    pub(super) fn count_heard(&self, us: u64) {
        self.state.lock().load.heard(us);
    }

    /// Counts a final that was ready before its segment ended.
    pub(super) fn count_reused(&self) {
        let mut state = self.state.lock();
        state.stats.reused += 1;
        state.stats.finals += 1;
    }

    pub(super) fn partial_policy(&self) -> PartialPolicy {
        let state = self.state.lock();
        let decoders = state.idle + state.running.len();
        let waiting = state.queue.finals();
        let by_queue = if waiting > 6 * decoders {
            PartialPolicy::Off
        } else if waiting > 2 * decoders {
            PartialPolicy::Coalesced
        } else {
            PartialPolicy::Full
        };
        let by_wait = state.pressure.filter(|(_, until)| *until > Instant::now()).map(|(policy, _)| policy);
        by_wait.map_or(by_queue, |policy| policy.max(by_queue))
    }

    fn work(&self, decoder: Box<dyn Decoder>) {
        let mut decoder = Some(decoder);
        while let Some((job, cancel)) = self.next_job(decoder.as_deref()) {
            let started = Instant::now();
            let outcome = self.decode(&mut decoder, &job.request);
            let decode_ms = started.elapsed().as_millis() as u64;
            self.finished(&job, &outcome, decode_ms);
            drop(cancel);
            job.mailbox.put(Reply { ticket: job.ticket, outcome, decode_ms });
        }
    }

    /// Waits for the most urgent job; `None` when the engine closes.
    fn next_job(&self, decoder: Option<&dyn Decoder>) -> Option<(Job, Arc<AtomicBool>)> {
        let cancel = decoder.map(Decoder::cancel_flag).unwrap_or_default();
        let mut state = self.state.lock();
        loop {
            if state.closing {
                return None;
            }
            let now = Instant::now();
            let (job, stale) = state.queue.pop(now);
            state.stats.shed_partials += stale.len() as u64;
            if !stale.is_empty() {
                parking_lot::MutexGuard::unlocked(&mut state, || {
                    stale.iter().for_each(|job| job.mailbox.put(Reply::of(job, Err(AsrError::Cancelled))));
                });
            }
            if let Some(job) = job {
                cancel.store(false, Ordering::Relaxed);
                state.begin(&job, now, &cancel);
                return Some((job, cancel));
            }
            self.work.wait(&mut state);
        }
    }

    /// Decodes; a panic of the recogniser costs its decoder, not the thread.
    fn decode(&self, decoder: &mut Option<Box<dyn Decoder>>, request: &DecodeRequest) -> Result<Hypothesis, AsrError> {
        if decoder.is_none() {
            *decoder = Some(self.recognizer.decoder()?);
        }
        let Some(owned) = decoder.as_mut() else { return Err(AsrError::ShuttingDown) };
        catch_unwind(AssertUnwindSafe(|| owned.decode(request))).unwrap_or_else(|_| {
            *decoder = None;
            Err(AsrError::Decoder { detail: "it panicked".into() })
        })
    }

    fn finished(&self, job: &Job, outcome: &Result<Hypothesis, AsrError>, decode_ms: u64) {
        let mut state = self.state.lock();
        state.idle += 1;
        let kind = state.running.iter().find(|running| running.ticket == job.ticket).map_or(job.kind, |r| r.kind);
        state.running.retain(|running| running.ticket != job.ticket);
        state.stats.busy_ms += decode_ms;
        state.stats.audio_ms += job.request.samples.len() as u64 * 1_000 / u64::from(MODEL_RATE_HZ);
        if matches!(kind, JobKind::Final | JobKind::Likely) {
            state.load.decoded(Duration::from_millis(decode_ms));
        }
        match (outcome, kind) {
            (Ok(_), JobKind::Final) => state.stats.finals += 1,
            (Ok(_), _) => state.stats.partials += 1,
            (Err(AsrError::Cancelled), _) => state.stats.shed_partials += 1,
            (Err(error), _) => {
                state.stats.failed += 1;
                tracing::warn!(session = job.session, %error, "a segment was not decoded");
            }
        }
    }
}

impl State {
    fn begin(&mut self, job: &Job, now: Instant, cancel: &Arc<AtomicBool>) {
        self.idle -= 1;
        self.running.push(Running { ticket: job.ticket, kind: job.kind, cancel: Arc::clone(cancel) });
        if job.kind != JobKind::Final {
            return;
        }
        let waited = now.duration_since(job.queued_at);
        self.stats.last_queue_ms = waited.as_millis() as u64;
        self.load.waited(waited, now);
        let policy = if waited > STOP_WAIT {
            PartialPolicy::Off
        } else if waited > COALESCE_WAIT {
            PartialPolicy::Coalesced
        } else {
            return;
        };
        let stronger = self.pressure.is_none_or(|(held, until)| policy >= held || until <= now);
        if stronger {
            self.pressure = Some((policy, now + PRESSURE_HOLD));
        }
    }

    /// Makes one running partial stop, if there is one that was not yet told to. A first one is short and goes on.
    fn give_up_a_partial(&mut self) {
        let dispensable = |r: &&Running| r.kind == JobKind::Partial && !r.cancel.load(Ordering::Relaxed);
        if let Some(running) = self.running.iter().find(dispensable) {
            running.cancel.store(true, Ordering::Relaxed);
        }
    }
}

//! All running calls of this node.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::admission::{Admission, Refusal};
use super::after_call::finish;
use super::call_task::{CallTask, Command, DESERTED_GRACE, Ending, MAILBOX_CAPACITY, NewMessage};
use super::desk::{Desk, head_of};
use super::ears::{Attach, AudioReady, Ears};
use super::parties::Parties;
use super::{PipelineError, Stages};
use crate::conversation::{CallId, Channel, Conversation, TimeSpan, Understanding, Utterance};
use crate::event::{Call, Draft, Event, EventBody, EventSink, ReviseCause, SinkError};
use crate::vad::VadConfig;

/// The longest time by which an utterance that is not final may lie behind what is final on other channels, milliseconds: that of
/// the longest utterance. What lies further back was no speech after all.
const LONGEST_UNFINISHED_MS: i64 = 30_000;

/// How calls are run.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// Which voice calls are taken.
    pub admission: Admission,
    /// How long a call waits for its audio to come back.
    pub resume_grace: Duration,
    /// Voice activity and endpoints.
    pub vad: VadConfig,
}

/// Opens calls and finds their tasks. Clones share it.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

struct Shared {
    stages: Arc<Stages>,
    sink: Arc<dyn EventSink>,
    config: HubConfig,
    calls: parking_lot::Mutex<HashMap<CallId, Running>>,
    next_writer: AtomicU64,
    draining: AtomicBool,
}

#[derive(Clone)]
struct Running {
    commands: mpsc::Sender<Command>,
    voice: bool,
}

impl Hub {
    /// A hub without calls.
    pub fn new(stages: Arc<Stages>, sink: Arc<dyn EventSink>, config: HubConfig) -> Self {
        let shared = Shared {
            stages,
            sink,
            config,
            calls: parking_lot::Mutex::default(),
            next_writer: AtomicU64::new(1),
            draining: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The stages that calls run through.
    pub fn stages(&self) -> &Arc<Stages> {
        &self.shared.stages
    }

    /// Number of open calls: all, and those with voice.
    pub fn open_calls(&self) -> (usize, usize) {
        let calls = self.shared.calls.lock();
        (calls.len(), calls.values().filter(|c| c.voice).count())
    }

    /// Voice calls that this node carries at once.
    pub fn max_calls(&self) -> usize {
        self.shared.config.admission.max_calls
    }

    /// Why one more voice call would be refused now; `None` if it would be taken.
    pub fn refusal(&self) -> Option<Refusal> {
        let (_, voice) = self.open_calls();
        self.refusal_beside(voice)
    }

    fn refusal_beside(&self, in_use: usize) -> Option<Refusal> {
        let load = self.shared.stages.recogniser.as_ref().map(crate::asr::Engine::load).unwrap_or_default();
        self.shared.config.admission.refusal(in_use, &load)
    }

    /// Whether the node is going away.
    pub fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Relaxed)
    }

    /// A number for a new audio socket.
    pub fn writer_id(&self) -> u64 {
        self.shared.next_writer.fetch_add(1, Ordering::Relaxed)
    }

    /// Opens a call: `call.started` is durable when this returns.
    ///
    /// # Errors
    /// No slot is free for a voice call, or the event could not be kept.
    pub async fn open(&self, call: Call) -> Result<Call, PipelineError> {
        // The slot is taken before any work.
        let mailbox = self.take_slot(&call)?;
        let hub = self.clone();
        // A task of its own: a client that goes away meanwhile must not leave a slot without a call.
        let opening = tokio::spawn(async move { hub.begin(call, mailbox).await });
        opening.await.map_err(|error| SinkError::Failed(error.to_string()))?
    }

    fn take_slot(&self, call: &Call) -> Result<mpsc::Receiver<Command>, PipelineError> {
        let voice = call.channel == Channel::Voice;
        let (sender, mailbox) = mpsc::channel(MAILBOX_CAPACITY);
        let mut calls = self.shared.calls.lock();
        let in_use = calls.values().filter(|c| c.voice).count();
        if let Some(refusal) = self.refusal_beside(in_use).filter(|_| voice) {
            metrics::counter!("zhiyin_permits_refused_total", "class" => "call").increment(1);
            return Err(refusal.into());
        }
        calls.insert(call.call_id.clone(), Running { commands: sender, voice });
        Ok(mailbox)
    }

    async fn begin(&self, call: Call, mailbox: mpsc::Receiver<Command>) -> Result<Call, PipelineError> {
        let voice = call.channel == Channel::Voice;
        let started = vec![Draft::new(0, EventBody::CallStarted { call: Box::new(call.clone()) })];
        if let Err(error) = self.shared.sink.append(&call.call_id, started, Vec::new()).await {
            self.shared.calls.lock().remove(&call.call_id);
            return Err(error.into());
        }
        let desk = Desk::new(Arc::clone(&self.shared.stages), call.clone());
        let ears = Ears::new(self.shared.config.vad.clone(), 0, BTreeMap::new());
        // Somebody has to send its audio.
        let lost = voice.then(|| (Instant::now() + DESERTED_GRACE, "media_lost"));
        self.run(desk, ears, mailbox, lost);
        Ok(call)
    }

    /// Takes up a call that a former life of the process left open, from its events. It waits for its audio as long as
    /// after a lost socket, then ends as `interrupted`.
    pub fn take_up(&self, call: Call, events: &[Event]) {
        self.take_up_until(call, events, Some(Instant::now() + self.shared.config.resume_grace));
    }

    /// Takes up a chat: it waits for its next message, however long that takes.
    pub fn take_up_chat(&self, call: Call, events: &[Event]) {
        self.take_up_until(call, events, None);
    }

    fn take_up_until(&self, call: Call, events: &[Event], lost_at: Option<Instant>) {
        let (sender, mailbox) = mpsc::channel(MAILBOX_CAPACITY);
        let voice = call.channel == Channel::Voice;
        self.shared.calls.lock().insert(call.call_id.clone(), Running { commands: sender, voice });
        let mut desk = Desk::new(Arc::clone(&self.shared.stages), call);
        for (utterance, understanding) in spoken_in(events) {
            desk.restore(utterance, understanding);
        }
        let heard_until_ms = desk.spoken().iter().map(|(u, _)| u.span.end_ms).max().unwrap_or(0);
        let ears = Ears::new(self.shared.config.vad.clone(), heard_until_ms, places_in(events, heard_until_ms));
        self.run(desk, ears, mailbox, lost_at.map(|at| (at, "interrupted")));
    }

    /// Finishes a call that had ended when the process died: score, summary, last event.
    ///
    /// # Errors
    /// The events could not be kept.
    pub async fn complete(&self, call: &Call, events: &[Event]) -> Result<(), PipelineError> {
        let conversation = Conversation::from_utterances(head_of(call), &spoken_in(events));
        finish(&self.shared.stages, self.shared.sink.as_ref(), call, conversation).await
    }

    /// `lost`: when the call ends if no audio comes, and the reason that it gives then.
    fn run(&self, desk: Desk, ears: Ears, mailbox: mpsc::Receiver<Command>, lost: Option<(Instant, &'static str)>) {
        let call_id = desk.call().call_id.clone();
        let speaking_ms = desk.spoken().iter().map(|(u, _)| u.span.duration_ms()).sum();
        let task = CallTask {
            stages: Arc::clone(&self.shared.stages),
            sink: Arc::clone(&self.shared.sink),
            desk,
            ears,
            parties: Parties::default(),
            open_utterances: BTreeSet::new(),
            resume_grace: self.shared.config.resume_grace,
            lost_reason: lost.map_or("media_lost", |(_, reason)| reason),
            lost_at: lost.map(|(at, _)| at),
            started: Instant::now(),
            speaking_ms,
            answers: None,
            last_words: Vec::new(),
        };
        let shared = Arc::clone(&self.shared);
        metrics::gauge!("zhiyin_calls_open").increment(1.0);
        tokio::spawn(async move {
            // A panic in one conversation does not touch another; the call's slot is freed either way.
            if let Err(panic) = tokio::spawn(task.run(mailbox)).await {
                tracing::error!(%call_id, %panic, "a call's task failed");
            }
            shared.calls.lock().remove(&call_id);
            metrics::gauge!("zhiyin_calls_open").decrement(1.0);
        });
    }

    fn commands(&self, call_id: &CallId) -> Result<mpsc::Sender<Command>, PipelineError> {
        let calls = self.shared.calls.lock();
        calls.get(call_id).map(|c| c.commands.clone()).ok_or_else(|| PipelineError::NotOpen(call_id.to_string()))
    }

    /// Whether a call is open on this node.
    pub fn is_open(&self, call_id: &CallId) -> bool {
        self.shared.calls.lock().contains_key(call_id)
    }

    /// Tells a call something that needs no answer. Waits while its mailbox is full.
    ///
    /// # Errors
    /// The call is not open.
    pub async fn tell(&self, call_id: &CallId, command: Command) -> Result<(), PipelineError> {
        let commands = self.commands(call_id)?;
        commands.send(command).await.map_err(|_| PipelineError::NotOpen(call_id.to_string()))
    }

    async fn ask<T>(
        &self,
        call_id: &CallId,
        command: impl FnOnce(oneshot::Sender<Result<T, PipelineError>>) -> Command,
    ) -> Result<T, PipelineError> {
        let (reply, answer) = oneshot::channel();
        self.tell(call_id, command(reply)).await?;
        answer.await.map_err(|_| PipelineError::NotOpen(call_id.to_string()))?
    }

    /// Lets a socket send audio.
    ///
    /// # Errors
    /// The call is not open, its channel has a writer, or no decoder is free.
    pub async fn attach(&self, call_id: &CallId, attach: Attach) -> Result<AudioReady, PipelineError> {
        self.ask(call_id, |reply| Command::Attach(Box::new(attach), reply)).await
    }

    /// Adds a message; it is durable when this returns.
    ///
    /// # Errors
    /// The call is not open, or the event could not be kept.
    pub async fn message(&self, call_id: &CallId, message: NewMessage) -> Result<Utterance, PipelineError> {
        self.ask(call_id, |reply| Command::Message(message, reply)).await
    }

    /// Changes an open call.
    ///
    /// # Errors
    /// The call is not open, or the event could not be kept.
    pub async fn update(&self, call: Call) -> Result<Call, PipelineError> {
        self.ask(&call.call_id.clone(), |reply| Command::Update(Box::new(call), reply)).await
    }

    /// Ends a call: everything heard is final and `call.ended` is durable when this returns.
    ///
    /// # Errors
    /// The call is not open, or the event could not be kept.
    pub async fn end(&self, call_id: &CallId, ending: Ending) -> Result<Call, PipelineError> {
        self.ask(call_id, |reply| Command::End(ending, reply)).await
    }

    /// Refuses new calls from now on and makes everything pending final.
    pub async fn drain(&self) {
        self.shared.draining.store(true, Ordering::Relaxed);
        let running: Vec<Running> = self.shared.calls.lock().values().cloned().collect();
        let waits = running.into_iter().map(|call| async move {
            let (reply, done) = oneshot::channel();
            if call.commands.send(Command::Drain(reply)).await.is_ok() {
                let _ = done.await;
            }
        });
        futures::future::join_all(waits).await;
    }
}

/// Where each channel goes on that was heard: at the begin of what was being said and never became final, else where the whole
/// call does (`heard_until_ms`). Nothing that is final on a channel lies behind that place, so nothing is written twice.
fn places_in(events: &[Event], heard_until_ms: i64) -> BTreeMap<u16, i64> {
    let mut begun: BTreeMap<u16, Vec<i64>> = BTreeMap::new();
    for event in events {
        match &event.body {
            EventBody::SpeechStarted { channel_index, start_ms, .. } => begun.entry(*channel_index).or_default().push(*start_ms),
            EventBody::TranscriptFinal(said) => {
                begun.entry(said.channel_index).or_default().retain(|start_ms| *start_ms >= said.end_ms);
            }
            _ => {}
        }
    }
    let near = |start_ms: &i64| *start_ms >= heard_until_ms - LONGEST_UNFINISHED_MS;
    let place = |starts: Vec<i64>| starts.into_iter().filter(near).chain([heard_until_ms]).min().unwrap_or(heard_until_ms);
    begun.into_iter().map(|(channel, starts)| (channel, place(starts))).collect()
}

/// Utterances and what was understood of them, from the events of a call.
pub fn spoken_in(events: &[Event]) -> Vec<(Utterance, Option<Understanding>)> {
    let mut spoken: Vec<(Utterance, Option<Understanding>)> = Vec::new();
    for event in events {
        match &event.body {
            EventBody::TranscriptFinal(t) => spoken.push((
                Utterance {
                    utterance_id: t.utterance_id.clone(),
                    channel_index: Some(t.channel_index),
                    role: t.role,
                    speaker: t.speaker.clone(),
                    span: TimeSpan::new(t.start_ms, t.end_ms),
                    text: t.text.clone(),
                    raw_text: t.raw_text.clone(),
                    language: t.language.clone(),
                    confidence: t.confidence,
                    words: t.words.clone(),
                },
                None,
            )),
            EventBody::MessageAdded { utterance_id, role, speaker, text, language, start_ms, .. } => spoken.push((
                Utterance {
                    utterance_id: utterance_id.clone(),
                    channel_index: None,
                    role: *role,
                    speaker: speaker.clone(),
                    span: TimeSpan::new(*start_ms, *start_ms),
                    text: text.clone(),
                    raw_text: text.clone(),
                    language: language.clone(),
                    confidence: None,
                    words: Vec::new(),
                },
                None,
            )),
            EventBody::SpeakerUpdated { speaker, role, applies_from_ms, .. } => {
                let his = |u: &&mut (Utterance, Option<Understanding>)| {
                    u.0.speaker.as_ref() == Some(speaker) && u.0.span.start_ms >= *applies_from_ms
                };
                spoken.iter_mut().filter(his).for_each(|(utterance, _)| utterance.role = *role);
            }
            EventBody::TranscriptRevised(revised) if revised.cause == ReviseCause::RoleFix => {
                if let Some((utterance, _)) = spoken.iter_mut().rev().find(|(u, _)| u.utterance_id == revised.utterance_id) {
                    utterance.role = revised.role;
                    utterance.speaker.clone_from(&revised.speaker);
                }
            }
            EventBody::UtteranceUnderstood(understanding) => {
                if let Some(entry) = spoken.iter_mut().rev().find(|(u, _)| u.utterance_id == understanding.utterance_id) {
                    entry.1 = Some((**understanding).clone());
                }
            }
            _ => {}
        }
    }
    spoken
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;

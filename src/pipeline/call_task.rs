//! One running call: a task that owns its desk and its listeners. Everything about the call passes through its mailbox,
//! so that its events have one order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::after_call::finish;
use super::desk::Desk;
use super::ears::Ears;
use super::parties::Parties;
use super::{PipelineError, Stages};
use crate::asr::HotWords;
use crate::conversation::{Role, Utterance, UtteranceId};
use crate::event::{Call, CallEnded, CallState, Draft, EventBody, EventSink, SinkError, millis_between, now_rfc3339};

pub use super::call_message::{NewMessage, Said};
pub use super::ears::{Attach, AudioNotice, AudioReady};

/// Commands a call's mailbox holds; a full one makes the sender wait, which slows the sending socket down.
pub const MAILBOX_CAPACITY: usize = 64;

/// How long a voice call may be without an audio socket: none has come yet, or the last one said that this was all. Generous,
/// because a telephone may ring for long and its system be slow to report the end; without it a call that was forgotten would
/// hold its slot for ever.
pub(super) const DESERTED_GRACE: Duration = Duration::from_secs(600);

/// Weight of the hot words of a queue, 1 to 10.
const QUEUE_WEIGHT: f32 = 5.0;

/// How a call ends.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// Who hung up.
    pub hangup_by: Option<Role>,
    /// Why.
    pub reason: String,
}

/// What a call's task is told.
pub enum Command {
    /// A socket wants to send audio.
    Attach(Box<Attach>, oneshot::Sender<Result<AudioReady, PipelineError>>),
    /// Samples of a writer, per channel of the writer, in the order of its channels.
    Audio {
        /// Writer.
        writer: u64,
        /// Samples at the wire rate.
        samples: Vec<Vec<f32>>,
    },
    /// Samples were lost.
    Gap {
        /// Writer.
        writer: u64,
        /// Channel, all if `None`.
        channel_index: Option<u16>,
        /// How much.
        duration_ms: u64,
    },
    /// Nothing is heard until `Resume`; `hold` adds to the call's hold times.
    Pause {
        /// Why.
        reason: String,
    },
    /// Listening goes on.
    Resume,
    /// What is pending becomes final now.
    Flush {
        /// Channel, all if `None`.
        channel_index: Option<u16>,
    },
    /// Words that the call expects from now on, with their weights; those of its queue stay.
    Expect {
        /// The words.
        words: Vec<(String, f32)>,
    },
    /// Tell the writer when everything before this is final.
    Mark {
        /// Writer.
        writer: u64,
        /// Name.
        name: String,
    },
    /// The writer has sent everything; answer when all of it is final.
    AudioEnd {
        /// Writer.
        writer: u64,
    },
    /// The socket is gone; the call waits for its return.
    Detach {
        /// Writer.
        writer: u64,
    },
    /// From now on every final of the customer goes to this listener too, when it is durable.
    Listen {
        /// The bot that answers.
        listener: mpsc::UnboundedSender<Said>,
    },
    /// A message of a text conversation.
    Message(NewMessage, oneshot::Sender<Result<Utterance, PipelineError>>),
    /// The call was changed.
    Update(Box<Call>, oneshot::Sender<Result<Call, PipelineError>>),
    /// The call ends.
    End(Ending, oneshot::Sender<Result<Call, PipelineError>>),
    /// The node goes away: everything pending becomes final, the call stays open.
    Drain(oneshot::Sender<()>),
}

/// The task of one call.
pub(super) struct CallTask {
    pub(super) stages: Arc<Stages>,
    pub(super) sink: Arc<dyn EventSink>,
    pub(super) desk: Desk,
    pub(super) ears: Ears,
    pub(super) parties: Parties,
    pub(super) resume_grace: Duration,
    /// When the call has to end because its audio did not come back.
    pub(super) lost_at: Option<Instant>,
    pub(super) lost_reason: &'static str,
    pub(super) started: Instant,
    pub(super) speaking_ms: i64,
    /// Who answers the caller.
    pub(super) answers: Option<mpsc::UnboundedSender<Said>>,
    /// Utterances that began and have no last word yet.
    pub(super) open_utterances: BTreeSet<UtteranceId>,
    /// What the end of the call changed in what was told, and is not kept yet.
    pub(super) last_words: Vec<Draft>,
}

impl CallTask {
    /// Runs until the call is completed, or every handle is gone.
    pub(super) async fn run(mut self, mut mailbox: mpsc::Receiver<Command>) {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        loop {
            let outcome = tokio::select! {
                command = mailbox.recv() => match command {
                    Some(command) => self.handle(command).await,
                    None => break,
                },
                () = self.ears.ready() => self.hear().await,
                _ = tick.tick() => self.tick().await,
            };
            match outcome {
                Ok(false) => {}
                Ok(true) => break,
                Err(error) => tracing::error!(call_id = %self.desk.call().call_id, %error, "a step of the call failed"),
            }
        }
    }

    pub(super) async fn append(&mut self, drafts: Vec<Draft>) -> Result<(), SinkError> {
        if !drafts.is_empty() {
            self.sink.append(&self.desk.call().call_id, drafts, Vec::new()).await?;
        }
        Ok(())
    }

    /// Carries a command out; true when the call is over.
    async fn handle(&mut self, command: Command) -> Result<bool, PipelineError> {
        if self.is_over() && !matches!(command, Command::End(..)) {
            // Nothing may come behind `call.ended`; who waits for an answer hears that the call is not open.
            return Ok(false);
        }
        match command {
            Command::Attach(attach, reply) => {
                let answer = self.attach(*attach).await;
                let _ = reply.send(answer);
            }
            Command::Audio { writer, samples } => {
                self.ears.push(writer, &samples);
                self.hear().await?;
                // Replay pace: wait for the decoders instead of piling up.
                while self.ears.should_wait() {
                    self.ears.ready().await;
                    self.hear().await?;
                }
            }
            Command::Gap { writer, channel_index, duration_ms } => {
                self.ears.gap(writer, channel_index, duration_ms);
                self.hear().await?;
            }
            Command::Pause { reason } => self.pause(&reason).await?,
            Command::Resume => self.resume().await?,
            Command::Flush { channel_index } => {
                self.ears.flush(channel_index);
                self.hear().await?;
            }
            Command::Mark { writer, name } => self.ears.mark(writer, name),
            Command::Expect { words } => self.expect(&words),
            Command::Listen { listener } => self.answers = Some(listener),
            Command::AudioEnd { writer } => self.audio_end(writer).await?,
            Command::Detach { writer } => {
                if self.ears.detach(writer) {
                    self.lost_at = Some(Instant::now() + self.resume_grace);
                    self.lost_reason = "media_lost";
                }
            }
            Command::Message(message, reply) => self.take_message(message, reply).await?,
            Command::Update(call, reply) => {
                // Who changes a call has read it some time ago: its holds are known better here.
                let hold = self.desk.call().hold.clone();
                let answer = self.update(Call { hold, ..*call }).await;
                let _ = reply.send(answer);
            }
            Command::End(ending, reply) => {
                let ended = self.end(ending).await;
                let over = ended.is_ok();
                let _ = reply.send(ended);
                if over {
                    self.complete().await?;
                }
                return Ok(over);
            }
            Command::Drain(reply) => {
                self.hear_rest(None).await?;
                self.ears.notify_all(&AudioNotice::Drain);
                let _ = reply.send(());
            }
        }
        Ok(false)
    }

    /// A writer has sent everything.
    async fn audio_end(&mut self, writer: u64) -> Result<(), PipelineError> {
        self.hear_rest(Some(writer)).await?;
        // One that was sent away has to come back first.
        if self.ears.close(writer) {
            self.lost_at = self.ears.is_deserted().then(|| Instant::now() + DESERTED_GRACE);
            self.lost_reason = "media_lost";
        }
        Ok(())
    }

    async fn attach(&mut self, attach: Attach) -> Result<AudioReady, PipelineError> {
        let engine = self.stages.recogniser.clone();
        let known: Vec<(String, f32)> = self.desk.call().hot_words.iter().map(|w| (w.text.clone(), w.weight)).collect();
        if !self.ears.has_expectations() {
            self.expect(&known);
        }
        let ready = self.ears.attach(attach, engine.as_ref(), self.desk.call())?;
        self.lost_at = None;
        self.go_live().await?;
        Ok(ready)
    }

    /// What the recogniser expects: words of the queue, and of the call.
    fn expect(&mut self, words: &[(String, f32)]) {
        let of_queue = self.stages.spec.hot_words_of(self.desk.call().queue.as_deref()).map(|word| (word, QUEUE_WEIGHT));
        let of_call = words.iter().map(|(word, weight)| (word.as_str(), *weight));
        self.ears.expect(HotWords::new(of_call.chain(of_queue)));
    }

    /// The first sign of life makes a created call live.
    pub(super) async fn go_live(&mut self) -> Result<(), PipelineError> {
        if self.desk.call().state == CallState::Created {
            let call = Call { state: CallState::Live, ..self.desk.call().clone() };
            let mut drafts = vec![Draft::new(self.now_ms(), EventBody::CallUpdated { call: Box::new(call.clone()) })];
            drafts.extend(self.desk.set_call(call));
            self.append(drafts).await?;
        }
        Ok(())
    }

    /// Takes everything the ears have heard.
    async fn hear(&mut self) -> Result<bool, PipelineError> {
        let heard = self.ears.take();
        self.keep(heard).await?;
        self.ears.tell_marks();
        let drafts = self.desk.advance_clock(self.ears.clock_ms().unwrap_or(0));
        self.append(drafts).await?;
        Ok(false)
    }

    /// Everything that a writer sent becomes final, or everything that all sent.
    async fn hear_rest(&mut self, of: Option<u64>) -> Result<(), PipelineError> {
        let heard = self.ears.finish(of).await;
        self.keep(heard).await?;
        self.ears.all_kept(of);
        let drafts = self.desk.advance_clock(self.ears.clock_ms().unwrap_or(0));
        Ok(self.append(drafts).await?)
    }

    pub(super) fn is_voice(&self) -> bool {
        self.desk.call().channel == crate::conversation::Channel::Voice
    }

    async fn update(&mut self, call: Call) -> Result<Call, PipelineError> {
        let call = Call { state: self.desk.call().state, ..call };
        self.append(vec![Draft::new(self.now_ms(), EventBody::CallUpdated { call: Box::new(call.clone()) })]).await?;
        let drafts = self.desk.set_call(call.clone());
        self.append(drafts).await?;
        Ok(call)
    }

    async fn pause(&mut self, reason: &str) -> Result<(), PipelineError> {
        self.ears.pause();
        if reason == "hold" {
            let drafts = self.desk.hold_from(self.now_ms());
            self.append(drafts).await?;
        }
        self.hear().await?;
        Ok(())
    }

    async fn resume(&mut self) -> Result<(), PipelineError> {
        self.ears.resume();
        if self.desk.hold_since().is_some() {
            let call = self.with_hold_until(self.now_ms());
            self.update(call).await?;
        }
        Ok(())
    }

    /// The call with the hold that goes on, as if it were over at a place.
    fn with_hold_until(&self, end_ms: i64) -> Call {
        let mut call = self.desk.call().clone();
        if let Some(start_ms) = self.desk.hold_since() {
            call.hold.get_or_insert_default().push([start_ms, end_ms.max(start_ms)]);
        }
        call
    }

    /// Whether `call.ended` is out, and only the work after the call is left.
    fn is_over(&self) -> bool {
        self.desk.call().state == CallState::Post
    }

    /// The place in the recording: what was received, or the time since the start for text.
    pub(super) fn now_ms(&self) -> i64 {
        self.ears.received_ms().unwrap_or_else(|| self.started.elapsed().as_millis() as i64)
    }

    async fn tick(&mut self) -> Result<bool, PipelineError> {
        if self.is_over() {
            // What follows from the end could not be kept: once more.
            self.complete().await?;
            return Ok(true);
        }
        let ladder = self.ears.acknowledge();
        self.append(ladder.into_iter().collect()).await?;
        if !self.is_voice() && self.desk.call().state == CallState::Live {
            let elapsed = millis_between(&self.desk.call().started_at, &now_rfc3339()).unwrap_or(0);
            let drafts = self.desk.advance_clock(elapsed);
            self.append(drafts).await?;
        }
        if self.lost_at.is_some_and(|at| at <= Instant::now()) {
            let ending = Ending { hangup_by: None, reason: self.lost_reason.to_owned() };
            self.end(ending).await?;
            self.complete().await?;
            return Ok(true);
        }
        Ok(false)
    }

    async fn end(&mut self, ending: Ending) -> Result<Call, PipelineError> {
        if self.is_over() {
            return Ok(self.desk.call().clone());
        }
        self.hear_rest(None).await?;
        let duration_ms = self.desk.spoken().iter().map(|(u, _)| u.span.end_ms).chain(self.ears.received_ms()).max();
        let duration_ms = duration_ms.unwrap_or_else(|| self.started.elapsed().as_millis() as i64);
        let call = Call {
            state: CallState::Post,
            ended_at: Some(now_rfc3339()),
            duration_ms: Some(duration_ms),
            hangup_by: ending.hangup_by,
            // Who hangs up on hold was on hold to the end.
            ..self.with_hold_until(duration_ms)
        };
        let mut talk_ms = std::collections::BTreeMap::new();
        for (utterance, _) in self.desk.spoken() {
            *talk_ms.entry(utterance.role.name().to_owned()).or_insert(0) += utterance.span.duration_ms();
        }
        let ended = CallEnded {
            hangup_by: call.hangup_by,
            reason: if ending.reason.is_empty() { "hangup".into() } else { ending.reason },
            duration_ms,
            answered_ms: call.answered_ms,
            hold: call.hold.clone(),
            silence_ms: (duration_ms - self.speaking_ms).max(0),
            talk_ms,
        };
        // The new state first: after `call.ended` no `call.updated` may follow.
        let drafts = vec![
            Draft::new(duration_ms, EventBody::CallUpdated { call: Box::new(call.clone()) }),
            Draft::new(duration_ms, EventBody::CallEnded(ended)),
        ];
        self.append(drafts).await?;
        self.last_words = self.desk.set_call(call.clone());
        self.ears.close_all();
        Ok(call)
    }

    async fn complete(&mut self) -> Result<(), PipelineError> {
        // Where they could not be kept the first time, the rules have nothing new to say the second.
        self.last_words.extend(self.desk.end());
        self.append(self.last_words.clone()).await?;
        self.last_words.clear();
        finish(&self.stages, self.sink.as_ref(), self.desk.call(), self.desk.conversation()).await
    }
}

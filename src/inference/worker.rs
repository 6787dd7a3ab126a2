//! The encoder as others see it: a handle whose worker threads own the kernels' scratch memory.
//!
//! Workers take all jobs that wait, up to a budget, and run them as one batch; so batching costs no waiting time.
//! Callers wait when the queue is full: blocking callers at the channel, asynchronous ones for a permit that the job
//! holds until it is taken. Nothing is dropped.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded, select, unbounded};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::config::EncoderSettings;
use super::encoding::Encoding;
use super::error::InferenceError;
use super::heads::{Head, HeadSpec};
use super::model::EncoderModel;
use super::trunk::Scratch;

/// Texts of one job at most; a larger batch is cut so that all workers share it.
const JOB_TEXTS: usize = 16;
/// Texts that a worker takes at once at most.
const TAKE_TEXTS: usize = 64;

type Answer = Result<Vec<Encoding>, InferenceError>;
type Reply = Box<dyn FnOnce(Answer) + Send>;

struct Job {
    texts: Vec<String>,
    reply: Reply,
    /// The place in the queue of an asynchronous caller; free again as soon as a worker takes the job.
    permit: Option<OwnedSemaphorePermit>,
}

/// A handle to the workers. Clones share them; when the last one goes, the workers serve what waits and end.
#[derive(Clone)]
pub struct Encoder {
    model: Arc<EncoderModel>,
    blocking: Sender<Job>,
    asynchronous: Sender<Job>,
    permits: Arc<Semaphore>,
}

impl Encoder {
    /// Starts the workers.
    ///
    /// # Errors
    /// Settings out of range, or a system that gives no thread.
    pub fn start(model: EncoderModel, settings: EncoderSettings) -> Result<Self, InferenceError> {
        settings.check()?;
        let model = Arc::new(model);
        let (blocking, blocking_jobs) = bounded(settings.queue_jobs);
        // Bounded by the permits, each job holds one.
        let (asynchronous, asynchronous_jobs) = unbounded();
        for number in 0..settings.workers {
            let worker = Worker {
                model: model.clone(),
                blocking: blocking_jobs.clone(),
                asynchronous: asynchronous_jobs.clone(),
                batch_tokens: settings.batch_tokens,
            };
            let builder = std::thread::Builder::new().name(format!("encoder-{number}"));
            builder.spawn(move || worker.run()).map_err(InferenceError::Thread)?;
        }
        Ok(Self {
            model,
            blocking,
            asynchronous,
            permits: Arc::new(Semaphore::new(settings.queue_jobs.min(Semaphore::MAX_PERMITS))),
        })
    }

    /// Encodes one text; blocks this thread.
    ///
    /// # Errors
    /// When the tokenizer refuses the text, or the workers have ended.
    pub fn encode(&self, text: impl Into<String>) -> Result<Encoding, InferenceError> {
        one(self.encode_batch(vec![text.into()])?)
    }

    /// Encodes texts, in their order; blocks this thread.
    ///
    /// # Errors
    /// As [`Self::encode`]; one bad text fails the batch.
    pub fn encode_batch(&self, texts: Vec<String>) -> Result<Vec<Encoding>, InferenceError> {
        let mut answers = Vec::new();
        for texts in jobs(texts) {
            let (sender, receiver) = bounded(1);
            // A caller that has gone away needs no answer.
            let reply: Reply = Box::new(move |answer| drop(sender.send(answer)));
            self.blocking.send(Job { texts, reply, permit: None }).map_err(|_| InferenceError::Stopped)?;
            answers.push(receiver);
        }
        let mut encodings = Vec::new();
        for answer in answers {
            encodings.extend(answer.recv().map_err(|_| InferenceError::Stopped)??);
        }
        Ok(encodings)
    }

    /// Encodes one text without blocking.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub async fn encode_async(&self, text: impl Into<String>) -> Result<Encoding, InferenceError> {
        one(self.encode_batch_async(vec![text.into()]).await?)
    }

    /// Encodes texts, in their order, without blocking.
    ///
    /// # Errors
    /// As [`Self::encode_batch`].
    pub async fn encode_batch_async(&self, texts: Vec<String>) -> Result<Vec<Encoding>, InferenceError> {
        let mut answers = Vec::new();
        for texts in jobs(texts) {
            let permit = self.permits.clone().acquire_owned().await.map_err(|_| InferenceError::Stopped)?;
            let (sender, receiver) = oneshot::channel();
            let reply: Reply = Box::new(move |answer| drop(sender.send(answer)));
            self.asynchronous.send(Job { texts, reply, permit: Some(permit) }).map_err(|_| InferenceError::Stopped)?;
            answers.push(receiver);
        }
        let mut encodings = Vec::new();
        for answer in answers {
            encodings.extend(answer.await.map_err(|_| InferenceError::Stopped)??);
        }
        Ok(encodings)
    }

    /// The model that the workers run.
    pub fn model(&self) -> &EncoderModel {
        &self.model
    }

    /// The heads as they are now.
    pub fn head_specs(&self) -> Vec<Arc<HeadSpec>> {
        self.model.head_specs()
    }

    /// Switches a head live; see [`EncoderModel::set_head`].
    ///
    /// # Errors
    /// When the head does not fit the model.
    pub fn set_head(&self, head: Arc<Head>) -> Result<Option<Arc<Head>>, InferenceError> {
        self.model.set_head(head)
    }

    /// Takes a head away; see [`EncoderModel::remove_head`].
    pub fn remove_head(&self, name: &str) -> Option<Arc<Head>> {
        self.model.remove_head(name)
    }
}

fn one(encodings: Vec<Encoding>) -> Result<Encoding, InferenceError> {
    encodings.into_iter().next().ok_or(InferenceError::Stopped)
}

fn jobs(mut texts: Vec<String>) -> Vec<Vec<String>> {
    let mut cut = Vec::with_capacity(texts.len().div_ceil(JOB_TEXTS));
    while texts.len() > JOB_TEXTS {
        let rest = texts.split_off(JOB_TEXTS);
        cut.push(std::mem::replace(&mut texts, rest));
    }
    if !texts.is_empty() {
        cut.push(texts);
    }
    cut
}

struct Worker {
    model: Arc<EncoderModel>,
    blocking: Receiver<Job>,
    asynchronous: Receiver<Job>,
    batch_tokens: usize,
}

impl Worker {
    /// Serves jobs until all handles are gone and both queues are empty.
    fn run(self) {
        let mut scratch = Scratch::default();
        loop {
            // Both senders live in the same handle, so that both ends close together.
            let first = select! {
                recv(self.blocking) -> job => job.or_else(|_| self.asynchronous.recv()),
                recv(self.asynchronous) -> job => job.or_else(|_| self.blocking.recv()),
            };
            let Ok(first) = first else { return };
            let mut taken = vec![first];
            let mut count = taken[0].texts.len();
            while count < TAKE_TEXTS {
                let Ok(job) = self.blocking.try_recv().or_else(|_| self.asynchronous.try_recv()) else { break };
                count += job.texts.len();
                taken.push(job);
            }
            self.serve(taken, &mut scratch);
        }
    }

    fn serve(&self, mut taken: Vec<Job>, scratch: &mut Scratch) {
        for job in &mut taken {
            job.permit = None;
        }
        let texts: Vec<&str> = taken.iter().flat_map(|j| j.texts.iter().map(String::as_str)).collect();
        if let Ok(encodings) = self.model.encode(&texts, self.batch_tokens, scratch) {
            let mut encodings = encodings.into_iter();
            for job in taken {
                let answer = encodings.by_ref().take(job.texts.len()).collect();
                (job.reply)(Ok(answer));
            }
        } else {
            // One text is refused; each job is answered for itself, so that it fails its own caller alone.
            for job in taken {
                let answer = self.model.encode(&job.texts, self.batch_tokens, scratch);
                (job.reply)(answer);
            }
        }
    }
}

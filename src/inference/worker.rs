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

type Answer<T> = Result<Vec<T>, InferenceError>;
type Callback<T> = Box<dyn FnOnce(Answer<T>) + Send>;

/// What a caller wants of his texts, and where it goes.
enum Reply {
    /// Everything.
    Encodings(Callback<Encoding>),
    /// Vectors for retrieval alone: no head runs.
    Embeddings(Callback<Vec<f32>>),
}

/// What workers give for a text.
trait Output: Sized + Send + 'static {
    fn reply(callback: Callback<Self>) -> Reply;
}

impl Output for Encoding {
    fn reply(callback: Callback<Self>) -> Reply {
        Reply::Encodings(callback)
    }
}

impl Output for Vec<f32> {
    fn reply(callback: Callback<Self>) -> Reply {
        Reply::Embeddings(callback)
    }
}

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
        self.batch(texts)
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
        self.batch_async(texts).await
    }

    /// Vectors for retrieval, as [`Encoding::embedding`], in the order of the texts; no head runs. Blocks this thread.
    ///
    /// # Errors
    /// As [`Self::encode_batch`].
    pub fn embed_batch(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, InferenceError> {
        self.batch(texts)
    }

    /// Vector of one text, as [`Self::embed_batch`], without blocking.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub async fn embed_async(&self, text: impl Into<String>) -> Result<Vec<f32>, InferenceError> {
        one(self.batch_async(vec![text.into()]).await?)
    }

    /// Vector of one text, as [`Self::embed_batch`].
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn embed(&self, text: impl Into<String>) -> Result<Vec<f32>, InferenceError> {
        self.begin_embedding(text)?.wait()
    }

    /// Begins to make the vector of one text; the caller does something else before it waits. Blocks while the queue is full.
    ///
    /// # Errors
    /// When the workers have ended.
    pub fn begin_embedding(&self, text: impl Into<String>) -> Result<PendingEmbedding, InferenceError> {
        self.send(vec![text.into()]).map(PendingEmbedding)
    }

    fn batch<T: Output>(&self, texts: Vec<String>) -> Answer<T> {
        let answers: Vec<_> = jobs(texts).into_iter().map(|texts| self.send(texts)).collect::<Result<_, _>>()?;
        let mut all = Vec::new();
        for answer in answers {
            all.extend(answer.recv().map_err(|_| InferenceError::Stopped)??);
        }
        Ok(all)
    }

    fn send<T: Output>(&self, texts: Vec<String>) -> Result<Receiver<Answer<T>>, InferenceError> {
        let (sender, receiver) = bounded(1);
        // A caller that has gone away needs no answer.
        let reply = T::reply(Box::new(move |answer| drop(sender.send(answer))));
        self.blocking.send(Job { texts, reply, permit: None }).map_err(|_| InferenceError::Stopped)?;
        Ok(receiver)
    }

    async fn batch_async<T: Output>(&self, texts: Vec<String>) -> Answer<T> {
        let mut answers = Vec::new();
        for texts in jobs(texts) {
            let permit = self.permits.clone().acquire_owned().await.map_err(|_| InferenceError::Stopped)?;
            let (sender, receiver) = oneshot::channel();
            let reply = T::reply(Box::new(move |answer| drop(sender.send(answer))));
            self.asynchronous.send(Job { texts, reply, permit: Some(permit) }).map_err(|_| InferenceError::Stopped)?;
            answers.push(receiver);
        }
        let mut all = Vec::new();
        for answer in answers {
            all.extend(answer.await.map_err(|_| InferenceError::Stopped)??);
        }
        Ok(all)
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

/// A text whose vector is being made.
pub struct PendingEmbedding(Receiver<Answer<Vec<f32>>>);

impl PendingEmbedding {
    /// Waits for the vector; blocks this thread.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    pub fn wait(self) -> Result<Vec<f32>, InferenceError> {
        one(self.0.recv().map_err(|_| InferenceError::Stopped)??)
    }
}

fn one<T>(all: Vec<T>) -> Result<T, InferenceError> {
    all.into_iter().next().ok_or(InferenceError::Stopped)
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

    fn serve(&self, taken: Vec<Job>, scratch: &mut Scratch) {
        let (mut whole, mut vectors) = (Vec::new(), Vec::new());
        for Job { texts, reply, permit } in taken {
            drop(permit);
            match reply {
                Reply::Encodings(callback) => whole.push((texts, callback)),
                Reply::Embeddings(callback) => vectors.push((texts, callback)),
            }
        }
        answer(whole, |texts| self.model.encode(texts, self.batch_tokens, scratch));
        answer(vectors, |texts| self.model.embed(texts, self.batch_tokens, scratch));
    }
}

/// Runs the texts of all jobs together and gives each job its part.
fn answer<T>(jobs: Vec<(Vec<String>, Callback<T>)>, mut run: impl FnMut(&[&str]) -> Answer<T>) {
    let texts: Vec<&str> = jobs.iter().flat_map(|(texts, _)| texts.iter().map(String::as_str)).collect();
    if texts.is_empty() {
        jobs.into_iter().for_each(|(_, callback)| callback(Ok(Vec::new())));
    } else if let Ok(all) = run(&texts) {
        let mut all = all.into_iter();
        for (texts, callback) in jobs {
            callback(Ok(all.by_ref().take(texts.len()).collect()));
        }
    } else {
        // One text is refused; each job is answered for itself, so that it fails its own caller alone.
        for (texts, callback) in jobs {
            callback(run(&texts.iter().map(String::as_str).collect::<Vec<_>>()));
        }
    }
}

//! Long work: kept in the store, resumed after a restart, each item once.
//!
//! A job is planned once (a list of item names), then its items are worked a few at a time. What an item changes and the
//! mark that it is done are committed together, so a `kill -9` loses at most items that took no effect yet.
//!
//! To add a kind of work: implement [`JobKind`], put it into the list that `App::start` gives to [`JobDesk::new`], and
//! let a handler call [`JobDesk::submit`] and answer with [`super::jobs::accepted`]. Effects on the store go into
//! [`ItemEffect::writes`]; effects elsewhere (an index, a file) must bear repetition: an item may be worked again if the
//! process died before its commit. Everything else (progress, events, cancelling, errors) is here.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use utoipa::ToSchema;

use super::Problem;
use crate::access::Scope;
use crate::conversation::{IdKind, new_id};
use crate::event::now_rfc3339;
use crate::store::{JobItemRow, JobRow, JobWrite, Store, StoreError, Write};

/// Items that are worked side by side and committed together.
const CHUNK: usize = 32;
/// Jobs that run side by side; more wait in the order of their making.
const SIDE_BY_SIDE: usize = 2;
/// Open jobs of one token.
const OPEN_PER_OWNER: usize = 10;
/// Longest wait between two tries to write to a full disk.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// A kind of long work. `Err` texts are shown to the asker: what, where, how to mend, no words of customers.
pub trait JobKind: Send + Sync + 'static {
    /// Its name in `Job.kind`, for example `quality.score`.
    fn name(&self) -> &'static str;
    /// The scope that lets others than the asker see and cancel it.
    fn scope(&self) -> Scope;
    /// The names of the items, once, at the start.
    fn plan<'a>(&'a self, job: &'a JobRow) -> BoxFuture<'a, Result<Vec<String>, String>>;
    /// Works one item. An `Err` fails the item, not the job.
    fn work<'a>(&'a self, job: &'a JobRow, key: &'a str) -> BoxFuture<'a, Result<ItemEffect, String>>;
    /// After the last item: what is shown as the result, and what is written with it.
    fn finish<'a>(&'a self, job: &'a JobRow) -> BoxFuture<'a, Result<ItemEffect, String>>;
}

/// What working an item, or finishing a job, changes and says.
#[derive(Debug, Default)]
pub struct ItemEffect {
    /// Committed with the mark that the item is done.
    pub writes: Vec<Write>,
    /// Kept with the item, for `finish`.
    pub body: Option<Value>,
}

/// A job as the interface shows it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Job {
    /// `job_…`.
    pub job_id: String,
    /// Kind of work.
    pub kind: String,
    /// `queued`, `running`, `succeeded`, `failed` or `cancelled`.
    pub state: String,
    /// How far it is.
    pub progress: Progress,
    /// RFC 3339.
    pub created_at: String,
    /// Seconds until the end, as the rate so far suggests.
    pub eta_s: Option<u64>,
    /// Where its result stands once it has succeeded.
    pub result_url: Option<String>,
    /// Where its failed items are listed, if there are any.
    pub errors_url: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Items of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Progress {
    /// Worked, failed ones included.
    pub done: u64,
    /// In all; unknown until planned.
    pub total: Option<u64>,
    /// Failed.
    pub failed: u64,
}

impl Job {
    pub(super) fn of(row: &JobRow, eta_s: Option<u64>) -> Self {
        let url = |part: &str| format!("/api/v1/jobs/{}/{part}", row.job_id);
        Self {
            job_id: row.job_id.clone(),
            kind: row.kind.clone(),
            state: row.state.clone(),
            progress: Progress { done: row.done, total: row.total, failed: row.failed },
            created_at: row.created_at.clone(),
            eta_s,
            result_url: (row.state == "succeeded").then(|| url("result")),
            errors_url: (row.failed > 0).then(|| url("errors")),
            error: row.error.clone(),
        }
    }

    /// Whether nothing will change any more.
    pub fn is_over(&self) -> bool {
        !matches!(self.state.as_str(), "queued" | "running")
    }
}

/// A job that this process works on.
struct Running {
    cancel: Arc<AtomicBool>,
    shown: watch::Sender<Job>,
}

struct Inner {
    store: Store,
    kinds: Vec<Arc<dyn JobKind>>,
    running: Mutex<HashMap<String, Running>>,
    turns: Semaphore,
    stopping: AtomicBool,
}

/// Takes, runs and shows jobs. Clones share it.
#[derive(Clone)]
pub struct JobDesk {
    inner: Arc<Inner>,
}

/// Why a job stopped before its end.
enum Stopped {
    Cancelled,
    /// The process ends; the next one goes on.
    Leaving,
    Failed(String),
}

impl JobDesk {
    /// A desk for these kinds of work.
    pub fn new(store: Store, kinds: Vec<Arc<dyn JobKind>>) -> Self {
        let inner = Inner {
            store,
            kinds,
            running: Mutex::default(),
            turns: Semaphore::new(SIDE_BY_SIDE),
            stopping: AtomicBool::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Goes on with the jobs that the last life of the process left open.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn take_up(&self) -> Result<usize, StoreError> {
        let open = self.inner.store.open_jobs().await?;
        let count = open.len();
        for row in open {
            tracing::info!(job_id = %row.job_id, kind = %row.kind, done = row.done, "taking up an open job");
            self.spawn(row);
        }
        Ok(count)
    }

    /// Keeps a job and starts it when its turn comes. `also` is committed with it.
    ///
    /// # Errors
    /// `rate_limited` if the owner has too many open jobs; the store cannot write.
    pub async fn submit(&self, kind: &str, owner: &str, spec: &Value, also: Vec<Write>) -> Result<Job, Problem> {
        let open = self.inner.store.open_jobs().await?.iter().filter(|j| j.owner == owner).count();
        if open >= OPEN_PER_OWNER {
            let mut problem = Problem::new("rate_limited", format!("this token has {open} open jobs; wait for one to end"));
            problem.retry_after_s = Some(30);
            return Err(problem);
        }
        let row = JobRow {
            job_id: new_id(IdKind::Job),
            kind: kind.to_owned(),
            state: "queued".into(),
            owner: owner.to_owned(),
            done: 0,
            total: None,
            failed: 0,
            created_at: now_rfc3339(),
            started_at: None,
            finished_at: None,
            spec: spec.to_string(),
            result: None,
            error: None,
        };
        let mut writes = also;
        writes.push(Write::Job(JobWrite::Row(Box::new(row.clone()))));
        self.inner.store.write(writes).await?;
        let job = Job::of(&row, None);
        self.spawn(row);
        Ok(job)
    }

    /// A job's row.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn row(&self, job_id: &str) -> Result<Option<JobRow>, StoreError> {
        self.inner.store.job(job_id).await
    }

    /// The scope of a kind.
    pub fn scope(&self, kind: &str) -> Option<Scope> {
        self.inner.kinds.iter().find(|k| k.name() == kind).map(|k| k.scope())
    }

    /// The kinds whose scope is admitted.
    pub fn kinds(&self, admitted: impl Fn(Scope) -> bool) -> Vec<&'static str> {
        self.inner.kinds.iter().filter(|k| admitted(k.scope())).map(|k| k.name()).collect()
    }

    /// What a running job shows, as it changes.
    pub fn watch(&self, job_id: &str) -> Option<watch::Receiver<Job>> {
        self.inner.running.lock().get(job_id).map(|r| r.shown.subscribe())
    }

    /// A job as it stands.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn show(&self, job_id: &str) -> Result<Option<Job>, StoreError> {
        let eta_s = self.watch(job_id).and_then(|w| w.borrow().eta_s);
        Ok(self.row(job_id).await?.map(|row| Job::of(&row, eta_s)))
    }

    /// Asks a job to stop behind the items it is working on. Whether it was running here.
    pub fn cancel(&self, job_id: &str) -> bool {
        let running = self.inner.running.lock();
        running.get(job_id).inspect(|r| r.cancel.store(true, Ordering::Release)).is_some()
    }

    /// Lets running jobs stop behind the items they are working on; the next start goes on with them.
    pub fn stop(&self) {
        self.inner.stopping.store(true, Ordering::Release);
    }

    fn spawn(&self, row: JobRow) {
        let (shown, _) = watch::channel(Job::of(&row, None));
        let cancel = Arc::new(AtomicBool::new(false));
        self.inner.running.lock().insert(row.job_id.clone(), Running { cancel: Arc::clone(&cancel), shown: shown.clone() });
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            let job_id = row.job_id.clone();
            if let Ok(_turn) = inner.turns.acquire().await {
                run(&inner, row, &cancel, &shown).await;
            }
            inner.running.lock().remove(&job_id);
        });
    }
}

/// Runs a job to its end and keeps how it ended.
async fn run(inner: &Inner, mut row: JobRow, cancel: &AtomicBool, shown: &watch::Sender<Job>) {
    let kind = inner.kinds.iter().find(|k| k.name() == row.kind).cloned();
    let outcome = match kind {
        Some(kind) => drive(inner, kind.as_ref(), &mut row, cancel, shown).await,
        None => Err(Stopped::Failed(format!("this version does not know work of the kind {}", row.kind))),
    };
    let writes = match outcome {
        Ok(effect) => {
            row.state = "succeeded".into();
            row.result = Some(effect.body.unwrap_or(Value::Null).to_string());
            effect.writes
        }
        Err(Stopped::Leaving) => return,
        Err(Stopped::Cancelled) => {
            row.state = "cancelled".into();
            Vec::new()
        }
        Err(Stopped::Failed(reason)) => {
            tracing::warn!(job_id = %row.job_id, kind = %row.kind, "job failed");
            row.state = "failed".into();
            row.error = Some(reason);
            Vec::new()
        }
    };
    row.finished_at = Some(now_rfc3339());
    let mut all = writes;
    all.push(Write::Job(JobWrite::Row(Box::new(row.clone()))));
    if write(inner, all).await.is_ok() {
        let ended = inner.store.job(&row.job_id).await.ok().flatten().unwrap_or(row);
        shown.send_replace(Job::of(&ended, None));
    }
}

async fn drive(
    inner: &Inner,
    kind: &dyn JobKind,
    row: &mut JobRow,
    cancel: &AtomicBool,
    shown: &watch::Sender<Job>,
) -> Result<ItemEffect, Stopped> {
    row.state = "running".into();
    row.started_at.get_or_insert_with(now_rfc3339);
    let keep = |e: StoreError| Stopped::Failed(e.to_string());
    write(inner, vec![Write::Job(JobWrite::Row(Box::new(row.clone())))]).await?;
    if row.total.is_none() {
        let keys = kind.plan(row).await.map_err(Stopped::Failed)?;
        row.total = Some(keys.len() as u64);
        write(inner, vec![Write::Job(JobWrite::Plan { job_id: row.job_id.clone(), keys })]).await?;
    }
    shown.send_replace(Job::of(row, None));
    let (begun, before) = (Instant::now(), row.done);
    loop {
        if cancel.load(Ordering::Acquire) {
            return Err(Stopped::Cancelled);
        }
        if inner.stopping.load(Ordering::Acquire) {
            return Err(Stopped::Leaving);
        }
        let items = inner.store.job_items(&row.job_id, "pending", 0, CHUNK as u32).await.map_err(keep)?;
        if items.is_empty() {
            break;
        }
        let worked = items.len() as u64;
        row.failed += work_chunk(inner, kind, row, items).await?;
        row.done += worked;
        let rate = (row.done - before) as f64 / begun.elapsed().as_secs_f64().max(1e-6);
        let left = row.total.unwrap_or(row.done).saturating_sub(row.done);
        shown.send_replace(Job::of(row, Some((left as f64 / rate).ceil() as u64)));
    }
    kind.finish(row).await.map_err(Stopped::Failed)
}

/// Works some items and commits them together; the number of failed ones.
async fn work_chunk(inner: &Inner, kind: &dyn JobKind, row: &JobRow, items: Vec<JobItemRow>) -> Result<u64, Stopped> {
    let outcomes: Vec<(u64, Result<ItemEffect, String>)> = stream::iter(items)
        .map(|item| async move { (item.item, kind.work(row, &item.key).await) })
        .buffer_unordered(num_cpus::get().max(2))
        .collect()
        .await;
    let (mut writes, mut failures) = (Vec::new(), 0);
    for (item, outcome) in outcomes {
        let (failed, body) = match outcome {
            Ok(effect) => {
                writes.extend(effect.writes);
                (false, effect.body.map(|b| b.to_string()))
            }
            Err(reason) => {
                failures += 1;
                (true, Some(reason))
            }
        };
        writes.push(Write::Job(JobWrite::Item { job_id: row.job_id.clone(), item, failed, body }));
    }
    write(inner, writes).await?;
    Ok(failures)
}

/// Commits; a full disk is waited for, because nothing that was worked may be lost.
async fn write(inner: &Inner, writes: Vec<Write>) -> Result<(), Stopped> {
    let mut wait = Duration::from_secs(1);
    loop {
        match inner.store.write(writes.clone()).await {
            Ok(()) => return Ok(()),
            Err(StoreError::DiskFull) if !inner.stopping.load(Ordering::Acquire) => {
                tracing::error!(wait_s = wait.as_secs(), "the disk is full; the job waits and tries again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(RETRY_MAX);
            }
            Err(StoreError::DiskFull | StoreError::Closed) => return Err(Stopped::Leaving),
            Err(error) => return Err(Stopped::Failed(error.to_string())),
        }
    }
}

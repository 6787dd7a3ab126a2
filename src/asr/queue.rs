//! The queue before the decoders: what comes first, what waits, what is dropped. No threads in here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::DecodeRequest;
use super::mailbox::Mailbox;

/// A final due sooner than this is not passed by a first partial: the time of a few of them.
const FIRST_SLACK: Duration = Duration::from_millis(120);

/// Why a segment is decoded, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum JobKind {
    /// The segment has ended.
    Final,
    /// It will have ended if silence goes on; the result then is the final.
    Likely,
    /// It is still being spoken, and nothing of it was shown yet.
    First,
    /// It is still being spoken.
    Partial,
}

/// Names a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ticket(pub u64);

/// A segment that waits for a decoder.
#[derive(Debug)]
pub(super) struct Job {
    pub ticket: Ticket,
    pub session: u64,
    pub kind: JobKind,
    pub deadline: Instant,
    pub queued_at: Instant,
    pub request: DecodeRequest,
    pub mailbox: Arc<Mailbox>,
}

/// Jobs that wait. Finals are bounded by the sessions (each has a few at most), others by `capacity`.
#[derive(Debug)]
pub(super) struct JobQueue {
    jobs: Vec<Job>,
    capacity: usize,
    patience: Duration,
}

impl JobQueue {
    /// A queue for at most `capacity` jobs that are no finals; partials older than `patience` are dropped.
    pub(super) fn new(capacity: usize, patience: Duration) -> Self {
        Self { jobs: Vec::new(), capacity, patience }
    }

    /// Number of waiting finals.
    pub(super) fn finals(&self) -> usize {
        self.jobs.iter().filter(|job| job.kind == JobKind::Final).count()
    }

    /// Since when the longest waiting final waits.
    pub(super) fn oldest_final(&self) -> Option<Instant> {
        self.jobs.iter().filter(|job| job.kind == JobKind::Final).map(|job| job.queued_at).min()
    }

    /// Number of waiting jobs that are no finals.
    pub(super) fn others(&self) -> usize {
        self.jobs.len() - self.finals()
    }

    /// Puts a job in. A session's newer partial replaces its older one. The job that had to go is given back: the one that
    /// was replaced, or this one if there is no room.
    pub(super) fn push(&mut self, job: Job) -> Option<Job> {
        if job.kind == JobKind::Final {
            self.jobs.push(job);
            return None;
        }
        let replaced = self.jobs.iter().position(|other| other.session == job.session && other.kind != JobKind::Final);
        if let Some(index) = replaced {
            return Some(std::mem::replace(&mut self.jobs[index], job));
        }
        if job.kind == JobKind::Partial && (self.finals() > 0 || self.others() >= self.capacity) {
            return Some(job);
        }
        if self.others() < 2 * self.capacity {
            self.jobs.push(job);
            return None;
        }
        // A partial makes room for what is more urgent than it.
        let least = self.jobs.iter().position(|other| other.kind == JobKind::Partial && job.kind < JobKind::Partial);
        match least {
            Some(index) => Some(std::mem::replace(&mut self.jobs[index], job)),
            None => Some(job),
        }
    }

    /// The most urgent job; those whose time has passed are given back beside it. Finals go first, then what may become one,
    /// then first partials, then partials, within a kind by deadline. A first partial is short: it passes a final while no
    /// final's deadline is nearer than [`FIRST_SLACK`], and what may become a final, whose time has not come.
    pub(super) fn pop(&mut self, now: Instant) -> (Option<Job>, Vec<Job>) {
        let (stale, keep) = std::mem::take(&mut self.jobs)
            .into_iter()
            .partition(|job| job.kind != JobKind::Final && now.duration_since(job.queued_at) > self.patience);
        self.jobs = keep;
        let pressed = self.jobs.iter().any(|job| job.kind == JobKind::Final && job.deadline < now + FIRST_SLACK);
        let rank = |job: &Job| match job.kind {
            JobKind::First if !pressed => 0,
            JobKind::Final => 1,
            JobKind::Likely => 2,
            JobKind::First => 3,
            JobKind::Partial => 4,
        };
        let best = self.jobs.iter().enumerate().min_by_key(|(_, job)| (rank(job), job.deadline)).map(|(index, _)| index);
        (best.map(|index| self.jobs.swap_remove(index)), stale)
    }

    /// Makes a waiting job a final with a deadline. Whether it was waiting.
    pub(super) fn promote(&mut self, ticket: Ticket, deadline: Instant) -> bool {
        match self.jobs.iter_mut().find(|job| job.ticket == ticket) {
            Some(job) => {
                job.kind = JobKind::Final;
                job.deadline = deadline;
                true
            }
            None => false,
        }
    }

    /// Takes out what a session has waiting: all of it, or all but finals.
    pub(super) fn withdraw(&mut self, session: u64, finals_too: bool) {
        self.jobs.retain(|job| job.session != session || (job.kind == JobKind::Final && !finals_too));
    }

    /// Takes out everything.
    pub(super) fn clear(&mut self) -> Vec<Job> {
        std::mem::take(&mut self.jobs)
    }
}

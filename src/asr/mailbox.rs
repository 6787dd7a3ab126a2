//! The way back from the decoders to a session.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use super::queue::{Job, Ticket};
use super::{AsrError, Hypothesis};

/// What comes back from a decoder.
#[derive(Debug)]
pub(super) struct Reply {
    pub ticket: Ticket,
    pub outcome: Result<Hypothesis, AsrError>,
    /// Time in a decoder.
    pub decode_ms: u64,
}

impl Reply {
    /// The reply to a job that never reached a decoder.
    pub(super) fn of(job: &Job, outcome: Result<Hypothesis, AsrError>) -> Self {
        Self { ticket: job.ticket, outcome, decode_ms: 0 }
    }
}

/// Where replies for one session wait. Bounded by what the session has under way.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    replies: Mutex<Vec<Reply>>,
    arrived: Condvar,
    notify: Notify,
}

impl Mailbox {
    /// Puts a reply in and wakes who waits.
    pub(super) fn put(&self, reply: Reply) {
        self.replies.lock().push(reply);
        self.arrived.notify_all();
        self.notify.notify_one();
    }

    /// All replies that arrived.
    pub(super) fn take(&self) -> Vec<Reply> {
        std::mem::take(&mut *self.replies.lock())
    }

    /// Resolves once there is a reply.
    pub(super) async fn ready(&self) {
        loop {
            let notified = self.notify.notified();
            if !self.replies.lock().is_empty() {
                return;
            }
            notified.await;
        }
    }

    /// Blocks until there is a reply or the time is over.
    pub(super) fn wait(&self, patience: Duration) {
        let mut replies = self.replies.lock();
        if replies.is_empty() {
            self.arrived.wait_for(&mut replies, patience);
        }
    }
}

//! Where events go: a log that numbers them, makes them durable and then shows them.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Draft, Event};
use crate::conversation::CallId;

/// Why events could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The log is closed.
    #[error("the event log is closed")]
    Closed,
    /// The disk is full.
    #[error("the disk is full; nothing that was acknowledged is lost, free space and try again")]
    Full,
    /// Something else has the unique name of what was to be kept.
    #[error("{what} {id} exists already")]
    Exists {
        /// What it is.
        what: &'static str,
        /// Its unique name.
        id: String,
    },
    /// The log could not write.
    #[error("event log: {0}")]
    Failed(String),
}

/// A row that is kept in the same commit as the events it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A message of a text conversation under the name it has in the sending system.
    Message {
        /// Name in the sending system.
        external_id: String,
        /// Utterance that it became.
        utterance_id: String,
        /// The answer that was given, JSON.
        body: String,
    },
    /// Personal data that showed itself late goes out of the events that have the words of an utterance, and out of the
    /// answer that was kept for its repetition.
    Redact {
        /// Utterance.
        utterance_id: crate::conversation::UtteranceId,
        /// What goes.
        findings: Vec<crate::privacy::Finding>,
    },
    /// What the bot remembers of a chat, and its reply.
    Chat {
        /// `chat_…`.
        chat_id: String,
        /// JSON of the session.
        session: String,
        /// Token or site that opened the chat.
        owner: String,
        /// The message that is answered, the bot's message and the JSON of the reply.
        reply: Option<[String; 3]>,
    },
    /// A whole scorecard.
    Score {
        /// `scr_…`.
        score_id: String,
        /// Scheme.
        scheme_id: String,
        /// `live` or `post`.
        clock: String,
        /// Total, `None` if nothing could be scored.
        total: Option<f64>,
        /// Agent.
        agent_id: Option<String>,
        /// Queue.
        queue: Option<String>,
        /// JSON of the scorecard.
        body: String,
    },
}

/// The answer of [`EventSink::append`].
pub type Appended<'a> = Pin<Box<dyn Future<Output = Result<Vec<Arc<Event>>, SinkError>> + Send + 'a>>;

/// A log of events. Two implementations: the store of the service, and [`MemorySink`] of the command line.
pub trait EventSink: Send + Sync {
    /// Numbers durable drafts, makes them durable in order and together with `records`, then shows them.
    fn append<'a>(&'a self, call_id: &'a CallId, drafts: Vec<Draft>, records: Vec<Record>) -> Appended<'a>;

    /// Shows an ephemeral draft behind the last durable event. Nothing is kept.
    fn show(&self, call_id: &CallId, draft: Draft);
}

type EventListener = Box<dyn Fn(&Event) + Send + Sync>;
type RecordListener = Box<dyn Fn(Record) + Send + Sync>;

/// A log in memory that hands each event to a listener: the sink of the command line and of evaluation.
pub struct MemorySink {
    numbers: Mutex<HashMap<CallId, (u64, u32)>>,
    listener: EventListener,
    records: RecordListener,
}

impl MemorySink {
    /// A sink that calls `listener` with every event, durable or not, in order.
    pub fn new(listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self { numbers: Mutex::default(), listener: Box::new(listener), records: Box::new(drop) }
    }

    /// Also calls `records` with every record.
    pub fn with_records(self, records: impl Fn(Record) + Send + Sync + 'static) -> Self {
        Self { records: Box::new(records), ..self }
    }
}

impl EventSink for MemorySink {
    fn append<'a>(&'a self, call_id: &'a CallId, drafts: Vec<Draft>, records: Vec<Record>) -> Appended<'a> {
        let mut numbers = self.numbers.lock();
        let entry = numbers.entry(call_id.clone()).or_default();
        let mut events = Vec::with_capacity(drafts.len());
        for draft in drafts {
            *entry = (entry.0 + 1, 0);
            let event = Arc::new(draft.numbered(call_id, entry.0, 0));
            (self.listener)(&event);
            events.push(event);
        }
        records.into_iter().for_each(&self.records);
        Box::pin(std::future::ready(Ok(events)))
    }

    fn show(&self, call_id: &CallId, draft: Draft) {
        let mut numbers = self.numbers.lock();
        let entry = numbers.entry(call_id.clone()).or_default();
        entry.1 += 1;
        (self.listener)(&draft.numbered(call_id, entry.0, entry.1));
    }
}

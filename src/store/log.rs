//! The event log of the service: numbers, commits, then shows.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard, broadcast};

use super::knowledge::KnowledgeWrite;
use super::records::{AlertRow, ScoreRow, SuggestionRow};
use super::{ChatRow, ChatWrite, Store, StoreError, Write};
use crate::conversation::CallId;
use crate::event::{Appended, Call, Draft, Event, EventBody, EventSink, Record, now_rfc3339};

/// Events a subscriber of one call may be behind before it is cut off.
const CALL_CAPACITY: usize = 1_000;
/// Events a subscriber of all calls may be behind before it is cut off.
pub const WALL_CAPACITY: usize = 8_192;

/// The event log. Clones share it.
#[derive(Clone)]
pub struct EventLog {
    store: Store,
    calls: Arc<parking_lot::Mutex<HashMap<CallId, Arc<CallLog>>>>,
    wall: broadcast::Sender<Arc<Event>>,
}

struct CallLog {
    /// Last number. Held over a commit, so that events of one call are shown in their order.
    numbers: Arc<Mutex<Option<u64>>>,
    shown: parking_lot::Mutex<(u64, u32)>,
    newest_partials: parking_lot::Mutex<HashMap<String, Arc<Event>>>,
    subscribers: broadcast::Sender<Arc<Event>>,
}

/// One thing a subscriber gets.
#[derive(Clone, Debug)]
pub enum SubscriptionItem {
    /// The next event.
    Event(Arc<Event>),
    /// The subscriber was too slow; the number of the last event it got.
    TooSlow {
        /// Last number.
        last_seq: u64,
    },
}

/// Events of one call from a number on: first those in the log, then the newest partials, then live ones.
pub struct Subscription {
    replay: std::vec::IntoIter<Arc<Event>>,
    live: broadcast::Receiver<Arc<Event>>,
    last_seq: u64,
    /// Keeps the channel open when the call's own log is let go: the end is the last event, not a closed channel.
    _log: Arc<CallLog>,
}

impl Subscription {
    /// The next event; `None` when the log is closed. Safe to cancel.
    pub async fn next(&mut self) -> Option<SubscriptionItem> {
        if let Some(event) = self.replay.next() {
            self.last_seq = event.seq.max(self.last_seq);
            return Some(SubscriptionItem::Event(event));
        }
        loop {
            match self.live.recv().await {
                Ok(event) if event.sub == 0 && event.seq <= self.last_seq => {}
                Ok(event) => {
                    self.last_seq = event.seq.max(self.last_seq);
                    return Some(SubscriptionItem::Event(event));
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    return Some(SubscriptionItem::TooSlow { last_seq: self.last_seq });
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

impl EventLog {
    /// A log over a store.
    pub fn new(store: Store) -> Self {
        Self { store, calls: Arc::default(), wall: broadcast::channel(WALL_CAPACITY).0 }
    }

    /// The store below.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Events of all calls from now on.
    pub fn wall(&self) -> broadcast::Receiver<Arc<Event>> {
        self.wall.subscribe()
    }

    /// Calls whose numbers and subscribers are in memory.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.calls.lock().len()
    }

    fn call_log(&self, call_id: &CallId) -> Arc<CallLog> {
        let mut calls = self.calls.lock();
        let log = calls.entry(call_id.clone()).or_insert_with(|| {
            Arc::new(CallLog {
                numbers: Arc::default(),
                shown: parking_lot::Mutex::default(),
                newest_partials: parking_lot::Mutex::default(),
                subscribers: broadcast::channel(CALL_CAPACITY).0,
            })
        });
        Arc::clone(log)
    }

    /// The log of a call with its numbers, which are nobody else's until they are dropped.
    async fn numbers(&self, call_id: &CallId) -> (Arc<CallLog>, OwnedMutexGuard<Option<u64>>) {
        loop {
            let log = self.call_log(call_id);
            let numbers = Arc::clone(&log.numbers).lock_owned().await;
            // It may have been let go while this waited; then the count goes on in a new one.
            if self.calls.lock().get(call_id).is_some_and(|held| Arc::ptr_eq(held, &log)) {
                return (log, numbers);
            }
        }
    }

    /// Lets the log of a finished call go; its events stay. The numbers are held, so that nobody counts on in two logs.
    fn let_go(&self, call_id: &CallId, log: &Arc<CallLog>, _numbers: &OwnedMutexGuard<Option<u64>>) {
        let mut calls = self.calls.lock();
        if calls.get(call_id).is_some_and(|held| Arc::ptr_eq(held, log)) {
            calls.remove(call_id);
        }
    }

    /// Numbers drafts, commits them together with other writes (and the rows that events imply), then shows them.
    ///
    /// # Errors
    /// The store refused; then nothing was numbered and nobody saw anything.
    pub async fn append_with(
        &self,
        call_id: &CallId,
        drafts: Vec<Draft>,
        others: Vec<Write>,
    ) -> Result<Vec<Arc<Event>>, StoreError> {
        let (log, call_id) = (self.clone(), call_id.clone());
        // A task of its own: a caller that goes away between commit and count would leave a number to be given twice.
        let appending = tokio::spawn(async move { log.append_now(&call_id, drafts, others).await });
        appending.await.map_err(|_| StoreError::Closed)?
    }

    async fn append_now(&self, call_id: &CallId, drafts: Vec<Draft>, others: Vec<Write>) -> Result<Vec<Arc<Event>>, StoreError> {
        let (log, mut last) = self.numbers(call_id).await;
        let (first, was_over) = match *last {
            Some(seq) => (seq, false),
            None => {
                let seq = self.store.last_seq(call_id.as_str()).await?;
                (seq, seq > 0 && self.store.is_over(call_id.as_str()).await?)
            }
        };
        let events: Vec<Arc<Event>> =
            drafts.into_iter().zip(first + 1..).map(|(draft, seq)| Arc::new(draft.numbered(call_id, seq, 0))).collect();
        let mut writes = others;
        for event in &events {
            writes.extend(implied_rows(event, events.last().map_or(first, |e| e.seq)));
            writes.push(Write::Event(Arc::clone(event)));
        }
        if let Err(error) = self.store.write(writes).await {
            // A call that could not be opened has no one else who would let its log go.
            if first == 0 || was_over {
                self.let_go(call_id, &log, &last);
            }
            return Err(error);
        }
        *last = Some(first + events.len() as u64);
        metrics::counter!("zhiyin_events_appended_total").increment(events.len() as u64);
        for event in &events {
            log.show_durable(event);
            let _ = self.wall.send(Arc::clone(event));
        }
        if was_over || events.iter().any(|event| event.body.is_last()) {
            self.let_go(call_id, &log, &last);
        }
        Ok(events)
    }

    /// Events of a call from `from_seq` on, then live ones.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn subscribe(&self, call_id: &CallId, from_seq: u64) -> Result<Subscription, StoreError> {
        let log = self.call_log(call_id);
        // First listen, then read: what lies in both is skipped by its number.
        let live = log.subscribers.subscribe();
        let mut replay: Vec<Arc<Event>> = Vec::new();
        let mut next = from_seq.max(1);
        loop {
            let page = self.store.events(call_id.as_str(), next, 1_000).await?;
            let Some(last) = page.last() else { break };
            next = last.seq + 1;
            replay.extend(page.into_iter().map(Arc::new));
        }
        let last_seq = replay.last().map_or(next - 1, |e| e.seq);
        replay.extend(log.newest_partials.lock().values().cloned());
        if self.store.is_over(call_id.as_str()).await? {
            let numbers = Arc::clone(&log.numbers).lock_owned().await;
            self.let_go(call_id, &log, &numbers);
        }
        Ok(Subscription { replay: replay.into_iter(), live, last_seq, _log: log })
    }
}

impl CallLog {
    fn show_durable(&self, event: &Arc<Event>) {
        if let EventBody::TranscriptFinal(last) = &event.body {
            self.newest_partials.lock().remove(last.utterance_id.as_str());
        }
        *self.shown.lock() = (event.seq, 0);
        let _ = self.subscribers.send(Arc::clone(event));
    }
}

impl EventSink for EventLog {
    fn append<'a>(&'a self, call_id: &'a CallId, drafts: Vec<Draft>, records: Vec<Record>) -> Appended<'a> {
        let others = records.into_iter().flat_map(|record| rows_of(call_id, record)).collect();
        Box::pin(async move { Ok(self.append_with(call_id, drafts, others).await?) })
    }

    fn show(&self, call_id: &CallId, draft: Draft) {
        let log = self.call_log(call_id);
        let mut shown = log.shown.lock();
        shown.1 += 1;
        let event = Arc::new(draft.numbered(call_id, shown.0, shown.1));
        if let EventBody::TranscriptPartial(partial) = &event.body {
            let mut newest = log.newest_partials.lock();
            // An empty one takes the words back: the utterance gets no final that would remove it.
            if partial.text.is_empty() {
                newest.remove(partial.utterance_id.as_str());
            } else {
                newest.insert(partial.utterance_id.to_string(), Arc::clone(&event));
            }
        }
        let _ = log.subscribers.send(Arc::clone(&event));
        let _ = self.wall.send(event);
    }
}

/// Rows of other tables that follow from an event, written in the same commit.
fn implied_rows(event: &Event, last_seq: u64) -> Vec<Write> {
    let with_seq = |call: &Call| Write::Call(Box::new(Call { last_seq, ..call.clone() }));
    match &event.body {
        EventBody::CallStarted { call } | EventBody::CallUpdated { call } | EventBody::CallCompleted { call } => {
            vec![with_seq(call)]
        }
        EventBody::SuggestionCreated(suggestion) => vec![Write::Suggestion(SuggestionRow {
            suggestion_id: suggestion.suggestion_id.clone(),
            call_id: event.call_id.to_string(),
            state: "open".into(),
            body: serde_json::to_string(suggestion).unwrap_or_default(),
        })],
        EventBody::SuggestionWithdrawn { suggestion_id, .. } => {
            vec![Write::Knowledge(KnowledgeWrite::Withdrawn { suggestion_id: suggestion_id.clone() })]
        }
        EventBody::AlertRaised(alert) => vec![Write::Alert(AlertRow {
            alert_id: alert.alert_id.clone(),
            call_id: event.call_id.to_string(),
            state: "open".into(),
            level: serde_json::to_value(alert.level).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default(),
            time: event.time.clone(),
            body: serde_json::to_string(alert).unwrap_or_default(),
        })],
        EventBody::AlertAcknowledged { alert_id, .. } => {
            vec![Write::AlertState { alert_id: alert_id.clone(), state: "acknowledged" }]
        }
        EventBody::AlertResolved { alert_id, .. } => vec![Write::AlertState { alert_id: alert_id.clone(), state: "resolved" }],
        _ => Vec::new(),
    }
}

fn rows_of(call_id: &CallId, record: Record) -> Vec<Write> {
    let call_id = call_id.to_string();
    let row = match record {
        Record::Chat { chat_id, session, owner, reply } => return chat_rows(call_id, chat_id, session, owner, reply),
        Record::Message { external_id, utterance_id, body } => Write::Message { call_id, external_id, utterance_id, body },
        Record::Redact { utterance_id, findings } => Write::Redact { call_id, utterance_id, findings },
        Record::Score { score_id, scheme_id, clock, total, agent_id, queue, body } => Write::Score(ScoreRow {
            score_id,
            call_id,
            scheme_id,
            clock,
            total,
            agent_id,
            queue,
            created_at: now_rfc3339(),
            body,
        }),
    };
    vec![row]
}

fn chat_rows(call_id: String, chat_id: String, session: String, owner: String, reply: Option<[String; 3]>) -> Vec<Write> {
    let of = chat_id.clone();
    let row = ChatRow { chat_id, call_id, owner, name: None, ended: false, updated_at: now_rfc3339(), body: session };
    let reply = reply.map(|[client_message_id, message_id, body]| {
        Write::Chat(ChatWrite::Reply { chat_id: of, client_message_id, message_id, body })
    });
    [Write::Chat(ChatWrite::Chat(row))].into_iter().chain(reply).collect()
}

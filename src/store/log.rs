//! The event log of the service: numbers, commits, then shows.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Mutex, broadcast};

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
    /// Last number and sub-number. Held over a commit, so that events of one call are shown in their order.
    numbers: Mutex<Option<u64>>,
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

    /// Forgets the numbers of a call that is over; its events stay.
    pub fn forget(&self, call_id: &CallId) {
        self.calls.lock().remove(call_id);
    }

    fn call_log(&self, call_id: &CallId) -> Arc<CallLog> {
        let mut calls = self.calls.lock();
        let log = calls.entry(call_id.clone()).or_insert_with(|| {
            Arc::new(CallLog {
                numbers: Mutex::new(None),
                shown: parking_lot::Mutex::default(),
                newest_partials: parking_lot::Mutex::default(),
                subscribers: broadcast::channel(CALL_CAPACITY).0,
            })
        });
        Arc::clone(log)
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
        let log = self.call_log(call_id);
        let mut last = log.numbers.lock().await;
        let first = match *last {
            Some(seq) => seq,
            None => self.store.last_seq(call_id.as_str()).await?,
        };
        let events: Vec<Arc<Event>> =
            drafts.into_iter().zip(first + 1..).map(|(draft, seq)| Arc::new(draft.numbered(call_id, seq, 0))).collect();
        let mut writes = others;
        for event in &events {
            writes.extend(implied_rows(event, events.last().map_or(first, |e| e.seq)));
            writes.push(Write::Event(Arc::clone(event)));
        }
        self.store.write(writes).await?;
        *last = Some(first + events.len() as u64);
        metrics::counter!("zhiyin_events_appended_total").increment(events.len() as u64);
        for event in &events {
            log.show_durable(event);
            let _ = self.wall.send(Arc::clone(event));
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
        Ok(Subscription { replay: replay.into_iter(), live, last_seq })
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
            log.newest_partials.lock().insert(partial.utterance_id.to_string(), Arc::clone(&event));
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

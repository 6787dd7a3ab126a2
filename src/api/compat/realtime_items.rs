//! Items of a realtime session: what was heard between two commits, in the vendor's order of events.
//!
//! started -> stopped -> committed -> item -> delta* -> completed; items complete in order.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::realtime_config::{Config, Shape, TurnDetection};
use super::{Appended, Piece};
use crate::conversation::{Utterance, UtteranceId};

/// One item: a turn that voice activity found, or what the client committed.
#[derive(Debug)]
struct Item {
    id: String,
    /// Utterances that are heard in it and not settled yet.
    open: Vec<UtteranceId>,
    text: String,
    logprobs: Vec<Value>,
    given: Appended,
    committed: bool,
    begin_ms: i64,
    end_ms: i64,
}

/// The items of a session.
#[derive(Debug)]
pub(super) struct Items {
    shape: Shape,
    queue: VecDeque<Item>,
    last_committed: Option<String>,
}

impl Items {
    pub(super) fn new(shape: Shape) -> Self {
        Self { shape, queue: VecDeque::new(), last_committed: None }
    }

    pub(super) fn speak(&mut self, shape: Shape) {
        self.shape = shape;
    }

    /// Events of what was heard.
    pub(super) fn hear(&mut self, pieces: Vec<Piece>, config: &Config) -> Vec<Value> {
        let mut events = Vec::new();
        let by_voice = config.turns != TurnDetection::Manual;
        for piece in pieces {
            match piece {
                Piece::Started { id, at_ms, .. } => {
                    let item = self.item_for(id, at_ms, by_voice);
                    if by_voice {
                        let item_id = item.id.clone();
                        events.push(
                            json!({"type": "input_audio_buffer.speech_started", "audio_start_ms": at_ms, "item_id": item_id}),
                        );
                    }
                }
                Piece::Ended { id, at_ms, .. } => {
                    let Some(place) = self.place_of(&id) else { continue };
                    self.queue[place].end_ms = at_ms;
                    if by_voice {
                        let item_id = self.queue[place].id.clone();
                        events.push(
                            json!({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": at_ms, "item_id": item_id}),
                        );
                        events.extend(self.commit_at(place));
                    }
                }
                Piece::Partial { id, text, stable_chars, .. } if config.is_live() => {
                    let Some(place) = self.place_of(&id) else { continue };
                    let item = &mut self.queue[place];
                    let whole = format!("{}{}{text}", item.text, gap(&item.text, &text));
                    let stable = whole.chars().count() - text.chars().count() + stable_chars;
                    if let Some(delta) = item.given.stable(&whole, stable) {
                        let event = delta_event(&item.id, delta);
                        // Deltas of one item at a time, in order; what waits comes with its final.
                        if place == 0 {
                            events.push(event);
                        }
                    }
                }
                Piece::Partial { .. } => {}
                Piece::Final { utterance, .. } => self.settle(&utterance.utterance_id.clone(), Some(utterance), config),
                Piece::Nothing { id, .. } => self.settle(&id, None, config),
            }
        }
        events.extend(self.complete());
        events
    }

    /// The client commits what it has sent: everything heard so far is one item.
    pub(super) fn commit(&mut self, at_ms: i64) -> Vec<Value> {
        if self.queue.back().is_none_or(|item| item.committed) {
            self.queue.push_back(Item::new(at_ms));
        }
        let mut events = self.commit_at(self.queue.len() - 1);
        events.extend(self.complete());
        events
    }

    fn item_for(&mut self, id: UtteranceId, at_ms: i64, by_voice: bool) -> &Item {
        if by_voice || self.queue.back().is_none_or(|item| item.committed) {
            self.queue.push_back(Item::new(at_ms));
        }
        let last = self.queue.len() - 1;
        self.queue[last].open.push(id);
        &self.queue[last]
    }

    fn place_of(&self, id: &UtteranceId) -> Option<usize> {
        self.queue.iter().position(|item| item.open.contains(id))
    }

    fn commit_at(&mut self, place: usize) -> Vec<Value> {
        let item = &mut self.queue[place];
        item.committed = true;
        let item_id = item.id.clone();
        let previous = self.last_committed.replace(item_id.clone());
        let shown = json!({
            "id": item_id, "object": "realtime.item", "type": "message", "status": "completed", "role": "user",
            "content": [{"type": "input_audio", "transcript": Value::Null}],
        });
        let mut events = vec![json!({"type": "input_audio_buffer.committed", "item_id": item_id, "previous_item_id": previous})];
        let names: &[&str] = match self.shape {
            Shape::Ga => &["conversation.item.added", "conversation.item.done"],
            Shape::Beta => &["conversation.item.created"],
        };
        events.extend(names.iter().map(|name| json!({"type": name, "previous_item_id": previous, "item": shown})));
        events
    }

    fn settle(&mut self, id: &UtteranceId, utterance: Option<Utterance>, config: &Config) {
        let Some(place) = self.place_of(id) else { return };
        let item = &mut self.queue[place];
        item.open.retain(|open| open != id);
        if let Some(utterance) = utterance {
            let gap = gap(&item.text, &utterance.text);
            item.text.push_str(gap);
            item.text.push_str(&utterance.text);
            if config.logprobs {
                item.logprobs.extend(utterance.words.iter().filter_map(|w| {
                    let logprob = f64::from(w.confidence?.max(1e-6)).ln();
                    Some(json!({"token": w.text, "logprob": logprob, "bytes": w.text.as_bytes()}))
                }));
            }
        }
    }

    /// The items at the front whose words are all there.
    fn complete(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        while self.queue.front().is_some_and(|item| item.committed && item.open.is_empty()) {
            let Some(mut item) = self.queue.pop_front() else { break };
            if let Some(delta) = item.given.rest(&item.text) {
                events.push(delta_event(&item.id, delta));
            }
            let seconds = (item.end_ms - item.begin_ms).max(0) as f64 / 1_000.0;
            let mut completed = json!({
                "type": "conversation.item.input_audio_transcription.completed", "item_id": item.id, "content_index": 0,
                "transcript": item.text, "usage": {"type": "duration", "seconds": seconds},
            });
            if !item.logprobs.is_empty() {
                completed["logprobs"] = item.logprobs.into();
            }
            events.push(completed);
        }
        events
    }
}

impl Item {
    fn new(begin_ms: i64) -> Self {
        Self {
            id: format!("item_{}", ulid::Ulid::new()),
            open: Vec::new(),
            text: String::new(),
            logprobs: Vec::new(),
            given: Appended::default(),
            committed: false,
            begin_ms,
            end_ms: begin_ms,
        }
    }
}

fn delta_event(item_id: &str, delta: String) -> Value {
    json!({
        "type": "conversation.item.input_audio_transcription.delta", "item_id": item_id, "content_index": 0, "delta": delta,
    })
}

/// What stands between two parts of one item.
fn gap(before: &str, next: &str) -> &'static str {
    let latin = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if latin(next.chars().next()) && before.chars().next_back().is_some_and(|c| c.is_ascii()) { " " } else { "" }
}

//! What is seen of running calls at the event log, where a subscriber sees it, and the times of it.
//!
//! Times count from the moment a sample has been said: the sender of a call is its clock, sample `t` of the recording is said
//! at `began + t`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::bench::machine::percentile;
use crate::conversation::CallId;
use crate::event::{Event, EventBody, TranscriptFinal, TranscriptPartial};
use crate::vad::VadConfig;

/// A final utterance of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::bench) struct Spoken {
    pub(in crate::bench) channel: u16,
    pub(in crate::bench) start_ms: i64,
    pub(in crate::bench) end_ms: i64,
    pub(in crate::bench) text: String,
}

impl Spoken {
    /// From the final of the wire.
    pub(in crate::bench) fn of(t: &TranscriptFinal) -> Self {
        Self { channel: t.channel_index, start_ms: t.start_ms, end_ms: t.end_ms, text: t.raw_text.clone() }
    }

    fn shared_ms(&self, other: &Self) -> i64 {
        let both = self.channel == other.channel;
        if both { (self.end_ms.min(other.end_ms) - self.start_ms.max(other.start_ms)).max(0) } else { 0 }
    }
}

/// Utterances of an undisturbed run that another run of the same audio does not cover to at least half.
pub(in crate::bench) fn lost(undisturbed: &[Spoken], heard: &[Spoken]) -> usize {
    let covered = |u: &Spoken| 2 * heard.iter().map(|h| h.shared_ms(u)).sum::<i64>() >= u.end_ms - u.start_ms;
    undisturbed.iter().filter(|u| !covered(u)).count()
}

/// Why a final came when it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    /// Silence ended the utterance.
    Silence,
    /// Its meaning decided how long silence was waited for.
    Meaning,
    /// The longest length, or the end of the audio.
    Cut,
}

/// What was seen of one call.
#[derive(Default)]
struct Seen {
    sample: usize,
    began: Option<Instant>,
    /// Why the utterance that began here ended, by channel and begin; and its end.
    ended: HashMap<(u16, i64), (String, i64)>,
    /// Last words shown of an utterance that has no final.
    shown: HashMap<String, Vec<char>>,
    final_at: HashMap<String, Instant>,
    heard: Vec<Spoken>,
}

/// All calls of a run, and the times of their events.
#[derive(Default)]
pub(in crate::bench) struct Ledger {
    calls: HashMap<CallId, Seen>,
    first_partial_ms: Vec<f64>,
    finals_ms: Vec<(Group, f64)>,
    suggestion_ms: Vec<f64>,
    taken_back: usize,
    final_chars: usize,
    degraded: usize,
    failed_decodes: usize,
    missed: u64,
}

/// Shares a ledger between the calls and the watcher.
pub(in crate::bench) type SharedLedger = Arc<Mutex<Ledger>>;

/// Takes the time of every event as it becomes visible; ends when the log goes.
pub(in crate::bench) async fn watch(mut wall: broadcast::Receiver<Arc<Event>>, ledger: SharedLedger) {
    loop {
        match wall.recv().await {
            Ok(event) => ledger.lock().take(&event, Instant::now()),
            Err(RecvError::Lagged(n)) => ledger.lock().missed += n,
            Err(RecvError::Closed) => return,
        }
    }
}

/// Audio that an utterance keeps before and behind its speech, milliseconds.
fn padding_ms() -> f64 {
    f64::from(VadConfig::default().padding_ms)
}

impl Ledger {
    /// A call plays a recording; its clock starts now.
    pub(in crate::bench) fn begin(&mut self, call_id: CallId, sample: usize, began: Instant) {
        self.calls.insert(call_id, Seen { sample, began: Some(began), ..Seen::default() });
    }

    fn take(&mut self, event: &Event, now: Instant) {
        let Some(seen) = self.calls.get_mut(&event.call_id) else { return };
        let Some(began) = seen.began else { return };
        let since = |at_ms: i64| (now - began).as_secs_f64() * 1_000.0 - at_ms as f64;
        match &event.body {
            EventBody::SpeechEnded { channel_index, start_ms, end_ms, endpoint, .. } => {
                seen.ended.insert((*channel_index, *start_ms), (endpoint.clone(), *end_ms));
            }
            EventBody::TranscriptPartial(p) => {
                if !seen.shown.contains_key(p.utterance_id.as_str()) && !p.text.is_empty() && !seen.goes_on(p) {
                    // An utterance begins a padding before its first voiced sample, and ends one behind its last.
                    self.first_partial_ms.push(since(p.start_ms) - padding_ms());
                }
                self.taken_back += seen.revise(p.utterance_id.as_str(), &p.text);
            }
            EventBody::TranscriptFinal(t) => {
                let group = match seen.ended.get(&(t.channel_index, t.start_ms)).map(|(why, _)| why.as_str()) {
                    Some("semantic") => Group::Meaning,
                    Some("flush" | "max_length") => Group::Cut,
                    _ => Group::Silence,
                };
                self.finals_ms.push((group, since(t.end_ms) + padding_ms()));
                self.taken_back += seen.revise(t.utterance_id.as_str(), &t.raw_text);
                seen.shown.remove(t.utterance_id.as_str());
                self.final_chars += t.raw_text.chars().count();
                seen.final_at.insert(t.utterance_id.to_string(), now);
                seen.heard.push(Spoken::of(t));
            }
            EventBody::SuggestionCreated(s) => {
                let final_at = s.trigger.utterance_ids.first().and_then(|id| seen.final_at.get(id.as_str()));
                if let Some(at) = final_at {
                    self.suggestion_ms.push((now - *at).as_secs_f64() * 1_000.0);
                }
            }
            EventBody::StageDegraded(notice) if notice.cause == "overload" => self.degraded += 1,
            EventBody::StageDegraded(_) => self.failed_decodes += 1,
            _ => {}
        }
    }

    fn group_ms(&self, group: Group) -> Vec<f64> {
        self.finals_ms.iter().filter(|(of, _)| *of == group).map(|(_, ms)| *ms).collect()
    }

    /// Utterances that were heard without load and have no final here, over the calls that ended well.
    pub(in crate::bench) fn lost_finals(&self, undisturbed: &[Vec<Spoken>]) -> usize {
        self.calls.values().map(|seen| undisturbed.get(seen.sample).map_or(0, |spoken| lost(spoken, &seen.heard))).sum()
    }

    /// The figures of the calls.
    pub(in crate::bench) fn figures(&self) -> Vec<(&'static str, f64)> {
        let [silence, meaning, cut] = [Group::Silence, Group::Meaning, Group::Cut].map(|group| self.group_ms(group));
        let greatest = self.finals_ms.iter().map(|(_, ms)| *ms).fold(0.0, f64::max);
        vec![
            ("first_partial_p50_ms", percentile(&self.first_partial_ms, 0.5)),
            ("first_partial_p95_ms", percentile(&self.first_partial_ms, 0.95)),
            ("final_p50_ms", percentile(&silence, 0.5)),
            ("final_p95_ms", percentile(&silence, 0.95)),
            ("final_meaning_p50_ms", percentile(&meaning, 0.5)),
            ("final_meaning_p95_ms", percentile(&meaning, 0.95)),
            ("final_cut_p95_ms", percentile(&cut, 0.95)),
            ("final_max_ms", greatest),
            ("suggestion_p50_ms", percentile(&self.suggestion_ms, 0.5)),
            ("suggestion_p95_ms", percentile(&self.suggestion_ms, 0.95)),
            ("partial_churn", self.taken_back as f64 / self.final_chars.max(1) as f64),
            ("first_partials", self.first_partial_ms.len() as f64),
            ("finals", self.finals_ms.len() as f64),
            ("finals_meaning", meaning.len() as f64),
            ("finals_cut", cut.len() as f64),
            ("degraded", self.degraded as f64),
            ("failed_decodes", self.failed_decodes as f64),
            ("events_missed", self.missed as f64),
        ]
    }
}

impl Seen {
    /// Whether the utterance is the rest of one that was cut for its length: nobody began to speak there.
    fn goes_on(&self, p: &TranscriptPartial) -> bool {
        let cut_here = |((channel, _), (why, end_ms)): (&(u16, i64), &(String, i64))| {
            *channel == p.channel_index && *end_ms == p.start_ms && why == "max_length"
        };
        self.ended.iter().any(cut_here)
    }

    /// Keeps what is shown; the characters that were taken back from what stood there.
    fn revise(&mut self, utterance: &str, text: &str) -> usize {
        let next: Vec<char> = text.chars().collect();
        let last = self.shown.insert(utterance.to_owned(), next.clone()).unwrap_or_default();
        last.len() - last.iter().zip(&next).take_while(|(a, b)| a == b).count()
    }
}

#[cfg(test)]
mod tests {
    use super::{Seen, Spoken, lost};

    fn spoken(channel: u16, start_ms: i64, end_ms: i64) -> Spoken {
        Spoken { channel, start_ms, end_ms, text: String::new() }
    }

    #[test]
    fn an_utterance_is_lost_if_less_than_half_of_it_was_heard_on_its_channel() {
        let undisturbed = [spoken(0, 0, 1_000), spoken(0, 2_000, 3_000), spoken(1, 2_000, 3_000)];
        // Cut in two, half missing, other channel.
        let heard = [spoken(0, 0, 300), spoken(0, 400, 1_000), spoken(0, 2_600, 3_000)];
        assert_eq!(lost(&undisturbed, &heard), 2);
        assert_eq!(lost(&undisturbed, &undisturbed), 0);
    }

    #[test]
    fn churn_counts_what_is_taken_back() {
        let mut seen = Seen::default();
        assert_eq!(seen.revise("a", "我想"), 0);
        assert_eq!(seen.revise("a", "我想退款"), 0);
        assert_eq!(seen.revise("a", "我要退"), 3);
        assert_eq!(seen.revise("b", "x"), 0);
    }
}

//! Where the parties of a call speak at the same time, on a channel each.

use std::collections::{BTreeMap, VecDeque};

use super::heard::Heard;
use crate::conversation::TimeSpan;
use crate::event::EventBody;

/// Shorter stretches are no overlap: the edges of speech are known to a frame or two.
const MIN_OVERLAP_MS: i64 = 100;
/// Stretches of speech remembered per channel.
const MEMORY: usize = 32;

/// When each channel spoke.
#[derive(Debug, Default)]
pub(super) struct Overlaps {
    /// Silence that utterances keep at both ends, in milliseconds.
    padding_ms: i64,
    open: BTreeMap<u16, i64>,
    spoken: BTreeMap<u16, VecDeque<TimeSpan>>,
}

impl Overlaps {
    /// Nothing was heard yet.
    pub(super) fn new(padding_ms: u32) -> Self {
        Self { padding_ms: padding_ms.into(), ..Self::default() }
    }

    /// Takes note of when a channel speaks.
    pub(super) fn observe(&mut self, channel: u16, heard: &Heard) {
        match heard {
            Heard::Started { start_ms, .. } => {
                self.open.insert(channel, *start_ms);
            }
            Heard::Notice(draft) => {
                if let EventBody::SpeechEnded { start_ms, end_ms, .. } = draft.body {
                    self.open.remove(&channel);
                    let spans = self.spoken.entry(channel).or_default();
                    spans.push_back(TimeSpan::new(start_ms, end_ms));
                    if spans.len() > MEMORY {
                        spans.pop_front();
                    }
                }
            }
            _ => {}
        }
    }

    /// Stretches of an utterance in which another channel speaks too, as far as is known; in order, without overlap.
    pub(super) fn of(&self, channel: u16, utterance: TimeSpan) -> Vec<[i64; 2]> {
        let core = |start_ms: i64, end_ms: i64| (start_ms + self.padding_ms, end_ms - self.padding_ms);
        let (from, to) = core(utterance.start_ms, utterance.end_ms);
        let ended = self.spoken.iter().filter(|(other, _)| **other != channel).flat_map(|(_, spans)| spans);
        let ended = ended.map(|span| core(span.start_ms, span.end_ms));
        let open = self.open.iter().filter(|(other, _)| **other != channel).map(|(_, start_ms)| (start_ms + self.padding_ms, to));
        let mut found: Vec<[i64; 2]> = ended.chain(open).map(|(a, b)| [a.max(from), b.min(to)]).collect();
        found.retain(|[a, b]| b - a >= MIN_OVERLAP_MS);
        found.sort_unstable();
        let mut merged: Vec<[i64; 2]> = Vec::new();
        for [a, b] in found {
            match merged.last_mut().filter(|last| a <= last[1]) {
                Some(last) => last[1] = last[1].max(b),
                None => merged.push([a, b]),
            }
        }
        merged
    }
}

//! The way between the written and the spoken text.

use std::ops::Range;

/// For every code point of the written text, the code points of the spoken text that it stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpanMap {
    source: Vec<Range<usize>>,
    source_len: usize,
}

impl SpanMap {
    /// The spoken code points behind the written ones `[start, end)`. Positions behind the end are cut off.
    pub fn source(&self, start: usize, end: usize) -> Range<usize> {
        let first = self.source.get(start).map_or(self.source_len, |range| range.start);
        if end <= start {
            return first..first;
        }
        let last = self.source.get(end - 1).map_or(self.source_len, |range| range.end);
        first..last.max(first)
    }

    /// The written code points that stand for any of the spoken ones `[start, end)`.
    pub fn target(&self, start: usize, end: usize) -> Range<usize> {
        let first = self.source.partition_point(|range| range.end <= start);
        let last = self.source.partition_point(|range| range.start < end);
        first..last.max(first)
    }

    /// Length of the written text in code points.
    pub fn len(&self) -> usize {
        self.source.len()
    }

    /// Whether the written text is empty.
    pub fn is_empty(&self) -> bool {
        self.source.is_empty()
    }
}

/// Reads a text from left to right and writes another, keeping the map.
pub(super) struct Rewriter<'a> {
    pub(super) chars: &'a [char],
    /// Next code point to read.
    pub(super) at: usize,
    text: String,
    map: SpanMap,
}

impl<'a> Rewriter<'a> {
    pub(super) fn new(chars: &'a [char]) -> Self {
        Self { chars, at: 0, text: String::new(), map: SpanMap { source: Vec::new(), source_len: chars.len() } }
    }

    /// Copies code points as they are.
    pub(super) fn copy(&mut self, count: usize) {
        for position in self.at..(self.at + count).min(self.chars.len()) {
            self.text.push(self.chars[position]);
            self.map.source.push(position..position + 1);
        }
        self.at = (self.at + count).min(self.chars.len());
    }

    /// Writes `text` in place of the next `count` code points.
    pub(super) fn replace(&mut self, count: usize, text: &str) {
        let end = (self.at + count).min(self.chars.len());
        self.text.push_str(text);
        self.map.source.extend(text.chars().map(|_| self.at..end));
        self.at = end;
    }

    pub(super) fn finish(mut self) -> (String, SpanMap) {
        self.copy(self.chars.len() - self.at);
        (self.text, self.map)
    }
}

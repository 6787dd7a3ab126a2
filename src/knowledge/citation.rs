//! Where in a passage the answer is: highlighted words and the best sentence.

use std::collections::{BTreeSet, HashMap};

use crate::text::{Script, fold_with_map, runs, segment};

use super::analysis;
use super::chunk::sentences;
use super::query::{Highlight, TermSource};
use super::terms::QueryTerm;

/// What of a query occurs in a passage.
pub(super) struct Marked {
    /// Spans in order, without overlap.
    pub(super) highlights: Vec<Highlight>,
    /// The best sentence.
    pub(super) citation: Highlight,
    /// The terms that occur.
    pub(super) matched: BTreeSet<String>,
}

/// A place where a term occurs.
struct Occurrence {
    start: usize,
    end: usize,
    term: String,
}

/// Marks the terms of a query in a passage and finds the sentence that holds most of their weight.
pub(super) fn mark(text: &str, terms: &[QueryTerm]) -> Marked {
    let weights: HashMap<&str, f32> = terms.iter().map(|term| (term.term.as_str(), term.weight * term.idf.max(0.01))).collect();
    let by_sound = terms.iter().any(|term| term.source == TermSource::Sound);
    let mut occurrences: Vec<Occurrence> = segment::tokens(text)
        .iter()
        .map(|token| Occurrence { start: token.start, end: token.end, term: analysis::term_of(token) })
        .filter(|occurrence| weights.contains_key(occurrence.term.as_str()))
        .collect();
    if by_sound {
        occurrences.extend(sounds(text).into_iter().filter(|occurrence| weights.contains_key(occurrence.term.as_str())));
    }
    occurrences.sort_by_key(|occurrence| (occurrence.start, occurrence.end));
    Marked {
        highlights: merge(&occurrences),
        citation: best_sentence(text, &occurrences, &weights),
        matched: occurrences.into_iter().map(|occurrence| occurrence.term).collect(),
    }
}

/// Syllable pairs and sound keys with their places.
fn sounds(text: &str) -> Vec<Occurrence> {
    let folded = fold_with_map(text);
    let chars: Vec<char> = folded.text.chars().collect();
    let mut found = Vec::new();
    for (script, range) in runs(&chars) {
        if script != Script::Han {
            continue;
        }
        for start in range.start..range.end.saturating_sub(1) {
            if let [term] = analysis::sound_pairs(&chars[start..start + 2]).as_slice() {
                found.push(Occurrence { start: folded.source[start], end: folded.source[start + 1] + 1, term: term.clone() });
            }
        }
    }
    for token in segment::words(text).iter().filter(|token| !token.han) {
        if let Some(term) = analysis::english_sound(&token.text) {
            found.push(Occurrence { start: token.start, end: token.end, term });
        }
    }
    found
}

fn merge(occurrences: &[Occurrence]) -> Vec<Highlight> {
    let mut spans: Vec<Highlight> = Vec::new();
    for occurrence in occurrences {
        match spans.last_mut() {
            Some(last) if occurrence.start <= last.end => last.end = last.end.max(occurrence.end),
            _ => spans.push(Highlight { start: occurrence.start, end: occurrence.end }),
        }
    }
    spans
}

/// The sentence with the greatest summed weight of distinct terms; the first sentence if none occurs.
fn best_sentence(text: &str, occurrences: &[Occurrence], weights: &HashMap<&str, f32>) -> Highlight {
    let mut start = 0;
    let mut best: Option<(f32, Highlight)> = None;
    for sentence in sentences(text) {
        let length = sentence.chars().count();
        let lead = sentence.chars().take_while(|c| c.is_whitespace()).count();
        let tail = sentence.chars().rev().take_while(|c| c.is_whitespace()).count();
        let inside = |occurrence: &&Occurrence| occurrence.start >= start && occurrence.end <= start + length;
        let distinct: BTreeSet<&str> = occurrences.iter().filter(inside).map(|occurrence| occurrence.term.as_str()).collect();
        let weight: f32 = distinct.iter().filter_map(|term| weights.get(term)).sum();
        // a heading or the head of a table repeats the question and does not answer it
        let table_head = sentence.starts_with('|') && !sentence.chars().any(|c| c.is_ascii_digit());
        let ends = sentence.chars().any(|c| matches!(c, '。' | '；' | '.' | '！' | ':' | '：' | '|'));
        let answers = length >= 5 && ends && !table_head;
        let weight = if answers { weight + 0.001 } else { weight * 0.4 };
        if lead < length && best.is_none_or(|(most, _)| weight > most) {
            best = Some((weight, Highlight { start: start + lead, end: start + length - tail }));
        }
        start += length;
    }
    best.map_or(Highlight { start: 0, end: text.chars().count() }, |(_, span)| span)
}

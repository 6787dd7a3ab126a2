//! `keyword`: words and phrases, with synonyms.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{Outcome, Reading, Unit};
use crate::quality::fields::{Fields, did_you_mean};
use crate::quality::model::Span;
use crate::quality::sentence::View;
use crate::quality::source::Spot;
use crate::quality::text;
use crate::quality::value::UnitValue;

const MAX_KEYWORDS: usize = 2_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Any,
    All,
    None,
    Of(usize),
}

/// A phrase, folded; a run of white space in it is one space and matches any run of white space.
#[derive(Clone, Debug)]
pub(crate) struct Phrase(Vec<char>);

impl Phrase {
    pub(crate) fn new(text: &str, case_sensitive: bool) -> Self {
        let mut chars: Vec<char> = Vec::new();
        for c in text.chars() {
            let c = if case_sensitive { text::fold_width(c) } else { text::fold(c) };
            match c.is_whitespace() {
                true if chars.last() == Some(&' ') => {}
                true => chars.push(' '),
                false => chars.push(c),
            }
        }
        Self(chars)
    }

    /// Its longest stretch without white space, lower case: what a text must hold to hold the phrase.
    pub(crate) fn needle(&self) -> String {
        let pieces = self.0.split(|c| *c == ' ');
        let longest = pieces.max_by_key(|p| p.len()).unwrap_or_default();
        longest.iter().map(|c| text::fold(*c)).collect()
    }

    /// The end of the phrase if it stands at `at`.
    fn match_at(&self, chars: &[char], at: usize, end: usize) -> Option<usize> {
        let mut place = at;
        for &c in &self.0 {
            let next = *chars[..end].get(place)?;
            if c == ' ' {
                if !next.is_whitespace() {
                    return None;
                }
                while place < end && chars[place].is_whitespace() {
                    place += 1;
                }
            } else if next == c {
                place += 1;
            } else {
                return None;
            }
        }
        (place > at).then_some(place)
    }
}

/// Occurrences of any of `phrases` in `[start, end)`: leftmost, then longest, without overlap.
pub(crate) fn find(phrases: &[Phrase], chars: &[char], start: usize, end: usize, whole_word: bool) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = start;
    while at < end {
        let fits = |stop: &usize| !whole_word || !text::cuts_word(chars, at, *stop);
        match phrases.iter().filter_map(|p| p.match_at(chars, at, end)).filter(fits).max() {
            Some(stop) => {
                found.push((at, stop));
                at = stop;
            }
            None => at += 1,
        }
    }
    found
}

#[derive(Clone, Debug)]
pub(crate) struct Keyword {
    mode: Mode,
    /// Each head with its synonyms.
    pub(crate) heads: Vec<Vec<Phrase>>,
    /// The heads as written, for the warning about contradictions.
    pub(crate) written: Vec<String>,
    min_hits: usize,
    case_sensitive: bool,
    whole_word: bool,
    /// Its bit in the candidate sets of sentences.
    pub(crate) slot: usize,
}

impl Keyword {
    pub(crate) fn read(json: &Json, pointer: &str, cx: &mut Reading) -> Option<Self> {
        let allowed = ["any", "all", "none", "of", "at_least", "synonyms", "min_hits", "case_sensitive", "whole_word"];
        let fields = Fields::new(json, pointer, &allowed, cx.report)?;
        let given: Vec<&str> = ["any", "all", "none", "of"].into_iter().filter(|k| fields.has(k)).collect();
        let [key] = given[..] else {
            let message = "give exactly one of any, all, none, of".to_owned();
            let code = if given.is_empty() { "missing_field" } else { "bad_value" };
            cx.report.push(pointer, Spot::Value, code, message, None);
            return None;
        };
        let words = expand(&fields, key, cx)?;
        let mode = match key {
            "any" => Mode::Any,
            "all" => Mode::All,
            "none" => Mode::None,
            _ => {
                fields.require("at_least", cx.report)?;
                Mode::Of(fields.count("at_least", 1, 1, cx.report))
            }
        };
        if key != "of" && fields.has("at_least") {
            cx.report.bad(&fields.at("at_least"), "at_least belongs to `of`".into());
        }
        let case_sensitive = fields.flag("case_sensitive", false, cx.report);
        let synonyms = read_synonyms(&fields, &words, cx);
        let phrase = |word: &str| Phrase::new(word, case_sensitive);
        let mut unique: Vec<String> = Vec::new();
        for word in words {
            if !unique.contains(&word) {
                unique.push(word);
            }
        }
        let heads = unique
            .iter()
            .map(|word| {
                let others = synonyms.get(word).into_iter().flatten();
                std::iter::once(phrase(word)).chain(others.map(|s| phrase(s))).collect()
            })
            .collect();
        Some(Self {
            mode,
            heads,
            written: unique,
            min_hits: fields.count("min_hits", 1, 1, cx.report),
            case_sensitive,
            whole_word: fields.flag("whole_word", true, cx.report),
            slot: usize::MAX,
        })
    }

    /// Whether the words are forbidden rather than required.
    pub(crate) fn forbids(&self) -> bool {
        self.mode == Mode::None
    }

    /// Whether every word is required.
    pub(crate) fn requires_all(&self) -> bool {
        self.mode == Mode::All || (self.mode == Mode::Any && self.heads.len() == 1)
    }

    /// Whether, over a growing window, true stays true.
    pub(crate) fn grows(&self) -> bool {
        !self.forbids()
    }

    pub(crate) fn test(&self, unit: Unit, view: &View, spans: bool) -> Outcome {
        match unit {
            Unit::Sentence(turn) => {
                if self.slot != usize::MAX && !view.sentence(turn).may_contain(self.slot) {
                    return (UnitValue::of(self.mode == Mode::None), Vec::new());
                }
                let end = view.sentence(turn).len;
                self.test_parts(&[Span { turn, start: 0, end }], view, spans)
            }
            _ => self.test_parts(&unit.parts(view), view, spans),
        }
    }

    fn test_parts(&self, parts: &[Span], view: &View, spans: bool) -> Outcome {
        let possible: Vec<&Span> =
            parts.iter().filter(|p| self.slot == usize::MAX || view.sentence(p.turn).may_contain(self.slot)).collect();
        let mut found: Vec<Span> = Vec::new();
        let mut heads_found = 0;
        let quick = !spans && self.mode == Mode::Any && self.min_hits == 1;
        if !possible.is_empty() {
            for head in &self.heads {
                let before = found.len();
                for part in &possible {
                    let sentence = view.sentence(part.turn);
                    let chars = if self.case_sensitive { sentence.cased() } else { sentence.chars() };
                    let places = find(head, chars, part.start, part.end, self.whole_word);
                    found.extend(places.into_iter().map(|(start, end)| Span { turn: part.turn, start, end }));
                }
                heads_found += usize::from(found.len() > before);
                if quick && !found.is_empty() {
                    break;
                }
            }
        }
        let enough = found.len() >= self.min_hits;
        let truth = match self.mode {
            Mode::Any => enough,
            Mode::All => enough && heads_found == self.heads.len(),
            Mode::Of(least) => enough && heads_found >= least,
            Mode::None => return (UnitValue::of(found.is_empty()), Vec::new()),
        };
        (UnitValue::of(truth), if truth { found } else { Vec::new() })
    }
}

/// The words of a list, with `@name` replaced by the named list.
pub(crate) fn expand(fields: &Fields, key: &str, cx: &mut Reading) -> Option<Vec<String>> {
    let words = fields.texts(key, cx.report)?;
    let mut out = Vec::with_capacity(words.len());
    let mut sound = true;
    for (i, word) in words.into_iter().enumerate() {
        let place = format!("{}/{i}", fields.at(key));
        if let Some(name) = word.strip_prefix('@') {
            match cx.lists.get(name) {
                Some(list) => out.extend(list.iter().cloned()),
                None => {
                    let hint = did_you_mean(name, cx.lists.keys().map(String::as_str));
                    cx.report.push(&place, Spot::Value, "unknown_list", format!("there is no list \"{name}\""), hint);
                    sound = false;
                }
            }
        } else if word.trim().is_empty() {
            cx.report.bad(&place, "a keyword must not be empty".into());
            sound = false;
        } else {
            out.push(word);
        }
    }
    if out.len() > MAX_KEYWORDS {
        let message = format!("{} keywords, at most {MAX_KEYWORDS} are allowed", out.len());
        cx.report.push(&fields.at(key), Spot::Value, "limit", message, None);
        return None;
    }
    sound.then_some(out)
}

fn read_synonyms(fields: &Fields, words: &[String], cx: &mut Reading) -> BTreeMap<String, Vec<String>> {
    let mut out = BTreeMap::new();
    let Some(json) = fields.get("synonyms") else { return out };
    let Json::Object(map) = json else {
        cx.report.bad(&fields.at("synonyms"), "a table of lists is expected here".into());
        return out;
    };
    let table = Fields { map, pointer: fields.at("synonyms") };
    for head in map.keys() {
        if !words.contains(head) {
            let hint = did_you_mean(head, words.iter().map(String::as_str));
            let message = format!("\"{head}\" is not one of the keywords");
            cx.report.push(&table.at(head), Spot::Key, "bad_value", message, hint);
            continue;
        }
        if let Some(list) = expand(&table, head, cx) {
            out.insert(head.clone(), list);
        }
    }
    out
}

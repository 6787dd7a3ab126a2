//! `regex`: regular expressions of a linear-time engine.

use ::regex::{Regex, RegexBuilder};
use serde_json::Value as Json;

use super::{Outcome, Unit};
use crate::quality::fields::{Fields, Report};
use crate::quality::model::Span;
use crate::quality::sentence::View;
use crate::quality::source::Spot;
use crate::quality::value::UnitValue;

/// Memory for the states of one automaton, bytes; only those that texts reach are made. With the engine's own limit of 2 MiB a
/// list of a hundred wordings forgets its states again and again, and then runs without them, fifty times slower.
pub(crate) const STATES_BYTES: usize = 16 * 1024 * 1024;

#[derive(Clone, Debug)]
pub(crate) struct RegexOp {
    pattern: Regex,
    narrowed: bool,
    except: Option<Regex>,
    case_sensitive: bool,
    /// Its place in what sentences remember; equal operators of a rule set share one.
    pub(crate) slot: usize,
}

/// Compiles a pattern; a failure is reported with the way out for what this engine refuses on purpose.
pub(crate) fn compile(pattern: &str, case_sensitive: bool, pointer: &str, report: &mut Report) -> Option<Regex> {
    match RegexBuilder::new(pattern).case_insensitive(!case_sensitive).dfa_size_limit(STATES_BYTES).build() {
        Ok(regex) => {
            let wide = |c: char| matches!(c, '\u{FF10}'..='\u{FF19}' | '\u{FF21}'..='\u{FF3A}' | '\u{FF41}'..='\u{FF5A}');
            if pattern.contains(wide) {
                let message = "full-width letters and digits of the text are folded, so this never matches".to_owned();
                report.warn(pointer, "full_width", message, Some("write them in half width".into()));
            }
            Some(regex)
        }
        Err(error) => {
            let text = error.to_string();
            let special = ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|p| pattern.contains(p)) || text.contains("backreference");
            let message = if special {
                "look-around and back references are not supported, so that every pattern runs in linear time".to_owned()
            } else {
                text.lines().last().unwrap_or("the pattern does not compile").trim().to_owned()
            };
            let hint = special.then(|| "put what must not occur into `except`".to_owned());
            report.push(pointer, Spot::Value, "bad_regex", message, hint);
            None
        }
    }
}

impl RegexOp {
    pub(crate) fn read(json: &Json, pointer: &str, report: &mut Report) -> Option<Self> {
        let fields = Fields::new(json, pointer, &["match", "except", "case_sensitive"], report)?;
        fields.require("match", report);
        let case_sensitive = fields.flag("case_sensitive", false, report);
        let read = |key: &str, report: &mut Report| {
            let pattern = fields.text(key, report)?;
            compile(pattern, case_sensitive, &fields.at(key), report)
        };
        let (pattern, except) = (read("match", report), read("except", report));
        let pattern = pattern?;
        let narrowed = pattern.capture_names().any(|name| name == Some("hit"));
        Some(Self { pattern, narrowed, except, case_sensitive, slot: usize::MAX })
    }

    /// Equal for operators that say the same of every sentence.
    pub(crate) fn identity(&self) -> (String, Option<String>, bool) {
        (self.pattern.as_str().to_owned(), self.except.as_ref().map(|e| e.as_str().to_owned()), self.case_sensitive)
    }

    /// Its pattern with its flags written into it, if it can be searched together with others without making all of them slow:
    /// borders of words are not for the automata of texts beyond ASCII.
    pub(crate) fn inline(&self) -> Option<String> {
        const BORDERS: [&str; 4] = ["\\b", "\\B", "\\<", "\\>"];
        let pattern = self.pattern.as_str();
        let slow = BORDERS.iter().any(|border| pattern.contains(border));
        (!slow).then(|| format!("{}{pattern}", if self.case_sensitive { "" } else { "(?i)" }))
    }

    pub(crate) fn test(&self, unit: Unit, view: &View, spans: bool) -> Outcome {
        match unit {
            Unit::Sentence(turn) if !spans => {
                let sentence = view.sentence(turn);
                let known = sentence.regexes.borrow().get(self.slot).copied().flatten();
                let truth = known.unwrap_or_else(|| self.is_match(sentence.regex_text()));
                if let Some(cell) = sentence.regexes.borrow_mut().get_mut(self.slot) {
                    *cell = Some(truth);
                }
                (UnitValue::of(truth), Vec::new())
            }
            Unit::Sentence(turn) => {
                let sentence = view.sentence(turn);
                if sentence.regexes.borrow().get(self.slot) == Some(&Some(false)) {
                    return (UnitValue::False, Vec::new());
                }
                let text = sentence.regex_text();
                self.search(text, spans, |start, end| {
                    vec![Span { turn, start: chars_before(text, start), end: chars_before(text, end) }]
                })
            }
            Unit::Clause(turn, from, to) => {
                let text = view.sentence(turn).regex_text();
                let (a, b) = (byte_of(text, from), byte_of(text, to));
                let clause = &text[a..b];
                self.search(clause, spans, |start, end| {
                    let place = |byte| from + chars_before(clause, byte);
                    vec![Span { turn, start: place(start), end: place(end) }]
                })
            }
            Unit::Window(turns) => {
                let texts: Vec<&str> = turns.iter().map(|t| view.sentence(*t).regex_text()).collect();
                let joined = texts.join("\n");
                self.search(&joined, spans, |start, end| cut(turns, &texts, start, end))
            }
        }
    }

    /// Whether `match` is found and `except` is not. Most sentences lack the first, so it is asked first.
    fn is_match(&self, text: &str) -> bool {
        self.pattern.find_iter(text).any(|m| !m.is_empty()) && !self.except.as_ref().is_some_and(|e| e.is_match(text))
    }

    fn search(&self, text: &str, spans: bool, locate: impl Fn(usize, usize) -> Vec<Span>) -> Outcome {
        if !spans {
            return (UnitValue::of(self.is_match(text)), Vec::new());
        }
        if self.except.as_ref().is_some_and(|except| except.is_match(text)) {
            return (UnitValue::False, Vec::new());
        }
        let mut out = Vec::new();
        if self.narrowed {
            for captures in self.pattern.captures_iter(text) {
                let whole = captures.get(0).filter(|m| !m.is_empty());
                if let Some(m) = whole.map(|w| captures.name("hit").filter(|h| !h.is_empty()).unwrap_or(w)) {
                    out.extend(locate(m.start(), m.end()));
                }
            }
        } else {
            for m in self.pattern.find_iter(text).filter(|m| !m.is_empty()) {
                out.extend(locate(m.start(), m.end()));
            }
        }
        (UnitValue::of(!out.is_empty()), out)
    }
}

/// Cuts a range of the joined text into the turns it covers.
fn cut(turns: &[usize], texts: &[&str], start: usize, end: usize) -> Vec<Span> {
    let mut out = Vec::new();
    let mut offset = 0;
    for (turn, text) in turns.iter().zip(texts) {
        let (a, b) = (start.max(offset), end.min(offset + text.len()));
        if a < b {
            let place = |byte: usize| chars_before(text, byte - offset);
            out.push(Span { turn: *turn, start: place(a), end: place(b) });
        }
        offset += text.len() + 1;
    }
    out
}

fn chars_before(text: &str, byte: usize) -> usize {
    text[..byte].chars().count()
}

fn byte_of(text: &str, chars: usize) -> usize {
    text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at)
}

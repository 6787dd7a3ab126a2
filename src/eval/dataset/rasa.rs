//! Rasa NLU training data: the YAML of `nlu:` files, as far as that form goes.
//!
//! ```yaml
//! version: "3.1"
//! nlu:
//! - intent: order_status
//!   examples: |
//!     - where is my order [A-17](order_no)
//!     - has [it]{"entity": "product", "value": "the coat"} left
//! ```
//!
//! `synonym`, `regex` and `lookup` blocks say nothing about single texts and are passed over; anything else is refused.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;
use super::{expect_kind, length_slice, mapped};
use crate::conversation::{Language, Role};
use crate::eval::example::{Dataset, Example, Gold, Input, Span};
use crate::eval::task::{Kind, Task};
use crate::eval::{EvalError, Result};

/// One training sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RasaExample {
    /// The line it stands in.
    pub line: usize,
    /// Its intent.
    pub intent: String,
    /// Its words, without marks.
    pub text: String,
    /// Its entities.
    pub spans: Vec<Span>,
}

/// Reads a file.
///
/// # Errors
/// A line that does not follow the form.
pub fn parse_rasa(file: &str, text: &str) -> Result<Vec<RasaExample>> {
    let mut found = Vec::new();
    // What the current block is about; `None`: passed over.
    let mut intent: Option<String> = None;
    let (mut in_nlu, mut in_examples, mut block_indent) = (false, false, 0);
    for (number, line) in text.lines().enumerate().map(|(i, l)| (i + 1, l.trim_end())) {
        let words = line.trim_start();
        let indent = line.len() - words.len();
        if words.is_empty() || words.starts_with('#') || words == "---" {
            continue;
        }
        if in_examples && indent > block_indent {
            if let Some(intent) = &intent {
                let words = words
                    .strip_prefix("- ")
                    .or(words.strip_prefix('-'))
                    .ok_or_else(|| EvalError::line(file, number, "an example begins with \"- \""))?;
                let (text, spans) = parse_marks(words.trim()).map_err(|problem| EvalError::line(file, number, problem))?;
                if text.trim().is_empty() {
                    return Err(EvalError::line(file, number, "an example without words"));
                }
                found.push(RasaExample { line: number, intent: intent.clone(), text, spans });
            }
            continue;
        }
        in_examples = false;
        if indent == 0 && !words.starts_with("- ") {
            in_nlu = words == "nlu:";
            if !in_nlu && !words.contains(':') {
                return Err(EvalError::line(file, number, "neither \"key: value\" nor a block of examples"));
            }
            continue;
        }
        if !in_nlu {
            continue;
        }
        let key = words.strip_prefix("- ").unwrap_or(words);
        let Some((key, value)) = key.split_once(':') else {
            return Err(EvalError::line(file, number, "neither \"key: value\" nor a block of examples"));
        };
        let value = value.trim().trim_matches(|c| c == '"' || c == '\'');
        match key.trim() {
            "intent" if value.is_empty() => return Err(EvalError::line(file, number, "an intent without a name")),
            "intent" => intent = Some(value.to_owned()),
            "synonym" | "regex" | "lookup" => intent = None,
            "examples" if value.starts_with('|') => (in_examples, block_indent) = (true, indent),
            "examples" => return Err(EvalError::line(file, number, "examples are a block: write \"examples: |\"")),
            "metadata" | "version" | "sentiment" => {}
            other => return Err(EvalError::line(file, number, format!("\"{other}\" is not known in NLU data"))),
        }
    }
    Ok(found)
}

/// Takes the marks `[words](type)` and `[words]{"entity": "type"}` out of a sentence.
pub(super) fn parse_marks(marked: &str) -> std::result::Result<(String, Vec<Span>), String> {
    let (mut text, mut spans, mut rest) = (String::new(), Vec::new(), marked);
    while let Some(open) = rest.find('[') {
        let Some(close) = rest[open..].find(']').map(|c| open + c) else { break };
        let after = &rest[close + 1..];
        let (kind, used) = match after.as_bytes().first() {
            Some(b'(') => {
                let end = after.find(')').ok_or_else(|| "\"(\" behind \"]\" is not closed".to_owned())?;
                // The old form names the value behind a colon.
                let kind = after[1..end].split(':').next().unwrap_or("").trim().to_owned();
                (kind, end + 1)
            }
            Some(b'{') => {
                let end = after.find('}').ok_or_else(|| "\"{\" behind \"]\" is not closed".to_owned())?;
                let value: serde_json::Value =
                    serde_json::from_str(&after[..=end]).map_err(|e| format!("the entity's braces hold no JSON: {e}"))?;
                (value["entity"].as_str().unwrap_or("").to_owned(), end + 1)
            }
            // Brackets that mark nothing.
            _ => {
                text.push_str(&rest[..=close]);
                rest = after;
                continue;
            }
        };
        if kind.is_empty() {
            return Err("an entity without a type".into());
        }
        text.push_str(&rest[..open]);
        let start = text.chars().count();
        text.push_str(&rest[open + 1..close]);
        let end = text.chars().count();
        if start < end {
            spans.push(Span { kind, start, end });
        }
        rest = &after[used..];
    }
    text.push_str(rest);
    Ok((text, spans))
}

pub(super) fn load(task: &Task, source: &Source) -> Result<Dataset> {
    expect_kind(task, &[Kind::Label, Kind::Spans])?;
    let file = source.name(&task.dataset.path);
    let mut examples = Vec::new();
    for row in parse_rasa(&file, &source.text(&task.dataset.path)?)? {
        let gold = match task.kind() {
            Kind::Label => match mapped(task, &file, row.line, &row.intent)? {
                Some(label) => Gold::Label(vec![label]),
                None => continue,
            },
            _ => {
                let mut spans = BTreeSet::new();
                for span in row.spans {
                    spans.extend(mapped(task, &file, row.line, &span.kind)?.map(|kind| Span { kind, ..span }));
                }
                Gold::Spans(spans)
            }
        };
        let language = Language::of_text(&row.text);
        let slices = BTreeMap::from([
            ("language".to_owned(), language.name().to_owned()),
            ("length".to_owned(), length_slice(&row.text).to_owned()),
            ("label".to_owned(), row.intent.clone()),
        ]);
        let id = row.line.to_string();
        examples.push(Example {
            situation: id.clone(),
            id,
            input: Input::Text(row.text),
            gold,
            language,
            role: Role::Customer,
            slices,
        });
    }
    Ok(Dataset { examples, sha256: String::new(), corpus: Vec::new() })
}

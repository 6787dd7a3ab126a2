//! Personal data in exchanges of one or several turns (`datasets/personal-data`).

use std::collections::{BTreeMap, BTreeSet};

use super::expect_kind;
use super::records::numbered_lines;
use super::source::Source;
use crate::conversation::{Conversation, Language, Role, Turn};
use crate::eval::example::{Dataset, Example, Gold, Input, Span};
use crate::eval::task::{Kind, Task};
use crate::eval::{EvalError, Result};
use crate::privacy::Marked;

/// Places count over the turns as if they stood below each other: one code point parts two turns.
pub(super) fn load(task: &Task, source: &Source) -> Result<Dataset> {
    expect_kind(task, &[Kind::Spans])?;
    let file = source.name(&task.dataset.path);
    let mut examples = Vec::new();
    for (line, words) in numbered_lines(&source.text(&task.dataset.path)?) {
        let marked: Marked = serde_json::from_str(words).map_err(|e| EvalError::line(&file, line, e.to_string()))?;
        if task.dataset.split.as_ref().is_some_and(|split| *split != marked.split) {
            continue;
        }
        let (mut spans, mut offset, mut turns) = (BTreeSet::new(), 0, Vec::new());
        for (number, turn) in marked.turns.iter().enumerate() {
            let length = turn.text.chars().count();
            for span in &turn.spans {
                if span.start >= span.end || span.end > length {
                    let problem =
                        format!("id \"{}\": a span from {} to {} does not lie in its turn", marked.id, span.start, span.end);
                    return Err(EvalError::line(&file, line, problem));
                }
                spans.insert(Span { kind: span.kind.name().into(), start: span.start + offset, end: span.end + offset });
            }
            offset += length + 1;
            let role = Role::from_name(&turn.role).unwrap_or_default();
            turns.push(Turn { id: Some(number.to_string()), role, text: turn.text.clone(), ..Turn::default() });
        }
        let language = Language::from_tag(task.languages.first().map_or("", String::as_str)).unwrap_or_default();
        let kinds: BTreeSet<&str> = spans.iter().map(|s| s.kind.as_str()).collect();
        let label = kinds.into_iter().next().unwrap_or("none").to_owned();
        let slices = BTreeMap::from([
            ("language".to_owned(), language.name().to_owned()),
            ("label".to_owned(), label),
            ("turns".to_owned(), if turns.len() > 1 { "several" } else { "one" }.to_owned()),
        ]);
        examples.push(Example {
            input: Input::Conversation(Box::new(Conversation { id: marked.id.clone(), turns, ..Conversation::default() })),
            id: marked.id,
            gold: Gold::Spans(spans),
            language,
            role: Role::Customer,
            situation: marked.situation,
            slices,
        });
    }
    Ok(Dataset { examples, sha256: String::new(), corpus: Vec::new() })
}

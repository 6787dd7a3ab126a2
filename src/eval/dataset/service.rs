//! The project's utterances (`datasets/service-*`): one JSON object a line, made by `datasets/build.py`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::records::numbered_lines;
use super::source::Source;
use super::{expect_kind, length_slice};
use crate::conversation::{Language, Role};
use crate::eval::example::{Dataset, Example, Gold, Input, Span};
use crate::eval::task::{Kind, Task};
use crate::eval::{EvalError, Result};

#[derive(Deserialize)]
struct Row {
    id: String,
    situation: String,
    role: String,
    text: String,
    intents: Vec<String>,
    acts: Vec<String>,
    emotion: String,
    conduct: Vec<String>,
    entities: Vec<Entity>,
}

#[derive(Deserialize)]
struct Entity {
    #[serde(rename = "type")]
    kind: String,
    start: usize,
    end: usize,
    text: String,
}

pub(super) fn load(task: &Task, source: &Source) -> Result<Dataset> {
    expect_kind(task, &[Kind::Label, Kind::Labels, Kind::Spans, Kind::Speed])?;
    let path = format!("{}/{}.jsonl", task.dataset.path, task.dataset.split.as_deref().unwrap_or("test"));
    let file = source.name(&path);
    let mut examples = Vec::new();
    for (line, words) in numbered_lines(&source.text(&path)?) {
        let row: Row = serde_json::from_str(words).map_err(|e| EvalError::line(&file, line, e.to_string()))?;
        let role = Role::from_name(&row.role).ok_or_else(|| EvalError::line(&file, line, format!("no role \"{}\"", row.role)))?;
        check_entities(&file, line, &row)?;
        if task.run.role.as_ref().is_some_and(|asked| *asked != row.role) {
            continue;
        }
        let Some(gold) = gold(task, &row) else { continue };
        let language = Language::from_tag(task.languages.first().map_or("", String::as_str))
            .filter(|_| task.languages.len() == 1)
            .unwrap_or_else(|| Language::of_text(&row.text));
        let mut slices = BTreeMap::from([
            ("language".to_owned(), language.name().to_owned()),
            ("role".to_owned(), row.role.clone()),
            ("length".to_owned(), length_slice(&row.text).to_owned()),
        ]);
        if let Gold::Label(labels) = &gold {
            slices.extend(labels.first().map(|l| ("label".to_owned(), l.clone())));
        }
        examples.push(Example {
            id: row.id,
            input: Input::Text(row.text),
            gold,
            language,
            role,
            situation: row.situation,
            slices,
        });
    }
    Ok(Dataset { examples, sha256: String::new(), corpus: Vec::new() })
}

/// The words of an entity must be the words at its place.
fn check_entities(file: &str, line: usize, row: &Row) -> Result<()> {
    let chars: Vec<char> = row.text.chars().collect();
    for entity in &row.entities {
        let words: Option<String> = chars.get(entity.start..entity.end).map(|c| c.iter().collect());
        if words.as_deref() != Some(&entity.text) {
            let problem = format!(
                "id \"{}\": entity {} at {} to {} is not what stands there",
                row.id, entity.kind, entity.start, entity.end
            );
            return Err(EvalError::line(file, line, problem));
        }
    }
    Ok(())
}

fn gold(task: &Task, row: &Row) -> Option<Gold> {
    match task.stage.as_str() {
        "intent" => (!row.intents.is_empty()).then(|| Gold::Label(row.intents.clone())),
        "emotion" => Some(Gold::Label(vec![row.emotion.clone()])),
        "act" => Some(Gold::Labels(row.acts.iter().cloned().collect())),
        "conduct" => Some(Gold::Labels(row.conduct.iter().cloned().collect())),
        "entity" | "personal" => {
            let span = |e: &Entity| Span { kind: e.kind.clone(), start: e.start, end: e.end };
            Some(Gold::Spans(row.entities.iter().map(span).collect()))
        }
        _ => Some(Gold::None),
    }
}

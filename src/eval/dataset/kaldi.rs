//! Recordings with their words: Kaldi folders (`text`, `wav.scp`), and folders with `manifest.jsonl`.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::expect_kind;
use super::records::numbered_lines;
use super::source::Source;
use crate::conversation::{Language, Role};
use crate::eval::example::{Dataset, Example, Gold, Input};
use crate::eval::task::{Kind, Task};
use crate::eval::{EvalError, Result};

fn inside(task: &Task, name: &str) -> String {
    if task.dataset.path.is_empty() { name.to_owned() } else { format!("{}/{name}", task.dataset.path) }
}

fn language(task: &Task, text: &str) -> Language {
    match &task.languages[..] {
        [only] => Language::from_tag(only).unwrap_or_default(),
        _ => Language::of_text(text),
    }
}

/// A Kaldi folder. Without `wav.scp` the words alone are read: then only predictions from a file can be measured.
pub(super) fn load(task: &Task, source: &Source) -> Result<Dataset> {
    expect_kind(task, &[Kind::Text])?;
    let path = inside(task, "text");
    let file = source.name(&path);
    let scp = inside(task, "wav.scp");
    let recordings = match source.list(&task.dataset.path)?.contains(&scp) {
        true => Some(parse_scp(&source.name(&scp), &source.text(&scp)?)?),
        false => None,
    };
    let mut examples = Vec::new();
    for (line, words) in numbered_lines(&source.text(&path)?) {
        let (id, said) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
        let input = match &recordings {
            None => Input::Text(id.to_owned()),
            Some(known) => {
                let audio = known.get(id).ok_or_else(|| EvalError::line(&file, line, format!("\"{id}\" is not in wav.scp")))?;
                Input::Audio { path: source.file(&inside(task, audio))?, channel: 0, span: None }
            }
        };
        examples.push(example(task, id.to_owned(), input, said.trim().to_owned(), None));
    }
    Ok(Dataset { examples, sha256: String::new(), corpus: Vec::new() })
}

fn parse_scp(file: &str, text: &str) -> Result<HashMap<String, String>> {
    let mut known = HashMap::new();
    for (line, words) in numbered_lines(text) {
        let (id, path) = words
            .split_once(char::is_whitespace)
            .ok_or_else(|| EvalError::line(file, line, "no blank between the utterance and its recording"))?;
        if path.trim_end().ends_with('|') {
            return Err(EvalError::line(file, line, "commands are not run; name the recording itself"));
        }
        known.insert(id.to_owned(), path.trim().to_owned());
    }
    Ok(known)
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    audio: String,
    #[serde(alias = "prompt")]
    text: String,
    #[serde(default)]
    speaker: Option<serde_json::Value>,
}

pub(super) fn load_manifest(task: &Task, source: &Source) -> Result<Dataset> {
    expect_kind(task, &[Kind::Text])?;
    let path = inside(task, "manifest.jsonl");
    let file = source.name(&path);
    let limit = task.dataset.limit.unwrap_or(usize::MAX);
    let mut entries: Vec<Entry> = Vec::new();
    for (line, words) in numbered_lines(&source.text(&path)?) {
        entries.push(serde_json::from_str(words).map_err(|e| EvalError::line(&file, line, e.to_string()))?);
    }
    // Of many recordings every n-th is taken before any is opened, so that the rest need not be read.
    let step = entries.len().div_ceil(limit.max(1)).max(1);
    let mut examples = Vec::new();
    for entry in entries.into_iter().step_by(step) {
        let input = Input::Audio { path: source.file(&inside(task, &entry.audio))?, channel: 0, span: None };
        let speaker = entry.speaker.map(|s| s.as_str().map_or_else(|| s.to_string(), str::to_owned));
        examples.push(example(task, entry.id, input, entry.text, speaker));
    }
    Ok(Dataset { examples, sha256: String::new(), corpus: Vec::new() })
}

fn example(task: &Task, id: String, input: Input, text: String, speaker: Option<String>) -> Example {
    let language = language(task, &text);
    let mut slices = BTreeMap::from([
        ("language".to_owned(), language.name().to_owned()),
        ("length".to_owned(), super::length_slice(&text).to_owned()),
    ]);
    slices.extend(speaker.clone().map(|s| ("speaker".to_owned(), s)));
    Example {
        situation: speaker.unwrap_or_else(|| id.clone()),
        id,
        input,
        gold: Gold::Text(text),
        language,
        role: Role::Unknown,
        slices,
    }
}

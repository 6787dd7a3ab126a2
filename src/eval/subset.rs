//! A part of a task: another split, a draw, or the items of a list; and items written out for other programs and for readers.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::dataset::records::numbered_lines;
use super::dataset::{DataPlaces, drawn, load, source_hex};
use super::example::{Dataset, Example, Gold, Input};
use super::statistics::Draws;
use super::task::Task;
use super::{EvalError, Result};

/// Which items of a task take part; all of its own split by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subset {
    /// Another split than the task's, for example `dev`, on which one may tune.
    pub split: Option<String>,
    /// At most so many items, drawn with the seed.
    pub limit: Option<usize>,
    /// JSON lines with the `id` of each item.
    pub items: Option<PathBuf>,
}

impl Subset {
    /// Whether the task is measured as its file says.
    pub fn is_whole(&self) -> bool {
        *self == Self::default()
    }

    /// Reads the part of a task's data.
    ///
    /// # Errors
    /// As [`load`]; a list of items that holds an unknown id, an id twice, or nothing.
    pub fn load(&self, task: &Task, places: &DataPlaces, seed: u64) -> Result<Dataset> {
        let mut asked = task.clone();
        if self.split.is_some() {
            asked.dataset.split.clone_from(&self.split);
        }
        if self.items.is_some() {
            asked.dataset.limit = None;
        } else if self.limit.is_some() {
            asked.dataset.limit = self.limit;
        }
        let mut dataset = load(&asked, places, seed)?;
        if let Some(path) = &self.items {
            let chosen = listed(path, &asked, &dataset.examples)?;
            dataset.examples.retain(|e| chosen.contains(&e.id));
            if let Some(limit) = self.limit.filter(|l| *l < dataset.examples.len()) {
                dataset.examples = drawn(dataset.examples, limit, seed, &task.id);
            }
        }
        if !self.is_whole() {
            let ids: Vec<&str> = dataset.examples.iter().map(|e| e.id.as_str()).collect();
            let sum = Sha256::digest(format!("{}\n{}", dataset.sha256, ids.join("\n")).as_bytes());
            dataset.sha256 = source_hex(&sum);
        }
        Ok(dataset)
    }
}

/// Ids of a list of items.
fn listed(path: &Path, task: &Task, examples: &[Example]) -> Result<HashSet<String>> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| EvalError::file(path, e))?;
    let known: HashSet<&str> = examples.iter().map(|e| e.id.as_str()).collect();
    let blind = blind_ids(examples);
    let (mut chosen, mut problems) = (HashSet::new(), Vec::new());
    for (line, words) in numbered_lines(&text) {
        let read = serde_json::from_str::<Value>(words).map_err(|e| EvalError::line(&file, line, e.to_string()))?;
        let Some(id) = read["id"].as_str() else {
            problems.push(format!("{file}:{line}: no \"id\"; every line names an item: {{\"id\":\"…\"}}"));
            continue;
        };
        let id = blind.get(id).copied().unwrap_or(id);
        if !known.contains(id) {
            problems.push(format!("{file}:{line}: id \"{id}\" is no item of task {}", task.id));
        } else if !chosen.insert(id.to_owned()) {
            problems.push(format!("{file}:{line}: id \"{id}\" stands there twice"));
        }
    }
    if chosen.is_empty() && problems.is_empty() {
        problems.push(format!("{file}: names no item; nothing would be measured"));
    }
    problems.truncate(20);
    if problems.is_empty() { Ok(chosen) } else { Err(EvalError::Problems(problems)) }
}

/// The name under which a reader sees an item: ids of the data may tell what it is about.
pub fn blind_id(id: &str) -> String {
    format!("blind-{}", &source_hex(&Sha256::digest(id.as_bytes()))[..12])
}

/// Blind names -> ids.
pub(super) fn blind_ids(examples: &[Example]) -> HashMap<String, &str> {
    examples.iter().map(|e| (blind_id(&e.id), e.id.as_str())).collect()
}

/// Items as JSON lines. Without labels: under blind names, in an order that the seed decides, so that neither a name nor a
/// neighbour tells anything.
pub fn exported(task: &Task, dataset: &Dataset, labels: bool, seed: u64) -> String {
    let mut examples: Vec<&Example> = dataset.examples.iter().collect();
    if !labels {
        let mut random = Draws::named(seed, &format!("{} in a blind order", task.id));
        let mut keyed: Vec<(u64, &Example)> = examples.into_iter().map(|e| (random.next_u64(), e)).collect();
        keyed.sort_by_key(|(key, e)| (*key, e.id.as_str()));
        examples = keyed.into_iter().map(|(_, e)| e).collect();
    }
    let line = |example: &&Example| format!("{}\n", Value::Object(row(example, labels)));
    examples.iter().map(line).collect()
}

fn row(example: &Example, labels: bool) -> Map<String, Value> {
    let mut row = Map::new();
    let id = if labels { example.id.clone() } else { blind_id(&example.id) };
    row.insert("id".into(), id.into());
    row.insert("language".into(), example.language.name().into());
    match &example.input {
        Input::Audio { path, channel, span } => {
            row.insert("audio".into(), path.display().to_string().into());
            row.insert("channel".into(), (*channel).into());
            if let Some(span) = span {
                row.insert("start_ms".into(), span.start_ms.into());
                row.insert("end_ms".into(), span.end_ms.into());
            }
        }
        Input::Conversation(conversation) => {
            row.insert("turns".into(), json!(conversation.turns));
        }
        _ => {
            row.insert("text".into(), example.shown().into());
        }
    }
    if labels {
        row.insert("situation".into(), example.situation.clone().into());
        row.extend(gold(&example.gold));
    }
    row
}

/// What should come out, under the names of the predictions.
fn gold(gold: &Gold) -> Option<(String, Value)> {
    let (name, value) = match gold {
        Gold::Label(labels) if labels.len() == 1 => ("label", json!(labels[0])),
        Gold::Label(labels) => ("accepted", json!(labels)),
        Gold::Labels(labels) => ("labels", json!(labels)),
        Gold::Spans(spans) => ("spans", json!(spans)),
        Gold::Text(text) => ("reference", json!(text)),
        Gold::Relevant(relevant) => ("relevant", json!(relevant)),
        Gold::Answers(turns) => ("answers", json!(turns)),
        Gold::Checks(checks) => ("checks", json!(checks)),
        Gold::Story { answerable, handovers } => ("story", json!({ "answerable": answerable, "handovers": handovers })),
        Gold::Chain { intent, emotion, text } => ("chain", json!({ "intent": intent, "emotion": emotion, "reference": text })),
        Gold::None => return None,
    };
    Some((name.to_owned(), value))
}

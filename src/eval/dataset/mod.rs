//! Datasets: files of many forms -> [`Example`]s. Every form refuses what it cannot read, with file and line.

mod beir;
mod conversations;
mod faq;
mod kaldi;
mod labels;
mod pairs;
mod personal;
mod rasa;
pub mod records;
mod samples;
mod service;
mod source;
mod stories;
mod tar;
mod trec;

use std::collections::{HashMap, HashSet};

use super::example::{Dataset, Example, Gold};
use super::statistics::Draws;
use super::task::{Kind, Task};
use super::{EvalError, Result};

pub use conversations::read_conversations;
pub use labels::known_labels;
pub use rasa::{RasaExample, parse_rasa};
pub(super) use source::hex as source_hex;
pub use source::{DataPlaces, Source};
pub use tar::TarEntries;
pub use trec::parse_qrels;

/// Forms of data, and what they are.
pub const ADAPTERS: &[(&str, &str)] = &[
    ("service", "the project's utterances: folder with <split>.jsonl"),
    ("conversations", "the project's conversations with judgements: <language>.jsonl"),
    ("samples", "sample calls: folder of recordings with their written turns"),
    ("faq", "the project's questions and answers: folder with entries.jsonl and queries.jsonl"),
    ("stories", "what a chat must do: folder of dialogues (JSON lines) or of stories (TOML)"),
    ("personal", "the project's exchanges with marked personal data (JSON lines)"),
    ("records", "JSON list, JSON lines, CSV or TSV with named columns (Hugging Face style)"),
    ("rasa", "Rasa NLU training data (YAML)"),
    ("beir", "BEIR folder: corpus.jsonl, queries.jsonl, qrels/<split>.tsv"),
    ("trec", "TREC judgements (qrels) with queries.tsv"),
    ("kaldi", "Kaldi folder: text and wav.scp"),
    ("manifest", "recordings with manifest.jsonl (id, audio, text)"),
    ("pairs", "lines `spoken => written`"),
];

/// Reads the data of a task.
///
/// # Errors
/// [`EvalError::Absent`] with the way to get a public set; otherwise what is wrong, and in which line. An empty split, an id
/// that stands there twice and a label that nobody knows are errors.
pub fn load(task: &Task, places: &DataPlaces, seed: u64) -> Result<Dataset> {
    let source = places.open(task)?;
    let mut dataset = match task.dataset.adapter.as_str() {
        "service" => service::load(task, &source)?,
        "conversations" => conversations::load(task, &source)?,
        "samples" => samples::load(task, &source)?,
        "faq" => faq::load(task, &source)?,
        "stories" => stories::load(task, &source)?,
        "personal" => personal::load(task, &source)?,
        "rasa" => rasa::load(task, &source)?,
        "beir" => beir::load(task, &source)?,
        "trec" => trec::load(task, &source)?,
        "kaldi" => kaldi::load(task, &source)?,
        "manifest" => kaldi::load_manifest(task, &source)?,
        "pairs" => pairs::load(task, &source)?,
        _ => records::load(task, &source)?,
    };
    let place = source.name(&task.dataset.path);
    check(task, places, &place, &dataset.examples)?;
    if let Some(limit) = task.dataset.limit.filter(|l| *l < dataset.examples.len()) {
        dataset.examples = drawn(dataset.examples, limit, seed, &task.id);
    }
    dataset.sha256 = source.sha256();
    Ok(dataset)
}

fn check(task: &Task, places: &DataPlaces, place: &str, examples: &[Example]) -> Result<()> {
    let split = task.dataset.split.as_deref().unwrap_or("all");
    if examples.is_empty() {
        let problem = format!("split \"{split}\" holds no item for stage \"{}\"; nothing would be measured", task.stage);
        return Err(EvalError::File { file: place.to_owned(), problem });
    }
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut problems = Vec::new();
    for (number, example) in examples.iter().enumerate() {
        if example.id.trim().is_empty() {
            problems.push(format!("{place}: item {} has no id", number + 1));
        } else if let Some(first) = seen.insert(&example.id, number) {
            problems.push(format!("{place}: id \"{}\" stands there twice (items {} and {})", example.id, first + 1, number + 1));
        }
    }
    if let Some(known) = known_labels(&places.home, task)? {
        for (id, label) in gold_labels(examples).filter(|(_, label)| !known.contains(*label)) {
            let names: Vec<&str> = known.iter().map(String::as_str).collect();
            problems.push(format!("{place}: id \"{id}\": there is no label \"{label}\"{}", super::task::near(label, &names)));
        }
    }
    problems.truncate(20);
    if problems.is_empty() { Ok(()) } else { Err(EvalError::Problems(problems)) }
}

fn gold_labels(examples: &[Example]) -> impl Iterator<Item = (&str, &str)> {
    examples.iter().flat_map(|e| {
        let labels: Vec<&str> = match &e.gold {
            Gold::Label(labels) => labels.iter().map(String::as_str).collect(),
            Gold::Labels(labels) => labels.iter().map(String::as_str).collect(),
            Gold::Spans(spans) => spans.iter().map(|s| s.kind.as_str()).collect(),
            _ => Vec::new(),
        };
        labels.into_iter().map(|label| (e.id.as_str(), label)).collect::<Vec<_>>()
    })
}

/// `limit` items chosen by the seed, in their old order.
pub(super) fn drawn(examples: Vec<Example>, limit: usize, seed: u64, name: &str) -> Vec<Example> {
    let mut random = Draws::named(seed, name);
    let mut keys: Vec<(u64, usize)> = (0..examples.len()).map(|i| (random.next_u64(), i)).collect();
    keys.sort_unstable();
    let chosen: HashSet<usize> = keys.into_iter().take(limit).map(|(_, i)| i).collect();
    examples.into_iter().enumerate().filter(|(i, _)| chosen.contains(i)).map(|(_, e)| e).collect()
}

/// The length of a text as a slice: `short` to 8 units, `middle` to 20, `long` beyond; a unit is a Chinese character or a
/// word.
pub(super) fn length_slice(text: &str) -> &'static str {
    match super::normalise::words(text).len() {
        0..=8 => "short",
        9..=20 => "middle",
        _ => "long",
    }
}

/// The product's label for a label of the data. `None`: the map leaves it out.
///
/// # Errors
/// There is a map and the label is not in it.
pub(super) fn mapped(task: &Task, file: &str, line: usize, label: &str) -> Result<Option<String>> {
    if task.dataset.labels.is_empty() {
        return Ok(Some(label.to_owned()));
    }
    match task.dataset.labels.get(label) {
        Some(ours) => Ok(Some(ours.clone()).filter(|o| !o.is_empty())),
        None => {
            let known: Vec<&str> = task.dataset.labels.keys().map(String::as_str).collect();
            let hint = super::task::near(label, &known);
            Err(EvalError::line(file, line, format!("label \"{label}\" is not in [dataset.labels] of task {}{hint}", task.id)))
        }
    }
}

/// Whether the kind of a task fits an adapter.
pub(super) fn expect_kind(task: &Task, fits: &[Kind]) -> Result<()> {
    if fits.contains(&task.kind()) {
        return Ok(());
    }
    let problem = format!("adapter \"{}\" has no data for stage \"{}\"", task.dataset.adapter, task.stage);
    Err(EvalError::File { file: format!("eval/tasks/{}.toml", task.id), problem })
}

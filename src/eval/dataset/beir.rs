//! BEIR folders: `corpus.jsonl`, `queries.jsonl`, `qrels/<split>.tsv`.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;

use super::records::numbered_lines;
use super::source::Source;
use super::{expect_kind, length_slice, trec};
use crate::conversation::{Language, Role};
use crate::eval::example::{CorpusDocument, Dataset, Example, Gold, Input};
use crate::eval::task::{Kind, Task};
use crate::eval::{EvalError, Result};

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "_id")]
    id: String,
    #[serde(default)]
    title: String,
    text: String,
}

fn lines(source: &Source, path: &str) -> Result<Vec<Line>> {
    let file = source.name(path);
    numbered_lines(&source.text(path)?)
        .map(|(line, words)| serde_json::from_str(words).map_err(|e| EvalError::line(&file, line, e.to_string())))
        .collect()
}

/// A path inside of the folder that `dataset.path` names.
fn inside(task: &Task, name: &str) -> String {
    if task.dataset.path.is_empty() { name.to_owned() } else { format!("{}/{name}", task.dataset.path) }
}

pub(super) fn load(task: &Task, source: &Source) -> Result<Dataset> {
    expect_kind(task, &[Kind::Ranking])?;
    let corpus: Vec<CorpusDocument> = lines(source, &inside(task, "corpus.jsonl"))?
        .into_iter()
        .map(|l| CorpusDocument {
            language: Language::of_text(&format!("{} {}", l.title, l.text)),
            id: l.id,
            title: l.title,
            text: l.text,
            tags: Vec::new(),
        })
        .collect();
    let queries = lines(source, &inside(task, "queries.jsonl"))?.into_iter().map(|l| (l.id, l.text)).collect();
    let path = inside(task, &format!("qrels/{}.tsv", task.dataset.split.as_deref().unwrap_or("test")));
    let file = source.name(&path);
    let judged = parse_tsv(&file, &source.text(&path)?)?;
    let known: HashSet<&str> = corpus.iter().map(|d| d.id.as_str()).collect();
    let examples = examples(&file, judged, &queries, Some(&known))?;
    Ok(Dataset { examples, sha256: String::new(), corpus })
}

/// Judgements of a BEIR file: `query-id  corpus-id  score` below a heading.
fn parse_tsv(file: &str, text: &str) -> Result<trec::Judged> {
    let mut judged = trec::Judged::new();
    for (line, words) in numbered_lines(text) {
        let parts: Vec<&str> = words.split('\t').collect();
        let [query, document, score] = parts[..] else {
            return Err(EvalError::line(file, line, format!("3 columns parted by tabs are expected, here are {}", parts.len())));
        };
        match score.trim().parse::<i64>() {
            Ok(score) => trec::add(&mut judged, file, line, query, document, score)?,
            Err(_) if line == 1 => {}
            Err(_) => return Err(EvalError::line(file, line, format!("\"{score}\" is no relevance"))),
        }
    }
    Ok(judged)
}

/// Judged queries with their texts; queries without a relevant document are left out, as trec_eval does.
pub(super) fn examples(
    file: &str,
    judged: trec::Judged,
    queries: &HashMap<String, String>,
    corpus: Option<&HashSet<&str>>,
) -> Result<Vec<Example>> {
    let mut examples = Vec::new();
    for (id, (line, documents)) in judged {
        let Some(text) = queries.get(&id) else {
            return Err(EvalError::line(file, line, format!("query \"{id}\" is judged, but its text is missing")));
        };
        if let Some(unknown) = corpus.and_then(|c| documents.keys().find(|d| !c.contains(d.as_str()))) {
            return Err(EvalError::line(file, line, format!("query \"{id}\": document \"{unknown}\" is not in the corpus")));
        }
        let relevant: BTreeMap<String, u32> = documents.into_iter().filter(|(_, score)| *score > 0).collect();
        if relevant.is_empty() {
            continue;
        }
        let language = Language::of_text(text);
        let slices = BTreeMap::from([
            ("language".to_owned(), language.name().to_owned()),
            ("length".to_owned(), length_slice(text).to_owned()),
        ]);
        examples.push(Example {
            situation: id.clone(),
            id,
            input: Input::Text(text.clone()),
            gold: Gold::Relevant(relevant),
            language,
            role: Role::Customer,
            slices,
        });
    }
    Ok(examples)
}

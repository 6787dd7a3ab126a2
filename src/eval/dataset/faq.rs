//! The project's questions and answers (`datasets/faq`): entries, and queries that are judged.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;

use super::records::numbered_lines;
use super::source::Source;
use super::{expect_kind, length_slice};
use crate::conversation::{Language, Role};
use crate::eval::example::{CorpusDocument, Dataset, Example, Gold, Input};
use crate::eval::task::{Kind, Task};
use crate::eval::{EvalError, Result};

#[derive(Deserialize)]
struct Entry {
    id: String,
    title: String,
    body: String,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Deserialize)]
struct Query {
    id: String,
    #[serde(alias = "query")]
    text: String,
    #[serde(default, alias = "language")]
    query_language: Option<String>,
    #[serde(default)]
    slice: Option<String>,
    relevant: Vec<String>,
    #[serde(default)]
    split: Option<String>,
}

/// `dataset.path` is the folder of one language (`datasets/faq/zh`), or a file of cross-lingual queries
/// (`datasets/faq/crosslingual.jsonl`), which searches the entries of both languages. With `run.corpus` it is a file of
/// queries whose relevant documents are the articles of that folder.
pub(super) fn load(task: &Task, source: &Source) -> Result<Dataset> {
    expect_kind(task, &[Kind::Ranking, Kind::Speed])?;
    let articles = task.run.corpus.is_some();
    let (folders, queries) = match task.dataset.path.strip_suffix(".jsonl").and_then(|p| p.rsplit_once('/')) {
        Some(_) if articles => (Vec::new(), task.dataset.path.clone()),
        Some((above, _)) => (vec![format!("{above}/zh"), format!("{above}/en")], task.dataset.path.clone()),
        None => (vec![task.dataset.path.clone()], format!("{}/queries.jsonl", task.dataset.path)),
    };
    let mut corpus = Vec::new();
    for folder in &folders {
        let path = format!("{folder}/entries.jsonl");
        let file = source.name(&path);
        for (line, words) in numbered_lines(&source.text(&path)?) {
            let entry: Entry = serde_json::from_str(words).map_err(|e| EvalError::line(&file, line, e.to_string()))?;
            let language = Language::of_text(&format!("{} {}", entry.title, entry.body));
            corpus.push(CorpusDocument { id: entry.id, title: entry.title, text: entry.body, language, tags: entry.tags });
        }
    }
    let known: HashSet<&str> = corpus.iter().map(|d| d.id.as_str()).collect();
    let file = source.name(&queries);
    let mut examples = Vec::new();
    for (line, words) in numbered_lines(&source.text(&queries)?) {
        let query: Query = serde_json::from_str(words).map_err(|e| EvalError::line(&file, line, e.to_string()))?;
        if query.split.is_some() && task.dataset.split.is_some() && query.split != task.dataset.split {
            continue;
        }
        if let Some(unknown) = query.relevant.iter().find(|d| !articles && !known.contains(d.as_str())) {
            return Err(EvalError::line(&file, line, format!("query \"{}\": there is no entry \"{unknown}\"", query.id)));
        }
        let language =
            query.query_language.as_deref().and_then(Language::from_tag).unwrap_or_else(|| Language::of_text(&query.text));
        if !task.languages.iter().any(|l| l == language.name()) {
            continue;
        }
        let mut slices = BTreeMap::from([
            ("language".to_owned(), language.name().to_owned()),
            ("length".to_owned(), length_slice(&query.text).to_owned()),
        ]);
        slices.extend(query.slice.map(|s| ("noise".to_owned(), s)));
        let relevant = query.relevant.iter().map(|d| (d.clone(), 1)).collect();
        let gold = if task.kind() == Kind::Speed { Gold::None } else { Gold::Relevant(relevant) };
        examples.push(Example {
            situation: query.relevant.first().cloned().unwrap_or_else(|| query.id.clone()),
            id: query.id,
            input: Input::Text(query.text),
            gold,
            language,
            role: Role::Customer,
            slices,
        });
    }
    Ok(Dataset { examples, sha256: String::new(), corpus })
}

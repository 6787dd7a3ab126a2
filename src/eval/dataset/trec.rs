//! TREC judgements: `query 0 document relevance` a line.

use std::collections::{BTreeMap, HashMap};

use super::records::numbered_lines;
use super::source::Source;
use super::{beir, expect_kind};
use crate::eval::example::Dataset;
use crate::eval::task::{Kind, Task};
use crate::eval::{EvalError, Result};

/// By query: the line of its first judgement, and the relevance of documents.
pub type Judged = BTreeMap<String, (usize, BTreeMap<String, u32>)>;

pub(super) fn add(judged: &mut Judged, file: &str, line: usize, query: &str, document: &str, score: i64) -> Result<()> {
    let documents = &mut judged.entry(query.to_owned()).or_insert_with(|| (line, BTreeMap::new())).1;
    // A negative relevance means the same as none.
    let score = u32::try_from(score.max(0)).unwrap_or(u32::MAX);
    if documents.insert(document.to_owned(), score).is_some() {
        return Err(EvalError::line(file, line, format!("query \"{query}\": document \"{document}\" is judged twice")));
    }
    Ok(())
}

/// Reads judgements.
///
/// # Errors
/// A line without four columns, a relevance that is no number, a document that is judged twice.
pub fn parse_qrels(file: &str, text: &str) -> Result<Judged> {
    let mut judged = Judged::new();
    for (line, words) in numbered_lines(text) {
        let parts: Vec<&str> = words.split_whitespace().collect();
        let [query, _, document, score] = parts[..] else {
            let problem = format!("judgements have 4 columns (query 0 document relevance), here are {}", parts.len());
            return Err(EvalError::line(file, line, problem));
        };
        let score: i64 = score.parse().map_err(|_| EvalError::line(file, line, format!("\"{score}\" is no relevance")))?;
        add(&mut judged, file, line, query, document, score)?;
    }
    Ok(judged)
}

/// `dataset.path` names the judgements; `fields.queries` a file with `id<tab>text` lines beside them.
pub(super) fn load(task: &Task, source: &Source) -> Result<Dataset> {
    expect_kind(task, &[Kind::Ranking])?;
    let path = &task.dataset.path;
    let judged = parse_qrels(&source.name(path), &source.text(path)?)?;
    let queries_path = task.dataset.fields.get("queries").cloned().unwrap_or_else(|| "queries.tsv".into());
    let file = source.name(&queries_path);
    let mut queries = HashMap::new();
    for (line, words) in numbered_lines(&source.text(&queries_path)?) {
        let (id, text) =
            words.split_once('\t').ok_or_else(|| EvalError::line(&file, line, "no tab between the query's id and its text"))?;
        queries.insert(id.to_owned(), text.to_owned());
    }
    Ok(Dataset {
        examples: beir::examples(&source.name(path), judged, &queries, None)?,
        sha256: String::new(),
        corpus: Vec::new(),
    })
}

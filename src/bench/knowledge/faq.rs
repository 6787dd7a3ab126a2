//! The FAQ set: nDCG@10 of words, vectors and both, by language and slice; recall@5 across languages.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Figures, build, embed_with};
use crate::conversation::Language;
use crate::inference::Encoder;
use crate::knowledge::{
    Document, DocumentContent, DocumentKind, Fusion, KnowledgeConfig, KnowledgeIndex, SearchMode, SearchRequest, document_id_of,
};

/// Depth of nDCG.
pub(super) const DEPTH: usize = 10;
/// Depth of recall across languages.
const CROSS_DEPTH: usize = 5;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryLine {
    id: String,
    title: String,
    body: String,
    tags: Vec<String>,
    intent: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueryLine {
    #[serde(rename = "id")]
    _id: String,
    text: String,
    slice: String,
    relevant: Vec<String>,
    split: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CrossLine {
    #[serde(default, rename = "id")]
    _id: String,
    query: String,
    query_language: Language,
    relevant: Vec<String>,
    #[serde(default)]
    split: String,
}

/// A question and the entries that answer it.
pub(super) struct Question {
    pub(super) text: String,
    pub(super) slice: String,
    /// Language of the entries that are searched.
    pub(super) language: Language,
    /// Document ids.
    pub(super) relevant: Vec<String>,
    pub(super) dev: bool,
    pub(super) vector: Vec<f32>,
}

/// Entries and questions.
pub(super) struct FaqSet {
    pub(super) documents: Vec<Document>,
    /// Intent of each document, in the same order.
    pub(super) intents: Vec<Option<String>>,
    pub(super) questions: Vec<Question>,
    /// Questions about entries of the other language.
    pub(super) cross: Vec<Question>,
}

fn lines<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let parse =
        |(position, line)| serde_json::from_str(line).with_context(|| format!("{} line {}", path.display(), position + 1));
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(parse).collect()
}

impl FaqSet {
    /// Reads a folder.
    pub(super) fn load(folder: &Path) -> anyhow::Result<Self> {
        let mut set = Self { documents: Vec::new(), intents: Vec::new(), questions: Vec::new(), cross: Vec::new() };
        for language in [Language::Zh, Language::En] {
            let part = folder.join(language.name());
            for entry in lines::<EntryLine>(&part.join("entries.jsonl"))? {
                let content = DocumentContent {
                    title: entry.title,
                    kind: DocumentKind::Faq,
                    language,
                    body: entry.body,
                    tags: entry.tags,
                    ..DocumentContent::default()
                };
                set.documents.push(Document { document_id: document_id_of(&entry.id), version: 1, content });
                set.intents.push(entry.intent);
            }
            for query in lines::<QueryLine>(&part.join("queries.jsonl"))? {
                let dev = query.split == "dev";
                set.questions.push(question(query.text, query.slice, language, &query.relevant, dev));
            }
        }
        for query in lines::<CrossLine>(&folder.join("crosslingual.jsonl"))? {
            let other = if query.query_language == Language::Zh { Language::En } else { Language::Zh };
            let slice = format!("{}_to_{}", query.query_language.name(), other.name());
            set.cross.push(question(query.query, slice, other, &query.relevant, query.split == "dev"));
        }
        let known: std::collections::HashSet<&str> = set.documents.iter().map(|d| d.document_id.as_str()).collect();
        for question in set.questions.iter().chain(&set.cross) {
            anyhow::ensure!(
                !question.relevant.is_empty() && question.relevant.iter().all(|id| known.contains(id.as_str())),
                "{}: `{}` names an entry that is not there",
                folder.display(),
                question.text
            );
        }
        Ok(set)
    }

    /// Fills in the vectors of all questions.
    pub(super) fn encode(&mut self, encoder: &Encoder) -> anyhow::Result<()> {
        for question in self.questions.iter_mut().chain(&mut self.cross) {
            question.vector = encoder.embed(question.text.clone())?;
        }
        Ok(())
    }
}

fn question(text: String, slice: String, language: Language, relevant: &[String], dev: bool) -> Question {
    let relevant = relevant.iter().map(|id| document_id_of(id)).collect();
    Question { text, slice, language, relevant, dev, vector: Vec::new() }
}

/// nDCG at [`DEPTH`] with binary gains: sum of 1 / log2(rank + 1) over relevant ranks, divided by that of a perfect ranking
/// (Järvelin, Kekäläinen, TOIS 2002).
pub(super) fn ndcg(ranked: &[String], relevant: &[String]) -> f64 {
    let gain = |rank: usize| 1.0 / ((rank + 2) as f64).log2();
    let got: f64 =
        ranked.iter().take(DEPTH).enumerate().filter(|(_, id)| relevant.contains(id)).map(|(rank, _)| gain(rank)).sum();
    let best: f64 = (0..relevant.len().min(DEPTH)).map(gain).sum();
    got / best.max(f64::MIN_POSITIVE)
}

/// Document ids, best first, each once.
pub(super) fn ranking(index: &KnowledgeIndex, question: &Question, request: SearchRequest) -> anyhow::Result<Vec<String>> {
    let request = SearchRequest { languages: vec![question.language], ..request };
    ranking_of(index, question, request)
}

/// [`ranking`] in the languages of the request.
fn ranking_of(index: &KnowledgeIndex, question: &Question, request: SearchRequest) -> anyhow::Result<Vec<String>> {
    let request = SearchRequest { top_k: 2 * DEPTH, ..request };
    let mut ids: Vec<String> = Vec::new();
    for hit in index.search(&request, Some(&question.vector))?.passages {
        if !ids.contains(&hit.document_id) {
            ids.push(hit.document_id);
        }
    }
    Ok(ids)
}

fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) = values.into_iter().fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    sum / count.max(1) as f64
}

/// An index over the entries in a folder.
pub(super) fn index_of(
    set: &FaqSet,
    folder: &Path,
    config: &KnowledgeConfig,
    encoder: &Encoder,
) -> anyhow::Result<KnowledgeIndex> {
    let index = KnowledgeIndex::open(folder, config.clone())?;
    if index.needs_rebuild().is_some() {
        build(&index, &set.documents, &embed_with(encoder))?;
    }
    Ok(index)
}

/// Mean nDCG of the questions that `keep` keeps.
fn quality(index: &KnowledgeIndex, set: &FaqSet, mode: SearchMode, keep: impl Fn(&Question) -> bool) -> anyhow::Result<f64> {
    let mut values = Vec::new();
    for question in set.questions.iter().filter(|question| keep(question)) {
        let request = SearchRequest { mode, ..SearchRequest::new(question.text.clone()) };
        values.push(ndcg(&ranking(index, question, request)?, &question.relevant));
    }
    Ok(mean(values))
}

pub(super) fn run(set: &FaqSet, config: &KnowledgeConfig, encoder: &Encoder, tune: bool) -> anyhow::Result<Figures> {
    let folder = tempfile::tempdir()?;
    drop(index_of(set, folder.path(), config, encoder)?);
    if tune {
        tuning(set, folder.path(), config)?;
    }
    let index = KnowledgeIndex::open(folder.path(), config.clone())?;
    let mut figures = vec![("faq_entries".to_owned(), set.documents.len() as f64)];
    // every test question is asked once in each mode; the figures are means over its language and slice
    for (name, mode) in [("hybrid", SearchMode::Hybrid), ("bm25", SearchMode::Lexical), ("vector", SearchMode::Dense)] {
        let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for question in set.questions.iter().filter(|question| !question.dev) {
            let request = SearchRequest { mode, ..SearchRequest::new(question.text.clone()) };
            let value = ndcg(&ranking(&index, question, request)?, &question.relevant);
            let (language, slice) = (question.language.name(), &question.slice);
            for part in [String::new(), format!("_{language}"), format!("_{language}_{slice}")] {
                values.entry(format!("ndcg10_{name}{part}")).or_default().push(value);
            }
        }
        figures.extend(values.into_iter().map(|(name, values)| (name, mean(values))));
    }
    figures.extend(across(&index, set)?);
    Ok(figures)
}

/// Share of questions with a relevant entry of the other language among the first five: of the entries of that language, as
/// if the article existed in no other, and of all entries.
fn across(index: &KnowledgeIndex, set: &FaqSet) -> anyhow::Result<Figures> {
    let mut found: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for question in &set.cross {
        let request = SearchRequest::new(question.text.clone());
        let alone = ranking(index, question, request.clone())?;
        let both = ranking_of(index, question, request)?;
        let split = if question.dev { "dev" } else { "test" };
        for (kind, ids) in [("crosslingual", alone), ("crosslingual_both", both)] {
            let hit = f64::from(u8::from(ids.iter().take(CROSS_DEPTH).any(|id| question.relevant.contains(id))));
            for name in [String::new(), format!("_{}", question.slice), format!("_{split}")] {
                found.entry(format!("{kind}_recall_at_5{name}")).or_default().push(hit);
            }
        }
    }
    Ok(found.into_iter().map(|(name, values)| (name, mean(values))).collect())
}

/// nDCG@10 of every candidate on the dev split, one line each.
fn tuning(set: &FaqSet, folder: &Path, config: &KnowledgeConfig) -> anyhow::Result<()> {
    let rrf = [5.0, 20.0, 60.0].map(|k| Fusion::Rrf { k });
    let weighted = [0.3, 0.5, 0.6, 0.7, 0.8, 0.9].map(|lexical| Fusion::Weighted { lexical, dense: 1.0 - lexical });
    for fusion in rrf.into_iter().chain(weighted) {
        let index = KnowledgeIndex::open(folder, KnowledgeConfig { fusion, ..config.clone() })?;
        let of = |language: Language| quality(&index, set, SearchMode::Hybrid, |q| q.dev && q.language == language);
        let (zh, en) = (of(Language::Zh)?, of(Language::En)?);
        eprintln!("dev  nDCG@10  zh {zh:.4}  en {en:.4}  mean {:.4}  {fusion:?}", (zh + en) / 2.0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::ndcg;

    #[test]
    fn ndcg_is_one_for_a_perfect_ranking_and_falls_with_the_rank() {
        let ids = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        assert!((ndcg(&ids("abc"), &ids("a")) - 1.0).abs() < 1e-9);
        assert!((ndcg(&ids("bac"), &ids("a")) - 1.0 / 3.0_f64.log2()).abs() < 1e-9);
        assert_eq!(ndcg(&ids("bcd"), &ids("a")), 0.0);
        assert!((ndcg(&ids("ab"), &ids("ba")) - 1.0).abs() < 1e-9);
    }
}

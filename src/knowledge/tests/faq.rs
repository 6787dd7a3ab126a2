//! The ranking by words on the FAQ set: what a change of the analysis must not lose. Hybrid figures: `zhiyin bench knowledge`.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;

fn lines(path: &str) -> Vec<serde_json::Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/faq").join(path);
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(value: &serde_json::Value, field: &str) -> String {
    value[field].as_str().unwrap().to_owned()
}

fn index_of(languages: &[Language], config: KnowledgeConfig) -> (tempfile::TempDir, KnowledgeIndex) {
    let pipelines = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/knowledge");
    let config = KnowledgeConfig {
        synonyms: Some(pipelines.join("synonyms.toml")),
        bilingual: Some(pipelines.join("bilingual.toml")),
        ..config
    };
    let mut documents = Vec::new();
    for language in languages {
        for entry in lines(&format!("{}/entries.jsonl", language.name())) {
            let tags = entry["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()).collect();
            let (title, body) = (text(&entry, "title"), text(&entry, "body"));
            let content = DocumentContent { title, body, tags, language: *language, ..DocumentContent::default() };
            documents.push(Document { document_id: document_id_of(&text(&entry, "id")), version: 1, content });
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let index = KnowledgeIndex::open(dir.path(), config).unwrap();
    index.replace_all(&documents, None).unwrap();
    (dir, index)
}

/// Documents in the order of the answer, each once.
fn ranked(index: &KnowledgeIndex, query: &str, language: Language) -> Vec<String> {
    let request = SearchRequest { top_k: 20, mode: SearchMode::Lexical, languages: vec![language], ..SearchRequest::new(query) };
    let mut ids: Vec<String> = Vec::new();
    for hit in index.search(&request, None).unwrap().passages {
        if !ids.contains(&hit.document_id) {
            ids.push(hit.document_id);
        }
    }
    ids
}

fn relevant(query: &serde_json::Value) -> Vec<String> {
    query["relevant"].as_array().unwrap().iter().map(|id| document_id_of(id.as_str().unwrap())).collect()
}

/// Mean reciprocal rank within ten by slice, over both splits.
fn by_slice(index: &KnowledgeIndex, language: Language) -> BTreeMap<String, f64> {
    let mut sums: BTreeMap<String, (f64, usize)> = BTreeMap::new();
    for query in lines(&format!("{}/queries.jsonl", language.name())) {
        let (ids, wanted) = (ranked(index, &text(&query, "text"), language), relevant(&query));
        let rank = ids.iter().take(10).position(|id| wanted.contains(id));
        let entry = sums.entry(text(&query, "slice")).or_default();
        *entry = (entry.0 + rank.map_or(0.0, |rank| 1.0 / (rank + 1) as f64), entry.1 + 1);
    }
    sums.into_iter().map(|(slice, (sum, count))| (slice, sum / count as f64)).collect()
}

#[test]
fn typing_and_recognition_errors_find_their_entry() {
    for (language, heard) in [(Language::Zh, "homophone"), (Language::En, "recognition")] {
        let (_dir, index) = index_of(&[language], lexical_config());
        let mrr = by_slice(&index, language);
        println!("{language:?} {mrr:?}");
        let least = |slice: &str, least: f64| assert!(mrr[slice] >= least, "{language:?} {slice}: {mrr:?}");
        least("exact", 0.95);
        least("typo", 0.85);
        least(heard, 0.75);
    }
}

#[test]
fn questions_find_articles_that_exist_only_in_the_other_language() {
    let (_dir, index) = index_of(&[Language::Zh, Language::En], lexical_config());
    let mut found: BTreeMap<bool, Vec<bool>> = BTreeMap::new();
    for query in lines("crosslingual.jsonl") {
        let from_zh = query["query_language"] == "zh";
        let language = if from_zh { Language::En } else { Language::Zh };
        let ids = ranked(&index, &text(&query, "query"), language);
        let wanted = relevant(&query);
        let hit = ids.iter().take(5).any(|id| wanted.contains(id));
        if !hit && query["split"] == "dev" {
            println!("missed: {}", text(&query, "query"));
        }
        found.entry(from_zh).or_default().push(hit);
    }
    let all: Vec<bool> = found.values().flatten().copied().collect();
    assert!(all.len() >= 100);
    let share = |hits: &[bool]| hits.iter().filter(|hit| **hit).count() as f64 / hits.len() as f64;
    for (from_zh, hits) in &found {
        println!("from zh: {from_zh}: recall@5 {:.3} of {}", share(hits), hits.len());
    }
    assert!(share(&all) >= 0.6, "recall@5 {:.3}", share(&all));
}

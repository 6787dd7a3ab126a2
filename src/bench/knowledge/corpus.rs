//! Passages of a large corpus, and questions about it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::conversation::Language;
use crate::knowledge::{BodyFormat, Document, DocumentContent, document_id_of};

/// Lengths of lines that become passages, in code points.
const LINE_CHARS: std::ops::RangeInclusive<usize> = 12..=450;
/// Lengths of questions cut out of passages, in code points or words.
const CUT: std::ops::RangeInclusive<usize> = 6..=16;

/// The first `count` different lines of usable length as one document each.
pub(super) fn documents(files: &[PathBuf], count: usize) -> anyhow::Result<Vec<Document>> {
    let mut seen = HashSet::new();
    let mut documents = Vec::with_capacity(count);
    for file in files {
        let text = std::fs::read_to_string(file).with_context(|| format!("--corpus {}", file.display()))?;
        let json = file.extension().is_some_and(|extension| extension == "jsonl");
        for (position, line) in text.lines().enumerate() {
            let line = if json { field(file, position, line)? } else { line.trim().to_owned() };
            if documents.len() == count {
                return Ok(documents);
            }
            if LINE_CHARS.contains(&line.chars().count()) && seen.insert(line.clone()) {
                documents.push(document(documents.len(), line));
            }
        }
    }
    let found = documents.len();
    anyhow::ensure!(found == count, "the corpus has {found} usable lines; add files or give --passages {found}");
    Ok(documents)
}

fn field(file: &Path, position: usize, line: &str) -> anyhow::Result<String> {
    let place = || format!("{} line {}", file.display(), position + 1);
    let value: serde_json::Value = serde_json::from_str(line).with_context(place)?;
    Ok(value["text"].as_str().with_context(|| format!("{}: no text field `text`", place()))?.trim().to_owned())
}

fn document(position: usize, line: String) -> Document {
    let content = DocumentContent {
        title: line.chars().take(24).collect(),
        language: Language::of_text(&line),
        body: line,
        format: BodyFormat::Text,
        ..DocumentContent::default()
    };
    Document { document_id: document_id_of(&format!("bench-{position}")), version: 1, content }
}

/// Questions for a load: every second one is cut out of a passage, the others are questions of the built-in articles.
pub(super) fn queries(documents: &[Document], builtin: &[String], count: usize) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(20_260_301);
    (0..count)
        .map(|position| {
            if position % 2 == 1 && !builtin.is_empty() {
                return builtin[random.random_range(0..builtin.len())].clone();
            }
            let body = &documents[random.random_range(0..documents.len())].content.body;
            let length = random.random_range(CUT);
            let chars: Vec<char> = body.chars().collect();
            let english = Language::of_text(body) == Language::En;
            if english {
                let words: Vec<&str> = body.split_whitespace().collect();
                let start = random.random_range(0..words.len().saturating_sub(length).max(1));
                return words[start..words.len().min(start + length)].join(" ");
            }
            let start = random.random_range(0..chars.len().saturating_sub(length).max(1));
            chars[start..chars.len().min(start + length)].iter().collect()
        })
        .filter(|query: &String| query.chars().any(char::is_alphanumeric))
        .collect()
}

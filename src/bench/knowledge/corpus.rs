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

/// `count` passages as one document each, evenly out of all different texts of usable length in the files.
pub(super) fn documents(files: &[PathBuf], count: usize) -> anyhow::Result<Vec<Document>> {
    let mut seen = HashSet::new();
    let mut usable = Vec::new();
    for file in files {
        for text in texts(file)? {
            if LINE_CHARS.contains(&text.chars().count()) && seen.insert(text.clone()) {
                usable.push(text);
            }
        }
    }
    let found = usable.len();
    anyhow::ensure!(found >= count, "the corpus has {found} usable texts; add files or give --passages {found}");
    let chosen = (0..count).map(|position| std::mem::take(&mut usable[position * found / count.max(1)]));
    Ok(chosen.enumerate().map(|(position, text)| document(position, text)).collect())
}

/// The texts of a file by the ending of its name; `.xz` in front of it is unpacked by the program `xz`.
fn texts(file: &Path) -> anyhow::Result<Vec<String>> {
    let place = || format!("--corpus {}", file.display());
    let packed = file.extension().is_some_and(|ending| ending == "xz");
    let whole = if packed {
        let made = std::process::Command::new("xz").arg("-dc").arg(file).output().with_context(place)?;
        anyhow::ensure!(made.status.success(), "{}: {}", place(), String::from_utf8_lossy(&made.stderr).trim());
        String::from_utf8(made.stdout).with_context(place)?
    } else {
        std::fs::read_to_string(file).with_context(place)?
    };
    let name = if packed { file.file_stem().map(Path::new).unwrap_or(file) } else { file };
    let lines = whole.lines();
    match name.extension().and_then(std::ffi::OsStr::to_str) {
        Some("jsonl") => lines.enumerate().map(|(position, line)| field(file, position, line)).collect(),
        Some("tsv") => {
            let column = whole.lines().next().unwrap_or_default().split('\t').position(|name| name == "utterance");
            let column = column.with_context(|| format!("{}: no column `utterance`", place()))?;
            Ok(lines.skip(1).filter_map(|line| line.split('\t').nth(column)).map(|text| text.trim().to_owned()).collect())
        }
        Some("json") => {
            let mut found = Vec::new();
            strings(&serde_json::from_str(&whole).with_context(place)?, &mut found);
            Ok(found)
        }
        _ => Ok(lines.map(|line| line.trim().to_owned()).collect()),
    }
}

/// Every text in a JSON value, in its order.
fn strings(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => found.push(text.trim().to_owned()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        serde_json::Value::Object(fields) => fields.values().for_each(|item| strings(item, found)),
        _ => {}
    }
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

/// A question of a load.
pub(super) struct Query {
    pub(super) text: String,
    /// Position of the document out of which it was cut; none for a question of the built-in articles.
    pub(super) source: Option<usize>,
}

/// Questions for a load: every second one is cut out of a passage, the others are questions of the built-in articles.
pub(super) fn queries(documents: &[Document], builtin: &[String], count: usize) -> Vec<Query> {
    let mut random = StdRng::seed_from_u64(20_260_301);
    (0..count)
        .map(|position| {
            if position % 2 == 1 && !builtin.is_empty() {
                return Query { text: builtin[random.random_range(0..builtin.len())].clone(), source: None };
            }
            let source = random.random_range(0..documents.len());
            Query { text: cut(&documents[source].content.body, &mut random), source: Some(source) }
        })
        .filter(|query| query.text.chars().any(char::is_alphanumeric))
        .collect()
}

fn cut(body: &str, random: &mut StdRng) -> String {
    let length = random.random_range(CUT);
    if Language::of_text(body) == Language::En {
        let words: Vec<&str> = body.split_whitespace().collect();
        let start = random.random_range(0..words.len().saturating_sub(length).max(1));
        return words[start..words.len().min(start + length)].join(" ");
    }
    let chars: Vec<char> = body.chars().collect();
    let start = random.random_range(0..chars.len().saturating_sub(length).max(1));
    chars[start..chars.len().min(start + length)].iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passages_come_evenly_from_every_kind_of_file_and_never_twice() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let files = [
            write(
                "a.txt",
                "第一条 为了保护消费者的合法权益\n太短\n第一条 为了保护消费者的合法权益\n第二条 消费者为生活消费需要购买商品\n",
            ),
            write("b.tsv", "id\tutterance\n1\tgood evening sir i need your help\n"),
            write("c.json", r#"{"train": [["what is the balance of my card", "balance"]]}"#),
            write("d.jsonl", "{\"text\": \"where is the parcel that you sent\"}\n"),
        ];
        let bodies = |count: usize| -> Vec<String> {
            documents(&files, count).unwrap().into_iter().map(|document| document.content.body).collect()
        };
        assert_eq!(bodies(5).len(), 5);
        assert_eq!(bodies(2)[1], "good evening sir i need your help", "the last ones are not left out");
        assert!(documents(&files, 6).unwrap_err().to_string().contains("5 usable texts"));
    }
}

//! Every parser of outside bytes that Zhiyin has: its name, real inputs to begin with, and how bytes are fed to it.
//!
//! The mutation tests damage the real inputs (`tests/it/mutations.rs`); the fuzzer grows them by coverage (`main.rs`).
//! A parser that is not in this list is not tested against outside bytes: add it here when it is written.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::{Value, json};
use tempfile::TempDir;
use zhiyin::audio::{DecodeOptions, decode};
use zhiyin::chat::{FlowBook, StoryFile, toml_files};
use zhiyin::config::Settings;
use zhiyin::conversation::Language;
use zhiyin::eval::Task;
use zhiyin::eval::dataset::records::parse_records;
use zhiyin::eval::dataset::{parse_qrels, parse_rasa, read_conversations};
use zhiyin::inference::{CrossEncoder, EncoderModel, Head};
use zhiyin::knowledge::{Bilingual, BodyFormat, ImportFormat, Synonyms, blocks, import, sanitise_html};
use zhiyin::nlu::{Cues, Gazetteer, Taxonomy};
use zhiyin::pipeline::{PipelineSpec, conversations};
use zhiyin::quality::{RuleFile, Scheme, import as quality_import, read_dialogue};
use zhiyin::registry::Card;
use zhiyin::text::itn::{Itn, ItnStyle};
use zhiyin::train::{Dataset, TrainSettings};

/// A parser of outside bytes.
pub struct Parser {
    /// Its name on the command line and in messages.
    pub name: &'static str,
    /// Whole, valid inputs.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Feeds it bytes: nothing, or why they were refused. It must not panic.
    pub parse: fn(&[u8]) -> Result<(), String>,
}

macro_rules! parsers {
    ($($name:literal: $seeds:expr, $parse:expr;)*) => {
        /// All of them.
        pub const PARSERS: &[Parser] = &[$(Parser { name: $name, seeds: || $seeds, parse: $parse }),*];
    };
}

parsers! {
    "rules": files("pipelines/rules", "toml", 6), |b| RuleFile::parse_toml("rules.toml", text(b)?).map(drop).map_err(|p| said(&p));
    "schemes": files("pipelines/schemes", "toml", 4), |b| Scheme::parse_toml("scheme.toml", text(b)?).map(drop).map_err(|p| said(&p));
    "dialogues": vec![DIALOGUE.as_bytes().to_vec()], |b| read_dialogue(text(b)?).map(drop);
    "contact-lens": vec![contact_lens().to_string().into_bytes()], |b| quality_import::contact_lens(&value(b)?).to_toml().map(drop).map_err(|e| e.to_string());
    "sca": vec![sca().to_string().into_bytes()], |b| quality_import::sca(&value(b)?).to_toml().map(drop).map_err(|e| e.to_string());
    "stories": files("pipelines/chat/stories", "toml", 4), |b| StoryFile::parse("story.toml", text(b)?).map(drop).map_err(|p| said(&p));
    "flows": vec![flow_seed()], flow;
    "pipelines": vec![lines("pipelines/live-assist.toml", 200), lines("pipelines/chat.toml", 200)], |b| PipelineSpec::parse(text(b)?).map(drop).map_err(|p| said(&p));
    "tasks": files("eval/tasks", "toml", 12), |b| Task::parse("task.toml", "intent/x", text(b)?).map(drop).map_err(|e| e.to_string());
    "records": vec![RECORDS_CSV.as_bytes().to_vec(), lines("datasets/service-zh/dev.jsonl", 8)], records;
    "rasa": vec![RASA.as_bytes().to_vec()], |b| parse_rasa("nlu.yml", text(b)?).map(drop).map_err(|e| e.to_string());
    "qrels": vec![b"q1 0 d1 1\nq1 0 d2 0\nq2\t0\td3\t2\n".to_vec()], |b| parse_qrels("qrels.txt", text(b)?).map(drop).map_err(|e| e.to_string());
    "judged": vec![lines("datasets/conversations/en.jsonl", 2), lines("datasets/conversations/zh.jsonl", 2)], |b| read_conversations("x.jsonl", text(b)?).map(drop).map_err(|e| e.to_string());
    "conversations": vec![lines("datasets/conversations/en.jsonl", 3), lines("datasets/conversations/zh.jsonl", 3)], conversation_lines;
    "training-rows": vec![lines("datasets/service-zh/dev.jsonl", 30), lines("datasets/service-en/dev.jsonl", 30)], |b| training_rows("rows.jsonl", b);
    "training-csv": vec![TRAINING_CSV.as_bytes().repeat(6)], |b| training_rows("rows.csv", b);
    "taxonomy": vec![lines("pipelines/taxonomy/intent.toml", 500)], |b| Taxonomy::load(written("intent.toml", b).parent().unwrap_or(Path::new("."))).map(drop).map_err(|e| e.to_string());
    "gazetteer": vec![lines("pipelines/taxonomy/gazetteer.toml", 500)], |b| Gazetteer::parse(text(b)?).map(drop);
    "cues": vec![lines("pipelines/taxonomy/cues.toml", 500)], |b| Cues::parse(text(b)?).map(drop);
    "settings": vec![toml::to_string(&Settings::default()).unwrap_or_default().into_bytes()], |b| Settings::from_toml(text(b)?).map(drop).map_err(|e| e.to_string());
    "cards": files("models", "toml", 4), |b| Card::read(written("card.toml", b).parent().unwrap_or(Path::new("."))).map(drop).map_err(|e| e.to_string());
    "recordings": recordings(usize::MAX), |b| decode(b.to_vec(), DecodeOptions::default()).map(drop).map_err(|e| e.to_string());
    "recording-headers": recordings(400), |b| decode(b.to_vec(), DecodeOptions::default()).map(drop).map_err(|e| e.to_string());
    "markdown": vec![MARKDOWN.as_bytes().to_vec()], |b| article("a.md", b);
    "html": vec![HTML.as_bytes().to_vec()], |b| { drop(sanitise_html(&String::from_utf8_lossy(b))); article("a.html", b) };
    "blocks": vec![MARKDOWN.as_bytes().to_vec()], |b| { drop(blocks(text(b)?, BodyFormat::Markdown)); drop(blocks(text(b)?, BodyFormat::Html)); Ok(()) };
    "articles-csv": vec![ARTICLES_CSV.as_bytes().repeat(3)], |b| article("a.csv", b);
    "articles-json": vec![ARTICLES_JSON.as_bytes().to_vec()], |b| article("a.json", b);
    "pdf": vec![PDF.as_bytes().to_vec()], |b| article("a.pdf", b);
    "docx": vec![b"PK\x03\x04 not a whole archive".to_vec()], |b| article("a.docx", b);
    "synonyms": vec![lines("pipelines/knowledge/synonyms.toml", 60)], |b| Synonyms::parse(text(b)?).map(drop).map_err(|e| e.to_string());
    "bilingual": vec![lines("pipelines/knowledge/bilingual.toml", 60)], |b| Bilingual::parse(text(b)?).map(drop).map_err(|e| e.to_string());
    "personal-data": personal_data(), masked;
    "spoken-numbers": spoken(), written_numbers;
    "encoder-config": vec![shipped("config.json")], |b| model_file("config.json", b);
    "encoder-heads": vec![shipped("heads.toml")], |b| model_file("heads.toml", b);
    "encoder-weights": vec![weight_header()], |b| model_file("model.safetensors", &[b, &shipped("model.safetensors")[weight_header().len()..]].concat());
}

/// The parser of a name.
pub fn parser(name: &str) -> Option<&'static Parser> {
    PARSERS.iter().find(|p| p.name == name)
}

const DIALOGUE: &str = "# a call\nagent 0.0-2.1 您好，请问有什么可以帮您\ncustomer 2.5-4.0 我想退款\nagent good morning\n";
const RECORDS_CSV: &str = "text,label\nwhere is it,order\n\"a, \"\"b\"\"\",refund\n\n多久,refund\n";
const RASA: &str =
    "version: \"3.1\"\nnlu:\n- intent: refund\n  examples: |\n    - I want [five](amount) back\n    - 退[三十](amount)元\n";
const TRAINING_CSV: &str = "text,category\nwhere is it,order\n\"a, b\",refund\nlost my card,card\n";
const MARKDOWN: &str = "# Refunds\n\nA refund takes *five* days.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n## Steps\n1. Open\n2. Click [here](https://x.example)\n";
const HTML: &str = "<html><head><title>Refunds</title></head><body><h1>Refunds</h1><p>Five days<ul><li>a<li>b</ul><script>x</script></body></html>";
const ARTICLES_CSV: &str = "question,answer,tags\nHow long?,\"Five, or six\",refund\n多久,五天,\n";
const ARTICLES_JSON: &str =
    r#"[{"title": "Refunds", "body": "Five days.", "questions": ["How long?"], "language": "en", "tags": ["refund"]}]"#;
const PDF: &str = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>endobj\n4 0 obj<</Length 30>>stream\nBT /F1 12 Tf (Refund) Tj ET\nendstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF";

fn contact_lens() -> Value {
    json!({"RepresentationVersion": "2022-11-01", "Rules": [{"Name": "x", "Conditions": [{"Type": "Keyword", "Words": ["refund"]}]}]})
}

fn sca() -> Value {
    json!({"rules": [{"rid": 1, "name": "x", "lambda": "a&&b", "conditions": [{"lambda": "a", "cid": "a",
        "operators": [{"oid": "a", "type": "KEY_WORDS", "param": {"operKeyWords": ["退款"], "keywordMatchSize": 1}}]}]}]})
}

/// The source folder.
fn home() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    if here.ends_with("tests/fuzz") { here.join("../..") } else { here }
}

/// A folder of this process for parsers that read files.
fn scratch() -> &'static Path {
    static SCRATCH: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a temporary folder"));
    SCRATCH.path()
}

/// The bytes as a file of a folder that holds nothing else of its kind.
fn written(name: &str, bytes: &[u8]) -> PathBuf {
    let folder = scratch().join(name.replace('.', "-"));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("a file is written");
    path
}

/// Files below a folder, by name.
fn files(folder: &str, extension: &str, most: usize) -> Vec<Vec<u8>> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    walk(&home().join(folder), &mut found);
    found.retain(|p| p.extension().is_some_and(|e| e == extension));
    found.sort();
    found.iter().take(most).map(|p| std::fs::read(p).expect("a file")).collect()
}

/// The first lines of a file.
fn lines(file: &str, most: usize) -> Vec<u8> {
    let text = std::fs::read_to_string(home().join(file)).expect("a file");
    text.lines().take(most).flat_map(|l| [l, "\n"]).collect::<String>().into_bytes()
}

/// The bytes as a text; others are refused before a parser of texts sees them.
fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|e| e.to_string())
}

fn value(bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes).map_err(|e| e.to_string())
}

fn said(problems: &[impl std::fmt::Debug]) -> String {
    format!("{problems:?}")
}

/// The names of the taxonomy, which flows refer to, and the flow that is fed.
static FLOWS: LazyLock<(Vec<String>, PathBuf)> = LazyLock::new(|| {
    let folder = scratch().join("flows");
    copy(&home().join("pipelines/chat"), &folder.join("chat"));
    std::fs::copy(home().join("pipelines/chat.toml"), folder.join("chat.toml")).expect("a copy");
    let taxonomy = Taxonomy::load(&home().join("pipelines/taxonomy")).expect("the taxonomy loads");
    let intents: Vec<String> = taxonomy.entries().iter().map(|i| i.id.clone()).collect();
    FlowBook::load(&folder, &intents).expect("the copy loads before it is damaged");
    let first = toml_files(&folder.join("chat/flows")).expect("flows").into_iter().next().expect("a flow");
    (intents, first)
});

fn flow_seed() -> Vec<u8> {
    let path = toml_files(&home().join("pipelines/chat/flows")).expect("flows").into_iter().next().expect("a flow");
    std::fs::read(path).expect("a file")
}

fn flow(bytes: &[u8]) -> Result<(), String> {
    let (intents, path) = &*FLOWS;
    std::fs::write(path, bytes).expect("a file is written");
    FlowBook::load(&scratch().join("flows"), intents).map(drop).map_err(|e| e.to_string())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

fn records(bytes: &[u8]) -> Result<(), String> {
    let text = text(bytes)?;
    let results: Vec<_> = ["x.jsonl", "x.json", "x.csv", "x.tsv"].iter().map(|name| parse_records(name, text)).collect();
    if results.iter().any(Result::is_ok) { Ok(()) } else { Err("no form takes it".into()) }
}

fn conversation_lines(bytes: &[u8]) -> Result<(), String> {
    let path = written("calls.jsonl", bytes);
    let mut refused = Vec::new();
    let read = conversations(&path, |raw, _| {
        refused.extend(raw.read().err().map(|r| format!("{r:?}")));
        Ok::<_, String>(())
    });
    read.and(if refused.is_empty() { Ok(()) } else { Err(refused.join("; ")) })
}

fn training_rows(name: &str, bytes: &[u8]) -> Result<(), String> {
    let path = written(name, bytes);
    Dataset::load(&path, None, None, &TrainSettings::new("intent")).map(drop).map_err(|e| e.to_string())
}

/// Short recordings: headers are what parsers stumble over. `most` bytes of each.
fn recordings(most: usize) -> Vec<Vec<u8>> {
    ["speech-en.opus", "speech-zh-alaw.wav", "speech-en-mulaw.wav", "tone.wav"]
        .iter()
        .map(|name| {
            let mut bytes = std::fs::read(home().join("tests/fixtures/audio").join(name)).expect("a recording");
            bytes.truncate(most.min(if name.ends_with(".opus") { 20_000 } else { usize::MAX }));
            bytes
        })
        .collect()
}

/// An article; Markdown and HTML take nearly everything, what is refused there is no text.
fn article(name: &str, bytes: &[u8]) -> Result<(), String> {
    let format = ImportFormat::from_file_name(name).ok_or("an unknown format")?;
    let imported = import(bytes, name, format).map_err(|e| e.to_string())?;
    if imported.rejected.is_empty() { text(bytes).map(drop) } else { Err(said(&imported.rejected)) }
}

fn personal_data() -> Vec<Vec<u8>> {
    [
        "我叫王建国，电话138 0013 8000，验证码 4471",
        "my card is four one one one, one one one one",
        "幺三八零零幺三八零零零",
        "a@b.example 京A12345",
    ]
    .map(|t| t.as_bytes().to_vec())
    .to_vec()
}

/// Findings lie inside the text, and masking keeps its length.
fn masked(bytes: &[u8]) -> Result<(), String> {
    let text = text(bytes)?;
    let (found, length) = (zhiyin::privacy::find(text), text.chars().count());
    assert!(found.iter().all(|f| f.start < f.end && f.end <= length), "a finding lies outside of the text");
    assert_eq!(zhiyin::privacy::mask(text, &found).chars().count(), length, "masking changed the length");
    Ok(())
}

fn spoken() -> Vec<Vec<u8>> {
    [
        "百分之三点五 二零二四年三月五号 一千二百块",
        "one hundred and five dollars at half past three on the third of may",
        "double zero seven",
    ]
    .map(|t| t.as_bytes().to_vec())
    .to_vec()
}

/// Numbers of speech written as figures; every code point of the result has its place in the source.
fn written_numbers(bytes: &[u8]) -> Result<(), String> {
    let text = text(bytes)?;
    let length = text.chars().count();
    for (language, style) in [
        (Language::Zh, ItnStyle::Readable),
        (Language::En, ItnStyle::Readable),
        (Language::Zh, ItnStyle::Symbols),
        (Language::En, ItnStyle::Symbols),
    ] {
        let (out, map) = Itn::with_style(style).apply(text, language);
        let source = map.source(0, out.chars().count());
        assert!(source.start <= source.end && source.end <= length, "a place outside of the source");
    }
    Ok(())
}

fn shipped(name: &str) -> Vec<u8> {
    std::fs::read(home().join("models/zhiyin-encoder-small").join(name)).expect("a file of the model")
}

/// Of the weights only the header: the rest are numbers, which may be any.
fn weight_header() -> Vec<u8> {
    let whole = shipped("model.safetensors");
    let length = u64::from_le_bytes(whole[..8].try_into().expect("eight bytes"));
    whole[..8 + usize::try_from(length).expect("a length")].to_vec()
}

/// A copy of the shipped encoder with one other file.
fn model_file(name: &str, bytes: &[u8]) -> Result<(), String> {
    let folder = scratch().join(format!("encoder-{}", name.replace('.', "-")));
    if !folder.is_dir() {
        std::fs::create_dir_all(&folder).expect("a folder");
        for name in ["config.json", "tokenizer.json", "model.safetensors", "heads.toml"] {
            std::fs::write(folder.join(name), shipped(name)).expect("a copy");
        }
    }
    std::fs::write(folder.join(name), bytes).expect("a file is written");
    if name != "model.safetensors" {
        let _ = (Head::of_checkpoint(&folder, "x"), CrossEncoder::load(&folder));
    }
    EncoderModel::load(&folder).map(drop).map_err(|e| e.to_string())
}

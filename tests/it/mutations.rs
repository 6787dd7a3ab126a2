//! Real inputs, damaged at random: no parser of outside bytes panics, hangs, or refuses without a word.
//!
//! Every parser gets `ZHIYIN_MUTATIONS` (default 120) damaged copies of real files, at most for some seconds. The damage is
//! the same in every run; `ZHIYIN_MUTATIONS_SEED` gives other damage.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use zhiyin::audio::{DecodeOptions, decode};
use zhiyin::chat::StoryFile;
use zhiyin::config::Settings;
use zhiyin::eval::Task;
use zhiyin::inference::{CrossEncoder, EncoderModel, Head};
use zhiyin::knowledge::{ImportFormat, import};
use zhiyin::nlu::{Cues, Gazetteer, Taxonomy};
use zhiyin::pipeline::{PipelineSpec, conversations};
use zhiyin::quality::{RuleFile, Scheme, import as quality_import};
use zhiyin::registry::Card;
use zhiyin::train::{Dataset, TrainSettings};

use crate::support::{Service, home};

/// A small generator: the same damage in every run (xorshift64*, Vigna 2016).
struct Noise(u64);

impl Noise {
    fn new(name: &str) -> Self {
        let seed = std::env::var("ZHIYIN_MUTATIONS_SEED").ok().and_then(|s| s.parse::<u64>().ok()).unwrap_or(1);
        Self(
            name.bytes()
                .fold(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, |s, b| (s ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3)),
        )
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit.max(1)
    }

    /// A copy of `bytes` with one to four damages.
    fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        const PIECES: [&[u8]; 22] = [
            b"\"",
            b"{",
            b"}",
            b"[",
            b"]",
            b"\n",
            b"\0",
            b"\xff\xfe",
            b"\xed\xa0\x80",
            b"-1",
            b"1e999",
            b"99999999999999999999",
            b"null",
            b"NaN",
            b"''",
            b"\\u0000",
            "😀".as_bytes(),
            "\u{202e}".as_bytes(),
            "，".as_bytes(),
            b"((((((((",
            b"<",
            b"=",
        ];
        let mut out = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let (at, far) = (self.below(out.len() + 1), self.below(64) + 1);
            let end = (at + far).min(out.len());
            match self.below(7) {
                0 => out.truncate(at),
                1 => drop(out.drain(at..end)),
                2 => {
                    let copy = out[at..end].to_vec();
                    out.splice(at..at, copy);
                }
                3 if at < out.len() => out[at] ^= 1 << self.below(8),
                4 if at < out.len() => out[at] = self.below(256) as u8,
                5 => {
                    let other = self.below(out.len() + 1);
                    let piece = out[other..(other + far).min(out.len())].to_vec();
                    out.splice(at..end, piece);
                }
                _ => drop(out.splice(at..at, PIECES[self.below(PIECES.len())].iter().copied())),
            }
        }
        out
    }
}

fn count() -> usize {
    std::env::var("ZHIYIN_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(120)
}

/// Feeds damaged copies of the seeds to a parser; an error must say something.
fn feed(name: &str, seeds: &[Vec<u8>], longest: Duration, mut parse: impl FnMut(&[u8]) -> Result<(), String>) {
    assert!(!seeds.is_empty() && seeds.iter().all(|s| !s.is_empty()), "{name} has real inputs");
    let (mut noise, started, mut refused, mut fed) = (Noise::new(name), Instant::now(), 0, 0);
    for round in 0..count() {
        let damaged = noise.damage(&seeds[round % seeds.len()]);
        let began = Instant::now();
        match catch_unwind(AssertUnwindSafe(|| parse(&damaged))) {
            Err(_) => {
                let kept = std::env::temp_dir().join(format!("zhiyin-mutation-{name}-{round}"));
                std::fs::write(&kept, &damaged).expect("the input is kept");
                panic!("{name}: a panic in round {round}; the input is in {}", kept.display());
            }
            Ok(Err(message)) => {
                assert!(message.trim().len() > 3, "{name}: an error without a word in round {round}");
                refused += 1;
            }
            Ok(Ok(())) => {}
        }
        fed += 1;
        assert!(began.elapsed() < Duration::from_secs(60), "{name}: round {round} took {:?}", began.elapsed());
        if started.elapsed() > longest {
            break;
        }
    }
    // A slow machine feeds few.
    assert!(refused > 0 || fed < 30, "{name}: {fed} damaged inputs and none refused: the damage is too small to mean anything");
}

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

fn lines(file: &str, most: usize) -> Vec<u8> {
    let text = std::fs::read_to_string(home().join(file)).expect("a file");
    text.lines().take(most).flat_map(|l| [l, "\n"]).collect::<String>().into_bytes()
}

/// The bytes as a text; others are refused before a parser of texts sees them.
fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|e| e.to_string())
}

fn said(problems: &[impl std::fmt::Debug]) -> String {
    format!("{problems:?}")
}

const SHORT: Duration = Duration::from_secs(4);

#[test]
fn rule_files_and_schemes() {
    feed("rules", &files("pipelines/rules", "toml", 6), SHORT, |b| {
        RuleFile::parse_toml("rules.toml", text(b)?).map(drop).map_err(|p| said(&p))
    });
    feed("schemes", &files("pipelines/schemes", "toml", 4), SHORT, |b| {
        Scheme::parse_toml("scheme.toml", text(b)?).map(drop).map_err(|p| said(&p))
    });
}

#[test]
fn rules_of_other_products() {
    let lens = json!({"RepresentationVersion": "2022-11-01", "Rules": [{"Name": "x", "Conditions": [{"Type": "Keyword", "Words": ["refund"]}]}]});
    let sca = json!({"rules": [{"rid": 1, "name": "x", "lambda": "a&&b", "conditions": [{"lambda": "a", "cid": "a",
        "operators": [{"oid": "a", "type": "KEY_WORDS", "param": {"operKeyWords": ["退款"], "keywordMatchSize": 1}}]}]}]});
    for (name, seed) in [("contact_lens", lens), ("sca", sca)] {
        feed(name, &[seed.to_string().into_bytes()], SHORT, |b| {
            let value: Value = serde_json::from_slice(b).map_err(|e| e.to_string())?;
            let made = if name == "sca" { quality_import::sca(&value) } else { quality_import::contact_lens(&value) };
            made.to_toml().map(drop).map_err(|e| e.to_string())
        });
    }
}

#[test]
fn stories_pipelines_and_evaluation_tasks() {
    feed("stories", &files("pipelines/chat/stories", "toml", 4), SHORT, |b| {
        StoryFile::parse("story.toml", text(b)?).map(drop).map_err(|p| said(&p))
    });
    feed("pipelines", &[lines("pipelines/live-assist.toml", 200), lines("pipelines/chat.toml", 200)], SHORT, |b| {
        PipelineSpec::parse(text(b)?).map(drop).map_err(|p| said(&p))
    });
    feed("tasks", &files("eval/tasks", "toml", 12), SHORT, |b| {
        Task::parse("task.toml", "intent/x", text(b)?).map(drop).map_err(|e| e.to_string())
    });
}

#[test]
fn flows_and_word_lists_of_the_chat() {
    let folder = tempfile::tempdir().expect("a folder");
    copy(&home().join("pipelines/chat"), &folder.path().join("chat"));
    std::fs::copy(home().join("pipelines/chat.toml"), folder.path().join("chat.toml")).unwrap();
    let intents: Vec<String> =
        Taxonomy::load(&home().join("pipelines/taxonomy")).unwrap().entries().iter().map(|i| i.id.clone()).collect();
    let whole = zhiyin::chat::FlowBook::load(folder.path(), &intents);
    assert!(whole.is_ok(), "the copy loads before it is damaged");
    let flows: Vec<PathBuf> = zhiyin::chat::toml_files(&folder.path().join("chat/flows")).unwrap().into_iter().take(3).collect();
    for path in &flows {
        let seed = std::fs::read(path).unwrap();
        feed("flows", std::slice::from_ref(&seed), SHORT, |b| {
            std::fs::write(path, b).unwrap();
            zhiyin::chat::FlowBook::load(folder.path(), &intents).map(drop).map_err(|e| e.to_string())
        });
        std::fs::write(path, &seed).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn taxonomies_names_cues_settings_and_cards() {
    let folder = tempfile::tempdir().expect("a folder");
    feed("taxonomy", &[lines("pipelines/taxonomy/intent.toml", 500)], SHORT, |b| {
        std::fs::write(folder.path().join("intent.toml"), b).unwrap();
        Taxonomy::load(folder.path()).map(drop).map_err(|e| e.to_string())
    });
    feed("gazetteer", &[lines("pipelines/taxonomy/gazetteer.toml", 500)], SHORT, |b| Gazetteer::parse(text(b)?).map(drop));
    feed("cues", &[lines("pipelines/taxonomy/cues.toml", 500)], SHORT, |b| Cues::parse(text(b)?).map(drop));
    let settings = toml::to_string(&Settings::default()).unwrap().into_bytes();
    feed("settings", &[settings], SHORT, |b| Settings::from_toml(text(b)?).map(drop).map_err(|e| e.to_string()));
    feed("cards", &files("models", "toml", 4), SHORT, |b| {
        std::fs::write(folder.path().join("card.toml"), b).unwrap();
        Card::read(folder.path()).map(drop).map_err(|e| e.to_string())
    });
}

#[test]
fn conversations_and_training_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("calls.jsonl");
    feed(
        "conversations",
        &[lines("datasets/conversations/en.jsonl", 3), lines("datasets/conversations/zh.jsonl", 3)],
        SHORT,
        |b| {
            std::fs::write(&path, b).unwrap();
            let mut refused = Vec::new();
            let read = conversations(&path, |raw, _| {
                refused.extend(raw.read().err().map(|r| format!("{r:?}")));
                Ok::<_, String>(())
            });
            read.and(if refused.is_empty() { Ok(()) } else { Err(refused.join("; ")) })
        },
    );
    let rows = folder.path().join("rows.jsonl");
    feed("rows", &[lines("datasets/service-zh/dev.jsonl", 30), lines("datasets/service-en/dev.jsonl", 30)], SHORT, |b| {
        std::fs::write(&rows, b).unwrap();
        Dataset::load(&rows, None, None, &TrainSettings::new("intent")).map(drop).map_err(|e| e.to_string())
    });
    let table = folder.path().join("rows.csv");
    let csv = b"text,category\nwhere is it,order\n\"a, b\",refund\nlost my card,card\n".repeat(6);
    feed("csv", &[csv], SHORT, |b| {
        std::fs::write(&table, b).unwrap();
        Dataset::load(&table, None, None, &TrainSettings::new("intent")).map(drop).map_err(|e| e.to_string())
    });
}

#[test]
fn recordings() {
    let seeds: Vec<Vec<u8>> = ["speech-en.opus", "speech-zh-alaw.wav", "speech-en-mulaw.wav", "tone.wav"]
        .iter()
        .map(|name| {
            let mut bytes = std::fs::read(home().join("tests/fixtures/audio").join(name)).expect("a recording");
            // Headers are what parsers stumble over; a short recording keeps the test short.
            if name.ends_with(".opus") {
                bytes.truncate(20_000);
            }
            bytes
        })
        .collect();
    feed("recordings", &seeds, Duration::from_secs(8), |b| {
        decode(b.to_vec(), DecodeOptions::default()).map(drop).map_err(|e| e.to_string())
    });
    // The first bytes decide most: damage there alone.
    let headers: Vec<Vec<u8>> = seeds.iter().map(|s| s[..s.len().min(400)].to_vec()).collect();
    feed("headers", &headers, SHORT, |b| decode(b.to_vec(), DecodeOptions::default()).map(drop).map_err(|e| e.to_string()));
}

#[test]
fn articles() {
    let markdown = b"# Refunds\n\nA refund takes *five* days.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n## Steps\n1. Open\n2. Click [here](https://x.example)\n".to_vec();
    let html = b"<html><head><title>Refunds</title></head><body><h1>Refunds</h1><p>Five days<ul><li>a<li>b</ul><script>x</script></body></html>".to_vec();
    let csv = b"question,answer,tags\nHow long?,\"Five, or six\",refund\n\xE5\xA4\x9A\xE4\xB9\x85,\xE4\xBA\x94\xE5\xA4\xA9,\n"
        .repeat(3);
    let pdf = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>endobj\n4 0 obj<</Length 30>>stream\nBT /F1 12 Tf (Refund) Tj ET\nendstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF".to_vec();
    for (name, seed) in [
        ("a.md", markdown),
        ("a.html", html),
        ("a.csv", csv),
        ("a.pdf", pdf),
        ("a.docx", b"PK\x03\x04 not a whole archive".to_vec()),
    ] {
        let format = ImportFormat::from_file_name(name).expect("a known format");
        // Markdown and HTML take nearly everything; what is refused there is no text.
        feed(name, &[seed], SHORT, |b| {
            import(b, name, format)
                .map_err(|e| e.to_string())
                .and_then(|i| if i.rejected.is_empty() { text(b).map(drop) } else { Err(said(&i.rejected)) })
        });
    }
}

#[test]
fn model_folders() {
    let (folder, shipped) = (tempfile::tempdir().expect("a folder"), home().join("models/zhiyin-encoder-small"));
    for name in ["config.json", "tokenizer.json", "model.safetensors", "heads.toml"] {
        std::fs::copy(shipped.join(name), folder.path().join(name)).expect("a copy");
    }
    for name in ["config.json", "heads.toml"] {
        let path = folder.path().join(name);
        let seed = std::fs::read(&path).unwrap();
        feed(name, std::slice::from_ref(&seed), SHORT, |b| {
            std::fs::write(&path, b).unwrap();
            let _ = (Head::of_checkpoint(folder.path(), "x"), CrossEncoder::load(folder.path()));
            EncoderModel::load(folder.path()).map(drop).map_err(|e| e.to_string())
        });
        std::fs::write(&path, &seed).unwrap();
    }
    // Of the weights only the header: the rest are numbers, which may be any.
    let path = folder.path().join("model.safetensors");
    let seed = std::fs::read(&path).unwrap();
    let header = 8 + usize::try_from(u64::from_le_bytes(seed[..8].try_into().unwrap())).unwrap();
    feed("safetensors", &[seed[..header].to_vec()], SHORT, |b| {
        std::fs::write(&path, [b, &seed[header..]].concat()).unwrap();
        EncoderModel::load(folder.path()).map(drop).map_err(|e| e.to_string())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_every_text_surface_and_frames_of_the_audio_socket() {
    let service = Service::start().await;
    let surfaces = [
        ("/api/v1/understand", json!({"texts": ["我想退款", "where is it"], "language": "zh"})),
        ("/model/parse", json!({"text": "where is my parcel", "message_id": "m"})),
        ("/embed", json!({"inputs": ["a", "b"], "normalize": true, "truncate": true})),
        ("/rerank", json!({"query": "退款", "texts": ["a", "b"], "raw_scores": false, "return_text": true})),
        ("/predict", json!({"inputs": [["a"], ["b", "c"]], "raw_scores": true})),
        ("/v1/embeddings", json!({"input": ["a", "b"], "model": "x", "encoding_format": "base64", "dimensions": 8})),
        ("/api/v1/quality/rules/check", json!({"rules": [{"id": "x", "name": "x"}]})),
        ("/api/v1/knowledge/search", json!({"query": "退款", "top_k": 3, "mode": "hybrid"})),
        ("/v1/chat/completions", json!({"model": "zhiyin", "messages": [{"role": "user", "content": "hi"}], "stream": true})),
    ];
    let each = (count() / 8).max(5);
    for (path, body) in surfaces {
        let (seed, mut noise) = (body.to_string().into_bytes(), Noise::new(path));
        for round in 0..each {
            let request = service.http.post(format!("{}{path}", service.base)).bearer_auth(&service.token);
            let request =
                request.header("Content-Type", "application/json").header("Idempotency-Key", ulid::Ulid::new().to_string());
            let response = request.body(noise.damage(&seed)).send().await.expect("an answer");
            let status = response.status().as_u16();
            assert!(status < 500 && status != 404, "{path}: {status} in round {round}");
            if status >= 400 {
                assert!(response.text().await.unwrap().len() > 10, "{path}: a refusal without a word in round {round}");
            }
        }
    }
    let call = json!({"channel": "voice", "languages": ["zh-CN"], "audio": {"layout": "mono", "encoding": "pcm_s16le", "sample_rate_hz": 8000,
        "channels": [{"channel_index": 0, "role": "customer"}]}});
    let call_id = service.open_call(call).await;
    let (mut socket, _) =
        tokio_tungstenite::connect_async(service.socket(&format!("/api/v1/calls/{call_id}/audio"))).await.unwrap();
    socket.send(Message::Text(json!({"type": "audio.start", "pace": "replay"}).to_string().into())).await.unwrap();
    let (seed, mut noise) = (json!({"type": "audio.mark", "name": "here"}).to_string().into_bytes(), Noise::new("frames"));
    for _ in 0..each * 4 {
        let text = String::from_utf8_lossy(&noise.damage(&seed)).into_owned();
        socket.send(Message::Text(text.into())).await.expect("the socket stays");
    }
    socket.send(Message::Text(json!({"type": "audio.mark", "name": "the last"}).to_string().into())).await.unwrap();
    let mut told = false;
    while let Ok(Some(Ok(message))) = tokio::time::timeout(Duration::from_secs(20), socket.next()).await {
        let Message::Text(frame) = message else { continue };
        let frame: Value = serde_json::from_str(&frame).expect("a frame of ours is JSON");
        assert_ne!(frame["fatal"], true, "{frame}");
        if frame["name"] == "the last" {
            told = true;
            break;
        }
    }
    assert!(told, "a whole frame behind the damaged ones is answered");
}

//! Real inputs, damaged at random: no parser of outside bytes panics, hangs, or refuses without a word.
//!
//! Every parser gets `ZHIYIN_MUTATIONS` (default 120) damaged copies of real files, at most for some seconds. The damage is
//! the same in every run; `ZHIYIN_MUTATIONS_SEED` gives other damage.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::parsers::{PARSERS, parser};
use crate::support::Service;

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

/// Feeds damaged copies of its real inputs to a parser; an error must say something.
fn feed(name: &str, longest: Duration) {
    let parser = parser(name).expect("a parser of this name");
    let seeds = (parser.seeds)();
    assert!(!seeds.is_empty() && seeds.iter().all(|s| !s.is_empty()), "{name} has real inputs");
    let (mut noise, started, mut refused, mut fed) = (Noise::new(name), Instant::now(), 0, 0);
    for round in 0..count() {
        let damaged = noise.damage(&seeds[round % seeds.len()]);
        let began = Instant::now();
        match catch_unwind(AssertUnwindSafe(|| (parser.parse)(&damaged))) {
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

const SHORT: Duration = Duration::from_secs(4);

/// Which parsers each test feeds.
const GROUPS: [&[&str]; 9] = [
    &["rules", "schemes", "dialogues", "contact-lens", "sca"],
    &["stories", "flows", "pipelines", "tasks"],
    &["taxonomy", "gazetteer", "cues", "settings", "cards"],
    &["conversations", "judged", "training-rows", "training-csv"],
    &["records", "rasa", "qrels"],
    &["recordings", "recording-headers"],
    &["markdown", "html", "blocks", "articles-csv", "articles-json", "pdf", "docx", "synonyms", "bilingual"],
    &["personal-data", "spoken-numbers"],
    &["encoder-config", "encoder-heads", "encoder-weights"],
];

fn feed_group(group: usize) {
    for name in GROUPS[group] {
        feed(name, SHORT);
    }
}

#[test]
fn every_parser_is_fed() {
    let mut fed: Vec<&str> = GROUPS.concat();
    let mut known: Vec<&str> = PARSERS.iter().map(|p| p.name).collect();
    fed.sort_unstable();
    known.sort_unstable();
    assert_eq!(fed, known);
}

#[test]
fn rules_schemes_and_those_of_other_products() {
    feed_group(0);
}

#[test]
fn stories_flows_pipelines_and_evaluation_tasks() {
    feed_group(1);
}

#[test]
fn taxonomies_names_cues_settings_and_cards() {
    feed_group(2);
}

#[test]
fn conversations_and_training_rows() {
    feed_group(3);
}

#[test]
fn evaluation_records() {
    feed_group(4);
}

#[test]
fn recordings() {
    feed_group(5);
}

#[test]
fn articles_and_word_lists() {
    feed_group(6);
}

#[test]
fn what_customers_say() {
    feed_group(7);
}

#[test]
fn model_folders() {
    feed_group(8);
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

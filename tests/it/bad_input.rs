//! What a person may do wrong, and what the program says.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;
use zhiyin::app::App;
use zhiyin::config::Settings;

use crate::support::{Service, home, settings};

fn zhiyin(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_zhiyin")).args(arguments).output().unwrap()
}

/// Runs the program on a file of these bytes and gives what it said on standard error.
fn transcribe(name: &str, bytes: &[u8]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let output = zhiyin(&["transcribe", path.to_str().unwrap()]);
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn wav(rate_hz: u32, samples: &[i16]) -> Vec<u8> {
    let data = samples.len() as u32 * 2;
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + data).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16_u32.to_le_bytes());
    for half in [1_u16, 1] {
        bytes.extend(half.to_le_bytes());
    }
    bytes.extend(rate_hz.to_le_bytes());
    bytes.extend((rate_hz * 2).to_le_bytes());
    for half in [2_u16, 16] {
        bytes.extend(half.to_le_bytes());
    }
    bytes.extend(b"data");
    bytes.extend(data.to_le_bytes());
    samples.iter().for_each(|s| bytes.extend(s.to_le_bytes()));
    bytes
}

#[test]
fn recordings_that_cannot_be_used_are_named_with_the_reason() {
    for (name, bytes) in [
        ("empty.wav", Vec::new()),
        ("truncated.wav", wav(8_000, &[0; 100])[..30].to_vec()),
        ("noise.mp3", (0..5_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()),
        ("text.opus", b"this is not a recording at all".to_vec()),
    ] {
        let (ok, said) = transcribe(name, &bytes);
        assert!(!ok && said.contains(name) && said.len() > name.len() + 40, "{name}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn silence_and_noise_give_no_words() {
    let noise: Vec<i16> = (0..80_000_u32).map(|n| ((n.wrapping_mul(2_654_435_761) >> 20) as i16) / 40).collect();
    for samples in [vec![0; 80_000], noise] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quiet.wav");
        std::fs::write(&path, wav(8_000, &samples)).unwrap();
        let output = zhiyin(&["transcribe", path.to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let store = tempfile::tempdir().unwrap();
    let mut settings = settings(&store);
    settings.server.listen = taken.local_addr().unwrap();
    let message = App::start(&home(), &settings).await.err().unwrap().to_string();
    assert!(message.contains("is in use") && message.contains("server.listen"), "{message}");
}

async fn start_error(change: impl FnOnce(&mut Settings, &Path)) -> String {
    let store = tempfile::tempdir().unwrap();
    let mut settings = settings(&store);
    change(&mut settings, store.path());
    format!("{:#}", App::start(&home(), &settings).await.err().expect("it must not start"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_corrupt_model_is_named_with_what_mends_it() {
    let message = start_error(|s, _| s.asr.model = "zhiyin-asr-smal".into()).await;
    assert!(message.contains("zhiyin-asr-small") && message.contains("models"), "{message}");
    let message = start_error(|s, folder| {
        let path = folder.join("broken.bin");
        std::fs::write(&path, b"lmgg but then nothing of use").unwrap();
        s.asr.model = path.display().to_string();
    })
    .await;
    assert!(message.contains("broken.bin"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_full_refuses_and_keeps_what_was_acknowledged() {
    let store = tempfile::tempdir().unwrap();
    let config = zhiyin::store::StoreConfig { max_mib: 1, ..zhiyin::store::StoreConfig::new(store.path()) };
    let store = zhiyin::store::Store::open(&config).await.unwrap();
    let log = zhiyin::store::EventLog::new(store);
    let call_id = zhiyin::conversation::CallId::new();
    let big = "字".repeat(2_000);
    let mut acknowledged = 0;
    let refused = loop {
        let body = zhiyin::event::EventBody::MessageAdded {
            message_id: "msg_x".into(),
            utterance_id: zhiyin::conversation::UtteranceId::new(),
            role: zhiyin::conversation::Role::Customer,
            speaker: None,
            text: big.clone(),
            language: "zh".into(),
            sent_at: String::new(),
            start_ms: 0,
            external_id: None,
        };
        match log.append_with(&call_id, vec![zhiyin::event::Draft::new(0, body)], vec![]).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 1_000, "it never became full");
    };
    assert!(matches!(refused, zhiyin::store::StoreError::DiskFull), "{refused:?}");
    let kept = log.store().events(call_id.as_str(), 1, 10_000).await.unwrap();
    assert_eq!(kept.len(), acknowledged);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_say_what_and_where() {
    let service = Service::start().await;
    for (body, status, code) in [
        (json!({"chanel": "chat"}), 422, "unknown_field"),
        (json!({"channel": "telepathy"}), 422, "invalid_value"),
        (json!({"languages": ["tlh"]}), 422, "invalid_value"),
        (json!({"audio": {"sample_rate_hz": 11025, "channels": []}}), 422, "invalid_audio"),
        (json!({"started_at": "yesterday"}), 422, "invalid_value"),
    ] {
        let (got, problem) = service.post("/api/v1/calls", body.clone()).await;
        assert_eq!((got, problem["code"].as_str()), (status, Some(code)), "{body}: {problem}");
        assert!(!problem["errors"].as_array().unwrap().is_empty(), "{problem}");
    }
    let (status, problem) = service.get("/api/v1/calls/call_unknown").await;
    assert_eq!((status, problem["code"].as_str()), (404, Some("unknown_call")));
    let call_id = service.open_call(json!({"channel": "chat"})).await;
    let path = format!("/api/v1/calls/{call_id}/messages");
    let long = "a".repeat(8_001);
    for text in ["", "   ", &long] {
        let (status, problem) = service.post(&path, json!({"role": "customer", "text": text})).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("invalid_value")), "{problem}");
    }
    for text in ["😀😀😀", "\u{0}\u{1}\u{7f}", "ﷺ𠀀\u{202e}abc", &"长".repeat(8_000)] {
        let (status, answer) = service.post(&path, json!({"role": "customer", "text": text})).await;
        assert_eq!(status, 201, "{answer}");
    }
}

#[test]
fn an_unknown_setting_is_refused_with_the_nearest_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zhiyin.toml");
    std::fs::write(&path, "[server]\nlisten_on = \"127.0.0.1:1\"\n").unwrap();
    let output = zhiyin(&["config", "check", path.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("did you mean \"listen\""), "{said}");
}

#[test]
fn a_full_output_disk_is_an_error_and_not_a_success() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.path().join("scores.jsonl")).unwrap();
    let input = home().join("datasets/conversations/en.jsonl");
    let output = zhiyin(&["quality", "score", input.to_str().unwrap(), "--out", folder.path().to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("what was scored before is kept"), "{said}");
}

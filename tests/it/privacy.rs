//! Personal data goes out of the words before anything is kept, and on request out of a transcript.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Service, home};

async fn say(service: &Service, call_id: &str, turns: &[(&str, &str)]) -> Vec<Value> {
    let mut answers = Vec::new();
    for (place, (role, text)) in turns.iter().enumerate() {
        let body = json!({"role": role, "text": text, "external_id": format!("m{place}")});
        let (status, answer) = service.post(&format!("/api/v1/calls/{call_id}/messages"), body).await;
        assert_eq!(status, 201, "{answer}");
        answers.push(answer);
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_masked_before_they_are_kept_and_the_rest_on_request() {
    let service = Service::start().await;
    let call_id = service.open_call(json!({"channel": "chat", "languages": ["zh-CN"]})).await;
    let turns = [
        ("agent", "请问您的身份证号码是多少？"),
        ("customer", "11010519491231002X，我叫王建国，手机13800138000"),
        ("agent", "好的，系统给您发了验证码，请念一下。"),
        ("customer", "482913"),
    ];
    let answers = say(&service, &call_id, &turns).await;
    assert_eq!(answers[1]["text"], "******************，我叫王建国，手机13800138000");
    assert_eq!(answers[3]["text"], "******");
    service.post(&format!("/api/v1/calls/{call_id}/end"), json!({})).await;
    service.wait_for(&call_id, "call.completed").await;
    let kept = serde_json::to_string(&service.events(&call_id).await).unwrap();
    assert!(!kept.contains("11010519491231002") && !kept.contains("482913") && kept.contains("13800138000"));
    // the same message again gives the kept answer, masked too
    let body = json!({"role": "customer", "text": "482913", "external_id": "m3"});
    let (_, again) = service.post(&format!("/api/v1/calls/{call_id}/messages"), body).await;
    assert_eq!(again["text"], answers[3]["text"]);
    let (status, transcript) = service.get(&format!("/api/v1/calls/{call_id}/transcript?redacted=true")).await;
    assert_eq!((status, transcript["turns"][1]["text"].as_str()), (200, Some("******************，我叫***，手机***********")));
    let (_, plain) = service.get(&format!("/api/v1/calls/{call_id}/transcript?format=text&redacted=true")).await;
    assert!(plain.as_str().unwrap().contains("customer: ******"), "{plain}");
    let (status, problem) = service.get(&format!("/api/v1/calls/{call_id}/transcript?redacted=maybe")).await;
    assert_eq!((status, problem["code"].as_str()), (400, Some("invalid_query")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_in_parts_goes_out_of_the_log_when_its_last_part_proves_it() {
    let service = Service::start().await;
    let call_id = service.open_call(json!({"channel": "chat", "languages": ["en-US"]})).await;
    let turns = [("customer", "4539"), ("agent", "mm-hmm"), ("customer", "5787"), ("customer", "6362"), ("customer", "1486")];
    let answers = say(&service, &call_id, &turns).await;
    assert_eq!((answers[0]["text"].as_str(), answers[4]["text"].as_str()), (Some("4539"), Some("****")));
    let events = service.events(&call_id).await;
    let kept = serde_json::to_string(&events).unwrap();
    assert!(["4539", "5787", "6362", "1486"].iter().all(|part| !kept.contains(&format!("\"{part}\""))), "{kept}");
    let revised: Vec<&Value> = events.iter().filter(|e| e["type"] == "transcript.revised").collect();
    assert_eq!(revised.len(), 3);
    assert_eq!((revised[0]["data"]["cause"].as_str(), revised[0]["data"]["text"].as_str()), (Some("redaction"), Some("****")));
    assert_eq!(revised[0]["data"]["redactions"][0]["kind"], "bank_card");
    // numbers stay without gaps, and the kept answer of the first part is masked as well
    let seqs: Vec<u64> = events.iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=events.len() as u64).collect::<Vec<_>>());
    let body = json!({"role": "customer", "text": "4539", "external_id": "m0"});
    let (_, again) = service.post(&format!("/api/v1/calls/{call_id}/messages"), body).await;
    assert_eq!(again["text"], "****");
}

fn zhiyin(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_zhiyin")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_command_line_measures_finds_and_redacts() {
    let set = home().join("datasets/personal-data/zh.jsonl");
    let set = set.to_str().unwrap();
    let (good, out, _) = zhiyin(&["privacy", "check", set, "--split", "test", "--least", "0.95", "--json"]);
    let figures: Value = serde_json::from_str(&out).unwrap();
    let patterned = &figures["files"][0]["patterned"];
    assert!(good && patterned["precision"]["value"].as_f64().unwrap() >= 0.95, "{figures}");
    assert!(patterned["recall"]["low"].as_f64().unwrap() < patterned["recall"]["value"].as_f64().unwrap());
    let (good, _, problem) = zhiyin(&["privacy", "check", set, "--split", "nope"]);
    assert!(!good && problem.contains("no utterance of split"), "{problem}");
    let (good, out, _) = zhiyin(&["privacy", "find", "我的卡号是4539578763621486"]);
    assert!(good && out.contains("bank_card") && out.contains("我的卡号是****************"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("call.json");
    let conversation = json!({"id": "c", "turns": [{"role": "customer", "text": "my card is 4539 5787 6362 1486", "start_ms": 500, "end_ms": 900}]});
    std::fs::write(&file, conversation.to_string()).unwrap();
    let recording = folder.path().join("call.wav");
    let tone: Vec<f32> = (0..16_000).map(|n| (n as f32 * 0.05).sin() * 0.5).collect();
    std::fs::write(&recording, zhiyin::audio::encode_wav(&[tone], 16_000).unwrap()).unwrap();
    let silenced = folder.path().join("out.wav");
    let path = |p: &std::path::Path| p.to_str().unwrap().to_owned();
    let (good, out, problem) =
        zhiyin(&["privacy", "redact", &path(&file), "--audio", &path(&recording), "--out", &path(&silenced)]);
    assert!(good && out.contains("my card is **** **** **** ****"), "{out} {problem}");
    let samples = &zhiyin::audio::decode_file(&silenced).unwrap().channels[0];
    assert!(samples[8_000..14_400].iter().all(|s| *s == 0.0) && samples[..7_999].iter().any(|s| s.abs() > 0.1));
    let (good, _, problem) = zhiyin(&["privacy", "redact", &path(&file), "--kinds", "card"]);
    assert!(!good && problem.contains("bank_card"), "{problem}");
}

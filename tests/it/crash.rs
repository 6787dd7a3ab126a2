//! `kill -9` in the middle of a call, as an operator would see it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

struct Process {
    child: Child,
    base: String,
    token: Option<String>,
}

impl Process {
    fn start(store: &std::path::Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_zhiyin"))
            .args(["serve", "--listen", "127.0.0.1:0", "--store"])
            .arg(store)
            .env("ZHIYIN_SERVER__RESUME_GRACE_S", "2")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.next().unwrap().unwrap();
        let base = ready.split_whitespace().find(|w| w.starts_with("http://")).unwrap().trim_end_matches('/').to_owned();
        let wait = Instant::now();
        let mut token = None;
        if !store.join("token.seen").exists() {
            let line = lines.next().unwrap().unwrap();
            token = line.split_whitespace().last().map(str::to_owned);
            std::fs::write(store.join("token.seen"), "").unwrap();
        }
        assert!(wait.elapsed() < Duration::from_secs(10));
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, base, token }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn post(http: &reqwest::Client, url: String, token: &str, body: Value) -> Value {
    let request = http.post(url).bearer_auth(token).header("Idempotency-Key", ulid::Ulid::new().to_string()).json(&body);
    request.send().await.unwrap().json().await.unwrap()
}

async fn events(http: &reqwest::Client, base: &str, token: &str, call_id: &str) -> Vec<Value> {
    let url = format!("{base}/api/v1/calls/{call_id}/events?limit=1000");
    let page: Value = http.get(url).bearer_auth(token).send().await.unwrap().json().await.unwrap();
    page["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9_and_the_call_ends_as_interrupted() {
    let store = tempfile::tempdir().unwrap();
    let http = reqwest::Client::new();
    let mut first = Process::start(store.path());
    let token = first.token.clone().unwrap();
    let call = post(&http, format!("{}/api/v1/calls", first.base), &token, json!({"channel": "chat"})).await;
    let call_id = call["call_id"].as_str().unwrap().to_owned();
    let url = format!("{}/api/v1/calls/{call_id}/messages", first.base);
    for n in 0..5 {
        let body =
            json!({"role": "customer", "text": format!("message number {n} about my bill"), "external_id": format!("m{n}")});
        assert!(post(&http, url.clone(), &token, body).await["utterance_id"].is_string());
    }
    let before = events(&http, &first.base, &token, &call_id).await;
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    let second = Process::start(store.path());
    let after = events(&http, &second.base, &token, &call_id).await;
    assert_eq!(after[..before.len()], before[..], "everything that was seen is there, unchanged");
    // The client may go on within the grace time …
    let url = format!("{}/api/v1/calls/{call_id}/messages", second.base);
    let again = post(&http, url.clone(), &token, json!({"role": "customer", "text": "x", "external_id": "m4"})).await;
    assert_eq!(again["text"], "message number 4 about my bill", "a repeated message is not added again");
    let more = post(&http, url, &token, json!({"role": "customer", "text": "are you still there?", "external_id": "m5"})).await;
    assert!(more["utterance_id"].is_string(), "{more}");
    // … and the call ends as interrupted when nobody comes back.
    for _ in 0..200 {
        let all = events(&http, &second.base, &token, &call_id).await;
        if let Some(ended) = all.iter().find(|e| e["type"] == "call.ended") {
            assert_eq!(ended["data"]["reason"], "interrupted");
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the call did not end");
}

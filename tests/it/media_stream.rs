//! Media streams of the telephone that break off, come back, and whose call is changed while they run.

use std::time::Duration;

use futures::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::bot_phone::{BLOCK, Socket, call_of, connect, play};
use crate::support::Service;

/// Blocks of 20 ms in five seconds.
const FIVE_SECONDS: usize = 250;

async fn say(socket: &mut Socket, event: Value) {
    socket.send(Message::Text(event.to_string().into())).await.unwrap();
}

/// The call, once it is there and as it should be.
async fn call_when(service: &Service, sid: &str, ready: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..100 {
        let (_, calls) = service.get("/api/v1/calls?limit=50").await;
        let found = calls["items"].as_array().unwrap().iter().find(|c| c["external_id"] == sid && ready(c)).cloned();
        if let Some(call) = found {
            return call;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let call = call_of(service, sid).await;
    panic!("the call of {sid} did not become what was expected: {call}");
}

/// Presses a key and waits until all that was sent before it has arrived.
async fn press(service: &Service, socket: &mut Socket, sid: &str, digit: &str, pressed: &str) -> Value {
    say(socket, json!({ "event": "dtmf", "dtmf": { "track": "inbound_track", "digit": digit } })).await;
    call_when(service, sid, |c| c["metadata"]["dtmf"] == pressed).await
}

fn parameters(service: &Service) -> Value {
    json!({ "token": service.token, "language": "zh-CN", "queue": "billing" })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_press_leaves_what_was_changed_meanwhile() {
    let service = Service::start().await;
    let mut socket = connect(&service, "CA-keys", parameters(&service)).await;
    let call = call_when(&service, "CA-keys", |c| c["state"] == "live").await;
    assert_eq!(call["queue"], "billing");
    let url = format!("{}/api/v1/calls/{}", service.base, call["call_id"].as_str().unwrap());
    let change = json!({ "queue": "retention", "labels": ["vip"], "agent": { "id": "a18" } });
    let key = ulid::Ulid::new().to_string();
    let patched =
        service.http.patch(url).bearer_auth(&service.token).header("Idempotency-Key", key).json(&change).send().await.unwrap();
    assert_eq!(patched.status(), 200);
    press(&service, &mut socket, "CA-keys", "4", "4").await;
    let call = press(&service, &mut socket, "CA-keys", "2", "42").await;
    assert_eq!((call["queue"].as_str(), call["agent"]["id"].as_str()), (Some("retention"), Some("a18")), "{call}");
    assert_eq!(call["labels"], json!(["vip"]));
    // Keys of a stream that came back stand behind those of the first.
    drop(socket);
    let mut back = connect(&service, "CA-keys", parameters(&service)).await;
    press(&service, &mut back, "CA-keys", "7", "427").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_comes_back_is_heard_from_its_first_chunk_on() {
    let service = Service::start().await;
    let silence = vec![0xff; BLOCK * FIVE_SECONDS];
    let mut first = connect(&service, "CA-back", parameters(&service)).await;
    play(&mut first, &silence, &mut Vec::new(), |_| false).await;
    press(&service, &mut first, "CA-back", "1", "1").await;
    drop(first);
    let mut second = connect(&service, "CA-back", parameters(&service)).await;
    play(&mut second, &silence, &mut Vec::new(), |_| false).await;
    say(&mut second, json!({ "event": "stop" })).await;
    let call = call_of(&service, "CA-back").await;
    let ended = service.wait_for(call["call_id"].as_str().unwrap(), "call.ended").await;
    let duration_ms = ended["data"]["duration_ms"].as_i64().unwrap();
    assert!((9_900..=10_100).contains(&duration_ms), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_behind_the_end_of_its_call_becomes_a_call_of_its_own() {
    let service = Service::start().await;
    let mut first = connect(&service, "CA-again", parameters(&service)).await;
    let call = call_when(&service, "CA-again", |c| c["state"] == "live").await;
    say(&mut first, json!({ "event": "stop" })).await;
    service.wait_for(call["call_id"].as_str().unwrap(), "call.ended").await;
    let mut second = connect(&service, "CA-again", parameters(&service)).await;
    let mut found = None;
    for _ in 0..100 {
        let (_, calls) = service.get("/api/v1/calls?limit=50").await;
        found = calls["items"].as_array().unwrap().iter().find(|c| c["metadata"]["call_sid"] == "CA-again").cloned();
        if found.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let other = found.expect("the second stream became no call");
    assert_eq!((other["external_id"].as_str(), other["queue"].as_str()), (None, Some("billing")), "{other}");
    assert_ne!(other["call_id"], call["call_id"]);
    say(&mut second, json!({ "event": "stop" })).await;
    service.wait_for(other["call_id"].as_str().unwrap(), "call.completed").await;
}

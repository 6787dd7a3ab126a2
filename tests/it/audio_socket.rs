//! The audio socket: a real sample call in, transcripts out; frames that cannot be used.

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::support::{Service, pcm_8k};

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

async fn open(service: &Service) -> String {
    service
        .open_call(json!({"channel": "voice", "languages": ["zh-CN"], "audio": {"layout": "stereo", "encoding": "pcm_s16le",
            "sample_rate_hz": 8000, "channels": [{"channel_index": 0, "role": "customer"}, {"channel_index": 1, "role": "agent"}]}}))
        .await
}

async fn connect(service: &Service, call_id: &str, start: Value) -> Socket {
    let request = service.socket(&format!("/api/v1/calls/{call_id}/audio"));
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    socket.send(Message::Text(start.to_string().into())).await.unwrap();
    socket
}

/// Text frames until the close frame, and its code.
async fn rest(mut socket: Socket) -> (Vec<Value>, Option<u16>) {
    let mut frames = Vec::new();
    let mut code = None;
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Text(text) => frames.push(serde_json::from_str(&text).unwrap()),
            Message::Close(frame) => code = frame.map(|f| u16::from(f.code)),
            _ => {}
        }
    }
    (frames, code)
}

fn types(frames: &[Value]) -> Vec<&str> {
    frames.iter().filter_map(|f| f["type"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn audio_becomes_finals_marks_are_echoed_and_unknown_frames_do_no_harm() {
    let service = Service::start().await;
    let call_id = open(&service).await;
    let mut socket =
        connect(&service, &call_id, json!({"type": "audio.start", "pace": "replay", "events": ["transcript.final"]})).await;
    let audio = pcm_8k("zh-refund", 14);
    for frame in audio.chunks(3_200) {
        socket.send(Message::Binary(frame.to_vec().into())).await.unwrap();
    }
    socket.send(Message::Text(r#"{"type":"audio.dance"}"#.into())).await.unwrap();
    socket.send(Message::Text("{".into())).await.unwrap();
    socket.send(Message::Text(r#"{"type":"audio.flush"}"#.into())).await.unwrap();
    socket.send(Message::Text(r#"{"type":"audio.mark","name":"here"}"#.into())).await.unwrap();
    socket.send(Message::Text(r#"{"type":"audio.end"}"#.into())).await.unwrap();
    let (frames, code) = rest(socket).await;
    let kinds = types(&frames);
    assert_eq!(kinds[0], "audio.ready");
    assert!(
        kinds.contains(&"transcript.final") && kinds.contains(&"audio.marked") && kinds.contains(&"audio.closed"),
        "{kinds:?}"
    );
    assert_eq!(frames.iter().filter(|f| f["type"] == "error" && f["fatal"] == false).count(), 2);
    assert_eq!(code, Some(1000));
    let events = service.events(&call_id).await;
    for channel in [0, 1] {
        let finals: Vec<&Value> =
            events.iter().filter(|e| e["type"] == "transcript.final" && e["data"]["channel_index"] == channel).collect();
        assert!(!finals.is_empty(), "channel {channel} was heard");
        for pair in finals.windows(2) {
            assert!(pair[0]["data"]["end_ms"].as_i64() <= pair[1]["data"]["start_ms"].as_i64(), "finals never overlap");
        }
        for event in finals {
            let confidence = event["data"]["confidence"].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&confidence) && !event["data"]["text"].as_str().unwrap().is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_cannot_be_used_is_refused_with_its_code() {
    let service = Service::start().await;
    for (start, expected) in [
        (json!({"type": "audio.start", "sample_rate_hz": 11025}), 4422),
        (json!({"type": "audio.start", "sample_rate_hz": 16000}), 4422),
        (json!({"type": "audio.start", "wrong": 1}), 4400),
        (json!({"type": "audio.flush"}), 4400),
    ] {
        let call_id = open(&service).await;
        let (frames, code) = rest(connect(&service, &call_id, start.clone()).await).await;
        assert_eq!(code, Some(expected), "{start}: {frames:?}");
        assert_eq!(frames.last().unwrap()["fatal"], true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_is_refused_unless_it_takes_over() {
    let service = Service::start().await;
    let call_id = open(&service).await;
    let mut first = connect(&service, &call_id, json!({"type": "audio.start"})).await;
    assert!(first.next().await.unwrap().unwrap().to_text().unwrap().contains("audio.ready"));
    let (_, code) = rest(connect(&service, &call_id, json!({"type": "audio.start"})).await).await;
    assert_eq!(code, Some(4409));
    let mut third = connect(&service, &call_id, json!({"type": "audio.start", "resume": true})).await;
    assert!(third.next().await.unwrap().unwrap().to_text().unwrap().contains("audio.ready"));
    let (_, code) = rest(first).await;
    assert_eq!(code, Some(4409), "the first one is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn audio_far_ahead_of_real_time_and_giant_frames_close_the_socket() {
    let service = Service::start().await;
    let call_id = open(&service).await;
    let mut socket = connect(&service, &call_id, json!({"type": "audio.start", "pace": "live"})).await;
    for _ in 0..30 {
        // Half a second of silence, two channels.
        if socket.send(Message::Binary(vec![0; 16_000].into())).await.is_err() {
            break;
        }
    }
    let (_, code) = rest(socket).await;
    assert_eq!(code, Some(4491));
    let call_id = open(&service).await;
    let mut socket = connect(&service, &call_id, json!({"type": "audio.start", "pace": "live"})).await;
    socket.send(Message::Binary(vec![0; 8_000 * 2 * 2 * 2].into())).await.unwrap();
    let (_, code) = rest(socket).await;
    assert_eq!(code, Some(1009));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanishes_may_come_back_within_the_grace_time_else_the_call_ends() {
    let service = Service::start().await;
    let call_id = open(&service).await;
    let mut socket = connect(&service, &call_id, json!({"type": "audio.start", "pace": "replay"})).await;
    let audio = pcm_8k("zh-refund", 6);
    for frame in audio.chunks(3_200).take(20) {
        socket.send(Message::Binary(frame.to_vec().into())).await.unwrap();
    }
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    drop(socket);
    let mut again = connect(&service, &call_id, json!({"type": "audio.start", "pace": "replay", "resume": true})).await;
    let ready: Value = serde_json::from_str(again.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
    let resume_from_ms = ready["resume_from_ms"].as_u64().unwrap();
    assert!(resume_from_ms >= 1_900, "{ready}");
    drop(again);
    let ended = service.wait_for(&call_id, "call.ended").await;
    assert_eq!(ended["data"]["reason"], "media_lost");
    service.wait_for(&call_id, "call.completed").await;
}

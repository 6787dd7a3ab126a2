//! Audio that comes otherwise than it should, over the socket: what is said, and that nothing is lost or moved in time.

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::support::{Service, pcm_8k};

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

const STEREO: [(u16, &str); 2] = [(0, "customer"), (1, "agent")];

async fn open(service: &Service, encoding: &str, channels: &[(u16, &str)]) -> String {
    let channels: Vec<Value> = channels.iter().map(|(i, role)| json!({"channel_index": i, "role": role})).collect();
    let audio = json!({"encoding": encoding, "sample_rate_hz": 8000, "channels": channels});
    service.open_call(json!({"channel": "voice", "languages": ["zh-CN"], "audio": audio})).await
}

async fn connect(service: &Service, call_id: &str, start: Value) -> Socket {
    let request = service.socket(&format!("/api/v1/calls/{call_id}/audio"));
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    socket.send(Message::Text(start.to_string().into())).await.unwrap();
    socket
}

async fn say(socket: &mut Socket, frame: Value) {
    socket.send(Message::Text(frame.to_string().into())).await.unwrap();
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

/// Times and texts of the finals of a call, by start.
async fn finals(service: &Service, call_id: &str) -> Vec<(i64, i64, String)> {
    let events = service.events(call_id).await;
    let finals = events.iter().filter(|e| e["type"] == "transcript.final").map(|e| &e["data"]);
    let mut finals: Vec<_> = finals
        .map(|d| (d["start_ms"].as_i64().unwrap(), d["end_ms"].as_i64().unwrap(), d["text"].as_str().unwrap().to_owned()))
        .collect();
    finals.sort();
    finals
}

/// Sends bytes in frames of these lengths, in turn, and gives the finals and what the socket said.
async fn sent_in(service: &Service, audio: &[u8], lengths: &[usize]) -> (Vec<(i64, i64, String)>, Vec<Value>) {
    let call_id = open(service, "pcm_s16le", &STEREO).await;
    let mut socket = connect(service, &call_id, json!({"type": "audio.start", "pace": "replay"})).await;
    let mut at = 0;
    for length in lengths.iter().cycle() {
        if at >= audio.len() {
            break;
        }
        let end = (at + length).min(audio.len());
        socket.send(Message::Binary(audio[at..end].to_vec().into())).await.unwrap();
        at = end;
    }
    say(&mut socket, json!({"type": "audio.end"})).await;
    let (frames, code) = rest(socket).await;
    assert_eq!(code, Some(1000), "{frames:?}");
    (finals(service, &call_id).await, frames)
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_of_any_size_and_halves_of_samples_give_the_same_finals() {
    let service = Service::start().await;
    let audio = pcm_8k("zh-refund", 13);
    let (usual, frames) = sent_in(&service, &audio, &[3_200]).await;
    assert!(usual.len() >= 2, "{usual:?}");
    assert!(frames.iter().all(|f| f["type"] != "error"), "{frames:?}");
    // Cut inside samples and between the two channels; single bytes; nothing at all; the longest frame that is allowed.
    for lengths in [vec![641, 1_279, 33], vec![1, 0, 7_999], vec![32_000]] {
        let (finals, frames) = sent_in(&service, &audio, &lengths).await;
        assert_eq!(finals, usual, "frames of {lengths:?}");
        assert!(frames.iter().all(|f| f["type"] != "error"), "{frames:?}");
    }
    let (finals, frames) = sent_in(&service, &audio[..audio.len() - 1], &[3_200]).await;
    assert_eq!(finals, usual, "the last sample is silence");
    let told: Vec<&Value> = frames.iter().filter(|f| f["type"] == "error").collect();
    assert_eq!(told.len(), 1, "{frames:?}");
    assert!(told[0]["code"] == "half_sample" && told[0]["fatal"] == false, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_where_samples_are_due_is_answered_and_harms_nothing() {
    let service = Service::start().await;
    let audio = pcm_8k("zh-refund", 8);
    let (usual, _) = sent_in(&service, &audio, &[3_200]).await;
    let call_id = open(&service, "pcm_s16le", &STEREO).await;
    let mut socket = connect(&service, &call_id, json!({"type": "audio.start", "pace": "replay"})).await;
    for (n, frame) in audio.chunks(3_200).enumerate() {
        socket.send(Message::Binary(frame.to_vec().into())).await.unwrap();
        match n {
            3 => socket.send(Message::Text("AAAAAP//AAD//w==".into())).await.unwrap(),
            4 => socket.send(Message::Text("".into())).await.unwrap(),
            5 => socket.send(Message::Text(r#"["audio.flush"]"#.into())).await.unwrap(),
            6 => socket.send(Message::Text(r#"{"type":"audio.gap","duration_ms":-5}"#.into())).await.unwrap(),
            _ => {}
        }
    }
    say(&mut socket, json!({"type": "audio.end"})).await;
    let (frames, code) = rest(socket).await;
    assert_eq!(code, Some(1000));
    let errors: Vec<&Value> = frames.iter().filter(|f| f["type"] == "error").collect();
    assert_eq!(errors.len(), 4, "{frames:?}");
    assert!(errors.iter().all(|e| e["fatal"] == false && !e["detail"].as_str().unwrap().is_empty()), "{errors:?}");
    assert_eq!(finals(&service, &call_id).await, usual);
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_out_of_order_are_refused_with_their_reason() {
    let service = Service::start().await;
    // Samples before the start.
    let call_id = open(&service, "pcm_s16le", &STEREO).await;
    let request = service.socket(&format!("/api/v1/calls/{call_id}/audio"));
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    socket.send(Message::Binary(vec![0; 320].into())).await.unwrap();
    let (frames, code) = rest(socket).await;
    assert_eq!(code, Some(4400));
    assert!(frames.last().unwrap()["detail"].as_str().unwrap().contains("audio.start"), "{frames:?}");
    // A second start, and a resume without a pause.
    let mut socket = connect(&service, &call_id, json!({"type": "audio.start", "pace": "replay"})).await;
    say(&mut socket, json!({"type": "audio.start"})).await;
    say(&mut socket, json!({"type": "audio.resume"})).await;
    say(&mut socket, json!({"type": "audio.end"})).await;
    let (frames, code) = rest(socket).await;
    assert_eq!(code, Some(1000));
    assert_eq!(frames.iter().filter(|f| f["type"] == "error").count(), 1, "{frames:?}");
    // Samples behind the end: the call is over for this socket, and says so.
    let mut socket = connect(&service, &call_id, json!({"type": "audio.start", "pace": "replay", "resume": true})).await;
    say(&mut socket, json!({"type": "audio.end"})).await;
    for _ in 0..5 {
        if socket.send(Message::Binary(vec![0; 320].into())).await.is_err() {
            break;
        }
    }
    let (frames, code) = rest(socket).await;
    assert_eq!(code, Some(1000), "{frames:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_move_what_follows_and_a_gap_of_nonsense_is_refused() {
    let service = Service::start().await;
    let audio = pcm_8k("zh-refund", 8);
    let (usual, _) = sent_in(&service, &audio, &[3_200]).await;
    let call_id = open(&service, "pcm_s16le", &STEREO).await;
    let mut socket = connect(&service, &call_id, json!({"type": "audio.start", "pace": "replay"})).await;
    for gap_ms in [1_500_u64, 60_000, 3_600_000] {
        say(&mut socket, json!({"type": "audio.gap", "duration_ms": gap_ms})).await;
    }
    say(&mut socket, json!({"type": "audio.gap", "duration_ms": 3_600_001})).await;
    for frame in audio.chunks(3_200) {
        socket.send(Message::Binary(frame.to_vec().into())).await.unwrap();
    }
    say(&mut socket, json!({"type": "audio.end"})).await;
    let (frames, code) = rest(socket).await;
    assert_eq!(code, Some(1000));
    assert_eq!(frames.iter().filter(|f| f["type"] == "error").count(), 1, "{frames:?}");
    let shift = 1_500 + 60_000 + 3_600_000;
    let moved = finals(&service, &call_id).await;
    assert_eq!(moved.len(), usual.len(), "{moved:?}");
    for (late, early) in moved.iter().zip(&usual) {
        assert!((late.0 - shift - early.0).abs() <= 64, "{late:?} is not {early:?} + {shift}");
    }
    let closed = frames.iter().find(|f| f["type"] == "audio.closed").unwrap();
    let duration_ms = closed["duration_ms"].as_i64().unwrap();
    assert!((duration_ms - shift - audio.len() as i64 / 32).abs() <= 2, "{closed}");
}

/// Every second of them goes over the wire; the service must not grow with them.
#[tokio::test(flavor = "multi_thread")]
async fn eight_hours_of_silence_are_heard_as_nothing() {
    let service = Service::start().await;
    let call_id = open(&service, "mulaw", &[(0, "customer")]).await;
    let mut socket = connect(&service, &call_id, json!({"type": "audio.start", "pace": "replay"})).await;
    let before_mib = resident_mib();
    let second = Message::Binary(vec![0xff; 8_000].into());
    for _ in 0..8 * 3_600 {
        socket.send(second.clone()).await.unwrap();
    }
    say(&mut socket, json!({"type": "audio.end"})).await;
    let (frames, code) = rest(socket).await;
    assert_eq!(code, Some(1000));
    let closed = frames.iter().find(|f| f["type"] == "audio.closed").unwrap();
    assert_eq!((closed["duration_ms"].as_i64(), closed["n_utterances"].as_u64()), (Some(8 * 3_600_000), Some(0)));
    assert_eq!(finals(&service, &call_id).await, []);
    let grown = resident_mib() - before_mib;
    assert!(grown < 64.0, "the process grew by {grown:.0} MiB");
}

/// Resident memory of this process; 0 where the system does not say.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1_024.0
}

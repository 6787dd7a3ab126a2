//! The bot on the telephone: a sample call comes in as a media stream; the caller's words become turns of the dialogue engine,
//! the replies go out on the socket as text to speak and are messages of the call.

use std::time::Duration;

use base64::Engine as _;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Service, sample};

pub type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// 20 ms of mu-law at 8 kHz.
pub const BLOCK: usize = 160;

/// The caller's side of a sample call as mu-law at 8 kHz.
fn caller(id: &str) -> Vec<u8> {
    let (rate_hz, channels) = sample(id);
    let step = (rate_hz / 8_000) as usize;
    let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
    channels[0].chunks(step).map(|part| zhiyin::audio::mulaw_encode((mean(part) * 32_767.0) as i16)).collect()
}

pub async fn connect(service: &Service, sid: &str, parameters: Value) -> Socket {
    let url = format!("{}/compat/twilio/media", service.base.replace("http", "ws"));
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let start = json!({ "event": "start", "streamSid": "MZ7", "start": {
        "streamSid": "MZ7", "callSid": sid, "tracks": ["inbound"], "customParameters": parameters,
        "mediaFormat": { "encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1 } } });
    socket.send(Message::Text(start.to_string().into())).await.unwrap();
    socket
}

/// Plays audio from a block on at the pace of a telephone and gathers the replies that come meanwhile.
pub async fn play(socket: &mut Socket, audio: &[u8], replies: &mut Vec<Value>, until: impl Fn(&[Value]) -> bool) {
    for (n, block) in audio.chunks(BLOCK).enumerate() {
        let payload = base64::engine::general_purpose::STANDARD.encode(block);
        let media =
            json!({ "event": "media", "media": { "track": "inbound", "timestamp": (n * 20).to_string(), "payload": payload } });
        socket.send(Message::Text(media.to_string().into())).await.unwrap();
        if n % 5 == 0 {
            read(socket, replies, Duration::from_millis(20)).await;
        }
        if until(replies) {
            return;
        }
    }
}

async fn read(socket: &mut Socket, replies: &mut Vec<Value>, wait: Duration) {
    while let Ok(Some(Ok(message))) = tokio::time::timeout(wait, socket.next()).await {
        if let Message::Text(text) = message {
            replies.push(serde_json::from_str(&text).unwrap());
        }
    }
}

pub async fn call_of(service: &Service, sid: &str) -> Value {
    let (_, calls) = service.get("/api/v1/calls?limit=50").await;
    calls["items"].as_array().unwrap().iter().find(|c| c["external_id"] == sid).unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_answered_in_text_that_can_be_spoken_and_a_person_can_take_over() {
    let service = Service::start().await;
    let parameters = json!({ "token": service.token, "language": "zh-CN", "bot": "on", "campaign": "spring" });
    let mut socket = connect(&service, "CA-bot", parameters.clone()).await;
    let mut replies = Vec::new();
    let audio = caller("zh-card-loss");
    // A greeting, and an answer to what the caller says first.
    play(&mut socket, &audio, &mut replies, |r| r.len() >= 3).await;
    for _ in 0..50 {
        if replies.len() >= 2 {
            break;
        }
        read(&mut socket, &mut replies, Duration::from_millis(200)).await;
    }
    assert!(replies.len() >= 2, "the caller got no answer: {replies:?}");
    for reply in &replies {
        assert_eq!((reply["event"].as_str(), reply["streamSid"].as_str()), (Some("reply"), Some("MZ7")), "{reply}");
        let speech = reply["reply"]["speech"].as_str().unwrap();
        assert!(!speech.is_empty() && !speech.contains("来源"), "a source is not spoken: {reply}");
    }
    assert!(replies[0]["reply"]["speech"].as_str().unwrap().starts_with("您好"), "the bot speaks first: {}", replies[0]);
    assert!(replies[1..].iter().any(|r| r["reply"]["answered"] == true), "{replies:?}");

    let call = call_of(&service, "CA-bot").await;
    assert_eq!((call["metadata"]["campaign"].as_str(), call["metadata"].get("bot")), (Some("spring"), None), "{call}");
    let call_id = call["call_id"].as_str().unwrap();
    let events = service.events(call_id).await;
    let said: Vec<&Value> = events.iter().filter(|e| e["type"] == "message.added" && e["data"]["role"] == "bot").collect();
    for reply in &replies {
        let id = &reply["reply"]["message_id"];
        assert!(said.iter().any(|e| e["data"]["message_id"] == *id), "a reply is no message of the call: {reply}");
    }
    let finals = events.iter().filter(|e| e["type"] == "transcript.final" && e["data"]["role"] == "customer").count();
    assert!(finals >= 1 && said.len() <= finals + 1, "{finals} finals, {} messages of the bot", said.len());

    // The socket breaks off and comes back: the same conversation, no second greeting.
    drop(socket);
    let mut back = connect(&service, "CA-bot", parameters).await;
    let mut more = Vec::new();
    read(&mut back, &mut more, Duration::from_millis(400)).await;
    assert!(!more.iter().any(|r| r["reply"]["speech"] == replies[0]["reply"]["speech"]), "greeted again: {more:?}");
    back.send(Message::Text(json!({ "event": "stop" }).to_string().into())).await.unwrap();
    service.wait_for(call_id, "call.completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_the_bot_stays_one_way_and_an_unknown_flow_is_refused() {
    let service = Service::start().await;
    let mut socket = connect(&service, "CA-plain", json!({ "token": service.token, "language": "zh-CN" })).await;
    let mut replies = Vec::new();
    play(&mut socket, &caller("zh-card-loss")[..BLOCK * 150], &mut replies, |_| false).await;
    read(&mut socket, &mut replies, Duration::from_millis(300)).await;
    assert!(replies.is_empty(), "{replies:?}");
    let wrong = json!({ "token": service.token, "bot": "on", "flow": "surveys" });
    let mut refused = connect(&service, "CA-wrong", wrong).await;
    let closed = tokio::time::timeout(Duration::from_secs(5), refused.next()).await.unwrap();
    assert!(matches!(closed, Some(Ok(Message::Close(Some(frame)))) if u16::from(frame.code) == 1008), "{:?}", refused);
    let wrong_call = call_of(&service, "CA-wrong").await;
    let ended = service.wait_for(wrong_call["call_id"].as_str().unwrap(), "call.ended").await;
    assert_eq!(ended["data"]["reason"], "media_lost", "a call whose stream was refused does not stay open");
    let survey = json!({ "token": service.token, "language": "zh-CN", "bot": "on", "flow": "survey", "direction": "outbound" });
    let mut outbound = connect(&service, "CA-survey", survey).await;
    let mut asked = Vec::new();
    for _ in 0..25 {
        read(&mut outbound, &mut asked, Duration::from_millis(200)).await;
        if !asked.is_empty() {
            break;
        }
    }
    assert!(asked[0]["reply"]["speech"].as_str().unwrap().contains("1分"), "{asked:?}");
}

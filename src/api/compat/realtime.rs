//! `WS /v1/realtime?intent=transcription`: OpenAI's realtime transcription.

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use base64::Engine as _;
use serde_json::{Value, json};

use super::super::{ApiContext, Problem};
use super::openai_audio::check_model;
use super::realtime_config::{Config, Refused, Shape};
use super::realtime_items::Items;
use super::{Ear, Pulse, count_unknown, openai_problem};

/// Largest `append`, bytes of audio.
const MAX_APPEND_BYTES: usize = 1 << 20;
const MAX_MESSAGE_BYTES: usize = 2 << 20;

/// Takes OpenAI realtime clients.
#[utoipa::path(get, path = "/v1/realtime", tag = "compatibility", responses((status = 101, description = "the socket is open")))]
pub(in crate::api) async fn socket(
    State(context): State<ApiContext>,
    headers: HeaderMap,
    uri: Uri,
    upgrade: WebSocketUpgrade,
) -> Response {
    let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).map(|q| q.0).unwrap_or_default();
    let mut config = Config::default();
    for (name, value) in query {
        match name.as_str() {
            "intent" if value == "transcription" => {}
            "intent" => return openai_problem(Problem::new("invalid_query", "the only intent is transcription")),
            "model" => match check_model(&context, &value) {
                Ok(()) => config.model = value,
                Err(problem) => return openai_problem(problem),
            },
            _ => count_unknown("openai_realtime"),
        }
    }
    let beta = headers.get("openai-beta").and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("realtime=v1"));
    let shape = if beta { Shape::Beta } else { Shape::Ga };
    let ear = match Ear::open(&context, config.ear()) {
        Ok(ear) => ear,
        Err(problem) => return openai_problem(problem),
    };
    let session = Session { context, config, shape, ear, items: Items::new(shape), id: format!("sess_{}", ulid::Ulid::new()) };
    upgrade.protocols(["realtime"]).max_message_size(MAX_MESSAGE_BYTES).on_upgrade(move |socket| async move {
        metrics::gauge!("zhiyin_streams_open", "kind" => "openai").increment(1.0);
        session.serve(socket).await;
        metrics::gauge!("zhiyin_streams_open", "kind" => "openai").decrement(1.0);
    })
}

struct Session {
    context: ApiContext,
    config: Config,
    shape: Shape,
    ear: Ear,
    items: Items,
    id: String,
}

/// An error of the vendor's shape.
fn error(code: &str, message: &str, param: Option<&str>, event_id: Option<&str>) -> Value {
    json!({"type": "error", "error": {
        "type": "invalid_request_error", "code": code, "message": message, "param": param, "event_id": event_id,
    }})
}

async fn send(socket: &mut WebSocket, events: Vec<Value>) -> Result<(), axum::Error> {
    for mut event in events {
        event["event_id"] = format!("event_{}", ulid::Ulid::new()).into();
        socket.send(Message::Text(event.to_string().into())).await?;
    }
    Ok(())
}

impl Session {
    async fn serve(mut self, mut socket: WebSocket) {
        let created = json!({"type": self.shape.created(), "session": self.config.shown(&self.id, self.shape)});
        let mut events = vec![created];
        // Who waits for a key to be pressed may send nothing for long.
        let mut pulse = Pulse::default();
        loop {
            if send(&mut socket, events).await.is_err() {
                return;
            }
            events = tokio::select! {
                message = pulse.frame_or_pong(&mut socket) => match message {
                    Some(Message::Text(text)) => self.take(&text).await,
                    Some(Message::Binary(_)) => vec![error("invalid_value", "events are JSON text", None, None)],
                    Some(Message::Ping(_) | Message::Pong(_)) => Vec::new(),
                    Some(Message::Close(_)) | None => return,
                },
                () = self.ear.ready() => {
                    let pieces = self.ear.poll();
                    self.items.hear(pieces, &self.config)
                }
            };
            if self.context.hub.is_draining() {
                let pieces = self.ear.finish().await;
                let last = self.items.hear(pieces, &self.config);
                let _ = send(&mut socket, last).await;
                let frame = CloseFrame { code: 1012, reason: "draining".into() };
                let _ = socket.send(Message::Close(Some(frame))).await;
                return;
            }
        }
    }

    async fn take(&mut self, text: &str) -> Vec<Value> {
        let Ok(event) = serde_json::from_str::<Value>(text) else {
            return vec![error("invalid_json", "the event is not JSON", None, None)];
        };
        let id = event["event_id"].as_str();
        match event["type"].as_str().unwrap_or_default() {
            "session.update" => self.update(&event["session"], Shape::Ga, id).await,
            "transcription_session.update" => self.update(&event["session"], Shape::Beta, id).await,
            "input_audio_buffer.append" => self.append(&event, id).await,
            "input_audio_buffer.commit" => {
                let pieces = self.ear.flush();
                let mut events = self.items.hear(pieces, &self.config);
                events.extend(self.items.commit(self.ear.received_ms()));
                events
            }
            "input_audio_buffer.clear" => match Ear::open(&self.context, self.config.ear()) {
                Ok(ear) => {
                    self.ear = ear;
                    self.items = Items::new(self.shape);
                    vec![json!({"type": "input_audio_buffer.cleared"})]
                }
                Err(problem) => vec![error(&problem.code, &problem.detail, None, id)],
            },
            known if known.starts_with("response.") || known.starts_with("conversation.item.") => {
                vec![error("unsupported_event", "this session transcribes; it gives no responses", Some("type"), id)]
            }
            _ => {
                count_unknown("openai_realtime");
                vec![error("unknown_event", "there is no event of this type", Some("type"), id)]
            }
        }
    }

    async fn update(&mut self, session: &Value, shape: Shape, id: Option<&str>) -> Vec<Value> {
        let next = match self.config.updated(session, shape) {
            Ok(next) => next,
            Err(Refused { param, message }) => return vec![error("invalid_value", &message, Some(param), id)],
        };
        self.shape = shape;
        self.items.speak(shape);
        // What was heard under the old settings is settled before the new ones hold.
        let pieces = self.ear.finish().await;
        let mut events = self.items.hear(pieces, &self.config);
        match Ear::open(&self.context, next.ear()) {
            Ok(ear) => {
                self.ear = ear;
                self.config = next;
                events.push(json!({"type": shape.updated(), "session": self.config.shown(&self.id, shape)}));
            }
            Err(problem) => events.push(error(&problem.code, &problem.detail, None, id)),
        }
        events
    }

    async fn append(&mut self, event: &Value, id: Option<&str>) -> Vec<Value> {
        let audio = event["audio"].as_str().and_then(|a| base64::engine::general_purpose::STANDARD.decode(a).ok());
        let Some(bytes) = audio else {
            return vec![error("invalid_value", "audio is base64", Some("audio"), id)];
        };
        if bytes.len() > MAX_APPEND_BYTES {
            return vec![error("body_too_large", "one append has at most 1 MiB", Some("audio"), id)];
        }
        let mut pieces = self.ear.push(&bytes);
        while !self.ear.wants_audio() {
            self.ear.ready().await;
            pieces.extend(self.ear.poll());
        }
        self.items.hear(pieces, &self.config)
    }
}

//! Deepgram's live socket.

use std::time::{Duration, Instant};

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderName, HeaderValue, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::{ApiContext, Problem};
use super::deepgram_options::Options;
use super::openai_audio::check_model;
use super::{Ear, Piece, count_unknown, deepgram_problem};
use crate::conversation::{Language, Utterance, Word};
use crate::vad::Endpoint;

/// A socket without audio or KeepAlive for so long is closed.
const IDLE: Duration = Duration::from_secs(10);
/// Largest message: some seconds of audio.
const MAX_MESSAGE_BYTES: usize = 2 << 20;

/// Takes Deepgram clients.
#[utoipa::path(get, path = "/v1/listen", tag = "compatibility", responses((status = 101, description = "the socket is open")))]
pub(in crate::api) async fn socket(
    State(context): State<ApiContext>,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).map(|q| q.0).unwrap_or_default();
    let opened = Options::parse(&query).and_then(|options| {
        check_model_name(&context, &options.model)?;
        let ear = Ear::open(&context, options.ear.clone())?;
        Ok((options, ear))
    });
    let (options, ear) = match opened {
        Ok(opened) => opened,
        Err(problem) => return deepgram_problem(problem),
    };
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade.max_message_size(MAX_MESSAGE_BYTES).max_frame_size(MAX_MESSAGE_BYTES),
        Err(_) => return deepgram_problem(Problem::new("invalid_query", "this is a WebSocket: connect with ws:// or wss://")),
    };
    let live = Live::new(&context, options, ear);
    let request_id = HeaderValue::from_str(&live.request_id);
    let mut response = upgrade
        .protocols(["token", "bearer"])
        .on_upgrade(move |socket| async move {
            metrics::gauge!("zhiyin_streams_open", "kind" => "deepgram").increment(1.0);
            live.serve(socket).await;
            metrics::gauge!("zhiyin_streams_open", "kind" => "deepgram").decrement(1.0);
        })
        .into_response();
    if let Ok(id) = request_id {
        response.headers_mut().insert(HeaderName::from_static("dg-request-id"), id);
    }
    response
}

/// Our names, or any of the vendor's (`nova-…`, `base`, `enhanced`): they all mean the loaded recogniser.
fn check_model_name(context: &ApiContext, name: &str) -> Result<(), Problem> {
    let vendor = ["nova", "base", "enhanced", "whisper", "general", "phonecall"].iter().any(|known| name.starts_with(known));
    if vendor { Ok(()) } else { check_model(context, name) }
}

/// What one channel said last.
#[derive(Clone, Debug, Default)]
struct Turn {
    /// End of the last word of the turn that goes on, milliseconds.
    last_word_ms: Option<i64>,
}

struct Live {
    options: Options,
    ear: Ear,
    request_id: String,
    model: Value,
    turns: Vec<Turn>,
    hash: Sha256,
    created: String,
    last_heard: Instant,
    /// A `Finalize` waits for the rest of its channels.
    finalizing: bool,
}

impl Live {
    fn new(context: &ApiContext, options: Options, ear: Ear) -> Self {
        let engine = context.hub.stages().recogniser.as_ref().map_or("zhiyin", |e| e.model_id());
        let model = json!({"name": options.model, "version": engine, "arch": "zhiyin"});
        Self {
            turns: vec![Turn::default(); options.channels],
            options,
            ear,
            request_id: ulid::Ulid::new().to_string(),
            model,
            hash: Sha256::new(),
            created: crate::event::now_rfc3339(),
            last_heard: Instant::now(),
            finalizing: false,
        }
    }

    async fn serve(mut self, mut socket: WebSocket) {
        let (code, reason) = self.run(&mut socket).await;
        let _ = socket.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
    }

    async fn run(&mut self, socket: &mut WebSocket) -> (u16, &'static str) {
        loop {
            let patience = IDLE.saturating_sub(self.last_heard.elapsed());
            let answers = tokio::select! {
                message = tokio::time::timeout(patience, socket.recv()) => match message {
                    Err(_) => return (1011, "NET-0001"),
                    Ok(Some(Ok(Message::Binary(bytes)))) if bytes.is_empty() => return self.close(socket).await,
                    Ok(Some(Ok(Message::Binary(bytes)))) => {
                        self.last_heard = Instant::now();
                        self.hash.update(&bytes);
                        let mut pieces = self.ear.push(&bytes);
                        while !self.ear.wants_audio() {
                            self.ear.ready().await;
                            pieces.extend(self.ear.poll());
                        }
                        self.answers(pieces)
                    }
                    Ok(Some(Ok(Message::Text(text)))) => {
                        self.last_heard = Instant::now();
                        let value: Value = serde_json::from_str(&text).unwrap_or_default();
                        match value["type"].as_str() {
                            Some("KeepAlive") => Vec::new(),
                            Some("Finalize") => {
                                let pieces = match value["channel"].as_u64() {
                                    Some(channel) => self.ear.flush_channel(channel as usize),
                                    None => self.ear.flush(),
                                };
                                self.finalizing = true;
                                self.answers(pieces)
                            }
                            Some("CloseStream") => return self.close(socket).await,
                            _ => {
                                count_unknown("deepgram");
                                Vec::new()
                            }
                        }
                    }
                    Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => Vec::new(),
                    Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => return (1000, ""),
                },
                () = self.ear.ready() => {
                    let pieces = self.ear.poll();
                    self.answers(pieces)
                }
            };
            if send(socket, answers).await.is_err() {
                return (1000, "");
            }
        }
    }

    async fn close(&mut self, socket: &mut WebSocket) -> (u16, &'static str) {
        let pieces = self.ear.finish().await;
        let mut answers = self.answers(pieces);
        let hash = self.hash.clone().finalize();
        let sha256: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        answers.push(json!({
            "type": "Metadata", "transaction_key": "deprecated", "request_id": self.request_id, "sha256": sha256,
            "created": self.created, "duration": seconds(self.ear.received_ms()), "channels": self.options.channels,
        }));
        let _ = send(socket, answers).await;
        (1000, "")
    }

    fn answers(&mut self, pieces: Vec<Piece>) -> Vec<Value> {
        let mut answers = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Started { channel, at_ms, .. } if self.options.vad_events => {
                    answers.extend(self.utterance_end(channel, at_ms));
                    answers.push(json!({
                        "type": "SpeechStarted", "channel": [channel, self.options.channels], "timestamp": seconds(at_ms),
                    }));
                }
                Piece::Partial { channel, start_ms, end_ms, text, .. } if self.options.interim && !text.is_empty() => {
                    let alternative = json!({"transcript": text, "confidence": Value::Null, "words": []});
                    answers.push(self.result(channel, (start_ms, end_ms), alternative, (false, false, false)));
                }
                Piece::Final { channel, utterance, endpoint } => {
                    let from_finalize = self.finalizing && endpoint == Endpoint::Flush;
                    self.finalizing &= !from_finalize;
                    let last = utterance.words.last().map_or(utterance.span.end_ms, |w| w.end_ms);
                    if let Some(turn) = self.turns.get_mut(channel) {
                        turn.last_word_ms = Some(last);
                    }
                    let span = (utterance.span.start_ms, utterance.span.end_ms);
                    let ended = endpoint != Endpoint::MaxLength;
                    let alternative = self.alternative(&utterance);
                    answers.push(self.result(channel, span, alternative, (true, ended, from_finalize)));
                }
                _ => {}
            }
        }
        if self.finalizing && self.ear.pending() == 0 {
            self.finalizing = false;
            let now = self.ear.received_ms();
            let nothing = json!({"transcript": "", "confidence": 0.0, "words": []});
            answers.push(self.result(0, (now, now), nothing, (true, true, true)));
        }
        let now = self.ear.received_ms();
        for channel in 0..self.turns.len() {
            answers.extend(self.utterance_end(channel, now));
        }
        answers
    }

    /// `UtteranceEnd`, once per turn, when the silence behind its last word is long enough.
    fn utterance_end(&mut self, channel: usize, now_ms: i64) -> Option<Value> {
        let silence_ms = self.options.utterance_end_ms?;
        let turn = self.turns.get_mut(channel)?;
        let last = turn.last_word_ms.filter(|last| now_ms - last >= silence_ms)?;
        turn.last_word_ms = None;
        Some(json!({"type": "UtteranceEnd", "channel": [channel, self.options.channels], "last_word_end": seconds(last)}))
    }

    fn alternative(&self, utterance: &Utterance) -> Value {
        let text = if self.options.readable { &utterance.text } else { &utterance.raw_text };
        let lowest = self.options.diarize.then_some(utterance.channel_index);
        let word = |w: &Word| {
            let mut word = json!({
                "word": w.text, "start": seconds(w.start_ms), "end": seconds(w.end_ms), "confidence": w.confidence,
                "punctuated_word": w.text,
            });
            if let Some(speaker) = lowest.flatten() {
                word["speaker"] = speaker.into();
            }
            word
        };
        let mut alternative = json!({
            "transcript": text, "confidence": utterance.confidence,
            "words": utterance.words.iter().map(word).collect::<Vec<_>>(),
        });
        if let Some(language) = Language::from_tag(&utterance.language) {
            alternative["languages"] = json!([if language == Language::Zh { "zh" } else { "en" }]);
        }
        alternative
    }

    fn result(&self, channel: usize, (start, end): (i64, i64), alternative: Value, flags: (bool, bool, bool)) -> Value {
        let (is_final, speech_final, from_finalize) = flags;
        let mut metadata =
            json!({"request_id": self.request_id, "model_uuid": self.request_id, "model_info": self.model.clone()});
        if !self.options.extra.is_empty() {
            metadata["extra"] = self.options.extra.iter().map(|(k, v)| (k.clone(), Value::from(v.clone()))).collect();
        }
        if !self.options.tags.is_empty() {
            metadata["tags"] = self.options.tags.clone().into();
        }
        json!({
            "type": "Results", "channel_index": [channel, self.options.channels],
            "start": seconds(start), "duration": seconds(end - start),
            "is_final": is_final, "speech_final": speech_final, "from_finalize": from_finalize,
            "channel": {"alternatives": [alternative]}, "metadata": metadata,
        })
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

async fn send(socket: &mut WebSocket, answers: Vec<Value>) -> Result<(), axum::Error> {
    for answer in answers {
        socket.send(Message::Text(answer.to_string().into())).await?;
    }
    Ok(())
}

//! FunASR's WebSocket, modes `2pass`, `online` and `offline`.
//!
//! Online text is a piece to append, cut from what is stable; the offline text of a sentence replaces all of it.

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{ApiContext, Problem};
use super::{Appended, Ear, EarOptions, Piece, Pulse, count_unknown};
use crate::audio::{DecodeOptions, decode};
use crate::conversation::{Utterance, UtteranceId};

/// Largest message: a second and more of audio, or a whole file in mode `offline`.
const MAX_MESSAGE_BYTES: usize = 64 << 20;
const RATES_HZ: std::ops::RangeInclusive<u32> = 8_000..=48_000;

/// What a client may send as text.
#[derive(Debug, Default, Deserialize)]
struct Control {
    mode: Option<String>,
    wav_name: Option<String>,
    wav_format: Option<String>,
    audio_fs: Option<u32>,
    is_speaking: Option<bool>,
    #[serde(default)]
    is_end: bool,
    #[serde(default)]
    is_finished: bool,
    svs_lang: Option<String>,
    hotwords: Option<String>,
    itn: Option<bool>,
    svs_itn: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    TwoPass,
    Online,
    Offline,
}

/// One `wav_name` and its audio.
struct Stream {
    mode: Mode,
    name: String,
    /// Not PCM: the file is kept until its end.
    file: Option<Vec<u8>>,
    itn: bool,
    ear: Ear,
    open: Option<(UtteranceId, Appended)>,
    sentences: u64,
}

/// Takes FunASR clients.
#[utoipa::path(get, path = "/compat/funasr", tag = "compatibility", responses((status = 101, description = "the socket is open")))]
pub(in crate::api) async fn socket(State(context): State<ApiContext>, upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade.protocols(["binary"]).max_message_size(MAX_MESSAGE_BYTES).max_frame_size(MAX_MESSAGE_BYTES);
    upgrade.on_upgrade(move |socket| async move {
        metrics::gauge!("zhiyin_streams_open", "kind" => "funasr").increment(1.0);
        serve(socket, context).await;
        metrics::gauge!("zhiyin_streams_open", "kind" => "funasr").decrement(1.0);
    })
}

enum Next {
    Message(Option<Message>),
    Heard,
}

async fn serve(mut socket: WebSocket, context: ApiContext) {
    let mut stream: Option<Stream> = None;
    // What went wrong before the client asked for its acknowledgement.
    let mut fault: Option<String> = None;
    let mut pulse = Pulse::default();
    loop {
        let next = match stream.as_ref() {
            Some(open) => tokio::select! {
                message = pulse.frame_or_pong(&mut socket) => Next::Message(message),
                () = open.ear.ready() => Next::Heard,
            },
            None => Next::Message(pulse.frame_or_pong(&mut socket).await),
        };
        let answers = match next {
            Next::Heard => stream.as_mut().map(|s| s.poll()).unwrap_or_default(),
            Next::Message(Some(Message::Binary(bytes))) => match stream.as_mut() {
                Some(open) => open.audio(&bytes).await,
                None => {
                    fault.get_or_insert_with(|| "audio came before a configuration".into());
                    Vec::new()
                }
            },
            Next::Message(Some(Message::Text(text))) => {
                let Ok(control) = serde_json::from_str::<Control>(&text) else {
                    count_unknown("funasr");
                    continue;
                };
                match take(&context, &mut stream, &mut fault, control).await {
                    Ok(answers) => answers,
                    Err(problem) => {
                        let frame = CloseFrame { code: 1013, reason: problem.code.into() };
                        let _ = socket.send(Message::Close(Some(frame))).await;
                        return;
                    }
                }
            }
            Next::Message(Some(Message::Ping(_) | Message::Pong(_))) => Vec::new(),
            Next::Message(Some(Message::Close(_)) | None) => return,
        };
        for answer in answers {
            if socket.send(Message::Text(answer.to_string().into())).await.is_err() {
                return;
            }
        }
    }
}

/// A text frame: the configuration of the next stream, or the end of this one. Only overload closes the socket.
async fn take(
    context: &ApiContext,
    stream: &mut Option<Stream>,
    fault: &mut Option<String>,
    control: Control,
) -> Result<Vec<Value>, Problem> {
    let ends = control.is_speaking == Some(false) || control.is_finished || control.is_end;
    if stream.is_none() && !(ends && control.mode.is_none()) {
        match Stream::open(context, &control) {
            Ok(opened) => *stream = Some(opened),
            Err(problem) if matches!(problem.status, 429 | 503) => return Err(problem),
            Err(problem) => {
                *fault = Some(problem.detail.clone());
                if problem.code == "unsupported_container" {
                    let name = control.wav_name.clone().unwrap_or_default();
                    let text = format!("ERROR. {}", problem.detail);
                    return Ok(vec![json!({"mode": "online", "wav_name": name, "text": text, "is_final": true})]);
                }
            }
        }
    }
    if !ends {
        return Ok(Vec::new());
    }
    let mut answers = Vec::new();
    let (mut mode, mut name) = ("2pass", control.wav_name.clone().unwrap_or_default());
    if let Some(mut open) = stream.take() {
        match open.end().await {
            Ok(last) => answers = last,
            Err(detail) => {
                fault.get_or_insert(detail);
            }
        }
        mode = open.mode.wire();
        name = open.name;
    }
    if control.is_end {
        answers.push(match fault.take() {
            None => json!({"mode": mode, "wav_name": name, "is_final": true, "is_end": true}),
            Some(error) => json!({"mode": mode, "wav_name": name, "is_final": false, "is_end": true, "error": error}),
        });
    }
    Ok(answers)
}

/// `{"word": weight}` as a string, or words separated by commas or spaces. Weights to 100 become ours, 1 to 10.
fn hot_words(text: &str) -> Vec<(String, f32)> {
    if let Ok(words) = serde_json::from_str::<std::collections::HashMap<String, f32>>(text) {
        return words.into_iter().map(|(word, weight)| (word, (weight / 5.0).clamp(1.0, 10.0))).collect();
    }
    let words = text.split([',', ' ', '，']).filter(|w| !w.is_empty());
    words.map(|word| (word.to_owned(), super::HOT_WORD_WEIGHT)).collect()
}

impl Mode {
    fn wire(self) -> &'static str {
        match self {
            Self::TwoPass => "2pass",
            Self::Online => "online",
            Self::Offline => "offline",
        }
    }
}

impl Stream {
    fn open(context: &ApiContext, control: &Control) -> Result<Self, Problem> {
        let mode = match control.mode.as_deref() {
            None | Some("2pass") => Mode::TwoPass,
            Some("online") => Mode::Online,
            Some("offline") => Mode::Offline,
            Some(_) => return Err(Problem::new("invalid_value", "mode is 2pass, online or offline")),
        };
        let pcm = control.wav_format.as_deref().is_none_or(|f| f.eq_ignore_ascii_case("pcm"));
        if !pcm && mode != Mode::Offline {
            let mut problem = Problem::new("invalid_audio", "wav_format other than pcm needs the mode offline");
            problem.code = "unsupported_container".into();
            return Err(problem);
        }
        let rate_hz = control.audio_fs.unwrap_or(16_000);
        if !RATES_HZ.contains(&rate_hz) {
            return Err(Problem::new("invalid_audio", "audio_fs is 8000 to 48000"));
        }
        let languages = match control.svs_lang.as_deref() {
            Some(tag @ ("zh" | "en")) => vec![tag.to_owned()],
            _ => Vec::new(),
        };
        let partials = mode != Mode::Offline;
        let hot_words = hot_words(control.hotwords.as_deref().unwrap_or_default());
        let ear = Ear::open(context, EarOptions { rate_hz, languages, partials, hot_words, ..EarOptions::default() })?;
        Ok(Self {
            mode,
            name: control.wav_name.clone().unwrap_or_default(),
            file: (!pcm).then(Vec::new),
            itn: control.itn.or(control.svs_itn).unwrap_or(true),
            ear,
            open: None,
            sentences: 0,
        })
    }

    async fn audio(&mut self, bytes: &[u8]) -> Vec<Value> {
        if let Some(file) = &mut self.file {
            if file.len() + bytes.len() <= MAX_MESSAGE_BYTES {
                file.extend_from_slice(bytes);
            }
            return Vec::new();
        }
        let mut pieces = self.ear.push(bytes);
        // A client that does not keep to real time waits for the decoders.
        while !self.ear.wants_audio() {
            self.ear.ready().await;
            pieces.extend(self.ear.poll());
        }
        self.answers(pieces, false)
    }

    fn poll(&mut self) -> Vec<Value> {
        let pieces = self.ear.poll();
        self.answers(pieces, false)
    }

    /// The last sentence; what a file could not be read for.
    async fn end(&mut self) -> Result<Vec<Value>, String> {
        let mut pieces = Vec::new();
        if let Some(file) = self.file.take() {
            let recording = tokio::task::spawn_blocking(move || decode(file, DecodeOptions { allow_truncated: true }))
                .await
                .map_err(|_| "the file could not be read".to_owned())?
                .and_then(|r| r.to_model_rate())
                .map_err(|error| error.to_string())?;
            for block in recording.first().map(Vec::as_slice).unwrap_or_default().chunks(3_200) {
                pieces.extend(self.ear.push_samples(&[block.to_vec()]));
                while !self.ear.wants_audio() {
                    self.ear.ready().await;
                    pieces.extend(self.ear.poll());
                }
            }
        }
        pieces.extend(self.ear.finish().await);
        let mut answers = self.answers(pieces, true);
        // Something final must come, also when nothing was said.
        let ended = answers.last().is_some_and(|a| a["is_final"] == true);
        if !ended && self.mode != Mode::TwoPass {
            answers.push(json!({"mode": self.mode.wire(), "wav_name": self.name, "text": "", "is_final": true}));
        } else if !ended {
            answers.push(json!({"mode": "2pass-offline", "wav_name": self.name, "text": "", "is_final": true}));
        }
        Ok(answers)
    }

    fn answers(&mut self, pieces: Vec<Piece>, last: bool) -> Vec<Value> {
        let n_finals = pieces.iter().filter(|p| matches!(p, Piece::Final { .. })).count();
        let (mut answers, mut finals) = (Vec::new(), 0);
        for piece in pieces {
            match piece {
                Piece::Partial { id, start_ms, end_ms, text, stable_chars, .. } if self.mode != Mode::Offline => {
                    if self.open.as_ref().is_none_or(|(open, _)| *open != id) {
                        self.open = Some((id, Appended::default()));
                    }
                    let Some((_, given)) = self.open.as_mut() else { continue };
                    let first = given.given().is_empty();
                    if let Some(piece) = given.stable(&text, stable_chars) {
                        answers.push(self.online(&piece, if first { 0 } else { 1 }, (start_ms, end_ms), false));
                    }
                }
                Piece::Final { utterance, .. } => {
                    finals += 1;
                    let over = last && finals == n_finals;
                    self.last_words(utterance, over, &mut answers);
                }
                Piece::Nothing { id, .. } if self.open.as_ref().is_some_and(|(open, _)| *open == id) => self.open = None,
                _ => {}
            }
        }
        answers
    }

    fn last_words(&mut self, utterance: Utterance, over: bool, answers: &mut Vec<Value>) {
        let span = (utterance.span.start_ms, utterance.span.end_ms);
        let text = if self.itn { &utterance.text } else { &utterance.raw_text };
        if self.mode == Mode::Offline {
            answers.push(self.offline(&utterance, text, over));
            self.sentences += 1;
            return;
        }
        let mut given = match self.open.take() {
            Some((id, given)) if id == utterance.utterance_id => given,
            other => {
                self.open = other;
                Appended::default()
            }
        };
        let is_final = over && self.mode == Mode::Online;
        match given.rest(&utterance.raw_text) {
            Some(rest) => answers.push(self.online(&rest, 2, span, is_final)),
            None if is_final => answers.push(self.online("", 2, span, true)),
            None => {}
        }
        if self.mode == Mode::TwoPass {
            answers.push(self.offline(&utterance, text, over));
        }
        self.sentences += 1;
    }

    fn online(&self, text: &str, slice_type: u8, (start, end): (i64, i64), is_final: bool) -> Value {
        let mode = if self.mode == Mode::TwoPass { "2pass-online" } else { "online" };
        json!({
            "mode": mode, "wav_name": self.name, "text": text, "is_final": is_final,
            "slice_type": slice_type, "index": self.sentences, "start_time": start, "end_time": end,
        })
    }

    fn offline(&self, utterance: &Utterance, text: &str, is_final: bool) -> Value {
        let mode = if self.mode == Mode::TwoPass { "2pass-offline" } else { "offline" };
        let times: Vec<[i64; 2]> = utterance.words.iter().map(|w| [w.start_ms, w.end_ms]).collect();
        let (start, end) = (utterance.span.start_ms, utterance.span.end_ms);
        json!({
            "mode": mode, "wav_name": self.name, "text": text, "is_final": is_final,
            "timestamp": serde_json::to_string(&times).unwrap_or_default(),
            "stamp_sents": [{"text_seg": utterance.raw_text, "punc": "", "start": start, "end": end, "ts_list": times}],
            "slice_type": 2, "index": self.sentences, "start_time": start, "end_time": end,
        })
    }
}

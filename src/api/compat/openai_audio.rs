//! `POST /v1/audio/transcriptions`: a recording to text.

use std::convert::Infallible;

use axum::Json;
use axum::extract::multipart::MultipartRejection;
use axum::extract::{Multipart, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::sse::{Event as SseEvent, Sse};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::super::cues::{Cue, subtitles};
use super::super::{ApiContext, Problem};
use super::openai_form::{Form, Format};
use super::{Ear, EarOptions, Piece, openai_problem};
use crate::audio::{AudioError, DecodeOptions, Recording, decode};
use crate::conversation::{Language, Utterance};

/// Names under which the recogniser answers: finals only, and with partials.
pub(super) const FINAL_MODELS: [&str; 5] =
    ["zhiyin-final", "whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-4o-transcribe-diarize"];
pub(super) const LIVE_MODELS: [&str; 2] = ["zhiyin-live", "gpt-realtime-whisper"];
/// Longest recording, hours.
const MAX_HOURS: i64 = 4;
/// Samples that are given to the listeners at once, milliseconds.
const BLOCK_MS: usize = 200;

/// Transcribes a recording, in the shapes of OpenAI's interface.
#[utoipa::path(post, path = "/v1/audio/transcriptions", tag = "compatibility",
    responses((status = 200, description = "the transcript, in the form asked for")))]
pub(in crate::api) async fn transcribe(
    State(context): State<ApiContext>,
    parts: Result<Multipart, MultipartRejection>,
) -> Response {
    match answer(context, parts).await {
        Ok(response) => response,
        Err(problem) => openai_problem(problem),
    }
}

async fn answer(context: ApiContext, parts: Result<Multipart, MultipartRejection>) -> Result<Response, Problem> {
    let parts = parts.map_err(|_| Problem::invalid("", "send multipart/form-data with the fields file and model"))?;
    let mut form = Form::read(parts).await?;
    check_model(&context, &form.model)?;
    if form.stream && !matches!(form.format, Format::Json | Format::DiarizedJson) {
        return Err(Problem::invalid("/stream", "a stream has response_format json or diarized_json"));
    }
    let ignored = form.ignored.join(", ");
    let bytes = std::mem::take(&mut form.file);
    let recording = tokio::task::spawn_blocking(move || decode(bytes, DecodeOptions { allow_truncated: true }))
        .await
        .map_err(|_| Problem::new("internal", "the recording could not be read"))?
        .map_err(|error| unusable(&error))?;
    if recording.duration_ms() > MAX_HOURS * 3_600_000 {
        return Err(too_long());
    }
    let options = EarOptions {
        rate_hz: recording.sample_rate_hz,
        channels: recording.channels.len().min(2),
        languages: form.languages.clone(),
        hot_words: form.hot_words.clone(),
        partials: false,
        urgency_ms: 1_000,
        ..EarOptions::default()
    };
    let ear = Ear::open(&context, options)?;
    let mut response = if form.stream {
        streamed(ear, recording, form)
    } else {
        let duration_ms = recording.duration_ms();
        let utterances = hear(ear, recording, None).await;
        render(&utterances, duration_ms, &form)
    };
    if !ignored.is_empty()
        && let Ok(value) = HeaderValue::from_str(&ignored)
    {
        response.headers_mut().insert(HeaderName::from_static("zhiyin-ignored"), value);
    }
    Ok(response)
}

fn too_long() -> Problem {
    Problem::new("body_too_large", format!("a recording may last {MAX_HOURS} hours"))
}

fn unusable(error: &AudioError) -> Problem {
    match error {
        AudioError::TooLong { .. } => too_long(),
        other => Problem::new("invalid_audio", other.to_string()).item("/file", "invalid_audio", "not usable"),
    }
}

/// Whether a name stands for the loaded recogniser.
pub(super) fn check_model(context: &ApiContext, name: &str) -> Result<(), Problem> {
    let loaded = context.hub.stages().recogniser.as_ref().is_some_and(|engine| engine.model_id() == name);
    if loaded || FINAL_MODELS.contains(&name) || LIVE_MODELS.contains(&name) {
        return Ok(());
    }
    let mut problem = Problem::not_found("model").item("/model", "model_not_found", "zhiyin-final or zhiyin-live");
    problem.code = "model_not_found".into();
    problem.detail = "there is no such model; zhiyin-final and zhiyin-live are here".into();
    Err(problem)
}

/// Runs a recording through the listeners; finals in order of their begin. Each is also sent on as it comes.
async fn hear(mut ear: Ear, recording: Recording, finals: Option<mpsc::Sender<Utterance>>) -> Vec<Utterance> {
    let block = recording.sample_rate_hz as usize * BLOCK_MS / 1_000;
    let length = recording.channels.first().map_or(0, Vec::len);
    let mut utterances = Vec::new();
    let mut from = 0;
    loop {
        let until = (from + block).min(length);
        let mut pieces = if from < until {
            let samples: Vec<Vec<f32>> = recording.channels.iter().take(2).map(|c| c[from..until].to_vec()).collect();
            ear.push_samples(&samples)
        } else {
            ear.finish().await
        };
        let over = from >= until;
        from = until;
        while !over && !ear.wants_audio() {
            ear.ready().await;
            pieces.extend(ear.poll());
        }
        for piece in pieces {
            if let Piece::Final { utterance, .. } = piece {
                if let Some(sender) = &finals
                    && sender.send(utterance.clone()).await.is_err()
                {
                    return utterances; // the client is gone, and so is its work
                }
                utterances.push(utterance);
            }
        }
        if over {
            utterances.sort_by_key(|u| (u.span.start_ms, u.channel_index));
            return utterances;
        }
        tokio::task::yield_now().await;
    }
}

/// What stands between two utterances.
fn gap(before: &str, next: &Utterance) -> &'static str {
    let spaced =
        Language::from_tag(&next.language) == Some(Language::En) || before.ends_with(|c: char| c.is_ascii_alphanumeric());
    if before.is_empty() || !spaced { "" } else { " " }
}

fn joined(utterances: &[Utterance]) -> String {
    utterances.iter().fold(String::new(), |mut text, u| {
        text.push_str(gap(&text, u));
        text.push_str(&u.text);
        text
    })
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

fn languages(utterances: &[Utterance]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for utterance in utterances {
        let code = utterance.language.split('-').next().unwrap_or_default().to_owned();
        if !code.is_empty() && !found.contains(&code) {
            found.push(code);
        }
    }
    found
}

fn speaker(utterance: &Utterance) -> String {
    let index = utterance.channel_index.unwrap_or(0);
    char::from_u32(u32::from(b'A') + u32::from(index)).map_or_else(|| index.to_string(), String::from)
}

fn render(utterances: &[Utterance], duration_ms: i64, form: &Form) -> Response {
    let usage = json!({"type": "duration", "seconds": seconds(duration_ms)});
    let cues = || utterances.iter().map(|u| Cue { start_ms: u.span.start_ms, end_ms: u.span.end_ms, text: u.text.clone() });
    let plain = |text: String, kind: &'static str| ([(header::CONTENT_TYPE, kind)], text).into_response();
    match form.format {
        Format::Text => plain(joined(utterances) + "\n", "text/plain; charset=utf-8"),
        Format::Srt => plain(subtitles(cues(), false), "application/x-subrip; charset=utf-8"),
        Format::Vtt => plain(subtitles(cues(), true), "text/vtt; charset=utf-8"),
        Format::Json => {
            let codes: Vec<Value> = languages(utterances).into_iter().map(|code| json!({"code": code})).collect();
            let mut body = json!({"text": joined(utterances), "languages": codes, "usage": usage});
            if form.logprobs {
                body["logprobs"] = utterances.iter().flat_map(logprobs).collect();
            }
            Json(body).into_response()
        }
        Format::VerboseJson => Json(verbose(utterances, duration_ms, form, usage)).into_response(),
        Format::DiarizedJson => {
            let segments: Vec<Value> = utterances.iter().map(diarized).collect();
            let duration = seconds(duration_ms);
            let text = joined(utterances);
            Json(json!({"task": "transcribe", "text": text, "duration": duration, "segments": segments, "usage": usage}))
                .into_response()
        }
    }
}

/// Words with the logarithm of their probability; words whose probability was not measured are left out.
fn logprobs(utterance: &Utterance) -> Vec<Value> {
    let measured = |w: &crate::conversation::Word| {
        w.confidence.map(|c| json!({"token": w.text, "logprob": f64::from(c.max(1e-6)).ln(), "bytes": w.text.as_bytes()}))
    };
    utterance.words.iter().filter_map(measured).collect()
}

fn diarized(utterance: &Utterance) -> Value {
    json!({
        "type": "transcript.text.segment", "id": utterance.utterance_id.to_string(), "speaker": speaker(utterance),
        "start": seconds(utterance.span.start_ms), "end": seconds(utterance.span.end_ms), "text": utterance.text,
    })
}

fn verbose(utterances: &[Utterance], duration_ms: i64, form: &Form, usage: Value) -> Value {
    let language = match languages(utterances).first().map(String::as_str) {
        Some("en") => "english",
        Some("zh") => "chinese",
        _ => "",
    };
    let mut text = String::new();
    let mut segments = Vec::new();
    for (id, u) in utterances.iter().enumerate() {
        // Segments tile the text: each begins with the space that stands before it.
        let part = format!("{}{}", gap(&text, u), u.text);
        text.push_str(&part);
        segments.push(json!({
            "id": id, "seek": u.span.start_ms / 10, "start": seconds(u.span.start_ms), "end": seconds(u.span.end_ms), "text": part,
            "tokens": [], "temperature": 0.0, "avg_logprob": u.confidence.map(|c| f64::from(c.max(1e-6)).ln()),
            "compression_ratio": compression_ratio(&u.raw_text), "no_speech_prob": null,
        }));
    }
    let mut body =
        json!({"task": "transcribe", "language": language, "duration": seconds(duration_ms), "text": text, "usage": usage});
    if form.segments {
        body["segments"] = segments.into();
    }
    if form.words {
        let word =
            |w: &crate::conversation::Word| json!({"word": w.text, "start": seconds(w.start_ms), "end": seconds(w.end_ms)});
        body["words"] = utterances.iter().flat_map(|u| u.words.iter().map(word)).collect();
    }
    body
}

/// Length of a text over its deflated length, as Whisper judges repetition.
fn compression_ratio(text: &str) -> f64 {
    use std::io::Write;
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    let length = packed.write_all(text.as_bytes()).and_then(|()| packed.finish()).map_or(0, |bytes| bytes.len());
    text.len() as f64 / length.max(1) as f64
}

/// The transcript as it is recognised, one delta an utterance.
fn streamed(ear: Ear, recording: Recording, form: Form) -> Response {
    let (sender, mut receiver) = mpsc::channel::<Utterance>(16);
    let (out, stream) = mpsc::channel::<Result<SseEvent, Infallible>>(16);
    let duration_ms = recording.duration_ms();
    tokio::spawn(hear(ear, recording, Some(sender)));
    tokio::spawn(async move {
        let mut text = String::new();
        let send = |value: Value| out.send(Ok(SseEvent::default().data(value.to_string())));
        while let Some(utterance) = receiver.recv().await {
            let delta = format!("{}{}", gap(&text, &utterance), utterance.text);
            text.push_str(&delta);
            if form.format == Format::DiarizedJson && send(diarized(&utterance)).await.is_err() {
                return;
            }
            let mut event = json!({"type": "transcript.text.delta", "delta": delta});
            if form.logprobs {
                event["logprobs"] = logprobs(&utterance).into();
            }
            if send(event).await.is_err() {
                return;
            }
        }
        let usage = json!({"type": "duration", "seconds": seconds(duration_ms)});
        let _ = send(json!({"type": "transcript.text.done", "text": text, "usage": usage})).await;
    });
    Sse::new(tokio_stream::wrappers::ReceiverStream::new(stream)).into_response()
}

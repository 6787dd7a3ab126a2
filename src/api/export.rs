//! Transcripts in the forms that other programs read.

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::conversation::{Conversation, Turn};

/// Form of a transcript.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum TranscriptFormat {
    /// The interchange form.
    #[default]
    Json,
    /// `role: text` lines.
    Text,
    /// SubRip subtitles.
    Srt,
    /// WebVTT subtitles.
    Vtt,
}

/// The conversation in a form.
pub(super) fn render(conversation: &Conversation, format: TranscriptFormat) -> Response {
    match format {
        TranscriptFormat::Json => Json(conversation).into_response(),
        TranscriptFormat::Text => plain(transcript_lines(&conversation.turns), "text/plain; charset=utf-8"),
        TranscriptFormat::Srt => plain(subtitles(&conversation.turns, false), "application/x-subrip; charset=utf-8"),
        TranscriptFormat::Vtt => plain(subtitles(&conversation.turns, true), "text/vtt; charset=utf-8"),
    }
}

fn plain(text: String, kind: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// `role: text` lines.
pub fn transcript_lines(turns: &[Turn]) -> String {
    turns.iter().map(|t| format!("{}: {}\n", t.role, t.text)).collect()
}

/// Cues whose times rise and do not overlap: a cue ends at the latest where the next one begins.
pub fn subtitles(turns: &[Turn], vtt: bool) -> String {
    let mut text = if vtt { "WEBVTT\n\n".to_owned() } else { String::new() };
    for (place, turn) in turns.iter().enumerate() {
        let start = turn.start_ms.unwrap_or(0);
        let next = turns.get(place + 1).and_then(|t| t.start_ms).unwrap_or(i64::MAX);
        let end = turn.end_ms.unwrap_or(start).max(start + 1).min(next.max(start + 1));
        let mark = if vtt { '.' } else { ',' };
        text.push_str(&format!(
            "{}\n{} --> {}\n{}: {}\n\n",
            place + 1,
            clock(start, mark),
            clock(end, mark),
            turn.role,
            turn.text.replace('\n', " ")
        ));
    }
    text
}

fn clock(ms: i64, mark: char) -> String {
    let (s, ms) = (ms / 1_000, ms % 1_000);
    format!("{:02}:{:02}:{:02}{mark}{ms:03}", s / 3_600, s / 60 % 60, s % 60)
}

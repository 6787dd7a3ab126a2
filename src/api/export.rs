//! Transcripts in the forms that other programs read.

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use super::cues::{self, Cue};
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

/// Cues of at most two lines whose times rise and do not overlap.
pub fn subtitles(turns: &[Turn], vtt: bool) -> String {
    let cue = |turn: &Turn| {
        let start_ms = turn.start_ms.unwrap_or(0);
        Cue { start_ms, end_ms: turn.end_ms.unwrap_or(start_ms), text: format!("{}: {}", turn.role, turn.text) }
    };
    cues::subtitles(turns.iter().map(cue), vtt)
}

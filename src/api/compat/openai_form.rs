//! The form of OpenAI's transcription request.

use axum::extract::Multipart;

use super::super::Problem;
use super::count_unknown;

/// Form of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    #[default]
    Json,
    Text,
    Srt,
    Vtt,
    VerboseJson,
    DiarizedJson,
}

impl Format {
    const NAMES: [(&'static str, Format); 6] = [
        ("json", Format::Json),
        ("text", Format::Text),
        ("srt", Format::Srt),
        ("vtt", Format::Vtt),
        ("verbose_json", Format::VerboseJson),
        ("diarized_json", Format::DiarizedJson),
    ];

    fn from_name(name: &str) -> Result<Self, Problem> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, format)| *format).ok_or_else(|| {
            let known: Vec<&str> = Self::NAMES.iter().map(|(known, _)| *known).collect();
            Problem::invalid("/response_format", format!("known formats: {}", known.join(", ")))
        })
    }
}

/// A transcription request.
#[derive(Debug, Default)]
pub(super) struct Form {
    pub(super) file: Vec<u8>,
    pub(super) model: String,
    pub(super) languages: Vec<String>,
    pub(super) hot_words: Vec<(String, f32)>,
    pub(super) format: Format,
    pub(super) words: bool,
    pub(super) segments: bool,
    pub(super) stream: bool,
    pub(super) logprobs: bool,
    /// Known fields that change nothing here.
    pub(super) ignored: Vec<&'static str>,
}

/// Fields that are known and have no effect on this recogniser.
const WITHOUT_EFFECT: [&str; 5] =
    ["prompt", "temperature", "chunking_strategy", "known_speaker_names", "known_speaker_references"];

impl Form {
    /// Reads the parts. Unknown fields are ignored and counted.
    pub(super) async fn read(mut parts: Multipart) -> Result<Self, Problem> {
        let mut form = Self::default();
        let mut has_file = false;
        while let Some(field) = parts.next_field().await.map_err(refused)? {
            let name = field.name().unwrap_or_default().trim_end_matches("[]").to_owned();
            if name == "file" {
                form.file = field.bytes().await.map_err(refused)?.to_vec();
                has_file = true;
                continue;
            }
            let value = field.text().await.map_err(refused)?;
            form.set(&name, value)?;
        }
        if !has_file {
            return Err(Problem::invalid("/file", "the field file is missing: send the recording as a file"));
        }
        if form.model.is_empty() {
            return Err(Problem::invalid("/model", "the field model is missing: for example zhiyin-final"));
        }
        if !form.segments && !form.words {
            form.segments = true;
        }
        Ok(form)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), Problem> {
        match name {
            "model" => self.model = value,
            "language" | "languages" if !value.is_empty() => self.languages.push(value),
            "language" | "languages" => {}
            "keywords" => self.hot_words.push((value, super::HOT_WORD_WEIGHT)),
            "response_format" => self.format = Format::from_name(&value)?,
            "timestamp_granularities" => match value.as_str() {
                "word" => self.words = true,
                "segment" => self.segments = true,
                _ => return Err(Problem::invalid("/timestamp_granularities", "word or segment")),
            },
            "stream" => {
                self.stream = match value.to_ascii_lowercase().as_str() {
                    "true" | "1" => true,
                    "false" | "0" | "" => false,
                    _ => return Err(Problem::invalid("/stream", "true or false")),
                }
            }
            "include" => self.logprobs |= value == "logprobs",
            other => match WITHOUT_EFFECT.iter().find(|known| other.starts_with(**known)) {
                Some(known) => self.ignored.push(known),
                None => count_unknown("openai"),
            },
        }
        Ok(())
    }
}

fn refused(error: axum::extract::multipart::MultipartError) -> Problem {
    if error.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
        Problem::new("body_too_large", "a recording may have 200 MiB")
    } else {
        Problem::invalid("", "the body is not a multipart form, or is cut off")
    }
}

//! What can go wrong in recognition.

use std::path::PathBuf;

/// Why recognition cannot start or a segment was not recognised.
#[derive(Debug, thiserror::Error)]
pub enum AsrError {
    /// There is no file.
    #[error("recogniser model {path} cannot be read: {source}; run `zhiyin models verify`, then `zhiyin models pull`")]
    ModelUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no ggml Whisper file.
    #[error(
        "recogniser model {path} is not a ggml Whisper file: {detail}; run `zhiyin models verify`, then `zhiyin models pull`"
    )]
    ModelCorrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong, where.
        detail: String,
    },
    /// It ends early.
    #[error("recogniser model {path} is cut off after {bytes} bytes ({detail}); run `zhiyin models pull` to fetch it again")]
    ModelTruncated {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// What is missing.
        detail: String,
    },
    /// whisper.cpp refused a file that looked right.
    #[error("recogniser model {path} was refused by whisper.cpp: {detail}")]
    ModelRefused {
        /// The file.
        path: PathBuf,
        /// What it said.
        detail: String,
    },
    /// The processor lacks what the recogniser was built for.
    #[error(
        "this processor lacks {feature}, which the recogniser was built for: build with the GGML_* switches of .cargo/config.toml off"
    )]
    UnsupportedCpu {
        /// The instruction set.
        feature: &'static str,
    },
    /// All slots are taken.
    #[error("all {capacity} recognition slots are in use: retry later or raise asr.max_sessions")]
    Overloaded {
        /// Number of slots.
        capacity: usize,
    },
    /// A setting is outside its range.
    #[error("asr.{setting} = {value} is out of range: use {range}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// What it was set to.
        value: f64,
        /// What is allowed.
        range: &'static str,
    },
    /// None of the languages asked for is known.
    #[error("none of the languages {tags:?} is known: use zh or en")]
    LanguageUnsupported {
        /// What was asked for.
        tags: Vec<String>,
    },
    /// A segment is longer than the model hears.
    #[error("a segment of {got_ms} ms is longer than the {max_ms} ms that the model hears at once")]
    SegmentTooLong {
        /// Its length.
        got_ms: i64,
        /// What the model takes.
        max_ms: i64,
    },
    /// A decoder failed.
    #[error("the decoder failed: {detail}")]
    Decoder {
        /// What it said.
        detail: String,
    },
    /// The work was given up for something more urgent.
    #[error("the work was given up for something more urgent")]
    Cancelled,
    /// The engine is shutting down.
    #[error("recognition is shutting down")]
    ShuttingDown,
}

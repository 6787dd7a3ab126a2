//! What can go wrong in a pipeline.

use std::path::PathBuf;

use crate::event::SinkError;

/// A pipeline cannot be built or run.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A pipeline file cannot be read.
    #[error("pipeline file {path}: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A pipeline file is not of its form, or its stages do not fit together.
    #[error("pipeline file {path}:\n{}", .problems.iter().map(|p| format!("  - {p}")).collect::<Vec<_>>().join("\n"))]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Everything that is wrong.
        problems: Vec<String>,
    },
    /// Events could not be kept.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The encoder failed.
    #[error("encoder: {0}")]
    Encoder(#[from] crate::inference::InferenceError),
    /// The recogniser failed.
    #[error("recogniser: {0}")]
    Recogniser(#[from] crate::asr::AsrError),
    /// A conversation cannot be scored.
    #[error(transparent)]
    Conversation(#[from] crate::quality::ConversationError),
    /// A channel cannot be heard.
    #[error(transparent)]
    Listen(#[from] super::listen::ListenError),
    /// A conversation with the bot cannot go on.
    #[error("dialogue: {0}")]
    Dialogue(String),
    /// No recogniser is loaded.
    #[error("no recogniser is loaded; `zhiyin models verify` says what is missing")]
    NoRecogniser,
    /// There is no such call, or it is over.
    #[error("call {0} is not open")]
    NotOpen(String),
    /// This node carries no more voice calls now.
    #[error("{0}; try again later")]
    Overloaded(#[from] super::admission::Refusal),
    /// A channel has a writer already.
    #[error("channel {0} of this call has an audio writer already")]
    WriterPresent(u16),
}

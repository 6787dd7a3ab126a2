//! What can go wrong in the privacy room.

use std::path::PathBuf;

/// Why something of the privacy room cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum PrivacyError {
    /// A name that is no kind of personal data.
    #[error("\"{name}\" is no kind of personal data; known are {}", super::Kind::ALL.map(super::Kind::name).join(", "))]
    UnknownKind {
        /// The name, shortened.
        name: String,
    },
    /// A file of marked utterances cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of a file of marked utterances is not of its form.
    #[error(
        "{path}, line {line}: {message}; a line is {{\"id\",\"split\",\"turns\":[{{\"role\",\"text\",\"spans\":[{{\"kind\",\"start\",\"end\"}}]}}]}}"
    )]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// No line is left to measure.
    #[error("{path}: no utterance of split \"{split}\"; leave --split out or name one that occurs")]
    Empty {
        /// Which file.
        path: PathBuf,
        /// The split asked for.
        split: String,
    },
}

//! What can go wrong when templates are read.

use std::path::PathBuf;

/// A template file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AssistError {
    /// The file cannot be read.
    #[error("template file {path}: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not of the form of a template file.
    #[error("template file {path}: {message}")]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        message: String,
    },
}

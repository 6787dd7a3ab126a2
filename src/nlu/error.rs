//! What can go wrong when a taxonomy is read.

use std::path::PathBuf;

/// A taxonomy file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NluError {
    /// The file cannot be read.
    #[error("taxonomy file {path}: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not of the form described in it.
    #[error("taxonomy file {path}: {message}")]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        message: String,
    },
}

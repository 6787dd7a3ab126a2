//! What can go wrong: the data, the model, the disk.

use std::path::PathBuf;

use crate::inference::InferenceError;
use crate::registry::RegistryError;

/// Why no head was trained.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A data file cannot be read.
    #[error("{path}: cannot be read: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The rows of the project's own data are written, not compiled.
    #[error("{path} is not there: the rows are compiled from src/ by `python3 datasets/build.py`", path = path.display())]
    NotCompiled {
        /// The file.
        path: PathBuf,
    },
    /// Rows of a data file cannot be used; each is named with its line.
    #[error("{path}: {count} rows cannot be used:\n{lines}", path = path.display())]
    Rows {
        /// The file.
        path: PathBuf,
        /// How many.
        count: usize,
        /// The first ones, a line each.
        lines: String,
    },
    /// The data as a whole is not fit to train on.
    #[error("{what}; {fix}")]
    Data {
        /// What is wrong.
        what: String,
        /// How to mend it.
        fix: String,
    },
    /// The encoder refused.
    #[error(transparent)]
    Encoder(#[from] InferenceError),
    /// The card or a file of the new model cannot be written.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The trunk cannot be tuned.
    #[error("{path}: {what}; {fix}", path = path.display())]
    Trunk {
        /// The trunk's file.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// How to go on.
        fix: String,
    },
    /// A computation on tensors failed.
    #[error("tuning the trunk failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// The folder of the new model cannot be written.
    #[error("{path}: cannot be written: {source}", path = path.display())]
    Unwritable {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl TrainError {
    pub(super) fn data(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Data { what: what.into(), fix: fix.into() }
    }
}

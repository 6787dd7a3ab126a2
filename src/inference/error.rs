//! What can go wrong between a model folder and an encoding.

use std::path::PathBuf;

/// Errors of this room. Those of a model folder name the file and how to mend it; none carries the text of a caller.
#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    /// A file of the model folder is not there.
    #[error("model file {} is missing: {fix}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What to do about it.
        fix: String,
    },
    /// A file of the model folder cannot be read as what it should be.
    #[error("model file {} cannot be used: {what}; {fix}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What to do about it.
        fix: String,
    },
    /// Two parts of a model contradict each other: a head and its weights, a vocabulary and its table.
    #[error("{} does not fit the model: {what}; {fix}", path.display())]
    Mismatch {
        /// The file, or the folder, where it shows.
        path: PathBuf,
        /// The contradiction.
        what: String,
        /// What to do about it.
        fix: String,
    },
    /// The tokenizer refused a text.
    #[error("a text of {characters} characters could not be tokenised: {what}")]
    Tokenize {
        /// Length of the text in code points.
        characters: usize,
        /// The tokenizer's message.
        what: String,
    },
    /// A setting is out of its range.
    #[error("encoder setting {setting} is {value}: it must be at least {minimum}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// Its value.
        value: usize,
        /// The least allowed value.
        minimum: usize,
    },
    /// The system gave no thread.
    #[error("an encoder worker could not be started: {0}")]
    Thread(std::io::Error),
    /// The workers have ended, after a panic or at shutdown.
    #[error("the encoder has stopped; restart the service")]
    Stopped,
}

/// The advice for damaged or missing files of a model folder.
pub(super) fn fetch_again(path: &std::path::Path) -> String {
    let id = path.parent().and_then(|p| p.file_name()).map_or_else(|| "MODEL".to_owned(), |n| n.to_string_lossy().into_owned());
    format!("check with `zhiyin models verify {id}` and fetch it again with `zhiyin models pull {id}`")
}

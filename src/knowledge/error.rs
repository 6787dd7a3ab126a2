//! What can go wrong with knowledge, and how to mend it.

use super::document::VersionState;

/// Errors of this room. Messages name the place and the remedy and repeat no body of a document.
#[derive(Debug, thiserror::Error)]
pub enum KnowledgeError {
    /// A field of a document breaks a rule.
    #[error("{field}: {problem}")]
    InvalidDocument {
        /// Name of the field.
        field: &'static str,
        /// What is wrong and what is allowed.
        problem: String,
    },
    /// A transition that the life-cycle does not know.
    #[error("version {version} is {state}: cannot {action}; allowed from {allowed}")]
    StateConflict {
        /// The version.
        version: u32,
        /// Its state.
        state: VersionState,
        /// What was asked for.
        action: &'static str,
        /// The states from which it is possible.
        allowed: &'static str,
    },
    /// There is no such version.
    #[error("document {document_id} has no version {version}; it has {count}")]
    NoSuchVersion {
        /// The document.
        document_id: String,
        /// The version asked for.
        version: u32,
        /// How many there are.
        count: usize,
    },
    /// A file that cannot be imported as a whole.
    #[error("{file}: {problem}")]
    Import {
        /// Name of the file.
        file: String,
        /// What is wrong and how to mend it.
        problem: String,
    },
    /// The cross-encoder cannot be loaded, or refuses a text.
    #[error("re-ranking model: {problem}")]
    Reranker {
        /// What is wrong and how to mend it.
        problem: String,
    },
    /// The synonym file is wrong.
    #[error("synonyms: {problem}")]
    Synonyms {
        /// What and where.
        problem: String,
    },
    /// The term table of two languages is wrong.
    #[error("bilingual terms: {problem}")]
    Bilingual {
        /// What and where.
        problem: String,
    },
    /// The full-text index failed.
    #[error("full-text index: {0}")]
    Lexical(#[from] tantivy::TantivyError),
    /// The vector index failed.
    #[error("vector index: {problem}")]
    Vector {
        /// What happened.
        problem: String,
    },
    /// The function that makes vectors failed or gave vectors of a wrong shape.
    #[error("embedding: {problem}")]
    Embedding {
        /// What happened.
        problem: String,
    },
    /// Reading or writing a file.
    #[error("{path}: {source}")]
    File {
        /// Which file or directory.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A stored passage could not be read back.
    #[error("stored passage: {0}")]
    Stored(#[from] serde_json::Error),
    /// A search that makes no sense.
    #[error("{field}: {problem}")]
    InvalidSearch {
        /// Name of the field.
        field: &'static str,
        /// What is wrong and what is allowed.
        problem: String,
    },
}

impl KnowledgeError {
    pub(super) fn vector(problem: impl ToString) -> Self {
        Self::Vector { problem: problem.to_string() }
    }

    pub(super) fn file(path: &std::path::Path, source: std::io::Error) -> Self {
        Self::File { path: path.display().to_string(), source }
    }
}

/// Results of this room.
pub type Result<T> = std::result::Result<T, KnowledgeError>;

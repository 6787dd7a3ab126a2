//! What can go wrong in an evaluation: always with the place and the way out.

use std::path::Path;

/// Why a task, a dataset, predictions or a comparison cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// A line of a file is wrong.
    #[error("{file}:{line}: {problem}")]
    Line {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong and how to mend it.
        problem: String,
    },
    /// A file as a whole is wrong or missing.
    #[error("{file}: {problem}")]
    File {
        /// The file.
        file: String,
        /// What is wrong and how to mend it.
        problem: String,
    },
    /// Several problems, all at once.
    #[error("{}", .0.join("\n"))]
    Problems(Vec<String>),
    /// There is no such task.
    #[error("there is no task \"{name}\"; {hint}")]
    UnknownTask {
        /// The name asked for.
        name: String,
        /// The nearest one, or the known ones.
        hint: String,
    },
    /// The data of a task is not on this machine.
    #[error("{task}: {what} is not here. {how}")]
    Absent {
        /// The task.
        task: String,
        /// What is missing.
        what: String,
        /// How to get it.
        how: String,
    },
    /// The system cannot answer this kind of task.
    #[error("{system} cannot run stage \"{stage}\"; {hint}")]
    Unsupported {
        /// The system.
        system: String,
        /// The stage.
        stage: String,
        /// What can.
        hint: String,
    },
    /// A stage failed.
    #[error("{task}: {problem}")]
    Stage {
        /// The task.
        task: String,
        /// What happened.
        problem: String,
    },
    /// A served system did not answer as it should.
    #[error("{url}: {problem}")]
    Http {
        /// The address.
        url: String,
        /// What happened.
        problem: String,
    },
    /// Two results cannot be compared.
    #[error("{0}")]
    Comparison(String),
}

/// Result of this room.
pub type Result<T> = std::result::Result<T, EvalError>;

impl EvalError {
    /// A problem of a file as a whole.
    pub(super) fn file(path: &Path, problem: impl std::fmt::Display) -> Self {
        Self::File { file: path.display().to_string(), problem: problem.to_string() }
    }

    /// A problem of one line.
    pub(super) fn line(file: impl Into<String>, line: usize, problem: impl Into<String>) -> Self {
        Self::Line { file: file.into(), line, problem: problem.into() }
    }
}

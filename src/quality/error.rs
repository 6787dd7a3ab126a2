//! What can be wrong with a rule file, a scheme or a conversation.

use std::fmt;

use serde::Serialize;

/// Whether a problem refuses the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The rule is refused.
    Error,
    /// The rule runs; its author should look.
    Warning,
}

/// One problem of a rule or scheme, with its place and a way to mend it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Problem {
    /// The file, or a name for the source.
    pub file: String,
    /// The line, from 1; 0 when the source has no lines (JSON).
    pub line: usize,
    /// The column in code points, from 1; 0 when the source has no lines.
    pub column: usize,
    /// JSON pointer inside the rule.
    pub pointer: String,
    /// From the closed list of the language, for example `unknown_id`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// How to mend it, where one can be guessed.
    pub hint: Option<String>,
    /// Error or warning.
    pub severity: Severity,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}:{}:{} ", self.file, self.line, self.column)?;
        } else if !self.file.is_empty() {
            write!(f, "{} ", self.file)?;
        }
        write!(f, "{} {}: {}", self.pointer, self.code, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// Why a conversation cannot be scored.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConversationError {
    /// Turns are not sorted by their start.
    #[error(
        "turns_out_of_order: turn {turn} starts at {start_ms} ms, before turn {before} ({before_ms} ms); sort the turns by start_ms"
    )]
    TurnsOutOfOrder {
        /// The offending turn, from 0.
        turn: usize,
        /// Its start.
        start_ms: i64,
        /// An earlier turn that starts later.
        before: usize,
        /// The start of that turn.
        before_ms: i64,
    },
    /// More turns than the language allows.
    #[error("limit: the conversation has {turns} turns, at most {limit} are scored; split it")]
    TooManyTurns {
        /// How many it has.
        turns: usize,
        /// How many are allowed.
        limit: usize,
    },
}

/// The name out of `known` that is nearest to `name`, if one is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).max(1) + 1;
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(name, k), k))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, k)| k)
}

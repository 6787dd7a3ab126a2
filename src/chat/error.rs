//! What can be wrong with the files of the chat front.

use std::path::PathBuf;

/// One mistake in a file, with its place and the nearest known name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file as it was named.
    pub file: String,
    /// Line from 1; 0 when the whole file is meant.
    pub line: usize,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}: {}", self.file, self.message),
        }
    }
}

/// The chat front cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// A file or folder cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Files have mistakes; all of them are listed.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Problem>),
}

/// The known name most like `name`.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known.into_iter().max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)))
}

/// `there is no <what> "name"; did you mean "…"?`
pub(super) fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(name, known) {
        Some(near) => format!("there is no {what} \"{name}\"; did you mean \"{near}\"?"),
        None => format!("there is no {what} \"{name}\""),
    }
}

/// The first line from 1 that holds all of `parts`; 0 if none does.
pub(super) fn line_of(text: &str, parts: &[&str]) -> usize {
    text.lines().position(|line| parts.iter().all(|part| line.contains(part))).map_or(0, |at| at + 1)
}

/// A TOML error as a problem: the line of its span, and the nearest name when a field is unknown.
pub(super) fn toml_problem(file: &str, text: &str, error: &toml::de::Error) -> Problem {
    let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let message = error.message();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let unknown_name = message.starts_with("unknown field") || message.starts_with("unknown variant");
    let message = match quoted.split_first() {
        Some((name, known)) if unknown_name && !known.is_empty() => {
            let what = if message.starts_with("unknown field") { "field" } else { "value" };
            unknown(what, name, known.iter().copied())
        }
        _ => message.to_owned(),
    };
    Problem { file: file.to_owned(), line, message }
}

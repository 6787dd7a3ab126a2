//! Pass rate on files of cases: one `spoken => written` a line.

use std::path::{Path, PathBuf};

use super::{Itn, ItnStyle};
use crate::conversation::Language;

/// One case and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItnCase {
    /// As said.
    pub spoken: String,
    /// As it should be written.
    pub expected: String,
    /// As it was written.
    pub written: String,
}

impl ItnCase {
    /// Written exactly as expected; blanks at the ends do not count.
    pub fn passed(&self) -> bool {
        self.written.trim() == self.expected.trim()
    }
}

/// The cases of one file.
#[derive(Clone, Debug)]
pub struct ItnFile {
    /// Which.
    pub path: PathBuf,
    /// Its language, by the characters of its cases.
    pub language: Language,
    /// The cases.
    pub cases: Vec<ItnCase>,
}

impl ItnFile {
    /// How many passed.
    pub fn passed(&self) -> usize {
        self.cases.iter().filter(|case| case.passed()).count()
    }
}

/// Runs all cases of a file, or of all `.txt` files under a folder, in the order of their names. Lines without ` => ` are
/// skipped.
///
/// # Errors
/// A file or folder cannot be read.
pub fn run_cases(path: &Path, style: ItnStyle) -> std::io::Result<Vec<ItnFile>> {
    let mut files = Vec::new();
    if path.is_dir() {
        let mut entries: Vec<PathBuf> =
            std::fs::read_dir(path)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
        entries.sort();
        for entry in entries.into_iter().filter(|entry| entry.is_dir() || entry.extension().is_some_and(|e| e == "txt")) {
            files.extend(run_cases(&entry, style)?);
        }
        return Ok(files);
    }
    let text = std::fs::read_to_string(path)?;
    let language = Language::of_text(&text);
    let itn = Itn::with_style(style);
    let cases = text
        .lines()
        .filter_map(|line| line.split_once("=>"))
        .map(|(spoken, written)| {
            let spoken = spoken.trim().to_owned();
            ItnCase { written: itn.apply(&spoken, language).0, expected: written.trim().to_owned(), spoken }
        })
        .collect();
    files.push(ItnFile { path: path.to_owned(), language, cases });
    Ok(files)
}

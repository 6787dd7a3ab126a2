//! A model checked throughout: every byte of every file, nothing remembered.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::card::CardFile;
use super::checksum::sha256_file;
use super::{ModelEntry, Registry, RegistryError, content, unpack};

/// How a file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum FileState {
    /// As the card says.
    Good,
    /// Usable, but no card says what it should be.
    NoCard,
    /// Not there.
    Missing,
    /// Of another length.
    WrongSize {
        /// Bytes in the card.
        expected_bytes: u64,
        /// Bytes on disk.
        found_bytes: u64,
    },
    /// Of another content.
    WrongChecksum {
        /// sha256 in the card.
        expected: String,
        /// sha256 on disk.
        found: String,
    },
    /// It cannot be read or unpacked, or is not what its name says.
    Unreadable {
        /// Why.
        what: String,
    },
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// Its name in the model's folder (the packed one, where it is packed).
    pub name: String,
    /// Bytes that the card says.
    pub bytes: u64,
    /// How it is.
    #[serde(flatten)]
    pub state: FileState,
}

/// One model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// The model.
    pub id: String,
    /// Its folder.
    pub dir: PathBuf,
    /// Its files.
    pub files: Vec<FileReport>,
    /// An unpacked copy was damaged and was deleted; it is made anew at the next use.
    pub damaged_copy_deleted: bool,
    /// Keys of the card that nothing reads.
    pub unknown_keys: Vec<String>,
    /// What to do when a file is not good.
    pub fix: String,
}

impl VerifyReport {
    /// Whether every file is as it should be.
    pub fn is_good(&self) -> bool {
        self.files.iter().all(|f| matches!(f.state, FileState::Good | FileState::NoCard))
    }
}

impl Registry {
    /// Compares every file of a model with its card, and what was unpacked from it too. Blocks for as long as reading
    /// them takes.
    ///
    /// # Errors
    /// Those of [`Registry::find`]; [`RegistryError::Io`] when a damaged copy cannot be deleted. Bad files are no
    /// error, they are in the report.
    pub fn verify(&self, id_or_path: &str) -> Result<VerifyReport, RegistryError> {
        let entry = self.find(id_or_path)?;
        let files = entry.card.files.iter().map(|file| {
            let state = if entry.has_card { state_of(&entry, file) } else { state_without_card(&entry, file) };
            let (name, bytes) = file.packed.as_ref().map_or((&file.name, file.bytes), |p| (&p.name, p.bytes));
            FileReport { name: name.clone(), bytes, state }
        });
        Ok(VerifyReport {
            files: files.collect(),
            damaged_copy_deleted: self.delete_damaged_copy(&entry)?,
            unknown_keys: entry.card.unknown_keys(),
            fix: entry.fix(),
            id: entry.card.id,
            dir: entry.dir,
        })
    }

    fn delete_damaged_copy(&self, entry: &ModelEntry) -> Result<bool, RegistryError> {
        let copy = self.config().cache_dir.join(&entry.card.id).join(unpack::digest(&entry.card));
        let good = |file: &CardFile| compare(&copy.join(&file.name), file.bytes, &file.sha256) == FileState::Good;
        if !copy.is_dir() || entry.card.files.iter().all(good) {
            return Ok(false);
        }
        std::fs::remove_dir_all(&copy).map_err(RegistryError::io("remove", &copy))?;
        Ok(true)
    }
}

fn state_of(entry: &ModelEntry, file: &CardFile) -> FileState {
    let Some(packed) = &file.packed else {
        return compare(&entry.dir.join(&file.name), file.bytes, &file.sha256);
    };
    match compare(&entry.dir.join(&packed.name), packed.bytes, &packed.sha256) {
        FileState::Good => {}
        bad => return bad,
    }
    match unpack::sha256_of_content(&entry.dir, packed, file.bytes) {
        Ok((sha256, bytes)) if sha256 == file.sha256 && bytes == file.bytes => FileState::Good,
        Ok((sha256, bytes)) => FileState::Unreadable {
            what: format!("it unpacks to {bytes} bytes with sha256 {sha256}, the card says {} with {}", file.bytes, file.sha256),
        },
        Err(e) => FileState::Unreadable { what: format!("it cannot be unpacked: {e}") },
    }
}

fn state_without_card(entry: &ModelEntry, file: &CardFile) -> FileState {
    let is_weights = entry.card.weights() == Some(file);
    match content::check(&file.name, entry.card.kind, is_weights, &entry.dir.join(&file.name)) {
        Ok(()) => FileState::NoCard,
        Err(what) => FileState::Unreadable { what },
    }
}

fn compare(path: &Path, expected_bytes: u64, expected: &str) -> FileState {
    match std::fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return FileState::Missing,
        Err(e) => return FileState::Unreadable { what: e.to_string() },
        Ok(m) if m.len() != expected_bytes => return FileState::WrongSize { expected_bytes, found_bytes: m.len() },
        Ok(_) => {}
    }
    match sha256_file(path) {
        Ok(found) if found == expected => FileState::Good,
        Ok(found) => FileState::WrongChecksum { expected: expected.to_owned(), found },
        Err(e) => FileState::Unreadable { what: e.to_string() },
    }
}

//! sha256 of files, and a memory of the files that were compared already.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::RegistryError;

/// Bytes read at once; large enough that reading costs less than hashing.
const CHUNK_BYTES: usize = 1 << 18;
/// Name of the memory in the cache folder of a model.
const MARKER_FILE: &str = "verified.toml";

/// Lower-case hexadecimal digits of a finished hash.
pub(super) fn hex(hasher: Sha256) -> String {
    use std::fmt::Write;
    hasher.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// sha256 of all that a reader gives.
pub(super) fn sha256_of(mut reader: impl Read) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hex(hasher)),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// sha256 of a file.
pub(super) fn sha256_file(path: &Path) -> Result<String, RegistryError> {
    File::open(path).and_then(sha256_of).map_err(RegistryError::io("read", path))
}

/// State of a file when its checksum was compared. A file that changed since has another length or time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    bytes: u64,
    modified_ns: i64,
    sha256: String,
}

/// Which files of a model were compared with their checksums, and when they last changed then: a start reads a few lines
/// instead of all weights. It is a memory, not a proof: `verify` never asks it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Verified {
    #[serde(default)]
    file: BTreeMap<String, Seen>,
    #[serde(skip)]
    path: PathBuf,
    #[serde(skip)]
    changed: bool,
}

impl Verified {
    /// Reads the memory of a model; one that is missing or damaged is empty.
    pub(super) fn load(cache_of_model: &Path) -> Self {
        let path = cache_of_model.join(MARKER_FILE);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        Self { path, ..toml::from_str(&text).unwrap_or_default() }
    }

    /// Whether the file is still as it was when its checksum was found to be `sha256`.
    pub(super) fn knows(&self, path: &Path, sha256: &str) -> bool {
        self.file.get(&key(path)).is_some_and(|seen| state_of(path, sha256).as_ref() == Some(seen))
    }

    /// Remembers that the file has this checksum.
    pub(super) fn remember(&mut self, path: &Path, sha256: &str) {
        if let Some(seen) = state_of(path, sha256) {
            self.file.insert(key(path), seen);
            self.changed = true;
        }
    }

    /// sha256 of a file, read from the file unless it is remembered.
    pub(super) fn sha256_of(&mut self, path: &Path) -> Result<String, RegistryError> {
        if let Some(seen) = self.file.get(&key(path))
            && state_of(path, &seen.sha256).as_ref() == Some(seen)
        {
            return Ok(seen.sha256.clone());
        }
        let sha256 = sha256_file(path)?;
        self.remember(path, &sha256);
        Ok(sha256)
    }

    /// Writes the memory if it changed. Failing to costs time at the next start, nothing else, so it is only logged.
    pub(super) fn save(&self) {
        if !self.changed {
            return;
        }
        if let Err(error) = self.write() {
            tracing::debug!(path = %self.path.display(), %error, "checksums are not remembered");
        }
    }

    fn write(&self) -> std::io::Result<()> {
        let dir = self.path.parent().ok_or(std::io::ErrorKind::NotFound)?;
        std::fs::create_dir_all(dir)?;
        let text = toml::to_string(self).map_err(std::io::Error::other)?;
        let file = tempfile::NamedTempFile::new_in(dir)?;
        std::fs::write(file.path(), text)?;
        file.persist(&self.path).map_err(|e| e.error)?;
        Ok(())
    }
}

fn key(path: &Path) -> String {
    path.display().to_string()
}

fn state_of(path: &Path, sha256: &str) -> Option<Seen> {
    let metadata = std::fs::metadata(path).ok()?;
    let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Seen { bytes: metadata.len(), modified_ns: i64::try_from(modified.as_nanos()).ok()?, sha256: sha256.to_owned() })
}

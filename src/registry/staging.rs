//! The folder in which a model is gathered before it takes its place by one rename.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use super::card::CARD_FILE;
use super::{Card, RegistryError};

/// Where an unfinished pull of a model keeps what it has.
pub(super) fn folder(user_dir: &Path, id: &str) -> PathBuf {
    user_dir.join(format!(".pull-{id}"))
}

/// The right to change one model of the user's folder; held by one process at a time.
#[derive(Debug)]
pub(super) struct Staging {
    user_dir: PathBuf,
    id: String,
    // The lock ends when the file is closed, also by `kill -9`.
    _lock: File,
}

impl Staging {
    /// Takes the right; what an earlier, unfinished pull left stays for it to go on.
    pub(super) fn begin(user_dir: &Path, id: &str) -> Result<Self, RegistryError> {
        std::fs::create_dir_all(user_dir).map_err(RegistryError::io("create", user_dir))?;
        let path = lock_path(user_dir, id);
        let lock = File::options().create(true).append(true).open(&path).map_err(RegistryError::io("write", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(RegistryError::Busy { id: id.to_owned() }),
            Err(TryLockError::Error(e)) => return Err(RegistryError::io("lock", &path)(e)),
        }
        Ok(Self { user_dir: user_dir.to_path_buf(), id: id.to_owned(), _lock: lock })
    }

    /// Where a file of the model is gathered; its folder is made.
    pub(super) fn path(&self, name: &str) -> Result<PathBuf, RegistryError> {
        let path = folder(&self.user_dir, &self.id).join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(RegistryError::io("create", parent))?;
        }
        Ok(path)
    }

    /// Where the model stands once it is complete.
    pub(super) fn target(&self) -> PathBuf {
        self.user_dir.join(&self.id)
    }

    /// Writes the card and puts the gathered folder into its place; what stood there before is deleted.
    pub(super) fn commit(self, card: &Card) -> Result<PathBuf, RegistryError> {
        let (gathered, target) = (folder(&self.user_dir, &self.id), self.target());
        let listed: Vec<PathBuf> =
            card.files.iter().map(|f| gathered.join(f.packed.as_ref().map_or(&f.name, |p| &p.name))).collect();
        delete_others(&gathered, &listed)?;
        let card_path = gathered.join(CARD_FILE);
        card.to_toml()
            .map_err(std::io::Error::other)
            .and_then(|text| std::fs::write(&card_path, text))
            .map_err(RegistryError::io("write", &card_path))?;
        let old = self.user_dir.join(format!(".old-{}", self.id));
        delete_folder(&old)?;
        if target.is_dir() {
            std::fs::rename(&target, &old).map_err(RegistryError::io("rename", &target))?;
        }
        std::fs::rename(&gathered, &target).map_err(RegistryError::io("rename a folder to", &target))?;
        delete_folder(&old)?;
        Ok(target)
    }

    /// Gives the right back and leaves no trace of it.
    pub(super) fn forget(self) {
        // A process that just opened the file keeps its own lock on it; nothing depends on the name.
        let _ = std::fs::remove_file(lock_path(&self.user_dir, &self.id));
    }
}

fn lock_path(user_dir: &Path, id: &str) -> PathBuf {
    user_dir.join(format!(".{id}.lock"))
}

/// Deletes what an earlier pull of other files left in the folder.
fn delete_others(dir: &Path, keep: &[PathBuf]) -> Result<(), RegistryError> {
    for entry in std::fs::read_dir(dir).map_err(RegistryError::io("read", dir))?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            delete_others(&path, keep)?;
        } else if !keep.contains(&path) {
            std::fs::remove_file(&path).map_err(RegistryError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Deletes a folder, if it is there; returns the bytes of its files.
pub(super) fn delete_folder(dir: &Path) -> Result<u64, RegistryError> {
    if !dir.is_dir() {
        return Ok(0);
    }
    let bytes = folder_bytes(dir);
    std::fs::remove_dir_all(dir).map_err(RegistryError::io("remove", dir))?;
    Ok(bytes)
}

fn folder_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => folder_bytes(&entry.path()),
            _ => entry.metadata().map_or(0, |m| m.len()),
        })
        .sum()
}

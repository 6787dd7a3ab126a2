//! A file on its way: written beside its place, hashed as it comes, renamed when it is right.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use super::RegistryError;
use super::checksum::hex;

/// Bytes copied at once.
const CHUNK_BYTES: usize = 1 << 20;

/// What a file must be.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    /// The model, for messages.
    pub id: String,
    /// sha256, where it is known.
    pub sha256: Option<String>,
    /// Length, where it is known.
    pub bytes: Option<u64>,
}

/// Called with bytes done and, where it is known, bytes in all.
pub(super) type OnBytes<'a> = &'a (dyn Fn(u64, Option<u64>) + Send + Sync);

/// `NAME.part`: what came of a file so far.
#[derive(Debug)]
pub(super) struct PartFile {
    target: PathBuf,
    file: File,
    hasher: Sha256,
    bytes: u64,
}

impl PartFile {
    /// Opens the part of `target`, reading again what an earlier attempt left.
    pub(super) async fn open(target: &Path) -> Result<Self, RegistryError> {
        let path = part_path(target);
        let mut options = File::options();
        options.create(true).truncate(false).read(true).write(true);
        let mut file = options.open(&path).await.map_err(RegistryError::io("write", &path))?;
        let (mut hasher, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; CHUNK_BYTES]);
        loop {
            let n = file.read(&mut buffer).await.map_err(RegistryError::io("read", &path))?;
            if n == 0 {
                return Ok(Self { target: target.to_path_buf(), file, hasher, bytes });
            }
            hasher.update(&buffer[..n]);
            bytes += n as u64;
        }
    }

    /// Bytes that are there.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Drops what is there.
    pub(super) async fn restart(&mut self) -> Result<(), RegistryError> {
        self.file.set_len(0).await.map_err(RegistryError::io("write", part_path(&self.target)))?;
        self.file.rewind().await.map_err(RegistryError::io("write", part_path(&self.target)))?;
        (self.hasher, self.bytes) = (Sha256::new(), 0);
        Ok(())
    }

    /// Appends.
    pub(super) async fn write(&mut self, chunk: &[u8]) -> Result<(), RegistryError> {
        self.file.write_all(chunk).await.map_err(RegistryError::io("write", part_path(&self.target)))?;
        self.hasher.update(chunk);
        self.bytes += chunk.len() as u64;
        Ok(())
    }

    /// Hands what was written so far to the system, for the next attempt.
    pub(super) async fn flush(&mut self) -> Result<(), RegistryError> {
        self.file.flush().await.map_err(RegistryError::io("write", part_path(&self.target)))
    }

    /// Compares and puts the file in its place; one that is not as expected is deleted.
    /// Returns its sha256 and length.
    pub(super) async fn finish(mut self, expected: &Expected, fix: &str) -> Result<(String, u64), RegistryError> {
        self.flush().await?;
        let part = part_path(&self.target);
        self.file.sync_all().await.map_err(RegistryError::io("write", &part))?;
        let (sha256, bytes) = (hex(self.hasher), self.bytes);
        let (id, path, fix) = (expected.id.clone(), self.target.clone(), format!("it was deleted; {fix}"));
        let wrong = match (&expected.bytes, &expected.sha256) {
            (Some(size), _) if *size != bytes => Some(RegistryError::Size { id, path, found: bytes, expected: *size, fix }),
            (_, Some(sum)) if *sum != sha256 => {
                Some(RegistryError::Checksum { id, path, found: sha256.clone(), expected: sum.clone(), fix })
            }
            _ => None,
        };
        // The tag belongs to the part and goes with it; it is missing for a copied file.
        let _ = tokio::fs::remove_file(tag_path(&self.target)).await;
        if let Some(error) = wrong {
            tokio::fs::remove_file(&part).await.map_err(RegistryError::io("remove", &part))?;
            return Err(error);
        }
        tokio::fs::rename(&part, &self.target).await.map_err(RegistryError::io("rename a file to", &self.target))?;
        Ok((sha256, bytes))
    }

    /// Deletes the part.
    pub(super) async fn discard(self) -> Result<(), RegistryError> {
        let part = part_path(&self.target);
        let _ = tokio::fs::remove_file(tag_path(&self.target)).await;
        tokio::fs::remove_file(&part).await.map_err(RegistryError::io("remove", &part))
    }
}

/// Copies a file of this machine.
pub(super) async fn copy(
    source: &Path,
    target: &Path,
    expected: &Expected,
    on_bytes: OnBytes<'_>,
) -> Result<(String, u64), RegistryError> {
    let mut input = File::open(source).await.map_err(RegistryError::io("read", source))?;
    let total = input.metadata().await.map_err(RegistryError::io("read", source))?.len();
    let mut part = PartFile::open(target).await?;
    part.restart().await?;
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let n = input.read(&mut buffer).await.map_err(RegistryError::io("read", source))?;
        if n == 0 {
            break;
        }
        part.write(&buffer[..n]).await?;
        on_bytes(part.bytes(), Some(total));
    }
    part.finish(expected, &format!("{} is not what its card or its name says, get it anew", source.display())).await
}

fn part_path(target: &Path) -> PathBuf {
    with_suffix(target, ".part")
}

/// Where the server's tag of the content is kept, so that two versions of a file are never joined.
pub(super) fn tag_path(target: &Path) -> PathBuf {
    with_suffix(target, ".part.tag")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

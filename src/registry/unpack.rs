//! Packed files, unpacked once.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::card::{Card, CardFile, Codec, PackedFile};
use super::checksum::{Verified, hex};
use super::model::{check_files, check_size, check_sum};
use super::{ModelEntry, RegistryError};

/// Start of the name of a folder that is being filled.
const TEMPORARY: &str = ".unpack-";
/// A folder that is being filled for longer than this was left by a process that died.
const ABANDONED: Duration = Duration::from_hours(1);

/// The folder under `cache` in which all files of the model lie as they are used; filled when it is not there or not as
/// the card says. Two processes may do so at once: each fills a folder of its own, the first rename wins.
pub(super) fn unpacked(entry: &ModelEntry, cache: &Path, verified: &mut Verified) -> Result<PathBuf, RegistryError> {
    let dir = cache.join(digest(&entry.card));
    if dir.is_dir() {
        match check_files(entry, &dir, verified) {
            Ok(()) => return Ok(dir),
            Err(error) => {
                tracing::warn!(model = %entry.card.id, %error, "the unpacked copy is damaged and is made anew");
                std::fs::remove_dir_all(&dir).map_err(RegistryError::io("remove", &dir))?;
            }
        }
    }
    std::fs::create_dir_all(cache).map_err(RegistryError::io("create", cache))?;
    remove_abandoned(cache);
    let temporary =
        tempfile::Builder::new().prefix(TEMPORARY).tempdir_in(cache).map_err(RegistryError::io("create a folder in", cache))?;
    for file in &entry.card.files {
        fill(entry, file, &temporary.path().join(&file.name))?;
    }
    match std::fs::rename(temporary.path(), &dir) {
        // What was renamed is no longer there to be deleted.
        Ok(()) => drop(temporary.keep()),
        // Another process was faster: its folder has the same digest, so the same content.
        Err(_) if dir.is_dir() => {}
        Err(e) => return Err(RegistryError::io("rename a folder to", &dir)(e)),
    }
    check_files(entry, &dir, verified)?;
    Ok(dir)
}

/// Name of the unpacked folder: sha256 over names and checksums, so that a new release never meets old files.
pub(super) fn digest(card: &Card) -> String {
    let mut hasher = Sha256::new();
    for file in &card.files {
        hasher.update(format!("{} {}\n", file.sha256, file.name));
    }
    hex(hasher)
}

/// One file as it is used, at `target`.
fn fill(entry: &ModelEntry, file: &CardFile, target: &Path) -> Result<(), RegistryError> {
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent).map_err(RegistryError::io("create", parent))?;
    }
    let Some(packed) = &file.packed else {
        let source = entry.dir.join(&file.name);
        check_size(entry, &source, file.bytes)?;
        std::fs::copy(&source, target).map_err(RegistryError::io("write", target))?;
        return Ok(());
    };
    let source = entry.dir.join(&packed.name);
    check_size(entry, &source, packed.bytes)?;
    check_sum(entry, &source, &packed.sha256)?;
    let output = File::create(target).map_err(RegistryError::io("write", target))?;
    let mut output = Hashing { to: output, hasher: Sha256::new(), failed: false };
    let outcome = decode(&source, packed, file.bytes, &mut output);
    let refuse = |what: String| RegistryError::Packed { id: entry.card.id.clone(), path: source.clone(), what, fix: entry.fix() };
    match outcome {
        Err(e) if output.failed => return Err(RegistryError::io("write", target)(e)),
        Err(e) => return Err(refuse(e.to_string())),
        Ok(bytes) if bytes != file.bytes => {
            return Err(refuse(format!("it unpacks to {bytes} bytes or more, the card says {}", file.bytes)));
        }
        Ok(_) => {}
    }
    // The folder's rename must not become durable before its content.
    output.to.sync_all().map_err(RegistryError::io("write", target))?;
    let found = hex(output.hasher);
    if found != file.sha256 {
        return Err(refuse(format!("it unpacks to sha256 {found}, the card says {}", file.sha256)));
    }
    Ok(())
}

/// Decodes a packed file into `output`; stops one byte after `limit_bytes`, so that a hostile file cannot fill the disk.
/// Returns the bytes written.
fn decode(path: &Path, packed: &PackedFile, limit_bytes: u64, output: &mut impl Write) -> std::io::Result<u64> {
    let input = BufReader::new(File::open(path)?);
    let mut decoder: Box<dyn Read> = match packed.codec {
        Codec::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(input)?),
        Codec::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
    };
    std::io::copy(&mut decoder.by_ref().take(limit_bytes + 1), output)
}

/// sha256 and length of what a packed file holds, without writing it.
pub(super) fn sha256_of_content(dir: &Path, packed: &PackedFile, limit_bytes: u64) -> std::io::Result<(String, u64)> {
    let mut output = Hashing { to: std::io::sink(), hasher: Sha256::new(), failed: false };
    let bytes = decode(&dir.join(&packed.name), packed, limit_bytes, &mut output)?;
    Ok((hex(output.hasher), bytes))
}

/// Hashes what it passes on, and remembers whether an error was the writer's (a full disk) or the decoder's.
struct Hashing<W> {
    to: W,
    hasher: Sha256,
    failed: bool,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.to.write(bytes).inspect_err(|_| self.failed = true)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

fn remove_abandoned(cache: &Path) {
    for entry in std::fs::read_dir(cache).into_iter().flatten().flatten() {
        let old = entry.metadata().and_then(|m| m.modified()).ok().and_then(|t| t.elapsed().ok());
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) && old.is_some_and(|age| age > ABANDONED) {
            // Best effort: it is tried again next time.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

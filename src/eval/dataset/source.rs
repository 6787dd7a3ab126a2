//! Where data lies: below the product's folder, in an unpacked public set, or in its archive.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::tar::TarEntries;
use crate::eval::task::{Task, near};
use crate::eval::{EvalError, Result};

/// Folders in which data is looked for.
#[derive(Clone, Debug)]
pub struct DataPlaces {
    /// The product's folder.
    pub home: PathBuf,
    /// Folders with public sets: `<name>/` or the archive named in `datasets/sources.toml`.
    pub public: Vec<PathBuf>,
}

/// A public set of `datasets/sources.toml`.
#[derive(Debug, Deserialize)]
struct PublicSet {
    name: String,
    source: String,
    #[serde(default)]
    commit: String,
    licence: String,
    archive: String,
    sha256: String,
}

#[derive(Debug, Deserialize)]
struct PublicSets {
    source: Vec<PublicSet>,
}

impl DataPlaces {
    /// The usual places: `data/public`, where `zhiyin datasets pull` unpacks, `../shared/datasets` and `../shared/speech`
    /// beside the product's folder; before them those that are named.
    pub fn new(home: &Path, named: &[PathBuf]) -> Self {
        let beside = ["data/public", "../shared/datasets", "../shared/speech"];
        Self { home: home.to_owned(), public: named.iter().cloned().chain(beside.iter().map(|b| home.join(b))).collect() }
    }

    /// Opens what a task reads.
    ///
    /// # Errors
    /// [`EvalError::Absent`] if it is not here; a damaged archive.
    pub fn open(&self, task: &Task) -> Result<Source> {
        let Some(name) = &task.dataset.public else {
            let root = self.home.clone();
            if !root.join(&task.dataset.path).exists() && task.dataset.adapter != "service" {
                return Err(EvalError::Absent {
                    task: task.id.clone(),
                    what: task.dataset.path.clone(),
                    how: "It belongs to the source folder of the product; run from there or set ZHIYIN_HOME to it.".into(),
                });
            }
            return Ok(Source::folder(root));
        };
        let sets = self.sets()?;
        let Some(set) = sets.iter().find(|s| s.name == *name) else {
            let known: Vec<&str> = sets.iter().map(|s| s.name.as_str()).collect();
            return Err(EvalError::File {
                file: format!("eval/tasks/{}.toml", task.id),
                problem: format!("public set \"{name}\" is not in datasets/sources.toml{}", near(name, &known)),
            });
        };
        for place in &self.public {
            if place.join(name).is_dir() {
                return Ok(Source::folder(place.join(name)));
            }
            let archive = place.join(&set.archive);
            if archive.is_file() {
                return Source::archive(&archive, &set.sha256);
            }
        }
        let places = self.public.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
        Err(EvalError::Absent {
            task: task.id.clone(),
            what: format!("public set \"{name}\""),
            how: format!(
                "`zhiyin datasets pull {name} --from FOLDER_OR_URL` fetches the packed copy; its source is {} (commit {}, licence {}). Looked for {name}/ and {} in {places}; --data names another folder.",
                set.source, set.commit, set.licence, set.archive
            ),
        })
    }

    fn sets(&self) -> Result<Vec<PublicSet>> {
        let path = self.home.join("datasets/sources.toml");
        let text = std::fs::read_to_string(&path).map_err(|e| EvalError::file(&path, e))?;
        let sets: PublicSets = toml::from_str(&text).map_err(|e| EvalError::file(&path, e))?;
        Ok(sets.source)
    }
}

/// Files of a dataset; what was read is part of its checksum.
pub struct Source {
    root: PathBuf,
    /// Files of an archive by their path in the set; `None`: a folder.
    packed: Option<BTreeMap<String, Vec<u8>>>,
    hasher: RefCell<Sha256>,
}

impl Source {
    /// A folder.
    pub fn folder(root: PathBuf) -> Self {
        Self { root, packed: None, hasher: RefCell::new(Sha256::new()) }
    }

    /// An archive (`.tar`, `.tar.gz`) whose checksum is compared.
    ///
    /// # Errors
    /// It is damaged or another one.
    pub fn archive(path: &Path, sha256: &str) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| EvalError::file(path, e))?;
        let found = hex(&Sha256::digest(&bytes));
        if found != sha256 {
            return Err(EvalError::file(path, format!("sha256 is {found}, datasets/sources.toml says {sha256}; get it again")));
        }
        let zipped = path.extension().is_some_and(|e| e == "gz" || e == "tgz");
        let bytes = if zipped {
            let mut plain = Vec::new();
            flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).map_err(|e| EvalError::file(path, e))?;
            plain
        } else {
            bytes
        };
        let mut files = BTreeMap::new();
        for entry in TarEntries::new(&bytes) {
            let (name, content) = entry.map_err(|problem| EvalError::file(path, problem))?;
            // The archive holds one folder with the name of the set.
            let inside = name.split_once('/').map_or(name.as_str(), |(_, rest)| rest).to_owned();
            files.insert(inside, content.to_vec());
        }
        Ok(Self { root: path.to_owned(), packed: Some(files), hasher: RefCell::new(Sha256::new()) })
    }

    /// The name of a file in messages.
    pub fn name(&self, path: &str) -> String {
        if self.packed.is_some() { format!("{}:{path}", self.root.display()) } else { self.root.join(path).display().to_string() }
    }

    /// Reads a text file; a byte-order mark is left out.
    ///
    /// # Errors
    /// It is missing or not UTF-8.
    pub fn text(&self, path: &str) -> Result<String> {
        let bytes = match &self.packed {
            Some(files) => files.get(path).cloned().ok_or_else(|| self.fail(path, "there is no such file in the archive"))?,
            None => std::fs::read(self.root.join(path)).map_err(|e| self.fail(path, e))?,
        };
        self.note(path, &bytes);
        let text = String::from_utf8(bytes).map_err(|e| {
            let valid = e.utf8_error().valid_up_to();
            let line = e.as_bytes()[..valid].iter().filter(|b| **b == b'\n').count() + 1;
            EvalError::line(self.name(path), line, "is not UTF-8")
        })?;
        Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
    }

    /// Names of the files below a folder, sorted, relative to the set.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self, folder: &str) -> Result<Vec<String>> {
        let prefix = format!("{}/", folder.trim_end_matches('/'));
        if let Some(files) = &self.packed {
            return Ok(files.keys().filter(|f| folder.is_empty() || f.starts_with(&prefix)).cloned().collect());
        }
        let path = self.root.join(folder);
        let entries = std::fs::read_dir(&path).map_err(|e| self.fail(folder, e))?;
        let mut names: Vec<String> = entries
            .filter_map(|e| e.ok().map(|e| e.file_name().to_string_lossy().into_owned()))
            .map(|name| if folder.is_empty() { name } else { format!("{prefix}{name}") })
            .collect();
        names.sort();
        Ok(names)
    }

    /// The path of a file that is opened by others (recordings); its bytes become part of the checksum.
    ///
    /// # Errors
    /// It is missing, or the set is packed.
    pub fn file(&self, path: &str) -> Result<PathBuf> {
        if self.packed.is_some() {
            return Err(self.fail(path, "recordings are read from the unpacked set; unpack it with `tar xf` beside the archive"));
        }
        let full = self.root.join(path);
        let bytes = std::fs::read(&full).map_err(|e| self.fail(path, e))?;
        self.note(path, &bytes);
        Ok(full)
    }

    /// sha256 of everything that was read so far.
    pub fn sha256(&self) -> String {
        hex(&self.hasher.borrow().clone().finalize())
    }

    pub(super) fn fail(&self, path: &str, problem: impl std::fmt::Display) -> EvalError {
        EvalError::File { file: self.name(path), problem: problem.to_string() }
    }

    fn note(&self, path: &str, bytes: &[u8]) {
        let mut hasher = self.hasher.borrow_mut();
        hasher.update((path.len() as u64).to_le_bytes());
        hasher.update(path.as_bytes());
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    }
}

/// Hexadecimal digits.
pub(in crate::eval) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

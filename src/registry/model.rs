//! The registry: which models are here, and one of them made ready for use.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::card::{CARD_FILE, check_id};
use super::checksum::{Verified, sha256_file};
use super::source::{KNOWN_MODELS, known};
use super::staging::{self, Staging};
use super::{Card, ModelKind, RegistryConfig, RegistryError, local, unpack};

/// Source of heads that were trained here.
const TRAINED: &str = "zhiyin train";
/// Folder of the cache for models that are named by a path and have no card.
const PATHS_CACHE: &str = ".paths";

/// Where a model lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// It came with the product.
    Shipped,
    /// The user pulled it or put it there.
    User,
    /// It was named by its path.
    Path,
}

/// A model that is here; its files are not looked at yet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelEntry {
    /// What it is.
    pub card: Card,
    /// Its folder.
    pub dir: PathBuf,
    /// Whose folder that is.
    pub place: Place,
    /// `false`: there is no `card.toml`, and `card` was made from the files themselves.
    pub has_card: bool,
}

impl ModelEntry {
    /// What to do when one of its files is not as it should be.
    pub(super) fn fix(&self) -> String {
        let (id, source) = (&self.card.id, &self.card.source);
        match self.place {
            Place::User | Place::Shipped if source == TRAINED => {
                format!("train it again: `zhiyin models show {id}` has the command")
            }
            Place::Shipped => {
                format!(
                    "put the file of the release back, in a checkout by `git checkout -- models/{id}`, then `zhiyin models verify {id}`"
                )
            }
            Place::User if source != "built-in" => {
                format!("`zhiyin models pull '{source}' --id {id}` fetches it again")
            }
            Place::User | Place::Path => {
                format!("copy the file there again, then `zhiyin models verify {}`", self.dir.display())
            }
        }
    }
}

/// What [`Registry::list`] finds.
#[derive(Debug, Default)]
pub struct Listing {
    /// Models with a readable card, by id; the user's before a shipped one of the same id.
    pub models: Vec<ModelEntry>,
    /// Folders whose card is missing or cannot be read.
    pub broken: Vec<RegistryError>,
}

/// A model that was checked: its files are there, whole and unpacked.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedModel {
    /// Its name.
    pub id: String,
    /// The folder in which every file of the card lies as it is used.
    pub dir: PathBuf,
    /// What it is.
    pub card: Card,
}

impl ResolvedModel {
    /// The file that a loader opens first: the ggml file of a recogniser, `model.safetensors` of an encoder.
    /// The folder itself for a model without files.
    pub fn weights(&self) -> PathBuf {
        self.card.weights().map_or_else(|| self.dir.clone(), |f| self.dir.join(&f.name))
    }

    /// A file by its name in the card.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        self.card.files.iter().find(|f| f.name == name).map(|f| self.dir.join(&f.name))
    }
}

/// All models of this installation.
#[derive(Clone, Debug)]
pub struct Registry {
    config: RegistryConfig,
}

impl Registry {
    /// A registry over these folders. Reads nothing yet; folders that are missing hold no models.
    pub fn open(config: RegistryConfig) -> Self {
        Self { config }
    }

    /// The folders and the hub.
    pub fn config(&self) -> &RegistryConfig {
        &self.config
    }

    /// Every model of the shipped and the user's folder.
    pub fn list(&self) -> Listing {
        let mut listing = Listing::default();
        for (root, place) in self.roots() {
            for dir in model_folders(root) {
                match read_entry(&dir, place) {
                    Ok(entry) => listing.models.push(entry),
                    Err(error) => listing.broken.push(error),
                }
            }
        }
        listing.models.sort_by(|a, b| a.card.id.cmp(&b.card.id));
        listing
    }

    /// A model by its id, or by the path of its folder or ggml file.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] with the nearest known name, [`RegistryError::Card`], [`RegistryError::NotAModel`].
    pub fn find(&self, id_or_path: &str) -> Result<ModelEntry, RegistryError> {
        if check_id(id_or_path).is_ok() {
            for (root, place) in self.roots() {
                let dir = root.join(id_or_path);
                if dir.is_dir() {
                    return read_entry(&dir, place);
                }
            }
        }
        let path = Path::new(id_or_path);
        if path.exists() {
            return self.at_path(path);
        }
        if id_or_path.contains(std::path::MAIN_SEPARATOR) {
            return Err(RegistryError::NotAModel { path: path.to_path_buf(), what: "there is no such file or folder".into() });
        }
        Err(self.unknown(id_or_path))
    }

    /// A name under which another process finds a model too: its id, or the whole path of one outside the registry's folders.
    ///
    /// # Errors
    /// Those of [`Registry::find`].
    pub fn lasting_name(&self, id_or_path: &str) -> Result<String, RegistryError> {
        let entry = self.find(id_or_path)?;
        let here =
            self.roots().iter().any(|(root, _)| std::path::absolute(root.join(&entry.card.id)).is_ok_and(|d| d == entry.dir));
        let inside = entry.place != Place::Path || here;
        Ok(if inside { entry.card.id } else { entry.dir.to_string_lossy().into_owned() })
    }

    /// A model ready for use: presence and size of its files are checked each time, their sha256 once per change, packed
    /// files are unpacked once. Blocks: the first time for as long as reading all weights takes, later for about a
    /// millisecond.
    ///
    /// # Errors
    /// Those of [`Registry::find`], and [`RegistryError::Missing`], [`RegistryError::Size`], [`RegistryError::Checksum`],
    /// [`RegistryError::Packed`], [`RegistryError::Io`].
    pub fn resolve(&self, id_or_path: &str) -> Result<ResolvedModel, RegistryError> {
        let entry = self.find(id_or_path)?;
        let cache = self.config.cache_dir.join(&entry.card.id);
        let mut verified = Verified::load(&cache);
        let dir = if entry.card.files.iter().any(|f| f.packed.is_some()) {
            unpack::unpacked(&entry, &cache, &mut verified)?
        } else {
            if entry.has_card {
                check_files(&entry, &entry.dir, &mut verified)?;
            }
            entry.dir
        };
        verified.save();
        Ok(ResolvedModel { id: entry.card.id.clone(), dir, card: entry.card })
    }

    /// [`Registry::resolve`] for a place that needs a certain kind.
    ///
    /// # Errors
    /// Those of [`Registry::resolve`] and [`RegistryError::WrongKind`].
    pub fn resolve_kind(&self, id_or_path: &str, kind: ModelKind) -> Result<ResolvedModel, RegistryError> {
        let entry = self.find(id_or_path)?;
        if entry.card.kind != kind {
            return Err(RegistryError::WrongKind { id: entry.card.id, found: entry.card.kind.name(), expected: kind.name() });
        }
        self.resolve(id_or_path)
    }

    /// Takes a model out of the user's folder, with what was unpacked from it and what an unfinished pull left.
    /// Returns the bytes that this freed.
    ///
    /// # Errors
    /// [`RegistryError::NotRemovable`] for a shipped model or a path, [`RegistryError::Unknown`], [`RegistryError::Busy`],
    /// [`RegistryError::Io`].
    pub fn remove(&self, id: &str) -> Result<u64, RegistryError> {
        let refuse = |what: &str| Err(RegistryError::NotRemovable { id: id.to_owned(), what: what.to_owned() });
        if check_id(id).is_err() {
            return refuse(
                "a path is not the registry's to delete, take the folder away yourself; `zhiyin models list` shows the ids",
            );
        }
        let (dir, unfinished) = (self.config.user_dir.join(id), staging::folder(&self.config.user_dir, id));
        if !dir.is_dir() && !unfinished.is_dir() {
            if self.config.shipped_dir.join(id).is_dir() {
                return refuse("it came with the product; only models that were pulled can be removed");
            }
            return Err(self.unknown(id));
        }
        if let Some((task, _)) = self.routes()?.tasks.iter().find(|(_, route)| route.champion.as_deref() == Some(id)) {
            return refuse(&format!("it answers the task {task}; `zhiyin models rollback {task}` first"));
        }
        let staging = Staging::begin(&self.config.user_dir, id)?;
        let mut freed = 0;
        for folder in [dir, unfinished, self.config.cache_dir.join(id)] {
            freed += staging::delete_folder(&folder)?;
        }
        staging.forget();
        Ok(freed)
    }

    /// The user's folder first: a model put there on purpose wins over the shipped one.
    fn roots(&self) -> [(&Path, Place); 2] {
        [(&self.config.user_dir, Place::User), (&self.config.shipped_dir, Place::Shipped)]
    }

    fn at_path(&self, path: &Path) -> Result<ModelEntry, RegistryError> {
        let path = std::path::absolute(path).map_err(RegistryError::io("read", path))?;
        if path.join(CARD_FILE).is_file() {
            return Ok(ModelEntry { card: Card::read(&path)?, dir: path, place: Place::Path, has_card: true });
        }
        let mut memory = Verified::load(&self.config.cache_dir.join(PATHS_CACHE));
        let (card, dir) = local::describe(&path, &mut |file| memory.sha256_of(file))?;
        memory.save();
        Ok(ModelEntry { card, dir, place: Place::Path, has_card: false })
    }

    fn unknown(&self, id: &str) -> RegistryError {
        let listing = self.list();
        let here = listing.models.iter().map(|m| m.card.id.as_str());
        let nearest = nearest(id, here.chain(KNOWN_MODELS.iter().map(|k| k.name)));
        let pull = nearest.as_deref().filter(|n| self.roots().iter().all(|(root, _)| !root.join(n).is_dir()));
        RegistryError::Unknown {
            id: id.to_owned(),
            pull: known(id).map(|k| k.name).or(pull).map(str::to_owned),
            nearest: nearest.filter(|n| n != id),
        }
    }
}

/// The name most like the one that was asked for, unless none is like it.
pub(super) fn nearest<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    /// Jaro-Winkler similarity in [0, 1] below which a proposal would only confuse.
    const ALIKE: f64 = 0.8;
    names
        .map(|name| (strsim::jaro_winkler(asked, name), name))
        .filter(|(similarity, _)| *similarity >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name.to_owned())
}

/// Folders of a root that are meant as models; names that no model has (`recipes` has no card, `.pull-x`) are left out.
fn model_folders(root: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.is_dir() && path.file_name().and_then(|n| n.to_str()).is_some_and(|n| check_id(n).is_ok()))
        .filter(|path| path.join(CARD_FILE).is_file() || local::looks_like_model(path))
        .collect();
    folders.sort();
    folders
}

fn read_entry(dir: &Path, place: Place) -> Result<ModelEntry, RegistryError> {
    let path = dir.join(CARD_FILE);
    let name = dir.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let refuse = |what: String, fix: String| Err(RegistryError::Card { path: path.clone(), what, fix });
    if !path.is_file() {
        let fix = match place {
            Place::Shipped => format!("put the release's back, in a checkout by `git checkout -- models/{name}/card.toml`"),
            _ => format!("`zhiyin models pull {} --id {name}` makes one for a folder that has none", dir.display()),
        };
        return refuse("is missing".into(), fix);
    }
    let card = Card::read(dir)?;
    if card.id != name {
        return refuse(
            format!("id is \"{}\", but its folder is \"{name}\"", card.id),
            "rename the folder or correct the id".into(),
        );
    }
    Ok(ModelEntry { card, dir: dir.to_path_buf(), place, has_card: true })
}

/// Presence, size and, unless it is remembered, sha256 of each file as it is used.
pub(super) fn check_files(entry: &ModelEntry, dir: &Path, verified: &mut Verified) -> Result<(), RegistryError> {
    for file in &entry.card.files {
        let path = dir.join(&file.name);
        check_size(entry, &path, file.bytes)?;
        if verified.knows(&path, &file.sha256) {
            continue;
        }
        check_sum(entry, &path, &file.sha256)?;
        verified.remember(&path, &file.sha256);
    }
    Ok(())
}

pub(super) fn check_size(entry: &ModelEntry, path: &Path, expected: u64) -> Result<(), RegistryError> {
    let id = entry.card.id.clone();
    match std::fs::metadata(path) {
        Ok(m) if m.is_file() && m.len() == expected => Ok(()),
        Ok(m) if m.is_file() => {
            Err(RegistryError::Size { id, path: path.to_path_buf(), found: m.len(), expected, fix: entry.fix() })
        }
        Ok(_) => Err(RegistryError::Missing { id, path: path.to_path_buf(), fix: entry.fix() }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(RegistryError::Missing { id, path: path.to_path_buf(), fix: entry.fix() })
        }
        Err(e) => Err(RegistryError::io("read", path)(e)),
    }
}

pub(super) fn check_sum(entry: &ModelEntry, path: &Path, expected: &str) -> Result<(), RegistryError> {
    let found = sha256_file(path)?;
    if found == expected {
        return Ok(());
    }
    Err(RegistryError::Checksum {
        id: entry.card.id.clone(),
        path: path.to_path_buf(),
        found,
        expected: expected.to_owned(),
        fix: entry.fix(),
    })
}

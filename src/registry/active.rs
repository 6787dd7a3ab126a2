//! Which head answers each task: a small file in the user's folder that survives restarts.
//!
//! `<store>/models/active.toml` names, per task, the model that answers it (`champion`; absent: the encoder's own head) and
//! the ones before it, newest first. Every change writes the whole file anew and renames it into place, under a lock, and
//! raises `revision`: a running service that looks at the file sees the old state or the new one, nothing between.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;

use serde::{Deserialize, Serialize};

use super::{Registry, RegistryError};

/// Name of the file in the user's folder.
const FILE: &str = "active.toml";
/// Earlier models that are kept for `rollback`, per task.
const HISTORY: usize = 10;

/// Who answers a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Id or path of the head's model; `None`: the encoder's own head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion: Option<String>,
    /// Who answered before, newest first; an empty name is the encoder's own head.
    #[serde(default)]
    pub previous: Vec<String>,
}

/// All tasks that were ever switched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    /// Raised by one with every change.
    #[serde(default)]
    pub revision: u64,
    /// By task.
    #[serde(default)]
    pub tasks: BTreeMap<String, Route>,
}

impl Routes {
    /// The model that answers a task; `None`: the encoder's own head.
    pub fn champion(&self, task: &str) -> Option<&str> {
        self.tasks.get(task)?.champion.as_deref()
    }
}

/// What a change is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteChange {
    /// This model answers from now on; `None`: the encoder's own head.
    Activate(Option<String>),
    /// The one before answers again.
    Rollback,
}

impl Registry {
    /// The tasks as they are answered now. A missing file means that nothing was ever switched.
    ///
    /// # Errors
    /// [`RegistryError::Io`] or [`RegistryError::Card`] when the file cannot be read.
    pub fn routes(&self) -> Result<Routes, RegistryError> {
        let path = self.config().user_dir.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Routes::default()),
            Err(e) => return Err(RegistryError::io("read", &path)(e)),
        };
        toml::from_str(&text).map_err(|e| RegistryError::Card {
            path,
            what: e.to_string().trim_end().to_owned(),
            fix: "delete it to go back to the encoder's own heads".to_owned(),
        })
    }

    /// Changes who answers a task and returns the new state. With `expected`, only if the revision is still that one.
    ///
    /// # Errors
    /// [`RegistryError::RouteConflict`] when another change came first, [`RegistryError::NoPrevious`] when there is nothing to
    /// go back to, and those of [`Registry::routes`].
    pub fn change_route(&self, task: &str, change: RouteChange, expected: Option<u64>) -> Result<Routes, RegistryError> {
        let folder = &self.config().user_dir;
        std::fs::create_dir_all(folder).map_err(RegistryError::io("create", folder))?;
        let lock_path = folder.join(".active.lock");
        let lock = File::options().create(true).append(true).open(&lock_path).map_err(RegistryError::io("write", &lock_path))?;
        // Held for the time of one small write; ends with the process.
        lock.lock().map_err(RegistryError::io("lock", &lock_path))?;
        let mut routes = self.routes()?;
        if let Some(expected) = expected.filter(|e| *e != routes.revision) {
            return Err(RegistryError::RouteConflict { task: task.to_owned(), expected, found: routes.revision });
        }
        let route = routes.tasks.entry(task.to_owned()).or_default();
        let before = route.champion.clone();
        match change {
            RouteChange::Activate(None) if before.is_none() => return Ok(routes),
            // The same name again: its folder may hold a newer head, so services look again.
            RouteChange::Activate(champion) if champion == before => {}
            RouteChange::Activate(champion) => {
                route.previous.insert(0, before.unwrap_or_default());
                route.previous.truncate(HISTORY);
                route.champion = champion;
            }
            RouteChange::Rollback => {
                if route.previous.is_empty() {
                    return Err(RegistryError::NoPrevious { task: task.to_owned() });
                }
                route.champion = Some(route.previous.remove(0)).filter(|c| !c.is_empty());
            }
        }
        routes.revision += 1;
        let path = folder.join(FILE);
        let text = toml::to_string(&routes).map_err(|e| RegistryError::io("write", &path)(std::io::Error::other(e)))?;
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|e| e.error)?;
            // The rename itself survives a loss of power once the folder is on disk.
            File::open(folder)?.sync_all()
        };
        write().map_err(RegistryError::io("write", &path))?;
        Ok(routes)
    }
}

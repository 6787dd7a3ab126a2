//! Which head answers each task, switched while the service runs.
//!
//! The registry's file (`Registry::routes`) is the one truth: it survives restarts, and every running service follows it.
//! A head is read and tried before the file says that it answers, and the encoder takes it up between two batches, so no
//! request waits for a switch or is lost by it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::inference::{Encoder, EncoderModel, Head, InferenceError, Scratch};
use crate::registry::{ModelKind, Registry, RegistryError, RouteChange, Routes};

/// How often a running service looks whether another process switched a head.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);
/// A text that every head must be able to answer before it is used.
const TRIAL: &str = "您好，我想查一下订单 hello, where is my order";

/// Why a head cannot answer a task.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// The registry refuses.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Its files are damaged, or it does not fit the encoder.
    #[error("head model `{id}`: {source}")]
    Unfit {
        /// The model.
        id: String,
        /// What is wrong.
        source: InferenceError,
    },
    /// It was trained for another task.
    #[error("model `{id}` is a head of task `{found}`, not of `{task}`; `zhiyin models activate {id} --head {found}`")]
    OtherTask {
        /// The model.
        id: String,
        /// Its task.
        found: String,
        /// The task that was asked for.
        task: String,
    },
    /// A checkpoint of no task in particular.
    #[error("model `{id}` is a checkpoint that can answer any task; name one: `zhiyin models activate {id} --head emotion`")]
    NoTask {
        /// The model.
        id: String,
    },
    /// It reads sentence vectors of another encoder.
    #[error(
        "model `{id}` reads sentence vectors of {base}, the encoder here is {encoder}; train it again on this encoder, or with `--mode full`"
    )]
    OtherEncoder {
        /// The model.
        id: String,
        /// The encoder it was trained on.
        base: String,
        /// The encoder that runs.
        encoder: String,
    },
    /// It answers a task now.
    #[error("model `{id}` answers task `{task}`; switch the task first")]
    InUse {
        /// The model.
        id: String,
        /// The task.
        task: String,
    },
}

/// Reads the head of a model, checks that it fits `model` and answers a text. A model of kind `encoder` gives the labels of
/// its sequence classification checkpoint as the head of `task`.
///
/// # Errors
/// See [`HeadError`].
pub fn load_head(registry: &Registry, model: &EncoderModel, id: &str, task: Option<&str>) -> Result<Arc<Head>, HeadError> {
    let unfit = |source| HeadError::Unfit { id: id.to_owned(), source };
    let checkpoint = registry.find(id)?.card.kind == ModelKind::Encoder;
    let (resolved, head) = if checkpoint {
        let task = task.ok_or_else(|| HeadError::NoTask { id: id.to_owned() })?;
        let resolved = registry.resolve(id)?;
        let head = Head::of_checkpoint(&resolved.dir, task).map_err(unfit)?;
        (resolved, head)
    } else {
        let resolved = registry.resolve_kind(id, ModelKind::Head)?;
        let head = Head::load(&resolved.dir).map_err(unfit)?;
        (resolved, head)
    };
    let found = &head.spec().name;
    if let Some(task) = task.filter(|t| t != found) {
        return Err(HeadError::OtherTask { id: id.to_owned(), found: found.clone(), task: task.to_owned() });
    }
    let head = head.with_version(&format!("{}@{}", resolved.id, resolved.card.version));
    if let Some(base) = resolved.card.base.filter(|b| !head.has_trunk() && **b != **model.version()) {
        return Err(HeadError::OtherEncoder { id: id.to_owned(), base, encoder: model.version().to_string() });
    }
    let head = Arc::new(head);
    model.try_head(&head, TRIAL, &mut Scratch::default()).map_err(unfit)?;
    Ok(head)
}

/// Makes a model answer a task, for every service that follows the registry: checked first, durable afterwards.
///
/// # Errors
/// See [`HeadError`]; [`RegistryError::RouteConflict`] when the revision is not `expected` any more.
pub fn activate(
    registry: &Registry,
    model: &EncoderModel,
    task: Option<&str>,
    id: &str,
    expected: Option<u64>,
) -> Result<(String, Routes), HeadError> {
    let head = load_head(registry, model, id, task)?;
    let found = head.spec().name.clone();
    let routes = registry.change_route(&found, RouteChange::Activate(Some(registry.lasting_name(id)?)), expected)?;
    Ok((found, routes))
}

struct State {
    /// What the encoder runs now, by task; tasks of the encoder's own heads are not in it.
    applied: BTreeMap<String, String>,
    /// Heads in memory, by model.
    loaded: HashMap<String, Arc<Head>>,
    routes: Routes,
}

/// The heads of a running service.
pub struct HeadSwitch {
    registry: Registry,
    encoder: Encoder,
    own: HashMap<String, Arc<Head>>,
    state: Mutex<State>,
}

impl HeadSwitch {
    /// Applies what the registry says, before the first request.
    ///
    /// # Errors
    /// A head that was active cannot be used any more; the message says how to go back.
    pub fn start(registry: Registry, encoder: Encoder) -> Result<Arc<Self>, HeadError> {
        let own = encoder.head_specs().iter().filter_map(|s| Some((s.name.clone(), encoder.model().head(&s.name)?))).collect();
        let state = State { applied: BTreeMap::new(), loaded: HashMap::new(), routes: Routes::default() };
        let switch = Arc::new(Self { registry, encoder, own, state: Mutex::new(state) });
        switch.follow_once()?;
        Ok(switch)
    }

    /// Looks at the registry from time to time, until the service ends.
    pub fn follow(self: &Arc<Self>) -> tokio::task::JoinHandle<()> {
        let switch = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut told: Option<String> = None;
            loop {
                tokio::time::sleep(FOLLOW_EVERY).await;
                let Some(switch) = switch.upgrade() else { return };
                let outcome = tokio::task::spawn_blocking(move || switch.follow_once()).await;
                match outcome {
                    Ok(Err(error)) => {
                        // The old head goes on answering; the same trouble is told once.
                        let text = error.to_string();
                        if told.as_ref() != Some(&text) {
                            tracing::error!(%error, "a head cannot be switched to");
                            told = Some(text);
                        }
                    }
                    _ => told = None,
                }
            }
        })
    }

    /// Who answers each task.
    pub fn routes(&self) -> Routes {
        self.state.lock().routes.clone()
    }

    /// Models whose heads are in memory.
    pub fn loaded(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.state.lock().loaded.keys().cloned().collect();
        ids.sort();
        ids
    }

    /// The registry.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Switches a task to a model, or to the encoder's own head. Blocks for as long as reading the head takes.
    ///
    /// # Errors
    /// See [`HeadError`]; nothing has changed then.
    pub fn activate(&self, task: &str, id: Option<&str>, expected: Option<u64>) -> Result<Routes, HeadError> {
        match id {
            Some(id) => activate(&self.registry, self.encoder.model(), Some(task), id, expected).map(drop)?,
            None => self.registry.change_route(task, RouteChange::Activate(None), expected).map(drop)?,
        }
        self.follow_once()?;
        Ok(self.routes())
    }

    /// Switches a task back to what answered it before.
    ///
    /// # Errors
    /// See [`HeadError`]; [`RegistryError::NoPrevious`] when there is nothing to go back to.
    pub fn rollback(&self, task: &str, expected: Option<u64>) -> Result<Routes, HeadError> {
        self.registry.change_route(task, RouteChange::Rollback, expected)?;
        self.follow_once()?;
        Ok(self.routes())
    }

    /// Reads a head into memory, so that switching to it is immediate.
    ///
    /// # Errors
    /// See [`HeadError`].
    pub fn load(&self, id: &str) -> Result<(), HeadError> {
        let head = load_head(&self.registry, self.encoder.model(), id, None)?;
        self.state.lock().loaded.insert(id.to_owned(), head);
        Ok(())
    }

    /// Takes a head out of memory; whether it was there.
    ///
    /// # Errors
    /// [`HeadError::InUse`] while it answers a task.
    pub fn unload(&self, id: &str) -> Result<bool, HeadError> {
        let mut state = self.state.lock();
        if let Some((task, _)) = state.applied.iter().find(|(_, active)| *active == id) {
            return Err(HeadError::InUse { id: id.to_owned(), task: task.clone() });
        }
        Ok(state.loaded.remove(id).is_some())
    }

    /// Brings the encoder to what the registry says.
    fn follow_once(&self) -> Result<(), HeadError> {
        let mut state = self.state.lock();
        let routes = self.registry.routes()?;
        if routes == state.routes {
            return Ok(());
        }
        // A head that was trained anew under its name is read again.
        let is_current = |id: &str, head: &Head| {
            self.registry.find(id).is_ok_and(|entry| *head.spec().version == *format!("{}@{}", entry.card.id, entry.card.version))
        };
        for task in routes.tasks.keys() {
            let wanted = routes.champion(task);
            let current = wanted.is_none_or(|id| state.loaded.get(id).is_some_and(|head| is_current(id, head)));
            if state.applied.get(task).map(String::as_str) == wanted && current {
                continue;
            }
            match wanted {
                Some(id) => {
                    let head = match state.loaded.get(id).filter(|head| head.spec().name == *task && is_current(id, head)) {
                        Some(head) => head.clone(),
                        None => load_head(&self.registry, self.encoder.model(), id, Some(task.as_str()))?,
                    };
                    let unfit = |source| HeadError::Unfit { id: id.to_owned(), source };
                    self.encoder.set_head(head.clone()).map_err(unfit)?;
                    state.loaded.insert(id.to_owned(), head);
                    state.applied.insert(task.clone(), id.to_owned());
                }
                None => {
                    match self.own.get(task) {
                        Some(own) => {
                            let unfit = |source| HeadError::Unfit { id: task.clone(), source };
                            self.encoder.set_head(own.clone()).map_err(unfit)?;
                        }
                        None => drop(self.encoder.remove_head(task)),
                    }
                    state.applied.remove(task);
                }
            }
            tracing::info!(task = %task, model = wanted.unwrap_or("the encoder's own"), revision = routes.revision, "head switched");
        }
        state.routes = routes;
        Ok(())
    }
}

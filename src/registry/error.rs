//! What can be wrong with a model, each with the command that mends it.

use std::path::PathBuf;

/// What is wrong, where, and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No model of this name.
    #[error("there is no model `{id}`{}; `zhiyin models list` shows what is here{}",
        .nearest.as_ref().map(|n| format!(", did you mean `{n}`?")).unwrap_or_default(),
        .pull.as_ref().map(|p| format!(", `zhiyin models pull {p}` fetches it")).unwrap_or_default())]
    Unknown {
        /// The name that was asked for.
        id: String,
        /// The nearest name that is known, here or on the hub.
        nearest: Option<String>,
        /// The name under which `pull` would fetch it.
        pull: Option<String>,
    },
    /// A path that holds no model.
    #[error(
        "{path} is no model: {what}; name a folder with `card.toml` or in Hugging Face layout (config.json, tokenizer.json, model.safetensors), or a ggml Whisper file"
    )]
    NotAModel {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A card that cannot be read as one.
    #[error("model card {path}: {what}; {fix}")]
    Card {
        /// The card.
        path: PathBuf,
        /// Line and what is wrong.
        what: String,
        /// What to do.
        fix: String,
    },
    /// A model of another kind than is needed.
    #[error(
        "model `{id}` is of kind `{found}`, but a model of kind `{expected}` is needed here; `zhiyin models list` shows which there are"
    )]
    WrongKind {
        /// The model.
        id: String,
        /// Its kind.
        found: &'static str,
        /// The kind that is needed.
        expected: &'static str,
    },
    /// Another change of a task came first.
    #[error("task `{task}` was switched meanwhile: revision {expected} was expected, {found} is there; read it again")]
    RouteConflict {
        /// The task.
        task: String,
        /// The revision that the caller knew.
        expected: u64,
        /// The revision that is there.
        found: u64,
    },
    /// A task that was never switched cannot go back.
    #[error("task `{task}` has no earlier model to go back to; `zhiyin models activate ID --head {task}` switches it")]
    NoPrevious {
        /// The task.
        task: String,
    },
    /// A file of a model is not there.
    #[error("model `{id}`: {path} is missing; {fix}")]
    Missing {
        /// The model.
        id: String,
        /// The file.
        path: PathBuf,
        /// What to do.
        fix: String,
    },
    /// A file has another length than its card says.
    #[error("model `{id}`: {path} has {found} bytes, its card says {expected}; {fix}")]
    Size {
        /// The model.
        id: String,
        /// The file.
        path: PathBuf,
        /// Bytes on disk.
        found: u64,
        /// Bytes in the card.
        expected: u64,
        /// What to do.
        fix: String,
    },
    /// A file has another content than its card says.
    #[error("model `{id}`: {path} has sha256 {found}, expected {expected}; {fix}")]
    Checksum {
        /// The model.
        id: String,
        /// The file.
        path: PathBuf,
        /// sha256 on disk.
        found: String,
        /// sha256 in the card, from the hub or from the user.
        expected: String,
        /// What to do.
        fix: String,
    },
    /// A packed file cannot be unpacked.
    #[error("model `{id}`: {path} cannot be unpacked: {what}; {fix}")]
    Packed {
        /// The model.
        id: String,
        /// The packed file.
        path: PathBuf,
        /// What the decoder says.
        what: String,
        /// What to do.
        fix: String,
    },
    /// A file that was fetched is not what a model file of its name is.
    #[error("{path} is not usable: {what}; {fix}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What to do.
        fix: String,
    },
    /// What `pull` was given cannot be understood.
    #[error(
        "cannot pull `{spec}`: {what}; name one of the known models ({}), `owner/name[@revision]` of a hub, `owner/name/file`, an https:// address of a ggml file, or a local folder or file",
        super::source::known_names()
    )]
    Spec {
        /// What was given.
        spec: String,
        /// What is wrong.
        what: String,
    },
    /// A hub's repository has no model that can be used.
    #[error("{repository}: {what}; {fix}")]
    Repository {
        /// `owner/name@revision`.
        repository: String,
        /// What is wrong.
        what: String,
        /// What to do.
        fix: String,
    },
    /// The model's name is taken.
    #[error("the name `{id}` is taken by {by}; give another with `--id NAME`")]
    Taken {
        /// The name.
        id: String,
        /// By whom.
        by: String,
    },
    /// A transfer did not come to its end.
    #[error("{url}: {what}; {kept_bytes} bytes are kept, {fix}")]
    Transfer {
        /// What was fetched.
        url: String,
        /// What happened.
        what: String,
        /// Bytes that the next attempt need not fetch.
        kept_bytes: u64,
        /// What to do.
        fix: String,
    },
    /// A model that is not on the disk, and the network is not to be used.
    #[error(
        "{what} is not in {looked_in} and the network is switched off; put it there, pull from a folder, or unset HF_HUB_OFFLINE"
    )]
    Offline {
        /// What was asked for.
        what: String,
        /// The folder that was looked in.
        looked_in: String,
    },
    /// Another process pulls the same model.
    #[error("model `{id}` is being pulled by another process; wait until it is done, then `zhiyin models verify {id}`")]
    Busy {
        /// The model.
        id: String,
    },
    /// A model that cannot be removed.
    #[error("model `{id}` is not removed: {what}")]
    NotRemovable {
        /// The model.
        id: String,
        /// Why.
        what: String,
    },
    /// The disk refuses.
    #[error("cannot {action} {path}: {source}; {}", io_fix(.source))]
    Io {
        /// `read`, `write`, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl RegistryError {
    /// For `map_err`: what was done to which path.
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

fn io_fix(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            "free some space (`zhiyin models remove ID` takes a pulled model away) and run the command again"
        }
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            "give this user the right to it or set `store.path` to a folder that it may write to"
        }
        _ => "check the path and the disk, then run the command again",
    }
}

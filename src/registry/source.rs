//! What `pull` can be asked for.

use std::path::{Path, PathBuf};

use reqwest::Url;

use super::card::{check_id, is_inside};
use super::model::nearest;
use super::{ModelKind, RegistryError};

/// A public model that `pull` knows by a short name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownModel {
    /// The short name, and the id of the model once it is here.
    pub name: &'static str,
    /// What it does.
    pub kind: ModelKind,
    /// `owner/name` on the hub.
    pub repository: &'static str,
    /// The one file that is wanted; `None` = the files of an encoder.
    pub file: Option<&'static str>,
    /// Licence of the weights.
    pub licence: &'static str,
    /// Languages it knows that matter here (BCP 47).
    pub languages: &'static [&'static str],
}

const fn whisper(name: &'static str, file: &'static str) -> KnownModel {
    KnownModel {
        name,
        kind: ModelKind::Asr,
        repository: "ggerganov/whisper.cpp",
        file: Some(file),
        licence: "MIT",
        languages: &["zh", "en"],
    }
}

const fn encoder(
    name: &'static str,
    repository: &'static str,
    licence: &'static str,
    languages: &'static [&'static str],
) -> KnownModel {
    KnownModel { name, kind: ModelKind::Encoder, repository, file: None, licence, languages }
}

/// The short names that `pull` knows. Any other model is named by its place on the hub.
pub const KNOWN_MODELS: &[KnownModel] = &[
    whisper("whisper-tiny", "ggml-tiny.bin"),
    whisper("whisper-base", "ggml-base.bin"),
    whisper("whisper-small", "ggml-small.bin"),
    whisper("whisper-medium", "ggml-medium.bin"),
    whisper("whisper-large-v3", "ggml-large-v3.bin"),
    whisper("whisper-large-v3-turbo", "ggml-large-v3-turbo.bin"),
    encoder("bge-small-zh-v1.5", "BAAI/bge-small-zh-v1.5", "MIT", &["zh"]),
    encoder("all-minilm-l6-v2", "sentence-transformers/all-MiniLM-L6-v2", "Apache-2.0", &["en"]),
    encoder("multilingual-e5-small", "intfloat/multilingual-e5-small", "MIT", &["zh", "en"]),
];

/// The known model of this short name; case does not matter.
pub(super) fn known(name: &str) -> Option<&'static KnownModel> {
    KNOWN_MODELS.iter().find(|k| k.name.eq_ignore_ascii_case(name))
}

/// The short names, for messages.
pub(super) fn known_names() -> String {
    KNOWN_MODELS.iter().map(|k| k.name).collect::<Vec<_>>().join(", ")
}

/// A model on a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HubSource {
    /// `owner/name`.
    pub repository: String,
    /// Branch, tag or commit.
    pub revision: String,
    /// The one file that is wanted; `None` = what the repository offers.
    pub file: Option<String>,
    /// Set when a short name was given.
    pub known: Option<&'static KnownModel>,
}

/// Where a model is to come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PullSource {
    Hub(HubSource),
    Url(Url),
    Local(PathBuf),
}

impl PullSource {
    /// Reads what the user typed. A path that exists wins over a hub id that is spelled alike.
    pub(super) fn parse(spec: &str) -> Result<Self, RegistryError> {
        let refuse = |what: String| Err(RegistryError::Spec { spec: spec.to_owned(), what });
        let spec = spec.trim();
        if spec.starts_with("https://") || spec.starts_with("http://") {
            return match Url::parse(spec) {
                Ok(url) if url.host_str().is_some() => Ok(Self::Url(url)),
                Ok(_) => refuse("the address has no host".into()),
                Err(e) => refuse(format!("the address is malformed: {e}")),
            };
        }
        let (name, revision) = spec.rsplit_once('@').unwrap_or((spec, "main"));
        if let Some(known) = known(name) {
            return Ok(Self::Hub(HubSource {
                repository: known.repository.to_owned(),
                revision: revision.to_owned(),
                file: known.file.map(str::to_owned),
                known: Some(known),
            }));
        }
        if Path::new(spec).exists() {
            return Ok(Self::Local(PathBuf::from(spec)));
        }
        if spec.starts_with(['/', '.', '~']) {
            return refuse("there is no such file or folder".into());
        }
        let mut parts = name.splitn(3, '/');
        let (Some(owner), Some(repository)) = (parts.next(), parts.next()) else {
            let near = nearest(name, super::KNOWN_MODELS.iter().map(|k| k.name));
            return refuse(near.map_or("no known model has this name".into(), |n| format!("did you mean `{n}`?")));
        };
        let file = parts.next();
        let well_formed = check_id(owner).is_ok() && check_id(repository).is_ok() && file.is_none_or(is_inside);
        let revision_ok = !revision.is_empty() && revision.split('/').all(|p| check_id(p).is_ok());
        if !well_formed || !revision_ok {
            return refuse("it is no `owner/name[/file][@revision]`".into());
        }
        Ok(Self::Hub(HubSource {
            repository: format!("{owner}/{repository}"),
            revision: revision.to_owned(),
            file: file.map(str::to_owned),
            known: None,
        }))
    }

    /// The id under which the model is kept, unless the user names another.
    pub(super) fn default_id(&self) -> String {
        let stem = |name: &str| Path::new(name).file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let raw = match self {
            Self::Hub(HubSource { known: Some(known), .. }) => known.name.to_owned(),
            Self::Hub(HubSource { file: Some(file), .. }) => stem(file),
            Self::Hub(hub) => hub.repository.split('/').next_back().unwrap_or_default().to_owned(),
            Self::Url(url) => stem(url.path()),
            Self::Local(path) => {
                let path = path.canonicalize().unwrap_or_else(|_| path.clone());
                let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                if path.is_dir() { name } else { stem(&name) }
            }
        };
        id_from(&raw)
    }
}

/// A model's name made from any text: what an id cannot hold becomes `-`.
pub(super) fn id_from(raw: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c.to_ascii_lowercase() } else { '-' };
    let id: String = raw.chars().map(safe).take(100).collect();
    id.trim_start_matches(['.', '-', '_']).to_owned()
}

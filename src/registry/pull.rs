//! Fetching a model: where from, which files, and the card that is written for it.

use std::path::{Path, PathBuf};

use reqwest::Url;
use serde::Deserialize;

use super::card::{CARD_FILE, Card, CardFile, ModelKind, check_id, is_inside, is_sha256};
use super::checksum::sha256_file;
use super::download::{Downloader, is_loopback, shown};
use super::local::{self, ENCODER_EXTRAS, ENCODER_FILES};
use super::source::{HubSource, PullSource};
use super::staging::Staging;
use super::transfer::{self, Expected};
use super::{ModelEntry, Place, Registry, RegistryError, content};

/// What to fetch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullRequest {
    /// A short name (see [`super::KNOWN_MODELS`]), `owner/name[/file][@revision]`, an address of a ggml file, or a path.
    pub spec: String,
    /// sha256 that the weights must have, 64 hexadecimal digits.
    pub sha256: Option<String>,
    /// The id under which the model is kept; made from `spec` when it is not given.
    pub id: Option<String>,
}

/// How far a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullProgress {
    /// Its name in the model's folder.
    pub file: String,
    /// Bytes that are here.
    pub done_bytes: u64,
    /// Bytes in all, where the server tells.
    pub total_bytes: Option<u64>,
}

/// Where one file comes from.
#[derive(Clone, Debug)]
enum Origin {
    Url(Url),
    File(PathBuf),
}

/// One file that is to be fetched.
#[derive(Clone, Debug)]
struct Part {
    name: String,
    origin: Origin,
    sha256: Option<String>,
    bytes: Option<u64>,
    /// A file that the server need not have.
    optional: bool,
}

/// All that is to be fetched; weights first.
#[derive(Debug)]
struct Plan {
    /// The card, without files unless it came with the model.
    card: Card,
    parts: Vec<Part>,
}

/// What a hub tells about a repository (`GET /api/models/{repository}/revision/{revision}?blobs=true`).
#[derive(Debug, Default, Deserialize)]
struct Manifest {
    sha: Option<String>,
    #[serde(default)]
    siblings: Vec<Sibling>,
    #[serde(rename = "cardData")]
    card_data: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    lfs: Option<Lfs>,
}

#[derive(Debug, Deserialize)]
struct Lfs {
    sha256: Option<String>,
}

impl Registry {
    /// Fetches a model into the user's folder. An unfinished pull goes on where it ended; every file is compared with
    /// the checksum that the hub, the card or the request names, and looked into, before the model takes its place.
    ///
    /// # Errors
    /// Any [`RegistryError`]; the model that stood there before is still there then.
    pub async fn pull(
        &self,
        request: &PullRequest,
        progress: &(dyn Fn(&PullProgress) + Send + Sync),
    ) -> Result<ModelEntry, RegistryError> {
        let source = PullSource::parse(&request.spec)?;
        let id = request.id.clone().unwrap_or_else(|| source.default_id());
        let refuse = |what: String| RegistryError::Spec { spec: request.spec.clone(), what };
        check_id(&id).map_err(|what| refuse(format!("`{id}` is no name for a model, {what}; give one with `--id NAME`")))?;
        if self.config().shipped_dir.join(&id).is_dir() {
            return Err(RegistryError::Taken { id, by: "a model that came with the product".into() });
        }
        let expected = request.sha256.as_ref().map(|s| s.trim().to_ascii_lowercase());
        if expected.as_ref().is_some_and(|s| !is_sha256(s)) {
            return Err(refuse("`--sha256` takes 64 hexadecimal digits".into()));
        }
        let downloader = Downloader::new()?;
        let mut plan = match &source {
            PullSource::Hub(hub) => self.plan_hub(hub, &id, &downloader).await?,
            PullSource::Url(url) => plan_url(url, &id, expected.is_some(), &request.spec)?,
            PullSource::Local(path) => plan_local(path, &id)?,
        };
        if let (Some(expected), Some(weights)) = (expected, plan.parts.first_mut()) {
            weights.sha256 = Some(expected);
        }
        let staging = Staging::begin(&self.config().user_dir, &id)?;
        let files = gather(&plan, &staging, &downloader, progress).await?;
        if plan.card.files.is_empty() {
            plan.card.files = files;
        }
        let dir = staging.commit(&plan.card)?;
        Ok(ModelEntry { card: plan.card, dir, place: Place::User, has_card: true })
    }

    async fn plan_hub(&self, hub: &HubSource, id: &str, downloader: &Downloader) -> Result<Plan, RegistryError> {
        let offline = self.config().hub.offline_dir.as_deref();
        if let Some(path) = offline.and_then(|dir| local::find_offline(dir, hub)) {
            let mut plan = plan_local(&path, id)?;
            name_source(&mut plan.card, hub, &hub.revision);
            return Ok(plan);
        }
        let name = format!("{}@{}", hub.repository, hub.revision);
        let Some(endpoint) = &self.config().hub.endpoint else {
            let looked_in = offline.map_or("an offline folder (HF_HOME is not set)".into(), |d| d.display().to_string());
            return Err(RegistryError::Offline { what: name, looked_in });
        };
        let base = Url::parse(endpoint).ok().filter(|u| !u.cannot_be_a_base()).ok_or_else(|| RegistryError::Repository {
            repository: name.clone(),
            what: format!("the hub's address `{endpoint}` is malformed"),
            fix: "set HF_ENDPOINT to an address such as https://huggingface.co".into(),
        })?;
        let mut api =
            join(&base, ["api", "models"].into_iter().chain(hub.repository.split('/')).chain(["revision", &hub.revision]));
        api.set_query(Some("blobs=true"));
        let manifest: Option<Manifest> = downloader.json(&api).await?;
        plan_repository(hub, id, &base, manifest.as_ref())
    }
}

/// `base` with further segments, each encoded by itself.
fn join<'a>(base: &Url, segments: impl IntoIterator<Item = &'a str>) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// Which files of a repository are wanted. Without a manifest (a mirror may have none) by their usual names.
fn plan_repository(hub: &HubSource, id: &str, base: &Url, manifest: Option<&Manifest>) -> Result<Plan, RegistryError> {
    let revision = manifest.and_then(|m| m.sha.clone()).filter(|s| check_id(s).is_ok()).unwrap_or_else(|| hub.revision.clone());
    let resolve = |name: &str| join(base, hub.repository.split('/').chain(["resolve", revision.as_str()]).chain(name.split('/')));
    let (kind, names) = match manifest {
        Some(manifest) => wanted(hub, manifest)?,
        None => match &hub.file {
            Some(file) => (ModelKind::Asr, vec![file.clone()]),
            None => (ModelKind::Encoder, ENCODER_FILES.iter().chain(&ENCODER_EXTRAS).map(|f| (*f).to_owned()).collect()),
        },
    };
    let mut card = local::plain_card(id.to_owned(), kind, String::new());
    if let Some(licence) = manifest.and_then(licence) {
        card.licence = licence;
    }
    name_source(&mut card, hub, &revision);
    let parts = names.into_iter().map(|name| {
        let sibling = manifest.into_iter().flat_map(|m| &m.siblings).find(|s| s.rfilename == name);
        Part {
            origin: Origin::Url(resolve(&name)),
            sha256: sibling.and_then(|s| s.lfs.as_ref()?.sha256.clone()).filter(|s| is_sha256(s)),
            bytes: sibling.and_then(|s| s.size),
            optional: ENCODER_EXTRAS.contains(&name.as_str()),
            // A single file lies at the top of the model's folder, wherever the repository has it.
            name: match &hub.file {
                Some(_) => name.rsplit('/').next().unwrap_or(&name).to_owned(),
                None => name,
            },
        }
    });
    Ok(Plan { card, parts: parts.collect() })
}

/// Kind and files of a repository, weights first.
fn wanted(hub: &HubSource, manifest: &Manifest) -> Result<(ModelKind, Vec<String>), RegistryError> {
    let has = |name: &str| manifest.siblings.iter().any(|s| s.rfilename == name && is_inside(name));
    let refuse = |what: String, fix: String| Err(RegistryError::Repository { repository: hub.repository.clone(), what, fix });
    let ggml: Vec<&str> =
        manifest.siblings.iter().map(|s| s.rfilename.as_str()).filter(|n| n.ends_with(".bin") && n.contains("ggml")).collect();
    let pull_one = || format!("name one file: `zhiyin models pull {}/{}`", hub.repository, ggml.first().unwrap_or(&"FILE"));
    if let Some(file) = &hub.file {
        return if has(file) {
            Ok((hub.known.map_or(ModelKind::Asr, |k| k.kind), vec![file.clone()]))
        } else {
            refuse(format!("it has no file `{file}`, its ggml files are: {}", ggml.join(", ")), pull_one())
        };
    }
    let missing: Vec<&str> = ENCODER_FILES.into_iter().filter(|f| !has(f)).collect();
    if missing.is_empty() {
        let extras = ENCODER_EXTRAS.into_iter().filter(|f| has(f));
        return Ok((ModelKind::Encoder, ENCODER_FILES.into_iter().chain(extras).map(str::to_owned).collect()));
    }
    match ggml.as_slice() {
        [one] if is_inside(one) => Ok((ModelKind::Asr, vec![(*one).to_owned()])),
        [] => refuse(
            format!("it has no {}", missing.join(" and no ")),
            "take a repository that has them, or convert the model to safetensors with a `tokenizer.json` and pull the folder"
                .into(),
        ),
        many => refuse(format!("it has several ggml files: {}", many.join(", ")), pull_one()),
    }
}

fn licence(manifest: &Manifest) -> Option<String> {
    manifest.card_data.as_ref()?.get("license")?.as_str().map(str::to_owned)
}

/// Says in the card where the model came from, in the words that `pull` takes.
fn name_source(card: &mut Card, hub: &HubSource, revision: &str) {
    let file = hub.file.as_ref().map(|f| format!("/{f}")).unwrap_or_default();
    card.source = format!("{}{file}@{revision}", hub.repository);
    if let Some(known) = hub.known {
        known.licence.clone_into(&mut card.licence);
        card.languages = known.languages.iter().map(|l| (*l).to_owned()).collect();
    }
}

fn plan_url(url: &Url, id: &str, has_sha256: bool, spec: &str) -> Result<Plan, RegistryError> {
    let refuse = |what: &str| Err(RegistryError::Spec { spec: spec.to_owned(), what: what.to_owned() });
    if url.scheme() == "http" && !has_sha256 && !is_loopback(url) {
        return refuse(
            "over http:// anybody on the way can change the file; use https:// or say what it must be with `--sha256`",
        );
    }
    let name = url.path_segments().and_then(|mut s| s.next_back()).filter(|n| is_inside(n)).unwrap_or("model.bin");
    if name.ends_with(".safetensors") || name.ends_with(".json") {
        return refuse("an address names one ggml file, an encoder has several files; use `owner/name` or a local folder");
    }
    let part = Part { name: name.to_owned(), origin: Origin::Url(url.clone()), sha256: None, bytes: None, optional: false };
    Ok(Plan { card: local::plain_card(id.to_owned(), ModelKind::Asr, shown(url)), parts: vec![part] })
}

fn plan_local(path: &Path, id: &str) -> Result<Plan, RegistryError> {
    let path = std::path::absolute(path).map_err(RegistryError::io("read", path))?;
    let source = path.display().to_string();
    if path.join(CARD_FILE).is_file() {
        let mut card = Card::read(&path)?;
        id.clone_into(&mut card.id);
        if card.source == "built-in" {
            card.source = source;
        }
        let weights = card.weights().map(|f| f.name.clone());
        // Weights first: a checksum that the user names is theirs. One of a packed file would be of the packed bytes.
        card.files.sort_by_key(|f| Some(&f.name) != weights.as_ref());
        let parts = card.files.iter().map(|file| {
            let (name, sha256, bytes) = match &file.packed {
                Some(p) => (&p.name, &p.sha256, p.bytes),
                None => (&file.name, &file.sha256, file.bytes),
            };
            let origin = Origin::File(path.join(name));
            Part { name: name.clone(), origin, sha256: Some(sha256.clone()), bytes: Some(bytes), optional: false }
        });
        return Ok(Plan { parts: parts.collect(), card });
    }
    let (kind, dir, names) = local::files_at(&path)?;
    let parts = names.into_iter().map(|name| {
        let file = dir.join(&name);
        Part { sha256: local::sha256_in_cache(&file), origin: Origin::File(file), name, bytes: None, optional: false }
    });
    Ok(Plan { card: local::plain_card(id.to_owned(), kind, source), parts: parts.collect() })
}

/// Brings every file of the plan into the staging folder and looks into it. Returns them as a card lists them.
async fn gather(
    plan: &Plan,
    staging: &Staging,
    downloader: &Downloader,
    progress: &(dyn Fn(&PullProgress) + Send + Sync),
) -> Result<Vec<CardFile>, RegistryError> {
    let mut files = Vec::with_capacity(plan.parts.len());
    for (i, part) in plan.parts.iter().enumerate() {
        let target = staging.path(&part.name)?;
        let expected = Expected { id: plan.card.id.clone(), sha256: part.sha256.clone(), bytes: part.bytes };
        let on_bytes = |done_bytes, total_bytes| {
            progress(&PullProgress { file: part.name.clone(), done_bytes, total_bytes });
        };
        let outcome = if let Some(found) = already_here(part, &target, &staging.target().join(&part.name)) {
            on_bytes(found.1, Some(found.1));
            Some(found)
        } else {
            match &part.origin {
                Origin::File(source) => Some(transfer::copy(source, &target, &expected, &on_bytes).await?),
                Origin::Url(url) => downloader.fetch(url, &target, expected, &on_bytes).await?,
            }
        };
        let Some((sha256, bytes)) = outcome else {
            if part.optional {
                continue;
            }
            return Err(absent(plan, part));
        };
        let is_weights = i == 0 && plan.card.files.iter().all(|f| f.packed.is_none());
        if let Err(what) = content::check(&part.name, plan.card.kind, is_weights, &target) {
            std::fs::remove_file(&target).map_err(RegistryError::io("remove", &target))?;
            let fix = "it was deleted; check the name or address, `zhiyin models pull --help` shows examples".into();
            return Err(RegistryError::Content { path: target, what, fix });
        }
        files.push(CardFile { name: part.name.clone(), sha256, bytes, packed: None });
    }
    Ok(files)
}

/// A file of known checksum that an unfinished pull or the installed model has need not come again.
fn already_here(part: &Part, target: &Path, installed: &Path) -> Option<(String, u64)> {
    let expected = part.sha256.as_ref()?;
    let matches = |path: &Path| path.is_file().then(|| sha256_file(path).ok()).flatten().as_ref() == Some(expected);
    if !matches(target) {
        if !matches(installed) {
            return None;
        }
        let _ = std::fs::remove_file(target);
        std::fs::hard_link(installed, target).or_else(|_| std::fs::copy(installed, target).map(drop)).ok()?;
    }
    Some((expected.clone(), std::fs::metadata(target).ok()?.len()))
}

fn absent(plan: &Plan, part: &Part) -> RegistryError {
    let place = match &part.origin {
        Origin::Url(url) => shown(url),
        Origin::File(path) => path.display().to_string(),
    };
    RegistryError::Repository {
        repository: plan.card.source.clone(),
        what: format!("there is no {} ({place})", part.name),
        fix: "check the spelling of the model, its revision, and the address of the hub (HF_ENDPOINT)".into(),
    }
}

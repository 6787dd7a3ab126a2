//! Models on a disk: folders and files without a card, and the folders that a hub's cache is made of.

use std::path::{Path, PathBuf};

use super::card::{Card, CardFile, ModelKind, is_sha256};
use super::source::{HubSource, id_from};
use super::{RegistryError, content};

/// What an encoder in Hugging Face layout cannot do without; the weights first.
pub(super) const ENCODER_FILES: [&str; 3] = ["model.safetensors", "config.json", "tokenizer.json"];
/// What it may have besides: heads, pooling, how texts are cut.
pub(super) const ENCODER_EXTRAS: [&str; 8] = [
    "heads.toml",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
    "README.md",
];
/// Sample rate of every Whisper model, hertz.
pub(super) const WHISPER_RATE_HZ: u32 = 16_000;
/// For cards of models whose source does not say.
pub(super) const NOT_STATED: &str = "not stated";

/// Whether a folder without a card is meant as a model.
pub(super) fn looks_like_model(dir: &Path) -> bool {
    dir.join(ENCODER_FILES[0]).is_file()
        || std::fs::read_dir(dir).into_iter().flatten().flatten().any(|e| e.path().extension().is_some_and(|x| x == "bin"))
}

/// A card of few words, for a model that has none.
pub(super) fn plain_card(id: String, kind: ModelKind, source: String) -> Card {
    Card {
        id,
        kind,
        version: "1".into(),
        source,
        licence: NOT_STATED.into(),
        data_licences: Vec::new(),
        languages: Vec::new(),
        sample_rate_hz: (kind == ModelKind::Asr).then_some(WHISPER_RATE_HZ),
        max_tokens: None,
        label_sets: Vec::new(),
        base: None,
        intended_use: String::new(),
        limits: Vec::new(),
        files: Vec::new(),
        measured: Vec::new(),
        unknown: toml::Table::new(),
    }
}

/// Kind and file names, weights first, of a folder in Hugging Face layout or of a ggml file; with the folder they lie in.
pub(super) fn files_at(path: &Path) -> Result<(ModelKind, PathBuf, Vec<String>), RegistryError> {
    let refuse = |what: String| Err(RegistryError::NotAModel { path: path.to_path_buf(), what });
    if path.is_file() {
        let Some((dir, name)) = path.parent().zip(path.file_name().and_then(|n| n.to_str())) else {
            return refuse("its name is no UTF-8".into());
        };
        if let Err(what) = content::check(name, ModelKind::Asr, true, path) {
            return refuse(what);
        }
        if ["safetensors", "json", "toml"].iter().any(|e| path.extension().is_some_and(|x| x == *e)) {
            return refuse("it is one file of an encoder; name the folder that holds it".into());
        }
        return Ok((ModelKind::Asr, dir.to_path_buf(), vec![name.to_owned()]));
    }
    let missing: Vec<&str> = ENCODER_FILES.into_iter().filter(|f| !path.join(f).is_file()).collect();
    if missing.is_empty() {
        let extras = ENCODER_EXTRAS.into_iter().filter(|f| path.join(f).is_file());
        let names = ENCODER_FILES.into_iter().chain(extras).map(str::to_owned).collect();
        return Ok((ModelKind::Encoder, path.to_path_buf(), names));
    }
    let ggml = ggml_files(path);
    match ggml.as_slice() {
        [one] => Ok((ModelKind::Asr, path.to_path_buf(), vec![one.clone()])),
        [] => refuse(format!("the folder has no {}", missing.join(" and no "))),
        many => refuse(format!("the folder has several ggml files ({}); name one of them", many.join(", "))),
    }
}

/// A card made from the files themselves, and the folder they lie in. `sha256` gives the checksum of a file.
pub(super) fn describe(
    path: &Path,
    sha256: &mut dyn FnMut(&Path) -> Result<String, RegistryError>,
) -> Result<(Card, PathBuf), RegistryError> {
    let (kind, dir, names) = files_at(path)?;
    let name = path.file_stem().filter(|_| path.is_file()).or(path.file_name());
    let id = id_from(&name.unwrap_or_default().to_string_lossy());
    let mut card = plain_card(id, kind, path.display().to_string());
    for name in names {
        let file = dir.join(&name);
        let bytes = std::fs::metadata(&file).map_err(RegistryError::io("read", &file))?.len();
        card.files.push(CardFile { sha256: sha256(&file)?, name, bytes, packed: None });
    }
    Ok((card, dir))
}

/// Where an offline folder holds a model of the hub: as `HF_HOME` does (`hub/models--owner--name/snapshots/<commit>`, with
/// `refs/<revision>` naming the commit), or in a plain folder `owner/name`, `name` or `<short name>`, or as a plain file.
pub(super) fn find_offline(offline_dir: &Path, hub: &HubSource) -> Option<PathBuf> {
    let cached = format!("models--{}", hub.repository.replace('/', "--"));
    let snapshots = [offline_dir.join("hub").join(&cached), offline_dir.join(&cached)].into_iter().map(|repository| {
        let commit = std::fs::read_to_string(repository.join("refs").join(&hub.revision));
        repository.join("snapshots").join(commit.as_deref().map_or(hub.revision.as_str(), str::trim))
    });
    let name = hub.repository.split('/').next_back().unwrap_or_default();
    let plain = [Some(hub.repository.as_str()), Some(name), hub.known.map(|k| k.name), Some(".")];
    // A plain folder has no revisions: it stands for the default one alone.
    let plain = plain.into_iter().flatten().filter(|_| hub.revision == "main").map(|p| offline_dir.join(p));
    let folders = snapshots.chain(plain);
    match &hub.file {
        Some(file) => folders.map(|f| f.join(file)).find(|f| f.is_file()),
        None => folders
            .filter(|f| !f.ends_with("."))
            .find(|f| ENCODER_FILES.iter().all(|n| f.join(n).is_file()) || ggml_files(f).len() == 1),
    }
}

/// A hub's cache names large files by their sha256 and links to them.
pub(super) fn sha256_in_cache(path: &Path) -> Option<String> {
    let target = std::fs::read_link(path).ok()?;
    target.file_name()?.to_str().filter(|n| is_sha256(n)).map(str::to_owned)
}

fn ggml_files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
    names.retain(|n| n.ends_with(".bin") && content::check(n, ModelKind::Asr, true, &dir.join(n)).is_ok());
    names.sort();
    names
}

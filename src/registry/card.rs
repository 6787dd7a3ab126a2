//! `card.toml`: what a model is, which files it has, and what was measured.

use std::fmt;
use std::path::{Component, Path};

use serde::{Deserialize, Deserializer, Serialize};

use super::RegistryError;

/// Name of the card in a model's folder.
pub(super) const CARD_FILE: &str = "card.toml";

/// What a model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// Recogniser: a ggml Whisper file.
    Asr,
    /// Text encoder: a BERT-family checkpoint in Hugging Face layout.
    Encoder,
    /// Voice activity.
    Vad,
    /// A head of one's own for an encoder: `heads.toml` and `head.safetensors`, made by `zhiyin train`.
    Head,
}

impl ModelKind {
    /// The word in the card.
    pub fn name(self) -> &'static str {
        match self {
            Self::Asr => "asr",
            Self::Encoder => "encoder",
            Self::Vad => "vad",
            Self::Head => "head",
        }
    }
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// RFC 8878.
    Zstd,
    /// RFC 1952.
    Gzip,
}

/// The packed form in which a file lies in the model's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedFile {
    /// Path relative to the model's folder.
    pub name: String,
    /// sha256 of the packed bytes, 64 hexadecimal digits.
    pub sha256: String,
    /// Length of the packed bytes.
    pub bytes: u64,
    /// How it is packed.
    pub codec: Codec,
}

/// One file that the model needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardFile {
    /// Path relative to the model's folder, `/` between its parts.
    pub name: String,
    /// sha256 of the file as it is used (unpacked), 64 hexadecimal digits.
    pub sha256: String,
    /// Length of the file as it is used, bytes.
    pub bytes: u64,
    /// Set where the folder holds the file packed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packed: Option<PackedFile>,
}

impl CardFile {
    /// A file of a model's folder as it lies there.
    ///
    /// # Errors
    /// [`RegistryError::Io`] when it cannot be read.
    pub fn of(dir: &Path, name: &str) -> Result<Self, RegistryError> {
        let path = dir.join(name);
        let bytes = std::fs::metadata(&path).map_err(RegistryError::io("read", &path))?.len();
        Ok(Self { name: name.to_owned(), sha256: super::checksum::sha256_file(&path)?, bytes, packed: None })
    }
}

/// One measured result and the command that produced it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// What was measured, for example `cer_zh_unseen_voice`.
    pub figure: String,
    /// The number.
    pub value: f64,
    /// `ratio`, `texts/s`, …
    #[serde(default)]
    pub unit: String,
    /// The data it was measured on.
    #[serde(default)]
    pub on: String,
    /// The command that prints it.
    #[serde(default)]
    pub command: String,
    /// Keys that no field has.
    #[serde(flatten)]
    pub unknown: toml::Table,
}

/// What a model is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// The model's name and the name of its folder: letters, digits, `.`, `_`, `-`.
    pub id: String,
    /// What it does.
    pub kind: ModelKind,
    /// Which release of it.
    #[serde(deserialize_with = "text_or_number")]
    pub version: String,
    /// `built-in`, or what `pull` takes: a hub id, an address, a path.
    pub source: String,
    /// Licence of the weights, an SPDX expression where there is one.
    pub licence: String,
    /// Licences of the data it was trained on, `data set: licence`.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub data_licences: Vec<String>,
    /// BCP 47 tags of the languages it knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub languages: Vec<String>,
    /// Sample rate that it hears, hertz (recogniser, voice activity).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_rate_hz: Option<u32>,
    /// Longest text, tokens (encoder).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Label sets of its heads (`pipelines/taxonomy`).
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub label_sets: Vec<String>,
    /// Version of the encoder whose sentence vectors it reads (head).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// What it is meant for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub intended_use: String,
    /// What it cannot do.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub limits: Vec<String>,
    /// The files, weights first. A model inside its crate has none.
    #[serde(default)]
    pub files: Vec<CardFile>,
    /// Measured results.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measured: Vec<Measured>,
    /// Keys that no field has: kept, and reported by `verify`.
    #[serde(flatten)]
    pub unknown: toml::Table,
}

/// A card's `version = 1` means the same as `version = "1"`.
fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match toml::Value::deserialize(deserializer)? {
        toml::Value::String(text) => Ok(text),
        number @ (toml::Value::Integer(_) | toml::Value::Float(_)) => Ok(number.to_string()),
        other => Err(serde::de::Error::custom(format!("expected a text, found {}", other.type_str()))),
    }
}

/// One text means the same as a list with one text.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a text or a list of texts")]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(text) => vec![text],
        OneOrMany::Many(texts) => texts,
    })
}

impl Card {
    /// Reads the card of a model's folder.
    ///
    /// # Errors
    /// [`RegistryError::Io`] when it cannot be read, [`RegistryError::Card`] when it contradicts the format.
    pub fn read(dir: &Path) -> Result<Self, RegistryError> {
        let path = dir.join(CARD_FILE);
        let text = std::fs::read_to_string(&path).map_err(RegistryError::io("read", &path))?;
        let refuse = |what: String| RegistryError::Card {
            path: path.clone(),
            what,
            fix: "correct it, or take the folder away and pull the model again (`zhiyin models pull`)".to_owned(),
        };
        let card: Self = toml::from_str(&text).map_err(|e| refuse(e.to_string().trim_end().to_owned()))?;
        card.contradiction().map_or(Ok(card.clone()), |what| Err(refuse(what)))
    }

    /// A card without files and words, to be filled in.
    pub fn of(id: String, kind: ModelKind, source: &str) -> Self {
        super::local::plain_card(id, kind, source.to_owned())
    }

    /// Writes the card into a model's folder.
    ///
    /// # Errors
    /// [`RegistryError::Card`] when it contradicts the format, [`RegistryError::Io`] when it cannot be written.
    pub fn write(&self, dir: &Path) -> Result<(), RegistryError> {
        let path = dir.join(CARD_FILE);
        let fix = "choose another name for the folder".to_owned();
        if let Some(what) = self.contradiction() {
            return Err(RegistryError::Card { path, what, fix });
        }
        let text = self.to_toml().map_err(|e| RegistryError::Card { path: path.clone(), what: e.to_string(), fix })?;
        std::fs::write(&path, text).map_err(RegistryError::io("write", &path))
    }

    /// The card as TOML.
    pub(super) fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// The file that a loader opens first: `model.safetensors` of an encoder, else the first of the card.
    pub fn weights(&self) -> Option<&CardFile> {
        self.files.iter().find(|f| f.name == "model.safetensors").or(self.files.first())
    }

    /// Length of all files as they are used, bytes.
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum()
    }

    /// Length of all files as they lie in the model's folder, bytes.
    pub fn stored_bytes(&self) -> u64 {
        self.files.iter().map(|f| f.packed.as_ref().map_or(f.bytes, |p| p.bytes)).sum()
    }

    /// Keys of the card that nothing reads, sorted.
    pub fn unknown_keys(&self) -> Vec<String> {
        let measured = self.measured.iter().flat_map(|m| m.unknown.keys().map(|k| format!("measured.{k}")));
        let mut keys: Vec<String> = self.unknown.keys().cloned().chain(measured).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// What the format cannot say by itself.
    fn contradiction(&self) -> Option<String> {
        if let Err(what) = check_id(&self.id) {
            return Some(format!("id = \"{}\": {what}", self.id));
        }
        for file in &self.files {
            let packed = file.packed.as_ref().map(|p| (&p.name, &p.sha256));
            for (name, sha256) in [(&file.name, &file.sha256)].into_iter().chain(packed) {
                if !is_inside(name) {
                    return Some(format!("file name \"{name}\" must be relative and stay inside the model's folder"));
                }
                if !is_sha256(sha256) {
                    return Some(format!("sha256 of {name} must be 64 hexadecimal digits in lower case, found \"{sha256}\""));
                }
            }
        }
        None
    }
}

/// `Err` says what is wrong with a model's name.
pub(super) fn check_id(id: &str) -> Result<(), &'static str> {
    if id.is_empty() || id.len() > 100 {
        return Err("a model's name has 1 to 100 characters");
    }
    let starts_well = id.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !starts_well || !id.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        return Err("a model's name starts with a letter or digit and holds letters, digits, `.`, `_` and `-` only");
    }
    Ok(())
}

/// Whether a name in a card or from a hub stays inside the folder it is joined to.
pub(super) fn is_inside(name: &str) -> bool {
    !name.is_empty() && !name.contains('\\') && Path::new(name).components().all(|c| matches!(c, Component::Normal(_)))
}

/// 64 hexadecimal digits in lower case.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

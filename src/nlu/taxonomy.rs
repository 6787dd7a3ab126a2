//! The intent taxonomy: groups, intents and their names in two languages.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use super::NluError;
use crate::conversation::Language;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[expect(dead_code, reason = "part of the file's form")]
    version: u32,
    group: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    id: String,
    #[expect(dead_code, reason = "part of the file's form")]
    zh: String,
    #[expect(dead_code, reason = "part of the file's form")]
    en: String,
    intents: Vec<Intent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Intent {
    id: String,
    zh: String,
    en: String,
}

/// One intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntentEntry {
    /// Id, closed list.
    pub id: String,
    /// Upper level.
    pub group: String,
    /// Name in Mandarin.
    pub zh: String,
    /// Name in English.
    pub en: String,
}

impl IntentEntry {
    /// The name in a language.
    pub fn title(&self, language: Language) -> &str {
        match language {
            Language::Zh => &self.zh,
            Language::En => &self.en,
        }
    }
}

/// The two-level intent taxonomy of a deployment.
#[derive(Clone, Debug, Default)]
pub struct Taxonomy {
    entries: Vec<IntentEntry>,
    by_id: HashMap<String, usize>,
}

impl Taxonomy {
    /// Reads `intent.toml` in a folder.
    ///
    /// # Errors
    /// The file is missing, is not of its form, or names an intent twice.
    pub fn load(folder: &Path) -> Result<Self, NluError> {
        let path = folder.join("intent.toml");
        let text = std::fs::read_to_string(&path).map_err(|source| NluError::Unreadable { path: path.clone(), source })?;
        let file: File = toml::from_str(&text).map_err(|e| NluError::Invalid { path: path.clone(), message: e.to_string() })?;
        let mut taxonomy = Self::default();
        for group in file.group {
            for intent in group.intents {
                let place = taxonomy.entries.len();
                if taxonomy.by_id.insert(intent.id.clone(), place).is_some() {
                    return Err(NluError::Invalid { path, message: format!("intent \"{}\" stands twice", intent.id) });
                }
                taxonomy.entries.push(IntentEntry { id: intent.id, group: group.id.clone(), zh: intent.zh, en: intent.en });
            }
        }
        Ok(taxonomy)
    }

    /// The intent of this id.
    pub fn get(&self, id: &str) -> Option<&IntentEntry> {
        self.by_id.get(id).map(|&place| &self.entries[place])
    }

    /// All intents, in the order of the file.
    pub fn entries(&self) -> &[IntentEntry] {
        &self.entries
    }
}

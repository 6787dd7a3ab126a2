//! Wordings (话术) by situation.

use std::path::Path;

use serde::Deserialize;

use super::AssistError;
use crate::conversation::Language;

/// A wording for a situation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Slug.
    pub id: String,
    /// Shown when the customer feels this (emotion labels) …
    #[serde(default)]
    pub emotions: Vec<String>,
    /// … or does this (conduct labels) …
    #[serde(default)]
    pub conduct: Vec<String>,
    /// … or wants this (intents).
    #[serde(default)]
    pub intents: Vec<String>,
    /// Heading in Mandarin.
    pub title_zh: String,
    /// Heading in English.
    pub title_en: String,
    /// Wording in Mandarin.
    pub zh: String,
    /// Wording in English.
    pub en: String,
}

impl Template {
    /// Heading and wording in a language.
    pub fn words(&self, language: Language) -> (&str, &str) {
        match language {
            Language::Zh => (&self.title_zh, &self.zh),
            Language::En => (&self.title_en, &self.en),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    template: Vec<Template>,
}

/// All wordings of a deployment.
#[derive(Clone, Debug, Default)]
pub struct TemplateBook {
    templates: Vec<Template>,
}

impl TemplateBook {
    /// Reads a template file.
    ///
    /// # Errors
    /// The file is missing or not of its form.
    pub fn load(path: &Path) -> Result<Self, AssistError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| AssistError::Unreadable { path: path.to_path_buf(), source })?;
        let file: File =
            toml::from_str(&text).map_err(|e| AssistError::Invalid { path: path.to_path_buf(), message: e.to_string() })?;
        Ok(Self { templates: file.template })
    }

    /// The first wording that fits what the customer does or feels.
    pub fn fitting(&self, emotion: Option<&str>, conduct: &[&str], intents: &[&str]) -> Option<&Template> {
        let has = |list: &[String], values: &[&str]| list.iter().any(|l| values.contains(&l.as_str()));
        self.templates
            .iter()
            .find(|t| has(&t.conduct, conduct) || emotion.is_some_and(|e| has(&t.emotions, &[e])) || has(&t.intents, intents))
    }
}

//! Documents: what editors write and what the index holds.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::conversation::{IdKind, Language};

use super::{KnowledgeError, Result};

/// Greatest size of a body in bytes.
pub const MAX_BODY_BYTES: usize = 5 * 1024 * 1024;
/// Greatest length of a title or a question in code points.
pub const MAX_TITLE_CHARS: usize = 300;
/// In `queues` and `audience`: open to all.
pub const OPEN_TO_ALL: &str = "*";

/// What a document is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// An explanation of a subject.
    #[default]
    Article,
    /// A question and its answer.
    Faq,
    /// Wording for agents.
    Script,
    /// A rule of the company.
    Policy,
}

impl DocumentKind {
    /// The wire name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Article => "article",
            Self::Faq => "faq",
            Self::Script => "script",
            Self::Policy => "policy",
        }
    }
}

/// The markup of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BodyFormat {
    /// CommonMark headings, lists, tables.
    #[default]
    Markdown,
    /// HTML, sanitised on arrival.
    Html,
    /// Plain text.
    Text,
}

/// The state of a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VersionState {
    /// Being written.
    #[default]
    Draft,
    /// Waiting for approval.
    Review,
    /// What everybody finds.
    Published,
    /// Kept, found no more.
    Archived,
}

impl std::fmt::Display for VersionState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Draft => "draft",
            Self::Review => "review",
            Self::Published => "published",
            Self::Archived => "archived",
        })
    }
}

/// What an editor writes: the body of `POST /knowledge/documents`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentContent {
    /// Title, 1 to 300 code points.
    pub title: String,
    /// What it is for.
    #[serde(default)]
    pub kind: DocumentKind,
    /// `zh` or `en`; a BCP 47 tag is read by its first part.
    #[serde(deserialize_with = "language")]
    pub language: Language,
    /// The text.
    pub body: String,
    /// Its markup.
    #[serde(default)]
    pub format: BodyFormat,
    /// Questions that it answers, in the words of customers.
    #[serde(default)]
    pub questions: Vec<String>,
    /// Intents of the taxonomy that it answers: who is understood to want one of them finds it sooner. Empty: any.
    #[serde(default)]
    pub intents: Vec<String>,
    /// Queues that see it; empty: all.
    #[serde(default)]
    pub queues: Vec<String>,
    /// Place in the taxonomy, levels parted by `/`.
    #[serde(default)]
    pub category: Option<String>,
    /// Controlled tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Who looks after it.
    #[serde(default)]
    pub owner: Option<String>,
    /// Groups that see it, such as `agent` or `customer`; empty: all.
    #[serde(default)]
    pub audience: Vec<String>,
    /// Found from this moment on.
    #[serde(default)]
    pub effective_from: Option<DateTime<Utc>>,
    /// When it has to be looked at again.
    #[serde(default)]
    pub review_at: Option<DateTime<Utc>>,
    /// Found no more from this moment on.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
}

fn language<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Language, D::Error> {
    let tag = std::borrow::Cow::<str>::deserialize(deserializer)?;
    Language::from_tag(&tag).ok_or_else(|| serde::de::Error::custom(format!("language `{tag}` is not supported; use zh or en")))
}

impl DocumentContent {
    /// Whether readers of these queues see it; without any they see every queue.
    pub fn open_to(&self, queues: &[String]) -> bool {
        let open = |queue: &String| queue == OPEN_TO_ALL || queues.contains(queue);
        queues.is_empty() || self.queues.is_empty() || self.queues.iter().any(open)
    }

    /// Checks lengths, emptiness and the order of dates.
    ///
    /// # Errors
    /// [`KnowledgeError::InvalidDocument`] with the first field that breaks a rule.
    pub fn validate(&self) -> Result<()> {
        let invalid = |field, problem: String| Err(KnowledgeError::InvalidDocument { field, problem });
        let title_chars = self.title.trim().chars().count();
        if title_chars == 0 || title_chars > MAX_TITLE_CHARS {
            return invalid("title", format!("has {title_chars} characters; 1 to {MAX_TITLE_CHARS} are allowed"));
        }
        if self.body.trim().is_empty() {
            return invalid("body", "is empty; write the text that the document is to answer with".to_owned());
        }
        if self.body.len() > MAX_BODY_BYTES {
            return invalid("body", format!("has {} bytes; {MAX_BODY_BYTES} are allowed; split the document", self.body.len()));
        }
        if let Some(position) = self.questions.iter().position(|question| question.chars().count() > MAX_TITLE_CHARS) {
            return invalid("questions", format!("question {} is longer than {MAX_TITLE_CHARS} characters", position + 1));
        }
        if let (Some(from), Some(until)) = (self.effective_from, self.expires_at)
            && from >= until
        {
            return invalid("expires_at", "lies before effective_from; the document would never be found".to_owned());
        }
        Ok(())
    }
}

/// A published version: what the index holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Document {
    /// `doc_…`
    pub document_id: String,
    /// Which version, from 1.
    pub version: u32,
    /// The text and its properties.
    pub content: DocumentContent,
}

/// The id of a document that has a name of its own (a file, a row): the same name gives the same id.
pub fn document_id_of(name: &str) -> String {
    stable_id(IdKind::Document, &[name])
}

/// An id made from parts: `prefix_` and a ULID of the first 128 bits of their SHA-256.
pub(super) fn stable_id(kind: IdKind, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let mut bits = [0; 16];
    bits.copy_from_slice(&hash.finalize()[..16]);
    format!("{}_{}", kind.prefix(), ulid::Ulid::from(u128::from_be_bytes(bits)))
}

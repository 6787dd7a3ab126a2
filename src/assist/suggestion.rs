//! The suggestion and its parts, as the wire shows them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::conversation::UtteranceId;

/// Kind of a suggestion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SuggestionKind {
    /// A cited answer.
    Answer,
    /// An article to read.
    Article,
    /// A wording.
    Template,
    /// The next step of a procedure.
    NextStep,
    /// A form field.
    FormFill,
    /// Another tone.
    Tone,
}

/// A place in a knowledge document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Citation {
    /// Document.
    pub document_id: String,
    /// Its version.
    pub version: u32,
    /// Passage.
    pub passage_id: String,
    /// The words that support the suggestion.
    pub quote: String,
    /// First code point of the quote in the passage.
    pub start: usize,
    /// First code point behind it.
    pub end: usize,
}

/// One reason of a suggestion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Why {
    /// Which signal: `intent`, `retrieval`, `emotion`, `cool_down`…
    pub signal: String,
    /// Its value.
    pub value: String,
}

/// What set a suggestion off.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SuggestionTrigger {
    /// Utterances.
    pub utterance_ids: Vec<UtteranceId>,
    /// Intent.
    pub intent: Option<String>,
    /// Made before the final.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub speculative: bool,
}

/// A suggestion to the agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Suggestion {
    /// Its name.
    pub suggestion_id: String,
    /// Revision, from 1.
    pub rev: u32,
    /// Kind.
    pub kind: SuggestionKind,
    /// Heading.
    pub title: String,
    /// What to say or to know.
    pub text: String,
    /// Where it comes from.
    pub citations: Vec<Citation>,
    /// In [0, 1].
    pub score: f32,
    /// Why now.
    pub why: Vec<Why>,
    /// What set it off.
    pub trigger: SuggestionTrigger,
    /// Of no use after this place in the recording.
    pub useful_until_ms: i64,
}

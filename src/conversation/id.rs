//! Identifiers: a short prefix that says what they name, and a ULID.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an identifier names; the prefix is part of the wire contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdKind {
    /// A conversation, voice or text.
    Call,
    /// One final utterance.
    Utterance,
    /// A suggestion to an agent.
    Suggestion,
    /// An alert to a supervisor.
    Alert,
    /// A knowledge document.
    Document,
    /// A passage of a knowledge document.
    Passage,
    /// A scorecard.
    Score,
    /// A review of a scorecard.
    Review,
    /// A long-running job.
    Job,
    /// An evaluation run.
    Run,
    /// A resumable upload.
    Upload,
    /// A webhook endpoint.
    Webhook,
    /// An access token.
    Token,
    /// A chat session.
    Chat,
    /// A chat message.
    Message,
}

impl IdKind {
    /// The prefix of identifiers of this kind, without the underscore.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Utterance => "utt",
            Self::Suggestion => "sug",
            Self::Alert => "alr",
            Self::Document => "doc",
            Self::Passage => "psg",
            Self::Score => "scr",
            Self::Review => "rev",
            Self::Job => "job",
            Self::Run => "run",
            Self::Upload => "upl",
            Self::Webhook => "whk",
            Self::Token => "tok",
            Self::Chat => "chat",
            Self::Message => "msg",
        }
    }
}

/// A fresh identifier: `prefix_ULID`, sortable by the time of its making.
pub fn new_id(kind: IdKind) -> String {
    format!("{}_{}", kind.prefix(), ulid::Ulid::new())
}

macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// A fresh identifier.
            pub fn new() -> Self {
                Self(new_id($kind))
            }
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

string_id!(
    /// Names one conversation: `call_…`.
    CallId,
    IdKind::Call
);
string_id!(
    /// Names one final utterance: `utt_…`.
    UtteranceId,
    IdKind::Utterance
);

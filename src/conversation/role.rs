//! Parties, media and languages of a conversation.

use serde::{Deserialize, Serialize};

/// A party of a conversation. An unknown name in an input is read as [`Role::Unknown`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The human employee.
    Agent,
    /// The other party.
    Customer,
    /// Our chat bot.
    Bot,
    /// A supervisor who joined.
    Supervisor,
    /// An interactive voice response system.
    Ivr,
    /// A notice of the system itself.
    System,
    /// Not known (yet).
    #[default]
    Unknown,
    /// Several parties on one audio channel; never the role of a turn.
    Mixed,
}

impl Role {
    /// All roles of turns, in the order of the documentation.
    pub const ALL: [Role; 7] = [Self::Agent, Self::Customer, Self::Bot, Self::Supervisor, Self::Ivr, Self::System, Self::Unknown];

    /// The wire name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Customer => "customer",
            Self::Bot => "bot",
            Self::Supervisor => "supervisor",
            Self::Ivr => "ivr",
            Self::System => "system",
            Self::Unknown => "unknown",
            Self::Mixed => "mixed",
        }
    }

    /// Reads a wire name; `None` if there is no such role.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().chain([Self::Mixed]).find(|role| role.name() == name)
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Ok(Self::from_name(&name).unwrap_or(Self::Unknown))
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The medium of a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A telephone call.
    #[default]
    Voice,
    /// A chat.
    Chat,
    /// An e-mail thread.
    Email,
    /// A ticket.
    Ticket,
}

impl Channel {
    /// The wire name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Chat => "chat",
            Self::Email => "email",
            Self::Ticket => "ticket",
        }
    }
}

/// Who began the conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The customer contacted us.
    #[default]
    Inbound,
    /// We contacted the customer.
    Outbound,
}

impl Direction {
    /// The wire name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// The two languages that the shipped models know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// Mandarin.
    #[default]
    Zh,
    /// English.
    En,
}

impl Language {
    /// The short name, `zh` or `en`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zh => "zh",
            Self::En => "en",
        }
    }

    /// Reads a BCP 47 tag by its first part: `zh-CN`, `zh`, `cmn`, `yue` are Chinese, `en-US` English.
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        match primary.as_str() {
            "zh" | "cmn" | "yue" => Some(Self::Zh),
            "en" => Some(Self::En),
            _ => None,
        }
    }

    /// The language of a text by its script: Chinese if it holds a Han character, otherwise English.
    pub fn of_text(text: &str) -> Self {
        if text.chars().any(is_han) { Self::Zh } else { Self::En }
    }
}

/// Whether a character is a Han ideograph (basic block, extension A and compatibility, supplementary planes).
fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3134F}')
}

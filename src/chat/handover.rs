//! Handing a conversation over to a person: why, to whom, with what.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Why a person takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The customer asked for one.
    Asked,
    /// Not understood twice.
    LowConfidence,
    /// Anger or a threat.
    Emotion,
    /// A rule leaves it to a person.
    Policy,
    /// A slot could not be filled, or a business call failed.
    FormFailed,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 5] = [Self::Asked, Self::LowConfidence, Self::Emotion, Self::Policy, Self::FormFailed];

    /// The wire name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::LowConfidence => "low_confidence",
            Self::Emotion => "emotion",
            Self::Policy => "policy",
            Self::FormFailed => "form_failed",
        }
    }

    /// Reads a wire name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// Suggested priority: 1 at once, 2 soon, 3 in turn.
    pub fn priority(self) -> u8 {
        match self {
            Self::Emotion | Self::Policy => 1,
            Self::Asked | Self::FormFailed => 2,
            Self::LowConfidence => 3,
        }
    }
}

/// What the person who takes over is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HandOver {
    /// Why.
    pub reason: Reason,
    /// Suggested queue.
    pub queue: Option<String>,
    /// 1 at once, 2 soon, 3 in turn.
    pub priority: u8,
    /// What it is about, in one or two sentences.
    pub summary: String,
    /// The best intent, if any.
    pub intent: Option<String>,
    /// The flow that ran.
    pub flow: Option<String>,
    /// What the customer has told already.
    pub slots: BTreeMap<String, String>,
    /// Emotion of the last message.
    pub emotion: Option<String>,
}

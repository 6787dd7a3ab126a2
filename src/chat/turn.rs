//! What a turn is made of: what was understood, what the bot did, what it says.

use serde::{Deserialize, Serialize};

use super::answer::Citation;
use super::form::CallRequest;
use super::handover::{HandOver, Reason};
use super::state::State;
use crate::conversation::{Conduct, EmotionReading, IntentScore, Language};
use crate::knowledge::PassageHit;

/// What the bot did in a turn: what stories are written in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is explained in docs/chat-flows.md")]
pub enum Act {
    Ask(String),
    Retry(String),
    Say(String),
    Answer(String),
    Clarify,
    Refuse,
    Cancelled,
    HandOver(Reason),
    Start(String),
    Resume(String),
    Call(String),
    CallFailed(String),
    Corrected(String),
    Done(String),
    SmallTalk(String),
}

/// A button below a reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Button {
    /// Shown.
    pub title: String,
    /// Sent as the customer's message when pressed.
    pub payload: String,
}

/// What was understood of a message and found for it.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// The message.
    pub text: String,
    /// Its sentence vector, of length 1.
    pub vector: Option<Vec<f32>>,
    /// Ranked intents.
    pub intents: Vec<IntentScore>,
    /// Emotion.
    pub emotion: Option<EmotionReading>,
    /// Conduct labels.
    pub conduct: Vec<Conduct>,
    /// What was searched for (`Dialogue::query`).
    pub query: String,
    /// Passages found, best first; `None`: not searched for yet. The engine asks when it needs them
    /// ([`Outcome::Searches`]): most messages of a flow need none.
    pub passages: Option<Vec<PassageHit>>,
}

/// A question that was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The question, with its context.
    pub question: String,
    /// Its language.
    pub language: Language,
    /// The best intent.
    pub intent: Option<String>,
}

/// A finished turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// What to remember.
    pub state: State,
    /// What is said, in pieces; the reply is these joined by line breaks. Empty: the bot is silent.
    pub said: Vec<String>,
    /// Buttons below the reply.
    pub buttons: Vec<Button>,
    /// Sources of the reply.
    pub citations: Vec<Citation>,
    /// What the bot did.
    pub acts: Vec<Act>,
    /// A person is asked for.
    pub hand_over: Option<HandOver>,
    /// A question without an answer.
    pub gap: Option<Gap>,
    /// The best intent and its probability.
    pub intent: Option<(String, f32)>,
    /// Whether the reply rests on a passage or a flow (small talk and refusals do not).
    pub answered: bool,
}

impl Turn {
    /// The reply as one text.
    pub fn text(&self) -> String {
        self.said.join("\n")
    }
}

/// A turn, or what it still needs.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Make this call and ask again with its result among the results.
    Needs(CallRequest),
    /// Search the articles for [`Heard::query`] and ask again with what was found.
    Searches,
    /// Finished.
    Turn(Box<Turn>),
}

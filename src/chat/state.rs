//! What the bot remembers of a conversation: a plain value that is stored after every turn.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::handover::HandOver;
use crate::conversation::Language;

/// A flow that runs or waits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// Which flow.
    pub flow: String,
    /// Filled slots.
    pub slots: BTreeMap<String, String>,
    /// The order in which slots were filled, newest last.
    pub filled: Vec<String>,
    /// Answers of business calls by call and input.
    pub calls: BTreeMap<String, BTreeMap<String, String>>,
    /// Texts that were said, rendered.
    pub said: BTreeSet<String>,
    /// Flows that were run from here.
    pub ran: BTreeSet<String>,
    /// The slot that was asked for.
    pub asked: Option<String>,
    /// Answers to it that could not be used.
    pub tries: u8,
    /// How often a rule sent a slot back to be asked again.
    pub again: BTreeMap<String, u8>,
    /// Run by a step of the flow below, not by the customer.
    pub sub: bool,
}

impl Frame {
    /// A flow at its beginning.
    pub fn new(flow: &str) -> Self {
        Self { flow: flow.to_owned(), ..Self::default() }
    }

    /// Fills a slot.
    pub fn fill(&mut self, slot: &str, value: String) {
        self.slots.insert(slot.to_owned(), value);
        self.filled.retain(|known| known != slot);
        self.filled.push(slot.to_owned());
        if self.asked.as_deref() == Some(slot) {
            self.asked = None;
            self.tries = 0;
        }
    }

    /// Empties a slot.
    pub fn forget(&mut self, slot: &str) {
        self.slots.remove(slot);
        self.filled.retain(|known| known != slot);
    }
}

/// Something the customer was offered: flows to choose from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Flow ids in the order of the buttons.
    pub flows: Vec<String>,
    /// What the customer had said.
    pub text: String,
    /// Whether he has to choose; otherwise a yes starts the only one and anything else goes on.
    pub must_choose: bool,
}

/// The state of one conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Language of the last message.
    pub language: Language,
    /// Whose rules hold: the language in which the conversation began.
    pub market: Language,
    /// Today where the customer is.
    pub today: NaiveDate,
    /// Running flows; the last one is in front.
    pub stack: Vec<Frame>,
    /// The flow that was finished last: it can still be corrected.
    pub last: Option<Frame>,
    /// Flows marked `once` that went well.
    pub passed: BTreeSet<String>,
    /// What was offered with the last reply.
    pub offer: Option<Offer>,
    /// What the last question was about, for questions that go on from it.
    pub topic: Option<String>,
    /// Messages in a row that were not understood.
    pub misses: u8,
    /// Messages of the customer so far.
    pub messages: u32,
    /// The first message, for summaries.
    pub opening: Option<String>,
    /// A person was asked for.
    pub handed_over: Option<HandOver>,
    /// Whether that person is there; the bot is silent until it is given back.
    pub human: bool,
    /// How the conversation with flows stands: `idle open done cancelled handoff`.
    pub ends: Ends,
}

/// How the flows of a conversation stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ends {
    /// No flow was opened.
    #[default]
    Idle,
    /// A flow waits for the customer.
    Open,
    /// The last flow is finished.
    Done,
    /// The last flow was given up.
    Cancelled,
    /// A person was asked for.
    Handoff,
}

impl State {
    /// A conversation that begins.
    pub fn new(language: Language, today: NaiveDate) -> Self {
        Self {
            language,
            market: language,
            today,
            stack: Vec::new(),
            last: None,
            passed: BTreeSet::new(),
            offer: None,
            topic: None,
            misses: 0,
            messages: 0,
            opening: None,
            handed_over: None,
            human: false,
            ends: Ends::Idle,
        }
    }

    /// Everything that was told, of all flows of the conversation.
    pub fn slots(&self) -> BTreeMap<String, String> {
        let frames = self.last.iter().chain(&self.stack);
        frames.flat_map(|frame| frame.slots.iter().map(|(k, v)| (k.clone(), v.clone()))).collect()
    }
}

//! Items of a dataset: what goes in, what should come out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::chat::{Backend, Story};
use crate::conversation::{Conversation, Language, Role, TimeSpan};

/// A conversation of so few turns is shown as a whole, a longer one by its name.
const SHOWN_TURNS: usize = 12;

/// A typed stretch of a text, code points, half open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// First code point.
    pub start: usize,
    /// First code point behind it.
    pub end: usize,
}

/// What goes in.
#[derive(Clone, Debug)]
pub enum Input {
    /// An utterance, or a query.
    Text(String),
    /// A channel of a recording, or a stretch of it.
    Audio {
        /// The file.
        path: PathBuf,
        /// The channel.
        channel: usize,
        /// The stretch that the reference covers; the whole channel by default.
        span: Option<TimeSpan>,
    },
    /// A conversation.
    Conversation(Box<Conversation>),
    /// A conversation that a chat is to hold.
    Dialogue(Box<Dialogue>),
}

/// What is said to a chat, and what must come of it.
#[derive(Clone, Debug)]
pub enum Dialogue {
    /// A question, behind what was said before it.
    Question {
        /// What the customer said before.
        context: Vec<String>,
        /// The question.
        text: String,
        /// Articles, any of which answers it; none: it must not be answered.
        relevant: Vec<String>,
    },
    /// A procedure that ends in a decision; the customer answers what he is asked.
    Procedure {
        /// How the customer begins.
        open: String,
        /// What he says when he is asked for a slot.
        answers: BTreeMap<String, String>,
        /// What the business calls answer.
        backend: Backend,
        /// The decision: the name of a text of the flow, or `handoff`.
        decision: String,
    },
    /// Customers who need a person, or do not.
    HandOver {
        /// What the customer says.
        turns: Vec<String>,
        /// Whether a person has to take over.
        due: bool,
    },
    /// A story that must go as written, turn by turn.
    Story {
        /// The story.
        story: Box<Story>,
        /// The day on which it plays.
        today: NaiveDate,
    },
}

impl Dialogue {
    /// Articles that it names.
    pub fn articles(&self) -> Vec<&str> {
        match self {
            Self::Question { relevant, .. } => relevant.iter().map(String::as_str).collect(),
            Self::Story { story, .. } => {
                let acts = story.turns.iter().flat_map(|t| t.bot.split(','));
                acts.filter_map(|act| act.trim().strip_prefix("answer ")).map(str::trim).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What the customer says, a line a turn; of a procedure how it begins.
    fn shown(&self) -> String {
        match self {
            Self::Question { context, text, .. } => {
                context.iter().chain([text]).map(String::as_str).collect::<Vec<_>>().join("\n")
            }
            Self::Procedure { open, .. } => open.clone(),
            Self::HandOver { turns, .. } => turns.join("\n"),
            Self::Story { story, .. } => story.turns.iter().filter_map(|t| t.user.as_deref()).collect::<Vec<_>>().join("\n"),
        }
    }
}

/// What should come out.
#[derive(Clone, Debug)]
pub enum Gold {
    /// Labels, any of which is right; the first is the main one.
    Label(Vec<String>),
    /// Labels that hold.
    Labels(BTreeSet<String>),
    /// Spans.
    Spans(BTreeSet<Span>),
    /// A text.
    Text(String),
    /// Relevant documents with their relevance.
    Relevant(BTreeMap<String, u32>),
    /// For each turn: the name of what was asked, and the documents that answer it (none: nobody should interrupt).
    Answers(Vec<(String, BTreeSet<String>)>),
    /// Answers of an inspector by question: `yes`, `no`, `na`.
    Checks(BTreeMap<String, String>),
    /// A story of a chat: how many of its turns can be answered and how many hand-overs are due.
    Story {
        /// Turns that can be answered.
        answerable: u32,
        /// Hand-overs that are due.
        handovers: u32,
    },
    /// A customer turn of a call that is read twice.
    Chain {
        /// Its intent.
        intent: String,
        /// Its emotion.
        emotion: String,
        /// What was said.
        text: String,
    },
    /// Nothing is checked (speed).
    None,
}

/// One item.
#[derive(Clone, Debug)]
pub struct Example {
    /// Its name, unique in the dataset.
    pub id: String,
    /// What goes in.
    pub input: Input,
    /// What should come out.
    pub gold: Gold,
    /// Language.
    pub language: Language,
    /// Who speaks.
    pub role: Role,
    /// What it is drawn together with.
    pub situation: String,
    /// Values of the slices it is in.
    pub slices: BTreeMap<String, String>,
}

impl Example {
    /// The text that people read in reports.
    pub fn shown(&self) -> String {
        match &self.input {
            Input::Text(text) => text.clone(),
            Input::Audio { path, channel, .. } => {
                format!("{} (channel {channel})", path.file_name().unwrap_or_default().to_string_lossy())
            }
            Input::Conversation(conversation) if conversation.turns.len() <= SHOWN_TURNS => {
                conversation.turns.iter().map(|t| t.text.as_str()).collect::<Vec<_>>().join("\n")
            }
            Input::Conversation(conversation) => conversation.id.clone(),
            Input::Dialogue(dialogue) => dialogue.shown(),
        }
    }
}

/// A dataset, read and checked.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Items, by id.
    pub examples: Vec<Example>,
    /// sha256 of the bytes it was read from.
    pub sha256: String,
    /// Documents of its own corpus (retrieval): id, title, text.
    pub corpus: Vec<CorpusDocument>,
}

/// A document of a retrieval set.
#[derive(Clone, Debug, PartialEq)]
pub struct CorpusDocument {
    /// Its name in the relevance judgements.
    pub id: String,
    /// Title.
    pub title: String,
    /// Text.
    pub text: String,
    /// Language.
    pub language: Language,
    /// Tags.
    pub tags: Vec<String>,
}

//! `pipelines/chat.toml`: what the bot says outside flows, what it listens for, and when it is sure enough.

use std::collections::BTreeMap;

use regex::RegexSet;
use serde::Deserialize;

use super::error::{Problem, line_of, toml_problem, unknown};
use super::flow::{WordLists, Words};
use crate::conversation::Language;

/// When the bot is sure enough; scores and probabilities in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// Likeness that opens a flow.
    pub start_flow: f32,
    /// The same while another flow runs.
    pub digress_flow: f32,
    /// Two flows closer than this are offered as a choice.
    pub margin: f32,
    /// Score of a passage that is said as an answer.
    pub answer: f32,
    /// Score from which the passage needs no words in common with the question.
    pub answer_alone: f32,
    /// Share of the question's weight that the article must hold below that.
    pub overlap: f32,
    /// What a certain intent adds to its flow.
    pub intent_bonus: f32,
    /// Probability of the emotion angry that hands over.
    pub anger: f32,
    /// How much the intents of a message weigh in the choice of an article beside its words.
    pub intent_share: f32,
    /// Probability that a question asked while a flow runs is about the flow: its articles rank with it.
    pub flow_intent: f32,
}

/// Sizes and counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Code points that are read of one message.
    pub message_chars: usize,
    /// Longest quotation in Mandarin, code points.
    pub answer_chars_zh: usize,
    /// Longest quotation in English, code points.
    pub answer_chars_en: usize,
    /// Answers to one question that cannot be used before a person takes over.
    pub tries: u8,
    /// Messages in a row that are not understood before a person takes over.
    pub misses: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(rename = "id")]
    _id: String,
    thresholds: Thresholds,
    limits: Limits,
    texts: BTreeMap<String, Words>,
    words: BTreeMap<String, WordLists>,
}

/// What the bot listens for. Every kind must stand in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is named as in the file, which says what it is")]
pub enum Cue {
    Person,
    NotPerson,
    Anger,
    NotAnger,
    Policy,
    NotPolicy,
    Cancel,
    Correction,
    OtherOne,
    Yes,
    No,
    Skip,
    Question,
    General,
    HowTo,
    Personal,
    Secret,
    FollowUp,
    Greeting,
    Thanks,
    Bye,
    Bot,
}

const CUES: [(Cue, &str); 22] = [
    (Cue::Person, "person"),
    (Cue::NotPerson, "not_person"),
    (Cue::Anger, "anger"),
    (Cue::NotAnger, "not_anger"),
    (Cue::Policy, "policy"),
    (Cue::NotPolicy, "not_policy"),
    (Cue::Cancel, "cancel"),
    (Cue::Correction, "correction"),
    (Cue::OtherOne, "other_one"),
    (Cue::Yes, "yes"),
    (Cue::No, "no"),
    (Cue::Skip, "skip"),
    (Cue::Question, "question"),
    (Cue::General, "general"),
    (Cue::HowTo, "how_to"),
    (Cue::Personal, "personal"),
    (Cue::Secret, "secret"),
    (Cue::FollowUp, "follow_up"),
    (Cue::Greeting, "greeting"),
    (Cue::Thanks, "thanks"),
    (Cue::Bye, "bye"),
    (Cue::Bot, "bot"),
];

/// Marks between clauses.
const CLAUSE_ENDS: [char; 12] = ['.', '?', '!', ',', ';', '\n', '。', '？', '！', '，', '；', '、'];

/// Texts that every file must have.
const TEXTS: [&str; 20] = [
    "greeting",
    "hello",
    "thanks",
    "bye",
    "bot",
    "refuse",
    "clarify",
    "offer",
    "cancelled",
    "corrected",
    "resume",
    "source",
    "secret",
    "handoff_asked",
    "handoff_low_confidence",
    "handoff_emotion",
    "handoff_policy",
    "handoff_form_failed",
    "waiting",
    "deadline",
];

/// The resolved file.
#[derive(Clone, Debug)]
pub struct ChatConfig {
    /// When the bot is sure enough.
    pub thresholds: Thresholds,
    /// Sizes and counts.
    pub limits: Limits,
    texts: BTreeMap<String, Words>,
    cues: BTreeMap<Cue, RegexSet>,
}

impl ChatConfig {
    /// Reads the text of `pipelines/chat.toml`.
    ///
    /// # Errors
    /// Every mistake, with its line.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let raw: Raw = toml::from_str(text).map_err(|e| vec![toml_problem(file, text, &e)])?;
        let mut problems = Vec::new();
        for name in TEXTS.iter().filter(|name| raw.texts.get(**name).is_none_or(|w| w.zh.is_empty() || w.en.is_empty())) {
            let message = format!("text \"{name}\" is missing in zh or en");
            problems.push(Problem { file: file.to_owned(), line: line_of(text, &["[texts]"]), message });
        }
        for name in raw.words.keys().filter(|name| !CUES.iter().any(|(_, known)| known == name)) {
            let message = unknown("kind of words", name, CUES.iter().map(|(_, known)| *known));
            problems.push(Problem { file: file.to_owned(), line: line_of(text, &[&format!("[words.{name}]")]), message });
        }
        let mut cues = BTreeMap::new();
        for (cue, name) in CUES {
            let line = line_of(text, &[&format!("[words.{name}]")]);
            let Some(lists) = raw.words.get(name) else {
                let message = format!("[words.{name}] is missing");
                problems.push(Problem { file: file.to_owned(), line, message });
                continue;
            };
            match RegexSet::new(lists.all()) {
                Ok(set) => drop(cues.insert(cue, set)),
                Err(error) => {
                    let message = format!("a pattern cannot be used: {}", last_line(&error.to_string()));
                    problems.push(Problem { file: file.to_owned(), line, message });
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { thresholds: raw.thresholds, limits: raw.limits, texts: raw.texts, cues })
    }

    /// A text of the file.
    pub fn text(&self, name: &str, language: Language) -> &str {
        self.texts.get(name).map_or("", |words| words.get(language))
    }

    /// Whether a message holds a cue. `text` is folded and without marks at its ends.
    pub fn hears(&self, cue: Cue, text: &str) -> bool {
        self.cues.get(&cue).is_some_and(|set| set.is_match(text))
    }

    /// Whether a message holds a cue and nothing that only sounds like it. What only sounds like it takes back no other
    /// clause: "Are you a real person? I want to talk to a human."
    pub fn hears_unless(&self, cue: Cue, unless: Cue, text: &str) -> bool {
        let meant = |part: &str| self.hears(cue, part) && !self.hears(unless, part);
        let mut clauses = text.split(CLAUSE_ENDS).map(|clause| clause.trim_matches(|c: char| !c.is_alphanumeric()));
        self.hears(cue, text) && (meant(text) || clauses.any(meant))
    }
}

/// The last line of a message of the regex crate says what is wrong.
pub(super) fn last_line(message: &str) -> &str {
    message.lines().last().unwrap_or(message).trim()
}

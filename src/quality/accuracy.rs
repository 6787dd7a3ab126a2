//! How well rules answer a scorecard, measured on labelled conversations.
//!
//! A labelled conversation is the interchange form with the judgements of its authors apart under `labels`: `split`,
//! `scorecard` (question → `yes`, `no`, `na`) and, for each turn, `intents`, `acts`, `emotion`, `conduct`.

use serde::Deserialize;
use std::collections::BTreeMap;

use super::agreement::{Share, wilson};
use super::error::ConversationError;
use super::models::Models;
use super::ruleset::{RuleSet, RuleState};
use crate::conversation::{Channel, Conversation, EmotionScore, Named};

/// How rules answer a question. Rule ids are without their language prefix `zh-` or `en-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answering {
    /// `yes` if the rule hits, else `no`.
    Hit(&'static str),
    /// `no` if the rule hits, else `yes`.
    NoHit(&'static str),
    /// As [`Self::Hit`]; `na` in text conversations.
    VoiceHit(&'static str),
    /// `no` if the first rule hits, `yes` if the second does, else `na`.
    Pair(&'static str, &'static str),
}

/// The questions of the scorecard and the rules that answer them.
const QUESTIONS: [(&str, Answering); 12] = [
    ("q_greeting", Answering::NoHit("greeting-missing")),
    ("q_identity", Answering::Pair("identity-missing", "identity-checked")),
    ("q_forbidden", Answering::Hit("forbidden-words")),
    ("q_silence", Answering::VoiceHit("silence-long")),
    ("q_interrupt", Answering::VoiceHit("agent-interrupts")),
    ("q_soothed", Answering::Pair("angry-not-soothed", "angry-soothed")),
    ("q_promise", Answering::Pair("promise-vague", "promise-concrete")),
    ("q_closing", Answering::NoHit("closing-incomplete")),
    ("q_password", Answering::Hit("asks-password")),
    ("q_overpromise", Answering::Hit("overpromise")),
    ("q_apology", Answering::Pair("apology-missing", "apology-given")),
    ("q_solution", Answering::NoHit("unsolved")),
];

/// The judgements of a conversation's authors.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Labels {
    /// `train` or `test`.
    pub split: String,
    /// Answers by question.
    #[serde(default)]
    pub scorecard: BTreeMap<String, String>,
    /// One entry for each turn.
    #[serde(default)]
    pub turns: Vec<TurnLabels>,
}

/// The judgements of a turn.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct TurnLabels {
    /// Intents.
    #[serde(default)]
    pub intents: Vec<String>,
    /// Dialogue acts.
    #[serde(default)]
    pub acts: Vec<String>,
    /// Emotion.
    #[serde(default)]
    pub emotion: String,
    /// Conduct.
    #[serde(default)]
    pub conduct: Vec<String>,
}

/// A labelled conversation.
#[derive(Clone, Debug, Deserialize)]
pub struct Labelled {
    /// The conversation.
    #[serde(flatten)]
    pub conversation: Conversation,
    /// The judgements.
    pub labels: Labels,
}

impl Labelled {
    /// The conversation with the authors' labels as its annotations.
    pub fn with_gold(&self) -> Conversation {
        let named = |names: &[String]| names.iter().map(|name| Named { name: name.clone(), score: 1.0 }).collect::<Vec<_>>();
        let mut conversation = self.conversation.clone();
        for (turn, labels) in conversation.turns.iter_mut().zip(&self.labels.turns) {
            turn.intents = Some(named(&labels.intents));
            turn.labels = Some(named(&labels.acts).into_iter().chain(named(&labels.conduct)).collect());
            turn.emotion = Some(EmotionScore { name: labels.emotion.clone(), score: 1.0, valence: None });
        }
        conversation
    }
}

/// What the rules answer to every question on an annotated conversation.
///
/// # Errors
/// The conversation cannot be scored.
pub fn answers(
    conversation: &Conversation,
    rules: &RuleSet,
    models: &Models,
) -> Result<Vec<(&'static str, &'static str)>, ConversationError> {
    let results = rules.evaluate(conversation, models)?;
    let hit = |id: &str| {
        results.iter().any(|r| {
            let bare = r.rule.strip_prefix("zh-").or_else(|| r.rule.strip_prefix("en-")).unwrap_or(&r.rule);
            bare == id && r.state == RuleState::Hit
        })
    };
    let voice = conversation.channel == Some(Channel::Voice);
    let yes = |truth: bool| if truth { "yes" } else { "no" };
    Ok(QUESTIONS
        .iter()
        .map(|(question, answering)| {
            let answer = match answering {
                Answering::Hit(id) => yes(hit(id)),
                Answering::NoHit(id) => yes(!hit(id)),
                Answering::VoiceHit(id) if voice => yes(hit(id)),
                Answering::VoiceHit(_) => "na",
                Answering::Pair(no, _) if hit(no) => "no",
                Answering::Pair(_, ok) if hit(ok) => "yes",
                Answering::Pair(..) => "na",
            };
            (*question, answer)
        })
        .collect())
}

/// Right answers, counted.
#[derive(Clone, Debug, Default)]
pub struct Accuracy {
    /// By language and question: right, all.
    counts: BTreeMap<(String, &'static str), (u64, u64)>,
}

/// A wrong answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The question.
    pub question: &'static str,
    /// What the authors say.
    pub wanted: String,
    /// What the rules say.
    pub got: &'static str,
}

impl Accuracy {
    /// Counts the answers of a conversation; the wrong ones.
    pub fn add(&mut self, labelled: &Labelled, answers: &[(&'static str, &'static str)]) -> Vec<Wrong> {
        let language = labelled.conversation.language.as_deref().unwrap_or("?");
        let language = language.split('-').next().unwrap_or(language).to_owned();
        let mut wrong = Vec::new();
        for (question, got) in answers {
            let Some(wanted) = labelled.labels.scorecard.get(*question) else { continue };
            let counts = self.counts.entry((language.clone(), question)).or_default();
            counts.1 += 1;
            if wanted == got {
                counts.0 += 1;
            } else {
                wrong.push(Wrong { question, wanted: wanted.clone(), got });
            }
        }
        wrong
    }

    /// The share of right answers by language and question, with its interval.
    pub fn shares(&self) -> Vec<(String, &'static str, Share)> {
        self.counts
            .iter()
            .filter_map(|((language, question), (right, all))| Some((language.clone(), *question, wilson(*right, *all)?)))
            .collect()
    }
}

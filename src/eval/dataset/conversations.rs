//! The project's conversations with judgements (`datasets/conversations`).

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::records::numbered_lines;
use super::source::Source;
use super::{expect_kind, length_slice};
use crate::conversation::{Conversation, Language, Role};
use crate::eval::example::{Dataset, Example, Gold, Input};
use crate::eval::task::{Kind, Task};
use crate::eval::{EvalError, Result};

#[derive(Deserialize)]
struct Line {
    #[serde(flatten)]
    conversation: Conversation,
    labels: Judgements,
}

/// What the authors of a conversation say about it.
#[derive(Clone, Debug, Deserialize)]
pub struct Judgements {
    /// `train` or `test`.
    pub split: String,
    /// What it is about.
    pub situation: String,
    /// Answers by question: `yes`, `no`, `na`.
    pub scorecard: BTreeMap<String, String>,
    /// Judgements of each turn.
    pub turns: Vec<TurnJudgement>,
}

/// What the authors say about a turn.
#[derive(Clone, Debug, Deserialize)]
pub struct TurnJudgement {
    /// Intents; empty for agents.
    pub intents: Vec<String>,
    /// Acts.
    pub acts: Vec<String>,
    /// Emotion.
    pub emotion: String,
    /// Conduct.
    pub conduct: Vec<String>,
}

/// Reads a file of conversations with judgements.
///
/// # Errors
/// A line that is none, or whose judgements do not fit its turns.
pub fn read_conversations(file: &str, text: &str) -> Result<Vec<(Conversation, Judgements)>> {
    let mut all = Vec::new();
    for (number, words) in numbered_lines(text) {
        let line: Line = serde_json::from_str(words).map_err(|e| EvalError::line(file, number, e.to_string()))?;
        let (turns, judged) = (line.conversation.turns.len(), line.labels.turns.len());
        if turns != judged {
            let problem = format!("conversation \"{}\" has {turns} turns and {judged} judgements", line.conversation.id);
            return Err(EvalError::line(file, number, problem));
        }
        all.push((line.conversation, line.labels));
    }
    Ok(all)
}

pub(super) fn load(task: &Task, source: &Source) -> Result<Dataset> {
    expect_kind(task, &[Kind::Label, Kind::Labels, Kind::Checks, Kind::Suggestions])?;
    let answers = task.run.answers.as_deref().map(|path| Answers::read(source, path)).transpose()?;
    let mut examples = Vec::new();
    for language in &task.languages {
        let path = format!("{}/{language}.jsonl", task.dataset.path);
        let file = source.name(&path);
        for (conversation, judgements) in read_conversations(&file, &source.text(&path)?)? {
            if task.dataset.split.as_ref().is_some_and(|split| *split != judgements.split) {
                continue;
            }
            let language = Language::from_tag(language).unwrap_or_default();
            match task.kind() {
                Kind::Label | Kind::Labels => examples.extend(turns(task, &conversation, &judgements, language)),
                _ => examples.push(whole(task, conversation, judgements, language, answers.as_ref())),
            }
        }
    }
    Ok(Dataset { examples, sha256: String::new(), corpus: Vec::new() })
}

fn head_slices(conversation: &Conversation, language: Language) -> BTreeMap<String, String> {
    let channel = conversation.channel.map_or_else(|| "unknown".to_owned(), |c| format!("{c:?}").to_lowercase());
    BTreeMap::from([("language".to_owned(), language.name().to_owned()), ("channel".to_owned(), channel)])
}

/// Every turn as an item of its own.
fn turns(task: &Task, conversation: &Conversation, judgements: &Judgements, language: Language) -> Vec<Example> {
    let mut examples = Vec::new();
    for (turn, judged) in conversation.turns.iter().zip(&judgements.turns) {
        let gold = match task.stage.as_str() {
            "intent" if judged.intents.is_empty() => continue,
            "intent" => Gold::Label(judged.intents.clone()),
            "act" => Gold::Labels(judged.acts.iter().cloned().collect()),
            "conduct" => Gold::Labels(judged.conduct.iter().cloned().collect()),
            _ => Gold::Label(vec![judged.emotion.clone()]),
        };
        let role = turn.role;
        let name = serde_json::to_value(role).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
        if turn.text.trim().is_empty() || task.run.role.as_ref().is_some_and(|asked| *asked != name) {
            continue;
        }
        let mut slices = head_slices(conversation, language);
        slices.insert("role".into(), name);
        slices.insert("length".into(), length_slice(&turn.text).into());
        if let Gold::Label(labels) = &gold {
            slices.extend(labels.first().map(|l| ("label".to_owned(), l.clone())));
        }
        examples.push(Example {
            id: format!("{}:{}", conversation.id, turn.id.as_deref().unwrap_or("?")),
            input: Input::Text(turn.text.clone()),
            gold,
            language,
            role,
            situation: conversation.id.clone(),
            slices,
        });
    }
    examples
}

fn whole(
    task: &Task,
    conversation: Conversation,
    judgements: Judgements,
    language: Language,
    answers: Option<&Answers>,
) -> Example {
    let gold = if task.kind() == Kind::Checks {
        let asked = |id: &String| task.questions.iter().any(|q| q.id == *id);
        Gold::Checks(judgements.scorecard.into_iter().filter(|(id, _)| asked(id)).collect())
    } else {
        let customer = conversation.turns.iter().zip(&judgements.turns).filter(|(t, _)| t.role == Role::Customer);
        Gold::Answers(
            customer.map(|(_, judged)| answers.map_or_else(Default::default, |a| a.of(&judged.intents, language))).collect(),
        )
    };
    let slices = head_slices(&conversation, language);
    Example {
        id: conversation.id.clone(),
        situation: judgements.situation,
        input: Input::Conversation(Box::new(conversation)),
        gold,
        language,
        role: Role::Unknown,
        slices,
    }
}

/// Which documents answer which intent, by language.
#[derive(Debug, Deserialize)]
struct Answers {
    zh: BTreeMap<String, Vec<String>>,
    en: BTreeMap<String, Vec<String>>,
}

impl Answers {
    fn read(source: &Source, path: &str) -> Result<Self> {
        toml::from_str(&source.text(path)?).map_err(|e| source.fail(path, e))
    }

    /// The main subject of a turn and the documents of all its subjects.
    fn of(&self, intents: &[String], language: Language) -> (String, BTreeSet<String>) {
        let table = if language == Language::Zh { &self.zh } else { &self.en };
        let documents = intents.iter().filter_map(|i| table.get(i)).flatten().cloned().collect();
        (intents.first().cloned().unwrap_or_default(), documents)
    }
}

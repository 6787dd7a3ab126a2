//! What a chat is measured on: the dialogues of `datasets/dialogue` (JSON lines) and the stories of `pipelines/chat/stories`
//! (TOML).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::expect_kind;
use super::records::numbered_lines;
use super::source::Source;
use crate::chat::{Backend, Story, StoryFile};
use crate::conversation::{Language, Role};
use crate::eval::example::{Dataset, Dialogue, Example, Gold, Input};
use crate::eval::task::{Kind, Task};
use crate::eval::{EvalError, Result};

/// One line: a question (`text`, `relevant`), a procedure (`open`, `answers`, `decision`) or a hand-over (`turns`, `handoff`).
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    language: String,
    #[serde(default)]
    split: Option<String>,
    #[serde(default)]
    topic: Option<String>,
    #[serde(default)]
    context: Vec<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    relevant: Option<Vec<String>>,
    #[serde(default)]
    open: Option<String>,
    #[serde(default)]
    answers: BTreeMap<String, String>,
    #[serde(default)]
    backend: Backend,
    #[serde(default)]
    decision: Option<String>,
    #[serde(default)]
    turns: Option<Vec<String>>,
    #[serde(default)]
    handoff: Option<bool>,
    /// Why a person is needed; for people who read the data.
    #[serde(default, rename = "reason")]
    _reason: Option<String>,
}

impl Line {
    fn dialogue(self) -> std::result::Result<Dialogue, String> {
        match self {
            Self { text: Some(text), relevant: Some(relevant), context, .. } => {
                Ok(Dialogue::Question { context, text, relevant })
            }
            Self { open: Some(open), decision: Some(decision), answers, backend, .. } => {
                Ok(Dialogue::Procedure { open, answers, backend, decision })
            }
            Self { turns: Some(turns), handoff: Some(due), .. } if !turns.is_empty() => Ok(Dialogue::HandOver { turns, due }),
            other => Err(format!(
                "id \"{}\" is no question (text, relevant), no procedure (open, answers, decision) and no hand-over (turns, handoff)",
                other.id
            )),
        }
    }
}

pub(super) fn load(task: &Task, source: &Source) -> Result<Dataset> {
    expect_kind(task, &[Kind::Stories])?;
    let mut examples = Vec::new();
    for path in source.list(&task.dataset.path)? {
        let form = path.rsplit('/').next().unwrap_or(&path).to_owned();
        match form.rsplit_once('.') {
            Some((form, "jsonl")) => examples.extend(dialogues(task, source, &path, form)?),
            Some((_, "toml")) => examples.extend(stories(task, source, &path)?),
            _ => {}
        }
    }
    Ok(Dataset { examples, sha256: String::new(), corpus: Vec::new() })
}

fn dialogues(task: &Task, source: &Source, path: &str, form: &str) -> Result<Vec<Example>> {
    let file = source.name(path);
    let mut examples = Vec::new();
    for (number, words) in numbered_lines(&source.text(path)?) {
        let line: Line = serde_json::from_str(words).map_err(|e| EvalError::line(&file, number, e.to_string()))?;
        if task.dataset.split.is_some() && line.split != task.dataset.split {
            continue;
        }
        let language = Language::from_tag(&line.language)
            .ok_or_else(|| EvalError::line(&file, number, format!("language \"{}\": known are zh, en", line.language)))?;
        if !task.languages.iter().any(|l| l == language.name()) {
            continue;
        }
        let mut slices = slices_of(language, form);
        slices.extend(line.topic.clone().map(|topic| ("topic".to_owned(), topic)));
        let (id, situation) = (line.id.clone(), line.topic.clone().unwrap_or_else(|| line.id.clone()));
        let dialogue = line.dialogue().map_err(|problem| EvalError::line(&file, number, problem))?;
        let gold = match &dialogue {
            Dialogue::Question { relevant, .. } => Gold::Story { answerable: u32::from(!relevant.is_empty()), handovers: 0 },
            Dialogue::HandOver { due, .. } => Gold::Story { answerable: 0, handovers: u32::from(*due) },
            _ => Gold::Story { answerable: 0, handovers: 0 },
        };
        examples.push(example(id, situation, dialogue, gold, language, slices));
    }
    Ok(examples)
}

fn stories(task: &Task, source: &Source, path: &str) -> Result<Vec<Example>> {
    let (file, text) = (source.name(path), source.text(path)?);
    let read = StoryFile::parse(&file, &text)
        .map_err(|problems| EvalError::Problems(problems.iter().map(ToString::to_string).collect()))?;
    let today = read.today;
    let named = |language: Language| task.languages.iter().any(|l| l == language.name());
    let one = |story: Story| {
        let language = story.language;
        let mut slices = slices_of(language, &read.flow);
        slices.insert("kind".into(), story.kind.clone());
        let id = format!("{}:{}:{}", read.flow, language.name(), story.name);
        let gold = Gold::Story { answerable: written(&story, "answer"), handovers: written(&story, "handoff") };
        example(id, read.flow.clone(), Dialogue::Story { story: Box::new(story), today }, gold, language, slices)
    };
    Ok(read.stories.into_iter().filter(|s| named(s.language)).map(one).collect())
}

/// Turns of a story in which the bot must do this.
fn written(story: &Story, verb: &str) -> u32 {
    let does = |acts: &str| acts.split(',').any(|act| act.split_whitespace().next() == Some(verb));
    story.turns.iter().filter(|t| does(&t.bot)).count() as u32
}

fn slices_of(language: Language, form: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("language".to_owned(), language.name().to_owned()), ("form".to_owned(), form.to_owned())])
}

fn example(
    id: String,
    situation: String,
    dialogue: Dialogue,
    gold: Gold,
    language: Language,
    slices: BTreeMap<String, String>,
) -> Example {
    Example { id, input: Input::Dialogue(Box::new(dialogue)), gold, language, role: Role::Customer, situation, slices }
}

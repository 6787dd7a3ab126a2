//! Sample calls (`pipelines/samples/calls`): two-channel recordings with their written turns.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::records::numbered_lines;
use super::source::Source;
use super::{expect_kind, length_slice};
use crate::conversation::{Language, Role, TimeSpan};
use crate::eval::example::{Dataset, Example, Gold, Input};
use crate::eval::task::{Kind, Task};
use crate::eval::{EvalError, Result};

#[derive(Deserialize)]
struct Call {
    id: String,
    language: String,
    audio: String,
    turns: Vec<Turn>,
}

#[derive(Deserialize)]
struct Turn {
    role: String,
    channel: usize,
    start_ms: i64,
    end_ms: i64,
    text: String,
    #[serde(default)]
    voice: Option<String>,
}

#[derive(Deserialize)]
struct Judged {
    call: String,
    turn: usize,
    intent: String,
    emotion: String,
}

pub(super) fn load(task: &Task, source: &Source) -> Result<Dataset> {
    expect_kind(task, &[Kind::Text, Kind::Chain])?;
    let judged = if task.kind() == Kind::Chain { judgements(task, source)? } else { BTreeMap::new() };
    let mut examples = Vec::new();
    for path in source.list(&task.dataset.path)?.into_iter().filter(|f| f.ends_with(".json")) {
        let file = source.name(&path);
        let call: Call =
            serde_json::from_str(&source.text(&path)?).map_err(|e| EvalError::line(&file, e.line(), e.to_string()))?;
        if !task.languages.contains(&call.language) {
            continue;
        }
        let audio = source.file(&format!("{}/{}", task.dataset.path, call.audio))?;
        let language = Language::from_tag(&call.language).unwrap_or_default();
        for (number, turn) in call.turns.iter().enumerate() {
            let role = Role::from_name(&turn.role).unwrap_or_default();
            let gold = match task.kind() {
                Kind::Text => Gold::Text(turn.text.clone()),
                _ if role != Role::Customer => continue,
                _ => {
                    let (intent, emotion) = judged.get(&(call.id.clone(), number)).cloned().ok_or_else(|| {
                        source.fail(
                            &task.dataset.fields["judgements"],
                            format!("call {} has no judgement of turn {number}", call.id),
                        )
                    })?;
                    Gold::Chain { intent, emotion, text: turn.text.clone() }
                }
            };
            let mut slices = BTreeMap::from([
                ("language".to_owned(), call.language.clone()),
                ("role".to_owned(), turn.role.clone()),
                ("length".to_owned(), length_slice(&turn.text).to_owned()),
                ("call".to_owned(), call.id.clone()),
            ]);
            slices.extend(turn.voice.clone().map(|v| ("voice".to_owned(), v)));
            let span = Some(TimeSpan::new(turn.start_ms, turn.end_ms));
            examples.push(Example {
                id: format!("{}:{number}", call.id),
                input: Input::Audio { path: audio.clone(), channel: turn.channel, span },
                gold,
                language,
                role,
                situation: call.id.clone(),
                slices,
            });
        }
    }
    if task.kind() == Kind::Text {
        examples.extend(silent(task, source)?);
    }
    Ok(Dataset { examples, sha256: String::new(), corpus: Vec::new() })
}

/// Recordings in which nobody speaks: every word found there is invented.
fn silent(task: &Task, source: &Source) -> Result<Vec<Example>> {
    let example = |path: &String| {
        Ok(Example {
            id: format!("silent:{}", path.rsplit('/').next().unwrap_or(path)),
            input: Input::Audio { path: source.file(path)?, channel: 0, span: None },
            gold: Gold::Text(String::new()),
            language: Language::default(),
            role: Role::Unknown,
            situation: path.clone(),
            slices: BTreeMap::from([("language".to_owned(), "none".to_owned())]),
        })
    };
    task.run.silent.iter().map(example).collect()
}

fn judgements(task: &Task, source: &Source) -> Result<BTreeMap<(String, usize), (String, String)>> {
    let Some(path) = task.dataset.fields.get("judgements") else {
        let problem = "stage \"chain\" needs dataset.fields.judgements: lines with call, turn, intent, emotion".to_owned();
        return Err(EvalError::File { file: format!("eval/tasks/{}.toml", task.id), problem });
    };
    let file = source.name(path);
    let mut all = BTreeMap::new();
    for (line, words) in numbered_lines(&source.text(path)?) {
        let judged: Judged = serde_json::from_str(words).map_err(|e| EvalError::line(&file, line, e.to_string()))?;
        all.insert((judged.call, judged.turn), (judged.intent, judged.emotion));
    }
    Ok(all)
}

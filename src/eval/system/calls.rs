//! Whole conversations: the desk of the live flow, and calls as they were said and as they were heard.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use tokio::runtime::Handle;

use super::Progress;
use super::listening::{Heard, HeardCalls};
use crate::assist::SuggestionKind;
use crate::conversation::{AudioLayout, CallId, Channel, Conversation, Role, TimeSpan, Turn, Utterance, UtteranceId};
use crate::eval::example::{Example, Input};
use crate::eval::prediction::Prediction;
use crate::eval::task::Task;
use crate::eval::{EvalError, Result};
use crate::event::{Call, EventBody, NewCall};
use crate::pipeline::{Desk, Stages};

/// The moment at which evaluated calls begin; times of day play no part.
const BEGIN: &str = "2026-01-05T10:00:00Z";

/// What the desk suggests over each conversation.
pub(super) fn suggest(
    stages: &Arc<Stages>,
    runtime: &Handle,
    task: &Task,
    examples: &[Example],
    progress: Progress<'_>,
) -> Result<Vec<Prediction>> {
    let mut all = Vec::new();
    for example in examples {
        let Input::Conversation(conversation) = &example.input else { continue };
        let request = NewCall {
            channel: conversation.channel.unwrap_or_default(),
            languages: conversation.language.iter().cloned().collect(),
            ..NewCall::default()
        };
        let mut desk = Desk::new(Arc::clone(stages), Call::open(request, CallId::from(example.id.as_str()), BEGIN));
        let mut suggested = Vec::new();
        for turn in conversation.turns.iter().filter(|t| !t.text.trim().is_empty()) {
            let guarded = desk.guard(utterance(turn, example.language.name()));
            let drafts = runtime
                .block_on(desk.take(guarded, None))
                .map_err(|e| EvalError::Stage { task: task.id.clone(), problem: e.to_string() })?;
            for draft in drafts {
                let EventBody::SuggestionCreated(suggestion) = draft.body else { continue };
                if matches!(suggestion.kind, SuggestionKind::Answer | SuggestionKind::Article) {
                    let turn = turn.id.clone().unwrap_or_default();
                    suggested.extend(suggestion.citations.iter().map(|c| (turn.clone(), c.document_id.clone())));
                }
            }
        }
        all.push(Prediction { suggested: Some(suggested), ..Prediction::to(&example.id) });
        progress(all.len());
    }
    Ok(all)
}

fn utterance(turn: &Turn, language: &str) -> Utterance {
    Utterance {
        utterance_id: UtteranceId::from(turn.id.as_deref().unwrap_or_default()),
        channel_index: None,
        role: turn.role,
        speaker: None,
        span: TimeSpan::new(turn.start_ms.unwrap_or(0), turn.end_ms.unwrap_or(0)),
        text: turn.text.clone(),
        raw_text: turn.text.clone(),
        language: turn.language.clone().unwrap_or_else(|| language.to_owned()),
        confidence: None,
        words: Vec::new(),
    }
}

/// What was recognised for a turn.
pub(super) fn text_of(heard: &HeardCalls, example: &Example) -> String {
    let Input::Audio { path, channel, .. } = &example.input else { return String::new() };
    let call = heard.turns.get(&(path.clone(), *channel));
    call.and_then(|turns| turns.get(&example.id)).map(|h| h.text.clone()).unwrap_or_default()
}

#[derive(Deserialize)]
struct WrittenCall {
    id: String,
    language: String,
    #[serde(default)]
    queue: Option<String>,
    #[serde(default)]
    duration_ms: Option<i64>,
    turns: Vec<WrittenTurn>,
}

#[derive(Deserialize)]
struct WrittenTurn {
    role: Role,
    channel: usize,
    start_ms: i64,
    end_ms: i64,
    text: String,
}

/// A call as it was written and as it was recognised; both with the head of the written one.
pub(super) fn both_conversations(heard: &HeardCalls, recording: &Path) -> Result<(Conversation, Conversation)> {
    let file = recording.with_extension("json");
    let text = std::fs::read_to_string(&file).map_err(|e| EvalError::file(&file, e))?;
    let call: WrittenCall = serde_json::from_str(&text).map_err(|e| EvalError::file(&file, e))?;
    let head = Conversation {
        id: call.id,
        channel: Some(Channel::Voice),
        language: Some(call.language),
        queue: call.queue,
        audio: Some(AudioLayout::Stereo),
        duration_ms: call.duration_ms,
        hold: Some(Vec::new()),
        ..Conversation::default()
    };
    let turn = |number: usize, role: Role, span: TimeSpan, text: &str| Turn {
        id: Some(number.to_string()),
        role,
        text: text.to_owned(),
        start_ms: Some(span.start_ms),
        end_ms: Some(span.end_ms),
        ..Turn::default()
    };
    let written: Vec<Turn> =
        (call.turns.iter().enumerate()).map(|(n, t)| turn(n, t.role, TimeSpan::new(t.start_ms, t.end_ms), &t.text)).collect();
    let role_of = |channel: usize| call.turns.iter().find(|t| t.channel == channel).map_or(Role::Unknown, |t| t.role);
    let mut spoken: Vec<(&Heard, Role)> = heard
        .utterances
        .iter()
        .filter(|((path, _), _)| path == recording)
        .flat_map(|((_, channel), list)| list.iter().map(|h| (h, role_of(*channel))))
        .collect();
    spoken.sort_by_key(|(h, _)| (h.span.start_ms, h.span.end_ms));
    let recognised = spoken.iter().enumerate().map(|(n, (h, role))| turn(n, *role, h.span, &h.text)).collect();
    Ok((Conversation { turns: written, ..head.clone() }, Conversation { turns: recognised, ..head }))
}

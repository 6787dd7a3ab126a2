//! Recordings through the listening stages: as fast as the machine can, or at their own speed.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Progress;
use super::segments::{WrittenTurn, by_written_turns};
use crate::asr::{AsrEvent, CallLanguage, SessionConfig};
use crate::audio::decode_file;
use crate::conversation::{Language, TimeSpan};
use crate::eval::example::{Example, Gold, Input};
use crate::eval::prediction::{Prediction, Timing};
use crate::eval::task::Task;
use crate::eval::{EvalError, Result};
use crate::pipeline::Stages;
use crate::pipeline::listen::{Listener, ListenerConfig};
use crate::vad::VadConfig;

/// Samples pushed at once, milliseconds.
const BLOCK_MS: usize = 20;
/// Channels that are played at their own speed at once: two calls.
const AT_ONCE: usize = 4;

/// One final utterance, and when it came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    /// Its place in the recording.
    pub span: TimeSpan,
    /// Readable text.
    pub text: String,
    /// How sure the recogniser is, in [0, 1]; of several utterances the least.
    pub confidence: Option<f64>,
    /// From the end of speech to the final (live only).
    pub time_to_final_ms: Option<f64>,
    /// From the begin of speech to the first partial (live only).
    pub first_partial_ms: Option<f64>,
    /// Characters that partials took back over characters of the final (live only).
    pub churn: Option<f64>,
}

/// A channel of a recording.
type ChannelKey = (PathBuf, usize);

/// What was heard on every channel, and for every item.
pub(super) struct HeardCalls {
    pub(super) utterances: HashMap<ChannelKey, Vec<Heard>>,
    pub(super) turns: HashMap<ChannelKey, BTreeMap<String, Heard>>,
}

/// Gives each final to the turn that it overlaps most, or lies nearest to: no word is lost, and none is left out for having
/// been said by nobody.
pub fn by_turn(turns: &[(String, Option<TimeSpan>)], heard: &[Heard]) -> BTreeMap<String, Heard> {
    let mut all: BTreeMap<String, Heard> = BTreeMap::new();
    for utterance in heard {
        let fit = |span: &Option<TimeSpan>| {
            let span = span.unwrap_or(TimeSpan::new(i64::MIN / 4, i64::MAX / 4));
            span.end_ms.min(utterance.span.end_ms) - span.start_ms.max(utterance.span.start_ms)
        };
        let Some((id, _)) = turns.iter().max_by_key(|(_, span)| fit(span)) else { continue };
        let turn = all.entry(id.clone()).or_default();
        if !turn.text.is_empty() {
            turn.text.push(' ');
        } else {
            turn.first_partial_ms = utterance.first_partial_ms;
            turn.span.start_ms = utterance.span.start_ms;
        }
        turn.text.push_str(&utterance.text);
        turn.confidence = match (turn.confidence, utterance.confidence) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        turn.span.end_ms = utterance.span.end_ms;
        turn.time_to_final_ms = utterance.time_to_final_ms;
        turn.churn = utterance.churn.or(turn.churn);
    }
    all
}

pub(super) fn predictions(heard: &HeardCalls, examples: &[Example]) -> Vec<Prediction> {
    let answer = |example: &Example| {
        let Input::Audio { path, channel, .. } = &example.input else { return Prediction::to(&example.id) };
        let turn = heard.turns.get(&(path.clone(), *channel)).and_then(|t| t.get(&example.id)).cloned().unwrap_or_default();
        let timing = turn.time_to_final_ms.map(|time_to_final_ms| Timing {
            time_to_final_ms: Some(time_to_final_ms),
            first_partial_ms: turn.first_partial_ms,
            churn: turn.churn,
            ..Timing::default()
        });
        let confidence = turn.confidence.map(|c| c.clamp(0.0, 1.0));
        Prediction { text: Some(turn.text), confidence, timing, ..Prediction::to(&example.id) }
    };
    examples.iter().map(answer).collect()
}

/// Channels of the items; for `recognise` and `chain` every channel of a call that has items, and all channels of calls whose
/// conversation is put together again.
fn channels(task: &Task, examples: &[Example]) -> Vec<(ChannelKey, Language)> {
    let mut keys: Vec<(ChannelKey, Language)> = Vec::new();
    for example in examples {
        let Input::Audio { path, channel, .. } = &example.input else { continue };
        let wanted = if task.stage == "chain" { vec![0, 1] } else { vec![*channel] };
        for channel in wanted {
            if !keys.iter().any(|((p, c), _)| p == path && *c == channel) {
                keys.push(((path.clone(), channel), example.language));
            }
        }
    }
    keys
}

struct Line<'a> {
    stages: &'a Stages,
    task: &'a Task,
    live: bool,
}

/// Recognises every channel, two at a time, as fast as the decoders can.
pub(super) fn recognise(stages: &Stages, task: &Task, examples: &[Example], progress: Progress<'_>) -> Result<HeardCalls> {
    run(&Line { stages, task, live: false }, examples, 2, progress)
}

/// Recognises every channel at its own speed, two calls at a time, with partial texts.
pub(super) fn recognise_live(stages: &Stages, task: &Task, examples: &[Example], progress: Progress<'_>) -> Result<HeardCalls> {
    run(&Line { stages, task, live: true }, examples, AT_ONCE, progress)
}

fn run(line: &Line<'_>, examples: &[Example], at_once: usize, progress: Progress<'_>) -> Result<HeardCalls> {
    let keys = channels(line.task, examples);
    let mut utterances = HashMap::new();
    for part in keys.chunks(at_once) {
        let results: Vec<Result<Vec<Heard>>> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                part.iter().map(|((path, channel), language)| scope.spawn(|| listen(line, path, *channel, *language))).collect();
            let failed = || EvalError::Stage { task: line.task.id.clone(), problem: "a listening thread failed".into() };
            threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err(failed()))).collect()
        });
        for ((key, _), heard) in part.iter().zip(results) {
            utterances.insert(key.clone(), heard?);
        }
        let done = |e: &&Example| matches!(&e.input, Input::Audio { path, channel, .. } if utterances.contains_key(&(path.clone(), *channel)));
        progress(examples.iter().filter(done).count());
    }
    let mut by_channel: HashMap<ChannelKey, Vec<(String, Option<TimeSpan>)>> = HashMap::new();
    for example in examples {
        if let Input::Audio { path, channel, span } = &example.input {
            by_channel.entry((path.clone(), *channel)).or_default().push((example.id.clone(), *span));
        }
    }
    let turns = by_channel.into_iter().map(|(key, turns)| {
        let heard = utterances.get(&key).map_or(&[][..], Vec::as_slice);
        let written = written_turns(&key, examples);
        let parts: Vec<Heard> = heard.iter().flat_map(|h| by_written_turns(h, &written)).collect();
        let map = by_turn(&turns, &parts);
        (key, map)
    });
    Ok(HeardCalls { turns: turns.collect(), utterances })
}

/// What was written for a channel.
fn written_turns(key: &ChannelKey, examples: &[Example]) -> Vec<WrittenTurn> {
    let turn = |example: &Example| {
        let Input::Audio { path, channel, span: Some(span) } = &example.input else { return None };
        let (Gold::Text(text) | Gold::Chain { text, .. }) = &example.gold else { return None };
        let here = *path == key.0 && *channel == key.1;
        here.then(|| WrittenTurn { span: *span, text: text.clone(), language: example.language })
    };
    examples.iter().filter_map(turn).collect()
}

fn listen(line: &Line<'_>, path: &Path, channel: usize, language: Language) -> Result<Vec<Heard>> {
    let fail = |problem: String| EvalError::Stage { task: line.task.id.clone(), problem };
    let engine = line.stages.recogniser.as_ref().ok_or_else(|| fail("no recogniser was loaded".into()))?;
    let recording = decode_file(path).map_err(|e| EvalError::file(path, e))?;
    // A channel beyond those of the recording: all parties are in the one there is.
    let samples = recording.channels.get(channel).or(recording.channels.first()).ok_or_else(|| fail("no channel".into()))?;
    let tags = if language == Language::Zh { ["zh", "en"] } else { ["en", "zh"] };
    let session = SessionConfig {
        channel_index: channel as u16,
        language: CallLanguage::new(&tags).map_err(|e| fail(e.to_string()))?,
        partials: line.live,
        urgency_ms: if line.live { 250 } else { 10_000 },
        ..SessionConfig::default()
    };
    let config = ListenerConfig { rate_hz: recording.sample_rate_hz, start_offset_ms: 0, vad: VadConfig::default(), session };
    let mut listener = Listener::new(engine, config).map_err(|e| fail(e.to_string()))?;
    let mut notes =
        Notes { stages: line.stages, live: line.live, started: Instant::now(), open: HashMap::new(), heard: Vec::new() };
    let block = (recording.sample_rate_hz as usize * BLOCK_MS / 1_000).max(1);
    for (number, samples) in samples.chunks(block).enumerate() {
        if line.live {
            // Samples arrive when they have been spoken.
            let due = Duration::from_millis(((number + 1) * BLOCK_MS) as u64);
            std::thread::sleep(due.saturating_sub(notes.started.elapsed()));
        } else {
            while !listener.wants_audio() {
                std::thread::sleep(Duration::from_millis(5));
                notes.take(listener.poll());
            }
        }
        notes.take(listener.push(samples));
    }
    notes.take(listener.finish());
    notes.take(listener.drain_blocking());
    notes.heard.sort_by_key(|h| h.span.start_ms);
    Ok(notes.heard)
}

/// What is known of an utterance that is being spoken.
#[derive(Default)]
struct Open {
    start_ms: i64,
    first_partial_ms: Option<f64>,
    last: Vec<char>,
    taken_back: usize,
}

struct Notes<'a> {
    stages: &'a Stages,
    live: bool,
    started: Instant,
    open: HashMap<String, Open>,
    heard: Vec<Heard>,
}

impl Notes<'_> {
    fn take(&mut self, events: Vec<AsrEvent>) {
        let now_ms = self.started.elapsed().as_secs_f64() * 1_000.0;
        for event in events {
            match event {
                AsrEvent::SpeechStarted { utterance_id, start_ms } => {
                    self.open.insert(utterance_id.to_string(), Open { start_ms, ..Open::default() });
                }
                AsrEvent::Partial(partial) => {
                    let open = self.open.entry(partial.utterance_id.to_string()).or_default();
                    let start_ms = open.start_ms as f64;
                    open.first_partial_ms.get_or_insert(now_ms - start_ms);
                    open.revise(&partial.text);
                }
                AsrEvent::Final(last) => {
                    let mut open = self.open.remove(last.utterance.utterance_id.as_str()).unwrap_or_default();
                    let language = Language::from_tag(&last.utterance.language).unwrap_or_default();
                    open.revise(&last.utterance.text);
                    let length = last.utterance.text.chars().count().max(1);
                    self.heard.push(Heard {
                        span: last.utterance.span,
                        text: self.stages.normalise(&last.utterance.text, language),
                        confidence: last.utterance.confidence.map(f64::from),
                        time_to_final_ms: self.live.then_some(now_ms - last.utterance.span.end_ms as f64),
                        first_partial_ms: open.first_partial_ms,
                        churn: self.live.then(|| open.taken_back as f64 / length as f64),
                    });
                }
                AsrEvent::Discarded { utterance_id, .. } | AsrEvent::Failed { utterance_id, .. } => {
                    self.open.remove(utterance_id.as_str());
                }
                AsrEvent::SpeechEnded { .. } => {}
            }
        }
    }
}

impl Open {
    /// Counts what the new text takes back of the one before.
    fn revise(&mut self, text: &str) {
        let next: Vec<char> = text.chars().collect();
        let kept = self.last.iter().zip(&next).take_while(|(a, b)| a == b).count();
        self.taken_back += self.last.len() - kept;
        self.last = next;
    }
}

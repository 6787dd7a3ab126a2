//! The stages of this program, with the models that were loaded into them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use super::dialogue::{self, ChatRig};
use super::{ModelRef, Progress, System, SystemIdentity, calls, listening};
use crate::conversation::{Role, Understanding, UtteranceId};
use crate::eval::dataset::source_hex;
use crate::eval::example::{CorpusDocument, Dataset, Example, Gold, Input, Span};
use crate::eval::prediction::{Prediction, Timing};
use crate::eval::task::Task;
use crate::eval::{EvalError, Result};
use crate::inference::Encoding;
use crate::knowledge::{Document, DocumentContent, DocumentKind, Filters, SearchMode, SearchRequest, document_id_of, import_dir};
use crate::nlu::Thread;
use crate::pipeline::{Stages, annotate, scorecard};
use crate::privacy::{Finding, Watcher, find};
use crate::quality::RuleState;

/// Texts that are encoded together.
const BATCH: usize = 256;
/// Passages asked for; several may be of one document.
const PASSAGES: usize = 40;
/// Documents of a ranking that are kept.
const RANKED: usize = 10;
const OUT_OF_SCOPE: &str = "out_of_scope";

/// The built-in stages.
pub struct BuiltIn {
    stages: Arc<Stages>,
    models: Vec<ModelRef>,
    home: PathBuf,
    runtime: Handle,
    chat: Option<ChatRig>,
}

impl BuiltIn {
    /// Stages and the cards of their models, as the composition root gives them. Its knowledge index is filled anew by
    /// every task that searches.
    pub fn new(stages: Arc<Stages>, cards: &[Value], home: PathBuf, runtime: Handle) -> Self {
        let model = |card: &Value| {
            let id = card["id"].as_str().unwrap_or("unknown").to_owned();
            ModelRef { id, sha256: card_sha256(&card["card"]) }
        };
        Self { stages, models: cards.iter().map(model).collect(), home, runtime, chat: None }
    }

    /// With a bot, which tasks of the chat need.
    #[must_use]
    pub fn with_chat(mut self, rig: ChatRig) -> Self {
        self.chat = Some(rig);
        self
    }

    fn fail(task: &Task, error: impl std::fmt::Display) -> EvalError {
        EvalError::Stage { task: task.id.clone(), problem: error.to_string() }
    }

    /// Encodes the texts of all items, in batches.
    fn encode(&self, task: &Task, examples: &[Example], progress: Progress<'_>) -> Result<Vec<Encoding>> {
        let mut all = Vec::with_capacity(examples.len());
        for part in examples.chunks(BATCH) {
            let texts = part.iter().map(Example::shown).collect();
            all.extend(self.stages.encoder.encode_batch(texts).map_err(|e| Self::fail(task, e))?);
            progress(all.len());
        }
        Ok(all)
    }

    /// What the stages read of a text. Intents are read whoever speaks: the role only decides what a service shows.
    fn read(&self, text: &str, encoding: &Encoding) -> Understanding {
        self.stages.read(&UtteranceId::from("eval"), Role::Customer, text, encoding, None, None)
    }

    fn understand(&self, task: &Task, examples: &[Example], progress: Progress<'_>) -> Result<Vec<Prediction>> {
        let mut encodings = self.encode(task, examples, progress)?;
        if task.dataset.adapter == "conversations" {
            self.in_threads(examples, &mut encodings);
        }
        let answer = |(example, encoding): (&Example, &Encoding)| {
            from_understanding(&task.stage, example, &self.read(&example.shown(), encoding))
        };
        Ok(examples.iter().zip(&encodings).map(answer).collect())
    }

    /// Reads the intents of whole conversations as the live flow does: in the light of the customer's turns before.
    fn in_threads(&self, examples: &[Example], encodings: &mut [Encoding]) {
        let (mut thread, mut of) = (Thread::default(), "");
        for (example, encoding) in examples.iter().zip(encodings) {
            if example.situation != of {
                (thread, of) = (Thread::default(), example.situation.as_str());
            }
            if matches!(example.role, Role::Customer | Role::Unknown) {
                self.stages.reader.in_thread(&mut thread, &example.shown(), encoding);
            }
        }
    }

    fn normalise(&self, examples: &[Example], progress: Progress<'_>) -> Vec<Prediction> {
        let answer = |example: &Example| {
            let text = self.stages.normalise(&example.shown(), example.language);
            Prediction { text: Some(text), ..Prediction::to(&example.id) }
        };
        progress(examples.len());
        examples.iter().map(answer).collect()
    }

    /// Fills the index with the documents of a task.
    fn index(&self, task: &Task, dataset: &Dataset) -> Result<()> {
        let documents = if dataset.corpus.is_empty() { self.articles(task)? } else { documents(&dataset.corpus) };
        let encoder = self.stages.encoder.clone();
        let embed = move |texts: &[&str]| -> std::result::Result<Vec<Vec<f32>>, Box<dyn std::error::Error + Send + Sync>> {
            Ok(encoder.embed_batch(texts.iter().map(|t| (*t).to_owned()).collect())?)
        };
        self.stages.knowledge.replace_all(&documents, Some(&embed)).map_err(|e| Self::fail(task, e))?;
        Ok(())
    }

    fn articles(&self, task: &Task) -> Result<Vec<Document>> {
        let folder = self.home.join(task.run.corpus.as_deref().unwrap_or("pipelines/knowledge"));
        let imported = import_dir(&folder).map_err(|e| Self::fail(task, e))?;
        let document = |d: crate::knowledge::ImportedDocument| {
            let document_id = d.document_id.unwrap_or_else(|| document_id_of(&d.content.title));
            Document { document_id, version: 1, content: d.content }
        };
        Ok(imported.documents.into_iter().map(document).collect())
    }

    fn search(&self, task: &Task, dataset: &Dataset, progress: Progress<'_>) -> Result<Vec<Prediction>> {
        self.index(task, dataset)?;
        let names = article_names(dataset);
        let mode = match task.run.mode.as_deref() {
            Some("lexical") => SearchMode::Lexical,
            Some("dense") => SearchMode::Dense,
            _ => SearchMode::Hybrid,
        };
        let mut all = Vec::new();
        for example in &dataset.examples {
            let started = Instant::now();
            let query = example.shown();
            let vector = match mode {
                SearchMode::Lexical => None,
                _ => Some(self.stages.encoder.embed(query.clone()).map_err(|e| Self::fail(task, e))?),
            };
            let request = SearchRequest { top_k: PASSAGES, mode, filters: Filters::default(), ..SearchRequest::new(query) };
            let found = self.stages.knowledge.search(&request, vector.as_deref()).map_err(|e| Self::fail(task, e))?;
            let latency_ms = Some(started.elapsed().as_secs_f64() * 1_000.0);
            let mut ranking: Vec<String> = Vec::new();
            for hit in found.passages {
                let id = names.get(&hit.document_id).cloned().unwrap_or(hit.document_id);
                if ranking.len() < RANKED && !ranking.contains(&id) {
                    ranking.push(id);
                }
            }
            let timing = Some(Timing { latency_ms, ..Timing::default() });
            all.push(Prediction { ranking: Some(ranking), timing, ..Prediction::to(&example.id) });
            progress(all.len());
        }
        Ok(all)
    }

    fn rules(&self, task: &Task, examples: &[Example], progress: Progress<'_>) -> Result<Vec<Prediction>> {
        let mut all = Vec::new();
        for example in examples {
            let Input::Conversation(conversation) = &example.input else { continue };
            let annotated = annotate(&self.stages, (**conversation).clone()).map_err(|e| Self::fail(task, e))?;
            let rules = self.stages.rules();
            let results = rules.evaluate(&annotated, &self.stages.models).map_err(|e| Self::fail(task, e))?;
            let mut checks = BTreeMap::new();
            for question in &task.questions {
                if let Some(unknown) = question.rules.iter().find(|r| rules.rule(r).is_none()) {
                    return Err(Self::fail(task, format!("question {}: there is no rule \"{unknown}\"", question.id)));
                }
                let states: Vec<RuleState> =
                    results.iter().filter(|r| question.rules.contains(&r.rule)).map(|r| r.state).collect();
                let other = if question.violation == "yes" { "no" } else { "yes" };
                let answer = if states.contains(&RuleState::Hit) {
                    question.violation.as_str()
                } else if states.contains(&RuleState::Miss) {
                    other
                } else {
                    "na"
                };
                checks.insert(question.id.clone(), answer.to_owned());
            }
            all.push(Prediction { checks: Some(checks), ..Prediction::to(&example.id) });
            progress(all.len());
        }
        Ok(all)
    }

    fn understand_speed(&self, task: &Task, examples: &[Example], progress: Progress<'_>) -> Result<Vec<Prediction>> {
        let mut all = Vec::new();
        for example in examples {
            let text = example.shown();
            let started = Instant::now();
            let encoding = self.stages.encoder.encode(text.clone()).map_err(|e| Self::fail(task, e))?;
            std::hint::black_box(self.read(&text, &encoding));
            let latency_ms = Some(started.elapsed().as_secs_f64() * 1_000.0);
            all.push(Prediction { timing: Some(Timing { latency_ms, ..Timing::default() }), ..Prediction::to(&example.id) });
            progress(all.len());
        }
        Ok(all)
    }

    /// A call read twice: from its reference transcript and from its recording.
    fn chain(&self, task: &Task, examples: &[Example], progress: Progress<'_>) -> Result<Vec<Prediction>> {
        let heard = listening::recognise(&self.stages, task, examples, progress)?;
        let mut all = Vec::new();
        let mut call: Option<&str> = None;
        for example in examples {
            let (Input::Audio { path, .. }, Gold::Chain { text, .. }) = (&example.input, &example.gold) else { continue };
            let first = call != Some(example.situation.as_str());
            call = Some(&example.situation);
            let said = calls::text_of(&heard, example);
            let texts = vec![text.clone(), if said.is_empty() { " ".to_owned() } else { said.clone() }];
            let encodings = self.stages.encoder.encode_batch(texts).map_err(|e| Self::fail(task, e))?;
            let (reference, audio) = (self.read(text, &encodings[0]), self.read(&said, &encodings[1]));
            let emotion = |u: &Understanding| u.emotion.as_ref().map(|e| e.label.clone()).unwrap_or_default();
            let (mut verdicts, mut score_shift) = (None, None);
            if first {
                let (reference, audio) = calls::both_conversations(&heard, path).map_err(|e| Self::fail(task, e))?;
                let card = |c| -> Result<_> {
                    let annotated = annotate(&self.stages, c).map_err(|e| Self::fail(task, e))?;
                    scorecard(&self.stages, &annotated).map_err(|e| Self::fail(task, e))
                };
                let (a, b) = (card(reference)?, card(audio)?);
                let states = |c: &crate::quality::Scorecard| {
                    c.results.iter().map(|r| (r.result.rule.clone(), r.result.state)).collect::<BTreeMap<_, _>>()
                };
                let (a_states, b_states) = (states(&a), states(&b));
                let flips = a_states.iter().filter(|(rule, state)| b_states.get(*rule) != Some(*state)).count();
                verdicts = Some((flips as u32, a_states.len() as u32));
                score_shift = a.total.zip(b.total).map(|(a, b)| (a - b).abs());
            }
            let outcome = crate::eval::prediction::ChainOutcome {
                reference_intent: decided_intent(&reference),
                reference_emotion: emotion(&reference),
                emotion: emotion(&audio),
                verdicts,
                score_shift,
            };
            let label = if said.is_empty() { String::new() } else { decided_intent(&audio) };
            all.push(Prediction { label: Some(label), text: Some(said), chain: Some(outcome), ..Prediction::to(&example.id) });
        }
        Ok(all)
    }
}

impl System for BuiltIn {
    fn identity(&self) -> SystemIdentity {
        SystemIdentity { name: "built-in".into(), models: self.models.clone() }
    }

    fn predict(&self, task: &Task, dataset: &Dataset, progress: Progress<'_>) -> Result<Vec<Prediction>> {
        let examples = &dataset.examples;
        match task.stage.as_str() {
            "intent" | "emotion" | "act" | "conduct" | "entity" => self.understand(task, examples, progress),
            "personal" => Ok(personal(examples, progress)),
            "normalise" => Ok(self.normalise(examples, progress)),
            "search" | "search-speed" => self.search(task, dataset, progress),
            "rules" => self.rules(task, examples, progress),
            "suggest" => {
                self.index(task, dataset)?;
                let mut all = calls::suggest(&self.stages, &self.runtime, task, examples, progress)?;
                let names = article_names(dataset);
                for (_, document) in all.iter_mut().flat_map(|p| p.suggested.iter_mut().flatten()) {
                    if let Some(name) = names.get(document) {
                        document.clone_from(name);
                    }
                }
                Ok(all)
            }
            "recognise" => {
                let heard = listening::recognise(&self.stages, task, examples, progress)?;
                Ok(listening::predictions(&heard, examples))
            }
            "recognise-live" => {
                let heard = listening::recognise_live(&self.stages, task, examples, progress)?;
                Ok(listening::predictions(&heard, examples))
            }
            "chain" => self.chain(task, examples, progress),
            "chat" => match &self.chat {
                Some(rig) => {
                    self.index(task, dataset)?;
                    dialogue::play(rig, &article_names(dataset), &self.runtime, task, examples, progress)
                }
                None => Err(unsupported("a system without a bot", "chat", "run it with `zhiyin eval run chat`")),
            },
            "understand-speed" => self.understand_speed(task, examples, progress),
            other => Err(unsupported("the built-in system", other, "give the answers of a system with --predictions FILE")),
        }
    }
}

/// Judgements call an article by its name, the index by an id made of it: id -> name.
pub(super) fn article_names(dataset: &Dataset) -> BTreeMap<String, String> {
    let named = dataset.examples.iter().flat_map(|e| -> Vec<&str> {
        match (&e.gold, &e.input) {
            (Gold::Relevant(relevant), _) => relevant.keys().map(String::as_str).collect(),
            (Gold::Answers(turns), _) => turns.iter().flat_map(|(_, documents)| documents).map(String::as_str).collect(),
            (_, Input::Dialogue(dialogue)) => dialogue.articles(),
            _ => Vec::new(),
        }
    });
    named.map(|name| (document_id_of(name), name.to_owned())).collect()
}

/// Personal data by the rules of the privacy room; turns of an exchange are watched one after the other.
fn personal(examples: &[Example], progress: Progress<'_>) -> Vec<Prediction> {
    let span = |finding: &Finding, offset: usize| Span {
        kind: finding.kind.name().into(),
        start: finding.start + offset,
        end: finding.end + offset,
    };
    let answer = |example: &Example| {
        let mut spans: BTreeSet<Span> = BTreeSet::new();
        match &example.input {
            Input::Conversation(exchange) => {
                let (mut watcher, mut offsets) = (Watcher::default(), vec![0]);
                for (number, turn) in exchange.turns.iter().enumerate() {
                    let seen = watcher.take(turn.role.name(), &turn.text);
                    spans.extend(seen.findings.iter().map(|f| span(f, offsets[number])));
                    spans.extend(seen.earlier.iter().filter_map(|(turn, f)| Some(span(f, *offsets.get(*turn)?))));
                    offsets.push(offsets[number] + turn.text.chars().count() + 1);
                }
            }
            _ => spans.extend(find(&example.shown()).iter().map(|f| span(f, 0))),
        }
        Prediction { spans: Some(spans.into_iter().collect()), ..Prediction::to(&example.id) }
    };
    progress(examples.len());
    examples.iter().map(answer).collect()
}

pub(super) fn unsupported(system: &str, stage: &str, hint: &str) -> EvalError {
    EvalError::Unsupported { system: system.into(), stage: stage.into(), hint: hint.into() }
}

/// The intent that the product decides for: `out_of_scope` where it says so, else the first of the ranking.
pub(super) fn decided_intent(read: &Understanding) -> String {
    if read.out_of_scope.flag {
        return OUT_OF_SCOPE.to_owned();
    }
    read.intents.first().map(|i| i.name.clone()).unwrap_or_default()
}

/// The part of an understanding that a stage is about.
pub(super) fn from_understanding(stage: &str, example: &Example, read: &Understanding) -> Prediction {
    let mut answer = Prediction::to(&example.id);
    match stage {
        "intent" => {
            answer.label = Some(decided_intent(read));
            answer.confidence = read.intents.first().and_then(|i| i.confidence).map(rounded);
            answer.out_of_scope = read.out_of_scope.confidence.map(rounded);
        }
        "emotion" => {
            let emotion = read.emotion.as_ref();
            answer.label = Some(emotion.map(|e| e.label.clone()).unwrap_or_default());
            answer.confidence = emotion.and_then(|e| e.confidence).map(rounded);
        }
        "act" => answer.labels = Some(read.acts.iter().map(|a| a.label.clone()).collect()),
        "conduct" => answer.labels = Some(read.conduct.iter().map(|c| c.label.clone()).collect()),
        _ => {
            let span = |e: &crate::conversation::Entity| Span { kind: e.kind.clone(), start: e.start, end: e.end };
            answer.spans = Some(read.entities.iter().map(span).collect());
        }
    }
    answer
}

/// Six decimals: enough for every metric, and the same in a file and in memory.
fn rounded(value: f32) -> f64 {
    (f64::from(value).clamp(0.0, 1.0) * 1e6).round() / 1e6
}

/// sha256 over the checksums of a model's files, in the order of its card.
pub(super) fn card_sha256(card: &Value) -> String {
    let files = card["files"].as_array().or_else(|| card["file"].as_array());
    let sums: Vec<&str> = files.into_iter().flatten().filter_map(|f| f["sha256"].as_str()).collect();
    if sums.is_empty() { String::new() } else { source_hex(&Sha256::digest(sums.join("\n").as_bytes())) }
}

fn documents(corpus: &[CorpusDocument]) -> Vec<Document> {
    let content = |d: &CorpusDocument| DocumentContent {
        title: if d.title.is_empty() { d.text.chars().take(60).collect() } else { d.title.clone() },
        kind: DocumentKind::Faq,
        language: d.language,
        body: d.text.clone(),
        tags: d.tags.clone(),
        ..DocumentContent::default()
    };
    corpus.iter().map(|d| Document { document_id: d.id.clone(), version: 1, content: content(d) }).collect()
}

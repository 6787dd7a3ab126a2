//! All files of the chat front, read and checked together.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::config::{ChatConfig, last_line};
use super::error::{ChatError, Problem, line_of, toml_problem, unknown};
use super::flow::{Flow, SlotKind, Then, Webhook, Webhooks, When, Words};
use super::trigger::{Fit, Triggers};
use crate::conversation::IntentScore;

/// Values that every flow has besides its slots and what its calls give.
const BUILT_IN: [&str; 3] = ["decision", "market", "language"];

/// The flows, the business calls and the configuration of the bot.
pub struct FlowBook {
    /// `pipelines/chat.toml`.
    pub config: ChatConfig,
    flows: Vec<Flow>,
    webhooks: Vec<Webhook>,
    triggers: Triggers,
}

/// A file and its text.
struct Source {
    name: String,
    text: String,
}

impl Source {
    fn read(path: &Path) -> Result<Self, ChatError> {
        let text = std::fs::read_to_string(path).map_err(|source| ChatError::Unreadable { path: path.to_path_buf(), source })?;
        Ok(Self { name: path.display().to_string(), text })
    }

    fn problem(&self, parts: &[&str], message: String) -> Problem {
        Problem { file: self.name.clone(), line: line_of(&self.text, parts), message }
    }
}

/// The TOML files of a folder, by name.
///
/// # Errors
/// The folder cannot be read.
pub fn toml_files(folder: &Path) -> Result<Vec<PathBuf>, ChatError> {
    let unreadable = |source| ChatError::Unreadable { path: folder.to_path_buf(), source };
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(unreadable)?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    Ok(files)
}

impl FlowBook {
    /// Reads `chat.toml`, `chat/webhooks.toml` and `chat/flows/*.toml` below a folder `pipelines`. `intents` are the ids of
    /// the taxonomy; empty: they are not checked.
    ///
    /// # Errors
    /// [`ChatError::Invalid`] with every mistake of every file.
    pub fn load(pipelines: &Path, intents: &[String]) -> Result<Self, ChatError> {
        let mut problems = Vec::new();
        let source = Source::read(&pipelines.join("chat.toml"))?;
        let config = ChatConfig::parse(&source.name, &source.text).map_err(|more| problems.extend(more)).ok();
        let source = Source::read(&pipelines.join("chat/webhooks.toml"))?;
        let webhooks: Webhooks = toml::from_str(&source.text).unwrap_or_else(|e| {
            problems.push(toml_problem(&source.name, &source.text, &e));
            Webhooks::default()
        });
        let mut read: Vec<(Source, Flow)> = Vec::new();
        for path in toml_files(&pipelines.join("chat/flows"))? {
            let source = Source::read(&path)?;
            match toml::from_str::<Flow>(&source.text) {
                Ok(flow) => read.push((source, flow)),
                Err(error) => problems.push(toml_problem(&source.name, &source.text, &error)),
            }
        }
        let ids: Vec<String> = read.iter().map(|(_, flow)| flow.id.clone()).collect();
        for (source, flow) in &read {
            problems.extend(Checker { source, flow, flows: &ids, webhooks: &webhooks.webhooks, intents }.problems());
        }
        match config {
            Some(config) if problems.is_empty() => {
                let flows: Vec<Flow> = read.into_iter().map(|(_, flow)| flow).collect();
                let triggers = Triggers::new(&flows);
                Ok(Self { config, flows, webhooks: webhooks.webhooks, triggers })
            }
            _ => Err(ChatError::Invalid(problems)),
        }
    }

    /// All flows, by file name.
    pub fn flows(&self) -> &[Flow] {
        &self.flows
    }

    /// A flow by id.
    pub fn flow(&self, id: &str) -> Option<&Flow> {
        self.flows.iter().find(|flow| flow.id == id)
    }

    /// The flow of an intent.
    pub fn flow_of_intent(&self, intent: &str) -> Option<&Flow> {
        self.flows.iter().find(|flow| flow.intents.iter().any(|i| i == intent))
    }

    /// All business calls.
    pub fn webhooks(&self) -> &[Webhook] {
        &self.webhooks
    }

    /// A business call by name.
    pub fn webhook(&self, name: &str) -> Option<&Webhook> {
        self.webhooks.iter().find(|webhook| webhook.name == name)
    }

    /// The examples of all triggers, in the order in which [`Self::embed`] takes their vectors.
    pub fn example_texts(&self) -> Vec<String> {
        self.triggers.texts()
    }

    /// Gives the examples their sentence vectors (of length 1).
    pub fn embed(&mut self, vectors: impl IntoIterator<Item = Vec<f32>>) {
        self.triggers.embed(vectors);
    }

    /// How well each flow fits a message, best first.
    pub fn fits(&self, text: &str, vector: Option<&[f32]>, intents: &[IntentScore]) -> Vec<Fit> {
        self.triggers.fits(text, vector, intents, self.config.thresholds.intent_bonus)
    }
}

/// Checks one flow against everything that it names.
struct Checker<'a> {
    source: &'a Source,
    flow: &'a Flow,
    flows: &'a [String],
    webhooks: &'a [Webhook],
    intents: &'a [String],
}

impl Checker<'_> {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let stem = Path::new(&self.source.name).file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        if self.flow.id != stem {
            problems.push(
                self.source.problem(&["id ="], format!("id \"{}\" must be the name of the file, \"{stem}\"", self.flow.id)),
            );
        }
        for intent in self.flow.intents.iter().filter(|i| !self.intents.is_empty() && !self.intents.contains(i)) {
            problems.push(self.named("intent", intent, self.intents.iter().map(String::as_str)));
        }
        self.triggers(&mut problems);
        self.slots(&mut problems);
        self.steps(&mut problems);
        self.tables(&mut problems);
        self.texts(&mut problems);
        problems
    }

    fn named<'k>(&self, what: &str, name: &str, known: impl IntoIterator<Item = &'k str>) -> Problem {
        self.source.problem(&[&format!("\"{name}\"")], unknown(what, name, known))
    }

    fn triggers(&self, problems: &mut Vec<Problem>) {
        for trigger in [&self.flow.trigger.zh, &self.flow.trigger.en] {
            for pattern in trigger.patterns.iter().chain(&trigger.not) {
                if let Err(error) = Regex::new(pattern) {
                    let part: String = pattern.chars().take_while(|c| *c != '\\').collect();
                    let message = format!("a pattern cannot be used: {}", last_line(&error.to_string()));
                    problems.push(self.source.problem(&[&part], message));
                }
            }
        }
    }

    fn slots(&self, problems: &mut Vec<Problem>) {
        let mut names = BTreeSet::new();
        for slot in &self.flow.slots {
            let at = format!("\"{}\"", slot.name);
            let mut complain = |message: String| problems.push(self.source.problem(&["name", &at], message));
            if !names.insert(&slot.name) {
                complain(format!("slot \"{}\" stands here twice", slot.name));
            }
            if slot.ask.zh.is_empty() || slot.ask.en.is_empty() {
                complain(format!("slot \"{}\" asks in one language only; write ask.zh and ask.en", slot.name));
            }
            if slot.kind == SlotKind::Choice && slot.options.len() < 2 {
                complain(format!("slot \"{}\" is a choice with fewer than two options", slot.name));
            }
            if slot.kind != SlotKind::Choice && !slot.options.is_empty() {
                complain(format!("slot \"{}\" has options and is no choice", slot.name));
            }
            if slot.past && slot.future {
                complain(format!("slot \"{}\" can lie in the past or in the future, not both", slot.name));
            }
        }
    }

    fn values(&self) -> Vec<&str> {
        let slots = self.flow.slots.iter().map(|s| s.name.as_str());
        let calls = self.flow.steps.iter().filter_map(|s| s.call.as_deref());
        let gives = calls.filter_map(|name| self.webhooks.iter().find(|w| w.name == name)).flat_map(|w| &w.gives);
        slots.chain(gives.map(String::as_str)).chain(BUILT_IN).collect()
    }

    fn when(&self, when: &When, problems: &mut Vec<Problem>) {
        let values = self.values();
        let known = |name: &str| values.contains(&name) || name.strip_suffix("_days").is_some_and(|n| values.contains(&n));
        for name in when.keys().filter(|name| !known(name)) {
            problems.push(self.source.problem(&["when", name], unknown("value", name, values.iter().copied())));
        }
    }

    fn then(&self, then: &Then, problems: &mut Vec<Problem>) {
        if let Then::Again(slot) = then
            && self.flow.slot(slot).is_none()
        {
            let known = self.flow.slots.iter().map(|s| s.name.as_str());
            problems.push(self.source.problem(&["again", slot], unknown("slot", slot, known)));
        }
    }

    fn steps(&self, problems: &mut Vec<Problem>) {
        if self.flow.steps.is_empty() {
            problems.push(self.source.problem(&["id ="], "the flow has no steps".to_owned()));
        }
        for step in &self.flow.steps {
            let verbs = [&step.ask, &step.call, &step.decide, &step.say, &step.run];
            let named: Vec<&String> = verbs.into_iter().flatten().collect();
            if named.len() != 1 {
                let near = named.first().map_or("[[step]]".to_owned(), |n| format!("\"{n}\""));
                problems.push(self.source.problem(&[&near], "a step has exactly one of ask, call, decide, say, run".to_owned()));
            }
            self.when(&step.when, problems);
            self.then(&step.then, problems);
            if let Some(slot) = step.ask.as_ref().filter(|s| self.flow.slot(s).is_none()) {
                problems.push(self.named("slot", slot, self.flow.slots.iter().map(|s| s.name.as_str())));
            }
            if let Some(call) = step.call.as_ref().filter(|c| !self.webhooks.iter().any(|w| w.name == **c)) {
                problems.push(self.named("webhook", call, self.webhooks.iter().map(|w| w.name.as_str())));
            }
            if let Some(table) = step.decide.as_ref().filter(|t| self.flow.table(t).is_none()) {
                problems.push(self.named("table", table, self.flow.tables.iter().map(|t| t.id.as_str())));
            }
            if let Some(text) = step.say.as_ref().filter(|t| !self.flow.texts.contains_key(*t)) {
                problems.push(self.named("text", text, self.flow.texts.keys().map(String::as_str)));
            }
            if let Some(flow) = step.run.as_ref().filter(|f| !self.flows.contains(f) || **f == self.flow.id) {
                problems.push(self.named("other flow", flow, self.flows.iter().map(String::as_str)));
            }
        }
    }

    fn tables(&self, problems: &mut Vec<Problem>) {
        for table in &self.flow.tables {
            for (index, row) in table.rows.iter().enumerate() {
                self.when(&row.when, problems);
                self.then(&row.then, problems);
                if let Some(text) = row.say.as_ref().filter(|t| !self.flow.texts.contains_key(*t)) {
                    problems.push(self.named("text", text, self.flow.texts.keys().map(String::as_str)));
                }
                if row.when.is_empty() && index + 1 < table.rows.len() {
                    let message =
                        format!("row {} of table \"{}\" always holds; the rows behind it never count", index + 1, table.id);
                    problems.push(self.source.problem(&["id =", &format!("\"{}\"", table.id)], message));
                }
            }
            if table.rows.last().is_none_or(|row| !row.when.is_empty()) {
                let message = format!("table \"{}\" needs a last row without `when`, for everything else", table.id);
                problems.push(self.source.problem(&["id =", &format!("\"{}\"", table.id)], message));
            }
        }
    }

    fn texts(&self, problems: &mut Vec<Problem>) {
        let values = self.values();
        let known = |name: &str| values.contains(&name) || name.strip_suffix("_days").is_some_and(|n| values.contains(&n));
        for (name, words) in &self.flow.texts {
            let Words { zh, en } = words;
            if zh.is_empty() || en.is_empty() {
                let message = format!("text \"{name}\" is missing in zh or en");
                problems.push(self.source.problem(&[&format!("[texts.{name}]")], message));
            }
            for place in [zh, en].iter().flat_map(|text| super::form::places(text)) {
                if !known(place) {
                    let message = unknown("value", place, values.iter().copied());
                    problems.push(self.source.problem(&[&format!("{{{place}}}")], message));
                }
            }
        }
    }
}

//! A task: one file that says what is measured, on what, and how.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::metrics::{Direction, METRICS, MetricDef};
use super::{EvalError, Result};

/// What an item of a task looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One label.
    Label,
    /// Any number of labels.
    Labels,
    /// Typed stretches of a text.
    Spans,
    /// A text.
    Text,
    /// An order of documents.
    Ranking,
    /// Suggestions over a conversation.
    Suggestions,
    /// Answers to the questions of an inspection.
    Checks,
    /// Stories of a chat.
    Stories,
    /// The same call from audio and from its reference transcript.
    Chain,
    /// Time for an item.
    Speed,
}

/// What is run: name, kind of task, and what it is.
pub const STAGES: &[(&str, Kind, &str)] = &[
    ("intent", Kind::Label, "the customer's intent, by the decision that the product takes"),
    ("emotion", Kind::Label, "the emotion of an utterance"),
    ("act", Kind::Labels, "dialogue acts"),
    ("conduct", Kind::Labels, "conduct labels"),
    ("entity", Kind::Spans, "entities"),
    ("personal", Kind::Spans, "personal data"),
    ("normalise", Kind::Text, "inverse text normalisation"),
    ("recognise", Kind::Text, "recognition of recordings, as fast as the machine can"),
    ("recognise-live", Kind::Text, "recognition of recordings at their own speed, with partial texts"),
    ("search", Kind::Ranking, "knowledge search"),
    ("suggest", Kind::Suggestions, "suggestions over whole conversations"),
    ("rules", Kind::Checks, "quality rules against the answers of inspectors"),
    ("chat", Kind::Stories, "stories of the chat"),
    ("chain", Kind::Chain, "sample calls from audio and from reference transcripts"),
    ("understand-speed", Kind::Speed, "time to understand one utterance"),
    ("search-speed", Kind::Speed, "time of one knowledge search, encoding included"),
];

/// The data of a task.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetSpec {
    /// How it is read: see [`super::dataset::ADAPTERS`].
    pub adapter: String,
    /// File or folder: below the product's folder, or inside the public set.
    pub path: String,
    /// Which split of it.
    #[serde(default)]
    pub split: Option<String>,
    /// Name of a set in `datasets/sources.toml`.
    #[serde(default)]
    pub public: Option<String>,
    /// Names of columns or keys, by what they hold: `id`, `text`, `label`, …
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// The data's labels -> the product's; with a map, labels that are not in it are refused unless mapped to "".
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// At most so many items, drawn with the seed.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// How the stage is run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// Role whose utterances take part; both by default.
    #[serde(default)]
    pub role: Option<String>,
    /// Types or labels that take part; all by default.
    #[serde(default)]
    pub labels: Vec<String>,
    /// How texts are compared: `plain`, or `written` (numbers in figures on both sides).
    #[serde(default)]
    pub normaliser: Option<String>,
    /// Words that must not be lost (recognition).
    #[serde(default)]
    pub keywords: Vec<String>,
    /// `hybrid`, `lexical` or `dense` (search).
    #[serde(default)]
    pub mode: Option<String>,
    /// Documents that are searched: folder of articles or the set's own corpus.
    #[serde(default)]
    pub corpus: Option<String>,
    /// Which documents answer which intent (suggestions): a TOML file below the product's folder.
    #[serde(default)]
    pub answers: Option<String>,
    /// Recordings without speech that take part (recognition).
    #[serde(default)]
    pub silent: Vec<String>,
    /// Scheme of the score (chain).
    #[serde(default)]
    pub scheme: Option<String>,
}

/// A metric that the task reports.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricSpec {
    /// Name in [`METRICS`].
    pub name: String,
    /// How it is added up; the metric's default by default.
    #[serde(default)]
    pub aggregation: Option<String>,
    /// Which way is better; must be the metric's own.
    #[serde(default)]
    pub direction: Option<Direction>,
    /// A regression by more than this fails the gate; absent: the metric is reported and not guarded.
    #[serde(default)]
    pub gate: Option<f64>,
    /// The value that the product promises; reported beside the result.
    #[serde(default)]
    pub target: Option<f64>,
}

impl MetricSpec {
    /// The definition. `Task::parse` refuses unknown names.
    pub fn def(&self) -> &'static MetricDef {
        MetricDef::of(&self.name).unwrap_or(&METRICS[0])
    }

    /// How it is added up.
    pub fn aggregation(&self) -> &str {
        self.aggregation.as_deref().unwrap_or(self.def().aggregations[0])
    }

    /// Its name in results: `macro_f1`; the default aggregation of a metric with one is left out.
    pub fn key(&self) -> String {
        match (self.def().aggregations.len(), self.aggregation()) {
            (1, _) => self.name.clone(),
            (_, aggregation) => format!("{aggregation}_{}", self.name),
        }
    }
}

/// A question of an inspection, and the rules that answer it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuestionSpec {
    /// Its id in the labels.
    pub id: String,
    /// The answer that is a violation: `yes` or `no`.
    pub violation: String,
    /// Rules, any of which finds the violation.
    pub rules: Vec<String>,
}

/// One task, as its file says it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// `<room>/<task>`, the file's place below `eval/tasks`.
    pub id: String,
    /// Counts from 1; raise it whenever results before and after cannot be compared.
    pub version: u32,
    /// What it measures, in a sentence.
    pub title: String,
    /// Name in [`STAGES`].
    pub stage: String,
    /// Languages in it.
    pub languages: Vec<String>,
    /// Profiles that hold it: `fast`, `full`, `public`.
    pub profiles: Vec<String>,
    /// What is drawn as a whole by the bootstrap: `item` or `situation`.
    #[serde(default = "item")]
    pub cluster: String,
    /// Slices that are reported: `language`, `role`, `channel`, `length`, `noise`, `label`, `question`, or a field of the data.
    #[serde(default)]
    pub slices: Vec<String>,
    /// Where the data is.
    pub dataset: DatasetSpec,
    /// How the stage is run.
    #[serde(default)]
    pub run: RunSpec,
    /// What is reported; the first is the one that sorts and shows.
    #[serde(rename = "metric")]
    pub metrics: Vec<MetricSpec>,
    /// Questions (rules).
    #[serde(default, rename = "question")]
    pub questions: Vec<QuestionSpec>,
}

fn item() -> String {
    "item".into()
}

/// Profiles and what they are for.
pub const PROFILES: &[(&str, &str)] = &[
    ("fast", "text tasks on the project's own data; under five minutes on two cores; what continuous integration runs"),
    ("full", "fast, and everything that listens to recordings or measures time"),
    ("public", "public sets named in datasets/sources.toml"),
];

impl Task {
    /// What an item looks like. `Task::parse` refuses unknown stages.
    pub fn kind(&self) -> Kind {
        STAGES.iter().find(|(name, ..)| *name == self.stage).map_or(Kind::Label, |(_, kind, _)| *kind)
    }

    /// The file name of a result of this task.
    pub fn file_name(&self) -> String {
        format!("{}.json", self.id.replace('/', "."))
    }

    /// The metric with this key.
    pub fn metric(&self, key: &str) -> Option<&MetricSpec> {
        self.metrics.iter().find(|m| m.key() == key)
    }

    /// Reads a task file. `id` is what the file's place says.
    ///
    /// # Errors
    /// Every problem of the file, each with its line.
    pub fn parse(file: &str, id: &str, text: &str) -> Result<Self> {
        let task: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_at(text, span.start));
            EvalError::line(file, line, error.message().to_owned())
        })?;
        let problems = task.problems(id, text);
        if problems.is_empty() {
            return Ok(task);
        }
        Err(EvalError::Problems(problems.into_iter().map(|(line, problem)| format!("{file}:{line}: {problem}")).collect()))
    }

    fn problems(&self, id: &str, text: &str) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let mut complain = |needle: &str, problem: String| found.push((line_of(text, needle), problem));
        if self.id != id {
            complain("id", format!("id is \"{}\"; by its place the file is \"{id}\"", self.id));
        }
        if self.version == 0 {
            complain("version", "version counts from 1".into());
        }
        let stages: Vec<&str> = STAGES.iter().map(|(name, ..)| *name).collect();
        if !stages.contains(&self.stage.as_str()) {
            complain("stage", format!("there is no stage \"{}\"{}", self.stage, near(&self.stage, &stages)));
        }
        let profiles: Vec<&str> = PROFILES.iter().map(|(name, _)| *name).collect();
        for name in self.profiles.iter().filter(|p| !profiles.contains(&p.as_str())) {
            complain(&format!("\"{name}\""), format!("there is no profile \"{name}\"{}", near(name, &profiles)));
        }
        if self.profiles.is_empty() {
            complain("profiles", "no profile: the task would never run; name one".into());
        }
        if !matches!(self.cluster.as_str(), "item" | "situation") {
            complain("cluster", format!("cluster \"{}\": known are item, situation", self.cluster));
        }
        for language in self.languages.iter().filter(|l| !matches!(l.as_str(), "zh" | "en")) {
            complain(&format!("\"{language}\""), format!("language \"{language}\": known are zh, en"));
        }
        let adapters: Vec<&str> = super::dataset::ADAPTERS.iter().map(|(name, _)| *name).collect();
        if !adapters.contains(&self.dataset.adapter.as_str()) {
            let name = &self.dataset.adapter;
            complain("adapter", format!("there is no adapter \"{name}\"{}", near(name, &adapters)));
        }
        if self.dataset.path.split('/').any(|part| part == "..") || self.dataset.path.starts_with('/') {
            complain("path", "path must lie below the product's folder or inside the public set".into());
        }
        if let Some(mode) = self.run.mode.as_deref().filter(|m| !matches!(*m, "hybrid" | "lexical" | "dense")) {
            complain("mode", format!("mode \"{mode}\": known are hybrid, lexical, dense"));
        }
        if let Some(name) = self.run.normaliser.as_deref().filter(|n| !matches!(*n, "plain" | "written")) {
            complain("normaliser", format!("normaliser \"{name}\": known are plain, written"));
        }
        for question in self.questions.iter().filter(|q| !matches!(q.violation.as_str(), "yes" | "no")) {
            complain(&format!("\"{}\"", question.id), format!("question {}: violation is yes or no", question.id));
        }
        if self.stage == "rules" && self.questions.is_empty() {
            complain("stage", "stage \"rules\" needs [[question]]".into());
        }
        found.extend(self.metric_problems(text));
        found
    }

    fn metric_problems(&self, text: &str) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        if self.metrics.is_empty() {
            found.push((1, "no [[metric]]: nothing would be measured".into()));
        }
        let names: Vec<&str> = METRICS.iter().map(|m| m.name).collect();
        for (place, metric) in self.metrics.iter().enumerate() {
            let line = line_of(text, &format!("\"{}\"", metric.name));
            let Some(def) = MetricDef::of(&metric.name) else {
                found.push((line, format!("there is no metric \"{}\"{}", metric.name, near(&metric.name, &names))));
                continue;
            };
            if !def.kinds.contains(&self.kind()) {
                found.push((line, format!("metric \"{}\" does not fit stage \"{}\"", def.name, self.stage)));
            }
            if !def.aggregations.contains(&metric.aggregation()) {
                let known = def.aggregations.join(", ");
                found.push((
                    line,
                    format!("metric \"{}\": aggregation \"{}\": known are {known}", def.name, metric.aggregation()),
                ));
            }
            if metric.direction.is_some_and(|d| d != def.direction) {
                found.push((line, format!("metric \"{}\": direction is {:?}", def.name, def.direction).to_lowercase()));
            }
            if metric.gate.is_some() && def.timed {
                found.push((line, format!("metric \"{}\" depends on the machine and cannot be guarded by a gate", def.name)));
            }
            if metric.gate.is_some_and(|g| !(0.0..=1_000.0).contains(&g)) {
                found.push((line, format!("metric \"{}\": gate must not be negative", def.name)));
            }
            if self.metrics[..place].iter().any(|other| other.key() == metric.key()) {
                found.push((line, format!("metric \"{}\" stands there twice", metric.key())));
            }
        }
        found
    }
}

/// `; did you mean "x"?`, or the known names.
pub(super) fn near(name: &str, known: &[&str]) -> String {
    let best = known.iter().map(|k| (strsim::damerau_levenshtein(name, k), *k)).min();
    match best {
        Some((distance, best)) if distance <= 2.max(name.chars().count() / 3) => format!("; did you mean \"{best}\"?"),
        _ => format!("; known are {}", known.join(", ")),
    }
}

fn line_at(text: &str, byte: usize) -> usize {
    text.as_bytes()[..byte.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1
}

/// The first line, outside of comments, that holds `needle`.
fn line_of(text: &str, needle: &str) -> usize {
    text.lines().position(|l| !l.trim_start().starts_with('#') && l.contains(needle)).map_or(1, |at| at + 1)
}

/// All tasks below a folder, by id.
///
/// # Errors
/// Every problem of every file.
pub fn load_tasks(folder: &Path) -> Result<Vec<Task>> {
    let (mut tasks, mut problems) = (Vec::new(), Vec::new());
    for room in sorted(folder)?.into_iter().filter(|p| p.is_dir()) {
        for path in sorted(&room)?.into_iter().filter(|p| p.extension().is_some_and(|e| e == "toml")) {
            let name = |p: &Path| p.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let id = format!("{}/{}", name(&room), name(&path));
            let text = std::fs::read_to_string(&path).map_err(|e| EvalError::file(&path, e))?;
            match Task::parse(&path.display().to_string(), &id, &text) {
                Ok(task) => tasks.push(task),
                Err(error) => problems.push(error.to_string()),
            }
            if !room.join("README.md").is_file() {
                problems.push(format!("{}: README.md is missing: say what the tasks of the room measure", room.display()));
            }
        }
    }
    problems.dedup();
    if !problems.is_empty() {
        return Err(EvalError::Problems(problems));
    }
    Ok(tasks)
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|e| EvalError::file(folder, e))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
    paths.sort();
    Ok(paths)
}

/// Tasks by name (`intent`, `intent/service-zh`) or, without names, by profile.
///
/// # Errors
/// [`EvalError::UnknownTask`] with the nearest name.
pub fn select<'a>(tasks: &'a [Task], names: &[String], profile: &str) -> Result<Vec<&'a Task>> {
    if !PROFILES.iter().any(|(name, _)| *name == profile) {
        let known: Vec<&str> = PROFILES.iter().map(|(name, _)| *name).collect();
        return Err(EvalError::Comparison(format!("there is no profile \"{profile}\"{}", near(profile, &known))));
    }
    if names.is_empty() {
        return Ok(tasks.iter().filter(|t| t.profiles.iter().any(|p| p == profile)).collect());
    }
    let mut chosen: Vec<&Task> = Vec::new();
    for name in names {
        let found: Vec<&Task> = tasks.iter().filter(|t| t.id == *name || t.id.split('/').next() == Some(name)).collect();
        if found.is_empty() {
            // A name without a room is a room's.
            let whole = name.contains('/');
            let mut known: Vec<&str> =
                tasks.iter().map(|t| if whole { t.id.as_str() } else { t.id.split('/').next().unwrap_or(&t.id) }).collect();
            known.dedup();
            return Err(EvalError::UnknownTask { name: name.clone(), hint: near(name, &known).trim_start_matches("; ").into() });
        }
        chosen.extend(found.into_iter().filter(|t| !chosen.iter().any(|c| c.id == t.id)).collect::<Vec<_>>());
    }
    Ok(chosen)
}

//! Predictions: what a system answered to each item. One JSON object a line, so that any system in any language can be
//! compared; lines are checked before anything is measured.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::dataset::records::numbered_lines;
use super::example::{Example, Span};
use super::task::{Kind, Task};
use super::{EvalError, Result};

/// The answer to one item; which fields it needs follows from the kind of the task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// The item.
    pub id: String,
    /// Label (label; chain: the intent from audio).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Probability of the label, in [0, 1].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// How far the text is out of scope; any scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_of_scope: Option<f64>,
    /// Labels that hold (labels).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Spans (spans).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spans: Option<Vec<Span>>,
    /// Text (text; chain: what was recognised).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Documents, best first (ranking).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranking: Option<Vec<String>>,
    /// What was suggested (suggestions): turn id and document, in the order shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggested: Option<Vec<(String, String)>>,
    /// Answers by question: `yes`, `no`, `na` (checks).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<BTreeMap<String, String>>,
    /// Outcome of a story (stories).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub story: Option<StoryOutcome>,
    /// The reading from the reference transcript, and what the call lost (chain).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<ChainOutcome>,
    /// Times, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<Timing>,
}

/// How a story of the chat went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoryOutcome {
    /// Every turn went as written.
    pub passed: bool,
    /// Turns that were answered.
    pub answered: u32,
    /// Answers among them that were right.
    pub right: u32,
    /// Hand-overs that were due and made.
    pub handed_over: u32,
    /// Hand-overs that were made and not due.
    #[serde(default)]
    pub needless: u32,
    /// Passages that were cited.
    #[serde(default)]
    pub citations: u32,
    /// Cited passages that do not hold what was said.
    #[serde(default)]
    pub ungrounded: u32,
    /// What happened, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A customer turn of a call: read from the reference, beside what was read from audio.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainOutcome {
    /// Intent from the reference transcript.
    pub reference_intent: String,
    /// Emotion from the reference transcript.
    pub reference_emotion: String,
    /// Emotion from audio.
    pub emotion: String,
    /// Of the whole call, on its first turn: verdicts of rules that changed, and all verdicts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdicts: Option<(u32, u32)>,
    /// Of the whole call, on its first turn: by how much its score changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score_shift: Option<f64>,
}

/// Wall-clock times of an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// The whole item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// From the end of speech to the final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_final_ms: Option<f64>,
    /// From the begin of speech to the first partial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_partial_ms: Option<f64>,
    /// Characters that partials took back over characters of the final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub churn: Option<f64>,
}

impl Prediction {
    /// An empty answer to an item.
    pub fn to(id: impl Into<String>) -> Self {
        Self { id: id.into(), ..Self::default() }
    }

    /// Its numbers to nine decimals, so that they are the same in a file and in memory.
    pub fn rounded(mut self) -> Self {
        let round = |value: &mut Option<f64>| *value = value.map(super::statistics::rounded);
        round(&mut self.confidence);
        round(&mut self.out_of_scope);
        if let Some(chain) = &mut self.chain {
            round(&mut chain.score_shift);
        }
        if let Some(timing) = &mut self.timing {
            round(&mut timing.latency_ms);
            round(&mut timing.time_to_final_ms);
            round(&mut timing.first_partial_ms);
            round(&mut timing.churn);
        }
        self
    }

    /// Without what the clock decides.
    pub fn timeless(&self) -> Self {
        Self { timing: None, ..self.clone() }
    }

    fn complaint(&self, kind: Kind) -> Option<String> {
        let missing = |field: &str| Some(format!("id \"{}\" has no \"{field}\", which tasks of this kind need", self.id));
        if let Some(confidence) = self.confidence.filter(|c| !(0.0..=1.0).contains(c)) {
            return Some(format!("id \"{}\": confidence {confidence} lies outside of 0 to 1", self.id));
        }
        if self.out_of_scope.is_some_and(|s| !s.is_finite()) {
            return Some(format!("id \"{}\": out_of_scope is no number", self.id));
        }
        if let Some(span) = self.spans.iter().flatten().find(|s| s.start >= s.end) {
            return Some(format!("id \"{}\": a span from {} to {} holds nothing", self.id, span.start, span.end));
        }
        if let Some(ranking) = &self.ranking {
            let mut seen = HashSet::new();
            if let Some(twice) = ranking.iter().find(|d| !seen.insert(*d)) {
                return Some(format!("id \"{}\": document \"{twice}\" is ranked twice", self.id));
            }
        }
        match kind {
            Kind::Label if self.label.is_none() => missing("label"),
            Kind::Labels if self.labels.is_none() => missing("labels"),
            Kind::Spans if self.spans.is_none() => missing("spans"),
            Kind::Text if self.text.is_none() => missing("text"),
            Kind::Ranking if self.ranking.is_none() => missing("ranking"),
            Kind::Suggestions if self.suggested.is_none() => missing("suggested"),
            Kind::Checks if self.checks.is_none() => missing("checks"),
            Kind::Stories if self.story.is_none() => missing("story"),
            Kind::Chain if self.chain.is_none() || self.label.is_none() => missing("chain"),
            Kind::Speed if self.timing.and_then(|t| t.latency_ms).is_none() => missing("timing.latency_ms"),
            _ => None,
        }
    }
}

/// How a predictions file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PredictionForm {
    /// One [`Prediction`] a line.
    Jsonl,
    /// Kaldi text: `utterance-id words …` a line.
    Kaldi,
    /// A TREC run: `query Q0 document rank score tag` a line.
    Trec,
}

impl PredictionForm {
    /// By the name of the file: `.jsonl`/`.json`, `.run`/`.trec`, and Kaldi text for `.txt`/`text`.
    pub fn of_file(name: &str) -> Self {
        match name.rsplit_once('.').map(|(_, end)| end) {
            Some("run" | "trec") => Self::Trec,
            Some("jsonl" | "json") => Self::Jsonl,
            _ => Self::Kaldi,
        }
    }
}

/// Reads predictions and puts them into the order of the examples.
///
/// # Errors
/// Every line that cannot be read, is about an unknown item, stands there twice, lacks what the task needs or has an unknown
/// label; every item without a prediction. Nothing is left out silently.
pub fn read_predictions(
    file: &str,
    text: &str,
    form: PredictionForm,
    task: &Task,
    examples: &[Example],
    known_labels: Option<&HashSet<String>>,
) -> Result<Vec<Prediction>> {
    let mut problems = Problems { file, all: Vec::new() };
    let given = match form {
        PredictionForm::Jsonl => jsonl(text, &mut problems),
        PredictionForm::Kaldi => kaldi(text),
        PredictionForm::Trec => trec(text, &mut problems),
    };
    let ids: HashSet<&str> = examples.iter().map(|e| e.id.as_str()).collect();
    let mut by_id: HashMap<String, (usize, Prediction)> = HashMap::new();
    let blind = super::subset::blind_ids(examples);
    for (line, mut prediction) in given {
        // Answers of a reader stand under blind names.
        if let Some(id) = blind.get(&prediction.id) {
            prediction.id = (*id).to_owned();
        }
        if !ids.contains(prediction.id.as_str()) {
            problems.add(line, format!("id \"{}\" is no item of task {}", prediction.id, task.id));
            continue;
        }
        if let Some(complaint) = prediction.complaint(task.kind()) {
            problems.add(line, complaint);
        }
        if let Some(known) = known_labels {
            let named = prediction.label.iter().chain(prediction.labels.iter().flatten());
            for label in named.chain(prediction.spans.iter().flatten().map(|s| &s.kind)).filter(|l| !known.contains(*l)) {
                let names: Vec<&str> = known.iter().map(String::as_str).collect();
                problems.add(line, format!("there is no label \"{label}\"{}", super::task::near(label, &names)));
            }
        }
        if let Some((first, _)) = by_id.get(&prediction.id) {
            problems.add(line, format!("id \"{}\" stands there twice, first in line {first}", prediction.id));
            continue;
        }
        by_id.insert(prediction.id.clone(), (line, prediction));
    }
    let missing: Vec<&str> = examples.iter().map(|e| e.id.as_str()).filter(|id| !by_id.contains_key(*id)).collect();
    if let Some(first) = missing.first() {
        problems.all.push(format!("{file}: {} items have no prediction, the first is \"{first}\"", missing.len()));
    }
    problems.done()?;
    Ok(examples.iter().filter_map(|e| by_id.remove(&e.id).map(|(_, p)| p)).collect())
}

/// Problems of one file; after so many the rest is counted.
const SHOWN: usize = 20;

struct Problems<'a> {
    file: &'a str,
    all: Vec<String>,
}

impl Problems<'_> {
    fn add(&mut self, line: usize, problem: String) {
        self.all.push(format!("{}:{line}: {problem}", self.file));
    }

    fn done(mut self) -> Result<()> {
        if self.all.is_empty() {
            return Ok(());
        }
        let more = self.all.len().saturating_sub(SHOWN);
        self.all.truncate(SHOWN);
        if more > 0 {
            self.all.push(format!("{}: and {more} more problems", self.file));
        }
        Err(EvalError::Problems(self.all))
    }
}

fn jsonl(text: &str, problems: &mut Problems<'_>) -> Vec<(usize, Prediction)> {
    let mut all = Vec::new();
    for (line, words) in numbered_lines(text) {
        match serde_json::from_str::<Prediction>(words) {
            Ok(prediction) => all.push((line, prediction)),
            Err(error) => problems.add(line, format!("no prediction: {error}")),
        }
    }
    all
}

fn kaldi(text: &str) -> Vec<(usize, Prediction)> {
    numbered_lines(text)
        .map(|(line, words)| {
            let (id, said) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
            (line, Prediction { text: Some(said.trim().to_owned()), ..Prediction::to(id) })
        })
        .collect()
}

/// A query of a run: its first line, its id, and its documents behind their scores.
type RunQuery = (usize, String, Vec<(f64, String)>);

fn trec(text: &str, problems: &mut Problems<'_>) -> Vec<(usize, Prediction)> {
    let mut queries: Vec<RunQuery> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (line, words) in numbered_lines(text) {
        let parts: Vec<&str> = words.split_whitespace().collect();
        let [query, _, document, _, score, _] = parts[..] else {
            problems.add(line, format!("a run has 6 columns (query Q0 document rank score tag), here are {}", parts.len()));
            continue;
        };
        let Some(score) = score.parse::<f64>().ok().filter(|s| s.is_finite()) else {
            problems.add(line, format!("\"{score}\" is no score"));
            continue;
        };
        let place = *places.entry(query.to_owned()).or_insert_with(|| {
            queries.push((line, query.to_owned(), Vec::new()));
            queries.len() - 1
        });
        queries[place].2.push((score, document.to_owned()));
    }
    queries
        .into_iter()
        .map(|(line, query, mut documents)| {
            // As in trec_eval, the score decides and not the rank; equal scores by the document's name, descending.
            documents.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| b.1.cmp(&a.1)));
            let ranking = Some(documents.into_iter().map(|(_, document)| document).collect());
            (line, Prediction { ranking, ..Prediction::to(query) })
        })
        .collect()
}

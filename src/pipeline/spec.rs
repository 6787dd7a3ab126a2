//! Pipelines as files: which stages run, in which order, and whether each gets what it needs.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::PipelineError;

/// A kind of stage: what it needs and what it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageKind {
    /// Name in pipeline files.
    pub name: &'static str,
    /// Values that must be there before.
    pub needs: &'static [&'static str],
    /// Values that it adds.
    pub gives: &'static [&'static str],
}

/// Every kind of stage. A new one is added here and in `Stages`.
pub const STAGE_KINDS: &[StageKind] = &[
    StageKind { name: "listen", needs: &["audio"], gives: &["utterance", "voice"] },
    StageKind { name: "read", needs: &["message"], gives: &["utterance"] },
    StageKind { name: "normalise", needs: &["utterance"], gives: &["text"] },
    StageKind { name: "encode", needs: &["text"], gives: &["encoding"] },
    StageKind { name: "understand", needs: &["encoding"], gives: &["intent", "entity", "conduct"] },
    StageKind { name: "emotion", needs: &["encoding"], gives: &["emotion", "risk"] },
    StageKind { name: "knowledge", needs: &["encoding", "intent"], gives: &["passage"] },
    StageKind { name: "assist", needs: &["passage", "emotion"], gives: &["suggestion"] },
    StageKind { name: "rules", needs: &["text", "conduct", "emotion"], gives: &["alert"] },
    StageKind { name: "score", needs: &["text"], gives: &["scorecard"] },
    StageKind { name: "summary", needs: &["intent"], gives: &["summary"] },
];

/// Longest hot word, code points.
const MAX_HOT_WORD_CHARS: usize = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    id: String,
    #[serde(default)]
    input: Vec<String>,
    stage: Vec<StageEntry>,
    #[serde(default)]
    hot_words: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StageEntry {
    name: String,
}

/// A checked pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineSpec {
    /// Slug.
    pub id: String,
    /// Its stages in order.
    pub stages: Vec<&'static str>,
    /// Words that the recogniser expects, by queue; those of `all` hold for every queue.
    pub hot_words: BTreeMap<String, Vec<String>>,
}

impl PipelineSpec {
    /// Reads and checks a pipeline file.
    ///
    /// # Errors
    /// The file is missing or not of its form, a stage is unknown, or a stage needs what nothing before it gives.
    pub fn load(path: &Path) -> Result<Self, PipelineError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| PipelineError::Unreadable { path: path.to_path_buf(), source })?;
        Self::parse(&text).map_err(|problems| PipelineError::Invalid { path: path.to_path_buf(), problems })
    }

    /// Checks a pipeline text; all problems at once.
    ///
    /// # Errors
    /// One line for each problem.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let file: File = toml::from_str(text).map_err(|e| vec![e.to_string()])?;
        let mut have: Vec<&str> = file.input.iter().map(String::as_str).collect();
        let mut problems = Vec::new();
        let mut stages = Vec::new();
        for entry in &file.stage {
            let Some(kind) = STAGE_KINDS.iter().find(|k| k.name == entry.name) else {
                let known: Vec<_> = STAGE_KINDS.iter().map(|k| k.name).collect();
                problems.push(format!("there is no stage \"{}\"; known are {}", entry.name, known.join(", ")));
                continue;
            };
            for need in kind.needs.iter().filter(|need| !have.contains(need)) {
                problems.push(format!("stage \"{}\" needs \"{need}\", which nothing before it gives", kind.name));
            }
            have.extend(kind.gives);
            stages.push(kind.name);
        }
        for (queue, words) in &file.hot_words {
            for word in words.iter().filter(|w| w.trim().is_empty() || w.chars().count() > MAX_HOT_WORD_CHARS) {
                let found = word.chars().count();
                problems.push(format!("hot_words.{queue}: a word has 1 to {MAX_HOT_WORD_CHARS} characters, one has {found}"));
            }
        }
        if problems.is_empty() { Ok(Self { id: file.id, stages, hot_words: file.hot_words }) } else { Err(problems) }
    }

    /// Words that the recogniser expects on a queue.
    pub fn hot_words_of(&self, queue: Option<&str>) -> impl Iterator<Item = &str> {
        let queue = queue.and_then(|q| self.hot_words.get(q));
        self.hot_words.get("all").into_iter().chain(queue).flatten().map(String::as_str)
    }

    /// Whether a stage is part of it.
    pub fn has(&self, stage: &str) -> bool {
        self.stages.contains(&stage)
    }
}

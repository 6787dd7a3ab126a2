//! Files that come with the product: rules, schemes and sample calls.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::quality::{Problem, Rule, RuleFile, RuleSet, Scheme};

fn toml_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("folder {}", folder.display()))?;
    let mut files: Vec<PathBuf> =
        entries.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| p.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    Ok(files)
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Reads all rule files of a folder; a file with an error refuses the whole set, with every problem of every file.
///
/// # Errors
/// A file cannot be read or has errors, or two rules have one id.
pub fn load_rules(folder: &Path) -> anyhow::Result<RuleSet> {
    let (mut rules, mut problems): (Vec<Rule>, Vec<Problem>) = Default::default();
    for path in toml_files(folder)? {
        let text = std::fs::read_to_string(&path).with_context(|| format!("rule file {}", path.display()))?;
        match RuleFile::parse_toml(&path.display().to_string(), &text) {
            Ok(more) => rules.extend(more),
            Err(more) => problems.extend(more),
        }
    }
    if !problems.is_empty() {
        bail!("rules cannot be used:\n{}", lines(&problems));
    }
    let mut ids: Vec<&str> = rules.iter().map(|r| r.id.as_str()).collect();
    ids.sort_unstable();
    if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
        bail!("rule \"{}\" stands in two files of {}", pair[0], folder.display());
    }
    Ok(RuleSet::compile(rules))
}

/// Reads a scheme by its id in a folder, or from a file.
///
/// # Errors
/// There is no such scheme (the known ones are named), or it has errors.
pub fn load_scheme(folder: &Path, id_or_path: &str) -> anyhow::Result<Scheme> {
    let named = folder.join(format!("{id_or_path}.toml"));
    let path = if Path::new(id_or_path).is_file() { PathBuf::from(id_or_path) } else { named };
    if !path.is_file() {
        let known: Vec<String> =
            toml_files(folder)?.iter().filter_map(|p| p.file_stem().map(|s| s.to_string_lossy().into_owned())).collect();
        bail!("there is no scheme \"{id_or_path}\"; known are {}", known.join(", "));
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("scheme {}", path.display()))?;
    Scheme::parse_toml(&path.display().to_string(), &text).map_err(|p| anyhow::anyhow!("{}", lines(&p)))
}

/// Reads all schemes of a folder.
///
/// # Errors
/// A file cannot be read or has errors.
pub fn load_schemes(folder: &Path) -> anyhow::Result<Vec<Scheme>> {
    toml_files(folder)?.iter().map(|path| load_scheme(folder, &path.display().to_string())).collect()
}

/// A sample call: audio and what is said in it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Slug.
    pub id: String,
    /// Title.
    pub title: String,
    /// `zh` or `en`.
    pub language: String,
    /// Queue.
    pub queue: Option<String>,
    /// Two-channel recording: left customer, right agent.
    pub audio: PathBuf,
}

impl Sample {
    /// As the interface shows it.
    pub fn view(&self) -> Value {
        serde_json::json!({ "id": self.id, "title": self.title, "language": self.language, "queue": self.queue })
    }
}

/// The sample calls below a home folder, by id. A dialogue without its audio is left out.
pub fn load_samples(home: &Path) -> Vec<Sample> {
    let folder = home.join("pipelines/samples");
    let Ok(entries) = std::fs::read_dir(folder.join("dialogues")) else { return Vec::new() };
    let mut samples: Vec<Sample> = entries
        .filter_map(|entry| {
            let text = std::fs::read_to_string(entry.ok()?.path()).ok()?;
            let dialogue: Value = serde_json::from_str(&text).ok()?;
            let field = |name: &str| dialogue[name].as_str().map(str::to_owned);
            let id = field("id")?;
            let audio = folder.join("calls").join(format!("{id}.opus"));
            audio.is_file().then(|| Sample {
                title: field("title").unwrap_or_else(|| id.clone()),
                language: field("language").unwrap_or_default(),
                queue: field("queue"),
                id,
                audio,
            })
        })
        .collect();
    samples.sort_by(|a, b| a.id.cmp(&b.id));
    samples
}

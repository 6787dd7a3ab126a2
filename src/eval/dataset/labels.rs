//! Which labels a stage knows: the closed lists of `pipelines/taxonomy`.

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;

use crate::eval::task::Task;
use crate::eval::{EvalError, Result};

#[derive(Deserialize)]
struct Label {
    id: String,
}

#[derive(Deserialize)]
struct Group {
    intents: Vec<Label>,
}

#[derive(Default, Deserialize)]
struct Taxonomy {
    #[serde(default)]
    group: Vec<Group>,
    #[serde(default)]
    labels: Vec<Label>,
    #[serde(default)]
    personal: Vec<Label>,
}

/// Labels of a stage; `None` for stages without a closed list.
///
/// # Errors
/// The taxonomy cannot be read.
pub fn known_labels(home: &Path, task: &Task) -> Result<Option<HashSet<String>>> {
    let file = match task.stage.as_str() {
        "intent" => "intent",
        "emotion" => "emotion",
        "act" => "act",
        "conduct" => "conduct",
        "entity" | "personal" => "entity",
        _ => return Ok(None),
    };
    let path = home.join("pipelines/taxonomy").join(format!("{file}.toml"));
    let text = std::fs::read_to_string(&path).map_err(|e| EvalError::file(&path, e))?;
    let taxonomy: Taxonomy = toml::from_str(&text).map_err(|e| EvalError::file(&path, e))?;
    let intents = taxonomy.group.into_iter().flat_map(|g| g.intents);
    Ok(Some(intents.chain(taxonomy.labels).chain(taxonomy.personal).map(|l| l.id).collect()))
}

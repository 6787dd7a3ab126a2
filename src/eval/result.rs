//! The result of a task: one JSON file that holds everything, the predictions included.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::metrics::{Direction, MetricDef};
use super::prediction::Prediction;
use super::receipt::Receipt;
use super::statistics::Interval;
use super::task::Task;
use super::{EvalError, Result};

/// A metric's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricResult {
    /// Its key.
    pub key: String,
    /// Its value; absent where it is not defined on this data.
    pub value: Option<f64>,
    /// Which way is better.
    pub direction: Direction,
    /// 95 % interval: bootstrap over clusters.
    pub interval: Option<Interval>,
    /// Wilson's 95 % interval, for shares of independent items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wilson: Option<Interval>,
    /// The least difference from another system that would be seen with power 0.8, were the two measured on data of this
    /// size without pairing; a paired comparison sees less.
    pub detectable: Option<f64>,
    /// What the product promises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    /// Whether it depends on the clock.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub timed: bool,
}

/// Values on a slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceResult {
    /// The slice, for example `language`.
    pub slice: String,
    /// Its value, for example `zh`.
    pub value: String,
    /// Items in it.
    pub n: usize,
    /// The task's first metric on it.
    pub metric: Option<f64>,
    /// Its 95 % interval.
    pub interval: Option<Interval>,
    /// Every metric on it that does not depend on the clock and is defined there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
}

/// The result of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskResult {
    /// The task.
    pub task: String,
    /// Its version.
    pub version: u32,
    /// What it was made with.
    pub receipt: Receipt,
    /// Items.
    pub n: usize,
    /// Clusters that the bootstrap drew.
    pub clusters: usize,
    /// sha256 over everything that does not depend on the clock: equal digests are equal results.
    pub digest: String,
    /// Metrics, in the order of the task.
    pub metrics: Vec<MetricResult>,
    /// Slices.
    pub slices: Vec<SliceResult>,
    /// What the system answered.
    pub predictions: Vec<Prediction>,
}

impl TaskResult {
    /// The metric with this key.
    pub fn metric(&self, key: &str) -> Option<&MetricResult> {
        self.metrics.iter().find(|m| m.key == key)
    }

    /// What does not depend on the clock, as a checksum.
    pub(super) fn digest_of(&self, task: &Task) -> String {
        let timeless: Vec<Prediction> = self.predictions.iter().map(Prediction::timeless).collect();
        let metrics: Vec<&MetricResult> = self.metrics.iter().filter(|m| !m.timed).collect();
        let timed_first = task.metrics.first().is_some_and(|m| MetricDef::of(&m.name).is_some_and(|d| d.timed));
        let slices = if timed_first { &[][..] } else { &self.slices[..] };
        let value = serde_json::json!([
            self.task,
            self.version,
            self.receipt.dataset_sha256,
            self.receipt.seed,
            self.receipt.draws,
            metrics,
            slices,
            timeless
        ]);
        super::dataset::source_hex(&Sha256::digest(value.to_string().as_bytes()))
    }

    /// As a baseline: without times, which belong to one machine, and with the first metric of slices alone.
    pub fn as_baseline(&self) -> Self {
        let mut baseline = self.clone();
        baseline.predictions = self.predictions.iter().map(Prediction::timeless).collect();
        baseline.metrics.retain(|m| !m.timed);
        baseline.slices.iter_mut().for_each(|s| s.metrics.clear());
        baseline
    }

    /// JSON with one prediction a line, so that changes are seen line by line.
    ///
    /// # Errors
    /// A number that JSON cannot hold.
    pub fn to_json(&self) -> Result<String> {
        let fail = |e: serde_json::Error| EvalError::Comparison(format!("{}: {e}", self.task));
        let head = Self { predictions: Vec::new(), ..self.clone() };
        let head = serde_json::to_string_pretty(&head).map_err(fail)?;
        let lines: Vec<String> =
            self.predictions.iter().map(serde_json::to_string).collect::<std::result::Result<_, _>>().map_err(fail)?;
        let open = head.strip_suffix("\"predictions\": []\n}").unwrap_or(&head);
        Ok(format!("{open}\"predictions\": [\n{}\n]\n}}\n", lines.join(",\n")))
    }

    /// Writes the result into a folder; the file appears whole or not at all.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(|e| EvalError::file(folder, e))?;
        let path = folder.join(format!("{}.json", self.task.replace('/', ".")));
        let part = path.with_extension("part");
        std::fs::write(&part, self.to_json()?).and_then(|()| std::fs::rename(&part, &path)).map_err(|e| EvalError::file(&path, e))
    }

    /// Reads one result.
    ///
    /// # Errors
    /// It is no result; the line is named.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| EvalError::file(path, e))?;
        serde_json::from_str(&text).map_err(|e| EvalError::line(path.display().to_string(), e.line(), e.to_string()))
    }

    /// Results of a file, or of a folder, by task.
    ///
    /// # Errors
    /// A file is no result; there is none.
    pub fn read_all(path: &Path) -> Result<BTreeMap<String, Self>> {
        let mut files = vec![path.to_owned()];
        if path.is_dir() {
            let entries = std::fs::read_dir(path).map_err(|e| EvalError::file(path, e))?;
            files =
                entries.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| p.extension().is_some_and(|e| e == "json")).collect();
            files.sort();
        }
        let mut all = BTreeMap::new();
        for file in &files {
            let result = Self::read(file)?;
            all.insert(result.task.clone(), result);
        }
        if all.is_empty() {
            return Err(EvalError::file(path, "holds no results; make some with `zhiyin eval run --out FOLDER`"));
        }
        Ok(all)
    }
}

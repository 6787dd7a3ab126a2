//! What another system answered, in a file.

use std::path::{Path, PathBuf};

use super::{Progress, System, SystemIdentity};
use crate::eval::dataset::known_labels;
use crate::eval::example::Dataset;
use crate::eval::prediction::{Prediction, PredictionForm, read_predictions};
use crate::eval::task::Task;
use crate::eval::{EvalError, Result};

/// A file of predictions (see [`PredictionForm`]), or a folder with `<room>.<task>.jsonl` for each task.
#[derive(Clone, Debug)]
pub struct Recorded {
    path: PathBuf,
    home: PathBuf,
}

impl Recorded {
    /// Predictions at a path; labels are compared with the lists below `home`.
    pub fn new(path: &Path, home: &Path) -> Self {
        Self { path: path.to_owned(), home: home.to_owned() }
    }
}

impl System for Recorded {
    fn identity(&self) -> SystemIdentity {
        SystemIdentity { name: self.path.display().to_string(), models: Vec::new() }
    }

    fn predict(&self, task: &Task, dataset: &Dataset, progress: Progress<'_>) -> Result<Vec<Prediction>> {
        let path =
            if self.path.is_dir() { self.path.join(format!("{}.jsonl", task.id.replace('/', "."))) } else { self.path.clone() };
        let file = path.display().to_string();
        let bytes = std::fs::read(&path).map_err(|e| EvalError::file(&path, e))?;
        let text = String::from_utf8(bytes).map_err(|e| {
            let line = e.as_bytes()[..e.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
            EvalError::line(&file, line, "is not UTF-8")
        })?;
        let known = known_labels(&self.home, task)?;
        let all = read_predictions(&file, &text, PredictionForm::of_file(&file), task, &dataset.examples, known.as_ref())?;
        progress(all.len());
        Ok(all)
    }
}

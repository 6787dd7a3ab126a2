//! Heads that others trained: the labels of a classification checkpoint as a head, under the names that are used here.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::classifier::{CLASSIFIER, Outputs};
use super::config::ModelConfig;
use super::error::InferenceError;
use super::heads::{Head, HeadKind, HeadSpec};
use super::model::EncoderModel;

/// Outputs under other names: several may become one label.
pub(super) struct Renamed {
    /// Per output, the place of its label.
    to: Vec<usize>,
    labels: usize,
}

impl Head {
    /// The labels of a sequence classification checkpoint in Hugging Face layout (BERT, RoBERTa / XLM-R, DistilBERT,
    /// ModernBERT) as the head `name`; the checkpoint is its trunk, so that it runs beside any encoder.
    ///
    /// # Errors
    /// Those of [`EncoderModel::load`]; a checkpoint that is no classifier or has one output.
    pub fn of_checkpoint(dir: &Path, name: &str) -> Result<Self, InferenceError> {
        let model = EncoderModel::load(dir)?;
        let path = dir.join("config.json");
        let head = model.remove_head(CLASSIFIER).and_then(|head| Arc::try_unwrap(head).ok());
        let mut head = head.ok_or_else(|| InferenceError::Mismatch {
            fix: "name one whose `architectures` end in ForSequenceClassification and which has two labels or more".to_owned(),
            what: "it is no checkpoint with labels for whole texts".to_owned(),
            path,
        })?;
        head.spec = Arc::new(HeadSpec { name: name.to_owned(), ..(*head.spec).clone() });
        head.with_trunk(Arc::new(model))
    }

    /// The same head with other names for some of its labels. Outputs of one name become one label: with softmax its
    /// probability is their sum, with sigmoid the greatest of them.
    ///
    /// # Errors
    /// When a name is given to a label that the head does not have, when fewer than two labels are left, or for a head of
    /// tokens.
    pub fn with_labels(mut self, names: &BTreeMap<String, String>) -> Result<Self, InferenceError> {
        let refused = |what: String| InferenceError::Mismatch {
            path: format!("head {}", self.spec.name).into(),
            fix: format!("its labels are {}", self.spec.labels.join(", ")),
            what,
        };
        if let Some(unknown) = names.keys().find(|n| !self.spec.labels.contains(n)) {
            return Err(refused(format!("it has no label `{unknown}` that could be renamed")));
        }
        if self.spec.kind == HeadKind::Token || self.renamed.is_some() {
            return Err(refused("its labels cannot be renamed".to_owned()));
        }
        let mut labels: Vec<String> = Vec::new();
        let mut to = Vec::with_capacity(self.spec.labels.len());
        for label in self.spec.labels.iter() {
            let name = names.get(label).unwrap_or(label);
            to.push(labels.iter().position(|l| l == name).unwrap_or_else(|| {
                labels.push(name.clone());
                labels.len() - 1
            }));
        }
        let spec = HeadSpec { labels: labels.into(), thresholds: Vec::new(), ..(*self.spec).clone() };
        spec.check().map_err(refused)?;
        self.renamed = Some(Renamed { to, labels: spec.labels.len() });
        self.spec = Arc::new(spec);
        Ok(self)
    }
}

impl Renamed {
    /// Probabilities of the labels from those of the outputs.
    pub(super) fn merge(&self, outputs: &[f32], kind: HeadKind) -> Vec<f32> {
        let mut merged = vec![0.0_f32; self.labels];
        for (&to, &p) in self.to.iter().zip(outputs) {
            merged[to] = if kind == HeadKind::Sigmoid { merged[to].max(p) } else { merged[to] + p };
        }
        merged
    }
}

/// The head of a classification checkpoint; `None` for one with a single output, which is no label.
pub(super) fn of_outputs(outputs: &Outputs, config: &ModelConfig, version: &Arc<str>) -> Result<Option<Head>, String> {
    if outputs.bias.len() < 2 {
        return Ok(None);
    }
    Head::checked(outputs.spec(config, version)?, outputs.weight.clone(), outputs.bias.clone()).map(Some)
}

//! Sequence classification checkpoints of Hugging Face: the layer between the trunk and the labels, and their names.
//!
//! | `model_type` | vector that the last layer reads | last layer |
//! | --- | --- | --- |
//! | `bert` | tanh(`pooler.dense` of the first state) | `classifier` |
//! | `roberta`, `xlm-roberta` | tanh(`classifier.dense` of the first state) | `classifier.out_proj` |
//! | `distilbert` | relu(`pre_classifier` of the first state) | `classifier` |
//! | `modernbert` | `head.norm`(gelu(`head.dense` of the first state, or of the mean)) | `classifier` |

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::config::ModelConfig;
use super::error::InferenceError;
use super::heads::{HeadKind, HeadSpec};
use super::kernels;
use super::linear::{Epilogue, Linear};
use super::weights::Weights;

/// Name of the head that a sequence classification checkpoint brings, until it is given a task's.
pub const CLASSIFIER: &str = "classifier";

/// What `config.json` says about classification.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ClassifierConfig {
    /// Classes of the reference implementation, for example `BertForSequenceClassification`.
    #[serde(default)]
    pub architectures: Option<Vec<String>>,
    /// Label of each output by its number; without it they are `LABEL_0`, `LABEL_1` …
    #[serde(default)]
    pub id2label: Option<BTreeMap<String, String>>,
    /// `multi_label_classification`: each label has a probability of its own.
    #[serde(default)]
    pub problem_type: Option<String>,
    /// ModernBERT: which state is read, `cls` or `mean`.
    #[serde(default)]
    pub classifier_pooling: Option<String>,
    /// ModernBERT: only `gelu` is known.
    #[serde(default)]
    pub classifier_activation: Option<String>,
}

impl ClassifierConfig {
    /// Whether the checkpoint has a layer of labels over whole texts.
    pub fn is_classifier(&self) -> bool {
        self.architectures.iter().flatten().any(|a| a.ends_with("ForSequenceClassification"))
    }

    /// The names of `count` outputs.
    fn labels(&self, count: usize) -> Result<Arc<[String]>, String> {
        let Some(named) = &self.id2label else { return Ok((0..count).map(|n| format!("LABEL_{n}")).collect()) };
        if named.len() != count {
            return Err(format!("id2label names {} labels, the weights have {count} outputs", named.len()));
        }
        let label = |n: usize| named.get(&n.to_string()).cloned().ok_or_else(|| format!("id2label has no label for output {n}"));
        (0..count).map(label).collect()
    }
}

#[derive(Clone, Copy)]
enum Activation {
    Tanh,
    Relu,
    Gelu,
}

/// The layer between the trunk and the labels.
pub(super) struct Features {
    hidden: usize,
    mean: bool,
    dense: Linear,
    activation: Activation,
    norm: Option<(Vec<f32>, Vec<f32>)>,
    eps: f32,
}

/// The last layer of a classifier: a row of weights per label.
pub(super) struct Outputs {
    /// Numbers of a row, row by row.
    pub weight: Vec<f32>,
    /// One number per label.
    pub bias: Vec<f32>,
}

/// Both layers of a sequence classification checkpoint; `None` for other checkpoints.
pub(super) fn load(weights: &Weights, config: &ModelConfig) -> Result<Option<(Features, Outputs)>, InferenceError> {
    let classifier = &config.classifier;
    if !classifier.is_classifier() {
        return Ok(None);
    }
    let hidden = config.hidden_size;
    let prefix = if weights.has("bert.pooler.dense.weight") { "bert." } else { "" };
    let (dense, activation, last) = match config.model_type.as_str() {
        "distilbert" => ("pre_classifier".to_owned(), Activation::Relu, "classifier"),
        "modernbert" => ("head.dense".to_owned(), Activation::Gelu, "classifier"),
        kind if kind.ends_with("roberta") => ("classifier.dense".to_owned(), Activation::Tanh, "classifier.out_proj"),
        _ => (format!("{prefix}pooler.dense"), Activation::Tanh, "classifier"),
    };
    let known = |value: &Option<String>, names: &[&str]| value.as_deref().is_none_or(|v| names.contains(&v));
    if !known(&classifier.classifier_activation, &["gelu"]) || !known(&classifier.classifier_pooling, &["cls", "mean"]) {
        return Err(weights.mismatch("of a classifier only activation gelu and pooling cls or mean are known".to_owned()));
    }
    let or_zeros = |name: String, width: usize| match weights.has(&name) {
        true => weights.tensor(&name, &[width]),
        false => Ok(vec![0.0; width]),
    };
    let weight = weights.tensor(&format!("{dense}.weight"), &[hidden, hidden])?;
    let norm = config.is_modern().then(|| {
        Ok::<_, InferenceError>((weights.tensor("head.norm.weight", &[hidden])?, or_zeros("head.norm.bias".into(), hidden)?))
    });
    let features = Features {
        hidden,
        mean: config.is_modern() && classifier.classifier_pooling.as_deref() == Some("mean"),
        dense: Linear::new(&weight, &or_zeros(format!("{dense}.bias"), hidden)?),
        activation,
        norm: norm.transpose()?,
        eps: config.modern.norm_eps.unwrap_or(config.layer_norm_eps),
    };
    let name = format!("{last}.weight");
    let Some(&[count, _]) = weights.shape(&name).as_deref() else {
        return Err(weights.mismatch(format!("tensor `{name}` of the classifier is missing or no matrix")));
    };
    let outputs =
        Outputs { weight: weights.tensor(&name, &[count, hidden])?, bias: weights.tensor(&format!("{last}.bias"), &[count])? };
    Ok(Some((features, outputs)))
}

impl Outputs {
    /// What the outputs mean, as a head.
    pub(super) fn spec(&self, config: &ModelConfig, version: &Arc<str>) -> Result<HeadSpec, String> {
        let several = config.classifier.problem_type.as_deref() == Some("multi_label_classification");
        Ok(HeadSpec {
            name: CLASSIFIER.to_owned(),
            kind: if several { HeadKind::Sigmoid } else { HeadKind::Softmax },
            labels: config.classifier.labels(self.bias.len())?,
            temperature: 1.0,
            thresholds: Vec::new(),
            version: version.clone(),
        })
    }
}

impl Features {
    /// What the last layer reads, of the states of one text.
    pub(super) fn of(&self, states: &[f32]) -> Vec<f32> {
        let mean = self.mean.then(|| mean_of(states, self.hidden));
        let mut vector = vec![0.0; self.hidden];
        self.dense.forward(mean.as_deref().unwrap_or(&states[..self.hidden]), 1, &mut vector, Epilogue::Store);
        match self.activation {
            Activation::Tanh => vector.iter_mut().for_each(|v| *v = v.tanh()),
            Activation::Relu => vector.iter_mut().for_each(|v| *v = v.max(0.0)),
            Activation::Gelu => kernels::gelu(&mut vector, 1, self.hidden, self.hidden),
        }
        if let Some((weight, bias)) = &self.norm {
            kernels::layer_norm(&mut vector, weight, bias, self.eps);
        }
        vector
    }
}

/// The mean of states of a width.
pub(super) fn mean_of(states: &[f32], hidden: usize) -> Vec<f32> {
    let mut mean = vec![0.0; hidden];
    for state in states.chunks_exact(hidden) {
        mean.iter_mut().zip(state).for_each(|(m, s)| *m += s);
    }
    let scale = hidden as f32 / states.len() as f32;
    mean.iter_mut().for_each(|m| *m *= scale);
    mean
}

//! Heads: small linear layers over the sentence vector or over every token, with calibrated outputs.
//!
//! `heads.toml` lists them (`[[head]]` name, kind, labels, temperature, thresholds); their weights are the tensors
//! `heads.<name>.weight` and `.bias`. A head of one's own is a folder with the same two things; it may read n-grams of the
//! text besides (`features.rs`), and may bring a trunk of its own, in the folder `trunk`, that was tuned for it.

use std::path::Path;
use std::sync::Arc;

use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use super::config::{ModelConfig, read};
use super::error::{InferenceError, fetch_again};
use super::features::NgramPart;
use super::kernels;
use super::linear::{Epilogue, Linear};
use super::model::EncoderModel;
use super::renamed::Renamed;
use super::trunk::Scratch;
use super::weights::Weights;

/// Names of the default model's heads.
pub mod head {
    /// Intents of the taxonomy.
    pub const INTENT: &str = "intent";
    /// Dialogue acts.
    pub const ACT: &str = "act";
    /// Emotions.
    pub const EMOTION: &str = "emotion";
    /// Conduct labels.
    pub const CONDUCT: &str = "conduct";
    /// Entity tags of tokens.
    pub const ENTITY: &str = "entity";
    /// The mark behind each token.
    pub const PUNCTUATION: &str = "punctuation";
}

/// What a head's numbers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// One label of a sentence; probabilities add up to 1.
    Softmax,
    /// Any number of labels of a sentence; each has a probability of its own.
    Sigmoid,
    /// One label of every token.
    Token,
}

/// A head without its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadSpec {
    /// Its name.
    pub name: String,
    /// What its numbers mean.
    pub kind: HeadKind,
    /// Its labels, in the order of the outputs.
    pub labels: Arc<[String]>,
    /// Logits are divided by it before they become probabilities (temperature scaling, Guo et al. 2017).
    #[serde(default = "one")]
    pub temperature: f32,
    /// Per label, the probability from which it is selected (with softmax: besides the best one). Empty: 0.5.
    #[serde(default)]
    pub thresholds: Vec<f32>,
    /// Version of the head; the model's version when empty.
    #[serde(default = "no_version")]
    pub version: Arc<str>,
}

fn one() -> f32 {
    1.0
}

fn no_version() -> Arc<str> {
    "".into()
}

impl HeadSpec {
    /// Threshold of a label.
    pub fn threshold(&self, label: usize) -> f32 {
        self.thresholds.get(label).copied().unwrap_or(0.5)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let name = &self.name;
        if name.is_empty() || self.labels.len() < 2 {
            return Err(format!("head `{name}` needs a name and at least two labels, it has {}", self.labels.len()));
        }
        let mut seen: Vec<&String> = self.labels.iter().collect();
        seen.sort();
        if let Some(pair) = seen.windows(2).find(|p| p[0] == p[1]) {
            return Err(format!("head `{name}` has the label `{}` twice", pair[0]));
        }
        if !self.thresholds.is_empty() && self.thresholds.len() != self.labels.len() {
            return Err(format!("head `{name}` has {} thresholds for {} labels", self.thresholds.len(), self.labels.len()));
        }
        if !(self.temperature.is_finite() && self.temperature > 0.0) || self.thresholds.iter().any(|t| !(0.0..=1.0).contains(t)) {
            return Err(format!("head `{name}`: the temperature must be above 0 and thresholds in [0, 1]"));
        }
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadFile {
    #[serde(default)]
    head: Vec<HeadSpec>,
}

/// A head with its weights.
pub struct Head {
    pub(super) spec: Arc<HeadSpec>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    layer: Linear,
    ngrams: Option<NgramPart>,
    trunk: Option<Arc<EncoderModel>>,
    /// The outputs and what becomes of each, where labels were given other names.
    pub(super) renamed: Option<Renamed>,
}

/// Folder of a head's own trunk, below the head's.
pub const TRUNK_FOLDER: &str = "trunk";

impl Head {
    /// A head of `spec.labels.len()` rows over vectors of `weight.len() / labels` numbers.
    ///
    /// # Errors
    /// When labels, thresholds, weight and bias do not fit one another, or a weight is no finite number.
    pub fn new(spec: HeadSpec, weight: Vec<f32>, bias: Vec<f32>) -> Result<Self, InferenceError> {
        Self::checked(spec, weight, bias).map_err(|what| InferenceError::Mismatch {
            path: "heads.toml".into(),
            what,
            fix: "train the head again with the label file that it is used with".to_owned(),
        })
    }

    pub(super) fn checked(spec: HeadSpec, weight: Vec<f32>, bias: Vec<f32>) -> Result<Self, String> {
        spec.check()?;
        let labels = spec.labels.len();
        if bias.len() != labels || weight.is_empty() || !weight.len().is_multiple_of(labels) {
            return Err(format!(
                "head `{}` has {labels} labels, but weights for {} and {} numbers",
                spec.name,
                bias.len(),
                weight.len()
            ));
        }
        if weight.iter().chain(&bias).any(|v| !v.is_finite()) {
            return Err(format!("head `{}` has a weight that is no finite number", spec.name));
        }
        let layer = Linear::new(&weight, &bias);
        Ok(Self { spec: Arc::new(spec), weight, bias, layer, ngrams: None, trunk: None, renamed: None })
    }

    /// The same head, which also reads n-grams of the text.
    ///
    /// # Errors
    /// When the n-grams carry weights for another number of labels, or the head is one of tokens.
    pub fn with_ngrams(mut self, part: NgramPart) -> Result<Self, InferenceError> {
        if part.labels() != self.spec.labels.len() || self.spec.kind == HeadKind::Token {
            return Err(InferenceError::Mismatch {
                path: "heads.toml".into(),
                what: format!("head `{}` cannot read n-grams with weights for {} labels", self.spec.name, part.labels()),
                fix: "train the head again".to_owned(),
            });
        }
        self.ngrams = Some(part);
        Ok(self)
    }

    /// The same head, reading sentence vectors of a trunk of its own instead of the shared one's.
    ///
    /// # Errors
    /// When the trunk gives vectors of another width, or the head is one of tokens.
    pub fn with_trunk(mut self, trunk: Arc<EncoderModel>) -> Result<Self, InferenceError> {
        if trunk.sentence_size() != self.inputs() || self.spec.kind == HeadKind::Token {
            return Err(InferenceError::Mismatch {
                path: format!("head {}", self.spec.name).into(),
                what: format!("it reads {} numbers, its trunk gives {}", self.inputs(), trunk.sentence_size()),
                fix: "train the head again".to_owned(),
            });
        }
        self.trunk = Some(trunk);
        Ok(self)
    }

    /// The same head under another version.
    #[must_use]
    pub fn with_version(mut self, version: &str) -> Self {
        self.spec = Arc::new(HeadSpec { version: version.into(), ..(*self.spec).clone() });
        self
    }

    /// Whether it brings a trunk of its own.
    pub fn has_trunk(&self) -> bool {
        self.trunk.is_some()
    }

    /// What the head is.
    pub fn spec(&self) -> &Arc<HeadSpec> {
        &self.spec
    }

    /// Width of the vectors that it reads.
    pub fn inputs(&self) -> usize {
        self.layer.inputs()
    }

    /// Reads a folder that holds one head: `heads.toml` and `head.safetensors`.
    ///
    /// # Errors
    /// Files that are missing, damaged, or do not fit each other.
    pub fn load(dir: &Path) -> Result<Self, InferenceError> {
        let path = dir.join("heads.toml");
        let mut specs = read_specs(&path)?;
        if specs.len() != 1 {
            let what = format!("it lists {} heads, a folder of one's own holds one", specs.len());
            return Err(InferenceError::Mismatch { path, what, fix: fetch_again(&dir.join("heads.toml")) });
        }
        let head = from_weights(specs.remove(0), &Weights::open(&dir.join("head.safetensors"))?)?;
        let trunk = dir.join(TRUNK_FOLDER);
        if trunk.is_dir() { head.with_trunk(Arc::new(EncoderModel::load(&trunk)?)) } else { Ok(head) }
    }

    /// Writes the folder that [`Head::load`] reads.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), InferenceError> {
        let failed = |path: &Path, what: String| InferenceError::Corrupt {
            path: path.to_owned(),
            what,
            fix: "check that the folder exists and can be written".to_owned(),
        };
        let (specs, tensors) = (dir.join("heads.toml"), dir.join("head.safetensors"));
        let text = toml::to_string(&HeadFile { head: vec![(*self.spec).clone()] }).map_err(|e| failed(&specs, e.to_string()))?;
        std::fs::write(&specs, text).map_err(|e| failed(&specs, e.to_string()))?;
        let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let name = format!("heads.{}", self.spec.name);
        let mut parts = vec![
            (format!("{name}.weight"), Dtype::F32, vec![self.bias.len(), self.inputs()], bytes(&self.weight)),
            (format!("{name}.bias"), Dtype::F32, vec![self.bias.len()], bytes(&self.bias)),
        ];
        parts.extend(self.ngrams.iter().flat_map(|n| n.tensors(&ngrams_of(&self.spec.name))));
        let named = parts.iter().map(|(name, kind, shape, data)| Ok((name, TensorView::new(*kind, shape.clone(), data)?)));
        let named = named.collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
        let named = named.map_err(|e| failed(&tensors, e.to_string()))?;
        safetensors::serialize_to_file(named, None, &tensors).map_err(|e| failed(&tensors, e.to_string()))
    }

    /// Sentence vector of each text by the head's own trunk; `None` for a head without one.
    pub(super) fn own_vectors<T: AsRef<str>>(
        &self,
        texts: &[T],
        batch_tokens: usize,
        scratch: &mut Scratch,
    ) -> Result<Option<Vec<Vec<f32>>>, InferenceError> {
        let Some(trunk) = &self.trunk else { return Ok(None) };
        Ok(Some(trunk.encode(texts, batch_tokens, scratch)?.into_iter().map(|e| e.sentence).collect()))
    }

    /// Probabilities of one text and its sentence vector.
    pub(super) fn sentence(&self, text: &str, vector: &[f32]) -> Vec<f32> {
        let mut values = vec![0.0; self.layer.outputs()];
        self.layer.forward(vector, 1, &mut values, Epilogue::Store);
        if let Some(ngrams) = &self.ngrams {
            ngrams.add_to(text, &mut values);
        }
        self.calibrate(&mut values);
        match &self.renamed {
            Some(renamed) => renamed.merge(&values, self.spec.kind),
            None => values,
        }
    }

    /// Best label and its probability for each of the tokens.
    pub(super) fn tokens(&self, states: &[f32]) -> (Vec<u16>, Vec<f32>) {
        let (count, labels) = (states.len() / self.inputs(), self.spec.labels.len());
        let mut values = vec![0.0; count * labels];
        self.layer.forward(states, count, &mut values, Epilogue::Store);
        values
            .chunks_exact_mut(labels)
            .map(|row| {
                self.calibrate(row);
                let mut best = 0;
                for (i, &p) in row.iter().enumerate() {
                    if p > row[best] {
                        best = i;
                    }
                }
                (u16::try_from(best).unwrap_or(u16::MAX), row[best])
            })
            .unzip()
    }

    fn calibrate(&self, logits: &mut [f32]) {
        logits.iter_mut().for_each(|v| *v /= self.spec.temperature);
        match self.spec.kind {
            HeadKind::Sigmoid => logits.iter_mut().for_each(|v| *v = 1.0 / (1.0 + (-*v).exp())),
            HeadKind::Softmax | HeadKind::Token => kernels::softmax(logits),
        }
    }
}

/// Name of the tensors that hold a head's n-grams.
fn ngrams_of(head: &str) -> String {
    format!("heads.{head}.ngrams")
}

/// All heads of a model folder; none when it has no `heads.toml`.
pub(super) fn load_heads(
    dir: &Path,
    weights: &Weights,
    config: &ModelConfig,
    version: &Arc<str>,
) -> Result<Vec<Arc<Head>>, InferenceError> {
    let path = dir.join("heads.toml");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mut heads: Vec<Arc<Head>> = Vec::new();
    for mut spec in read_specs(&path)? {
        if spec.version.is_empty() {
            spec.version = version.clone();
        }
        if heads.iter().any(|h| h.spec.name == spec.name) {
            let what = format!("head `{}` is listed twice", spec.name);
            return Err(InferenceError::Mismatch { fix: fetch_again(&path), path, what });
        }
        let head = from_weights(spec, weights)?;
        let width = if head.spec.kind == HeadKind::Token { config.hidden_size } else { config.sentence_size() };
        if head.inputs() != width {
            return Err(weights.mismatch(format!(
                "head `{}` reads {} numbers, the model gives {width}",
                head.spec.name,
                head.inputs()
            )));
        }
        heads.push(Arc::new(head));
    }
    Ok(heads)
}

fn read_specs(path: &Path) -> Result<Vec<HeadSpec>, InferenceError> {
    let corrupt = |what: String| InferenceError::Corrupt { path: path.to_owned(), what, fix: fetch_again(path) };
    let file: HeadFile = toml::from_str(&read(path)?).map_err(|e| corrupt(e.to_string()))?;
    for spec in &file.head {
        spec.check().map_err(corrupt)?;
    }
    Ok(file.head)
}

fn from_weights(spec: HeadSpec, weights: &Weights) -> Result<Head, InferenceError> {
    let (weight, bias) = (format!("heads.{}.weight", spec.name), format!("heads.{}.bias", spec.name));
    let Some(&[rows, columns]) = weights.shape(&weight).as_deref() else {
        return Err(weights.mismatch(format!("tensor `{weight}` of head `{}` is missing or no matrix", spec.name)));
    };
    if rows != spec.labels.len() {
        return Err(weights.mismatch(format!(
            "head `{}` has {} labels in heads.toml, but weights for {rows}",
            spec.name,
            spec.labels.len()
        )));
    }
    let (w, b) = (weights.tensor(&weight, &[rows, columns])?, weights.tensor(&bias, &[rows])?);
    let ngrams = NgramPart::read(weights, &ngrams_of(&spec.name), rows)?;
    let head = Head::checked(spec, w, b).map_err(|what| weights.mismatch(what))?;
    match ngrams {
        Some(part) => head.with_ngrams(part),
        None => Ok(head),
    }
}

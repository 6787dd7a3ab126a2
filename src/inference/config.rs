//! `config.json` of a model folder, and the settings of the worker threads.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::classifier::ClassifierConfig;
use super::error::{InferenceError, fetch_again};
use super::modern::ModernConfig;

/// `model_type` of ModernBERT.
const MODERN: &str = "modernbert";

/// How a sentence vector is made of the hidden states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Zhiyin's own: projections of the first state and of the mean, summed, normalised, GELU; the n-gram bag behind.
    Zhiyin,
    /// Mean of all states, as sentence-transformers.
    Mean,
    /// The state of the first token.
    First,
}

/// How the products of the transformer are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    Fp32,
    /// 8-bit integers, activations scaled row by row; everything between the products stays in 32-bit floating point.
    Int8,
}

/// Size of the hashed character n-gram bag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NgramConfig {
    /// Rows of the table; below 2^32.
    pub buckets: usize,
    /// Numbers per row.
    pub dim: usize,
    /// Longest n-gram in code points.
    pub max: usize,
    /// Whether words without Chinese, and pairs of them in a row, count beside the n-grams.
    #[serde(default)]
    pub words: bool,
}

/// The shape of a model, in the words of Hugging Face's `config.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct ModelConfig {
    /// `bert`, `roberta`, `xlm-roberta`, `distilbert` or `modernbert`.
    pub model_type: String,
    /// Words in the vocabulary.
    pub vocab_size: usize,
    /// Width of a hidden state.
    #[serde(alias = "dim")]
    pub hidden_size: usize,
    /// Transformer layers.
    #[serde(alias = "n_layers")]
    pub num_hidden_layers: usize,
    /// Attention heads; they divide `hidden_size`.
    #[serde(alias = "n_heads")]
    pub num_attention_heads: usize,
    /// Width of the feed-forward layer.
    #[serde(alias = "hidden_dim")]
    pub intermediate_size: usize,
    /// Positions in the position table.
    pub max_position_embeddings: usize,
    /// Added to the variance in layer norms.
    #[serde(default = "default_eps")]
    pub layer_norm_eps: f32,
    /// Activation of the feed-forward layer; only `gelu` is known.
    #[serde(default = "default_activation", alias = "activation")]
    pub hidden_act: String,
    /// Token that fills gaps; RoBERTa counts positions from behind it.
    #[serde(default)]
    pub pad_token_id: usize,
    /// What only ModernBERT has.
    #[serde(flatten)]
    pub modern: ModernConfig,
    /// What only classification checkpoints have.
    #[serde(flatten)]
    pub classifier: ClassifierConfig,
    /// How sentence vectors are made; `mean` when neither this file nor `1_Pooling/config.json` says.
    #[serde(default = "default_pooling")]
    pub pooling: Pooling,
    /// Longest text in tokens, where a sentence-transformers folder says less than the position table holds.
    #[serde(default)]
    pub max_seq_length: Option<usize>,
    /// Width of the embedding; `None` when the sentence vector itself is the embedding.
    #[serde(default)]
    pub embedding_size: Option<usize>,
    /// The n-gram bag, with `zhiyin` pooling.
    #[serde(default)]
    pub ngrams: Option<NgramConfig>,
    /// Version written into every encoding; the folder's name when absent.
    #[serde(default)]
    pub version: Option<String>,
}

fn default_eps() -> f32 {
    1e-12
}

fn default_activation() -> String {
    "gelu".to_owned()
}

fn default_pooling() -> Pooling {
    Pooling::Mean
}

impl ModelConfig {
    /// Reads and checks `config.json`, and what a sentence-transformers folder says beside it: `1_Pooling/config.json` and
    /// `sentence_bert_config.json`.
    ///
    /// # Errors
    /// A file that is missing, is no JSON of this form, or describes a network that is not supported.
    pub fn load(path: &Path) -> Result<Self, InferenceError> {
        let value = json(path)?;
        let corrupt = |what: String| InferenceError::Corrupt { path: path.to_owned(), what, fix: fetch_again(path) };
        let stated = value.get("pooling").is_some();
        let mut config: Self = serde_json::from_value(value).map_err(|e| corrupt(e.to_string()))?;
        if let Some(folder) = path.parent().filter(|_| !stated) {
            config.read_sentence_files(folder)?;
        }
        config.check().map_err(corrupt)?;
        Ok(config)
    }

    /// Pooling and length of a sentence-transformers folder; a part of it that is not supported is refused, not left out.
    fn read_sentence_files(&mut self, folder: &Path) -> Result<(), InferenceError> {
        let optional = |name: &str| Some(folder.join(name)).filter(|p| p.is_file()).map(|p| Ok((json(&p)?, p))).transpose();
        let refused = |path: &Path, what: String| {
            Err(InferenceError::Mismatch { path: path.to_owned(), what, fix: "name another checkpoint".to_owned() })
        };
        if let Some((modules, path)) = optional("modules.json")? {
            let kinds = modules.as_array().into_iter().flatten().filter_map(|m| m.get("type")?.as_str()?.rsplit('.').next());
            if let Some(kind) = kinds.clone().find(|k| !["Transformer", "Pooling", "Normalize"].contains(k)) {
                return refused(&path, format!("module `{kind}` is not supported (supported: Transformer, Pooling, Normalize)"));
            }
        }
        if let Some((pooling, path)) = optional("1_Pooling/config.json")? {
            let on = |name: &str| pooling.get(format!("pooling_mode_{name}")).and_then(serde_json::Value::as_bool) == Some(true);
            self.pooling = match (on("cls_token"), on("mean_tokens")) {
                (true, false) => Pooling::First,
                (false, true) => Pooling::Mean,
                _ => return refused(&path, "only pooling over the mean or the first token is supported".to_owned()),
            };
        }
        let length = optional("sentence_bert_config.json")?.and_then(|(c, _)| c.get("max_seq_length")?.as_u64());
        self.max_seq_length = length.and_then(|n| usize::try_from(n).ok()).or(self.max_seq_length);
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        const TYPES: [&str; 5] = ["bert", "roberta", "xlm-roberta", "distilbert", MODERN];
        if !TYPES.contains(&self.model_type.as_str()) {
            return Err(format!("model_type `{}` is not supported (supported: {})", self.model_type, TYPES.join(", ")));
        }
        let activation = self.modern.hidden_activation.as_deref().filter(|_| self.is_modern()).unwrap_or(&self.hidden_act);
        if activation != "gelu" {
            return Err(format!("activation `{activation}` is not supported (supported: gelu)"));
        }
        let sizes = [self.vocab_size, self.hidden_size, self.num_hidden_layers, self.num_attention_heads, self.intermediate_size];
        if sizes.contains(&0) || self.max_position_embeddings < 4 {
            return Err("a size is 0, or there are fewer than 4 positions".to_owned());
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(format!("hidden_size {} is no multiple of {} heads", self.hidden_size, self.num_attention_heads));
        }
        let width = self.hidden_size / self.num_attention_heads;
        if self.is_modern() && (self.modern.global_attn_every_n_layers == 0 || !width.is_multiple_of(2)) {
            return Err("global_attn_every_n_layers must be at least 1, and a head's width even".to_owned());
        }
        if (self.pooling == Pooling::Zhiyin) != self.ngrams.is_some() {
            return Err("`ngrams` belongs to pooling `zhiyin` and to no other".to_owned());
        }
        match self.ngrams {
            Some(n) if n.buckets == 0 || u32::try_from(n.buckets).is_err() || n.dim == 0 || n.max == 0 => {
                Err("ngrams: buckets, dim and max must be at least 1, and buckets below 2^32".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Whether it is a ModernBERT.
    pub fn is_modern(&self) -> bool {
        self.model_type == MODERN
    }

    /// Numbers of a sentence vector: the state's, and those of the n-gram bag behind them.
    pub fn sentence_size(&self) -> usize {
        self.hidden_size + self.ngrams.map_or(0, |n| n.dim)
    }

    /// Position of the first token: RoBERTa's table begins behind its padding token.
    pub fn first_position(&self) -> usize {
        if self.model_type.ends_with("roberta") { self.pad_token_id + 1 } else { 0 }
    }

    /// Most tokens of one text, the special ones included.
    pub fn max_tokens(&self) -> usize {
        let table = self.max_position_embeddings.saturating_sub(self.first_position());
        self.max_seq_length.map_or(table, |n| n.min(table)).max(4)
    }
}

/// Reads a JSON file of a model folder.
fn json(path: &Path) -> Result<serde_json::Value, InferenceError> {
    serde_json::from_str(&read(path)?).map_err(|e| InferenceError::Corrupt {
        path: path.to_owned(),
        what: e.to_string(),
        fix: fetch_again(path),
    })
}

/// Reads a text file of a model folder.
pub(super) fn read(path: &Path) -> Result<String, InferenceError> {
    std::fs::read_to_string(path).map_err(|e| file_error(path, &e))
}

/// The error of a file that cannot be read.
pub(super) fn file_error(path: &Path, error: &std::io::Error) -> InferenceError {
    if error.kind() == std::io::ErrorKind::NotFound {
        InferenceError::Missing { path: path.to_owned(), fix: fetch_again(path) }
    } else {
        InferenceError::Corrupt { path: path.to_owned(), what: error.to_string(), fix: fetch_again(path) }
    }
}

/// How the worker threads share the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderSettings {
    /// Worker threads, each with its own core and scratch memory.
    pub workers: usize,
    /// Jobs that may wait; a caller beyond them waits (never drops), which is the back-pressure.
    pub queue_jobs: usize,
    /// Tokens of one pass through the network: enough to fill the kernels, few enough for the cache.
    pub batch_tokens: usize,
}

impl Default for EncoderSettings {
    fn default() -> Self {
        Self { workers: num_cpus::get().max(1), queue_jobs: 1024, batch_tokens: 512 }
    }
}

impl EncoderSettings {
    /// Refuses settings with which nothing would run.
    ///
    /// # Errors
    /// Names the first setting that is below its minimum.
    pub fn check(&self) -> Result<(), InferenceError> {
        for (setting, value) in [("workers", self.workers), ("queue_jobs", self.queue_jobs), ("batch_tokens", self.batch_tokens)]
        {
            if value == 0 {
                return Err(InferenceError::Setting { setting, value, minimum: 1 });
            }
        }
        Ok(())
    }
}

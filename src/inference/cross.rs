//! A cross-encoder: reads a query and a passage together and says how well the passage answers (Nogueira, Cho, *Passage
//! Re-ranking with BERT*, 2019). Slower than vectors, which are made once, and more exact; so it orders the few best alone.

use std::path::Path;
use std::sync::Arc;

use tokenizers::{TruncationDirection, TruncationParams, TruncationStrategy};

use super::config::{ModelConfig, Precision, file_error};
use super::error::{InferenceError, fetch_again};
use super::trunk::{Scratch, Trunk};
use super::weights::Weights;

/// Tokens of a pair at most, where the model would take more: time grows with their square.
const MAX_PAIR_TOKENS: usize = 512;
/// Tokens in one pass.
const BATCH_TOKENS: usize = 2_048;
/// Code points of either part that are read.
const MAX_CHARACTERS: usize = 4_096;

/// A checkpoint for sequence classification in Hugging Face layout (BERT, RoBERTa / XLM-R, DistilBERT) with one label (its
/// logistic is the score) or two (the probability of the second is).
pub struct CrossEncoder {
    version: Arc<str>,
    hidden: usize,
    tokenizer: tokenizers::Tokenizer,
    trunk: Trunk,
    /// The layer between the first state and the labels, with what it is squashed by.
    dense: (Affine, fn(f32) -> f32),
    labels: Affine,
}

/// A small linear layer, row by row.
struct Affine {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Affine {
    fn load(weights: &Weights, name: &str, inputs: usize, outputs: usize) -> Result<Self, InferenceError> {
        let weight = weights.tensor(&format!("{name}.weight"), &[outputs, inputs])?;
        Ok(Self { weight, bias: weights.tensor(&format!("{name}.bias"), &[outputs])? })
    }

    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let rows = self.weight.chunks_exact(x.len()).zip(&self.bias);
        rows.map(|(row, bias)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>() + bias).collect()
    }
}

impl CrossEncoder {
    /// Reads `config.json`, `tokenizer.json` and `model.safetensors` of a folder.
    ///
    /// # Errors
    /// A file that is missing or damaged, or a checkpoint that is none of this kind; the message names the file and the fix.
    pub fn load(dir: &Path) -> Result<Self, InferenceError> {
        let config = ModelConfig::load(&dir.join("config.json"))?;
        let weights = Weights::open(&dir.join("model.safetensors"))?;
        let hidden = config.hidden_size;
        let (dense, squash, labels): (&str, fn(f32) -> f32, &str) = match config.model_type.as_str() {
            "bert" => ("bert.pooler.dense", f32::tanh, "classifier"),
            "distilbert" => ("pre_classifier", |x: f32| x.max(0.0), "classifier"),
            "roberta" | "xlm-roberta" => ("classifier.dense", f32::tanh, "classifier.out_proj"),
            other => {
                let what = format!("a cross-encoder of type `{other}` is not supported (supported: bert, distilbert, roberta)");
                return Err(weights.mismatch(what));
            }
        };
        let count = weights.shape(&format!("{labels}.weight")).and_then(|shape| shape.first().copied()).unwrap_or(0);
        if !(1..=2).contains(&count) {
            let what = format!("tensor `{labels}.weight` has {count} rows; a cross-encoder has 1 or 2 labels");
            return Err(weights.mismatch(what));
        }
        let name = || dir.file_name().map_or_else(|| "model".to_owned(), |n| n.to_string_lossy().into_owned());
        Ok(Self {
            version: config.version.clone().unwrap_or_else(name).into(),
            hidden,
            tokenizer: tokenizer(&dir.join("tokenizer.json"), &config)?,
            trunk: Trunk::load(&weights, &config, Precision::Fp32)?,
            dense: (Affine::load(&weights, dense, hidden, hidden)?, squash),
            labels: Affine::load(&weights, labels, hidden, count)?,
        })
    }

    /// Version of the checkpoint; its folder's name when it does not say.
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// How well each passage answers the query, in [0, 1]. What is longer than the model reads is cut, the longer part
    /// first. Blocks for as long as the passes take.
    ///
    /// # Errors
    /// When the tokenizer refuses a text.
    pub fn score(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>, InferenceError> {
        let cut = |text: &str| text.chars().take(MAX_CHARACTERS).collect::<String>();
        let query = cut(query);
        let pairs = passages
            .iter()
            .map(|passage| {
                self.tokenizer
                    .encode_char_offsets((query.as_str(), cut(passage).as_str()), true)
                    .map_err(|error| InferenceError::Tokenize { characters: passage.chars().count(), what: error.to_string() })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let (mut scores, mut scratch) = (Vec::with_capacity(pairs.len()), Scratch::default());
        let mut start = 0;
        while start < pairs.len() {
            let mut end = start + 1;
            let mut tokens = pairs[start].len();
            while end < pairs.len() && tokens + pairs[end].len() <= BATCH_TOKENS {
                tokens += pairs[end].len();
                end += 1;
            }
            let ids: Vec<&[u32]> = pairs[start..end].iter().map(|pair| pair.get_ids()).collect();
            let types: Vec<&[u32]> = pairs[start..end].iter().map(|pair| pair.get_type_ids()).collect();
            let states = self.trunk.forward_pairs(&ids, &types, &mut scratch);
            let mut at = 0;
            for pair in &pairs[start..end] {
                scores.push(self.answer(&states[at..at + self.hidden]));
                at += pair.len() * self.hidden;
            }
            start = end;
        }
        Ok(scores)
    }

    /// The score behind the state of the first token.
    fn answer(&self, first: &[f32]) -> f32 {
        let (dense, squash) = &self.dense;
        let pooled: Vec<f32> = dense.apply(first).into_iter().map(squash).collect();
        let margin = match self.labels.apply(&pooled).as_slice() {
            [one] => *one,
            [other, answers, ..] => answers - other,
            [] => 0.0,
        };
        1.0 / (1.0 + (-margin).exp())
    }
}

fn tokenizer(path: &Path, config: &ModelConfig) -> Result<tokenizers::Tokenizer, InferenceError> {
    let corrupt = |what: String| InferenceError::Corrupt { path: path.to_owned(), what, fix: fetch_again(path) };
    let bytes = std::fs::read(path).map_err(|error| file_error(path, &error))?;
    let mut tokenizer = tokenizers::Tokenizer::from_bytes(&bytes).map_err(|error| corrupt(error.to_string()))?;
    let highest = tokenizer.get_vocab(true).into_values().max().unwrap_or(0) as usize;
    if highest >= config.vocab_size {
        return Err(corrupt(format!("its highest id is {highest}, config.json has a vocabulary of {}", config.vocab_size)));
    }
    tokenizer.with_padding(None);
    let truncation = TruncationParams {
        direction: TruncationDirection::Right,
        max_length: config.max_tokens().min(MAX_PAIR_TOKENS),
        strategy: TruncationStrategy::LongestFirst,
        stride: 0,
    };
    tokenizer.with_truncation(Some(truncation)).map_err(|error| corrupt(error.to_string()))?;
    let tried = tokenizer.encode(("a", "a"), true).map_err(|error| corrupt(error.to_string()))?;
    if tried.get_special_tokens_mask().iter().sum::<u32>() < 2 {
        return Err(corrupt("its post-processor puts no tokens around and between two texts".to_owned()));
    }
    Ok(tokenizer)
}

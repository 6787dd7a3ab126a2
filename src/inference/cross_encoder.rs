//! A cross-encoder: reads a query and a passage together and says how well the passage answers it.
//!
//! Any sequence classification checkpoint with one output is one (`cross-encoder/ms-marco-MiniLM-L6-v2`,
//! `BAAI/bge-reranker-base` …). It is slower than comparing vectors, by one pass through the network per passage, and
//! better: use it to order the few passages that a search found.

use std::path::Path;
use std::sync::Arc;

use super::classifier::{self, Features};
use super::config::{ModelConfig, Precision};
use super::error::{InferenceError, fetch_again};
use super::linear::{Epilogue, Linear};
use super::tokenizer::{Pair, Tokenizer};
use super::trunk::{Scratch, Trunk};
use super::weights::Weights;

/// Tokens of one pass through the network.
const BATCH_TOKENS: usize = 1024;

/// How well a passage answers a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairScore {
    /// The network's logit: higher is better, no range.
    pub score: f32,
    /// Whether query and passage were longer than the checkpoint reads, and the longer of the two was cut.
    pub truncated: bool,
    /// Tokens that were read, special ones included.
    pub tokens: usize,
}

impl PairScore {
    /// The logistic function of the score: in (0, 1), as text-embeddings-inference and sentence-transformers give it.
    pub fn probability(self) -> f32 {
        1.0 / (1.0 + (-self.score).exp())
    }
}

/// A checkpoint that scores pairs of a query and a passage. Cheap to share behind an [`Arc`]; runs on the caller's thread.
pub struct CrossEncoder {
    version: Arc<str>,
    tokenizer: Tokenizer,
    trunk: Trunk,
    features: Features,
    output: Linear,
}

impl CrossEncoder {
    /// Reads a checkpoint with one output in Hugging Face layout.
    ///
    /// # Errors
    /// A file that is missing or damaged, and a checkpoint that is no classifier or has several outputs.
    pub fn load(dir: &Path) -> Result<Self, InferenceError> {
        let config = ModelConfig::load(&dir.join("config.json"))?;
        let weights = Weights::open(&dir.join("model.safetensors"))?;
        let path = dir.join("config.json");
        let unfit = |what: String| InferenceError::Mismatch {
            fix: format!("name a checkpoint whose `architectures` end in ForSequenceClassification, or {}", fetch_again(&path)),
            path: path.clone(),
            what,
        };
        let (features, outputs) = classifier::load(&weights, &config)?.ok_or_else(|| unfit("it is no classifier".into()))?;
        if outputs.bias.len() != 1 {
            return Err(unfit(format!("a cross-encoder has one output, this has {}", outputs.bias.len())));
        }
        let name = || dir.file_name().map_or_else(|| "model".to_owned(), |n| n.to_string_lossy().into_owned());
        Ok(Self {
            version: config.version.clone().unwrap_or_else(name).into(),
            tokenizer: Tokenizer::load_for_pairs(&dir.join("tokenizer.json"), &config)?,
            trunk: Trunk::load(&weights, &config, Precision::Fp32)?,
            output: Linear::new(&outputs.weight, &outputs.bias),
            features,
        })
    }

    /// Name of the checkpoint: that of its folder, or what `config.json` says.
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// Most tokens of a query and a passage together, special ones included; what is longer is cut.
    pub fn max_tokens(&self) -> usize {
        self.tokenizer.max_tokens()
    }

    /// A score per passage, in their order. Blocks this thread for one pass per passage; a passage's score does not depend on
    /// the others.
    ///
    /// # Errors
    /// When the tokenizer refuses a text.
    pub fn scores<T: AsRef<str>>(&self, query: &str, passages: &[T]) -> Result<Vec<PairScore>, InferenceError> {
        let pairs = passages.iter().map(|p| self.tokenizer.encode_pair(query, p.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let (mut scores, mut scratch) = (Vec::with_capacity(pairs.len()), Scratch::default());
        let mut rest = pairs.as_slice();
        while !rest.is_empty() {
            let mut tokens = 0;
            let fits = rest.iter().take_while(|pair| {
                tokens += pair.ids.len();
                tokens <= BATCH_TOKENS
            });
            let (batch, later) = rest.split_at(fits.count().max(1));
            self.pass(batch, &mut scratch, &mut scores);
            rest = later;
        }
        Ok(scores)
    }

    fn pass(&self, batch: &[Pair], scratch: &mut Scratch, scores: &mut Vec<PairScore>) {
        let ids: Vec<&[u32]> = batch.iter().map(|pair| pair.ids.as_slice()).collect();
        let seconds: Vec<usize> = batch.iter().map(|pair| pair.second).collect();
        let states = self.trunk.forward(&ids, &seconds, scratch);
        let (width, mut at) = (states.len() / ids.iter().map(|i| i.len()).sum::<usize>(), 0);
        for pair in batch {
            let own = &states[at * width..(at + pair.ids.len()) * width];
            let mut score = [0.0];
            self.output.forward(&self.features.of(own), 1, &mut score, Epilogue::Store);
            scores.push(PairScore { score: score[0], truncated: pair.truncated, tokens: pair.ids.len() });
            at += pair.ids.len();
        }
    }
}

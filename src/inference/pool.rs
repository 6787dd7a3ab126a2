//! Hidden states of a text to its sentence vector and its embedding.

use super::classifier::{Features, mean_of};
use super::config::{ModelConfig, NgramConfig, Pooling};
use super::error::InferenceError;
use super::kernels;
use super::linear::{Epilogue, Linear};
use super::ngrams;
use super::slab::Slab;
use super::weights::Weights;

/// The parts of `zhiyin` pooling.
struct Own {
    first: Linear,
    mean: Linear,
    norm: (Vec<f32>, Vec<f32>),
    ngrams: NgramConfig,
    table: Slab<f32>,
}

/// Epsilon of the sentence vector's layer norm (PyTorch's default).
const POOL_EPS: f32 = 1e-5;

/// Makes one vector of a text.
pub(super) struct Pool {
    hidden: usize,
    pooling: Pooling,
    own: Option<Own>,
    embedding: Option<Linear>,
    /// The layer before the labels of a classification checkpoint.
    features: Option<Features>,
}

impl Pool {
    /// Reads the weights that `config.pooling` and `config.embedding_size` ask for.
    /// `features` are those of a classification checkpoint.
    pub(super) fn load(weights: &Weights, config: &ModelConfig, features: Option<Features>) -> Result<Self, InferenceError> {
        let hidden = config.hidden_size;
        let own = match config.ngrams {
            Some(ngrams) => {
                let mean = weights.tensor("pooler.mean.weight", &[hidden, hidden])?;
                Some(Own {
                    first: weights.linear("pooler.first", hidden, hidden)?,
                    mean: Linear::new(&mean, &vec![0.0; hidden]),
                    norm: weights.norm("pooler.norm", hidden)?,
                    ngrams,
                    table: Slab::of(&weights.tensor("ngrams.table", &[ngrams.buckets, ngrams.dim])?),
                })
            }
            None => None,
        };
        let embedding = config.embedding_size.map(|size| weights.linear("embedding", hidden, size)).transpose()?;
        Ok(Self { hidden, pooling: config.pooling, own, embedding, features })
    }

    /// Numbers of an embedding.
    pub(super) fn embedding_size(&self) -> usize {
        self.embedding.as_ref().map_or(self.hidden, Linear::outputs)
    }

    /// The sentence vector: what sentence heads read.
    pub(super) fn sentence(&self, states: &[f32], text: &str) -> Vec<f32> {
        if let Some(features) = &self.features {
            return features.of(states);
        }
        let mut vector = self.pooled(states);
        vector.extend(self.own.iter().flat_map(|own| own.bag_of(text)));
        vector
    }

    /// The sentence vector without the n-gram bag, which the embedding has no part in.
    pub(super) fn pooled(&self, states: &[f32]) -> Vec<f32> {
        let Some(own) = &self.own else { return self.plain(states) };
        let first = &states[..self.hidden];
        let mut vector = vec![0.0; self.hidden];
        own.first.forward(first, 1, &mut vector, Epilogue::Store);
        own.mean.forward(&mean_of(states, self.hidden), 1, &mut vector, Epilogue::Add);
        kernels::layer_norm(&mut vector, &own.norm.0, &own.norm.1, POOL_EPS);
        let width = vector.len();
        kernels::gelu(&mut vector, 1, width, width);
        vector
    }

    /// The unit vector of a text's states and sentence vector; the n-gram bag has no part in it, nor has the layer before
    /// the labels of a classification checkpoint.
    pub(super) fn embedding(&self, states: &[f32], sentence: &[f32]) -> Vec<f32> {
        let plain = self.features.as_ref().map(|_| self.plain(states));
        let sentence = plain.as_deref().unwrap_or(&sentence[..self.hidden]);
        let mut vector = match &self.embedding {
            Some(projection) => {
                let mut out = vec![0.0; projection.outputs()];
                projection.forward(sentence, 1, &mut out, Epilogue::Store);
                out
            }
            None => sentence.to_vec(),
        };
        let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
        if norm > 0.0 {
            vector.iter_mut().for_each(|v| *v /= norm);
        }
        vector
    }

    /// The first state or the mean of all.
    fn plain(&self, states: &[f32]) -> Vec<f32> {
        if self.pooling == Pooling::First { states[..self.hidden].to_vec() } else { mean_of(states, self.hidden) }
    }
}

impl Own {
    /// Sum of the table rows of all n-grams over the root of their count.
    fn bag_of(&self, text: &str) -> Vec<f32> {
        let (mut sum, mut count) = (vec![0.0f32; self.ngrams.dim], 0usize);
        ngrams::buckets(text, self.ngrams, |bucket| {
            count += 1;
            let row = &self.table[bucket * self.ngrams.dim..][..self.ngrams.dim];
            sum.iter_mut().zip(row).for_each(|(s, r)| *s += r);
        });
        let scale = 1.0 / (count.max(1) as f32).sqrt();
        sum.iter_mut().for_each(|s| *s *= scale);
        sum
    }
}

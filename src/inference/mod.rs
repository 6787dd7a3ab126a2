//! The text encoder: one pass over a text gives its embedding and the outputs of all heads.
//!
//! ```text
//! text -> tokenizer -> ids -> trunk (BERT layout) -> states -> token heads (entities, punctuation)
//!   |                                  \-> sentence vector -> embedding (unit length)
//!   \-> character n-gram bag ------------------------\-> sentence heads (intent, act, emotion, conduct)
//! ```
//!
//! [`EncoderModel`] is what a model folder holds; [`Encoder`] is the cloneable handle to worker threads that share it
//! (one per core, each with a queue's worth of waiting texts as its batch); [`Encoding`] is the result that
//! understanding, emotion and knowledge read. This room knows tensors, not business.
//!
//! The default model and any BERT, RoBERTa / XLM-R, DistilBERT or ModernBERT checkpoint in Hugging Face layout run on the same
//! code: weights are packed once, all texts of a batch lie in one row without padding, and query, key and value,
//! bias and GELU are fused into the products (`linear.rs`, `kernels.rs`). A sequence classification checkpoint is a head
//! ([`Head::of_checkpoint`]) or, with one output, a [`CrossEncoder`].
//!
//! ```no_run
//! use std::path::Path;
//! use zhiyin::inference::{Encoder, EncoderModel, EncoderSettings, head};
//! let model = EncoderModel::load(Path::new("models/zhiyin-encoder-small"))?;
//! let encoder = Encoder::start(model, EncoderSettings::default())?;
//! let encoding = encoder.encode("我上周退的那个耳机，钱怎么还没到账")?;
//! if let Some((intent, confidence)) = encoding.head(head::INTENT).and_then(|h| h.top()) {
//!     assert!(confidence <= 1.0, "{intent}");
//! }
//! # Ok::<(), zhiyin::inference::InferenceError>(())
//! ```

mod classifier;
mod config;
mod cross_encoder;
mod encoding;
mod error;
mod features;
mod heads;
mod kernels;
mod linear;
mod model;
mod modern;
mod ngrams;
mod peak;
mod pool;
mod quantised;
mod renamed;
mod slab;
mod tokenizer;
mod trunk;
mod weights;
mod worker;

pub use classifier::{CLASSIFIER, ClassifierConfig};
pub use config::{EncoderSettings, ModelConfig, NgramConfig, Pooling, Precision};
pub use cross_encoder::{CrossEncoder, PairScore};
pub use encoding::{Encoding, SentenceOutput, TaggedSpan, TokenOutput, TokenSpan};
pub use error::InferenceError;
pub use features::{NgramPart, Sparse, Vocabulary};
pub use heads::{Head, HeadKind, HeadSpec, TRUNK_FOLDER, head};
pub use model::EncoderModel;
pub use modern::ModernConfig;
pub use peak::gemm_products_per_s;
pub use trunk::Scratch;
pub use worker::{Encoder, PendingEmbedding};

#[cfg(test)]
mod tests;

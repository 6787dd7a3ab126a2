//! The transformer: token ids to hidden states, for BERT, RoBERTa / XLM-R and DistilBERT weights.
//!
//! All texts of a batch lie in one row without padding; only attention looks at where each begins. Query, key and
//! value are one product, bias and GELU belong to the product before them.

use super::config::ModelConfig;
use super::config::Precision;
use super::error::InferenceError;
use super::kernels;
use super::linear::{Epilogue, Layer as Product};
use super::modern::ModernTrunk;
use super::quantised::QuantScratch;
use super::slab::Slab;
use super::weights::Weights;

/// A layer norm's weight and bias.
type Norm = (Vec<f32>, Vec<f32>);

struct Layer {
    qkv: Product,
    attention_output: Product,
    attention_norm: Norm,
    intermediate: Product,
    output: Product,
    output_norm: Norm,
}

/// Memory that one worker reuses for every batch.
#[derive(Default)]
pub struct Scratch {
    qkv: Vec<f32>,
    attended: Vec<f32>,
    wide: Vec<f32>,
    pub(super) attention: Vec<f32>,
    pub(super) quantised: QuantScratch,
}

/// The transformer in either form.
pub(super) enum Trunk {
    /// Norms behind the products, a table of positions: BERT, RoBERTa / XLM-R, DistilBERT.
    Classic(ClassicTrunk),
    /// ModernBERT.
    Modern(ModernTrunk),
}

impl Trunk {
    /// Reads and packs the weights of the form that the configuration names.
    pub(super) fn load(weights: &Weights, config: &ModelConfig, precision: Precision) -> Result<Self, InferenceError> {
        if config.is_modern() {
            return Ok(Self::Modern(ModernTrunk::load(weights, config, precision)?));
        }
        Ok(Self::Classic(ClassicTrunk::load(weights, config, precision)?))
    }

    /// Multiplications that the linear layers do for one token.
    pub(super) fn products_per_token(&self) -> usize {
        match self {
            Self::Classic(trunk) => trunk.products_per_token(),
            Self::Modern(trunk) => trunk.products_per_token(),
        }
    }

    /// Hidden states of all tokens of all texts, in a row. Ids are below `vocab_size` and no text is longer than
    /// the position table, which the tokenizer's loader and cut guarantee. `seconds` says for each pair where its second
    /// text begins; empty: there are no pairs.
    pub(super) fn forward(&self, texts: &[&[u32]], seconds: &[usize], scratch: &mut Scratch) -> Vec<f32> {
        match self {
            Self::Classic(trunk) => trunk.forward(texts, seconds, scratch),
            Self::Modern(trunk) => trunk.forward(texts, scratch),
        }
    }
}

/// The packed weights of a transformer in BERT's form.
pub(super) struct ClassicTrunk {
    hidden: usize,
    heads: usize,
    eps: f32,
    first_position: usize,
    words: Slab<f32>,
    positions: Vec<f32>,
    /// Row of the first text of a pair, and that of the second where the model tells them apart.
    token_type: [Vec<f32>; 2],
    embedding_norm: Norm,
    layers: Vec<Layer>,
}

/// Names of the tensors of one layer.
struct LayerNames {
    qkv: [String; 3],
    attention_output: String,
    attention_norm: String,
    intermediate: String,
    output: String,
    output_norm: String,
}

impl LayerNames {
    fn of(model_type: &str, prefix: &str, index: usize) -> Self {
        if model_type == "distilbert" {
            let at = format!("{prefix}transformer.layer.{index}");
            return Self {
                qkv: ["q_lin", "k_lin", "v_lin"].map(|n| format!("{at}.attention.{n}")),
                attention_output: format!("{at}.attention.out_lin"),
                attention_norm: format!("{at}.sa_layer_norm"),
                intermediate: format!("{at}.ffn.lin1"),
                output: format!("{at}.ffn.lin2"),
                output_norm: format!("{at}.output_layer_norm"),
            };
        }
        let at = format!("{prefix}encoder.layer.{index}");
        Self {
            qkv: ["query", "key", "value"].map(|n| format!("{at}.attention.self.{n}")),
            attention_output: format!("{at}.attention.output.dense"),
            attention_norm: format!("{at}.attention.output.LayerNorm"),
            intermediate: format!("{at}.intermediate.dense"),
            output: format!("{at}.output.dense"),
            output_norm: format!("{at}.output.LayerNorm"),
        }
    }
}

impl ClassicTrunk {
    /// Reads and packs the weights; tensor names may carry the prefix of a checkpoint with a head (`bert.` …).
    pub(super) fn load(weights: &Weights, config: &ModelConfig, precision: Precision) -> Result<Self, InferenceError> {
        let prefix = ["", "bert.", "roberta.", "distilbert."]
            .into_iter()
            .find(|p| weights.has(&format!("{p}embeddings.word_embeddings.weight")))
            .ok_or_else(|| weights.mismatch("tensor `embeddings.word_embeddings.weight` is missing".to_owned()))?;
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let table = |name: &str, rows: usize| weights.tensor(&format!("{prefix}embeddings.{name}.weight"), &[rows, hidden]);
        let types = weights.shape(&format!("{prefix}embeddings.token_type_embeddings.weight"));
        let token_type = match types {
            Some(shape) => {
                let rows = table("token_type_embeddings", shape[0])?;
                [rows[..hidden].to_vec(), rows[rows.len().min(2 * hidden) - hidden..][..hidden].to_vec()]
            }
            None => [vec![0.0; hidden], vec![0.0; hidden]],
        };
        let layers = (0..config.num_hidden_layers).map(|index| {
            let names = LayerNames::of(&config.model_type, prefix, index);
            Ok(Layer {
                qkv: weights.fused(&names.qkv, hidden, hidden, precision)?,
                attention_output: weights.product(&names.attention_output, hidden, hidden, precision)?,
                attention_norm: weights.norm(&names.attention_norm, hidden)?,
                intermediate: weights.product(&names.intermediate, hidden, wide, precision)?,
                output: weights.product(&names.output, wide, hidden, precision)?,
                output_norm: weights.norm(&names.output_norm, hidden)?,
            })
        });
        Ok(Self {
            hidden,
            heads: config.num_attention_heads,
            eps: config.layer_norm_eps,
            first_position: config.first_position(),
            words: Slab::of(&table("word_embeddings", config.vocab_size)?),
            positions: table("position_embeddings", config.max_position_embeddings)?,
            token_type,
            embedding_norm: weights.norm(&format!("{prefix}embeddings.LayerNorm"), hidden)?,
            layers: layers.collect::<Result<_, InferenceError>>()?,
        })
    }

    /// Multiplications that the linear layers do for one token.
    pub(super) fn products_per_token(&self) -> usize {
        let of =
            |l: &Layer| [&l.qkv, &l.attention_output, &l.intermediate, &l.output].map(Product::products).iter().sum::<usize>();
        self.layers.iter().map(of).sum()
    }

    /// Hidden states of all tokens of all texts, in a row. Ids are below `vocab_size` and no text is longer than
    /// the position table, which the tokenizer's loader and cut guarantee. See [`Trunk::forward`] for `seconds`.
    pub(super) fn forward(&self, texts: &[&[u32]], seconds: &[usize], scratch: &mut Scratch) -> Vec<f32> {
        let hidden = self.hidden;
        let tokens: usize = texts.iter().map(|t| t.len()).sum();
        let mut x = self.embed(texts, seconds, tokens);
        scratch.qkv.resize(tokens * 3 * hidden, 0.0);
        scratch.attended.resize(tokens * hidden, 0.0);
        for layer in &self.layers {
            layer.qkv.forward(&x, tokens, &mut scratch.qkv, Epilogue::Store, &mut scratch.quantised);
            let mut start = 0;
            for text in texts {
                let end = start + text.len();
                let (qkv, out) =
                    (&scratch.qkv[start * 3 * hidden..end * 3 * hidden], &mut scratch.attended[start * hidden..end * hidden]);
                kernels::attention(qkv, out, hidden, self.heads, usize::MAX, &mut scratch.attention);
                start = end;
            }
            layer.attention_output.forward(&scratch.attended, tokens, &mut x, Epilogue::Add, &mut scratch.quantised);
            kernels::layer_norm(&mut x, &layer.attention_norm.0, &layer.attention_norm.1, self.eps);
            scratch.wide.resize(tokens * layer.intermediate.outputs(), 0.0);
            layer.intermediate.forward(&x, tokens, &mut scratch.wide, Epilogue::Gelu, &mut scratch.quantised);
            layer.output.forward(&scratch.wide, tokens, &mut x, Epilogue::Add, &mut scratch.quantised);
            kernels::layer_norm(&mut x, &layer.output_norm.0, &layer.output_norm.1, self.eps);
        }
        x
    }

    fn embed(&self, texts: &[&[u32]], seconds: &[usize], tokens: usize) -> Vec<f32> {
        let hidden = self.hidden;
        let mut x = Vec::with_capacity(tokens * hidden);
        for (text, second) in texts.iter().zip(seconds.iter().copied().chain(std::iter::repeat(usize::MAX))) {
            for (position, &id) in text.iter().enumerate() {
                let token_type = &self.token_type[usize::from(position >= second)];
                let word = &self.words[id as usize * hidden..][..hidden];
                let place = &self.positions[(position + self.first_position) * hidden..][..hidden];
                x.extend(word.iter().zip(place).zip(token_type).map(|((w, p), t)| w + p + t));
            }
        }
        kernels::layer_norm(&mut x, &self.embedding_norm.0, &self.embedding_norm.1, self.eps);
        x
    }
}

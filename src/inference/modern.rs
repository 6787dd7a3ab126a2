//! ModernBERT's trunk: norms before the products, rotated positions, gated feed-forward layers, and layers that look at
//! near tokens only (Warner et al., "Smarter, Better, Faster, Longer", 2024).

use super::config::{ModelConfig, Precision};
use super::error::InferenceError;
use super::kernels;
use super::linear::{Epilogue, Layer as Product};
use super::slab::Slab;
use super::trunk::Scratch;
use super::weights::Weights;

struct Layer {
    /// Absent in the first layer, whose input is normalised already.
    attention_norm: Option<Vec<f32>>,
    qkv: Product,
    attention_output: Product,
    feed_norm: Vec<f32>,
    /// Both halves of the gated layer, one behind the other.
    gated: Product,
    output: Product,
    /// Whether it looks at near tokens only.
    local: bool,
}

/// The packed weights of a ModernBERT.
pub(super) struct ModernTrunk {
    hidden: usize,
    heads: usize,
    wide: usize,
    eps: f32,
    /// Tokens to either side that a local layer sees.
    reach: usize,
    words: Slab<f32>,
    embedding_norm: Vec<f32>,
    layers: Vec<Layer>,
    final_norm: Vec<f32>,
    /// Frequencies of the rotation: of global layers and of local ones.
    frequencies: [Vec<f32>; 2],
}

impl ModernTrunk {
    /// Reads and packs the weights; tensor names may carry `model.`, as those of checkpoints with a head.
    pub(super) fn load(weights: &Weights, config: &ModelConfig, precision: Precision) -> Result<Self, InferenceError> {
        let prefix = ["", "model."]
            .into_iter()
            .find(|p| weights.has(&format!("{p}embeddings.tok_embeddings.weight")))
            .ok_or_else(|| weights.mismatch("tensor `embeddings.tok_embeddings.weight` is missing".to_owned()))?;
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let modern = &config.modern;
        let norm = |name: &str| weights.tensor(&format!("{prefix}{name}.weight"), &[hidden]);
        let product = |name: String, inputs: usize, outputs: usize| -> Result<Product, InferenceError> {
            let weight = weights.tensor(&format!("{prefix}{name}.weight"), &[outputs, inputs])?;
            let bias = format!("{prefix}{name}.bias");
            let bias = if weights.has(&bias) { weights.tensor(&bias, &[outputs])? } else { vec![0.0; outputs] };
            Ok(Product::new(&weight, &bias, precision))
        };
        let layers = (0..config.num_hidden_layers).map(|index| {
            let at = format!("layers.{index}");
            let first = format!("{at}.attn_norm");
            Ok(Layer {
                attention_norm: weights.has(&format!("{prefix}{first}.weight")).then(|| norm(&first)).transpose()?,
                qkv: product(format!("{at}.attn.Wqkv"), hidden, 3 * hidden)?,
                attention_output: product(format!("{at}.attn.Wo"), hidden, hidden)?,
                feed_norm: norm(&format!("{at}.mlp_norm"))?,
                gated: product(format!("{at}.mlp.Wi"), hidden, 2 * wide)?,
                output: product(format!("{at}.mlp.Wo"), wide, hidden)?,
                local: !index.is_multiple_of(modern.global_attn_every_n_layers),
            })
        });
        let width = hidden / config.num_attention_heads;
        let frequencies = [modern.global_rope_theta, modern.local_rope_theta].map(|theta| {
            let frequency = |i: usize| (1.0 / theta.powf(2.0 * i as f64 / width as f64)) as f32;
            (0..width / 2).map(frequency).collect()
        });
        Ok(Self {
            hidden,
            heads: config.num_attention_heads,
            wide,
            eps: modern.norm_eps.unwrap_or(config.layer_norm_eps),
            reach: modern.local_attention / 2,
            words: Slab::of(&weights.tensor(&format!("{prefix}embeddings.tok_embeddings.weight"), &[config.vocab_size, hidden])?),
            embedding_norm: norm("embeddings.norm")?,
            layers: layers.collect::<Result<_, InferenceError>>()?,
            final_norm: norm("final_norm")?,
            frequencies,
        })
    }

    /// Multiplications that the linear layers do for one token.
    pub(super) fn products_per_token(&self) -> usize {
        let of = |l: &Layer| [&l.qkv, &l.attention_output, &l.gated, &l.output].map(Product::products).iter().sum::<usize>();
        self.layers.iter().map(of).sum()
    }

    /// Hidden states of all tokens of all texts, in a row; see the other trunk.
    pub(super) fn forward(&self, texts: &[&[u32]], scratch: &mut Scratch) -> Vec<f32> {
        let (hidden, none) = (self.hidden, vec![0.0; self.hidden]);
        let normal = |x: &mut [f32], weight: &[f32]| kernels::layer_norm(x, weight, &none, self.eps);
        let ids = || texts.iter().flat_map(|t| t.iter());
        let tokens = ids().count();
        let mut x: Vec<f32> = ids().flat_map(|&id| &self.words[id as usize * hidden..][..hidden]).copied().collect();
        normal(&mut x, &self.embedding_norm);
        let (mut qkv, mut attended) = (vec![0.0; tokens * 3 * hidden], vec![0.0; tokens * hidden]);
        let (mut gated, mut wide) = (vec![0.0; tokens * 2 * self.wide], vec![0.0; tokens * self.wide]);
        for layer in &self.layers {
            let mut input = x.clone();
            if let Some(norm) = &layer.attention_norm {
                normal(&mut input, norm);
            }
            layer.qkv.forward(&input, tokens, &mut qkv, Epilogue::Store, &mut scratch.quantised);
            let reach = if layer.local { self.reach } else { usize::MAX };
            let mut start = 0;
            for text in texts {
                let end = start + text.len();
                let part = &mut qkv[start * 3 * hidden..end * 3 * hidden];
                self.rotate(part, layer.local);
                kernels::attention(
                    part,
                    &mut attended[start * hidden..end * hidden],
                    hidden,
                    self.heads,
                    reach,
                    &mut scratch.attention,
                );
                start = end;
            }
            layer.attention_output.forward(&attended, tokens, &mut x, Epilogue::Add, &mut scratch.quantised);
            input.copy_from_slice(&x);
            normal(&mut input, &layer.feed_norm);
            layer.gated.forward(&input, tokens, &mut gated, Epilogue::Store, &mut scratch.quantised);
            kernels::gelu(&mut gated, tokens, self.wide, 2 * self.wide);
            for (row, both) in wide.chunks_exact_mut(self.wide).zip(gated.chunks_exact(2 * self.wide)) {
                let (value, gate) = both.split_at(self.wide);
                row.iter_mut().zip(value.iter().zip(gate)).for_each(|(r, (v, g))| *r = v * g);
            }
            layer.output.forward(&wide, tokens, &mut x, Epilogue::Add, &mut scratch.quantised);
        }
        normal(&mut x, &self.final_norm);
        x
    }

    /// Rotates queries and keys of one text by their positions (Su et al., "RoFormer", 2021): number `i` of a head's first
    /// half turns with number `i` of its second.
    fn rotate(&self, qkv: &mut [f32], local: bool) {
        let (hidden, half) = (self.hidden, self.hidden / self.heads / 2);
        for (position, row) in qkv.chunks_exact_mut(3 * hidden).enumerate() {
            for (i, frequency) in self.frequencies[usize::from(local)].iter().enumerate() {
                let (sin, cos) = (position as f32 * frequency).sin_cos();
                for head in row[..2 * hidden].chunks_exact_mut(2 * half) {
                    let (a, b) = (head[i], head[half + i]);
                    (head[i], head[half + i]) = (a * cos - b * sin, b * cos + a * sin);
                }
            }
        }
    }
}

/// What only ModernBERT's `config.json` says.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct ModernConfig {
    /// Added to the variance in layer norms; `layer_norm_eps` when absent.
    #[serde(default)]
    pub norm_eps: Option<f32>,
    /// Activation of the feed-forward layer; `hidden_act` when absent.
    #[serde(default)]
    pub hidden_activation: Option<String>,
    /// Every how many layers one looks at all tokens; the first does.
    #[serde(default = "every")]
    pub global_attn_every_n_layers: usize,
    /// Base of the rotation in layers that look at all tokens.
    #[serde(default = "global_theta")]
    pub global_rope_theta: f64,
    /// Tokens that a local layer sees, half of them to either side.
    #[serde(default = "window")]
    pub local_attention: usize,
    /// Base of the rotation in local layers.
    #[serde(default = "local_theta")]
    pub local_rope_theta: f64,
}

fn every() -> usize {
    3
}

fn global_theta() -> f64 {
    160_000.0
}

fn window() -> usize {
    128
}

fn local_theta() -> f64 {
    10_000.0
}

//! The trunk with candle's automatic differentiation: the same network as `inference`, slower, but it learns.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{D, DType, Device, Tensor, Var};
use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors};

use crate::inference::{ModelConfig, Pooling};

use super::batches::Batch;
use super::error::TrainError;

/// Epsilon of the sentence vector's layer norm, as in `inference`.
const POOL_EPS: f64 = 1e-5;

/// Names of the tensors of a layer, by model type.
struct Names {
    query: String,
    key: String,
    value: String,
    attention_output: String,
    attention_norm: String,
    intermediate: String,
    output: String,
    output_norm: String,
}

impl Names {
    fn of(model_type: &str, prefix: &str, layer: usize) -> Self {
        if model_type == "distilbert" {
            let at = format!("{prefix}transformer.layer.{layer}");
            return Self {
                query: format!("{at}.attention.q_lin"),
                key: format!("{at}.attention.k_lin"),
                value: format!("{at}.attention.v_lin"),
                attention_output: format!("{at}.attention.out_lin"),
                attention_norm: format!("{at}.sa_layer_norm"),
                intermediate: format!("{at}.ffn.lin1"),
                output: format!("{at}.ffn.lin2"),
                output_norm: format!("{at}.output_layer_norm"),
            };
        }
        let at = format!("{prefix}encoder.layer.{layer}");
        Self {
            query: format!("{at}.attention.self.query"),
            key: format!("{at}.attention.self.key"),
            value: format!("{at}.attention.self.value"),
            attention_output: format!("{at}.attention.output.dense"),
            attention_norm: format!("{at}.attention.output.LayerNorm"),
            intermediate: format!("{at}.intermediate.dense"),
            output: format!("{at}.output.dense"),
            output_norm: format!("{at}.output.LayerNorm"),
        }
    }
}

/// A trunk whose weights are variables.
pub(super) struct Network {
    config: ModelConfig,
    prefix: String,
    vars: HashMap<String, Var>,
    path: PathBuf,
}

impl Network {
    /// Reads `config.json` and `model.safetensors` of a model folder; heads and the n-gram table are left out. What is stored in
    /// int8 with scales learns in floating point.
    pub(super) fn load(folder: &Path) -> Result<Self, TrainError> {
        let config = ModelConfig::load(&folder.join("config.json"))?;
        let path = folder.join("model.safetensors");
        let refuse = |what: String| TrainError::Trunk {
            path: path.clone(),
            what,
            fix: "use `--mode frozen`, which takes every encoder".to_owned(),
        };
        if !["bert", "roberta", "xlm-roberta", "distilbert"].contains(&config.model_type.as_str()) {
            return Err(refuse(format!("a trunk of type {} cannot be tuned", config.model_type)));
        }
        if config.classifier.is_classifier() {
            return Err(refuse("a classifier reads its sentence vector in a way of its own, which is not tuned".to_owned()));
        }
        let bytes = std::fs::read(&path).map_err(|source| TrainError::Unreadable { path: path.clone(), source })?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| refuse(e.to_string()))?;
        let mut vars = HashMap::new();
        for (name, view) in tensors.iter() {
            if name.starts_with("heads.") || name.starts_with("ngrams.") {
                continue;
            }
            let data = view.data();
            let values: Vec<f32> = match view.dtype() {
                Dtype::F32 => data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
                Dtype::F16 => data.as_chunks::<2>().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
                Dtype::BF16 => data.as_chunks::<2>().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
                Dtype::I8 => match scaled(&tensors, name, view.shape(), data) {
                    Some(values) => values,
                    None => return Err(refuse(format!("`{name}` is int8 without fitting scales"))),
                },
                _ => continue,
            };
            vars.insert(name.to_owned(), Var::from_vec(values, view.shape(), &Device::Cpu)?);
        }
        let prefix = ["", "bert.", "roberta.", "distilbert."]
            .into_iter()
            .find(|p| vars.contains_key(&format!("{p}embeddings.word_embeddings.weight")))
            .ok_or_else(|| refuse("it has no word embeddings in floating point".to_owned()))?
            .to_owned();
        Ok(Self { config, prefix, vars, path })
    }

    /// Width of the sentence vector.
    pub(super) fn config(&self) -> &ModelConfig {
        &self.config
    }

    pub(super) fn width(&self) -> usize {
        self.config.hidden_size
    }

    /// Names and variables that the sentence vector depends on, by name.
    pub(super) fn used(&self) -> Vec<(&String, &Var)> {
        let own = ["embedding.", "ngrams.", "cls.", "lm_head.", "classifier.", "pre_classifier."];
        let mut used: Vec<_> = self.vars.iter().filter(|(n, _)| !own.iter().any(|o| n.starts_with(o))).collect();
        used.sort_by_key(|(name, _)| name.as_str());
        used
    }

    fn at(&self, name: &str) -> Result<&Tensor, TrainError> {
        self.vars.get(name).map(Var::as_tensor).ok_or_else(|| TrainError::Trunk {
            path: self.path.clone(),
            what: format!("tensor `{name}` is missing"),
            fix: "pull the model again".to_owned(),
        })
    }

    fn linear(&self, name: &str, x: &Tensor) -> Result<Tensor, TrainError> {
        let y = x.matmul(&self.at(&format!("{name}.weight"))?.t()?)?;
        let bias = format!("{name}.bias");
        if self.vars.contains_key(&bias) { Ok(y.broadcast_add(self.at(&bias)?)?) } else { Ok(y) }
    }

    fn norm(&self, name: &str, x: &Tensor, eps: f64) -> Result<Tensor, TrainError> {
        let width = x.dim(D::Minus1)? as f64;
        let centred = x.broadcast_sub(&(x.sum_keepdim(D::Minus1)? / width)?)?;
        let variance = (centred.sqr()?.sum_keepdim(D::Minus1)? / width)?;
        let normal = centred.broadcast_div(&(variance + eps)?.sqrt()?)?;
        Ok(normal.broadcast_mul(self.at(&format!("{name}.weight"))?)?.broadcast_add(self.at(&format!("{name}.bias"))?)?)
    }

    /// Sentence vectors (rows, width) of a batch.
    pub(super) fn sentences(&self, batch: &Batch) -> Result<Tensor, TrainError> {
        let (rows, tokens) = batch.ids.dims2()?;
        let width = self.config.hidden_size;
        let mut x = self.embed(batch, rows, tokens)?;
        // 0 where a token is, far below every score where there is none.
        let bias = ((batch.mask.reshape((rows, 1, 1, tokens))? - 1.0)? * 1e9)?;
        for layer in 0..self.config.num_hidden_layers {
            x = self.layer(layer, &x, &bias, rows, tokens)?;
        }
        let states = x.reshape((rows, tokens, width))?;
        let first = states.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?;
        let mask = batch.mask.unsqueeze(2)?;
        let mean = states.broadcast_mul(&mask)?.sum(1)?.broadcast_div(&mask.sum(1)?)?;
        match self.config.pooling {
            Pooling::First => Ok(first),
            Pooling::Mean => Ok(mean),
            Pooling::Zhiyin => {
                let mixed = (self.linear("pooler.first", &first)? + self.linear("pooler.mean", &mean)?)?;
                Ok(self.norm("pooler.norm", &mixed, POOL_EPS)?.gelu_erf()?)
            }
        }
    }

    fn embed(&self, batch: &Batch, rows: usize, tokens: usize) -> Result<Tensor, TrainError> {
        let (prefix, width) = (&self.prefix, self.config.hidden_size);
        let words = self.at(&format!("{prefix}embeddings.word_embeddings.weight"))?;
        let words = words.index_select(&batch.ids.flatten_all()?, 0)?.reshape((rows, tokens, width))?;
        let places = self.at(&format!("{prefix}embeddings.position_embeddings.weight"))?;
        let places = places.narrow(0, self.config.first_position(), tokens)?;
        let mut x = words.broadcast_add(&places)?;
        let types = format!("{prefix}embeddings.token_type_embeddings.weight");
        if self.vars.contains_key(&types) {
            x = x.broadcast_add(&self.at(&types)?.narrow(0, 0, 1)?)?;
        }
        let x = x.reshape((rows * tokens, width))?;
        self.norm(&format!("{prefix}embeddings.LayerNorm"), &x, f64::from(self.config.layer_norm_eps))
    }

    fn layer(&self, layer: usize, x: &Tensor, bias: &Tensor, rows: usize, tokens: usize) -> Result<Tensor, TrainError> {
        let names = Names::of(&self.config.model_type, &self.prefix, layer);
        let (heads, width) = (self.config.num_attention_heads, self.config.hidden_size);
        let eps = f64::from(self.config.layer_norm_eps);
        let split = |name: &str| -> Result<Tensor, TrainError> {
            let y = self.linear(name, x)?.reshape((rows, tokens, heads, width / heads))?;
            Ok(y.transpose(1, 2)?.contiguous()?)
        };
        let (q, k, v) = (split(&names.query)?, split(&names.key)?, split(&names.value)?);
        let scores = (q.matmul(&k.transpose(2, 3)?.contiguous()?)? / ((width / heads) as f64).sqrt())?;
        let shares = candle_nn::ops::softmax(&scores.broadcast_add(bias)?, D::Minus1)?;
        let attended = shares.matmul(&v)?.transpose(1, 2)?.contiguous()?.reshape((rows * tokens, width))?;
        let x = self.norm(&names.attention_norm, &(x + self.linear(&names.attention_output, &attended)?)?, eps)?;
        let wide = self.linear(&names.intermediate, &x)?.gelu_erf()?;
        self.norm(&names.output_norm, &(&x + self.linear(&names.output, &wide)?)?, eps)
    }

    /// The tuned tensors by name, f32.
    pub(super) fn tensors(&self) -> Result<HashMap<String, Vec<f32>>, TrainError> {
        let values = |var: &Var| var.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>();
        self.used().into_iter().map(|(name, var)| Ok((name.clone(), values(var)?))).collect()
    }
}

/// Int8 numbers times `<name>_scale`: one scale per row, or one per column where there are as many.
fn scaled(tensors: &SafeTensors<'_>, name: &str, shape: &[usize], bytes: &[u8]) -> Option<Vec<f32>> {
    let view = tensors.tensor(&format!("{name}_scale")).ok()?;
    let data = view.data();
    let scales: Vec<f32> = match view.dtype() {
        Dtype::F32 => data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::F16 => data.as_chunks::<2>().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        _ => return None,
    };
    let rows = *shape.first()?;
    let columns = bytes.len().checked_div(rows)?;
    let by_row = scales.len() == rows;
    if !by_row && scales.len() != columns {
        return None;
    }
    let scale = |place: usize| scales[if by_row { place / columns } else { place % columns }];
    Some(bytes.iter().enumerate().map(|(place, b)| f32::from(b.cast_signed()) * scale(place)).collect())
}

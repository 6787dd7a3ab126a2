//! The linear layer over sentence vectors, with or without the trunk below it, trained by gradient descent.

use candle_core::{D, DType, Device, Tensor, Var};
use candle_nn::ops::log_softmax;

use super::batches::{self, Batch, WordDrop};
use super::config::{Mode, TrainSettings};
use super::data::Random;
use super::error::TrainError;
use super::metrics;
use super::network::Network;
use super::optimizer::AdamW;
use super::trainer::Progress;

/// Share of the sentence vector that is dropped in training (Srivastava et al. 2014).
const DROPOUT: f32 = 0.2;
/// Share of words that are hidden in training of a trunk.
const WORD_DROP: f32 = 0.1;
/// Share of the steps in which the rate rises.
const WARM_UP: f32 = 0.06;
/// Rows of a batch that only predicts.
const PREDICT_ROWS: usize = 128;

/// What the layer reads.
pub(super) enum Input<'a> {
    /// Sentence vectors of a frozen trunk, scaled to deviation 1.
    Vectors(&'a [Vec<f32>]),
    /// Token ids for the network below.
    Tokens(&'a [Vec<u32>]),
}

impl Input<'_> {
    fn lengths(&self) -> Vec<usize> {
        match self {
            Self::Vectors(v) => vec![1; v.len()],
            Self::Tokens(t) => t.iter().map(Vec::len).collect(),
        }
    }
}

/// Rows of a split with their targets.
pub(super) struct Split<'a> {
    pub input: Input<'a>,
    pub targets: &'a [Vec<usize>],
}

/// Ids that the tokenizer of the trunk uses for gaps and hidden words.
#[derive(Clone, Copy)]
pub(super) struct Special {
    pub pad: u32,
    pub mask: u32,
}

/// The layer, and the trunk when it learns too.
pub(super) struct Dense {
    weight: Var,
    bias: Var,
    network: Option<Network>,
    special: Special,
    labels: usize,
}

impl Dense {
    pub(super) fn new(labels: usize, width: usize, network: Option<Network>, special: Special) -> Result<Self, TrainError> {
        let scale = 0.02f32;
        Ok(Self {
            weight: Var::randn(0.0f32, scale, (labels, width), &Device::Cpu)?,
            bias: Var::zeros(labels, DType::F32, &Device::Cpu)?,
            network,
            special,
            labels,
        })
    }

    /// The network, tuned.
    pub(super) fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    /// Weights row by row, and biases.
    pub(super) fn weights(&self) -> Result<(Vec<f32>, Vec<f32>), TrainError> {
        Ok((self.weight.flatten_all()?.to_vec1()?, self.bias.to_vec1()?))
    }

    fn vectors(
        &self,
        input: &Input<'_>,
        rows: Vec<usize>,
        drop: Option<&mut Random>,
    ) -> Result<(Tensor, Vec<usize>), TrainError> {
        match (input, &self.network) {
            (Input::Tokens(ids), Some(network)) => {
                let drop = drop.map(|random| WordDrop { random, share: WORD_DROP, token: self.special.mask });
                let batch: Batch = batches::batch(ids, rows, self.special.pad, drop)?;
                Ok((network.sentences(&batch)?, batch.rows))
            }
            (Input::Vectors(vectors), _) => {
                let flat: Vec<f32> = rows.iter().flat_map(|r| vectors[*r].iter().copied()).collect();
                let width = flat.len() / rows.len().max(1);
                Ok((Tensor::from_vec(flat, (rows.len(), width), &Device::Cpu)?, rows))
            }
            (Input::Tokens(_), None) => Err(TrainError::data("tokens without a network", "report this as a fault")),
        }
    }

    fn logits(&self, vectors: &Tensor) -> Result<Tensor, TrainError> {
        Ok(vectors.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)?)
    }

    /// Logits of all rows, in their order.
    pub(super) fn predict(&self, input: &Input<'_>) -> Result<Vec<Vec<f32>>, TrainError> {
        let lengths = input.lengths();
        let mut found = vec![Vec::new(); lengths.len()];
        for rows in batches::in_order(&lengths, PREDICT_ROWS) {
            let (vectors, rows) = self.vectors(input, rows, None)?;
            // Detached: nothing is kept for a backward pass.
            let logits = self.logits(&vectors.detach())?.to_vec2::<f32>()?;
            rows.into_iter().zip(logits).for_each(|(row, l)| found[row] = l);
        }
        Ok(found)
    }

    /// Trains until dev gets no better; the best state stays.
    pub(super) fn fit(
        &self,
        train: &Split<'_>,
        dev: &Split<'_>,
        names: &[String],
        weights: &[f32],
        settings: &TrainSettings,
        progress: &dyn Fn(&Progress),
    ) -> Result<usize, TrainError> {
        let full = settings.mode == Mode::Full;
        let rate = if settings.rate > 0.0 {
            settings.rate
        } else if full {
            5e-4
        } else {
            5e-3
        };
        let mut optimizer = AdamW::new();
        optimizer.add(&self.weight, rate.max(1e-3), 0.01);
        optimizer.add(&self.bias, rate.max(1e-3), 0.0);
        for (_, var) in self.network.iter().flat_map(Network::used) {
            optimizer.add(var, rate, 0.01);
        }
        let (mut random, lengths) = (Random::new(settings.seed), train.input.lengths());
        // A frozen trunk's vectors are cheap: more passes in the same time.
        let epochs = if full { settings.epochs } else { settings.epochs * 4 };
        let per_epoch = lengths.len().div_ceil(settings.batch);
        let all = (epochs * per_epoch) as f32;
        let (mut best, mut step, mut best_epoch) = (f32::NEG_INFINITY, 0, 0);
        let mut kept = optimizer.snapshot()?;
        for epoch in 1..=epochs {
            let mut sum = 0.0;
            for (place, rows) in batches::shuffled(&lengths, settings.batch, &mut random).into_iter().enumerate() {
                let done = step as f32 / all;
                let loss = self.loss(train, rows, weights, settings, &mut random)?;
                optimizer.step(&loss.backward()?, (done / WARM_UP).min((1.0 - done) / (1.0 - WARM_UP)).clamp(0.0, 1.0))?;
                sum += loss.to_scalar::<f32>()?;
                step += 1;
                if full && place % 10 == 0 {
                    progress(&Progress::Step { epoch, epochs, done: place + 1, of: per_epoch, loss: sum / (place + 1) as f32 });
                }
            }
            let logits = self.predict(&dev.input)?;
            let report = metrics::report(&logits, dev.targets, names, 1.0, settings);
            let score = report.accuracy + report.macro_f1;
            if score > best {
                (best, best_epoch, kept) = (score, epoch, optimizer.snapshot()?);
            }
            if full || epoch % 4 == 0 {
                let loss = sum / per_epoch.max(1) as f32;
                progress(&Progress::Epoch { epoch, epochs, loss, dev_accuracy: report.accuracy, dev_macro_f1: report.macro_f1 });
            }
            if epoch >= best_epoch + settings.patience.max(1) * if full { 1 } else { 4 } {
                break;
            }
        }
        optimizer.restore(&kept)?;
        Ok(best_epoch)
    }

    fn loss(
        &self,
        train: &Split<'_>,
        rows: Vec<usize>,
        weights: &[f32],
        settings: &TrainSettings,
        random: &mut Random,
    ) -> Result<Tensor, TrainError> {
        let (vectors, rows) = self.vectors(&train.input, rows, Some(random))?;
        let keep: Vec<f32> =
            (0..vectors.elem_count()).map(|_| if random.share() < DROPOUT { 0.0 } else { 1.0 / (1.0 - DROPOUT) }).collect();
        let vectors = (&vectors * Tensor::from_vec(keep, vectors.shape(), &Device::Cpu)?)?;
        let logits = self.logits(&vectors)?;
        let targets = self.targets(train, &rows, weights, settings)?;
        if settings.several {
            // log(1 + e^-|x|) + max(x, 0) - x t, the stable form of binary cross entropy.
            let soft = ((logits.abs()?.neg()?.exp()? + 1.0)?.log()? + logits.relu()?)?;
            return Ok(((soft - (&logits * &targets)?)?.sum_all()? / rows.len() as f64)?);
        }
        let picked = (log_softmax(&logits, D::Minus1)? * &targets)?.sum_all()?;
        Ok((picked.neg()? / targets.sum_all()?.to_scalar::<f32>()?.max(1e-6) as f64)?)
    }

    /// Target shares of each row, smoothed; with one label per text multiplied by the label's weight.
    fn targets(
        &self,
        train: &Split<'_>,
        rows: &[usize],
        weights: &[f32],
        settings: &TrainSettings,
    ) -> Result<Tensor, TrainError> {
        let labels = self.labels;
        let mut shares = vec![0.0f32; rows.len() * labels];
        for (place, row) in rows.iter().enumerate() {
            let row_shares = &mut shares[place * labels..(place + 1) * labels];
            let targets = &train.targets[*row];
            if settings.several {
                targets.iter().for_each(|t| row_shares[*t] = 1.0);
            } else if let Some(&truth) = targets.first() {
                let weight = weights[truth];
                row_shares.fill(weight * settings.smoothing / labels as f32);
                row_shares[truth] += weight * (1.0 - settings.smoothing);
            }
        }
        Ok(Tensor::from_vec(shares, (rows.len(), labels), &Device::Cpu)?)
    }
}

//! The whole run: from a checked data set to a head that was measured as it will be served.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rayon::ThreadPoolBuilder;

use crate::inference::{EncoderModel, Head, HeadKind, HeadSpec, NgramPart, Scratch, Sparse, Vocabulary};

use super::config::{Mode, TrainSettings};
use super::data::{Dataset, Row};
use super::dense::{Dense, Input, Special, Split};
use super::error::TrainError;
use super::metrics::{self, Report, in_scope};
use super::network::Network;
use super::svm::{self, Machines, Matrix};
use super::tuned;

/// C of the linear machines.
const PENALTY: f32 = 0.6;
/// From this many training rows on, an n-gram must stand in two of them.
const RARE_FROM: usize = 2_000;
/// Tokens of one pass when texts are only encoded.
const BATCH_TOKENS: usize = 2_048;
/// Weights of the linear machines beside the layer that are tried on dev; the layer's own is 1.
const SHARES: [f32; 12] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0];
/// How far the out-of-scope label's own logit may count; 0 leaves a plain threshold.
const SCOPE_SHARES: [f32; 6] = [0.0, 0.25, 0.5, 1.0, 1.5, 2.0];
/// Probability from which a second label is taken besides the best one.
const SECOND: f32 = 0.25;

/// What a run tells while it goes on.
#[derive(Clone, Debug)]
pub enum Progress {
    /// A stage begins.
    Stage(String),
    /// Inside a pass over the rows.
    Step {
        /// Pass, from 1.
        epoch: usize,
        /// Passes at most.
        epochs: usize,
        /// Steps done in this pass.
        done: usize,
        /// Steps of this pass.
        of: usize,
        /// Mean loss of this pass so far.
        loss: f32,
    },
    /// A pass is over.
    Epoch {
        /// Pass, from 1.
        epoch: usize,
        /// Passes at most.
        epochs: usize,
        /// Mean loss of the pass.
        loss: f32,
        /// Accuracy of the layer alone on the dev split.
        dev_accuracy: f32,
        /// Its macro-F1 there.
        dev_macro_f1: f32,
    },
}

/// A head, measured; not yet saved.
pub struct Trained {
    /// The head.
    pub head: Head,
    /// Figures on the dev split, which was chosen by.
    pub dev: Report,
    /// Figures on the test split; `None` without one.
    pub test: Option<Report>,
    /// Figures of the n-gram machines alone, on the test split or else on dev: the floor.
    pub ngrams_alone: Report,
    /// Accuracy on the test split (or dev) of the layer alone, without n-grams.
    pub layer_alone: Report,
    /// Weight of the n-gram machines beside the layer.
    pub ngram_share: f32,
    /// Pass whose weights were kept.
    pub best_epoch: usize,
    /// Rows: training, dev, test, left out because their text stands in dev or test.
    pub rows: [usize; 4],
    /// Time of the whole run.
    pub took: Duration,
    pub(super) settings: TrainSettings,
    pub(super) source: String,
    pub(super) base: String,
    pub(super) languages: Vec<String>,
    pub(super) trunk: Option<tempfile::TempDir>,
}

/// One split as numbers.
struct Numbers {
    texts: Vec<String>,
    targets: Vec<Vec<usize>>,
}

impl Numbers {
    fn of(rows: &[Row], labels: &[String], several: bool) -> Self {
        let number = |name: &String| labels.iter().position(|l| l == name);
        let targets = rows.iter().map(|r| {
            let each = r.labels.iter().take(if several { usize::MAX } else { 1 });
            each.filter_map(number).collect()
        });
        Self { texts: rows.iter().map(|r| r.text.clone()).collect(), targets: targets.collect() }
    }
}

/// Trains a head on `model`, whose folder is `folder`.
///
/// # Errors
/// Data that is not fit to train on, or a trunk that cannot be tuned; see [`TrainError`].
pub fn train(
    data: &Dataset,
    model: &EncoderModel,
    folder: &Path,
    settings: &TrainSettings,
    progress: &(dyn Fn(&Progress) + Sync),
) -> Result<Trained, TrainError> {
    let pool = ThreadPoolBuilder::new().num_threads(settings.threads.max(1)).build();
    let pool = pool.map_err(|e| TrainError::data(format!("no threads: {e}"), "set `--threads 1`"))?;
    Run { model, folder, settings, progress, started: Instant::now(), pool: &pool }.run(data)
}

struct Run<'a> {
    model: &'a EncoderModel,
    folder: &'a Path,
    settings: &'a TrainSettings,
    progress: &'a (dyn Fn(&Progress) + Sync),
    started: Instant,
    pool: &'a rayon::ThreadPool,
}

/// What the two halves say of one split.
struct Halves {
    layer: Vec<Vec<f32>>,
    machines: Vec<Vec<f32>>,
}

impl Halves {
    fn mixed(&self, layer: f32, machines: f32) -> Vec<Vec<f32>> {
        let row = |(l, m): (&Vec<f32>, &Vec<f32>)| l.iter().zip(m).map(|(l, m)| layer * l + machines * m).collect();
        self.layer.iter().zip(&self.machines).map(row).collect()
    }
}

impl Run<'_> {
    fn say(&self, text: impl Into<String>) {
        (self.progress)(&Progress::Stage(text.into()));
    }

    fn run(&self, data: &Dataset) -> Result<Trained, TrainError> {
        let settings = self.settings;
        let labels = data.labels(settings)?;
        let data = data.clone().with_dev(settings)?;
        let numbers = |rows: &[Row]| Numbers::of(rows, &labels, settings.several);
        let (train, dev, test) = (numbers(&data.train), numbers(&data.dev), numbers(&data.test));
        let weights = self.label_weights(&train, labels.len());
        let rows = [train.texts.len(), dev.texts.len(), test.texts.len(), data.leaked];
        self.say(format!("{} labels, {} training rows, {} dev rows, {} test rows", labels.len(), rows[0], rows[1], rows[2]));
        let machines = self.fit_machines(&train, &labels, &weights);
        self.say(format!("linear machines over {} n-grams fitted", machines.0.len()));
        let (layer, said, best_epoch) = self.fit_layer(&train, &dev, &labels, &weights)?;
        let halves = Halves { layer: said, machines: margins(&machines, &dev.texts) };
        let (layer_share, ngram_share) = self.shares(&halves, &dev.targets);
        let mut logits = halves.mixed(layer_share, ngram_share);
        let scope = self.set_scope(&mut logits, &dev.targets, &labels);
        let temperature = metrics::temperature(&logits, &dev.targets, settings);
        let dev_report = metrics::report(&logits, &dev.targets, &labels, temperature, settings);
        // The machines may learn from the dev rows too, now that everything is chosen.
        let everything = Numbers {
            texts: train.texts.iter().chain(&dev.texts).cloned().collect(),
            targets: train.targets.iter().chain(&dev.targets).cloned().collect(),
        };
        self.say("linear machines fitted to training and dev rows");
        let machines = self.fit_machines(&everything, &labels, &weights);
        let (weight, bias) = self.unscaled(&layer)?;
        let parts = Parts { weight, bias, machines, layer_share, ngram_share, scope, temperature };
        let (head, alone, trunk) = self.head(parts, &labels, &layer)?;
        let measured = if test.texts.is_empty() { &dev } else { &test };
        let measure = |head: &Arc<Head>| self.measure(head, measured, &labels);
        let [ngrams_alone, layer_alone] = alone.map(|h| measure(&Arc::new(h)));
        let head = Arc::new(head);
        let test_report = if test.texts.is_empty() { None } else { Some(measure(&head)?) };
        let head = Arc::try_unwrap(head).map_err(|_| TrainError::data("the head is still in use", "report this as a fault"))?;
        Ok(Trained {
            head,
            dev: dev_report,
            test: test_report,
            ngrams_alone: ngrams_alone?,
            layer_alone: layer_alone?,
            ngram_share: if layer_share > 0.0 { ngram_share } else { f32::INFINITY },
            best_epoch,
            rows,
            took: self.started.elapsed(),
            settings: settings.clone(),
            source: data.source.clone(),
            base: self.model.version().to_string(),
            languages: languages(&train.texts),
            trunk,
        })
    }

    /// 1 for every label, or all rows over labels times its rows where labels shall weigh the same.
    fn label_weights(&self, train: &Numbers, labels: usize) -> Vec<f32> {
        let mut counts = vec![0usize; labels];
        train.targets.iter().flatten().for_each(|t| counts[*t] += 1);
        let all: usize = counts.iter().sum();
        let weight = |n: usize| if self.settings.balanced { all as f32 / (labels * n.max(1)) as f32 } else { 1.0 };
        counts.into_iter().map(weight).collect()
    }

    fn fit_machines(&self, rows: &Numbers, labels: &[String], weights: &[f32]) -> (Vocabulary, Machines) {
        let least = if rows.texts.len() >= RARE_FROM { 2 } else { 1 };
        let vocabulary = Vocabulary::of(&rows.texts, least);
        let vectors: Vec<Sparse> = rows.texts.iter().map(|t| vocabulary.vector(t)).collect();
        let matrix = Matrix::new(&vectors, vocabulary.len());
        let seed = self.settings.seed;
        let fitted = self.pool.install(|| svm::fit(&matrix, &rows.targets, labels.len(), PENALTY, weights, seed));
        (vocabulary, fitted)
    }

    /// The layer, what it says of dev, and the pass that was kept.
    fn fit_layer(
        &self,
        train: &Numbers,
        dev: &Numbers,
        labels: &[String],
        weights: &[f32],
    ) -> Result<(Layer, Vec<Vec<f32>>, usize), TrainError> {
        let special =
            Special { pad: self.model.special_token("[PAD]", "<pad>"), mask: self.model.special_token("[MASK]", "<mask>") };
        let settings = self.settings;
        if settings.mode == Mode::Full {
            let network = Network::load(self.folder)?;
            let width = network.width();
            let ids = |n: &Numbers| n.texts.iter().map(|t| self.model.token_ids(t)).collect::<Result<Vec<_>, _>>();
            let (train_ids, dev_ids) = (ids(train)?, ids(dev)?);
            self.say("tuning a copy of the trunk");
            let dense = Dense::new(labels.len(), width, Some(network), special)?;
            let split = Split { input: Input::Tokens(&train_ids), targets: &train.targets };
            let held = Split { input: Input::Tokens(&dev_ids), targets: &dev.targets };
            let epoch = self.pool.install(|| dense.fit(&split, &held, labels, weights, settings, self.progress))?;
            let logits = dense.predict(&held.input)?;
            return Ok((Layer { dense, scale: None }, logits, epoch));
        }
        self.say("encoding the texts");
        let (mut train_vectors, mut dev_vectors) = (self.vectors(&train.texts)?, self.vectors(&dev.texts)?);
        let scale = Scale::of(&train_vectors);
        train_vectors.iter_mut().chain(&mut dev_vectors).for_each(|v| scale.apply(v));
        self.say("fitting a layer to the sentence vectors");
        let dense = Dense::new(labels.len(), self.model.sentence_size(), None, special)?;
        let split = Split { input: Input::Vectors(&train_vectors), targets: &train.targets };
        let held = Split { input: Input::Vectors(&dev_vectors), targets: &dev.targets };
        let epoch = self.pool.install(|| dense.fit(&split, &held, labels, weights, settings, self.progress))?;
        let logits = dense.predict(&held.input)?;
        Ok((Layer { dense, scale: Some(scale) }, logits, epoch))
    }

    fn vectors(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, TrainError> {
        let mut scratch = Scratch::default();
        Ok(self.model.encode(texts, BATCH_TOKENS, &mut scratch)?.into_iter().map(|e| e.sentence).collect())
    }

    /// How much the layer and the machines count: the pair with the least calibrated loss on dev.
    fn shares(&self, halves: &Halves, targets: &[Vec<usize>]) -> (f32, f32) {
        let pairs = SHARES.iter().map(|s| (1.0, *s)).chain([(0.0, 1.0)]);
        let loss = |(layer, machines): (f32, f32)| {
            let logits = halves.mixed(layer, machines);
            metrics::loss(&logits, targets, metrics::temperature(&logits, targets, self.settings), self.settings)
        };
        pairs.map(|p| (loss(p), p)).min_by(|a, b| a.0.total_cmp(&b.0)).map_or((1.0, 1.0), |(_, p)| p)
    }

    /// Sets the out-of-scope label so that the chosen share of in-scope dev rows falls to it: its logit is multiplied by
    /// the first number and the second is added. `None` without such a label.
    fn set_scope(&self, logits: &mut [Vec<f32>], targets: &[Vec<usize>], labels: &[String]) -> Option<(f32, f32)> {
        let scope = in_scope(labels);
        if scope == labels.len() || self.settings.several {
            return None;
        }
        let outside = |t: &Vec<usize>| t.first() == Some(&scope);
        let lead =
            |row: &Vec<f32>, share: f32| row[..scope].iter().copied().fold(f32::NEG_INFINITY, f32::max) - share * row[scope];
        let mut chosen: Option<(f32, f32, f32)> = None;
        for share in SCOPE_SHARES {
            let mut leads: Vec<f32> =
                logits.iter().zip(targets).filter(|(_, t)| !outside(t)).map(|(r, _)| lead(r, share)).collect();
            leads.sort_by(f32::total_cmp);
            let at = (self.settings.false_rejection * leads.len() as f32) as usize;
            let Some(offset) = leads.get(at.min(leads.len().saturating_sub(1))).copied() else { continue };
            let found: Vec<bool> =
                logits.iter().zip(targets).filter(|(_, t)| outside(t)).map(|(r, _)| lead(r, share) < offset).collect();
            let recall = found.iter().filter(|f| **f).count() as f32 / found.len().max(1) as f32;
            if chosen.is_none_or(|(best, ..)| recall > best) {
                chosen = Some((recall, share, offset));
            }
        }
        let (_, share, offset) = chosen?;
        logits.iter_mut().for_each(|row| row[scope] = share * row[scope] + offset);
        Some((share, offset))
    }

    /// Weights and biases over sentence vectors as the encoder gives them.
    fn unscaled(&self, layer: &Layer) -> Result<(Vec<f32>, Vec<f32>), TrainError> {
        let (mut weight, mut bias) = layer.dense.weights()?;
        let labels = bias.len();
        if let Some(scale) = &layer.scale {
            scale.fold_into(&mut weight, &mut bias);
        }
        let (width, whole) = (weight.len() / labels, self.model.sentence_size());
        // A tuned trunk's layer reads the states alone: the n-gram margins behind them get weight 0.
        if width < whole {
            weight = weight.chunks_exact(width).flat_map(|row| row.iter().copied().chain(vec![0.0; whole - width])).collect();
        }
        Ok((weight, bias))
    }

    /// The head, its two halves alone, and the folder of its trunk.
    fn head(
        &self,
        parts: Parts,
        labels: &[String],
        layer: &Layer,
    ) -> Result<(Head, [Head; 2], Option<tempfile::TempDir>), TrainError> {
        let trunk = match layer.dense.network() {
            None => None,
            Some(network) => {
                let folder = tempfile::tempdir()
                    .map_err(|source| TrainError::Unwritable { path: "the temporary folder".into(), source })?;
                tuned::save(self.folder, network, folder.path())?;
                Some((Arc::new(EncoderModel::load(folder.path())?), folder))
            }
        };
        let with_trunk = |head: Head| match &trunk {
            Some((model, _)) => head.with_trunk(model.clone()),
            None => Ok(head),
        };
        let spec = self.spec(labels, parts.temperature);
        let plain = HeadSpec { temperature: 1.0, ..spec.clone() };
        let zero = || vec![0.0; parts.weight.len()];
        let (vocabulary, machines) = &parts.machines;
        let rows = |share: f32| machines.rows.iter().map(|r| r * share).collect::<Vec<f32>>();
        let ngrams = Head::new(plain.clone(), zero(), machines.intercepts.clone())?;
        let ngrams = ngrams.with_ngrams(NgramPart::new(vocabulary.clone(), labels.len(), &rows(1.0)))?;
        let alone = with_trunk(Head::new(plain, parts.weight.clone(), parts.bias.clone())?)?;
        let (weight, bias, rows) = parts.joined(labels);
        let mut head = Head::new(spec, weight, bias)?;
        if parts.ngram_share > 0.0 {
            head = head.with_ngrams(NgramPart::new(vocabulary.clone(), labels.len(), &rows))?;
        }
        Ok((with_trunk(head)?, [ngrams, alone], trunk.map(|(_, folder)| folder)))
    }

    fn spec(&self, labels: &[String], temperature: f32) -> HeadSpec {
        let several = self.settings.several;
        HeadSpec {
            name: self.settings.task.clone(),
            kind: if several { HeadKind::Sigmoid } else { HeadKind::Softmax },
            labels: labels.to_vec().into(),
            temperature,
            thresholds: vec![if several { 0.5 } else { SECOND }; labels.len()],
            version: format!("{}@{}", self.settings.task, chrono::Utc::now().format("%Y%m%dT%H%M%SZ")).into(),
        }
    }

    /// Figures of a head as the encoder serves it.
    fn measure(&self, head: &Arc<Head>, rows: &Numbers, labels: &[String]) -> Result<Report, TrainError> {
        let replaced = self.model.set_head(head.clone())?;
        let encoded = self.model.encode(&rows.texts, BATCH_TOKENS, &mut Scratch::default());
        match replaced {
            Some(old) => drop(self.model.set_head(old)?),
            None => drop(self.model.remove_head(&self.settings.task)),
        }
        let logit = |p: f32| if self.settings.several { (p / (1.0 - p).max(1e-9)).ln() } else { p.max(1e-30).ln() };
        let logits: Vec<Vec<f32>> = encoded?
            .iter()
            .map(|e| e.head(&self.settings.task).map_or_else(Vec::new, |o| o.probabilities.iter().map(|p| logit(*p)).collect()))
            .collect();
        Ok(metrics::report(&logits, &rows.targets, labels, 1.0, self.settings))
    }
}

/// The layer and how its input was scaled.
struct Layer {
    dense: Dense,
    scale: Option<Scale>,
}

/// Mean and deviation of each number of the sentence vectors.
struct Scale {
    mean: Vec<f32>,
    factor: Vec<f32>,
}

impl Scale {
    fn of(vectors: &[Vec<f32>]) -> Self {
        let (width, count) = (vectors.first().map_or(0, Vec::len), vectors.len().max(1) as f32);
        let column = |f: &dyn Fn(usize, f32) -> f32| -> Vec<f32> {
            let mut sums = vec![0.0f32; width];
            for vector in vectors {
                sums.iter_mut().zip(vector).enumerate().for_each(|(i, (s, v))| *s += f(i, *v));
            }
            sums.iter().map(|s| s / count).collect()
        };
        let mean = column(&|_, v| v);
        let variance = column(&|i, v| (v - mean[i]) * (v - mean[i]));
        // A number that never changes says nothing.
        let factor = variance.iter().map(|v| if *v > 1e-12 { 1.0 / v.sqrt() } else { 0.0 }).collect();
        Self { mean, factor }
    }

    fn apply(&self, vector: &mut [f32]) {
        vector.iter_mut().zip(&self.mean).zip(&self.factor).for_each(|((v, m), f)| *v = (*v - m) * f);
    }

    fn fold_into(&self, weight: &mut [f32], bias: &mut [f32]) {
        for (row, bias) in weight.chunks_exact_mut(self.mean.len()).zip(bias) {
            for ((w, m), f) in row.iter_mut().zip(&self.mean).zip(&self.factor) {
                *w *= f;
                *bias -= *w * m;
            }
        }
    }
}

/// All that a head is made of.
struct Parts {
    weight: Vec<f32>,
    bias: Vec<f32>,
    machines: (Vocabulary, Machines),
    layer_share: f32,
    ngram_share: f32,
    scope: Option<(f32, f32)>,
    temperature: f32,
}

impl Parts {
    /// Weight, bias and n-gram rows of the head.
    fn joined(&self, labels: &[String]) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let (count, machines) = (labels.len(), &self.machines.1);
        let mut weight: Vec<f32> = self.weight.iter().map(|w| w * self.layer_share).collect();
        let mut rows: Vec<f32> = machines.rows.iter().map(|r| r * self.ngram_share).collect();
        let both = self.bias.iter().zip(&machines.intercepts);
        let mut bias: Vec<f32> = both.map(|(b, i)| b * self.layer_share + i * self.ngram_share).collect();
        if let Some((share, offset)) = self.scope {
            let width = weight.len() / count;
            weight[(count - 1) * width..].iter_mut().for_each(|w| *w *= share);
            rows.chunks_exact_mut(count).for_each(|row| row[count - 1] *= share);
            bias[count - 1] = bias[count - 1] * share + offset;
        }
        (weight, bias, rows)
    }
}

fn margins(machines: &(Vocabulary, Machines), texts: &[String]) -> Vec<Vec<f32>> {
    texts.iter().map(|t| machines.1.margins(&machines.0.vector(t))).collect()
}

/// Languages of the training texts, by their script.
fn languages(texts: &[String]) -> Vec<String> {
    let chinese = |t: &&String| t.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    let zh = texts.iter().filter(chinese).count();
    let mut found = Vec::new();
    if zh * 20 > texts.len() {
        found.push("zh".to_owned());
    }
    if (texts.len() - zh) * 20 > texts.len() {
        found.push("en".to_owned());
    }
    found
}

//! Two systems on the same examples: differences with intervals and paired tests, and what changed.

use serde::{Deserialize, Serialize};

use super::example::{Dataset, Example};
use super::metrics::{Direction, Statistic};
use super::prediction::Prediction;
use super::result::TaskResult;
use super::run::{scored_again, slice_masks};
use super::score::{Outcome, Scored, score};
use super::statistics::{
    ALPHA, Bootstrap, Draws, Interval, benjamini_hochberg, holm, mcnemar_exact, mcnemar_worse, minimum_detectable_effect,
};
use super::task::Task;
use super::{EvalError, Result};

/// What a test says after the correction for many comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The candidate is better.
    Better,
    /// The candidate is worse.
    Worse,
    /// Chance would do.
    NoDifference,
    /// There is nothing to compare.
    NotMeasured,
}

/// One metric of two systems.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricComparison {
    /// Its key.
    pub key: String,
    /// Which way is better.
    pub direction: Direction,
    /// Value of the baseline.
    pub baseline: Option<f64>,
    /// Value of the candidate.
    pub candidate: Option<f64>,
    /// Candidate minus baseline.
    pub difference: Option<f64>,
    /// 95 % interval of the difference (paired bootstrap).
    pub interval: Option<Interval>,
    /// Which test the p-values are of.
    pub test: String,
    /// Two-sided.
    pub p_value: Option<f64>,
    /// One-sided, against "not worse".
    pub p_worse: Option<f64>,
    /// After Holm's correction over all metrics that were compared together.
    pub p_holm: Option<f64>,
    /// After Benjamini and Hochberg's.
    pub p_bh: Option<f64>,
    /// The least true difference that this comparison sees with power 0.8.
    pub detectable: Option<f64>,
    /// Items that became wrong, and items that became right (shares of right answers).
    pub flips: Option<(u64, u64)>,
    /// By Holm.
    pub verdict: Verdict,
    /// The gate's threshold.
    pub gate: Option<f64>,
}

/// The first metric on a slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceComparison {
    /// The slice.
    pub slice: String,
    /// Its value.
    pub value: String,
    /// Items.
    pub n: usize,
    /// Candidate minus baseline.
    pub difference: Option<f64>,
    /// Two-sided p-value after Benjamini and Hochberg's correction over the slices of the task.
    pub p_bh: Option<f64>,
}

/// An item whose answer changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// The item.
    pub id: String,
    /// Its text.
    pub text: String,
    /// What should have come out.
    pub expected: String,
    /// What the baseline said.
    pub before: String,
    /// What the candidate says.
    pub now: String,
    /// Whether that was right.
    pub was_right: bool,
    /// Whether it is right now.
    pub is_right: bool,
}

/// A task of two systems.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The task.
    pub task: String,
    /// Items that both answered.
    pub n: usize,
    /// What the reader must know: items left out, other data, other versions.
    pub notes: Vec<String>,
    /// Metrics.
    pub metrics: Vec<MetricComparison>,
    /// Slices.
    pub slices: Vec<SliceComparison>,
    /// Items whose answer changed, those that became wrong first.
    pub changed: Vec<Changed>,
}

/// Compares two results of a task on the items of the dataset that both have. `adjust` the p-values afterwards, over
/// everything that is looked at together.
///
/// # Errors
/// The results are of other tasks or of other versions of it; they have no item in common.
pub fn compare(task: &Task, dataset: &Dataset, baseline: &TaskResult, candidate: &TaskResult) -> Result<Comparison> {
    for result in [baseline, candidate] {
        if result.task != task.id {
            return Err(EvalError::Comparison(format!("a result of {} cannot be compared as {}", result.task, task.id)));
        }
        if result.version != task.version {
            let problem = format!(
                "{}: a result of version {} cannot be compared with version {}; run it again",
                task.id, result.version, task.version
            );
            return Err(EvalError::Comparison(problem));
        }
    }
    let mut notes = Vec::new();
    let (shared, _, gone, new) = scored_again(task, dataset, baseline);
    if gone + new > 0 {
        notes.push(format!(
            "the baseline answered {gone} items that the data no longer has and lacks {new} that it has now; compared on the rest"
        ));
    }
    let (shared, now, _, missing) = scored_again(task, &shared, candidate);
    if missing > 0 {
        notes.push(format!("the candidate lacks {missing} items"));
    }
    let (shared, before, ..) = scored_again(task, &shared, baseline);
    if shared.examples.is_empty() {
        return Err(EvalError::Comparison(format!("{}: the results have no item in common", task.id)));
    }
    if baseline.receipt.dataset_sha256 != candidate.receipt.dataset_sha256 {
        notes.push("the two were run on other states of the data; both are measured on what it says now".into());
    }
    if baseline.receipt.system.models != candidate.receipt.system.models {
        let names = |r: &TaskResult| {
            let short = |m: &super::system::ModelRef| format!("{} ({})", m.id, m.sha256.get(..8).unwrap_or("?"));
            match r.receipt.system.models.is_empty() {
                true => format!("none named ({})", r.receipt.system.name),
                false => r.receipt.system.models.iter().map(short).collect::<Vec<_>>().join(", "),
            }
        };
        notes.push(format!("models before: {}; now: {}", names(baseline), names(candidate)));
    }
    let pair = Pair::new(task, &shared.examples, &before, &now, candidate.receipt.seed, candidate.receipt.draws);
    Ok(Comparison {
        task: task.id.clone(),
        n: pair.now.outcomes.len(),
        notes,
        metrics: (0..task.metrics.len()).map(|place| pair.metric(place)).collect(),
        slices: pair.slices(),
        changed: pair.changed(&shared.examples),
    })
}

/// Two systems, scored on the same items.
struct Pair<'a> {
    task: &'a Task,
    before: Scored,
    now: Scored,
    bootstrap: Bootstrap,
    /// Every item is a cluster of its own: exact tests of items hold.
    independent: bool,
}

impl<'a> Pair<'a> {
    fn new(task: &'a Task, examples: &[Example], before: &[Prediction], now: &[Prediction], seed: u64, draws: usize) -> Self {
        let (before, now) = (score(task, examples, before), score(task, examples, now));
        let bootstrap = Bootstrap::new(&now.clusters, draws, Draws::named(seed, &task.id));
        let independent = task.cluster == "item";
        Self { task, before, now, bootstrap, independent }
    }

    fn metric(&self, place: usize) -> MetricComparison {
        let spec = &self.task.metrics[place];
        let (before, now) = (&self.before.statistics[place], &self.now.statistics[place]);
        let direction = spec.def().direction;
        let paired = self.bootstrap.paired(now, before);
        let flips = flips(before, now);
        let (test, p_value, p_worse) = match (flips, self.independent) {
            (Some((worse, better)), true) => {
                ("McNemar, exact", Some(mcnemar_exact(worse, better)), Some(mcnemar_worse(worse, better)))
            }
            _ => {
                let worse = |p: &super::statistics::PairedDifference| match direction {
                    Direction::Higher => p.p_lower,
                    Direction::Lower => p.p_higher,
                };
                ("paired bootstrap", paired.map(|p| p.p_value), paired.as_ref().map(worse))
            }
        };
        MetricComparison {
            key: spec.key(),
            direction,
            baseline: before.whole(),
            candidate: now.whole(),
            difference: paired.map(|p| p.difference),
            interval: paired.map(|p| p.interval),
            test: test.to_owned(),
            p_value,
            p_worse,
            p_holm: None,
            p_bh: None,
            detectable: paired.map(|p| minimum_detectable_effect(p.standard_error)),
            flips,
            verdict: Verdict::NotMeasured,
            gate: spec.gate,
        }
    }

    fn slices(&self) -> Vec<SliceComparison> {
        let (Some(before), Some(now)) = (self.before.statistics.first(), self.now.statistics.first()) else { return Vec::new() };
        let mut all = Vec::new();
        for slice in &self.task.slices {
            for (value, mask) in slice_masks(slice, &self.now) {
                let point = |s: &Statistic| self.bootstrap.point(s, Some(&mask));
                let difference = point(now).zip(point(before)).map(|(a, b)| a - b);
                let drawn = |s: &Statistic| self.bootstrap.values(s, Some(&mask));
                let (a, b) = (drawn(now), drawn(before));
                // The same resamples have no value for both, since it depends on the items alone.
                let p_value = difference.filter(|_| a.len() == b.len() && !a.is_empty()).map(|observed| {
                    let far = a.iter().zip(&b).filter(|(a, b)| (*a - *b - observed).abs() >= observed.abs() - 1e-12).count();
                    (far + 1) as f64 / (a.len() + 1) as f64
                });
                let n = mask.iter().filter(|inside| **inside).count();
                all.push(SliceComparison { slice: slice.clone(), value, n, difference, p_bh: p_value });
            }
        }
        let tested: Vec<usize> = (0..all.len()).filter(|i| all[*i].p_bh.is_some()).collect();
        let adjusted = benjamini_hochberg(&tested.iter().filter_map(|i| all[*i].p_bh).collect::<Vec<_>>());
        for (place, p) in tested.into_iter().zip(adjusted) {
            all[place].p_bh = Some(p);
        }
        all
    }

    fn changed(&self, examples: &[Example]) -> Vec<Changed> {
        let text_of = |id: &str| {
            let base = id.split('#').next().unwrap_or(id);
            examples.iter().find(|e| e.id == base).map(Example::shown).unwrap_or_default()
        };
        let differs = |pair: &(&Outcome, &Outcome)| pair.0.got != pair.1.got && self.task.kind() != super::task::Kind::Speed;
        let mut all: Vec<Changed> = (self.before.outcomes.iter().zip(&self.now.outcomes))
            .filter(differs)
            .map(|(before, now)| Changed {
                id: now.id.clone(),
                text: text_of(&now.id),
                expected: now.expected.clone(),
                before: before.got.clone(),
                now: now.got.clone(),
                was_right: before.right,
                is_right: now.right,
            })
            .collect();
        // Broken, mended, changed from wrong to wrong.
        all.sort_by_key(|c| (!c.was_right || c.is_right, !c.is_right || c.was_right));
        all
    }
}

/// (became wrong, became right) for shares of right answers.
fn flips(before: &Statistic, now: &Statistic) -> Option<(u64, u64)> {
    let (before, now) = (before.as_right()?, now.as_right()?);
    let count = |from: bool| before.iter().zip(&now).filter(|(b, n)| **b == from && **n != from).count() as u64;
    Some((count(true), count(false)))
}

/// Corrects the p-values of everything that is looked at together, and fills in the verdicts.
pub fn adjust(comparisons: &mut [Comparison]) {
    let mut all: Vec<&mut MetricComparison> =
        comparisons.iter_mut().flat_map(|c| &mut c.metrics).filter(|m| m.p_value.is_some()).collect();
    let raw: Vec<f64> = all.iter().filter_map(|m| m.p_value).collect();
    let (strict, mild) = (holm(&raw), benjamini_hochberg(&raw));
    for (place, metric) in all.iter_mut().enumerate() {
        metric.p_holm = Some(strict[place]);
        metric.p_bh = Some(mild[place]);
        let gain = metric.difference.map(|d| metric.direction.gain(d, 0.0)).unwrap_or(0.0);
        metric.verdict = match strict[place] < ALPHA {
            true if gain > 0.0 => Verdict::Better,
            true if gain < 0.0 => Verdict::Worse,
            _ => Verdict::NoDifference,
        };
    }
}

//! Running a task.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use super::example::Dataset;
use super::metrics::{MetricDef, Statistic};
use super::prediction::Prediction;
use super::receipt::{Receipt, commit, machine};
use super::result::{MetricResult, SliceResult, TaskResult};
use super::score::{Scored, score};
use super::statistics::{Bootstrap, Draws, Interval, minimum_detectable_effect, rounded, wilson};
use super::system::{Progress, System};
use super::task::Task;
use super::{EvalError, Result};

/// Values of a slice that are reported, the greatest first; the rest is counted together as `(other)`.
const SLICE_VALUES: usize = 80;

/// How tasks are run.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions<'a> {
    /// Seed of every draw.
    pub seed: u64,
    /// Resamples of the bootstrap.
    pub draws: usize,
    /// The product's folder, for the commit.
    pub home: &'a Path,
    /// The split that was read, if it is not the task's own.
    pub split: Option<&'a str>,
}

/// Runs a task on a system: predictions, metrics with intervals, slices, receipt.
///
/// # Errors
/// The system failed, or answered with another number of items.
pub fn run_task(
    task: &Task,
    dataset: &Dataset,
    system: &dyn System,
    options: RunOptions<'_>,
    progress: Progress<'_>,
) -> Result<TaskResult> {
    let at = crate::event::now_rfc3339();
    let started = Instant::now();
    let predictions: Vec<Prediction> = system.predict(task, dataset, progress)?.into_iter().map(Prediction::rounded).collect();
    let took_s = (started.elapsed().as_secs_f64() * 1_000.0).round() / 1_000.0;
    let aligned =
        predictions.len() == dataset.examples.len() && predictions.iter().zip(&dataset.examples).all(|(p, e)| p.id == e.id);
    if !aligned {
        let problem = format!("{} answers to {} items, or in another order", predictions.len(), dataset.examples.len());
        return Err(EvalError::Stage { task: task.id.clone(), problem });
    }
    let (commit, changed_files) = commit(options.home);
    let receipt = Receipt {
        commit,
        changed_files,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        system: system.identity(),
        dataset: task.dataset.public.clone().unwrap_or_else(|| task.dataset.path.clone()),
        split: options.split.map(str::to_owned).or_else(|| task.dataset.split.clone()),
        dataset_sha256: dataset.sha256.clone(),
        seed: options.seed,
        draws: options.draws,
        machine: machine(),
        at,
        took_s,
    };
    Ok(result_of(task, dataset, predictions, receipt))
}

/// Metrics, intervals and slices of predictions.
fn result_of(task: &Task, dataset: &Dataset, predictions: Vec<Prediction>, receipt: Receipt) -> TaskResult {
    let scored = score(task, &dataset.examples, &predictions);
    let bootstrap = Bootstrap::new(&scored.clusters, receipt.draws, Draws::named(receipt.seed, &task.id));
    let metrics = task.metrics.iter().zip(&scored.statistics).map(|(spec, statistic)| {
        let found = bootstrap.interval(statistic, None);
        let def = spec.def();
        MetricResult {
            key: spec.key(),
            value: statistic.whole().map(rounded),
            direction: def.direction,
            interval: found.map(|(interval, _)| interval.rounded()),
            wilson: shares(statistic).and_then(|(yes, all)| wilson(yes, all)).map(Interval::rounded),
            // Two independent measurements of this size differ with the root of two errors.
            detectable: found.map(|(_, error)| rounded(minimum_detectable_effect(error * std::f64::consts::SQRT_2))),
            target: spec.target,
            timed: def.timed,
        }
    });
    let mut result = TaskResult {
        task: task.id.clone(),
        version: task.version,
        n: scored.outcomes.len(),
        clusters: scored.clusters.iter().collect::<BTreeSet<_>>().len(),
        digest: String::new(),
        metrics: metrics.collect(),
        slices: slices(task, &scored, &bootstrap),
        receipt,
        predictions,
    };
    result.digest = result.digest_of(task);
    result
}

/// Right and all answers of a share of items; intervals of clustered items are left to the bootstrap.
fn shares(statistic: &Statistic) -> Option<(f64, f64)> {
    let right = statistic.as_right()?;
    Some((right.iter().filter(|r| **r).count() as f64, right.len() as f64))
}

fn slices(task: &Task, scored: &Scored, bootstrap: &Bootstrap) -> Vec<SliceResult> {
    let Some(statistic) = scored.statistics.first() else { return Vec::new() };
    let mut all = Vec::new();
    for slice in &task.slices {
        for (value, mask) in slice_masks(slice, scored) {
            let n = mask.iter().filter(|inside| **inside).count();
            let named = task.metrics.iter().zip(&scored.statistics).filter(|(spec, _)| !spec.def().timed);
            let metrics = named.filter_map(|(spec, s)| Some((spec.key(), rounded(bootstrap.point(s, Some(&mask))?)))).collect();
            all.push(SliceResult {
                slice: slice.clone(),
                value,
                n,
                metric: bootstrap.point(statistic, Some(&mask)).map(rounded),
                interval: bootstrap.interval(statistic, Some(&mask)).map(|(interval, _)| interval.rounded()),
                metrics,
            });
        }
    }
    all
}

/// Values of a slice with the items in them, the greatest first.
pub(super) fn slice_masks(slice: &str, scored: &Scored) -> Vec<(String, Vec<bool>)> {
    let mut counts: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for value in scored.slices.iter().filter_map(|s| s.get(slice)) {
        *counts.entry(value).or_default() += 1;
    }
    let mut values: Vec<(&str, usize)> = counts.into_iter().collect();
    values.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let shown: Vec<&str> = values.iter().take(SLICE_VALUES).map(|(v, _)| *v).collect();
    let mask =
        |fits: &dyn Fn(&str) -> bool| scored.slices.iter().map(|s| s.get(slice).is_some_and(|v| fits(v))).collect::<Vec<bool>>();
    let mut all: Vec<(String, Vec<bool>)> = shown.iter().map(|v| ((*v).to_owned(), mask(&|x| x == *v))).collect();
    if values.len() > SLICE_VALUES {
        all.push(("(other)".to_owned(), mask(&|x| !shown.contains(&x))));
    }
    all
}

/// Scores the predictions of a result once more, on the items that the dataset still has. Gives the scores and the ids that
/// were left out: those of the result that the dataset lacks, and those of the dataset that the result lacks.
pub fn scored_again(task: &Task, dataset: &Dataset, result: &TaskResult) -> (Dataset, Vec<Prediction>, usize, usize) {
    let by_id: std::collections::HashMap<&str, &Prediction> = result.predictions.iter().map(|p| (p.id.as_str(), p)).collect();
    let kept: Vec<_> = dataset.examples.iter().filter(|e| by_id.contains_key(e.id.as_str())).cloned().collect();
    let predictions: Vec<Prediction> = kept.iter().filter_map(|e| by_id.get(e.id.as_str()).map(|p| (*p).clone())).collect();
    let (gone, new) = (result.predictions.len() - predictions.len(), dataset.examples.len() - kept.len());
    debug_assert!(task.metrics.iter().all(|m| MetricDef::of(&m.name).is_some()));
    (Dataset { examples: kept, ..dataset.clone() }, predictions, gone, new)
}

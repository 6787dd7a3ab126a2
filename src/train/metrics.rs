//! How good a head is.

use super::config::TrainSettings;
use super::data::OUT_OF_SCOPE;

/// Bins of the calibration error.
const BINS: usize = 15;

/// Figures of one split; shares in [0, 1].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Rows measured.
    pub rows: usize,
    /// In-scope rows whose best in-scope label is right; with several labels: rows with exactly the right set.
    pub accuracy: f32,
    /// Mean F1 of the labels that occur.
    pub macro_f1: f32,
    /// Expected calibration error in 15 bins (Guo et al. 2017); 0 where a text may have several labels.
    pub calibration_error: f32,
    /// Share of out-of-scope rows that are recognised; `None` without such rows.
    pub out_of_scope_recall: Option<f32>,
    /// Share of in-scope rows that are rejected as out-of-scope.
    pub false_rejection: Option<f32>,
    /// Accuracy when rejected in-scope rows count as wrong and recognised out-of-scope rows as right.
    pub accuracy_with_rejection: Option<f32>,
}

/// Index of the greatest value among the first `count`.
fn best(values: &[f32], count: usize) -> usize {
    let mut best = 0;
    for (i, v) in values.iter().take(count).enumerate() {
        if *v > values[best] {
            best = i;
        }
    }
    best
}

/// Softmax in f64.
pub(super) fn softmax(logits: &[f32], temperature: f32) -> Vec<f64> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|v| f64::from((v - top) / temperature).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|p| p / sum).collect()
}

/// Labels that count as in scope: all but the last when that one is `out_of_scope`.
pub(super) fn in_scope(labels: &[String]) -> usize {
    labels.len() - usize::from(labels.last().is_some_and(|l| l == OUT_OF_SCOPE))
}

/// Measures logits against targets.
pub(super) fn report(
    logits: &[Vec<f32>],
    targets: &[Vec<usize>],
    labels: &[String],
    temperature: f32,
    settings: &TrainSettings,
) -> Report {
    if settings.several {
        return several(logits, targets, labels.len());
    }
    let scope = in_scope(labels);
    let mut counts = vec![[0usize; 3]; labels.len()];
    let (mut right, mut inside, mut rejected, mut recognised, mut right_in_all) = (0, 0, 0, 0, 0);
    let mut bins = [[0.0f64; 3]; BINS];
    for (row, target) in logits.iter().zip(targets) {
        let truth = target.first().copied().unwrap_or(scope);
        let (narrow, wide) = (best(row, scope), best(row, row.len()));
        if truth < scope {
            inside += 1;
            right += usize::from(narrow == truth);
            rejected += usize::from(wide >= scope);
        } else {
            recognised += usize::from(wide >= scope);
        }
        right_in_all += usize::from(wide == truth);
        if wide == truth {
            counts[truth][0] += 1;
        } else {
            counts[wide][1] += 1;
            // Rows out of scope, where the head has no such label.
            if let Some(count) = counts.get_mut(truth) {
                count[2] += 1;
            }
        }
        let confidence = softmax(row, temperature)[wide];
        let bin = &mut bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
        bin[0] += 1.0;
        bin[1] += confidence;
        bin[2] += f64::from(u8::from(wide == truth));
    }
    let share = |n: usize, of: usize| if of == 0 { 0.0 } else { n as f32 / of as f32 };
    let outside = logits.len() - inside;
    let gap: f64 = bins.iter().map(|b| (b[1] - b[2]).abs()).sum();
    let has = |value: f32| (scope < labels.len()).then_some(value);
    Report {
        rows: logits.len(),
        accuracy: share(right, inside),
        macro_f1: macro_f1(&counts),
        calibration_error: (gap / logits.len().max(1) as f64) as f32,
        out_of_scope_recall: has(share(recognised, outside)).filter(|_| outside > 0),
        false_rejection: has(share(rejected, inside)),
        accuracy_with_rejection: has(share(right_in_all, logits.len())),
    }
}

/// True positives, false positives and false negatives of each label.
fn macro_f1(counts: &[[usize; 3]]) -> f32 {
    let occurring: Vec<&[usize; 3]> = counts.iter().filter(|c| c[0] + c[2] > 0).collect();
    let f1 = |c: &[usize; 3]| 2.0 * c[0] as f32 / (2 * c[0] + c[1] + c[2]).max(1) as f32;
    occurring.iter().map(|c| f1(c)).sum::<f32>() / occurring.len().max(1) as f32
}

fn several(logits: &[Vec<f32>], targets: &[Vec<usize>], labels: usize) -> Report {
    let mut counts = vec![[0usize; 3]; labels];
    let mut exact = 0;
    for (row, target) in logits.iter().zip(targets) {
        let mut same = true;
        for (label, value) in row.iter().enumerate() {
            match (*value > 0.0, target.contains(&label)) {
                (true, true) => counts[label][0] += 1,
                (true, false) => counts[label][1] += 1,
                (false, true) => counts[label][2] += 1,
                (false, false) => continue,
            }
            same &= target.contains(&label) == (*value > 0.0);
        }
        exact += usize::from(same);
    }
    Report {
        rows: logits.len(),
        accuracy: exact as f32 / logits.len().max(1) as f32,
        macro_f1: macro_f1(&counts),
        ..Report::default()
    }
}

/// Mean negative log-likelihood of the targets; what the temperature makes small.
pub(super) fn loss(logits: &[Vec<f32>], targets: &[Vec<usize>], temperature: f32, settings: &TrainSettings) -> f64 {
    let mut sum = 0.0;
    for (row, target) in logits.iter().zip(targets) {
        if settings.several {
            for (label, value) in row.iter().enumerate() {
                let z = f64::from(value / temperature) * if target.contains(&label) { 1.0 } else { -1.0 };
                sum += (-z).max(0.0) + (-z.abs()).exp().ln_1p();
            }
        } else if let Some(truth) = target.first() {
            sum -= softmax(row, temperature)[*truth].max(1e-12).ln();
        }
    }
    sum / logits.len().max(1) as f64
}

/// The temperature with the least loss (temperature scaling, Guo et al. 2017), by golden-section search over its logarithm.
pub(super) fn temperature(logits: &[Vec<f32>], targets: &[Vec<usize>], settings: &TrainSettings) -> f32 {
    const RATIO: f32 = 0.618_034;
    let (mut low, mut high) = (-4.6f32, 3.0f32);
    let at = |x: f32| loss(logits, targets, x.exp(), settings);
    for _ in 0..40 {
        let (a, b) = (high - RATIO * (high - low), low + RATIO * (high - low));
        if at(a) < at(b) { high = b } else { low = a }
    }
    f32::midpoint(low, high).exp()
}

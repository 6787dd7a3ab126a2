//! Whether confidences can be trusted: calibration error, reliability diagram, risk against coverage.

use serde::{Deserialize, Serialize};

use super::statistic::ties;

/// Bins of the reliability diagram and of the calibration error.
pub const BINS: usize = 15;

/// One bin of a reliability diagram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Items in it.
    pub n: f64,
    /// Their mean confidence.
    pub confidence: f64,
    /// Their share of right answers.
    pub accuracy: f64,
}

/// The bins of a reliability diagram, from confidence 0 to 1; empty ones have `n` 0.
pub fn reliability(confidence: &[f64], right: &[bool], weights: &[u32]) -> Vec<Reliability> {
    let mut bins = vec![(0.0, 0.0, 0.0); BINS];
    for ((confidence, right), weight) in confidence.iter().zip(right).zip(weights) {
        let bin = &mut bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
        let weight = f64::from(*weight);
        bin.0 += weight;
        bin.1 += weight * confidence;
        bin.2 += if *right { weight } else { 0.0 };
    }
    let mean = |sum: f64, n: f64| if n > 0.0 { sum / n } else { 0.0 };
    bins.into_iter().map(|(n, c, r)| Reliability { n, confidence: mean(c, n), accuracy: mean(r, n) }).collect()
}

pub(super) fn expected_error(confidence: &[f64], right: &[bool], weights: &[u32]) -> Option<f64> {
    let bins = reliability(confidence, right, weights);
    let total: f64 = bins.iter().map(|b| b.n).sum();
    (total > 0.0).then(|| bins.iter().map(|b| b.n / total * (b.confidence - b.accuracy).abs()).sum())
}

/// Points (coverage, risk) of answering the most confident share; equal confidences are answered together.
pub fn risk_curve(confidence: &[f64], right: &[bool], order: &[u32], weights: &[u32]) -> Vec<(f64, f64)> {
    let total: f64 = order.iter().map(|i| f64::from(weights[*i as usize])).sum();
    let (mut answered, mut wrong, mut points) = (0.0, 0.0, Vec::new());
    for group in ties(confidence, order) {
        let before = answered;
        for item in group {
            let weight = f64::from(weights[*item as usize]);
            answered += weight;
            wrong += if right[*item as usize] { 0.0 } else { weight };
        }
        if answered > before {
            points.push((answered / total, wrong / answered));
        }
    }
    points
}

pub(super) fn risk_area(confidence: &[f64], right: &[bool], order: &[u32], weights: &[u32]) -> Option<f64> {
    let points = risk_curve(confidence, right, order, weights);
    let mut before = 0.0;
    let mut area = 0.0;
    for (coverage, risk) in &points {
        area += (coverage - before) * risk;
        before = *coverage;
    }
    (!points.is_empty()).then_some(area)
}

pub(super) fn coverage_at_risk(confidence: &[f64], right: &[bool], order: &[u32], weights: &[u32], risk: f64) -> Option<f64> {
    let points = risk_curve(confidence, right, order, weights);
    let fits = points.iter().filter(|(_, r)| *r <= risk).map(|(coverage, _)| *coverage);
    (!points.is_empty()).then(|| fits.fold(0.0, f64::max))
}

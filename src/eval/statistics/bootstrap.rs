//! Bootstrap over clusters: whole situations or calls are drawn, since sentences of one call are not independent.

use serde::{Deserialize, Serialize};

use super::Draws;
use crate::eval::metrics::Statistic;

/// A 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Its ends to nine decimals, see [`super::rounded`].
    pub fn rounded(self) -> Self {
        Self { low: super::rounded(self.low), high: super::rounded(self.high) }
    }
}

/// The outcome of a paired bootstrap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedDifference {
    /// Candidate minus baseline.
    pub difference: f64,
    /// Its 95 % interval.
    pub interval: Interval,
    /// Standard error of the difference.
    pub standard_error: f64,
    /// Two-sided p-value of "no difference".
    pub p_value: f64,
    /// One-sided p-value against "the candidate is not lower".
    pub p_lower: f64,
    /// One-sided p-value against "the candidate is not higher".
    pub p_higher: f64,
}

/// Draws of clusters, made once and used for every metric, so that metrics and systems are compared on the same draws.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    weights: Vec<Vec<u32>>,
    /// Weight 1 for every item.
    whole: Vec<u32>,
}

impl Bootstrap {
    /// `draws` resamples of the clusters of `items` (one cluster number for each item).
    pub fn new(clusters: &[u32], draws: usize, mut random: Draws) -> Self {
        let count = clusters.iter().max().map_or(0, |m| *m as usize + 1);
        let weights = (0..draws)
            .map(|_| {
                let mut times = vec![0_u32; count];
                (0..count).for_each(|_| times[random.below(count)] += 1);
                clusters.iter().map(|c| times[*c as usize]).collect()
            })
            .collect();
        Self { weights, whole: vec![1; clusters.len()] }
    }

    /// Values of a statistic over the resamples, restricted to items where `mask` holds; resamples on which it has no
    /// value are left out.
    pub fn values(&self, statistic: &Statistic, mask: Option<&[bool]>) -> Vec<f64> {
        self.weights.iter().filter_map(|w| statistic.value(&masked(w, mask))).collect()
    }

    /// The value on the data itself.
    pub fn point(&self, statistic: &Statistic, mask: Option<&[bool]>) -> Option<f64> {
        statistic.value(&masked(&self.whole, mask))
    }

    /// Percentile interval of a statistic and its standard error; `None` where half of the resamples have no value.
    pub fn interval(&self, statistic: &Statistic, mask: Option<&[bool]>) -> Option<(Interval, f64)> {
        let values = self.values(statistic, mask);
        if values.len() * 2 < self.weights.len().max(1) {
            return None;
        }
        Some(interval_of(values))
    }

    /// Compares two statistics over the same items. `None` if one has no value.
    ///
    /// The p-value is that of the shifted bootstrap (Efron and Tibshirani 1993, section 16.4): the share of resampled
    /// differences that lie at least as far from the observed one as that lies from zero, with one added to both counts.
    pub fn paired(&self, candidate: &Statistic, baseline: &Statistic) -> Option<PairedDifference> {
        let observed = candidate.value(&self.whole)? - baseline.value(&self.whole)?;
        let drawn: Vec<f64> = self.weights.iter().filter_map(|w| Some(candidate.value(w)? - baseline.value(w)?)).collect();
        if drawn.len() * 2 < self.weights.len().max(1) {
            return None;
        }
        // A tie by rounding is a tie.
        let far = drawn.iter().filter(|d| (*d - observed).abs() >= observed.abs() - 1e-12).count();
        let low = drawn.iter().filter(|d| *d - observed <= observed + 1e-12).count();
        let high = drawn.iter().filter(|d| *d - observed >= observed - 1e-12).count();
        let share = |count: usize| (count + 1) as f64 / (drawn.len() + 1) as f64;
        let (p_value, p_lower, p_higher) = (share(far), share(low), share(high));
        let (interval, standard_error) = interval_of(drawn);
        Some(PairedDifference { difference: observed, interval, standard_error, p_value, p_lower, p_higher })
    }
}

fn masked<'a>(weights: &'a [u32], mask: Option<&[bool]>) -> std::borrow::Cow<'a, [u32]> {
    match mask {
        None => weights.into(),
        Some(mask) => weights.iter().zip(mask).map(|(w, inside)| if *inside { *w } else { 0 }).collect::<Vec<_>>().into(),
    }
}

/// Percentile interval (linear between neighbours) and standard deviation of resampled values.
pub fn interval_of(mut values: Vec<f64>) -> (Interval, f64) {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| -> f64 {
        let place = share * (values.len().max(1) - 1) as f64;
        let (below, above) = (place.floor() as usize, place.ceil() as usize);
        let (a, b) = (values.get(below).copied().unwrap_or(0.0), values.get(above).copied().unwrap_or(0.0));
        a + (b - a) * (place - place.floor())
    };
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len().max(2) - 1) as f64;
    let error = variance.sqrt();
    let interval = Interval { low: at(0.025), high: at(0.975) };
    (interval, error)
}

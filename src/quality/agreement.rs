//! How sure a measured share is, and how well people agree.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The normal quantile of a 95 % interval.
const Z: f64 = 1.96;

/// A share with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Successes.
    pub k: u64,
    /// Tries.
    pub n: u64,
    /// `k / n`.
    pub value: f64,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

/// `k` of `n` with its Wilson score interval (E. B. Wilson, "Probable inference, the law of succession, and statistical
/// inference", 1927) at 95 %: centre (p + z²/2n)/(1 + z²/n), half width z·√(p(1−p)/n + z²/4n²)/(1 + z²/n).
/// `None` without tries.
pub fn wilson(k: u64, n: u64) -> Option<Share> {
    wilson_at(k, n, Z)
}

/// [`wilson`] for another quantile, for example 3.0 for 99.7 %.
pub fn wilson_at(k: u64, n: u64, z: f64) -> Option<Share> {
    if n == 0 {
        return None;
    }
    let (tries, p) = (n as f64, k as f64 / n as f64);
    let scale = 1.0 + z * z / tries;
    let centre = (p + z * z / (2.0 * tries)) / scale;
    let half = z * (p * (1.0 - p) / tries + z * z / (4.0 * tries * tries)).sqrt() / scale;
    Some(Share { k, n, value: p, low: (centre - half).max(0.0), high: (centre + half).min(1.0) })
}

/// How often a rule finds what it should: recall = H·p / (H·p + M·k/m) for `hits` H with precision p and a sample of m of
/// the M `misses`, of which k should have hit. The bounds set the Wilson bounds of p and k/m against each other.
/// `None` without a sample: unknown, never 100 %.
pub fn recall(hits: u64, precision: Share, misses: u64, should: u64, sampled: u64) -> Option<Share> {
    let missed = wilson(should, sampled)?;
    let at = |p: f64, q: f64| {
        let found = hits as f64 * p;
        let all = found + misses as f64 * q;
        if all > 0.0 { found / all } else { 0.0 }
    };
    Some(Share {
        k: should,
        n: sampled,
        value: at(precision.value, missed.value),
        low: at(precision.low, missed.high),
        high: at(precision.high, missed.low),
    })
}

/// Cohen's kappa over yes/no judgements of two people (J. Cohen, "A coefficient of agreement for nominal scales", 1960):
/// κ = (p_o − p_e)/(1 − p_e), p_e from each one's own rates. `None` if p_e = 1 or there is nothing to compare.
pub fn kappa(pairs: &[(bool, bool)]) -> Option<f64> {
    if pairs.is_empty() {
        return None;
    }
    let n = pairs.len() as f64;
    let share = |test: &dyn Fn(&(bool, bool)) -> bool| pairs.iter().filter(|p| test(p)).count() as f64 / n;
    let observed = share(&|(a, b)| a == b);
    let (a, b) = (share(&|(a, _)| *a), share(&|(_, b)| *b));
    let expected = a * b + (1.0 - a) * (1.0 - b);
    (expected < 1.0).then(|| (observed - expected) / (1.0 - expected))
}

/// The mean of Cohen's kappa over all pairs of reviewers; each map holds one reviewer's answers by item. `None` if no
/// pair is defined.
pub fn mean_kappa(reviewers: &[BTreeMap<String, bool>]) -> Option<f64> {
    let mut values = Vec::new();
    for (i, a) in reviewers.iter().enumerate() {
        for b in &reviewers[i + 1..] {
            let pairs: Vec<(bool, bool)> = a.iter().filter_map(|(item, x)| b.get(item).map(|y| (*x, *y))).collect();
            values.extend(kappa(&pairs));
        }
    }
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// A mean with its 95 % interval by Student's t; `None` without values, bounds equal to the mean for a single one.
pub fn mean_interval(n: u64, sum: f64, sum_of_squares: f64) -> Option<(f64, f64, f64)> {
    /// Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom.
    const T: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110,
        2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
    ];
    if n == 0 {
        return None;
    }
    let count = n as f64;
    let mean = sum / count;
    if n == 1 {
        return Some((mean, mean, mean));
    }
    let variance = ((sum_of_squares - count * mean * mean) / (count - 1.0)).max(0.0);
    let t = usize::try_from(n - 2).ok().and_then(|at| T.get(at)).copied().unwrap_or(Z);
    let half = t * (variance / count).sqrt();
    Some((mean, mean - half, mean + half))
}

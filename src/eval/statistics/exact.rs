//! Closed formulas: Wilson's interval, McNemar's exact test, the minimum detectable effect.

use super::{Interval, Z_ALPHA, Z_POWER};

/// Wilson's 95 % interval of a share (Wilson 1927); `None` without trials.
pub fn wilson(successes: f64, trials: f64) -> Option<Interval> {
    if trials <= 0.0 {
        return None;
    }
    let (p, z2) = (successes / trials, Z_ALPHA * Z_ALPHA);
    let centre = (p + z2 / (2.0 * trials)) / (1.0 + z2 / trials);
    let half = Z_ALPHA / (1.0 + z2 / trials) * (p * (1.0 - p) / trials + z2 / (4.0 * trials * trials)).sqrt();
    Some(Interval { low: (centre - half).max(0.0), high: (centre + half).min(1.0) })
}

/// McNemar's test, exact and two-sided: the chance that `worse + better` fair coins fall at least this unevenly.
/// 1 without discordant pairs.
pub fn mcnemar_exact(worse: u64, better: u64) -> f64 {
    (2.0 * fair_coins(worse + better, worse.min(better))).min(1.0)
}

/// The same, one-sided: the chance that at least `worse` of the pairs fall on the worse side.
pub fn mcnemar_worse(worse: u64, better: u64) -> f64 {
    fair_coins(worse + better, better).min(1.0)
}

/// The chance that of `pairs` fair coins at most `fewer` show heads.
fn fair_coins(pairs: u64, fewer: u64) -> f64 {
    // Sum of binomial terms, each from the one before, in logarithms: 2^-pairs alone would underflow.
    let mut log_term = -(pairs as f64) * std::f64::consts::LN_2;
    let mut sum = log_term.exp();
    for k in 0..fewer {
        log_term += ((pairs - k) as f64).ln() - ((k + 1) as f64).ln();
        sum += log_term.exp();
    }
    sum
}

/// The least true difference that a test at 5 % finds with power 0.8, from the standard error of the difference:
/// (z(0.975) + z(0.8)) x error.
pub fn minimum_detectable_effect(standard_error: f64) -> f64 {
    (Z_ALPHA + Z_POWER) * standard_error
}

/// The same for a paired comparison of right and wrong answers: `discordant` is the share of examples on which the two
/// differ (Connor 1987, the normal form without the correction for a large effect).
pub fn paired_effect(discordant: f64, examples: usize) -> f64 {
    if examples == 0 {
        return 1.0;
    }
    minimum_detectable_effect((discordant / examples as f64).sqrt())
}

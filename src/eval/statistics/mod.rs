//! Statistics of a comparison: intervals, paired tests, the least effect that can be seen, many comparisons at once.
//!
//! Everything random is drawn from [`Draws`], a generator of our own with a seed, so that two runs give the same figures
//! on every machine and with every version of a library.

mod bootstrap;
mod exact;
mod many;
mod random;

pub use bootstrap::{Bootstrap, Interval, PairedDifference, interval_of};
pub use exact::{mcnemar_exact, mcnemar_worse, minimum_detectable_effect, paired_effect, wilson};
pub use many::{benjamini_hochberg, holm};
pub use random::Draws;

/// Two-sided level of every test and of every interval (95 %).
pub const ALPHA: f64 = 0.05;
/// Normal quantile of `1 - ALPHA / 2`.
pub const Z_ALPHA: f64 = 1.959_963_984_540_054;
/// Normal quantile of the power 0.8 that minimum detectable effects are given for.
pub const Z_POWER: f64 = 0.841_621_233_572_914_3;

/// Nine decimals: beyond what any metric means, and few enough that a number is read from a file exactly as it was written.
pub fn rounded(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

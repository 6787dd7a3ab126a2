//! Metrics: what is measured, in which direction it is better, and how it is added up.
//!
//! A metric over items becomes a [`Statistic`]: numbers for each item and the way in which weighted items make one value.
//! Slices are weights 0 and 1, bootstrap resamples are weights of how often an item was drawn; the value of a slice, of a
//! resample and of the whole come from one function.

mod agreement;
mod calibration;
mod catalogue;
mod classes;
mod edit;
mod ranking;
mod statistic;

pub use agreement::kappa;
pub use calibration::{BINS, Reliability, reliability, risk_curve};
pub use catalogue::{Direction, METRICS, MetricDef};
pub use classes::{ClassCounts, Count};
pub use edit::{EditCounts, edits};
pub use ranking::{ndcg, recall, reciprocal_rank};
pub use statistic::Statistic;

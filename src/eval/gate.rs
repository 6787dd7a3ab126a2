//! The gate: a significant regression beyond the task's threshold fails, and the examples that broke are named.
//!
//! A guarded metric fails when both hold: it is worse by more than its `gate`, and the one-sided paired test says so at 5 %
//! after Holm's correction over all guarded metrics of the run. The first keeps small but certain changes from failing, the
//! second keeps chance from failing.

use serde::{Deserialize, Serialize};

use super::compare::{Changed, Comparison};
use super::statistics::{ALPHA, holm};

/// A regression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateFailure {
    /// The task.
    pub task: String,
    /// The metric.
    pub metric: String,
    /// Value of the baseline.
    pub baseline: f64,
    /// Value now.
    pub candidate: f64,
    /// By how much it is worse.
    pub loss: f64,
    /// How much is allowed.
    pub threshold: f64,
    /// One-sided p-value after Holm's correction.
    pub p_holm: f64,
    /// Items that were right and are wrong now.
    pub broken: Vec<Changed>,
}

/// What the gate says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// Guarded metrics that were compared.
    pub compared: usize,
    /// Regressions.
    pub failures: Vec<GateFailure>,
}

impl Gate {
    /// Whether nothing regressed.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Examples that a failure shows.
const SHOWN: usize = 50;

/// Judges comparisons of candidates with their baselines.
pub fn gate(comparisons: &[Comparison]) -> Gate {
    let guarded: Vec<_> = comparisons
        .iter()
        .flat_map(|c| c.metrics.iter().map(move |m| (c, m)))
        .filter_map(|(c, m)| Some((c, m, m.gate?, m.p_worse?, m.baseline.zip(m.candidate)?)))
        .collect();
    let adjusted = holm(&guarded.iter().map(|(_, _, _, p, _)| *p).collect::<Vec<_>>());
    let mut failures = Vec::new();
    for ((comparison, metric, threshold, _, (baseline, candidate)), p_holm) in guarded.iter().zip(adjusted) {
        let loss = -metric.direction.gain(*candidate, *baseline);
        // A loss of exactly the threshold is allowed, whatever rounding says.
        if loss > threshold + 1e-9 && p_holm < ALPHA {
            let broken = comparison.changed.iter().filter(|c| c.was_right && !c.is_right).take(SHOWN).cloned().collect();
            failures.push(GateFailure {
                task: comparison.task.clone(),
                metric: metric.key.clone(),
                baseline: *baseline,
                candidate: *candidate,
                loss,
                threshold: *threshold,
                p_holm,
                broken,
            });
        }
    }
    Gate { compared: guarded.len(), failures }
}

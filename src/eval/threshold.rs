//! Where to draw the line: decision thresholds swept by what mistakes cost.

use serde::{Deserialize, Serialize};

/// What an answer costs, in any unit; relations are what counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// A wrong answer.
    pub wrong: f64,
    /// No answer: a person has to look.
    pub abstain: f64,
    /// A right answer (0, or negative where it saves something).
    pub right: f64,
}

impl Default for Costs {
    fn default() -> Self {
        Self { wrong: 5.0, abstain: 1.0, right: 0.0 }
    }
}

/// What happens if everything below a confidence is left unanswered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThresholdPoint {
    /// Least confidence that is answered.
    pub threshold: f64,
    /// Share of items that are answered.
    pub coverage: f64,
    /// Share of right ones among the answered; 1 if none is.
    pub precision: f64,
    /// Mean cost of an item.
    pub cost: f64,
}

/// Every threshold at which something changes, ascending, from "answer all" to "answer none"; and the place of the cheapest
/// one (of equal ones the one that answers most).
pub fn sweep(confidence: &[f64], right: &[bool], costs: Costs) -> (Vec<ThresholdPoint>, usize) {
    let mut items: Vec<(f64, bool)> = confidence.iter().copied().zip(right.iter().copied()).collect();
    items.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total = items.len().max(1) as f64;
    let mut hits = items.iter().filter(|(_, right)| *right).count() as f64;
    let mut answered = items.len() as f64;
    let mut points = Vec::new();
    let point = |threshold: f64, answered: f64, hits: f64| ThresholdPoint {
        threshold,
        coverage: answered / total,
        precision: if answered > 0.0 { hits / answered } else { 1.0 },
        cost: (hits * costs.right + (answered - hits) * costs.wrong + (total - answered) * costs.abstain) / total,
    };
    points.push(point(0.0, answered, hits));
    for group in items.chunk_by(|a, b| a.0 == b.0) {
        answered -= group.len() as f64;
        hits -= group.iter().filter(|(_, right)| *right).count() as f64;
        // Everything above the confidence of this group is answered.
        points.push(point(group[0].0.next_up(), answered, hits));
    }
    let best = (0..points.len()).min_by(|a, b| points[*a].cost.total_cmp(&points[*b].cost)).unwrap_or(0);
    (points, best)
}

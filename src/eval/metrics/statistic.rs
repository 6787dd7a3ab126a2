//! A metric's numbers for each item, and the value of weighted items.

use super::classes::ClassCounts;
use super::{agreement, calibration};

/// Numbers for each item. All lists of one statistic have the length of the items.
#[derive(Clone, Debug, PartialEq)]
pub enum Statistic {
    /// Sum of numerators over sum of denominators: accuracy, error rates, precision, recall, micro F1, means.
    Ratio {
        /// Numerator of each item.
        num: Vec<f64>,
        /// Denominator of each item; 0 leaves the item out.
        den: Vec<f64>,
    },
    /// Mean over classes of F1, precision or recall; a class that occurs neither in the gold nor in the predictions is left
    /// out, a class without a hit counts 0.
    Macro(ClassCounts),
    /// Mean over groups of Cohen's kappa.
    Kappa {
        /// Group of each item.
        group: Vec<u32>,
        /// Gold class.
        gold: Vec<u32>,
        /// Predicted class.
        predicted: Vec<u32>,
    },
    /// Expected calibration error, [`super::BINS`] bins of equal width (Guo et al. 2017).
    Calibration {
        /// Confidence in [0, 1].
        confidence: Vec<f64>,
        /// Whether the answer was right.
        right: Vec<bool>,
    },
    /// Area under the receiver operating characteristic, ties counted half (Mann-Whitney U).
    Auroc {
        /// Items by ascending score, ties together: the scores.
        score: Vec<f64>,
        /// Whether the item is positive.
        positive: Vec<bool>,
        /// Order of the items by ascending score.
        order: Vec<u32>,
    },
    /// Area under the risk-coverage curve (Geifman and El-Yaniv 2017): the mean error rate of the most confident share.
    RiskArea {
        /// Confidence.
        confidence: Vec<f64>,
        /// Whether the answer was right.
        right: Vec<bool>,
        /// Order of the items by descending confidence.
        order: Vec<u32>,
    },
    /// The greatest share of items that can be answered, most confident first, with at most `risk` errors among them.
    CoverageAtRisk {
        /// Confidence.
        confidence: Vec<f64>,
        /// Whether the answer was right.
        right: Vec<bool>,
        /// Order of the items by descending confidence.
        order: Vec<u32>,
        /// The error rate that is allowed.
        risk: f64,
    },
    /// A quantile (nearest rank); items without a value are left out.
    Quantile {
        /// Value of each item.
        value: Vec<Option<f64>>,
        /// The share below, in [0, 1].
        share: f64,
        /// Order of the items by ascending value.
        order: Vec<u32>,
    },
}

impl Statistic {
    /// A mean of a number for each item.
    pub fn mean(values: Vec<f64>) -> Self {
        let den = vec![1.0; values.len()];
        Self::Ratio { num: values, den }
    }

    /// See [`Statistic::Auroc`].
    pub fn auroc(score: Vec<f64>, positive: Vec<bool>) -> Self {
        let order = order_by(&score, |a, b| a.total_cmp(b));
        Self::Auroc { score, positive, order }
    }

    /// See [`Statistic::RiskArea`].
    pub fn risk_area(confidence: Vec<f64>, right: Vec<bool>) -> Self {
        let order = order_by(&confidence, |a, b| b.total_cmp(a));
        Self::RiskArea { confidence, right, order }
    }

    /// See [`Statistic::CoverageAtRisk`].
    pub fn coverage_at_risk(confidence: Vec<f64>, right: Vec<bool>, risk: f64) -> Self {
        let order = order_by(&confidence, |a, b| b.total_cmp(a));
        Self::CoverageAtRisk { confidence, right, order, risk }
    }

    /// See [`Statistic::Quantile`].
    pub fn quantile(value: Vec<Option<f64>>, share: f64) -> Self {
        let mut order: Vec<u32> = (0..value.len() as u32).filter(|i| value[*i as usize].is_some()).collect();
        order.sort_by(|a, b| value[*a as usize].unwrap_or(0.0).total_cmp(&value[*b as usize].unwrap_or(0.0)));
        Self::Quantile { value, share, order }
    }

    /// The number of items.
    pub fn items(&self) -> usize {
        match self {
            Self::Ratio { num, .. } => num.len(),
            Self::Macro(counts) => counts.items(),
            Self::Kappa { gold, .. } => gold.len(),
            Self::Calibration { right, .. } | Self::RiskArea { right, .. } | Self::CoverageAtRisk { right, .. } => right.len(),
            Self::Auroc { positive, .. } => positive.len(),
            Self::Quantile { value, .. } => value.len(),
        }
    }

    /// The value of weighted items; `None` where it is not defined (nothing to divide by, one class only).
    pub fn value(&self, weights: &[u32]) -> Option<f64> {
        match self {
            Self::Ratio { num, den } => {
                let sum = |v: &[f64]| v.iter().zip(weights).map(|(x, w)| x * f64::from(*w)).sum::<f64>();
                let below = sum(den);
                (below > 0.0).then(|| sum(num) / below)
            }
            Self::Macro(counts) => counts.mean(weights),
            Self::Kappa { group, gold, predicted } => agreement::mean_kappa(group, gold, predicted, weights),
            Self::Calibration { confidence, right } => calibration::expected_error(confidence, right, weights),
            Self::Auroc { score, positive, order } => auroc(score, positive, order, weights),
            Self::RiskArea { confidence, right, order } => calibration::risk_area(confidence, right, order, weights),
            Self::CoverageAtRisk { confidence, right, order, risk } => {
                calibration::coverage_at_risk(confidence, right, order, weights, *risk)
            }
            Self::Quantile { value, share, order } => quantile(value, *share, order, weights),
        }
    }

    /// The value over all items.
    pub fn whole(&self) -> Option<f64> {
        self.value(&vec![1; self.items()])
    }

    /// For a share of right answers (numerators 0 and 1, denominators 1): whether each item is right.
    pub fn as_right(&self) -> Option<Vec<bool>> {
        let Self::Ratio { num, den } = self else { return None };
        let yes_or_no = |v: &f64| *v == 0.0 || *v == 1.0;
        (den.iter().all(|d| *d == 1.0) && num.iter().all(yes_or_no)).then(|| num.iter().map(|v| *v == 1.0).collect())
    }
}

fn order_by(values: &[f64], compare: impl Fn(&f64, &f64) -> std::cmp::Ordering) -> Vec<u32> {
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    order.sort_by(|a, b| compare(&values[*a as usize], &values[*b as usize]));
    order
}

/// Stretches of items with equal values, in the order given.
pub(super) fn ties<'a>(values: &'a [f64], order: &'a [u32]) -> impl Iterator<Item = &'a [u32]> {
    order.chunk_by(|a, b| values[*a as usize] == values[*b as usize])
}

fn auroc(score: &[f64], positive: &[bool], order: &[u32], weights: &[u32]) -> Option<f64> {
    let (mut wins, mut negatives, mut positives) = (0.0, 0.0, 0.0);
    for group in ties(score, order) {
        let (mut up, mut down) = (0.0, 0.0);
        for item in group {
            let weight = f64::from(weights[*item as usize]);
            *(if positive[*item as usize] { &mut up } else { &mut down }) += weight;
        }
        wins += up * (negatives + 0.5 * down);
        positives += up;
        negatives += down;
    }
    (positives > 0.0 && negatives > 0.0).then(|| wins / (positives * negatives))
}

fn quantile(value: &[Option<f64>], share: f64, order: &[u32], weights: &[u32]) -> Option<f64> {
    let total: u64 = order.iter().map(|i| u64::from(weights[*i as usize])).sum();
    let rank = ((share * total as f64).ceil() as u64).clamp(1, total.max(1));
    let mut seen = 0;
    for item in order {
        seen += u64::from(weights[*item as usize]);
        if seen >= rank && weights[*item as usize] > 0 {
            return value[*item as usize];
        }
    }
    None
}

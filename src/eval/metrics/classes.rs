//! Counts of classes: macro averages of precision, recall and F1.

/// Which of the three is averaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// 2 tp / (2 tp + fp + fn).
    F1,
    /// tp / (tp + fp).
    Precision,
    /// tp / (tp + fn).
    Recall,
}

/// What items add to the true positives, false positives and false negatives of classes.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassCounts {
    /// What is averaged.
    count: Count,
    classes: usize,
    /// Per item: (class, tp, fp, fn).
    items: Vec<Vec<(u32, u32, u32, u32)>>,
}

impl ClassCounts {
    /// Counts of items over `classes` classes; entries are (class, tp, fp, fn).
    pub fn new(count: Count, classes: usize, items: Vec<Vec<(u32, u32, u32, u32)>>) -> Self {
        Self { count, classes, items }
    }

    /// Counts of answers with one class each.
    pub fn single(count: Count, classes: usize, gold: &[u32], predicted: &[u32]) -> Self {
        let items = gold
            .iter()
            .zip(predicted)
            .map(|(g, p)| if g == p { vec![(*g, 1, 0, 0)] } else { vec![(*g, 0, 0, 1), (*p, 0, 1, 0)] })
            .collect();
        Self::new(count, classes, items)
    }

    /// How many items there are.
    pub fn items(&self) -> usize {
        self.items.len()
    }

    /// Sums of (tp, fp, fn) for each class.
    pub fn sums(&self, weights: &[u32]) -> Vec<(f64, f64, f64)> {
        let mut sums = vec![(0.0, 0.0, 0.0); self.classes];
        for (entries, weight) in self.items.iter().zip(weights) {
            let weight = f64::from(*weight);
            for (class, tp, fp, missed) in entries {
                if let Some(sum) = sums.get_mut(*class as usize) {
                    sum.0 += weight * f64::from(*tp);
                    sum.1 += weight * f64::from(*fp);
                    sum.2 += weight * f64::from(*missed);
                }
            }
        }
        sums
    }

    /// The mean over the classes that occur.
    pub fn mean(&self, weights: &[u32]) -> Option<f64> {
        let share = |a: f64, b: f64| if b > 0.0 { a / b } else { 0.0 };
        let values: Vec<f64> = self
            .sums(weights)
            .into_iter()
            .filter(|(tp, fp, missed)| tp + fp + missed > 0.0)
            .map(|(tp, fp, missed)| match self.count {
                Count::F1 => share(2.0 * tp, 2.0 * tp + fp + missed),
                Count::Precision => share(tp, tp + fp),
                Count::Recall => share(tp, tp + missed),
            })
            .collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }
}

//! Agreement beyond chance: Cohen's kappa (1960).

use std::collections::BTreeMap;

/// Cohen's kappa of two lists of classes; `None` for empty lists. Two lists that know one and the same class only agree by
/// necessity: 1 if they are equal.
pub fn kappa(gold: &[u32], predicted: &[u32]) -> Option<f64> {
    let group = vec![0; gold.len()];
    mean_kappa(&group, gold, predicted, &vec![1; gold.len()])
}

/// Mean of the kappas of the groups that have items.
pub(super) fn mean_kappa(group: &[u32], gold: &[u32], predicted: &[u32], weights: &[u32]) -> Option<f64> {
    let mut tables: BTreeMap<u32, BTreeMap<(u32, u32), f64>> = BTreeMap::new();
    for i in 0..gold.len() {
        if weights[i] > 0 {
            *tables.entry(group[i]).or_default().entry((gold[i], predicted[i])).or_default() += f64::from(weights[i]);
        }
    }
    let values: Vec<f64> = tables.values().map(of_table).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn of_table(table: &BTreeMap<(u32, u32), f64>) -> f64 {
    let total: f64 = table.values().sum();
    let mut margins: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    let mut agreed = 0.0;
    for ((gold, predicted), count) in table {
        margins.entry(*gold).or_default().0 += count;
        margins.entry(*predicted).or_default().1 += count;
        if gold == predicted {
            agreed += count;
        }
    }
    let chance: f64 = margins.values().map(|(a, b)| a / total * b / total).sum();
    let observed = agreed / total;
    if 1.0 - chance < 1e-12 { observed } else { (observed - chance) / (1.0 - chance) }
}

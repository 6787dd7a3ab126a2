//! Many comparisons at once: the more one looks, the more chance finds.

/// Holm's step-down adjustment (1979): keeps the chance of any false alarm at the level. In the order of the input.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let order = ascending(p_values);
    let mut adjusted = vec![1.0; p_values.len()];
    let mut least = 0.0_f64;
    for (rank, &at) in order.iter().enumerate() {
        least = least.max(((p_values.len() - rank) as f64 * p_values[at]).min(1.0));
        adjusted[at] = least;
    }
    adjusted
}

/// Benjamini and Hochberg's adjustment (1995): keeps the share of false alarms among the alarms at the level.
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let order = ascending(p_values);
    let mut adjusted = vec![1.0; p_values.len()];
    let mut most = 1.0_f64;
    for (rank, &at) in order.iter().enumerate().rev() {
        most = most.min(p_values.len() as f64 / (rank + 1) as f64 * p_values[at]);
        adjusted[at] = most;
    }
    adjusted
}

fn ascending(p_values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    order
}

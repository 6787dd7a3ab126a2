//! How well a number agrees with people's labels.

/// A correlation coefficient with its 95 % interval by Fisher's transformation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correlation {
    /// In [-1, 1].
    pub r: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Pairs.
    pub n: usize,
}

/// Pearson's product-moment correlation; `None` for fewer than four pairs or a side that does not vary.
pub fn pearson(pairs: &[(f64, f64)]) -> Option<Correlation> {
    let n = pairs.len() as f64;
    if pairs.len() < 4 {
        return None;
    }
    let (mx, my) = (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
    let sum = |f: fn(f64, f64) -> f64| pairs.iter().map(|(x, y)| f(x - mx, y - my)).sum::<f64>();
    let (xy, xx, yy) = (sum(|x, y| x * y), sum(|x, _| x * x), sum(|_, y| y * y));
    if xx <= 0.0 || yy <= 0.0 {
        return None;
    }
    let r = (xy / (xx * yy).sqrt()).clamp(-1.0, 1.0);
    let half = 1.959_963_985 / (n - 3.0).sqrt();
    let z = r.clamp(-0.999_999, 0.999_999).atanh();
    Some(Correlation { r, low: (z - half).tanh(), high: (z + half).tanh(), n: pairs.len() })
}

/// Spearman's rank correlation: Pearson's over ranks, equal values sharing their mean rank.
pub fn spearman(pairs: &[(f64, f64)]) -> Option<Correlation> {
    let first = ranks(pairs.iter().map(|p| p.0).collect());
    let second = ranks(pairs.iter().map(|p| p.1).collect());
    pearson(&first.into_iter().zip(second).collect::<Vec<_>>())
}

fn ranks(values: Vec<f64>) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    while from < order.len() {
        let to = (from..order.len()).find(|&at| values[order[at]] != values[order[from]]).unwrap_or(order.len());
        let mean = (from + to - 1) as f64 / 2.0 + 1.0;
        order[from..to].iter().for_each(|&at| ranks[at] = mean);
        from = to;
    }
    ranks
}

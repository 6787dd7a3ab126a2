//! Rankings: nDCG, reciprocal rank, recall. Gains are the relevances themselves, as in trec_eval.

use std::collections::BTreeMap;

fn gain(relevant: &BTreeMap<String, u32>, document: &str) -> f64 {
    relevant.get(document).copied().map_or(0.0, f64::from)
}

/// Normalised discounted cumulative gain of the first `k` documents, in [0, 1]; 0 without relevant documents.
pub fn ndcg(ranking: &[String], relevant: &BTreeMap<String, u32>, k: usize) -> f64 {
    let discounted = |gains: &mut dyn Iterator<Item = f64>| -> f64 {
        gains.take(k).enumerate().map(|(place, gain)| gain / (place as f64 + 2.0).log2()).sum()
    };
    let mut ideal: Vec<f64> = relevant.values().copied().map(f64::from).collect();
    ideal.sort_by(|a, b| b.total_cmp(a));
    let best = discounted(&mut ideal.into_iter());
    if best > 0.0 { discounted(&mut ranking.iter().map(|d| gain(relevant, d))) / best } else { 0.0 }
}

/// One over the place of the first relevant document among the first `k`; 0 if there is none.
pub fn reciprocal_rank(ranking: &[String], relevant: &BTreeMap<String, u32>, k: usize) -> f64 {
    ranking.iter().take(k).position(|d| gain(relevant, d) > 0.0).map_or(0.0, |place| 1.0 / (place as f64 + 1.0))
}

/// The share of the relevant documents among the first `k`.
pub fn recall(ranking: &[String], relevant: &BTreeMap<String, u32>, k: usize) -> f64 {
    let all = relevant.values().filter(|r| **r > 0).count();
    let found = ranking.iter().take(k).filter(|d| gain(relevant, d) > 0.0).count();
    if all > 0 { found as f64 / all as f64 } else { 0.0 }
}

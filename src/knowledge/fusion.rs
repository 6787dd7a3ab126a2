//! Two rankings become one.

use std::collections::HashMap;
use std::hash::Hash;

use super::config::Fusion;
use super::query::Parts;

/// A candidate with its scores and ranks (from 1).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Fused {
    pub(super) parts: Parts,
    pub(super) lexical_rank: Option<usize>,
    pub(super) dense_rank: Option<usize>,
}

/// Fuses rankings (best first, scores in [0, 1]); `None` for a part that did not take part. The fused score lies in [0, 1].
pub(super) fn fuse<K: Copy + Eq + Hash + Ord>(
    fusion: Fusion,
    lexical: Option<&[(K, f32)]>,
    dense: Option<&[(K, f32)]>,
) -> Vec<(K, Fused)> {
    let mut candidates: HashMap<K, Fused> = HashMap::new();
    for (rank, (key, score)) in lexical.unwrap_or_default().iter().enumerate() {
        let entry = candidates.entry(*key).or_default();
        entry.parts.lexical = Some(score.clamp(0.0, 1.0));
        entry.lexical_rank = Some(rank + 1);
    }
    for (rank, (key, score)) in dense.unwrap_or_default().iter().enumerate() {
        let entry = candidates.entry(*key).or_default();
        entry.parts.dense = Some(score.clamp(0.0, 1.0));
        entry.dense_rank = Some(rank + 1);
    }
    let both = lexical.is_some() && dense.is_some();
    let mut fused: Vec<(K, Fused)> = candidates.into_iter().collect();
    for (_, candidate) in &mut fused {
        candidate.parts.fused = Some(if both { score(fusion, candidate) } else { single(candidate) });
    }
    // equal scores keep an order that does not depend on the map
    fused.sort_by(|(a_key, a), (b_key, b)| {
        b.parts.fused.unwrap_or(0.0).total_cmp(&a.parts.fused.unwrap_or(0.0)).then(a_key.cmp(b_key))
    });
    fused
}

fn single(candidate: &Fused) -> f32 {
    candidate.parts.lexical.or(candidate.parts.dense).unwrap_or(0.0)
}

fn score(fusion: Fusion, candidate: &Fused) -> f32 {
    match fusion {
        Fusion::Rrf { k } => {
            let k = k.max(0.0);
            let share = |rank: Option<usize>| rank.map_or(0.0, |rank| 1.0 / (k + rank as f32));
            (share(candidate.lexical_rank) + share(candidate.dense_rank)) / (2.0 / (k + 1.0))
        }
        Fusion::Weighted { lexical, dense } => {
            let sum = (lexical + dense).max(f32::EPSILON);
            (lexical * candidate.parts.lexical.unwrap_or(0.0) + dense * candidate.parts.dense.unwrap_or(0.0)) / sum
        }
    }
}

//! Sentence vectors as the vendors want them.

/// The first `dimensions` numbers, all without; with `normalise` of length 1 again.
pub(super) fn cut(vector: &[f32], dimensions: Option<usize>, normalise: bool) -> Vec<f32> {
    let cut = &vector[..dimensions.unwrap_or(vector.len()).min(vector.len())];
    let norm = cut.iter().map(|x| x * x).sum::<f32>().sqrt();
    if !normalise || norm == 0.0 || cut.len() == vector.len() {
        return cut.to_vec();
    }
    cut.iter().map(|x| x / norm).collect()
}

/// Cosine of two vectors of length 1 (or 0), in [-1, 1].
pub(super) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>().clamp(-1.0, 1.0)
}

//! Edit distance between sequences: substitutions, deletions, insertions (Levenshtein, as in word error rates).

/// Edits that turn a reference into a hypothesis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EditCounts {
    /// Units replaced by others.
    pub substitutions: usize,
    /// Units of the reference that are missing.
    pub deletions: usize,
    /// Units that nobody said.
    pub insertions: usize,
    /// Units of the reference.
    pub reference: usize,
}

impl EditCounts {
    /// All edits.
    pub fn errors(&self) -> usize {
        self.substitutions + self.deletions + self.insertions
    }
}

/// Counts the edits of a shortest way; among ways of one length, substitutions go before deletions and these before
/// insertions, seen from the end.
pub fn edits<T: PartialEq>(reference: &[T], hypothesis: &[T]) -> EditCounts {
    let width = hypothesis.len() + 1;
    let mut cost = vec![0_u32; (reference.len() + 1) * width];
    (0..width).for_each(|j| cost[j] = j as u32);
    for i in 1..=reference.len() {
        cost[i * width] = i as u32;
        for j in 1..width {
            let replace = cost[(i - 1) * width + j - 1] + u32::from(reference[i - 1] != hypothesis[j - 1]);
            cost[i * width + j] = replace.min(cost[(i - 1) * width + j] + 1).min(cost[i * width + j - 1] + 1);
        }
    }
    let mut counts = EditCounts { reference: reference.len(), ..EditCounts::default() };
    let (mut i, mut j) = (reference.len(), hypothesis.len());
    while i > 0 || j > 0 {
        let here = cost[i * width + j];
        let differ = i > 0 && j > 0 && reference[i - 1] != hypothesis[j - 1];
        if i > 0 && j > 0 && cost[(i - 1) * width + j - 1] + u32::from(differ) == here {
            counts.substitutions += usize::from(differ);
            (i, j) = (i - 1, j - 1);
        } else if i > 0 && cost[(i - 1) * width + j] + 1 == here {
            counts.deletions += 1;
            i -= 1;
        } else {
            counts.insertions += 1;
            j -= 1;
        }
    }
    counts
}

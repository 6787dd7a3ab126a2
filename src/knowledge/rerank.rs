//! The best candidates read once more, together with the query, by a configured cross-encoder.

use tantivy::DocAddress;

use super::fusion::Fused;
use super::index::KnowledgeIndex;
use super::lexical::Snapshot;
use super::{KnowledgeError, Result};

impl KnowledgeIndex {
    /// Candidates (best first) with the scores of the cross-encoder in the first of them, in their new order. Without a
    /// cross-encoder they come back as they are.
    ///
    /// # Errors
    /// [`KnowledgeError::Lexical`] if a passage cannot be read, [`KnowledgeError::Reranker`] if the model refuses a text.
    pub(super) fn reranked(
        &self,
        snapshot: &Snapshot,
        query: &str,
        mut candidates: Vec<(DocAddress, Fused)>,
    ) -> Result<Vec<(DocAddress, Fused)>> {
        let Some(reranker) = self.reranker.as_ref().filter(|_| !candidates.is_empty() && !query.trim().is_empty()) else {
            return Ok(candidates);
        };
        let share = self.config.rerank_share.clamp(0.0, 1.0);
        let depth = self.config.rerank_depth.min(candidates.len());
        let mut texts = Vec::with_capacity(depth);
        for (address, _) in &candidates[..depth] {
            let stored = self.lexical.stored(&snapshot.searcher, *address)?;
            texts.push(format!("{}\n{}", stored.title, stored.text));
        }
        let scores = reranker.scores(query, &texts).map_err(|error| KnowledgeError::Reranker { problem: error.to_string() })?;
        for (place, (_, candidate)) in candidates.iter_mut().enumerate() {
            candidate.parts.rerank = scores.get(place).map(|score| score.probability());
            let score = candidate.parts.rerank.unwrap_or(0.0);
            candidate.parts.fused = candidate.parts.fused.map(|fused| (1.0 - share) * fused + share * score);
        }
        candidates.sort_by(|a, b| b.1.parts.fused.unwrap_or(0.0).total_cmp(&a.1.parts.fused.unwrap_or(0.0)));
        Ok(candidates)
    }
}

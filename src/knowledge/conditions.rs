//! What a passage must meet beside its score, and the best passages that meet it.

use std::collections::BTreeMap;
use std::ops::Bound;

use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, ConstScoreQuery, EnableScoring, Occur, PhraseQuery, Query, RangeQuery, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocAddress, DocSet, SegmentOrdinal, Term};

use super::Result;
use super::document::OPEN_TO_ALL;
use super::lexical::{LexicalIndex, Snapshot, as_of_s};
use super::query::{ParsedQuery, SearchRequest};

/// Clauses with what they mean for a match.
pub(super) type Conditions = Vec<(Occur, Box<dyn Query>)>;
/// How many times the wanted number is ranked before the conditions are asked. Ranking alone skips most passages; under
/// conditions every match has to be scored.
const RANKED_FIRST: usize = 5;

impl LexicalIndex {
    /// Conditions that a passage must meet; empty if the request has none that exclude anything in this snapshot.
    pub(super) fn conditions(&self, snapshot: &Snapshot, request: &SearchRequest, parsed: &ParsedQuery) -> Conditions {
        let fields = &self.fields;
        let filters = &request.filters;
        let mut conditions: Conditions = Vec::new();
        let mut must = |query: Box<dyn Query>| conditions.push((Occur::Must, Box::new(ConstScoreQuery::new(query, 0.0))));
        for (field, values) in [(fields.queues, &filters.queues), (fields.audience, &filters.audience)] {
            if !values.is_empty() {
                must(any_of(field, values.iter().map(String::as_str).chain([OPEN_TO_ALL])));
            }
        }
        for (field, values) in [(fields.category, &filters.categories), (fields.tags, &filters.tags)] {
            if !values.is_empty() {
                must(any_of(field, values.iter().map(String::as_str)));
            }
        }
        if !filters.kinds.is_empty() {
            must(any_of(fields.kind, filters.kinds.iter().map(|kind| kind.name())));
        }
        if !request.languages.is_empty() {
            must(any_of(fields.language, request.languages.iter().map(|language| language.name())));
        }
        let now = as_of_s(request);
        let moment = |field: Field| Term::from_field_i64(field, now);
        if snapshot.validity.0 > now {
            must(Box::new(RangeQuery::new(Bound::Unbounded, Bound::Included(moment(fields.effective_from)))));
        }
        if snapshot.validity.1 <= now {
            must(Box::new(RangeQuery::new(Bound::Excluded(moment(fields.expires_at)), Bound::Unbounded)));
        }
        for (occur, phrases) in [(Occur::Must, &parsed.phrases), (Occur::MustNot, &parsed.excluded)] {
            for phrase in phrases {
                conditions.push((occur, Box::new(ConstScoreQuery::new(self.phrase(phrase), 0.0))));
            }
        }
        conditions
    }

    fn phrase(&self, terms: &[String]) -> Box<dyn Query> {
        let terms: Vec<Term> = terms.iter().map(|term| Term::from_field_text(self.fields.characters, term)).collect();
        match <[Term; 1]>::try_from(terms) {
            Ok([single]) => Box::new(TermQuery::new(single, IndexRecordOption::Basic)),
            Err(several) => Box::new(PhraseQuery::new(several)),
        }
    }

    /// The best passages for weighted terms under conditions.
    pub(super) fn top(
        &self,
        snapshot: &Snapshot,
        scored: Vec<(Occur, Box<dyn Query>)>,
        conditions: &Conditions,
        limit: usize,
    ) -> Result<Vec<(f32, DocAddress)>> {
        if scored.is_empty() {
            return Ok(Vec::new());
        }
        let limit = limit.max(1);
        let best =
            |query: &dyn Query, limit: usize| snapshot.searcher.search(query, &TopDocs::with_limit(limit).order_by_score());
        let union = BooleanQuery::new(scored);
        if conditions.is_empty() {
            return Ok(best(&union, limit)?);
        }
        let ranked = best(&union, limit * RANKED_FIRST)?;
        let all = ranked.len() < limit * RANKED_FIRST;
        let mut kept = self.meeting(snapshot, ranked, conditions, |(_, address)| *address)?;
        if all || kept.len() >= limit {
            kept.truncate(limit);
            return Ok(kept);
        }
        let clauses = conditions.iter().map(|(occur, query)| (*occur, query.box_clone()));
        let union: Box<dyn Query> = Box::new(union);
        let query = BooleanQuery::new(std::iter::once((Occur::Must, union)).chain(clauses).collect());
        Ok(best(&query, limit)?)
    }

    /// Those of the passages that meet the conditions of a request, in their order.
    pub(super) fn meeting<T>(
        &self,
        snapshot: &Snapshot,
        passages: Vec<T>,
        conditions: &Conditions,
        address_of: impl Fn(&T) -> DocAddress,
    ) -> Result<Vec<T>> {
        if conditions.is_empty() || passages.is_empty() {
            return Ok(passages);
        }
        let clauses = conditions.iter().map(|(occur, query)| (*occur, query.box_clone()));
        let all = (Occur::Must, Box::new(tantivy::query::AllQuery) as Box<dyn Query>);
        let query = BooleanQuery::new(clauses.chain([all]).collect());
        let weight = query.weight(EnableScoring::disabled_from_searcher(&snapshot.searcher))?;
        let mut by_segment: BTreeMap<SegmentOrdinal, Vec<(u32, usize)>> = BTreeMap::new();
        for (place, passage) in passages.iter().enumerate() {
            let address = address_of(passage);
            by_segment.entry(address.segment_ord).or_default().push((address.doc_id, place));
        }
        let mut meets = vec![false; passages.len()];
        for (segment, mut documents) in by_segment {
            documents.sort_unstable();
            let mut scorer = weight.scorer(snapshot.searcher.segment_reader(segment), 1.0)?;
            for (document, place) in documents {
                if scorer.doc() < document {
                    scorer.seek(document);
                }
                meets[place] = scorer.doc() == document;
            }
        }
        Ok(passages.into_iter().zip(meets).filter(|(_, meets)| *meets).map(|(passage, _)| passage).collect())
    }
}

/// Passages with one of these values. Terms one by one: they are sought in, while a set of terms is read whole.
fn any_of<'a>(field: Field, values: impl Iterator<Item = &'a str>) -> Box<dyn Query> {
    let term = |value: &str| -> Box<dyn Query> {
        Box::new(TermQuery::new(Term::from_field_text(field, value), IndexRecordOption::Basic))
    };
    let mut terms: Vec<Box<dyn Query>> = values.map(term).collect();
    match terms.len() {
        1 => terms.remove(0),
        _ => Box::new(BooleanQuery::new(terms.into_iter().map(|query| (Occur::Should, query)).collect())),
    }
}

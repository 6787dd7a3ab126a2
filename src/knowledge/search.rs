//! Answering a search: words, sounds, vectors, fusion, citation.

use std::cell::LazyCell;
use std::collections::HashMap;
use std::time::Instant;

use tantivy::DocAddress;

use crate::conversation::Language;

use super::Result;
use super::citation::mark;
use super::conditions::Conditions;
use super::config::Fusion;
use super::document::OPEN_TO_ALL;
use super::fusion::{Fused, fuse};
use super::index::KnowledgeIndex;
use super::lexical::{Snapshot, StoredPassage, as_of_s};
use super::query::{ExplainedTerm, Explanation, ParsedQuery, PassageHit, SearchMode, SearchRequest, SearchResponse};
use super::terms::{QueryTerm, QueryTerms, query_terms, sound_clauses, sound_terms, word_clauses};
use super::vector::VectorFilter;

/// Share of the evidence by words that counts beside evidence by sound.
const WORDS_BESIDE_SOUND: f32 = 0.3;
/// Share of the evidence that a match of mere stop words earns.
const STOP_WORD_TRUST: f32 = 0.3;
/// A score of a full match is evidence of 1 - exp(-1.6) = 0.8.
const STEEPNESS: f32 = 1.6;

/// A candidate, what its score was multiplied by, and its passage if it was read already.
type Ranked = (DocAddress, Fused, f32, Option<StoredPassage>);
/// Best score below which articles of the other language are searched too, by translated terms.
const OTHER_LANGUAGE_BELOW: f32 = 0.5;
/// Share of the weight of the vectors that stays when only articles of another language may answer.
const ACROSS_SHARE: f32 = 0.33;

/// The lexical ranking and how it came about.
#[derive(Default)]
struct Lexical {
    /// Evidence in [0, 1], best first.
    ranking: Vec<(DocAddress, f32)>,
    raw: HashMap<DocAddress, f32>,
    terms: Vec<QueryTerm>,
    full: f32,
    by_sound: bool,
}

/// Candidates, best first, and how they came about.
struct Found {
    fused: Vec<(DocAddress, Fused)>,
    lexical: Lexical,
    degraded: Vec<String>,
}

impl Found {
    fn best(&self) -> f32 {
        self.fused.first().and_then(|(_, candidate)| candidate.parts.fused).unwrap_or(0.0)
    }

    /// Takes in what was found in the other language; a passage keeps its better score. The scores of both are shares of a
    /// full match, so they can be compared.
    fn add(&mut self, other: Self) {
        let mut best: HashMap<DocAddress, Fused> = std::mem::take(&mut self.fused).into_iter().collect();
        for (address, candidate) in other.fused {
            let known = best.entry(address).or_insert(candidate);
            if candidate.parts.fused > known.parts.fused {
                *known = candidate;
            }
        }
        self.fused = best.into_iter().collect();
        self.fused.sort_by(|(a_key, a), (b_key, b)| {
            b.parts.fused.unwrap_or(0.0).total_cmp(&a.parts.fused.unwrap_or(0.0)).then(a_key.cmp(b_key))
        });
        for (address, score) in other.lexical.raw {
            self.lexical.raw.entry(address).or_insert(score);
        }
        self.lexical.terms.extend(other.lexical.terms);
        self.degraded.extend(other.degraded);
        self.degraded.dedup();
    }
}

impl KnowledgeIndex {
    /// Finds the passages that answer a request.
    ///
    /// `query_vector` is the vector of the query text by the same model that made the vectors of the passages. Without it,
    /// or if the vector side fails, the words answer alone and `degraded` says `dense`.
    ///
    /// # Errors
    /// [`super::KnowledgeError::InvalidSearch`], [`super::KnowledgeError::Lexical`].
    pub fn search(&self, request: &SearchRequest, query_vector: Option<&[f32]>) -> Result<SearchResponse> {
        self.search_while(request, || query_vector.map(<[f32]>::to_vec))
    }

    /// As [`Self::search`], where the vector is still being made: the words are searched meanwhile. `query_vector` waits for it
    /// and is called once at most.
    ///
    /// # Errors
    /// As [`Self::search`].
    pub fn search_while(
        &self,
        request: &SearchRequest,
        query_vector: impl FnOnce() -> Option<Vec<f32>>,
    ) -> Result<SearchResponse> {
        request.validate()?;
        let started = Instant::now();
        let snapshot = self.snapshot();
        let vector = LazyCell::new(query_vector);
        let vector = || vector.as_deref();
        let mut parsed = ParsedQuery::of(request);
        let own = Language::of_text(&request.query);
        parsed.only_across = !request.languages.is_empty() && !request.languages.contains(&own);
        let mut found = self.candidates(&snapshot, request, &parsed, &vector)?;
        let other = if own == Language::Zh { Language::En } else { Language::Zh };
        let open = request.languages.is_empty() || request.languages.contains(&other);
        let across = !parsed.only_across && open && !self.bilingual.is_empty() && found.best() < OTHER_LANGUAGE_BELOW;
        if across {
            parsed.only_across = true;
            let request = SearchRequest { languages: vec![other], ..request.clone() };
            found.add(self.candidates(&snapshot, &request, &parsed, &vector)?);
        }
        match self.reranked(&snapshot, parsed.folded.trim(), found.fused.clone()) {
            Ok(reranked) => found.fused = reranked,
            Err(error) => {
                tracing::warn!(%error, "re-ranking left out");
                found.degraded.push("rerank".to_owned());
            }
        }
        let passages = self.answers(&snapshot, request, &found.lexical, &found.fused)?;
        tracing::debug!(across, took_ms = ms_since(started), "searched");
        Ok(SearchResponse { passages, index_version: snapshot.version, degraded: found.degraded })
    }

    /// Both rankings as one.
    fn candidates<'v>(
        &self,
        snapshot: &Snapshot,
        request: &SearchRequest,
        parsed: &ParsedQuery,
        query_vector: &dyn Fn() -> Option<&'v [f32]>,
    ) -> Result<Found> {
        let started = Instant::now();
        let conditions = self.lexical.conditions(snapshot, request, parsed);
        let by_words = || self.by_words(snapshot, parsed, &conditions);
        let mut degraded = Vec::new();
        let mut lexical = (request.mode != SearchMode::Dense).then(by_words).transpose()?;
        let words_ms = ms_since(started);
        let vector = if request.mode == SearchMode::Lexical { None } else { query_vector() };
        let waited_ms = ms_since(started) - words_ms;
        let dense = match request.mode {
            SearchMode::Lexical => None,
            SearchMode::Hybrid | SearchMode::Dense => {
                let found = self.dense(snapshot, request, parsed, &conditions, vector)?;
                if found.is_none() {
                    degraded.push("dense".to_owned());
                    lexical = Some(lexical.map_or_else(by_words, Ok)?);
                }
                found
            }
        };
        tracing::debug!(words_ms, waited_ms, dense_ms = ms_since(started) - words_ms - waited_ms, "candidates");
        let fused = fuse(
            fusion_of(self.config.fusion, parsed),
            lexical.as_ref().map(|lexical| lexical.ranking.as_slice()),
            dense.as_deref(),
        );
        let lexical = match lexical {
            Some(lexical) => lexical,
            None => {
                // the terms mark what was asked for, also where only vectors answer
                let tables = (&self.synonyms, &self.bilingual);
                let terms = query_terms(snapshot, &self.lexical.fields, parsed, tables, &self.config.weights)?.terms;
                Lexical { terms, ..Lexical::default() }
            }
        };
        Ok(Found { fused, lexical, degraded })
    }

    /// The ranking by words; if its evidence is weak, by sound as well.
    fn by_words(&self, snapshot: &Snapshot, parsed: &ParsedQuery, conditions: &Conditions) -> Result<Lexical> {
        let (config, fields) = (&self.config, &self.lexical.fields);
        let found = query_terms(snapshot, fields, parsed, (&self.synonyms, &self.bilingual), &config.weights)?;
        let clauses = word_clauses(&found, snapshot.searcher.num_docs(), fields, &config.weights);
        let hits = self.lexical.top(snapshot, clauses, conditions, config.candidates)?;
        let trust = if parsed.only_stop_words { STOP_WORD_TRUST } else { 1.0 };
        let mut evidence: HashMap<DocAddress, f32> =
            hits.iter().map(|(score, address)| (*address, trust * evidence_of(*score, found.full))).collect();
        let raw = hits.iter().map(|(score, address)| (*address, *score)).collect();
        let best = evidence.values().copied().fold(0.0, f32::max);
        let mut terms = found.terms.clone();
        // sounds do not reach over to another language
        let by_sound = (best < config.weak_below || found.unknown_word) && !parsed.only_stop_words && !parsed.only_across;
        if by_sound {
            terms.extend(self.by_sound(snapshot, parsed, conditions, &mut evidence)?.terms);
        }
        let mut ranking: Vec<(DocAddress, f32)> = evidence.into_iter().collect();
        ranking.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let least = config.tail_below * ranking.first().map_or(0.0, |(_, best)| score_behind(*best));
        ranking.retain(|(_, evidence)| score_behind(*evidence) >= least);
        ranking.truncate(config.candidates);
        Ok(Lexical { ranking, raw, terms, full: found.full, by_sound })
    }

    /// Adds evidence by sound: a passage keeps the greater of both.
    fn by_sound(
        &self,
        snapshot: &Snapshot,
        parsed: &ParsedQuery,
        conditions: &Conditions,
        evidence: &mut HashMap<DocAddress, f32>,
    ) -> Result<QueryTerms> {
        let (config, fields) = (&self.config, &self.lexical.fields);
        let sounds = sound_terms(snapshot, fields, parsed, &config.weights)?;
        for (score, address) in self.lexical.top(snapshot, sound_clauses(&sounds, fields), conditions, config.candidates)? {
            let words = evidence.get(&address).copied().unwrap_or(0.0);
            let heard = config.weights.sound * evidence_of(score, sounds.full) + WORDS_BESIDE_SOUND * words;
            evidence.insert(address, words.max(heard.min(1.0)));
        }
        Ok(sounds)
    }

    /// The ranking by vectors; `None` if there is no vector or the vector side failed.
    fn dense(
        &self,
        snapshot: &Snapshot,
        request: &SearchRequest,
        parsed: &ParsedQuery,
        conditions: &Conditions,
        query_vector: Option<&[f32]>,
    ) -> Result<Option<Vec<(DocAddress, f32)>>> {
        let (Some(vectors), Some(vector)) = (&self.vectors, query_vector) else { return Ok(None) };
        let hits = match vectors.search(vector, self.config.candidates, &vector_filter(request, conditions)) {
            Ok(hits) => hits,
            Err(error) => {
                tracing::warn!(%error, "vector search left out");
                return Ok(None);
            }
        };
        let exact = !parsed.phrases.is_empty() || !parsed.excluded.is_empty();
        let mut ranking = Vec::with_capacity(hits.len());
        for hit in hits {
            let Some(address) = self.lexical.find(&snapshot.searcher, &hit.passage_id)? else { continue };
            ranking.push((address, hit.score));
        }
        if exact {
            ranking = self.lexical.meeting(snapshot, ranking, conditions, |(address, _)| *address)?;
        }
        Ok(Some(ranking))
    }

    /// The candidates in the order of their scores, with the intents behind the query and what was learned of their
    /// articles. Without either this is the order of fusion, and no passage is read.
    fn by_use(&self, snapshot: &Snapshot, request: &SearchRequest, fused: &[(DocAddress, Fused)]) -> Result<Vec<Ranked>> {
        let learned = self.learned();
        if learned.is_empty() && request.intents.is_empty() {
            return Ok(fused.iter().map(|(address, candidate)| (*address, *candidate, 1.0, None)).collect());
        }
        let share = request.intent_share.unwrap_or(self.config.intent_share).clamp(0.0, 1.0);
        let mut ranked = Vec::with_capacity(fused.len());
        for (address, candidate) in fused {
            let stored = self.lexical.stored(&snapshot.searcher, *address)?;
            let factor = learned.factor(&stored.document_id, request.topic.as_deref(), request.agent.as_deref());
            let mut candidate = *candidate;
            if !request.intents.is_empty() && !stored.intents.is_empty() {
                let wanted = request.intents.iter().filter(|(intent, _)| stored.intents.contains(intent));
                candidate.parts.intent = Some(wanted.map(|(_, probability)| probability).sum::<f32>().clamp(0.0, 1.0));
            }
            let with_intent = |score: f32| candidate.parts.intent.map_or(score, |wanted| (1.0 - share) * score + share * wanted);
            candidate.parts.fused = candidate.parts.fused.map(|score| (with_intent(score) * factor).clamp(0.0, 1.0));
            ranked.push((*address, candidate, factor, Some(stored)));
        }
        ranked.sort_by(|a, b| b.1.parts.fused.unwrap_or(0.0).total_cmp(&a.1.parts.fused.unwrap_or(0.0)));
        Ok(ranked)
    }

    /// The best candidates, few of one document, with highlights and citation.
    fn answers(
        &self,
        snapshot: &Snapshot,
        request: &SearchRequest,
        lexical: &Lexical,
        fused: &[(DocAddress, Fused)],
    ) -> Result<Vec<PassageHit>> {
        let mut per_document: HashMap<String, usize> = HashMap::new();
        let mut passages = Vec::new();
        for (address, candidate, learned, stored) in self.by_use(snapshot, request, fused)? {
            if passages.len() == request.top_k {
                break;
            }
            let stored = match stored {
                Some(stored) => stored,
                None => self.lexical.stored(&snapshot.searcher, address)?,
            };
            let count = per_document.entry(stored.document_id.clone()).or_insert(0);
            *count += 1;
            if *count > self.config.max_passages_per_document.max(1) {
                continue;
            }
            let marked = mark(&stored.text, &lexical.terms);
            let explain = request.explain.then(|| Explanation {
                terms: lexical
                    .terms
                    .iter()
                    .map(|term| ExplainedTerm {
                        term: term.term.clone(),
                        source: term.source,
                        idf: term.idf,
                        matched: marked.matched.contains(&term.term),
                    })
                    .collect(),
                lexical_raw: lexical.raw.get(&address).copied(),
                lexical_full: lexical.full,
                lexical_rank: candidate.lexical_rank,
                dense_rank: candidate.dense_rank,
                by_sound: lexical.by_sound,
                learned,
            });
            passages.push(PassageHit {
                passage_id: stored.passage_id,
                document_id: stored.document_id,
                version: stored.version,
                title: stored.title,
                headings: stored.headings,
                text: stored.text,
                highlights: marked.highlights,
                citation: marked.citation,
                score: candidate.parts.fused.unwrap_or(0.0),
                parts: candidate.parts,
                kind: stored.kind,
                language: stored.language,
                category: stored.category,
                tags: stored.tags,
                explain,
            });
        }
        Ok(passages)
    }
}

fn ms_since(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e3
}

/// Vectors say little across languages: there they weigh a third.
fn fusion_of(fusion: Fusion, parsed: &ParsedQuery) -> Fusion {
    match fusion {
        Fusion::Weighted { lexical, dense } if parsed.only_across => {
            Fusion::Weighted { lexical: lexical + dense * (1.0 - ACROSS_SHARE), dense: dense * ACROSS_SHARE }
        }
        other => other,
    }
}

/// Evidence in [0, 1) from a BM25 score: 1 - exp(-[`STEEPNESS`] score / full). It grows with the score without end, so that
/// it never makes two scores equal.
fn evidence_of(score: f32, full: f32) -> f32 {
    if full > 0.0 { 1.0 - (-STEEPNESS * score / full).exp() } else { 0.0 }
}

/// The way back from evidence to the score, up to a constant factor.
fn score_behind(evidence: f32) -> f32 {
    -(1.0 - evidence.clamp(0.0, 0.999_999)).ln()
}

/// The filter of the vector side; the validity is left out where it excludes nothing.
fn vector_filter(request: &SearchRequest, conditions: &Conditions) -> VectorFilter {
    let filters = &request.filters;
    let open = |values: &[String]| {
        let mut values = values.to_vec();
        if !values.is_empty() {
            values.push(OPEN_TO_ALL.to_owned());
        }
        values
    };
    VectorFilter {
        queues: open(&filters.queues),
        audience: open(&filters.audience),
        languages: request.languages.iter().map(|language| language.name().to_owned()).collect(),
        kinds: filters.kinds.iter().map(|kind| kind.name().to_owned()).collect(),
        categories: filters.categories.clone(),
        tags: filters.tags.clone(),
        as_of_s: (!conditions.is_empty()).then(|| as_of_s(request)),
    }
}

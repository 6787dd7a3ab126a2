//! From a query to weighted terms: words, synonyms, corrected typing errors, sounds.

use tantivy::query::{BooleanQuery, BoostQuery, DisjunctionMaxQuery, Occur, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Searcher, Term};

use super::bilingual::Bilingual;
use super::config::FieldWeights;
use super::lexical::{Fields, Snapshot};
use super::query::{ParsedQuery, TermSource};
use super::synonym::Synonyms;
use super::vocabulary::Vocabulary;
use super::{Result, analysis};

/// Share of the largest possible score that a passage earns which answers a query well; part of the divisor that makes a
/// BM25 score evidence in [0, 1]. Measured on the built-in articles.
const FULL_MATCH: f32 = 0.62;
/// A word that no passage holds counts this much in the divisor.
const UNKNOWN_SHARE: f32 = 0.5;
/// Share of the words of the query in a full match across languages.
const OWN_WORDS_ACROSS: f32 = 0.5;
/// Share of the other translations of a term beside the best one.
const TIE_BREAKER: f32 = 0.1;
/// Known words taken for one unknown word.
const MAX_CORRECTIONS: usize = 3;

/// Clauses that score.
type Clauses = Vec<(Occur, Box<dyn Query>)>;

/// A term to look up.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct QueryTerm {
    pub(super) term: String,
    pub(super) source: TermSource,
    /// Relative weight; 1 for a word of the query.
    pub(super) weight: f32,
    pub(super) idf: f32,
}

/// The terms of a query and the score of a full match.
#[derive(Clone, Debug, Default)]
pub(super) struct QueryTerms {
    pub(super) terms: Vec<QueryTerm>,
    pub(super) bigrams: Vec<String>,
    pub(super) characters: Vec<String>,
    pub(super) groups: Vec<TranslationGroup>,
    pub(super) full: f32,
    /// Whether a word of the query is not known to the index.
    pub(super) unknown_word: bool,
}

/// What one term of a query is called in the other language.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TranslationGroup {
    translations: Vec<Translation>,
    /// Inverse document frequency of all translations together.
    idf: f32,
}

/// One translation: its words with the number of passages that hold them, its pairs of characters or words.
#[derive(Clone, Debug, Default, PartialEq)]
struct Translation {
    words: Vec<(u64, String)>,
    pairs: Vec<String>,
    characters: Vec<String>,
}

/// BM25 inverse document frequency: ln(1 + (N - n + 0.5) / (n + 0.5)).
fn idf(documents: u64, holding: u64) -> f32 {
    let (documents, holding) = (documents as f32, holding.min(documents) as f32);
    (1.0 + (documents - holding + 0.5) / (holding + 0.5)).ln()
}

fn holding(searcher: &Searcher, fields: &[Field], term: &str) -> Result<u64> {
    let mut most = 0;
    for field in fields {
        most = most.max(searcher.doc_freq(&Term::from_field_text(*field, term))?);
    }
    Ok(most)
}

/// The terms of a query: its words, their synonyms and, for English words that the index does not know, near ones.
pub(super) fn query_terms(
    snapshot: &Snapshot,
    fields: &Fields,
    parsed: &ParsedQuery,
    tables: (&Synonyms, &Bilingual),
    weights: &FieldWeights,
) -> Result<QueryTerms> {
    let (synonyms, bilingual) = tables;
    let searcher = &snapshot.searcher;
    let documents = searcher.num_docs();
    let word_fields = [fields.body, fields.questions, fields.tag_words];
    let mut found = QueryTerms {
        bigrams: analysis::bigram_terms(&parsed.folded),
        characters: analysis::content_characters(&parsed.folded),
        ..QueryTerms::default()
    };
    let mut corrected = parsed.folded.clone();
    // words of the query are not words of articles in another language; what was asked beside the translated terms still
    // belongs to a full match, else one usual word ("today") would make one
    let own_share = if parsed.only_across { OWN_WORDS_ACROSS } else { 1.0 };
    for word in &parsed.words {
        let count = holding(searcher, &word_fields, &word.term)?;
        let term_idf = idf(documents, count);
        let number = word.folded.chars().all(char::is_numeric);
        if count > 0 {
            found.full += own_share * term_idf;
            found.terms.push(QueryTerm { term: word.term.clone(), source: TermSource::Word, weight: 1.0, idf: term_idf });
        } else if !number {
            found.unknown_word = true;
            found.full += own_share * term_idf * UNKNOWN_SHARE;
            for correction in corrections(&snapshot.vocabulary, &word.term).into_iter().filter(|_| !word.han) {
                let idf = idf(documents, holding(searcher, &word_fields, &correction)?);
                corrected.push(' ');
                corrected.push_str(&correction);
                found.terms.push(QueryTerm { term: correction, source: TermSource::Typo, weight: weights.typo, idf });
            }
        }
    }
    for (_, expansions) in synonyms.expand(&corrected) {
        // many names for one thing must not outweigh the rest of the query
        let weight = weights.synonym / (expansions.len() as f32).sqrt();
        for term in expansions.iter().flat_map(|text| analysis::word_terms(text)) {
            if !found.terms.iter().any(|other| other.term == term) && !crate::text::segment::is_stop_word(&term) {
                let idf = idf(documents, holding(searcher, &word_fields, &term)?);
                found.terms.push(QueryTerm { term, source: TermSource::Synonym, weight, idf });
            }
        }
    }
    if parsed.only_across {
        translate(snapshot, fields, bilingual.translate(&corrected), weights, &mut found)?;
    }
    found.characters.sort();
    found.characters.dedup();
    found.full *= (weights.title + weights.questions + weights.body) * FULL_MATCH;
    Ok(found)
}

/// Adds the translations of a query. All translations of one term stand for one term (Pirkola, SIGIR 1998): each weighs as
/// much as if it were in as many passages as all of them together, so that a rare one does not outweigh the usual one, and
/// the words of a translation share its weight.
fn translate(
    snapshot: &Snapshot,
    fields: &Fields,
    translated: Vec<&[String]>,
    weights: &FieldWeights,
    found: &mut QueryTerms,
) -> Result<()> {
    let documents = snapshot.searcher.num_docs();
    let word_fields = [fields.body, fields.questions, fields.tag_words];
    let mut seen: Vec<&[String]> = Vec::new();
    for translations in translated {
        if seen.contains(&translations) {
            continue;
        }
        seen.push(translations);
        let mut group = TranslationGroup::default();
        let mut together = 0;
        for text in translations {
            let mut words = Vec::new();
            for term in analysis::word_terms(text).into_iter().filter(|term| !crate::text::segment::is_stop_word(term)) {
                words.push((holding(&snapshot.searcher, &word_fields, &term)?, term));
            }
            let rarest = words.iter().map(|(count, _)| *count).min().unwrap_or(0);
            if rarest > 0 {
                together += rarest;
                group.translations.push(Translation {
                    words,
                    pairs: analysis::bigram_terms(text),
                    characters: analysis::content_characters(text),
                });
            }
        }
        if group.translations.is_empty() {
            continue;
        }
        group.idf = idf(documents, together);
        found.full += group.idf * weights.translation;
        for (count, term) in group.translations.iter().flat_map(|translation| &translation.words) {
            if !found.terms.iter().any(|other| other.term == *term) {
                let (term, idf) = (term.clone(), idf(documents, *count));
                found.terms.push(QueryTerm { term, source: TermSource::Translation, weight: weights.translation, idf });
            }
        }
        found.groups.push(group);
    }
    Ok(())
}

/// Known words at one edit (two from eight letters on) from an unknown one, nearest first.
fn corrections(vocabulary: &Vocabulary, word: &str) -> Vec<String> {
    let length = word.chars().count();
    if length < 4 || !word.is_ascii() {
        return Vec::new();
    }
    let limit = if length >= 8 { 2 } else { 1 };
    let mut near: Vec<(usize, &String)> = vocabulary
        .near(word, limit)
        .map(|known| (strsim::osa_distance(known, word), known))
        .filter(|(distance, _)| *distance <= limit)
        .collect();
    near.sort();
    near.into_iter().take(MAX_CORRECTIONS).map(|(_, known)| known.clone()).collect()
}

/// The sound terms of a query and the score of a full match by sound.
pub(super) fn sound_terms(
    snapshot: &Snapshot,
    fields: &Fields,
    parsed: &ParsedQuery,
    weights: &FieldWeights,
) -> Result<QueryTerms> {
    let mut found = QueryTerms::default();
    let mut terms = analysis::chinese_sounds(&parsed.folded);
    for word in parsed.words.iter().filter(|word| !word.han) {
        // an English word that is known was recognised; only unknown ones may be another by sound
        if holding(&snapshot.searcher, &[fields.body, fields.questions], &word.term)? == 0 {
            terms.extend(analysis::english_sound(&word.folded));
        }
    }
    terms.sort();
    terms.dedup();
    for term in terms {
        let count = holding(&snapshot.searcher, &[fields.sound], &term)?;
        let idf = idf(snapshot.searcher.num_docs(), count);
        found.full += if count > 0 { idf } else { idf * UNKNOWN_SHARE };
        if count > 0 {
            found.terms.push(QueryTerm { term, source: TermSource::Sound, weight: weights.sound, idf });
        }
    }
    found.full *= FULL_MATCH * 2.0;
    Ok(found)
}

/// The scoring clauses of word terms.
pub(super) fn word_clauses(found: &QueryTerms, documents: u64, fields: &Fields, weights: &FieldWeights) -> Clauses {
    let by_field = [
        (fields.title, weights.title),
        (fields.questions, weights.questions),
        (fields.body, weights.body),
        (fields.tag_words, weights.tags),
    ];
    let mut clauses: Clauses = Vec::new();
    for term in found.terms.iter().filter(|term| term.source != TermSource::Translation) {
        for (field, weight) in by_field {
            clauses.push(clause(field, &term.term, weight * term.weight));
        }
    }
    if weights.characters > 0.0 {
        clauses.extend(found.characters.iter().map(|character| clause(fields.characters, character, weights.characters)));
    }
    clauses.extend(found.bigrams.iter().map(|pair| clause(fields.bigrams, pair, weights.bigrams)));
    for group in &found.groups {
        let translations =
            group.translations.iter().map(|translation| translated(translation, group.idf, documents, fields, weights));
        clauses.push((Occur::Should, Box::new(DisjunctionMaxQuery::with_tie_breaker(translations.collect(), TIE_BREAKER))));
    }
    clauses
}

/// The scoring clauses of one translation, as rare as its whole group.
fn translated(
    translation: &Translation,
    group_idf: f32,
    documents: u64,
    fields: &Fields,
    weights: &FieldWeights,
) -> Box<dyn Query> {
    let by_field = [
        (fields.title, weights.title),
        (fields.questions, weights.questions),
        (fields.body, weights.body),
        (fields.tag_words, weights.tags),
    ];
    let mut clauses: Clauses = Vec::new();
    let share = weights.translation / translation.words.len().max(1) as f32;
    for (count, word) in &translation.words {
        let as_rare = group_idf / idf(documents, *count).max(0.1);
        clauses.extend(by_field.map(|(field, weight)| clause(field, word, weight * share * as_rare)));
    }
    clauses.extend(translation.pairs.iter().map(|pair| clause(fields.bigrams, pair, weights.bigrams * weights.translation)));
    let characters = translation.characters.iter();
    clauses.extend(characters.map(|c| clause(fields.characters, c, weights.characters * weights.translation)));
    Box::new(BooleanQuery::new(clauses))
}

/// The scoring clauses of sound terms.
pub(super) fn sound_clauses(found: &QueryTerms, fields: &Fields) -> Clauses {
    found.terms.iter().map(|term| clause(fields.sound, &term.term, 1.0)).collect()
}

fn clause(field: Field, term: &str, weight: f32) -> (Occur, Box<dyn Query>) {
    let query = TermQuery::new(Term::from_field_text(field, term), IndexRecordOption::WithFreqs);
    (Occur::Should, Box::new(BoostQuery::new(Box::new(query), weight)))
}

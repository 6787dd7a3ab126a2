//! The full-text side: a tantivy index with BM25 over fields of several weights.
//!
//! Texts are cut into terms by [`super::analysis`] and handed over ready, so that documents and queries agree. BM25 with
//! k1 = 1.2 and b = 0.75 (Robertson, Zaragoza, *The Probabilistic Relevance Framework*, 2009).

use std::collections::BTreeSet;
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tantivy::indexer::NoMergePolicy;
use tantivy::schema::{Field, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions, Value};
use tantivy::tokenizer::{PreTokenizedString, Token};
use tantivy::{DocAddress, DocSet, Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, TERMINATED, TantivyDocument, Term};

use crate::conversation::Language;

use super::analysis;
use super::chunk::Passage;
use super::document::{Document, DocumentKind, OPEN_TO_ALL};
use super::query::SearchRequest;
use super::vocabulary::Vocabulary;
use super::{KnowledgeError, Result};

/// Memory of a writer in bytes; the least that tantivy takes.
const WRITER_BYTES: usize = 20_000_000;
/// Memory of a writer that writes everything anew, in bytes.
const WHOLE_WRITER_BYTES: usize = 80_000_000;
/// Passages that are cut into terms before the writer takes them.
const ANALYSED_AT_ONCE: usize = 512;
/// Distance of positions between parts of a document, so that no phrase reaches over.
const PART_GAP: usize = 10;

/// A passage as stored in the index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredPassage {
    /// `psg_…`
    pub passage_id: String,
    /// `doc_…`
    pub document_id: String,
    /// Version of the document.
    pub version: u32,
    /// Title of the document.
    pub title: String,
    /// Headings above the passage.
    pub headings: Vec<String>,
    /// Plain text.
    pub text: String,
    /// What the document is for.
    pub kind: DocumentKind,
    /// Its language.
    pub language: Language,
    /// Its place in the taxonomy.
    pub category: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Intents of the taxonomy that it answers.
    #[serde(default)]
    pub intents: Vec<String>,
}

/// Handles of the fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub(super) title: Field,
    pub(super) questions: Field,
    pub(super) body: Field,
    pub(super) tag_words: Field,
    pub(super) bigrams: Field,
    pub(super) sound: Field,
    pub(super) characters: Field,
    passage_id: Field,
    document_id: Field,
    pub(super) queues: Field,
    pub(super) audience: Field,
    pub(super) language: Field,
    pub(super) kind: Field,
    pub(super) category: Field,
    pub(super) tags: Field,
    pub(super) effective_from: Field,
    pub(super) expires_at: Field,
    stored: Field,
}

pub(super) struct LexicalIndex {
    index: Index,
    reader: IndexReader,
    pub(super) fields: Fields,
}

/// One state of the index, unchanged while others write.
pub(super) struct Snapshot {
    pub(super) searcher: Searcher,
    /// English terms, sorted: where corrections of typing errors come from.
    pub(super) vocabulary: Vocabulary,
    /// Counter of commits.
    pub(super) version: u64,
    /// Latest start and earliest end over all passages, seconds.
    pub(super) validity: (i64, i64),
}

fn schema() -> (Schema, Fields) {
    let mut builder = Schema::builder();
    let words = |record| {
        TextOptions::default().set_indexing_options(TextFieldIndexing::default().set_tokenizer("raw").set_index_option(record))
    };
    let frequencies = words(IndexRecordOption::WithFreqs);
    let fields = Fields {
        title: builder.add_text_field("title", frequencies.clone()),
        questions: builder.add_text_field("questions", frequencies.clone()),
        body: builder.add_text_field("body", frequencies.clone()),
        tag_words: builder.add_text_field("tag_words", frequencies.clone()),
        bigrams: builder.add_text_field("bigrams", frequencies.clone()),
        sound: builder.add_text_field("sound", frequencies),
        characters: builder.add_text_field("characters", words(IndexRecordOption::WithFreqsAndPositions)),
        passage_id: builder.add_text_field("passage_id", STRING),
        document_id: builder.add_text_field("document_id", STRING),
        queues: builder.add_text_field("queues", STRING),
        audience: builder.add_text_field("audience", STRING),
        language: builder.add_text_field("language", STRING),
        kind: builder.add_text_field("kind", STRING),
        category: builder.add_text_field("category", STRING),
        tags: builder.add_text_field("tags", STRING),
        effective_from: builder.add_i64_field("effective_from", tantivy::schema::FAST),
        expires_at: builder.add_i64_field("expires_at", tantivy::schema::FAST),
        stored: builder.add_text_field("stored", STORED),
    };
    (builder.build(), fields)
}

impl LexicalIndex {
    /// Opens the index in a directory, or makes an empty one there. Checksums of all files are verified.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let (schema, fields) = schema();
        let index = if dir.join("meta.json").exists() {
            let index = Index::open_in_dir(dir)?;
            let damaged = index.validate_checksum()?;
            if let Some(file) = damaged.iter().next() {
                let problem = format!("file {} is damaged", file.display());
                return Err(KnowledgeError::Lexical(tantivy::TantivyError::SystemError(problem)));
            }
            if index.schema() != schema {
                return Err(KnowledgeError::Lexical(tantivy::TantivyError::SchemaError("fields of another version".to_owned())));
            }
            index
        } else {
            std::fs::create_dir_all(dir).map_err(|error| KnowledgeError::file(dir, error))?;
            Index::create_in_dir(dir, schema)?
        };
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { index, reader, fields })
    }

    pub(super) fn snapshot(&self) -> Result<Snapshot> {
        self.reader.reload()?;
        let searcher = self.reader.searcher();
        let payload = self.index.load_metas()?.payload.unwrap_or_default();
        let mut vocabulary = BTreeSet::new();
        let mut validity = (i64::MIN, i64::MAX);
        for segment in searcher.segment_readers() {
            let inverted = segment.inverted_index(self.fields.body)?;
            let mut terms = inverted.terms().stream().map_err(tantivy::TantivyError::from)?;
            while terms.advance() {
                let word = std::str::from_utf8(terms.key()).unwrap_or_default();
                if word.len() >= 4 && word.bytes().all(|b| b.is_ascii_lowercase()) {
                    vocabulary.insert(word.to_owned());
                }
            }
            let columns = segment.fast_fields();
            validity.0 = validity.0.max(columns.i64("effective_from")?.max_value());
            validity.1 = validity.1.min(columns.i64("expires_at")?.min_value());
        }
        Ok(Snapshot { searcher, vocabulary: Vocabulary::new(vocabulary), version: payload.parse().unwrap_or(0), validity })
    }

    /// Writes in one commit: deletes what is named, adds passages. Readers see all of it or nothing. A new whole is one
    /// segment afterwards: every term is then looked up once, and equal documents give an equal order.
    pub(super) fn write(&self, delete: Delete<'_>, add: &[(&Document, Vec<Passage>)], version: u64) -> Result<()> {
        let whole = matches!(delete, Delete::Everything);
        let mut writer: IndexWriter =
            self.index.writer_with_num_threads(1, if whole { WHOLE_WRITER_BYTES } else { WRITER_BYTES })?;
        match delete {
            Delete::Everything => {
                writer.set_merge_policy(Box::new(NoMergePolicy));
                writer.delete_all_documents()?;
            }
            Delete::Document(id) => {
                writer.delete_term(Term::from_field_text(self.fields.document_id, id));
            }
        }
        let passages: Vec<(&Document, &Passage)> =
            add.iter().flat_map(|(document, passages)| passages.iter().map(|passage| (*document, passage))).collect();
        for batch in passages.chunks(ANALYSED_AT_ONCE) {
            let made: Vec<Result<TantivyDocument>> =
                batch.par_iter().map(|(document, passage)| self.tantivy_document(document, passage)).collect();
            for document in made {
                writer.add_document(document?)?;
            }
        }
        let mut commit = writer.prepare_commit()?;
        commit.set_payload(&version.to_string());
        commit.commit()?;
        if whole {
            let segments = self.index.searchable_segment_ids()?;
            if segments.len() > 1 {
                writer.merge(&segments).wait()?;
            }
        }
        writer.wait_merging_threads()?;
        Ok(())
    }

    fn tantivy_document(&self, document: &Document, passage: &Passage) -> Result<TantivyDocument> {
        let (fields, content) = (&self.fields, &document.content);
        let questions = content.questions.join("\n");
        let whole = format!("{}\n{}\n{}", content.title, passage.headings.join("\n"), passage.text);
        let tags = format!("{} {}", content.tags.join(" "), content.category.as_deref().unwrap_or_default().replace('/', " "));
        let mut out = TantivyDocument::new();
        out.add_pre_tokenized_text(fields.title, ready(&[analysis::word_terms(&content.title)]));
        out.add_pre_tokenized_text(fields.questions, ready(&[analysis::word_terms(&questions)]));
        out.add_pre_tokenized_text(fields.body, ready(&[analysis::word_terms(&whole)]));
        out.add_pre_tokenized_text(fields.tag_words, ready(&[analysis::word_terms(&tags)]));
        out.add_pre_tokenized_text(fields.bigrams, ready(&[analysis::bigram_terms(&whole), analysis::bigram_terms(&questions)]));
        out.add_pre_tokenized_text(fields.sound, ready(&[analysis::sound_terms(&whole), analysis::sound_terms(&questions)]));
        let parts: Vec<Vec<String>> =
            [&whole, &questions].iter().flat_map(|text| text.lines().map(analysis::character_terms)).collect();
        out.add_pre_tokenized_text(fields.characters, ready(&parts));
        for (field, values) in [(fields.queues, &content.queues), (fields.audience, &content.audience)] {
            for value in open_values(values) {
                out.add_text(field, value);
            }
        }
        out.add_text(fields.passage_id, &passage.passage_id);
        out.add_text(fields.document_id, &document.document_id);
        out.add_text(fields.language, content.language.name());
        out.add_text(fields.kind, content.kind.name());
        out.add_text(fields.category, content.category.as_deref().unwrap_or_default());
        for tag in &content.tags {
            out.add_text(fields.tags, tag);
        }
        let (from, until) = validity_s(document);
        out.add_i64(fields.effective_from, from);
        out.add_i64(fields.expires_at, until);
        let stored = StoredPassage {
            passage_id: passage.passage_id.clone(),
            document_id: document.document_id.clone(),
            version: document.version,
            title: content.title.clone(),
            headings: passage.headings.clone(),
            text: passage.text.clone(),
            kind: content.kind,
            language: content.language,
            category: content.category.clone(),
            tags: content.tags.clone(),
            intents: content.intents.clone(),
        };
        out.add_text(fields.stored, serde_json::to_string(&stored)?);
        Ok(out)
    }

    /// Reads a passage back.
    pub(super) fn stored(&self, searcher: &Searcher, address: DocAddress) -> Result<StoredPassage> {
        let document: TantivyDocument = searcher.doc(address)?;
        let text = document.get_first(self.fields.stored).and_then(|value| value.as_str()).unwrap_or_default();
        Ok(serde_json::from_str(text)?)
    }

    /// The documents of which a snapshot holds passages.
    pub(super) fn document_ids(&self, searcher: &Searcher) -> Result<BTreeSet<String>> {
        let mut ids = BTreeSet::new();
        for segment in searcher.segment_readers() {
            let inverted = segment.inverted_index(self.fields.document_id)?;
            let mut terms = inverted.terms().stream().map_err(tantivy::TantivyError::from)?;
            while terms.advance() {
                let id = std::str::from_utf8(terms.key()).unwrap_or_default();
                let term = Term::from_field_text(self.fields.document_id, id);
                let found = inverted.read_postings(&term, IndexRecordOption::Basic).map_err(tantivy::TantivyError::from)?;
                let Some(mut postings) = found else { continue };
                // passages that were taken out stay in the postings until segments are merged
                while postings.doc() != TERMINATED && segment.is_deleted(postings.doc()) {
                    postings.advance();
                }
                if postings.doc() != TERMINATED {
                    ids.insert(id.to_owned());
                }
            }
        }
        Ok(ids)
    }

    /// The place of a passage in a snapshot; `None` if it is not there (any more).
    pub(super) fn find(&self, searcher: &Searcher, passage_id: &str) -> Result<Option<DocAddress>> {
        let term = Term::from_field_text(self.fields.passage_id, passage_id);
        for (number, segment) in (0..).zip(searcher.segment_readers()) {
            let inverted = segment.inverted_index(self.fields.passage_id)?;
            let found = inverted.read_postings(&term, IndexRecordOption::Basic).map_err(tantivy::TantivyError::from)?;
            let Some(mut postings) = found else { continue };
            while postings.doc() != TERMINATED {
                if !segment.is_deleted(postings.doc()) {
                    return Ok(Some(DocAddress::new(number, postings.doc())));
                }
                postings.advance();
            }
        }
        Ok(None)
    }
}

/// What a commit takes away first.
#[derive(Clone, Copy)]
pub(super) enum Delete<'a> {
    /// All passages.
    Everything,
    /// The passages of one document.
    Document(&'a str),
}

/// The moment of a request in seconds.
pub(super) fn as_of_s(request: &SearchRequest) -> i64 {
    request.as_of.unwrap_or_else(chrono::Utc::now).timestamp()
}

/// First and last second in which a document is found; the last one is not included.
pub(super) fn validity_s(document: &Document) -> (i64, i64) {
    let content = &document.content;
    (
        content.effective_from.map_or(0, |moment| moment.timestamp()),
        content.expires_at.map_or(i64::MAX, |moment| moment.timestamp()),
    )
}

/// The values of a row filter; none means open to all.
pub(super) fn open_values(values: &[String]) -> Vec<&str> {
    if values.is_empty() { vec![OPEN_TO_ALL] } else { values.iter().map(String::as_str).collect() }
}

/// Terms as tantivy takes them; positions leave a gap between parts.
fn ready(parts: &[Vec<String>]) -> PreTokenizedString {
    let (mut tokens, mut position) = (Vec::new(), 0);
    for part in parts {
        for term in part {
            tokens.push(Token { offset_from: 0, offset_to: 0, position, text: term.clone(), position_length: 1 });
            position += 1;
        }
        position += PART_GAP;
    }
    PreTokenizedString { text: String::new(), tokens }
}

//! The index: opens and rebuilds itself, writes documents, answers searches.

use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use crate::inference::CrossEncoder;

use super::bilingual::Bilingual;
use super::chunk::{Passage, passage_id, passages};
use super::config::{KnowledgeConfig, VectorBackend};
use super::document::Document;
use super::gaps::Miss;
use super::learning::Learned;
use super::lexical::{Delete, LexicalIndex, Snapshot, StoredPassage, open_values, validity_s};
use super::synonym::Synonyms;
use super::vector::{EmbeddedVectors, ServerVectors, VectorIndex, VectorPoint};
use super::{KnowledgeError, Result};

/// Version of the fields and files; a directory of another version is rebuilt.
const SCHEMA_VERSION: u32 = 2;
/// Texts handed to the embedding function at once.
const EMBED_BATCH: usize = 256;

/// Makes vectors of texts, one each, of the configured length.
pub type Embed<'a> = &'a dyn Fn(&[&str]) -> std::result::Result<Vec<Vec<f32>>, Box<dyn std::error::Error + Send + Sync>>;

/// Takes questions without a good answer; must return at once.
pub type MissSink = Box<dyn Fn(Miss) + Send + Sync>;

/// Why the documents have to be indexed again with [`KnowledgeIndex::replace_all`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RebuildReason {
    /// There was no index, or its first build did not end.
    New,
    /// The index was written by another version of this program.
    OtherSchema {
        /// The version found.
        found: u32,
    },
    /// The vectors were made by another model or have another length.
    OtherModel {
        /// Model and length found.
        found: String,
    },
    /// Files are missing or damaged.
    Torn {
        /// What was found.
        detail: String,
    },
}

/// What a write did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct IndexReport {
    /// Documents written.
    pub documents: usize,
    /// Passages written.
    pub passages: usize,
    /// The state of the index in which they are found.
    pub index_version: u64,
    /// Parts that could not be written: `dense`.
    pub degraded: Vec<String>,
}

/// What the index directory says of itself; written when a build is complete.
#[derive(Serialize, Deserialize)]
struct Format {
    schema: u32,
    dimension: usize,
    embedding_model: String,
}

/// Full text and vectors of published documents. Share it in an `Arc`; all methods take `&self`.
///
/// Searches read a snapshot and never wait for a write. The index keeps nothing that cannot be made again from the
/// documents, which are kept elsewhere.
pub struct KnowledgeIndex {
    dir: PathBuf,
    pub(super) config: KnowledgeConfig,
    pub(super) lexical: LexicalIndex,
    pub(super) vectors: Option<Box<dyn VectorIndex>>,
    pub(super) synonyms: Synonyms,
    pub(super) bilingual: Bilingual,
    pub(super) reranker: Option<Arc<CrossEncoder>>,
    learned: RwLock<Arc<Learned>>,
    miss_sink: RwLock<Option<MissSink>>,
    snapshot: RwLock<Arc<Snapshot>>,
    writing: Mutex<()>,
    rebuild: Mutex<Option<RebuildReason>>,
}

impl KnowledgeIndex {
    /// Opens the index in a directory. A directory that is new, damaged or of another version is emptied and the index
    /// says so in [`Self::needs_rebuild`].
    ///
    /// # Errors
    /// [`KnowledgeError::File`] if the directory cannot be written, [`KnowledgeError::Synonyms`] for a wrong synonym file,
    /// [`KnowledgeError::Vector`] for a wrong server address, [`KnowledgeError::Reranker`] for a folder without a cross-encoder.
    pub fn open(dir: &Path, config: KnowledgeConfig) -> Result<Self> {
        let synonyms = config.synonyms.as_deref().map(Synonyms::load).transpose()?.unwrap_or_default();
        let bilingual = config.bilingual.as_deref().map(Bilingual::load).transpose()?.unwrap_or_default();
        let reranker = config.rerank.as_deref().map(CrossEncoder::load).transpose();
        let reranker = reranker.map_err(|error| KnowledgeError::Reranker { problem: error.to_string() })?.map(Arc::new);
        std::fs::create_dir_all(dir).map_err(|error| KnowledgeError::file(dir, error))?;
        let mut reason = check_format(dir, &config);
        let opened = match reason {
            // damaged files may make the engines panic; that is an answer here, not the end of the process
            None => catch_unwind(AssertUnwindSafe(|| open_parts(dir, &config)))
                .unwrap_or_else(|_| Err(KnowledgeError::vector("a file is damaged"))),
            Some(_) => Err(KnowledgeError::vector("rebuild")),
        };
        let (lexical, vectors, snapshot) = match opened {
            Ok(parts) => parts,
            Err(error) => {
                reason.get_or_insert(RebuildReason::Torn { detail: error.to_string() });
                clear(dir)?;
                open_parts(dir, &config)?
            }
        };
        if let Some(reason) = &reason {
            tracing::info!(?reason, "knowledge index has to be built");
        }
        Ok(Self {
            dir: dir.to_owned(),
            config,
            lexical,
            vectors,
            synonyms,
            bilingual,
            reranker,
            learned: RwLock::default(),
            miss_sink: RwLock::default(),
            snapshot: RwLock::new(Arc::new(snapshot)),
            writing: Mutex::new(()),
            rebuild: Mutex::new(reason),
        })
    }

    /// Whether every document has to be indexed again, and why. Until then searches find little or nothing.
    pub fn needs_rebuild(&self) -> Option<RebuildReason> {
        self.rebuild.lock().clone()
    }

    /// Makes the index hold exactly these documents. Readers see the old state until the new one is complete. Without an
    /// embedding function (or if it fails) the words are indexed all the same and the report says `dense`.
    ///
    /// # Errors
    /// [`KnowledgeError::Lexical`], [`KnowledgeError::File`].
    pub fn replace_all(&self, documents: &[Document], embed: Option<Embed<'_>>) -> Result<IndexReport> {
        let _writing = self.writing.lock();
        let report = self.write(Delete::Everything, &last_of_each(documents), embed)?;
        let format = Format {
            schema: SCHEMA_VERSION,
            dimension: self.config.dimension,
            embedding_model: self.config.embedding_model.clone(),
        };
        write_format(&self.dir, &format)?;
        *self.rebuild.lock() = None;
        Ok(report)
    }

    /// Adds a document or replaces its earlier version.
    ///
    /// # Errors
    /// See [`Self::replace_all`].
    pub fn upsert(&self, document: &Document, embed: Option<Embed<'_>>) -> Result<IndexReport> {
        let _writing = self.writing.lock();
        self.write(Delete::Document(&document.document_id), &[document], embed)
    }

    /// Takes a document out and gives the new index version. A document that is not there is no error.
    ///
    /// # Errors
    /// [`KnowledgeError::Lexical`].
    pub fn remove(&self, document_id: &str) -> Result<u64> {
        let _writing = self.writing.lock();
        Ok(self.write(Delete::Document(document_id), &[], None)?.index_version)
    }

    /// Whether it holds these versions of these documents and no other document.
    ///
    /// # Errors
    /// [`KnowledgeError::Lexical`].
    pub fn holds_exactly(&self, documents: &[Document]) -> Result<bool> {
        let snapshot = self.snapshot();
        for document in documents {
            let first = passage_id(&document.document_id, document.version, 0);
            if self.lexical.find(&snapshot.searcher, &first)?.is_none() {
                return Ok(false);
            }
        }
        let wanted: BTreeSet<&str> = documents.iter().map(|document| document.document_id.as_str()).collect();
        let held = self.lexical.document_ids(&snapshot.searcher)?;
        Ok(held.iter().all(|id| wanted.contains(id.as_str())))
    }

    /// A passage by its id.
    ///
    /// # Errors
    /// [`KnowledgeError::Lexical`].
    pub fn passage(&self, passage_id: &str) -> Result<Option<StoredPassage>> {
        let snapshot = self.snapshot();
        let address = self.lexical.find(&snapshot.searcher, passage_id)?;
        address.map(|address| self.lexical.stored(&snapshot.searcher, address)).transpose()
    }

    /// The state of the index: grows with every write, across rebuilds too (milliseconds of the wall clock at least).
    pub fn index_version(&self) -> u64 {
        self.snapshot().version
    }

    /// How many passages there are.
    pub fn passage_count(&self) -> u64 {
        self.snapshot().searcher.num_docs()
    }

    /// How many vectors there are; `None` without a vector side.
    ///
    /// # Errors
    /// [`KnowledgeError::Vector`].
    pub fn vector_count(&self) -> Result<Option<usize>> {
        self.vectors.as_ref().map(|vectors| vectors.count()).transpose()
    }

    /// From now on searches rank by what was learned.
    pub fn set_learned(&self, learned: Learned) {
        *self.learned.write() = Arc::new(learned);
    }

    /// From now on questions without a good answer go here.
    pub fn on_miss(&self, sink: MissSink) {
        *self.miss_sink.write() = Some(sink);
    }

    /// Hands on a question without a good answer; without a sink it is dropped.
    pub fn report_miss(&self, miss: Miss) {
        if let Some(sink) = self.miss_sink.read().as_ref() {
            sink(miss);
        }
    }

    /// The cross-encoder that orders the best passages, if one is configured.
    pub fn reranker(&self) -> Option<Arc<CrossEncoder>> {
        self.reranker.clone()
    }

    /// What was learned.
    pub fn learned(&self) -> Arc<Learned> {
        Arc::clone(&self.learned.read())
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read())
    }

    /// One write: vectors first, then the words in one commit, then the old vectors go. A crash in between leaves vectors
    /// without words, which searches pass over and the next write removes.
    fn write(&self, delete: Delete<'_>, documents: &[&Document], embed: Option<Embed<'_>>) -> Result<IndexReport> {
        let clock_ms = u64::try_from(chrono::Utc::now().timestamp_millis()).unwrap_or(0);
        let version = clock_ms.max(self.snapshot().version + 1);
        let cut: Vec<(&Document, Vec<Passage>)> =
            documents.iter().map(|document| (*document, passages(document, self.config.passage_width))).collect();
        let mut degraded = Vec::new();
        if let Err(error) = self.write_vectors(&cut, embed, version) {
            tracing::warn!(%error, "vectors not written");
            degraded.push("dense".to_owned());
        }
        self.lexical.write(delete, &cut, version)?;
        *self.snapshot.write() = Arc::new(self.lexical.snapshot()?);
        if let Some(vectors) = &self.vectors {
            let only = match delete {
                Delete::Everything => None,
                Delete::Document(id) => Some(id),
            };
            let cleaned = vectors.delete_older(only, version).and_then(|()| vectors.settle());
            if let Err(error) = cleaned {
                tracing::warn!(%error, "old vectors not removed");
            }
        }
        let passages = cut.iter().map(|(_, passages)| passages.len()).sum();
        Ok(IndexReport { documents: documents.len(), passages, index_version: version, degraded })
    }

    fn write_vectors(&self, cut: &[(&Document, Vec<Passage>)], embed: Option<Embed<'_>>, generation: u64) -> Result<()> {
        let Some(vectors) = &self.vectors else { return Ok(()) };
        let items: Vec<(&Document, &Passage)> =
            cut.iter().flat_map(|(document, passages)| passages.iter().map(|passage| (*document, passage))).collect();
        if items.is_empty() {
            return Ok(());
        }
        let embed = embed.ok_or_else(|| KnowledgeError::Embedding { problem: "no embedding function".to_owned() })?;
        for batch in items.chunks(EMBED_BATCH) {
            let texts: Vec<String> = batch.iter().map(|(document, passage)| embedded_text(document, passage)).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let made = embed(&texts).map_err(|error| KnowledgeError::Embedding { problem: error.to_string() })?;
            if made.len() != batch.len() {
                let problem = format!("{} vectors for {} texts", made.len(), batch.len());
                return Err(KnowledgeError::Embedding { problem });
            }
            let points: Vec<VectorPoint> = batch
                .iter()
                .zip(made)
                .map(|((document, passage), vector)| point(document, passage, vector, generation))
                .collect();
            vectors.upsert(&points)?;
        }
        Ok(())
    }
}

/// What the vector of a passage is made of: title and questions lead, since questions of customers resemble them.
fn embedded_text(document: &Document, passage: &Passage) -> String {
    let content = &document.content;
    format!("{}\n{}\n{}", content.title, content.questions.join("\n"), passage.text)
}

fn point(document: &Document, passage: &Passage, vector: Vec<f32>, generation: u64) -> VectorPoint {
    let content = &document.content;
    let owned = |values: Vec<&str>| values.into_iter().map(str::to_owned).collect();
    let (effective_from_s, expires_at_s) = validity_s(document);
    VectorPoint {
        passage_id: passage.passage_id.clone(),
        document_id: document.document_id.clone(),
        vector,
        queues: owned(open_values(&content.queues)),
        audience: owned(open_values(&content.audience)),
        language: content.language.name().to_owned(),
        kind: content.kind.name().to_owned(),
        category: content.category.clone().unwrap_or_default(),
        tags: content.tags.clone(),
        effective_from_s,
        expires_at_s,
        generation,
    }
}

/// The documents in their order; of several with one id the last.
fn last_of_each(documents: &[Document]) -> Vec<&Document> {
    let last: HashMap<&str, usize> =
        documents.iter().enumerate().map(|(position, document)| (document.document_id.as_str(), position)).collect();
    documents
        .iter()
        .enumerate()
        .filter(|(position, document)| last[document.document_id.as_str()] == *position)
        .map(|(_, d)| d)
        .collect()
}

type Parts = (LexicalIndex, Option<Box<dyn VectorIndex>>, Snapshot);

fn open_parts(dir: &Path, config: &KnowledgeConfig) -> Result<Parts> {
    let lexical = LexicalIndex::open(&dir.join("text"))?;
    let vectors: Option<Box<dyn VectorIndex>> = match &config.vector {
        VectorBackend::None => None,
        VectorBackend::Embedded => Some(Box::new(EmbeddedVectors::open(&dir.join("vectors"), config.dimension)?)),
        VectorBackend::Server(server) => Some(Box::new(ServerVectors::connect(server, config.dimension)?)),
    };
    let snapshot = lexical.snapshot()?;
    Ok((lexical, vectors, snapshot))
}

/// Why the directory cannot be used as it is.
fn check_format(dir: &Path, config: &KnowledgeConfig) -> Option<RebuildReason> {
    let Ok(text) = std::fs::read_to_string(dir.join("format.json")) else { return Some(RebuildReason::New) };
    let format: Format = match serde_json::from_str(&text) {
        Ok(format) => format,
        Err(error) => return Some(RebuildReason::Torn { detail: format!("format.json: {error}") }),
    };
    if format.schema != SCHEMA_VERSION {
        return Some(RebuildReason::OtherSchema { found: format.schema });
    }
    let other_model = format.dimension != config.dimension || format.embedding_model != config.embedding_model;
    if other_model && config.vector != VectorBackend::None {
        return Some(RebuildReason::OtherModel { found: format!("{} ({})", format.embedding_model, format.dimension) });
    }
    if !dir.join("text").join("meta.json").exists() {
        return Some(RebuildReason::Torn { detail: "text/meta.json is missing".to_owned() });
    }
    if config.vector == VectorBackend::Embedded && !dir.join("vectors").join("segments").exists() {
        return Some(RebuildReason::Torn { detail: "vectors/segments is missing".to_owned() });
    }
    None
}

/// Takes away what an index wrote, and nothing else.
fn clear(dir: &Path) -> Result<()> {
    let gone = |path: PathBuf, result: std::io::Result<()>| match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(KnowledgeError::file(&path, error)),
        _ => Ok(()),
    };
    let format = dir.join("format.json");
    let removed = std::fs::remove_file(&format);
    gone(format, removed)?;
    for part in ["text", "vectors"] {
        let path = dir.join(part);
        let removed = std::fs::remove_dir_all(&path);
        gone(path, removed)?;
    }
    Ok(())
}

/// Written beside and renamed, so that it is there whole or not at all.
fn write_format(dir: &Path, format: &Format) -> Result<()> {
    let (beside, path) = (dir.join("format.json.new"), dir.join("format.json"));
    std::fs::write(&beside, serde_json::to_vec(format)?).map_err(|error| KnowledgeError::file(&beside, error))?;
    std::fs::rename(&beside, &path).map_err(|error| KnowledgeError::file(&path, error))
}

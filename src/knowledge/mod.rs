//! Knowledge: articles, their life-cycle, and finding the passage that answers.
//!
//! ```text
//! file -> import -> DocumentContent -> History (draft, review, published, archived)
//!                                         | published()
//!                                         v
//!      Document -> passages -> words, sounds (tantivy) + vectors (Qdrant) -> KnowledgeIndex
//!      SearchRequest -> words (+ sounds if weak) + vectors -> fusion -> PassageHit with citation
//! ```
//!
//! The index keeps nothing that cannot be made again from the documents; the store keeps the documents.
//!
//! ```
//! use zhiyin::conversation::Language;
//! use zhiyin::knowledge::{Document, DocumentContent, KnowledgeConfig, KnowledgeIndex, SearchRequest, VectorBackend};
//!
//! let dir = tempfile::tempdir().unwrap();
//! let config = KnowledgeConfig { vector: VectorBackend::None, ..KnowledgeConfig::default() };
//! let index = KnowledgeIndex::open(dir.path(), config).unwrap();
//! let content = DocumentContent {
//!     title: "退款多久到账".into(),
//!     language: Language::Zh,
//!     body: "审核通过后，退款一至三个工作日原路退回。".into(),
//!     ..DocumentContent::default()
//! };
//! let document = Document { document_id: "doc_1".into(), version: 1, content };
//! index.replace_all(&[document], None).unwrap();
//! let answer = index.search(&SearchRequest::new("我的退宽什么时候到帐"), None).unwrap();
//! assert_eq!(answer.passages[0].title, "退款多久到账");
//! ```

mod analysis;
mod bilingual;
mod chunk;
mod citation;
mod conditions;
mod config;
mod document;
mod docx;
mod duplicates;
mod error;
mod fusion;
mod gaps;
mod html;
mod import;
mod index;
mod inline;
mod learning;
mod lexical;
mod lifecycle;
mod markup;
mod pdf;
mod query;
mod rerank;
mod review;
mod search;
mod season;
mod synonym;
mod terms;
mod vector;
mod vocabulary;

pub use bilingual::Bilingual;
pub use chunk::{Passage, passages};
pub use config::{FieldWeights, Fusion, KnowledgeConfig, QdrantConfig, VectorBackend};
pub use document::{
    BodyFormat, Document, DocumentContent, DocumentKind, MAX_BODY_BYTES, MAX_TITLE_CHARS, OPEN_TO_ALL, VersionState,
    document_id_of,
};
pub use duplicates::{Finding, FindingKind, findings};
pub use error::{KnowledgeError, Result};
pub use gaps::{Gap, GapCluster, GapExample, MAX_GAPS, Miss, cluster, masked};
pub use import::{
    ImportFormat, Imported, ImportedDocument, MAX_IMPORT_BYTES, MAX_SINGLE_BYTES, Rejected, import, import_dir, import_file,
};
pub use index::{Embed, IndexReport, KnowledgeIndex, MissSink, RebuildReason};
pub use learning::{Learned, LearningConfig, Outcome, Use};
pub use lexical::StoredPassage;
pub use lifecycle::{DiffLine, History, Version};
pub use markup::{Block, blocks, sanitise_html};
pub use query::{
    AGENTS, CUSTOMERS, ExplainedTerm, Explanation, Filters, Highlight, MAX_QUERY_CHARS, MAX_TOP_K, Parts, PassageHit, SearchMode,
    SearchRequest, SearchResponse, TermSource,
};
pub use review::{ArticleStats, Review, review};
pub use season::{SEASON_HISTORY_DAYS, Season, Surge};
pub use synonym::Synonyms;
pub use vector::{EmbeddedVectors, ServerVectors, VectorFilter, VectorHit, VectorIndex, VectorPoint};

#[cfg(test)]
mod tests;

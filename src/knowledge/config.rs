//! Settings of the knowledge index.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Settings of the knowledge index; every field has a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KnowledgeConfig {
    /// Length of the vectors.
    pub dimension: usize,
    /// Name and version of the model that makes the vectors; another name asks for a rebuild.
    pub embedding_model: String,
    /// Where vectors are kept and searched.
    pub vector: VectorBackend,
    /// Synonym file (TOML); none: no synonyms.
    pub synonyms: Option<PathBuf>,
    /// Term table of two languages (TOML); none: words find articles of their own language alone.
    pub bilingual: Option<PathBuf>,
    /// How the lexical and the dense ranking become one.
    pub fusion: Fusion,
    /// Weights of the fields in the lexical ranking.
    pub weights: FieldWeights,
    /// Evidence in [0, 1] below which the lexical part also searches by sound.
    pub weak_below: f32,
    /// Share of the best BM25 score below which a passage is left out of the lexical ranking.
    pub tail_below: f32,
    /// Folder of a cross-encoder that orders the best passages anew; none: the order of the fusion stays.
    pub rerank: Option<PathBuf>,
    /// Passages that the cross-encoder reads.
    pub rerank_depth: usize,
    /// Share of the score that is the cross-encoder's.
    pub rerank_share: f32,
    /// Share of the score that is the probability of the intents a document is for; the rest is what the search found.
    pub intent_share: f32,
    /// Candidates that each part contributes to the fusion.
    pub candidates: usize,
    /// How many passages of one document an answer may hold.
    pub max_passages_per_document: usize,
    /// Greatest width of a passage; a Chinese character is two wide, any other one.
    pub passage_width: usize,
}

impl Default for KnowledgeConfig {
    fn default() -> Self {
        Self {
            dimension: 256,
            embedding_model: String::new(),
            vector: VectorBackend::default(),
            synonyms: None,
            bilingual: None,
            fusion: Fusion::default(),
            weights: FieldWeights::default(),
            weak_below: 0.45,
            tail_below: 0.25,
            rerank: None,
            rerank_depth: 20,
            rerank_share: 0.7,
            intent_share: 0.5,
            candidates: 40,
            max_passages_per_document: 2,
            passage_width: 900,
        }
    }
}

/// Weights of the fields in the lexical ranking.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FieldWeights {
    /// The title.
    pub title: f32,
    /// The questions that a document answers.
    pub questions: f32,
    /// Headings and body of the passage.
    pub body: f32,
    /// Tags and category.
    pub tags: f32,
    /// Pairs of neighbouring Chinese characters, across words.
    pub bigrams: f32,
    /// Single Chinese characters: 卡 of 刷卡 is in 信用卡.
    pub characters: f32,
    /// A synonym, relative to the word itself.
    pub synonym: f32,
    /// A translation, relative to the word itself.
    pub translation: f32,
    /// A corrected typing error, relative to the word itself.
    pub typo: f32,
    /// A match by sound, relative to the word itself.
    pub sound: f32,
}

impl Default for FieldWeights {
    fn default() -> Self {
        Self {
            title: 2.0,
            questions: 1.6,
            body: 1.0,
            tags: 1.0,
            bigrams: 0.5,
            characters: 0.4,
            synonym: 0.5,
            translation: 0.6,
            typo: 0.7,
            sound: 0.7,
        }
    }
}

/// How two rankings become one score in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fusion {
    /// Reciprocal rank fusion, sum of 1 / (k + rank) (Cormack, Clarke, Büttcher, SIGIR 2009), divided by its maximum.
    Rrf {
        /// The constant k, usually 60.
        k: f32,
    },
    /// Weighted mean of the two scores in [0, 1]; a passage that one part did not find counts 0 there.
    Weighted {
        /// Weight of the lexical score.
        lexical: f32,
        /// Weight of the dense score.
        dense: f32,
    },
}

impl Default for Fusion {
    fn default() -> Self {
        // chosen on the dev split of the FAQ set (docs/knowledge.md): nDCG@10 0.622, the best reciprocal rank fusion 0.578
        Self::Weighted { lexical: 0.7, dense: 0.3 }
    }
}

/// Where vectors are kept and searched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum VectorBackend {
    /// No vectors: lexical search only.
    None,
    /// In this process, beside the full-text index.
    #[default]
    Embedded,
    /// A Qdrant server or cluster.
    Server(QdrantConfig),
}

/// How to reach a Qdrant server.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QdrantConfig {
    /// gRPC address; `https://` for TLS.
    pub url: String,
    /// API key, never shown.
    #[serde(skip_serializing)]
    pub api_key: Option<String>,
    /// Collection; made if absent.
    pub collection: String,
    /// Limit for a search; writes may take a hundred times as long.
    pub timeout_ms: u64,
    /// Points in one upsert.
    pub batch: usize,
}

impl Default for QdrantConfig {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:6334".to_owned(),
            api_key: None,
            collection: "zhiyin_knowledge".to_owned(),
            timeout_ms: 100,
            batch: 256,
        }
    }
}

impl std::fmt::Debug for QdrantConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QdrantConfig")
            .field("url", &self.url)
            .field("api_key", &self.api_key.as_ref().map(|_| "…"))
            .field("collection", &self.collection)
            .field("timeout_ms", &self.timeout_ms)
            .field("batch", &self.batch)
            .finish()
    }
}

//! The knowledge shelf: documents in the store and their index, kept together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Mutex;

use super::Problem;
use crate::event::now_rfc3339;
use crate::inference::Encoder;
use crate::knowledge::{Document, History, IndexReport, KnowledgeError, KnowledgeIndex};
use crate::store::{DocumentRow, Store, StoreError, Write};

/// Documents and their index. A write is first durable in the store, then in the index; the index can always be made
/// anew from the store. Clones share it.
#[derive(Clone)]
pub struct KnowledgeShelf {
    store: Store,
    index: Arc<KnowledgeIndex>,
    encoder: Encoder,
    learning_wanted: Arc<AtomicBool>,
    /// Held over a write to the store and to the index, so that both see writes in the same order.
    writing: Arc<Mutex<()>>,
}

/// Why a document could not be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The document or the index refused.
    #[error(transparent)]
    Knowledge(#[from] KnowledgeError),
    /// A background thread failed.
    #[error("indexing was interrupted")]
    Interrupted,
}

impl From<ShelfError> for Problem {
    fn from(error: ShelfError) -> Self {
        match error {
            ShelfError::Store(error) => error.into(),
            ShelfError::Knowledge(error) => error.into(),
            ShelfError::Interrupted => Self::new("internal", "indexing was interrupted; the document is kept"),
        }
    }
}

impl From<KnowledgeError> for Problem {
    fn from(error: KnowledgeError) -> Self {
        match &error {
            KnowledgeError::StateConflict { .. } => Self::new("state_conflict", error.to_string()),
            KnowledgeError::NoSuchVersion { .. } => Self::new("not_found", error.to_string()),
            KnowledgeError::InvalidDocument { .. } | KnowledgeError::InvalidSearch { .. } => {
                Self::new("invalid_value", error.to_string())
            }
            _ => {
                tracing::error!(%error, "knowledge");
                Self::new("internal", "the knowledge base could not answer")
            }
        }
    }
}

impl KnowledgeShelf {
    /// A shelf over a store and an index.
    pub fn new(store: Store, index: Arc<KnowledgeIndex>, encoder: Encoder) -> Self {
        Self { store, index, encoder, learning_wanted: Arc::default(), writing: Arc::default() }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// There is something new to learn.
    pub fn want_learning(&self) {
        self.learning_wanted.store(true, Ordering::Release);
    }

    /// Whether there was something new to learn since this was asked last.
    pub fn take_learning_wanted(&self) -> bool {
        self.learning_wanted.swap(false, Ordering::AcqRel)
    }

    /// The index.
    pub fn index(&self) -> &Arc<KnowledgeIndex> {
        &self.index
    }

    /// All documents with their versions.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn all(&self) -> Result<Vec<History>, ShelfError> {
        self.store.documents(None).await?.iter().map(history).collect()
    }

    /// One document with its versions.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn get(&self, document_id: &str) -> Result<Option<History>, ShelfError> {
        self.store.documents(Some(document_id)).await?.first().map(history).transpose()
    }

    /// Keeps documents and brings the index up to date with their published versions. Once begun it comes to its end, also
    /// if the caller goes away.
    ///
    /// # Errors
    /// The store or the index failed.
    pub async fn keep(&self, histories: Vec<History>) -> Result<u64, ShelfError> {
        let shelf = self.clone();
        let done = tokio::spawn(async move {
            let _writing = shelf.writing.lock().await;
            shelf.keep_without_index(&histories).await?;
            let indexing = shelf.clone();
            tokio::task::spawn_blocking(move || indexing.index_all(&histories)).await.map_err(|_| ShelfError::Interrupted)?
        });
        done.await.map_err(|_| ShelfError::Interrupted)?
    }

    fn index_all(&self, histories: &[History]) -> Result<u64, ShelfError> {
        for history in histories {
            let Some(document) = history.published() else {
                self.index.remove(&history.document_id)?;
                continue;
            };
            let report = self.index.upsert(&document, Some(&|texts: &[&str]| self.embed(texts)))?;
            if !report.degraded.is_empty() {
                let (document_id, left_out) = (&history.document_id, &report.degraded);
                tracing::warn!(%document_id, ?left_out, "a document is in the index, but not whole");
            }
        }
        Ok(self.index.index_version())
    }

    /// Keeps documents without touching the index: a rebuild has to follow.
    ///
    /// # Errors
    /// The store failed.
    pub async fn keep_without_index(&self, histories: &[History]) -> Result<(), ShelfError> {
        Ok(self.store.write(histories.iter().map(row).collect()).await?)
    }

    /// Removes a document and all its versions.
    ///
    /// # Errors
    /// The store or the index failed.
    pub async fn purge(&self, document_id: &str) -> Result<(), ShelfError> {
        let (shelf, id) = (self.clone(), document_id.to_owned());
        let done = tokio::spawn(async move {
            let _writing = shelf.writing.lock().await;
            shelf.store.write(vec![Write::PurgeDocument(id.clone())]).await?;
            let index = Arc::clone(&shelf.index);
            tokio::task::spawn_blocking(move || index.remove(&id)).await.map_err(|_| ShelfError::Interrupted)??;
            Ok::<_, ShelfError>(())
        });
        done.await.map_err(|_| ShelfError::Interrupted)?
    }

    /// Whether the index holds the published documents of the store and no other. It does not where the process was killed
    /// between the two writes.
    ///
    /// # Errors
    /// The store or the index cannot be read.
    pub async fn in_step(&self) -> Result<bool, ShelfError> {
        let published: Vec<Document> = self.all().await?.iter().filter_map(History::published).collect();
        let index = Arc::clone(&self.index);
        let holds = tokio::task::spawn_blocking(move || index.holds_exactly(&published));
        Ok(holds.await.map_err(|_| ShelfError::Interrupted)??)
    }

    /// Makes the index anew from every published document.
    ///
    /// # Errors
    /// The store or the index failed.
    pub async fn rebuild(&self) -> Result<IndexReport, ShelfError> {
        let _writing = self.writing.lock().await;
        let documents: Vec<Document> = self.all().await?.iter().filter_map(History::published).collect();
        let shelf = self.clone();
        let done =
            tokio::task::spawn_blocking(move || shelf.index.replace_all(&documents, Some(&|texts: &[&str]| shelf.embed(texts))));
        Ok(done.await.map_err(|_| ShelfError::Interrupted)??)
    }

    pub(super) fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.encoder.embed_batch(texts.iter().map(|t| (*t).to_owned()).collect())?)
    }
}

pub(super) fn row(history: &History) -> Write {
    Write::Document(DocumentRow {
        document_id: history.document_id.clone(),
        changed_at: now_rfc3339(),
        body: serde_json::to_string(history).unwrap_or_default(),
    })
}

fn history(row: &DocumentRow) -> Result<History, ShelfError> {
    serde_json::from_str(&row.body)
        .map_err(|e| StoreError::Corrupt { what: "document", id: row.document_id.clone(), message: e.to_string() }.into())
}

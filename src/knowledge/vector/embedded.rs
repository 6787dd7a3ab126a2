//! Vectors in this process: a shard of qdrant-edge in a directory.

use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use qdrant_edge::external::uuid::Uuid;
use qdrant_edge::{
    CountRequest, CreateIndex, Distance, EdgeConfig, EdgeConfigBuilder, EdgeShard, EdgeVectorParamsBuilder, FieldIndexOperations,
    Filter, HnswIndexConfig, NamedQuery, PayloadFieldSchema, PayloadSchemaType, PointId, PointInsertOperations, PointOperations,
    PointStruct, QueryEnum, SearchRequest, UpdateOperation, WalOptions, WithPayloadInterface,
};

use super::{INTEGER_FIELDS, KEYWORD_FIELDS, VectorFilter, VectorHit, VectorIndex, VectorPoint, bits_of, passage_id_of, payload};
use crate::knowledge::{KnowledgeError, Result};

/// Name of the only vector.
pub(super) const VECTOR: &str = "text";
/// Size of a piece of the write-ahead log in bytes.
const LOG_PIECE_BYTES: usize = 8 * 1024 * 1024;
/// Points in one operation.
const BATCH: usize = 256;

/// See the [module](self).
pub struct EmbeddedVectors {
    shard: Arc<EdgeShard>,
    dir: PathBuf,
    dimension: usize,
}

impl Drop for EmbeddedVectors {
    /// A shard writes its state when it goes, and panics where its folder is gone: a temporary one, removed before. Such a
    /// shard has nothing to keep; one more reference lets it stay until the process ends.
    fn drop(&mut self) {
        if !self.dir.exists() {
            let _kept = ManuallyDrop::new(Arc::clone(&self.shard));
        }
    }
}

impl EmbeddedVectors {
    /// Opens the shard in a directory, or makes an empty one there.
    ///
    /// # Errors
    /// [`KnowledgeError::Vector`] for a damaged directory or one of another dimension.
    pub fn open(dir: &Path, dimension: usize) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(|error| KnowledgeError::file(dir, error))?;
        let fresh = !dir.join("segments").exists();
        let opened = if fresh { EdgeShard::new(dir, config(dimension)) } else { EdgeShard::load(dir, Some(config(dimension))) };
        let shard = opened.map_err(KnowledgeError::vector)?;
        let vectors = Self { shard: Arc::new(shard), dir: dir.to_path_buf(), dimension };
        if fresh {
            vectors.index_fields()?;
        }
        Ok(vectors)
    }

    fn index_fields(&self) -> Result<()> {
        let keywords = KEYWORD_FIELDS.map(|field| (field, PayloadSchemaType::Keyword));
        let integers = INTEGER_FIELDS.map(|field| (field, PayloadSchemaType::Integer));
        for (field, schema) in keywords.into_iter().chain(integers) {
            let field_name = field.parse().map_err(|()| KnowledgeError::vector(format!("field name {field}")))?;
            let index = CreateIndex { field_name, field_schema: Some(PayloadFieldSchema::FieldType(schema)) };
            self.update(UpdateOperation::FieldIndexOperation(FieldIndexOperations::CreateIndex(index)))?;
        }
        Ok(())
    }

    fn update(&self, operation: UpdateOperation) -> Result<()> {
        self.shard.update(operation).map_err(KnowledgeError::vector)
    }
}

pub(super) fn config(dimension: usize) -> EdgeConfig {
    let hnsw = HnswIndexConfig { m: 16, ef_construct: 128, max_indexing_threads: 2, ..HnswIndexConfig::default() };
    EdgeConfigBuilder::new()
        .vector(VECTOR, EdgeVectorParamsBuilder::new(dimension, Distance::Cosine).build())
        .hnsw_config(hnsw)
        .wal_options(WalOptions { segment_capacity: LOG_PIECE_BYTES, ..WalOptions::default() })
        .build()
}

impl VectorIndex for EmbeddedVectors {
    fn upsert(&self, points: &[VectorPoint]) -> Result<()> {
        for batch in points.chunks(BATCH) {
            let mut list = Vec::with_capacity(batch.len());
            for point in batch {
                check_length(&point.vector, self.dimension)?;
                let id = PointId::Uuid(Uuid::from_u128(bits_of(&point.passage_id)?));
                list.push(PointStruct::new(id, vec![(VECTOR, point.vector.clone())], payload(point)).0);
            }
            let operation = PointOperations::UpsertPoints(PointInsertOperations::PointsList(list));
            self.update(UpdateOperation::PointOperation(operation))?;
        }
        Ok(())
    }

    fn delete_older(&self, document_id: Option<&str>, generation: u64) -> Result<()> {
        let mut must = vec![serde_json::json!({"key": "generation", "range": {"lt": generation}})];
        if let Some(document_id) = document_id {
            must.push(serde_json::json!({"key": "document_id", "match": {"value": document_id}}));
        }
        let filter: Filter = serde_json::from_value(serde_json::json!({ "must": must }))?;
        self.update(UpdateOperation::PointOperation(PointOperations::DeletePointsByFilter(filter)))
    }

    fn search(&self, vector: &[f32], limit: usize, filter: &VectorFilter) -> Result<Vec<VectorHit>> {
        check_length(vector, self.dimension)?;
        let request = SearchRequest {
            query: QueryEnum::Nearest(NamedQuery { query: vector.to_vec().into(), using: Some(VECTOR.to_owned()) }),
            filter: edge_filter(filter)?,
            params: None,
            limit,
            offset: 0,
            with_payload: Some(WithPayloadInterface::Bool(false)),
            with_vector: None,
            score_threshold: None,
        };
        let hits = self.shard.search(request).map_err(KnowledgeError::vector)?;
        Ok(hits
            .into_iter()
            .filter_map(|hit| match hit.id {
                PointId::Uuid(uuid) => Some(VectorHit { passage_id: passage_id_of(uuid.as_u128()), score: hit.score }),
                PointId::NumId(_) => None,
            })
            .collect())
    }

    fn count(&self) -> Result<usize> {
        self.shard.count(CountRequest { filter: None, exact: true }).map_err(KnowledgeError::vector)
    }

    fn settle(&self) -> Result<()> {
        self.shard.optimize().map_err(KnowledgeError::vector)?;
        self.shard.flush();
        Ok(())
    }
}

pub(super) fn check_length(vector: &[f32], dimension: usize) -> Result<()> {
    if vector.len() == dimension && vector.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(KnowledgeError::vector(format!("a vector has {} values, finite ones are needed, {dimension} of them", vector.len())))
}

/// The filter in the JSON form that the engine shares with the server.
fn edge_filter(filter: &VectorFilter) -> Result<Option<Filter>> {
    let lists = filter.lists().into_iter().filter(|(_, values)| !values.is_empty());
    let mut must: Vec<serde_json::Value> =
        lists.map(|(field, values)| serde_json::json!({"key": field, "match": {"any": values}})).collect();
    if let Some(as_of) = filter.as_of_s {
        must.push(serde_json::json!({"key": "effective_from", "range": {"lte": as_of}}));
        must.push(serde_json::json!({"key": "expires_at", "range": {"gt": as_of}}));
    }
    if must.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::from_value(serde_json::json!({ "must": must }))?))
}

//! Vectors on a Qdrant server or cluster.
//!
//! Calls run on an own small runtime and are waited for with a limit, so that they may come from any thread. After a
//! failure, searches fail at once for [`PAUSE`]: a server that is down must not cost every search its time limit.

use std::future::Future;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use qdrant_client::qdrant::{
    Condition, CountPointsBuilder, CreateCollectionBuilder, CreateFieldIndexCollectionBuilder, DeletePointsBuilder, Distance,
    FieldType, Filter, PointId, PointStruct, QueryPointsBuilder, Range, UpsertPointsBuilder, VectorParamsBuilder,
    point_id::PointIdOptions,
};
use qdrant_client::{Payload, Qdrant, QdrantError};

use super::embedded::check_length;
use super::{INTEGER_FIELDS, KEYWORD_FIELDS, VectorFilter, VectorHit, VectorIndex, VectorPoint, bits_of, passage_id_of, payload};
use crate::knowledge::config::QdrantConfig;
use crate::knowledge::{KnowledgeError, Result};

/// How long searches fail at once after a failure.
const PAUSE: Duration = Duration::from_secs(5);
/// How many times the limit of a search a write may take.
const WRITE_FACTOR: u32 = 100;
/// Waits before a write is tried again; then it has failed.
const RETRY_AFTER: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(800)];

/// See the [module](self).
pub struct ServerVectors {
    client: Qdrant,
    config: QdrantConfig,
    dimension: usize,
    runtime: Option<tokio::runtime::Runtime>,
    down_until: Mutex<Option<Instant>>,
    collection_known: Mutex<bool>,
}

impl ServerVectors {
    /// A client of the server. The server need not be up yet; the collection is made at the first write.
    ///
    /// # Errors
    /// [`KnowledgeError::Vector`] for an address that is none.
    pub fn connect(config: &QdrantConfig, dimension: usize) -> Result<Self> {
        let write_limit = Duration::from_millis(config.timeout_ms.max(1)) * WRITE_FACTOR;
        let mut builder =
            Qdrant::from_url(&config.url).timeout(write_limit).connect_timeout(write_limit.min(Duration::from_secs(5)));
        if let Some(key) = &config.api_key {
            builder = builder.api_key(key.clone());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("qdrant-client")
            .enable_all()
            .build()
            .map_err(KnowledgeError::vector)?;
        let client = {
            let _inside = runtime.enter();
            builder.skip_compatibility_check().build().map_err(KnowledgeError::vector)?
        };
        Ok(Self {
            client,
            config: config.clone(),
            dimension,
            runtime: Some(runtime),
            down_until: Mutex::new(None),
            collection_known: Mutex::new(false),
        })
    }

    /// Runs a call and waits for it at most `limit`.
    fn wait<T: Send + 'static>(
        &self,
        limit: Duration,
        call: impl Future<Output = std::result::Result<T, QdrantError>> + Send + 'static,
    ) -> std::result::Result<T, Failed> {
        let Some(runtime) = &self.runtime else { return Err(Failed::Lasting("the client is closed".to_owned())) };
        let (sender, receiver) = mpsc::sync_channel(1);
        let task = runtime.spawn(async move {
            // the receiver is gone when it waited too long; then nobody needs the result
            let _ = sender.send(call.await);
        });
        let answer = receiver.recv_timeout(limit);
        if answer.is_err() {
            task.abort();
        }
        let result = match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(failure(&error)),
            Err(_) => Err(Failed::Passing(format!("{} did not answer within {} ms", self.config.url, limit.as_millis()))),
        };
        *self.down_until.lock() = result.is_err().then(|| Instant::now() + PAUSE);
        result
    }

    /// Runs a call that may be repeated without harm; tries again when the server is not there or too slow for the moment.
    fn write<T, F>(&self, call: impl Fn(Qdrant) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = std::result::Result<T, QdrantError>> + Send + 'static,
    {
        for pause in RETRY_AFTER {
            match self.wait(self.write_limit(), call(self.client.clone())) {
                Err(Failed::Passing(problem)) => {
                    tracing::warn!(problem, pause_ms = pause.as_millis() as u64, "vector write is tried again");
                    std::thread::sleep(pause);
                }
                done => return Ok(done?),
            }
        }
        Ok(self.wait(self.write_limit(), call(self.client.clone()))?)
    }

    fn write_limit(&self) -> Duration {
        Duration::from_millis(self.config.timeout_ms.max(1)) * WRITE_FACTOR
    }

    /// Makes the collection and its field indexes if they are not there.
    fn ensure_collection(&self) -> Result<()> {
        let mut known = self.collection_known.lock();
        if *known {
            return Ok(());
        }
        let (name, dimension) = (self.config.collection.clone(), self.dimension as u64);
        self.write(|client| {
            let name = name.clone();
            async move {
                if client.collection_exists(&name).await? {
                    return Ok(());
                }
                let vectors = VectorParamsBuilder::new(dimension, Distance::Cosine);
                client.create_collection(CreateCollectionBuilder::new(&name).vectors_config(vectors)).await?;
                let keywords = KEYWORD_FIELDS.map(|field| (field, FieldType::Keyword));
                let integers = INTEGER_FIELDS.map(|field| (field, FieldType::Integer));
                for (field, kind) in keywords.into_iter().chain(integers) {
                    client.create_field_index(CreateFieldIndexCollectionBuilder::new(&name, field, kind).wait(true)).await?;
                }
                Ok(())
            }
        })?;
        *known = true;
        Ok(())
    }
}

/// Why a call failed.
enum Failed {
    /// It may go well in a moment.
    Passing(String),
    /// It will fail again.
    Lasting(String),
}

impl From<Failed> for KnowledgeError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Passing(problem) | Failed::Lasting(problem) => Self::vector(problem),
        }
    }
}

/// Sorts an error by its gRPC code (the codes that the gRPC documentation says a client may retry).
fn failure(error: &QdrantError) -> Failed {
    use QdrantError::{ResourceExhaustedError, ResponseError};
    const PASSING: [i32; 4] = [4, 10, 13, 14]; // deadline exceeded, aborted, internal (no connection), unavailable
    match error {
        ResponseError { status } if PASSING.contains(&(status.code() as i32)) => Failed::Passing(error.to_string()),
        ResourceExhaustedError { .. } => Failed::Passing(error.to_string()),
        _ => Failed::Lasting(error.to_string()),
    }
}

impl Drop for ServerVectors {
    fn drop(&mut self) {
        // dropping a runtime inside another one would panic
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl VectorIndex for ServerVectors {
    fn upsert(&self, points: &[VectorPoint]) -> Result<()> {
        self.ensure_collection()?;
        for batch in points.chunks(self.config.batch.max(1)) {
            let mut list = Vec::with_capacity(batch.len());
            for point in batch {
                check_length(&point.vector, self.dimension)?;
                let payload = Payload::try_from(payload(point)).map_err(KnowledgeError::vector)?;
                list.push(PointStruct::new(uuid_text(bits_of(&point.passage_id)?), point.vector.clone(), payload));
            }
            let request = UpsertPointsBuilder::new(&self.config.collection, list).wait(true).build();
            self.write(|client| {
                let request = request.clone();
                async move { client.upsert_points(request).await }
            })?;
        }
        Ok(())
    }

    fn delete_older(&self, document_id: Option<&str>, generation: u64) -> Result<()> {
        self.ensure_collection()?;
        let mut must = vec![Condition::range("generation", Range { lt: Some(generation as f64), ..Range::default() })];
        must.extend(document_id.map(|id| Condition::matches("document_id", id.to_owned())));
        let request = DeletePointsBuilder::new(&self.config.collection).points(Filter::must(must)).wait(true).build();
        self.write(|client| {
            let request = request.clone();
            async move { client.delete_points(request).await }
        })?;
        Ok(())
    }

    fn search(&self, vector: &[f32], limit: usize, filter: &VectorFilter) -> Result<Vec<VectorHit>> {
        check_length(vector, self.dimension)?;
        if self.down_until.lock().is_some_and(|until| Instant::now() < until) {
            return Err(KnowledgeError::vector(format!("{} failed a moment ago", self.config.url)));
        }
        let request = QueryPointsBuilder::new(&self.config.collection)
            .query(vector.to_vec())
            .limit(limit as u64)
            .filter(server_filter(filter))
            .with_payload(false);
        let client = self.client.clone();
        let answer =
            self.wait(Duration::from_millis(self.config.timeout_ms.max(1)), async move { client.query(request).await })?;
        Ok(answer
            .result
            .into_iter()
            .filter_map(|hit| Some(VectorHit { passage_id: passage_id_of(bits_of_uuid(hit.id?)?), score: hit.score }))
            .collect())
    }

    fn count(&self) -> Result<usize> {
        self.ensure_collection()?;
        let request = CountPointsBuilder::new(&self.config.collection).exact(true).build();
        let answer = self.write(|client| {
            let request = request.clone();
            async move { client.count(request).await }
        })?;
        Ok(answer.result.map_or(0, |result| usize::try_from(result.count).unwrap_or(usize::MAX)))
    }

    fn settle(&self) -> Result<()> {
        Ok(()) // writes waited until they were applied; the server optimises by itself
    }
}

fn server_filter(filter: &VectorFilter) -> Filter {
    let lists = filter.lists().into_iter().filter(|(_, values)| !values.is_empty());
    let mut must: Vec<Condition> = lists.map(|(field, values)| Condition::matches(field, values.clone())).collect();
    if let Some(as_of) = filter.as_of_s {
        must.push(Condition::range("effective_from", Range { lte: Some(as_of as f64), ..Range::default() }));
        must.push(Condition::range("expires_at", Range { gt: Some(as_of as f64), ..Range::default() }));
    }
    Filter::must(must)
}

fn uuid_text(bits: u128) -> String {
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn bits_of_uuid(id: PointId) -> Option<u128> {
    match id.point_id_options? {
        PointIdOptions::Uuid(text) => u128::from_str_radix(&text.replace('-', ""), 16).ok(),
        PointIdOptions::Num(_) => None,
    }
}

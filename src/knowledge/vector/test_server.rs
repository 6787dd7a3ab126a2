//! A Qdrant server in this process, for tests: the gRPC contract of the real one over the embedded engine. It serves what
//! [`super::ServerVectors`] calls, and can be made slow, failing or picky about the API key.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use qdrant_client::qdrant as q;
use qdrant_client::qdrant::collections_server::{Collections, CollectionsServer};
use qdrant_client::qdrant::points_server::{Points, PointsServer};
use qdrant_edge::external::uuid::Uuid;
use qdrant_edge::{
    CountRequest, EdgeShard, Filter, NamedQuery, PointId, PointInsertOperations, PointOperations, PointStruct, QueryEnum,
    SearchRequest, UpdateOperation,
};
use serde_json::{Value, json};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::embedded::{VECTOR, config};

type Answer<T> = std::result::Result<Response<T>, Status>;

/// What the tests turn.
#[derive(Default)]
pub(in crate::knowledge) struct Behaviour {
    /// Milliseconds before an answer.
    pub(in crate::knowledge) delay_ms: AtomicU64,
    /// Requests that fail with `unavailable` before the next one succeeds.
    pub(in crate::knowledge) failures: AtomicUsize,
    /// Requests so far.
    pub(in crate::knowledge) requests: AtomicUsize,
}

struct Collection {
    shard: EdgeShard,
    dimension: u64,
    // goes after the shard, which writes into it when it goes
    _dir: tempfile::TempDir,
}

#[derive(Clone)]
struct Service {
    collections: Arc<Mutex<HashMap<String, Arc<Collection>>>>,
    behaviour: Arc<Behaviour>,
    api_key: Option<String>,
}

/// A running server; it stops when dropped.
pub(in crate::knowledge) struct TestServer {
    pub(in crate::knowledge) url: String,
    pub(in crate::knowledge) behaviour: Arc<Behaviour>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl TestServer {
    /// Listens on a free port.
    pub(in crate::knowledge) fn start(api_key: Option<&str>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let behaviour = Arc::new(Behaviour::default());
        let service =
            Service { collections: Arc::default(), behaviour: Arc::clone(&behaviour), api_key: api_key.map(str::to_owned) };
        let address: SocketAddr = runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
            let router =
                Server::builder().add_service(PointsServer::new(service.clone())).add_service(CollectionsServer::new(service));
            tokio::spawn(router.serve_with_incoming(incoming));
            address
        });
        Self { url: format!("http://{address}"), behaviour, runtime: Some(runtime) }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Service {
    /// What every request goes through.
    async fn enter<T>(&self, request: &Request<T>) -> std::result::Result<(), Status> {
        self.behaviour.requests.fetch_add(1, Ordering::SeqCst);
        let given = request.metadata().get("api-key").and_then(|value| value.to_str().ok()).map(str::to_owned);
        if self.api_key.is_some() && given != self.api_key {
            return Err(Status::unauthenticated("wrong API key"));
        }
        let delay_ms = self.behaviour.delay_ms.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        let fails = |left: usize| left.checked_sub(1);
        if self.behaviour.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails).is_ok() {
            return Err(Status::unavailable("asked to fail"));
        }
        Ok(())
    }

    fn collection(&self, name: &str) -> std::result::Result<Arc<Collection>, Status> {
        self.collections.lock().get(name).cloned().ok_or_else(|| Status::not_found(format!("no collection {name}")))
    }
}

fn internal(error: impl ToString) -> Status {
    Status::internal(error.to_string())
}

fn not_served(method: &str) -> Status {
    Status::unimplemented(format!("{method} is not part of this server"))
}

fn done() -> Response<q::PointsOperationResponse> {
    let result = q::UpdateResult { operation_id: Some(0), status: q::UpdateStatus::Completed as i32 };
    Response::new(q::PointsOperationResponse { result: Some(result), time: 0.0, usage: None })
}

fn point_id(id: Option<q::PointId>) -> std::result::Result<PointId, Status> {
    match id.and_then(|id| id.point_id_options) {
        Some(q::point_id::PointIdOptions::Uuid(text)) => Uuid::parse_str(&text).map(PointId::Uuid).map_err(internal),
        Some(q::point_id::PointIdOptions::Num(number)) => Ok(PointId::NumId(number)),
        None => Err(Status::invalid_argument("a point without id")),
    }
}

fn dense(vectors: Option<q::Vectors>) -> std::result::Result<Vec<f32>, Status> {
    match vectors.and_then(|vectors| vectors.vectors_options) {
        Some(q::vectors::VectorsOptions::Vector(q::Vector { vector: Some(q::vector::Vector::Dense(dense)), .. })) => {
            Ok(dense.data)
        }
        _ => Err(Status::invalid_argument("a point without one dense vector")),
    }
}

/// A filter in the JSON form that the engine reads. Conditions that the product does not send are refused.
fn filter(filter: Option<q::Filter>) -> std::result::Result<Option<Filter>, Status> {
    let Some(filter) = filter else { return Ok(None) };
    if !filter.should.is_empty() || !filter.must_not.is_empty() || filter.min_should.is_some() {
        return Err(Status::invalid_argument("only must is served"));
    }
    let mut must = Vec::new();
    for condition in filter.must {
        let Some(q::condition::ConditionOneOf::Field(field)) = condition.condition_one_of else {
            return Err(Status::invalid_argument("only field conditions are served"));
        };
        must.push(field_condition(&field)?);
    }
    if must.is_empty() {
        return Ok(None);
    }
    serde_json::from_value(json!({ "must": must })).map(Some).map_err(internal)
}

fn field_condition(field: &q::FieldCondition) -> std::result::Result<Value, Status> {
    if let Some(range) = field.range {
        return Ok(json!({"key": field.key, "range": {"lt": range.lt, "lte": range.lte, "gt": range.gt, "gte": range.gte}}));
    }
    match field.r#match.as_ref().and_then(|value| value.match_value.as_ref()) {
        Some(q::r#match::MatchValue::Keyword(word)) => Ok(json!({"key": field.key, "match": {"value": word}})),
        Some(q::r#match::MatchValue::Keywords(words)) => Ok(json!({"key": field.key, "match": {"any": words.strings}})),
        _ => Err(Status::invalid_argument(format!("the condition on {} is not served", field.key))),
    }
}

#[tonic::async_trait]
impl Points for Service {
    async fn upsert(&self, request: Request<q::UpsertPoints>) -> Answer<q::PointsOperationResponse> {
        self.enter(&request).await?;
        let request = request.into_inner();
        let collection = self.collection(&request.collection_name)?;
        let mut points = Vec::new();
        for point in request.points {
            let vector = dense(point.vectors)?;
            if vector.len() as u64 != collection.dimension {
                return Err(Status::invalid_argument(format!("expected {} values, got {}", collection.dimension, vector.len())));
            }
            let payload: HashMap<String, Value> =
                point.payload.into_iter().map(|(name, value)| (name, value.into_json())).collect();
            points.push(PointStruct::new(point_id(point.id)?, vec![(VECTOR, vector)], json!(payload)).0);
        }
        let operation = PointOperations::UpsertPoints(PointInsertOperations::PointsList(points));
        collection.shard.update(UpdateOperation::PointOperation(operation)).map_err(internal)?;
        Ok(done())
    }

    async fn delete(&self, request: Request<q::DeletePoints>) -> Answer<q::PointsOperationResponse> {
        self.enter(&request).await?;
        let request = request.into_inner();
        let collection = self.collection(&request.collection_name)?;
        let selected = request.points.and_then(|points| points.points_selector_one_of);
        let Some(q::points_selector::PointsSelectorOneOf::Filter(selected)) = selected else {
            return Err(Status::invalid_argument("only filters are served"));
        };
        let filter = filter(Some(selected))?.ok_or_else(|| Status::invalid_argument("an empty filter"))?;
        let operation = UpdateOperation::PointOperation(PointOperations::DeletePointsByFilter(filter));
        collection.shard.update(operation).map_err(internal)?;
        Ok(done())
    }

    async fn query(&self, request: Request<q::QueryPoints>) -> Answer<q::QueryResponse> {
        self.enter(&request).await?;
        let request = request.into_inner();
        let collection = self.collection(&request.collection_name)?;
        let nearest = match request.query.and_then(|query| query.variant) {
            Some(q::query::Variant::Nearest(q::VectorInput { variant: Some(q::vector_input::Variant::Dense(dense)) })) => {
                dense.data
            }
            _ => return Err(Status::invalid_argument("only nearest by a dense vector is served")),
        };
        let search = SearchRequest {
            query: QueryEnum::Nearest(NamedQuery { query: nearest.into(), using: Some(VECTOR.to_owned()) }),
            filter: filter(request.filter)?,
            params: None,
            limit: usize::try_from(request.limit.unwrap_or(10)).map_err(internal)?,
            offset: 0,
            with_payload: None,
            with_vector: None,
            score_threshold: None,
        };
        let hits = collection.shard.search(search).map_err(internal)?;
        let result = hits
            .into_iter()
            .map(|hit| q::ScoredPoint {
                id: Some(match hit.id {
                    PointId::Uuid(uuid) => uuid.to_string().into(),
                    PointId::NumId(number) => number.into(),
                }),
                score: hit.score,
                ..q::ScoredPoint::default()
            })
            .collect();
        Ok(Response::new(q::QueryResponse { result, time: 0.0, usage: None }))
    }

    async fn count(&self, request: Request<q::CountPoints>) -> Answer<q::CountResponse> {
        self.enter(&request).await?;
        let request = request.into_inner();
        let collection = self.collection(&request.collection_name)?;
        let count = collection.shard.count(CountRequest { filter: filter(request.filter)?, exact: true }).map_err(internal)?;
        Ok(Response::new(q::CountResponse { result: Some(q::CountResult { count: count as u64 }), time: 0.0, usage: None }))
    }

    async fn create_field_index(&self, request: Request<q::CreateFieldIndexCollection>) -> Answer<q::PointsOperationResponse> {
        self.enter(&request).await?;
        self.collection(&request.into_inner().collection_name)?;
        Ok(done())
    }

    async fn get(&self, _: Request<q::GetPoints>) -> Answer<q::GetResponse> {
        Err(not_served("get"))
    }
    async fn update_vectors(&self, _: Request<q::UpdatePointVectors>) -> Answer<q::PointsOperationResponse> {
        Err(not_served("update_vectors"))
    }
    async fn delete_vectors(&self, _: Request<q::DeletePointVectors>) -> Answer<q::PointsOperationResponse> {
        Err(not_served("delete_vectors"))
    }
    async fn set_payload(&self, _: Request<q::SetPayloadPoints>) -> Answer<q::PointsOperationResponse> {
        Err(not_served("set_payload"))
    }
    async fn overwrite_payload(&self, _: Request<q::SetPayloadPoints>) -> Answer<q::PointsOperationResponse> {
        Err(not_served("overwrite_payload"))
    }
    async fn delete_payload(&self, _: Request<q::DeletePayloadPoints>) -> Answer<q::PointsOperationResponse> {
        Err(not_served("delete_payload"))
    }
    async fn clear_payload(&self, _: Request<q::ClearPayloadPoints>) -> Answer<q::PointsOperationResponse> {
        Err(not_served("clear_payload"))
    }
    async fn delete_field_index(&self, _: Request<q::DeleteFieldIndexCollection>) -> Answer<q::PointsOperationResponse> {
        Err(not_served("delete_field_index"))
    }
    async fn create_vector_name(&self, _: Request<q::CreateVectorNameRequest>) -> Answer<q::PointsOperationResponse> {
        Err(not_served("create_vector_name"))
    }
    async fn delete_vector_name(&self, _: Request<q::DeleteVectorNameRequest>) -> Answer<q::PointsOperationResponse> {
        Err(not_served("delete_vector_name"))
    }
    async fn search(&self, _: Request<q::SearchPoints>) -> Answer<q::SearchResponse> {
        Err(not_served("search"))
    }
    async fn search_batch(&self, _: Request<q::SearchBatchPoints>) -> Answer<q::SearchBatchResponse> {
        Err(not_served("search_batch"))
    }
    async fn search_groups(&self, _: Request<q::SearchPointGroups>) -> Answer<q::SearchGroupsResponse> {
        Err(not_served("search_groups"))
    }
    async fn scroll(&self, _: Request<q::ScrollPoints>) -> Answer<q::ScrollResponse> {
        Err(not_served("scroll"))
    }
    async fn recommend(&self, _: Request<q::RecommendPoints>) -> Answer<q::RecommendResponse> {
        Err(not_served("recommend"))
    }
    async fn recommend_batch(&self, _: Request<q::RecommendBatchPoints>) -> Answer<q::RecommendBatchResponse> {
        Err(not_served("recommend_batch"))
    }
    async fn recommend_groups(&self, _: Request<q::RecommendPointGroups>) -> Answer<q::RecommendGroupsResponse> {
        Err(not_served("recommend_groups"))
    }
    async fn discover(&self, _: Request<q::DiscoverPoints>) -> Answer<q::DiscoverResponse> {
        Err(not_served("discover"))
    }
    async fn discover_batch(&self, _: Request<q::DiscoverBatchPoints>) -> Answer<q::DiscoverBatchResponse> {
        Err(not_served("discover_batch"))
    }
    async fn update_batch(&self, _: Request<q::UpdateBatchPoints>) -> Answer<q::UpdateBatchResponse> {
        Err(not_served("update_batch"))
    }
    async fn query_batch(&self, _: Request<q::QueryBatchPoints>) -> Answer<q::QueryBatchResponse> {
        Err(not_served("query_batch"))
    }
    async fn query_groups(&self, _: Request<q::QueryPointGroups>) -> Answer<q::QueryGroupsResponse> {
        Err(not_served("query_groups"))
    }
    async fn facet(&self, _: Request<q::FacetCounts>) -> Answer<q::FacetResponse> {
        Err(not_served("facet"))
    }
    async fn search_matrix_pairs(&self, _: Request<q::SearchMatrixPoints>) -> Answer<q::SearchMatrixPairsResponse> {
        Err(not_served("search_matrix_pairs"))
    }
    async fn search_matrix_offsets(&self, _: Request<q::SearchMatrixPoints>) -> Answer<q::SearchMatrixOffsetsResponse> {
        Err(not_served("search_matrix_offsets"))
    }
}

#[tonic::async_trait]
impl Collections for Service {
    async fn create(&self, request: Request<q::CreateCollection>) -> Answer<q::CollectionOperationResponse> {
        self.enter(&request).await?;
        let request = request.into_inner();
        let params = match request.vectors_config.and_then(|config| config.config) {
            Some(q::vectors_config::Config::Params(params)) if params.distance == q::Distance::Cosine as i32 => params,
            _ => return Err(Status::invalid_argument("one vector with cosine distance is served")),
        };
        let mut collections = self.collections.lock();
        if collections.contains_key(&request.collection_name) {
            return Err(Status::already_exists(request.collection_name));
        }
        let dir = tempfile::tempdir().map_err(internal)?;
        let dimension = usize::try_from(params.size).map_err(internal)?;
        let shard = EdgeShard::new(dir.path(), config(dimension)).map_err(internal)?;
        collections.insert(request.collection_name, Arc::new(Collection { _dir: dir, shard, dimension: params.size }));
        Ok(Response::new(q::CollectionOperationResponse { result: true, time: 0.0 }))
    }

    async fn collection_exists(&self, request: Request<q::CollectionExistsRequest>) -> Answer<q::CollectionExistsResponse> {
        self.enter(&request).await?;
        let exists = self.collections.lock().contains_key(&request.into_inner().collection_name);
        Ok(Response::new(q::CollectionExistsResponse { result: Some(q::CollectionExists { exists }), time: 0.0 }))
    }

    async fn get(&self, _: Request<q::GetCollectionInfoRequest>) -> Answer<q::GetCollectionInfoResponse> {
        Err(not_served("get"))
    }
    async fn list(&self, _: Request<q::ListCollectionsRequest>) -> Answer<q::ListCollectionsResponse> {
        Err(not_served("list"))
    }
    async fn update(&self, _: Request<q::UpdateCollection>) -> Answer<q::CollectionOperationResponse> {
        Err(not_served("update"))
    }
    async fn delete(&self, _: Request<q::DeleteCollection>) -> Answer<q::CollectionOperationResponse> {
        Err(not_served("delete"))
    }
    async fn update_aliases(&self, _: Request<q::ChangeAliases>) -> Answer<q::CollectionOperationResponse> {
        Err(not_served("update_aliases"))
    }
    async fn list_collection_aliases(&self, _: Request<q::ListCollectionAliasesRequest>) -> Answer<q::ListAliasesResponse> {
        Err(not_served("list_collection_aliases"))
    }
    async fn list_aliases(&self, _: Request<q::ListAliasesRequest>) -> Answer<q::ListAliasesResponse> {
        Err(not_served("list_aliases"))
    }
    async fn collection_cluster_info(
        &self,
        _: Request<q::CollectionClusterInfoRequest>,
    ) -> Answer<q::CollectionClusterInfoResponse> {
        Err(not_served("collection_cluster_info"))
    }
    async fn update_collection_cluster_setup(
        &self,
        _: Request<q::UpdateCollectionClusterSetupRequest>,
    ) -> Answer<q::UpdateCollectionClusterSetupResponse> {
        Err(not_served("update_collection_cluster_setup"))
    }
    async fn create_shard_key(&self, _: Request<q::CreateShardKeyRequest>) -> Answer<q::CreateShardKeyResponse> {
        Err(not_served("create_shard_key"))
    }
    async fn delete_shard_key(&self, _: Request<q::DeleteShardKeyRequest>) -> Answer<q::DeleteShardKeyResponse> {
        Err(not_served("delete_shard_key"))
    }
    async fn list_shard_keys(&self, _: Request<q::ListShardKeysRequest>) -> Answer<q::ListShardKeysResponse> {
        Err(not_served("list_shard_keys"))
    }
}

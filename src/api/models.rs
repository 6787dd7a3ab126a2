//! Models, and which head answers each task.

use axum::Extension;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::admin::audit;
use super::strict::Strict;
use super::{ApiContext, Problem};
use crate::access::Principal;
use crate::pipeline::HeadError;
use crate::registry::{ModelEntry, ModelKind, RegistryError};

/// Who answers a task.
#[derive(Serialize, ToSchema)]
pub(super) struct RouteView {
    /// Name of the head.
    task: String,
    /// Model that answers; `null`: the encoder's own head.
    champion: Option<String>,
    /// Who answered before, newest first; `null`: the encoder's own head.
    previous: Vec<Option<String>>,
    /// Raised by every switch of any task; the `ETag`.
    revision: u64,
}

/// Which model shall answer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteRequest {
    /// Id of a model of kind `head`; `null`: the encoder's own head.
    champion: Option<String>,
    /// Not offered yet: must be absent or `null`.
    challenger: Option<String>,
    /// Not offered yet: must be absent or 0.
    shadow_pct: Option<f32>,
}

impl From<HeadError> for Problem {
    fn from(error: HeadError) -> Self {
        match &error {
            HeadError::Registry(RegistryError::RouteConflict { .. }) => Self::new("version_conflict", error.to_string()),
            HeadError::Registry(RegistryError::NoPrevious { .. }) | HeadError::InUse { .. } => {
                Self::new("state_conflict", error.to_string())
            }
            HeadError::Registry(RegistryError::Unknown { id, .. }) => {
                Self::invalid("/champion", format!("there is no model `{id}`"))
            }
            HeadError::OtherTask { .. }
            | HeadError::NoTask { .. }
            | HeadError::OtherEncoder { .. }
            | HeadError::Registry(RegistryError::WrongKind { .. }) => Self::invalid("/champion", error.to_string()),
            HeadError::Registry(_) | HeadError::Unfit { .. } => {
                tracing::error!(%error, "head");
                Self::new("model_unavailable", "the model's files cannot be used; `zhiyin models verify` says why")
            }
        }
    }
}

/// A model as it is listed: its card and whether it is at work.
fn view(context: &ApiContext, entry: &ModelEntry) -> Value {
    let (heads, id) = (&context.heads, &entry.card.id);
    let task = heads.routes().tasks.into_iter().find(|(_, r)| r.champion.as_ref() == Some(id)).map(|(task, _)| task);
    let running = context.models.iter().any(|m| m["id"] == *id);
    let state = if task.is_some() {
        "active"
    } else if running || heads.loaded().contains(id) {
        "loaded"
    } else {
        "available"
    };
    json!({ "id": id, "kind": entry.card.kind, "state": state, "task": task, "card": entry.card })
}

/// Models: those that run, and the heads that can be switched to.
#[utoipa::path(get, path = "/api/v1/models", tag = "models", responses((status = 200, body = Vec<Object>)))]
pub(super) async fn list(State(context): State<ApiContext>) -> Json<Vec<Value>> {
    let mut models = context.models.as_ref().clone();
    let heads = context.heads.registry().list().models;
    models.extend(heads.iter().filter(|m| m.card.kind == ModelKind::Head).map(|m| view(&context, m)));
    Json(models)
}

/// One model's card and state.
#[utoipa::path(get, path = "/api/v1/models/{id}", tag = "models", responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub(super) async fn get(State(context): State<ApiContext>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let entry = find(&context, &id)?;
    Ok(Json(view(&context, &entry)))
}

/// A model by its id; paths are for the command line alone.
fn find(context: &ApiContext, id: &str) -> Result<ModelEntry, Problem> {
    let listing = context.heads.registry().list();
    listing.models.into_iter().find(|m| m.card.id == id).ok_or_else(|| Problem::not_found("model"))
}

/// Reads a head into memory, so that switching to it is immediate.
#[utoipa::path(post, path = "/api/v1/models/{id}/load", tag = "models", responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub(super) async fn load(State(context): State<ApiContext>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let entry = head_model(&context, &id)?;
    let heads = context.heads.clone();
    blocking(move || heads.load(&id)).await?;
    Ok(Json(view(&context, &entry)))
}

/// Takes a head out of memory.
#[utoipa::path(post, path = "/api/v1/models/{id}/unload", tag = "models", responses((status = 200, body = Object), (status = 409, body = Problem)))]
pub(super) async fn unload(State(context): State<ApiContext>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let entry = head_model(&context, &id)?;
    context.heads.unload(&id)?;
    Ok(Json(view(&context, &entry)))
}

fn head_model(context: &ApiContext, id: &str) -> Result<ModelEntry, Problem> {
    let entry = find(context, id)?;
    if entry.card.kind == ModelKind::Head {
        return Ok(entry);
    }
    Err(Problem::new("state_conflict", "the encoder and the recogniser are loaded with the service; only heads come and go"))
}

/// Who answers every task that was ever switched.
#[utoipa::path(get, path = "/api/v1/models/routes", tag = "models", responses((status = 200, body = Vec<RouteView>)))]
pub(super) async fn routes(State(context): State<ApiContext>) -> Response {
    let routes = context.heads.routes();
    let tasks: Vec<RouteView> = routes.tasks.keys().map(|task| route_view(&context, task)).collect();
    ([(header::ETAG, etag(routes.revision))], Json(tasks)).into_response()
}

/// Switches a task to a model, live. Needs `If-Match` with the revision that was read.
#[utoipa::path(put, path = "/api/v1/models/routes/{task}", tag = "models", request_body = RouteRequest,
    responses((status = 200, body = RouteView), (status = 412, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn put_route(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(task): Path<String>,
    headers: HeaderMap,
    Strict(request): Strict<RouteRequest>,
) -> Result<Response, Problem> {
    if request.challenger.is_some() || request.shadow_pct.is_some_and(|p| p != 0.0) {
        return Err(Problem::invalid(
            "/challenger",
            "a second model beside the champion is not offered; leave challenger and shadow_pct out",
        ));
    }
    if let Some(id) = &request.champion {
        find(&context, id).map_err(|_| Problem::invalid("/champion", format!("there is no model `{id}`")))?;
    }
    let expected = if_match(&headers)?;
    let (heads, name) = (context.heads.clone(), task.clone());
    blocking(move || heads.activate(&name, request.champion.as_deref(), expected)).await?;
    audit(&context, &principal, "models.activate", &task).await?;
    Ok(answer(&context, &task))
}

/// Switches a task back to what answered it before.
#[utoipa::path(post, path = "/api/v1/models/routes/{task}/rollback", tag = "models",
    responses((status = 200, body = RouteView), (status = 409, body = Problem)))]
pub(super) async fn rollback(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(task): Path<String>,
) -> Result<Response, Problem> {
    let (heads, name) = (context.heads.clone(), task.clone());
    blocking(move || heads.rollback(&name, None)).await?;
    audit(&context, &principal, "models.rollback", &task).await?;
    Ok(answer(&context, &task))
}

fn answer(context: &ApiContext, task: &str) -> Response {
    let view = route_view(context, task);
    (StatusCode::OK, [(header::ETAG, etag(view.revision))], Json(view)).into_response()
}

fn route_view(context: &ApiContext, task: &str) -> RouteView {
    let routes = context.heads.routes();
    let route = routes.tasks.get(task).cloned().unwrap_or_default();
    RouteView {
        task: task.to_owned(),
        champion: route.champion,
        previous: route.previous.into_iter().map(|p| Some(p).filter(|p| !p.is_empty())).collect(),
        revision: routes.revision,
    }
}

fn etag(revision: u64) -> String {
    format!("\"{revision}\"")
}

/// The revision in `If-Match`; `*` takes any.
fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let known = headers.get(header::IF_MATCH).and_then(|v| v.to_str().ok());
    let known =
        known.ok_or_else(|| Problem::new("precondition_required", "send If-Match with the ETag of GET /models/routes"))?;
    if known.trim() == "*" {
        return Ok(None);
    }
    let number = known.trim().trim_matches('"').parse();
    number.map(Some).map_err(|_| Problem::new("version_conflict", "If-Match holds no revision of the routes"))
}

/// Reading a head and its trunk takes a while; it must not hold up other requests.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, HeadError> + Send + 'static) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(Problem::from),
        Err(_) => Err(Problem::new("internal", "the head could not be switched")),
    }
}

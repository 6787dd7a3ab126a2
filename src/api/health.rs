//! Health, metrics, version and tickets.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::strict::Strict;
use super::{ApiContext, Problem};
use crate::access::{Principal, Scope, TicketBook};

/// 200 while the process runs.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200)))]
pub(super) async fn healthz() -> StatusCode {
    StatusCode::OK
}

/// A part of the service and its state.
#[derive(Serialize, ToSchema)]
pub(super) struct Component {
    name: &'static str,
    state: &'static str,
}

/// Whether requests are served.
#[derive(Serialize, ToSchema)]
pub(super) struct Readiness {
    ready: bool,
    components: Vec<Component>,
}

/// 200 once models are loaded and warm, else 503.
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub(super) async fn readyz(State(context): State<ApiContext>) -> Response {
    let (ready, draining) = (context.is_ready(), context.hub.is_draining());
    let state = |ok: bool, otherwise: &'static str| if ok { "ready" } else { otherwise };
    let components = vec![
        Component { name: "models", state: state(ready, "loading") },
        Component { name: "asr", state: state(context.hub.stages().recogniser.is_some(), "absent") },
        Component { name: "node", state: state(!draining, "draining") },
    ];
    let ready = ready && !draining;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, components })).into_response()
}

/// The same without a body.
#[utoipa::path(get, path = "/health", tag = "health", responses((status = 200), (status = 503)))]
pub(super) async fn health(State(context): State<ApiContext>) -> StatusCode {
    if context.is_ready() && !context.hub.is_draining() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// Prometheus metrics.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, content_type = "text/plain")))]
pub(super) async fn metrics(State(context): State<ApiContext>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], context.metrics.render()).into_response()
}

/// What runs here.
#[derive(Serialize, ToSchema)]
pub(super) struct Version {
    version: &'static str,
    commit: &'static str,
    api: [&'static str; 1],
    #[schema(value_type = Vec<Object>)]
    models: Vec<serde_json::Value>,
}

/// Version, commit and models.
#[utoipa::path(get, path = "/version", tag = "health", responses((status = 200, body = Version)))]
pub(super) async fn version(State(context): State<ApiContext>) -> Json<Version> {
    Json(Version {
        version: env!("CARGO_PKG_VERSION"),
        commit: option_env!("ZHIYIN_COMMIT").unwrap_or("unknown"),
        api: ["v1"],
        models: context.models.as_ref().clone(),
    })
}

/// A ticket for a browser socket.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TicketRequest {
    scopes: Vec<Scope>,
    call_id: Option<String>,
}

/// The ticket; it works once, for 30 s, as `?ticket=`.
#[derive(Serialize, ToSchema)]
pub(super) struct Ticket {
    ticket: String,
    expires_at: String,
}

/// Issues a ticket with some of the token's scopes.
#[utoipa::path(post, path = "/api/v1/tickets", tag = "access", request_body = TicketRequest,
    responses((status = 200, body = Ticket), (status = 403, body = Problem)))]
pub(super) async fn ticket(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Strict(request): Strict<TicketRequest>,
) -> Result<Json<Ticket>, Problem> {
    if let Some(missing) = request.scopes.iter().find(|s| !principal.may(**s)) {
        return Err(Problem::scope_missing(*missing));
    }
    let for_ticket = Principal { scopes: request.scopes, ..principal };
    let ticket = context.tickets.issue(for_ticket, request.call_id);
    let expires = chrono::Utc::now() + TicketBook::LIFE;
    Ok(Json(Ticket { ticket, expires_at: expires.to_rfc3339_opts(chrono::SecondsFormat::Millis, true) }))
}

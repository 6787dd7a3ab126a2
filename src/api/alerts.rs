//! Alerts of live rules.

use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::strict::{Query, Strict};
use super::{ApiContext, Problem};
use crate::access::Principal;
use crate::event::{Draft, EventBody, ResolveReason};
use crate::store::AlertRow;

/// Which alerts.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertQuery {
    /// `open`, `acknowledged` or `resolved`.
    state: Option<String>,
    /// `info`, `warning` or `critical`.
    level: Option<String>,
    limit: Option<u32>,
}

/// An alert and its state.
#[derive(Serialize, ToSchema)]
pub(super) struct AlertView {
    call_id: String,
    state: String,
    time: String,
    /// The alert as it was raised.
    #[schema(value_type = crate::event::AlertRaised)]
    alert: Value,
}

/// A list of alerts.
#[derive(Serialize, ToSchema)]
pub(super) struct AlertPage {
    items: Vec<AlertView>,
    next_cursor: Option<String>,
}

fn view(row: AlertRow) -> AlertView {
    AlertView {
        alert: serde_json::from_str(&row.body).unwrap_or(Value::Null),
        call_id: row.call_id,
        state: row.state,
        time: row.time,
    }
}

/// Alerts, newest first.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "alerts", params(AlertQuery), responses((status = 200, body = AlertPage)))]
pub(super) async fn list(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Query(query): Query<AlertQuery>,
) -> Result<Json<AlertPage>, Problem> {
    let limit = query.limit.unwrap_or(50).clamp(1, 200);
    let rows = context.store().alerts(query.state.as_deref(), query.level.as_deref(), &principal.row_filter, limit).await?;
    let items = rows.into_iter().map(view).collect();
    Ok(Json(AlertPage { items, next_cursor: None }))
}

/// A note on what was done.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertNote {
    note: Option<String>,
}

/// Says that somebody has seen an alert. A repetition gets the same answer.
#[utoipa::path(post, path = "/api/v1/alerts/{alert_id}/acknowledge", tag = "alerts", request_body = AlertNote, params(("alert_id" = String, Path)),
    responses((status = 200, body = AlertView), (status = 404, body = Problem)))]
pub(super) async fn acknowledge(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(alert_id): Path<String>,
    Strict(note): Strict<AlertNote>,
) -> Result<Json<AlertView>, Problem> {
    let by = principal.token_id.clone();
    let body = EventBody::AlertAcknowledged { alert_id: alert_id.clone(), by, note: note.note };
    change(&context, &principal, &alert_id, "acknowledged", body).await
}

/// Says that an alert is handled. A repetition gets the same answer.
#[utoipa::path(post, path = "/api/v1/alerts/{alert_id}/resolve", tag = "alerts", request_body = AlertNote, params(("alert_id" = String, Path)),
    responses((status = 200, body = AlertView), (status = 404, body = Problem)))]
pub(super) async fn resolve(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(alert_id): Path<String>,
    Strict(note): Strict<AlertNote>,
) -> Result<Json<AlertView>, Problem> {
    let by = Some(principal.token_id.clone());
    let body = EventBody::AlertResolved { alert_id: alert_id.clone(), reason: ResolveReason::Handled, by, note: note.note };
    change(&context, &principal, &alert_id, "resolved", body).await
}

async fn change(
    context: &ApiContext,
    principal: &Principal,
    alert_id: &str,
    state: &str,
    body: EventBody,
) -> Result<Json<AlertView>, Problem> {
    let row = context.store().alert(alert_id).await?.ok_or_else(|| Problem::not_found("alert"))?;
    let call = context.visible_call(&row.call_id, principal).await?;
    if row.state == state || row.state == "resolved" {
        return Ok(Json(view(row)));
    }
    let at_ms = call.duration_ms.unwrap_or(0);
    context.log.append_with(&call.call_id, vec![Draft::new(at_ms, body)], Vec::new()).await?;
    Ok(Json(view(AlertRow { state: state.to_owned(), ..row })))
}

/// Acknowledges an alert for a socket client.
pub(super) async fn acknowledge_for(context: &ApiContext, principal: &Principal, alert_id: &str) -> Result<(), Problem> {
    let body = EventBody::AlertAcknowledged { alert_id: alert_id.to_owned(), by: principal.token_id.clone(), note: None };
    change(context, principal, alert_id, "acknowledged", body).await.map(drop)
}

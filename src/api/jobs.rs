//! Jobs: how far they are, what came of them, and stopping them. Who asked for a job sees it, and who has the scope of
//! its kind.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::job_desk::Job;
use super::strict::Query;
use super::{ApiContext, Problem};
use crate::access::Principal;
use crate::store::{JobRow, JobWrite, Write};

/// The answer to a request that became a job: 202, `Location` and the job.
pub(super) fn accepted(job: Job) -> Response {
    let location = format!("/api/v1/jobs/{}", job.job_id);
    (StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(job)).into_response()
}

/// A job that the principal may see.
pub(super) async fn visible(context: &ApiContext, principal: &Principal, job_id: &str) -> Result<JobRow, Problem> {
    let row = context.jobs.row(job_id).await?.ok_or_else(|| Problem::not_found("job"))?;
    if sees(context, principal, &row) { Ok(row) } else { Err(Problem::not_found("job")) }
}

fn sees(context: &ApiContext, principal: &Principal, row: &JobRow) -> bool {
    row.owner == principal.token_id || context.jobs.scope(&row.kind).is_some_and(|scope| principal.may(scope))
}

/// Which jobs.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct JobQuery {
    /// Kind of work.
    kind: Option<String>,
    /// `queued`, `running`, `succeeded`, `failed` or `cancelled`.
    state: Option<String>,
    /// 1 to 200.
    limit: Option<u32>,
}

/// A list of jobs.
#[derive(Serialize, ToSchema)]
pub(super) struct JobPage {
    items: Vec<Job>,
    next_cursor: Option<String>,
}

/// Jobs, newest first.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(JobQuery), responses((status = 200, body = JobPage)))]
pub(super) async fn list(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Query(query): Query<JobQuery>,
) -> Result<Json<JobPage>, Problem> {
    let limit = query.limit.unwrap_or(50).clamp(1, 200);
    let kinds = context.jobs.kinds(|scope| principal.may(scope));
    let reader = (principal.token_id.as_str(), kinds.as_slice());
    let rows = context.store().jobs_seen(reader, query.kind.as_deref(), query.state.as_deref(), limit).await?;
    let items = rows.iter().map(|row| Job::of(row, None)).collect();
    Ok(Json(JobPage { items, next_cursor: None }))
}

/// A job.
#[utoipa::path(get, path = "/api/v1/jobs/{job_id}", tag = "jobs", params(("job_id" = String, Path)),
    responses((status = 200, body = Job), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(job_id): Path<String>,
) -> Result<Json<Job>, Problem> {
    visible(&context, &principal, &job_id).await?;
    let job = context.jobs.show(&job_id).await?.ok_or_else(|| Problem::not_found("job"))?;
    Ok(Json(job))
}

/// Stops a job behind the items it is working on; what was done stays. A job that is over stays as it is.
#[utoipa::path(post, path = "/api/v1/jobs/{job_id}/cancel", tag = "jobs", params(("job_id" = String, Path)),
    responses((status = 202, body = Job), (status = 404, body = Problem)))]
pub(super) async fn cancel(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(job_id): Path<String>,
) -> Result<Response, Problem> {
    let row = visible(&context, &principal, &job_id).await?;
    let open = matches!(row.state.as_str(), "queued" | "running");
    if open && !context.jobs.cancel(&job_id) {
        let ended = JobRow { state: "cancelled".into(), finished_at: Some(crate::event::now_rfc3339()), ..row };
        context.store().write(vec![Write::Job(JobWrite::Row(Box::new(ended)))]).await?;
    }
    let job = context.jobs.show(&job_id).await?.ok_or_else(|| Problem::not_found("job"))?;
    Ok((if open { StatusCode::ACCEPTED } else { StatusCode::OK }, Json(job)).into_response())
}

/// What came of a job.
#[utoipa::path(get, path = "/api/v1/jobs/{job_id}/result", tag = "jobs", params(("job_id" = String, Path)),
    responses((status = 200, body = Object), (status = 409, body = Problem)))]
pub(super) async fn result(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(job_id): Path<String>,
) -> Result<Response, Problem> {
    let row = visible(&context, &principal, &job_id).await?;
    let body = row.result.ok_or_else(|| Problem::new("state_conflict", format!("the job is {}", row.state)))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Which failed items.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ErrorQuery {
    /// From this item number on.
    from: Option<u64>,
    /// 1 to 200.
    limit: Option<u32>,
}

/// An item that failed.
#[derive(Serialize, ToSchema)]
pub(super) struct FailedItem {
    item: u64,
    key: String,
    reason: String,
}

/// Failed items.
#[derive(Serialize, ToSchema)]
pub(super) struct FailedPage {
    items: Vec<FailedItem>,
    /// `from` of the next page.
    next_cursor: Option<String>,
}

/// Items that failed, each with its reason.
#[utoipa::path(get, path = "/api/v1/jobs/{job_id}/errors", tag = "jobs", params(("job_id" = String, Path), ErrorQuery),
    responses((status = 200, body = FailedPage)))]
pub(super) async fn errors(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(job_id): Path<String>,
    Query(query): Query<ErrorQuery>,
) -> Result<Json<FailedPage>, Problem> {
    visible(&context, &principal, &job_id).await?;
    let limit = query.limit.unwrap_or(50).clamp(1, 200);
    let rows = context.store().job_items(&job_id, "failed", query.from.unwrap_or(0), limit).await?;
    let next_cursor = (rows.len() == limit as usize).then(|| rows.last().map(|r| (r.item + 1).to_string())).flatten();
    let items = rows.into_iter().map(|r| FailedItem { item: r.item, key: r.key, reason: r.body.unwrap_or_default() }).collect();
    Ok(Json(FailedPage { items, next_cursor }))
}

/// The job as it changes: `event: progress` with the job, last `event: end`.
#[utoipa::path(get, path = "/api/v1/jobs/{job_id}/events", tag = "jobs", params(("job_id" = String, Path)),
    responses((status = 200, content_type = "text/event-stream")))]
pub(super) async fn events(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(job_id): Path<String>,
) -> Result<Response, Problem> {
    visible(&context, &principal, &job_id).await?;
    let watched = context.jobs.watch(&job_id);
    let now = context.jobs.show(&job_id).await?.ok_or_else(|| Problem::not_found("job"))?;
    let first = stream::once(async move { now });
    let later = stream::unfold(watched, |watched| async move {
        let mut watched = watched?;
        watched.changed().await.ok()?;
        let job = watched.borrow_and_update().clone();
        Some((job, Some(watched)))
    });
    // The end is said once: the first state that is over is the last one.
    let jobs = first.chain(later).scan(false, |over, job| {
        let said = std::mem::replace(over, job.is_over());
        futures::future::ready((!said).then_some(job))
    });
    let stream = jobs.map(|job| {
        let name = if job.is_over() { "end" } else { "progress" };
        Ok::<_, Infallible>(SseEvent::default().event(name).data(serde_json::to_string(&job).unwrap_or_default()))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response())
}

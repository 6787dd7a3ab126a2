//! Verdicts on passages, gaps, statistics, versions and export of the knowledge base.

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::knowledge::{find, only_visible};
use super::shelf_learning::new_gap_id;
use super::strict::{Query, Strict};
use super::{ApiContext, Problem};
use crate::access::Principal;
use crate::conversation::Language;
use crate::event::now_rfc3339;
use crate::knowledge::{DiffLine, GapCluster, History, Review, Version, masked};
use crate::store::{GapRow, KnowledgeWrite, PassageFeedbackRow, UsageRow, Write};

/// Verdicts on a passage.
const VERDICTS: [&str; 4] = ["helpful", "not_helpful", "outdated", "incorrect"];

/// A verdict on a passage.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PassageFeedback {
    /// `helpful`, `not_helpful`, `outdated` or `incorrect`.
    verdict: String,
    /// What was asked.
    query: Option<String>,
    /// Call in which it was asked.
    call_id: Option<String>,
}

/// Says whether a passage helped. The last verdict of an actor stays.
#[utoipa::path(post, path = "/api/v1/knowledge/passages/{passage_id}/feedback", tag = "knowledge", request_body = PassageFeedback,
    params(("passage_id" = String, Path)), responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn passage_feedback(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(passage_id): Path<String>,
    Strict(feedback): Strict<PassageFeedback>,
) -> Result<StatusCode, Problem> {
    if !VERDICTS.contains(&feedback.verdict.as_str()) {
        return Err(Problem::invalid("/verdict", format!("one of {}", VERDICTS.join(", "))));
    }
    let passage = context.shelf.index().passage(&passage_id)?.ok_or_else(|| Problem::not_found("passage"))?;
    let known = context.store().passage_feedback(Some(&passage.document_id)).await?;
    let repeated = known
        .iter()
        .any(|row| row.passage_id == passage_id && row.actor == principal.token_id && row.verdict == feedback.verdict);
    if repeated {
        return Ok(StatusCode::NO_CONTENT);
    }
    let query = feedback.query.as_deref().map(masked);
    let mut writes = vec![Write::Knowledge(KnowledgeWrite::PassageFeedback(PassageFeedbackRow {
        passage_id,
        actor: principal.token_id.clone(),
        document_id: passage.document_id.clone(),
        verdict: feedback.verdict.clone(),
        at: now_rfc3339(),
        body: serde_json::json!({ "query": query, "call_id": feedback.call_id }).to_string(),
    }))];
    let action = match feedback.verdict.as_str() {
        "helpful" => "used",
        "not_helpful" => "dismissed",
        _ => "wrong",
    };
    writes.push(Write::Knowledge(KnowledgeWrite::Usage(UsageRow {
        day: now_rfc3339()[..10].to_owned(),
        document_id: passage.document_id.clone(),
        topic: String::new(),
        agent: principal.token_id.clone(),
        action: action.to_owned(),
        count: 1,
    })));
    if let (Some(question), true) = (query, feedback.verdict != "helpful") {
        writes.push(Write::Knowledge(KnowledgeWrite::Gap(GapRow {
            gap_id: new_gap_id(),
            time: now_rfc3339(),
            source: "feedback".into(),
            reason: "not_helpful".into(),
            language: Language::of_text(&question).name().to_owned(),
            question,
            intent: None,
            call_id: feedback.call_id,
            document_id: Some(passage.document_id),
            score: None,
        })));
    }
    context.store().write(writes).await?;
    context.shelf.want_learning();
    Ok(StatusCode::NO_CONTENT)
}

/// Which gaps.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct GapQuery {
    /// Days back, 1 to 365; 30 by default.
    days: Option<u64>,
    /// Questions that a cluster has at least; 2 by default.
    least: Option<usize>,
    /// 1 to 200.
    limit: Option<usize>,
}

/// Clusters of questions without a good answer.
#[derive(Serialize, ToSchema)]
pub(super) struct GapPage {
    items: Vec<GapCluster>,
    next_cursor: Option<String>,
}

/// Questions that found no good answer, put together to candidates for articles.
#[utoipa::path(get, path = "/api/v1/knowledge/gaps", tag = "knowledge", params(GapQuery), responses((status = 200, body = GapPage)))]
pub(super) async fn gaps(State(context): State<ApiContext>, Query(query): Query<GapQuery>) -> Result<Json<GapPage>, Problem> {
    let days = query.days.unwrap_or(30);
    if !(1..=365).contains(&days) {
        return Err(Problem::new("invalid_query", "days is from 1 to 365"));
    }
    let mut items = context.shelf.gaps(days, query.least.unwrap_or(2)).await?;
    items.truncate(query.limit.unwrap_or(50).clamp(1, 200));
    Ok(Json(GapPage { items, next_cursor: None }))
}

/// How far back, and how many.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    /// Days back, 1 to 365; 30 by default.
    days: Option<u64>,
    /// Most searches, 1 to 1,000; 100 by default.
    limit: Option<u32>,
}

/// A search that was made; long numbers and mail addresses are masked.
#[derive(Serialize, ToSchema)]
pub(super) struct LoggedSearch {
    /// RFC 3339.
    time: String,
    /// Who asked: the token's name.
    actor: String,
    /// `zh` or `en`.
    language: String,
    /// What was asked.
    query: String,
    /// Passages found.
    results: i64,
    /// Best score; none if nothing was found.
    score: Option<f64>,
    /// Article of the best passage.
    document_id: Option<String>,
}

/// Searches, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct SearchLog {
    items: Vec<LoggedSearch>,
}

/// What was searched for.
#[utoipa::path(get, path = "/api/v1/knowledge/searches", tag = "knowledge", params(LogQuery), responses((status = 200, body = SearchLog)))]
pub(super) async fn searches(
    State(context): State<ApiContext>,
    Query(query): Query<LogQuery>,
) -> Result<Json<SearchLog>, Problem> {
    let (days, limit) = (query.days.unwrap_or(30), query.limit.unwrap_or(100));
    if !(1..=365).contains(&days) || !(1..=1_000).contains(&limit) {
        return Err(Problem::new("invalid_query", "days is from 1 to 365, limit from 1 to 1000"));
    }
    let logged = |row: crate::store::SearchRow| LoggedSearch {
        time: row.time,
        actor: row.actor,
        language: row.language,
        query: row.query,
        results: row.results,
        score: row.score,
        document_id: row.document_id,
    };
    Ok(Json(SearchLog { items: context.shelf.searches(days, limit).await?.into_iter().map(logged).collect() }))
}

/// What is used and what is not, what is due, doubled or contradictory, which topics surge or come with the season.
#[utoipa::path(get, path = "/api/v1/knowledge/stats", tag = "knowledge", responses((status = 200, body = Review)))]
pub(super) async fn stats(State(context): State<ApiContext>) -> Result<Json<Review>, Problem> {
    Ok(Json(context.shelf.review().await?))
}

/// One version of a document.
#[utoipa::path(get, path = "/api/v1/knowledge/documents/{document_id}/versions/{version}", tag = "knowledge",
    params(("document_id" = String, Path), ("version" = u32, Path)), responses((status = 200, body = Version), (status = 404, body = Problem)))]
pub(super) async fn version(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path((document_id, version)): Path<(String, u32)>,
) -> Result<Json<Version>, Problem> {
    let history = only_visible(&principal, find(&context, &principal, &document_id).await?);
    Ok(Json(history.version(version)?.clone()))
}

/// What a comparison is with.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct DiffQuery {
    /// The version to compare with; the one before by default.
    with: Option<u32>,
}

/// Lines of two versions.
#[derive(Serialize, ToSchema)]
pub(super) struct Diff {
    /// The earlier one.
    from: u32,
    /// The later one.
    to: u32,
    lines: Vec<DiffLine>,
}

/// Compares a version with another, line by line.
#[utoipa::path(get, path = "/api/v1/knowledge/documents/{document_id}/versions/{version}/diff", tag = "knowledge",
    params(("document_id" = String, Path), ("version" = u32, Path), DiffQuery), responses((status = 200, body = Diff), (status = 404, body = Problem)))]
pub(super) async fn diff(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path((document_id, version)): Path<(String, u32)>,
    Query(query): Query<DiffQuery>,
) -> Result<Json<Diff>, Problem> {
    let history = only_visible(&principal, find(&context, &principal, &document_id).await?);
    let other = query.with.unwrap_or_else(|| version.saturating_sub(1).max(1));
    let (from, to) = (other.min(version), other.max(version));
    Ok(Json(Diff { from, to, lines: history.diff(from, to)? }))
}

/// Every published document in the form that `POST /knowledge/imports` reads.
#[utoipa::path(get, path = "/api/v1/knowledge/export", tag = "knowledge", responses((status = 200, body = Object)))]
pub(super) async fn export(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
) -> Result<Response, Problem> {
    let queues = &principal.row_filter.queues;
    let mut all = context.shelf.all().await?;
    all.retain(|history| history.published().is_none_or(|document| document.content.open_to(queues)));
    let body = export_of(&all);
    Ok(([(header::CONTENT_DISPOSITION, "attachment; filename=\"knowledge.json\"")], Json(body)).into_response())
}

/// Published documents as one JSON value: `{"documents":[{"document_id", …content}]}`.
pub fn export_of(histories: &[History]) -> serde_json::Value {
    let documents: Vec<serde_json::Value> = histories
        .iter()
        .filter_map(History::published)
        .filter_map(|document| {
            let mut value = serde_json::to_value(&document.content).ok()?;
            value.as_object_mut()?.insert("document_id".to_owned(), document.document_id.into());
            Some(value)
        })
        .collect();
    serde_json::json!({ "documents": documents })
}

//! Knowledge documents, their life-cycle and search.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::Utc;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::admin::audit;
use super::strict::{Query, Strict};
use super::{ApiContext, Problem};
use crate::access::{Principal, Scope};
use crate::conversation::{IdKind, new_id};
use crate::knowledge::{DocumentContent, History, KnowledgeError, OPEN_TO_ALL, SearchMode, SearchRequest, SearchResponse};

/// A document and the version of the index that knows it.
#[derive(Serialize, ToSchema)]
pub(super) struct DocumentView {
    document_id: String,
    /// Newest version.
    version: u32,
    state: String,
    #[schema(value_type = Object)]
    content: DocumentContent,
    /// Version that readers see.
    published_version: Option<u32>,
    index_version: u64,
}

fn view(history: &History, index_version: u64) -> Result<DocumentView, Problem> {
    let newest = history.versions.last().ok_or_else(|| Problem::not_found("version"))?;
    let state = serde_json::to_value(newest.state).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
    Ok(DocumentView {
        document_id: history.document_id.clone(),
        version: newest.n,
        state,
        content: newest.content.clone(),
        published_version: history.published().map(|d| d.version),
        index_version,
    })
}

fn with_etag(status: StatusCode, view: DocumentView) -> Response {
    let etag = format!("\"{}\"", view.version);
    (status, [(header::ETAG, etag)], Json(view)).into_response()
}

/// Reads a body beside the threads that answer requests: it may be large.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> Result<T, KnowledgeError> + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|_| Problem::new("internal", "reading the document was interrupted"))??)
}

/// Makes a document; it is a draft until it is published.
#[utoipa::path(post, path = "/api/v1/knowledge/documents", tag = "knowledge", request_body = Object,
    responses((status = 201, body = DocumentView), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Strict(content): Strict<DocumentContent>,
) -> Result<Response, Problem> {
    let by = principal.token_id;
    let history = beside(move || History::create(new_id(IdKind::Document), content, &by, Utc::now())).await?;
    let index_version = context.shelf.keep(vec![history.clone()]).await?;
    Ok(with_etag(StatusCode::CREATED, view(&history, index_version)?))
}

/// A list of documents.
#[derive(Serialize, ToSchema)]
pub(super) struct DocumentPage {
    items: Vec<DocumentView>,
    next_cursor: Option<String>,
}

/// Which documents.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct DocumentQuery {
    /// 1 to 200.
    limit: Option<usize>,
    /// Id of the last document of the page before.
    cursor: Option<String>,
}

/// Documents by id.
#[utoipa::path(get, path = "/api/v1/knowledge/documents", tag = "knowledge", params(DocumentQuery), responses((status = 200, body = DocumentPage)))]
pub(super) async fn list(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Query(query): Query<DocumentQuery>,
) -> Result<Json<DocumentPage>, Problem> {
    let limit = query.limit.unwrap_or(50).clamp(1, 200);
    let version = context.shelf.index().index_version();
    let all = context.shelf.all().await?;
    let visible = all.iter().filter(|h| sees(&principal, h));
    let mut rest = visible.filter(|h| query.cursor.as_ref().is_none_or(|c| h.document_id > *c));
    let items = rest.by_ref().take(limit).map(|h| view(h, version)).collect::<Result<Vec<_>, _>>()?;
    let next_cursor = rest.next().and_then(|_| items.last().map(|d| d.document_id.clone()));
    Ok(Json(DocumentPage { items, next_cursor }))
}

/// Whether the token's row filter admits a document.
fn sees(principal: &Principal, history: &History) -> bool {
    history.open_to(&principal.row_filter.queues)
}

/// A document that the token sees, with all its versions.
pub(super) async fn find(context: &ApiContext, principal: &Principal, document_id: &str) -> Result<History, Problem> {
    let history = context.shelf.get(document_id).await?.ok_or_else(|| Problem::not_found("document"))?;
    if sees(principal, &history) {
        Ok(history)
    } else {
        Err(Problem::new("outside_row_filter", "the token's row filter excludes this document"))
    }
}

/// Removes the versions that stood in queues that the token does not see.
pub(super) fn only_visible(principal: &Principal, mut history: History) -> History {
    history.versions.retain(|version| version.content.open_to(&principal.row_filter.queues));
    history
}

/// One document in its newest version.
#[utoipa::path(get, path = "/api/v1/knowledge/documents/{document_id}", tag = "knowledge", params(("document_id" = String, Path)),
    responses((status = 200, body = DocumentView), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(document_id): Path<String>,
) -> Result<Response, Problem> {
    let history = find(&context, &principal, &document_id).await?;
    Ok(with_etag(StatusCode::OK, view(&history, context.shelf.index().index_version())?))
}

/// A new version of a document, as a draft. Needs `If-Match` with the version that was read.
#[utoipa::path(put, path = "/api/v1/knowledge/documents/{document_id}", tag = "knowledge", request_body = Object, params(("document_id" = String, Path)),
    responses((status = 200, body = DocumentView), (status = 412, body = Problem), (status = 428, body = Problem)))]
pub(super) async fn put(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(document_id): Path<String>,
    headers: HeaderMap,
    Strict(content): Strict<DocumentContent>,
) -> Result<Response, Problem> {
    let mut history = find(&context, &principal, &document_id).await?;
    let known = headers.get(header::IF_MATCH).and_then(|v| v.to_str().ok());
    let known = known.ok_or_else(|| Problem::new("precondition_required", "send If-Match with the ETag that you read"))?;
    let newest = history.versions.last().map_or(0, |v| v.n);
    if known.trim_matches('"') != newest.to_string() {
        return Err(Problem::new("version_conflict", format!("the newest version is {newest}; read it and try again")));
    }
    let by = principal.token_id;
    let history = beside(move || history.revise(content, &by, Utc::now()).map(|_| history)).await?;
    let index_version = context.shelf.keep(vec![history.clone()]).await?;
    Ok(with_etag(StatusCode::OK, view(&history, index_version)?))
}

/// Whether a document goes for good.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteQuery {
    #[serde(default)]
    purge: bool,
}

/// Archives a document; with `purge=true` (scope admin:privacy) it goes for good.
#[utoipa::path(delete, path = "/api/v1/knowledge/documents/{document_id}", tag = "knowledge", params(("document_id" = String, Path), DeleteQuery),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn delete(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(document_id): Path<String>,
    Query(query): Query<DeleteQuery>,
) -> Result<StatusCode, Problem> {
    let mut history = find(&context, &principal, &document_id).await?;
    if query.purge {
        if !principal.may(Scope::AdminPrivacy) {
            return Err(Problem::scope_missing(Scope::AdminPrivacy));
        }
        context.shelf.purge(&document_id).await?;
        audit(&context, &principal, "document.purge", &document_id).await?;
    } else {
        history.archive_all(Utc::now());
        context.shelf.keep(vec![history]).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// All versions of a document.
#[utoipa::path(get, path = "/api/v1/knowledge/documents/{document_id}/versions", tag = "knowledge", params(("document_id" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub(super) async fn versions(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(document_id): Path<String>,
) -> Result<Json<History>, Problem> {
    Ok(Json(only_visible(&principal, find(&context, &principal, &document_id).await?)))
}

/// Moves a version through its life: `submit`, `publish`, `archive` or `rollback`.
#[utoipa::path(post, path = "/api/v1/knowledge/documents/{document_id}/versions/{version}/{action}", tag = "knowledge",
    params(("document_id" = String, Path), ("version" = u32, Path), ("action" = String, Path)),
    responses((status = 200, body = DocumentView), (status = 409, body = Problem)))]
pub(super) async fn transition(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path((document_id, version, action)): Path<(String, u32, String)>,
) -> Result<Response, Problem> {
    let mut history = find(&context, &principal, &document_id).await?;
    let now = Utc::now();
    match action.as_str() {
        "submit" => history.submit(version, now)?,
        "publish" => history.publish(version, now)?,
        "archive" => history.archive(version, now)?,
        "rollback" => drop(history.rollback(version, &principal.token_id, now)?),
        _ => return Err(Problem::new("not_found", "known actions: submit, publish, archive, rollback")),
    }
    let index_version = context.shelf.keep(vec![history.clone()]).await?;
    audit(&context, &principal, &format!("document.{action}"), &document_id).await?;
    Ok(with_etag(StatusCode::OK, view(&history, index_version)?))
}

/// Keeps the queues of a search within those that the token sees; none named are all that it sees.
fn keep_to_queues(wanted: &mut Vec<String>, seen: &[String]) -> Result<(), Problem> {
    if wanted.is_empty() {
        seen.clone_into(wanted);
    } else if !seen.is_empty() && wanted.iter().any(|queue| queue != OPEN_TO_ALL && !seen.contains(queue)) {
        return Err(Problem::new("outside_row_filter", "the token's row filter excludes a queue of /filters/queues"));
    }
    Ok(())
}

/// Searches the knowledge base.
#[utoipa::path(post, path = "/api/v1/knowledge/search", tag = "knowledge", request_body = Object,
    responses((status = 200, body = Object), (status = 422, body = Problem)))]
pub(super) async fn search(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Strict(mut request): Strict<SearchRequest>,
) -> Result<Json<SearchResponse>, Problem> {
    if request.query.trim().is_empty() {
        return Err(Problem::invalid("/query", "must not be blank"));
    }
    if request.top_k == 0 || request.top_k > 200 {
        return Err(Problem::invalid("/top_k", "from 1 to 200"));
    }
    keep_to_queues(&mut request.filters.queues, &principal.row_filter.queues)?;
    request.agent = Some(principal.token_id.clone());
    let (index, encoder) = (context.shelf.index().clone(), context.hub.stages().encoder.clone());
    let asked = request.clone();
    let found = tokio::task::spawn_blocking(move || {
        let pending = if asked.mode == SearchMode::Lexical { None } else { encoder.begin_embedding(asked.query.clone()).ok() };
        index.search_while(&asked, || pending?.wait().ok())
    })
    .await;
    let answer = found.map_err(|_| Problem::new("internal", "the search was interrupted"))??;
    // the answer does not wait for the log
    let (shelf, logged) = (context.shelf.clone(), answer.clone());
    tokio::spawn(async move {
        if let Err(error) = shelf.log_search(&principal.token_id, &request, &logged).await {
            tracing::warn!(%error, "search not logged");
        }
    });
    Ok(Json(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::RowFilter;
    use crate::conversation::Language;

    fn principal(queues: &[&str]) -> Principal {
        let queues = queues.iter().map(|queue| (*queue).to_owned()).collect();
        Principal { token_id: "tok_a".into(), scopes: Vec::new(), row_filter: RowFilter { queues, ..RowFilter::default() } }
    }

    fn content(queues: &[&str]) -> DocumentContent {
        let queues = queues.iter().map(|queue| (*queue).to_owned()).collect();
        DocumentContent { title: "t".into(), body: "b".into(), language: Language::En, queues, ..DocumentContent::default() }
    }

    #[test]
    fn a_search_stays_within_the_queues_of_the_token() {
        let within = |wanted: &[&str], seen: &[&str]| {
            let mut wanted: Vec<String> = wanted.iter().map(|queue| (*queue).to_owned()).collect();
            keep_to_queues(&mut wanted, &principal(seen).row_filter.queues).ok().map(|()| wanted)
        };
        assert_eq!(within(&[], &["loan"]), Some(vec!["loan".to_owned()]));
        assert_eq!(within(&["loan"], &["loan", "card"]), Some(vec!["loan".to_owned()]));
        assert_eq!(within(&["vip"], &["loan"]), None);
        assert_eq!(within(&["loan", "vip"], &["loan"]), None);
        assert_eq!(within(&["*"], &["loan"]), Some(vec!["*".to_owned()]));
        assert_eq!(within(&["vip"], &[]), Some(vec!["vip".to_owned()]));
    }

    #[test]
    fn a_token_sees_the_documents_and_versions_of_its_queues() {
        let now = Utc::now();
        let mut history = History::create("doc_1", content(&["vip"]), "e", now).unwrap();
        history.publish(1, now).unwrap();
        assert!(sees(&principal(&[]), &history) && sees(&principal(&["vip"]), &history));
        assert!(!sees(&principal(&["loan"]), &history));
        history.revise(content(&["loan"]), "e", now).unwrap();
        assert!(!sees(&principal(&["loan"]), &history), "readers see the version before");
        history.publish(2, now).unwrap();
        assert!(sees(&principal(&["loan"]), &history));
        let versions: Vec<u32> = only_visible(&principal(&["loan"]), history.clone()).versions.iter().map(|v| v.n).collect();
        assert_eq!(versions, [2]);
        history.revise(content(&[]), "e", now).unwrap();
        history.publish(3, now).unwrap();
        assert!(sees(&principal(&["card"]), &history), "open to all queues");
    }
}

//! Rules and schemes as drafts and versions: kept, listed, published.

use axum::Extension;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::quality_work::PublishRequest;
use super::rule_book::{self, RULE, SCHEME};
use super::strict::Strict;
use super::{ApiContext, Problem};
use crate::access::Principal;
use crate::quality::{Models, Rule, Scheme, run_rule_tests};
use crate::store::{QualityDocument, QualityWrite, Write};

/// A rule to be kept.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleBody {
    /// Its JSON form.
    #[schema(value_type = Object)]
    rule: Value,
}

/// A scheme to be kept.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SchemeBody {
    /// Its JSON form.
    #[schema(value_type = Object)]
    scheme: Value,
}

/// A version of a rule or scheme.
#[derive(Serialize, ToSchema)]
pub(super) struct VersionView {
    id: String,
    version: i64,
    /// `draft`, `checked`, `published` or `retired`.
    state: String,
    changed_at: String,
    changed_by: String,
    #[schema(value_type = Object)]
    body: Value,
}

fn view(document: QualityDocument) -> VersionView {
    VersionView {
        body: serde_json::from_str(&document.body).unwrap_or_default(),
        id: document.id,
        version: document.version,
        state: document.state,
        changed_at: document.changed_at,
        changed_by: document.changed_by,
    }
}

/// Keeps a draft: the open draft of this id is replaced, else the next version begins. A rule whose own tests pass is
/// `checked`.
async fn keep(
    context: &ApiContext,
    principal: &Principal,
    kind: &str,
    id: &str,
    body: &Value,
    checked: bool,
) -> Result<(StatusCode, Json<VersionView>), Problem> {
    let stored = context.store().quality_documents(kind, Some(id)).await?;
    let open = stored.iter().rev().find(|d| matches!(d.state.as_str(), "draft" | "checked")).map(|d| d.version);
    let version = open.unwrap_or_else(|| rule_book::next_version(&stored, rule_book::in_force(context, kind, id)));
    let mut document = rule_book::draft(kind, id, version, body, principal);
    if checked {
        document.state = "checked".into();
    }
    context.store().write(vec![Write::Quality(QualityWrite::Document(document.clone()))]).await?;
    let status = if open.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(view(document))))
}

/// Keeps a rule as a draft; nothing in force changes.
#[utoipa::path(post, path = "/api/v1/quality/rules", tag = "quality", request_body = RuleBody,
    responses((status = 201, body = VersionView), (status = 422, body = Problem)))]
pub(super) async fn create_rule(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Strict(request): Strict<RuleBody>,
) -> Result<(StatusCode, Json<VersionView>), Problem> {
    let rule = Rule::from_json(&request.rule).map_err(rule_book::invalid)?;
    let outcomes = run_rule_tests(&rule, &Models::default());
    let checked = !outcomes.is_empty() && outcomes.iter().all(|o| o.passed);
    keep(&context, &principal, RULE, &rule.id, &request.rule, checked).await
}

/// Changes the draft of a rule.
#[utoipa::path(put, path = "/api/v1/quality/rules/{rule_id}", tag = "quality", params(("rule_id" = String, Path)),
    request_body = RuleBody, responses((status = 200, body = VersionView), (status = 422, body = Problem)))]
pub(super) async fn put_rule(
    context: State<ApiContext>,
    principal: Extension<Principal>,
    Path(rule_id): Path<String>,
    Strict(request): Strict<RuleBody>,
) -> Result<(StatusCode, Json<VersionView>), Problem> {
    if request.rule["id"] != rule_id.as_str() {
        return Err(Problem::invalid("/rule/id", format!("the id of the rule must be {rule_id}, as in the path")));
    }
    create_rule(context, principal, Strict(request)).await
}

/// Keeps a scheme as a draft; nothing in force changes.
#[utoipa::path(post, path = "/api/v1/quality/schemes", tag = "quality", request_body = SchemeBody,
    responses((status = 201, body = VersionView), (status = 422, body = Problem)))]
pub(super) async fn create_scheme(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Strict(request): Strict<SchemeBody>,
) -> Result<(StatusCode, Json<VersionView>), Problem> {
    let scheme = Scheme::from_json(&request.scheme).map_err(rule_book::invalid)?;
    let rules = context.hub.stages().rules();
    let drafts = context.store().quality_documents(RULE, None).await?;
    if let Some(unknown) = scheme.rules().find(|id| rules.rule(id).is_none() && !drafts.iter().any(|d| d.id == **id)) {
        return Err(Problem::invalid("/scheme", format!("there is no rule {unknown}")));
    }
    keep(&context, &principal, SCHEME, &scheme.id, &request.scheme, false).await
}

/// The schemes in force.
#[utoipa::path(get, path = "/api/v1/quality/schemes", tag = "quality", responses((status = 200, body = Vec<VersionView>)))]
pub(super) async fn schemes(State(context): State<ApiContext>) -> Json<Vec<VersionView>> {
    let in_force = context.hub.stages().quality.schemes();
    let shown = in_force.iter().map(|scheme| VersionView {
        id: scheme.id.clone(),
        version: scheme.version.and_then(|v| i64::try_from(v).ok()).unwrap_or(1),
        state: "published".into(),
        changed_at: String::new(),
        changed_by: String::new(),
        body: scheme.source.clone(),
    });
    Json(shown.collect())
}

/// Stored versions of a rule, oldest first; one that only came with the product is version 1 and not listed.
#[utoipa::path(get, path = "/api/v1/quality/rules/{rule_id}/versions", tag = "quality", params(("rule_id" = String, Path)),
    responses((status = 200, body = Vec<VersionView>)))]
pub(super) async fn rule_versions(
    State(context): State<ApiContext>,
    Path(rule_id): Path<String>,
) -> Result<Json<Vec<VersionView>>, Problem> {
    let stored = context.store().quality_documents(RULE, Some(&rule_id)).await?;
    if stored.is_empty() && !rule_book::in_force(&context, RULE, &rule_id) {
        return Err(Problem::not_found("rule"));
    }
    Ok(Json(stored.into_iter().map(view).collect()))
}

async fn publish(
    context: &ApiContext,
    principal: &Principal,
    kind: &str,
    id: &str,
    version: i64,
) -> Result<Json<VersionView>, Problem> {
    let stored = context.store().quality_documents(kind, Some(id)).await?;
    let document = stored.iter().find(|d| d.version == version).cloned();
    let document = document.ok_or_else(|| Problem::not_found("version"))?;
    if document.state == "published" {
        return Ok(Json(view(document)));
    }
    if kind == RULE && document.state != "checked" {
        return Err(Problem::new("state_conflict", "the rule's own tests must be there and pass before it is published"));
    }
    if stored.iter().any(|d| d.version > version && d.state == "published") {
        return Err(Problem::new("version_conflict", "a newer version is published"));
    }
    let mut writes = rule_book::publication(vec![document.clone()], principal, "");
    let older = stored.into_iter().filter(|d| d.state == "published");
    writes.extend(older.map(|d| Write::Quality(QualityWrite::Document(QualityDocument { state: "retired".into(), ..d }))));
    context.store().write(writes).await?;
    rule_book::put_in_force(context.store(), context.hub.stages()).await?;
    Ok(Json(view(QualityDocument { state: "published".into(), ..document })))
}

/// Publishes a version of a rule: it is in force at once for what begins from now on. To make earlier scores again, run a
/// back-fill and publish that with `restate`.
#[utoipa::path(post, path = "/api/v1/quality/rules/{rule_id}/versions/{version}/publish", tag = "quality",
    params(("rule_id" = String, Path), ("version" = i64, Path)), request_body = PublishRequest,
    responses((status = 200, body = VersionView), (status = 409, body = Problem)))]
pub(super) async fn publish_rule(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path((rule_id, version)): Path<(String, i64)>,
    Strict(request): Strict<PublishRequest>,
) -> Result<Json<VersionView>, Problem> {
    from_now_only(&request)?;
    publish(&context, &principal, RULE, &rule_id, version).await
}

/// Publishes a version of a scheme.
#[utoipa::path(post, path = "/api/v1/quality/schemes/{scheme_id}/versions/{version}/publish", tag = "quality",
    params(("scheme_id" = String, Path), ("version" = i64, Path)), request_body = PublishRequest,
    responses((status = 200, body = VersionView), (status = 409, body = Problem)))]
pub(super) async fn publish_scheme(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path((scheme_id, version)): Path<(String, i64)>,
    Strict(request): Strict<PublishRequest>,
) -> Result<Json<VersionView>, Problem> {
    from_now_only(&request)?;
    publish(&context, &principal, SCHEME, &scheme_id, version).await
}

fn from_now_only(request: &PublishRequest) -> Result<(), Problem> {
    match request.apply {
        super::quality_work::Apply::FromNow => Ok(()),
        super::quality_work::Apply::Restate => Err(Problem::invalid(
            "/apply",
            "restate needs a back-fill: POST /quality/jobs with mode backfill, then publish that job",
        )),
    }
}

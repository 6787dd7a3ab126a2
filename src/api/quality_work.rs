//! Jobs of quality inspection: scoring over stored calls, back-fill of changed rules, its diff, publishing it.

use axum::extract::{Path, State};
use axum::response::Response;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::jobs::{accepted, visible};
use super::quality_jobs::{CallFilterBody, QualitySpec};
use super::rule_book::{self, RULE, SCHEME};
use super::strict::Strict;
use super::{ApiContext, Problem};
use crate::access::Principal;
use crate::quality::{Rule, Scheme};
use crate::store::{AuditEntry, JobRow, Write};

/// Calls that one request may name.
const CALLS_MAX: usize = 10_000;

/// What a job does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum JobMode {
    /// Scores and keeps the scorecards.
    #[default]
    Score,
    /// Compares drafts with what is in force; touches no score.
    Backfill,
}

/// When changed rules count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Apply {
    /// For what is scored from now on.
    #[default]
    FromNow,
    /// Scores of record are made again; their earlier revisions stay.
    Restate,
}

/// A job over stored calls.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewQualityJob {
    /// These calls …
    #[serde(default)]
    call_ids: Vec<String>,
    /// … or those of a filter; without either, all finished calls.
    filter: Option<CallFilterBody>,
    /// The scheme in force by default.
    scheme_id: Option<String>,
    /// A stored version of it (back-fill); its newest draft by default.
    scheme_version: Option<i64>,
    #[serde(default)]
    mode: JobMode,
    /// Changed rules in their JSON form (back-fill); by default the newest stored draft of every rule.
    #[schema(value_type = Vec<Object>)]
    #[serde(default)]
    rules: Vec<Value>,
    /// A changed scheme in its JSON form (back-fill).
    #[schema(value_type = Option<Object>)]
    scheme: Option<Value>,
}

/// Starts a job over stored calls.
#[utoipa::path(post, path = "/api/v1/quality/jobs", tag = "quality", request_body = NewQualityJob,
    responses((status = 202, body = super::Job), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Strict(request): Strict<NewQualityJob>,
) -> Result<Response, Problem> {
    if request.call_ids.len() > CALLS_MAX {
        return Err(Problem::new("too_many_items", format!("at most {CALLS_MAX} call_ids; use a filter for more")));
    }
    for id in &request.call_ids {
        context.visible_call(id, &principal).await?;
    }
    let scheme_id = request.scheme_id.clone().unwrap_or_else(|| context.hub.stages().scheme().id.clone());
    let mut spec = QualitySpec {
        call_ids: request.call_ids.clone(),
        filter: request.filter.clone().map(CallFilterBody::in_utc).transpose()?,
        rows: principal.row_filter.clone(),
        scheme_id: scheme_id.clone(),
        scheme: None,
        scheme_version: None,
        rules: Vec::new(),
        restate: false,
    };
    let kind = match request.mode {
        JobMode::Score => {
            if !request.rules.is_empty() || request.scheme.is_some() {
                return Err(Problem::invalid("/rules", "changed rules and schemes go with mode backfill; publish them to score"));
            }
            "quality.score"
        }
        JobMode::Backfill => {
            changed_rules(&context, &request, &mut spec).await?;
            changed_scheme(&context, &request, &mut spec).await?;
            "quality.backfill"
        }
    };
    if spec.scheme.is_none() && context.hub.stages().quality.scheme_of(&scheme_id).is_none() {
        return Err(Problem::invalid("/scheme_id", format!("there is no scheme {scheme_id}")));
    }
    let spec = serde_json::to_value(&spec).map_err(|_| Problem::new("internal", "the job could not be kept"))?;
    Ok(accepted(context.jobs.submit(kind, &principal.token_id, &spec, Vec::new()).await?))
}

async fn changed_rules(context: &ApiContext, request: &NewQualityJob, spec: &mut QualitySpec) -> Result<(), Problem> {
    let stored = context.store().quality_documents(RULE, None).await?;
    if request.rules.is_empty() {
        let drafts = rule_book::newest(stored, |d| d.state != "retired");
        for document in drafts.into_values().filter(|d| d.state != "published") {
            let body = serde_json::from_str(&document.body).unwrap_or_default();
            spec.rules.push((body, u64::try_from(document.version).unwrap_or(1)));
        }
        return Ok(());
    }
    for json in &request.rules {
        let rule = Rule::from_json(json).map_err(rule_book::invalid)?;
        let known: Vec<_> = stored.iter().filter(|d| d.id == rule.id).cloned().collect();
        let version = rule_book::next_version(&known, rule_book::in_force(context, RULE, &rule.id));
        spec.rules.push((json.clone(), u64::try_from(version).unwrap_or(1)));
    }
    Ok(())
}

async fn changed_scheme(context: &ApiContext, request: &NewQualityJob, spec: &mut QualitySpec) -> Result<(), Problem> {
    let stored = context.store().quality_documents(SCHEME, None).await?;
    if let Some(json) = &request.scheme {
        let scheme = Scheme::from_json(json).map_err(rule_book::invalid)?;
        let known: Vec<_> = stored.iter().filter(|d| d.id == scheme.id).cloned().collect();
        let version = rule_book::next_version(&known, rule_book::in_force(context, SCHEME, &scheme.id));
        spec.scheme_id = scheme.id;
        spec.scheme = Some(json.clone());
        spec.scheme_version = u64::try_from(version).ok();
        return Ok(());
    }
    let mut own = stored.into_iter().filter(|d| d.id == spec.scheme_id);
    let document = match request.scheme_version {
        Some(wanted) => Some(own.find(|d| d.version == wanted).ok_or_else(|| {
            Problem::invalid("/scheme_version", format!("scheme {} has no stored version {wanted}", spec.scheme_id))
        })?),
        None => own.next_back().filter(|d| matches!(d.state.as_str(), "draft" | "checked")),
    };
    if let Some(document) = document {
        spec.scheme = serde_json::from_str(&document.body).ok();
        spec.scheme_version = u64::try_from(document.version).ok();
    }
    Ok(())
}

async fn backfill(context: &ApiContext, principal: &Principal, job_id: &str) -> Result<JobRow, Problem> {
    let row = visible(context, principal, job_id).await?;
    if row.kind != "quality.backfill" {
        return Err(Problem::new("state_conflict", "this job is no back-fill and has no diff"));
    }
    Ok(row)
}

/// What the drafts of a back-fill would change.
#[utoipa::path(get, path = "/api/v1/quality/jobs/{job_id}/diff", tag = "quality", params(("job_id" = String, Path)),
    responses((status = 200, body = Object), (status = 409, body = Problem)))]
pub(super) async fn diff(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(job_id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let row = backfill(&context, &principal, &job_id).await?;
    let body = row
        .result
        .ok_or_else(|| Problem::new("state_conflict", format!("the job is {}; its diff comes at its end", row.state)))?;
    Ok(Json(serde_json::from_str(&body).unwrap_or_default()))
}

/// How a back-fill is published.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PublishRequest {
    #[serde(default)]
    pub(super) apply: Apply,
}

/// Publishes the rules and scheme of a back-fill; `restate` starts a job that makes the scores of its calls again.
#[utoipa::path(post, path = "/api/v1/quality/jobs/{job_id}/publish", tag = "quality", params(("job_id" = String, Path)),
    request_body = PublishRequest, responses((status = 200, body = Object), (status = 409, body = Problem)))]
pub(super) async fn publish(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(job_id): Path<String>,
    Strict(request): Strict<PublishRequest>,
) -> Result<Json<Value>, Problem> {
    let row = backfill(&context, &principal, &job_id).await?;
    if row.state != "succeeded" {
        return Err(Problem::new("state_conflict", format!("the job is {}; only a finished back-fill is published", row.state)));
    }
    let spec = QualitySpec::of(&row).map_err(|e| Problem::new("state_conflict", e))?;
    let (rules, scheme) = spec.drafts().map_err(|e| Problem::new("invalid_rule", e))?;
    let mut documents = Vec::new();
    let drafts = rules
        .iter()
        .map(|r| (RULE, &r.id, r.version, &r.source))
        .chain(scheme.iter().map(|s| (SCHEME, &s.id, s.version, &s.source)));
    for (kind, id, version, source) in drafts {
        let version = version.and_then(|v| i64::try_from(v).ok()).unwrap_or(1);
        let stored = context.store().quality_documents(kind, Some(id)).await?;
        // As text: a JSON value equals a stored body only if it is a string itself.
        let body = source.to_string();
        if stored.iter().any(|d| d.version >= version && (d.state == "published" || d.body != body)) {
            return Err(Problem::new("version_conflict", format!("{kind} {id} was changed since this back-fill; run it again")));
        }
        documents.push(rule_book::draft(kind, id, version, source, &principal));
    }
    if documents.is_empty() {
        return Err(Problem::new("state_conflict", "this back-fill changes no rule and no scheme"));
    }
    let published: Vec<String> = documents.iter().map(|d| format!("{}@{}", d.id, d.version)).collect();
    context.store().write(rule_book::publication(documents, &principal, &job_id)).await?;
    rule_book::put_in_force(context.store(), context.hub.stages()).await?;
    let mut restated = None;
    if request.apply == Apply::Restate {
        let again = QualitySpec { scheme: None, scheme_version: None, rules: Vec::new(), restate: true, ..spec };
        let again = serde_json::to_value(&again).unwrap_or_default();
        restated = Some(context.jobs.submit("quality.score", &principal.token_id, &again, Vec::new()).await?);
    }
    Ok(Json(json!({ "published": published, "restate_job": restated })))
}

/// Lets a back-fill go: it is stopped if it runs, and its drafts stay drafts.
#[utoipa::path(post, path = "/api/v1/quality/jobs/{job_id}/discard", tag = "quality", params(("job_id" = String, Path)),
    responses((status = 200, body = super::Job)))]
pub(super) async fn discard(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(job_id): Path<String>,
) -> Result<Json<super::Job>, Problem> {
    backfill(&context, &principal, &job_id).await?;
    context.jobs.cancel(&job_id);
    let entry = AuditEntry {
        time: crate::event::now_rfc3339(),
        actor: principal.token_id.clone(),
        action: "quality.backfill.discard".into(),
        object: job_id.clone(),
        detail: String::new(),
    };
    context.store().write(vec![Write::Audit(entry)]).await?;
    let job = context.jobs.show(&job_id).await?.ok_or_else(|| Problem::not_found("job"))?;
    Ok(Json(job))
}

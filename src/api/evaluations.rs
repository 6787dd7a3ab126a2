//! Evaluation over HTTP: tasks, runs, their results and pages, comparisons.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::evaluation_runs::{EvaluationModels, RunRequest, is_run_id, job_of, run_of};
use super::job_desk::Job;
use super::jobs::visible;
use super::strict::{Query, Strict};
use super::{ApiContext, Problem};
use crate::access::Principal;
use crate::eval::{Comparison, Dataset, EvalError, ReportEntry, Subset, Task, TaskResult, adjust, compare, html, select};

/// Slices that every task may be cut into.
const SLICES: [&str; 7] = ["language", "role", "channel", "length", "noise", "label", "question"];

/// A task of the evaluation.
#[derive(Serialize, ToSchema)]
pub(super) struct EvalTask {
    /// `<room>/<task>`.
    id: String,
    /// Results of different versions cannot be compared.
    version: u32,
    /// What it measures.
    title: String,
    /// What is run.
    stage: String,
    /// `zh`, `en`.
    languages: Vec<String>,
    /// `fast`, `full`, `public`.
    profiles: Vec<String>,
    /// Names of its metrics; the first is the one that decides.
    metrics: Vec<String>,
    /// Slices that are reported.
    slices: Vec<String>,
    /// Whether its data is on this machine.
    data_here: bool,
    /// Whether the gate has a baseline of it.
    baseline: bool,
}

/// Tasks.
#[derive(Serialize, ToSchema)]
pub(super) struct EvalTasks {
    items: Vec<EvalTask>,
}

/// Refusals of the evaluation as problems: what the asker can mend is `invalid_value`.
fn problem(error: &EvalError) -> Problem {
    match error {
        EvalError::UnknownTask { .. } => Problem::invalid("/tasks", error.to_string()),
        EvalError::Comparison(_) => Problem::new("state_conflict", error.to_string()),
        _ => Problem::new("internal", "the tasks of the evaluation cannot be read; `zhiyin eval validate` says why"),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Problem::new("internal", "the evaluation stopped"))?
}

/// Tasks, what they measure, and whether their data is here.
#[utoipa::path(get, path = "/api/v1/eval/tasks", tag = "eval", responses((status = 200, body = EvalTasks)))]
pub(super) async fn tasks(State(context): State<ApiContext>) -> Result<Json<EvalTasks>, Problem> {
    let desk = context.evaluations.clone();
    blocking(move || {
        let places = desk.places();
        let guarded = desk.results("baseline").ok().flatten().unwrap_or_default();
        let view = |task: Task| EvalTask {
            data_here: places.open(&task).is_ok(),
            baseline: guarded.contains_key(&task.id),
            metrics: task.metrics.iter().map(crate::eval::MetricSpec::key).collect(),
            id: task.id,
            version: task.version,
            title: task.title,
            stage: task.stage,
            languages: task.languages,
            profiles: task.profiles,
            slices: task.slices,
        };
        let items = desk.tasks().map_err(|e| problem(&e))?.into_iter().map(view).collect();
        Ok(Json(EvalTasks { items }))
    })
    .await
}

/// Which models a run measures.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelChoice {
    /// Id of an installed encoder; the configured one by default.
    encoder: Option<String>,
    /// Id of an installed recogniser; the configured one by default.
    recogniser: Option<String>,
}

/// A run.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewEvalRun {
    /// Tasks (`intent/service-zh`) or rooms (`intent`); the text tasks of profile `fast` by default.
    #[serde(default)]
    tasks: Vec<String>,
    #[serde(default)]
    models: ModelChoice,
    /// Slices instead of those of the tasks.
    slices: Option<Vec<String>>,
    /// Seed of every draw; 1 by default.
    seed: Option<u64>,
}

impl NewEvalRun {
    fn checked(self, all: &[Task]) -> Result<RunRequest, Problem> {
        let chosen = select(all, &self.tasks, "fast").map_err(|e| problem(&e))?;
        for (field, id) in [("encoder", &self.models.encoder), ("recogniser", &self.models.recogniser)] {
            // A path would read files that no registry has checked.
            let sound = |id: &str| {
                !id.is_empty() && !id.contains("..") && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            };
            if id.as_deref().is_some_and(|id| !sound(id)) {
                return Err(Problem::invalid(
                    &format!("/models/{field}"),
                    "a model is named by its id; GET /api/v1/models lists them",
                ));
            }
        }
        let known = |slice: &String| SLICES.contains(&slice.as_str()) || chosen.iter().any(|t| t.slices.contains(slice));
        if let Some(unknown) = self.slices.iter().flatten().find(|s| !known(s)) {
            return Err(Problem::invalid("/slices", format!("no task is cut by \"{unknown}\"; known are {}", SLICES.join(", "))));
        }
        Ok(RunRequest {
            tasks: chosen.iter().map(|t| t.id.clone()).collect(),
            models: EvaluationModels { encoder: self.models.encoder, recogniser: self.models.recogniser },
            slices: self.slices,
            seed: self.seed.unwrap_or(1),
        })
    }
}

/// Starts a run. The answer is its job with `run_id`.
#[utoipa::path(post, path = "/api/v1/eval/runs", tag = "eval", request_body = NewEvalRun,
    responses((status = 202, body = Job), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Strict(request): Strict<NewEvalRun>,
) -> Result<Response, Problem> {
    let desk = context.evaluations.clone();
    let request = blocking(move || request.checked(&desk.tasks().map_err(|e| problem(&e))?)).await?;
    let spec = serde_json::to_value(&request).map_err(|_| Problem::new("internal", "the run could not be kept"))?;
    let job = context.jobs.submit("eval.run", &principal.token_id, &spec, Vec::new()).await?;
    let location = format!("/api/v1/jobs/{}", job.job_id);
    let mut body = json!(job);
    body["run_id"] = run_of(&job.job_id).into();
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(body)).into_response())
}

/// A run and what came of it so far.
#[derive(Serialize, ToSchema)]
pub(super) struct EvalRun {
    run_id: String,
    job: Job,
    /// Results by task: metrics with intervals, detectable effects, slices, receipt; without the answers.
    #[schema(value_type = Vec<Object>)]
    results: Vec<Value>,
}

/// Results of a run that the principal may see.
async fn seen(context: &ApiContext, principal: &Principal, id: &str) -> Result<BTreeMap<String, TaskResult>, Problem> {
    if id != "baseline" {
        if !is_run_id(id) {
            return Err(Problem::not_found("run"));
        }
        visible(context, principal, &job_of(id)).await.map_err(|_| Problem::not_found("run"))?;
    }
    let (desk, id) = (context.evaluations.clone(), id.to_owned());
    blocking(move || Ok(desk.results(&id).map_err(|e| problem(&e))?.unwrap_or_default())).await
}

/// A run: its job, and the results that are there.
#[utoipa::path(get, path = "/api/v1/eval/runs/{run_id}", tag = "eval", params(("run_id" = String, Path)),
    responses((status = 200, body = EvalRun), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(run_id): Path<String>,
) -> Result<Json<EvalRun>, Problem> {
    let results = seen(&context, &principal, &run_id).await?;
    let job = context.jobs.show(&job_of(&run_id)).await?.ok_or_else(|| Problem::not_found("run"))?;
    let brief = |result: TaskResult| {
        let mut value = json!(result);
        if let Some(map) = value.as_object_mut() {
            map.remove("predictions");
        }
        value
    };
    Ok(Json(EvalRun { run_id, job, results: results.into_values().map(brief).collect() }))
}

/// Which two.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct CompareQuery {
    /// The baseline: a run, or `baseline` for the product's own.
    a: String,
    /// The candidate: a run.
    b: String,
}

/// Results with their data, and their comparison with others.
struct Put {
    tasks: Vec<Task>,
    data: Vec<Dataset>,
    results: Vec<TaskResult>,
    comparisons: Vec<Comparison>,
}

/// Puts results beside those of a baseline. Blocks.
fn put_together(
    desk: &super::EvaluationDesk,
    baseline: &BTreeMap<String, TaskResult>,
    results: BTreeMap<String, TaskResult>,
) -> Result<Put, Problem> {
    let all = desk.tasks().map_err(|e| problem(&e))?;
    let mut put = Put { tasks: Vec::new(), data: Vec::new(), results: Vec::new(), comparisons: Vec::new() };
    for (id, result) in results {
        let Some(task) = all.iter().find(|t| t.id == id) else { continue };
        let dataset = Subset::default().load(task, &desk.places(), result.receipt.seed).map_err(|e| problem(&e))?;
        if let Some(before) = baseline.get(&id) {
            put.comparisons.push(compare(task, &dataset, before, &result).map_err(|e| problem(&e))?);
        }
        put.tasks.push(task.clone());
        put.data.push(dataset);
        put.results.push(result);
    }
    adjust(&mut put.comparisons);
    Ok(put)
}

/// Two runs, task by task: differences with intervals and paired tests, and the examples that changed.
#[utoipa::path(get, path = "/api/v1/eval/compare", tag = "eval", params(CompareQuery),
    responses((status = 200, body = Object), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn compared(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Query(query): Query<CompareQuery>,
) -> Result<Json<Value>, Problem> {
    let (a, b) = (seen(&context, &principal, &query.a).await?, seen(&context, &principal, &query.b).await?);
    let desk = context.evaluations.clone();
    let put = blocking(move || put_together(&desk, &a, b)).await?;
    if put.comparisons.is_empty() {
        return Err(Problem::new("state_conflict", "the two have no result of the same task yet"));
    }
    Ok(Json(json!({ "a": query.a, "b": query.b, "tasks": put.comparisons })))
}

/// With what the page compares.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ReportQuery {
    /// A run, or `baseline` for the product's own.
    baseline: Option<String>,
}

/// The page of a run: tables, plots, examples. It loads nothing from anywhere.
#[utoipa::path(get, path = "/api/v1/eval/runs/{run_id}/report", tag = "eval", params(("run_id" = String, Path), ReportQuery),
    responses((status = 200, content_type = "text/html"), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn report(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(run_id): Path<String>,
    Query(query): Query<ReportQuery>,
) -> Result<Response, Problem> {
    let results = seen(&context, &principal, &run_id).await?;
    if results.is_empty() {
        return Err(Problem::new("state_conflict", "the run has no result yet"));
    }
    let baseline = match &query.baseline {
        Some(id) => seen(&context, &principal, id).await?,
        None => BTreeMap::new(),
    };
    let desk = context.evaluations.clone();
    let page = blocking(move || {
        let put = put_together(&desk, &baseline, results)?;
        let entry = |at: usize| ReportEntry {
            task: &put.tasks[at],
            dataset: &put.data[at],
            result: &put.results[at],
            comparison: put.comparisons.iter().find(|c| c.task == put.tasks[at].id),
        };
        let entries: Vec<ReportEntry<'_>> = (0..put.tasks.len()).map(entry).collect();
        Ok(html(&format!("Evaluation {run_id}"), &entries, &[]))
    })
    .await?;
    Ok(([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response())
}

//! Evaluation runs as jobs: each task is an item, its result a file below the store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Mutex;

use super::job_desk::{ItemEffect, JobKind};
use crate::access::Scope;
use crate::eval::dataset::DataPlaces;
use crate::eval::{BuiltIn, EvalError, RunOptions, Subset, Task, TaskResult, load_tasks, run_task};
use crate::store::JobRow;

/// Resamples of the bootstrap.
const DRAWS: usize = 1_000;

/// Which models a run measures; those in force by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluationModels {
    /// Encoder, by id.
    pub encoder: Option<String>,
    /// Recogniser, by id.
    pub recogniser: Option<String>,
}

/// Makes the system of a task: its stage, the models, the folder of its knowledge index.
pub type EvaluationSystems = Arc<dyn Fn(&str, &EvaluationModels, &Path) -> Result<BuiltIn, String> + Send + Sync>;

/// What a run was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RunRequest {
    pub(super) tasks: Vec<String>,
    pub(super) models: EvaluationModels,
    /// Slices instead of those of the tasks.
    pub(super) slices: Option<Vec<String>>,
    pub(super) seed: u64,
}

/// Evaluation as the service knows it: tasks, data, results. Clones share it.
#[derive(Clone)]
pub struct EvaluationDesk {
    home: PathBuf,
    /// `<run_id>/<room>.<task>.json`.
    results: PathBuf,
    systems: EvaluationSystems,
    /// One task at a time, so that calls keep the machine.
    turn: Arc<Mutex<()>>,
}

impl EvaluationDesk {
    /// Tasks and data of a product folder; results go below `results`.
    pub fn new(home: &Path, results: PathBuf, systems: EvaluationSystems) -> Self {
        Self { home: home.to_owned(), results, systems, turn: Arc::default() }
    }

    /// All tasks of the product.
    ///
    /// # Errors
    /// A task file is broken, or the folder is not there.
    pub fn tasks(&self) -> Result<Vec<Task>, EvalError> {
        load_tasks(&self.home.join("eval/tasks"))
    }

    /// Where data lies.
    pub fn places(&self) -> DataPlaces {
        DataPlaces::new(&self.home, &[])
    }

    /// Results of a run by task, or the product's baselines (`baseline`); `None`: there are none.
    ///
    /// # Errors
    /// A file is damaged.
    pub fn results(&self, run: &str) -> Result<Option<std::collections::BTreeMap<String, TaskResult>>, EvalError> {
        let folder = match run {
            "baseline" => self.home.join("eval/baselines"),
            run if is_run_id(run) => self.results.join(run),
            _ => return Ok(None),
        };
        let any =
            std::fs::read_dir(&folder).is_ok_and(|all| all.flatten().any(|e| e.path().extension().is_some_and(|e| e == "json")));
        if any { TaskResult::read_all(&folder).map(Some) } else { Ok(None) }
    }

    /// Runs one task and keeps its result. Blocks.
    fn work(&self, run_id: &str, request: &RunRequest, id: &str) -> Result<TaskResult, String> {
        let tasks = self.tasks().map_err(|e| e.to_string())?;
        let Some(task) = tasks.into_iter().find(|t| t.id == id) else { return Err(format!("there is no task \"{id}\"")) };
        let task = Task { slices: request.slices.clone().unwrap_or_else(|| task.slices.clone()), ..task };
        let dataset = Subset::default().load(&task, &self.places(), request.seed).map_err(|e| e.to_string())?;
        let folder = self.results.join(run_id);
        let index = folder.join("index");
        std::fs::create_dir_all(&index).map_err(|e| format!("{}: {e}", index.display()))?;
        let system = (self.systems)(&task.stage, &request.models, &index)?;
        let options = RunOptions { seed: request.seed, draws: DRAWS, home: &self.home, split: None };
        let result = run_task(&task, &dataset, &system, options, &|_| {}).map_err(|e| e.to_string());
        drop(system);
        // The index is made anew by every task.
        let _ = std::fs::remove_dir_all(&index);
        let result = result?;
        result.write(&folder).map_err(|e| e.to_string())?;
        Ok(result)
    }
}

/// Whether a text has the form of a run's id; nothing else becomes a path.
pub(super) fn is_run_id(text: &str) -> bool {
    text.strip_prefix("run_").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// The id of the run that a job works on.
pub(super) fn run_of(job_id: &str) -> String {
    format!("run_{}", job_id.trim_start_matches("job_"))
}

/// The id of the job that works on a run.
pub(super) fn job_of(run_id: &str) -> String {
    format!("job_{}", run_id.trim_start_matches("run_"))
}

/// The kind of work `eval.run`.
pub struct EvaluationRun {
    desk: EvaluationDesk,
}

impl EvaluationRun {
    /// Runs on a desk.
    pub fn new(desk: EvaluationDesk) -> Self {
        Self { desk }
    }

    fn request(job: &JobRow) -> Result<RunRequest, String> {
        serde_json::from_str(&job.spec).map_err(|_| "the run cannot be read any more; start it again".to_owned())
    }
}

impl JobKind for EvaluationRun {
    fn name(&self) -> &'static str {
        "eval.run"
    }

    fn scope(&self) -> Scope {
        Scope::EvalRead
    }

    fn plan<'a>(&'a self, job: &'a JobRow) -> BoxFuture<'a, Result<Vec<String>, String>> {
        Box::pin(async move { Ok(Self::request(job)?.tasks) })
    }

    fn work<'a>(&'a self, job: &'a JobRow, key: &'a str) -> BoxFuture<'a, Result<ItemEffect, String>> {
        Box::pin(async move {
            let request = Self::request(job)?;
            let (desk, run_id, id) = (self.desk.clone(), run_of(&job.job_id), key.to_owned());
            let _turn = self.desk.turn.lock().await;
            let worked = tokio::task::spawn_blocking(move || desk.work(&run_id, &request, &id));
            let result = worked.await.map_err(|_| "the task stopped in the middle".to_owned())??;
            let metrics = &result.metrics;
            Ok(ItemEffect { writes: Vec::new(), body: Some(json!({ "task": result.task, "n": result.n, "metrics": metrics })) })
        })
    }

    fn finish<'a>(&'a self, job: &'a JobRow) -> BoxFuture<'a, Result<ItemEffect, String>> {
        Box::pin(async move {
            let run_id = run_of(&job.job_id);
            let url = format!("/api/v1/eval/runs/{run_id}");
            Ok(ItemEffect { writes: Vec::new(), body: Some(json!({ "run_id": run_id, "url": url, "failed": job.failed })) })
        })
    }
}

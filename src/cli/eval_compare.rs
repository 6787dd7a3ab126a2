//! `zhiyin eval compare`, `report` and `gate`.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::eval::{Finished, SystemArguments, TaskArguments, all_tasks, places, run_all};
use super::{Session, eval_print};
use crate::eval::{Comparison, ReportEntry, Subset, Task, TaskResult, adjust, compare, gate, html, select};

/// Arguments of `zhiyin eval compare`.
#[derive(Args)]
pub(super) struct CompareArguments {
    /// Result file or folder of the baseline.
    baseline: PathBuf,
    /// Result file or folder of the candidate.
    candidate: PathBuf,
    /// Folder with public sets.
    #[arg(long, value_name = "FOLDER")]
    data: Vec<PathBuf>,
    /// Folder of task files.
    #[arg(long, value_name = "FOLDER")]
    task_dir: Option<PathBuf>,
    /// HTML page of the comparison.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// One JSON object as the last line, with every changed example.
    #[arg(long)]
    json: bool,
}

/// Arguments of `zhiyin eval report`.
#[derive(Args)]
pub(super) struct ReportArguments {
    /// Result file or folder.
    results: PathBuf,
    /// The page.
    #[arg(long, value_name = "FILE", default_value = "eval-report.html")]
    out: PathBuf,
    /// Compare with these results.
    #[arg(long, value_name = "PATH")]
    baseline: Option<PathBuf>,
    /// Folder with public sets.
    #[arg(long, value_name = "FOLDER")]
    data: Vec<PathBuf>,
    /// Folder of task files.
    #[arg(long, value_name = "FOLDER")]
    task_dir: Option<PathBuf>,
}

/// Arguments of `zhiyin eval gate`.
#[derive(Args)]
pub(super) struct GateArguments {
    #[command(flatten)]
    tasks: TaskArguments,
    #[command(flatten)]
    system: SystemArguments,
    /// Baselines; those of the product by default.
    #[arg(long, value_name = "FOLDER")]
    baselines: Option<PathBuf>,
    /// Judge these results instead of running the tasks.
    #[arg(long, value_name = "PATH")]
    results: Option<PathBuf>,
    /// HTML page with what changed.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// One JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Results with their tasks and data.
fn with_data<'a>(
    session: &Session,
    tasks: &'a [Task],
    data: &[PathBuf],
    results: BTreeMap<String, TaskResult>,
) -> anyhow::Result<Finished<'a>> {
    let mut finished = Finished { done: Vec::new(), missing: Vec::new() };
    for (id, result) in results {
        let task = tasks
            .iter()
            .find(|t| t.id == id)
            .with_context(|| format!("there is no task \"{id}\" any more; --task-dir names another folder of tasks"))?;
        // A result of another split is read with that split.
        let split = result.receipt.split.clone().filter(|s| task.dataset.split.as_ref() != Some(s));
        let dataset = Subset { split, ..Subset::default() }.load(task, &places(session, data), result.receipt.seed)?;
        finished.done.push((task, dataset, result));
    }
    Ok(finished)
}

/// Compares results with baselines by task, and corrects the p-values over all of them.
fn compared(finished: &Finished<'_>, baselines: &BTreeMap<String, TaskResult>) -> anyhow::Result<Vec<Comparison>> {
    let mut all = Vec::new();
    for (task, dataset, result) in &finished.done {
        if let Some(baseline) = baselines.get(&task.id) {
            all.push(compare(task, dataset, baseline, result)?);
        }
    }
    adjust(&mut all);
    Ok(all)
}

pub(super) fn compare_results(session: &Session, arguments: &CompareArguments) -> anyhow::Result<ExitCode> {
    let (baselines, candidates) = (TaskResult::read_all(&arguments.baseline)?, TaskResult::read_all(&arguments.candidate)?);
    for id in baselines.keys().filter(|id| !candidates.contains_key(*id)) {
        eprintln!("not compared: {id} is only in {}", arguments.baseline.display());
    }
    for id in candidates.keys().filter(|id| !baselines.contains_key(*id)) {
        eprintln!("not compared: {id} is only in {}", arguments.candidate.display());
    }
    let tasks = all_tasks(session, arguments.task_dir.as_ref())?;
    let shared = candidates.into_iter().filter(|(id, _)| baselines.contains_key(id)).collect();
    let finished = with_data(session, &tasks, &arguments.data, shared)?;
    anyhow::ensure!(!finished.done.is_empty(), "the two hold no task in common");
    let all = compared(&finished, &baselines)?;
    eval_print::comparisons(&all);
    if let Some(path) = &arguments.report {
        write_report(path, "Comparison", &finished, &by_task(&all))?;
        println!("page: {}", path.display());
    }
    if arguments.json {
        println!("{}", serde_json::to_string(&all)?);
    }
    Ok(ExitCode::SUCCESS)
}

fn by_task(all: &[Comparison]) -> BTreeMap<&str, &Comparison> {
    all.iter().map(|c| (c.task.as_str(), c)).collect()
}

/// Writes the page of results.
pub(super) fn write_report(
    path: &Path,
    title: &str,
    finished: &Finished<'_>,
    comparisons: &BTreeMap<&str, &Comparison>,
) -> anyhow::Result<()> {
    let entries: Vec<ReportEntry<'_>> = finished
        .done
        .iter()
        .map(|(task, dataset, result)| ReportEntry {
            task,
            dataset,
            result,
            comparison: comparisons.get(task.id.as_str()).copied(),
        })
        .collect();
    std::fs::write(path, html(title, &entries, &finished.missing)).with_context(|| path.display().to_string())
}

pub(super) fn report(session: &Session, arguments: &ReportArguments) -> anyhow::Result<ExitCode> {
    let tasks = all_tasks(session, arguments.task_dir.as_ref())?;
    let finished = with_data(session, &tasks, &arguments.data, TaskResult::read_all(&arguments.results)?)?;
    let baselines = arguments.baseline.as_deref().map(TaskResult::read_all).transpose()?.unwrap_or_default();
    let all = compared(&finished, &baselines)?;
    write_report(&arguments.out, "Evaluation", &finished, &by_task(&all))?;
    println!("{} tasks on {}", finished.done.len(), arguments.out.display());
    Ok(ExitCode::SUCCESS)
}

pub(super) fn run_gate(session: &Session, arguments: &GateArguments) -> anyhow::Result<ExitCode> {
    arguments.tasks.part.expect_whole("a gate")?;
    let folder = arguments.baselines.clone().unwrap_or_else(|| session.home.join("eval/baselines"));
    let baselines = TaskResult::read_all(&folder)
        .context("there is nothing to compare with; make baselines with `zhiyin eval run --save-baselines`")?;
    let tasks = all_tasks(session, arguments.tasks.task_dir.as_ref())?;
    let finished = match &arguments.results {
        Some(path) => with_data(session, &tasks, &arguments.tasks.data, TaskResult::read_all(path)?)?,
        None => {
            let chosen = select(&tasks, &arguments.tasks.tasks, &arguments.tasks.profile)?;
            let guarded: Vec<&Task> = chosen.into_iter().filter(|t| t.metrics.iter().any(|m| m.gate.is_some())).collect();
            run_all(session, &guarded, &arguments.tasks, &arguments.system)?
        }
    };
    for (task, dataset, result) in &finished.done {
        let answered: HashSet<&str> = result.predictions.iter().map(|p| p.id.as_str()).collect();
        let lacking = dataset.examples.iter().filter(|e| !answered.contains(e.id.as_str())).count();
        anyhow::ensure!(
            lacking == 0,
            "{}: the results lack {lacking} of {} items; a gate is made of whole tasks, run it without --limit or --only",
            task.id,
            dataset.examples.len()
        );
    }
    let without: Vec<&str> =
        finished.done.iter().map(|(t, ..)| t.id.as_str()).filter(|id| !baselines.contains_key(*id)).collect();
    for id in &without {
        eprintln!("no baseline: {id}; make one with `zhiyin eval run {id} --save-baselines`");
    }
    let all = compared(&finished, &baselines)?;
    eval_print::comparisons(&all);
    let judged = gate(&all);
    eval_print::gate(&judged);
    if let Some(path) = &arguments.report {
        write_report(path, "Gate", &finished, &by_task(&all))?;
        println!("page: {}", path.display());
    }
    if arguments.json {
        println!("{}", serde_json::to_string(&judged)?);
    }
    // Nothing compared is no success: it would let everything through.
    let sound = judged.passed() && judged.compared > 0 && without.is_empty();
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

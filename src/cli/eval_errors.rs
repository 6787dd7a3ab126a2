//! `zhiyin eval errors` and `threshold`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::Session;
use super::eval::{SystemArguments, TaskArguments, all_tasks, places, run_all};
use crate::app::{StageOptions, build_stages};
use crate::eval::dataset::load;
use crate::eval::{Costs, Dataset, ErrorReport, Example, Kind, Task, analyse_errors, score, select, sweep};
use crate::pipeline::Stages;

/// Rows of the sweep that are shown.
const ROWS: usize = 20;

/// Arguments of `zhiyin eval errors`.
#[derive(Args)]
pub(super) struct ErrorsArguments {
    #[command(flatten)]
    tasks: TaskArguments,
    #[command(flatten)]
    system: SystemArguments,
    /// Mistakes of a cluster that are shown.
    #[arg(long, default_value_t = 4)]
    show: usize,
    /// Everything as JSON into a file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Arguments of `zhiyin eval threshold`.
#[derive(Args)]
pub(super) struct ThresholdArguments {
    #[command(flatten)]
    tasks: TaskArguments,
    #[command(flatten)]
    system: SystemArguments,
    /// Cost of a wrong answer.
    #[arg(long, default_value_t = 5.0)]
    cost_wrong: f64,
    /// Cost of no answer.
    #[arg(long, default_value_t = 1.0)]
    cost_abstain: f64,
    /// Cost of a right answer; below 0 if it saves something.
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    cost_right: f64,
    /// One JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// The one task with labels that is meant.
fn one_task<'a>(tasks: &'a [Task], arguments: &TaskArguments, kinds: &[Kind]) -> anyhow::Result<&'a Task> {
    let chosen = select(tasks, &arguments.tasks, &arguments.profile)?;
    let fits: Vec<&Task> = chosen.into_iter().filter(|t| kinds.contains(&t.kind())).collect();
    match &fits[..] {
        [one] if !arguments.tasks.is_empty() => Ok(one),
        _ => {
            let known: Vec<&str> = tasks.iter().filter(|t| kinds.contains(&t.kind())).map(|t| t.id.as_str()).collect();
            anyhow::bail!("name one of these tasks: {}", known.join(", "))
        }
    }
}

pub(super) fn errors(session: &Session, arguments: &ErrorsArguments) -> anyhow::Result<ExitCode> {
    let tasks = all_tasks(session, arguments.tasks.task_dir.as_ref())?;
    let task = one_task(&tasks, &arguments.tasks, &[Kind::Label, Kind::Labels])?;
    let finished = run_all(session, &[task], &arguments.tasks, &arguments.system)?;
    let (_, dataset, result) = &finished.done[0];
    let mut train_task = task.clone();
    train_task.dataset.split = Some("train".into());
    train_task.dataset.limit = None;
    let train = load(&train_task, &places(session, &arguments.tasks.data), arguments.system.seed)?;
    let options = StageOptions { recogniser: false, pipeline: "live-assist", index: None, scheme: None };
    let built = build_stages(&session.home, &arguments.system.settings(session), options)?;
    let (vectors, train_vectors) = (vectors(&built.stages, dataset)?, vectors(&built.stages, &train)?);
    let scored = score(task, &dataset.examples, &result.predictions);
    let report = analyse_errors(dataset, &scored.outcomes, &vectors, &train, &train_vectors, arguments.system.seed);
    print_errors(&report, arguments.show);
    if let Some(path) = &arguments.out {
        std::fs::write(path, serde_json::to_string_pretty(&report)?)?;
        println!("everything: {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn vectors(stages: &Stages, dataset: &Dataset) -> anyhow::Result<Vec<Vec<f32>>> {
    let mut all = Vec::with_capacity(dataset.examples.len());
    for part in dataset.examples.chunks(256) {
        all.extend(stages.encoder.embed_batch(part.iter().map(Example::shown).collect())?);
    }
    Ok(all)
}

fn print_errors(report: &ErrorReport, show: usize) {
    println!("{} of {} items are wrong, in {} clusters", report.wrong, report.items, report.clusters.len());
    for (number, cluster) in report.clusters.iter().enumerate() {
        let confusions: Vec<String> =
            cluster.confusions.iter().take(3).map(|(expected, got, n)| format!("{expected} as {got} ({n})")).collect();
        println!("\ncluster {}: {} mistakes: {}", number + 1, cluster.mistakes.len(), confusions.join("; "));
        for mistake in cluster.mistakes.iter().take(show) {
            println!("  {}  expected {}, got {}\n      {}", mistake.id, mistake.expected, mistake.got, mistake.text);
            for near in &mistake.neighbours {
                println!("      trained {:.2} {} {}: {}", near.similarity, near.id, near.label, near.text);
            }
        }
    }
    println!("\n{} label conflicts (nearly the same text, other label)", report.conflicts.len());
    for conflict in &report.conflicts {
        println!("  {}  is {}, proposed {}\n      {}", conflict.id, conflict.label, conflict.proposed, conflict.text);
        for near in &conflict.evidence {
            println!("      trained {:.2} {} {}: {}", near.similarity, near.id, near.label, near.text);
        }
    }
}

pub(super) fn threshold(session: &Session, arguments: &ThresholdArguments) -> anyhow::Result<ExitCode> {
    let tasks = all_tasks(session, arguments.tasks.task_dir.as_ref())?;
    let task = one_task(&tasks, &arguments.tasks, &[Kind::Label])?;
    let finished = run_all(session, &[task], &arguments.tasks, &arguments.system)?;
    let (_, dataset, result) = &finished.done[0];
    let scored = score(task, &dataset.examples, &result.predictions);
    let confidence: Option<Vec<f64>> = scored.confidence.iter().copied().collect();
    let Some(confidence) = confidence else {
        anyhow::bail!("{}: the system gave no confidences; there is nothing to sweep", task.id)
    };
    let right: Vec<bool> = scored.outcomes.iter().map(|o| o.right).collect();
    let costs = Costs { wrong: arguments.cost_wrong, abstain: arguments.cost_abstain, right: arguments.cost_right };
    let (points, best) = sweep(&confidence, &right, costs);
    println!("{:>10} {:>9} {:>9} {:>9}", "threshold", "coverage", "precision", "cost");
    let step = (points.len() / ROWS).max(1);
    for (place, point) in points.iter().enumerate().filter(|(place, _)| place % step == 0 || *place == best) {
        let mark = if place == best { "  <- cheapest" } else { "" };
        println!("{:>10.4} {:>9.4} {:>9.4} {:>9.4}{mark}", point.threshold, point.coverage, point.precision, point.cost);
    }
    if arguments.json {
        println!("{}", serde_json::json!({ "task": task.id, "costs": costs, "best": points[best], "points": points }));
    }
    Ok(ExitCode::SUCCESS)
}

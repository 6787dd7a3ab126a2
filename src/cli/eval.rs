//! `zhiyin eval`: run tasks, compare systems, guard against regressions, look at mistakes.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::runtime::Handle;

use super::Session;
use super::eval_items::{ExportArguments, SubsetArguments};
use super::{eval_compare, eval_errors, eval_items, eval_print};
use crate::app::evaluation_system;
use crate::eval::dataset::DataPlaces;
use crate::eval::{Dataset, EvalError, Recorded, RunOptions, Served, System, Task, TaskResult, load_tasks, run_task, select};

/// Where results are written without `--out`.
const OUT: &str = "eval-results";

/// Subcommands of `zhiyin eval`.
#[derive(Subcommand)]
pub(super) enum EvalCommand {
    /// Tasks, what they measure, and whether their data is here.
    List(TaskArguments),
    /// Check task files and their data; nothing is run.
    Validate(TaskArguments),
    /// Run tasks on a system.
    Run(RunArguments),
    /// Compare two results (files or folders that `run` wrote).
    Compare(eval_compare::CompareArguments),
    /// HTML page of results.
    Report(eval_compare::ReportArguments),
    /// Run tasks and fail on a significant regression against the baselines.
    Gate(eval_compare::GateArguments),
    /// Clusters of mistakes, nearest training examples, contradicting labels.
    Errors(eval_errors::ErrorsArguments),
    /// Sweep the decision threshold by what mistakes cost.
    Threshold(eval_errors::ThresholdArguments),
    /// Write the items of a task as JSON lines, with or without what should come out.
    Export(ExportArguments),
}

/// Which tasks.
#[derive(Args, Clone)]
pub(super) struct TaskArguments {
    /// Tasks (`intent/service-zh`) or rooms (`intent`); those of the profile by default.
    pub(super) tasks: Vec<String>,
    /// `fast` (text, under five minutes), `full` (recordings and speed as well), `public` (public sets).
    #[arg(long, default_value = "fast")]
    pub(super) profile: String,
    /// Folder with public sets; may be given several times.
    #[arg(long, value_name = "FOLDER")]
    pub(super) data: Vec<PathBuf>,
    /// Folder of task files; those of the product by default.
    #[arg(long, value_name = "FOLDER")]
    pub(super) task_dir: Option<PathBuf>,
    /// A part of the task.
    #[command(flatten)]
    pub(super) part: SubsetArguments,
}

impl TaskArguments {
    /// Whether a task was asked for by its own name, and not by its room or a profile.
    fn names(&self, task: &Task) -> bool {
        self.tasks.contains(&task.id)
    }
}

/// Which system, and with which draws.
#[derive(Args, Clone)]
pub(super) struct SystemArguments {
    /// A served Zhiyin, for example http://127.0.0.1:8700.
    #[arg(long, value_name = "URL", conflicts_with_all = ["predictions", "encoder", "recogniser"])]
    url: Option<String>,
    /// Its token.
    #[arg(long, env = "ZHIYIN_TOKEN", hide_env_values = true, requires = "url")]
    token: Option<String>,
    /// Predictions of another system: a file (.jsonl, Kaldi text, TREC .run), or a folder with <room>.<task>.jsonl.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["encoder", "recogniser"])]
    predictions: Option<PathBuf>,
    /// Another encoder: id or folder.
    #[arg(long, value_name = "MODEL")]
    encoder: Option<String>,
    /// Another recogniser: id or folder.
    #[arg(long, value_name = "MODEL")]
    recogniser: Option<String>,
    /// Seed of every draw.
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Resamples of the bootstrap.
    #[arg(long, default_value_t = 1_000)]
    pub(super) draws: usize,
}

impl SystemArguments {
    /// The settings with the models that the arguments name.
    pub(super) fn settings(&self, session: &Session) -> crate::config::Settings {
        let mut settings = session.settings.clone();
        // Evaluation may use every core; a service keeps some free.
        settings.encoder.threads = 0;
        if let Some(encoder) = &self.encoder {
            settings.encoder.model.clone_from(encoder);
        }
        if let Some(recogniser) = &self.recogniser {
            settings.asr.model.clone_from(recogniser);
        }
        settings
    }
}

/// Arguments of `zhiyin eval run`.
#[derive(Args)]
pub(super) struct RunArguments {
    #[command(flatten)]
    tasks: TaskArguments,
    #[command(flatten)]
    system: SystemArguments,
    /// Folder for results, one JSON file a task.
    #[arg(long, value_name = "FOLDER", default_value = OUT)]
    out: PathBuf,
    /// Keep the results as the baselines of the gate (eval/baselines).
    #[arg(long)]
    save_baselines: bool,
    /// HTML page of the results.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Also print every metric of every slice: language, channel, length, noise, label, question.
    #[arg(long)]
    slices: bool,
    /// One JSON object as the last line.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(session: Session, command: EvalCommand) -> anyhow::Result<ExitCode> {
    tokio::task::block_in_place(|| match command {
        EvalCommand::List(arguments) => list(&session, &arguments),
        EvalCommand::Validate(arguments) => validate(&session, &arguments),
        EvalCommand::Run(arguments) => run_tasks(&session, &arguments),
        EvalCommand::Compare(arguments) => eval_compare::compare_results(&session, &arguments),
        EvalCommand::Report(arguments) => eval_compare::report(&session, &arguments),
        EvalCommand::Gate(arguments) => eval_compare::run_gate(&session, &arguments),
        EvalCommand::Errors(arguments) => eval_errors::errors(&session, &arguments),
        EvalCommand::Threshold(arguments) => eval_errors::threshold(&session, &arguments),
        EvalCommand::Export(arguments) => eval_items::export(&session, &arguments),
    })
}

pub(super) fn all_tasks(session: &Session, folder: Option<&PathBuf>) -> anyhow::Result<Vec<Task>> {
    let folder = folder.cloned().unwrap_or_else(|| session.home.join("eval/tasks"));
    Ok(load_tasks(&folder)?)
}

pub(super) fn places(session: &Session, data: &[PathBuf]) -> DataPlaces {
    DataPlaces::new(&session.home, data)
}

/// What a task cannot be run for.
pub(super) fn absent(error: &EvalError) -> bool {
    matches!(error, EvalError::Absent { .. })
}

fn list(session: &Session, arguments: &TaskArguments) -> anyhow::Result<ExitCode> {
    let tasks = all_tasks(session, arguments.task_dir.as_ref())?;
    // The list is of everything unless something is asked for.
    let everything = arguments.tasks.is_empty() && arguments.profile == "fast";
    let shown: Vec<&Task> =
        if everything { tasks.iter().collect() } else { select(&tasks, &arguments.tasks, &arguments.profile)? };
    for task in &shown {
        let here = match arguments.part.subset().load(task, &places(session, &arguments.data), 1) {
            Ok(dataset) => format!("{} items", dataset.examples.len()),
            Err(error) if absent(&error) => "data not here".into(),
            Err(_) => "broken, see `zhiyin eval validate`".into(),
        };
        println!("{:<34} v{:<2} {:<12} {:<16} {}", task.id, task.version, task.profiles.join(","), here, task.title);
    }
    println!("{} tasks", shown.len());
    Ok(ExitCode::SUCCESS)
}

fn validate(session: &Session, arguments: &TaskArguments) -> anyhow::Result<ExitCode> {
    let tasks = all_tasks(session, arguments.task_dir.as_ref())?;
    let shown: Vec<&Task> = match arguments.tasks.is_empty() {
        true => tasks.iter().collect(),
        false => select(&tasks, &arguments.tasks, &arguments.profile)?,
    };
    let (mut good, mut missing, mut bad) = (0, 0, 0);
    for task in shown {
        match arguments.part.subset().load(task, &places(session, &arguments.data), 1) {
            Ok(_) => good += 1,
            Err(error) if absent(&error) => {
                missing += 1;
                println!("not here: {error}");
            }
            Err(error) => {
                bad += 1;
                println!("{error}");
            }
        }
    }
    println!("{good} tasks with sound data, {missing} whose data is not here, {bad} broken");
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes the system that the arguments name. `tasks` decide whether the recogniser is needed.
pub(super) fn system(session: &Session, arguments: &SystemArguments, tasks: &[&Task]) -> anyhow::Result<Box<dyn System>> {
    if let Some(url) = &arguments.url {
        return Ok(Box::new(Served::connect(url, arguments.token.clone(), Handle::current())?));
    }
    if let Some(path) = &arguments.predictions {
        anyhow::ensure!(path.exists(), "{}: there is no such file or folder", path.display());
        anyhow::ensure!(
            path.is_dir() || tasks.len() == 1,
            "{} is one file and {} tasks are to be run; name the task, or give a folder with <room>.<task>.jsonl",
            path.display(),
            tasks.len()
        );
        return Ok(Box::new(Recorded::new(path, &session.home)));
    }
    let settings = arguments.settings(session);
    let stages: Vec<&str> = tasks.iter().map(|t| t.stage.as_str()).collect();
    Ok(Box::new(evaluation_system(&session.home, &settings, &stages, None)?))
}

/// Results of a run, with their tasks and data.
pub(super) struct Finished<'a> {
    pub(super) done: Vec<(&'a Task, Dataset, TaskResult)>,
    /// Tasks that were not run, each with the reason.
    pub(super) missing: Vec<String>,
}

/// Runs tasks one after the other. Data that is not here is an error for a task that was named, and is told for one that a
/// room or a profile holds.
pub(super) fn run_all<'a>(
    session: &Session,
    tasks: &[&'a Task],
    arguments: &TaskArguments,
    system_arguments: &SystemArguments,
) -> anyhow::Result<Finished<'a>> {
    let mut finished = Finished { done: Vec::new(), missing: Vec::new() };
    let mut ready: Vec<(&Task, Dataset)> = Vec::new();
    for task in tasks {
        match arguments.part.subset().load(task, &places(session, &arguments.data), system_arguments.seed) {
            Ok(dataset) => ready.push((task, dataset)),
            Err(error) if absent(&error) && !arguments.names(task) => {
                eprintln!("not run: {error}");
                finished.missing.push(error.to_string());
            }
            Err(error) => return Err(error.into()),
        }
    }
    anyhow::ensure!(!ready.is_empty(), "no task could be run");
    let chosen: Vec<&Task> = ready.iter().map(|(task, _)| *task).collect();
    let system = system(session, system_arguments, &chosen)?;
    for (task, dataset) in ready {
        let bar = progress_bar(task, &dataset)?;
        let options = RunOptions {
            seed: system_arguments.seed,
            draws: system_arguments.draws,
            home: &session.home,
            split: arguments.part.split.as_deref(),
        };
        let outcome = run_task(task, &dataset, system.as_ref(), options, &|done| bar.set_position(done as u64));
        bar.finish_and_clear();
        match outcome {
            Ok(result) => finished.done.push((task, dataset, result)),
            // Another kind of system does not have every stage.
            Err(error @ EvalError::Unsupported { .. }) if !arguments.names(task) => {
                eprintln!("not run: {}: {error}", task.id);
                finished.missing.push(format!("{}: {error}", task.id));
            }
            Err(error) => return Err(error).with_context(|| format!("task {}", task.id)),
        }
    }
    Ok(finished)
}

fn progress_bar(task: &Task, dataset: &Dataset) -> anyhow::Result<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let style = ProgressStyle::with_template("{prefix:34} {bar:30} {pos}/{len} {elapsed}, {eta} left")?;
    Ok(ProgressBar::new(dataset.examples.len() as u64).with_style(style).with_prefix(task.id.clone()))
}

fn run_tasks(session: &Session, arguments: &RunArguments) -> anyhow::Result<ExitCode> {
    if arguments.save_baselines {
        arguments.tasks.part.expect_whole("a baseline")?;
    }
    let tasks = all_tasks(session, arguments.tasks.task_dir.as_ref())?;
    let chosen = select(&tasks, &arguments.tasks.tasks, &arguments.tasks.profile)?;
    let started = std::time::Instant::now();
    let finished = run_all(session, &chosen, &arguments.tasks, &arguments.system)?;
    for (_, _, result) in &finished.done {
        result.write(&arguments.out)?;
    }
    if arguments.save_baselines {
        save_baselines(&session.home.join("eval/baselines"), &finished)?;
    }
    let results: Vec<&TaskResult> = finished.done.iter().map(|(_, _, result)| result).collect();
    eval_print::table(&results);
    if arguments.slices {
        eval_print::slices(&results);
    }
    if let Some(path) = &arguments.report {
        eval_compare::write_report(path, "Evaluation", &finished, &BTreeMap::new())?;
        println!("page: {}", path.display());
    }
    println!(
        "{} tasks in {:.0} s, {} not run; results in {}; digest {}",
        results.len(),
        started.elapsed().as_secs_f64(),
        finished.missing.len(),
        arguments.out.display(),
        eval_print::digest(&results)
    );
    if arguments.json {
        println!("{}", eval_print::json(&results, &finished.missing));
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes baselines; a task that only measures time has none, since its figures belong to one machine.
fn save_baselines(folder: &Path, finished: &Finished<'_>) -> anyhow::Result<()> {
    let mut kept = 0;
    for (task, _, result) in &finished.done {
        if task.metrics.iter().any(|m| m.gate.is_some()) {
            result.as_baseline().write(folder)?;
            kept += 1;
        }
    }
    println!("{kept} baselines in {}", folder.display());
    Ok(())
}

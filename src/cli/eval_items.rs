//! Which items of a task take part, and `zhiyin eval export`: items written out for other programs and for readers.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::Session;
use super::eval::{all_tasks, places};
use crate::eval::{Kind, Subset, Task, exported, select};

/// A part of a task.
#[derive(Args, Clone, Default)]
pub(super) struct SubsetArguments {
    /// Another split than the task's own, for example `dev`.
    #[arg(long, value_name = "SPLIT")]
    pub(super) split: Option<String>,
    /// At most so many items, drawn with the seed.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Only these items: JSON lines with their `id`, as `zhiyin eval export` writes them.
    #[arg(long, value_name = "FILE")]
    items: Option<PathBuf>,
}

impl SubsetArguments {
    pub(super) fn subset(&self) -> Subset {
        Subset { split: self.split.clone(), limit: self.limit.map(|l| l as usize), items: self.items.clone() }
    }

    /// Refuses a part of a task where only the whole one counts.
    pub(super) fn expect_whole(&self, what: &str) -> anyhow::Result<()> {
        anyhow::ensure!(self.subset().is_whole(), "{what} is made of whole tasks; leave out --split, --limit and --items");
        Ok(())
    }
}

/// Arguments of `zhiyin eval export`.
#[derive(Args)]
pub(super) struct ExportArguments {
    /// The task, for example `intent/service-en`.
    task: String,
    /// JSON lines.
    out: PathBuf,
    /// At most so many items, drawn with the seed.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    n: Option<u32>,
    /// Seed of the draw and of the blind order.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Without what should come out, under names that tell nothing, in an order that the seed decides.
    #[arg(long)]
    without_labels: bool,
    /// Another split than the task's own, for example `train`.
    #[arg(long, value_name = "SPLIT")]
    split: Option<String>,
    /// Folder with public sets; may be given several times.
    #[arg(long, value_name = "FOLDER")]
    data: Vec<PathBuf>,
    /// Folder of task files; those of the product by default.
    #[arg(long, value_name = "FOLDER")]
    task_dir: Option<PathBuf>,
}

pub(super) fn export(session: &Session, arguments: &ExportArguments) -> anyhow::Result<ExitCode> {
    let tasks = all_tasks(session, arguments.task_dir.as_ref())?;
    let chosen = select(&tasks, std::slice::from_ref(&arguments.task), "fast")?;
    let [task] = chosen[..] else {
        let names: Vec<&str> = chosen.iter().map(|t| t.id.as_str()).collect();
        anyhow::bail!("\"{}\" is a room; name one of its tasks: {}", arguments.task, names.join(", "))
    };
    let subset = Subset { split: arguments.split.clone(), limit: arguments.n.map(|n| n as usize), items: None };
    let dataset = subset.load(task, &places(session, &arguments.data), arguments.seed)?;
    let text = exported(task, &dataset, !arguments.without_labels, arguments.seed);
    let out = arguments.out.display();
    std::fs::write(&arguments.out, text).with_context(|| out.to_string())?;
    println!("{} items of {} in {out}", dataset.examples.len(), task.id);
    if arguments.without_labels {
        let split = arguments.split.as_ref().map_or_else(String::new, |s| format!(" --split {s}"));
        println!("answers, a line each: {}", answer_form(task));
        println!("score them: zhiyin eval run {}{split} --items {out} --predictions ANSWERS.jsonl", task.id);
    }
    Ok(ExitCode::SUCCESS)
}

/// What a line of answers looks like.
fn answer_form(task: &Task) -> String {
    let taxonomy = |file: &str| format!("   (labels: pipelines/taxonomy/{file}.toml)");
    match task.kind() {
        Kind::Label => format!("{{\"id\":\"blind-…\",\"label\":\"…\"}}{}", taxonomy(&task.stage)),
        Kind::Labels => format!("{{\"id\":\"blind-…\",\"labels\":[\"…\"]}}{}", taxonomy(&task.stage)),
        Kind::Spans => {
            format!("{{\"id\":\"blind-…\",\"spans\":[{{\"type\":\"…\",\"start\":0,\"end\":3}}]}}{}", taxonomy("entity"))
        }
        Kind::Text => "{\"id\":\"blind-…\",\"text\":\"…\"}".into(),
        Kind::Ranking => "{\"id\":\"blind-…\",\"ranking\":[\"…\"]}".into(),
        _ => "see docs/evaluation.md".into(),
    }
}

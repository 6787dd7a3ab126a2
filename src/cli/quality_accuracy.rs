//! `zhiyin quality accuracy`: the rules against scorecards that people filled in.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::Session;
use crate::app::{StageOptions, build_stages};
use crate::pipeline::{annotate, conversations, files_of};
use crate::quality::accuracy::{Accuracy, Labelled, answers};

/// Where the annotations come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Annotations {
    /// The authors' labels.
    Gold,
    /// The models of this installation.
    Model,
}

/// Arguments of `zhiyin quality accuracy`.
#[derive(Args)]
pub(super) struct AccuracyArguments {
    /// JSONL files of labelled conversations, or folders of them.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Which part: train, test or all. Rules may be tuned on `train` only.
    #[arg(long, default_value = "test")]
    split: String,
    /// Where annotations of turns come from.
    #[arg(long, value_enum, default_value = "model")]
    annotations: Annotations,
    /// The accuracy that every question should reach; below it the exit code is 1.
    #[arg(long, default_value_t = 0.9)]
    target: f64,
    /// Name every wrong answer.
    #[arg(long)]
    wrong: bool,
    /// One JSON object as the last line.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(session: &Session, arguments: &AccuracyArguments) -> anyhow::Result<ExitCode> {
    let options = StageOptions { recogniser: false, pipeline: "quality-review", index: None, scheme: None };
    let stages = build_stages(&session.home, &session.settings, options)?.stages;
    let (mut accuracy, mut count) = (Accuracy::default(), 0);
    for file in files_of(&arguments.paths, &["jsonl"]).map_err(anyhow::Error::msg)? {
        let mut failed = None;
        let outcome = conversations(&file, |raw, _| {
            let mut one = || -> anyhow::Result<()> {
                let text = raw.text.clone().map_err(anyhow::Error::msg)?;
                let labelled: Labelled = serde_json::from_slice(&text).with_context(|| raw.place.clone())?;
                if arguments.split != "all" && labelled.labels.split != arguments.split {
                    return Ok(());
                }
                count += 1;
                let conversation = match arguments.annotations {
                    Annotations::Gold => labelled.with_gold(),
                    Annotations::Model => annotate(&stages, labelled.conversation.clone())?,
                };
                let said = answers(&conversation, &stages.rules(), &stages.models)?;
                for wrong in accuracy.add(&labelled, &said) {
                    if arguments.wrong {
                        println!("{} {}: wanted {}, got {}", conversation.id, wrong.question, wrong.wanted, wrong.got);
                    }
                }
                Ok(())
            };
            one().map_err(|error| {
                failed = Some(error);
                String::new()
            })
        });
        if let Some(error) = failed {
            return Err(error);
        }
        outcome.map_err(anyhow::Error::msg)?;
    }
    anyhow::ensure!(count > 0, "no labelled conversation of the part \"{}\" found", arguments.split);
    let shares = accuracy.shares();
    let below = shares.iter().filter(|(_, _, share)| share.value < arguments.target).count();
    for (language, question, share) in &shares {
        let mark = if share.value < arguments.target { "  below the target" } else { "" };
        println!(
            "{language} {question:<14} {:.3} [{:.3}, {:.3}]  {}/{}{mark}",
            share.value, share.low, share.high, share.k, share.n
        );
    }
    let questions: Vec<_> = shares
        .iter()
        .map(|(language, question, share)| json!({ "language": language, "question": question, "accuracy": share }))
        .collect();
    let annotations = if arguments.annotations == Annotations::Gold { "gold" } else { "model" };
    if arguments.json {
        println!(
            "{}",
            json!({ "conversations": count, "split": arguments.split, "annotations": annotations, "target": arguments.target, "below": below, "questions": questions })
        );
    } else {
        println!(
            "{count} conversations ({}, {annotations} annotations), {below} of {} answers below {}",
            arguments.split,
            shares.len(),
            arguments.target
        );
    }
    Ok(if below == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

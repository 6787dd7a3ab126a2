//! `zhiyin quality`: score conversations, check and test rules, run conformance vectors.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;

use super::Session;
use crate::app::{StageOptions, build_stages, load_scheme};
use crate::pipeline::Stages;
use crate::quality::{RuleFile, conformance, run_rule_tests};

/// Subcommands of `zhiyin quality`.
#[derive(Subcommand)]
pub(super) enum QualityCommand {
    /// Score conversations: JSON, JSONL and Parquet files, recordings, folders of them; resumable.
    Score(super::quality_score::ScoreArguments),
    /// Check rule files: every problem with line, column and hint.
    Check {
        /// Rule files; the shipped ones by default.
        paths: Vec<PathBuf>,
    },
    /// Run the tests inside rule files.
    Test {
        /// Rule files; the shipped ones by default.
        paths: Vec<PathBuf>,
    },
    /// What changed rules would change over stored conversations, before they are published.
    Diff(super::quality_diff::DiffArguments),
    /// Turn rules of other products into a rule file, with a report of every field.
    Import(super::quality_import::ImportArguments),
    /// Propose thresholds of similarity from reviewed texts.
    Tune(super::quality_import::TuneArguments),
    /// Measure the rules against scorecards that people filled in.
    Accuracy(super::quality_accuracy::AccuracyArguments),
    /// Run conformance vectors.
    Conformance {
        /// JSONL file of vectors.
        file: PathBuf,
        /// Last line: one JSON object.
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(session: Session, command: QualityCommand) -> anyhow::Result<ExitCode> {
    tokio::task::block_in_place(|| match command {
        QualityCommand::Score(arguments) => super::quality_score::run(&session, &arguments),
        QualityCommand::Diff(arguments) => super::quality_diff::run(&session, &arguments),
        QualityCommand::Import(arguments) => super::quality_import::import(&arguments),
        QualityCommand::Tune(arguments) => super::quality_import::tune(&session, &arguments),
        QualityCommand::Accuracy(arguments) => super::quality_accuracy::run(&session, &arguments),
        QualityCommand::Check { paths } => check(&session, &paths),
        QualityCommand::Test { paths } => test(&session, &paths),
        QualityCommand::Conformance { file, json } => conformance_file(&file, json),
    })
}

fn rule_files(session: &Session, paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    if paths.is_empty() {
        return files(&[session.home.join("pipelines/rules")], &["toml"]);
    }
    files(paths, &["toml"])
}

fn files(paths: &[PathBuf], extensions: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).with_context(|| path.display().to_string())?;
            let fits = |p: &PathBuf| p.extension().is_some_and(|e| extensions.iter().any(|x| e == *x));
            let mut inside: Vec<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).filter(fits).collect();
            inside.sort();
            all.extend(inside);
        } else {
            anyhow::ensure!(path.is_file(), "{}: there is no such file", path.display());
            all.push(path.clone());
        }
    }
    Ok(all)
}

fn check(session: &Session, paths: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let (mut rules, mut errors) = (0, 0);
    for path in rule_files(session, paths)? {
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        match RuleFile::parse_toml(&path.display().to_string(), &text) {
            Ok(parsed) => {
                rules += parsed.len();
                parsed.iter().flat_map(|r| &r.warnings).for_each(|w| println!("warning: {w}"));
            }
            Err(problems) => {
                errors += problems.len();
                problems.iter().for_each(|p| println!("{p}"));
            }
        }
    }
    println!("{rules} rules without error, {errors} problems");
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn test(session: &Session, paths: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let built = stages(session, None)?;
    let (mut passed, mut failed) = (0, 0);
    for path in rule_files(session, paths)? {
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let rules = RuleFile::parse_toml(&path.display().to_string(), &text)
            .map_err(|problems| anyhow::anyhow!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
        for rule in &rules {
            for outcome in run_rule_tests(rule, &built.models) {
                if outcome.passed {
                    passed += 1;
                } else {
                    failed += 1;
                    println!(
                        "{}: rule {}: test {}: {}",
                        path.display(),
                        outcome.rule,
                        outcome.test,
                        outcome.differences.join("; ")
                    );
                }
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn conformance_file(file: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let reader = BufReader::new(File::open(file).with_context(|| file.display().to_string())?);
    let outcome = conformance::run(reader)?;
    for difference in &outcome.differences {
        println!("{} {}: expected {}, got {}", difference.id, difference.field, difference.expected, difference.got);
    }
    if json {
        println!("{}", serde_json::to_string(&outcome)?);
    } else {
        println!("{} passed, {} failed", outcome.passed, outcome.failed);
    }
    Ok(if outcome.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn stages(session: &Session, scheme: Option<&str>) -> anyhow::Result<std::sync::Arc<Stages>> {
    if let Some(scheme) = scheme {
        load_scheme(&session.home.join("pipelines/schemes"), scheme)?;
    }
    let options = StageOptions { recogniser: false, pipeline: "quality-review", index: None, scheme };
    Ok(build_stages(&session.home, &session.settings, options)?.stages)
}

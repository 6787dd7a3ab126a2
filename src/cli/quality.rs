//! `zhiyin quality`: score conversations, check and test rules, run conformance vectors.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;

use super::Session;
use crate::app::{StageOptions, build_stages, load_scheme};
use crate::conversation::{Conversation, Language};
use crate::pipeline::{Stages, annotate, scorecard};
use crate::quality::report::{self, Report};
use crate::quality::{RuleFile, Scheme, Scorecard, check_conversation, conformance, run_rule_tests};

/// Conversations that are annotated and scored together.
const BATCH: usize = 256;
/// Conversations that a report shows with their evidence.
const WORST: usize = 20;

/// Subcommands of `zhiyin quality`.
#[derive(Subcommand)]
pub(super) enum QualityCommand {
    /// Score conversations: JSON files, JSONL files or folders of them.
    Score {
        /// Files and folders.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Scheme id or file.
        #[arg(long)]
        scheme: Option<String>,
        /// Folder for scores.jsonl, scores.csv and report.html.
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        /// Language of the report: zh or en.
        #[arg(long, default_value = "zh")]
        language: String,
    },
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
        QualityCommand::Score { paths, scheme, out, language } => {
            let language = Language::from_tag(&language).with_context(|| format!("--language {language}: give zh or en"))?;
            score(&session, &paths, scheme.as_deref(), &out, language)
        }
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

/// A line of a file that could not be read.
struct Refused {
    place: String,
    reason: String,
}

/// Conversations of a file: one JSON object, or one a line. `labels` beside a conversation are left aside.
fn conversations(path: &Path, mut take: impl FnMut(Result<Conversation, Refused>) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let name = path.display().to_string();
    let parse = |text: &str, place: String| -> Result<Conversation, Refused> {
        let conversation: Conversation =
            serde_json::from_str(text).map_err(|e| Refused { place: place.clone(), reason: e.to_string() })?;
        check_conversation(&conversation).map_err(|e| Refused { place, reason: e.to_string() })?;
        Ok(conversation)
    };
    if path.extension().is_some_and(|e| e == "json") {
        let text = std::fs::read_to_string(path).with_context(|| name.clone())?;
        return take(parse(&text, name));
    }
    let reader = BufReader::new(File::open(path).with_context(|| name.clone())?);
    for (number, line) in reader.split(b'\n').enumerate() {
        let line = line.with_context(|| name.clone())?;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let place = format!("{name}:{}", number + 1);
        let outcome = match std::str::from_utf8(&line) {
            Ok(text) => parse(text, place),
            Err(_) => Err(Refused { place, reason: "not UTF-8".into() }),
        };
        take(outcome)?;
    }
    Ok(())
}

/// Names of conversations that were scored by an earlier run: a killed run goes on where it was.
fn done_before(scores: &Path) -> anyhow::Result<std::collections::HashSet<String>> {
    let mut done = std::collections::HashSet::new();
    if !scores.is_file() {
        return Ok(done);
    }
    let text = std::fs::read(scores)?;
    // A line that was cut by a kill is dropped and scored again.
    let whole = text.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    for line in text[..whole].split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
        let card: Scorecard = serde_json::from_slice(line)
            .with_context(|| format!("{}: not a score file; name another --out folder", scores.display()))?;
        done.insert(card.call_id);
    }
    let file = File::options().write(true).open(scores)?;
    file.set_len(whole as u64)?;
    Ok(done)
}

fn score(session: &Session, paths: &[PathBuf], scheme: Option<&str>, out: &Path, language: Language) -> anyhow::Result<ExitCode> {
    let inputs = files(paths, &["json", "jsonl"])?;
    anyhow::ensure!(!inputs.is_empty(), "no .json or .jsonl files found");
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let stages = stages(session, scheme)?;
    let target = out.join("scores.jsonl");
    let done = done_before(&target)?;
    let mut writer = BufWriter::new(File::options().create(true).append(true).open(&target)?);
    let bar = ProgressBar::new_spinner()
        .with_style(ProgressStyle::with_template("{spinner} {pos} conversations, {per_sec}, {elapsed}")?);
    let started = Instant::now();
    let (mut batch, mut scored, mut refused) = (Vec::with_capacity(BATCH), 0_usize, 0_usize);
    let mut flush = |batch: &mut Vec<Conversation>| -> anyhow::Result<usize> {
        let cards = score_batch(&stages, std::mem::take(batch))?;
        write_cards(&mut writer, &cards)
            .context("the scores could not be written; what was written stays, run the command again")?;
        Ok(cards.len())
    };
    for input in &inputs {
        conversations(input, |outcome| {
            match outcome {
                Ok(conversation) if done.contains(&conversation.id) => {}
                Ok(conversation) => batch.push(conversation),
                Err(error) => {
                    refused += 1;
                    bar.suspend(|| eprintln!("{}: {}", error.place, error.reason));
                }
            }
            if batch.len() == BATCH {
                scored += flush(&mut batch)?;
                bar.set_position(scored as u64);
            }
            Ok(())
        })?;
    }
    scored += flush(&mut batch)?;
    bar.finish_and_clear();
    let all = write_reports(out, &target, &stages.scheme(), &inputs, language)?;
    let rate = scored as f64 / started.elapsed().as_secs_f64().max(1e-9) * 3_600.0;
    println!(
        "{scored} scored now ({rate:.0} an hour), {} in all, {refused} refused; see {}",
        all,
        out.join("report.html").display()
    );
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

fn score_batch(stages: &Stages, batch: Vec<Conversation>) -> anyhow::Result<Vec<Scorecard>> {
    batch
        .into_par_iter()
        .map(|conversation| {
            let annotated = annotate(stages, conversation)?;
            Ok(scorecard(stages, &annotated)?)
        })
        .collect()
}

fn write_cards(writer: &mut impl std::io::Write, cards: &[Scorecard]) -> std::io::Result<()> {
    for card in cards {
        serde_json::to_writer(&mut *writer, card)?;
        writer.write_all(b"\n")?;
    }
    writer.flush()
}

/// CSV and HTML of everything in the score file.
fn write_reports(out: &Path, scores: &Path, scheme: &Scheme, inputs: &[PathBuf], language: Language) -> anyhow::Result<usize> {
    let mut page = Report::new(&scheme.id, language, WORST);
    let mut csv = BufWriter::new(File::create(out.join("scores.csv"))?);
    let first: Option<Scorecard> =
        BufReader::new(File::open(scores)?).lines().next().transpose()?.map(|l| serde_json::from_str(&l)).transpose()?;
    let dimensions: Vec<String> = first.map(|c| c.dimensions.into_iter().map(|d| d.id).collect()).unwrap_or_default();
    let dimensions: Vec<&str> = dimensions.iter().map(String::as_str).collect();
    writeln!(csv, "{}", report::csv_header(&dimensions).trim_end())?;
    let mut worst: Vec<(f64, String)> = Vec::new();
    let mut count = 0;
    for line in BufReader::new(File::open(scores)?).lines() {
        let card: Scorecard = serde_json::from_str(&line?)?;
        writeln!(csv, "{}", report::csv_line(&card, &dimensions).trim_end())?;
        worst.push((card.total.unwrap_or(f64::MAX), card.call_id.clone()));
        count += 1;
    }
    csv.flush()?;
    // Only the worst conversations are read again, for their evidence.
    worst.sort_by(|a, b| a.0.total_cmp(&b.0));
    worst.truncate(WORST);
    let mut shown: std::collections::HashMap<String, Conversation> = std::collections::HashMap::new();
    for input in inputs {
        conversations(input, |outcome| {
            if let Ok(conversation) = outcome {
                if worst.iter().any(|(_, id)| *id == conversation.id) {
                    shown.insert(conversation.id.clone(), conversation);
                }
            }
            Ok(())
        })?;
    }
    for line in BufReader::new(File::open(scores)?).lines() {
        let card: Scorecard = serde_json::from_str(&line?)?;
        page.add(&card, shown.get(&card.call_id));
    }
    std::fs::write(out.join("report.html"), page.html())?;
    Ok(count)
}

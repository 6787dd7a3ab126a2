//! `zhiyin quality diff`: what changed rules would change over stored conversations, before they are published.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rayon::prelude::*;

use super::Session;
use crate::app::{StageOptions, build_stages, load_scheme};
use crate::conversation::Conversation;
use crate::pipeline::{
    CONVERSATION_FILES, Journal, RawConversation, Stages, annotate, conversations, files_of, head_of, overlay, spoken_in,
};
use crate::quality::diff::{Case, Diff, DiffBuilder, HitRef};
use crate::quality::{Rule, RuleFile, RuleSet, Scheme, score};
use crate::store::{CallChoice, Store, StoreConfig};

/// Conversations that are run together.
const BATCH: usize = 256;
/// Examples of a rule that are printed.
const SHOWN: usize = 5;

/// Arguments of `zhiyin quality diff`.
#[derive(Args)]
pub(super) struct DiffArguments {
    /// Rule file or folder as it is; the rules that came with the product by default.
    #[arg(long, value_name = "RULES")]
    old: Option<PathBuf>,
    /// Rule file or folder as it would be; rules it does not have stay as they are.
    #[arg(long, value_name = "RULES")]
    new: PathBuf,
    /// Folder of a store, or files and folders of conversations.
    #[arg(long, value_name = "STORE", required = true, num_args = 1..)]
    over: Vec<PathBuf>,
    /// Scheme id or file.
    #[arg(long)]
    scheme: Option<String>,
    /// Scheme as it would be, if that changes too.
    #[arg(long)]
    new_scheme: Option<String>,
    /// Keep the comparison here (cases.jsonl, diff.json); run again to go on after a kill.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// One JSON object as the last line.
    #[arg(long)]
    json: bool,
}

struct Sides {
    old_rules: RuleSet,
    new_rules: RuleSet,
    old_scheme: Scheme,
    new_scheme: Scheme,
    ids: Vec<String>,
}

pub(super) fn run(session: &Session, arguments: &DiffArguments) -> anyhow::Result<ExitCode> {
    let options =
        StageOptions { recogniser: false, pipeline: "quality-review", index: None, scheme: arguments.scheme.as_deref() };
    let stages = build_stages(&session.home, &session.settings, options)?.stages;
    let sides = sides(session, &stages, arguments)?;
    let kept = match &arguments.out {
        Some(out) => out.clone(),
        None => tempfile::tempdir().context("temporary folder")?.keep(),
    };
    std::fs::create_dir_all(&kept).with_context(|| kept.display().to_string())?;
    let cases = kept.join("cases.jsonl");
    let journal = Journal::open(&cases).map_err(anyhow::Error::msg)?;
    let rules = sides.old_rules.rules().iter().chain(sides.new_rules.rules());
    let encoder = stages.encoder.model().version();
    journal.expect_made_by(rules, [&sides.old_scheme, &sides.new_scheme], encoder).map_err(anyhow::Error::msg)?;
    let mut runner = Runner { stages: &stages, sides: &sides, journal, batch: Vec::new(), bar: bar()?, refused: 0 };
    let mut judged = HashMap::new();
    if let [folder] = &arguments.over[..]
        && folder.join("zhiyin.db").is_file()
    {
        judged = tokio::runtime::Handle::current().block_on(over_store(folder, &mut runner))?;
    } else {
        over_files(&arguments.over, &mut runner)?;
    }
    runner.flush()?;
    runner.bar.finish_and_clear();
    let refused = runner.refused;
    let mut builder = DiffBuilder::new(&sides.ids, judged);
    for line in BufReader::new(std::fs::File::open(&cases)?).lines() {
        let case: Case = serde_json::from_str(&line?).with_context(|| cases.display().to_string())?;
        builder.add(&case);
    }
    let diff = builder.finish();
    match &arguments.out {
        Some(out) => std::fs::write(out.join("diff.json"), serde_json::to_string_pretty(&diff)?)?,
        None => std::fs::remove_dir_all(&kept)?,
    }
    if arguments.json {
        println!("{}", serde_json::to_string(&diff)?);
    } else {
        print_diff(&diff);
    }
    if refused > 0 {
        eprintln!("{refused} conversations could not be run");
    }
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

fn sides(session: &Session, stages: &Stages, arguments: &DiffArguments) -> anyhow::Result<Sides> {
    let schemes = session.home.join("pipelines/schemes");
    let base = stages.rules();
    let old_rules = match &arguments.old {
        Some(path) => overlay(&base, read_rules(path)?),
        None => overlay(&base, Vec::new()),
    };
    let new_rules = overlay(&old_rules, read_rules(&arguments.new)?);
    let old_scheme = Scheme::clone(&stages.scheme());
    let new_scheme = match &arguments.new_scheme {
        Some(name) => load_scheme(&schemes, name)?,
        None => old_scheme.clone(),
    };
    let mut ids: Vec<String> = old_scheme.rules().chain(new_scheme.rules()).map(str::to_owned).collect();
    ids.sort();
    ids.dedup();
    // A rule that no scheme asks for would be run and shown nowhere.
    let outside: Vec<&str> = new_rules.rules().iter().map(|r| r.id.as_str()).filter(|id| !ids.iter().any(|i| i == id)).collect();
    let changed = read_rules(&arguments.new)?;
    if let Some(rule) = changed.iter().find(|r| outside.contains(&r.id.as_str())) {
        eprintln!("rule {} is in no item of scheme {}: it changes no score", rule.id, new_scheme.id);
    }
    Ok(Sides { old_rules, new_rules, old_scheme, new_scheme, ids })
}

fn read_rules(path: &Path) -> anyhow::Result<Vec<Rule>> {
    let mut rules = Vec::new();
    for file in files_of(std::slice::from_ref(&path.to_path_buf()), &["toml"]).map_err(anyhow::Error::msg)? {
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let more = RuleFile::parse_toml(&file.display().to_string(), &text)
            .map_err(|p| anyhow::anyhow!("{}", p.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
        rules.extend(more);
    }
    anyhow::ensure!(!rules.is_empty(), "{}: no rules found", path.display());
    Ok(rules)
}

fn bar() -> anyhow::Result<ProgressBar> {
    let bar = ProgressBar::new_spinner()
        .with_style(ProgressStyle::with_template("{spinner} {pos} conversations, {per_sec}, {elapsed}")?);
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    Ok(bar)
}

struct Runner<'r> {
    stages: &'r Stages,
    sides: &'r Sides,
    journal: Journal,
    batch: Vec<Conversation>,
    bar: ProgressBar,
    refused: usize,
}

impl Runner<'_> {
    fn take(&mut self, conversation: Conversation) -> anyhow::Result<()> {
        if self.journal.has(&conversation.id) || self.batch.iter().any(|c| c.id == conversation.id) {
            return Ok(());
        }
        self.batch.push(conversation);
        if self.batch.len() == BATCH { self.flush() } else { Ok(()) }
    }

    fn refuse(&mut self, place: &str, reason: &str) {
        self.refused += 1;
        self.bar.suspend(|| eprintln!("{place}: {reason}"));
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let (stages, sides) = (self.stages, self.sides);
        let lines: Vec<(String, Vec<u8>)> = std::mem::take(&mut self.batch)
            .into_par_iter()
            .map(|conversation| {
                let conversation = annotate(stages, conversation)?;
                let before = score("before", &conversation, &sides.old_rules, &sides.old_scheme, &stages.models)?;
                let now = score("now", &conversation, &sides.new_rules, &sides.new_scheme, &stages.models)?;
                Ok((conversation.id, serde_json::to_vec(&Case::of(&sides.ids, &before, &now))?))
            })
            .collect::<anyhow::Result<_>>()?;
        self.journal.append(&lines).map_err(anyhow::Error::msg)?;
        self.bar.set_position(self.journal.len() as u64);
        Ok(())
    }
}

fn over_files(paths: &[PathBuf], runner: &mut Runner) -> anyhow::Result<()> {
    for file in files_of(paths, &CONVERSATION_FILES).map_err(anyhow::Error::msg)? {
        let mut failed = None;
        let outcome = conversations(&file, |raw, _| match RawConversation::read(raw) {
            Ok(conversation) => runner.take(conversation).map_err(|error| {
                failed = Some(error);
                String::new()
            }),
            Err(refused) => {
                runner.refuse(&refused.place, &refused.reason);
                Ok(())
            }
        });
        match (outcome, failed) {
            (_, Some(error)) => return Err(error),
            (Err(reason), None) => runner.refuse(&file.display().to_string(), &reason),
            (Ok(()), None) => {}
        }
    }
    Ok(())
}

/// Runs over the finished calls of a store; what people judged there.
async fn over_store(folder: &Path, runner: &mut Runner<'_>) -> anyhow::Result<HashMap<String, bool>> {
    let store = Store::open(&StoreConfig::new(folder)).await?;
    for call_id in store.chosen_calls(&CallChoice::default()).await? {
        if runner.journal.has(&call_id) {
            continue;
        }
        let Some(call) = store.call(&call_id).await? else { continue };
        let events = store.events(&call_id, 1, u32::MAX).await?;
        runner.take(Conversation::from_utterances(head_of(&call), &spoken_in(&events)))?;
    }
    let judged = store.judged_hits().await?.into_iter().collect();
    store.close().await;
    Ok(judged)
}

fn print_diff(diff: &Diff) {
    println!("{} conversations, {} annotated by an older model", diff.conversations, diff.stale);
    if diff.is_empty() {
        println!("nothing changes");
        return;
    }
    let rate = |r: Option<f64>| r.map_or("–".to_owned(), |r| format!("{:.1} %", r * 100.0));
    let places = |list: &[HitRef]| {
        let shown: Vec<String> =
            list.iter().take(SHOWN).map(|h| h.turn.map_or(h.call_id.clone(), |t| format!("{}#{t}", h.call_id))).collect();
        shown.join(" ")
    };
    for rule in &diff.by_rule {
        println!(
            "{}: +{} hits, -{} hits, {} with other evidence, {} to na, {} from na; hit rate {} -> {}",
            rule.rule_id,
            rule.gained,
            rule.lost,
            rule.evidence_changed,
            rule.to_na,
            rule.from_na,
            rate(rule.rate_old),
            rate(rule.rate_new)
        );
        for (name, list) in [("gained", &rule.examples.gained), ("lost", &rule.examples.lost)] {
            if !list.is_empty() {
                println!("  {name}: {}", places(list));
            }
        }
    }
    for (title, shifts) in [("agent", &diff.by_agent), ("team", &diff.by_team)] {
        for s in shifts.iter().filter(|s| s.mean_diff != 0.0) {
            println!(
                "{title} {}: {:.2} -> {:.2} over {} ({:+.2} [{:+.2}, {:+.2}])",
                s.id, s.mean_old, s.mean_new, s.n, s.mean_diff, s.low, s.high
            );
        }
    }
    for shift in &diff.largest_shifts {
        println!("{} {:.2} -> {:.2}", shift.call_id, shift.old, shift.new);
    }
    let v = &diff.verdicts;
    if !(v.true_lost.is_empty() && v.false_gone.is_empty() && v.false_back.is_empty()) {
        println!(
            "judged by people: {} true hits would be lost, {} false ones would go, {} would come back",
            v.true_lost.len(),
            v.false_gone.len(),
            v.false_back.len()
        );
    }
}

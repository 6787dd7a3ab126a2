//! `zhiyin datasets`: check the project's own sets, fetch public ones.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};

use super::Session;
use crate::registry::PublicSet;
use crate::train::{RowsReport, check_rows};

/// Subcommands of `zhiyin datasets`.
#[derive(Subcommand)]
pub(super) enum DatasetsCommand {
    /// Look for duplicates, leakage between splits, templates, missing labels. Exit code 1 if measurements would be untrue.
    Check {
        /// Folders with train.jsonl, dev.jsonl and test.jsonl; the project's own by default.
        folders: Vec<PathBuf>,
        /// Print JSON, one object a folder.
        #[arg(long)]
        json: bool,
    },
    /// Public sets that recipes and evaluations read, with licence and whether they are here.
    List {
        /// Where unpacked sets lie.
        #[arg(long, default_value = "data/public", value_name = "FOLDER")]
        to: PathBuf,
    },
    /// Fetch public sets, check them against their checksums, unpack them.
    Pull {
        /// Names as `datasets list` shows them; all by default.
        names: Vec<String>,
        /// Folder or address below which the packed copies lie.
        #[arg(long, value_name = "FOLDER_OR_URL")]
        from: String,
        /// Where to unpack.
        #[arg(long, default_value = "data/public", value_name = "FOLDER")]
        to: PathBuf,
    },
}

/// Ids of each kind that the text form names.
const SHOWN: usize = 5;

pub(super) async fn run(session: Session, command: DatasetsCommand) -> anyhow::Result<ExitCode> {
    let sources = session.home.join("datasets/sources.toml");
    match command {
        DatasetsCommand::Check { mut folders, json } => {
            if folders.is_empty() {
                folders = ["service-zh", "service-en"].map(|name| session.home.join("datasets").join(name)).to_vec();
            }
            let mut sound = true;
            for folder in folders {
                let report = check_rows(&folder)?;
                sound &= report.is_sound();
                if json { println!("{}", serde_json::to_string(&report)?) } else { show(&report) }
            }
            Ok(if sound { ExitCode::SUCCESS } else { ExitCode::from(1) })
        }
        DatasetsCommand::List { to } => {
            for set in PublicSet::read_all(&sources)? {
                let here = if set.is_in(&to) { "here" } else { "-" };
                println!("{:<16} {:<5} {:<7} {:<20} {}", set.name, here, set.languages.join(","), set.licence, set.what);
            }
            Ok(ExitCode::SUCCESS)
        }
        DatasetsCommand::Pull { names, from, to } => pull(PublicSet::read_all(&sources)?, &names, &from, &to).await,
    }
}

async fn pull(known: Vec<PublicSet>, names: &[String], from: &str, to: &std::path::Path) -> anyhow::Result<ExitCode> {
    for name in names {
        if known.iter().all(|set| set.name != *name) {
            let near =
                known.iter().max_by(|a, b| strsim::jaro_winkler(name, &a.name).total_cmp(&strsim::jaro_winkler(name, &b.name)));
            let near = near.map_or(String::new(), |set| format!("; did you mean \"{}\"?", set.name));
            anyhow::bail!("there is no public set \"{name}\"{near} (`zhiyin datasets list` names all)");
        }
    }
    let mut failed = 0;
    for set in known.iter().filter(|set| names.is_empty() || names.contains(&set.name)) {
        if set.is_in(to) {
            println!("{}: is here", set.name);
            continue;
        }
        let bar = ProgressBar::new(set.bytes)
            .with_style(ProgressStyle::with_template("{msg:16} {bar:30} {bytes}/{total_bytes} {eta} left")?)
            .with_message(set.name.clone());
        let outcome = set.pull(from, to, &|done, _| bar.set_position(done)).await;
        bar.finish_and_clear();
        match outcome {
            Ok(folder) => println!("{}: {} ({}, {})", set.name, folder.display(), set.licence, set.source),
            Err(error) => {
                failed += 1;
                eprintln!("{}: {error}", set.name);
            }
        }
    }
    Ok(if failed > 0 { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

fn show(report: &RowsReport) {
    println!("{}", report.folder.display());
    for (split, roles) in &report.rows {
        let roles: Vec<String> = roles.iter().map(|(role, n)| format!("{n} {role}")).collect();
        println!("  {split:<6} {}", roles.join(", "));
    }
    let skeletons: Vec<String> = report.skeletons.iter().map(|(role, n)| format!("{n} {role}")).collect();
    println!("  distinct skeletons       {}", skeletons.join(", "));
    if let Some([least, median, most]) = report.intent_rows {
        println!("  training rows an intent  least {least}, median {median}, most {most}");
    }
    let list = |counts: &std::collections::BTreeMap<String, usize>| {
        counts.iter().map(|(label, n)| format!("{label} {n}")).collect::<Vec<_>>().join(", ")
    };
    println!("  emotions                 {}", list(&report.emotions));
    println!("  conduct                  {}", list(&report.conduct));
    for (split, intents) in &report.missing_intents {
        println!("  {split} has no row of     {}", intents.join(", "));
    }
    if let Some(overlap) = report.trigram_overlap {
        println!("  trigrams of test in train {:.1} %", 100.0 * overlap);
    }
    let pairs =
        |found: &[[String; 2]]| found.iter().take(SHOWN).map(|[a, b]| format!("{a} = {b}")).collect::<Vec<_>>().join("; ");
    println!("  near-duplicates of training rows in dev and test: {}", report.near_duplicates.len());
    for (row, train, likeness) in report.near_duplicates.iter().take(SHOWN) {
        println!("    {row} ~ {train} ({likeness:.2})");
    }
    println!("  equal texts within a split: {} {}", report.duplicates.len(), pairs(&report.duplicates));
    println!("  equal texts across splits:  {} {}", report.leaks.len(), pairs(&report.leaks));
    println!("  situations in two splits:   {}", report.torn_situations.len());
    println!("  ids that stand twice:       {}", report.repeated_ids.len());
    println!("  {}", if report.is_sound() { "sound" } else { "NOT SOUND: measurements on dev and test would be untrue" });
}

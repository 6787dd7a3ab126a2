//! `zhiyin models`: which models are here, fetch one, check them, take one away.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Mutex;

use clap::Subcommand;
use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;

use crate::inference::{EncoderModel, ModelConfig};
use crate::pipeline::activate;
use crate::registry::{
    FileState, KNOWN_MODELS, Listing, ModelEntry, ModelKind, Place, PullProgress, PullRequest, Registry, RouteChange, Routes,
    VerifyReport,
};

/// What to do with models.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum ModelsCommand {
    /// Show which models are here: the ones that came with the product and the ones you pulled
    List {
        /// Print JSON for a program instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Show all about one model: files, licence, languages, what it cannot do, measured results
    Show {
        /// Id of a model (see `zhiyin models list`), or the path of a model's folder or file
        #[arg(value_name = "ID_OR_PATH")]
        id: String,
        /// Print JSON for a program instead of text
        #[arg(long)]
        json: bool,
    },
    /// Fetch a model: from a hub, an address, or a folder of this machine
    #[command(long_about = PULL_HELP)]
    Pull {
        /// What to fetch: a known name, owner/name[/file][@revision], an https:// address, or a path
        #[arg(value_name = "SPEC")]
        spec: String,
        /// sha256 that the weights must have; anything else is refused
        #[arg(long, value_name = "HEX")]
        sha256: Option<String>,
        /// Name under which the model is kept; made from SPEC when not given
        #[arg(long, value_name = "NAME")]
        id: Option<String>,
        /// Print the new model's card as JSON
        #[arg(long)]
        json: bool,
    },
    /// Check every byte of a model, or of all models, against the checksums in its card
    ///
    /// Exits with 1 when a file is missing or damaged, and says which command mends it.
    Verify {
        /// Id or path of a model; all models when not given
        #[arg(value_name = "ID_OR_PATH")]
        id: Option<String>,
        /// Print JSON for a program instead of text
        #[arg(long)]
        json: bool,
    },
    /// Let a trained head answer its task from now on, in running services too
    Activate {
        /// Id or path of a model of kind `head` (see `zhiyin train`)
        #[arg(value_name = "ID_OR_PATH")]
        id: String,
        /// Task that it shall answer; the head's own by default
        #[arg(long, value_name = "TASK")]
        head: Option<String>,
    },
    /// Let the head that answered a task before answer it again
    Rollback {
        /// Task, for example `intent`
        #[arg(default_value = "intent")]
        task: String,
    },
    /// Delete a model that you pulled; models that came with the product stay
    Remove {
        /// Id of the model
        id: String,
        /// Print JSON for a program instead of text
        #[arg(long)]
        json: bool,
    },
}

const PULL_HELP: &str = "\
Fetch a model: from a hub, an address, or a folder of this machine.

Examples:
  zhiyin models pull whisper-small                       a recogniser, by its known name
  zhiyin models pull bge-small-zh-v1.5                   a Chinese text encoder
  zhiyin models pull BAAI/bge-base-zh-v1.5@main          any encoder of the hub (safetensors)
  zhiyin models pull ggerganov/whisper.cpp/ggml-small-q5_1.bin
  zhiyin models pull https://example.org/ggml-mine.bin --sha256 HEX
  zhiyin models pull /media/disk/my-encoder --id mine    a folder or a ggml file

A pull that was cut off goes on where it ended when you run the same command again. A file whose checksum is wrong is
deleted and never used. Set HF_ENDPOINT to use a mirror of the hub, HF_HOME to a folder that has the files already, and
HF_HUB_OFFLINE=1 to forbid the network.

Afterwards name the model in the configuration: `asr.model = \"whisper-small\"`, `encoder.model = \"bge-small-zh-v1.5\"`.";

/// Runs a command; `encoder` is the one that heads are checked against. Tables and JSON go to standard output, progress and warnings to standard error.
///
/// # Errors
/// Whatever the registry refuses; its message names the file and the command that mends it.
pub async fn run(command: ModelsCommand, registry: &Registry, encoder: &str) -> anyhow::Result<ExitCode> {
    let (text, good) = match command {
        ModelsCommand::List { json } => (list(&registry.list(), json)?, true),
        ModelsCommand::Show { id, json } => (show(&registry.find(&id)?, json)?, true),
        ModelsCommand::Pull { spec, sha256, id, json } => {
            let bars = Bars::default();
            let request = PullRequest { spec, sha256, id };
            let outcome = registry.pull(&request, &|progress| bars.show(progress)).await;
            bars.finish();
            (pulled(&outcome?, json)?, true)
        }
        ModelsCommand::Activate { id, head } => {
            let encoder = registry.resolve_kind(encoder, ModelKind::Encoder)?;
            let model = EncoderModel::load(&encoder.dir)?;
            let (task, routes) = activate(registry, &model, head.as_deref(), &id, None)?;
            (switched(&task, &routes), true)
        }
        ModelsCommand::Rollback { task } => {
            let routes = registry.change_route(&task, RouteChange::Rollback, None)?;
            (switched(&task, &routes), true)
        }
        ModelsCommand::Verify { id, json } => verify(registry, id, json)?,
        ModelsCommand::Remove { id, json } => {
            let bytes = registry.remove(&id)?;
            let text = if json {
                pretty(&json!({ "removed": id, "freed_bytes": bytes }))?
            } else {
                format!("Removed {id}, {} freed.\n", HumanBytes(bytes))
            };
            (text, true)
        }
    };
    print(&text)?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn switched(task: &str, routes: &Routes) -> String {
    let route = routes.tasks.get(task).cloned().unwrap_or_default();
    let name = |id: Option<&str>| id.filter(|i| !i.is_empty()).unwrap_or("the encoder's own head").to_owned();
    let before = match route.previous.first() {
        Some(previous) => format!("`zhiyin models rollback {task}` goes back to {}.", name(Some(previous))),
        None => "Nothing answered it before.".to_owned(),
    };
    format!(
        "Task {task} is answered by {}. Running services follow within a second.\n{before}\n",
        name(route.champion.as_deref())
    )
}

fn list(listing: &Listing, as_json: bool) -> anyhow::Result<String> {
    if as_json {
        let broken: Vec<String> = listing.broken.iter().map(ToString::to_string).collect();
        let known: Vec<_> = KNOWN_MODELS
            .iter()
            .map(|k| json!({ "name": k.name, "kind": k.kind, "repository": k.repository, "licence": k.licence }))
            .collect();
        return pretty(&json!({ "models": listing.models, "broken": broken, "known": known }));
    }
    let head = ["ID", "KIND", "VERSION", "SIZE", "LANGUAGES", "LICENCE", "FROM"].map(str::to_owned);
    let rows = listing.models.iter().map(|m| {
        let card = &m.card;
        let size = HumanBytes(card.stored_bytes()).to_string();
        let from = if m.place == Place::Shipped { "shipped".into() } else { card.source.clone() };
        [
            card.id.clone(),
            card.kind.name().into(),
            card.version.clone(),
            size,
            card.languages.join(" "),
            card.licence.clone(),
            from,
        ]
    });
    let mut text = table(&std::iter::once(head).chain(rows).collect::<Vec<_>>());
    if listing.models.is_empty() {
        text = "No models are here.\n".into();
    }
    for broken in &listing.broken {
        writeln!(text, "\nNot usable: {broken}")?;
    }
    let more: Vec<&str> =
        KNOWN_MODELS.iter().map(|k| k.name).filter(|n| listing.models.iter().all(|m| m.card.id != *n)).collect();
    if !more.is_empty() {
        writeln!(text, "\nMore with `zhiyin models pull NAME`: {}.", more.join(", "))?;
    }
    Ok(text)
}

fn show(entry: &ModelEntry, as_json: bool) -> anyhow::Result<String> {
    if as_json {
        return pretty(entry);
    }
    let card = &entry.card;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        if value.is_empty() { Ok(()) } else { writeln!(text, "{name:<14}{value}") }
    };
    line("id", card.id.clone())?;
    line("kind", card.kind.name().into())?;
    line("version", card.version.clone())?;
    line("folder", entry.dir.display().to_string())?;
    line("source", card.source.clone())?;
    line("licence", card.licence.clone())?;
    line("data", card.data_licences.join("; "))?;
    line("languages", card.languages.join(" "))?;
    line("sample rate", card.sample_rate_hz.map(|r| format!("{r} Hz")).unwrap_or_default())?;
    line("longest text", card.max_tokens.map(|n| format!("{n} tokens")).unwrap_or_default())?;
    line("label sets", card.label_sets.join(" "))?;
    line("meant for", card.intended_use.trim().into())?;
    for limit in &card.limits {
        line("limit", limit.trim().into())?;
    }
    for file in &card.files {
        let packed = file.packed.as_ref().map(|p| format!(", packed as {} ({})", p.name, HumanBytes(p.bytes)));
        line("file", format!("{} ({}{}) sha256 {}", file.name, HumanBytes(file.bytes), packed.unwrap_or_default(), file.sha256))?;
    }
    if !card.measured.is_empty() {
        let head = ["FIGURE", "VALUE", "UNIT", "ON", "COMMAND"].map(str::to_owned);
        let rows = card
            .measured
            .iter()
            .map(|m| [m.figure.clone(), format!("{}", m.value), m.unit.clone(), m.on.clone(), m.command.clone()]);
        write!(text, "\n{}", table(&std::iter::once(head).chain(rows).collect::<Vec<_>>()))?;
    }
    Ok(text)
}

fn pulled(entry: &ModelEntry, as_json: bool) -> anyhow::Result<String> {
    if as_json {
        return pretty(entry);
    }
    let card = &entry.card;
    Ok(format!(
        "{} is here: {} {} in {}, checked.\nLicence: {}.\n{}\n",
        card.id,
        HumanBytes(card.stored_bytes()),
        card.kind.name(),
        entry.dir.display(),
        card.licence,
        use_of(entry),
    ))
}

/// Where the configuration names a model of this kind.
fn use_of(entry: &ModelEntry) -> String {
    let (id, kind) = (&entry.card.id, entry.card.kind.name());
    let config = ModelConfig::load(&entry.dir.join("config.json")).ok().filter(|_| entry.card.kind == ModelKind::Encoder);
    match config.map(|c| (c.classifier.is_classifier(), c.classifier.id2label.map_or(2, |l| l.len()))) {
        Some((true, 1)) => format!("Use it with `knowledge.reranker = \"{id}\"` in the configuration."),
        Some((true, _)) => format!(
            "Use it with `heads.TASK.model = \"{id}\"` in the configuration, TASK being intent, emotion or another, or with\n\
             `zhiyin models activate {id} --head TASK`."
        ),
        _ if entry.card.kind == ModelKind::Head => format!("Use it with `zhiyin models activate {id}`."),
        _ => format!("Use it with `{kind}.model = \"{id}\"` in the configuration."),
    }
}

fn verify(registry: &Registry, id: Option<String>, as_json: bool) -> anyhow::Result<(String, bool)> {
    let (ids, broken) = match id {
        Some(id) => (vec![id], Vec::new()),
        None => {
            let listing = registry.list();
            let mut ids: Vec<String> = listing.models.into_iter().map(|m| m.card.id).collect();
            ids.dedup();
            (ids, listing.broken)
        }
    };
    let reports = ids.iter().map(|id| registry.verify(id)).collect::<Result<Vec<_>, _>>()?;
    let good = broken.is_empty() && reports.iter().all(VerifyReport::is_good);
    let broken: Vec<String> = broken.iter().map(ToString::to_string).collect();
    if as_json {
        return Ok((pretty(&json!({ "good": good, "models": reports, "broken": broken }))?, good));
    }
    let mut text = String::new();
    for report in &reports {
        write_report(&mut text, report)?;
    }
    for broken in &broken {
        writeln!(text, "BAD   {broken}")?;
    }
    if reports.is_empty() && broken.is_empty() {
        text.push_str("No models are here.\n");
    }
    Ok((text, good))
}

fn write_report(text: &mut String, report: &VerifyReport) -> std::fmt::Result {
    let word = if report.is_good() { "good" } else { "BAD" };
    writeln!(text, "{word:<6}{} ({} files)", report.id, report.files.len())?;
    for file in &report.files {
        let what = match &file.state {
            FileState::Good => continue,
            FileState::NoCard => "no card says what it should be".to_owned(),
            FileState::Missing => "is missing".to_owned(),
            FileState::WrongSize { expected_bytes, found_bytes } => {
                format!("has {found_bytes} bytes, the card says {expected_bytes}")
            }
            FileState::WrongChecksum { expected, found } => format!("has sha256 {found}, the card says {expected}"),
            FileState::Unreadable { what } => what.clone(),
        };
        writeln!(text, "      {}: {what}", report.dir.join(&file.name).display())?;
    }
    if !report.is_good() {
        writeln!(text, "      To mend it: {}", report.fix)?;
    }
    if report.damaged_copy_deleted {
        writeln!(text, "      Its unpacked copy was damaged and was deleted; it is made anew at the next use.")?;
    }
    if !report.unknown_keys.is_empty() {
        writeln!(text, "      Its card has keys that nothing reads: {}", report.unknown_keys.join(", "))?;
    }
    Ok(())
}

/// One bar per file on standard error; nothing when that is no terminal.
#[derive(Default)]
struct Bars {
    all: MultiProgress,
    by_file: Mutex<HashMap<String, ProgressBar>>,
}

impl Bars {
    fn show(&self, progress: &PullProgress) {
        // A poisoned lock would only mean that a bar stands still.
        let Ok(mut bars) = self.by_file.lock() else { return };
        let bar = bars.entry(progress.file.clone()).or_insert_with(|| {
            let style =
                ProgressStyle::with_template("{msg:24!} {bar:30} {bytes:>10}/{total_bytes:<10} {bytes_per_sec:>12} {eta:>5}");
            let bar = ProgressBar::no_length().with_message(progress.file.clone());
            self.all.add(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
        });
        if let Some(total) = progress.total_bytes {
            bar.set_length(total);
        }
        bar.set_position(progress.done_bytes);
    }

    fn finish(self) {
        for bar in self.by_file.into_inner().unwrap_or_default().into_values() {
            bar.abandon();
        }
    }
}

/// Columns as wide as their widest entry, the last one free.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|r| r[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, w)| format!("{cell:<w$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn pretty(value: &impl serde::Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// A reader that goes away (`| head`) is no error.
fn print(text: &str) -> std::io::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests;

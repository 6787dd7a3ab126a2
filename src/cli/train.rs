//! `zhiyin train`: a head of one's own from labelled texts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::Session;
use crate::inference::EncoderModel;
use crate::registry::{ModelKind, Registry};
use crate::train::{Dataset, Mode, Progress, Report, TrainSettings, Trained, train};

/// Arguments of `zhiyin train`.
#[derive(Args)]
#[command(after_long_help = EXAMPLES)]
pub struct TrainArguments {
    /// Name of the head: intent, emotion, act, conduct, or a name of your own
    #[arg(long, default_value = "intent")]
    task: String,
    /// Labelled texts: .jsonl ({"text", "intent" or "label"} per line), .csv (text,category), or CLINC150's .json
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Rows to choose by; some of the training rows (at most 500) by default
    #[arg(long, value_name = "FILE")]
    dev: Option<PathBuf>,
    /// Rows to measure on; nothing is chosen by them
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// What learns: a head over the frozen trunk (seconds), or a copy of the trunk too (minutes)
    #[arg(long, value_enum, default_value_t = ModeArgument::Frozen)]
    mode: ModeArgument,
    /// Folder of the new model; its last part is the model's id
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Encoder to train on; `encoder.model` by default
    #[arg(long, value_name = "ID_OR_PATH")]
    encoder: Option<String>,
    /// A text may have several labels (default for act and conduct)
    #[arg(long)]
    several: bool,
    /// Leave rows without a label out instead of refusing them
    #[arg(long)]
    skip_unlabelled: bool,
    /// How labels weigh: as often as they occur, or all the same
    #[arg(long, value_enum, default_value_t = ClassWeights::None)]
    class_weights: ClassWeights,
    /// Share of the target spread over all labels
    #[arg(long, default_value_t = 0.1, value_name = "SHARE")]
    label_smoothing: f32,
    /// Passes over the training rows at most (four times as many with a frozen trunk)
    #[arg(long, default_value_t = 8)]
    epochs: usize,
    /// Passes without a better dev result before training ends
    #[arg(long, default_value_t = 3)]
    patience: usize,
    /// Peak learning rate; 0 takes the mode's own
    #[arg(long, default_value_t = 0.0)]
    rate: f32,
    /// Share of in-scope rows that may be rejected, where the data has rows labelled out_of_scope or oos
    #[arg(long, default_value_t = 0.05, value_name = "SHARE")]
    false_rejection: f32,
    /// Threads; 0 takes all cores
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Seed of every random choice
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Print the figures as one JSON object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  zhiyin train --data my.jsonl --out models/my-intent
  zhiyin train --data banking77/train.csv --test banking77/test.csv --mode full --out models/banking77
  zhiyin train --task conduct --data conduct.jsonl --class-weights balanced --out models/my-conduct

Then `zhiyin models activate my-intent` switches a running service to it, and `zhiyin models rollback intent` back.";

/// `--mode`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ModeArgument {
    /// The trunk stays as it is.
    Frozen,
    /// A copy of the trunk learns too.
    Full,
}

/// `--class-weights`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ClassWeights {
    /// As often as they occur.
    None,
    /// All the same.
    Balanced,
}

/// Runs the command.
///
/// # Errors
/// Data that cannot be used, an encoder that is not there, a folder that cannot be written.
pub async fn run(session: Session, arguments: TrainArguments) -> anyhow::Result<ExitCode> {
    tokio::task::spawn_blocking(move || run_blocking(&session, &arguments)).await?
}

fn run_blocking(session: &Session, arguments: &TrainArguments) -> anyhow::Result<ExitCode> {
    let settings = settings(arguments)?;
    let registry = crate::app::registry(&session.home, &session.settings)?;
    let id = arguments.encoder.as_deref().unwrap_or(&session.settings.encoder.model);
    let resolved = registry.resolve_kind(id, ModelKind::Encoder)?;
    expect_room(&registry, &arguments.out)?;
    let data = Dataset::load(&arguments.data, arguments.dev.as_deref(), arguments.test.as_deref(), &settings)?;
    if data.leaked > 0 {
        eprintln!("{} training rows also stand in the dev or test split; they are left out", data.leaked);
    }
    let model = EncoderModel::load(&resolved.dir)?;
    let bar = ProgressBar::no_length();
    bar.set_style(ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}")?);
    let trained = train(&data, &model, &resolved.dir, &settings, &|progress| show(&bar, progress))?;
    bar.finish_and_clear();
    let command = command(arguments);
    let card = trained.save(&arguments.out, &command)?;
    if arguments.json {
        println!("{}", as_json(&trained, &card.id, &command));
    } else {
        print(&trained, &card.id, &arguments.out);
    }
    Ok(ExitCode::SUCCESS)
}

/// The folder of a new head is absent, empty, or holds an earlier head: everything in it is replaced.
fn expect_room(registry: &Registry, out: &Path) -> anyhow::Result<()> {
    if out.join("card.toml").is_file() {
        if registry.find(&out.to_string_lossy())?.card.kind != ModelKind::Head {
            bail!("{} holds another model; choose another folder for --out", out.display());
        }
    } else if out.exists() && std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!(
            "{} holds something that is no head; choose a new folder for --out, for example {}/my-head",
            out.display(),
            out.display()
        );
    } else if out.is_file() {
        bail!("{} is a file; --out names a folder", out.display());
    }
    Ok(())
}

fn settings(arguments: &TrainArguments) -> anyhow::Result<TrainSettings> {
    let defaults = TrainSettings::new(&arguments.task);
    if arguments.task.is_empty() || !arguments.task.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
        bail!("--task {:?}: a head's name has small letters, digits and _", arguments.task);
    }
    for (name, share) in [("label-smoothing", arguments.label_smoothing), ("false-rejection", arguments.false_rejection)] {
        if !(0.0..0.9).contains(&share) {
            bail!("--{name} {share}: must be at least 0 and below 0.9");
        }
    }
    if arguments.epochs == 0 || !(0.0..1.0).contains(&arguments.rate) {
        bail!("--epochs must be at least 1 and --rate at least 0 and below 1");
    }
    Ok(TrainSettings {
        mode: if arguments.mode == ModeArgument::Full { Mode::Full } else { Mode::Frozen },
        several: arguments.several || defaults.several,
        skip_unlabelled: arguments.skip_unlabelled,
        epochs: arguments.epochs,
        patience: arguments.patience,
        rate: arguments.rate,
        smoothing: arguments.label_smoothing,
        balanced: arguments.class_weights == ClassWeights::Balanced,
        false_rejection: arguments.false_rejection,
        threads: if arguments.threads == 0 { defaults.threads } else { arguments.threads },
        seed: arguments.seed,
        ..defaults
    })
}

/// The command as it stands in the card: file names without their folders.
fn command(arguments: &TrainArguments) -> String {
    let name = |p: &Path| p.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let mut text = format!("zhiyin train --task {} --data {}", arguments.task, name(&arguments.data));
    for (flag, file) in [("dev", &arguments.dev), ("test", &arguments.test)] {
        if let Some(file) = file {
            text += &format!(" --{flag} {}", name(file));
        }
    }
    let defaults = TrainSettings::new(&arguments.task);
    let mut add = |flag: &str, value: Option<String>| {
        if let Some(value) = value {
            text += &format!(" --{flag} {value}");
        }
    };
    add("mode", (arguments.mode == ModeArgument::Full).then(|| "full".into()));
    add("encoder", arguments.encoder.clone());
    add("class-weights", (arguments.class_weights == ClassWeights::Balanced).then(|| "balanced".into()));
    add("label-smoothing", (arguments.label_smoothing != defaults.smoothing).then(|| arguments.label_smoothing.to_string()));
    add("epochs", (arguments.epochs != defaults.epochs).then(|| arguments.epochs.to_string()));
    add("patience", (arguments.patience != defaults.patience).then(|| arguments.patience.to_string()));
    add("rate", (arguments.rate > 0.0).then(|| arguments.rate.to_string()));
    add(
        "false-rejection",
        (arguments.false_rejection != defaults.false_rejection).then(|| arguments.false_rejection.to_string()),
    );
    add("seed", (arguments.seed != defaults.seed).then(|| arguments.seed.to_string()));
    add("out", Some(format!("models/{}", name(&arguments.out))));
    text
}

fn show(bar: &ProgressBar, progress: &Progress) {
    match progress {
        Progress::Stage(text) => bar.suspend(|| eprintln!("{text}")),
        Progress::Step { epoch, epochs, done, of, loss } => {
            bar.set_length((*of * *epochs) as u64);
            bar.set_position((of * (epoch - 1) + done) as u64);
            bar.set_message(format!("pass {epoch}/{epochs}, loss {loss:.3}"));
        }
        Progress::Epoch { epoch, epochs, loss, dev_accuracy, dev_macro_f1 } => bar.suspend(|| {
            eprintln!("pass {epoch}/{epochs}: loss {loss:.3}, dev accuracy {dev_accuracy:.4}, macro-F1 {dev_macro_f1:.4}");
        }),
    }
}

fn print(trained: &Trained, id: &str, out: &Path) {
    let line = |name: &str, report: &Report| {
        let mut text = format!("{name:<14} accuracy {:.4}  macro-F1 {:.4}", report.accuracy, report.macro_f1);
        if report.calibration_error > 0.0 {
            text += &format!("  calibration error {:.4}", report.calibration_error);
        }
        if let (Some(recall), Some(rejected)) = (report.out_of_scope_recall, report.false_rejection) {
            text += &format!("  out-of-scope recall {recall:.4} at {rejected:.4} false rejection");
        }
        println!("{text}  ({} rows)", report.rows);
    };
    if let Some(test) = &trained.test {
        line("test", test);
    }
    line("dev", &trained.dev);
    line("n-grams alone", &trained.ngrams_alone);
    line("layer alone", &trained.layer_alone);
    println!("{} is in {}, trained in {:.0} s.", id, out.display(), trained.took.as_secs_f64());
    println!(
        "Switch a running service to it: `zhiyin models activate {}`",
        if out.parent().is_some_and(|p| p.ends_with("models")) { id.to_owned() } else { out.display().to_string() }
    );
}

fn as_json(trained: &Trained, id: &str, command: &str) -> serde_json::Value {
    let report = |r: &Report| {
        json!({
            "rows": r.rows, "accuracy": r.accuracy, "macro_f1": r.macro_f1, "calibration_error": r.calibration_error,
            "out_of_scope_recall": r.out_of_scope_recall, "false_rejection": r.false_rejection,
            "accuracy_with_rejection": r.accuracy_with_rejection,
        })
    };
    json!({
        "model": id, "command": command, "rows": { "train": trained.rows[0], "dev": trained.rows[1], "test": trained.rows[2], "leaked": trained.rows[3] },
        "test": trained.test.as_ref().map(report), "dev": report(&trained.dev),
        "ngrams_alone": report(&trained.ngrams_alone), "layer_alone": report(&trained.layer_alone),
        "ngram_share": trained.ngram_share, "best_epoch": trained.best_epoch, "took_s": trained.took.as_secs_f64(),
    })
}

//! `zhiyin privacy`: measure the finding of personal data, take it out of a conversation and its recording.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use serde_json::json;

use crate::audio::{decode_file, encode_wav, silence_spans};
use crate::conversation::{Conversation, TimeSpan};
use crate::privacy::{Counts, Finding, Kind, KindSet, Measured, Share, find, mask, measure, redact_conversation};

/// Subcommands of `zhiyin privacy`.
#[derive(Subcommand)]
pub(super) enum PrivacyCommand {
    /// Precision and recall per kind on marked utterances, for example datasets/personal-data/zh.jsonl.
    Check {
        /// JSONL files of marked utterances.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Only utterances of this split (dev, test).
        #[arg(long)]
        split: Option<String>,
        /// Show this many places where rules and marks differ.
        #[arg(long, default_value_t = 0)]
        differences: usize,
        /// Fail unless precision and recall of all patterned kinds together reach this, in [0, 1].
        #[arg(long, value_name = "SHARE")]
        least: Option<f64>,
        /// Print one JSON object instead of tables.
        #[arg(long)]
        json: bool,
    },
    /// Find personal data in a text.
    Find {
        /// The text.
        text: String,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Take personal data out of a conversation (the JSON of quality-rules), and silence it in its recording.
    Redact {
        /// Conversation file; the masked conversation goes to standard output.
        file: PathBuf,
        /// Kinds to take out, comma separated; all by default.
        #[arg(long, value_delimiter = ',')]
        kinds: Vec<String>,
        /// Recording of the conversation. Turns have no times of words, so a turn with personal data is silenced whole.
        #[arg(long, value_name = "RECORDING", requires = "out")]
        audio: Option<PathBuf>,
        /// Where the silenced recording goes (WAV).
        #[arg(long, value_name = "WAV", requires = "audio")]
        out: Option<PathBuf>,
    },
}

/// Runs a command.
pub(super) fn run(command: PrivacyCommand) -> anyhow::Result<ExitCode> {
    match command {
        PrivacyCommand::Check { files, split, differences, least, json } => {
            check(&files, split.as_deref(), differences, least, json)
        }
        PrivacyCommand::Find { text, json } => {
            show_found(&text, &find(&text), json)?;
            Ok(ExitCode::SUCCESS)
        }
        PrivacyCommand::Redact { file, kinds, audio, out } => {
            let kinds = kinds.iter().map(|name| Kind::from_name(name)).collect::<Result<KindSet, _>>()?;
            let kinds = if kinds.is_empty() { Kind::ALL.into_iter().collect() } else { kinds };
            redact(&file, &kinds, audio.as_deref().zip(out.as_deref()))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn check(
    files: &[PathBuf],
    split: Option<&str>,
    differences: usize,
    least: Option<f64>,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let mut good = true;
    let mut objects = Vec::new();
    for file in files {
        let measured = measure(file, split)?;
        let patterned = measured.patterned();
        let reached = |share: Share| share.value.is_none_or(|value| least.is_none_or(|least| value >= least));
        good &= reached(patterned.precision()) && reached(patterned.recall());
        if as_json {
            objects.push(in_json(file, split, &measured));
        } else {
            table(file, split, &measured);
            for difference in measured.differences.iter().take(differences) {
                println!(
                    "  {} turn {} {} {} {:?}",
                    difference.id,
                    difference.turn,
                    difference.what,
                    difference.kind.name(),
                    difference.span
                );
                println!("    {}", difference.text);
            }
        }
    }
    if as_json {
        println!("{}", json!({ "command": "privacy check", "files": objects }));
    }
    if !good {
        eprintln!("zhiyin: patterned kinds stay below {}", least.unwrap_or(0.0));
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn table(file: &Path, split: Option<&str>, measured: &Measured) {
    println!(
        "{}{}: {} exchanges, {} without personal data, {} of these with a false alarm",
        file.display(),
        split.map(|s| format!(" ({s})")).unwrap_or_default(),
        measured.utterances,
        measured.without,
        measured.without_false
    );
    println!("  {:<18} {:>5} {:>6} {:>6}  {:<22} {:<22}", "kind", "hits", "false", "missed", "precision (95 %)", "recall (95 %)");
    let row = |name: &str, c: &Counts| {
        println!(
            "  {name:<18} {:>5} {:>6} {:>6}  {:<22} {:<22}",
            c.hits,
            c.false_alarms,
            c.misses,
            share(c.precision()),
            share(c.recall())
        );
    };
    for (kind, counts) in &measured.kinds {
        row(kind.name(), counts);
    }
    row("patterned kinds", &measured.patterned());
    row("all", &measured.all());
}

fn share(share: Share) -> String {
    match share.value {
        Some(value) => format!("{value:.3} ({:.3}-{:.3})", share.low, share.high),
        None => "-".into(),
    }
}

fn in_json(file: &Path, split: Option<&str>, measured: &Measured) -> serde_json::Value {
    let counts = |c: &Counts| json!({ "hits": c.hits, "false_alarms": c.false_alarms, "misses": c.misses, "precision": c.precision(), "recall": c.recall() });
    let kinds: serde_json::Map<_, _> = measured.kinds.iter().map(|(k, c)| (k.name().to_owned(), counts(c))).collect();
    json!({
        "file": file.display().to_string(),
        "split": split,
        "exchanges": measured.utterances,
        "without": measured.without,
        "without_false": measured.without_false,
        "kinds": kinds,
        "patterned": counts(&measured.patterned()),
        "all": counts(&measured.all()),
    })
}

fn show_found(text: &str, found: &[Finding], as_json: bool) -> anyhow::Result<()> {
    let masked = mask(text, found);
    if as_json {
        println!("{}", serde_json::to_string(&json!({ "findings": found, "masked": masked }))?);
    } else {
        found.iter().for_each(|f| println!("{:<18} {}-{}", f.kind.name(), f.start, f.end));
        println!("{masked}");
    }
    Ok(())
}

fn redact(file: &Path, kinds: &KindSet, audio: Option<(&Path, &Path)>) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let conversation: Conversation =
        serde_json::from_str(&text).with_context(|| format!("{} is no conversation", file.display()))?;
    let (redacted, found) = redact_conversation(&conversation, kinds);
    if let Some((recording, out)) = audio {
        let spans: Vec<TimeSpan> = conversation
            .turns
            .iter()
            .zip(&found)
            .enumerate()
            .filter(|(_, (_, findings))| !findings.is_empty())
            .map(|(n, (turn, _))| {
                let times = turn.start_ms.zip(turn.end_ms);
                times.map(|(start, end)| TimeSpan::new(start, end)).with_context(|| {
                    format!("turn {n} has personal data but no start_ms and end_ms: the recording cannot be silenced there")
                })
            })
            .collect::<anyhow::Result<_>>()?;
        let decoded = decode_file(recording).with_context(|| recording.display().to_string())?;
        let channels: Vec<Vec<f32>> = decoded.channels.iter().map(|c| silence_spans(c, decoded.sample_rate_hz, &spans)).collect();
        std::fs::write(out, encode_wav(&channels, decoded.sample_rate_hz)?)
            .with_context(|| format!("cannot write {}", out.display()))?;
        eprintln!(
            "{} of {} ms silenced in {}",
            spans.iter().map(|s| s.duration_ms()).sum::<i64>(),
            decoded.duration_ms(),
            out.display()
        );
    }
    println!("{}", serde_json::to_string_pretty(&redacted)?);
    Ok(())
}

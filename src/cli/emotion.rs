//! `zhiyin emotion`: how well escalation risk and predicted satisfaction agree with labelled conversations.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use super::Session;
use crate::app::{StageOptions, build_stages};
use crate::conversation::{Conversation, Role};
use crate::emotion::{Correlation, Course, VALENCES, pearson, spearman};
use crate::pipeline::{Stages, annotate};

/// Arguments of `zhiyin emotion`.
#[derive(Args)]
pub(super) struct EmotionArguments {
    /// JSONL files of conversations with `labels.satisfaction`, for example datasets/conversations/zh.jsonl.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Only conversations of this split (train, dev, test).
    #[arg(long)]
    split: Option<String>,
    /// Print one JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

/// What the formulas say at the end of one conversation, and what the label says.
struct Reading {
    satisfaction: f64,
    escalation: f64,
    /// The highest escalation risk on the way.
    peak: f64,
    label: f64,
}

/// Lower ends of the bands in which the escalation risk at the end is told.
const BANDS: [f64; 4] = [0.0, 0.2, 0.5, 0.8];
/// Stated satisfaction up to which a customer is dissatisfied.
const DISSATISFIED: f64 = 2.0;

/// Runs the command.
pub(super) fn run(session: &Session, arguments: EmotionArguments) -> anyhow::Result<ExitCode> {
    let options = StageOptions { recogniser: false, pipeline: "live-assist", index: None, scheme: None };
    let stages = build_stages(&session.home, &session.settings, options)?.stages;
    let (mut read, mut labelled) = (Vec::new(), Vec::new());
    for file in &arguments.files {
        for (conversation, labels) in conversations(file, arguments.split.as_deref())? {
            let Some(label) = labels["satisfaction"].as_f64() else { continue };
            labelled.push(by_labels(&conversation, &labels, label));
            read.push(by_models(&stages, conversation, label)?);
        }
    }
    anyhow::ensure!(
        read.len() >= 4,
        "fewer than four conversations with labels.satisfaction; name other files or leave --split out"
    );
    let rows = [("read by the models", &read), ("from the labelled emotions", &labelled)];
    let mut objects = Vec::new();
    for (name, readings) in rows {
        for (what, pairs) in [
            ("predicted satisfaction", readings.iter().map(|r| (r.satisfaction, r.label)).collect::<Vec<_>>()),
            ("escalation at the end", readings.iter().map(|r| (r.escalation, r.label)).collect()),
            ("highest escalation", readings.iter().map(|r| (r.peak, r.label)).collect()),
        ] {
            let (pearson, spearman) = (pearson(&pairs), spearman(&pairs));
            if arguments.json {
                let one = |c: Option<Correlation>| c.map(|c| json!({"r": c.r, "low": c.low, "high": c.high}));
                objects.push(
                    json!({"figure": what, "source": name, "n": pairs.len(), "pearson": one(pearson), "spearman": one(spearman)}),
                );
            } else {
                println!(
                    "{what}, {name}, against stated satisfaction, n = {}: {} {}",
                    pairs.len(),
                    show("Pearson", pearson),
                    show("Spearman", spearman)
                );
            }
        }
    }
    let bands: Vec<Value> = rows.iter().flat_map(|(name, readings)| bands(name, readings)).collect();
    for band in bands.iter().filter(|_| !arguments.json) {
        println!(
            "escalation at the end {} to {}, {}: n = {}, stated satisfaction {}, dissatisfied {}",
            band["from"],
            band["to"],
            band["source"].as_str().unwrap_or_default(),
            band["n"],
            band["satisfaction"],
            band["dissatisfied"]
        );
    }
    if arguments.json {
        println!("{}", json!({"command": "emotion", "split": arguments.split, "rows": objects, "bands": bands}));
    }
    Ok(ExitCode::SUCCESS)
}

/// What customers stated where the risk ended in each band: mean, and the share of dissatisfied ones.
fn bands(source: &str, readings: &[Reading]) -> Vec<Value> {
    let ends = BANDS.iter().skip(1).copied().chain(std::iter::once(1.0));
    let band = |(from, to): (f64, f64)| {
        let inside: Vec<f64> =
            readings.iter().filter(|r| r.escalation >= from && (r.escalation < to || to >= 1.0)).map(|r| r.label).collect();
        let n = inside.len();
        let share = |sum: f64| (n > 0).then(|| (sum / n as f64 * 100.0).round() / 100.0);
        json!({
            "source": source, "from": from, "to": to, "n": n, "satisfaction": share(inside.iter().sum()),
            "dissatisfied": share(inside.iter().filter(|l| **l <= DISSATISFIED).count() as f64),
        })
    };
    BANDS.into_iter().zip(ends).map(band).collect()
}

fn show(name: &str, value: Option<Correlation>) -> String {
    value.map_or_else(|| format!("{name} -"), |c| format!("{name} {:.2} ({:.2} to {:.2})", c.r, c.low, c.high))
}

fn conversations(file: &Path, split: Option<&str>) -> anyhow::Result<Vec<(Conversation, Value)>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = || format!("{}, line {}", file.display(), number + 1);
        let value: Value = serde_json::from_str(line).with_context(place)?;
        let labels = value["labels"].clone();
        if split.is_none_or(|split| labels["split"] == split) {
            found.push((serde_json::from_value(value).with_context(place)?, labels));
        }
    }
    Ok(found)
}

fn reading(course: &Course, peak: f32, label: f64) -> Reading {
    let (satisfaction, escalation) = (course.predicted_satisfaction(), course.escalation());
    Reading { satisfaction: satisfaction.into(), escalation: escalation.into(), peak: peak.into(), label }
}

fn by_models(stages: &Stages, conversation: Conversation, label: f64) -> anyhow::Result<Reading> {
    let (mut course, mut peak) = (Course::default(), 0.0_f32);
    for turn in annotate(stages, conversation)?.turns {
        let valence = turn.emotion.as_ref().and_then(|e| e.valence).unwrap_or(0.0);
        let labels: Vec<&str> = turn.labels.iter().flatten().map(|l| l.name.as_str()).collect();
        course.observe(turn.role, valence as f32, &labels);
        peak = peak.max(course.escalation());
    }
    Ok(reading(&course, peak, label))
}

fn by_labels(conversation: &Conversation, labels: &Value, label: f64) -> Reading {
    let (mut course, mut peak) = (Course::default(), 0.0_f32);
    for (place, turn) in conversation.turns.iter().enumerate() {
        let marks = &labels["turns"][place];
        let valence = VALENCES.iter().find(|(name, _)| marks["emotion"] == *name).map_or(0.0, |(_, v)| 5.0 * v);
        let conduct: Vec<&str> = marks["conduct"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let role = if turn.role == Role::Unknown { Role::Customer } else { turn.role };
        course.observe(role, valence, &conduct);
        peak = peak.max(course.escalation());
    }
    reading(&course, peak, label)
}

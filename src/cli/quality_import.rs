//! `zhiyin quality import` and `zhiyin quality tune`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Session;
use crate::app::{StageOptions, build_stages};
use crate::conversation::Conversation;
use crate::pipeline::{files_of, head_of, spoken_in};
use crate::quality::import::{Fidelity, Import, contact_lens, sca};
use crate::quality::tune::{SimilarPlace, at_threshold, propose, similar_places};
use crate::quality::{Rule, RuleFile};
use crate::store::{Store, StoreConfig};

/// Whose rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SourceFormat {
    /// Alibaba Cloud Smart Conversation Analysis, `UploadRule`.
    Sca,
    /// Amazon Connect Contact Lens, rules function 2022-11-25.
    #[value(name = "contact_lens", alias = "contact-lens")]
    ContactLens,
}

/// Arguments of `zhiyin quality import`.
#[derive(Args)]
pub(super) struct ImportArguments {
    /// JSON file of rules.
    file: PathBuf,
    /// Whose rules they are.
    #[arg(long, value_enum)]
    format: SourceFormat,
    /// Rule file to write; the report goes beside it as `.report.json`. Standard output by default.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn import(arguments: &ImportArguments) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(&arguments.file).with_context(|| arguments.file.display().to_string())?;
    let source: Value = serde_json::from_str(&text).with_context(|| format!("{}: not JSON", arguments.file.display()))?;
    let made: Import = match arguments.format {
        SourceFormat::Sca => sca(&source),
        SourceFormat::ContactLens => contact_lens(&source),
    };
    let toml = made.to_toml().context("the rules could not be written as TOML")?;
    for line in &made.report {
        let result = match line.result {
            Fidelity::Exact => "exact      ",
            Fidelity::Approximate => "approximate",
            Fidelity::Dropped => "dropped    ",
        };
        let place = if line.source.is_empty() { "/" } else { &line.source };
        eprintln!("{result} {place}: {}", line.reason);
    }
    match &arguments.out {
        None => print!("{toml}"),
        Some(out) => {
            std::fs::write(out, toml).with_context(|| out.display().to_string())?;
            let report = out.with_extension("report.json");
            std::fs::write(&report, serde_json::to_string_pretty(&made.report)?).with_context(|| report.display().to_string())?;
        }
    }
    eprintln!(
        "{} rules; {} fields exact, {} approximate, {} dropped",
        made.imported.len(),
        made.count(Fidelity::Exact),
        made.count(Fidelity::Approximate),
        made.count(Fidelity::Dropped)
    );
    Ok(if made.imported.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Arguments of `zhiyin quality tune`.
#[derive(Args)]
pub(super) struct TuneArguments {
    /// Rule files and folders; the shipped ones by default.
    #[arg(long, value_name = "RULES")]
    rules: Vec<PathBuf>,
    /// JSONL of reviewed texts: `{"rule": id, "text": …, "hit": true|false}`; or the folder of a store with reviews.
    #[arg(required = true)]
    reviews: PathBuf,
    /// The precision that a threshold should reach.
    #[arg(long, default_value_t = 0.9)]
    precision: f64,
    /// One JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// A reviewed text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reviewed {
    rule: String,
    text: String,
    hit: bool,
}

pub(super) fn tune(session: &Session, arguments: &TuneArguments) -> anyhow::Result<ExitCode> {
    let paths = if arguments.rules.is_empty() { vec![session.home.join("pipelines/rules")] } else { arguments.rules.clone() };
    let rules = read_rules(&paths)?;
    let places: Vec<(&Rule, SimilarPlace)> =
        rules.iter().flat_map(|r| similar_places(r).into_iter().map(move |p| (r, p))).collect();
    anyhow::ensure!(!places.is_empty(), "none of these rules has an operator similar; there is nothing to tune");
    let reviewed = if arguments.reviews.is_dir() {
        let names: Vec<&str> = places.iter().map(|(rule, _)| rule.id.as_str()).collect();
        tokio::runtime::Handle::current().block_on(from_store(&arguments.reviews, &names))?
    } else {
        from_file(&arguments.reviews)?
    };
    let options = StageOptions { recogniser: false, pipeline: "quality-review", index: None, scheme: None };
    let models = build_stages(&session.home, &session.settings, options)?.stages.models.clone();
    let mut proposals = Vec::new();
    for (rule, place) in &places {
        let own = reviewed.iter().filter(|r| r.rule == rule.id);
        let examples: Vec<(u16, bool)> = own.filter_map(|r| Some((place.similarity(&r.text, &models)?, r.hit))).collect();
        let (now, better) = (at_threshold(&examples, place.score), propose(&examples, arguments.precision));
        match better {
            None => println!("{} {}: {} reviewed texts, too few or of one kind only", rule.id, place.condition, examples.len()),
            Some(p) => println!(
                "{} {}: score {} -> {}: precision {:.3} [{:.3}, {:.3}], recall {:.3} [{:.3}, {:.3}] over {} texts",
                rule.id,
                place.condition,
                place.score,
                p.score,
                p.precision.value,
                p.precision.low,
                p.precision.high,
                p.recall.value,
                p.recall.low,
                p.recall.high,
                examples.len()
            ),
        }
        proposals.push(json!({ "rule_id": rule.id, "place": place, "n": examples.len(), "now": now, "proposal": better }));
    }
    if arguments.json {
        println!("{}", json!({ "encoder": models.pins.get("encoder"), "proposals": proposals }));
    }
    Ok(ExitCode::SUCCESS)
}

fn read_rules(paths: &[PathBuf]) -> anyhow::Result<Vec<Rule>> {
    let mut rules = Vec::new();
    for file in files_of(paths, &["toml"]).map_err(anyhow::Error::msg)? {
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let more = RuleFile::parse_toml(&file.display().to_string(), &text)
            .map_err(|p| anyhow::anyhow!("{}", p.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
        rules.extend(more);
    }
    Ok(rules)
}

fn from_file(path: &Path) -> anyhow::Result<Vec<Reviewed>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(n, line)| serde_json::from_str(line).with_context(|| format!("{}:{}", path.display(), n + 1))).collect()
}

/// Texts of judged hits and of missed turns in a store.
async fn from_store(folder: &Path, rules: &[&str]) -> anyhow::Result<Vec<Reviewed>> {
    let store = Store::open(&StoreConfig::new(folder)).await?;
    let mut conversations: HashMap<String, Conversation> = HashMap::new();
    let mut reviewed = Vec::new();
    for rule in rules {
        for judgement in store.judgements_of_rule(rule).await? {
            let hit = match judgement.verdict.as_str() {
                "true_hit" | "missed" => true,
                "false_hit" => false,
                _ => continue,
            };
            if !conversations.contains_key(&judgement.call_id) {
                let Some(call) = store.call(&judgement.call_id).await? else { continue };
                let events = store.events(&judgement.call_id, 1, u32::MAX).await?;
                let read = Conversation::from_utterances(head_of(&call), &spoken_in(&events));
                conversations.insert(judgement.call_id.clone(), read);
            }
            let body: Value = serde_json::from_str(&judgement.body).unwrap_or_default();
            let turn = match body["turn"].as_u64() {
                Some(turn) => Some(turn),
                None => turn_of(&store, &judgement.score_id, &judgement.hit_id).await?,
            };
            let turn = turn.and_then(|t| usize::try_from(t).ok());
            let text = turn.and_then(|t| conversations[&judgement.call_id].turns.get(t)).map(|t| t.text.clone());
            reviewed.extend(text.map(|text| Reviewed { rule: (*rule).to_owned(), text, hit }));
        }
    }
    store.close().await;
    Ok(reviewed)
}

async fn turn_of(store: &Store, score_id: &str, hit_id: &str) -> anyhow::Result<Option<u64>> {
    let first = store.score_history(score_id).await?.into_iter().next();
    let body = match first {
        Some(body) => Some(body),
        None => store.score(score_id).await?.map(|row| row.body),
    };
    let card: Value = body.and_then(|b| serde_json::from_str(&b).ok()).unwrap_or_default();
    let hits = card["results"].as_array().into_iter().flatten().filter_map(|r| r["hits"].as_array()).flatten();
    Ok(hits.filter(|h| h["hit_id"] == hit_id).find_map(|h| h["turn"].as_u64()))
}

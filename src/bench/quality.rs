//! `zhiyin bench quality`: conversations through annotation, rules and scoring.

use std::collections::HashSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use rayon::prelude::*;
use serde_json::{Value, json};

use super::machine::{peak_rss_mib, percentile, print, rss_mib};
use crate::app::{StageOptions, build_stages};
use crate::cli::Session;
use crate::conversation::{Channel, Conversation, EmotionScore, Language, Named, Role, Turn};
use crate::pipeline::{Journal, Stages, annotate, write_parquet};
use crate::quality::report::Report;
use crate::quality::{LiveEvaluator, Models, Rule, RuleSet, Scheme, score};

/// Turns of a conversation of the bench.
const TURNS: usize = 30;
/// Conversations that are scored together.
const BATCH: usize = 1_024;
/// Annotated conversations that are kept for the measurements of rules alone; bounds the memory of a long run.
const KEPT: usize = 5_000;

/// Arguments of `zhiyin bench quality`.
#[derive(Args)]
pub struct QualityArguments {
    /// Conversations to score.
    #[arg(long, default_value_t = 2_000)]
    conversations: usize,
    /// Rules of the starter scheme: those of the shipped one that concern Mandarin, from the first on. All rules of it are
    /// measured beside.
    #[arg(long, default_value_t = 30)]
    rules: usize,
    /// Rules of the live measurement.
    #[arg(long, default_value_t = 200)]
    live_rules: usize,
    /// Also score this many conversations as a stream, scorecards on disk, and say how much memory it took.
    #[arg(long, default_value_t = 0)]
    stream: usize,
    /// Rules only, from annotations made up: no encoder runs (for the comparison with other programs).
    #[arg(long)]
    rules_only: bool,
    /// One JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Different texts in spoken order, so that caches of equal texts do not help.
fn conversation(n: usize) -> Conversation {
    const CUSTOMER: [&str; 5] =
        ["我的订单还没有发货", "退款什么时候到账", "你们这个服务也太慢了", "那我再等两天吧", "好的，谢谢你"];
    const AGENT: [&str; 5] =
        ["您好，很高兴为您服务", "麻烦您报一下订单号", "请您稍等，我查一下", "已经帮您登记加急处理", "请问还有其他可以帮您的吗"];
    let turns = (0..TURNS)
        .map(|k| {
            let role = if k % 2 == 0 { Role::Agent } else { Role::Customer };
            let words = if role == Role::Agent { AGENT } else { CUSTOMER };
            let start_ms = k as i64 * 4_000;
            Turn {
                role,
                text: format!("{}，编号{}", words[(k / 2 + n) % words.len()], n * TURNS + k),
                start_ms: Some(start_ms),
                end_ms: Some(start_ms + 3_000),
                ..Turn::default()
            }
        })
        .collect();
    Conversation {
        id: format!("bench-{n}"),
        channel: Some(Channel::Voice),
        language: Some("zh".into()),
        agent_id: Some(format!("a{}", n % 40)),
        turns,
        ..Conversation::default()
    }
}

/// The same with annotations, as a store holds them.
fn annotated(n: usize) -> Conversation {
    let mut made = conversation(n);
    for (k, turn) in made.turns.iter_mut().enumerate() {
        let name = if (n + k).is_multiple_of(7) { "angry" } else { "neutral" };
        turn.emotion = Some(EmotionScore { name: name.into(), score: 0.9, valence: Some(0.0) });
        turn.labels = Some(vec![Named { name: "polite".into(), score: 0.8 }]);
        turn.intents = Some(Vec::new());
        turn.entities = Some(Vec::new());
    }
    made
}

/// The scheme in force cut down to its first `count` rules that concern Mandarin, and those rules.
fn cut(rules: &RuleSet, scheme: &Scheme, count: usize) -> anyhow::Result<(RuleSet, Scheme)> {
    let ids: HashSet<String> = scheme.rules().filter(|id| !id.starts_with("en-")).take(count).map(str::to_owned).collect();
    let mut source = scheme.source.clone();
    if let Some(dimensions) = source["dimensions"].as_array_mut() {
        for dimension in dimensions.iter_mut() {
            if let Some(items) = dimension["items"].as_array_mut() {
                items.retain(|item| item["rule"].as_str().is_some_and(|id| ids.contains(id)));
            }
        }
        dimensions.retain(|d| d["items"].as_array().is_some_and(|items| !items.is_empty()));
    }
    let problems =
        |p: Vec<crate::quality::Problem>| anyhow::anyhow!("{}", p.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    let scheme = Scheme::from_json(&source).map_err(problems)?;
    let kept: Vec<Rule> = rules.rules().iter().filter(|r| ids.contains(&r.id)).cloned().collect();
    Ok((RuleSet::compile(kept), scheme))
}

/// `count` different rules made of the given ones: copies look for other words too, so that nothing is shared.
fn multiplied(rules: &RuleSet, count: usize) -> anyhow::Result<RuleSet> {
    let mut out = Vec::new();
    for n in 0.. {
        for rule in rules.rules() {
            if out.len() == count {
                return Ok(RuleSet::compile(out));
            }
            let mut source = rule.source.clone();
            source["id"] = json!(format!("{}-{n}", rule.id));
            vary(&mut source["conditions"], &format!("占位{n}"));
            let made = Rule::from_json(&source).map_err(|p| anyhow::anyhow!("{}", p[0]))?;
            out.push(made);
        }
        anyhow::ensure!(!out.is_empty(), "there are no rules to measure with");
    }
    Ok(RuleSet::compile(out))
}

fn vary(json: &mut Value, word: &str) {
    match json {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                match value {
                    Value::String(pattern) if key == "match" => pattern.push_str(&format!("|{word}")),
                    Value::Object(inner) if key == "keyword" => {
                        if let Some(Value::Array(words)) = inner.get_mut("any") {
                            words.push(json!(word));
                        }
                    }
                    other => vary(other, word),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|v| vary(v, word)),
        _ => {}
    }
}

/// Milliseconds of each turn of running conversations.
fn live_turns(rules: &Arc<RuleSet>, conversations: &[Conversation], models: &Models) -> Vec<f64> {
    let mut turns_ms = Vec::new();
    for conversation in conversations {
        let mut live = LiveEvaluator::new(Arc::clone(rules), conversation, models.clone());
        for (n, turn) in conversation.turns.iter().enumerate() {
            let turn = turn.clone();
            let end_ms = turn.end_ms.unwrap_or(0);
            let started = Instant::now();
            drop(live.final_turn(&n.to_string(), turn, true));
            drop(live.advance_clock(end_ms));
            turns_ms.push(started.elapsed().as_secs_f64() * 1_000.0);
        }
    }
    turns_ms
}

/// Scores a stream of conversations as `zhiyin quality score` does, with the same output: journal, Parquet and report on
/// disk; seconds taken.
fn stream(count: usize, rules: &RuleSet, scheme: &Scheme, models: &Models) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir().context("temporary folder")?;
    let target = folder.path().join("scores.jsonl");
    let mut journal = Journal::open(&target).map_err(anyhow::Error::msg)?;
    let mut report = Report::new("bench", Language::Zh, 20);
    let started = Instant::now();
    for first in (0..count).step_by(BATCH) {
        let made: Vec<_> = (first..count.min(first + BATCH))
            .into_par_iter()
            .map(|n| {
                let conversation = annotated(n);
                let card = score("bench", &conversation, rules, scheme, models)?;
                let line = serde_json::to_vec(&card)?;
                anyhow::Ok((conversation, card, line))
            })
            .collect::<anyhow::Result<_>>()?;
        let mut lines = Vec::with_capacity(made.len());
        for (conversation, card, line) in made {
            report.add(&card, Some(&conversation));
            lines.push((conversation.id, line));
        }
        journal.append(&lines).map_err(anyhow::Error::msg)?;
    }
    anyhow::ensure!(journal.len() == count, "{} of {count} were scored", journal.len());
    write_parquet(&target, folder.path()).map_err(anyhow::Error::msg)?;
    std::fs::write(folder.path().join("report.html"), report.html()).context("report.html")?;
    Ok(started.elapsed().as_secs_f64())
}

/// Annotates and scores texts on all cores, batch by batch: conversations a second, and the first annotated ones.
fn scored(stages: &Stages, rules: &RuleSet, scheme: &Scheme, count: usize) -> anyhow::Result<(f64, Vec<Conversation>)> {
    let started = Instant::now();
    let mut kept = Vec::new();
    for first in (0..count).step_by(BATCH) {
        let annotated: Vec<Conversation> = (first..count.min(first + BATCH))
            .into_par_iter()
            .map(|n| {
                let conversation = annotate(stages, conversation(n))?;
                score("bench", &conversation, rules, scheme, &stages.models)?;
                anyhow::Ok(conversation)
            })
            .collect::<anyhow::Result<_>>()?;
        kept.extend(annotated.into_iter().take(KEPT - kept.len()));
    }
    Ok((count as f64 / started.elapsed().as_secs_f64(), kept))
}

/// Conversations a second on all cores from their annotations: the median of five rounds.
fn ruled(conversations: &[Conversation], rules: &RuleSet, scheme: &Scheme, models: &Models) -> anyhow::Result<f64> {
    let mut rates = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        conversations.par_iter().try_for_each(|c| score("bench", c, rules, scheme, models).map(drop))?;
        rates.push(conversations.len() as f64 / started.elapsed().as_secs_f64());
    }
    Ok(percentile(&rates, 0.5))
}

pub(super) fn run(session: Session, arguments: QualityArguments) -> anyhow::Result<ExitCode> {
    let mut settings = session.settings.clone();
    settings.encoder.threads = 0;
    let options = StageOptions { recogniser: false, pipeline: "quality-review", index: None, scheme: None };
    let built = tokio::task::block_in_place(|| build_stages(&session.home, &settings, options))?;
    let stages = &built.stages;
    let (rules, scheme) = cut(&stages.rules(), &stages.scheme(), arguments.rules)?;
    let mut figures: Vec<(&str, f64)> = vec![("rules", rules.rules().len() as f64)];
    let annotated: Vec<Conversation> = if arguments.rules_only {
        (0..arguments.conversations.min(KEPT)).into_par_iter().map(annotated).collect()
    } else {
        let (rate, annotated) = scored(stages, &rules, &scheme, arguments.conversations)?;
        figures.push(("conversations_per_h_full", rate * 3_600.0));
        annotated
    };
    figures.push(("conversations_per_s_rules", ruled(&annotated, &rules, &scheme, &stages.models)?));
    let (whole, whole_scheme) = (stages.rules(), stages.scheme());
    figures.push(("rules_all", whole.rules().len() as f64));
    figures.push(("conversations_per_s_rules_all", ruled(&annotated, &whole, &whole_scheme, &stages.models)?));
    let many = Arc::new(multiplied(&rules, arguments.live_rules)?);
    let running = &annotated[..annotated.len().min(100)];
    let turns_ms = live_turns(&many, running, &stages.models);
    figures.push(("live_rules", many.rules().len() as f64));
    figures.push(("live_turn_p50_ms", percentile(&turns_ms, 0.50)));
    figures.push(("live_turn_p99_ms", percentile(&turns_ms, 0.99)));
    if arguments.stream > 0 {
        let seconds = tokio::task::block_in_place(|| stream(arguments.stream, &rules, &scheme, &stages.models))?;
        figures.push(("stream_conversations", arguments.stream as f64));
        figures.push(("stream_conversations_per_s", arguments.stream as f64 / seconds));
    }
    figures.push(("rss_mib", rss_mib(std::process::id())));
    figures.push(("rss_peak_mib", peak_rss_mib(std::process::id())));
    print("quality", &super::machine::model_ids(&built.models), &figures, arguments.json);
    Ok(ExitCode::SUCCESS)
}

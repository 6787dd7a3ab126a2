//! `zhiyin bench quality`: conversations through annotation, rules and scoring.

use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use rayon::prelude::*;

use super::machine::{percentile, print, rss_mib};
use crate::app::{StageOptions, build_stages};
use crate::cli::Session;
use crate::conversation::{Channel, Conversation, Role, Turn};
use crate::pipeline::{annotate, scorecard};
use crate::quality::LiveEvaluator;

/// Turns of a conversation of the bench.
const TURNS: usize = 30;

/// Arguments of `zhiyin bench quality`.
#[derive(Args)]
pub struct QualityArguments {
    /// Conversations to score.
    #[arg(long, default_value_t = 2_000)]
    conversations: usize,
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
        turns,
        ..Conversation::default()
    }
}

pub(super) fn run(session: Session, arguments: QualityArguments) -> anyhow::Result<ExitCode> {
    let mut settings = session.settings.clone();
    settings.encoder.threads = 0;
    let options = StageOptions { recogniser: false, pipeline: "quality-review", index: None, scheme: None };
    let built = tokio::task::block_in_place(|| build_stages(&session.home, &settings, options))?;
    let stages = &built.stages;
    let started = Instant::now();
    let annotated: Vec<Conversation> = (0..arguments.conversations)
        .into_par_iter()
        .map(|n| {
            let conversation = annotate(stages, conversation(n))?;
            scorecard(stages, &conversation)?;
            anyhow::Ok(conversation)
        })
        .collect::<anyhow::Result<_>>()?;
    let full = arguments.conversations as f64 / started.elapsed().as_secs_f64();
    let started = Instant::now();
    annotated.par_iter().try_for_each(|c| scorecard(stages, c).map(drop))?;
    let rules_only = annotated.len() as f64 / started.elapsed().as_secs_f64();
    let mut turns_ms = Vec::new();
    for conversation in annotated.iter().take(50) {
        let mut live = LiveEvaluator::new(stages.rules(), conversation, stages.models.clone());
        for (n, turn) in conversation.turns.iter().enumerate() {
            let started = Instant::now();
            drop(live.final_turn(&n.to_string(), turn.clone(), true));
            drop(live.advance_clock(turn.end_ms.unwrap_or(0)));
            turns_ms.push(started.elapsed().as_secs_f64() * 1_000.0);
        }
    }
    let figures = [
        ("conversations_per_h_full", full * 3_600.0),
        ("conversations_per_s_rules", rules_only),
        ("live_turn_p99_ms", percentile(&turns_ms, 0.99)),
        ("rules", stages.rules().rules().len() as f64),
        ("rss_mib", rss_mib(std::process::id())),
    ];
    print("quality", &super::machine::model_ids(&built.models), &figures, arguments.json);
    Ok(ExitCode::SUCCESS)
}

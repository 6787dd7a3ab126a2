//! `zhiyin bench intake`: new text conversations begin at a steady rate, whether or not the service keeps up (an open loop), and
//! every turn goes through the whole service over HTTP: understanding, emotion, suggestions, quality, durable events.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::machine::{model_ids, percentile, print, rss_mib};
use super::wire::{Service, Wire};
use crate::cli::Session;
use crate::conversation::{Conversation, Role, Turn};

/// Arguments of `zhiyin bench intake`.
#[derive(Args)]
pub struct IntakeArguments {
    /// New conversations a second.
    #[arg(long, default_value_t = 28.0)]
    rate: f64,
    /// Seconds during which conversations begin.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Turns of a conversation.
    #[arg(long, default_value_t = 30)]
    turns: usize,
    /// One JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// What became of one conversation.
struct Taken {
    call_id: String,
    /// From the moment when it should have begun to its end.
    took: Duration,
    messages_ms: Vec<f64>,
}

pub(super) async fn run(session: Session, arguments: IntakeArguments) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(arguments.rate > 0.0 && arguments.turns > 0, "--rate and --turns must be above 0");
    let turns = Arc::new(written_turns(&session.home)?);
    let service = Service::start(&session, |settings| settings.limits.infer_per_s = 1e6).await?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some hundreds")]
    let count = (arguments.rate * arguments.seconds as f64).round().max(1.0) as usize;
    let began = Instant::now();
    let mut tasks = Vec::with_capacity(count);
    for n in 0..count {
        let due = began + Duration::from_secs_f64(n as f64 / arguments.rate);
        let (wire, turns, length) = (service.wire.clone(), Arc::clone(&turns), arguments.turns);
        tasks.push(tokio::spawn(async move {
            tokio::time::sleep_until(due.into()).await;
            converse(&wire, &turns, n * length, length, due).await
        }));
    }
    let (mut taken, mut failed) = (Vec::new(), 0);
    for task in tasks {
        match task.await? {
            Ok(one) => taken.push(one),
            Err(error) => {
                failed += 1;
                tracing::warn!(%error, "a conversation failed");
            }
        }
    }
    let elapsed = began.elapsed().as_secs_f64();
    let mut events = Vec::with_capacity(taken.len());
    for one in &taken {
        events.push(service.context.store().last_seq(&one.call_id).await? as f64);
    }
    let took: Vec<f64> = taken.iter().map(|t| t.took.as_secs_f64() * 1_000.0).collect();
    let messages: Vec<f64> = taken.iter().flat_map(|t| t.messages_ms.iter().copied()).collect();
    let figures = [
        ("offered_per_s", arguments.rate),
        ("conversations", taken.len() as f64),
        ("failed", f64::from(failed)),
        ("taken_per_s", taken.len() as f64 / elapsed),
        ("events_per_conversation", events.iter().sum::<f64>() / events.len().max(1) as f64),
        ("events_per_s", events.iter().sum::<f64>() / elapsed),
        ("message_p50_ms", percentile(&messages, 0.5)),
        ("message_p95_ms", percentile(&messages, 0.95)),
        ("message_p99_ms", percentile(&messages, 0.99)),
        ("conversation_p95_ms", percentile(&took, 0.95)),
        ("rss_mib", rss_mib(std::process::id())),
    ];
    print("intake", &model_ids(&service.context.models), &figures, arguments.json);
    service.stop().await;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One conversation, turn after turn without a pause.
async fn converse(wire: &Wire, turns: &[Turn], from: usize, length: usize, due: Instant) -> anyhow::Result<Taken> {
    let opened = wire.post("/calls", &json!({ "channel": "chat" })).await?;
    let call_id = opened.body["call_id"].as_str().with_context(|| format!("status {} to a new call", opened.status))?.to_owned();
    let mut messages_ms = Vec::with_capacity(length);
    for turn in turns.iter().cycle().skip(from % turns.len()).take(length) {
        let sent = Instant::now();
        let body = json!({ "role": if turn.role == Role::Agent { "agent" } else { "customer" }, "text": turn.text });
        let answer = wire.post(&format!("/calls/{call_id}/messages"), &body).await?;
        anyhow::ensure!(answer.status == 201, "status {} to a message", answer.status);
        messages_ms.push(sent.elapsed().as_secs_f64() * 1_000.0);
    }
    let ended = wire.post(&format!("/calls/{call_id}/end"), &json!({})).await?;
    anyhow::ensure!(ended.status < 300, "status {} to the end of a call", ended.status);
    Ok(Taken { call_id, took: due.elapsed(), messages_ms })
}

/// The turns of the project's written conversations, both languages, one conversation after another.
fn written_turns(home: &std::path::Path) -> anyhow::Result<Vec<Turn>> {
    let mut turns = Vec::new();
    for name in ["zh.jsonl", "en.jsonl"] {
        let path = home.join("datasets/conversations").join(name);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        for line in text.lines() {
            let conversation: Conversation = serde_json::from_str(line)?;
            turns.extend(conversation.turns.into_iter().filter(|t| !t.text.trim().is_empty()));
        }
    }
    anyhow::ensure!(!turns.is_empty(), "no turns in datasets/conversations");
    Ok(turns)
}

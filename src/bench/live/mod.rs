//! `zhiyin bench live`: sample calls in real time, several at once, through a whole service.
//!
//! Latencies are taken at the event log, where a subscriber sees them: from the moment the last sample of an utterance
//! was sent to its durable final, and from there to its suggestion. The sender of a call is its clock: sample `t` of the
//! recording is sent at `start + t`.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use parking_lot::Mutex;

use super::machine::{model_ids, percentile, print, rss_mib};
use crate::app::{App, PlayOptions, Sample, load_samples, play};
use crate::cli::Session;
use crate::conversation::{CallId, Channel, Conversation, Role};
use crate::event::{Call, EventBody, NewCall, now_rfc3339};
use crate::pipeline::{Ending, Hub, NewMessage};
use crate::vad::VadConfig;

/// Arguments of `zhiyin bench live`.
#[derive(Args)]
pub struct LiveArguments {
    /// Two-channel voice calls at once.
    #[arg(long, default_value_t = 0)]
    calls: usize,
    /// Chats at once, each with a message every few seconds.
    #[arg(long, default_value_t = 0)]
    chats: usize,
    /// Seconds that chats go on.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// One JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// What was seen of one call.
#[derive(Default)]
struct Seen {
    started: Option<Instant>,
    first_partial_ms: Vec<f64>,
    final_ms: Vec<f64>,
    suggestion_ms: Vec<f64>,
    speech_started: HashMap<u16, (i64, bool)>,
    finals: HashMap<String, Instant>,
}

/// All calls, and the totals.
#[derive(Default)]
struct Ledger {
    calls: HashMap<CallId, Seen>,
}

pub(super) async fn run(mut session: Session, arguments: LiveArguments) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(arguments.calls + arguments.chats > 0, "give --calls N, --chats N or both");
    let store = tempfile::tempdir()?;
    session.settings.store.path = store.path().to_path_buf();
    session.settings.server.listen.set_port(0);
    session.settings.server.max_calls = session.settings.server.max_calls.max(arguments.calls);
    let samples = load_samples(&session.home);
    anyhow::ensure!(!samples.is_empty(), "no sample calls were found below pipelines/samples");
    let app = App::start(&session.home, &session.settings).await?;
    let (hub, log) = (app.context.hub.clone(), app.context.log.clone());
    let ledger: Arc<Mutex<Ledger>> = Arc::default();
    let watcher = tokio::spawn(watch(log.wall(), Arc::clone(&ledger)));
    let voices = play_calls(&hub, &samples, arguments.calls, &ledger).await;
    let chats = run_chats(&hub, &session.home, arguments.chats, Duration::from_secs(arguments.seconds)).await?;
    let (lost, lag_max_ms) = voices?;
    while hub.open_calls().0 > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    watcher.abort();
    let ledger = ledger.lock();
    let all = |of: fn(&Seen) -> &Vec<f64>| -> Vec<f64> { ledger.calls.values().flat_map(|s| of(s).clone()).collect() };
    let (partials, finals, suggestions) = (all(|s| &s.first_partial_ms), all(|s| &s.final_ms), all(|s| &s.suggestion_ms));
    let stats = hub.stages().recogniser.as_ref().map(|r| r.stats());
    let shed = stats.as_ref().map_or(0, |s| s.shed_partials);
    // Decoder time over the audio decoded, partials included.
    let rtf = stats.as_ref().map_or(0.0, |s| s.busy_ms as f64 / (s.audio_ms as f64).max(1.0));
    let figures = [
        ("calls", arguments.calls as f64),
        ("chats", arguments.chats as f64),
        ("chat_suggestion_p50_ms", percentile(&chats, 0.5)),
        ("chat_suggestion_p95_ms", percentile(&chats, 0.95)),
        ("first_partial_p50_ms", percentile(&partials, 0.5)),
        ("first_partial_p95_ms", percentile(&partials, 0.95)),
        ("final_p50_ms", percentile(&finals, 0.5)),
        ("final_p95_ms", percentile(&finals, 0.95)),
        ("suggestion_p50_ms", percentile(&suggestions, 0.5)),
        ("suggestion_p95_ms", percentile(&suggestions, 0.95)),
        ("rtf", rtf),
        ("lag_max_ms", lag_max_ms),
        ("shed_partials", shed as f64),
        ("finals", finals.len() as f64),
        ("lost_finals", lost),
        ("chat_messages", chats.len() as f64),
        ("rss_mib", rss_mib(std::process::id())),
    ];
    print("live", &model_ids(&app.context.models), &figures, arguments.json);
    Ok(ExitCode::SUCCESS)
}

/// Audio that an utterance keeps before and behind its speech, milliseconds.
fn padding_ms() -> f64 {
    f64::from(VadConfig::default().padding_ms)
}

/// Takes the time of every event as it becomes visible.
async fn watch(mut wall: tokio::sync::broadcast::Receiver<Arc<crate::event::Event>>, ledger: Arc<Mutex<Ledger>>) {
    while let Ok(event) = wall.recv().await {
        let now = Instant::now();
        let mut ledger = ledger.lock();
        let Some(seen) = ledger.calls.get_mut(&event.call_id) else { continue };
        let Some(started) = seen.started else { continue };
        let since = |at_ms: i64| (now - started).as_secs_f64() * 1_000.0 - at_ms as f64;
        match &event.body {
            EventBody::SpeechStarted { channel_index, start_ms, .. } => {
                seen.speech_started.insert(*channel_index, (*start_ms, false));
            }
            EventBody::TranscriptPartial(p) => {
                if let Some((start_ms, told)) = seen.speech_started.get_mut(&p.channel_index) {
                    if !std::mem::replace(told, true) {
                        // An utterance begins a padding before its first voiced sample, and ends one behind its last.
                        seen.first_partial_ms.push(since(*start_ms) - padding_ms());
                    }
                }
            }
            EventBody::TranscriptFinal(t) => {
                seen.final_ms.push(since(t.end_ms) + padding_ms());
                seen.finals.insert(t.utterance_id.to_string(), now);
            }
            EventBody::SuggestionCreated(s) => {
                let final_at = s.trigger.utterance_ids.first().and_then(|id| seen.finals.get(id.as_str()));
                if let Some(at) = final_at {
                    seen.suggestion_ms.push((now - *at).as_secs_f64() * 1_000.0);
                }
            }
            _ => {}
        }
    }
}

/// Plays as many calls at once as asked for; gives lost finals and the greatest lag.
async fn play_calls(hub: &Hub, samples: &[Sample], calls: usize, ledger: &Arc<Mutex<Ledger>>) -> anyhow::Result<(f64, f64)> {
    let mut tasks = Vec::new();
    for n in 0..calls {
        let (hub, ledger, sample) = (hub.clone(), Arc::clone(ledger), samples[n % samples.len()].clone());
        tasks.push(tokio::spawn(async move {
            // Calls do not begin in the same instant.
            tokio::time::sleep(Duration::from_millis(n as u64 * 700)).await;
            let call_id = CallId::new();
            ledger.lock().calls.insert(call_id.clone(), Seen { started: Some(Instant::now()), ..Seen::default() });
            let options = PlayOptions { call_id: Some(call_id.clone()), ..PlayOptions::for_sample(&sample, 1.0) };
            let played = play(&hub, &sample.audio, options).await?;
            let lag = played.took.as_secs_f64() * 1_000.0 - played.audio_ms as f64;
            anyhow::Ok(lag)
        }));
    }
    let mut lag_max = 0.0_f64;
    let mut failed = 0.0;
    for task in tasks {
        match task.await? {
            Ok(lag) => lag_max = lag_max.max(lag),
            Err(_) => failed += 1.0,
        }
    }
    Ok((failed, lag_max))
}

/// Chats in parallel, each with the customer's lines of a written conversation; gives the time from message to suggestion.
async fn run_chats(hub: &Hub, home: &std::path::Path, chats: usize, time: Duration) -> anyhow::Result<Vec<f64>> {
    if chats == 0 {
        return Ok(Vec::new());
    }
    let lines = customer_lines(home)?;
    let mut tasks = Vec::new();
    for n in 0..chats {
        let (hub, lines) = (hub.clone(), lines.clone());
        tasks.push(tokio::spawn(async move {
            let request = NewCall { channel: Channel::Chat, ..NewCall::default() };
            let call = hub.open(Call::open(request, CallId::new(), &now_rfc3339())).await?;
            let until = Instant::now() + time;
            let mut times = Vec::new();
            // A customer types every three seconds or so; chats are spread over that time.
            tokio::time::sleep(Duration::from_millis((n as u64 * 3_000) / chats.max(1) as u64)).await;
            let mut k = n * 7;
            while Instant::now() < until {
                let text = lines[k % lines.len()].clone();
                k += 1;
                let sent = Instant::now();
                hub.message(
                    &call.call_id,
                    NewMessage { role: Role::Customer, text, sent_at: None, external_id: None, ..NewMessage::default() },
                )
                .await?;
                times.push(sent.elapsed().as_secs_f64() * 1_000.0);
                tokio::time::sleep(Duration::from_millis(3_000)).await;
            }
            hub.end(&call.call_id, Ending::default()).await?;
            anyhow::Ok(times)
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await??);
    }
    Ok(all)
}

fn customer_lines(home: &std::path::Path) -> anyhow::Result<Arc<Vec<String>>> {
    let mut lines = Vec::new();
    for name in ["zh.jsonl", "en.jsonl"] {
        let text = std::fs::read_to_string(home.join("datasets/conversations").join(name))?;
        for line in text.lines() {
            let conversation: Conversation = serde_json::from_str(line)?;
            lines.extend(
                conversation.turns.into_iter().filter(|t| t.role == Role::Customer && !t.text.trim().is_empty()).map(|t| t.text),
            );
        }
    }
    anyhow::ensure!(!lines.is_empty(), "no customer lines in datasets/conversations");
    Ok(Arc::new(lines))
}

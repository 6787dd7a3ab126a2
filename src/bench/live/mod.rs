//! `zhiyin bench live`: sample calls in real time, several at once, through a whole service.
//!
//! Latencies are taken at the event log, where a subscriber sees them: from the moment the last sample of an utterance
//! was said to its durable final, and from there to its suggestion. Frames of 20 ms leave when their last sample has been
//! said, as a telephone system sends them.

mod ledger;
mod plot;
mod series;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

pub(in crate::bench) use ledger::{SharedLedger, Spoken, lost, watch};

use super::machine::{cpu_seconds, model_ids, percentile, print, rss_mib};
use crate::app::{App, PlayOptions, Sample, load_samples, play};
use crate::asr::PartialPolicy;
use crate::cli::Session;
use crate::conversation::{CallId, Channel, Conversation, Role};
use crate::event::{Call, EventBody, NewCall, now_rfc3339};
use crate::pipeline::{Ending, Hub, NewMessage};
use crate::store::EventLog;

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
    /// Measure these numbers of calls one after the other, each in a process of its own: one JSON object a line.
    #[arg(long, value_delimiter = ',', value_name = "N,N,…", conflicts_with_all = ["calls", "chats"])]
    series: Vec<usize>,
    /// Write a plot of the series (SVG).
    #[arg(long, value_name = "FILE", requires = "series")]
    plot: Option<PathBuf>,
    /// Rewrite the table of the series in a document, between its markers.
    #[arg(long, value_name = "FILE", requires = "series")]
    document: Option<PathBuf>,
    /// One JSON object as the last line.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(mut session: Session, arguments: LiveArguments) -> anyhow::Result<ExitCode> {
    if !arguments.series.is_empty() {
        let outputs = series::Outputs { plot: arguments.plot, document: arguments.document };
        return series::run(&session, &arguments.series, &outputs).await;
    }
    anyhow::ensure!(arguments.calls + arguments.chats > 0, "give --calls N, --chats N or both, or --series N,N,…");
    let store = tempfile::tempdir()?;
    session.settings.store.path = store.path().to_path_buf();
    session.settings.server.listen.set_port(0);
    // So many calls are asked for: none is refused.
    session.settings.server.max_calls = session.settings.call_slots().max(arguments.calls);
    session.settings.server.max_final_wait_ms = 0;
    let samples = load_samples(&session.home);
    anyhow::ensure!(!samples.is_empty(), "no sample calls were found below pipelines/samples");
    let app = App::start(&session.home, &session.settings).await?;
    let (hub, log) = (app.context.hub.clone(), app.context.log.clone());
    let undisturbed = undisturbed(&hub, &log, &samples, arguments.calls).await?;
    let before = (hub.stages().recogniser.as_ref().map(|r| r.stats()).unwrap_or_default(), cpu_seconds());
    let ledger: SharedLedger = Arc::default();
    let watcher = tokio::spawn(watch(log.wall(), Arc::clone(&ledger)));
    let begun = Instant::now();
    let voices = play_calls(&hub, &samples, arguments.calls, &ledger).await;
    let chats = run_chats(&hub, &session.home, arguments.chats, Duration::from_secs(arguments.seconds)).await?;
    let (failed, lag_max_ms, audio_s) = voices?;
    let (took, cpu) = (begun.elapsed(), cpu_seconds() - before.1);
    while hub.open_calls().0 > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    watcher.abort();
    let stats = hub.stages().recogniser.as_ref().map(|r| r.stats()).unwrap_or_default();
    let (shed, partials) = (stats.shed_partials - before.0.shed_partials, stats.partials - before.0.partials);
    // Decoder time over the audio decoded, partials included.
    let decoded_ms = (stats.audio_ms - before.0.audio_ms) as f64;
    let rtf = (stats.busy_ms - before.0.busy_ms) as f64 / decoded_ms.max(1.0);
    let ledger = ledger.lock();
    let mut figures = vec![("calls", arguments.calls as f64), ("chats", arguments.chats as f64)];
    figures.extend(ledger.figures());
    figures.extend([
        ("chat_suggestion_p50_ms", percentile(&chats, 0.5)),
        ("chat_suggestion_p95_ms", percentile(&chats, 0.95)),
        ("rtf", rtf),
        ("lag_max_ms", lag_max_ms),
        ("shed_partials", shed as f64),
        ("partials_asked", (shed + partials) as f64),
        ("lost_finals", ledger.lost_finals(&undisturbed) as f64),
        ("failed_calls", failed),
        ("chat_messages", chats.len() as f64),
        ("cpu_s", cpu),
        ("cpu_per_call_second", cpu / audio_s.max(1e-9)),
        ("took_s", took.as_secs_f64()),
        ("rss_mib", rss_mib(std::process::id())),
    ]);
    print("live", &model_ids(&app.context.models), &figures, arguments.json);
    Ok(ExitCode::SUCCESS)
}

/// What is heard of each sample that will be played, alone and as fast as it is taken: what must not get lost under load.
pub(in crate::bench) async fn undisturbed(
    hub: &Hub,
    log: &EventLog,
    samples: &[Sample],
    calls: usize,
) -> anyhow::Result<Vec<Vec<Spoken>>> {
    let mut all = Vec::new();
    for sample in samples.iter().take(calls) {
        let played = play(hub, &sample.audio, PlayOptions::for_sample(sample, 0.0)).await?;
        let events = log.store().events(played.call.call_id.as_str(), 1, u32::MAX).await?;
        let finals = events.iter().filter_map(|event| match &event.body {
            EventBody::TranscriptFinal(t) => Some(Spoken::of(t)),
            _ => None,
        });
        all.push(finals.collect());
    }
    calm(hub).await;
    Ok(all)
}

/// Waits until the recogniser no longer holds partials back: what was played as fast as it is taken must not count as load.
async fn calm(hub: &Hub) {
    let Some(engine) = hub.stages().recogniser.clone() else { return };
    let until = Instant::now() + Duration::from_secs(30);
    while engine.partial_policy() != PartialPolicy::Full && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Plays as many calls at once as asked for; gives failed calls, the greatest lag, and seconds of calls.
async fn play_calls(hub: &Hub, samples: &[Sample], calls: usize, ledger: &SharedLedger) -> anyhow::Result<(f64, f64, f64)> {
    let mut tasks = Vec::new();
    for n in 0..calls {
        let (hub, ledger, sample) = (hub.clone(), Arc::clone(ledger), n % samples.len());
        let played = samples[sample].clone();
        tasks.push(tokio::spawn(async move {
            // Calls do not begin in the same instant.
            tokio::time::sleep(Duration::from_millis(n as u64 * 700)).await;
            let call_id = CallId::new();
            let begin = call_id.clone();
            let options = PlayOptions {
                call_id: Some(call_id),
                began: Some(Box::new(move |at| ledger.lock().begin(begin, sample, at))),
                ..PlayOptions::for_sample(&played, 1.0)
            };
            let played = play(&hub, &played.audio, options).await?;
            let late_ms = played.took.as_secs_f64() * 1_000.0 - played.audio_ms as f64;
            anyhow::Ok((late_ms.max(played.lag_max_ms as f64), played.audio_ms as f64 / 1_000.0))
        }));
    }
    let (mut failed, mut lag_max, mut audio_s) = (0.0, 0.0_f64, 0.0);
    for task in tasks {
        match task.await? {
            Ok((lag, seconds)) => (lag_max, audio_s) = (lag_max.max(lag), audio_s + seconds),
            Err(error) => {
                eprintln!("a call failed: {error:#}");
                failed += 1.0;
            }
        }
    }
    Ok((failed, lag_max, audio_s))
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

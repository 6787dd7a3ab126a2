//! `zhiyin soak`: calls for a long time, one after another on every line, and what became of memory, lag and words.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use parking_lot::Mutex;

use super::machine::{commit, cpu, cpu_seconds, model_ids, print, rss_mib};
use crate::app::{App, PlayOptions, Sample, load_samples, play};
use crate::cli::Session;
use crate::conversation::CallId;
use crate::event::EventBody;
use crate::pipeline::Hub;
use crate::store::EventLog;

/// How often memory and lag are read.
const SAMPLE_EVERY: Duration = Duration::from_secs(10);
/// Memory before this share of the run is the warm-up: caches fill.
const WARM_UP: f64 = 0.25;
/// Growth of memory after the warm-up that still counts as flat, as a share of its mean.
const FLAT: f64 = 0.10;
/// Largest lag of a call, milliseconds.
const LAG_LIMIT_MS: f64 = 5_000.0;
/// How long the end of a call may take to become durable.
const COMPLETION: Duration = Duration::from_secs(30);

/// Arguments of `zhiyin soak`.
#[derive(Args)]
pub struct SoakArguments {
    /// Two-channel voice calls at once.
    #[arg(long, default_value_t = 8)]
    calls: usize,
    /// Minutes that new calls begin; those that run then are played to their end.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Write a report (Markdown).
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// One JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// What happened on all lines.
#[derive(Default)]
struct Tally {
    calls: AtomicUsize,
    failed: AtomicUsize,
    finals: AtomicUsize,
    /// Calls whose durable events do not tell a whole call: a final without its reading, no end, no score.
    torn: AtomicUsize,
    lag_max_ms: Mutex<f64>,
}

pub(crate) async fn run(mut session: Session, arguments: SoakArguments) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(arguments.calls > 0, "--calls must be at least 1");
    let store = tempfile::tempdir()?;
    session.settings.store.path = store.path().to_path_buf();
    session.settings.server.listen.set_port(0);
    session.settings.server.max_calls = session.settings.call_slots().max(arguments.calls);
    session.settings.server.max_final_wait_ms = 0;
    let samples = Arc::new(load_samples(&session.home));
    anyhow::ensure!(!samples.is_empty(), "no sample calls were found below pipelines/samples");
    let app = App::start(&session.home, &session.settings).await?;
    let (hub, log) = (app.context.hub.clone(), app.context.log.clone());
    let (begun, tally) = (Instant::now(), Arc::new(Tally::default()));
    let until = begun + Duration::from_secs_f64(60.0 * arguments.minutes);
    let mut lines = tokio::task::JoinSet::new();
    for line in 0..arguments.calls {
        let (hub, log, samples, tally) = (hub.clone(), log.clone(), Arc::clone(&samples), Arc::clone(&tally));
        lines.spawn(async move {
            tokio::time::sleep(Duration::from_millis(700 * line as u64)).await;
            let mut n = line;
            while Instant::now() < until {
                call(&hub, &log, &samples[n % samples.len()], &tally).await;
                n += 1;
            }
        });
    }
    let memory = watch(&mut lines, begun, until, &tally).await;
    while hub.open_calls().0 > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    report(&arguments, &app, &memory, &tally, begun)
}

/// One call, played and looked at.
async fn call(hub: &Hub, log: &EventLog, sample: &Sample, tally: &Tally) {
    let call_id = CallId::new();
    let options = PlayOptions { call_id: Some(call_id.clone()), ..PlayOptions::for_sample(sample, 1.0) };
    match play(hub, &sample.audio, options).await {
        Ok(played) => {
            let late_ms = played.took.as_secs_f64() * 1_000.0 - played.audio_ms as f64;
            let lag_ms = late_ms.max(played.lag_max_ms as f64);
            let mut most = tally.lag_max_ms.lock();
            *most = most.max(lag_ms);
        }
        Err(error) => {
            tracing::error!(%call_id, %error, "a call of the soak failed");
            tally.failed.fetch_add(1, Ordering::Relaxed);
            return;
        }
    }
    tally.calls.fetch_add(1, Ordering::Relaxed);
    match whole(log, &call_id).await {
        Ok(finals) => {
            tally.finals.fetch_add(finals, Ordering::Relaxed);
        }
        Err(error) => {
            tracing::error!(%call_id, %error, "a call of the soak is not whole");
            tally.torn.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The number of finals of a call whose durable events tell all of it.
async fn whole(log: &EventLog, call_id: &CallId) -> anyhow::Result<usize> {
    let deadline = Instant::now() + COMPLETION;
    loop {
        let events = log.store().events(call_id.as_str(), 1, u32::MAX).await?;
        let count = |of: fn(&EventBody) -> bool| events.iter().filter(|e| of(&e.body)).count();
        let completed = count(|b| matches!(b, EventBody::CallCompleted { .. }));
        if completed == 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        }
        let finals = count(|b| matches!(b, EventBody::TranscriptFinal(_)));
        let read = count(|b| matches!(b, EventBody::UtteranceUnderstood(_)));
        anyhow::ensure!(completed == 1, "it was completed {completed} times");
        anyhow::ensure!(finals > 0 && finals == read, "{finals} finals, {read} of them understood");
        let numbered = events.iter().zip(1..).all(|(event, seq)| event.seq == seq);
        anyhow::ensure!(numbered, "its events have a gap");
        return Ok(finals);
    }
}

/// Memory over time, `(seconds, MiB)`, until every line has ended; a word on standard error every minute.
async fn watch(lines: &mut tokio::task::JoinSet<()>, begun: Instant, until: Instant, tally: &Tally) -> Vec<(f64, f64)> {
    let mut memory = Vec::new();
    let mut tick = tokio::time::interval(SAMPLE_EVERY);
    let mut told = 0;
    while !lines.is_empty() {
        tokio::select! {
            ended = lines.join_next() => {
                if let Some(Err(error)) = ended {
                    tracing::error!(%error, "a line of the soak broke");
                    tally.failed.fetch_add(1, Ordering::Relaxed);
                }
            }
            _ = tick.tick() => {
                let seconds = begun.elapsed().as_secs_f64();
                let rss = rss_mib(std::process::id());
                if Instant::now() < until {
                    memory.push((seconds, rss));
                }
                let minute = (seconds / 60.0) as u64;
                if minute > told {
                    told = minute;
                    let (calls, failed) = (tally.calls.load(Ordering::Relaxed), tally.failed.load(Ordering::Relaxed));
                    eprintln!("minute {minute}: {calls} calls done, {failed} failed, {rss:.0} MiB");
                }
            }
        }
    }
    memory
}

fn report(
    arguments: &SoakArguments,
    app: &App,
    memory: &[(f64, f64)],
    tally: &Tally,
    begun: Instant,
) -> anyhow::Result<ExitCode> {
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    let span = memory.last().context("the run was too short for a single look at memory")?.0;
    let after: Vec<(f64, f64)> = memory.iter().copied().filter(|(at, _)| *at >= WARM_UP * span).collect();
    let mean = after.iter().map(|(_, rss)| rss).sum::<f64>() / after.len().max(1) as f64;
    let slope = slope(&after);
    let growth = slope * span * (1.0 - WARM_UP);
    let load = |n: &AtomicUsize| n.load(Ordering::Relaxed) as f64;
    let lag = *tally.lag_max_ms.lock();
    let stats = app.context.hub.stages().recogniser.as_ref().map(|r| r.stats()).unwrap_or_default();
    let figures = [
        ("calls", arguments.calls as f64),
        ("minutes", minutes),
        ("calls_done", load(&tally.calls)),
        ("failed", load(&tally.failed)),
        ("torn", load(&tally.torn)),
        ("finals", load(&tally.finals)),
        ("shed_partials", stats.shed_partials as f64),
        ("failed_decodes", stats.failed as f64),
        ("lag_max_ms", lag),
        ("rss_warm_mib", after.first().map_or(0.0, |(_, rss)| *rss)),
        ("rss_mean_mib", mean),
        ("rss_max_mib", memory.iter().map(|(_, rss)| *rss).fold(0.0, f64::max)),
        ("rss_growth_mib", growth),
        ("rss_slope_mib_per_hour", slope * 3_600.0),
        ("cpu_share", cpu_seconds() / (60.0 * minutes * num_cpus::get() as f64)),
    ];
    print("soak", &model_ids(&app.context.models), &figures, arguments.json);
    let held = load(&tally.failed) + load(&tally.torn) == 0.0 && lag <= LAG_LIMIT_MS && growth <= FLAT * mean;
    if let Some(path) = &arguments.report {
        let text = markdown(arguments, app, &figures, memory, held);
        std::fs::write(path, text).with_context(|| format!("report {}", path.display()))?;
    }
    if !held {
        eprintln!(
            "soak: a call failed or was torn, lag passed {LAG_LIMIT_MS} ms, or memory grew by more than {FLAT} of its mean"
        );
    }
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The report as a document: what was run, what held, memory over time.
fn markdown(arguments: &SoakArguments, app: &App, figures: &[(&str, f64)], memory: &[(f64, f64)], held: bool) -> String {
    let mut out = format!(
        "# Soak run\n\n`zhiyin soak --calls {} --minutes {}` on {}, {} cores ({}), commit {}, models {}. This file is written \
         by the command (`--report`).\n\n**{}**: no call failed, none was torn (every final understood, numbers without gap, \
         completed once), lag at most {LAG_LIMIT_MS:.0} ms, memory flat (growth after the first quarter at most {:.0} % of its \
         mean).\n\n| figure | value |\n| --- | --- |\n",
        arguments.calls,
        arguments.minutes,
        chrono::Utc::now().format("%Y-%m-%d"),
        num_cpus::get(),
        cpu(),
        commit(),
        model_ids(&app.context.models).join(", "),
        if held { "Held" } else { "Did not hold" },
        FLAT * 100.0,
    );
    for (name, value) in figures {
        let _ = writeln!(out, "| `{name}` | {value:.2} |");
    }
    out.push_str("\n| minute | MiB |\n| --- | --- |\n");
    // About twenty rows, whatever the length.
    for (seconds, rss) in memory.iter().step_by((memory.len() / 20).max(1)) {
        let _ = writeln!(out, "| {:.1} | {rss:.0} |", seconds / 60.0);
    }
    out
}

/// Least-squares slope of memory, MiB per second.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0 / n, y + p.1 / n));
    let (over, under) = points.iter().fold((0.0, 0.0), |(o, u), p| (o + (p.0 - x) * (p.1 - y), u + (p.0 - x).powi(2)));
    if under > 0.0 { over / under } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::slope;

    #[test]
    fn slope_of_a_line_is_its_rise() {
        let points: Vec<(f64, f64)> = (0..20).map(|n| (f64::from(n), 100.0 + 0.5 * f64::from(n))).collect();
        assert!((slope(&points) - 0.5).abs() < 1e-9);
        assert_eq!(slope(&[]), 0.0);
    }
}

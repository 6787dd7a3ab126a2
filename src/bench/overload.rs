//! `zhiyin bench overload`: several times as many calls as the node carries are offered over HTTP; those that are admitted are
//! played in real time over audio sockets. Nothing of an admitted call may get lost, and refusals must come at once.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::live::{SharedLedger, undisturbed, watch};
use super::machine::{model_ids, percentile, print, rss_mib};
use super::wire::{Said, Service, Tape, Wire};
use crate::app::load_samples;
use crate::cli::Session;
use crate::conversation::CallId;

/// Milliseconds of audio in one frame.
const FRAME_MS: usize = 20;
/// How long the last words of a call may take after its audio.
const COMPLETION: Duration = Duration::from_secs(120);

/// Arguments of `zhiyin bench overload`.
#[derive(Args)]
pub struct OverloadArguments {
    /// Calls that the node carries with nothing shed: C of `bench live --series`.
    #[arg(long, default_value_t = 8)]
    calls: usize,
    /// So many times as many are offered.
    #[arg(long, default_value_t = 4)]
    times: usize,
    /// Milliseconds between two offers.
    #[arg(long, default_value_t = 100)]
    every_ms: u64,
    /// Seconds of each recording that are played; 0: all.
    #[arg(long, default_value_t = 0)]
    seconds: u64,
    /// One JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// What became of one offered call.
enum Outcome {
    /// It was refused: status, `code`, whether `Retry-After` was there, how long the answer took.
    Refused(u16, String, bool, f64),
    /// It was played to its end: the largest lag that was told.
    Played(f64),
}

pub(super) async fn run(session: Session, arguments: OverloadArguments) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(arguments.calls > 0 && arguments.times > 0, "--calls and --times must be at least 1");
    let service = Service::start(&session, |_| {}).await?;
    let samples = load_samples(&session.home);
    anyhow::ensure!(!samples.is_empty(), "no sample calls were found below pipelines/samples");
    let tapes = samples.iter().map(Tape::read).collect::<anyhow::Result<Vec<_>>>()?;
    let (hub, log) = (service.context.hub.clone(), service.context.log.clone());
    let slots = hub.max_calls();
    let offered = arguments.calls * arguments.times;
    let mut expected = undisturbed(&hub, &log, &samples, offered).await?;
    if arguments.seconds > 0 {
        // What ends within the part that is played.
        expected.iter_mut().for_each(|spoken| spoken.retain(|s| s.end_ms < arguments.seconds as i64 * 1_000));
    }
    let ledger: SharedLedger = Arc::default();
    let watcher = tokio::spawn(watch(log.wall(), Arc::clone(&ledger)));
    let (tapes, begun) = (Arc::new(tapes), Instant::now());
    let mut offers = Vec::new();
    for n in 0..offered {
        let offer = Offer {
            wire: service.wire.clone(),
            tapes: Arc::clone(&tapes),
            ledger: Arc::clone(&ledger),
            seconds: arguments.seconds,
        };
        offers.push(tokio::spawn(async move { offer.make(n).await }));
        tokio::time::sleep(Duration::from_millis(arguments.every_ms)).await;
    }
    let mut totals = Totals::default();
    for offer in offers {
        totals.take(offer.await?);
    }
    let patience = Instant::now() + COMPLETION;
    while hub.open_calls().0 > 0 && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    watcher.abort();
    let (lost, seen) = {
        let ledger = ledger.lock();
        (ledger.lost_finals(&expected) as f64, ledger.figures())
    };
    let mut figures = totals.figures(&arguments, offered, slots);
    figures.extend([("lost_finals", lost), ("took_s", begun.elapsed().as_secs_f64()), ("rss_mib", rss_mib(std::process::id()))]);
    figures.extend(seen);
    print("overload", &model_ids(&service.context.models), &figures, arguments.json);
    service.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// What became of all offers.
#[derive(Default)]
struct Totals {
    admitted: usize,
    failed: usize,
    refusal_ms: Vec<f64>,
    unlike_429: usize,
    lag_max_ms: f64,
}

impl Totals {
    fn take(&mut self, outcome: anyhow::Result<Outcome>) {
        match outcome {
            Ok(Outcome::Played(lag_ms)) => {
                self.admitted += 1;
                self.lag_max_ms = self.lag_max_ms.max(lag_ms);
            }
            Ok(Outcome::Refused(status, code, retry_after, ms)) => {
                self.refusal_ms.push(ms);
                self.unlike_429 += usize::from(!(status == 429 && code == "overloaded" && retry_after));
            }
            Err(error) => {
                eprintln!("an admitted call failed: {error:#}");
                self.admitted += 1;
                self.failed += 1;
            }
        }
    }

    fn figures(&self, arguments: &OverloadArguments, offered: usize, slots: usize) -> Vec<(&'static str, f64)> {
        vec![
            ("calls", arguments.calls as f64),
            ("slots", slots as f64),
            ("offered", offered as f64),
            ("admitted", self.admitted as f64),
            ("refused", self.refusal_ms.len() as f64),
            ("refused_unlike_429", self.unlike_429 as f64),
            ("refusal_p95_ms", percentile(&self.refusal_ms, 0.95)),
            ("refusal_max_ms", self.refusal_ms.iter().copied().fold(0.0, f64::max)),
            ("failed_calls", self.failed as f64),
            ("lag_max_ms", self.lag_max_ms),
        ]
    }
}

struct Offer {
    wire: Wire,
    tapes: Arc<Vec<Tape>>,
    ledger: SharedLedger,
    seconds: u64,
}

impl Offer {
    async fn make(&self, n: usize) -> anyhow::Result<Outcome> {
        let sample = n % self.tapes.len();
        let tape = &self.tapes[sample];
        let asked = Instant::now();
        let answer = self.wire.post("/calls", &tape.new_call()).await?;
        if answer.status != 201 {
            let code = answer.body["code"].as_str().unwrap_or_default().to_owned();
            return Ok(Outcome::Refused(answer.status, code, answer.retry_after, asked.elapsed().as_secs_f64() * 1_000.0));
        }
        let call_id = answer.body["call_id"].as_str().unwrap_or_default().to_owned();
        let mut socket = self.wire.audio(&call_id, "live", false).await?;
        let mut lag_ms = 0.0_f64;
        let mut note = |frame: &Value| {
            if let Some(lag) = frame["lag_ms"].as_f64() {
                lag_ms = lag_ms.max(lag);
            }
        };
        socket.wait_for("audio.ready", &mut note).await?;
        let end = if self.seconds > 0 { self.seconds as usize * 1_000 * tape.bytes_per_ms() } else { usize::MAX };
        let bytes = &tape.bytes[..tape.bytes.len().min(end)];
        let began = Instant::now();
        let id: CallId = serde_json::from_value(Value::String(call_id.clone()))?;
        self.ledger.lock().begin(id, sample, began);
        for (n, frame) in bytes.chunks(FRAME_MS * tape.bytes_per_ms()).enumerate() {
            let due = Duration::from_millis(((n + 1) * FRAME_MS) as u64);
            tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
            socket.samples(frame).await?;
            while let Some(said) = socket.heard() {
                match said {
                    Said::Frame(frame) => note(&frame),
                    Said::Closed(code) => anyhow::bail!("the audio socket closed with {code:?}"),
                }
            }
        }
        socket.end().await?;
        socket.wait_for("audio.closed", &mut note).await?;
        let late_ms = began.elapsed().as_secs_f64() * 1_000.0 - (bytes.len() / tape.bytes_per_ms()) as f64;
        self.wire.post(&format!("/calls/{call_id}/end"), &json!({})).await?;
        Ok(Outcome::Played(lag_ms.max(late_ms)))
    }
}

//! `zhiyin bench reconnect`: sample calls at replay pace over real sockets whose audio and event connections are cut at random
//! moments and taken up again by position and number. What was heard and seen must be what an undisturbed run gives.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use futures::StreamExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::live::{Spoken, lost};
use super::machine::{model_ids, print};
use super::wire::{AudioSocket, Said, Service, Tape, Wire};
use crate::app::load_samples;
use crate::cli::Session;

/// Audio connections of a call that are cut, and as many event connections.
const CUTS: usize = 25;
/// A call that takes so long has failed.
const PATIENCE: Duration = Duration::from_secs(900);

/// Connections of a call that the server may close by itself before the call counts as failed.
const MOST_TURNED_AWAY: usize = 100;

/// Arguments of `zhiyin bench reconnect`.
#[derive(Args)]
pub struct ReconnectArguments {
    /// Connections to cut, of audio and of events together; the last calls are played to their end.
    #[arg(long, default_value_t = 1_000)]
    disconnects: usize,
    /// Calls at once.
    #[arg(long, default_value_t = 2)]
    calls: usize,
    /// Seed of the moments.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// One JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// What happened over all calls.
#[derive(Default)]
struct Tally {
    audio_cuts: AtomicUsize,
    event_cuts: AtomicUsize,
    /// The server asked for audio that it had called final.
    asked_again: AtomicUsize,
    /// An event whose number was not the next one.
    event_gaps: AtomicUsize,
    calls: AtomicUsize,
    failed: AtomicUsize,
    finals: AtomicUsize,
    lost: AtomicUsize,
    doubled: AtomicUsize,
    changed: AtomicUsize,
    events: AtomicUsize,
    events_missing: AtomicUsize,
}

impl Tally {
    fn cuts(&self) -> usize {
        self.audio_cuts.load(Ordering::Relaxed) + self.event_cuts.load(Ordering::Relaxed)
    }
}

fn add(counter: &AtomicUsize, n: usize) {
    counter.fetch_add(n, Ordering::Relaxed);
}

pub(super) async fn run(session: Session, arguments: ReconnectArguments) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(arguments.calls > 0 && arguments.disconnects > 0, "--calls and --disconnects must be at least 1");
    let service = Service::start(&session, |settings| {
        settings.server.max_calls = settings.call_slots().max(arguments.calls);
        settings.server.max_final_wait_ms = 0;
    })
    .await?;
    let samples = load_samples(&session.home);
    anyhow::ensure!(!samples.is_empty(), "no sample calls were found below pipelines/samples");
    let tapes = samples.iter().map(Tape::read).collect::<anyhow::Result<Vec<_>>>()?;
    let mut plain = Vec::new();
    // As many recordings as the calls will use.
    let used = arguments.disconnects.div_ceil(2 * CUTS).max(arguments.calls).min(tapes.len());
    for tape in &tapes[..used] {
        plain.push(undisturbed(&service.wire, tape).await.context("the undisturbed run")?);
    }
    let (tapes, plain, tally) = (Arc::new(tapes), Arc::new(plain), Arc::new(Tally::default()));
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let mut lines = tokio::task::JoinSet::new();
    for _ in 0..arguments.calls {
        let (wire, tapes, plain) = (service.wire.clone(), Arc::clone(&tapes), Arc::clone(&plain));
        let (tally, next, arguments) = (Arc::clone(&tally), Arc::clone(&next), (arguments.seed, arguments.disconnects));
        lines.spawn(async move {
            let (seed, disconnects) = arguments;
            while tally.cuts() < disconnects {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let place = n % plain.len();
                // The last calls have no more cuts than are still wanted.
                let cuts = (disconnects - tally.cuts().min(disconnects)).div_ceil(2).min(CUTS);
                let plan = Plan { seed: seed.wrapping_mul(1_000).wrapping_add(n as u64), cuts };
                let call = tokio::time::timeout(PATIENCE, disturbed(&wire, &tapes[place], &plain[place], &plan, &tally));
                if let Err(error) = call.await.map_err(anyhow::Error::from).flatten() {
                    eprintln!("call {n} (seed {}) failed: {error:#}", plan.seed);
                    add(&tally.failed, 1);
                    if tally.failed.load(Ordering::Relaxed) > 20 {
                        return;
                    }
                }
                add(&tally.calls, 1);
            }
        });
    }
    while lines.join_next().await.transpose()?.is_some() {}
    let of = |counter: &AtomicUsize| counter.load(Ordering::Relaxed) as f64;
    let figures = [
        ("disconnects", tally.cuts() as f64),
        ("audio_disconnects", of(&tally.audio_cuts)),
        ("event_disconnects", of(&tally.event_cuts)),
        ("calls", of(&tally.calls)),
        ("failed_calls", of(&tally.failed)),
        ("finals", of(&tally.finals)),
        ("lost_finals", of(&tally.lost)),
        ("doubled_finals", of(&tally.doubled)),
        ("changed_finals", of(&tally.changed)),
        ("audio_asked_again", of(&tally.asked_again)),
        ("events", of(&tally.events)),
        ("event_gaps", of(&tally.event_gaps)),
        ("events_missing", of(&tally.events_missing)),
        ("took_s", begun.elapsed().as_secs_f64()),
    ];
    print("reconnect", &model_ids(&service.context.models), &figures, arguments.json);
    service.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// What is heard on a recording whose connections hold.
async fn undisturbed(wire: &Wire, tape: &Tape) -> anyhow::Result<Vec<Spoken>> {
    let call_id = open(wire, tape).await?;
    let mut socket = wire.audio(&call_id, "replay", false).await?;
    socket.wait_for("audio.ready", |_| ()).await?;
    for frame in tape.bytes.chunks(100 * tape.bytes_per_ms()) {
        socket.samples(frame).await?;
    }
    socket.end().await?;
    socket.wait_for("audio.closed", |_| ()).await?;
    wire.post(&format!("/calls/{call_id}/end"), &json!({})).await?;
    Ok(finals(&stored(wire, &call_id).await?))
}

async fn open(wire: &Wire, tape: &Tape) -> anyhow::Result<String> {
    let answer = wire.post("/calls", &tape.new_call()).await?;
    anyhow::ensure!(answer.status == 201, "POST /calls answered {}: {}", answer.status, answer.body["code"]);
    answer.body["call_id"].as_str().map(str::to_owned).context("no call_id")
}

/// Seed of the moments of a call, and how many connections of each kind are cut.
struct Plan {
    seed: u64,
    cuts: usize,
}

/// One call whose connections are cut, and how it differs from the undisturbed one.
async fn disturbed(wire: &Wire, tape: &Tape, plain: &[Spoken], plan: &Plan, tally: &Tally) -> anyhow::Result<()> {
    let call_id = open(wire, tape).await?;
    let sending = async {
        send(wire, &call_id, tape, plan, tally).await.context("audio")?;
        let answer = wire.post(&format!("/calls/{call_id}/end"), &json!({})).await?;
        anyhow::ensure!(matches!(answer.status, 200 | 202), "the end was answered {}", answer.status);
        anyhow::Ok(())
    };
    let ((), seen) = tokio::try_join!(sending, async { follow(wire, &call_id, plan, tally).await.context("events") })?;
    let kept = stored(wire, &call_id).await?;
    add(&tally.events, kept.len());
    add(&tally.events_missing, kept.iter().filter(|event| seen.get(&seq(event)) != Some(*event)).count());
    let heard = finals(&kept);
    add(&tally.finals, heard.len());
    add(&tally.lost, lost(plain, &heard));
    let overlaps = |a: &Spoken, b: &Spoken| a.channel == b.channel && a.start_ms < b.end_ms && b.start_ms < a.end_ms;
    let doubled = heard.iter().enumerate().filter(|(n, a)| heard[n + 1..].iter().any(|b| overlaps(a, b))).count();
    add(&tally.doubled, doubled);
    add(&tally.changed, plain.iter().filter(|spoken| !heard.contains(spoken)).count());
    Ok(())
}

/// Sends a recording over connections that are cut; comes back when everything is final.
async fn send(wire: &Wire, call_id: &str, tape: &Tape, plan: &Plan, tally: &Tally) -> anyhow::Result<()> {
    let mut random = StdRng::seed_from_u64(plan.seed);
    let (mut cuts_left, mut resume, mut final_ms) = (plan.cuts, false, 0);
    let mut previous: Option<AudioSocket> = None;
    let mut turned_away = 0;
    loop {
        anyhow::ensure!(turned_away < MOST_TURNED_AWAY, "the server closed {turned_away} connections");
        let mut socket = wire.audio(call_id, "replay", resume).await?;
        resume = true;
        if cuts_left > 0 && random.random_bool(0.1) {
            // Cut before the server has said where to go on.
            cuts_left -= 1;
            add(&tally.audio_cuts, 1);
            continue;
        }
        let mut acknowledged = |frame: &Value| final_ms = final_ms.max(frame["final_ms"].as_i64().unwrap_or(0));
        // One that was cut off may still be in the server's hands and take over: the client comes again.
        let Ok(ready) = socket.wait_for("audio.ready", &mut acknowledged).await else {
            turned_away += 1;
            continue;
        };
        drop(previous.take());
        let from_ms = ready["resume_from_ms"].as_u64().context("resume_from_ms")? as usize;
        add(&tally.asked_again, usize::from((from_ms as i64) < final_ms));
        let rest = tape.bytes.get(from_ms * tape.bytes_per_ms()..).unwrap_or_default();
        // Cuts are spread over what is left; frames have any length up to 100 ms, half samples included.
        let until = (2 * rest.len()).checked_div(cuts_left).map_or(usize::MAX, |most| random.random_range(0..=most.max(1)));
        let mut sent = 0;
        while sent < rest.len().min(until) {
            let frame = random.random_range(1..=100 * tape.bytes_per_ms()).min(rest.len() - sent);
            if socket.samples(&rest[sent..sent + frame]).await.is_err() {
                break;
            }
            sent += frame;
            while let Some(Said::Frame(frame)) = socket.heard() {
                if frame["type"] == "audio.ack" {
                    final_ms = final_ms.max(frame["final_ms"].as_i64().unwrap_or(0));
                }
            }
        }
        if sent < rest.len() || (cuts_left > 0 && random.random_bool(0.5)) {
            if sent >= rest.len() {
                // Everything is sent: cut between `audio.end` and its answer.
                socket.end().await.ok();
            }
            cuts_left = cuts_left.saturating_sub(1);
            add(&tally.audio_cuts, 1);
            match random.random_range(0..3) {
                0 => socket.close().await,
                // The new connection takes over from one that is still there.
                1 => previous = Some(socket),
                _ => drop(socket),
            }
            continue;
        }
        if socket.end().await.is_ok() && socket.wait_for("audio.closed", |_| ()).await.is_ok() {
            return Ok(());
        }
        turned_away += 1;
    }
}

/// Reads the events of a call to its end over connections that are cut; every durable event by its number.
async fn follow(wire: &Wire, call_id: &str, plan: &Plan, tally: &Tally) -> anyhow::Result<BTreeMap<u64, Value>> {
    let mut random = StdRng::seed_from_u64(plan.seed ^ 0x5eed);
    let (mut seen, mut next, mut cuts_left) = (BTreeMap::new(), 1, plan.cuts);
    loop {
        let mut events: std::pin::Pin<Box<dyn futures::Stream<Item = Value> + Send>> = if random.random_bool(0.5) {
            Box::pin(over_socket(wire.socket(&format!("/calls/{call_id}/events/ws?from_seq={next}")).await?))
        } else {
            Box::pin(over_sse(wire.sse(&format!("/calls/{call_id}/events"), next - 1).await?))
        };
        let most = if cuts_left > 0 { random.random_range(0..12) } else { usize::MAX };
        let patience = Duration::from_millis(if cuts_left > 0 { random.random_range(0..800) } else { 60_000 });
        let until = Instant::now() + patience;
        let mut taken = 0;
        while taken < most {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(Some(event)) = tokio::time::timeout(left, events.next()).await else { break };
            if event["sub"] != 0 {
                continue;
            }
            add(&tally.event_gaps, usize::from(seq(&event) != next));
            next = seq(&event) + 1;
            let last = event["type"] == "call.completed";
            seen.insert(seq(&event), event);
            taken += 1;
            if last {
                return Ok(seen);
            }
        }
        anyhow::ensure!(cuts_left > 0 || taken > 0, "the stream ended before the call was completed");
        cuts_left = cuts_left.saturating_sub(1);
        add(&tally.event_cuts, 1);
    }
}

fn over_socket<S>(socket: S) -> impl futures::Stream<Item = Value>
where
    S: futures::Stream<Item = Result<Message, tokio_tungstenite::tungstenite::Error>> + Unpin,
{
    socket.filter_map(|message| async move {
        match message {
            Ok(Message::Text(text)) => serde_json::from_str(&text).ok(),
            _ => None,
        }
    })
}

/// The `data:` lines of a stream of server-sent events.
fn over_sse(response: reqwest::Response) -> impl futures::Stream<Item = Value> {
    let bytes = response.bytes_stream();
    futures::stream::unfold((Box::pin(bytes), Vec::new()), |(mut bytes, mut text)| async move {
        loop {
            if let Some(end) = text.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                let Some(data) = line.strip_prefix(b"data:") else { continue };
                let Ok(event) = serde_json::from_slice(data) else { continue };
                return Some((event, (bytes, text)));
            }
            text.extend_from_slice(&bytes.next().await?.ok()?);
        }
    })
}

fn seq(event: &Value) -> u64 {
    event["seq"].as_u64().unwrap_or(0)
}

/// All durable events of a call that is over.
async fn stored(wire: &Wire, call_id: &str) -> anyhow::Result<Vec<Value>> {
    let (mut all, mut from) = (Vec::new(), 1);
    loop {
        let page = wire.get(&format!("/calls/{call_id}/events?from_seq={from}&limit=1000")).await?;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        if items.is_empty() && all.last().is_some_and(|event: &Value| event["type"] == "call.completed") {
            return Ok(all);
        }
        from = page["next_seq"].as_u64().context("next_seq")?;
        if items.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        all.extend(items);
    }
}

fn finals(events: &[Value]) -> Vec<Spoken> {
    let of = |event: &&Value| event["type"] == "transcript.final";
    let ms = |value: &Value| value.as_i64().unwrap_or(0);
    events
        .iter()
        .filter(of)
        .map(|event| &event["data"])
        .map(|data| Spoken {
            channel: data["channel_index"].as_u64().unwrap_or(0) as u16,
            start_ms: ms(&data["start_ms"]),
            end_ms: ms(&data["end_ms"]),
            text: data["raw_text"].as_str().unwrap_or_default().to_owned(),
        })
        .collect()
}

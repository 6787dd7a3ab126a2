//! `zhiyin demo`: the service, a sample call, and what an agent sees.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::Session;
use super::render::{event_line, scorecard};
use super::serve::stop_signal;
use crate::app::{App, PlayOptions, Sample, load_samples, play};
use crate::event::Event;
use crate::quality::Scorecard;

/// Arguments of `zhiyin demo`.
#[derive(Args)]
pub(super) struct DemoArguments {
    /// Sample call to play; `--once` plays all of them by default.
    #[arg(long, value_name = "ID")]
    sample: Option<String>,
    /// Times real time, or `max`.
    #[arg(long, default_value = "1")]
    speed: String,
    /// Play, print the results and exit.
    #[arg(long)]
    once: bool,
}

pub(super) async fn run(mut session: Session, arguments: DemoArguments) -> anyhow::Result<ExitCode> {
    let speed = read_speed(&arguments.speed)?;
    let samples = load_samples(&session.home);
    let chosen: Vec<Sample> = match &arguments.sample {
        Some(id) => {
            let known: Vec<&str> = samples.iter().map(|s| s.id.as_str()).collect();
            let sample = samples.iter().find(|s| s.id == *id);
            vec![sample.cloned().with_context(|| format!("there is no sample call \"{id}\"; known are {}", known.join(", ")))?]
        }
        None if arguments.once => samples,
        None => samples.into_iter().take(1).collect(),
    };
    anyhow::ensure!(!chosen.is_empty(), "no sample calls were found below pipelines/samples");
    // The demonstration keeps its own store, away from that of a real service; `--once` leaves nothing behind.
    let temporary = tempfile::tempdir()?;
    if arguments.once {
        session.settings.store.path = temporary.path().to_path_buf();
        session.settings.server.listen.set_port(0);
    }
    let app = App::start(&session.home, &session.settings).await?;
    let address = app.address()?;
    let context = app.context.clone();
    let page = match &app.first_token {
        Some(token) => format!("http://{address}/#token={}", token.secret),
        None => format!("http://{address}/"),
    };
    if let Some(token) = &app.first_token {
        println!("development token (shown once): {}", token.secret);
    }
    println!("live page: {page}\n");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let once = arguments.once;
    let server = tokio::spawn(
        app.serve(Duration::from_secs(2), async move { if once { drop(stopped.await) } else { stop_signal().await } }),
    );
    for sample in &chosen {
        play_one(&context, sample, speed).await?;
    }
    if once {
        let _ = stop.send(());
    } else {
        println!("\nthe service goes on; open {page} and play a sample call there. Ctrl-C stops it.");
    }
    drop(context);
    server.await??;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn read_speed(text: &str) -> anyhow::Result<f64> {
    if text == "max" {
        return Ok(0.0);
    }
    let speed: f64 = text
        .parse()
        .ok()
        .filter(|s: &f64| s.is_finite() && *s > 0.0)
        .with_context(|| format!("--speed {text}: give a number above 0 (1 is real time) or `max`"))?;
    Ok(speed)
}

async fn play_one(context: &crate::api::ApiContext, sample: &Sample, speed: f64) -> anyhow::Result<()> {
    println!("== {} ({})", sample.title, sample.id);
    let mut wall = context.log.wall();
    let printer = tokio::spawn(async move {
        while let Ok(event) = wall.recv().await {
            let event: Arc<Event> = event;
            if event.sub == 0
                && let Some(line) = event_line(&event)
            {
                println!("{line}");
            }
            if event.body.is_last() {
                break;
            }
        }
    });
    let played = play(&context.hub, &sample.audio, PlayOptions::for_sample(sample, speed)).await?;
    printer.await?;
    let rows = context.store().scores(Some(played.call.call_id.as_str()), 1).await?;
    if let Some(row) = rows.first() {
        let card: Scorecard = serde_json::from_str(&row.body)?;
        println!("\n{}", scorecard(&card));
    }
    Ok(())
}

//! `zhiyin bench start`: how long a fresh process takes until it is ready, and its memory then.

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;

use super::machine::{print, rss_mib};
use crate::cli::Session;

/// Arguments of `zhiyin bench start`.
#[derive(Args)]
pub struct StartArguments {
    /// Starts to measure; the median is given.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// One JSON object as the last line.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(session: Session, arguments: StartArguments) -> anyhow::Result<ExitCode> {
    let store = tempfile::tempdir()?;
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    // The first start makes the store and the index; those after it are what an operator sees.
    for n in 0..=arguments.runs {
        let (ready_ms, rss) = start_once(&session, store.path()).await?;
        if n > 0 {
            times.push(ready_ms);
            memory.push(rss);
        }
    }
    let median = |v: &[f64]| super::machine::percentile(v, 0.5);
    let models = vec![session.settings.asr.model.clone(), session.settings.encoder.model.clone()];
    print("start", &models, &[("ready_ms", median(&times)), ("rss_idle_mib", median(&memory))], arguments.json);
    Ok(ExitCode::SUCCESS)
}

async fn start_once(session: &Session, store: &std::path::Path) -> anyhow::Result<(f64, f64)> {
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let started = Instant::now();
    let mut command = Command::new(std::env::current_exe()?);
    if let Some(file) = &session.config_file {
        command.arg("--config").arg(file);
    }
    command.arg("serve").arg("--listen").arg(format!("127.0.0.1:{port}")).arg("--store").arg(store);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("starting the service")?;
    let client = reqwest::Client::new();
    let url = format!("http://127.0.0.1:{port}/readyz");
    let ready = loop {
        if client.get(&url).send().await.is_ok_and(|r| r.status().is_success()) {
            break true;
        }
        if started.elapsed() > Duration::from_secs(60) || child.try_wait()?.is_some() {
            break false;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let ready_ms = started.elapsed().as_secs_f64() * 1_000.0;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let rss = rss_mib(child.id());
    child.kill()?;
    child.wait()?;
    anyhow::ensure!(ready, "the service did not become ready; run `zhiyin serve` to see why");
    Ok((ready_ms, rss))
}

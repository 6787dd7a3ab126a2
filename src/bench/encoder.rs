//! `zhiyin bench encoder`: texts a second.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use super::machine::print;
use crate::cli::Session;
use crate::inference::{EncoderModel, Scratch};
use crate::registry::ModelKind;

/// Arguments of `zhiyin bench encoder`.
#[derive(Args)]
pub struct EncoderArguments {
    /// Model id or folder; `encoder.model` by default.
    #[arg(long)]
    model: Option<String>,
    /// Seconds for each batch size.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// One JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Customer questions of usual length, in both languages.
const TEXTS: [&str; 8] = [
    "我上周五退的那个耳机，钱怎么还没到账啊",
    "Hi, I was charged twice for my plan this month and I want one of them back",
    "能不能帮我把收货地址改到公司这边",
    "My broadband has been down since yesterday evening, can you send someone?",
    "我的银行卡好像丢了，先帮我挂失吧",
    "How long does it usually take for a refund to show up on my card?",
    "这个套餐每个月多少流量，超出了怎么收费",
    "Could you tell me where my parcel is, the tracking has not moved for days",
];

pub(super) fn run(session: Session, arguments: EncoderArguments) -> anyhow::Result<ExitCode> {
    let registry = crate::app::registry(&session.home, &session.settings)?;
    let id = arguments.model.as_deref().unwrap_or(&session.settings.encoder.model);
    let resolved = registry.resolve_kind(id, ModelKind::Encoder)?;
    let model = EncoderModel::load(&resolved.dir)?;
    let mut figures = Vec::new();
    for (name, batch) in [("texts_per_s_b1", 1), ("texts_per_s_b8", 8), ("texts_per_s_b32", 32)] {
        figures.push((name, throughput(&model, batch, Duration::from_secs_f64(arguments.seconds))?));
    }
    print("encoder", &[resolved.id], &figures, arguments.json);
    Ok(ExitCode::SUCCESS)
}

/// Texts a second of as many threads as there are cores, each with batches of its own.
fn throughput(model: &EncoderModel, batch: usize, time: Duration) -> anyhow::Result<f64> {
    let texts: Vec<&str> = TEXTS.iter().cycle().take(batch.max(TEXTS.len())).copied().collect();
    let counts = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..num_cpus::get())
            .map(|_| {
                scope.spawn(|| {
                    let mut scratch = Scratch::default();
                    let (mut n, started) = (0_usize, Instant::now());
                    while started.elapsed() < time {
                        for part in texts.chunks(batch) {
                            n += model.encode(part, 4_096, &mut scratch)?.len();
                        }
                    }
                    anyhow::Ok(n as f64 / started.elapsed().as_secs_f64())
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|t| t.join().map_err(|_| anyhow::anyhow!("a thread failed"))?)
            .collect::<anyhow::Result<Vec<f64>>>()
    })?;
    Ok(counts.iter().sum())
}

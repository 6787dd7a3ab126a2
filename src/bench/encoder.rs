//! `zhiyin bench encoder`: texts a second, in both precisions, and how near that is to what the machine multiplies at best.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;

use super::machine::print;
use crate::cli::Session;
use crate::inference::{EncoderModel, Encoding, Precision, Scratch, gemm_products_per_s};
use crate::registry::ModelKind;

/// Arguments of `zhiyin bench encoder`.
#[derive(Args)]
pub struct EncoderArguments {
    /// Model id or folder; `encoder.model` by default.
    #[arg(long)]
    model: Option<String>,
    /// A file with one text per line; customer questions of both languages by default.
    #[arg(long, value_name = "FILE")]
    texts: Option<PathBuf>,
    /// Threads; by default one, and as many as there are cores.
    #[arg(long)]
    threads: Option<usize>,
    /// Seconds for each figure.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Count the time that the threads were on a core instead of the time on the clock: texts per second of an idle machine,
    /// measured on a busy one (Linux).
    #[arg(long)]
    cpu_time: bool,
    /// Writes embeddings and best labels of all texts in both precisions, one JSON object per line.
    #[arg(long, value_name = "FILE")]
    dump: Option<PathBuf>,
    /// One JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Customer questions of usual length, in both languages.
const TEXTS: [&str; 32] = [
    "我上周五退的那个耳机，钱怎么还没到账啊",
    "Hi, I was charged twice for my plan this month and I want one of them back",
    "能不能帮我把收货地址改到公司这边",
    "My broadband has been down since yesterday evening, can you send someone?",
    "我的银行卡好像丢了，先帮我挂失吧",
    "How long does it usually take for a refund to show up on my card?",
    "这个套餐每个月多少流量，超出了怎么收费",
    "Could you tell me where my parcel is, the tracking has not moved for days",
    "发票抬头开错了，可以重新开一张吗",
    "I forgot my password and the reset mail never arrives",
    "昨天约的师傅到现在还没来，也没人打电话",
    "Can I change the delivery to next Tuesday after six?",
    "为什么这个月扣了我两次会员费",
    "The app says my account is locked, what should I do now?",
    "我想把宽带迁到新家，需要多少钱",
    "Please cancel the order I placed this morning",
    "信用卡账单日能不能往后调几天",
    "I need a copy of the contract I signed last year",
    "收到的杯子是碎的，我要换一个新的",
    "Is there a fee if I pay back the loan early?",
    "转账显示成功了，对方说没收到",
    "Your colleague promised to call me back and nobody did",
    "帮我查一下积分什么时候过期",
    "The signal in my flat is gone since you changed the antenna",
    "我要投诉你们的快递员，态度太差了",
    "What documents do I need for the insurance claim?",
    "年费可以减免吗，我一年都没怎么用",
    "My new card does not work at the cash machine",
    "在国外打电话一分钟多少钱",
    "I want to speak to a person, not to a machine",
    "你们周末几点开门，可以现场办理吗",
    "Thanks, that is all I wanted to know",
];

/// Tokens of one pass at most, so that a batch of 32 is one pass.
const BATCH_TOKENS: usize = 4_096;

pub(super) fn run(session: Session, arguments: EncoderArguments) -> anyhow::Result<ExitCode> {
    let registry = crate::app::registry(&session.home, &session.settings)?;
    let id = arguments.model.as_deref().unwrap_or(&session.settings.encoder.model);
    let resolved = registry.resolve_kind(id, ModelKind::Encoder)?;
    let texts = texts(arguments.texts.as_deref())?;
    let full = EncoderModel::load(&resolved.dir)?;
    let small = EncoderModel::load_in(&resolved.dir, Precision::Int8)?;
    let cores = num_cpus::get();
    let time = Duration::from_secs_f64(arguments.seconds.max(0.1));
    let mut figures: Vec<(String, f64)> = Vec::new();
    let counts = arguments.threads.map_or_else(|| if cores > 1 { vec![cores, 1] } else { vec![1] }, |n| vec![n.max(1)]);
    let clock = Clock { time, on_core: arguments.cpu_time };
    let ordered = by_length(&full, &texts)?;
    for (place, threads) in counts.iter().enumerate() {
        // The first count carries the plain names.
        let suffix = if place == 0 { String::new() } else { format!("_t{threads}") };
        for batch in [1, 8, 32] {
            let speed = throughput(&full, &ordered, batch, *threads, clock)?;
            figures.push((format!("texts_per_s_b{batch}{suffix}"), speed));
        }
        for batch in [1, 8, 32] {
            let speed = throughput(&small, &ordered, batch, *threads, clock)?;
            figures.push((format!("int8_texts_per_s_b{batch}{suffix}"), speed));
        }
    }
    figures.push(("threads".into(), counts[0] as f64));
    figures.push(("mean_tokens".into(), mean_tokens(&full, &texts)?));
    let peak = gemm_products_per_s(time);
    let one = figures
        .iter()
        .find(|(n, _)| n == "texts_per_s_b32_t1")
        .map_or_else(|| throughput(&full, &ordered, 32, 1, clock), |(_, speed)| Ok(*speed))?;
    let products = full.products_per_token() as f64 * mean_tokens(&full, &texts)?;
    figures.push(("gemm_peak_fraction".into(), 100.0 * one * products / peak));
    figures.push(("gemm_peak_gflop_per_s".into(), 2.0 * peak / 1e9));
    let (a, b) = (encode(&full, &texts)?, encode(&small, &texts)?);
    if let Some((agreement, heads)) = agreement(&a, &b) {
        figures.push(("int8_agreement".into(), agreement));
        figures.extend(heads.into_iter().map(|(head, share)| (format!("int8_agreement_{head}"), share)));
    }
    figures.push(("int8_cosine_min".into(), a.iter().zip(&b).map(|(a, b)| cosine(a, b)).fold(1.0, f64::min)));
    if let Some(path) = &arguments.dump {
        dump(path, &texts, &a, &b)?;
    }
    let named: Vec<(&str, f64)> = figures.iter().map(|(n, v)| (n.as_str(), *v)).collect();
    print("encoder", &[resolved.id], &named, arguments.json);
    Ok(ExitCode::SUCCESS)
}

fn texts(file: Option<&Path>) -> anyhow::Result<Vec<String>> {
    let Some(path) = file else { return Ok(TEXTS.map(str::to_owned).to_vec()) };
    let text = std::fs::read_to_string(path).with_context(|| format!("texts {}", path.display()))?;
    let texts: Vec<String> = text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
    if texts.is_empty() {
        bail!("{} has no text; write one per line", path.display());
    }
    Ok(texts)
}

/// Texts by their number of tokens, as a queue that sorts before it batches would send them.
fn by_length(model: &EncoderModel, texts: &[String]) -> anyhow::Result<Vec<String>> {
    let lengths = texts.iter().map(|t| model.token_ids(t).map(|ids| ids.len())).collect::<Result<Vec<_>, _>>()?;
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|i| lengths[*i]);
    Ok(order.into_iter().map(|i| texts[i].clone()).collect())
}

fn mean_tokens(model: &EncoderModel, texts: &[String]) -> anyhow::Result<f64> {
    let counts = texts.iter().map(|t| model.token_ids(t).map(|ids| ids.len())).collect::<Result<Vec<_>, _>>()?;
    Ok(counts.iter().sum::<usize>() as f64 / texts.len() as f64)
}

fn encode(model: &EncoderModel, texts: &[String]) -> anyhow::Result<Vec<Encoding>> {
    Ok(model.encode(texts, BATCH_TOKENS, &mut Scratch::default())?)
}

/// How time is counted.
#[derive(Clone, Copy)]
struct Clock {
    /// Time for each figure.
    time: Duration,
    /// Whether only time on a core counts.
    on_core: bool,
}

/// Seconds that this thread was on a core; 0 where the system does not say.
fn on_core_s() -> anyhow::Result<f64> {
    let Ok(text) = std::fs::read_to_string("/proc/thread-self/schedstat") else { return Ok(0.0) };
    let first = text.split(' ').next().context("schedstat is empty")?;
    Ok(first.parse::<f64>()? / 1e9)
}

/// Texts a second of some threads, each with batches of its own: everything from the text to all heads. Each thread walks
/// over all texts in turn, so that every batch counts the same.
fn throughput(model: &EncoderModel, texts: &[String], batch: usize, threads: usize, clock: Clock) -> anyhow::Result<f64> {
    // A batch is never smaller than its name says.
    let texts: Vec<&String> = texts.iter().cycle().take(texts.len().next_multiple_of(batch)).collect();
    let counts = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut scratch = Scratch::default();
                    let (mut n, started, on_core) = (0_usize, Instant::now(), on_core_s()?);
                    while started.elapsed() < clock.time {
                        for part in texts.chunks(batch) {
                            n += model.encode(part, BATCH_TOKENS, &mut scratch)?.len();
                        }
                    }
                    let took = if clock.on_core { on_core_s()? - on_core } else { started.elapsed().as_secs_f64() };
                    anyhow::Ok(n as f64 / took)
                })
            })
            .collect();
        running
            .into_iter()
            .map(|t| t.join().map_err(|_| anyhow::anyhow!("a thread failed"))?)
            .collect::<anyhow::Result<Vec<f64>>>()
    })?;
    Ok(counts.iter().sum())
}

fn cosine(a: &Encoding, b: &Encoding) -> f64 {
    a.embedding.iter().zip(&b.embedding).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}

/// The best label of each sentence head, or the selected ones where there may be several.
fn labels(encoding: &Encoding) -> Vec<(String, Vec<String>)> {
    let of = |h: &crate::inference::SentenceOutput| {
        let mut names: Vec<String> = match h.spec.kind {
            crate::inference::HeadKind::Softmax => h.top().into_iter().map(|(l, _)| l.to_owned()).collect(),
            _ => h.selected().into_iter().map(|(l, _)| l.to_owned()).collect(),
        };
        names.sort();
        (h.spec.name.clone(), names)
    };
    encoding.sentence_heads.iter().map(of).collect()
}

/// Share of best labels that are the same, over all sentence heads, and by head. `None` without heads.
fn agreement(a: &[Encoding], b: &[Encoding]) -> Option<(f64, Vec<(String, f64)>)> {
    let mut by_head: Vec<(String, usize)> = Vec::new();
    for (a, b) in a.iter().zip(b) {
        for ((head, x), (_, y)) in labels(a).into_iter().zip(labels(b)) {
            let place = by_head.iter().position(|(h, _)| *h == head).unwrap_or_else(|| {
                by_head.push((head, 0));
                by_head.len() - 1
            });
            by_head[place].1 += usize::from(x == y);
        }
    }
    let shares: Vec<(String, f64)> = by_head.into_iter().map(|(h, n)| (h, n as f64 / a.len() as f64)).collect();
    (!shares.is_empty()).then(|| (shares.iter().map(|(_, s)| s).sum::<f64>() / shares.len() as f64, shares))
}

fn dump(path: &Path, texts: &[String], full: &[Encoding], small: &[Encoding]) -> anyhow::Result<()> {
    let mut file = BufWriter::new(std::fs::File::create(path).with_context(|| format!("{}", path.display()))?);
    for ((text, a), b) in texts.iter().zip(full).zip(small) {
        let line = json!({
            "text": text, "embedding": a.embedding, "sentence": a.sentence, "labels": labels(a).into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            "int8_embedding": b.embedding, "int8_labels": labels(b).into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        });
        writeln!(file, "{line}")?;
    }
    Ok(file.flush()?)
}

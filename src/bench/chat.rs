//! `zhiyin bench chat`: conversations with the bot over HTTP and server-sent events against the whole service in this
//! process, many at once. Each customer writes, reads the reply and thinks before he writes again.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use futures::StreamExt;
use serde_json::{Value, json};

use super::machine::{percentile, print};
use crate::app::App;
use crate::cli::{Session, chat::play};

/// Arguments of `zhiyin bench chat`.
#[derive(Args)]
pub struct ChatBenchArguments {
    /// Conversations at once.
    #[arg(long, default_value_t = 100)]
    sessions: usize,
    /// Shortest time a customer thinks before he writes again, milliseconds; the longest is twice as much.
    #[arg(long, default_value_t = 3_000)]
    think_ms: u64,
    /// Leave the stories out.
    #[arg(long)]
    no_stories: bool,
    /// One JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// What customers write, one list per conversation in turn.
const TALKS: [&[&str]; 6] = [
    &["我的快递到哪了", "DD20260305", "退款一般多久到账", "谢谢"],
    &["where is my parcel", "AB20260307", "how do I return something", "thanks"],
    &["我想退货", "DD20260304", "算了", "怎么改收货地址"],
    &["my internet is down", "80012345", "red light", "no, still red", "tomorrow"],
    &["忘记密码了", "登录密码", "80012345", "6602"],
    &["I lost my card", "credit card", "Anna Weber", "4412", "yes, all mine"],
];

pub(crate) async fn run(session: Session, arguments: ChatBenchArguments) -> anyhow::Result<ExitCode> {
    let store = tempfile::tempdir()?;
    let mut settings = session.settings.clone();
    settings.server.listen = ([127, 0, 0, 1], 0).into();
    settings.store.path = store.path().to_path_buf();
    settings.chat.webhook_url = "sample".into();
    // The load is made here: the allowance of one token is not what is measured.
    settings.limits.infer_per_s = 1e6;
    settings.limits.control_per_s = 1e6;
    let app = App::start(&session.home, &settings).await?;
    let base = format!("http://{}", app.address()?);
    let token = app.first_token.as_ref().map(|t| t.secret.clone()).context("a new store makes a first token")?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(app.serve(Duration::from_secs(5), async move {
        let _ = stopped.await;
    }));
    let before_ms = processor_ms();
    let client = reqwest::Client::builder().pool_max_idle_per_host(arguments.sessions).build()?;
    let mut customers = Vec::new();
    for number in 0..arguments.sessions {
        let (client, base, token) = (client.clone(), base.clone(), token.clone());
        let think = arguments.think_ms;
        customers.push(tokio::spawn(async move { customer(&client, &base, &token, number, think).await }));
    }
    let mut times_ms = Vec::new();
    for customer in customers {
        times_ms.extend(customer.await??);
    }
    let spent_ms = processor_ms() - before_ms;
    let _ = stop.send(());
    let _ = tokio::time::timeout(Duration::from_secs(10), server).await;
    #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
    let mut figures = vec![
        ("sessions", arguments.sessions as f64),
        ("messages", times_ms.len() as f64),
        ("first_token_p50_ms", percentile(&times_ms, 0.5)),
        ("first_token_p95_ms", percentile(&times_ms, 0.95)),
        ("first_token_p99_ms", percentile(&times_ms, 0.99)),
        // The customers run in this process too: their share is in it.
        ("processor_ms_per_message", spent_ms / times_ms.len().max(1) as f64),
    ];
    if !arguments.no_stories {
        let played = play::stories(&session, None).await?;
        let passed = played.iter().filter(|p| p.failure.is_none()).count();
        #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
        figures.extend([("stories_passed", passed as f64), ("stories_total", played.len() as f64)]);
    }
    print("chat", std::slice::from_ref(&session.settings.encoder.model), &figures, arguments.json);
    Ok(ExitCode::SUCCESS)
}

/// Processor time of this process so far, all threads, milliseconds; 0 where `/proc` does not tell.
fn processor_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // utime and stime are the 14th and 15th field; the second one, in brackets, may hold blanks.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect::<Vec<_>>()).unwrap_or_default();
    let ticks: f64 = [11, 12].iter().filter_map(|&i| fields.get(i)?.parse::<f64>().ok()).sum();
    // Linux counts in hundredths of a second on every machine that this runs on.
    ticks * 10.0
}

/// One conversation; the times from sending a message to the first delta of its reply, milliseconds.
async fn customer(client: &reqwest::Client, base: &str, token: &str, number: usize, think_ms: u64) -> anyhow::Result<Vec<f64>> {
    let pause = |step: u64| Duration::from_millis(think_ms + (number as u64 * 7_919 + step * 104_729) % think_ms.max(1));
    // Customers do not arrive together.
    tokio::time::sleep(pause(0) / 2).await;
    let talk = TALKS[number % TALKS.len()];
    let opened: Value = client
        .post(format!("{base}/api/v1/chat/sessions"))
        .bearer_auth(token)
        .header("idempotency-key", format!("bench-{number}"))
        .json(&json!({ "source": "bench" }))
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    let chat_id = opened["chat_id"].as_str().context("no chat_id")?;
    let mut times = Vec::new();
    for (step, text) in talk.iter().enumerate() {
        tokio::time::sleep(pause(step as u64 + 1)).await;
        let started = Instant::now();
        let response = client
            .post(format!("{base}/api/v1/chat/sessions/{chat_id}/messages"))
            .bearer_auth(token)
            .header("accept", "text/event-stream")
            .json(&json!({ "text": text, "client_message_id": format!("m{step}") }))
            .send()
            .await?
            .error_for_status()?;
        let mut stream = response.bytes_stream();
        let (mut heard, mut first) = (String::new(), None);
        while let Some(bytes) = stream.next().await {
            heard.push_str(&String::from_utf8_lossy(&bytes?));
            if first.is_none() && heard.contains("event: reply.delta") {
                first = Some(started.elapsed().as_secs_f64() * 1_000.0);
            }
        }
        times.push(first.with_context(|| format!("message {step} of conversation {number} got no reply"))?);
    }
    Ok(times)
}

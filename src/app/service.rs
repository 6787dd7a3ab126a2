//! The service put together.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;

use super::assets::load_samples;
use super::player::{PlayOptions, play};
use super::stages::{StageOptions, build_stages, registry};
use crate::access::{RateClass, RateLimiter, RowFilter, Scope, TokenRecord, hash_secret, new_secret};
use crate::api::{
    ApiContext, ChatDesk, JobDesk, KnowledgeShelf, PracticeBackend, Problem, SamplePlayer, TokenBook, put_in_force, router,
};
use crate::config::{Settings, SyncMode};
use crate::conversation::{CallId, IdKind, new_id};
use crate::event::{CallState, EventSink, now_rfc3339};
use crate::inference::Encoder;
use crate::knowledge::{History, import_dir};
use crate::pipeline::{Admission, HeadSwitch, Hub, HubConfig};
use crate::store::{EventLog, Store, StoreConfig};
use crate::telemetry::install_metrics;
use crate::vad::VadConfig;

/// The service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Another program listens there.
    #[error("address {0} is in use; stop the other program or set server.listen to another port")]
    PortBusy(std::net::SocketAddr),
}

/// The token that is made when a store has none.
pub struct FirstToken {
    /// Its secret, shown once.
    pub secret: String,
}

/// A service that is ready to serve.
pub struct App {
    /// What handlers share.
    pub context: ApiContext,
    /// The token made on the first start.
    pub first_token: Option<FirstToken>,
    listener: TcpListener,
}

impl App {
    /// Opens the store, loads the models, takes up open calls and binds the port.
    ///
    /// # Errors
    /// Something named in the settings is missing or cannot be used, or the port is taken.
    pub async fn start(home: &Path, settings: &Settings) -> anyhow::Result<Self> {
        let listener = bind(settings).await?;
        let store = Store::open(&StoreConfig {
            path: settings.store.path.clone(),
            sync_full: settings.store.sync == SyncMode::Full,
            max_mib: settings.store.max_mib,
        })
        .await?;
        let (home_copy, settings_copy) = (home.to_path_buf(), settings.clone());
        let built = tokio::task::spawn_blocking(move || {
            let index = settings_copy.store.path.join("index");
            let options = StageOptions { recogniser: true, pipeline: "live-assist", index: Some(&index), scheme: None };
            build_stages(&home_copy, &settings_copy, options)
        })
        .await??;
        let log = EventLog::new(store.clone());
        let hub_config = HubConfig {
            admission: Admission { max_calls: settings.call_slots(), max_final_wait_ms: settings.server.max_final_wait_ms },
            resume_grace: Duration::from_secs(settings.server.resume_grace_s),
            vad: vad_config(settings),
        };
        let sink: Arc<dyn EventSink> = Arc::new(log.clone());
        let hub = Hub::new(Arc::clone(&built.stages), sink, hub_config);
        let shelf = KnowledgeShelf::new(store.clone(), Arc::clone(&built.stages.knowledge), built.stages.encoder.clone());
        prepare_knowledge(home, settings, &shelf).await?;
        super::learning::start(&shelf).await?;
        put_in_force(&store, hub.stages()).await?;
        take_up_calls(&store, &hub).await?;
        let evaluations = super::work::evaluations(home, settings);
        let jobs = JobDesk::new(store.clone(), super::work::job_kinds(&hub, &store, &shelf, &evaluations));
        jobs.take_up().await?;
        let tokens = TokenBook::load(&store).await?;
        let first_token = if tokens.is_empty() { Some(make_first_token(&tokens, &store).await?) } else { None };
        let samples = load_samples(home);
        let heads = follow_heads(home, settings, built.stages.encoder.clone()).await?;
        let chat = Arc::new(chat_desk(home, settings, &hub).await?);
        let context = ApiContext {
            player: sample_player(hub.clone(), home),
            samples: Arc::new(samples.iter().map(super::Sample::view).collect()),
            hub,
            chat,
            log,
            jobs,
            drift: Arc::default(),
            evaluations,
            shelf,
            tokens: Arc::new(tokens),
            tickets: Arc::default(),
            limiter: Arc::new(limiter(settings)),
            limits: Arc::new(settings.limits.clone()),
            server: Arc::new(settings.server.clone()),
            metrics: install_metrics()?,
            ready: Arc::new(AtomicBool::new(true)),
            models: Arc::new(built.models),
            heads,
            settings: Arc::new(serde_json::to_value(settings)?),
        };
        tokio::spawn(context.clone().end_idle_chats(Duration::from_secs(30)));
        Ok(Self { context, first_token, listener })
    }

    /// The address that is listened on (the port is known even if 0 was asked for).
    ///
    /// # Errors
    /// The socket is gone.
    pub fn address(&self) -> std::io::Result<std::net::SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` resolves, then drains: nothing new, everything pending becomes final.
    ///
    /// # Errors
    /// The listener failed.
    pub async fn serve(self, drain: Duration, stop: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
        let context = self.context.clone();
        let (hub, store) = (context.hub.clone(), context.store().clone());
        let ready = Arc::clone(&context.ready);
        let server = axum::serve(self.listener, router(context)).with_graceful_shutdown(async move {
            stop.await;
            ready.store(false, Ordering::Release);
            let _ = tokio::time::timeout(drain, hub.drain()).await;
        });
        // Subscribers that never leave must not hold the process.
        tokio::select! {
            outcome = server.into_future() => outcome?,
            () = after_drain(&self.context, drain) => {}
        }
        self.context.jobs.stop();
        drop(self.context);
        store.close().await;
        Ok(())
    }
}

/// Applies the heads that are switched to, and goes on following.
async fn follow_heads(home: &Path, settings: &Settings, encoder: Encoder) -> anyhow::Result<Arc<HeadSwitch>> {
    let registry = registry(home, settings)?;
    let heads = tokio::task::spawn_blocking(move || HeadSwitch::start(registry, encoder)).await?;
    let heads = heads.context("a head that was switched to; `zhiyin models rollback TASK` goes back to the one before")?;
    heads.follow();
    Ok(heads)
}

async fn after_drain(context: &ApiContext, drain: Duration) {
    while !context.hub.is_draining() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(drain.min(Duration::from_secs(3))).await;
}

async fn bind(settings: &Settings) -> anyhow::Result<TcpListener> {
    let address = settings.server.listen;
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => AppError::PortBusy(address).into(),
        _ => anyhow::Error::from(error).context(format!("listening on {address}")),
    })
}

fn limiter(settings: &Settings) -> RateLimiter {
    let limits = &settings.limits;
    RateLimiter::new([
        (RateClass::Control, limits.control_per_s),
        (RateClass::Search, limits.search_per_s),
        (RateClass::Infer, limits.infer_per_s),
        (RateClass::Stream, limits.stream_per_s),
    ])
}

/// Loads the built-in articles into an empty store and brings the index up to date.
async fn prepare_knowledge(home: &Path, settings: &Settings, shelf: &KnowledgeShelf) -> anyhow::Result<()> {
    let empty = shelf.all().await?.is_empty();
    if empty && settings.knowledge.builtin_articles {
        let folder = home.join("pipelines/knowledge");
        let imported = tokio::task::spawn_blocking(move || import_dir(&folder)).await??;
        for rejected in &imported.rejected {
            tracing::warn!(item = %rejected.item, reason = %rejected.reason, "a built-in article was left out");
        }
        let now = chrono::Utc::now();
        let mut histories = Vec::new();
        for document in imported.documents {
            let id = document.document_id.unwrap_or_else(|| new_id(IdKind::Document));
            let mut history = History::create(id, document.content, "built-in", now)?;
            history.submit(1, now)?;
            history.publish(1, now)?;
            histories.push(history);
        }
        shelf.keep_without_index(&histories).await?;
    }
    if empty || shelf.index().needs_rebuild().is_some() || !shelf.in_step().await? {
        let report = shelf.rebuild().await?;
        tracing::info!(documents = report.documents, passages = report.passages, "knowledge index built");
    }
    Ok(())
}

/// Calls that the last life of the process left open wait for their audio; those that had ended are finished.
async fn take_up_calls(store: &Store, hub: &Hub) -> anyhow::Result<()> {
    for call in store.unfinished_calls().await? {
        let events = store.events(call.call_id.as_str(), 1, u32::MAX).await?;
        tracing::info!(call_id = %call.call_id, events = events.len(), "taking up an open call");
        if call.state == CallState::Post {
            // One call that cannot be finished now must not keep the service from all others; the next start tries again.
            if let Err(error) = hub.complete(&call, &events).await {
                tracing::error!(call_id = %call.call_id, %error, "a call that had ended could not be completed");
            }
        } else {
            // The bot on the telephone has a chat too, but its call waits for audio.
            let spoken = call.channel == crate::conversation::Channel::Voice;
            let chat = !spoken && store.chat_of_call(call.call_id.as_str()).await?.is_some();
            if chat { hub.take_up_chat(call, &events) } else { hub.take_up(call, &events) }
        }
    }
    Ok(())
}

/// The chat bot with its backend: a configured one, the practice backend for `sample`, or none.
async fn chat_desk(home: &Path, settings: &Settings, hub: &Hub) -> anyhow::Result<ChatDesk> {
    let url = match settings.chat.webhook_url.as_str() {
        "sample" => {
            let practice = PracticeBackend::start(super::chat_book(home)?.webhooks().to_vec()).await?;
            tracing::warn!("chat.webhook_url is \"sample\": business calls get sample answers");
            practice.room("service", crate::chat::Backend::new())
        }
        url => url.to_owned(),
    };
    let (home, copy, stages) = (home.to_path_buf(), settings.clone(), Arc::clone(hub.stages()));
    let bot = tokio::task::spawn_blocking(move || super::bot_around(&home, &copy, &stages, &url)).await??;
    Ok(ChatDesk::new(bot, settings.chat.clone()))
}

async fn make_first_token(tokens: &TokenBook, store: &Store) -> anyhow::Result<FirstToken> {
    let secret = new_secret();
    let token = TokenRecord {
        token_id: new_id(IdKind::Token),
        name: "development".into(),
        secret_sha256: hash_secret(&secret),
        scopes: Scope::ALL.to_vec(),
        row_filter: RowFilter::default(),
        created_at: now_rfc3339(),
        expires_at: None,
        revoked_at: None,
    };
    tokens.keep(store, token).await.context("first token")?;
    Ok(FirstToken { secret })
}

/// Plays sample calls in real time in the background.
fn sample_player(hub: Hub, home: &Path) -> SamplePlayer {
    let home = home.to_path_buf();
    Arc::new(move |sample_id: String| {
        let (hub, home) = (hub.clone(), home.clone());
        Box::pin(async move {
            let sample =
                load_samples(&home).into_iter().find(|s| s.id == sample_id).ok_or_else(|| Problem::not_found("sample call"))?;
            let call_id = CallId::new();
            let answer = call_id.to_string();
            let (opened, is_open) = tokio::sync::oneshot::channel();
            tokio::spawn(async move {
                let options =
                    PlayOptions { call_id: Some(call_id), opened: Some(opened), ..PlayOptions::for_sample(&sample, 1.0) };
                if let Err(error) = play(&hub, &sample.audio, options).await {
                    tracing::warn!(%error, "a sample call could not be played to its end");
                }
            });
            match is_open.await {
                Ok(Ok(())) => Ok(answer),
                Ok(Err(error)) => Err(Problem::from(error)),
                Err(_) => Err(Problem::new("internal", "the sample call could not be read")),
            }
        })
    })
}

/// Voice activity as set; what the words mean changes nothing if that is switched off.
pub fn vad_config(settings: &Settings) -> VadConfig {
    let known = VadConfig::default();
    let by_meaning = |ms: u32| if settings.vad.by_meaning { ms } else { 0 };
    VadConfig {
        hangover_ms: u32::try_from(settings.vad.endpoint_ms).unwrap_or(known.hangover_ms),
        max_segment_ms: u32::try_from(settings.vad.max_segment_ms).unwrap_or(known.max_segment_ms),
        complete_ms: by_meaning(known.complete_ms),
        unfinished_ms: by_meaning(known.unfinished_ms),
        ..known
    }
}

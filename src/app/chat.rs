//! Putting the chat bot together.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::stages::{StageOptions, build_stages};
use crate::chat::{ChatError, FlowBook};
use crate::config::Settings;
use crate::nlu::Taxonomy;
use crate::pipeline::{Backend, Bot, Rewriter, Stages};

/// The flows and the configuration of the bot of a home folder, checked.
///
/// # Errors
/// Every mistake in the files.
pub fn chat_book(home: &Path) -> anyhow::Result<FlowBook> {
    let pipelines = home.join("pipelines");
    let taxonomy = Taxonomy::load(&pipelines.join("taxonomy"))?;
    let intents: Vec<String> = taxonomy.entries().iter().map(|i| i.id.clone()).collect();
    FlowBook::load(&pipelines, &intents).map_err(|error: ChatError| anyhow::anyhow!("{error}"))
}

/// The bot around stages that are loaded already.
///
/// # Errors
/// The files have mistakes, or the encoder failed.
pub fn bot_around(home: &Path, settings: &Settings, stages: &Arc<Stages>, url: &str) -> anyhow::Result<Bot> {
    let chat = &settings.chat;
    let backend = Backend { url: url.to_owned(), secret: chat.webhook_secret.reveal().unwrap_or_default().to_owned() };
    let rewriter = (!chat.rewrite_url.is_empty()).then(|| {
        let timeout = Duration::from_millis(chat.rewrite_timeout_ms);
        Rewriter::new(&chat.rewrite_url, chat.rewrite_key.reveal().unwrap_or_default(), &chat.rewrite_model, timeout)
    });
    Ok(Bot::new(chat_book(home)?, Arc::clone(stages), backend, rewriter)?.in_zone(chat.utc_offset_min))
}

/// The bot with models and an index of its own, for commands that run without a service.
///
/// # Errors
/// See [`bot_around`] and [`build_stages`].
pub fn build_bot(home: &Path, settings: &Settings, index: &Path) -> anyhow::Result<Bot> {
    let options = StageOptions { recogniser: false, pipeline: "live-assist", index: Some(index), scheme: None };
    let built = build_stages(home, settings, options)?;
    bot_around(home, settings, &built.stages, &settings.chat.webhook_url)
}

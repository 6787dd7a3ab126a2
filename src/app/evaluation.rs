//! The built-in system that evaluation tasks run on.

use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::chat::bot_around;
use super::stages::{StageOptions, build_stages};
use crate::api::PracticeBackend;
use crate::config::Settings;
use crate::eval::{BuiltIn, ChatRig};

/// Loads models of its own for the stages of some tasks, so that a running service is not disturbed: the knowledge index is
/// filled anew by every task that searches. `index` is its folder; a temporary one by default. Must be called outside of
/// async code, within a runtime.
///
/// # Errors
/// See [`build_stages`]; the flows of the chat have mistakes.
pub fn evaluation_system(home: &Path, settings: &Settings, stages: &[&str], index: Option<&Path>) -> anyhow::Result<BuiltIn> {
    let listens = stages.iter().any(|s| matches!(*s, "recognise" | "recognise-live" | "chain"));
    let options = StageOptions { recogniser: listens, pipeline: "live-assist", index, scheme: None };
    let built = build_stages(home, settings, options)?;
    let system = BuiltIn::new(Arc::clone(&built.stages), &built.models, home.to_path_buf(), Handle::current());
    if !stages.contains(&"chat") {
        return Ok(system);
    }
    // Business calls of dialogues go to a backend to practise with, whatever the settings say.
    let bot = bot_around(home, settings, &built.stages, "")?;
    let webhooks = bot.dialogue().book().webhooks().to_vec();
    let practice = Handle::current().block_on(PracticeBackend::start(webhooks))?;
    let room = Arc::new(move |name: &str, answers: crate::chat::Backend| practice.room(name, answers));
    Ok(system.with_chat(ChatRig { bot: Arc::new(bot), room }))
}

//! `zhiyin assist`: a recording or a transcript through the live flow, events as JSON lines.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::Session;
use super::demo::read_speed;
use super::render::event_line;
use crate::app::{PlayOptions, StageOptions, build_stages, play, vad_config};
use crate::conversation::{CallId, Conversation};
use crate::event::{Call, MemorySink, NewCall, now_rfc3339};
use crate::pipeline::{Ending, Hub, HubConfig, NewMessage};

/// Arguments of `zhiyin assist`.
#[derive(Args)]
pub(super) struct AssistArguments {
    /// A recording (wav, mp3, flac, ogg/opus; two channels: customer left, agent right) or a conversation in JSON.
    file: PathBuf,
    /// Times real time, or `max`.
    #[arg(long, default_value = "max")]
    speed: String,
    /// Languages, most probable first.
    #[arg(long, value_delimiter = ',', default_value = "zh,en")]
    languages: Vec<String>,
    /// Queue: restricts the knowledge that is searched.
    #[arg(long)]
    queue: Option<String>,
    /// Lines for people instead of JSON.
    #[arg(long)]
    text: bool,
    /// Leave partials out.
    #[arg(long)]
    finals_only: bool,
}

pub(super) async fn run(session: Session, arguments: AssistArguments) -> anyhow::Result<ExitCode> {
    let speed = read_speed(&arguments.speed)?;
    let is_text = arguments.file.extension().is_some_and(|e| e == "json");
    let (home, settings) = (session.home.clone(), session.settings.clone());
    let index = super::knowledge::shared_index(&session).await?;
    let folder = index.path().to_path_buf();
    let built = tokio::task::spawn_blocking(move || {
        let options = StageOptions { recogniser: !is_text, pipeline: "live-assist", index: Some(&folder), scheme: None };
        build_stages(&home, &settings, options)
    })
    .await??;
    let (people, finals_only) = (arguments.text, arguments.finals_only);
    let sink = MemorySink::new(move |event| {
        if finals_only && event.sub > 0 {
            return;
        }
        if !people {
            println!("{}", serde_json::to_string(event).unwrap_or_default());
        } else if event.sub == 0
            && let Some(line) = event_line(event)
        {
            println!("{line}");
        }
    });
    let config = HubConfig {
        admission: crate::pipeline::Admission::up_to(1),
        resume_grace: Duration::from_secs(1),
        vad: vad_config(&session.settings),
    };
    let hub = Hub::new(built.stages, Arc::new(sink), config);
    if is_text {
        replay_text(&hub, &arguments).await?;
    } else {
        let options = PlayOptions {
            speed,
            languages: arguments.languages.clone(),
            queue: arguments.queue.clone(),
            ..PlayOptions::default()
        };
        play(&hub, &arguments.file, options).await?;
    }
    // The call's last events come after its end was acknowledged.
    while hub.open_calls().0 > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(ExitCode::SUCCESS)
}

fn read_conversation(file: &Path) -> anyhow::Result<Conversation> {
    let text = std::fs::read_to_string(file).with_context(|| format!("conversation {}", file.display()))?;
    let conversation: Conversation =
        serde_json::from_str(&text).with_context(|| format!("{}: not a conversation in JSON", file.display()))?;
    crate::quality::check_conversation(&conversation).with_context(|| file.display().to_string())?;
    Ok(conversation)
}

/// Turns of a written conversation as messages of a chat, at the times they have.
async fn replay_text(hub: &Hub, arguments: &AssistArguments) -> anyhow::Result<()> {
    let conversation = read_conversation(&arguments.file)?;
    let started_at = conversation.started_at.clone().unwrap_or_else(now_rfc3339);
    let request = NewCall {
        channel: crate::conversation::Channel::Chat,
        queue: arguments.queue.clone().or(conversation.queue),
        languages: conversation.language.into_iter().collect(),
        started_at: Some(started_at.clone()),
        ..NewCall::default()
    };
    let call = hub.open(Call::open(request, CallId::new(), &now_rfc3339())).await?;
    let start = chrono::DateTime::parse_from_rfc3339(&started_at).context("started_at is not an RFC 3339 time")?;
    for turn in conversation.turns.into_iter().filter(|t| !t.text.trim().is_empty()) {
        let sent = start + chrono::Duration::milliseconds(turn.start_ms.unwrap_or(0));
        let sent_at = Some(sent.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
        hub.message(
            &call.call_id,
            NewMessage { role: turn.role, text: turn.text, sent_at, external_id: None, ..NewMessage::default() },
        )
        .await?;
    }
    hub.end(&call.call_id, Ending { hangup_by: conversation.hangup_by, reason: "hangup".into() }).await?;
    Ok(())
}

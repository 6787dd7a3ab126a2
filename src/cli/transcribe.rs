//! `zhiyin transcribe`: recordings into transcripts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use super::Session;
use crate::app::{PlayOptions, StageOptions, build_stages, play};
use crate::conversation::{Conversation, Role};
use crate::event::{Event, MemorySink};
use crate::pipeline::{Hub, HubConfig, head_of, spoken_in};

/// Form of a transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// `role: text` lines.
    Txt,
    /// The conversation in its interchange form.
    Json,
    /// SubRip subtitles.
    Srt,
    /// WebVTT subtitles.
    Vtt,
}

impl Form {
    fn extension(self) -> &'static str {
        match self {
            Self::Txt => "txt",
            Self::Json => "json",
            Self::Srt => "srt",
            Self::Vtt => "vtt",
        }
    }
}

/// Arguments of `zhiyin transcribe`.
#[derive(Args)]
pub(super) struct TranscribeArguments {
    /// Recordings, or folders of recordings.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Form of the transcripts.
    #[arg(long, value_enum, default_value = "txt")]
    format: Form,
    /// Write one file per recording here; existing ones are not made again. Standard output by default.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Languages, most probable first.
    #[arg(long, value_delimiter = ',', default_value = "zh,en")]
    languages: Vec<String>,
    /// Roles of the channels.
    #[arg(long, value_delimiter = ',', default_value = "customer,agent")]
    roles: Vec<String>,
}

/// Kinds of recordings.
pub(super) const KNOWN: [&str; 8] = ["wav", "mp3", "flac", "ogg", "opus", "m4a", "mp4", "oga"];

pub(super) async fn run(session: Session, arguments: TranscribeArguments) -> anyhow::Result<ExitCode> {
    let files = recordings(&arguments.paths)?;
    anyhow::ensure!(!files.is_empty(), "no recordings found; known kinds are {}", KNOWN.join(", "));
    let roles = arguments
        .roles
        .iter()
        .map(|r| Role::from_name(r).with_context(|| format!("--roles: there is no role \"{r}\"")))
        .collect::<anyhow::Result<Vec<_>>>()?;
    if let Some(out) = &arguments.out {
        std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    }
    let (home, settings) = (session.home.clone(), session.settings.clone());
    let built = tokio::task::spawn_blocking(move || {
        build_stages(&home, &settings, StageOptions { recogniser: true, pipeline: "transcribe", index: None, scheme: None })
    })
    .await??;
    let bar = ProgressBar::new(files.len() as u64)
        .with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} recordings, {elapsed} elapsed, {eta} left {msg}")?);
    if arguments.out.is_none() {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let mut failed = 0;
    for file in &files {
        bar.set_message(file.file_name().unwrap_or_default().to_string_lossy().into_owned());
        let target = arguments.out.as_ref().map(|out| target(out, file, arguments.format));
        if target.as_ref().is_some_and(|t| t.exists()) {
            bar.inc(1);
            continue;
        }
        match transcribe(&built.stages, file, &arguments.languages, &roles).await {
            Ok(conversation) => write(&conversation, arguments.format, target.as_deref())?,
            Err(error) => {
                failed += 1;
                bar.suspend(|| eprintln!("{}: {error:#}", file.display()));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if failed > 0 {
        eprintln!("{failed} of {} recordings could not be transcribed", files.len());
        return Ok(ExitCode::from(2));
    }
    Ok(ExitCode::SUCCESS)
}

fn recordings(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).with_context(|| path.display().to_string())?;
            let mut inside: Vec<PathBuf> = entries
                .filter_map(|e| e.ok().map(|e| e.path()))
                .filter(|p| p.extension().is_some_and(|e| KNOWN.contains(&e.to_string_lossy().to_lowercase().as_str())))
                .collect();
            inside.sort();
            files.extend(inside);
        } else {
            anyhow::ensure!(path.is_file(), "{}: there is no such file", path.display());
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn target(out: &Path, file: &Path, form: Form) -> PathBuf {
    out.join(file.file_stem().unwrap_or_default()).with_extension(form.extension())
}

/// One recording through the listening stages.
pub(super) async fn transcribe(
    stages: &Arc<crate::pipeline::Stages>,
    file: &Path,
    languages: &[String],
    roles: &[Role],
) -> anyhow::Result<Conversation> {
    let events: Arc<parking_lot::Mutex<Vec<Event>>> = Arc::default();
    let kept = Arc::clone(&events);
    let sink = MemorySink::new(move |event| {
        if event.sub == 0 {
            kept.lock().push(event.clone());
        }
    });
    let config = HubConfig { max_calls: 1, resume_grace: Duration::from_secs(1), vad: crate::vad::VadConfig::default() };
    let hub = Hub::new(Arc::clone(stages), Arc::new(sink), config);
    let options = PlayOptions { languages: languages.to_vec(), roles: roles.to_vec(), ..PlayOptions::default() };
    let played = play(&hub, file, options).await?;
    let events = events.lock();
    Ok(Conversation::from_utterances(head_of(&played.call), &spoken_in(&events)))
}

/// Writes a transcript in its interchange form; it appears whole or not at all.
pub(super) fn save_transcript(conversation: &Conversation, target: &Path) -> anyhow::Result<()> {
    write(conversation, Form::Json, Some(target))
}

/// Writes a transcript; a file appears whole or not at all.
fn write(conversation: &Conversation, form: Form, target: Option<&Path>) -> anyhow::Result<()> {
    let text = match form {
        Form::Json => serde_json::to_string(conversation)? + "\n",
        Form::Txt => crate::api::transcript_lines(&conversation.turns),
        Form::Srt => crate::api::subtitles(&conversation.turns, false),
        Form::Vtt => crate::api::subtitles(&conversation.turns, true),
    };
    match target {
        None => print!("{text}"),
        Some(path) => {
            let part = path.with_extension("part");
            std::fs::write(&part, text)
                .and_then(|()| std::fs::rename(&part, path))
                .with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

//! `zhiyin transcribe`: recordings into transcripts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};

use super::Session;
use crate::app::{PlayOptions, StageOptions, build_stages, play, vad_config};
use crate::conversation::{Conversation, Role};
use crate::event::{Event, MemorySink};
use crate::pipeline::{Hub, HubConfig, head_of, spoken_in};
use crate::vad::VadConfig;

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
    /// Recordings, or folders of recordings (with the folders in them).
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Forms of the transcripts; more than one needs --out.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "txt")]
    format: Vec<Form>,
    /// Write a file per recording and form here, in the folders of the recordings; what is there is not made again, so a run
    /// that was stopped goes on. Standard output by default.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Recordings at once; 0: one per decoder.
    #[arg(long, default_value_t = 0)]
    jobs: usize,
    /// Languages, most probable first.
    #[arg(long, value_delimiter = ',', default_value = "zh,en")]
    languages: Vec<String>,
    /// Roles of the channels. By default two channels are customer and agent, and in one channel the speakers are told apart
    /// (`mixed`).
    #[arg(long, value_delimiter = ',')]
    roles: Vec<String>,
}

/// Kinds of recordings.
pub(super) const KNOWN: [&str; 8] = ["wav", "mp3", "flac", "ogg", "opus", "m4a", "mp4", "oga"];

/// A recording, and where its transcripts go below the output folder, without their extension.
struct Work {
    file: PathBuf,
    place: PathBuf,
}

pub(super) async fn run(session: Session, arguments: TranscribeArguments) -> anyhow::Result<ExitCode> {
    let works = recordings(&arguments.paths)?;
    anyhow::ensure!(!works.is_empty(), "no recordings found; known kinds are {}", KNOWN.join(", "));
    let forms = &arguments.format;
    anyhow::ensure!(forms.len() == 1 || arguments.out.is_some(), "--format names {} forms: give --out FOLDER", forms.len());
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
    let decoders = if session.settings.asr.decoders > 0 { session.settings.asr.decoders } else { num_cpus::get() };
    let jobs = if arguments.jobs > 0 { arguments.jobs } else { decoders };
    let bar = ProgressBar::new(works.len() as u64)
        .with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} recordings, {elapsed} elapsed, {eta} left {msg}")?);
    if arguments.out.is_none() {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let (stages, settings, languages) = (&built.stages, &session.settings, &arguments.languages);
    let outcomes = futures::stream::iter(&works).map(|work| {
        let missing: Vec<(Form, Option<PathBuf>)> = forms
            .iter()
            .map(|form| (*form, arguments.out.as_ref().map(|out| out.join(with_ending(&work.place, form.extension())))))
            .filter(|(_, target)| target.as_ref().is_none_or(|path| !path.exists()))
            .collect();
        let roles = &roles;
        async move {
            if missing.is_empty() {
                return (work, missing, Ok(None));
            }
            let heard = transcribe(stages, vad_config(settings), &work.file, languages, roles).await;
            (work, missing, heard.map(Some))
        }
    });
    // In the order given, so that standard output is the same however many run at once.
    let mut outcomes = outcomes.buffered(jobs);
    let (mut failed, mut made_before) = (0, 0);
    while let Some((work, missing, outcome)) = outcomes.next().await {
        let kept = outcome.and_then(|conversation| match conversation {
            None => {
                made_before += 1;
                Ok(())
            }
            Some(conversation) => missing.iter().try_for_each(|(form, target)| write(&conversation, *form, target.as_deref())),
        });
        if let Err(error) = kept {
            failed += 1;
            bar.suspend(|| eprintln!("{}: {error:#}", work.file.display()));
        }
        bar.set_message(work.place.display().to_string());
        bar.inc(1);
    }
    bar.finish_and_clear();
    if let Some(out) = &arguments.out {
        let made = works.len() - failed - made_before;
        eprintln!("{made} transcribed, {made_before} were there, {failed} failed; in {}", out.display());
    }
    if failed > 0 {
        eprintln!("{failed} of {} recordings could not be transcribed; the same command tries them again", works.len());
        return Ok(ExitCode::from(2));
    }
    Ok(ExitCode::SUCCESS)
}

/// All recordings below the paths, each once, in order. Two of the same place keep their own ending in the name.
fn recordings(paths: &[PathBuf]) -> anyhow::Result<Vec<Work>> {
    let mut files: Vec<(PathBuf, PathBuf)> = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut inside = Vec::new();
            below(path, &mut inside).with_context(|| path.display().to_string())?;
            inside.sort();
            for file in inside {
                let place = file.strip_prefix(path).unwrap_or(&file).to_path_buf();
                files.push((file, place));
            }
        } else {
            anyhow::ensure!(path.is_file(), "{}: there is no such file", path.display());
            files.push((path.clone(), PathBuf::from(path.file_name().unwrap_or_default())));
        }
    }
    let mut taken: HashMap<PathBuf, usize> = HashMap::new();
    for (_, place) in &files {
        *taken.entry(place.with_extension("")).or_insert(0) += 1;
    }
    let mut works: Vec<Work> = Vec::new();
    for (file, place) in files {
        let bare = place.with_extension("");
        let place = if taken[&bare] > 1 { place } else { bare };
        if works.iter().any(|work| work.file == file) {
            continue;
        }
        if let Some(other) = works.iter().find(|work| work.place == place) {
            anyhow::bail!(
                "{} and {} would have the same transcript; give them in separate runs",
                other.file.display(),
                file.display()
            );
        }
        works.push(Work { file, place });
    }
    Ok(works)
}

/// Recordings in a folder and the folders in it; links to folders are not followed.
fn below(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            below(&path, found)?;
        } else if path.extension().is_some_and(|e| KNOWN.contains(&e.to_string_lossy().to_lowercase().as_str())) {
            found.push(path);
        }
    }
    Ok(())
}

/// A path with an ending behind its whole name: `call.1` becomes `call.1.txt`.
fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// One recording through the listening stages, which end an utterance as `vad` says.
pub(super) async fn transcribe(
    stages: &Arc<crate::pipeline::Stages>,
    vad: VadConfig,
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
    let config = HubConfig { admission: crate::pipeline::Admission::up_to(1), resume_grace: Duration::from_secs(1), vad };
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
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
            }
            let part = with_ending(path, "part");
            std::fs::write(&part, text)
                .and_then(|()| std::fs::rename(&part, path))
                .with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

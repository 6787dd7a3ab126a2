//! `zhiyin quality score`: conversations of files through annotation, rules and scheme, in parallel and resumable.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rayon::prelude::*;

use super::Session;
use super::transcribe::{KNOWN as RECORDINGS, save_transcript, transcribe};
use crate::app::{StageOptions, build_stages, load_scheme, vad_config};
use crate::conversation::{Conversation, Language, Role};
use crate::pipeline::{
    CONVERSATION_FILES, Journal, RawConversation, Refused, Stages, annotate, conversations, files_of, is_kind, scorecard,
    scorecards, write_parquet,
};
use crate::quality::Scheme;
use crate::quality::report::Report;
use crate::quality::spreadsheet;

/// Conversations that are read, annotated and scored together.
const BATCH: usize = 256;
/// Text that is read before a batch is scored, however few conversations it holds.
const BATCH_BYTES: usize = 64 << 20;
/// Conversations that a report shows with their evidence.
const WORST: usize = 20;
/// Between two lines of progress where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Arguments of `zhiyin quality score`.
#[derive(Args)]
pub(super) struct ScoreArguments {
    /// JSON, JSONL and Parquet files of conversations, recordings, and folders of them.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Scheme id or file.
    #[arg(long)]
    scheme: Option<String>,
    /// Folder for scores.jsonl, scores.parquet, hits.parquet, scores.csv and report.html; run again to go on.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Language of the report: zh or en.
    #[arg(long, default_value = "zh")]
    language: String,
    /// Roles of the channels of recordings.
    #[arg(long, value_delimiter = ',', default_value = "customer,agent")]
    roles: Vec<String>,
}

/// What happened to the conversations of a run.
#[derive(Default)]
struct Tally {
    scored: usize,
    known: usize,
    refused: usize,
}

struct Run<'r> {
    stages: &'r Stages,
    journal: Journal,
    refusals: BufWriter<File>,
    tally: Tally,
    progress: Progress,
    batch: Vec<RawConversation>,
    batch_bytes: usize,
}

pub(super) fn run(session: &Session, arguments: &ScoreArguments) -> anyhow::Result<ExitCode> {
    let language =
        Language::from_tag(&arguments.language).with_context(|| format!("--language {}: give zh or en", arguments.language))?;
    let kinds: Vec<&str> = CONVERSATION_FILES.into_iter().chain(RECORDINGS).collect();
    let files = files_of(&arguments.paths, &kinds).map_err(anyhow::Error::msg)?;
    anyhow::ensure!(!files.is_empty(), "no conversations found; known kinds of files are {}", kinds.join(", "));
    let out = &arguments.out;
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let target = out.join("scores.jsonl");
    let journal = Journal::open(&target).map_err(anyhow::Error::msg)?;
    if let Some(scheme) = &arguments.scheme {
        load_scheme(&session.home.join("pipelines/schemes"), scheme)?;
    }
    let sounds = files.iter().any(|f| is_kind(f, &RECORDINGS));
    let options =
        StageOptions { recogniser: sounds, pipeline: "quality-review", index: None, scheme: arguments.scheme.as_deref() };
    let stages = build_stages(&session.home, &session.settings, options)?.stages;
    let encoder = stages.encoder.model().version();
    journal.expect_made_by(stages.rules().rules(), [&*stages.scheme()], encoder).map_err(anyhow::Error::msg)?;
    let inputs = with_transcripts(session, &stages, files, arguments)?;
    let total: u64 = inputs.files.iter().filter_map(|f| f.metadata().ok()).map(|m| m.len()).sum();
    let mut run = Run {
        stages: &stages,
        journal,
        refusals: BufWriter::new(File::create(out.join("refused.jsonl"))?),
        tally: Tally { refused: inputs.refused.len(), ..Tally::default() },
        progress: Progress::new(total)?,
        batch: Vec::with_capacity(BATCH),
        batch_bytes: 0,
    };
    for refused in &inputs.refused {
        run.write_refusal(refused)?;
    }
    run.score_files(&inputs.files)?;
    let Run { journal, tally, progress, mut refusals, .. } = run;
    refusals.flush()?;
    progress.bar.finish_and_clear();
    write_parquet(&target, out).map_err(anyhow::Error::msg)?;
    write_reports(out, &target, &stages.scheme(), &inputs.files, language)?;
    let rate = tally.scored as f64 / progress.begun.elapsed().as_secs_f64().max(1e-9) * 3_600.0;
    println!(
        "{} scored now ({rate:.0} an hour), {} known before, {} in all, {} refused{}; see {}",
        tally.scored,
        tally.known,
        journal.len(),
        tally.refused,
        if tally.refused > 0 { " (refused.jsonl names them)" } else { "" },
        out.join("report.html").display()
    );
    Ok(if tally.refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

struct Inputs {
    files: Vec<PathBuf>,
    refused: Vec<Refused>,
}

/// Recordings become transcripts first, kept in `transcripts/` so that a second run does not recognise them again.
fn with_transcripts(
    session: &Session,
    stages: &std::sync::Arc<Stages>,
    files: Vec<PathBuf>,
    arguments: &ScoreArguments,
) -> anyhow::Result<Inputs> {
    let (sounds, mut texts): (Vec<PathBuf>, Vec<PathBuf>) = files.into_iter().partition(|f| is_kind(f, &RECORDINGS));
    let mut refused = Vec::new();
    if sounds.is_empty() {
        return Ok(Inputs { files: texts, refused });
    }
    let roles = arguments
        .roles
        .iter()
        .map(|r| Role::from_name(r).with_context(|| format!("--roles: there is no role \"{r}\"")))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let folder = arguments.out.join("transcripts");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let options = StageOptions { recogniser: true, pipeline: "transcribe", index: None, scheme: arguments.scheme.as_deref() };
    // Listening needs the stages of the transcription pipeline; the models in them are the same.
    let ears = build_stages(&session.home, &session.settings, options)?.stages;
    let (vad, languages) = (vad_config(&session.settings), vec!["zh".to_owned(), "en".to_owned()]);
    let bar = ProgressBar::new(sounds.len() as u64)
        .with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} recordings, {eta} left {msg}")?);
    let mut by_name: HashMap<_, &PathBuf> = HashMap::new();
    for sound in &sounds {
        if let Some(other) = by_name.insert(sound.file_name(), sound) {
            let (one, two) = (other.display(), sound.display());
            anyhow::bail!("{one} and {two} would have one transcript; score them into --out folders of their own");
        }
    }
    for sound in &sounds {
        let name = sound.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let target = folder.join(format!("{name}.json"));
        if !target.is_file() {
            let heard = tokio::runtime::Handle::current().block_on(transcribe(&ears, vad.clone(), sound, &languages, &roles));
            let kept = heard.and_then(|c| save_transcript(&Conversation { id: name.clone(), ..c }, &target));
            if let Err(error) = kept {
                let place = sound.display().to_string();
                bar.suspend(|| eprintln!("{place}: {error:#}"));
                refused.push(Refused { place, reason: format!("{error:#}") });
                bar.inc(1);
                continue;
            }
        }
        texts.push(target);
        bar.inc(1);
    }
    bar.finish_and_clear();
    debug_assert!(stages.recogniser.is_some());
    Ok(Inputs { files: texts, refused })
}

impl Run<'_> {
    fn score_files(&mut self, files: &[PathBuf]) -> anyhow::Result<()> {
        let mut before = 0;
        for file in files {
            let mut failed = None;
            let outcome = conversations(file, |raw, bytes| {
                self.progress.bytes = before + bytes;
                self.take(raw).map_err(|error| {
                    let text = error.to_string();
                    failed = Some(error);
                    text
                })
            });
            match (outcome, failed) {
                (Err(_), Some(error)) => return Err(error),
                // A file that cannot be read at all is named; the others go on.
                (Err(reason), None) => self.refuse(&Refused { place: file.display().to_string(), reason })?,
                (Ok(()), _) => {}
            }
            before += file.metadata().map_or(0, |m| m.len());
        }
        self.flush()
    }

    fn take(&mut self, raw: RawConversation) -> anyhow::Result<()> {
        self.batch_bytes += raw.text.as_ref().map_or(0, Vec::len);
        self.batch.push(raw);
        if self.batch.len() == BATCH || self.batch_bytes >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    /// Reads, annotates and scores the batch on all processors, and appends it to the journal.
    fn flush(&mut self) -> anyhow::Result<()> {
        self.batch_bytes = 0;
        let read: Vec<Result<Conversation, Refused>> =
            std::mem::take(&mut self.batch).into_par_iter().map(RawConversation::read).collect();
        let mut fresh: Vec<Conversation> = Vec::with_capacity(read.len());
        for outcome in read {
            match outcome {
                // The second of one id is the same conversation: it is scored once.
                Ok(c) if self.journal.has(&c.id) || fresh.iter().any(|f| f.id == c.id) => self.tally.known += 1,
                Ok(conversation) => fresh.push(conversation),
                Err(refused) => self.refuse(&refused)?,
            }
        }
        let stages = self.stages;
        let lines: Vec<(String, Vec<u8>)> = fresh
            .into_par_iter()
            .map(|conversation| {
                let annotated = annotate(stages, conversation)?;
                let card = scorecard(stages, &annotated)?;
                Ok((annotated.id, serde_json::to_vec(&card)?))
            })
            .collect::<anyhow::Result<_>>()?;
        self.journal.append(&lines).map_err(anyhow::Error::msg)?;
        self.tally.scored += lines.len();
        self.progress.show(self.tally.scored);
        Ok(())
    }

    fn refuse(&mut self, refused: &Refused) -> anyhow::Result<()> {
        self.tally.refused += 1;
        self.progress.bar.suspend(|| eprintln!("{}: {}", refused.place, refused.reason));
        self.write_refusal(refused)
    }

    fn write_refusal(&mut self, refused: &Refused) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.refusals, refused)?;
        Ok(self.refusals.write_all(b"\n")?)
    }
}

/// How far the run is, by bytes of the inputs: a bar on a terminal, else a line now and then.
struct Progress {
    bar: ProgressBar,
    begun: Instant,
    last_line: Instant,
    total: u64,
    bytes: u64,
}

impl Progress {
    fn new(total: u64) -> anyhow::Result<Self> {
        let bar = ProgressBar::new(total)
            .with_style(ProgressStyle::with_template("{bar:30} {percent} %, {msg}, {elapsed} elapsed, {eta} left")?);
        if !std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Ok(Self { bar, begun: Instant::now(), last_line: Instant::now(), total, bytes: 0 })
    }

    fn show(&mut self, scored: usize) {
        let elapsed = self.begun.elapsed().as_secs_f64().max(1e-9);
        let rate = scored as f64 / elapsed;
        self.bar.set_message(format!("{scored} conversations, {rate:.0}/s"));
        self.bar.set_position(self.bytes.min(self.total));
        if self.bar.is_hidden() && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let share = self.bytes as f64 / self.total.max(1) as f64;
            let left = elapsed / share.max(1e-9) - elapsed;
            eprintln!("{scored} scored, {rate:.0}/s, {:.0} %, about {left:.0} s left", share * 100.0);
        }
    }
}

/// CSV and HTML of everything in the journal.
fn write_reports(out: &Path, scores: &Path, scheme: &Scheme, inputs: &[PathBuf], language: Language) -> anyhow::Result<()> {
    let mut csv = BufWriter::new(File::create(out.join("scores.csv"))?);
    let dimensions: Vec<String> = scheme.dimensions().map(str::to_owned).collect();
    let dimensions: Vec<&str> = dimensions.iter().map(String::as_str).collect();
    // A byte order mark, so that spreadsheets read UTF-8.
    write!(csv, "\u{FEFF}{}", spreadsheet::csv_header(&dimensions))?;
    let mut worst: Vec<(f64, String)> = Vec::new();
    scorecards(scores, |card| {
        csv.write_all(spreadsheet::csv_line(&card, &dimensions).as_bytes()).map_err(|e| e.to_string())?;
        if let Some(total) = card.total {
            let place = worst.partition_point(|(t, _)| *t <= total);
            if place < WORST {
                worst.insert(place, (total, card.call_id));
                worst.truncate(WORST);
            }
        }
        Ok(())
    })
    .map_err(anyhow::Error::msg)?;
    csv.flush()?;
    // Only the worst conversations are read again, for their evidence.
    let mut shown: std::collections::HashMap<String, Conversation> = std::collections::HashMap::new();
    let ids = aho_corasick::AhoCorasick::new(worst.iter().map(|(_, id)| id).filter(|id| !id.is_empty()))?;
    for input in inputs {
        let found = conversations(input, |raw, _| {
            if raw.text.as_ref().is_ok_and(|text| ids.is_match(text))
                && let Ok(c) = raw.read()
                && worst.iter().any(|(_, id)| *id == c.id)
            {
                shown.insert(c.id.clone(), c);
            }
            Ok::<(), String>(())
        });
        // A file that could not be read was refused above.
        drop(found);
    }
    let mut page = Report::new(scheme.name.as_deref().unwrap_or(&scheme.id), language, WORST);
    scorecards(scores, |card| {
        page.add(&card, shown.get(&card.call_id));
        Ok(())
    })
    .map_err(anyhow::Error::msg)?;
    std::fs::write(out.join("report.html"), page.html())?;
    Ok(())
}

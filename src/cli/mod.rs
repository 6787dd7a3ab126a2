//! The command line: one file per subcommand. Together with `bench` the only room that prints.
//!
//! ```no_run
//! use clap::Parser;
//! let arguments = zhiyin::cli::Arguments::parse_from(["zhiyin", "config", "show"]);
//! let _exit_code = zhiyin::cli::main(arguments);
//! ```

mod assist;
pub(crate) mod chat;
mod config;
mod datasets;
mod demo;
mod emotion;
mod eval;
mod eval_compare;
mod eval_errors;
mod eval_items;
mod eval_print;
mod knowledge;
mod models;
mod privacy;
mod quality;
mod quality_accuracy;
mod quality_diff;
mod quality_import;
mod quality_score;
mod render;
mod serve;
mod text;
mod train;
mod transcribe;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Settings, find_home};
use crate::telemetry::init_logs;

/// Zhiyin (知音): assistance for customer-service centres in Mandarin and English.
#[derive(Parser)]
#[command(name = "zhiyin", version, about, propagate_version = true)]
pub struct Arguments {
    /// Configuration file (TOML); built-in defaults without it.
    #[arg(long, short, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Log filter, for example `info` or `zhiyin=debug`.
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service: HTTP and WebSocket interface, live page at `/`.
    Serve(serve::ServeArguments),
    /// Start the service, play a sample call and show what an agent sees.
    Demo(demo::DemoArguments),
    /// Turn recordings into transcripts (txt, json, srt, vtt).
    Transcribe(transcribe::TranscribeArguments),
    /// Replay a recording or a transcript through the live flow; events as JSON lines.
    Assist(assist::AssistArguments),
    /// Quality inspection: score conversations, check and test rules.
    Quality {
        #[command(subcommand)]
        command: quality::QualityCommand,
    },
    /// Knowledge base: import documents, search.
    Knowledge {
        #[command(subcommand)]
        command: knowledge::KnowledgeCommand,
    },
    /// Chat bot: talk to it in the terminal, check its flows, play its stories.
    Chat(chat::ChatArguments),
    /// Models: list, pull, verify, show, remove.
    Models {
        #[command(subcommand)]
        command: models::ModelsCommand,
    },
    /// Correlation of escalation risk and predicted satisfaction with labelled conversations.
    Emotion(emotion::EmotionArguments),
    /// Text: write spoken numbers, run cases of it.
    Text {
        #[command(subcommand)]
        command: text::TextCommand,
    },
    /// Personal data: measure, find, take out of a conversation and its recording.
    Privacy {
        #[command(subcommand)]
        command: privacy::PrivacyCommand,
    },
    /// Train a head on labelled texts of your own.
    Train(Box<train::TrainArguments>),
    /// Data sets: check the project's own, list and fetch public ones.
    Datasets {
        #[command(subcommand)]
        command: datasets::DatasetsCommand,
    },
    /// Settings: show the resolved ones, check a file.
    Config {
        #[command(subcommand)]
        command: config::ConfigCommand,
    },
    /// Calls for a long time: does memory stay flat, lag bounded, every call whole?
    Soak(crate::bench::soak::SoakArguments),
    /// Evaluation: tasks, comparisons, gate, mistakes.
    Eval {
        #[command(subcommand)]
        command: Box<eval::EvalCommand>,
    },
    /// Measure this machine: live, start, encoder, quality.
    Bench {
        #[command(subcommand)]
        command: crate::bench::BenchCommand,
    },
}

/// What every command knows.
pub(crate) struct Session {
    pub(crate) home: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) config_file: Option<PathBuf>,
}

/// Runs a command line; errors are printed with their causes.
pub fn main(arguments: Arguments) -> ExitCode {
    match dispatch(arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("zhiyin: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  because: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: Arguments) -> anyhow::Result<ExitCode> {
    if let Command::Config { command } = &arguments.command {
        return config::run(command, arguments.config.as_deref());
    }
    let settings = Settings::load(arguments.config.as_deref())?;
    // Commands that print results stay quiet on standard error unless asked.
    let quiet = !matches!(arguments.command, Command::Serve(_));
    let filter = arguments.log.unwrap_or_else(|| if quiet { "warn".into() } else { settings.log.filter.clone() });
    init_logs(&filter, settings.log.format);
    let session = Session { home: find_home()?, settings, config_file: arguments.config };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match arguments.command {
            Command::Serve(arguments) => serve::run(session, arguments).await,
            Command::Demo(arguments) => demo::run(session, arguments).await,
            Command::Transcribe(arguments) => transcribe::run(session, arguments).await,
            Command::Assist(arguments) => assist::run(session, arguments).await,
            Command::Quality { command } => quality::run(session, command).await,
            Command::Knowledge { command } => knowledge::run(session, command).await,
            Command::Chat(arguments) => chat::run(session, arguments).await,
            Command::Models { command } => {
                let registry = crate::app::registry(&session.home, &session.settings)?;
                models::run(command, &registry, &session.settings.encoder.model).await
            }
            Command::Datasets { command } => datasets::run(session, command).await,
            Command::Emotion(arguments) => emotion::run(&session, arguments),
            Command::Text { command } => text::run(command),
            Command::Privacy { command } => privacy::run(command),
            Command::Train(arguments) => train::run(session, *arguments).await,
            Command::Soak(arguments) => crate::bench::soak::run(session, arguments).await,
            Command::Eval { command } => eval::run(session, *command).await,
            Command::Bench { command } => crate::bench::run(session, command).await,
            Command::Config { .. } => Ok(ExitCode::SUCCESS),
        }
    })
}

//! Measurements of this machine, printed as one JSON object on one line (`--json`).
//!
//! Figures keep their names, so that runs can be compared over time.

mod chat;
mod encoder;
mod intake;
mod knowledge;
mod live;
mod machine;
mod nonspeech;
mod overload;
mod quality;
mod reconnect;
pub(crate) mod soak;
mod start;
mod wire;

use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::Session;

/// Subcommands of `zhiyin bench`.
#[derive(Subcommand)]
pub enum BenchCommand {
    /// Sample calls in real time, several at once: latency from the end of speech to final and suggestion.
    Live(live::LiveArguments),
    /// Several times as many calls as the node carries: admitted, refused, nothing lost.
    Overload(overload::OverloadArguments),
    /// Audio and event connections cut at random moments and taken up again: no final lost, none twice.
    Reconnect(reconnect::ReconnectArguments),
    /// New text conversations at a steady rate through the whole service, over HTTP.
    Intake(intake::IntakeArguments),
    /// Audio without speech through the listening stage: invented words.
    Nonspeech(nonspeech::NonspeechArguments),
    /// Cold start to ready, and resident memory.
    Start(start::StartArguments),
    /// Texts a second through the encoder.
    Encoder(encoder::EncoderArguments),
    /// Conversations an hour through annotation, rules and scoring.
    Quality(quality::QualityArguments),
    /// Chats with the bot over HTTP, many at once: message to first token; and the stories.
    Chat(chat::ChatBenchArguments),
    /// Building and searching a large knowledge index, quality of the ranking.
    Knowledge(knowledge::KnowledgeArguments),
}

/// Runs a bench.
///
/// # Errors
/// The bench could not be set up; a figure that misses its target is no error.
pub(crate) async fn run(session: Session, command: BenchCommand) -> anyhow::Result<ExitCode> {
    match command {
        BenchCommand::Live(arguments) => live::run(session, arguments).await,
        BenchCommand::Overload(arguments) => overload::run(session, arguments).await,
        BenchCommand::Reconnect(arguments) => reconnect::run(session, arguments).await,
        BenchCommand::Intake(arguments) => intake::run(session, arguments).await,
        BenchCommand::Nonspeech(arguments) => tokio::task::spawn_blocking(move || nonspeech::run(&session, &arguments)).await?,
        BenchCommand::Start(arguments) => start::run(session, arguments).await,
        BenchCommand::Encoder(arguments) => encoder::run(session, arguments),
        BenchCommand::Quality(arguments) => quality::run(session, arguments),
        BenchCommand::Chat(arguments) => chat::run(session, arguments).await,
        BenchCommand::Knowledge(arguments) => tokio::task::spawn_blocking(move || knowledge::run(&session, &arguments)).await?,
    }
}

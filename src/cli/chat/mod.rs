//! `zhiyin chat`: talk to the bot in the terminal, check its files, play its stories, measure it.

mod grounding;
mod measure;
pub(crate) mod play;
mod thresholds;

use std::io::{BufRead, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;

use super::Session;
use crate::api::PracticeBackend;
use crate::app::chat_book;
use crate::chat::{Backend as Answers, State, load_stories};
use crate::conversation::Language;
use crate::pipeline::{Backend, Bot, Talker};

/// Subcommands of `zhiyin chat`; without one: a conversation in the terminal.
#[derive(clap::Args)]
pub(super) struct ChatArguments {
    #[command(subcommand)]
    command: Option<ChatCommand>,
    /// Language of the greeting, `zh` or `en`.
    #[arg(long, default_value = "zh")]
    language: String,
    /// Also show what the bot did.
    #[arg(long)]
    acts: bool,
}

#[derive(Subcommand)]
enum ChatCommand {
    /// Check flows, webhooks, stories: every mistake with file, line and the nearest known name.
    Check,
    /// Play the stories of all flows or of one, on the real engine; or measure a test set.
    Test {
        /// Flow whose stories are played.
        flow: Option<String>,
        /// Folder of the dialogue test set.
        #[arg(long, value_name = "FOLDER")]
        set: Option<PathBuf>,
        /// Which part of the test set: `dev`, `test` or `all`.
        #[arg(long, default_value = "test")]
        split: String,
        /// Show every miss of the test set, every turn of failed stories.
        #[arg(long, short)]
        verbose: bool,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Measure on labelled sentences how well reworded answers are checked against the passage they cite.
    Grounding {
        /// File of labelled sentences; those of the project by default.
        file: Option<PathBuf>,
        /// Which part: `dev`, `test` or `all`.
        #[arg(long, default_value = "test")]
        split: String,
        /// Show every sentence on which the check is wrong.
        #[arg(long, short)]
        verbose: bool,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Choose when the bot is sure enough: the thresholds of `pipelines/chat.toml` that do best on the dev part of a dialogue
    /// test set. Nothing is written.
    Thresholds {
        /// Folder of the dialogue test set; that of the project by default.
        #[arg(long, value_name = "FOLDER")]
        set: Option<PathBuf>,
        /// Share of the answerable questions that must get an answer.
        #[arg(long, default_value_t = 0.78)]
        coverage: f64,
    },
}

pub(super) async fn run(session: Session, arguments: ChatArguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        None => terminal(&session, &arguments.language, arguments.acts).await,
        Some(ChatCommand::Check) => check(&session),
        Some(ChatCommand::Test { set: Some(set), split, verbose, json, .. }) => {
            measure::run(&session, &set, &split, verbose, json).await
        }
        Some(ChatCommand::Grounding { file, split, verbose, json }) => {
            let file = file.unwrap_or_else(|| session.home.join("datasets/grounding/sentences.jsonl"));
            grounding::run(&file, &split, verbose, json)
        }
        Some(ChatCommand::Thresholds { set, coverage }) => {
            let set = set.unwrap_or_else(|| session.home.join("datasets/dialogue"));
            thresholds::run(&session, &set, coverage).await
        }
        Some(ChatCommand::Test { flow, verbose, json, .. }) => {
            let played = play::stories(&session, flow.as_deref()).await?;
            Ok(play::report(&played, verbose, json))
        }
    }
}

/// The bot over the built-in articles, and the practice backend.
pub(crate) async fn practice_bot(session: &Session) -> anyhow::Result<(Arc<Bot>, PracticeBackend)> {
    let folder = super::knowledge::shared_index(session).await?.keep();
    let (home, settings) = (session.home.clone(), session.settings.clone());
    let bot = tokio::task::spawn_blocking(move || crate::app::build_bot(&home, &settings, &folder)).await??;
    let practice = PracticeBackend::start(bot.dialogue().book().webhooks().to_vec()).await?;
    Ok((Arc::new(bot), practice))
}

/// The articles' ids as their files name them, by document id.
pub(crate) fn article_names(home: &Path) -> std::collections::HashMap<String, String> {
    let mut names = std::collections::HashMap::new();
    for language in ["zh", "en"] {
        let Ok(entries) = std::fs::read_dir(home.join("pipelines/knowledge").join(language)) else { continue };
        for path in entries.filter_map(|e| e.ok().map(|e| e.path())) {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let id = text.lines().find_map(|l| l.strip_prefix("id = \"")).and_then(|l| l.strip_suffix('"'));
            if let Some(id) = id {
                names.insert(crate::knowledge::document_id_of(id), id.to_owned());
            }
        }
    }
    names
}

fn check(session: &Session) -> anyhow::Result<ExitCode> {
    let book = match chat_book(&session.home) {
        Ok(book) => book,
        Err(error) => {
            println!("{error}");
            return Ok(ExitCode::FAILURE);
        }
    };
    let (files, problems) = load_stories(&session.home.join("pipelines/chat/stories"), &book)?;
    for problem in &problems {
        println!("{problem}");
    }
    let stories: usize = files.iter().map(|(_, file)| file.stories.len()).sum();
    println!(
        "{} flows, {} business calls, {stories} stories, {} problems",
        book.flows().len(),
        book.webhooks().len(),
        problems.len()
    );
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn terminal(session: &Session, language: &str, show_acts: bool) -> anyhow::Result<ExitCode> {
    let language = Language::from_tag(language).ok_or_else(|| anyhow::anyhow!("--language {language}: give zh or en"))?;
    let (bot, practice) = practice_bot(session).await?;
    let configured = &session.settings.chat;
    let url = match configured.webhook_url.as_str() {
        "" | "sample" => {
            eprintln!("(business calls get the sample answers of pipelines/chat/webhooks.toml; leave with an empty line)");
            practice.room("terminal", Answers::new())
        }
        url => url.to_owned(),
    };
    let backend = Backend { url, secret: configured.webhook_secret.reveal().unwrap_or_default().to_owned() };
    let names = article_names(&session.home);
    let mut state = State::new(language, Bot::today(configured.utc_offset_min));
    println!("{}", bot.dialogue().book().config.text("greeting", language));
    loop {
        print!("> ");
        std::io::stdout().flush()?;
        let Some(line) = std::io::stdin().lock().lines().next().transpose()? else { break };
        if line.trim().is_empty() {
            break;
        }
        let talker = Talker { key: "terminal", queue: None, consent: true };
        let turn = bot.reply_at(&state, &line, &talker, Some(&backend)).await?;
        println!("{}", turn.text());
        if !turn.buttons.is_empty() {
            let titles: Vec<&str> = turn.buttons.iter().map(|b| b.title.as_str()).collect();
            println!("  [{}]", titles.join("] ["));
        }
        if show_acts {
            println!(
                "  ~ {}",
                crate::chat::acts_written(&turn.acts, &|id| names.get(id).cloned().unwrap_or_else(|| id.to_owned()))
            );
        }
        if let Some(context) = &turn.hand_over {
            let queue = context.queue.as_deref().unwrap_or("-");
            println!(
                "  (to a person: {}, queue {queue}, priority {}: {})",
                context.reason.name(),
                context.priority,
                context.summary
            );
            state = State::new(turn.state.language, turn.state.today);
            continue;
        }
        state = turn.state;
    }
    Ok(ExitCode::SUCCESS)
}

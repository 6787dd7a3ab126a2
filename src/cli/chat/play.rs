//! Playing stories: real engine, real models, business calls over HTTP.

use std::collections::HashMap;
use std::process::ExitCode;

use super::super::Session;
use super::{article_names, practice_bot};
use crate::api::PracticeBackend;
use crate::chat::{Act, State, Story, acts_written, difference, end_difference, load_stories};
use crate::pipeline::{Backend, Bot, Talker};

/// One story as it went.
pub(crate) struct Played {
    flow: String,
    name: String,
    language: &'static str,
    kind: String,
    /// What each turn did.
    log: Vec<String>,
    /// Why it failed; `None`: it went as written.
    pub(crate) failure: Option<String>,
}

/// Plays the stories of all flows or of one.
pub(crate) async fn stories(session: &Session, flow: Option<&str>) -> anyhow::Result<Vec<Played>> {
    let (bot, practice) = practice_bot(session).await?;
    let (files, problems) = load_stories(&session.home.join("pipelines/chat/stories"), bot.dialogue().book())?;
    if !problems.is_empty() {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::bail!("stories cannot be played:\n{}", lines.join("\n"));
    }
    if let Some(flow) = flow.filter(|f| !files.iter().any(|(_, file)| file.flow == **f)) {
        let known: Vec<&str> = files.iter().map(|(_, file)| file.flow.as_str()).collect();
        anyhow::bail!("there are no stories of \"{flow}\"; known are {}", known.join(", "));
    }
    let names = article_names(&session.home);
    let mut played = Vec::new();
    for (_, file) in files.iter().filter(|(_, file)| flow.is_none_or(|f| f == file.flow)) {
        for (index, story) in file.stories.iter().enumerate() {
            let room = format!("{}-{index}", file.flow);
            let mut player = Player { bot: &bot, practice: &practice, names: &names, room, today: file.today, log: Vec::new() };
            let failure = player.play(story).await?;
            played.push(Played {
                flow: file.flow.clone(),
                name: story.name.clone(),
                language: story.language.name(),
                kind: story.kind.clone(),
                log: player.log,
                failure,
            });
        }
    }
    Ok(played)
}

struct Player<'a> {
    bot: &'a Bot,
    practice: &'a PracticeBackend,
    names: &'a HashMap<String, String>,
    room: String,
    today: chrono::NaiveDate,
    log: Vec<String>,
}

impl Player<'_> {
    /// Plays one story to its end or to its first difference.
    async fn play(&mut self, story: &Story) -> anyhow::Result<Option<String>> {
        let backend = Backend { url: self.practice.room(&self.room, story.backend.clone()), secret: String::new() };
        let talker = Talker { key: &self.room, queue: None, consent: false };
        let mut state = State::new(story.language, self.today);
        for (number, turn) in story.turns.iter().enumerate() {
            let outcome = match (&turn.user, &story.start) {
                (Some(text), _) => self.bot.reply_at(&state, text, &talker, Some(&backend)).await?,
                (None, Some(flow)) => self.bot.start(&state, flow, &[], &talker).await?,
                (None, None) => return Ok(Some(format!("turn {} has no user and the story no start", number + 1))),
            };
            let acts = self.written(&outcome.acts);
            self.log.push(format!(
                "{} -> [{acts}] {}",
                turn.user.as_deref().unwrap_or("(begin)"),
                outcome.text().replace('\n', " / ")
            ));
            state = outcome.state;
            if let Some(difference) = difference(&turn.bot, &outcome.acts, &|id| self.name(id)) {
                return Ok(Some(format!("turn {}: {difference}; the bot did: {acts}", number + 1)));
            }
        }
        Ok(end_difference(story, &state))
    }

    fn name(&self, id: &str) -> String {
        self.names.get(id).cloned().unwrap_or_else(|| id.to_owned())
    }

    fn written(&self, acts: &[Act]) -> String {
        acts_written(acts, &|id| self.name(id))
    }
}

/// Prints what became of the stories.
pub(super) fn report(played: &[Played], verbose: bool, json: bool) -> ExitCode {
    let failed: Vec<&Played> = played.iter().filter(|p| p.failure.is_some()).collect();
    let passed = played.len() - failed.len();
    if json {
        let failures: Vec<serde_json::Value> = failed
            .iter()
            .map(|p| serde_json::json!({ "flow": p.flow, "name": p.name, "language": p.language, "failure": p.failure }))
            .collect();
        println!("{}", serde_json::json!({ "stories_passed": passed, "stories_total": played.len(), "failures": failures }));
        return if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    for story in &failed {
        println!("FAILED {} ({}, {}): {}", story.name, story.flow, story.language, story.failure.as_deref().unwrap_or_default());
        if verbose {
            story.log.iter().for_each(|line| println!("    {line}"));
        }
    }
    let mut flows: Vec<&str> = played.iter().map(|p| p.flow.as_str()).collect();
    flows.dedup();
    for flow in flows {
        let of: Vec<&Played> = played.iter().filter(|p| p.flow == flow).collect();
        let good = of.iter().filter(|p| p.failure.is_none()).count();
        let turns_back = of.iter().filter(|p| matches!(p.kind.as_str(), "correction" | "digression")).count();
        println!("{flow:<16} {good:>3} of {:<3} pass, {turns_back} with a correction or digression", of.len());
    }
    println!("{passed} of {} stories pass", played.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

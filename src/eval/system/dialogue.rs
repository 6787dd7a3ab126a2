//! Conversations with the bot, played on the real engine: the same models, articles and business calls as in service.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use tokio::runtime::Handle;

use super::Progress;
use crate::chat::{Act, Backend as Answers, Ends, State, Story, Turn, acts_written, difference, end_difference, grounded};
use crate::eval::example::{Dialogue, Example, Input};
use crate::eval::prediction::{Prediction, StoryOutcome};
use crate::eval::task::Task;
use crate::eval::{EvalError, Result};
use crate::pipeline::{Backend, Bot, PipelineError, Talker};

/// The day on which dialogues without a day of their own play.
const TODAY: Option<NaiveDate> = NaiveDate::from_ymd_opt(2026, 3, 10);
/// Turns of one procedure at most.
const TURNS_MAX: usize = 12;
/// Flows whose tables decide, and those of their tables that hold decisions.
const DECIDING: [&str; 2] = ["after-sales", "order-status"];
const DECISIONS: [&str; 6] = ["refund", "return", "exchange", "order", "stand", "not-received"];

/// Opens a place where business calls of one conversation are answered as told, and gives its address.
pub type BusinessRoom = Arc<dyn Fn(&str, Answers) -> String + Send + Sync>;

/// A bot with everything around it.
#[derive(Clone)]
pub struct ChatRig {
    /// The bot.
    pub bot: Arc<Bot>,
    /// Where its business calls go.
    pub room: BusinessRoom,
}

/// What the bot did with every dialogue. `articles` are names of articles by document id.
pub(super) fn play(
    rig: &ChatRig,
    articles: &BTreeMap<String, String>,
    runtime: &Handle,
    task: &Task,
    examples: &[Example],
    progress: Progress<'_>,
) -> Result<Vec<Prediction>> {
    let mut all = Vec::with_capacity(examples.len());
    for (number, example) in examples.iter().enumerate() {
        let Input::Dialogue(dialogue) = &example.input else { continue };
        let mut player =
            Player { rig, articles, key: format!("eval-{number}"), outcome: StoryOutcome::default(), log: Vec::new() };
        runtime
            .block_on(player.dialogue(dialogue, example))
            .map_err(|e| EvalError::Stage { task: task.id.clone(), problem: format!("{}: {e}", example.id) })?;
        let note = Some(player.log.join(" ; "));
        all.push(Prediction { story: Some(StoryOutcome { note, ..player.outcome }), ..Prediction::to(&example.id) });
        progress(all.len());
    }
    Ok(all)
}

struct Player<'a> {
    rig: &'a ChatRig,
    articles: &'a BTreeMap<String, String>,
    key: String,
    outcome: StoryOutcome,
    /// What the bot did, turn by turn.
    log: Vec<String>,
}

type Played<T> = std::result::Result<T, PipelineError>;

impl Player<'_> {
    async fn dialogue(&mut self, dialogue: &Dialogue, example: &Example) -> Played<()> {
        let today = TODAY.unwrap_or_default();
        let state = State::new(example.language, today);
        match dialogue {
            Dialogue::Question { context, text, relevant } => self.question(state, context, text, relevant).await,
            Dialogue::Procedure { open, answers, backend, decision } => {
                let decided = self.procedure(state, open, answers, backend.clone()).await?;
                self.outcome.passed = decided.as_deref() == Some(decision.as_str());
                Ok(())
            }
            Dialogue::HandOver { turns, due } => self.hand_over(state, turns, *due).await,
            Dialogue::Story { story, today } => self.story(story, *today).await,
        }
    }

    async fn say(&mut self, state: &State, text: &str, backend: &Backend) -> Played<Turn> {
        let talker = Talker { key: &self.key, queue: None, consent: false };
        let turn = self.rig.bot.reply_at(state, text, &talker, Some(backend)).await?;
        self.take(&turn);
        Ok(turn)
    }

    /// Notes what a turn did, and whether its citations carry what it said.
    fn take(&mut self, turn: &Turn) {
        let carried = |quote: &str| turn.said.iter().any(|said| grounded(said, quote));
        self.outcome.citations += turn.citations.len() as u32;
        self.outcome.ungrounded += turn.citations.iter().filter(|c| !carried(&c.quote)).count() as u32;
        self.log.push(acts_written(&turn.acts, &|id| self.name(id)));
    }

    fn name(&self, id: &str) -> String {
        self.articles.get(id).cloned().unwrap_or_else(|| id.to_owned())
    }

    fn backend(&self, answers: Answers) -> Backend {
        Backend { url: (self.rig.room)(&self.key, answers), secret: String::new() }
    }

    async fn question(&mut self, mut state: State, context: &[String], text: &str, relevant: &[String]) -> Played<()> {
        let backend = self.backend(Answers::new());
        for earlier in context {
            state = self.say(&state, earlier, &backend).await?.state;
        }
        let turn = self.say(&state, text, &backend).await?;
        let answered = turn.acts.iter().find_map(|act| if let Act::Answer(id) = act { Some(self.name(id)) } else { None });
        let right = answered.as_ref().is_some_and(|id| relevant.contains(id));
        self.outcome.answered = u32::from(answered.is_some());
        self.outcome.right = u32::from(right);
        self.outcome.passed = if relevant.is_empty() { answered.is_none() } else { right };
        Ok(())
    }

    /// The decision that the bot came to.
    async fn procedure(
        &mut self,
        mut state: State,
        open: &str,
        answers: &BTreeMap<String, String>,
        backend: Answers,
    ) -> Played<Option<String>> {
        let backend = self.backend(backend);
        let (mut next, mut decision) = (open.to_owned(), None);
        for _ in 0..TURNS_MAX {
            let turn = self.say(&state, &next, &backend).await?;
            for act in &turn.acts {
                match act {
                    Act::Say(text) if self.decides(text) => decision = Some(text.clone()),
                    Act::HandOver(_) => decision = Some("handoff".to_owned()),
                    _ => {}
                }
            }
            state = turn.state;
            let asked = state.stack.last().and_then(|frame| frame.asked.clone());
            match asked.and_then(|slot| answers.get(&slot)) {
                Some(answer) if state.ends == Ends::Open => next.clone_from(answer),
                _ => break,
            }
        }
        Ok(decision)
    }

    /// Whether a text is a decision of the rules of orders and after-sales.
    fn decides(&self, text: &str) -> bool {
        let flows = self.rig.bot.dialogue().book().flows().iter().filter(|f| DECIDING.contains(&f.id.as_str()));
        let mut rows = flows.flat_map(|f| &f.tables).filter(|t| DECISIONS.contains(&t.id.as_str())).flat_map(|t| &t.rows);
        !matches!(text, "not-found" | "delivered") && rows.any(|row| row.say.as_deref() == Some(text))
    }

    async fn hand_over(&mut self, mut state: State, turns: &[String], due: bool) -> Played<()> {
        let backend = self.backend(Answers::new());
        let mut handed = false;
        for text in turns {
            let turn = self.say(&state, text, &backend).await?;
            handed |= turn.hand_over.is_some();
            state = turn.state;
        }
        self.outcome.handed_over = u32::from(handed && due);
        self.outcome.needless = u32::from(handed && !due);
        self.outcome.passed = handed == due;
        Ok(())
    }

    async fn story(&mut self, story: &Story, today: NaiveDate) -> Played<()> {
        let backend = self.backend(story.backend.clone());
        let mut state = State::new(story.language, today);
        for wanted in &story.turns {
            let turn = match (&wanted.user, &story.start) {
                (Some(text), _) => self.say(&state, text, &backend).await?,
                (None, start) => {
                    let flow = start.as_deref().unwrap_or_default();
                    let key = self.key.clone();
                    let talker = Talker { key: &key, queue: None, consent: false };
                    let turn = self.rig.bot.start(&state, flow, &[], &talker).await?;
                    self.take(&turn);
                    turn
                }
            };
            self.count(&wanted.bot, &turn);
            state = turn.state;
            if let Some(problem) = difference(&wanted.bot, &turn.acts, &|id| self.name(id)) {
                self.log.push(format!("({problem})"));
                return Ok(());
            }
        }
        let problem = end_difference(story, &state);
        self.outcome.passed = problem.is_none();
        self.log.extend(problem.map(|p| format!("({p})")));
        Ok(())
    }

    /// Answers and hand-overs of a turn against what the story wants of it.
    fn count(&mut self, wanted: &str, turn: &Turn) {
        let wanted: Vec<&str> = wanted.split(',').map(str::trim).collect();
        let wants = |verb: &str, object: &str| wanted.iter().any(|w| *w == verb || *w == format!("{verb} {object}"));
        for act in &turn.acts {
            match act {
                Act::Answer(id) => {
                    self.outcome.answered += 1;
                    self.outcome.right += u32::from(wants("answer", &self.name(id)));
                }
                Act::HandOver(reason) if wants("handoff", reason.name()) => self.outcome.handed_over += 1,
                Act::HandOver(_) => self.outcome.needless += 1,
                _ => {}
            }
        }
    }
}

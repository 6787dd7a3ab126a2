//! Measuring the bot on the dialogue test set: answers, after-sales decisions, hand-overs, and whether every sentence of an
//! answer stands in the article it cites.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::Session;
use super::{article_names, practice_bot};
use crate::api::PracticeBackend;
use crate::chat::{Act, Backend as Answers, Ends, State, Turn, acts_written, grounded};
use crate::conversation::Language;
use crate::pipeline::{Backend, Bot, Talker};

/// The day on which the test set plays.
pub(super) const TODAY: &str = "2026-03-10";
/// Turns of one after-sales conversation at most.
const TURNS_MAX: usize = 12;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    pub(super) id: String,
    pub(super) language: Language,
    pub(super) text: String,
    #[serde(default)]
    pub(super) context: Vec<String>,
    pub(super) relevant: Vec<String>,
    pub(super) split: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AfterSales {
    id: String,
    language: Language,
    topic: String,
    open: String,
    answers: BTreeMap<String, String>,
    #[serde(default)]
    backend: BTreeMap<String, serde_json::Value>,
    decision: String,
    split: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Handing {
    id: String,
    language: Language,
    turns: Vec<String>,
    handoff: bool,
    #[serde(rename = "reason")]
    _reason: Option<String>,
    split: String,
}

/// The lines of a file of the test set.
pub(super) fn lines<T: DeserializeOwned>(folder: &Path, file: &str) -> anyhow::Result<Vec<T>> {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let parse =
        |(at, line): (usize, &str)| serde_json::from_str(line).with_context(|| format!("{} line {}", path.display(), at + 1));
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(parse).collect()
}

/// Counts of one measure, for one language or both.
#[derive(Clone, Copy, Default)]
struct Count {
    good: usize,
    of: usize,
}

impl Count {
    fn add(&mut self, good: bool) {
        self.good += usize::from(good);
        self.of += 1;
    }

    #[expect(clippy::cast_precision_loss, reason = "some hundred items")]
    fn ratio(self) -> Option<f64> {
        (self.of > 0).then(|| (self.good as f64 / self.of as f64 * 10_000.0).round() / 10_000.0)
    }
}

struct Measure<'a> {
    bot: &'a Bot,
    practice: &'a PracticeBackend,
    names: HashMap<String, String>,
    counts: BTreeMap<String, Count>,
    ungrounded: usize,
    misses: Vec<String>,
}

/// Runs the test set in `folder` and prints the figures.
pub(super) async fn run(session: &Session, folder: &Path, split: &str, verbose: bool, json: bool) -> anyhow::Result<ExitCode> {
    let (bot, practice) = practice_bot(session).await?;
    let names = article_names(&session.home);
    let mut measure =
        Measure { bot: &bot, practice: &practice, names, counts: BTreeMap::new(), ungrounded: 0, misses: Vec::new() };
    let wanted = |part: &str| split == "all" || part == split;
    for item in lines::<Question>(folder, "questions.jsonl")?.iter().filter(|i| wanted(&i.split)) {
        measure.question(item).await?;
    }
    for item in lines::<AfterSales>(folder, "aftersales.jsonl")?.iter().filter(|i| wanted(&i.split)) {
        measure.after_sales(item).await?;
    }
    for item in lines::<Handing>(folder, "handover.jsonl")?.iter().filter(|i| wanted(&i.split)) {
        measure.hand_over(item).await?;
    }
    if verbose {
        measure.misses.iter().for_each(|line| println!("{line}"));
    }
    measure.print(split, json);
    Ok(ExitCode::SUCCESS)
}

impl Measure<'_> {
    fn add(&mut self, figure: &str, language: Language, good: bool) {
        self.counts.entry(figure.to_owned()).or_default().add(good);
        self.counts.entry(format!("{figure}_{}", language.name())).or_default().add(good);
    }

    fn backend(&self, id: &str, answers: Answers) -> Backend {
        Backend { url: self.practice.room(id, answers), secret: String::new() }
    }

    fn begin(language: Language) -> anyhow::Result<State> {
        Ok(State::new(language, TODAY.parse()?))
    }

    async fn say(&mut self, id: &str, state: &State, text: &str, backend: &Backend) -> anyhow::Result<Turn> {
        let talker = Talker { key: id, queue: None, consent: false };
        let turn = self.bot.reply_at(state, text, &talker, Some(backend)).await?;
        self.ungrounded += turn.citations.iter().filter(|c| !turn.said.iter().any(|s| grounded(s, &c.quote))).count();
        Ok(turn)
    }

    fn acts(&self, turn: &Turn) -> String {
        acts_written(&turn.acts, &|id| self.names.get(id).cloned().unwrap_or_else(|| id.to_owned()))
    }

    async fn question(&mut self, item: &Question) -> anyhow::Result<()> {
        let backend = self.backend(&item.id, Answers::new());
        let mut state = Self::begin(item.language)?;
        for text in &item.context {
            state = self.say(&item.id, &state, text, &backend).await?.state;
        }
        let turn = self.say(&item.id, &state, &item.text, &backend).await?;
        let answered = turn.acts.iter().find_map(|act| match act {
            Act::Answer(id) => Some(self.names.get(id).cloned().unwrap_or_else(|| id.clone())),
            _ => None,
        });
        let right = answered.as_ref().is_some_and(|id| item.relevant.contains(id));
        if !item.relevant.is_empty() {
            self.add("answer_coverage", item.language, answered.is_some());
            self.add("answer_recall_at_1", item.language, right);
        }
        if answered.is_some() {
            self.add("answer_precision_at_1", item.language, right);
        }
        if item.relevant.is_empty() {
            self.add("unanswerable_refused", item.language, answered.is_none());
        }
        if right == item.relevant.is_empty() || (answered.is_some() && !right) {
            let acts = self.acts(&turn);
            self.misses.push(format!("{} {} | wanted {:?} | {acts}", item.id, item.text, item.relevant));
        }
        Ok(())
    }

    async fn after_sales(&mut self, item: &AfterSales) -> anyhow::Result<()> {
        let answers: Answers = serde_json::from_value(serde_json::to_value(&item.backend)?)?;
        let backend = self.backend(&item.id, answers);
        let mut state = Self::begin(item.language)?;
        let mut next = item.open.clone();
        let (mut decision, mut log) = (None, Vec::new());
        for _ in 0..TURNS_MAX {
            let turn = self.say(&item.id, &state, &next, &backend).await?;
            log.push(self.acts(&turn));
            state = turn.state.clone();
            for act in &turn.acts {
                match act {
                    Act::Say(text) if self.decides(text) => decision = Some(text.clone()),
                    Act::HandOver(_) => decision = Some("handoff".to_owned()),
                    _ => {}
                }
            }
            let asked = state.stack.last().and_then(|frame| frame.asked.clone());
            match asked.and_then(|slot| item.answers.get(&slot)) {
                Some(answer) if state.ends == Ends::Open => next.clone_from(answer),
                _ => break,
            }
        }
        let contained = decision.as_deref().is_some_and(|d| d != "handoff");
        let right = decision.as_deref() == Some(item.decision.as_str());
        if item.decision == "handoff" {
            self.add("rule_handoff_recall", item.language, right);
        } else {
            self.add("containment", item.language, contained);
            self.add(&format!("containment_{}", item.topic), item.language, contained);
        }
        if contained {
            self.add("containment_precision", item.language, right);
        }
        if !right {
            let is = decision.as_deref().unwrap_or("nothing");
            self.misses.push(format!("{} {} | wanted {} | {is} | {}", item.id, item.open, item.decision, log.join(" ; ")));
        }
        Ok(())
    }

    /// Whether a text is a decision of the after-sales or order rules.
    fn decides(&self, text: &str) -> bool {
        const TABLES: [&str; 6] = ["refund", "return", "exchange", "order", "stand", "not-received"];
        let rows = self.bot.dialogue().book().flows().iter().filter(|f| matches!(f.id.as_str(), "after-sales" | "order-status"));
        let named = rows.flat_map(|f| &f.tables).filter(|t| TABLES.contains(&t.id.as_str())).flat_map(|t| &t.rows);
        !matches!(text, "not-found" | "delivered") && named.filter_map(|row| row.say.as_deref()).any(|say| say == text)
    }

    async fn hand_over(&mut self, item: &Handing) -> anyhow::Result<()> {
        let backend = self.backend(&item.id, Answers::new());
        let mut state = Self::begin(item.language)?;
        let mut handed = None;
        for text in &item.turns {
            let turn = self.say(&item.id, &state, text, &backend).await?;
            handed = handed.or(turn.hand_over.as_ref().map(|h| h.reason));
            state = turn.state;
        }
        if item.handoff {
            self.add("handoff_recall", item.language, handed.is_some());
        }
        if handed.is_some() {
            self.add("handoff_precision", item.language, item.handoff);
        }
        if handed.is_some() != item.handoff {
            let is = handed.map_or("none", crate::chat::Reason::name);
            self.misses.push(format!("{} {} | wanted {} | {is}", item.id, item.turns.join(" / "), item.handoff));
        }
        Ok(())
    }

    fn print(&self, split: &str, json: bool) {
        if json {
            let mut figures = serde_json::Map::new();
            for (name, count) in &self.counts {
                figures.insert(name.clone(), serde_json::json!({ "value": count.ratio(), "n": count.of }));
            }
            figures.insert("ungrounded_answers".into(), self.ungrounded.into());
            println!("{}", serde_json::json!({ "split": split, "figures": figures }));
            return;
        }
        println!("dialogue test set, split {split}");
        for (name, count) in &self.counts {
            println!("  {name:<34} {:>6.3}  ({} of {})", count.ratio().unwrap_or(0.0), count.good, count.of);
        }
        println!("  {:<34} {:>6}", "ungrounded_answers", self.ungrounded);
    }
}

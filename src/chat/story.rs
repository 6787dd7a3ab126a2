//! Stories: conversations that must go as written, in `pipelines/chat/stories/<flow>.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::NaiveDate;
use serde::Deserialize;

use super::book::FlowBook;
use super::error::{Problem, line_of, toml_problem, unknown};
use super::handover::Reason;
use super::state::{Ends, State};
use super::turn::Act;
use crate::conversation::Language;

/// Answers of the practice backend for one conversation: by call a table of values, or `"down"` or `"slow"`.
pub type Backend = BTreeMap<String, toml::Value>;

/// One turn of a story.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoryTurn {
    /// What the customer says; absent: the bot begins.
    #[serde(default)]
    pub user: Option<String>,
    /// What the bot must do, parted by commas.
    #[serde(default)]
    pub bot: String,
}

/// One story.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Story {
    /// Name, unique in the file.
    pub name: String,
    /// Language in which it begins.
    pub language: Language,
    /// `plain correction digression switch trouble`.
    pub kind: String,
    /// Flow that is started by name.
    #[serde(default)]
    pub start: Option<String>,
    /// Answers that differ from the samples.
    #[serde(default)]
    pub backend: Backend,
    /// The turns.
    pub turns: Vec<StoryTurn>,
    /// Slots at the end.
    #[serde(default)]
    pub slots: BTreeMap<String, String>,
    /// How it ends.
    #[serde(default)]
    pub ends: Option<Ends>,
}

/// A file of stories.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoryFile {
    /// The flow that it is about.
    pub flow: String,
    /// Today in all of them.
    pub today: NaiveDate,
    /// The stories.
    #[serde(default, rename = "story")]
    pub stories: Vec<Story>,
}

/// Kinds of stories.
const KINDS: [&str; 5] = ["plain", "correction", "digression", "switch", "trouble"];

/// Acts that a story has to name completely.
const COMPLETE: [&str; 7] = ["ask", "answer", "clarify", "refuse", "cancelled", "handoff", "retry"];
/// Acts that a story may leave out.
const FREE: [&str; 8] = ["say", "start", "resume", "call", "call-failed", "corrected", "done", "smalltalk"];

/// An expected act: a verb and what it is done to, if that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Expected<'a> {
    verb: &'a str,
    object: &'a str,
}

fn expected(acts: &str) -> Vec<Expected<'_>> {
    let one = |act: &'_ str| -> (usize, usize) { act.find(' ').map_or((act.len(), act.len()), |at| (at, at + 1)) };
    acts.split(',')
        .map(str::trim)
        .filter(|act| !act.is_empty())
        .map(|act| {
            let (verb, object) = one(act);
            Expected { verb: &act[..verb], object: act[object..].trim() }
        })
        .collect()
}

/// An act as stories write it. `articles` gives the short name of a document.
fn written(act: &Act, articles: &dyn Fn(&str) -> String) -> (&'static str, String) {
    match act {
        Act::Ask(slot) => ("ask", slot.clone()),
        Act::Retry(slot) => ("retry", slot.clone()),
        Act::Say(text) => ("say", text.clone()),
        Act::Answer(document) => ("answer", articles(document)),
        Act::Clarify => ("clarify", String::new()),
        Act::Refuse => ("refuse", String::new()),
        Act::Cancelled => ("cancelled", String::new()),
        Act::HandOver(reason) => ("handoff", reason.name().to_owned()),
        Act::Start(flow) => ("start", flow.clone()),
        Act::Resume(flow) => ("resume", flow.clone()),
        Act::Call(name) => ("call", name.clone()),
        Act::CallFailed(name) => ("call-failed", name.clone()),
        Act::Corrected(slot) => ("corrected", slot.clone()),
        Act::Done(flow) => ("done", flow.clone()),
        Act::SmallTalk(kind) => ("smalltalk", kind.clone()),
    }
}

/// What a turn did, as a story would write it.
pub fn acts_written(acts: &[Act], articles: &dyn Fn(&str) -> String) -> String {
    let words = acts.iter().map(|act| {
        let (verb, object) = written(act, articles);
        if object.is_empty() { verb.to_owned() } else { format!("{verb} {object}") }
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Why a turn is not what its story says; `None` if it is.
pub fn difference(wanted: &str, acts: &[Act], articles: &dyn Fn(&str) -> String) -> Option<String> {
    let wanted = expected(wanted);
    let did: Vec<(&str, String)> = acts.iter().map(|act| written(act, articles)).collect();
    // Asking again after an unusable answer is asking, too.
    let same = |w: &Expected<'_>, (verb, object): &(&str, String)| {
        let verbs = w.verb == *verb || (w.verb == "ask" && *verb == "retry") || (w.verb == "retry" && *verb == "ask");
        verbs && (w.object.is_empty() || w.object == object)
    };
    if let Some(missing) = wanted.iter().find(|w| !did.iter().any(|d| same(w, d))) {
        return Some(format!("\"{} {}\" did not happen", missing.verb, missing.object).replace(" \" did", "\" did"));
    }
    let extra = did.iter().find(|d| COMPLETE.contains(&d.0) && !wanted.iter().any(|w| same(w, d)))?;
    Some(format!("\"{} {}\" happened and is not in the story", extra.0, extra.1).replace(" \" happened", "\" happened"))
}

/// Why the end of a story is not what it says; `None` if it is.
pub fn end_difference(story: &Story, state: &State) -> Option<String> {
    let slots = state.slots();
    let wrong = story.slots.iter().find(|(name, value)| slots.get(*name) != Some(value));
    if let Some((name, value)) = wrong {
        let is = slots.get(name).map_or("is empty".to_owned(), |v| format!("is \"{v}\""));
        return Some(format!("at the end slot {name} {is}, not \"{value}\""));
    }
    let ends = story.ends.filter(|wanted| *wanted != state.ends)?;
    Some(format!("it ends {:?}, not {ends:?}", state.ends).to_lowercase())
}

impl StoryFile {
    /// Reads a file of stories.
    ///
    /// # Errors
    /// It cannot be read as one; the problem says where.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        toml::from_str(text).map_err(|e| vec![toml_problem(file, text, &e)])
    }

    /// Mistakes of the file: names of flows, slots, texts, calls and acts that are not known.
    pub fn problems(&self, file: &str, text: &str, book: &FlowBook) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut complain = |parts: &[&str], message: String| {
            problems.push(Problem { file: file.to_owned(), line: line_of(text, parts), message });
        };
        let flows: Vec<&str> = book.flows().iter().map(|f| f.id.as_str()).collect();
        if !flows.contains(&self.flow.as_str()) {
            complain(&["flow"], unknown("flow", &self.flow, flows.iter().copied()));
        }
        for story in &self.stories {
            let at = format!("\"{}\"", story.name);
            if !KINDS.contains(&story.kind.as_str()) {
                complain(&[&format!("\"{}\"", story.kind)], unknown("kind of story", &story.kind, KINDS));
            }
            if let Some(start) = story.start.as_ref().filter(|s| !flows.contains(&s.as_str())) {
                complain(&[&format!("\"{start}\"")], unknown("flow", start, flows.iter().copied()));
            }
            for call in story.backend.keys().filter(|c| book.webhook(c).is_none()) {
                let known = book.webhooks().iter().map(|w| w.name.as_str());
                complain(&["backend", call], unknown("webhook", call, known));
            }
            if story.turns.is_empty() {
                complain(&[&at], "a story needs turns".to_owned());
            }
            for turn in &story.turns {
                for act in expected(&turn.bot) {
                    if let Some(message) = self.wrong_act(&act, book) {
                        complain(&[&turn.bot], message);
                    }
                }
            }
        }
        problems
    }

    fn wrong_act(&self, act: &Expected<'_>, book: &FlowBook) -> Option<String> {
        let flows = book.flows();
        let known = |what: &str, names: Vec<&str>| (!names.contains(&act.object)).then(|| unknown(what, act.object, names));
        match act.verb {
            "ask" | "retry" | "corrected" => {
                known("slot", flows.iter().flat_map(|f| f.slots.iter().map(|s| s.name.as_str())).collect())
            }
            "say" => known("text", flows.iter().flat_map(|f| f.texts.keys().map(String::as_str)).collect()),
            "start" | "resume" => known("flow", flows.iter().map(|f| f.id.as_str()).collect()),
            "call" | "call-failed" => known("webhook", book.webhooks().iter().map(|w| w.name.as_str()).collect()),
            "handoff" if !act.object.is_empty() => known("reason", Reason::ALL.map(Reason::name).to_vec()),
            verb if COMPLETE.contains(&verb) || FREE.contains(&verb) => None,
            verb => Some(unknown("act", verb, COMPLETE.into_iter().chain(FREE))),
        }
    }
}

/// Story files by their names, and the mistakes in all of them.
type Stories = (Vec<(String, StoryFile)>, Vec<Problem>);

/// Reads all story files of a folder with the mistakes in them; a folder that is not there has none.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn load_stories(folder: &Path, book: &FlowBook) -> Result<Stories, super::ChatError> {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    if !folder.is_dir() {
        return Ok((files, problems));
    }
    for path in super::book::toml_files(folder)? {
        let text =
            std::fs::read_to_string(&path).map_err(|source| super::ChatError::Unreadable { path: path.clone(), source })?;
        let name = path.display().to_string();
        match StoryFile::parse(&name, &text) {
            Ok(file) => {
                problems.extend(file.problems(&name, &text, book));
                files.push((name, file));
            }
            Err(more) => problems.extend(more),
        }
    }
    Ok((files, problems))
}

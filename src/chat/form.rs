//! Running flows: from the top of the steps to the first thing that has to be waited for.
//!
//! Steps are judged anew at every turn from the slots and the answers of business calls alone. So a corrected slot changes
//! everything that follows from it, and nothing is said or called twice for the same values.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;

use super::book::FlowBook;
use super::dates::spoken;
use super::flow::{Flow, Slot, SlotKind, Step, Then, When};
use super::handover::Reason;
use super::state::{Ends, Frame, State};
use super::turn::{Act, Button};
use crate::conversation::Language;

/// Steps of one turn that are judged at most: flows that run each other without end stop here.
const PASSES: usize = 24;

/// A business call that has to be made before the turn can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRequest {
    /// Name in `webhooks.toml`.
    pub webhook: String,
    /// The same call with the same input has the same key.
    pub key: String,
    /// What goes out.
    pub input: BTreeMap<String, String>,
}

/// What came of a business call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallResult {
    /// Its answer.
    Gave(BTreeMap<String, String>),
    /// No answer that can be used, for any reason.
    Failed,
}

/// Results of this turn by the key of their request.
pub type CallResults = HashMap<String, CallResult>;

/// Names in braces of a text.
pub(super) fn places(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

/// What a turn has come to so far.
pub(super) struct Progress<'a> {
    pub(super) book: &'a FlowBook,
    pub(super) results: &'a CallResults,
    pub(super) state: State,
    pub(super) acts: Vec<Act>,
    pub(super) said: Vec<String>,
    pub(super) buttons: Vec<Button>,
    pub(super) needs: Option<CallRequest>,
    pub(super) hand_over: Option<Reason>,
}

/// How one pass over the steps of the front flow ended.
enum Pass {
    /// The customer has to answer, or a call has to be made.
    Waits,
    /// Another flow is in front now.
    Pushed,
    /// Behind the last step.
    Done,
}

type Values = BTreeMap<String, String>;

impl Progress<'_> {
    /// Runs the front flow, and those below it as they come to the front, until something has to be waited for.
    pub(super) fn run(&mut self) {
        for _ in 0..PASSES {
            let Some(flow) = self.state.stack.last().and_then(|frame| self.book.flow(&frame.flow)) else { break };
            self.state.ends = Ends::Open;
            match self.pass(flow) {
                Pass::Waits => return,
                Pass::Pushed => {}
                Pass::Done => self.finish(flow),
            }
            if self.needs.is_some() || self.hand_over.is_some() {
                return;
            }
        }
    }

    fn finish(&mut self, flow: &Flow) {
        let Some(frame) = self.state.stack.pop() else { return };
        self.acts.push(Act::Done(flow.id.clone()));
        if flow.once {
            self.state.passed.insert(flow.id.clone());
        }
        let sub = frame.sub;
        self.state.last = Some(frame);
        self.state.ends = if self.state.stack.is_empty() { Ends::Done } else { Ends::Open };
        let Some(below) = self.state.stack.last_mut() else { return };
        if sub {
            below.ran.insert(flow.id.clone());
        } else {
            let text = self.book.config.text("resume", self.state.language).to_owned();
            self.acts.push(Act::Resume(below.flow.clone()));
            self.said.push(text);
        }
    }

    fn frame(&mut self) -> Option<&mut Frame> {
        self.state.stack.last_mut()
    }

    fn pass(&mut self, flow: &Flow) -> Pass {
        let mut values: Values = self.state.stack.last().map(|f| f.slots.clone()).unwrap_or_default();
        values.insert("market".into(), self.state.market.name().into());
        values.insert("language".into(), self.state.language.name().into());
        for step in &flow.steps {
            if !holds(&step.when, &values, self.state.today) {
                continue;
            }
            let then = match self.step(flow, step, &mut values) {
                Ok(then) => then,
                Err(pass) => return pass,
            };
            match then {
                Then::GoOn => {}
                Then::Done => return Pass::Done,
                Then::HandOver(reason) => {
                    self.hand_over = Some(reason);
                    return Pass::Waits;
                }
                Then::Again(slot) => {
                    self.again(flow, &slot);
                    return Pass::Waits;
                }
            }
        }
        Pass::Done
    }

    /// Carries one step out; `Err` ends the pass.
    fn step(&mut self, flow: &Flow, step: &Step, values: &mut Values) -> Result<Then, Pass> {
        if let Some(slot) = step.ask.as_deref().and_then(|name| flow.slot(name)) {
            if values.contains_key(&slot.name) {
                return Ok(step.then.clone());
            }
            self.ask(slot);
            return Err(Pass::Waits);
        }
        if let Some(name) = &step.call {
            return self.call(name, values, &step.then);
        }
        if let Some(table) = step.decide.as_deref().and_then(|id| flow.table(id)) {
            let row = table.rows.iter().find(|row| holds(&row.when, values, self.state.today));
            let Some(row) = row else { return Ok(step.then.clone()) };
            if let Some(name) = &row.say {
                values.insert("decision".into(), name.clone());
                self.say(flow, name, values, matches!(row.then, Then::Again(_)));
            }
            return Ok(if row.then == Then::GoOn { step.then.clone() } else { row.then.clone() });
        }
        if let Some(name) = &step.say {
            self.say(flow, name, values, false);
            return Ok(step.then.clone());
        }
        if let Some(other) = &step.run {
            let skip = self.state.passed.contains(other) || self.state.stack.last().is_some_and(|f| f.ran.contains(other));
            if skip || self.book.flow(other).is_none() {
                return Ok(step.then.clone());
            }
            self.acts.push(Act::Start(other.clone()));
            self.state.stack.push(Frame { sub: true, ..Frame::new(other) });
            return Err(Pass::Pushed);
        }
        Ok(step.then.clone())
    }

    /// Asks for a slot, with buttons where there is a choice.
    pub(super) fn ask(&mut self, slot: &Slot) {
        let language = self.state.language;
        let retry = self.state.stack.last().is_some_and(|f| f.asked.as_deref() == Some(&slot.name) && f.tries > 0);
        if let Some(frame) = self.frame() {
            frame.asked = Some(slot.name.clone());
        }
        self.acts.push(if retry { Act::Retry(slot.name.clone()) } else { Act::Ask(slot.name.clone()) });
        if retry && !slot.hint.get(language).is_empty() {
            self.said.push(slot.hint.get(language).to_owned());
        }
        self.said.push(slot.ask.get(language).to_owned());
        self.buttons = match slot.kind {
            SlotKind::Choice => {
                let button = |o: &super::flow::SlotOption| Button {
                    title: o.label.get(language).into(),
                    payload: o.label.get(language).into(),
                };
                slot.options.iter().map(button).collect()
            }
            SlotKind::YesNo => {
                let (yes, no) = if language == Language::Zh { ("是", "不") } else { ("Yes", "No") };
                [yes, no].map(|t| Button { title: t.into(), payload: t.into() }).to_vec()
            }
            _ => Vec::new(),
        };
    }

    fn again(&mut self, flow: &Flow, name: &str) {
        let limit = self.book.config.limits.tries;
        let Some(frame) = self.frame() else { return };
        let times = frame.again.entry(name.to_owned()).or_default();
        *times += 1;
        if *times >= limit {
            self.hand_over = Some(Reason::FormFailed);
            return;
        }
        frame.forget(name);
        if let Some(slot) = flow.slot(name) {
            self.ask(slot);
        }
    }

    fn call(&mut self, name: &str, values: &mut Values, then: &Then) -> Result<Then, Pass> {
        let Some(webhook) = self.book.webhook(name) else { return Ok(then.clone()) };
        let input: BTreeMap<String, String> =
            webhook.sends.iter().filter_map(|key| values.get(key).map(|v| (key.clone(), v.clone()))).collect();
        let key = input.iter().fold(name.to_owned(), |key, (k, v)| format!("{key}\n{k}={v}"));
        if let Some(known) = self.state.stack.last().and_then(|f| f.calls.get(&key)) {
            values.extend(known.clone());
            return Ok(then.clone());
        }
        match self.results.get(&key) {
            None => {
                self.needs = Some(CallRequest { webhook: name.to_owned(), key, input });
                Err(Pass::Waits)
            }
            Some(CallResult::Gave(answer)) => {
                let kept: BTreeMap<String, String> =
                    webhook.gives.iter().filter_map(|k| answer.get(k).map(|v| (k.clone(), v.clone()))).collect();
                values.extend(kept.clone());
                if let Some(frame) = self.frame() {
                    frame.calls.insert(key, kept);
                }
                self.acts.push(Act::Call(name.to_owned()));
                Ok(then.clone())
            }
            Some(CallResult::Failed) => {
                self.acts.push(Act::CallFailed(name.to_owned()));
                let text = webhook.fallback.get(self.state.language);
                if !text.is_empty() {
                    self.said.push(text.to_owned());
                }
                Ok(webhook.failed.clone())
            }
        }
    }

    fn say(&mut self, flow: &Flow, name: &str, values: &Values, repeat: bool) {
        let Some(words) = flow.texts.get(name) else { return };
        let text = render(words.get(self.state.language), flow, values, self.state.today, self.state.language);
        // What was said is known by its values, so that another language does not say it again.
        let mark = format!("{name}:{}", render(&words.zh, flow, values, self.state.today, Language::Zh));
        let fresh = self.frame().is_some_and(|frame| frame.said.insert(mark));
        if fresh || repeat {
            self.acts.push(Act::Say(name.to_owned()));
            self.said.push(text);
        }
    }
}

/// A value by name; `X_days` are the days from the date X to today.
fn value(name: &str, values: &Values, today: NaiveDate) -> Option<String> {
    if let Some(value) = values.get(name) {
        return Some(value.clone());
    }
    let date = NaiveDate::parse_from_str(values.get(name.strip_suffix("_days")?)?, "%Y-%m-%d").ok()?;
    Some((today - date).num_days().to_string())
}

fn holds(when: &When, values: &Values, today: NaiveDate) -> bool {
    when.iter().all(|(name, condition)| condition.holds(value(name, values, today).as_deref()))
}

fn render(text: &str, flow: &Flow, values: &Values, today: NaiveDate, language: Language) -> String {
    let mut rendered = text.to_owned();
    for place in places(text).map(str::to_owned).collect::<Vec<_>>() {
        let raw = value(&place, values, today).unwrap_or_default();
        let option = flow.slot(&place).and_then(|slot| slot.options.iter().find(|o| o.id == raw));
        let shown = option.map_or_else(|| spoken(&raw, language), |o| o.label.get(language).to_owned());
        rendered = rendered.replace(&format!("{{{place}}}"), &shown);
    }
    rendered
}

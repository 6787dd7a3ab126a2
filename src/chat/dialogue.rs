//! One turn of a conversation: state, message and what was understood and found -> new state, reply, acts. Pure: the same
//! input gives the same turn, business calls are asked for and come back as values.

use serde::{Deserialize, Serialize};

use super::answer::{Answer, Citation, extract, grounded, max_chars, overlap};
use super::book::FlowBook;
use super::config::Cue;
use super::correct::{Correction, correction};
use super::flow::{Flow, Slot, SlotKind};
use super::form::{CallRequest, CallResults, Progress};
use super::handover::{HandOver, Reason};
use super::message::Message;
use super::state::{Ends, Frame, Offer, State};
use super::values::{Reading, read};
use crate::conversation::{Conduct, EmotionReading, IntentScore, Language};
use crate::knowledge::PassageHit;

/// What the bot did in a turn: what stories are written in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is explained in docs/chat-flows.md")]
pub enum Act {
    Ask(String),
    Retry(String),
    Say(String),
    Answer(String),
    Clarify,
    Refuse,
    Cancelled,
    HandOver(Reason),
    Start(String),
    Resume(String),
    Call(String),
    CallFailed(String),
    Corrected(String),
    Done(String),
    SmallTalk(String),
}

/// A button below a reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Button {
    /// Shown.
    pub title: String,
    /// Sent as the customer's message when pressed.
    pub payload: String,
}

/// What was understood of a message and found for it.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// The message.
    pub text: String,
    /// Its sentence vector, of length 1.
    pub vector: Option<Vec<f32>>,
    /// Ranked intents.
    pub intents: Vec<IntentScore>,
    /// Emotion.
    pub emotion: Option<EmotionReading>,
    /// Conduct labels.
    pub conduct: Vec<Conduct>,
    /// What was searched for ([`Dialogue::query`]).
    pub query: String,
    /// Passages found, best first.
    pub passages: Vec<PassageHit>,
}

/// A question that was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The question, with its context.
    pub question: String,
    /// Its language.
    pub language: Language,
    /// The best intent.
    pub intent: Option<String>,
}

/// A finished turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// What to remember.
    pub state: State,
    /// What is said, in pieces; the reply is these joined by line breaks. Empty: the bot is silent.
    pub said: Vec<String>,
    /// Buttons below the reply.
    pub buttons: Vec<Button>,
    /// Sources of the reply.
    pub citations: Vec<Citation>,
    /// What the bot did.
    pub acts: Vec<Act>,
    /// A person is asked for.
    pub hand_over: Option<HandOver>,
    /// A question without an answer.
    pub gap: Option<Gap>,
    /// The best intent and its probability.
    pub intent: Option<(String, f32)>,
    /// Whether the reply rests on a passage or a flow (small talk and refusals do not).
    pub answered: bool,
}

impl Turn {
    /// The reply as one text.
    pub fn text(&self) -> String {
        self.said.join("\n")
    }
}

/// A turn, or what it still needs.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Make this call and ask again with its result among the results.
    Needs(CallRequest),
    /// Finished.
    Turn(Box<Turn>),
}

/// The dialogue engine: flows and articles. It keeps nothing of a conversation.
pub struct Dialogue {
    book: FlowBook,
}

impl Dialogue {
    /// An engine over checked files.
    pub fn new(book: FlowBook) -> Self {
        Self { book }
    }

    /// The files.
    pub fn book(&self) -> &FlowBook {
        &self.book
    }

    /// What to search for: a short question that goes on from the last one is searched together with it.
    pub fn query(&self, state: &State, text: &str) -> String {
        let message = Message::read(text, state.language, self.book.config.limits.message_chars);
        let goes_on = message.units() <= 14 && self.book.config.hears(Cue::FollowUp, &message.plain);
        let query = match &state.topic {
            Some(topic) if goes_on || message.units() <= 4 => format!("{topic} {}", message.raw.trim()),
            _ => message.raw.trim().to_owned(),
        };
        query.chars().take(crate::knowledge::MAX_QUERY_CHARS).collect()
    }

    /// Begins a flow by name, as an outbound survey does, with the slots that are known.
    pub fn start(&self, state: &State, flow: &str, slots: &[(String, String)], results: &CallResults) -> Outcome {
        let mut talk = Talk::new(&self.book, state, Message::read("", state.language, 0), Heard::default(), results);
        let mut frame = Frame::new(flow);
        slots.iter().for_each(|(name, value)| frame.fill(name, value.clone()));
        talk.progress.acts.push(Act::Start(flow.to_owned()));
        talk.progress.state.stack.push(frame);
        talk.progress.run();
        talk.finish()
    }

    /// Hears one message.
    pub fn turn(&self, state: &State, heard: &Heard, results: &CallResults) -> Outcome {
        let message = Message::read(&heard.text, state.language, self.book.config.limits.message_chars);
        let mut talk = Talk::new(&self.book, state, message, heard.clone(), results);
        talk.hear();
        talk.finish()
    }
}

/// One turn while it is made.
struct Talk<'a> {
    book: &'a FlowBook,
    message: Message,
    heard: Heard,
    citations: Vec<Citation>,
    gap: Option<Gap>,
    answered: bool,
    progress: Progress<'a>,
}

impl<'a> Talk<'a> {
    fn new(book: &'a FlowBook, state: &State, message: Message, heard: Heard, results: &'a CallResults) -> Self {
        let progress = Progress {
            book,
            results,
            state: state.clone(),
            acts: Vec::new(),
            said: Vec::new(),
            buttons: Vec::new(),
            needs: None,
            hand_over: None,
        };
        Self { book, message, heard, citations: Vec::new(), gap: None, answered: false, progress }
    }

    fn say(&mut self, name: &str) {
        let text = self.book.config.text(name, self.progress.state.language).to_owned();
        self.progress.said.push(text);
    }

    fn hears(&self, cue: Cue) -> bool {
        self.book.config.hears(cue, &self.message.plain)
    }

    fn front(&self) -> Option<(&'a Flow, &Frame)> {
        let frame = self.progress.state.stack.last()?;
        Some((self.book.flow(&frame.flow)?, frame))
    }

    fn asked(&self) -> Option<&'a Slot> {
        let (flow, frame) = self.front()?;
        flow.slot(frame.asked.as_deref()?)
    }

    fn hear(&mut self) {
        let state = &mut self.progress.state;
        if state.messages == 0 {
            state.market = self.message.language;
            state.opening = Some(self.message.raw.chars().take(200).collect());
        }
        state.messages = state.messages.saturating_add(1);
        state.language = self.message.language;
        if state.human {
            return;
        }
        if state.handed_over.is_some() {
            return self.say("waiting");
        }
        if self.hears(Cue::Secret) {
            self.say("secret");
        }
        if let Some(reason) = self.wants_person() {
            self.progress.hand_over = Some(reason);
            return;
        }
        if self.payload() || self.offer() {
            return;
        }
        if self.progress.state.stack.is_empty() { self.open() } else { self.in_flow() }
    }

    /// Words, emotion or conduct that call for a person.
    fn wants_person(&self) -> Option<Reason> {
        let config = &self.book.config;
        let text = &self.message.plain;
        if config.hears_unless(Cue::Person, Cue::NotPerson, text) {
            return Some(Reason::Asked);
        }
        // A customer who was asked for his reasons may give them in his own words.
        if self.asked().is_some_and(|slot| slot.kind == SlotKind::Text) {
            return None;
        }
        if config.hears_unless(Cue::Policy, Cue::NotPolicy, text) {
            return Some(Reason::Policy);
        }
        // Marks at the end are part of the tone.
        let tone = self.message.raw.as_str();
        if config.hears_unless(Cue::Anger, Cue::NotAnger, text) || (config.hears_unless(Cue::Anger, Cue::NotAnger, tone)) {
            return Some(Reason::Emotion);
        }
        let angry = self.heard.emotion.as_ref().is_some_and(|e| {
            e.label == "angry" && e.confidence.is_some_and(|p| p >= config.thresholds.anger)
        });
        (angry && !config.hears(Cue::NotAnger, text)).then_some(Reason::Emotion)
    }

    /// `/flow-or-intent{"slot":"value"}`: a button of another front end.
    fn payload(&mut self) -> bool {
        let Some(rest) = self.message.raw.trim().strip_prefix('/') else { return false };
        let (name, slots) = rest.split_once('{').map_or((rest, ""), |(name, slots)| (name, slots));
        let flow = self.book.flow(name.trim()).or_else(|| self.book.flow_of_intent(name.trim()));
        let Some(flow) = flow else { return false };
        let given: std::collections::BTreeMap<String, serde_json::Value> =
            serde_json::from_str(&format!("{{{slots}")).unwrap_or_default();
        let mut frame = Frame::new(&flow.id);
        for slot in &flow.slots {
            let value = given.get(&slot.name).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
            let language = self.message.language;
            let read_as = |v: String| {
                let message = Message::read(&v, language, 500);
                read(slot, &message, Reading { config: &self.book.config, today: self.progress.state.today, asked: true })
            };
            if let Some(value) = value.and_then(read_as) {
                frame.fill(&slot.name, value);
            }
        }
        self.begin(frame);
        true
    }

    /// The answer to an offer; true if it was one.
    fn offer(&mut self) -> bool {
        let Some(offer) = self.progress.state.offer.take() else { return false };
        let config = &self.book.config;
        let chosen = if offer.must_choose {
            self.chosen_flow(&offer)
        } else {
            let yes = config.hears(Cue::Yes, &self.message.plain) && !config.hears(Cue::No, &self.message.plain);
            offer.flows.first().filter(|_| yes && self.message.units() <= 6).cloned()
        };
        let Some(flow) = chosen else { return false };
        let opening = Message::read(&offer.text, self.message.language, config.limits.message_chars);
        let frame = self.opened(&flow, &opening);
        self.begin(frame);
        true
    }

    /// Which of several flows a message names: by title, place or likeness.
    fn chosen_flow(&self, offer: &Offer) -> Option<String> {
        let text = &self.message.plain;
        let titled = offer.flows.iter().find(|id| {
            self.book.flow(id).is_some_and(|f| {
                [&f.title.zh, &f.title.en].iter().any(|t| crate::text::fold(t) == *text)
            })
        });
        if titled.is_some() {
            return titled.cloned();
        }
        const PLACES: [&[&str]; 2] = [&["第一", "1", "前", "first", "one"], &["第二", "2", "后", "second", "two"]];
        let place = PLACES.iter().position(|words| words.iter().any(|w| text.starts_with(w) || text == *w || text.contains(&format!("the {w}"))));
        if let Some(flow) = place.filter(|_| self.message.units() <= 5).and_then(|p| offer.flows.get(p)) {
            return Some(flow.clone());
        }
        let fits = self.book.fits(text, self.heard.vector.as_deref(), &self.heard.intents);
        fits.into_iter().find(|fit| offer.flows.contains(&fit.flow) && fit.score > 0.3).map(|fit| fit.flow)
    }

    /// A frame with everything that an opening message tells already.
    fn opened(&self, id: &str, opening: &Message) -> Frame {
        let mut frame = Frame::new(id);
        let reading = Reading { config: &self.book.config, today: self.progress.state.today, asked: false };
        for slot in self.book.flow(id).map(|f| f.slots.as_slice()).unwrap_or_default() {
            if let Some(value) = read(slot, opening, reading) {
                frame.fill(&slot.name, value);
            }
        }
        frame
    }

    fn begin(&mut self, frame: Frame) {
        self.answered = true;
        self.progress.state.misses = 0;
        self.progress.acts.push(Act::Start(frame.flow.clone()));
        self.progress.state.topic = Some(self.message.raw.trim().chars().take(120).collect());
        self.progress.state.stack.push(frame);
        self.progress.run();
    }

    /// No flow runs.
    fn open(&mut self) {
        if self.corrects_last() || self.small_talk() {
            return;
        }
        let thresholds = self.book.config.thresholds;
        let fits = self.book.fits(&self.message.plain, self.heard.vector.as_deref(), &self.heard.intents);
        let best = fits.first().filter(|fit| fit.score >= thresholds.start_flow);
        let answer = self.answer();
        if let Some(best) = best {
            if let Some(answer) = answer.filter(|_| self.asks_in_general()) {
                let flow = best.flow.clone();
                return self.give(answer, Some(flow));
            }
            let second = fits.get(1).filter(|s| s.score >= thresholds.start_flow && best.score - s.score < thresholds.margin);
            if let Some(second) = second.filter(|s| s.sure == best.sure) {
                return self.clarify(vec![best.flow.clone(), second.flow.clone()]);
            }
            let frame = self.opened(&best.flow, &self.message.clone());
            return self.begin(frame);
        }
        match answer {
            Some(answer) => self.give(answer, None),
            None if self.hears(Cue::Cancel) => {
                self.progress.acts.push(Act::SmallTalk("thanks".into()));
                self.say("thanks");
            }
            None => self.refuse(),
        }
    }

    /// Whether a message asks how things are done in general, not to have them done.
    fn asks_in_general(&self) -> bool {
        self.hears(Cue::HowTo) || (self.hears(Cue::General) && !self.hears(Cue::Personal))
    }

    /// The answer out of the passages, if one is good enough.
    fn answer(&self) -> Option<Answer> {
        let thresholds = self.book.config.thresholds;
        let limit = max_chars(&self.book.config.limits, self.message.language);
        let question = &self.heard.query;
        self.heard.passages.iter().take(3).find_map(|hit| {
            let context = format!("{} {} {}", hit.title, hit.headings.join(" "), hit.text);
            let known = hit.score >= thresholds.answer_alone || overlap(question, &context) >= thresholds.overlap;
            let good = hit.score >= thresholds.answer && known;
            if !good {
                return None;
            }
            extract(question, hit, limit).filter(|answer| grounded(&answer.text, &hit.text))
        })
    }

    fn give(&mut self, answer: Answer, offer: Option<String>) {
        self.answered = true;
        self.progress.state.misses = 0;
        self.progress.state.topic = Some(self.heard.query.chars().take(160).collect());
        self.progress.acts.push(Act::Answer(answer.citation.document_id.clone()));
        let language = self.progress.state.language;
        let source = self.book.config.text("source", language).replace("{title}", &answer.citation.title);
        self.progress.said.push(answer.text);
        self.progress.said.push(source);
        self.citations.push(answer.citation);
        if let Some(flow) = offer {
            self.say("offer");
            let title = self.book.flow(&flow).map(|f| f.title.get(language).to_owned()).unwrap_or_default();
            self.progress.buttons = vec![Button { title, payload: format!("/{flow}") }];
            self.progress.state.offer = Some(Offer { flows: vec![flow], text: self.message.raw.clone(), must_choose: false });
        }
    }

    fn clarify(&mut self, flows: Vec<String>) {
        self.answered = true;
        self.progress.acts.push(Act::Clarify);
        self.say("clarify");
        let language = self.progress.state.language;
        let button = |id: &String| {
            let title = self.book.flow(id).map(|f| f.title.get(language).to_owned()).unwrap_or_default();
            Button { payload: title.clone(), title }
        };
        self.progress.buttons = flows.iter().map(button).collect();
        let titles: Vec<String> = self.progress.buttons.iter().enumerate().map(|(i, b)| format!("{}. {}", i + 1, b.title)).collect();
        self.progress.said.extend(titles);
        self.progress.state.offer = Some(Offer { flows, text: self.message.raw.clone(), must_choose: true });
    }

    fn refuse(&mut self) {
        self.progress.state.misses = self.progress.state.misses.saturating_add(1);
        let question: String = self.heard.query.chars().take(500).collect();
        let intent = self.heard.intents.iter().find(|i| i.selected).map(|i| i.name.clone());
        self.gap = (!question.is_empty()).then_some(Gap { question, language: self.message.language, intent });
        if self.progress.state.misses >= self.book.config.limits.misses {
            self.progress.hand_over = Some(Reason::LowConfidence);
            return;
        }
        self.progress.acts.push(Act::Refuse);
        self.say("refuse");
    }

    fn small_talk(&mut self) -> bool {
        let kinds = [(Cue::Greeting, "greeting", "hello"), (Cue::Bot, "bot", "bot"), (Cue::Bye, "bye", "bye"), (Cue::Thanks, "thanks", "thanks")];
        let plain = self.message.plain.trim_end_matches(['?', '？', ' ']).to_owned();
        let kind = kinds.iter().find(|(cue, _, _)| {
            !plain.is_empty() && (self.hears(*cue) || self.book.config.hears(*cue, &plain))
        });
        let Some((_, kind, text)) = kind else { return false };
        self.progress.acts.push(Act::SmallTalk((*kind).to_owned()));
        self.say(text);
        true
    }

    /// A correction of the flow that was finished last opens it again.
    fn corrects_last(&mut self) -> bool {
        let Some(last) = &self.progress.state.last else { return false };
        let Some(flow) = self.book.flow(&last.flow) else { return false };
        let found = correction(self.book, flow, last, &self.message, self.progress.state.today, false);
        let Some(found) = found else { return false };
        let mut frame = last.clone();
        frame.sub = false;
        self.progress.state.stack.push(frame);
        self.apply(&found);
        true
    }

    fn apply(&mut self, found: &Correction) {
        self.answered = true;
        self.progress.state.misses = 0;
        if let Some(frame) = self.progress.state.stack.last_mut() {
            match &found.value {
                Some(value) => frame.fill(&found.slot, value.clone()),
                None => frame.forget(&found.slot),
            }
            frame.tries = 0;
            // What was agreed to was agreed for the old values.
            if found.slot != "agree" {
                frame.forget("agree");
            }
        }
        self.progress.acts.push(Act::Corrected(found.slot.clone()));
        if found.value.is_some() {
            self.say("corrected");
        }
        self.progress.run();
    }

    /// A flow runs: the message answers its question, corrects, gives up, or is about something else.
    fn in_flow(&mut self) {
        let Some(asked) = self.asked() else {
            self.progress.run();
            return;
        };
        let reading = Reading { config: &self.book.config, today: self.progress.state.today, asked: true };
        let value = read(asked, &self.message, reading);
        let chooses = value.is_some() && matches!(asked.kind, SlotKind::Choice | SlotKind::YesNo | SlotKind::Text);
        if self.hears(Cue::Cancel) && !chooses {
            return self.cancel();
        }
        let loose = asked.kind == SlotKind::YesNo;
        if asked.kind != SlotKind::Text && self.corrects(loose) {
            return;
        }
        let open_kind = asked.kind.is_free() || matches!(asked.kind, SlotKind::YesNo | SlotKind::Choice);
        let asks = self.hears(Cue::Question) && self.message.units() >= 4;
        if asks && open_kind && asked.kind != SlotKind::Text && !self.plainly_answers(asked, value.as_deref()) && self.digress_to_answer() {
            return;
        }
        if let Some(value) = value {
            return self.fill(asked, value);
        }
        if self.fill_early() || self.digress_to_flow() {
            return;
        }
        if self.small_talk() {
            return self.ask_again(asked);
        }
        if self.digress_to_answer() {
            return;
        }
        self.retry(asked);
    }

    /// A yes or an option at the beginning, whatever else is asked behind it.
    fn plainly_answers(&self, asked: &Slot, value: Option<&str>) -> bool {
        let head: String = self.message.plain.split([',', '，', '。', ' ']).next().unwrap_or_default().to_owned();
        let head = Message::read(&head, self.message.language, 50);
        let reading = Reading { config: &self.book.config, today: self.progress.state.today, asked: true };
        value.is_some() && !asked.kind.is_free() && !self.book.config.hears(Cue::Question, &head.plain)
            && read(asked, &head, reading).as_deref() == value
    }

    fn cancel(&mut self) {
        self.answered = true;
        while self.progress.state.stack.pop().is_some_and(|frame| frame.sub) {}
        self.progress.acts.push(Act::Cancelled);
        self.progress.state.ends = Ends::Cancelled;
        self.say("cancelled");
        if let Some(below) = self.progress.state.stack.last() {
            self.progress.acts.push(Act::Resume(below.flow.clone()));
            self.say("resume");
            self.progress.run();
        }
    }

    fn corrects(&mut self, loose: bool) -> bool {
        let Some((flow, frame)) = self.front() else { return false };
        match correction(self.book, flow, frame, &self.message, self.progress.state.today, loose) {
            Some(found) => {
                self.apply(&found);
                true
            }
            None => false,
        }
    }

    fn fill(&mut self, slot: &Slot, value: String) {
        self.answered = true;
        self.progress.state.misses = 0;
        if let Some(frame) = self.progress.state.stack.last_mut() {
            frame.fill(&slot.name, value);
        }
        self.take_early();
        self.progress.run();
    }

    /// Other slots that the message tells without being asked; true if there was one.
    fn take_early(&mut self) -> bool {
        let Some((flow, frame)) = self.front() else { return false };
        let reading = Reading { config: &self.book.config, today: self.progress.state.today, asked: false };
        let taken: Vec<&String> = frame.slots.values().collect();
        let open = flow.slots.iter().filter(|s| !frame.slots.contains_key(&s.name));
        let found: Vec<(String, String)> = open
            .filter_map(|s| read(s, &self.message, reading).map(|v| (s.name.clone(), v)))
            // one number is not the order and the telephone at once
            .filter(|(_, v)| !taken.contains(&v))
            .collect();
        let any = !found.is_empty();
        if let Some(frame) = self.progress.state.stack.last_mut() {
            found.into_iter().for_each(|(name, value)| frame.fill(&name, value));
        }
        any
    }

    fn fill_early(&mut self) -> bool {
        let filled = self.take_early();
        if filled {
            self.answered = true;
            self.progress.run();
        }
        filled
    }

    fn digress_to_flow(&mut self) -> bool {
        let thresholds = self.book.config.thresholds;
        let fits = self.book.fits(&self.message.plain, self.heard.vector.as_deref(), &self.heard.intents);
        let runs = |id: &str| self.progress.state.stack.iter().any(|f| f.flow == id);
        let Some(best) = fits.first().filter(|fit| fit.score >= thresholds.digress_flow && !runs(&fit.flow)) else { return false };
        if self.asks_in_general() && self.answer().is_some() {
            return false;
        }
        let frame = self.opened(&best.flow, &self.message.clone());
        self.begin(frame);
        true
    }

    fn digress_to_answer(&mut self) -> bool {
        if !self.hears(Cue::Question) && !self.hears(Cue::General) {
            return false;
        }
        let Some(answer) = self.answer() else { return false };
        self.give(answer, None);
        if let Some(asked) = self.asked() {
            self.ask_again(asked);
        }
        true
    }

    fn ask_again(&mut self, asked: &Slot) {
        if let Some(frame) = self.progress.state.stack.last_mut() {
            frame.tries = 0;
        }
        self.progress.ask(asked);
    }

    fn retry(&mut self, asked: &Slot) {
        let limit = self.book.config.limits.tries;
        let Some(frame) = self.progress.state.stack.last_mut() else { return };
        frame.tries = frame.tries.saturating_add(1);
        if frame.tries >= limit {
            self.progress.hand_over = Some(Reason::FormFailed);
            return;
        }
        self.answered = true;
        self.progress.ask(asked);
    }

    fn finish(mut self) -> Outcome {
        if let Some(request) = self.progress.needs.take() {
            return Outcome::Needs(request);
        }
        let best = self.heard.intents.first().and_then(|i| i.confidence.map(|p| (i.name.clone(), p)));
        let hand_over = self.progress.hand_over.map(|reason| self.hand_over(reason));
        if let Some(context) = &hand_over {
            self.progress.acts.push(Act::HandOver(context.reason));
            self.say(&format!("handoff_{}", context.reason.name()));
            self.progress.buttons.clear();
            self.progress.state.handed_over = Some(context.clone());
            self.progress.state.ends = Ends::Handoff;
        }
        Outcome::Turn(Box::new(Turn {
            state: self.progress.state,
            said: self.progress.said,
            buttons: self.progress.buttons,
            citations: self.citations,
            acts: self.progress.acts,
            answered: self.answered || self.progress.hand_over.is_some(),
            hand_over,
            gap: self.gap,
            intent: best,
        }))
    }

    fn hand_over(&self, reason: Reason) -> HandOver {
        let state = &self.progress.state;
        let frame = state.stack.last().or(state.last.as_ref());
        let flow = frame.and_then(|f| self.book.flow(&f.flow));
        let slots = state.slots();
        let zh = state.language == Language::Zh;
        let about = flow.map_or_else(|| state.opening.clone().unwrap_or_default(), |f| f.title.get(state.language).to_owned());
        let told: Vec<String> = slots.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let last: String = self.message.raw.chars().take(120).collect();
        let summary = match (zh, told.is_empty()) {
            (true, true) => format!("{about}。最后说：{last}"),
            (true, false) => format!("{about}；已提供：{}。最后说：{last}", told.join("，")),
            (false, true) => format!("{about}. Last message: {last}"),
            (false, false) => format!("{about}; given: {}. Last message: {last}", told.join(", ")),
        };
        let urgent = flow.is_some_and(|f| f.urgent);
        let intent = self.heard.intents.iter().find(|i| i.selected);
        let by_intent = intent.and_then(|i| self.book.flow_of_intent(&i.name)).and_then(|f| f.queue.clone());
        HandOver {
            reason,
            queue: flow.and_then(|f| f.queue.clone()).or(by_intent),
            priority: if urgent { 1 } else { reason.priority() },
            summary,
            intent: intent.map(|i| i.name.clone()),
            flow: flow.map(|f| f.id.clone()),
            slots,
            emotion: self.heard.emotion.as_ref().map(|e| e.label.clone()),
        }
    }
}

//! One turn of a conversation: state, message and what was understood and found -> new state, reply, acts. Pure: the same
//! input gives the same turn, business calls are asked for and come back as values.

use super::answer::{Answer, Citation, extract, grounded, max_chars, overlap};
use super::book::FlowBook;
use super::config::Cue;
use super::correct::{Correction, correction};
use super::flow::{Flow, Slot, SlotKind};
use super::form::{CallResults, Progress};
use super::handover::{HandOver, Reason};
use super::message::Message;
use super::state::{Ends, Frame, Offer, State};
use super::turn::{Act, Button, Gap, Heard, Outcome, Turn};
use crate::conversation::Language;

/// Probability of `out_of_scope` from which a message is about something else.
const STRANGE: f32 = 0.7;

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

    /// Changes when the bot is sure enough, to compare settings.
    pub fn set_thresholds(&mut self, thresholds: super::config::Thresholds) {
        self.book.config.thresholds = thresholds;
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
pub(super) struct Talk<'a> {
    pub(super) book: &'a FlowBook,
    pub(super) message: Message,
    pub(super) heard: Heard,
    pub(super) citations: Vec<Citation>,
    pub(super) gap: Option<Gap>,
    pub(super) answered: bool,
    /// Passages were needed and had not been searched for.
    pub(super) searches: bool,
    pub(super) progress: Progress<'a>,
}

impl<'a> Talk<'a> {
    pub(super) fn new(book: &'a FlowBook, state: &State, message: Message, heard: Heard, results: &'a CallResults) -> Self {
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
        Self { book, message, heard, citations: Vec::new(), gap: None, answered: false, searches: false, progress }
    }

    pub(super) fn say(&mut self, name: &str) {
        let text = self.book.config.text(name, self.progress.state.language).to_owned();
        self.progress.said.push(text);
    }

    pub(super) fn hears(&self, cue: Cue) -> bool {
        self.book.config.hears(cue, &self.message.plain)
    }

    pub(super) fn front(&self) -> Option<(&'a Flow, &Frame)> {
        let frame = self.progress.state.stack.last()?;
        Some((self.book.flow(&frame.flow)?, frame))
    }

    pub(super) fn asked(&self) -> Option<&'a Slot> {
        let (flow, frame) = self.front()?;
        flow.slot(frame.asked.as_deref()?)
    }

    pub(super) fn hear(&mut self) {
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
    pub(super) fn wants_person(&self) -> Option<Reason> {
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
        let angry = self
            .heard
            .emotion
            .as_ref()
            .is_some_and(|e| e.label == "angry" && e.confidence.is_some_and(|p| p >= config.thresholds.anger));
        (angry && !config.hears(Cue::NotAnger, text)).then_some(Reason::Emotion)
    }

    /// No flow runs.
    pub(super) fn open(&mut self) {
        if self.corrects_last() || self.small_talk() {
            return;
        }
        let thresholds = self.book.config.thresholds;
        let fits = self.book.fits(&self.message.plain, self.heard.vector.as_deref(), &self.heard.intents);
        let best = fits.first().filter(|fit| fit.score >= thresholds.start_flow);
        if let Some(best) = best {
            if (self.asks_in_general() || self.asks_on())
                && let Some(answer) = self.answer()
            {
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
        match self.answer() {
            Some(answer) => self.give(answer, None),
            None if self.hears(Cue::Cancel) => {
                self.progress.acts.push(Act::SmallTalk("thanks".into()));
                self.say("thanks");
            }
            None => self.refuse(),
        }
    }

    /// Whether a message asks how things are done in general, not to have them done.
    pub(super) fn asks_in_general(&self) -> bool {
        self.hears(Cue::HowTo) || (self.hears(Cue::General) && !self.hears(Cue::Personal))
    }

    /// Whether a message asks on about what was answered last, as "and if it takes longer than that?" does.
    pub(super) fn asks_on(&self) -> bool {
        self.heard.query != self.message.raw.trim() && self.message.units() > 4 && self.hears(Cue::Question)
    }

    /// The answer out of the passages, if one is good enough.
    pub(super) fn answer(&mut self) -> Option<Answer> {
        let Some(passages) = &self.heard.passages else {
            self.searches = true;
            return None;
        };
        let thresholds = self.book.config.thresholds;
        let limit = max_chars(&self.book.config.limits, self.message.language);
        let question = &self.heard.query;
        // A question about something else stands for itself: what was talked about before is no answer to it.
        let strange = self.message.units() > 4
            && self.heard.intents.first().is_some_and(|i| i.name == "out_of_scope" && i.confidence.is_some_and(|c| c >= STRANGE));
        passages.iter().take(3).find_map(|hit| {
            let context = format!("{} {} {}", hit.title, hit.headings.join(" "), hit.text);
            if strange && overlap(&self.message.raw, &context) < thresholds.overlap {
                return None;
            }
            let known = hit.score >= thresholds.answer_alone || overlap(question, &context) >= thresholds.overlap;
            let good = hit.score >= thresholds.answer && known;
            if !good {
                return None;
            }
            extract(question, hit, limit).filter(|answer| grounded(&answer.text, &hit.text))
        })
    }

    pub(super) fn give(&mut self, answer: Answer, offer: Option<String>) {
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

    pub(super) fn clarify(&mut self, flows: Vec<String>) {
        self.answered = true;
        self.progress.acts.push(Act::Clarify);
        self.say("clarify");
        let language = self.progress.state.language;
        let button = |id: &String| {
            let title = self.book.flow(id).map(|f| f.title.get(language).to_owned()).unwrap_or_default();
            Button { payload: title.clone(), title }
        };
        self.progress.buttons = flows.iter().map(button).collect();
        let titles: Vec<String> =
            self.progress.buttons.iter().enumerate().map(|(i, b)| format!("{}. {}", i + 1, b.title)).collect();
        self.progress.said.extend(titles);
        self.progress.state.offer = Some(Offer { flows, text: self.message.raw.clone(), must_choose: true });
    }

    pub(super) fn refuse(&mut self) {
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

    pub(super) fn small_talk(&mut self) -> bool {
        let kinds = [
            (Cue::Greeting, "greeting", "hello"),
            (Cue::Bot, "bot", "bot"),
            (Cue::Bye, "bye", "bye"),
            (Cue::Thanks, "thanks", "thanks"),
        ];
        let plain = self.message.plain.trim_end_matches(['?', '？', ' ']).to_owned();
        let kind =
            kinds.iter().find(|(cue, _, _)| !plain.is_empty() && (self.hears(*cue) || self.book.config.hears(*cue, &plain)));
        let Some((_, kind, text)) = kind else { return false };
        self.progress.acts.push(Act::SmallTalk((*kind).to_owned()));
        self.say(text);
        true
    }

    /// A correction of the flow that was finished last opens it again.
    pub(super) fn corrects_last(&mut self) -> bool {
        let Some(last) = &self.progress.state.last else { return false };
        let Some(flow) = self.book.flow(&last.flow) else { return false };
        let found = correction(self.book, flow, last, &self.message, self.progress.state.today, false);
        let Some(found) = found else { return false };
        let mut frame = last.clone();
        frame.sub = false;
        // It is done anew, so it is told anew.
        frame.said.clear();
        self.progress.state.stack.push(frame);
        self.apply(&found);
        true
    }

    pub(super) fn apply(&mut self, found: &Correction) {
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

    pub(super) fn finish(mut self) -> Outcome {
        if self.searches {
            return Outcome::Searches;
        }
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

    pub(super) fn hand_over(&self, reason: Reason) -> HandOver {
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

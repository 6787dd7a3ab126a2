//! A message while a flow runs: an answer, a correction, giving up, or something else in between.

use super::config::Cue;
use super::correct::{correction, outweighs};
use super::dialogue::Talk;
use super::flow::{Slot, SlotKind};
use super::handover::Reason;
use super::message::Message;
use super::state::Ends;
use super::turn::Act;
use super::values::{Reading, agrees_with_a_no, read};

impl Talk<'_> {
    /// A flow runs: the message answers its question, corrects, gives up, or is about something else.
    pub(super) fn in_flow(&mut self) {
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
        let answered = match asked.kind {
            // Any number passes for a sum; one with its unit is one.
            SlotKind::Amount => read(asked, &self.message, Reading { asked: false, ..reading }).is_some(),
            // "no problem" begins like a denial and is none.
            SlotKind::YesNo => agrees_with_a_no(&self.message.plain),
            kind => value.is_some() && kind.is_exact(),
        };
        if asked.kind != SlotKind::Text && self.corrects(loose, answered.then_some(asked)) {
            return;
        }
        let open_kind = asked.kind.is_free() || matches!(asked.kind, SlotKind::YesNo | SlotKind::Choice | SlotKind::Number);
        // "did that, no change" sounds like a question and is an answer.
        let marked = self.message.raw.contains(['?', '？']);
        let answers = asked.kind == SlotKind::YesNo && value.is_some() && !marked;
        let asks = self.hears(Cue::Question) && self.message.units() >= 4 && !answers;
        if asks
            && open_kind
            && asked.kind != SlotKind::Text
            && !self.plainly_answers(asked, value.as_deref())
            && self.digress_to_answer()
        {
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
    pub(super) fn plainly_answers(&self, asked: &Slot, value: Option<&str>) -> bool {
        let head: String = self.message.plain.split([',', '，', '。', ' ']).next().unwrap_or_default().to_owned();
        let head = Message::read(&head, self.message.language, 50);
        let reading = Reading { config: &self.book.config, today: self.progress.state.today, asked: true };
        value.is_some()
            && !asked.kind.is_free()
            && !self.book.config.hears(Cue::Question, &head.plain)
            && read(asked, &head, reading).as_deref() == value
    }

    pub(super) fn cancel(&mut self) {
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

    /// Changes what the message corrects; `answered` is the slot that was asked for if the message holds its value.
    pub(super) fn corrects(&mut self, loose: bool, answered: Option<&Slot>) -> bool {
        let Some((flow, frame)) = self.front() else { return false };
        let found = correction(self.book, flow, frame, &self.message, self.progress.state.today, loose);
        match found.filter(|found| answered.is_none_or(|asked| outweighs(found, flow, asked, &self.message))) {
            Some(found) => {
                self.apply(&found);
                true
            }
            None => false,
        }
    }

    pub(super) fn fill(&mut self, slot: &Slot, value: String) {
        self.answered = true;
        self.progress.state.misses = 0;
        if let Some(frame) = self.progress.state.stack.last_mut() {
            frame.fill(&slot.name, value);
        }
        self.take_early();
        self.progress.run();
    }

    /// Other slots that the message tells without being asked; true if there was one.
    pub(super) fn take_early(&mut self) -> bool {
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

    pub(super) fn fill_early(&mut self) -> bool {
        let filled = self.take_early();
        if filled {
            self.answered = true;
            self.progress.run();
        }
        filled
    }

    pub(super) fn digress_to_flow(&mut self) -> bool {
        let thresholds = self.book.config.thresholds;
        let fits = self.book.fits(&self.message.plain, self.heard.vector.as_deref(), &self.heard.intents);
        let runs = |id: &str| self.progress.state.stack.iter().any(|f| f.flow == id);
        let Some(best) = fits.first().filter(|fit| fit.score >= thresholds.digress_flow && !runs(&fit.flow)) else {
            return false;
        };
        if self.asks_in_general() && self.answer().is_some() {
            return false;
        }
        let frame = self.opened(&best.flow, &self.message.clone());
        self.begin(frame);
        true
    }

    pub(super) fn digress_to_answer(&mut self) -> bool {
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

    pub(super) fn ask_again(&mut self, asked: &Slot) {
        if let Some(frame) = self.progress.state.stack.last_mut() {
            frame.tries = 0;
        }
        self.progress.ask(asked);
    }

    pub(super) fn retry(&mut self, asked: &Slot) {
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
}

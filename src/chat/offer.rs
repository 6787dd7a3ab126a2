//! How a flow comes to the front: a payload of a button, the answer to an offer, an opening message.

use super::config::Cue;
use super::dialogue::Talk;
use super::message::Message;
use super::state::{Frame, Offer};
use super::turn::Act;
use super::values::{Reading, agrees_with_a_no, denies, read};

impl Talk<'_> {
    /// `/flow-or-intent{"slot":"value"}`: a button of another front end.
    pub(super) fn payload(&mut self) -> bool {
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
    pub(super) fn offer(&mut self) -> bool {
        let Some(offer) = self.progress.state.offer.take() else { return false };
        let config = &self.book.config;
        let chosen = if offer.must_choose {
            self.chosen_flow(&offer)
        } else {
            let text = &self.message.plain;
            let yes = (config.hears(Cue::Yes, text) || agrees_with_a_no(text)) && !denies(text, config);
            offer.flows.first().filter(|_| yes && self.message.units() <= 6).cloned()
        };
        let Some(flow) = chosen else { return false };
        let opening = Message::read(&offer.text, self.message.language, config.limits.message_chars);
        let frame = self.opened(&flow, &opening);
        self.begin(frame);
        true
    }

    /// Which of several flows a message names: by title, place or likeness.
    pub(super) fn chosen_flow(&self, offer: &Offer) -> Option<String> {
        let text = &self.message.plain;
        let titled = offer.flows.iter().find(|id| {
            self.book.flow(id).is_some_and(|f| [&f.title.zh, &f.title.en].iter().any(|t| crate::text::fold(t) == *text))
        });
        if titled.is_some() {
            return titled.cloned();
        }
        const PLACES: [&[&str]; 2] = [&["第一", "1", "前", "first", "one"], &["第二", "2", "后", "second", "two"]];
        let place = PLACES
            .iter()
            .position(|words| words.iter().any(|w| text.starts_with(w) || text == *w || text.contains(&format!("the {w}"))));
        if let Some(flow) = place.filter(|_| self.message.units() <= 5).and_then(|p| offer.flows.get(p)) {
            return Some(flow.clone());
        }
        let fits = self.book.fits(text, self.heard.vector.as_deref(), &self.heard.intents);
        fits.into_iter().find(|fit| offer.flows.contains(&fit.flow) && fit.score > 0.3).map(|fit| fit.flow)
    }

    /// A frame with everything that an opening message tells already.
    pub(super) fn opened(&self, id: &str, opening: &Message) -> Frame {
        let mut frame = Frame::new(id);
        let reading = Reading { config: &self.book.config, today: self.progress.state.today, asked: false };
        for slot in self.book.flow(id).map(|f| f.slots.as_slice()).unwrap_or_default() {
            if let Some(value) = read(slot, opening, reading) {
                frame.fill(&slot.name, value);
            }
        }
        frame
    }

    pub(super) fn begin(&mut self, frame: Frame) {
        self.answered = true;
        self.progress.state.misses = 0;
        self.progress.acts.push(Act::Start(frame.flow.clone()));
        self.progress.state.topic = Some(self.message.raw.trim().chars().take(120).collect());
        self.progress.state.stack.push(frame);
        self.progress.run();
    }
}

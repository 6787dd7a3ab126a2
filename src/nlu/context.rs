//! What a customer means by "yes" or "how long?" stands in his turns before.

use std::collections::BTreeMap;

/// Code points of a short answer with Han characters; words of one without.
const SHORT_HAN: usize = 6;
const SHORT_WORDS: usize = 4;

/// Whether a text is so short that its intent stands in what was said before.
///
/// ```
/// assert!(zhiyin::nlu::is_short_answer("对，就是这个") && !zhiyin::nlu::is_short_answer("我想把套餐改成最便宜的"));
/// ```
pub fn is_short_answer(text: &str) -> bool {
    let letters = text.chars().filter(|c| c.is_alphanumeric());
    if text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)) {
        return letters.count() <= SHORT_HAN;
    }
    letters.count() > 0 && text.split_whitespace().count() <= SHORT_WORDS
}

/// What the customer of a conversation has spoken of so far, the older the fainter.
///
/// A turn is read in the light of the turns before it: the probability of an intent that was spoken of is raised,
///
/// ```text
/// p'(i) = p(i) (1 + l b(i)) / sum over j of p(j) (1 + l b(j))
/// b(i) <- max(d b(i), p'(i))       for intents that are topics; b(i) = 0 at the start
/// ```
///
/// with `l` larger for short answers, whose words say less, and `d` the decay per turn of the customer. Yes, no, numbers
/// that were asked for, thanks and small talk are no topics. The constants were chosen on the training conversations of
/// `datasets/conversations`, read by an n-gram machine that had not seen them (the encoder had).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thread {
    belief: BTreeMap<String, f32>,
}

/// `l` of a short answer.
const PULL_SHORT: f32 = 32.0;
/// `l` of another turn.
const PULL: f32 = 16.0;
/// `d`.
const DECAY: f32 = 0.9;
/// Belief below which an intent is forgotten.
const FORGOTTEN: f32 = 0.02;

impl Thread {
    /// Reads the next turn of the customer: changes the probabilities of `labels` and remembers them. `is_topic` says
    /// which labels are topics.
    ///
    /// ```
    /// let mut thread = zhiyin::nlu::Thread::default();
    /// let labels = ["refund", "bill", "affirm"].map(str::to_owned);
    /// let topic = |label: &str| label != "affirm";
    /// let (mut first, mut second) = ([0.9, 0.1, 0.0], [0.4, 0.45, 0.15]);
    /// thread.read("我要退款，钱还没到", &labels, &mut first, topic);
    /// thread.read("多久", &labels, &mut second, topic);
    /// assert!(second[0] > 0.6 && second[1] < 0.35);
    /// ```
    pub fn read(&mut self, text: &str, labels: &[String], probabilities: &mut [f32], is_topic: impl Fn(&str) -> bool) {
        let pull = if is_short_answer(text) { PULL_SHORT } else { PULL };
        for (label, p) in labels.iter().zip(probabilities.iter_mut()) {
            *p *= 1.0 + pull * self.belief.get(label).copied().unwrap_or(0.0);
        }
        let sum: f32 = probabilities.iter().sum();
        if sum > 0.0 {
            probabilities.iter_mut().for_each(|p| *p /= sum);
        }
        let read = labels.iter().zip(probabilities.iter()).filter(|(label, _)| is_topic(label));
        self.remember(read.map(|(label, p)| (label.as_str(), *p)));
    }

    /// Takes in what was read of a turn: topics and their probabilities.
    pub fn remember<'a>(&mut self, topics: impl IntoIterator<Item = (&'a str, f32)>) {
        self.belief.values_mut().for_each(|b| *b *= DECAY);
        for (topic, p) in topics.into_iter().filter(|(_, p)| *p >= FORGOTTEN) {
            let belief = self.belief.entry(topic.to_owned()).or_default();
            *belief = belief.max(p);
        }
        self.belief.retain(|_, b| *b >= FORGOTTEN);
    }
}

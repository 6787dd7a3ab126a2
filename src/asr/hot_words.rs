//! Hot words: names and products that a call expects. A stretch of the hypothesis that sounds like one becomes it.
//!
//! Sounds are compared, not letters: Chinese by pinyin without tones, English by Double Metaphone (L. Philips, *C/C++ Users
//! Journal*, June 2000). How much a stretch may differ grows with the weight of the word, and shrinks where the decoder
//! was sure of what it heard.

use std::sync::Arc;

use parking_lot::RwLock;
use rphonetic::DoubleMetaphone;

use crate::conversation::Word;
use crate::text::is_han;
use crate::text::phonetic::{merge_confusable, pinyin};

/// Most words of a call.
pub const MAX_HOT_WORDS: usize = 2_000;
/// Difference of sound per syllable or sound class that a word of weight 1 forgives, and what weight 10 adds to it.
const TOLERANCE: f32 = 0.12;
const TOLERANCE_OF_WEIGHT: f32 = 0.22;
/// Syllables whose confusable parts are merged (zh and z, ang and an …) differ by so much.
const CONFUSABLE: f32 = 0.3;
/// Above this confidence only an equal sound is replaced.
const SURE: f32 = 0.97;
/// Shortest key that is compared: shorter ones fit everything.
const MIN_SOUNDS: usize = 3;

#[derive(Debug)]
struct Entry {
    /// What is written: a Chinese character each, or words.
    units: Vec<String>,
    sound: Sound,
    tolerance: f32,
}

#[derive(Debug)]
enum Sound {
    Chinese(Vec<&'static str>),
    Latin(String),
}

/// The words of one call.
#[derive(Debug, Default)]
pub struct HotWords {
    entries: Vec<Entry>,
}

impl HotWords {
    /// Words with a weight from 1 to 10 each. Words of one sound only (a single character, `ok`) are left out: they would
    /// fit too much.
    pub fn new<'a>(words: impl IntoIterator<Item = (&'a str, f32)>) -> Self {
        let entries = words.into_iter().take(MAX_HOT_WORDS).filter_map(|(text, weight)| Entry::new(text, weight)).collect();
        Self { entries }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The words with those replaced that sound like a hot word; `None` if none does. Times and confidences stay those of
    /// the stretch.
    pub fn apply(&self, words: &[Word]) -> Option<Vec<Word>> {
        let sounds: Vec<Heard> = words.iter().map(Heard::of).collect();
        let mut found: Vec<(usize, usize, f32, &Entry)> = Vec::new();
        for entry in &self.entries {
            for (from, until, difference) in entry.places(words, &sounds) {
                found.push((from, until, difference, entry));
            }
        }
        // The best fit first, the longer one of equals; what overlaps with it is not looked at again.
        found.sort_by(|a, b| a.2.total_cmp(&b.2).then((b.1 - b.0).cmp(&(a.1 - a.0))));
        let mut taken: Vec<(usize, usize, &Entry)> = Vec::new();
        for (from, until, _, entry) in found {
            if taken.iter().all(|(f, u, _)| until <= *f || *u <= from) {
                taken.push((from, until, entry));
            }
        }
        taken.retain(|(from, until, entry)| !entry.is_written(&words[*from..*until]));
        if taken.is_empty() {
            return None;
        }
        taken.sort_by_key(|(from, ..)| *from);
        let (mut fixed, mut at) = (Vec::with_capacity(words.len()), 0);
        for (from, until, entry) in taken {
            fixed.extend_from_slice(&words[at..from]);
            fixed.extend(entry.spelled_over(&words[from..until]));
            at = until;
        }
        fixed.extend_from_slice(&words[at..]);
        Some(fixed)
    }
}

impl Entry {
    fn new(text: &str, weight: f32) -> Option<Self> {
        let text = text.trim();
        let tolerance = TOLERANCE + TOLERANCE_OF_WEIGHT * (weight.clamp(1.0, 10.0) - 1.0) / 9.0;
        if !text.is_empty() && text.chars().all(is_han) {
            let syllables: Option<Vec<&'static str>> = pinyin(text).into_iter().collect();
            let syllables = syllables.filter(|s| s.len() >= 2)?;
            return Some(Self { units: text.chars().map(String::from).collect(), sound: Sound::Chinese(syllables), tolerance });
        }
        let key = latin_key(text);
        let units: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        (key.len() >= MIN_SOUNDS && text.is_ascii()).then_some(Self { units, sound: Sound::Latin(key), tolerance })
    }

    fn places(&self, words: &[Word], sounds: &[Heard]) -> Vec<(usize, usize, f32)> {
        match &self.sound {
            Sound::Chinese(syllables) => self.chinese_places(syllables, words, sounds),
            Sound::Latin(key) => self.latin_places(key, words),
        }
    }

    fn chinese_places(&self, syllables: &[&'static str], words: &[Word], sounds: &[Heard]) -> Vec<(usize, usize, f32)> {
        let n = syllables.len();
        let mut found = Vec::new();
        for from in 0..(words.len() + 1).saturating_sub(n) {
            let until = from + n;
            let mut sum = 0.0;
            for (heard, wanted) in sounds[from..until].iter().zip(syllables) {
                sum += heard.syllable.map_or(f32::INFINITY, |syllable| syllable_difference(syllable, wanted));
            }
            let difference = sum / n as f32;
            if difference <= self.allowed(&words[from..until]) {
                found.push((from, until, difference));
            }
        }
        found
    }

    fn latin_places(&self, key: &str, words: &[Word]) -> Vec<(usize, usize, f32)> {
        let written = self.units.join("").to_lowercase();
        let mut found = Vec::new();
        // A recogniser cuts a name in pieces, or joins two: one word more or less.
        let lengths = self.units.len().saturating_sub(1).max(1)..=self.units.len() + 1;
        for n in lengths {
            for from in 0..(words.len() + 1).saturating_sub(n) {
                let stretch = &words[from..from + n];
                let text = stretch.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ");
                if !text.is_ascii() {
                    continue;
                }
                let by_sound = 1.0 - strsim::normalized_levenshtein(&latin_key(&text), key) as f32;
                let letters = text.replace(' ', "").to_lowercase();
                let by_letters = 1.0 - strsim::normalized_levenshtein(&letters, &written) as f32;
                // Another word of the same consonants is not the same word.
                let difference = 0.6 * by_sound + 0.4 * by_letters;
                if by_letters <= 0.55 && difference <= self.allowed(stretch) {
                    found.push((from, from + n, difference));
                }
            }
        }
        found
    }

    /// How much a stretch may differ, by how sure the decoder was of it.
    fn allowed(&self, stretch: &[Word]) -> f32 {
        let confidences: Vec<f32> = stretch.iter().filter_map(|w| w.confidence).collect();
        let mean = confidences.iter().sum::<f32>() / confidences.len().max(1) as f32;
        if !confidences.is_empty() && mean >= SURE { 0.02 } else { self.tolerance }
    }

    fn is_written(&self, stretch: &[Word]) -> bool {
        stretch.len() == self.units.len() && stretch.iter().zip(&self.units).all(|(w, unit)| w.text == *unit)
    }

    /// The units of this word over the time of a stretch.
    fn spelled_over(&self, stretch: &[Word]) -> Vec<Word> {
        let (start, end) = (stretch[0].start_ms, stretch[stretch.len() - 1].end_ms);
        let confidences: Vec<f32> = stretch.iter().filter_map(|w| w.confidence).collect();
        let confidence = (!confidences.is_empty()).then(|| confidences.iter().sum::<f32>() / confidences.len() as f32);
        let n = self.units.len() as i64;
        let border = |i: i64| if stretch.len() as i64 == n { None } else { Some(start + (end - start) * i / n) };
        let unit = |(i, text): (usize, &String)| Word {
            text: text.clone(),
            start_ms: border(i as i64).unwrap_or_else(|| stretch[i].start_ms),
            end_ms: border(i as i64 + 1).unwrap_or_else(|| stretch[i].end_ms),
            confidence,
        };
        self.units.iter().enumerate().map(unit).collect()
    }
}

/// How a word of the hypothesis sounds, if it is one Chinese character.
struct Heard {
    syllable: Option<&'static str>,
}

impl Heard {
    fn of(word: &Word) -> Self {
        let mut characters = word.text.chars();
        let single = characters.next().filter(|c| is_han(*c) && characters.next().is_none());
        Self { syllable: single.and_then(|_| pinyin(&word.text).into_iter().next().flatten()) }
    }
}

/// 0 for one sound, [`CONFUSABLE`] for sounds that are taken for each other, else 1.
fn syllable_difference(a: &str, b: &str) -> f32 {
    if a == b {
        0.0
    } else if merge_confusable(a) == merge_confusable(b) {
        CONFUSABLE
    } else {
        1.0
    }
}

fn latin_key(text: &str) -> String {
    let letters: String = text.chars().filter(char::is_ascii_alphabetic).collect();
    DoubleMetaphone::new(None).double_metaphone(&letters).primary()
}

/// The hot words of a call, shared by its channels (clones are the same call), changed while it runs.
#[derive(Clone, Debug, Default)]
pub struct CallHints {
    words: Arc<RwLock<Arc<HotWords>>>,
}

impl CallHints {
    /// Hints with these words.
    pub fn new(words: HotWords) -> Self {
        Self { words: Arc::new(RwLock::new(Arc::new(words))) }
    }

    /// Other words from the next segment on.
    pub fn set(&self, words: HotWords) {
        *self.words.write() = Arc::new(words);
    }

    /// The words in force.
    pub fn words(&self) -> Arc<HotWords> {
        Arc::clone(&self.words.read())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, confidence: f32) -> Vec<Word> {
        let units: Vec<String> =
            if text.is_ascii() { text.split(' ').map(str::to_owned).collect() } else { text.chars().map(String::from).collect() };
        let word = |(i, text): (usize, String)| {
            let start_ms = 100 * i as i64;
            Word { text, start_ms, end_ms: start_ms + 100, confidence: Some(confidence) }
        };
        units.into_iter().enumerate().map(word).collect()
    }

    fn fixed(hot: &[(&str, f32)], text: &str, confidence: f32) -> Option<String> {
        let gap = if text.is_ascii() { " " } else { "" };
        let fixed = HotWords::new(hot.iter().copied()).apply(&words(text, confidence))?;
        assert!(fixed.windows(2).all(|w| w[0].end_ms <= w[1].start_ms), "times rise");
        Some(fixed.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(gap))
    }

    #[test]
    fn homophones_become_the_word() {
        assert_eq!(fixed(&[("流量包", 5.0)], "我想买个留亮包", 0.8).as_deref(), Some("我想买个流量包"));
        assert_eq!(fixed(&[("畅享套餐", 5.0)], "唱想套餐多少钱", 0.9).as_deref(), Some("畅享套餐多少钱"));
        assert_eq!(fixed(&[("Vistara", 6.0)], "my vista ra plan", 0.7).as_deref(), Some("my Vistara plan"));
        assert_eq!(fixed(&[("Brightline", 6.0)], "the bright line router", 0.7).as_deref(), Some("the Brightline router"));
    }

    #[test]
    fn confusable_initials_need_weight_and_doubt() {
        assert_eq!(fixed(&[("南山店", 10.0)], "去兰山店办", 0.7).as_deref(), Some("去南山店办"));
        assert_eq!(fixed(&[("南山店", 10.0)], "去兰山店办", 0.99), None, "the decoder was sure");
    }

    #[test]
    fn other_words_stay() {
        assert_eq!(fixed(&[("流量包", 10.0)], "我的钱包丢了", 0.5), None);
        assert_eq!(fixed(&[("流量包", 10.0)], "流量包还剩多少", 0.5), None, "it is there already");
        assert_eq!(fixed(&[("Brightline", 10.0)], "the bill is too high", 0.5), None);
        assert_eq!(fixed(&[("店", 10.0), ("ok", 10.0)], "点一下", 0.5), None, "too short to be told apart");
    }

    #[test]
    fn the_best_fit_wins_where_two_overlap() {
        let hot = [("流量", 5.0), ("流量包", 5.0)];
        assert_eq!(fixed(&hot, "留亮包", 0.8).as_deref(), Some("流量包"));
    }

    #[test]
    fn hints_change_while_a_call_runs() {
        let hints = CallHints::default();
        let channel = hints.clone();
        assert!(channel.words().is_empty());
        hints.set(HotWords::new([("流量包", 3.0)]));
        assert!(!channel.words().is_empty());
    }
}

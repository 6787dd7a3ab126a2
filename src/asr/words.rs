//! Tokens to words: text, confidence, times.
//!
//! The times that models of this size give to tokens are worth little, so the exact times are those of the segment, and
//! words are laid into it by their length over the stretches that are loud, with borders moved into pauses nearby.

use crate::audio::{MODEL_RATE_HZ, level_db};
use crate::conversation::{Language, Word};

use super::Hypothesis;

/// Step of the loudness curve: 10 ms.
const STEP_SAMPLES: usize = MODEL_RATE_HZ as usize / 100;
const STEP_MS: i64 = 10;
/// Steps this far below the loudest count as pause.
const PAUSE_DB: f64 = 28.0;
/// A border moves into a pause of at least this many steps, at most this many steps away.
const MIN_PAUSE_STEPS: usize = 6;
const REACH_STEPS: usize = 15;
/// Shortest word in steps, where there is room.
const MIN_WORD_STEPS: usize = 4;

/// One token as the decoder gave it.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub id: i32,
    /// Its text; may hold a part of a character.
    pub bytes: Vec<u8>,
    pub probability: f32,
}

/// A hypothesis from tokens. `samples` is the segment at 16 kHz.
pub(super) fn assemble(
    tokens: &[Token],
    samples: &[f32],
    language: Language,
    no_speech: f32,
    is_text: impl Fn(i32) -> bool,
) -> Hypothesis {
    let tokens: Vec<&Token> = tokens.iter().filter(|token| is_text(token.id) && !token.bytes.is_empty()).collect();
    let mean =
        |of: &dyn Fn(f32) -> f32| tokens.iter().map(|token| of(token.probability)).sum::<f32>() / tokens.len().max(1) as f32;
    let spelled = spell(&tokens);
    let times = lay_out(&spelled.iter().map(|word| weight(&word.text)).collect::<Vec<_>>(), samples);
    let words: Vec<Word> = spelled
        .into_iter()
        .zip(times)
        .map(|(word, (start_ms, end_ms))| Word { confidence: Some(word.confidence), text: word.text, start_ms, end_ms })
        .collect();
    Hypothesis {
        text: join(words.iter().map(|word| word.text.as_str())),
        confidence: if words.is_empty() { 0.0 } else { mean(&|p| p) },
        log_probability: if words.is_empty() { 0.0 } else { mean(&|p| p.max(1e-6).ln()) },
        words,
        language,
        language_probabilities: Vec::new(),
        no_speech,
    }
}

/// A word and the mean probability of its tokens.
struct Spelled {
    text: String,
    confidence: f32,
}

/// Splits the bytes of all tokens into words: at white space, and around every Chinese character.
fn spell(tokens: &[&Token]) -> Vec<Spelled> {
    let bytes: Vec<u8> = tokens.iter().flat_map(|token| token.bytes.iter().copied()).collect();
    let owner: Vec<usize> =
        tokens.iter().enumerate().flat_map(|(index, token)| std::iter::repeat_n(index, token.bytes.len())).collect();
    let mut words: Vec<(String, Vec<usize>)> = Vec::new();
    let mut at = 0;
    let mut apart = true;
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            let owners = at..at + character.len_utf8();
            at = owners.end;
            let ideograph = is_ideograph(character);
            if character.is_whitespace() || character.is_control() {
                apart = true;
                continue;
            }
            match words.last_mut().filter(|_| !apart && !ideograph) {
                Some((text, of)) => {
                    text.push(character);
                    of.extend(&owner[owners]);
                }
                None => words.push((character.to_string(), owner[owners].to_vec())),
            }
            apart = ideograph;
        }
        // half a character at the end of a text that was cut off: dropped
        at += chunk.invalid().len();
    }
    words
        .into_iter()
        .map(|(text, mut of)| {
            of.dedup();
            let confidence = of.iter().map(|&index| tokens[index].probability).sum::<f32>() / of.len().max(1) as f32;
            Spelled { text, confidence: confidence.clamp(0.0, 1.0) }
        })
        .collect()
}

/// Words to a text: a space between words unless both neighbours are Chinese.
pub(super) fn join<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for word in words {
        let glued = text.chars().next_back().is_some_and(is_ideograph) && word.chars().next().is_some_and(is_ideograph);
        if !text.is_empty() && !glued {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

/// Han characters (the blocks that transcripts hold).
fn is_ideograph(character: char) -> bool {
    matches!(character, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3134f}')
}

/// Relative length of a word when spoken: a Chinese syllable is about three letters of English.
fn weight(word: &str) -> f64 {
    word.chars().map(|c| if is_ideograph(c) { 3.0 } else { 1.0 }).sum::<f64>() + 0.5
}

/// Start and end of each word in milliseconds from the start of the segment; in order, without overlap.
fn lay_out(weights: &[f64], samples: &[f32]) -> Vec<(i64, i64)> {
    let total: f64 = weights.iter().sum();
    if weights.is_empty() || total <= 0.0 {
        return Vec::new();
    }
    let loud = loud_steps(samples);
    let loud_count = loud.iter().filter(|loud| **loud).count().max(1) as f64;
    // the step in which `share` of the loud time has passed
    let step_at = |share: f64| {
        let mut passed = 0.0;
        loud.iter().position(|&is_loud| {
            passed += f64::from(u8::from(is_loud));
            passed > share * loud_count
        })
    };
    let first = loud.iter().position(|&is_loud| is_loud).unwrap_or(0);
    let last = loud.iter().rposition(|&is_loud| is_loud).map_or(loud.len(), |step| step + 1);
    let mut start = first;
    let mut passed = 0.0;
    let mut times = Vec::with_capacity(weights.len());
    for (index, weight) in weights.iter().enumerate() {
        passed += weight;
        let earliest = (start + MIN_WORD_STEPS).min(last);
        let (end, next) = if index + 1 == weights.len() {
            (last, last)
        } else {
            let step = step_at(passed / total).unwrap_or(last).max(earliest);
            pause_near(&loud, step, earliest, last).unwrap_or((step, step))
        };
        times.push((start as i64 * STEP_MS, end as i64 * STEP_MS));
        start = next;
    }
    times
}

/// Which steps of 10 ms are loud.
fn loud_steps(samples: &[f32]) -> Vec<bool> {
    let levels: Vec<f64> = samples.chunks(STEP_SAMPLES).map(level_db).collect();
    let loudest = levels.iter().copied().fold(0.0, f64::max);
    levels.iter().map(|level| *level > (loudest - PAUSE_DB).max(0.0)).collect()
}

/// The pause nearest to a step, as (its first step, the first step behind it), if one within reach begins at `earliest`
/// or later.
fn pause_near(loud: &[bool], step: usize, earliest: usize, last: usize) -> Option<(usize, usize)> {
    let from = step.saturating_sub(REACH_STEPS).max(earliest);
    let to = (step + REACH_STEPS).min(last);
    let mut best: Option<(usize, (usize, usize))> = None;
    let mut at = from;
    while at < to {
        if loud[at] {
            at += 1;
            continue;
        }
        let start = loud[..at].iter().rposition(|&is_loud| is_loud).map_or(0, |before| before + 1);
        let end = loud[at..].iter().position(|&is_loud| is_loud).map_or(loud.len(), |after| at + after);
        let distance = step.abs_diff((start + end) / 2);
        if start >= earliest && end - start >= MIN_PAUSE_STEPS && best.is_none_or(|(nearest, _)| distance < nearest) {
            best = Some((distance, (start, end)));
        }
        at = end;
    }
    best.map(|(_, pause)| pause)
}

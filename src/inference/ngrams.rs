//! The hashed character n-gram bag: a cheap second view of a text that does not depend on its tokens.
//!
//! The training recipe computes the same buckets (`models/recipes/encoder/zhiyin_encoder/ngrams.py`).

use unicode_normalization::UnicodeNormalization;

use super::config::NgramConfig;

/// 2^64 divided by the golden ratio, odd: the multiplier of Fibonacci hashing (Knuth, TAOCP vol. 3, 6.4).
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// CJK Extension A begins here; what lies above is Chinese, Korean or rare enough.
const FIRST_CHINESE: char = '\u{3400}';

/// Seed of words and pairs of words; n-grams take their length.
const WORD_SEED: u64 = 64;

/// Code points of a text that are looked at.
const MAX_CHARACTERS: usize = 512;

/// The form whose n-grams are counted: NFKC, lower case, digits as `0`, all else one space, a space at both ends.
pub(super) fn bag_form(text: &str) -> Vec<char> {
    let mut form = vec![' '];
    for c in text.chars().take(MAX_CHARACTERS).nfkc().flat_map(char::to_lowercase) {
        if c.is_ascii_digit() {
            form.push('0');
        } else if c.is_alphanumeric() {
            form.push(c);
        } else if form.last() != Some(&' ') {
            form.push(' ');
        }
    }
    if form.last() != Some(&' ') {
        form.push(' ');
    }
    form.truncate(MAX_CHARACTERS);
    form
}

/// Calls `visit` with the bucket of every counted n-gram of 1 to `config.max` code points; not at all for a text
/// without letters and digits. A single character counts only when it is Chinese, the longest n-grams only when they
/// hold no Chinese: a Chinese character says as much as three or four letters. With `config.words`, words without
/// Chinese of two and more characters count too, and pairs of words that follow each other.
pub(super) fn buckets(text: &str, config: NgramConfig, mut visit: impl FnMut(usize)) {
    let form = bag_form(text);
    if form.iter().all(|&c| c == ' ') {
        return;
    }
    for n in 1..=config.max {
        for window in form.windows(n) {
            let chinese = window.iter().any(|&c| c >= FIRST_CHINESE);
            if (n == 1 && !chinese) || (n > 1 && n == config.max && chinese) {
                continue;
            }
            visit(bucket(window, n as u64, config.buckets));
        }
    }
    if config.words {
        let mut before: Option<usize> = None;
        let mut start = 1;
        for word in form[1..].split(|&c| c == ' ') {
            let end = start + word.len();
            let counts = !word.is_empty() && word.iter().all(|&c| c < FIRST_CHINESE);
            if counts && word.len() > 1 {
                visit(bucket(word, WORD_SEED, config.buckets));
            }
            if let (true, Some(first)) = (counts, before) {
                visit(bucket(&form[first..end], WORD_SEED, config.buckets));
            }
            before = counts.then_some(start);
            start = end + 1;
        }
    }
}

/// The bucket of a run of code points: Fibonacci hashing from a seed, its upper half scaled to the number of buckets
/// (Lemire, "Fast random integer generation in an interval").
fn bucket(run: &[char], seed: u64, buckets: usize) -> usize {
    let mut value = seed.wrapping_mul(MULTIPLIER);
    for &c in run {
        value = (value ^ u64::from(u32::from(c))).wrapping_mul(MULTIPLIER);
        value ^= value >> 29;
    }
    let upper = value.wrapping_mul(MULTIPLIER) >> 32;
    ((upper * buckets as u64) >> 32) as usize
}

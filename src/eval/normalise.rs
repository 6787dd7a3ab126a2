//! How texts are made comparable before edits are counted. The steps, in order:
//!
//! 1. `written` only: spoken numbers become figures by the product's inverse text normalisation, on both sides, so that
//!    二十 and 20 are one and the same;
//! 2. width, case and compatibility forms are folded (NFKC and lower case);
//! 3. apostrophes inside of English words stay (`it's`), every other mark of punctuation and every symbol becomes a blank;
//! 4. filler sounds (`um`, `uh`, `er`, `hmm`; 嗯, 呃, 哦 alone) stay: leaving them out would flatter a recogniser that does.
//!
//! Units of the character error rate are the characters without blanks; units of the word error rate are words, and each
//! Chinese character by itself (also called mixed error rate).

use crate::conversation::Language;
use crate::text::itn::Itn;
use crate::text::{fold, is_han};

/// How far texts are brought together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normaliser {
    /// Steps 2 to 4.
    Plain,
    /// Steps 1 to 4.
    Written,
}

impl Normaliser {
    /// By its name in a task file.
    pub fn named(name: Option<&str>) -> Self {
        if name == Some("written") { Self::Written } else { Self::Plain }
    }

    /// The comparable form of a text: words parted by single blanks.
    pub fn apply(self, text: &str, language: Language) -> String {
        let text = match self {
            Self::Plain => text.to_owned(),
            Self::Written => Itn::new().apply(text, language).0,
        };
        let folded = fold(&text).replace('\u{2019}', "'");
        let chars: Vec<char> = folded.chars().collect();
        let inside = |i: usize| {
            let letter = |at: Option<&char>| at.is_some_and(|c| c.is_alphanumeric());
            i > 0 && letter(chars.get(i - 1)) && letter(chars.get(i + 1))
        };
        let kept: String = chars
            .iter()
            .enumerate()
            .map(|(i, c)| {
                if c.is_alphanumeric() || (*c == '\'' && inside(i)) || (*c == '.' && between_digits(&chars, i)) {
                    *c
                } else {
                    ' '
                }
            })
            .collect();
        kept.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// A point between figures is part of the number.
fn between_digits(chars: &[char], i: usize) -> bool {
    let digit = |at: Option<&char>| at.is_some_and(char::is_ascii_digit);
    i > 0 && digit(chars.get(i - 1)) && digit(chars.get(i + 1))
}

/// Units of the character error rate of a comparable text.
pub fn characters(normalised: &str) -> Vec<char> {
    normalised.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Units of the word error rate of a comparable text.
pub fn words(normalised: &str) -> Vec<String> {
    let mut words = Vec::new();
    for word in normalised.split_whitespace() {
        let mut latin = String::new();
        for c in word.chars() {
            if is_han(c) {
                if !latin.is_empty() {
                    words.push(std::mem::take(&mut latin));
                }
                words.push(c.to_string());
            } else {
                latin.push(c);
            }
        }
        if !latin.is_empty() {
            words.push(latin);
        }
    }
    words
}

/// How often `keyword` stands in a comparable text; Chinese ones anywhere, others as whole words.
pub fn occurrences(normalised: &str, keyword: &str) -> usize {
    if keyword.chars().any(is_han) {
        let (text, keyword) = (normalised.replace(' ', ""), keyword.replace(' ', ""));
        return text.matches(&keyword).count();
    }
    format!(" {normalised} ").replace(' ', "  ").matches(&format!(" {} ", keyword.replace(' ', "  "))).count()
}

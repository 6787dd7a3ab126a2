//! Writing systems, as far as segmentation needs them.

use std::ops::Range;

/// The class of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Script {
    /// A Chinese character.
    Han,
    /// A letter of another script, mostly Latin.
    Latin,
    /// A decimal digit.
    Digit,
    /// Anything else: punctuation, blanks, symbols.
    Other,
}

/// Whether a character is a Han ideograph (basic block, extension A, compatibility, supplementary planes).
pub fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3134F}' | '〇')
}

/// The class of a character.
pub fn script_of(c: char) -> Script {
    if is_han(c) {
        Script::Han
    } else if c.is_numeric() {
        Script::Digit
    } else if c.is_alphabetic() {
        Script::Latin
    } else {
        Script::Other
    }
}

/// Runs of one class, in order, as ranges of code points. An apostrophe between letters belongs to the word.
pub fn runs(chars: &[char]) -> Vec<(Script, Range<usize>)> {
    let mut runs: Vec<(Script, Range<usize>)> = Vec::new();
    for (position, &c) in chars.iter().enumerate() {
        let inside_word = c == '\''
            && position > 0
            && chars[position - 1].is_alphabetic()
            && chars.get(position + 1).is_some_and(|next| next.is_alphabetic() && !is_han(*next));
        let script = if inside_word { Script::Latin } else { script_of(c) };
        match runs.last_mut() {
            Some((last, range)) if *last == script => range.end = position + 1,
            _ => runs.push((script, position..position + 1)),
        }
    }
    runs
}

//! The known English words, kept so that the few that are near a misspelt one are found without comparing with all.

use std::collections::BTreeSet;

/// Words by length, each with the set of its letters.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    by_length: Vec<Vec<(u32, String)>>,
}

impl Vocabulary {
    pub(super) fn new(words: BTreeSet<String>) -> Self {
        let mut by_length: Vec<Vec<(u32, String)>> = Vec::new();
        for word in words {
            if by_length.len() <= word.len() {
                by_length.resize_with(word.len() + 1, Vec::new);
            }
            by_length[word.len()].push((letters(&word), word));
        }
        Self { by_length }
    }

    /// Words that may be within so many edits: of fitting length, and with at most two different letters an edit.
    pub(super) fn near<'a>(&'a self, word: &str, edits: usize) -> impl Iterator<Item = &'a String> {
        let (set, most) = (letters(word), 2 * edits as u32);
        let lengths = word.len().saturating_sub(edits)..=word.len() + edits;
        lengths
            .filter_map(|length| self.by_length.get(length))
            .flatten()
            .filter(move |(other, _)| (other ^ set).count_ones() <= most)
            .map(|(_, known)| known)
    }
}

/// A bit for each of the letters a to z that occur.
fn letters(word: &str) -> u32 {
    word.bytes().filter(u8::is_ascii_lowercase).fold(0, |set, letter| set | 1 << (letter - b'a'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_within_the_edits_is_a_candidate() {
        let words = ["refund", "refunds", "return", "fund", "broadband"];
        let vocabulary = Vocabulary::new(words.iter().map(|word| (*word).to_owned()).collect());
        for typed in ["refnud", "refun", "reefund", "rafund"] {
            assert!(vocabulary.near(typed, 1).any(|known| known == "refund"), "{typed}");
        }
        assert!(!vocabulary.near("refund", 1).any(|known| known == "broadband"));
    }
}

//! Partials by local agreement: what two successive hypotheses agree on is stable.

use super::words::join;

/// The growing text of one open utterance.
#[derive(Debug, Default)]
pub(super) struct Agreement {
    previous: Vec<String>,
    stable: Vec<String>,
    shown: String,
    rev: u32,
}

/// A text to show.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub rev: u32,
    pub text: String,
    pub stable_chars: usize,
}

impl Agreement {
    /// Takes the next hypothesis; `None` if there is nothing new to show, or if it contradicts what was called stable.
    pub(super) fn take(&mut self, words: Vec<String>) -> Option<Shown> {
        if words.is_empty() || !words.starts_with(&self.stable) {
            return None;
        }
        let mut agreed = words.iter().zip(&self.previous).take_while(|(now, before)| now == before).count();
        // The last word may still be growing, even if it was heard twice.
        agreed = agreed.min(words.len() - 1);
        if agreed > self.stable.len() {
            self.stable = words[..agreed].to_vec();
        }
        let text = join(words.iter().map(String::as_str));
        let stable_chars = join(self.stable.iter().map(String::as_str)).chars().count();
        self.previous = words;
        if text == self.shown {
            return None;
        }
        self.rev += 1;
        self.shown.clone_from(&text);
        Some(Shown { rev: self.rev, text, stable_chars })
    }

    /// Whether a final text breaks the promise of the stable part.
    pub(super) fn broken_by(&self, text: &str) -> bool {
        !text.starts_with(&join(self.stable.iter().map(String::as_str)))
    }

    /// Whether anything was shown.
    pub(super) fn was_shown(&self) -> bool {
        self.rev > 0
    }
}

//! Text that may only grow, cut from texts that may be revised.

/// How much of an utterance a client that can only append has been given.
#[derive(Clone, Debug, Default)]
pub(in crate::api) struct Appended {
    given: String,
}

impl Appended {
    /// The stable beginning of a revisable text: what is new of it.
    pub(in crate::api) fn stable(&mut self, text: &str, stable_chars: usize) -> Option<String> {
        let stable: String = text.chars().take(stable_chars).collect();
        // A word that is still growing is not given in halves.
        let cut = match stable.char_indices().next_back() {
            Some((_, last)) if last.is_ascii_alphanumeric() && text.chars().nth(stable_chars).is_some_and(|c| c != ' ') => {
                stable.rfind(' ').unwrap_or(0)
            }
            _ => stable.len(),
        };
        self.advance(&stable[..cut])
    }

    /// The whole text: what of it was not given yet. A text that contradicts what was given adds nothing but its longer end.
    pub(in crate::api) fn rest(&mut self, text: &str) -> Option<String> {
        if text.starts_with(&self.given) {
            return self.advance(text);
        }
        let known = self.given.chars().count();
        let rest: String = text.chars().skip(known).collect();
        self.given.push_str(&rest);
        (!rest.is_empty()).then_some(rest)
    }

    /// All that was given.
    pub(in crate::api) fn given(&self) -> &str {
        &self.given
    }

    fn advance(&mut self, text: &str) -> Option<String> {
        let new = text.strip_prefix(self.given.as_str()).filter(|new| !new.is_empty())?.to_owned();
        self.given.push_str(&new);
        Some(new)
    }
}

#[cfg(test)]
mod tests {
    use super::Appended;

    #[test]
    fn pieces_joined_are_the_text() {
        let mut appended = Appended::default();
        let mut joined = String::new();
        for (text, stable) in [("where", 5), ("where is my", 8), ("where is my refund", 18)] {
            joined.extend(appended.stable(text, stable));
        }
        joined.extend(appended.rest("where is my refund?"));
        assert_eq!(joined, "where is my refund?");
        assert_eq!(appended.given(), joined);
    }

    #[test]
    fn half_a_word_is_not_given() {
        let mut appended = Appended::default();
        assert_eq!(appended.stable("ref", 2), None);
        assert_eq!(appended.stable("my refund", 6).as_deref(), Some("my"));
        assert_eq!(appended.stable("我的退款", 2).as_deref(), None, "another beginning adds nothing");
    }

    #[test]
    fn chinese_is_given_character_by_character() {
        let mut appended = Appended::default();
        assert_eq!(appended.stable("我的退款", 2).as_deref(), Some("我的"));
        assert_eq!(appended.rest("我的退款呢").as_deref(), Some("退款呢"));
    }

    #[test]
    fn a_contradiction_only_adds_its_longer_end() {
        let mut appended = Appended::default();
        appended.stable("one two", 7);
        assert_eq!(appended.rest("won two three").as_deref(), Some(" three"));
    }
}

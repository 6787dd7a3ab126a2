//! Whether an utterance asks for knowledge, and what to search for.

use crate::conversation::{Role, Understanding};

/// Groups and intents that no article answers.
const WITHOUT_ANSWER: [&str; 7] = ["affirm", "deny", "provide_info", "thanks_bye", "chit_chat", "out_of_scope", "transfer_human"];
/// Han characters plus words that an utterance needs to be searched for without an intent.
const UNITS_MIN: usize = 4;

/// A search that is worth running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchWish {
    /// What to search for.
    pub query: String,
    /// The intent behind it.
    pub intent: Option<String>,
}

/// Decides whether to search for an utterance of `role`. `previous` is the customer's turn before it: a short
/// question ("and how long does that take?") is searched together with it.
pub fn wants_search(role: Role, text: &str, understanding: &Understanding, previous: Option<&str>) -> Option<SearchWish> {
    if role != Role::Customer {
        return None;
    }
    let intent = understanding.top_intent().map(|i| i.name.clone());
    if intent.as_deref().is_some_and(|name| WITHOUT_ANSWER.contains(&name)) {
        return None;
    }
    let asks = understanding.acts.iter().any(|a| a.label == "ask");
    let units = units(text);
    if units < UNITS_MIN && !asks {
        return None;
    }
    if intent.is_none() && !asks && understanding.out_of_scope.flag {
        return None;
    }
    let query = match previous {
        Some(before) if units < 2 * UNITS_MIN => format!("{before} {text}"),
        _ => text.to_owned(),
    };
    Some(SearchWish { query, intent })
}

/// Han characters plus words of other scripts.
fn units(text: &str) -> usize {
    let han = text.chars().filter(|c| ('\u{3400}'..='\u{9FFF}').contains(c)).count();
    let words =
        text.split(|c: char| !c.is_alphanumeric() || ('\u{3400}'..='\u{9FFF}').contains(&c)).filter(|w| !w.is_empty()).count();
    han + words
}

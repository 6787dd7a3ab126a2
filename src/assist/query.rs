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
    let words = rewritten(text);
    if words.is_empty() {
        return None;
    }
    let query = match previous.map(rewritten) {
        Some(before) if units < 2 * UNITS_MIN && !before.is_empty() => format!("{before} {words}"),
        _ => words,
    };
    Some(SearchWish { query, intent })
}

/// What people say while they think, longest first; it says nothing about what they look for.
const FILLERS_ZH: [&str; 22] = [
    "怎么说呢",
    "就是说",
    "我想问一下",
    "请问一下",
    "那个啥",
    "你好",
    "您好",
    "请问",
    "喂",
    "嗯",
    "呃",
    "哦",
    "啊",
    "那个",
    "就是",
    "然后",
    "反正",
    "其实",
    "对吧",
    "是吧",
    "呢",
    "哎",
];
/// The same in English, folded.
const FILLERS_EN: [&str; 22] = [
    "you know what",
    "you know",
    "i mean",
    "kind of",
    "sort of",
    "excuse me",
    "good morning",
    "good afternoon",
    "to be honest",
    "um",
    "uh",
    "er",
    "erm",
    "hmm",
    "well",
    "so",
    "like",
    "basically",
    "actually",
    "hello",
    "hi",
    "okay",
];
/// Numbers of so many digits name one order or person and no article.
const NUMBER_DIGITS: usize = 5;

/// A spoken text as a query: without fillers and without long numbers.
pub fn rewritten(text: &str) -> String {
    let mut chinese = text.to_owned();
    for filler in FILLERS_ZH {
        chinese = chinese.replace(filler, if filler.chars().count() > 1 { " " } else { "" });
    }
    let words: Vec<&str> = chinese.split_whitespace().collect();
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < words.len() {
        let matching = |filler: &&&str| {
            let parts: Vec<&str> = filler.split(' ').collect();
            words.len() >= at + parts.len() && parts.iter().enumerate().all(|(n, part)| bare(words[at + n]) == *part)
        };
        match FILLERS_EN.iter().find(matching) {
            Some(filler) => at += filler.split(' ').count(),
            None => {
                kept.push(words[at]);
                at += 1;
            }
        }
    }
    let joined = kept.join(" ");
    let number = |piece: &str| piece.chars().filter(char::is_ascii_digit).count() >= NUMBER_DIGITS;
    let mut out = String::new();
    let mut run = String::new();
    for c in joined.chars().chain(['\0']) {
        if c.is_ascii_digit() || (c == '-' && !run.is_empty()) {
            run.push(c);
            continue;
        }
        if !number(&run) {
            out.push_str(&run);
        }
        run.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    if out.chars().any(char::is_alphanumeric) { out.trim().to_owned() } else { String::new() }
}

/// Han characters plus words of other scripts.
fn units(text: &str) -> usize {
    let han = text.chars().filter(|c| ('\u{3400}'..='\u{9FFF}').contains(c)).count();
    let words =
        text.split(|c: char| !c.is_alphanumeric() || ('\u{3400}'..='\u{9FFF}').contains(&c)).filter(|w| !w.is_empty()).count();
    han + words
}

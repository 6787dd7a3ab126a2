//! Entities that their form proves: numbers of phones and orders, amounts, dates, times, mail and web addresses.

use std::sync::LazyLock;

use regex::Regex;

/// An entity found by its form; positions are code points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternEntity {
    /// Kind, from the closed list.
    pub kind: &'static str,
    /// Surface text.
    pub text: String,
    /// Normalised value.
    pub value: String,
    /// First code point.
    pub start: usize,
    /// First code point behind it.
    pub end: usize,
}

struct Pattern {
    kind: &'static str,
    regex: Regex,
}

/// Tried in this order; an earlier one takes its place from later ones.
static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    const NUMBER: &str = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?";
    [
        ("email", r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+".to_owned()),
        ("url", r"(?:https?://|www\.)[A-Za-z0-9./?=&_%#-]+".to_owned()),
        ("date", r"(?:\d{4}年)?\d{1,2}月\d{1,2}[日号]|\d{4}-\d{1,2}-\d{1,2}|\d{1,2}/\d{1,2}/\d{2,4}|[上下这本]{1,2}(?:个)?(?:周|星期|礼拜)[一二三四五六日天]|(?:前|昨|今|明|后)天".to_owned()),
        ("date", r"(?i)\b(?:(?:last|next|this|on)\s+)?(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b|\b(?:yesterday|today|tomorrow)\b|\b(?:january|february|march|april|may|june|july|august|september|october|november|december)\s+\d{1,2}(?:st|nd|rd|th)?\b".to_owned()),
        ("time", r"(?:早上|上午|中午|下午|晚上)?\d{1,2}[点时](?:\d{1,2}分|半)?|\d{1,2}:\d{2}|(?i:\b\d{1,2}\s?(?:am|pm)\b)".to_owned()),
        ("amount", format!(r"[¥￥$£€]\s?(?:{NUMBER})|(?:{NUMBER})\s?(?:万元|元|块钱|块|美元|yuan|dollars?|pounds?|euros?|RMB)")),
        ("phone", r"(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}|0\d{2,3}-\d{7,8}|\+\d{1,3}[- ]\d{2,4}[- ]\d{3,4}[- ]?\d{3,4}".to_owned()),
        ("order_no", r"[A-Za-z]{1,4}-?\d{6,18}|\d{8,20}".to_owned()),
    ]
    .into_iter()
    .filter_map(|(kind, source)| Regex::new(&source).ok().map(|regex| Pattern { kind, regex }))
    .collect()
});

/// Number of patterns; a test holds that every one of them compiled.
#[cfg(test)]
pub(super) fn pattern_count() -> usize {
    PATTERNS.len()
}

/// Entities of `text` that a pattern proves, by start, without overlap.
pub fn find_entities(text: &str) -> Vec<PatternEntity> {
    let mut taken: Vec<(usize, usize)> = Vec::new();
    let mut found = Vec::new();
    for pattern in PATTERNS.iter() {
        for hit in pattern.regex.find_iter(text) {
            if touches_more(text, hit.start(), hit.end(), pattern.kind)
                || taken.iter().any(|&(start, end)| hit.start() < end && start < hit.end())
            {
                continue;
            }
            taken.push((hit.start(), hit.end()));
            let start = text[..hit.start()].chars().count();
            found.push(PatternEntity {
                kind: pattern.kind,
                text: hit.as_str().to_owned(),
                value: normalise(pattern.kind, hit.as_str()),
                start,
                end: start + hit.as_str().chars().count(),
            });
        }
    }
    found.sort_by_key(|entity| entity.start);
    found
}

/// A number of a phone or an order must not be a part of a longer number or word.
fn touches_more(text: &str, start: usize, end: usize, kind: &str) -> bool {
    let more = |c: char| c.is_ascii_alphanumeric();
    matches!(kind, "phone" | "order_no")
        && (text[..start].chars().next_back().is_some_and(more) || text[end..].chars().next().is_some_and(more))
}

fn normalise(kind: &str, text: &str) -> String {
    match kind {
        "phone" | "order_no" => text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '+').collect(),
        "amount" => text.chars().filter(|c| c.is_ascii_digit() || *c == '.').collect(),
        "email" => text.to_ascii_lowercase(),
        _ => text.to_owned(),
    }
}

//! Short answers: what a customer means by "yes" stands in his turn before.

/// Code points of a short answer with Han characters; words of one without.
const SHORT_HAN: usize = 6;
const SHORT_WORDS: usize = 4;

/// Whether a text is so short that its intent stands in what was said before.
///
/// ```
/// assert!(zhiyin::nlu::is_short_answer("对，就是这个") && !zhiyin::nlu::is_short_answer("我想把套餐改成最便宜的"));
/// ```
pub fn is_short_answer(text: &str) -> bool {
    let letters = text.chars().filter(|c| c.is_alphanumeric());
    if text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)) {
        return letters.count() <= SHORT_HAN;
    }
    letters.count() > 0 && text.split_whitespace().count() <= SHORT_WORDS
}

/// A short answer behind the customer's turn before it; `None` for a text that stands for itself.
pub fn behind(before: &str, text: &str) -> Option<String> {
    let before = before.trim();
    if before.is_empty() || !is_short_answer(text) || is_short_answer(before) {
        return None;
    }
    let han = before.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    let ends = before.ends_with(['。', '？', '！', '.', '?', '!', '，', ',']);
    let mark = match (han, ends) {
        (true, true) => "",
        (true, false) => "，",
        (false, true) => " ",
        (false, false) => ", ",
    };
    Some(format!("{before}{mark}{}", text.trim()))
}

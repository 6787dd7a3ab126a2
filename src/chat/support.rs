//! Whether a passage supports a sentence in other words. What cannot be shown is not supported: a reworded answer that loses
//! a sentence is cheaper than one that promises something.
//!
//! A sentence is supported if (1) its words stand in the passage for the most part, (2) every number stands there with the
//! same unit, (3) no word of it belongs to another number there, (4) it denies exactly what the clause denies that it is most
//! like, (5) it costs nothing only where the clause costs nothing, and (6) it says "always", "any", "at once" only after the
//! passage. `zhiyin chat grounding` measures this on labelled sentences.

use super::answer::{overlap, sentences, slice};
use super::message::written;
use crate::conversation::Language;
use crate::text::{fold, is_han, segment};

/// Least share of a sentence's weight that the passage must hold.
const SUPPORT: f32 = 0.6;

/// What denies. Words that only look like it are taken out before.
const DENIES: [&str; 22] = [
    "不",
    "没",
    "无",
    "未",
    "除外",
    "别",
    "禁止",
    "勿",
    " not ",
    "n't ",
    " no ",
    " never ",
    "cannot ",
    " without ",
    "excluded",
    " except",
    "nothing",
    " none ",
    " nobody ",
    "exclude",
    "非",
    "neither ",
];
/// What looks like a denial and is none, or says of a price that there is none.
const NO_DENIAL: [&str; 22] = [
    "别人",
    "别的",
    "特别",
    "区别",
    "分别",
    "级别",
    "无理由",
    "不限",
    "没有上限",
    "不满意",
    "无线",
    "不收费",
    "不要钱",
    "costs nothing",
    "cost nothing",
    "no charge",
    "no cost",
    "at no",
    "not only",
    "unlimited",
    "no limit",
    "非常",
];
/// What says that something costs nothing.
const FREE: [&str; 9] =
    ["免费", "不收费", "不要钱", "不收任何", " free", "costs nothing", "cost nothing", "no charge", "no cost"];
/// What says that something is paid for.
const COSTS: [&str; 8] = ["要收", "收费", "押金", "手续费", " fee", " costs ", " cost ", " charge"];
/// What holds without exception, in groups of words that say the same.
const WITHOUT_EXCEPTION: [&[&str]; 9] = [
    &["所有", "全部", "一律", "任何", " all ", " every ", " any "],
    &["都能", "都可以"],
    &["随时", "any time", "anytime", "whenever"],
    &["立即", "马上", "即时", "立刻", "当即", "即刻", "immediate", "at once", "instant", "right away"],
    &["当天", "同一天", "same day"],
    &["不限", "没有上限", "无限", "unlimited", "no limit", "as often as"],
    &["总是", "永远", "always"],
    &["自动", "automatic"],
    &["第二天", "隔天", "次日", "next day"],
];

/// The sentences of a reworded answer that a passage supports. `None` if it supports none.
pub fn supported(text: &str, passage: &str) -> Option<String> {
    let kept: Vec<String> = sentences(text)
        .into_iter()
        .map(|(start, end)| slice(text, start, end))
        .filter(|sentence| is_supported(sentence, passage))
        .collect();
    (!kept.is_empty()).then(|| kept.join(if text.chars().any(is_han) { "" } else { " " }))
}

/// Whether a passage supports a sentence.
pub fn is_supported(sentence: &str, passage: &str) -> bool {
    if overlap(sentence, passage) < SUPPORT {
        return false;
    }
    let (sentence, passage) = (readable(sentence), readable(passage));
    let (wanted, known) = (numbers(&sentence), numbers(&passage));
    if !wanted.iter().all(|number| known.contains(number)) {
        return false;
    }
    if WITHOUT_EXCEPTION.iter().any(|group| holds(&sentence, group) && !holds(&passage, group)) {
        return false;
    }
    let clauses = clauses(&passage);
    if belongs_to_another(&sentence, &clauses) {
        return false;
    }
    let Some(nearest) = nearest(&sentence, &wanted, &clauses) else { return false };
    if holds(&sentence, &FREE) != holds(&nearest, &FREE) && (holds(&sentence, &FREE) || holds(&sentence, &COSTS)) {
        return false;
    }
    denies(&sentence) == denies(&nearest)
}

/// Folded, with digits for numbers in words, and blanks at its ends so that whole words can be looked for.
fn readable(text: &str) -> String {
    format!(" {} ", fold(&written(text, Language::of_text(text))))
}

fn holds(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.contains(word))
}

fn denies(text: &str) -> bool {
    let cleared = NO_DENIAL.iter().fold(text.to_owned(), |text, word| text.replace(word, " "));
    holds(&cleared.replace('’', "'"), &DENIES)
}

/// A number and what it counts: the first letter of the word behind it, or the sign before it.
#[derive(Clone, Debug, PartialEq)]
struct Number {
    digits: String,
    unit: Option<char>,
}

/// All numbers of a text. Of a range both ends have the unit of the second.
fn numbers(text: &str) -> Vec<Number> {
    let chars: Vec<char> = text.chars().collect();
    let mut found: Vec<Number> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        if !chars[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        let inside = |i: usize| {
            chars.get(i).is_some_and(char::is_ascii_digit)
                || (matches!(chars.get(i), Some('.' | ',' | ':')) && chars.get(i + 1).is_some_and(char::is_ascii_digit))
        };
        while inside(at) {
            at += 1;
        }
        let digits = chars[start..at].iter().filter(|c| **c != ',').collect();
        let sign = start.checked_sub(1).and_then(|i| chars.get(i)).copied().filter(|c| matches!(c, '$' | '£' | '€' | '¥'));
        let rest: String = chars[at..].iter().collect();
        let behind = rest.trim_start_matches([' ', '个', '多']);
        let range = ["至", "到", "-", "~", "–", "to ", "or "].iter().find_map(|word| behind.strip_prefix(word));
        let goes_on = range.is_some_and(|more| more.trim_start().starts_with(|c: char| c.is_ascii_digit()));
        open.push(found.len());
        found.push(Number { digits, unit: sign });
        if !goes_on {
            let unit = sign.or_else(|| behind.chars().next().filter(|c| c.is_alphabetic()));
            open.drain(..).for_each(|number| found[number].unit = found[number].unit.or(unit));
        }
    }
    found
}

/// Parts of a folded text between marks; a comma or colon inside a number is none.
fn clauses(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let digit = |at: Option<usize>| at.and_then(|i| chars.get(i)).is_some_and(char::is_ascii_digit);
    let ends = |(at, c): (usize, &char)| match c {
        '。' | '；' | '！' | '？' | '\n' | ';' | '!' | '?' | '，' | '：' => true,
        ',' | ':' => !(digit(at.checked_sub(1)) && digit(Some(at + 1))),
        '.' => chars.get(at + 1).is_none_or(|next| next.is_whitespace()),
        _ => false,
    };
    let flat: String = chars.iter().enumerate().map(|(at, c)| if ends((at, c)) { '\n' } else { *c }).collect();
    flat.lines().map(|c| format!(" {} ", c.trim())).filter(|c| c.chars().any(char::is_alphanumeric)).collect()
}

fn words(text: &str) -> Vec<String> {
    let tokens = segment::words(text).into_iter().filter(|t| !segment::is_stop_word(&t.text));
    let words = tokens.map(|t| if t.han { t.text } else { segment::stem(&t.text) });
    words.filter(|w| !w.chars().any(|c| c.is_ascii_digit())).collect()
}

/// Whether a word of the sentence stands in the passage only beside other numbers than those of the sentence: "savings cards
/// 1 to 3 days, credit cards 3 to 7 days" does not say "savings cards 3 to 7 days".
fn belongs_to_another(sentence: &str, known: &[String]) -> bool {
    let counted: Vec<(Vec<String>, Vec<Number>)> = known.iter().map(|c| (words(c), numbers(c))).collect();
    clauses(sentence).iter().any(|clause| {
        let wanted = numbers(clause);
        let elsewhere = |word: &String| {
            let mut places = counted.iter().filter(|(words, _)| words.contains(word)).peekable();
            let beside_others = |(_, there): &(Vec<String>, Vec<Number>)| {
                !there.is_empty() && !wanted.iter().all(|number| there.contains(number))
            };
            places.peek().is_some() && places.all(beside_others)
        };
        !wanted.is_empty() && words(clause).iter().filter(|word| word.chars().count() > 1).any(elsewhere)
    })
}

/// The clause that a sentence is most like, with its neighbours' words left out; numbers count most.
fn nearest(sentence: &str, wanted: &[Number], clauses: &[String]) -> Option<String> {
    let said = words(sentence);
    let score = |clause: &String| -> f32 {
        let held = words(clause);
        let shared = said.iter().filter(|word| held.contains(word) || clause.contains(word.as_str())).count();
        let counted = numbers(clause);
        let same = wanted.iter().filter(|number| counted.contains(number)).count();
        #[expect(clippy::cast_precision_loss, reason = "a few words")]
        let score = shared as f32 + 1.5 * same as f32 - 0.05 * held.len() as f32;
        score
    };
    clauses.iter().max_by(|a, b| score(a).total_cmp(&score(b))).cloned()
}

#[cfg(test)]
mod tests {
    use super::{is_supported, supported};

    const REFUND: &str = "退款原路返回：储蓄卡1至3个工作日，信用卡3至7个工作日。不支持退到别人的卡。";
    const CARD: &str = "A new card takes 5 working days and costs nothing. We never ask for your password.";

    #[test]
    fn a_number_belongs_to_its_own_thing() {
        assert!(is_supported("信用卡退款一般3到7个工作日。", REFUND));
        assert!(!is_supported("储蓄卡退款要3至7个工作日。", REFUND));
        assert!(!is_supported("信用卡退款要3至7个小时。", REFUND));
        assert!(!is_supported("A new card takes 9 working days.", CARD));
    }

    #[test]
    fn a_denial_is_not_turned_round() {
        assert!(is_supported("We never ask for your password.", CARD));
        assert!(!is_supported("We ask for your password.", CARD));
        assert!(!is_supported("支持退到别人的卡。", REFUND));
    }

    #[test]
    fn what_is_free_is_free_and_nothing_else() {
        assert!(is_supported("A new card is free and takes 5 working days.", CARD));
        assert!(!is_supported("A new card costs a fee.", CARD));
    }

    #[test]
    fn unsupported_sentences_are_dropped_and_the_rest_stays() {
        let kept = supported("A new card takes 5 working days. It arrives at once by drone.", CARD);
        assert_eq!(kept.as_deref(), Some("A new card takes 5 working days."));
        assert_eq!(supported("Flowers are sent to everybody.", CARD), None);
    }
}

//! A message of the customer in the forms that the bot reads.

use std::sync::LazyLock;

use regex::Regex;

use crate::conversation::Language;
use crate::text::{fold, is_han, itn::Itn};

static ITN: LazyLock<Itn> = LazyLock::new(Itn::new);

/// Marks that say nothing at the ends of a message.
const MARKS: &str = " \t\r\n,.;:!~…，。；：！、～·\"'“”‘’()（）";

/// A message, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// As it came, without control characters, cut to the limit.
    pub raw: String,
    /// Width and case folded, marks at its ends taken off (a question mark stays).
    pub plain: String,
    /// The language it is in; that of the conversation if it does not show.
    pub language: Language,
}

impl Message {
    /// Reads a text; `before` is the language so far.
    pub fn read(text: &str, before: Language, limit_chars: usize) -> Self {
        let raw: String = text
            .chars()
            .filter(|c| !c.is_control() || *c == '\n')
            .filter(|c| !matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}'))
            .take(limit_chars)
            .collect();
        let language = language_of(&raw, before);
        let folded = fold(&raw);
        let plain = folded.trim_matches(|c| MARKS.contains(c)).to_owned();
        Self { raw, plain, language }
    }

    /// With spoken numbers written as digits. Made when it is asked for: most messages need it for no slot.
    pub fn written(&self) -> String {
        written(&self.raw, self.language)
    }

    /// Han characters plus words of other scripts.
    pub fn units(&self) -> usize {
        units(&self.plain)
    }
}

/// A text with spoken numbers written as digits.
pub(super) fn written(text: &str, language: Language) -> String {
    ITN.apply(text, language).0
}

/// Han characters plus words of other scripts.
pub fn units(text: &str) -> usize {
    let han = text.chars().filter(|c| is_han(*c)).count();
    han + text.split(|c: char| !c.is_alphanumeric() || is_han(c)).filter(|w| !w.is_empty()).count()
}

/// Mandarin if there is a Han character; English if there are two words with letters, or one that is no number and no
/// name of a thing such as an order; otherwise as before.
fn language_of(text: &str, before: Language) -> Language {
    let han = text.chars().filter(|c| is_han(*c)).count();
    let words = text.split_whitespace().filter(|w| w.chars().filter(|c| c.is_ascii_alphabetic()).count() > 1);
    let words = words.filter(|w| !w.chars().any(|c| c.is_ascii_digit())).count();
    match (han, words) {
        (0, 0) => before,
        // "ok" and a single name are said in both languages
        (0, 1) if before == Language::Zh && text.trim().chars().count() <= 4 => before,
        (0, _) => Language::En,
        // a Chinese name in an English sentence
        (1..=4, 4..) if before == Language::En => Language::En,
        _ => Language::Zh,
    }
}

static LEAD: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r"^(不好意思|不对|不是的?|不[，, ]|错了|哦|噢|啊|呃|哎呀?|诶|等等|等下|等一下|抱歉|对不起|我?(刚才|刚刚)?(说|写|打|输|记|看|搞|弄)(错|反)了?|更正(一下)?|其实|那个)[了啊呀，,。!！ ]*",
        r"^(应该是|应该|改成|改为|换成|是|到|寄到|送到|要)[：:，, ]*",
        r"(?i)^(no|nope|wait|sorry|oops|actually|hold on|hang on|oh|hmm|ah|ugh|uh|erm|scratch that|correction|my mistake|my bad|whoops|pardon|that'?s wrong|not right|wrong one|typo)[,.!;: -]+",
        r"(?i)^(i meant( to (say|type|write))?|i mean|it should (be|have been)|should be|it'?s|it is|make (it|that)|change (it|that) to|rather|to)[: ]+",
    ]
    .iter()
    .filter_map(|source| Regex::new(source).ok())
    .collect()
});

static NEGATED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r"(不是|别|不要)[^，,。；;是]{1,14}(，|,|。|；|;|而是|是|$)",
        r"是[^，,。；;]{1,12}(，|,)?(不是|别)[^，,。；;]{1,14}",
        r"(?i)\b(not|instead of|rather than)\s+(an?\s+|the\s+|my\s+)?[\w-]+(\s+(one|card|number))?",
    ]
    .iter()
    .filter_map(|source| Regex::new(source).ok())
    .collect()
});

/// What is left of a correction when the words that announce it are taken off.
pub fn without_lead(text: &str) -> String {
    let mut rest = text.trim().to_owned();
    for _ in 0..4 {
        let before = rest.len();
        for lead in LEAD.iter() {
            rest = lead.replace(&rest, "").into_owned();
        }
        if rest.len() == before {
            break;
        }
    }
    rest
}

/// A correction without what it denies: "不是退货，是换货" -> "是换货", "not the debit card, credit" -> ", credit".
pub fn without_negated(text: &str) -> String {
    // "是X不是Y" keeps X
    if let Some(kept) = NEGATED.get(1).and_then(|r| r.find(text)) {
        let inner = kept.as_str();
        if let Some(at) = inner.rfind("不是").or_else(|| inner.rfind('别')) {
            return format!("{}{}{}", &text[..kept.start()], &inner[..at], &text[kept.end()..]);
        }
    }
    let mut rest = text.to_owned();
    for index in [0, 2] {
        if let Some(negated) = NEGATED.get(index) {
            rest = negated.replace_all(&rest, " ").into_owned();
        }
    }
    rest
}

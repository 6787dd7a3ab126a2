//! E-mail addresses, number plates and passports: letters and digits in a fixed form.

use std::sync::LazyLock;

use regex::Regex;

use super::cue::{Cue, Hit};
use super::digits::runs;
use super::folded::Folded;
use super::numbers::{cue_for, thing_beside};
use super::{Finding, Kind};

const PROVINCES: &str = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼";
const DIGITS_ZH: &str = "零〇一二三四五六七八九幺";

struct Patterns {
    email: Regex,
    email_zh: Regex,
    email_en: Regex,
    plate_zh: Regex,
    plate_uk: Regex,
    plate_loose: Regex,
    spelled: Regex,
    passport: Regex,
    national_insurance: Regex,
}

static PATTERNS: LazyLock<Option<Patterns>> = LazyLock::new(|| Patterns::compile().ok());

impl Patterns {
    fn compile() -> Result<Self, regex::Error> {
        let word = r"(?:double |triple )?(?:[a-z]|zero|oh|one|two|three|four|five|six|seven|eight|nine)";
        Ok(Self {
            email: Regex::new(r"[A-Za-z0-9._%+\-]*[A-Za-z0-9_%+\-]@[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)*\.[A-Za-z]{2,}")?,
            email_zh: Regex::new(&format!(
                r"[A-Za-z0-9{DIGITS_ZH}][A-Za-z0-9._\-{DIGITS_ZH}]*(?:(?:点|下划线|杠)[A-Za-z0-9{DIGITS_ZH}]+)*\s?(?:艾特|at|圈[aA]|小老鼠|@)\s?[A-Za-z0-9\-{DIGITS_ZH}]+(?:\s?(?:点|\.)\s?[A-Za-z]{{2,6}})+"
            ))?,
            email_en: Regex::new(
                r"(?i)\b(?:at|@) ((?:[a-z0-9\-]+ (?:dot|point) ){1,3}(?:com|org|net|edu|gov|info|io|me|cn|co|uk|de|fr|us|biz)(?: dot (?:uk|cn|jp|au))?)\b",
            )?,
            plate_zh: Regex::new(&format!(
                r"[{PROVINCES}][ ]?[A-Za-z][·•.\- ]?(?:[A-Za-z0-9{DIGITS_ZH}]{{6}}|[A-Za-z0-9{DIGITS_ZH}]{{5}}|[A-Za-z0-9{DIGITS_ZH}]{{4}}[学警港澳挂领])"
            ))?,
            plate_uk: Regex::new(r"(?-u:\b)(?:[A-Za-z]{2}[0-9]{2} ?[A-Za-z]{3}|[0-9][A-Z]{3}[0-9]{3})(?-u:\b)")?,
            plate_loose: Regex::new(r"\b[A-Z0-9]{1,4}(?:[ \-][A-Z0-9]{2,5})?\b|\b[A-Z0-9]{5,8}\b")?,
            spelled: Regex::new(&format!(r"(?i)\b{word}(?: {word}){{4,11}}\b"))?,
            passport: Regex::new(r"(?i)(?-u:\b)[a-z]{1,2} ?[0-9]{7,8}(?-u:\b)")?,
            national_insurance: Regex::new(r"(?i)(?-u:\b)[abceghj-prstw-z][abceghj-nprstw-z](?: ?[0-9]{2}){3} ?[a-d](?-u:\b)")?,
        })
    }
}

/// Whether all patterns compiled.
#[cfg(test)]
pub(super) fn compiled() -> bool {
    PATTERNS.is_some()
}

/// E-mail addresses, plates and passports of a text.
pub(super) fn find(text: &Folded, hits: &[Hit], asked: Option<Cue>) -> Vec<Finding> {
    let Some(patterns) = PATTERNS.as_ref() else { return Vec::new() };
    let mut found = emails(text, patterns);
    found.extend(plates(text, hits, asked, patterns));
    found.extend(passports(text, hits, asked, patterns));
    for hit in patterns.national_insurance.find_iter(&text.text) {
        let (start, end) = (text.char_at(hit.start()), text.char_at(hit.end()));
        let named = cue_for(text, hits, asked, start, end);
        // (?i) takes the Kelvin sign for a K, so a letter may have more than one byte.
        let letters: String = hit.as_str().chars().take(2).collect::<String>().to_ascii_uppercase();
        let forbidden = ["BG", "GB", "NK", "KN", "TN", "NT", "ZZ"].contains(&letters.as_str());
        if !forbidden && named != Some(Cue::Thing) {
            let strength = if named == Some(Cue::IdCard) { 1.0 } else { 0.8 };
            found.push(Finding { kind: Kind::IdCard, start, end, strength });
        }
    }
    found
}

fn emails(text: &Folded, patterns: &Patterns) -> Vec<Finding> {
    let written = patterns.email.find_iter(&text.text).chain(patterns.email_zh.find_iter(&text.text).filter(|_| text.han));
    let mut found: Vec<Finding> = written
        .map(|hit| Finding { kind: Kind::Email, start: text.char_at(hit.start()), end: text.char_at(hit.end()), strength: 1.0 })
        .collect();
    for hit in patterns.email_en.find_iter(&text.text) {
        let at = text.char_at(hit.start());
        if let Some(start) = local_part(text, at) {
            found.push(Finding { kind: Kind::Email, start, end: text.char_at(hit.end()), strength: 1.0 });
        }
    }
    found
}

/// Where the words begin that stand before "at" in a spoken address: digits and letters, then one word; "dot",
/// "underscore" and "dash" join another.
fn local_part(text: &Folded, at: usize) -> Option<usize> {
    const CONNECTORS: [&str; 5] = ["dot", "underscore", "dash", "hyphen", "point"];
    const OUTSIDE: [&str; 16] =
        ["is", "it's", "to", "my", "email", "mail", "address", "use", "send", "on", "me", "the", "and", "account", "with", "try"];
    let mut start = None;
    let mut behind_word = false;
    let mut end = at;
    loop {
        while end > 0 && text.chars[end - 1] == ' ' {
            end -= 1;
        }
        let mut from = end;
        while from > 0 && (text.chars[from - 1].is_ascii_alphanumeric() || matches!(text.chars[from - 1], '\'' | '.' | '_' | '-'))
        {
            from -= 1;
        }
        let word = text.slice(from, end).to_ascii_lowercase();
        if word.is_empty() || OUTSIDE.contains(&word.as_str()) {
            return start;
        }
        if CONNECTORS.contains(&word.as_str()) {
            behind_word = false;
        } else {
            let number = || runs(&Folded::new(&word)).iter().any(|run| run.spoken);
            let small = word.len() == 1 || number() || matches!(word.as_str(), "oh" | "double" | "triple");
            if behind_word {
                return start;
            }
            behind_word = !small;
            start = Some(from);
        }
        end = from;
    }
}

fn plates(text: &Folded, hits: &[Hit], asked: Option<Cue>, patterns: &Patterns) -> Vec<Finding> {
    let mut found = Vec::new();
    for hit in patterns.plate_zh.find_iter(&text.text) {
        if let Some(end) = plate_end(hit.as_str()) {
            let start = text.char_at(hit.start());
            found.push(Finding { kind: Kind::Plate, start, end: start + end, strength: 1.0 });
        }
    }
    for hit in patterns.plate_uk.find_iter(&text.text) {
        let (start, end) = (text.char_at(hit.start()), text.char_at(hit.end()));
        let cue = cue_for(text, hits, asked, start, end);
        let capitals = !hit.as_str().chars().any(|c| c.is_ascii_lowercase());
        if cue == Some(Cue::Plate) || (capitals && !thing_beside(text, hits, start)) {
            found.push(Finding { kind: Kind::Plate, start, end, strength: if cue == Some(Cue::Plate) { 1.0 } else { 0.8 } });
        }
    }
    let named = hits.iter().any(|hit| hit.cue == Cue::Plate) || asked == Some(Cue::Plate) || text.text.contains("rental");
    if named && !text.han {
        for hit in patterns.plate_loose.find_iter(&text.text).chain(patterns.spelled.find_iter(&text.text)) {
            let (start, end) = (text.char_at(hit.start()), text.char_at(hit.end()));
            let value = hit.as_str();
            let places = value.chars().filter(char::is_ascii_alphanumeric).count();
            let mixed = value.chars().any(|c| c.is_ascii_digit()) && value.chars().any(|c| c.is_ascii_uppercase());
            let spelled = value.contains(' ') && value.split(' ').count() >= 5;
            if cue_for(text, hits, asked, start, end) == Some(Cue::Plate) && (spelled || (mixed && (5..=9).contains(&places))) {
                found.push(Finding { kind: Kind::Plate, start, end, strength: 0.9 });
            }
        }
    }
    found
}

/// How many code points of a match are the plate: six places behind the letter only for the plates of electric cars, which
/// have D or F first or last (GA 36-2018).
fn plate_end(value: &str) -> Option<usize> {
    let chars: Vec<char> = value.chars().collect();
    let places = |c: &&char| c.is_alphanumeric();
    let tail: Vec<char> = chars.iter().skip(1).filter(places).skip(1).copied().collect();
    let digits = tail.iter().filter(|c| c.is_ascii_digit() || DIGITS_ZH.contains(**c)).count();
    if digits < 2 {
        return None;
    }
    let electric = |c: char| matches!(c.to_ascii_uppercase(), 'A'..='K');
    if tail.len() == 6 && !electric(tail[0]) && !electric(tail[5]) { Some(chars.len() - 1) } else { Some(chars.len()) }
}

fn passports(text: &Folded, hits: &[Hit], asked: Option<Cue>, patterns: &Patterns) -> Vec<Finding> {
    let mut found = Vec::new();
    let named = |start: usize, end: usize| cue_for(text, hits, asked, start, end) == Some(Cue::Passport);
    for hit in patterns.passport.find_iter(&text.text) {
        let (start, end) = (text.char_at(hit.start()), text.char_at(hit.end()));
        if named(start, end) {
            found.push(Finding { kind: Kind::Passport, start, end, strength: 0.9 });
        }
    }
    // one or two letters, then digits said one by one
    for run in runs(text).iter().filter(|run| run.spoken && (7..=9).contains(&run.atoms.len())) {
        let (first, end) = (run.atoms[0].start, run.atoms[run.atoms.len() - 1].end);
        let blank = usize::from(first > 0 && text.chars[first - 1] == ' ');
        let letters = text.chars[..first - blank].iter().rev().take(3).take_while(|c| c.is_ascii_alphabetic()).count();
        if (1..=2).contains(&letters) && named(first - blank - letters, end) {
            found.push(Finding { kind: Kind::Passport, start: first - blank - letters, end, strength: 0.9 });
        } else if run.atoms.len() == 9 && named(first, end) {
            found.push(Finding { kind: Kind::Passport, start: first, end, strength: 0.8 });
        }
    }
    found
}

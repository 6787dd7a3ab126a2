//! Postal addresses: a street or an estate with a number, and what stands around it.

use std::sync::LazyLock;

use regex::Regex;

use super::folded::Folded;
use super::{Finding, Kind};

/// Words at which the name of a place cannot begin: the last of them before a street ends the rest of the sentence.
const STARTERS: [&str; 40] = [
    "地址是",
    "地址",
    "住址",
    "住在",
    "家住",
    "送到",
    "寄到",
    "寄给",
    "寄",
    "送",
    "发到",
    "拖到",
    "改成",
    "改到",
    "搬到",
    "换成",
    "应该是",
    "就是",
    "我们在",
    "我在",
    "人在",
    "在",
    "到",
    "是",
    "我是",
    "来",
    "去",
    "离",
    "从",
    "往",
    "找",
    "给",
    "叫",
    "把",
    "和",
    "跟",
    "或",
    "的",
    "为",
    "有",
];
const STREET_EN: &str = r"street|st|road|rd|avenue|ave|lane|ln|drive|dr|court|ct|way|close|place|pl|terrace|boulevard|blvd|square|crescent|row|gardens|hill|park|parkway|highway|alley|walk|grove|mews";
/// Words that are no part of the name of a street.
const NO_STREET: [&str; 26] = [
    "minutes", "minute", "hours", "days", "of", "on", "the", "in", "to", "from", "a", "is", "and", "at", "for", "per", "miles",
    "cars", "this", "that", "no", "any", "people", "years", "my", "your",
];

struct Patterns {
    core_zh: Regex,
    region_zh: Regex,
    core_en: Regex,
    tail_en: Regex,
    box_en: Regex,
}

static PATTERNS: LazyLock<Option<Patterns>> = LazyLock::new(|| Patterns::compile().ok());

impl Patterns {
    fn compile() -> Result<Self, regex::Error> {
        let number = r"[0-9零〇一二三四五六七八九十百]{1,6}";
        let door = format!(
            r"(?:[甲乙丙丁A-Za-z]?{number}(?:号楼|号院|号|栋|幢|座|弄|单元|室|楼|层|房|户|组|村)?|[A-Z]座?)(?:[-－]{number})*"
        );
        let estate = r"[\u4e00-\u9fff]{2,6}(?:小区|花园|家园|公寓|名邸|雅苑|新村|新城|大厦|广场|嘉园|佳苑|花苑|山庄|国际|华府|公馆|苑|府|城|里|村|坊|庭|院)";
        Ok(Self {
            core_zh: Regex::new(&format!(
                r"(?:[\u4e00-\u9fff]{{2,6}}(?:大道|大街|胡同|路|街|道|巷)(?:[东南西北中]段)?(?:{door}(?:号|弄))(?:{estate})?(?:{door}){{0,4}}|{estate}{number}(?:栋|幢|号楼|座)(?:{door}){{0,3}})"
            ))?,
            region_zh: Regex::new(
                r"(?:[\u4e00-\u9fff]{2,3}(?:省|自治区))?(?:[\u4e00-\u9fff]{2,4}市)?(?:[\u4e00-\u9fff]{1,4}(?:新区|区|县))?(?:[\u4e00-\u9fff]{1,4}(?:街道|镇|乡))?$",
            )?,
            core_en: Regex::new(&format!(
                r"(?i)\b(?:(?:flat|apartment|apt\.?|unit|suite) [0-9]+[a-z]?,? )?[0-9]{{1,5}}[a-z]?,? (?:(?:north|south|east|west|n|s|e|w)\.? )?((?:[a-z][a-z'\-]+ ){{1,3}})(?:{STREET_EN})\b\.?"
            ))?,
            tail_en: Regex::new(
                r"^(?:,? (?:apt\.?|apartment|suite|unit|flat|#) ?[0-9]+[A-Za-z]?)?(?:,\s?[A-Z][A-Za-z'\-]+(?: [A-Z][A-Za-z'\-]+){0,2})?(?:,?\s(?:[A-Z]{2} [0-9]{5}(?:-[0-9]{4})?|[A-Z]{1,2}[0-9][A-Z0-9]? [0-9][A-Z]{2}|[A-Z]{2}\b))?",
            )?,
            box_en: Regex::new(r"(?i)\bp\.? ?o\.? box [0-9]+\b")?,
        })
    }
}

/// Whether all patterns compiled.
#[cfg(test)]
pub(super) fn compiled() -> bool {
    PATTERNS.is_some()
}

/// Addresses of a text.
pub(super) fn find(text: &Folded) -> Vec<Finding> {
    let Some(patterns) = PATTERNS.as_ref() else { return Vec::new() };
    let mut found = Vec::new();
    if text.han {
        for hit in patterns.core_zh.find_iter(&text.text) {
            let (core, end) = (text.char_at(hit.start()), text.char_at(hit.end()));
            let core = core + lead(text.slice(core, end));
            let core = core + district(text.slice(core, end));
            let clause = clause_start(text, core);
            let before = text.slice(clause, core);
            let region = patterns.region_zh.find(before).map_or(core, |m| clause + before[..m.start()].chars().count());
            let region = region + if region < core { lead(text.slice(region, core)) } else { 0 };
            found.push(Finding { kind: Kind::Address, start: region, end, strength: 0.9 });
        }
    }
    for hit in patterns.core_en.captures_iter(&text.text) {
        let (Some(whole), Some(name)) = (hit.get(0), hit.get(1)) else { continue };
        if name.as_str().split_whitespace().any(|word| NO_STREET.contains(&word.to_ascii_lowercase().as_str())) {
            continue;
        }
        let tail = patterns.tail_en.find(&text.text[whole.end()..]).map_or(0, |m| m.end());
        let (start, end) = (text.char_at(whole.start()), text.char_at(whole.end() + tail));
        found.push(Finding { kind: Kind::Address, start, end, strength: 0.9 });
    }
    found.extend(patterns.box_en.find_iter(&text.text).map(|hit| Finding {
        kind: Kind::Address,
        start: text.char_at(hit.start()),
        end: text.char_at(hit.end()),
        strength: 0.9,
    }));
    found
}

fn clause_start(text: &Folded, end: usize) -> usize {
    let mark = |c: &char| matches!(c, '，' | ',' | '。' | '！' | '？' | ' ' | ':' | '：' | '；' | '、');
    text.chars[..end].iter().rposition(mark).map_or(0, |at| at + 1)
}

/// How many code points at the beginning of a match name a city or district; the street's own name has two at least.
fn district(value: &str) -> usize {
    let name: Vec<char> = value.chars().take_while(|c| !c.is_ascii_digit()).collect();
    name.iter()
        .take(name.len().saturating_sub(3))
        .rposition(|c| matches!(c, '省' | '市' | '区' | '县' | '镇' | '乡'))
        .map_or(0, |at| at + 1)
}

/// How many code points at the beginning of a match belong to the sentence and not to the address.
fn lead(value: &str) -> usize {
    let mut longest = 0;
    let name_end = value.char_indices().find(|(_, c)| c.is_ascii_digit()).map_or(value.len(), |(at, _)| at);
    let head = &value[..name_end];
    for word in STARTERS {
        for (at, found) in head.match_indices(word) {
            let end = at + found.len();
            // two characters at least stay for the name
            if head[end..].chars().count() >= 2 {
                longest = longest.max(head[..end].chars().count());
            }
        }
    }
    longest
}

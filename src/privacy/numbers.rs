//! Telephone numbers, identity and bank cards, passports, codes: digits that a form, a checksum or a word beside them proves.

use super::checks;
use super::cue::{Cue, Hit, cue_before, cue_behind};
use super::digits::{Gap, Run, runs};
use super::folded::Folded;
use super::{Finding, Kind};

/// How far before a number a word may stand that names it, in code points.
const REACH_HAN: usize = 18;
const REACH_LATIN: usize = 44;
/// Groups that a number is put together from at most.
const GROUPS_MAX: usize = 12;

/// What is known about a stretch of a run.
struct Candidate<'a> {
    digits: &'a str,
    groups: &'a [usize],
    widest: Gap,
    cue: Option<Cue>,
    thing_beside: bool,
    plus: bool,
    spoken: bool,
    han: bool,
}

impl Candidate<'_> {
    fn is(&self, cues: &[Cue]) -> bool {
        self.cue.is_some_and(|cue| cues.contains(&cue))
    }

    fn named_thing(&self) -> bool {
        self.cue == Some(Cue::Thing)
    }

    fn by_phone(&self) -> bool {
        self.is(&[Cue::Phone, Cue::Landline])
    }
}

type Verdict = Option<(Kind, f32)>;

/// Numbers of persons in a text. `asked` is what the other party asked for before.
pub(super) fn find(text: &Folded, hits: &[Hit], asked: Option<Cue>) -> Vec<Finding> {
    let mut found = Vec::new();
    for run in runs(text) {
        let mut candidates = in_run(text, hits, asked, &run);
        super::detector::keep_best(&mut candidates);
        found.extend(candidates);
    }
    found
}

/// The cue that holds for a place: before it, right behind it, or in the question.
pub(super) fn cue_for(text: &Folded, hits: &[Hit], asked: Option<Cue>, start: usize, end: usize) -> Option<Cue> {
    let reach = if text.han { REACH_HAN } else { REACH_LATIN };
    let before = cue_before(text, hits, start, reach);
    let behind = cue_behind(text, hits, end).map(|hit| hit.cue);
    match (before, behind) {
        // a word right before it says what it is; else one right behind it
        (Some(hit), Some(behind)) if start - hit.end > 8 => Some(behind),
        (Some(hit), _) => Some(hit.cue),
        (None, behind) => behind.or(asked),
    }
}

/// Whether a word for a thing stands right before a place, with no more than "is" or 是 between.
pub(super) fn thing_beside(text: &Folded, hits: &[Hit], start: usize) -> bool {
    let reach = if text.han { 4 } else { 12 };
    cue_before(text, hits, start, reach).is_some_and(|hit| hit.cue == Cue::Thing)
}

fn in_run(text: &Folded, hits: &[Hit], asked: Option<Cue>, run: &Run) -> Vec<Finding> {
    let borders = run.borders();
    let last = run.atoms.len();
    let mut found = Vec::new();
    let whole = run.digits(0, last);
    let american = matches!(run.groups(0, last).as_slice(), [1, 3, 3, 4]);
    if (american || !checks::mobile_cn(&whole)) && checks::is_hotline(&whole, text.han) {
        return found;
    }
    for (place, &from) in borders.iter().enumerate() {
        for &to in borders.iter().skip(place + 1).take(GROUPS_MAX) {
            let count = to - from;
            if !(4..=20).contains(&count) || (from == 0 && run.glued_left) || (to == last && run.glued_right) {
                continue;
            }
            let (start, end) = (run.atoms[from].start, run.atoms[to - 1].end);
            if is_amount(text, start, end, count) {
                continue;
            }
            let digits = run.digits(from, to);
            let groups = run.groups(from, to);
            let candidate = Candidate {
                digits: &digits,
                groups: &groups,
                widest: run.atoms[from + 1..to].iter().map(|atom| atom.gap).max().unwrap_or(Gap::None),
                cue: cue_for(text, hits, asked, start, end),
                thing_beside: thing_beside(text, hits, start),
                plus: start > 0 && text.chars[start - 1] == '+',
                spoken: run.spoken,
                han: text.han,
            };
            if let Some((kind, strength)) = judge(&candidate) {
                let start = opening(text, start, kind, &candidate);
                found.push(Finding { kind, start, end, strength });
            }
        }
    }
    found
}

/// The plus or parenthesis before a telephone number belongs to it.
fn opening(text: &Folded, start: usize, kind: Kind, candidate: &Candidate<'_>) -> usize {
    let phone = matches!(kind, Kind::Mobile | Kind::Landline);
    let parenthesis = start > 0 && text.chars[start - 1] == '(' && candidate.widest >= Gap::Parenthesis;
    if phone && (candidate.plus || parenthesis) { start - 1 } else { start }
}

fn judge(candidate: &Candidate<'_>) -> Verdict {
    if candidate.widest == Gap::Dot && !matches!(candidate.groups, [3, 3, 4] | [3, 4, 4] | [2, 2, 2, 2, 2]) {
        return None; // an address of a network, a version
    }
    id_card(candidate)
        .or_else(|| bank_card(candidate))
        .or_else(|| code(candidate))
        .or_else(|| passport(candidate))
        .or_else(|| phone(candidate))
}

fn id_card(candidate: &Candidate<'_>) -> Verdict {
    let count = candidate.digits.len();
    if checks::id_card(candidate.digits) {
        return Some((Kind::IdCard, 1.0));
    }
    let named = candidate.is(&[Cue::IdCard]);
    if count == 9 && checks::social_security(candidate.digits) && !candidate.named_thing() {
        let form = candidate.groups == [3, 2, 4] && candidate.widest <= Gap::Hyphen;
        if named || form {
            return Some((Kind::IdCard, if named { 1.0 } else { 0.7 }));
        }
    }
    // a digit misheard breaks the checksum; the word beside it still says what it is
    (named && candidate.han && matches!(count, 15 | 17 | 18)).then_some((Kind::IdCard, 0.8))
}

fn bank_card(candidate: &Candidate<'_>) -> Verdict {
    let named = candidate.is(&[Cue::BankCard]);
    if checks::bank_card(candidate.digits) && !candidate.named_thing() && !candidate.digits.starts_with("8986") {
        return Some((Kind::BankCard, if named { 1.0 } else { 0.8 }));
    }
    let length = candidate.digits.len();
    (named && ((12..=19).contains(&length) && checks::luhn(candidate.digits) || matches!(length, 16 | 19)))
        .then_some((Kind::BankCard, 0.7))
}

fn code(candidate: &Candidate<'_>) -> Verdict {
    let length = candidate.digits.len();
    let form = (4..=8).contains(&length) && !checks::is_date(candidate.digits) && candidate.widest <= Gap::Hyphen;
    (form && candidate.is(&[Cue::Code])).then_some((Kind::VerificationCode, 0.9))
}

fn passport(candidate: &Candidate<'_>) -> Verdict {
    (candidate.digits.len() == 9 && candidate.is(&[Cue::Passport])).then_some((Kind::Passport, 0.9))
}

fn phone(candidate: &Candidate<'_>) -> Verdict {
    let digits = candidate.digits;
    let strength = if candidate.by_phone() { 1.0 } else { 0.8 };
    let cn_groups = matches!(candidate.groups, [11] | [3, 4, 4] | [3, 8] | [3, 3, 5] | [7, 4] | [3, 4, 2, 2] | [4, 3, 4]);
    // groups that only telephone numbers have: a word for a thing further away does not speak against them
    let shaped = candidate.plus || matches!(candidate.groups, [3, 4, 4] | [3, 3, 4] | [1, 3, 3, 4] | [5, 6] | [5, 3, 3]);
    if if shaped { candidate.thing_beside } else { candidate.named_thing() } {
        return None;
    }
    if checks::mobile_cn(digits) && (cn_groups || candidate.spoken) {
        return Some((Kind::Mobile, strength));
    }
    if candidate.plus {
        return abroad(digits);
    }
    if checks::is_hotline(digits, candidate.han) {
        return None;
    }
    if digits.len() == 13 && digits.starts_with("86") && checks::mobile_cn(&digits[2..]) {
        return Some((Kind::Mobile, strength));
    }
    let kind = if candidate.han { phone_zh(candidate) } else { phone_en(candidate, shaped) };
    kind.map(|kind| (kind, strength)).or_else(|| loose_phone(candidate))
}

fn phone_zh(candidate: &Candidate<'_>) -> Option<Kind> {
    let digits = candidate.digits;
    let area = candidate.groups.first().is_some_and(|first| matches!(first, 3 | 4)) && candidate.groups.len() > 1;
    if checks::landline_cn(digits) && (candidate.groups.len() == 1 || area) {
        return Some(Kind::Landline);
    }
    (candidate.by_phone() && (checks::mobile_uk(digits) || checks::north_american(digits))).then_some(Kind::Mobile)
}

fn phone_en(candidate: &Candidate<'_>, shaped: bool) -> Option<Kind> {
    let digits = candidate.digits;
    let plain = candidate.by_phone() || candidate.spoken;
    if checks::mobile_uk(digits) {
        return Some(Kind::Mobile);
    }
    if checks::landline_uk(digits) && (plain || candidate.groups.len() > 1) {
        return Some(Kind::Landline);
    }
    if checks::landline_cn(digits) && (plain || candidate.groups.len() > 1) {
        return Some(Kind::Landline);
    }
    let national = digits.strip_prefix('1').filter(|rest| rest.len() == 10).unwrap_or(digits);
    (checks::north_american(national) && (shaped || plain)).then_some(Kind::Mobile)
}

/// A number with a country code behind a plus sign (ITU-T E.164).
fn abroad(digits: &str) -> Verdict {
    let national = |code: &str| digits.strip_prefix(code);
    if let Some(rest) = national("44") {
        let rest = format!("0{}", rest.trim_start_matches('0'));
        return if checks::mobile_uk(&rest) {
            Some((Kind::Mobile, 1.0))
        } else {
            checks::landline_uk(&rest).then_some((Kind::Landline, 1.0))
        };
    }
    if let Some(rest) = national("86") {
        return if checks::mobile_cn(rest) {
            Some((Kind::Mobile, 1.0))
        } else {
            checks::landline_cn(&format!("0{rest}")).then_some((Kind::Landline, 1.0))
        };
    }
    if let Some(rest) = national("1").filter(|rest| rest.len() == 10) {
        let free = checks::is_hotline(rest, false);
        return (!free).then_some((Kind::Mobile, if checks::north_american(rest) { 1.0 } else { 0.8 }));
    }
    (8..=15).contains(&digits.len()).then_some((Kind::Mobile, 0.8))
}

/// Other forms, only where a word beside it says telephone.
fn loose_phone(candidate: &Candidate<'_>) -> Verdict {
    let count = candidate.digits.len();
    let date = candidate.groups.starts_with(&[4, 2, 2]) && checks::is_date(&candidate.digits[..8]);
    if date || checks::is_date(candidate.digits) {
        return None;
    }
    let grouped =
        candidate.groups.len() >= 3 && candidate.groups.iter().all(|n| (2..=4).contains(n)) && candidate.widest < Gap::Comma;
    if !candidate.han && !candidate.spoken && grouped && (8..=12).contains(&count) && candidate.cue.is_none_or(|c| c == Cue::Name)
    {
        return Some((Kind::Mobile, 0.6));
    }
    if !candidate.by_phone() {
        return None;
    }
    let first = candidate.digits.chars().next().unwrap_or('0');
    if candidate.han {
        let local = matches!(count, 7 | 8) && !matches!(first, '0' | '1') && candidate.is(&[Cue::Landline, Cue::Phone]);
        return local.then_some((Kind::Landline, 0.7));
    }
    ((7..=12).contains(&count) && candidate.groups.len() > 1 && candidate.widest < Gap::Comma).then_some((Kind::Mobile, 0.7))
}

/// Digits from which a number is no amount, whatever the next word begins with: 万事达卡, 万一.
const NO_AMOUNT_DIGITS: usize = 11;

/// Money and measures: a sign before or a unit behind.
fn is_amount(text: &Folded, start: usize, end: usize, digits: usize) -> bool {
    let before = start.checked_sub(1).and_then(|at| text.chars.get(at));
    let sign = before.is_some_and(|c| matches!(c, '$' | '¥' | '￥' | '£' | '€' | '#'))
        || (start > 1 && text.chars[start - 1] == ' ' && matches!(text.chars[start - 2], '$' | '¥' | '£' | '€'));
    let decimal = text.chars.get(end) == Some(&'.') && text.chars.get(end + 1).is_some_and(char::is_ascii_digit);
    let fraction = before == Some(&'.') && start > 1 && text.chars[start - 2].is_ascii_digit();
    let tail = text.slice(end, end + 9);
    let tail = tail.strip_prefix(' ').unwrap_or(tail);
    let unit =
        ["元", "块", "万", "亿", "%", "％", "公里", "米", "公斤", "克", "毫秒", "dollars", "pounds", "euros", "yuan", "percent"];
    sign || decimal || fraction || (digits < NO_AMOUNT_DIGITS && unit.iter().any(|unit| tail.starts_with(unit)))
}

//! Days and months in the words of customers -> ISO dates.

use std::sync::LazyLock;

use chrono::{Datelike, Days, Months, NaiveDate, Weekday};
use regex::{Captures, Regex};

use crate::conversation::Language;

/// Which way a date without a year or week lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Not behind today.
    Past,
    /// Not before today.
    Future,
    /// The nearest.
    Either,
}

fn regex(source: &str) -> Option<Regex> {
    Regex::new(source).ok()
}

static YMD_ZH: LazyLock<Option<Regex>> = LazyLock::new(|| regex(r"(?:(\d{2,4})\s*年\s*)?(\d{1,2})\s*月\s*(\d{1,2})\s*[日号]?"));
static ISO: LazyLock<Option<Regex>> = LazyLock::new(|| regex(r"\b(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})\b"));
static SLASH: LazyLock<Option<Regex>> = LazyLock::new(|| regex(r"\b(\d{1,2})[/.-](\d{1,2})[/.-](\d{2,4})\b"));
static COMPACT: LazyLock<Option<Regex>> = LazyLock::new(|| regex(r"\b((?:19|20)\d{2})(\d{2})(\d{2})\b"));
static DAY_ZH: LazyLock<Option<Regex>> = LazyLock::new(|| regex(r"(\d{1,2})\s*[号日]"));
static WEEK_ZH: LazyLock<Option<Regex>> =
    LazyLock::new(|| regex(r"(上上|上|这|本|下下|下)?(?:个)?(?:周|星期|礼拜)([一二三四五六日天1-7])"));
const MONTH_EN: &str = r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)";
static MDY_EN: LazyLock<Option<Regex>> =
    LazyLock::new(|| regex(&format!(r"(?i)\b{MONTH_EN}\.?\s+(\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(\d{{4}}))?\b")));
static DMY_EN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    regex(&format!(r"(?i)\b(?:the\s+)?(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{MONTH_EN}\.?(?:,?\s+(\d{{4}}))?\b"))
});
static DAY_EN: LazyLock<Option<Regex>> = LazyLock::new(|| regex(r"(?i)\bthe\s+(\d{1,2})(?:st|nd|rd|th)\b"));
static WEEK_EN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    regex(r"(?i)\b(?:(last|next|this|coming|on)\s+)?(mon|tues|wednes|thurs|fri|satur|sun)day\b(\s+next week|\s+week)?")
});
static MONTH_WORD: LazyLock<Option<Regex>> = LazyLock::new(|| regex(&format!(r"(?i)\b{MONTH_EN}\b")));
static MONTH_ZH: LazyLock<Option<Regex>> = LazyLock::new(|| regex(r"(?:(\d{2,4})\s*年\s*)?(\d{1,2})\s*月"));
static MONTH_ISO: LazyLock<Option<Regex>> = LazyLock::new(|| regex(r"\b(\d{4})[-/](\d{1,2})\b"));

const RELATIVE: [(&str, i64); 16] = [
    ("大后天", 3),
    ("大前天", -3),
    ("day after tomorrow", 2),
    ("day before yesterday", -2),
    ("后天", 2),
    ("前天", -2),
    ("明天", 1),
    ("明日", 1),
    ("昨天", -1),
    ("昨日", -1),
    ("今天", 0),
    ("今日", 0),
    ("tomorrow", 1),
    ("yesterday", -1),
    ("today", 0),
    ("tonight", 0),
];

fn number(captures: &Captures<'_>, index: usize) -> Option<u32> {
    captures.get(index)?.as_str().parse().ok()
}

fn month_number(name: &str) -> Option<u32> {
    const NAMES: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let lower = name.to_ascii_lowercase();
    NAMES.iter().position(|n| lower.starts_with(n)).and_then(|at| u32::try_from(at + 1).ok())
}

/// A date with or without its year; two digits mean 1930 to 2029.
fn complete(year: Option<u32>, month: u32, day: u32, today: NaiveDate, side: Side) -> Option<NaiveDate> {
    if let Some(year) = year {
        let year = match year {
            0..=29 => 2000 + year,
            30..=99 => 1900 + year,
            _ => year,
        };
        return NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day);
    }
    let near = |year: i32| NaiveDate::from_ymd_opt(year, month, day);
    let this = near(today.year());
    match side {
        Side::Past => this.filter(|d| *d <= today).or_else(|| near(today.year() - 1)),
        Side::Future => this.filter(|d| *d >= today).or_else(|| near(today.year() + 1)),
        Side::Either => [this, near(today.year() - 1), near(today.year() + 1)]
            .into_iter()
            .flatten()
            .min_by_key(|d| (*d - today).num_days().abs()),
    }
}

/// The day that a text names, if it names one.
pub fn day(text: &str, today: NaiveDate, side: Side) -> Option<NaiveDate> {
    let lower = text.to_lowercase();
    absolute(&lower, today, side).or_else(|| relative(&lower, today)).or_else(|| weekday(&lower, today, side)).or_else(|| {
        let day = day_zh(&lower).or_else(|| number(&DAY_EN.as_ref()?.captures(&lower)?, 1))?;
        day_of_month(day, today, side)
    })
}

/// The 12 of 12号, which is none in 3号楼 and 人民路12号.
fn day_zh(text: &str) -> Option<u32> {
    let is = |c: Option<char>, set: &str| c.is_some_and(|c| set.contains(c));
    DAY_ZH.as_ref()?.captures_iter(text).find_map(|captures| {
        let hit = captures.get(0)?;
        let (before, after) = (text[..hit.start()].chars().next_back(), text[hit.end()..].chars().next());
        let place = hit.as_str().ends_with('号') && (is(after, "楼线门院仓柜店机码位厅") || is(before, "路街道巷里"));
        let longer = before.is_some_and(|c| c.is_ascii_digit());
        if place || longer { None } else { number(&captures, 1) }
    })
}

fn absolute(text: &str, today: NaiveDate, side: Side) -> Option<NaiveDate> {
    if let Some(c) = YMD_ZH.as_ref()?.captures(text) {
        return complete(number(&c, 1), number(&c, 2)?, number(&c, 3)?, today, side);
    }
    for pattern in [&ISO, &COMPACT] {
        if let Some(c) = pattern.as_ref()?.captures(text) {
            return complete(number(&c, 1), number(&c, 2)?, number(&c, 3)?, today, side);
        }
    }
    if let Some(c) = MDY_EN.as_ref()?.captures(text) {
        return complete(number(&c, 3), month_number(c.get(1)?.as_str())?, number(&c, 2)?, today, side);
    }
    if let Some(c) = DMY_EN.as_ref()?.captures(text) {
        return complete(number(&c, 3), month_number(c.get(2)?.as_str())?, number(&c, 1)?, today, side);
    }
    let c = SLASH.as_ref()?.captures(text)?;
    let (a, b) = (number(&c, 1)?, number(&c, 2)?);
    let (month, day) = if a > 12 { (b, a) } else { (a, b) };
    complete(number(&c, 3), month, day, today, side)
}

fn relative(text: &str, today: NaiveDate) -> Option<NaiveDate> {
    let (_, days) = RELATIVE.iter().find(|(word, _)| text.contains(word))?;
    shift(today, *days)
}

fn shift(day: NaiveDate, days: i64) -> Option<NaiveDate> {
    let step = Days::new(days.unsigned_abs());
    if days < 0 { day.checked_sub_days(step) } else { day.checked_add_days(step) }
}

fn weekday(text: &str, today: NaiveDate, side: Side) -> Option<NaiveDate> {
    if let Some(c) = WEEK_ZH.as_ref()?.captures(text) {
        let day = match c.get(2)?.as_str() {
            "一" | "1" => 0,
            "二" | "2" => 1,
            "三" | "3" => 2,
            "四" | "4" => 3,
            "五" | "5" => 4,
            "六" | "6" => 5,
            _ => 6,
        };
        let weeks = match c.get(1).map(|m| m.as_str()) {
            Some("上上") => -2,
            Some("上") => -1,
            Some("下") => 1,
            Some("下下") => 2,
            Some(_) => 0,
            None => return near_weekday(today, day, side),
        };
        let monday = shift(today, -i64::from(today.weekday().num_days_from_monday()))?;
        return shift(monday, weeks * 7 + i64::from(day));
    }
    let c = WEEK_EN.as_ref()?.captures(text)?;
    let name = c.get(2)?.as_str();
    let day = [
        ("mon", Weekday::Mon),
        ("tues", Weekday::Tue),
        ("wednes", Weekday::Wed),
        ("thurs", Weekday::Thu),
        ("fri", Weekday::Fri),
        ("satur", Weekday::Sat),
        ("sun", Weekday::Sun),
    ];
    let day = day.iter().find(|(n, _)| *n == name)?.1.num_days_from_monday();
    let monday = shift(today, -i64::from(today.weekday().num_days_from_monday()))?;
    if c.get(3).is_some() {
        return shift(monday, 7 + i64::from(day));
    }
    match c.get(1).map(|m| m.as_str()) {
        Some("last") => shift(monday, i64::from(day) - 7).filter(|d| *d < today),
        // "next Friday" is the coming one
        Some("next" | "coming") => near_weekday(shift(today, 1)?, day, Side::Future),
        _ => near_weekday(today, day, side),
    }
}

fn near_weekday(today: NaiveDate, day: u32, side: Side) -> Option<NaiveDate> {
    let ahead = i64::from((day + 7 - today.weekday().num_days_from_monday()) % 7);
    match side {
        Side::Past => shift(today, if ahead == 0 { 0 } else { ahead - 7 }),
        _ => shift(today, ahead),
    }
}

fn day_of_month(day: u32, today: NaiveDate, side: Side) -> Option<NaiveDate> {
    // Not every month has a 31st; of four in a row one has any day that there is.
    let first = today.with_day(1)?;
    let mut ahead = (0..=3).filter_map(|months| first.checked_add_months(Months::new(months))?.with_day(day));
    let mut back = (0..=3).filter_map(|months| first.checked_sub_months(Months::new(months))?.with_day(day));
    match side {
        Side::Past => back.find(|date| *date <= today),
        Side::Future => ahead.find(|date| *date >= today),
        Side::Either => ahead.next(),
    }
}

/// The month that a text names, as `2026-02`; never one to come.
pub fn month(text: &str, today: NaiveDate) -> Option<String> {
    let lower = text.to_lowercase();
    let back = [
        ("上上个月", 2),
        ("上上月", 2),
        ("month before last", 2),
        ("上个月", 1),
        ("上月", 1),
        ("last month", 1),
        ("previous month", 1),
        ("这个月", 0),
        ("本月", 0),
        ("当月", 0),
        ("这月", 0),
        ("this month", 0),
        ("current month", 0),
    ];
    if let Some((_, months)) = back.iter().find(|(word, _)| lower.contains(word)) {
        return today.checked_sub_months(Months::new(*months)).map(|d| d.format("%Y-%m").to_string());
    }
    let (year, month) = if let Some(c) = MONTH_ZH.as_ref()?.captures(&lower) {
        (number(&c, 1), number(&c, 2)?)
    } else if let Some(c) = MONTH_ISO.as_ref()?.captures(&lower) {
        (number(&c, 1), number(&c, 2)?)
    } else {
        let c = MONTH_WORD.as_ref()?.captures(&lower)?;
        let word = c.get(1)?.as_str();
        // "may" is a month only with a capital or a sign of time
        if word == "may"
            && !text.contains("May")
            && !lower.contains("for may")
            && !lower.contains("in may")
            && lower.trim() != "may"
        {
            return None;
        }
        (None, month_number(word)?)
    };
    let first = complete(year, month, 1, today, Side::Past)?;
    Some(first.format("%Y-%m").to_string())
}

/// An ISO date or month as people say it; anything else as it is.
pub fn spoken(value: &str, language: Language) -> String {
    const NAMES: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let name = |month: u32| NAMES.get(month as usize - 1).copied().unwrap_or_default();
    if let Ok(date) = NaiveDate::parse_from_str(value, "%Y-%m-%d") {
        return match language {
            Language::Zh => format!("{}月{}日", date.month(), date.day()),
            Language::En => format!("{} {}", date.day(), name(date.month())),
        };
    }
    let as_month = (value.len() == 7).then(|| NaiveDate::parse_from_str(&format!("{value}-01"), "%Y-%m-%d").ok()).flatten();
    match (as_month, language) {
        (Some(date), Language::Zh) => format!("{}年{}月", date.year(), date.month()),
        (Some(date), Language::En) => format!("{} {}", name(date.month()), date.year()),
        (None, _) => value.to_owned(),
    }
}

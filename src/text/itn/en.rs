//! The English grammar. Reads words from left to right; at each word the first rule that fits writes.

use super::en_number::{Number, below_100, cardinal, decade, digit_string, ordinal, ordinal_figures, places, year};
use super::span::Rewriter;

/// A word, lower case, and its place.
struct Word {
    text: String,
    start: usize,
    end: usize,
}

/// What a rule wrote and over how many words.
pub(super) type Written = Option<(usize, String)>;

pub(super) const MONTHS: [&str; 12] =
    ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];
/// Words behind which "eight thirty" is a time of day.
const TIME_CUES: [&str; 12] =
    ["at", "by", "around", "before", "after", "until", "till", "since", "from", "about", "past", "tomorrow"];
const TOP_DOMAINS: [&str; 12] = ["com", "net", "org", "cn", "uk", "edu", "io", "co", "fr", "de", "gov", "info"];

pub(super) fn rewrite(out: &mut Rewriter<'_>, style: super::ItnStyle) {
    let words = split(out.chars);
    let mut at = 0;
    while at < words.len() {
        // words that belong together: only blanks or hyphens between them
        let reach = (at + 1..words.len()).find(|next| !joined(out.chars, &words, *next)).unwrap_or(words.len());
        let texts: Vec<&str> = words[at..reach].iter().map(|word| word.text.as_str()).collect();
        let previous = (at > 0 && joined(out.chars, &words, at)).then(|| words[at - 1].text.as_str());
        let rules = [
            email,
            date,
            minutes_to,
            clock,
            range,
            money,
            percent,
            year_rule,
            decimal,
            digits,
            hour_and_minutes,
            ordinal_rule,
            plain,
        ];
        let symbols = (style == super::ItnStyle::Symbols).then(|| super::en_symbols::rule(&texts, previous)).flatten();
        match symbols.or_else(|| rules.iter().find_map(|rule| rule(&texts, previous))) {
            Some((used, text)) => {
                let (start, end) = (words[at].start, words[at + used - 1].end);
                out.copy(start - out.at);
                out.replace(end - start, &keep_case(out.chars, start, &text));
                at += used;
            }
            None => at += 1,
        }
    }
}

/// A month written by a rule keeps the capital of the text.
fn keep_case(chars: &[char], start: usize, text: &str) -> String {
    if chars[start].is_uppercase() && text.starts_with(|c: char| c.is_ascii_lowercase()) {
        let mut letters = text.chars();
        return letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default();
    }
    text.to_owned()
}

fn split(chars: &[char]) -> Vec<Word> {
    let mut words = Vec::new();
    let mut start = None;
    for position in 0..=chars.len() {
        let inside = chars.get(position).is_some_and(|c| c.is_alphanumeric() || *c == '\'');
        match (inside, start) {
            (true, None) => start = Some(position),
            (false, Some(first)) => {
                let text: String = chars[first..position].iter().collect();
                words.push(Word { text: text.to_lowercase(), start: first, end: position });
                start = None;
            }
            _ => {}
        }
    }
    words
}

fn joined(chars: &[char], words: &[Word], next: usize) -> bool {
    chars[words[next - 1].end..words[next].start].iter().all(|c| c.is_whitespace() || *c == '-')
}

fn email(words: &[&str], _: Option<&str>) -> Written {
    let (local, mut used) = address_part(words)?;
    if words.get(used) != Some(&"at") {
        return None;
    }
    used += 1;
    let (domain, domain_used) = address_part(words.get(used..)?)?;
    let top = domain.rsplit('.').next()?;
    (domain.contains('.') && TOP_DOMAINS.contains(&top)).then(|| (used + domain_used, format!("{local}@{domain}")))
}

/// Words of an address: joined by "dot", "dash", "underscore", or single letters and digits spelled out.
fn address_part(words: &[&str]) -> Option<(String, usize)> {
    let (mut text, mut used, mut open) = (String::new(), 0, true);
    while let Some(&word) = words.get(used) {
        let mark = match word {
            "dot" | "point" => Some('.'),
            "dash" | "hyphen" => Some('-'),
            "underscore" => Some('_'),
            _ => None,
        };
        let spelled = word.chars().count() == 1 || super::en_number::digit(word).is_some_and(|_| word != "o");
        match mark {
            Some(mark) if !text.is_empty() && !open => {
                text.push(mark);
                open = true;
            }
            None if word != "at" && (open || spelled) => {
                match super::en_number::digit(word).filter(|_| word.len() > 2) {
                    Some(digit) => text.push_str(&digit.to_string()),
                    None => text.push_str(word),
                }
                open = false;
            }
            _ => break,
        }
        used += 1;
        let spelled_next = words.get(used).is_some_and(|next| next.chars().count() == 1 && *next != "i");
        open = open || (spelled && spelled_next);
    }
    (used > 0 && !text.ends_with(['.', '-', '_'])).then_some((text, used))
}

/// "july twenty fifth twenty twelve", "the fifth of may", "june thirty".
pub(super) fn date(words: &[&str], _: Option<&str>) -> Written {
    let day_of = |number: Option<Number>| number.filter(|number| (1..=31).contains(&number.value));
    let with_year = |used: usize, text: String| match words.get(used..).and_then(year) {
        Some(year) => (used + year.words, format!("{text} {}", year.value)),
        None => (used, text),
    };
    if MONTHS.contains(words.first()?) {
        let rest = words.get(1..)?;
        let the = usize::from(rest.first() == Some(&"the"));
        if words[0] != "may"
            && the == 0
            && let Some(year) = year(rest)
        {
            return Some((1 + year.words, format!("{} {}", words[0], year.value)));
        }
        let day = day_of(ordinal(&rest[the..])).or_else(|| day_of(below_100(&rest[the..])).filter(|_| words[0] != "may"))?;
        return Some(with_year(1 + the + day.words, format!("{} {}", words[0], day.value)));
    }
    let the = usize::from(words[0] == "the");
    let day = day_of(ordinal(words.get(the..)?))?;
    let of = the + day.words;
    let month = words.get(of + 1).filter(|month| words.get(of) == Some(&"of") && MONTHS.contains(month))?;
    Some(with_year(of + 2, format!("{} {}", day.value, capital(month))))
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// "two thirty p m", "three o'clock", "half past four", "at eight fifteen".
pub(super) fn clock(words: &[&str], previous: Option<&str>) -> Written {
    let hour_at = |at: usize| words.get(at..).and_then(below_100).filter(|number| (1..=12).contains(&number.value));
    let before = |hour: u128| if hour == 1 { 12 } else { hour - 1 };
    if let Some((lead, minute, back)) = match words {
        ["half", "past", ..] => Some((2, 30, false)),
        ["quarter", "past", ..] => Some((2, 15, false)),
        ["quarter", "to", ..] => Some((2, 45, true)),
        _ => None,
    } {
        let hour = hour_at(lead)?;
        let value = if back { before(hour.value) } else { hour.value };
        let (mark_used, mark) = half_of_day(words.get(lead + hour.words..).unwrap_or_default());
        return Some((lead + hour.words + mark_used, format!("{value}:{minute:02}{mark}")));
    }
    let hour = hour_at(0)?;
    let minute = minute(words.get(hour.words..)?);
    let used = hour.words + minute.map_or(0, |minute| minute.words);
    let rest = words.get(used..).unwrap_or_default();
    let o_clock = match rest {
        ["o'clock" | "oclock", ..] => 1,
        ["o", "clock", ..] => 2,
        _ => 0,
    };
    let (mark_used, mark) = half_of_day(rest.get(o_clock..).unwrap_or_default());
    let cued = minute.is_some_and(|minute| minute.value >= 5) && previous.is_some_and(|word| TIME_CUES.contains(&word));
    let unit_follows =
        matches!(rest.first(), Some(&("dollars" | "percent" | "hundred" | "thousand" | "people" | "days" | "minutes")));
    if o_clock + mark_used == 0 && (!cued || unit_follows) {
        return None;
    }
    let minutes = minute.map_or(0, |minute| minute.value);
    Some((used + o_clock + mark_used, format!("{}:{minutes:02}{mark}", hour.value)))
}

fn minute(words: &[&str]) -> Option<Number> {
    match words {
        ["oh" | "o", one, ..] => {
            super::en_number::digit(one).map(|value| Number { value: u128::from(value), words: 2 }).filter(|n| n.value > 0)
        }
        _ => below_100(words).filter(|number| (10..60).contains(&number.value)),
    }
}

/// "a m", "pm": words used and what to write.
pub(super) fn half_of_day(words: &[&str]) -> (usize, &'static str) {
    match words {
        ["am", ..] => (1, " a.m."),
        ["pm", ..] => (1, " p.m."),
        ["a", "m", ..] => (2, " a.m."),
        ["p", "m", ..] => (2, " p.m."),
        _ => (0, ""),
    }
}

/// "ten past four", "twenty five to nine p m".
pub(super) fn minutes_to(words: &[&str], previous: Option<&str>) -> Written {
    let minute = below_100(words).filter(|number| number.value < 30)?;
    let link = *words.get(minute.words)?;
    let hour = words.get(minute.words + 1..).and_then(below_100).filter(|number| (1..=12).contains(&number.value))?;
    let used = minute.words + 1 + hour.words;
    let (mark_used, mark) = half_of_day(words.get(used..).unwrap_or_default());
    // "from nine to five p m" are opening hours; minutes before an hour are told in fives.
    let span = matches!(previous, Some("from" | "between" | "open"));
    let sure = (mark_used > 0 || previous == Some("at")) && !span && minute.value > 0 && minute.value % 5 == 0;
    let (hour, minute) = match link {
        "past" => (hour.value, minute.value),
        "to" | "till" if sure => (if hour.value == 1 { 12 } else { hour.value - 1 }, 60 - minute.value),
        _ => return None,
    };
    Some((used + mark_used, format!("{hour}:{minute:02}{mark}")))
}

/// "eight thirty" is a time, "one fifty five dollars" an amount; "eight fifty one" may be either and stays as it is.
fn hour_and_minutes(words: &[&str], _: Option<&str>) -> Written {
    let hour = super::en_number::digit(words.first()?).filter(|hour| *hour > 0)?;
    let minute = words.get(1..).and_then(below_100).filter(|number| (10..100).contains(&number.value))?;
    let used = 1 + minute.words;
    Some(match words.get(used) {
        Some(&("dollars" | "bucks")) => (used + 1, format!("${}", u128::from(hour) * 100 + minute.value)),
        Some(&("hundred" | "thousand" | "million" | "point")) => return None,
        _ if minute.value % 5 == 0 && minute.value < 60 => (used, format!("{hour}:{:02}", minute.value)),
        _ => (used, words[..used].join(" ")),
    })
}

/// "between nine and eleven", "from two to five": small numbers that belong together are written alike.
fn range(words: &[&str], previous: Option<&str>) -> Written {
    let link = match previous {
        Some("between") => "and",
        Some("from") => "to",
        _ => return None,
    };
    let low = cardinal(words)?;
    if words.get(low.words) != Some(&link) {
        return None;
    }
    let high = cardinal(words.get(low.words + 1..)?)?;
    let open = words.get(low.words + 1 + high.words);
    let (half_used, _) = half_of_day(words.get(low.words + 1 + high.words..).unwrap_or_default());
    if half_used > 0 || matches!(open, Some(&("dollars" | "percent" | "o'clock" | "million" | "thousand" | "point"))) {
        return None;
    }
    Some((low.words + 1 + high.words, format!("{} {link} {}", low.value, high.value)))
}

/// A cardinal or a decimal, with a following "million" or "billion" kept as a word.
pub(super) fn amount(words: &[&str]) -> Written {
    if let Some((used, text)) = decimal(words, None) {
        return Some((used, text));
    }
    let number = cardinal(words)?;
    let last = *words.get(number.words - 1)?;
    for (name, scale) in [("million", 1_000_000), ("billion", 1_000_000_000), ("trillion", 1_000_000_000_000_u128)] {
        if last == name && number.value % scale == 0 {
            return Some((number.words, format!("{} {name}", number.value / scale)));
        }
    }
    Some((number.words, number.value.to_string()))
}

fn money(words: &[&str], _: Option<&str>) -> Written {
    let (used, text) = amount(words)?;
    let (before, after) = match *words.get(used)? {
        "dollar" | "dollars" | "bucks" => ("$", ""),
        "pound" | "pounds" => ("£", ""),
        "euro" | "euros" => ("€", ""),
        "yuan" => ("", " yuan"),
        "cent" | "cents" => {
            let value: u32 = text.parse().ok().filter(|value| *value < 100)?;
            return Some((used + 1, format!("$0.{value:02}")));
        }
        _ => return None,
    };
    let unit = used + 1;
    let and = usize::from(words.get(unit) == Some(&"and"));
    let cents = words.get(unit + and..).and_then(below_100);
    match cents {
        Some(cents)
            if !before.is_empty() && matches!(words.get(unit + and + cents.words), Some(&("cents" | "cent" | "pence"))) =>
        {
            Some((unit + and + cents.words + 1, format!("{before}{text}.{:02}", cents.value)))
        }
        _ => Some((unit, format!("{before}{text}{after}"))),
    }
}

fn percent(words: &[&str], _: Option<&str>) -> Written {
    let (used, text) = amount(words)?;
    match words.get(used..)? {
        ["percent", ..] => Some((used + 1, format!("{text}%"))),
        ["per", "cent", ..] => Some((used + 2, format!("{text}%"))),
        _ => None,
    }
}

fn year_rule(words: &[&str], _: Option<&str>) -> Written {
    if let Some(decade) = decade(words) {
        return Some((decade.words, format!("{}s", decade.value)));
    }
    year(words).map(|year| (year.words, year.value.to_string()))
}

/// "five point two (million)", "zero point one nine".
fn decimal(words: &[&str], _: Option<&str>) -> Written {
    let whole = cardinal(words)?;
    if words.get(whole.words) != Some(&"point") {
        return None;
    }
    let (places, used) = places(words.get(whole.words + 1..)?)?;
    let end = whole.words + 1 + used;
    let scale = words.get(end).filter(|word| matches!(**word, "million" | "billion" | "trillion" | "thousand"));
    let text = format!("{}.{places}", whole.value);
    Some(match scale {
        Some(scale) => (end + 1, format!("{text} {scale}")),
        None => (end, text),
    })
}

/// Three digits or more read one by one.
fn digits(words: &[&str], _: Option<&str>) -> Written {
    let (text, used) = digit_string(words)?;
    (text.len() >= 3).then_some((used, text))
}

/// Ordinals from tenth on; "first" to "ninth" are words of running text.
fn ordinal_rule(words: &[&str], _: Option<&str>) -> Written {
    ordinal(words).filter(|number| number.value >= 10).map(|number| (number.words, ordinal_figures(number.value)))
}

/// Cardinals from ten on, negative ones too; smaller counts stay words.
fn plain(words: &[&str], _: Option<&str>) -> Written {
    if matches!(words.first(), Some(&("minus" | "negative"))) {
        let (used, text) = amount(words.get(1..)?)?;
        return Some((used + 1, format!("-{text}")));
    }
    let number = cardinal(words)?;
    let (used, text) = amount(words)?;
    (number.value >= 10).then_some((used, text))
}

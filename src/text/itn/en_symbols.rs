//! What the style of symbols writes in English beside the common rules: units, addresses, telephone groups, padded hours.

use super::en::{MONTHS, Written, amount, clock, date, half_of_day, minutes_to};
use super::en_number::{below_100, cardinal, decade, digit, digit_string, ordinal, ordinal_figures, places, year};

/// Units: words for one and many, and the symbol.
const UNITS: [(&str, &str); 58] = [
    ("meter", "m"),
    ("metre", "m"),
    ("gram", "g"),
    ("liter", "l"),
    ("litre", "l"),
    ("watt hour", "Wh"),
    ("watt", "W"),
    ("volt", "v"),
    ("hertz", "hz"),
    ("byte", "b"),
    ("bit", "b"),
    ("calorie", "cal"),
    ("siemens", "s"),
    ("second", "s"),
    ("joule", "j"),
    ("newton", "n"),
    ("pascal", "pa"),
    ("ampere", "a"),
    ("ohm", "Ω"),
    ("kilometer", "km"),
    ("kilometre", "km"),
    ("centimeter", "cm"),
    ("millimeter", "mm"),
    ("micrometer", "μm"),
    ("nanometer", "nm"),
    ("decimeter", "dm"),
    ("kilogram force", "kgf"),
    ("kilogram", "kg"),
    ("milligram", "mg"),
    ("milliliter", "ml"),
    ("kilowatt", "kW"),
    ("megawatt", "mW"),
    ("gigawatt", "gW"),
    ("kilohertz", "khz"),
    ("megahertz", "mhz"),
    ("gigahertz", "ghz"),
    ("kilobyte", "kb"),
    ("megabyte", "mb"),
    ("gigabyte", "gb"),
    ("terabyte", "tb"),
    ("kilobit", "kb"),
    ("megabit", "mb"),
    ("kilocalorie", "kcal"),
    ("hour", "h"),
    ("minute", "min"),
    ("foot", "ft"),
    ("feet", "ft"),
    ("inch", "in"),
    ("mile per hour", "mph"),
    ("mile", "mi"),
    ("yard", "yd"),
    ("ounce", "oz"),
    ("pound weight", "lb"),
    ("hectare", "ha"),
    ("lumen", "lm"),
    ("horsepower", "hp"),
    ("astronomical unit", "au"),
    ("c c", "cc"),
];
/// Prefixes that recognisers write apart from their unit.
const PREFIXES: [(&str, &str); 11] = [
    ("kilo", "k"),
    ("mega", "m"),
    ("giga", "g"),
    ("tera", "t"),
    ("peta", "p"),
    ("milli", "m"),
    ("centi", "c"),
    ("deci", "d"),
    ("micro", "μ"),
    ("nano", "n"),
    ("hecto", "h"),
];
const ZONES: [&str; 8] = ["g m t", "e s t", "p s t", "c s t", "m s t", "e d t", "p d t", "u t c"];
const TOP_DOMAINS: [&str; 16] =
    ["com", "net", "org", "cn", "uk", "edu", "io", "co", "fr", "de", "gov", "info", "ai", "us", "sm", "abc"];

/// The first rule that fits; `None` leaves the words to the common rules.
pub(super) fn rule(words: &[&str], previous: Option<&str>) -> Written {
    let rules = [
        title,
        address,
        network,
        telephone,
        letters_and_digits,
        period,
        era,
        times,
        measure,
        money,
        months,
        ordinals,
        fraction_only,
    ];
    rules.iter().find_map(|rule| rule(words, previous))
}

fn title(words: &[&str], _: Option<&str>) -> Written {
    let short = match *words.first()? {
        "doctor" => "dr.",
        "mister" => "mr.",
        "misses" | "missus" => "mrs.",
        "saint" => "st.",
        "for" if words.get(1) == Some(&"example") => return Some((2, "e.g.".into())),
        _ => return None,
    };
    words.get(1).filter(|name| name.len() > 1).map(|_| (1, short.to_owned()))
}

/// Addresses of mail and web: letters and words joined by "dot", "at", "slash" …
fn address(words: &[&str], _: Option<&str>) -> Written {
    let joint = |word: &str| {
        Some(match word {
            "dot" => ".",
            "at" => "@",
            "slash" => "/",
            "colon" => ":",
            "dash" | "hyphen" => "-",
            "underscore" => "_",
            _ => return None,
        })
    };
    if joint(words.first()?).is_some() {
        return None;
    }
    let (mut text, mut used, mut open) = (String::new(), 0, true);
    let mut good = None;
    while let Some(&word) = words.get(used) {
        let small = word.chars().count() == 1 || digit(word).is_some();
        match joint(word) {
            Some(mark) => {
                text.push_str(mark);
                open = true;
            }
            None if open || small => {
                match digit(word).filter(|_| word.len() > 2) {
                    Some(digit) => text.push_str(&digit.to_string()),
                    None => text.push_str(word),
                }
                open = small;
            }
            None => break,
        }
        used += 1;
        if joint(word).is_none() && is_address(&text) {
            good = Some((used, text.clone()));
        }
    }
    good
}

fn is_address(text: &str) -> bool {
    let host = text.rsplit('@').next().unwrap_or(text);
    let ends = host.rsplit('.').next().is_some_and(|top| TOP_DOMAINS.contains(&top.split('/').next().unwrap_or(top)));
    let web = text.starts_with("www.") || text.starts_with("http");
    host.contains('.')
        && !host.starts_with('.')
        && text.matches('@').count() <= 1
        && (ends || (web && host.matches('.').count() > 1))
}

/// Four numbers joined by "dot".
fn network(words: &[&str], _: Option<&str>) -> Written {
    let (mut parts, mut used) = (Vec::new(), 0);
    while parts.len() < 4 {
        let rest = words.get(used..)?;
        let tens = |rest: &[&str], count: usize| -> Option<(String, usize)> {
            let tail = below_100(rest.get(count..)?).filter(|n| n.value >= 10)?;
            Some((tail.value.to_string(), count + tail.words))
        };
        let head = rest.first().and_then(|word| digit(word));
        let (text, count) = head
            .and_then(|head| tens(rest, 1).map(|(tail, count)| (format!("{head}{tail}"), count)))
            .or_else(|| places(rest))
            .or_else(|| tens(rest, 0))?;
        parts.push(text);
        used += count;
        if parts.len() < 4 {
            if words.get(used) != Some(&"dot") {
                return None;
            }
            used += 1;
        }
    }
    Some((used, parts.join(".")))
}

fn telephone(words: &[&str], previous: Option<&str>) -> Written {
    let group = |n: &str| format!("{}-{}-{}", &n[..3], &n[3..6], &n[6..]);
    if words.first() == Some(&"plus") {
        let code = below_100(words.get(1..)?).filter(|n| n.value >= 10);
        let (code, start) = match code {
            Some(code) => (Some(code.value.to_string()), 1 + code.words),
            None => (None, 1),
        };
        let (digits, used) = digit_string(words.get(start..)?)?;
        let (code, number) = match code {
            Some(code) => (code, digits),
            None if digits.len() > 10 => (digits[..digits.len() - 10].to_owned(), digits[digits.len() - 10..].to_owned()),
            None => return None,
        };
        return (number.len() == 10).then(|| (start + used, format!("+{code} {}", group(&number))));
    }
    let (digits, used) = digit_string(words)?;
    match digits.len() {
        9 if previous == Some("ssn") || previous == Some("is") => {
            Some((used, format!("{}-{}-{}", &digits[..3], &digits[3..5], &digits[5..])))
        }
        10 => Some((used, group(&digits))),
        11 => Some((used, format!("{} {}", &digits[..1], group(&digits[1..])))),
        _ => None,
    }
}

/// "a b nine", "five w k r a three one", "x eighty six".
fn letters_and_digits(words: &[&str], _: Option<&str>) -> Written {
    let letter = |word: &&&str| word.len() == 1 && word.chars().all(|c| c.is_ascii_alphabetic());
    if words.first() == Some(&"x") {
        let number = words.get(1..).and_then(|rest| {
            let head = rest.first().and_then(|w| digit(w));
            let tens = |at: usize| rest.get(at..).and_then(below_100).filter(|n| n.value >= 10);
            match (head, tens(1), tens(0)) {
                (Some(head), Some(tail), _) => Some((format!("{head}{}", tail.value), 2 + tail.words)),
                (None, _, Some(number)) => Some((number.value.to_string(), 1 + number.words)),
                _ => None,
            }
        });
        if let Some((text, used)) = number {
            return Some((used, format!("x{text}")));
        }
    }
    let run = words.iter().take_while(|word| letter(word) || digit(word).is_some()).count();
    let letters = words[..run].iter().filter(letter).count();
    let figures = words[..run].iter().filter(|word| word.len() > 1).count();
    let text =
        || words[..run].iter().map(|w| digit(w).filter(|_| w.len() > 1).map_or_else(|| (*w).to_owned(), |d| d.to_string()));
    (letters >= 2 && figures >= 1).then(|| (run, text().collect()))
}

/// "second quarter of twenty twenty two", "first half of …".
fn period(words: &[&str], _: Option<&str>) -> Written {
    let number = ordinal(words).filter(|n| n.words == 1 && n.value <= 4)?;
    let mark = match words.get(1..3)? {
        ["quarter", "of"] => "Q",
        ["half", "of"] => "H",
        _ => return None,
    };
    let year = year(words.get(3..)?)?;
    Some((3 + year.words, format!("{mark}{} {}", number.value, year.value)))
}

/// "seven fifty b c", "nineteen hundred a d", "nineteen hundreds", "two thousands".
fn era(words: &[&str], _: Option<&str>) -> Written {
    match words {
        ["two", "thousands", ..] => return Some((2, "2000s".into())),
        [_, "hundreds", ..] => {
            let century = below_100(words).filter(|n| n.words == 1 && (11..=20).contains(&n.value))?;
            return Some((2, format!("{}s", century.value * 100)));
        }
        _ => {}
    }
    if decade(words).is_some() {
        return None;
    }
    let spoken = digit(words.first()?).zip(words.get(1..).and_then(below_100).filter(|n| n.value >= 10));
    let (value, used) = match spoken {
        Some((head, tail)) => (u128::from(head) * 100 + tail.value, 1 + tail.words),
        None => {
            let number = cardinal(words).or_else(|| year(words))?;
            (number.value, number.words)
        }
    };
    let (count, mark) = match words.get(used..)? {
        ["b", "c", "e", ..] => (3, "BCE"),
        ["b", "c", ..] => (2, "BC"),
        ["c", "e", ..] => (2, "CE"),
        ["a", "d", ..] => (2, "AD"),
        _ => return None,
    };
    Some((used + count, format!("{value}{mark}")))
}

/// Times of day with two places for the hour, and their zone.
fn times(words: &[&str], previous: Option<&str>) -> Written {
    let odd = match words {
        [number, "min" | "minute" | "minutes", "to" | "till", ..] => {
            let minute = below_100(&[number])?;
            let hour = below_100(words.get(3..)?)?;
            let before = if hour.value == 1 { 12 } else { hour.value.checked_sub(1)? };
            let (used, mark) = half_of_day(words.get(3 + hour.words..).unwrap_or_default());
            Some((3 + hour.words + used, format!("{before}:{:02}{mark}", 60_u128.checked_sub(minute.value)?)))
        }
        ["quarter", "till", ..] => {
            let hour = below_100(words.get(2..)?).filter(|n| (2..=12).contains(&n.value))?;
            let (used, mark) = half_of_day(words.get(2 + hour.words..).unwrap_or_default());
            Some((2 + hour.words + used, format!("{}:45{mark}", hour.value - 1)))
        }
        [_, "o'", "clock", ..] | [_, "o", "clock", ..] => below_100(words).map(|hour| (3, format!("{}:00", hour.value))),
        _ => None,
    };
    let bare = || {
        let hour = digit(words.first()?).filter(|hour| *hour > 0)?;
        let rest = words.get(1..)?;
        let (minute, used) = match rest {
            ["o" | "oh", one, ..] => (u128::from(digit(one)?), 2),
            _ => below_100(rest).filter(|n| (10..60).contains(&n.value)).map(|n| (n.value, n.words))?,
        };
        let alone = !matches!(
            words.get(1 + used),
            Some(&("hundred" | "thousand" | "million" | "point" | "dollars" | "percent" | "b" | "a" | "c"))
        ) && !words.get(1 + used).is_some_and(|w| digit(w).is_some() || unit_of(&[w]).is_some());
        alone.then(|| (1 + used, format!("{hour}:{minute:02}")))
    };
    let (used, text) = odd.or_else(|| minutes_to(words, previous)).or_else(|| clock(words, previous)).or_else(bare)?;
    let (hour, rest) = text.split_once(':')?;
    let mut padded = format!("{:02}:{rest}", hour.parse::<u32>().ok()?);
    let tail = words.get(used..used + 3).map(|zone| zone.join(" "));
    match tail.filter(|zone| ZONES.contains(&zone.as_str())) {
        Some(zone) => {
            padded.push(' ');
            padded.push_str(&zone.replace(' ', ""));
            Some((used + 3, padded))
        }
        None => Some((used, padded)),
    }
}

/// A unit at the beginning of the words: how many words, and its symbol.
fn unit_of(words: &[&str]) -> Option<(usize, String)> {
    let single = |phrase: &str| -> Option<&'static str> {
        let plain = [phrase, phrase.strip_suffix('s').unwrap_or(phrase), phrase.strip_suffix("es").unwrap_or(phrase)];
        let swapped = phrase.replace("kilograms force", "kilogram force").replace("miles per", "mile per");
        UNITS.iter().find(|(name, _)| plain.contains(name) || *name == swapped).map(|(_, symbol)| *symbol)
    };
    let (prefix, start) = match words.first().and_then(|w| PREFIXES.iter().find(|(name, _)| name == w)) {
        Some((_, symbol)) => (*symbol, 1),
        None => ("", 0),
    };
    for length in [3, 2, 1] {
        let Some(phrase) = words.get(start..start + length).map(|part| part.join(" ")) else { continue };
        if let Some(symbol) = single(&phrase) {
            return Some((start + length, format!("{prefix}{symbol}")));
        }
    }
    None
}

/// A unit with its power: "square kilometers", "cubic deci meters".
fn power_unit(words: &[&str]) -> Option<(usize, String)> {
    let power = match *words.first()? {
        "square" => 2,
        "cubic" => 3,
        _ => return unit_of(words),
    };
    let (used, symbol) = unit_of(&words[1..])?;
    let imperial = matches!(symbol.as_str(), "ft" | "mi" | "in" | "yd");
    Some((
        used + 1,
        match (power, imperial) {
            (2, true) => format!("sq {symbol}"),
            (2, false) => format!("{symbol}²"),
            (_, true) => format!("cu {symbol}"),
            (_, false) => format!("{symbol}³"),
        },
    ))
}

fn measure(words: &[&str], _: Option<&str>) -> Written {
    let sign = usize::from(matches!(words.first(), Some(&("minus" | "negative"))));
    let rest = words.get(sign..)?;
    let (used, number) = fraction_only(rest, None).or_else(|| amount(rest))?;
    let number = if number.contains(' ') { cardinal(rest).map(|n| n.value.to_string())? } else { number };
    let minus = if sign == 1 { "-" } else { "" };
    let behind = rest.get(used..)?;
    match behind {
        ["percent", ..] => return Some((sign + used + 1, format!("{minus}{number} %"))),
        ["per", "cent", ..] => return Some((sign + used + 2, format!("{minus}{number} %"))),
        ["per", below @ ..] => {
            let (count, symbol) = power_unit(below)?;
            return Some((sign + used + 1 + count, format!("{minus}{number} /{symbol}")));
        }
        _ => {}
    }
    let (count, symbol) = power_unit(behind)?;
    if let Some(below) = behind.get(count..).filter(|b| b.first() == Some(&"per")).and_then(|b| b.get(1..))
        && let Some((more, lower)) = power_unit(below)
    {
        return Some((sign + used + count + 1 + more, format!("{minus}{number} {symbol}/{lower}")));
    }
    Some((sign + used + count, format!("{minus}{number} {symbol}")))
}

/// Currencies that the common rules leave as words, and dollars with cents in other words.
fn money(words: &[&str], _: Option<&str>) -> Written {
    let (used, text) = fraction_only(words, None).or_else(|| amount(words))?;
    let (count, symbol) = match words.get(used..)? {
        ["won", ..] => (1, "₩"),
        ["yen", ..] => (1, "¥"),
        ["united", "states", "dollar" | "dollars", ..] => (3, "$"),
        ["dollars", ..] => (1, "$"),
        _ => return None,
    };
    let end = used + count;
    let and = usize::from(words.get(end) == Some(&"and"));
    let cents = words.get(end + and..).and_then(below_100).filter(|_| symbol == "$" && !text.contains([' ', '.']));
    match cents {
        Some(cents) => {
            let word = usize::from(matches!(words.get(end + and + cents.words), Some(&("cents" | "cent"))));
            // "and" without "cents" goes on with the sentence
            (and == 0 || word == 1)
                .then(|| (end + and + cents.words + word, format!("{symbol}{text}.{:02}", cents.value)))
                .or_else(|| Some((end, format!("{symbol}{text}"))))
        }
        None if text == "1" => None,
        None => Some((end, format!("{symbol}{text}"))),
    }
}

/// Dates as the common rules write them, with small letters, and a month with a year said as a number.
fn months(words: &[&str], previous: Option<&str>) -> Written {
    if MONTHS.contains(words.first()?) {
        let year = words.get(1..).and_then(cardinal).filter(|n| (1000..2100).contains(&n.value) && n.words > 2);
        if let Some(year) = year {
            return Some((1 + year.words, format!("{} {}", words[0], year.value)));
        }
    }
    date(words, previous).map(|(used, text)| (used, text.to_lowercase()))
}

/// Every ordinal, "zeroth" too.
fn ordinals(words: &[&str], _: Option<&str>) -> Written {
    if words.first() == Some(&"zeroth") {
        return Some((1, "0th".into()));
    }
    ordinal(words).map(|number| (number.words, ordinal_figures(number.value)))
}

/// "point two": a decimal without its whole part.
fn fraction_only(words: &[&str], _: Option<&str>) -> Written {
    if words.first() != Some(&"point") {
        return None;
    }
    let (text, used) = places(words.get(1..)?)?;
    Some((1 + used, format!(".{text}")))
}

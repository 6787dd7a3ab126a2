//! English numerals: cardinals, ordinals, digit strings, years.

/// The value of one..nine; "zero", "oh" and "o" are 0.
pub(super) fn digit(word: &str) -> Option<u64> {
    Some(match word {
        "zero" | "oh" | "o" => 0,
        _ => 1 + u64::try_from(ONES.iter().position(|one| *one == word)?).ok()?,
    })
}

const ONES: [&str; 9] = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const TEENS: [&str; 10] =
    ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"];
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const SCALES: [(&str, u128); 7] = [
    ("sextillion", 1_000_000_000_000_000_000_000),
    ("quintillion", 1_000_000_000_000_000_000),
    ("quadrillion", 1_000_000_000_000_000),
    ("trillion", 1_000_000_000_000),
    ("billion", 1_000_000_000),
    ("million", 1_000_000),
    ("thousand", 1_000),
];
const ORDINAL_ONES: [&str; 9] = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"];
const ORDINAL_TEENS: [&str; 10] = [
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
];
const ORDINAL_TENS: [&str; 8] =
    ["twentieth", "thirtieth", "fortieth", "fiftieth", "sixtieth", "seventieth", "eightieth", "ninetieth"];

fn index_of(list: &[&str], word: &str) -> Option<u128> {
    list.iter().position(|entry| *entry == word).map(|position| position as u128)
}

/// A number read from words: its value and how many words it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) value: u128,
    pub(super) words: usize,
}

/// Below one hundred: "twenty five", "seventeen", "six".
pub(super) fn below_100(words: &[&str]) -> Option<Number> {
    let first = *words.first()?;
    if let Some(tens) = index_of(&TENS, first) {
        let ones = words.get(1).and_then(|word| index_of(&ONES, word));
        let value = (tens + 2) * 10 + ones.map_or(0, |one| one + 1);
        return Some(Number { value, words: 1 + usize::from(ones.is_some()) });
    }
    let value = index_of(&TEENS, first).map(|teen| teen + 10).or_else(|| index_of(&ONES, first).map(|one| one + 1));
    value.map(|value| Number { value, words: 1 })
}

/// Below ten thousand by hundreds: "three hundred and five", "eleven hundred twenty", "a hundred".
fn by_hundreds(words: &[&str]) -> Option<Number> {
    let head = match words {
        ["a", "hundred", ..] => Some(Number { value: 1, words: 1 }),
        _ => below_100(words),
    }?;
    if words.get(head.words) != Some(&"hundred") || (head.value >= 10 && head.value % 10 == 0) {
        return Some(head).filter(|_| words[0] != "a");
    }
    let mut number = Number { value: head.value * 100, words: head.words + 1 };
    let and = usize::from(words.get(number.words) == Some(&"and"));
    if let Some(rest) = words.get(number.words + and..).and_then(below_100) {
        number = Number { value: number.value + rest.value, words: number.words + and + rest.words };
    }
    Some(number)
}

/// Any whole number: "two million three", "one hundred forty seven thousand four hundred fifty one", "a thousand".
pub(super) fn cardinal(words: &[&str]) -> Option<Number> {
    if words.first() == Some(&"zero") {
        return Some(Number { value: 0, words: 1 });
    }
    let (mut total, mut used, mut limit) = (0_u128, 0, u128::MAX);
    loop {
        let and = usize::from(used > 0 && words.get(used) == Some(&"and"));
        let rest = words.get(used + and..).unwrap_or_default();
        let part = match rest {
            ["a", scale, ..] if SCALES.iter().any(|(name, _)| name == scale) => Some(Number { value: 1, words: 1 }),
            _ => by_hundreds(rest),
        };
        let Some(part) = part else { break };
        let scale = rest.get(part.words).and_then(|word| SCALES.iter().find(|(name, _)| name == word));
        match scale {
            Some((_, scale)) if *scale < limit => {
                total += part.value * scale;
                limit = *scale;
                used += and + part.words + 1;
            }
            Some(_) => break,
            // "and" before the last part only behind a scale and only below one hundred
            None if part.value < limit && (and == 0 || part.value < 100) => {
                return Some(Number { value: total + part.value, words: used + and + part.words });
            }
            None => break,
        }
    }
    (used > 0).then_some(Number { value: total, words: used })
}

/// "twenty first", "one hundred eleventh", "tenth", "third".
pub(super) fn ordinal(words: &[&str]) -> Option<Number> {
    let simple = |word: &str| {
        index_of(&ORDINAL_ONES, word)
            .map(|one| one + 1)
            .or_else(|| index_of(&ORDINAL_TEENS, word).map(|teen| teen + 10))
            .or_else(|| index_of(&ORDINAL_TENS, word).map(|tens| (tens + 2) * 10))
    };
    if let Some(value) = simple(words.first()?) {
        return Some(Number { value, words: 1 });
    }
    let head = cardinal(words)?;
    match words.get(head.words) {
        Some(&"hundredth") if head.value < 100 => Some(Number { value: head.value * 100, words: head.words + 1 }),
        Some(&"thousandth") if head.value < 1000 => Some(Number { value: head.value * 1000, words: head.words + 1 }),
        Some(word) => {
            let last = simple(word)?;
            let fits = (head.value % 100 == 0) || (head.value % 10 == 0 && head.value % 100 >= 20 && last < 10);
            fits.then_some(Number { value: head.value + last, words: head.words + 1 })
        }
        None => None,
    }
}

/// Digits read one by one: "one three eight double zero". Gives the figures and the words used; `None` without a digit
/// and where the last digit begins a larger number ("one two hundred").
pub(super) fn digit_string(words: &[&str]) -> Option<(String, usize)> {
    let (text, used) = places(words)?;
    let opens_larger = words.get(used).is_some_and(|word| *word == "hundred" || SCALES.iter().any(|(name, _)| name == word));
    (!opens_larger).then_some((text, used))
}

/// The digits behind a decimal point.
pub(super) fn places(words: &[&str]) -> Option<(String, usize)> {
    let (mut text, mut used) = (String::new(), 0);
    while let Some(word) = words.get(used) {
        let repeat = match *word {
            "double" => 2,
            "triple" | "treble" => 3,
            _ => 1,
        };
        let step = usize::from(repeat > 1);
        let Some(digit) = words.get(used + step).and_then(|word| digit(word)) else { break };
        for _ in 0..repeat {
            text.push_str(&digit.to_string());
        }
        used += step + 1;
    }
    (used > 0).then_some((text, used))
}

/// "nineteen eighty four", "twenty twelve", "nineteen oh five", "two thousand (and) nine": years from 1100 to 2099.
pub(super) fn year(words: &[&str]) -> Option<Number> {
    if words.get(..2) == Some(&["two", "thousand"][..]) {
        return cardinal(words).filter(|number| (2000..2100).contains(&number.value));
    }
    let century = below_100(words).filter(|number| (11..=20).contains(&number.value))?;
    let rest = words.get(century.words..)?;
    let tail = match rest {
        ["oh" | "o", one, ..] => digit(one).filter(|d| *d > 0).map(|d| Number { value: u128::from(d), words: 2 }),
        _ => below_100(rest).filter(|number| number.value >= 10),
    }?;
    Some(Number { value: century.value * 100 + tail.value, words: century.words + tail.words })
}

/// "nineteen eighties": a decade.
pub(super) fn decade(words: &[&str]) -> Option<Number> {
    let century = below_100(words).filter(|number| (15..=20).contains(&number.value) && number.words == 1)?;
    let plural = words.get(1)?.strip_suffix("ies")?;
    let tens = index_of(&TENS, &format!("{plural}y"))?;
    Some(Number { value: century.value * 100 + (tens + 2) * 10, words: 2 })
}

/// "1st", "22nd", "113th".
pub(super) fn ordinal_figures(value: u128) -> String {
    let suffix = match (value % 10, value % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{value}{suffix}")
}

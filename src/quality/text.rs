//! Text of a sentence as rules see it: folding, clauses, words and units of length. All positions are code
//! points of the original text, because folding maps one code point to one code point.

/// Han ideographs with the marks that count as such (々 〇).
pub(crate) fn is_han(c: char) -> bool {
    matches!(c, '\u{3005}' | '\u{3007}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3134F}')
}

/// Hiragana and katakana, full and half width.
pub(crate) fn is_kana(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{3096}' | '\u{309D}'..='\u{309F}' | '\u{30A1}'..='\u{30FA}'
        | '\u{30FC}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' | '\u{FF66}'..='\u{FF9F}')
}

/// A letter or digit that belongs to words: everything alphanumeric but Han characters and kana.
pub(crate) fn is_word_char(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() } else { c.is_alphanumeric() && !is_han(c) && !is_kana(c) }
}

/// Full-width ASCII to half width, ideographic space to space, curly quotes to straight ones.
pub(crate) fn fold_width(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        '\u{3000}' => ' ',
        '\u{2018}' | '\u{2019}' => '\'',
        '\u{201C}' | '\u{201D}' => '"',
        _ => c,
    }
}

/// Width folding and lower case, where the lower case is a single code point.
pub(crate) fn fold(c: char) -> char {
    let c = fold_width(c);
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    if is_han(c) {
        return c;
    }
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(single), None) => single,
        _ => c,
    }
}

pub(crate) fn fold_text(text: &str) -> String {
    text.chars().map(fold).collect()
}

/// The text that regular expressions see: full-width letters and digits folded, all else as it stands.
pub(crate) fn fold_for_regex(text: &str) -> Option<String> {
    let wide = |c: char| matches!(c, '\u{FF10}'..='\u{FF19}' | '\u{FF21}'..='\u{FF3A}' | '\u{FF41}'..='\u{FF5A}');
    text.contains(wide).then(|| text.chars().map(|c| if wide(c) { fold_width(c) } else { c }).collect())
}

/// Folded, everything but letters and digits removed.
pub(crate) fn bare(text: &str) -> Vec<char> {
    // The bulk of Han characters first: the tables of Unicode are slow.
    let counts = |c: &char| matches!(c, '\u{4E00}'..='\u{9FA5}') || c.is_alphanumeric();
    text.chars().map(fold).filter(counts).collect()
}

/// The clauses of a text as code point ranges, white space cut off, empty ones left out.
pub(crate) fn clauses(chars: &[char]) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let mut start = 0;
    for at in 0..=chars.len() {
        let ends = match chars.get(at) {
            None => true,
            Some('，' | '。' | '！' | '？' | '；' | '：' | '…' | '!' | '?' | ';' | '\n') => true,
            Some(',' | '.' | ':') => !(at > 0 && is_digit(chars[at - 1]) && chars.get(at + 1).is_some_and(|c| is_digit(*c))),
            Some(_) => false,
        };
        if ends {
            let (mut a, mut b) = (start, at);
            while a < b && chars[a].is_whitespace() {
                a += 1;
            }
            while b > a && chars[b - 1].is_whitespace() {
                b -= 1;
            }
            if a < b {
                out.push((a, b));
            }
            start = at + 1;
        }
    }
    out
}

pub(crate) fn is_digit(c: char) -> bool {
    fold_width(c).is_ascii_digit()
}

/// The words of a text as code point ranges.
pub(crate) fn words(chars: &[char]) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        if !is_word_char(chars[at]) {
            at += 1;
            continue;
        }
        let start = at;
        at += 1;
        while at < chars.len() {
            let next = chars.get(at + 1).copied();
            let inner = match fold_width(chars[at]) {
                '\'' | '-' => next.is_some_and(is_word_char),
                '.' | ',' => is_digit(chars[at - 1]) && next.is_some_and(is_digit),
                _ => is_word_char(chars[at]),
            };
            if !inner {
                break;
            }
            at += 1;
        }
        out.push((start, at));
    }
    out
}

/// Length in characters: 1 for each Han character or kana, each digit, each run of other letters.
pub(crate) fn count_chars(chars: &[char]) -> i64 {
    let mut count = 0;
    let mut in_run = false;
    for &c in chars {
        let letter = c.is_alphanumeric() && !is_han(c) && !is_kana(c) && !is_digit(c);
        if is_han(c) || is_kana(c) || is_digit(c) || (letter && !in_run) {
            count += 1;
        }
        in_run = letter;
    }
    count
}

/// Length in words: 1 for each word and each Han character.
pub(crate) fn count_words(chars: &[char]) -> i64 {
    let words = words(chars).len() + chars.iter().filter(|c| is_han(**c)).count();
    i64::try_from(words).unwrap_or(i64::MAX)
}

/// Whether lengths in this language count characters; `None` where it is not known.
pub(crate) fn language_counts_chars(language: Option<&str>) -> Option<bool> {
    let primary = language?.split(['-', '_']).next().filter(|primary| !primary.is_empty())?;
    Some(["zh", "yue", "ja"].iter().any(|known| known.eq_ignore_ascii_case(primary)))
}

/// Whether an end of `[start, end)` lies inside a longer word: a letter or digit that touches a further
/// letter or digit, or a digit that `.` or `,` joins to a further digit. Han characters and kana are exempt.
pub(crate) fn cuts_word(chars: &[char], start: usize, end: usize) -> bool {
    let joined = |inner: char, near: Option<char>, far: Option<char>| {
        is_word_char(inner)
            && near.is_some_and(|n| {
                is_word_char(n) || (is_digit(inner) && matches!(fold_width(n), '.' | ',') && far.is_some_and(is_digit))
            })
    };
    let before = |n: usize| start.checked_sub(n).map(|i| chars[i]);
    joined(chars[start], before(1), before(2)) || joined(chars[end - 1], chars.get(end).copied(), chars.get(end + 1).copied())
}

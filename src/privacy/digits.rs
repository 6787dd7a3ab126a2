//! Runs of digits as people write and say them: 138 0013 8000, 幺三八零零…, "one three eight double zero".

use super::folded::Folded;

/// What stands between two digits of a run, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gap {
    /// Nothing, or the blank between two number words.
    None,
    /// Blanks.
    Space,
    /// A hyphen, or a word for it.
    Hyphen,
    /// A dot.
    Dot,
    /// A parenthesis.
    Parenthesis,
    /// A comma: the speaker paused.
    Comma,
}

/// One digit and the code points that say it; "double zero" gives two atoms with the same place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Atom {
    /// `0` to `9`, or `X` at the end of an identity card.
    pub(super) digit: char,
    pub(super) start: usize,
    pub(super) end: usize,
    /// What stands before it, within the run.
    pub(super) gap: Gap,
}

/// Digits that belong together.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) atoms: Vec<Atom>,
    /// A Latin letter or underscore touches the first digit.
    pub(super) glued_left: bool,
    /// A Latin letter or underscore touches the last digit.
    pub(super) glued_right: bool,
    /// Said in words.
    pub(super) spoken: bool,
}

impl Run {
    /// Atoms from which a number may begin: the first, and those behind a blank or a comma. Hyphens, dots and parentheses
    /// hold a number together.
    pub(super) fn borders(&self) -> Vec<usize> {
        let inner = (1..self.atoms.len()).filter(|&at| matches!(self.atoms[at].gap, Gap::Space | Gap::Comma));
        [0].into_iter().chain(inner).chain([self.atoms.len()]).collect()
    }

    /// The digits of some atoms.
    pub(super) fn digits(&self, from: usize, to: usize) -> String {
        self.atoms[from..to].iter().map(|atom| atom.digit).collect()
    }

    /// Lengths of the groups that gaps make of some atoms.
    pub(super) fn groups(&self, from: usize, to: usize) -> Vec<usize> {
        let mut groups = vec![0];
        for (place, atom) in self.atoms[from..to].iter().enumerate() {
            if place > 0 && atom.gap > Gap::None {
                groups.push(0);
            }
            if let Some(last) = groups.last_mut() {
                *last += 1;
            }
        }
        groups
    }
}

/// All runs of a text, in its order.
pub(super) fn runs(text: &Folded) -> Vec<Run> {
    let chars = &text.chars;
    let mut runs: Vec<Run> = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        match atoms_at(chars, at, 0) {
            Some(first) => {
                let run = run_from(chars, first);
                at = run.atoms.last().map_or(at + 1, |last| last.end);
                runs.push(run);
            }
            None => at += 1,
        }
    }
    runs
}

fn run_from(chars: &[char], first: Vec<Atom>) -> Run {
    let start = first[0].start;
    let mut atoms = first;
    loop {
        let end = atoms[atoms.len() - 1].end;
        let Some((next, mut gap)) = gap_at(chars, end) else { break };
        let Some(mut more) = atoms_at(chars, next, atoms.len()) else { break };
        if lone_numeral(chars, end - 1, more[0].start) {
            break; // 65123456一直没人接
        }
        let words = is_word(chars, end - 1) && is_word(chars, more[0].start);
        if gap == Gap::Space && words {
            gap = Gap::None;
        }
        more[0].gap = gap;
        atoms.extend(more);
    }
    let end = atoms[atoms.len() - 1].end;
    if ends_as_card(&atoms)
        && let Some(last) = check_letter(chars, end)
    {
        atoms.push(last);
    }
    let end = atoms[atoms.len() - 1].end;
    let letter = |at: Option<&char>| at.is_some_and(|c| c.is_ascii_alphabetic() || *c == '_');
    // 555-0133x42: an extension goes with the number, but is none of its digits
    let extension = chars.get(end) == Some(&'x') && chars.get(end + 1).is_some_and(char::is_ascii_digit);
    if extension && let Some(last) = atoms.last_mut() {
        last.end = end + 1 + chars[end + 1..].iter().take_while(|c| c.is_ascii_digit()).count();
    }
    let spoken = atoms.iter().any(|atom| !chars[atom.start].is_ascii_digit());
    Run {
        glued_left: chars[start].is_ascii_digit() && start > 0 && letter(chars.get(start - 1)),
        glued_right: chars[end - 1].is_ascii_digit() && letter(chars.get(end)) && !extension,
        spoken,
        atoms,
    }
}

/// A single numeral character right behind figures belongs to the next word.
fn lone_numeral(chars: &[char], before: usize, at: usize) -> bool {
    let numeral = |at: usize| chars.get(at).is_some_and(|c| digit_zh(*c).is_some());
    before + 1 == at && chars[before].is_ascii_digit() && numeral(at) && !numeral(at + 1)
}

fn is_word(chars: &[char], at: usize) -> bool {
    chars.get(at).is_some_and(char::is_ascii_alphabetic)
}

/// Whether the last 17 digits may be those of an identity card: all there are, or those behind another number.
fn ends_as_card(atoms: &[Atom]) -> bool {
    let first = atoms.len().checked_sub(17).and_then(|at| atoms.get(at).map(|atom| (at, atom.gap)));
    first.is_some_and(|(at, gap)| at == 0 || matches!(gap, Gap::Space | Gap::Comma))
}

/// The X at the end of an identity card.
fn check_letter(chars: &[char], end: usize) -> Option<Atom> {
    let at = end + chars[end..].iter().take_while(|c| matches!(c, ' ' | '-')).count();
    let free = !chars.get(at + 1).is_some_and(char::is_ascii_alphanumeric);
    (matches!(chars.get(at), Some('x' | 'X' | '叉')) && free).then(|| Atom { digit: 'X', start: at, end: at + 1, gap: Gap::None })
}

/// Where the next digit may stand behind `end`, and what stands between.
fn gap_at(chars: &[char], end: usize) -> Option<(usize, Gap)> {
    let mut gap = Gap::None;
    let mut at = end;
    while let Some(c) = chars.get(at) {
        gap = gap.max(match c {
            ' ' => Gap::Space,
            '-' | '~' => Gap::Hyphen,
            '.' | '·' => Gap::Dot,
            '(' | ')' | '（' | '）' => Gap::Parenthesis,
            ',' | '，' | '、' => Gap::Comma,
            _ => match spoken_gap(chars, at) {
                Some(used) => {
                    at += used;
                    gap = gap.max(Gap::Hyphen);
                    continue;
                }
                None => break,
            },
        });
        at += 1;
        if at > end + 3 {
            return None;
        }
    }
    Some((at, gap))
}

/// "dash", "um" between spoken digits: how many code points.
fn spoken_gap(chars: &[char], at: usize) -> Option<usize> {
    let word = word_at(chars, at)?;
    matches!(word.as_str(), "dash" | "hyphen" | "space" | "uh" | "um" | "then").then_some(word.len() + 1)
}

/// The Latin word that begins here, lower case.
fn word_at(chars: &[char], at: usize) -> Option<String> {
    let inside = at > 0 && chars[at - 1].is_ascii_alphanumeric();
    let word: String = chars.get(at..)?.iter().take(12).take_while(|c| c.is_ascii_alphabetic()).collect();
    let ends = !chars.get(at + word.len()).is_some_and(|c| c.is_ascii_digit() || *c == '\'');
    (!word.is_empty() && !inside && ends).then(|| word.to_ascii_lowercase())
}

/// The digits that begin at a place; `before` is how many the run has already.
fn atoms_at(chars: &[char], at: usize, before: usize) -> Option<Vec<Atom>> {
    let c = *chars.get(at)?;
    let one = |digit: char, end: usize| vec![Atom { digit, start: at, end, gap: Gap::None }];
    if c.is_ascii_digit() || digit_zh(c).is_some() {
        let digit = digit_zh(c).unwrap_or(c);
        // 三个零
        if before >= 3 && chars.get(at + 1) == Some(&'个') && digit > '1' {
            let repeated = chars.get(at + 2).and_then(|c| digit_zh(*c).or(c.is_ascii_digit().then_some(*c)));
            if let Some(repeated) = repeated {
                let count = digit.to_digit(10).unwrap_or(1) as usize;
                return Some(vec![Atom { digit: repeated, start: at, end: at + 3, gap: Gap::None }; count]);
            }
        }
        return Some(one(digit, at + 1));
    }
    if before > 0 {
        let radio = match c {
            '洞' => '0',
            '拐' => '7',
            '勾' => '9',
            _ => ' ',
        };
        if radio != ' ' {
            return Some(one(radio, at + 1));
        }
    }
    let word = word_at(chars, at)?;
    let end = at + word.len();
    let next = || {
        let blanks = chars[end..].iter().take_while(|c| matches!(c, ' ' | '-')).count();
        word_at(chars, end + blanks).map(|word| (end + blanks + word.len(), word))
    };
    if let Some(count) = match word.as_str() {
        "double" => Some(2),
        "triple" | "treble" => Some(3),
        _ => None,
    } {
        let (end, word) = next()?;
        let digit = digit_en(&word)?;
        return Some(vec![Atom { digit, start: at, end, gap: Gap::None }; count]);
    }
    if let Some(digit) = digit_en(&word) {
        let small = word == "o" || word == "oh";
        if small && before == 0 && !next().is_some_and(|(_, w)| digit_en(&w).is_some() || w == "double" || w == "triple") {
            return None;
        }
        return Some(one(digit, end));
    }
    if before > 0 && word == "hundred" {
        return Some(vec![Atom { digit: '0', start: at, end, gap: Gap::None }; 2]);
    }
    let tens = tens_en(&word)?;
    let unit = (tens.ends_with('0') && tens != "10").then(next).flatten().and_then(|(end, w)| Some((end, digit_en(&w)?)));
    let (text, end) = match unit {
        Some((end, unit)) if unit != '0' => (format!("{}{unit}", &tens[..1]), end),
        _ => (tens.to_owned(), end),
    };
    Some(text.chars().map(|digit| Atom { digit, start: at, end, gap: Gap::None }).collect())
}

fn digit_zh(c: char) -> Option<char> {
    Some(match c {
        '零' | '〇' => '0',
        '一' | '幺' | '壹' => '1',
        '二' | '贰' => '2',
        '三' | '叁' => '3',
        '四' | '肆' => '4',
        '五' | '伍' => '5',
        '六' | '陆' => '6',
        '七' | '柒' => '7',
        '八' | '捌' => '8',
        '九' | '玖' => '9',
        _ => return None,
    })
}

fn digit_en(word: &str) -> Option<char> {
    Some(match word {
        "zero" | "oh" | "o" | "nought" => '0',
        "one" => '1',
        "two" => '2',
        "three" => '3',
        "four" => '4',
        "five" => '5',
        "six" => '6',
        "seven" => '7',
        "eight" => '8',
        "nine" => '9',
        _ => return None,
    })
}

fn tens_en(word: &str) -> Option<&'static str> {
    Some(match word {
        "ten" => "10",
        "eleven" => "11",
        "twelve" => "12",
        "thirteen" => "13",
        "fourteen" => "14",
        "fifteen" => "15",
        "sixteen" => "16",
        "seventeen" => "17",
        "eighteen" => "18",
        "nineteen" => "19",
        "twenty" => "20",
        "thirty" => "30",
        "forty" => "40",
        "fifty" => "50",
        "sixty" => "60",
        "seventy" => "70",
        "eighty" => "80",
        "ninety" => "90",
        _ => return None,
    })
}

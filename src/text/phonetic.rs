//! Keys that are equal for words that sound alike.
//!
//! Recognition errors are errors of sound: 退宽 for 退款, "recieve" for "receive". Chinese is compared by pinyin without
//! tones, with the initials and finals merged that speakers and recognisers confuse; English by a small key in the
//! manner of Metaphone (L. Philips, *Computer Language* 7(12), 1990).

use pinyin::ToPinyin;

/// Pinyin without tone of each character; `None` where the character is not Chinese. The most frequent reading is used.
pub fn pinyin(text: &str) -> Vec<Option<&'static str>> {
    text.chars().map(|c| c.to_pinyin().map(pinyin::Pinyin::plain)).collect()
}

/// The sound key of each Chinese character of a text, in order; other characters are left out.
///
/// Merged: zh/z, ch/c, sh/s, n/l, f/h (before u), ang/an, eng/en, ing/in.
pub fn homophone_key(text: &str) -> Vec<String> {
    pinyin(text).into_iter().flatten().map(merge_confusable).collect()
}

/// The key of one syllable, see [`homophone_key`].
pub fn merge_confusable(syllable: &str) -> String {
    let (initial, final_part) = split_syllable(syllable);
    let initial = match initial {
        "zh" => "z",
        "ch" => "c",
        "sh" => "s",
        "n" => "l",
        "f" => "h",
        other => other,
    };
    let final_part = match final_part.strip_suffix('g') {
        Some(without_g) if without_g.ends_with("an") || without_g.ends_with("en") || without_g.ends_with("in") => without_g,
        _ => final_part,
    };
    format!("{initial}{}", if initial == "h" { without_medial(final_part) } else { final_part })
}

/// fa and hua, fei and hui, fen and hun: the medial u is lost with the initial.
fn without_medial(final_part: &str) -> &str {
    match final_part {
        "u" => "u",
        "ui" => "ei",
        "un" => "en",
        other => other.strip_prefix('u').unwrap_or(other),
    }
}

fn split_syllable(syllable: &str) -> (&str, &str) {
    let two = ["zh", "ch", "sh"].iter().any(|initial| syllable.starts_with(initial));
    let length = if two { 2 } else { usize::from(!syllable.starts_with(['a', 'e', 'i', 'o', 'u', 'ü'])) };
    syllable.split_at(length)
}

/// The sound key of an English word: consonant classes, vowels only at the start. Empty for a word without letters.
pub fn metaphone(word: &str) -> String {
    let letters: Vec<char> = word.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect();
    let mut key = String::new();
    let mut at = silent_start(&letters);
    while at < letters.len() {
        let (code, used) = sound_at(&letters, at);
        // a double letter is one sound; equal sounds side by side count once
        if !code.is_empty() && !key.ends_with(code) {
            key.push_str(code);
        }
        at += used;
    }
    key
}

fn silent_start(letters: &[char]) -> usize {
    let start: String = letters.iter().take(2).collect();
    usize::from(matches!(start.as_str(), "kn" | "gn" | "pn" | "wr" | "ae" | "ps"))
}

/// The sound at a position and how many letters it takes.
fn sound_at(letters: &[char], at: usize) -> (&'static str, usize) {
    let next = |offset: usize| letters.get(at + offset).copied().unwrap_or(' ');
    let front_vowel = |c: char| matches!(c, 'e' | 'i' | 'y');
    match letters[at] {
        'a' | 'e' | 'i' | 'o' | 'u' => (if at == 0 { "A" } else { "" }, 1),
        'b' => (if at + 1 == letters.len() && at > 0 && letters[at - 1] == 'm' { "" } else { "P" }, 1),
        'c' if next(1) == 'h' => ("X", 2),
        'c' if front_vowel(next(1)) => ("S", 1),
        'c' if next(1) == 'k' => ("K", 2),
        'd' if next(1) == 'g' && front_vowel(next(2)) => ("J", 2),
        'd' => ("T", 1),
        'f' | 'v' => ("F", 1),
        'g' if next(1) == 'h' => (if at == 0 { "K" } else { "" }, 2),
        'g' if front_vowel(next(1)) => ("J", 1),
        'h' => (if at == 0 { "H" } else { "" }, 1),
        'j' => ("J", 1),
        'c' | 'g' | 'k' | 'q' => ("K", 1),
        'l' => ("L", 1),
        'm' => ("M", 1),
        'n' => ("N", 1),
        'p' if next(1) == 'h' => ("F", 2),
        'p' => ("P", 1),
        'r' => ("R", 1),
        's' if next(1) == 'h' => ("X", 2),
        's' if next(1) == 'c' && front_vowel(next(2)) => ("S", 2),
        's' | 'z' => ("S", 1),
        't' if next(1) == 'h' => ("0", 2),
        't' if next(1) == 'i' && matches!(next(2), 'o' | 'a') => ("X", 2),
        't' if next(1) == 'c' && next(2) == 'h' => ("X", 3),
        't' => ("T", 1),
        'w' => (if matches!(next(1), 'a' | 'e' | 'i' | 'o' | 'u') { "W" } else { "" }, 1),
        'x' => (if at == 0 { "S" } else { "KS" }, 1),
        'y' => (if matches!(next(1), 'a' | 'e' | 'i' | 'o' | 'u') { "Y" } else { "" }, 1),
        _ => ("", 1),
    }
}

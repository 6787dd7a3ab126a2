//! One form for texts that differ only in width, case or compatibility forms.

use unicode_normalization::UnicodeNormalization;

/// A folded text and where each of its characters came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// The folded text.
    pub text: String,
    /// For each code point of `text`, the code point of the original that it came from; non-decreasing.
    pub source: Vec<usize>,
}

/// Folds a text: Unicode NFKC (full-width letters and digits become ordinary ones, ligatures are taken apart), lower
/// case, typographic quotes and dashes become ASCII ones, zero-width and other format characters go, runs of white space
/// become one blank, none at the ends.
///
/// Traditional characters stay as they are.
pub fn fold(text: &str) -> String {
    fold_with_map(text).text
}

/// [`fold`] that also says where each character came from.
pub fn fold_with_map(text: &str) -> Folded {
    let mut folded = Folded::default();
    let mut blank_pending: Option<usize> = None;
    for (position, original) in text.chars().enumerate() {
        if is_format_character(original) {
            continue;
        }
        if original.is_whitespace() || original.is_control() {
            blank_pending.get_or_insert(position);
            continue;
        }
        for part in std::iter::once(original).nfkc() {
            if part.is_whitespace() {
                blank_pending.get_or_insert(position);
                continue;
            }
            if let Some(at) = blank_pending.take()
                && !folded.source.is_empty()
            {
                folded.text.push(' ');
                folded.source.push(at);
            }
            for lower in ascii_punctuation(part).to_lowercase() {
                folded.text.push(lower);
                folded.source.push(position);
            }
        }
    }
    folded
}

fn ascii_punctuation(c: char) -> char {
    match c {
        '\u{2018}' | '\u{2019}' | '\u{02BC}' => '\'',
        '\u{201C}' | '\u{201D}' => '"',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        other => other,
    }
}

/// Zero-width characters, direction marks, byte order mark, soft hyphen.
fn is_format_character(c: char) -> bool {
    matches!(c, '\u{00AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}')
}

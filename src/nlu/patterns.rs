//! Entities that their form proves: numbers of phones and orders, amounts, dates, times, mail and web addresses.

use super::forms::{FORMS, is_other};
use crate::conversation::Language;
use crate::text::itn::Itn;

/// An entity found by its form; positions are code points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternEntity {
    /// Kind, from the closed list.
    pub kind: &'static str,
    /// Surface text.
    pub text: String,
    /// Normalised value.
    pub value: String,
    /// First code point.
    pub start: usize,
    /// First code point behind it.
    pub end: usize,
}

/// Entities of `text` that a form proves, by start, without overlap.
///
/// ```
/// let found = zhiyin::nlu::find_entities("昨天扣了我两百块，订单20260301123456");
/// let found: Vec<_> = found.iter().map(|e| (e.kind, e.value.as_str())).collect();
/// assert_eq!(found, [("date", "昨天"), ("amount", "200"), ("order_no", "20260301123456")]);
/// ```
pub fn find_entities(text: &str) -> Vec<PatternEntity> {
    let mut taken: Vec<(usize, usize)> = Vec::new();
    let mut found = Vec::new();
    for form in FORMS.iter() {
        for hit in form.regex.captures_iter(text) {
            // Where a form has a group, the group is the entity and the rest what proves it.
            let Some(hit) = hit.get(1).or_else(|| hit.get(0)) else { continue };
            if is_other(form.kind, text, hit.start(), hit.end())
                || taken.iter().any(|&(start, end)| hit.start() < end && start < hit.end())
            {
                continue;
            }
            taken.push((hit.start(), hit.end()));
            let start = text[..hit.start()].chars().count();
            found.push(PatternEntity {
                kind: form.kind,
                text: hit.as_str().to_owned(),
                value: normalise(form.kind, hit.as_str()),
                start,
                end: start + hit.as_str().chars().count(),
            });
        }
    }
    found.sort_by_key(|entity| entity.start);
    found
}

fn normalise(kind: &str, text: &str) -> String {
    match kind {
        "phone" | "order_no" => text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '+').collect(),
        "amount" => amount(text),
        "email" => text.to_ascii_lowercase(),
        _ => text.to_owned(),
    }
}

/// The figure of an amount, spoken or written: 两百块 is 200, "twenty-four quid" 24, 三万 30000, 五毛 and "fifty pence" 0.5.
fn amount(text: &str) -> String {
    let language = if text.is_ascii() { Language::En } else { Language::Zh };
    let written = if text.chars().any(|c| c.is_ascii_digit()) { text.to_owned() } else { Itn::new().apply(text, language).0 };
    // 8185块7 is 8185.7
    let written = match written.split_once('块') {
        Some((whole, rest)) if rest.starts_with(|c: char| c.is_ascii_digit()) => format!("{whole}.{rest}"),
        _ => written,
    };
    let figure: String = written.chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
    match figure.parse::<f64>() {
        Ok(number) if written.contains('万') => format!("{}", number * 1e4),
        Ok(number) if written.contains('毛') => format!("{}", number / 10.0),
        Ok(number) if written.to_ascii_lowercase().ends_with("pence") => format!("{}", number / 100.0),
        _ if figure.is_empty() => text.to_owned(),
        _ => figure,
    }
}

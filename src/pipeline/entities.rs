//! Entities of an utterance: those that understanding reads, and personal data, whose rules know more of numbers and names.

use crate::conversation::Entity;
use crate::privacy::{Kind, find};

/// Kinds of understanding that stay where personal data is found at the same place: a number with an order's form is one,
/// and what was said with its currency is an amount.
const STAYS: [&str; 3] = ["url", "amount", "date"];

/// Joins the entities that were read with the personal data in `text`; where both claim a place, personal data wins.
/// Places are code points.
pub(super) fn with_personal(text: &str, read: Vec<Entity>) -> Vec<Entity> {
    let points: Vec<char> = text.chars().collect();
    let mut all = read;
    for finding in find(text) {
        let touches = |e: &Entity| finding.start < e.end && e.start < finding.end;
        if all.iter().any(|e| touches(e) && STAYS.contains(&e.kind.as_str()) && e.confidence == Some(1.0)) {
            continue;
        }
        let same = all.iter().position(|e| touches(e) && e.kind == name(finding.kind) && finding.strength < 0.9);
        if same.is_some() {
            continue;
        }
        all.retain(|e| !touches(e));
        let surface: String = points[finding.start..finding.end.min(points.len())].iter().collect();
        all.push(Entity {
            kind: name(finding.kind).to_owned(),
            value: if finding.kind.is_patterned() { compact(&surface) } else { surface.clone() },
            text: surface,
            start: finding.start,
            end: finding.end,
            confidence: Some(finding.strength),
        });
    }
    all.sort_by_key(|entity| (entity.start, entity.end));
    all
}

/// The kind in the words of understanding, where a person is a person.
fn name(kind: Kind) -> &'static str {
    if kind == Kind::Name { "person" } else { kind.name() }
}

/// A number without the blanks and dashes that it is written with; what is said in words stays as it was said.
fn compact(surface: &str) -> String {
    if surface.chars().any(|c| c.is_ascii_digit()) {
        return surface.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')')).collect();
    }
    surface.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(kind: &str, start: usize, end: usize, confidence: f32) -> Entity {
        Entity { kind: kind.into(), text: "x".into(), value: "x".into(), start, end, confidence: Some(confidence) }
    }

    #[test]
    fn personal_data_takes_the_place_of_what_only_looks_like_a_number() {
        let joined =
            with_personal("我手机号是138 0013 8000，今天打", vec![entity("phone", 5, 18, 1.0), entity("date", 19, 21, 1.0)]);
        let seen: Vec<_> = joined.iter().map(|e| (e.kind.as_str(), e.value.as_str(), e.start, e.end)).collect();
        assert_eq!(seen, [("mobile", "13800138000", 5, 18), ("date", "x", 19, 21)]);
    }

    #[test]
    fn an_amount_stays_an_amount() {
        let joined = with_personal("验证码是1234元", vec![entity("amount", 4, 9, 1.0)]);
        assert_eq!(joined.len(), 1);
        assert_eq!(joined[0].kind, "amount");
    }
}

//! One cell of a decision table: what a value has to be.

use serde::Deserialize;

/// A condition on one value.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub enum Condition {
    /// Equal to one of these.
    OneOf(Vec<String>),
    /// There, and none of these; or not there at all.
    NoneOf(Vec<String>),
    /// A number compared.
    Compare(Comparison, f64),
    /// Is there.
    Set,
    /// Is not there.
    Empty,
}

/// How a number is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

impl TryFrom<String> for Condition {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let words = |list: &str| list.split('|').map(|w| w.trim().to_owned()).collect::<Vec<_>>();
        let number = |rest: &str, comparison| {
            let value =
                rest.trim().parse().map_err(|_| format!("\"{text}\" compares with no number; write for example \"> 7\""))?;
            Ok(Self::Compare(comparison, value))
        };
        match text.trim() {
            "" => Err("an empty condition; write \"empty\" or \"set\"".to_owned()),
            "set" => Ok(Self::Set),
            "empty" => Ok(Self::Empty),
            cell => match (cell.strip_prefix('!'), cell.strip_prefix(">="), cell.strip_prefix("<=")) {
                (Some(rest), _, _) => Ok(Self::NoneOf(words(rest))),
                (_, Some(rest), _) => number(rest, Comparison::AtLeast),
                (_, _, Some(rest)) => number(rest, Comparison::AtMost),
                _ => match (cell.strip_prefix('>'), cell.strip_prefix('<')) {
                    (Some(rest), _) => number(rest, Comparison::More),
                    (_, Some(rest)) => number(rest, Comparison::Less),
                    _ => Ok(Self::OneOf(words(cell))),
                },
            },
        }
    }
}

impl Condition {
    /// Whether it holds for a value; a value that is not there makes everything false but `!…` and `empty`.
    pub fn holds(&self, value: Option<&str>) -> bool {
        let value = value.filter(|v| !v.is_empty());
        match (self, value) {
            (Self::Set, value) => value.is_some(),
            (Self::Empty, value) => value.is_none(),
            (Self::NoneOf(words), value) => value.is_none_or(|v| !words.iter().any(|w| w == v)),
            (Self::OneOf(words), Some(value)) => words.iter().any(|w| equal(w, value)),
            (Self::Compare(comparison, limit), Some(value)) => value.parse::<f64>().is_ok_and(|v| match comparison {
                Comparison::Less => v < *limit,
                Comparison::AtMost => v <= *limit,
                Comparison::More => v > *limit,
                Comparison::AtLeast => v >= *limit,
            }),
            (Self::OneOf(_) | Self::Compare(..), None) => false,
        }
    }
}

/// Equal as words, or as numbers.
fn equal(word: &str, value: &str) -> bool {
    word == value || matches!((word.parse::<f64>(), value.parse::<f64>()), (Ok(a), Ok(b)) if a == b)
}

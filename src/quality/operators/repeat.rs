//! `repeat`: a party says the same again.

use serde_json::Value as Json;

use super::{Outcome, plain, whole};
use crate::conversation::Role;
use crate::quality::fields::{Fields, Report};
use crate::quality::number::Ratio;
use crate::quality::sentence::View;
use crate::quality::text;
use crate::quality::value::UnitValue;

#[derive(Clone, Debug)]
pub(crate) struct Repeat {
    within: usize,
    times: usize,
    min_chars: usize,
    similarity: Ratio,
    except: Vec<Vec<char>>,
    of: Option<Role>,
}

impl Repeat {
    pub(crate) fn read(json: &Json, pointer: &str, report: &mut Report) -> Option<Self> {
        let fields = Fields::new(json, pointer, &["within", "times", "min_chars", "similarity", "except", "of"], report)?;
        let except = fields.texts_or_none("except", report).unwrap_or_default();
        let of = fields.roles("of", report).unwrap_or_default();
        if of.len() > 1 {
            report.bad(&fields.at("of"), "one role is expected here".into());
        }
        Some(Self {
            within: fields.count("within", 2, 0, report),
            times: fields.count("times", 1, 1, report),
            min_chars: fields.count("min_chars", 4, 0, report),
            similarity: fields.decimal("similarity", 0, 1, report).or_else(|| Ratio::new(8, 10)).unwrap_or(Ratio::ZERO),
            except: except.iter().map(|t| text::bare(t)).collect(),
            of: of.first().copied(),
        })
    }

    pub(crate) fn test(&self, turn: usize, view: &View) -> Outcome {
        if self.skips(turn, view) {
            return (UnitValue::Skipped, Vec::new());
        }
        let role = self.of.unwrap_or(view.sentence(turn).role);
        let (number, nearest) = if self.of.is_some() {
            let nearest = self.earlier(turn, role, view).into_iter().find(|j| self.close(turn, *j, view));
            (usize::from(nearest.is_some()), nearest)
        } else {
            self.number(turn, role, view)
        };
        match nearest {
            Some(nearest) if number >= self.times => (UnitValue::True, vec![whole(nearest, view), whole(turn, view)]),
            _ => plain(false),
        }
    }

    fn skips(&self, turn: usize, view: &View) -> bool {
        let bare = view.sentence(turn).bare();
        bare.len() < self.min_chars || self.except.iter().any(|e| e == bare)
    }

    /// The earlier sentences of a role that are looked at, nearest first.
    fn earlier(&self, turn: usize, role: Role, view: &View) -> Vec<usize> {
        let all = (0..turn).rev().filter(|j| !view.sentence(*j).blank && view.sentence(*j).role == role);
        let taken: Vec<usize> = if self.within == 0 { all.collect() } else { all.take(self.within).collect() };
        taken.into_iter().filter(|j| !self.skips(*j, view)).collect()
    }

    /// The repetition number of a sentence and its nearest copy. One repetition needs no history; more are
    /// counted from the first sentence of the role on.
    fn number(&self, turn: usize, role: Role, view: &View) -> (usize, Option<usize>) {
        if self.times == 1 {
            let nearest = self.earlier(turn, role, view).into_iter().find(|j| self.close(turn, *j, view));
            return (usize::from(nearest.is_some()), nearest);
        }
        let mut numbers = vec![0_usize; turn + 1];
        let mut nearest = None;
        for i in (0..=turn).filter(|i| !view.sentence(*i).blank && view.sentence(*i).role == role) {
            if self.skips(i, view) {
                continue;
            }
            let copies: Vec<usize> = self.earlier(i, role, view).into_iter().filter(|j| self.close(i, *j, view)).collect();
            numbers[i] = copies.iter().map(|j| numbers[*j] + 1).max().unwrap_or(0);
            nearest = copies.first().copied();
        }
        (numbers[turn], nearest.filter(|_| numbers[turn] > 0))
    }

    /// 1 - edit distance / longer length of the bare texts >= similarity.
    fn close(&self, a: usize, b: usize, view: &View) -> bool {
        let (a, b) = (view.sentence(a).bare(), view.sentence(b).bare());
        let longer = a.len().max(b.len());
        let most = longer - self.similarity.ceil_of(longer).min(longer);
        a.len().abs_diff(b.len()) <= most && (a == b || within(a, b, most))
    }
}

/// Whether the Levenshtein distance is at most `most`. Only cells that near the diagonal are computed, and texts that
/// differ are given up at the first row without a way on (E. Ukkonen, Algorithms for approximate string matching, 1985).
fn within(a: &[char], b: &[char], most: usize) -> bool {
    if most >= a.len().max(b.len()) {
        return true;
    }
    let mut row: Vec<usize> = (0..=b.len()).map(|j| if j <= most { j } else { most + 1 }).collect();
    for (i, x) in a.iter().enumerate() {
        let (first, last) = ((i + 1).saturating_sub(most), (i + 1 + most).min(b.len()));
        let mut diagonal = if first == 0 { i } else { row[first - 1] };
        let mut least = most + 1;
        if first == 0 {
            row[0] = i + 1;
            least = i + 1;
        } else {
            row[first - 1] = most + 1;
        }
        for j in first.max(1)..=last {
            let replaced = diagonal + usize::from(*x != b[j - 1]);
            diagonal = row[j];
            // The cell above the last one lies outside of the band of the row before.
            let above = if j == i + 1 + most { most + 1 } else { diagonal + 1 };
            row[j] = replaced.min(row[j - 1] + 1).min(above);
            least = least.min(row[j]);
        }
        if least > most {
            return false;
        }
    }
    row[b.len()] <= most
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        /// The band gives the same verdict as the full table.
        #[test]
        fn bounded_distance(a in "[abc好]{0,12}", b in "[abc好]{0,12}", most in 0_usize..14) {
            let (x, y): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            prop_assert_eq!(super::within(&x, &y, most), strsim::levenshtein(&a, &b) <= most);
        }
    }
}

//! An utterance that covers several turns: its words are given back to them, so that a pause that was not heard does not
//! count as words lost here and invented there.

use super::listening::Heard;
use crate::conversation::{Language, TimeSpan};
use crate::eval::metrics::edits;
use crate::eval::normalise::{Normaliser, words};
use crate::text::is_han;

/// A turn of a channel as it was written.
pub(super) struct WrittenTurn {
    pub(super) span: TimeSpan,
    pub(super) text: String,
    pub(super) language: Language,
}

/// Share of a turn, in tenths, that an utterance must overlap to hold words of it.
const COVERED: i64 = 4;

/// The utterance, or a part of it for each turn that it covers.
pub(super) fn by_written_turns(heard: &Heard, turns: &[WrittenTurn]) -> Vec<Heard> {
    let overlap = |t: &WrittenTurn| t.span.end_ms.min(heard.span.end_ms) - t.span.start_ms.max(heard.span.start_ms);
    let mut covered: Vec<&WrittenTurn> =
        turns.iter().filter(|t| overlap(t) > 0 && overlap(t) * 10 >= t.span.duration_ms() * COVERED).collect();
    covered.sort_by_key(|t| t.span.start_ms);
    if covered.len() < 2 {
        return vec![heard.clone()];
    }
    let units = words(&Normaliser::Plain.apply(&heard.text, covered[0].language));
    let references: Vec<Vec<String>> = covered.iter().map(|t| words(&Normaliser::Written.apply(&t.text, t.language))).collect();
    let ends = part_ends(&units, &references);
    let mut parts = Vec::new();
    let mut start = 0;
    for (turn, end) in covered.iter().zip(ends) {
        let span = TimeSpan::new(turn.span.start_ms.max(heard.span.start_ms), turn.span.end_ms.min(heard.span.end_ms));
        if end > start {
            parts.push(Heard { span, text: joined(&units[start..end]), ..heard.clone() });
        }
        start = end;
    }
    // The times belong to the utterance: it began with its first part and was final behind its last.
    let last = parts.len().saturating_sub(1);
    for (place, part) in parts.iter_mut().enumerate() {
        part.first_partial_ms = part.first_partial_ms.filter(|_| place == 0);
        part.churn = part.churn.filter(|_| place == 0);
        part.time_to_final_ms = part.time_to_final_ms.filter(|_| place == last);
    }
    parts
}

/// Where each part ends, so that the edits between parts and references are fewest (as mwerSegmenter does, Matusov et al.
/// 2005); of equal ones the earliest ends.
fn part_ends(units: &[String], references: &[Vec<String>]) -> Vec<usize> {
    let count = units.len();
    // For every reference and end: the fewest edits so far, and where its part begins.
    let mut table: Vec<Vec<(usize, usize)>> = Vec::new();
    for (number, reference) in references.iter().enumerate() {
        let row = (0..=count).map(|end| {
            let starts = if number == 0 { 0..=0 } else { 0..=end };
            let cost = |start: usize| {
                let before = if number == 0 { 0 } else { table[number - 1][start].0 };
                (before + edits(reference, &units[start..end]).errors(), start)
            };
            starts.map(cost).min().unwrap_or((usize::MAX, 0))
        });
        let row: Vec<(usize, usize)> = row.collect();
        table.push(row);
    }
    let mut ends = vec![count; references.len()];
    for number in (1..references.len()).rev() {
        ends[number - 1] = table[number][ends[number]].1;
    }
    ends
}

/// Words as a text; Chinese characters stand together.
fn joined(units: &[String]) -> String {
    let mut text = String::new();
    for unit in units {
        let close = |c: Option<char>| c.is_none_or(is_han);
        if !(text.is_empty() || (close(text.chars().last()) && close(unit.chars().next()))) {
            text.push(' ');
        }
        text.push_str(unit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Heard, WrittenTurn, by_written_turns};
    use crate::conversation::{Language, TimeSpan};

    fn turn(start_ms: i64, end_ms: i64, text: &str) -> WrittenTurn {
        WrittenTurn { span: TimeSpan::new(start_ms, end_ms), text: text.into(), language: Language::of_text(text) }
    }

    fn parts(heard: &str, span: (i64, i64), turns: &[WrittenTurn]) -> Vec<String> {
        let heard = Heard { span: TimeSpan::new(span.0, span.1), text: heard.into(), ..Heard::default() };
        by_written_turns(&heard, turns).into_iter().map(|h| h.text).collect()
    }

    #[test]
    fn words_of_an_utterance_over_two_turns_go_to_both() {
        let turns = [turn(0, 2_000, "Let me check it for you."), turn(2_200, 4_000, "Can I have your account number?")];
        let both = parts("let me check it for you to can i have your account", (0, 4_000), &turns);
        assert_eq!(both, ["let me check it for you", "to can i have your account"]);
        assert_eq!(parts("let me check it", (0, 2_100), &turns), ["let me check it"], "one turn keeps its text as it is");
        let turns = [turn(0, 1_000, "先核对身份。"), turn(1_200, 2_000, "请问您的姓名？")];
        assert_eq!(parts("先核对身分请问您的姓名", (0, 2_000), &turns), ["先核对身分", "请问您的姓名"]);
    }
}

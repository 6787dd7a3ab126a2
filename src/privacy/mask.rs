//! Masked text and the audio that belongs to it.

use super::{Finding, Kind, KindSet, Watcher};
use crate::conversation::{Conversation, TimeSpan, Word};

/// What stands for a code point of personal data.
pub const MASK: char = '*';
/// Silence around a word that is taken out, so that its first and last sound go with it, milliseconds.
const MARGIN_MS: i64 = 60;

/// The text with every code point of the findings masked. Its length in code points stays, so that every place in it
/// stays valid; blanks and marks between digits stay too.
///
/// ```
/// use zhiyin::privacy::{find, mask};
/// let text = "我叫王建国，电话138 0013 8000";
/// assert_eq!(mask(text, &find(text)), "我叫***，电话*** **** ****");
/// ```
pub fn mask(text: &str, findings: &[Finding]) -> String {
    let covered = |at: usize| findings.iter().any(|f| f.start <= at && at < f.end);
    text.chars().enumerate().map(|(at, c)| if c.is_alphanumeric() && covered(at) { MASK } else { c }).collect()
}

/// Which findings are of given kinds.
pub fn of_kinds(findings: Vec<Finding>, kinds: &KindSet) -> Vec<Finding> {
    findings.into_iter().filter(|finding| kinds.contains(&finding.kind)).collect()
}

/// The conversation with personal data of some kinds masked in every turn, entity values included, and what was masked:
/// per turn, the findings.
pub fn redact_conversation(conversation: &Conversation, kinds: &KindSet) -> (Conversation, Vec<Vec<Finding>>) {
    let mut watcher = Watcher::default();
    let mut found: Vec<Vec<Finding>> = Vec::with_capacity(conversation.turns.len());
    for turn in &conversation.turns {
        let seen = watcher.take(turn.role.name(), &turn.text);
        found.push(of_kinds(seen.findings, kinds));
        for (place, finding) in of_earlier(seen.earlier, kinds) {
            if let Some(earlier) = found.get_mut(place) {
                earlier.retain(|other| !other.overlaps(&finding));
                earlier.push(finding);
            }
        }
    }
    let mut redacted = conversation.clone();
    for (turn, findings) in redacted.turns.iter_mut().zip(&found) {
        turn.text = mask(&turn.text, findings);
        for entity in turn.entities.iter_mut().flatten() {
            if findings.iter().any(|f| f.start < entity.end && entity.start < f.end) {
                entity.value = masked_value(&entity.value);
            }
        }
    }
    (redacted, found)
}

fn of_earlier(earlier: Vec<(usize, Finding)>, kinds: &KindSet) -> impl Iterator<Item = (usize, Finding)> + '_ {
    earlier.into_iter().filter(|(_, finding)| kinds.contains(&finding.kind))
}

/// A value with everything that can be read taken out.
pub fn masked_value(value: &str) -> String {
    value.chars().map(|c| if c.is_alphanumeric() { MASK } else { c }).collect()
}

/// The places in the audio where personal data is said: the words that the findings touch, joined where they follow each
/// other, with a margin. The words must be those of `text`, in its order; a word that does not occur from the place where
/// the one before it ended is looked for no further. `None`: the words do not cover a finding, so that only
/// the whole utterance (`whole`) can be taken out.
pub fn audio_spans(text: &str, words: &[Word], findings: &[Finding], whole: TimeSpan) -> Vec<TimeSpan> {
    if findings.is_empty() {
        return Vec::new();
    }
    let placed = place_words(text, words);
    let mut spans: Vec<TimeSpan> = Vec::new();
    for finding in findings {
        let touched: Vec<&Word> =
            placed.iter().filter(|(start, end, _)| *start < finding.end && finding.start < *end).map(|(_, _, w)| *w).collect();
        let covered: usize =
            placed.iter().map(|(start, end, _)| (*end).min(finding.end).saturating_sub((*start).max(finding.start))).sum();
        let said = text.chars().skip(finding.start).take(finding.end - finding.start).filter(|c| c.is_alphanumeric()).count();
        let span = match (touched.iter().map(|w| w.start_ms).min(), touched.iter().map(|w| w.end_ms).max()) {
            (Some(start_ms), Some(end_ms)) if covered >= said => TimeSpan::new((start_ms - MARGIN_MS).max(0), end_ms + MARGIN_MS),
            _ => whole,
        };
        match spans.last_mut() {
            Some(last) if span.start_ms <= last.end_ms && span.end_ms >= last.start_ms => {
                *last = TimeSpan::new(last.start_ms.min(span.start_ms), last.end_ms.max(span.end_ms));
            }
            _ => spans.push(span),
        }
    }
    spans
}

/// The words with those masked that personal data touches; one whose place in the text is not found is masked too.
pub fn mask_words(text: &str, words: &[Word], findings: &[Finding]) -> Vec<Word> {
    let placed = place_words(text, words);
    let open = |word: &Word| {
        placed
            .iter()
            .any(|(start, end, known)| std::ptr::eq(*known, word) && !findings.iter().any(|f| f.start < *end && *start < f.end))
    };
    words
        .iter()
        .map(|word| if open(word) { word.clone() } else { Word { text: masked_value(&word.text), ..word.clone() } })
        .collect()
}

/// Where each word stands in the text, in code points, as far as it can be found.
fn place_words<'a>(text: &str, words: &'a [Word]) -> Vec<(usize, usize, &'a Word)> {
    let chars: Vec<char> = text.chars().map(|c| c.to_ascii_lowercase()).collect();
    let mut at = 0;
    let mut placed = Vec::with_capacity(words.len());
    for word in words {
        let wanted: Vec<char> = word.text.trim().chars().map(|c| c.to_ascii_lowercase()).collect();
        if wanted.is_empty() {
            continue;
        }
        let found = (at..chars.len()).take(64).find(|&from| chars[from..].starts_with(&wanted));
        if let Some(from) = found {
            placed.push((from, from + wanted.len(), word));
            at = from + wanted.len();
        }
    }
    placed
}

/// The kinds that are taken out before storage unless the operator says otherwise: what lets a stranger pay, sign or log in.
pub fn default_kinds() -> KindSet {
    [Kind::IdCard, Kind::BankCard, Kind::Passport, Kind::VerificationCode].into_iter().collect()
}

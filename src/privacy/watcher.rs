//! Personal data over the turns of a conversation: answers to questions, and numbers that are said in parts.

use std::collections::VecDeque;

use super::cue::{Cue, asked};
use super::detector::find_asked;
use super::digits::runs;
use super::folded::Folded;
use super::{Finding, Kind, checks};

/// Parts of a number that are waited for at most, and turns between two of them.
const PARTS_MAX: usize = 8;
const TURNS_BETWEEN: usize = 3;
/// Digits that were marked are known again when the other party repeats them, for this many parts.
const REPEATED: usize = 16;
/// Turns for which a question stands.
const QUESTION_TURNS: usize = 3;

/// What one turn brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Personal data of this turn.
    pub findings: Vec<Finding>,
    /// Personal data of earlier turns that only this turn proved: number of the turn, from 0, and what is in it.
    pub earlier: Vec<(usize, Finding)>,
}

/// A part of a number.
#[derive(Clone, Debug)]
struct Part {
    turn: usize,
    start: usize,
    end: usize,
    digits: String,
    marked: bool,
}

/// Watches one conversation, turn by turn.
///
/// ```
/// use zhiyin::privacy::{Kind, Watcher};
/// let mut watcher = Watcher::default();
/// for (speaker, text) in [("agent", "请问您的手机号"), ("customer", "139"), ("agent", "嗯"), ("customer", "1234")] {
///     watcher.take(speaker, text);
/// }
/// let last = watcher.take("customer", "5678");
/// assert_eq!(last.findings[0].kind, Kind::Mobile);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Watcher {
    turns: usize,
    question: Option<(String, Cue, usize)>,
    speaker: String,
    parts: Vec<Part>,
    known: VecDeque<(String, Kind)>,
}

impl Watcher {
    /// Takes the next turn of a speaker (a role, or a label that tells speakers apart).
    pub fn take(&mut self, speaker: &str, text: &str) -> Seen {
        let turn = self.turns;
        self.turns += 1;
        let wanted =
            self.question.as_ref().filter(|(by, _, at)| by != speaker && turn - at <= QUESTION_TURNS).map(|(_, cue, _)| *cue);
        let mut seen = Seen { findings: find_asked(text, wanted), earlier: Vec::new() };
        let folded = Folded::new(text);
        self.repeated(&folded, &mut seen);
        match only_digits(&folded) {
            Some((start, end, digits)) if seen.findings.is_empty() || self.speaker == speaker && !self.parts.is_empty() => {
                let part = Part { turn, start, end, digits, marked: false };
                self.join(speaker, part, wanted, &mut seen);
            }
            _ if speaker == self.speaker => self.parts.clear(),
            _ => {}
        }
        if let Some(cue) = asked(&folded) {
            self.question = Some((speaker.to_owned(), cue, turn));
            if speaker != self.speaker {
                self.parts.clear();
            }
        }
        self.remember(&folded, &seen.findings);
        seen
    }

    /// Looks at another text of the next turn without taking it: its words before normalisation.
    pub fn look(&self, speaker: &str, text: &str) -> Vec<Finding> {
        self.clone().take(speaker, text).findings
    }

    /// Puts a part behind the parts before it and looks at the whole.
    fn join(&mut self, speaker: &str, part: Part, wanted: Option<Cue>, seen: &mut Seen) {
        let stale = self.parts.last().is_some_and(|last| part.turn - last.turn > TURNS_BETWEEN);
        if speaker != self.speaker || stale || self.parts.len() >= PARTS_MAX {
            self.parts.clear();
        }
        speaker.clone_into(&mut self.speaker);
        let turn = part.turn;
        self.parts.push(part);
        let whole: String = self.parts.iter().map(|part| part.digits.as_str()).collect();
        let kind_wanted = wanted.and_then(Cue::kind).filter(|kind| kind.is_number());
        let proved = whole_number(&whole, wanted).filter(|_| self.parts.len() > 1);
        let awaited = kind_wanted.filter(|kind| whole.len() <= kind.digits_max() && whole.len() >= 3);
        let Some(kind) = proved.or(awaited) else {
            if whole.len() > 20 {
                self.parts.clear();
            }
            return;
        };
        for part in &mut self.parts {
            let finding = Finding { kind, start: part.start, end: part.end, strength: if proved.is_some() { 1.0 } else { 0.8 } };
            if part.turn == turn {
                seen.findings.retain(|other| !other.overlaps(&finding));
                seen.findings.push(finding);
            } else if !part.marked || proved.is_some() {
                seen.earlier.push((part.turn, finding));
            }
            part.marked = true;
        }
        if proved.is_some() && Some(kind) != Some(Kind::BankCard) {
            self.parts.clear();
        }
    }

    /// Marks digits that were personal data before: the agent reads them back.
    fn repeated(&self, text: &Folded, seen: &mut Seen) {
        for run in runs(text) {
            let digits = run.digits(0, run.atoms.len());
            let Some((_, kind)) = self.known.iter().find(|(known, _)| *known == digits) else { continue };
            let finding =
                Finding { kind: *kind, start: run.atoms[0].start, end: run.atoms[run.atoms.len() - 1].end, strength: 0.8 };
            if !seen.findings.iter().any(|other| other.overlaps(&finding)) {
                seen.findings.push(finding);
            }
        }
        seen.findings.sort_by_key(|finding| finding.start);
    }

    fn remember(&mut self, text: &Folded, findings: &[Finding]) {
        for run in runs(text) {
            let (start, end) = (run.atoms[0].start, run.atoms[run.atoms.len() - 1].end);
            let owner = findings.iter().find(|f| f.kind.is_number() && f.start <= start && end <= f.end);
            if let Some(owner) = owner.filter(|_| run.atoms.len() >= 3) {
                self.known.push_back((run.digits(0, run.atoms.len()), owner.kind));
            }
        }
        while self.known.len() > REPEATED {
            self.known.pop_front();
        }
    }
}

/// The digits of a turn that holds nothing else worth mentioning.
fn only_digits(text: &Folded) -> Option<(usize, usize, String)> {
    let runs = runs(text);
    let [run] = runs.as_slice() else { return None };
    let (start, end) = (run.atoms[0].start, run.atoms[run.atoms.len() - 1].end);
    let outside = text.chars.iter().enumerate().filter(|(at, c)| !(start..end).contains(at) && c.is_alphanumeric()).count();
    let touched = run.glued_left || run.glued_right;
    (outside <= 6 && run.atoms.len() >= 2 && !touched).then(|| (start, end, run.digits(0, run.atoms.len())))
}

/// The kind of digits put together from parts.
fn whole_number(digits: &str, wanted: Option<Cue>) -> Option<Kind> {
    if checks::id_card(digits) {
        return Some(Kind::IdCard);
    }
    if wanted == Some(Cue::Thing) {
        return None;
    }
    if digits.len() == 9 && wanted == Some(Cue::IdCard) && checks::social_security(digits) {
        return Some(Kind::IdCard);
    }
    let by_phone = matches!(wanted, Some(Cue::Phone | Cue::Landline));
    if checks::mobile_cn(digits) || checks::mobile_uk(digits) || (by_phone && checks::north_american(digits)) {
        return Some(Kind::Mobile);
    }
    if checks::bank_card(digits) {
        return Some(Kind::BankCard);
    }
    (by_phone && (checks::landline_cn(digits) || checks::landline_uk(digits))).then_some(Kind::Landline)
}

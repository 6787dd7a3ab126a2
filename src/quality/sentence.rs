//! A turn as rules see it, prepared once and shared by all rules, and the view of a conversation at a moment.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use super::evaluate::State;
use super::models::Models;
use super::text;
use crate::conversation::{Conversation, Role, Turn};

/// A piece of a sentence that patterns count.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PatternToken {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) text: String,
    pub(crate) kind: TokenKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Word,
    /// Digits with inner `.` `,` and perhaps `%`; whether there is a decimal point.
    Number {
        decimal: bool,
    },
    /// One Han character or kana; whether it is a Chinese numeral.
    Han {
        numeral: bool,
    },
}

/// A prepared turn.
#[derive(Debug)]
pub(crate) struct Sentence<'a> {
    pub(crate) turn: Cow<'a, Turn>,
    pub(crate) role: Role,
    pub(crate) blank: bool,
    pub(crate) start: Option<i64>,
    pub(crate) end: Option<i64>,
    /// Code points of the text.
    pub(crate) len: usize,
    /// Folded and lower case.
    pub(crate) folded: String,
    /// Annotations that are absent will not come any more.
    pub(crate) complete: bool,
    /// Keyword operators of the rule set of which at least one word may be in the text (a bit set).
    pub(crate) candidates: Vec<u64>,
    /// Values of conditions that were decided for good, by class of condition; live only.
    pub(crate) decided: RefCell<Vec<u8>>,
    /// What regular expressions said of the whole text, by their slot.
    pub(crate) regexes: RefCell<Vec<Option<bool>>>,
    counts_chars: OnceCell<bool>,
    chars: OnceCell<Vec<char>>,
    cased: OnceCell<Vec<char>>,
    bare: OnceCell<Vec<char>>,
    regex_text: OnceCell<Option<String>>,
    clauses: OnceCell<Vec<(usize, usize)>>,
    tokens: OnceCell<Vec<PatternToken>>,
}

impl<'a> Sentence<'a> {
    pub(crate) fn new(turn: Cow<'a, Turn>, conversation_language: Option<&str>) -> Self {
        let folded = text::fold_text(&turn.text);
        let counted = text::language_counts_chars(turn.language.as_deref().or(conversation_language));
        Self {
            role: turn.role,
            blank: turn.text.trim().is_empty(),
            start: turn.start_ms,
            end: turn.end_ms,
            len: turn.text.chars().count(),
            folded,
            complete: true,
            candidates: Vec::new(),
            decided: RefCell::default(),
            regexes: RefCell::default(),
            counts_chars: counted.map_or_else(OnceCell::new, OnceCell::from),
            chars: OnceCell::new(),
            cased: OnceCell::new(),
            bare: OnceCell::new(),
            regex_text: OnceCell::new(),
            clauses: OnceCell::new(),
            tokens: OnceCell::new(),
            turn,
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.turn.text
    }

    /// Folded, lower case.
    pub(crate) fn chars(&self) -> &[char] {
        self.chars.get_or_init(|| self.folded.chars().collect())
    }

    /// Folded in width only.
    pub(crate) fn cased(&self) -> &[char] {
        self.cased.get_or_init(|| self.text().chars().map(text::fold_width).collect())
    }

    pub(crate) fn bare(&self) -> &[char] {
        self.bare.get_or_init(|| text::bare(self.text()))
    }

    pub(crate) fn regex_text(&self) -> &str {
        self.regex_text.get_or_init(|| text::fold_for_regex(self.text())).as_deref().unwrap_or(self.text())
    }

    pub(crate) fn clauses(&self) -> &[(usize, usize)] {
        self.clauses.get_or_init(|| text::clauses(&self.text().chars().collect::<Vec<_>>()))
    }

    pub(crate) fn tokens(&self) -> &[PatternToken] {
        self.tokens.get_or_init(|| pattern_tokens(self.chars()))
    }

    /// Whether its language counts characters (else words).
    pub(crate) fn counts_chars(&self) -> bool {
        *self.counts_chars.get_or_init(|| self.text().chars().any(text::is_han))
    }

    /// Its length in the units of its language, or in those asked for.
    pub(crate) fn units(&self, chars: Option<bool>) -> i64 {
        if chars.unwrap_or_else(|| self.counts_chars()) {
            text::count_chars(self.chars())
        } else {
            text::count_words(self.chars())
        }
    }

    /// Whether an annotation came too late and counts as absent.
    pub(crate) fn timed_out(&self, field: &str) -> bool {
        self.turn.timed_out.iter().any(|name| name == field)
    }

    pub(crate) fn may_contain(&self, slot: usize) -> bool {
        self.candidates.get(slot / 64).is_none_or(|word| word & (1 << (slot % 64)) != 0)
    }
}

const NUMERALS: &str = "零〇一二两三四五六七八九十百千万亿点";

fn pattern_tokens(chars: &[char]) -> Vec<PatternToken> {
    let mut tokens: Vec<PatternToken> = text::words(chars)
        .into_iter()
        .map(|(start, end)| {
            let digits = chars[start..end].iter().all(|c| text::is_digit(*c) || matches!(c, '.' | ','));
            let percent = digits && chars.get(end) == Some(&'%');
            let kind = if digits { TokenKind::Number { decimal: chars[start..end].contains(&'.') } } else { TokenKind::Word };
            let end = end + usize::from(percent);
            PatternToken { start, end, text: chars[start..end].iter().collect(), kind }
        })
        .collect();
    for (at, c) in chars.iter().enumerate() {
        if text::is_han(*c) || text::is_kana(*c) {
            let kind = TokenKind::Han { numeral: NUMERALS.contains(*c) };
            tokens.push(PatternToken { start: at, end: at + 1, text: c.to_string(), kind });
        }
    }
    tokens.sort_by_key(|t| t.start);
    tokens
}

/// What conditions said of a view, by class and whether evidence was wanted.
pub(crate) type Shared = RefCell<Vec<Option<Rc<State>>>>;

/// A conversation at a moment: over (batch), or still going on.
pub(crate) struct View<'a> {
    /// Everything but the turns.
    pub(crate) head: &'a Conversation,
    pub(crate) turns: &'a [Sentence<'a>],
    pub(crate) ended: bool,
    /// How many leading turns are placed.
    pub(crate) placed: usize,
    /// Audio time up to which everything is final.
    pub(crate) clock: i64,
    /// Known once the call has ended.
    pub(crate) duration: Option<i64>,
    pub(crate) hangup_by: Option<Role>,
    pub(crate) models: &'a Models,
    /// Equal conditions of different rules are answered once.
    pub(crate) shared: Shared,
}

impl View<'_> {
    pub(crate) fn answered(&self) -> i64 {
        self.head.answered_ms.unwrap_or(0)
    }

    /// D: the hang-up time, else the largest end.
    pub(crate) fn length(&self) -> i64 {
        self.duration.or_else(|| self.last_end()).unwrap_or(0)
    }

    pub(crate) fn last_end(&self) -> Option<i64> {
        self.turns.iter().filter_map(|t| t.end).max()
    }

    /// Hold times known by now; `None` if holds are not known at all.
    pub(crate) fn holds(&self) -> Option<Vec<(i64, i64)>> {
        let holds = self.head.hold.as_ref()?;
        if self.ended {
            return Some(holds.iter().map(|[a, b]| (*a, *b)).collect());
        }
        Some(holds.iter().filter(|[a, _]| *a < self.clock).map(|[a, b]| (*a, (*b).min(self.clock))).collect())
    }

    /// Milliseconds of `[start, end)` on hold.
    pub(crate) fn held_within(&self, start: i64, end: i64) -> i64 {
        let holds = self.head.hold.as_deref().unwrap_or_default();
        holds.iter().map(|[a, b]| ((*b).min(end) - (*a).max(start)).max(0)).sum()
    }

    pub(crate) fn sentence(&self, index: usize) -> &Sentence<'_> {
        &self.turns[index]
    }

    /// The last turn that is a sentence.
    pub(crate) fn last_sentence(&self) -> Option<usize> {
        self.turns.iter().rposition(|t| !t.blank)
    }

    pub(crate) fn first_sentence(&self) -> Option<usize> {
        self.turns.iter().position(|t| !t.blank)
    }
}

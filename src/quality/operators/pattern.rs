//! `pattern`: items over tokens, with distances.

use serde_json::Value as Json;

use super::{Outcome, Unit};
use crate::quality::fields::{Fields, Report};
use crate::quality::model::Span;
use crate::quality::sentence::{PatternToken, TokenKind, View};
use crate::quality::source::Spot;
use crate::quality::text;
use crate::quality::value::UnitValue;

const MAX_PATTERNS: usize = 200;

#[derive(Clone, Debug)]
enum Item {
    /// Alternatives, each a run of tokens.
    Literals(Vec<Vec<Piece>>),
    Number {
        int: bool,
    },
}

/// A token of a literal; `*` stands for any rest or part of a Latin word.
#[derive(Clone, Debug)]
struct Piece {
    parts: Vec<String>,
}

#[derive(Clone, Debug)]
enum Shape {
    /// Items in this order, each with the most tokens between it and the item before.
    Sequence(Vec<(Item, usize)>),
    /// Two items in either order.
    Near(Item, Item, usize),
    /// The first only where the second is not near.
    NotNear(Item, Item, usize),
}

#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    any: Vec<Shape>,
}

impl Pattern {
    pub(crate) fn read(json: &Json, pointer: &str, report: &mut Report) -> Option<Self> {
        let fields = Fields::new(json, pointer, &["any"], report)?;
        fields.require("any", report)?;
        let texts = fields.texts("any", report)?;
        if texts.len() > MAX_PATTERNS {
            let message = format!("{} patterns, at most {MAX_PATTERNS} are allowed", texts.len());
            report.push(&fields.at("any"), Spot::Value, "limit", message, None);
            return None;
        }
        let mut any = Vec::new();
        for (i, text) in texts.iter().enumerate() {
            match parse(text) {
                Ok(shape) => any.push(shape),
                Err(message) => report.push(&format!("{}/{i}", fields.at("any")), Spot::Value, "bad_pattern", message, None),
            }
        }
        (any.len() == texts.len()).then_some(Self { any })
    }

    pub(crate) fn test(&self, unit: Unit, view: &View) -> Outcome {
        let mut found = Vec::new();
        for part in unit.parts(view) {
            let all = view.sentence(part.turn).tokens();
            let from = all.partition_point(|t| t.start < part.start);
            let to = all.partition_point(|t| t.end <= part.end);
            let tokens = &all[from..to.max(from)];
            for shape in &self.any {
                for (a, b) in shape.find(tokens) {
                    found.push(Span { turn: part.turn, start: tokens[a].start, end: tokens[b - 1].end });
                }
            }
        }
        (UnitValue::of(!found.is_empty()), found)
    }
}

/// A piece of the source of a pattern.
enum Source {
    Item(Item),
    Within(usize),
    Either(usize),
    Not(usize),
}

fn parse(text: &str) -> Result<Shape, String> {
    let mut pieces = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = if rest.starts_with('{') {
            rest.find('}').ok_or("a closing brace `}` is missing")? + 1
        } else {
            rest.find(char::is_whitespace).unwrap_or(rest.len())
        };
        pieces.push(piece(&rest[..end])?);
        rest = rest[end..].trim_start();
    }
    shape(pieces)
}

fn piece(word: &str) -> Result<Source, String> {
    let distance = |digits: &str, default: Option<usize>| match (digits.is_empty(), default) {
        (true, Some(n)) => Ok(n),
        _ => digits.parse::<usize>().map_err(|_| format!("`{word}` needs a whole number of tokens")),
    };
    if let Some(digits) = word.strip_prefix("!~") {
        return Ok(Source::Not(distance(digits, None)?));
    }
    if let Some(digits) = word.strip_prefix('~') {
        return Ok(Source::Within(distance(digits, None)?));
    }
    if let Some(inner) = word.strip_prefix("<~") {
        let digits = inner.strip_suffix('>').ok_or_else(|| format!("`{word}` lacks its closing `>`"))?;
        return Ok(Source::Either(distance(digits, None)?));
    }
    if let Some(inner) = word.strip_prefix('{').and_then(|w| w.strip_suffix('}')) {
        let literals: Result<Vec<_>, String> = inner.split([',', '，']).map(|l| literal(l.trim())).collect();
        return Ok(Source::Item(Item::Literals(literals?)));
    }
    match word {
        "[num]" => Ok(Source::Item(Item::Number { int: false })),
        "[int]" => Ok(Source::Item(Item::Number { int: true })),
        _ if word.starts_with(['[', '}', ']']) => {
            Err(format!("`{word}` is no item; known are literals, {{lists}}, [num], [int]"))
        }
        _ => Ok(Source::Item(Item::Literals(vec![literal(word)?]))),
    }
}

/// Splits a literal into tokens; `*` belongs to Latin words.
fn literal(source: &str) -> Result<Vec<Piece>, String> {
    const STAR: char = '\u{E000}';
    let chars: Vec<char> = source.chars().map(text::fold).collect();
    // A star inside a word must not break it: it is read as a letter and split afterwards.
    let lettered: Vec<char> = chars.iter().map(|c| if *c == '*' { 'x' } else { *c }).collect();
    let marked: Vec<char> = chars.iter().map(|c| if *c == '*' { STAR } else { *c }).collect();
    let mut spans = text::words(&lettered);
    spans.extend((0..chars.len()).filter(|i| text::is_han(chars[*i]) || text::is_kana(chars[*i])).map(|i| (i, i + 1)));
    spans.sort_unstable();
    if spans.is_empty() {
        return Err(format!("`{source}` holds no word"));
    }
    Ok(spans
        .into_iter()
        .map(|(a, b)| {
            let token: String = marked[a..b].iter().collect();
            Piece { parts: token.split(STAR).map(str::to_owned).collect() }
        })
        .collect())
}

fn shape(pieces: Vec<Source>) -> Result<Shape, String> {
    let special = pieces.iter().any(|p| matches!(p, Source::Either(_) | Source::Not(_)));
    if special {
        let mut pieces = pieces.into_iter();
        return match (pieces.next(), pieces.next(), pieces.next(), pieces.next()) {
            (Some(Source::Item(a)), Some(Source::Either(n)), Some(Source::Item(b)), None) => Ok(Shape::Near(a, b, n)),
            (Some(Source::Item(a)), Some(Source::Not(n)), Some(Source::Item(b)), None) => Ok(Shape::NotNear(a, b, n)),
            _ => Err("`<~N>` and `!~N` take exactly two items, one on each side".to_owned()),
        };
    }
    let mut items: Vec<(Item, usize)> = Vec::new();
    let mut gap = None;
    for piece in pieces {
        match piece {
            Source::Item(item) => {
                items.push((item, gap.take().unwrap_or(0)));
            }
            Source::Within(n) if gap.is_none() && !items.is_empty() => gap = Some(n),
            _ => return Err("a distance stands between two items".to_owned()),
        }
    }
    if items.is_empty() || gap.is_some() {
        return Err("a distance stands between two items".to_owned());
    }
    Ok(Shape::Sequence(items))
}

impl Piece {
    fn fits(&self, token: &PatternToken) -> bool {
        if let [only] = &self.parts[..] {
            return token.text == *only;
        }
        let [first, middle @ .., last] = &self.parts[..] else { return false };
        if !matches!(token.kind, TokenKind::Word) || token.text.len() < first.len() + last.len() {
            return false;
        }
        let Some(inner) = token.text.strip_prefix(first.as_str()).and_then(|t| t.strip_suffix(last.as_str())) else {
            return false;
        };
        let mut rest = inner;
        middle.iter().all(|part| match rest.find(part.as_str()) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        })
    }
}

impl Item {
    /// The ends of the item if it starts at token `at`, shortest first.
    fn ends(&self, tokens: &[PatternToken], at: usize) -> Vec<usize> {
        match self {
            Self::Literals(list) => {
                let mut ends: Vec<usize> = list
                    .iter()
                    .filter(|l| at + l.len() <= tokens.len() && l.iter().zip(&tokens[at..]).all(|(p, t)| p.fits(t)))
                    .map(|l| at + l.len())
                    .collect();
                ends.sort_unstable();
                ends.dedup();
                ends
            }
            Self::Number { int } => number_end(tokens, at, *int).into_iter().collect(),
        }
    }
}

fn number_end(tokens: &[PatternToken], at: usize, int: bool) -> Option<usize> {
    match tokens.get(at)?.kind {
        TokenKind::Number { decimal } => (!(int && decimal)).then_some(at + 1),
        TokenKind::Word => None,
        TokenKind::Han { numeral } => {
            let numeral_at = |i: usize| matches!(tokens.get(i).map(|t| t.kind), Some(TokenKind::Han { numeral: true }));
            let joined = |i: usize| i > 0 && numeral_at(i - 1) && tokens[i - 1].end == tokens[i].start;
            if !numeral || joined(at) {
                return None;
            }
            let mut end = at + 1;
            while numeral_at(end) && joined(end) {
                end += 1;
            }
            let point = tokens[at..end].iter().any(|t| t.text == "点");
            (!(int && point)).then_some(end)
        }
    }
}

impl Shape {
    /// Token ranges of the matches.
    fn find(&self, tokens: &[PatternToken]) -> Vec<(usize, usize)> {
        match self {
            Self::Sequence(items) => {
                let mut found = Vec::new();
                let mut at = 0;
                while at < tokens.len() {
                    match shortest(items, tokens, at) {
                        Some(end) => {
                            found.push((at, end));
                            at = end;
                        }
                        None => at += 1,
                    }
                }
                found
            }
            Self::Near(first, second, distance) => {
                let seconds = occurrences(second, tokens);
                let nearest = |a: (usize, usize)| {
                    let near = seconds.iter().filter_map(|b| Some((gap(a, *b)?, *b)));
                    near.filter(|(gap, _)| gap <= distance).min().map(|(_, b)| (a.0.min(b.0), a.1.max(b.1)))
                };
                occurrences(first, tokens).into_iter().filter_map(nearest).collect()
            }
            Self::NotNear(first, second, distance) => {
                let seconds = occurrences(second, tokens);
                let near = |a: (usize, usize)| seconds.iter().any(|b| gap(a, *b).is_some_and(|gap| gap <= *distance));
                occurrences(first, tokens).into_iter().filter(|a| !near(*a)).collect()
            }
        }
    }
}

/// Tokens between two ranges; `None` if they overlap.
fn gap(a: (usize, usize), b: (usize, usize)) -> Option<usize> {
    if a.1 <= b.0 {
        Some(b.0 - a.1)
    } else if b.1 <= a.0 {
        Some(a.0 - b.1)
    } else {
        None
    }
}

fn occurrences(item: &Item, tokens: &[PatternToken]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match item.ends(tokens, at).first() {
            Some(end) => {
                found.push((at, *end));
                at = *end;
            }
            None => at += 1,
        }
    }
    found
}

/// The nearest end of the items when the first starts at `at`. Keeps the set of reachable ends per item, so
/// the work grows with items times tokens.
fn shortest(items: &[(Item, usize)], tokens: &[PatternToken], at: usize) -> Option<usize> {
    let mut ends = items.first()?.0.ends(tokens, at);
    for (item, distance) in &items[1..] {
        let mut next: Vec<usize> = Vec::new();
        let mut tried = 0;
        for end in ends {
            let last = (end + distance).min(tokens.len().saturating_sub(1));
            for start in end.max(tried)..=last {
                next.extend(item.ends(tokens, start));
            }
            tried = tried.max(last + 1);
        }
        next.sort_unstable();
        next.dedup();
        ends = next;
    }
    ends.first().copied()
}

//! Expressions over conditions or operators: `!`, `&&`, `||`, brackets and the words `not`, `and`, `or`.

use super::value::Value;

/// The deepest nesting that an expression may have.
pub(crate) const MAX_DEPTH: usize = 32;

/// An expression over ids of type `T`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr<T> {
    Id(T),
    Not(Box<Expr<T>>),
    And(Vec<Expr<T>>),
    Or(Vec<Expr<T>>),
}

/// An id as written, and its place in code points.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) offset: usize,
}

/// Why an expression cannot be read, and where, in code points.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    pub(crate) offset: usize,
    pub(crate) message: String,
    pub(crate) too_deep: bool,
}

/// Whether a text may be an id: letters of any script, digits, `_`, `-`.
pub(crate) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_id_char)
}

fn is_id_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Not,
    And,
    Or,
    Open,
    Close,
    Id(String),
}

/// Reads an expression.
pub(crate) fn parse(text: &str) -> Result<Expr<Name>, Fault> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens, at: 0, end: text.chars().count() };
    let expr = parser.or(0)?;
    match parser.tokens.get(parser.at) {
        None => Ok(expr),
        Some((offset, _)) => Err(fault(*offset, "an operator `&&` or `||` is missing here")),
    }
}

fn fault(offset: usize, message: &str) -> Fault {
    Fault { offset, message: message.to_owned(), too_deep: false }
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Fault> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let start = at;
        let token = match chars[at] {
            c if c.is_whitespace() => {
                at += 1;
                continue;
            }
            '!' => Token::Not,
            '(' => Token::Open,
            ')' => Token::Close,
            c @ ('&' | '|') => {
                if chars.get(at + 1) != Some(&c) {
                    return Err(fault(at, &format!("write `{c}{c}`")));
                }
                at += 1;
                if c == '&' { Token::And } else { Token::Or }
            }
            c if is_id_char(c) => {
                while at + 1 < chars.len() && is_id_char(chars[at + 1]) {
                    at += 1;
                }
                let word: String = chars[start..=at].iter().collect();
                match word.as_str() {
                    "not" => Token::Not,
                    "and" => Token::And,
                    "or" => Token::Or,
                    _ => Token::Id(word),
                }
            }
            c => return Err(fault(at, &format!("`{c}` has no place in an expression"))),
        };
        tokens.push((start, token));
        at += 1;
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    end: usize,
}

impl Parser {
    fn take(&mut self, token: &Token) -> bool {
        let found = self.tokens.get(self.at).is_some_and(|(_, t)| t == token);
        self.at += usize::from(found);
        found
    }

    fn or(&mut self, depth: usize) -> Result<Expr<Name>, Fault> {
        let mut parts = vec![self.and(depth)?];
        while self.take(&Token::Or) {
            parts.push(self.and(depth)?);
        }
        Ok(join(parts, Expr::Or))
    }

    fn and(&mut self, depth: usize) -> Result<Expr<Name>, Fault> {
        let mut parts = vec![self.not(depth)?];
        while self.take(&Token::And) {
            parts.push(self.not(depth)?);
        }
        Ok(join(parts, Expr::And))
    }

    fn not(&mut self, depth: usize) -> Result<Expr<Name>, Fault> {
        let Some((offset, token)) = self.tokens.get(self.at).cloned() else {
            return Err(fault(self.end, "the expression ends where an id is expected"));
        };
        if depth > MAX_DEPTH {
            return Err(Fault { offset, message: format!("expression deeper than {MAX_DEPTH}"), too_deep: true });
        }
        self.at += 1;
        match token {
            Token::Not => Ok(Expr::Not(Box::new(self.not(depth + 1)?))),
            Token::Open => {
                let inner = self.or(depth + 1)?;
                if self.take(&Token::Close) {
                    return Ok(inner);
                }
                let place = self.tokens.get(self.at).map_or(self.end, |(o, _)| *o);
                Err(fault(place, "a closing bracket `)` is missing"))
            }
            Token::Id(text) => Ok(Expr::Id(Name { text, offset })),
            _ => Err(fault(offset, "an id, `!` or `(` is expected here")),
        }
    }
}

fn join(mut parts: Vec<Expr<Name>>, wrap: fn(Vec<Expr<Name>>) -> Expr<Name>) -> Expr<Name> {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, Some(last)) => {
            parts.push(last);
            wrap(parts)
        }
        (_, None) => wrap(parts),
    }
}

impl<T> Expr<T> {
    /// The same expression over other ids.
    pub(crate) fn map<U, E>(self, f: &mut impl FnMut(T) -> Result<U, E>) -> Result<Expr<U>, E> {
        Ok(match self {
            Self::Id(id) => Expr::Id(f(id)?),
            Self::Not(inner) => Expr::Not(Box::new(inner.map(f)?)),
            Self::And(parts) => Expr::And(parts.into_iter().map(|p| p.map(f)).collect::<Result<_, E>>()?),
            Self::Or(parts) => Expr::Or(parts.into_iter().map(|p| p.map(f)).collect::<Result<_, E>>()?),
        })
    }

    /// Calls `f` with every id and whether it stands under an even number of `!`.
    pub(crate) fn visit(&self, positive: bool, f: &mut impl FnMut(&T, bool)) {
        match self {
            Self::Id(id) => f(id, positive),
            Self::Not(inner) => inner.visit(!positive, f),
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|p| p.visit(positive, f)),
        }
    }

    /// Whether an id stands under an odd number of `!`.
    pub(crate) fn negates(&self) -> bool {
        let mut negated = false;
        self.visit(true, &mut |_, positive| negated |= !positive);
        negated
    }

    /// Its value; ids behind a decided `&&` or `||` are not asked.
    pub(crate) fn eval(&self, f: &mut impl FnMut(&T) -> Value) -> Value {
        match self {
            Self::Id(id) => f(id),
            Self::Not(inner) => !inner.eval(f),
            Self::And(parts) => {
                let mut value = Value::True;
                for part in parts {
                    value = value.and(part.eval(f));
                    if value == Value::False {
                        break;
                    }
                }
                value
            }
            Self::Or(parts) => {
                let mut value = Value::False;
                for part in parts {
                    value = value.or(part.eval(f));
                    if value == Value::True {
                        break;
                    }
                }
                value
            }
        }
    }

    /// Whether it is unmeasured whatever the ids that `dead` does not name give.
    pub(crate) fn always_open(&self, dead: &impl Fn(&T) -> bool) -> bool {
        self.possible(dead) == NA
    }

    fn possible(&self, dead: &impl Fn(&T) -> bool) -> u8 {
        match self {
            Self::Id(id) => {
                if dead(id) {
                    NA
                } else {
                    TRUE | FALSE | NA
                }
            }
            Self::Not(inner) => swap(inner.possible(dead)),
            Self::And(parts) => parts.iter().fold(TRUE, |all, p| and_sets(all, p.possible(dead))),
            Self::Or(parts) => swap(parts.iter().fold(TRUE, |all, p| and_sets(all, swap(p.possible(dead))))),
        }
    }
}

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const NA: u8 = 4;

fn swap(set: u8) -> u8 {
    (set & NA) | if set & TRUE != 0 { FALSE } else { 0 } | if set & FALSE != 0 { TRUE } else { 0 }
}

fn and_sets(a: u8, b: u8) -> u8 {
    let mut out = 0;
    for x in [TRUE, FALSE, NA] {
        for y in [TRUE, FALSE, NA] {
            if a & x != 0 && b & y != 0 {
                out |= if x == FALSE || y == FALSE { FALSE } else { x.max(y) };
            }
        }
    }
    out
}

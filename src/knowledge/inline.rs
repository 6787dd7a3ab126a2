//! Inline marks of Markdown taken away: emphasis, code, links (their text stays), images (their description stays).
//!
//! Only stars that are emphasis go, by the flanking rules of CommonMark (0.31, §6.2), with two differences: a Chinese
//! character counts as the edge of a word, for Chinese is written without blanks, and a star that multiplies (`7*24`) or
//! belongs to a dial code (`*100#`) stands for itself. Every step looks at a character a bounded number of times.

use std::collections::HashMap;

use crate::text::is_han;

/// Runs behind the newest open one that a closing run may belong to.
const DEPTH: usize = 8;
/// Longest dial code.
const DIAL_CODE_MAX: usize = 40;

/// A text without its inline marks.
pub(super) fn plain(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let reading = Reading {
        code: code_spans(&chars),
        chars: &chars,
        plain: Vec::with_capacity(chars.len()),
        runs: Vec::new(),
        label_end: Ahead::new(']'),
        target_end: Ahead::new(')'),
    };
    reading.read()
}

/// A run of stars: where it stands in the plain text, and how many of it are not emphasis.
struct Run {
    at: usize,
    length: usize,
    left: usize,
    opens: bool,
    closes: bool,
}

struct Reading<'c> {
    chars: &'c [char],
    /// Where the code span ends that begins at a place.
    code: HashMap<usize, usize>,
    plain: Vec<char>,
    runs: Vec<Run>,
    label_end: Ahead,
    target_end: Ahead,
}

impl Reading<'_> {
    fn read(mut self) -> String {
        let mut at = 0;
        while let Some(&c) = self.chars.get(at) {
            let next = self.chars.get(at + 1);
            at = match c {
                '\\' if next.is_some_and(char::is_ascii_punctuation) => {
                    self.plain.extend(next);
                    at + 2
                }
                '*' => self.stars(at),
                '`' => self.ticks(at),
                '!' if next == Some(&'[') => at + 1,
                '[' => self.bracket(at),
                c => {
                    self.plain.push(c);
                    at + 1
                }
            };
        }
        pair(&mut self.runs);
        let (mut text, mut from) = (String::new(), 0);
        for run in &self.runs {
            text.extend(&self.plain[from..run.at]);
            text.extend(std::iter::repeat_n('*', run.left));
            from = run.at + run.length;
        }
        text.extend(&self.plain[from..]);
        text
    }

    /// Reads the stars at a place and gives the place behind them.
    fn stars(&mut self, at: usize) -> usize {
        if let Some(end) = dial_code(self.chars, at) {
            self.plain.extend(&self.chars[at..end]);
            return end;
        }
        let length = run_length(self.chars, at);
        let before = at.checked_sub(1).map(|place| self.chars[place]);
        let after = self.chars.get(at + length).copied();
        if length > 1 || !multiplies(before, after) {
            let (opens, closes) = flanks(before, after);
            self.runs.push(Run { at: self.plain.len(), length, left: length, opens, closes });
        }
        self.plain.extend(&self.chars[at..at + length]);
        at + length
    }

    /// Reads a code span: what is in it stands as it is. Ticks without a partner are dropped.
    fn ticks(&mut self, at: usize) -> usize {
        let length = run_length(self.chars, at);
        match self.code.get(&at) {
            Some(&end) => {
                self.plain.extend(&self.chars[at + length..end]);
                end + length
            }
            None => at + length,
        }
    }

    /// Reads `[label](target)`, or a bracket that means itself.
    fn bracket(&mut self, at: usize) -> usize {
        let close = self.label_end.find_from(self.chars, at).filter(|close| self.chars.get(close + 1) == Some(&'('));
        let target = close.and_then(|close| Some((close, self.target_end.find_from(self.chars, close)?)));
        match target {
            Some((close, end)) => {
                let label: String = self.chars[at + 1..close].iter().collect();
                self.plain.extend(plain(&label).chars()); // a label holds no `]`, so no link lies in it
                end + 1
            }
            None => {
                self.plain.push('[');
                at + 1
            }
        }
    }
}

/// How often the sign at a place is repeated.
fn run_length(chars: &[char], at: usize) -> usize {
    chars[at..].iter().take_while(|c| **c == chars[at]).count()
}

/// The end of a dial code such as `*100#` or `**21*10086#` at a place.
fn dial_code(chars: &[char], at: usize) -> Option<usize> {
    let signs = chars[at..].iter().take(DIAL_CODE_MAX).take_while(|c| c.is_ascii_digit() || matches!(c, '*' | '#')).count();
    let code = &chars[at..at + signs];
    (code.last() == Some(&'#') && code.iter().any(char::is_ascii_digit)).then_some(at + signs)
}

/// Whether a star between these two is a sign of multiplication: `7*24`, `60cm*40cm`.
fn multiplies(before: Option<char>, after: Option<char>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return false };
    before.is_alphanumeric() && after.is_alphanumeric() && (before.is_ascii_digit() || after.is_ascii_digit())
}

/// Whether a run between these two may open emphasis, and whether it may close it.
fn flanks(before: Option<char>, after: Option<char>) -> (bool, bool) {
    let blank = |c: Option<char>| c.is_none_or(char::is_whitespace);
    let mark = |c: Option<char>| c.is_some_and(|c| !c.is_alphanumeric() && !c.is_whitespace());
    let edge = |c: Option<char>| blank(c) || mark(c) || c.is_some_and(is_han);
    let opens = !blank(after) && (!mark(after) || edge(before));
    let closes = !blank(before) && (!mark(before) || edge(after));
    (opens, closes)
}

/// Takes away the stars of runs that open and close the same emphasis.
fn pair(runs: &mut [Run]) {
    let mut open: Vec<usize> = Vec::new();
    for n in 0..runs.len() {
        while runs[n].closes && runs[n].left > 0 {
            let near = open.iter().rev().take(DEPTH).position(|opener| belong(&runs[*opener], &runs[n]));
            let Some(depth) = near else { break };
            open.truncate(open.len() - depth);
            let Some(&opener) = open.last() else { break };
            let taken = runs[opener].left.min(runs[n].left);
            runs[opener].left -= taken;
            runs[n].left -= taken;
            if runs[opener].left == 0 {
                open.pop();
            }
        }
        if runs[n].opens && runs[n].left > 0 {
            open.push(n);
        }
    }
}

/// Where one of the two may open and close, their lengths must not add up to a multiple of three, unless both are one.
fn belong(opener: &Run, closer: &Run) -> bool {
    let either = opener.closes || closer.opens;
    let thirds = |length: usize| length.is_multiple_of(3);
    !either || !thirds(opener.length + closer.length) || (thirds(opener.length) && thirds(closer.length))
}

/// Runs of ticks that open a code span, and where the run of the same length stands that closes it.
fn code_spans(chars: &[char]) -> HashMap<usize, usize> {
    let mut runs = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let length = if chars[at] == '`' { run_length(chars, at) } else { 0 };
        if length > 0 {
            runs.push((at, length));
        }
        at += length.max(1);
    }
    let mut next: HashMap<usize, usize> = HashMap::new();
    runs.into_iter().rev().filter_map(|(at, length)| Some((at, next.insert(length, at)?))).collect()
}

/// The next place of a sign, asked for from places that only grow: each character is looked at once.
struct Ahead {
    sign: char,
    known: Option<Option<usize>>,
}

impl Ahead {
    fn new(sign: char) -> Self {
        Self { sign, known: None }
    }

    fn find_from(&mut self, chars: &[char], from: usize) -> Option<usize> {
        match self.known {
            Some(None) => None,
            Some(Some(place)) if place >= from => Some(place),
            _ => {
                let found = chars[from..].iter().position(|c| *c == self.sign).map(|distance| from + distance);
                self.known = Some(found);
                found
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn stars_that_are_no_emphasis_stay() {
        for text in [
            "客服7*24小时",
            "周一至周五 5*8 小时，7*24小时值守",
            "拨打 *100# 查询",
            "拨打*100#或*102#查询",
            "转移请拨 **21*10086#",
            "箱子 60cm*40cm*20cm",
            "a * b * c",
            "标 * 的为必填",
            "5 stars: *****",
        ] {
            assert_eq!(plain(text), text);
        }
    }

    #[test]
    fn emphasis_code_and_links_go() {
        for (text, expected) in [
            ("导语**重点**和[链接](https://e.org)。", "导语重点和链接。"),
            ("**提示：**请先登录", "提示：请先登录"),
            ("请点**“我的”**查看", "请点“我的”查看"),
            ("*one* **two** ***three***", "one two three"),
            ("*a **b** c*", "a b c"),
            ("**拨打*100#**查询", "拨打*100#查询"),
            ("run `a*b*c` now", "run a*b*c now"),
            ("``a`b`` c", "a`b c"),
            ("7\\*24 \\[x\\]", "7*24 [x]"),
            ("![图](a.png) [**粗**](b)", "图 粗"),
            ("[x] (y)", "[x] (y)"),
            ("**open", "**open"),
        ] {
            assert_eq!(plain(text), expected, "{text}");
        }
    }

    #[test]
    fn hostile_lines_are_read_in_linear_time() {
        for piece in ["[", "[a](", "`", "*a ", "*1", "a**b*", "[a]", "\\", "``` `` ` "] {
            let text = piece.repeat(1 << 18);
            let started = std::time::Instant::now();
            drop(plain(&text));
            assert!(started.elapsed().as_secs() < 20, "{piece}");
        }
    }
}

//! Answers out of articles: the sentence that answers, tightened, with its citation. Nothing is said that the passage does
//! not hold.

use serde::{Deserialize, Serialize};

use super::message::units;
use crate::conversation::Language;
use crate::knowledge::PassageHit;
use crate::text::{fold, is_han, segment};

/// Where an answer comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Citation {
    /// Document.
    pub document_id: String,
    /// Its version.
    pub version: u32,
    /// Passage.
    pub passage_id: String,
    /// Title of the document.
    pub title: String,
    /// The words of the passage that are said.
    pub quote: String,
    /// First code point in the passage.
    pub start: usize,
    /// First code point behind it.
    pub end: usize,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What is said.
    pub text: String,
    /// Where it comes from.
    pub citation: Citation,
    /// Score of the passage.
    pub score: f32,
}

/// Code points of a text from `start` to `end`.
pub(super) fn slice(text: &str, start: usize, end: usize) -> String {
    text.chars().skip(start).take(end.saturating_sub(start)).collect()
}

/// Sentences, lines and rows of a passage with their places, headings left out.
pub(super) fn sentences(text: &str) -> Vec<(usize, usize)> {
    let chars: Vec<char> = text.chars().collect();
    let mut spans = Vec::new();
    let mut start = 0;
    for at in 0..chars.len() {
        let next = chars.get(at + 1).copied().unwrap_or('\n');
        let before = at.checked_sub(1).map_or(' ', |i| chars[i]);
        let ends = match chars[at] {
            '\n' | '。' | '！' | '？' => true,
            '.' | '!' | '?' => next.is_whitespace() && !(before.is_ascii_digit() && only_number(&chars[start..at])),
            _ => false,
        };
        if ends || at + 1 == chars.len() {
            push(&chars, &mut spans, start, at + 1);
            start = at + 1;
        }
    }
    spans
}

/// Whether this is the number of a list: "1" of "1. Open …".
fn only_number(chars: &[char]) -> bool {
    chars.iter().all(|c| c.is_whitespace() || c.is_ascii_digit())
}

/// A line of a few words without any mark names a section and says nothing.
fn is_heading(line: &str) -> bool {
    let marked = line.chars().any(|c| {
        matches!(c, '。' | '，' | '；' | '：' | '、' | '.' | ',' | ':' | ';' | '|' | '!' | '?' | '！' | '？')
            || c.is_ascii_digit()
    });
    let item = line.starts_with("- ") || line.starts_with("* ");
    line.starts_with('#') || (!marked && !item && units(line) <= 10)
}

fn push(chars: &[char], spans: &mut Vec<(usize, usize)>, from: usize, to: usize) {
    let blank = |c: &char| c.is_whitespace();
    let lead = chars[from..to].iter().take_while(|c| blank(c)).count();
    let tail = chars[from..to].iter().rev().take_while(|c| blank(c)).count();
    if from + lead + tail >= to {
        return;
    }
    let (start, end) = (from + lead, to - tail);
    let body: String = chars[start..end].iter().collect();
    let rule = body.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '));
    let begins_line = start == 0 || chars[..start].iter().rev().take_while(|c| c.is_whitespace()).any(|c| *c == '\n');
    let ends_line = end == chars.len() || chars[end..].iter().take_while(|c| c.is_whitespace()).any(|c| *c == '\n');
    if !(rule || (begins_line && ends_line && is_heading(&body))) {
        spans.push((start, end));
    }
}

/// Content words of a question and how much each says: longer ones more.
fn terms(text: &str) -> Vec<(String, f32)> {
    let mut terms: Vec<(String, f32)> = Vec::new();
    for token in segment::words(&fold(text)) {
        let word = if token.han { token.text.clone() } else { segment::stem(&token.text) };
        let idle = segment::is_stop_word(&token.text) || IDLE.contains(&token.text.as_str());
        if idle || terms.iter().any(|(known, _)| *known == word) {
            continue;
        }
        let weight = if word.chars().any(is_han) { word.chars().count().min(3) as f32 } else { 2.0 };
        terms.push((word, weight));
    }
    terms
}

/// Words of questions that no article answers to.
const IDLE: [&str; 58] = [
    "我",
    "你",
    "您",
    "的",
    "了",
    "吗",
    "呢",
    "啊",
    "请问",
    "想",
    "要",
    "能",
    "可以",
    "怎么",
    "什么",
    "多久",
    "多少",
    "一下",
    "一个",
    "那",
    "这",
    "是",
    "有",
    "就",
    "都",
    "还",
    "给",
    "帮",
    "帮我",
    "知道",
    "请",
    "如果",
    "如何",
    "怎样",
    "为什么",
    "哪里",
    "没有",
    "what",
    "how",
    "when",
    "long",
    "much",
    "do",
    "does",
    "can",
    "i",
    "my",
    "me",
    "please",
    "get",
    "want",
    "need",
    "tell",
    "know",
    "would",
    "like",
    "there",
    "it",
];

/// Share of the question's weight that a text holds, in [0, 1].
pub fn overlap(question: &str, text: &str) -> f32 {
    let wanted = terms(question);
    let total: f32 = wanted.iter().map(|(_, w)| w).sum();
    if total == 0.0 {
        return 0.0;
    }
    let folded = fold(text);
    let stems: Vec<String> =
        segment::words(&folded).iter().map(|t| if t.han { t.text.clone() } else { segment::stem(&t.text) }).collect();
    let held: f32 = wanted
        .iter()
        .map(|(word, weight)| {
            if stems.contains(word) || (word.chars().any(is_han) && folded.contains(word.as_str())) {
                return *weight;
            }
            // half a word: 到账时间 and 到账
            let chars: Vec<char> = word.chars().collect();
            let pairs = chars.windows(2).filter(|p| p.iter().all(|c| is_han(*c)));
            let half = pairs.filter(|p| folded.contains(&p.iter().collect::<String>())).count();
            if half > 0 { 0.5 * weight } else { 0.0 }
        })
        .sum();
    held / total
}

/// Lists, tables and emphasis as people read them; no letter and no digit is added or lost.
fn readable(markup: &str) -> String {
    let line = |line: &str| -> String {
        let line = line.trim();
        if let Some(row) = line.strip_prefix('|') {
            let cells: Vec<&str> = row.trim_end_matches('|').split('|').map(str::trim).filter(|c| !c.is_empty()).collect();
            let colon = if line.chars().any(is_han) { "：" } else { ": " };
            return cells.join(colon);
        }
        let item = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")).unwrap_or(line);
        item.replace(['*', '`'], "")
    };
    markup.lines().map(line).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Whether a text says nothing that the passage does not say: the letters and digits of each of its sentences stand in the
/// passage in this order without a gap.
pub fn grounded(text: &str, passage: &str) -> bool {
    let essence = |t: &str| fold(t).chars().filter(|c| c.is_alphanumeric()).collect::<String>();
    let whole = essence(passage);
    text.lines()
        .flat_map(|line| line.split_inclusive(['。', '！', '？', ';', '；']))
        .all(|sentence| whole.contains(&essence(sentence)))
}

/// The answer that a passage gives to a question: its best sentence and what belongs to it, up to `max_chars` code points.
pub fn extract(question: &str, hit: &PassageHit, max_chars: usize) -> Option<Answer> {
    let spans = sentences(&hit.text);
    let wanted = terms(question);
    let score_of = |span: &(usize, usize)| -> f32 {
        let text = fold(&slice(&hit.text, span.0, span.1));
        let words: f32 = wanted.iter().filter(|(w, _)| text.contains(w.as_str())).map(|(_, weight)| weight).sum();
        let cited = span.0 < hit.citation.end && hit.citation.start < span.1;
        words + if cited { 1.5 } else { 0.0 }
    };
    let best = (0..spans.len()).max_by(|a, b| score_of(&spans[*a]).total_cmp(&score_of(&spans[*b])).then(b.cmp(a)))?;
    let (mut first, mut last) = (best, best);
    // The section that the sentence stands in, as far as it fits: first what follows, then what leads to it.
    loop {
        let length = |first: usize, last: usize| spans[last].1 - spans[first].0;
        let ends_section = |at: usize| gap_is_wide(&hit.text, spans[at].1, spans.get(at + 1).map_or(usize::MAX, |s| s.0));
        if last + 1 < spans.len() && !ends_section(last) && length(first, last + 1) <= max_chars {
            last += 1;
        } else if first > 0 && !ends_section(first - 1) && length(first - 1, last) <= max_chars {
            first -= 1;
        } else {
            break;
        }
    }
    let (start, end) = (spans[first].0, spans[last].1);
    let quote = slice(&hit.text, start, end);
    let text = readable(&quote);
    if units(&text) < 2 {
        return None;
    }
    let citation = Citation {
        document_id: hit.document_id.clone(),
        version: hit.version,
        passage_id: hit.passage_id.clone(),
        title: hit.title.clone(),
        quote,
        start,
        end,
    };
    Some(Answer { text, citation, score: hit.score })
}

/// A heading or empty lines between two sentences end a section.
fn gap_is_wide(text: &str, from: usize, to: usize) -> bool {
    let between = slice(text, from, to.min(from + 200));
    between.lines().any(|line| line.chars().any(char::is_alphanumeric)) || between.matches('\n').count() > 2
}

/// Longest quotation in a language.
pub(super) fn max_chars(limits: &super::config::Limits, language: Language) -> usize {
    match language {
        Language::Zh => limits.answer_chars_zh,
        Language::En => limits.answer_chars_en,
    }
}

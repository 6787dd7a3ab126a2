//! Passages: pieces of a document that answer by themselves.
//!
//! A passage keeps whole blocks and the path of headings above it. A table that is too long is cut between rows and its
//! head is repeated; a paragraph that is too long is cut between sentences.

use crate::conversation::IdKind;
use crate::text::is_han;

use super::document::{Document, stable_id};
use super::markup::{Block, blocks};

/// A passage before it is indexed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// `psg_…`, the same for the same place of the same version.
    pub passage_id: String,
    /// Headings above it, outermost first.
    pub headings: Vec<String>,
    /// Plain text, blocks parted by line breaks.
    pub text: String,
}

/// The passages of a document; a document always has at least one.
pub fn passages(document: &Document, width_limit: usize) -> Vec<Passage> {
    let mut cutter = Cutter { limit: width_limit.max(40), ..Cutter::default() };
    for block in blocks(&document.content.body, document.content.format) {
        cutter.take(block);
    }
    cutter.flush();
    if cutter.done.is_empty() {
        cutter.done.push((Vec::new(), document.content.title.clone()));
    }
    let named = |(position, (headings, text)): (usize, (Vec<String>, String))| Passage {
        passage_id: passage_id(&document.document_id, document.version, position),
        headings,
        text,
    };
    cutter.done.into_iter().enumerate().map(named).collect()
}

/// The id of the passage at a place of a version of a document.
pub(super) fn passage_id(document_id: &str, version: u32, position: usize) -> String {
    stable_id(IdKind::Passage, &[document_id, &version.to_string(), &position.to_string()])
}

/// Width of a text: a Chinese character or other full-width sign counts two.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|c| if is_han(c) || matches!(c, '\u{3000}'..='\u{303F}' | '\u{FF00}'..='\u{FFEF}') { 2 } else { 1 }).sum()
}

#[derive(Default)]
struct Cutter {
    limit: usize,
    path: Vec<(usize, String)>,
    lines: Vec<String>,
    used: usize,
    path_of_lines: Vec<String>,
    done: Vec<(Vec<String>, String)>,
}

impl Cutter {
    fn take(&mut self, block: Block) {
        match block {
            Block::Heading { level, text } => {
                // a section begins a passage unless what is there is still short
                if self.used * 2 >= self.limit {
                    self.flush();
                }
                self.path.retain(|(other, _)| *other < level);
                self.path.push((level, text.clone()));
                self.add(text);
            }
            Block::Paragraph(text) | Block::Item(text) => {
                for part in split_sentences(&text, self.limit) {
                    self.add(part);
                }
            }
            Block::Table(rows) => self.add_table(&rows),
        }
    }

    fn add(&mut self, line: String) {
        if line.trim().is_empty() {
            return; // nothing is left of a line of markup
        }
        let line_width = width(&line);
        if self.used > 0 && self.used + line_width > self.limit {
            self.flush();
        }
        if self.lines.is_empty() {
            self.path_of_lines = self.path.iter().map(|(_, text)| text.clone()).collect();
        }
        self.used += line_width;
        self.lines.push(line);
    }

    fn add_table(&mut self, rows: &[String]) {
        let Some((head, body)) = rows.split_first() else { return };
        let whole: usize = rows.iter().map(|row| width(row)).sum();
        if self.used > 0 && self.used + whole > self.limit {
            self.flush();
        }
        split_sentences(head, self.limit).into_iter().for_each(|part| self.add(part));
        // a head that fills half a passage is not repeated; a row that does not fit beside the head is cut
        let head_width = width(head);
        let repeated = head_width * 2 <= self.limit;
        let room = if repeated { self.limit - head_width } else { self.limit };
        for part in body.iter().flat_map(|row| split_sentences(row, room)) {
            if self.used + width(&part) > self.limit {
                self.flush();
                if repeated {
                    self.add(head.clone());
                }
            }
            self.add(part);
        }
    }

    fn flush(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        self.used = 0;
        // a heading alone is no answer; it stays in the path
        let headings: Vec<&String> = self.path.iter().map(|(_, text)| text).collect();
        if lines.is_empty() || lines.iter().all(|line| headings.contains(&line)) {
            return;
        }
        self.done.push((std::mem::take(&mut self.path_of_lines), lines.join("\n")));
    }
}

/// Parts of at most `limit` wide, cut behind sentence ends where there are any.
fn split_sentences(text: &str, limit: usize) -> Vec<String> {
    if width(text) <= limit {
        return vec![text.to_owned()];
    }
    let (mut parts, mut part) = (Vec::new(), String::new());
    for sentence in sentences(text) {
        if !part.is_empty() && width(&part) + width(&sentence) > limit {
            parts.push(std::mem::take(&mut part).trim().to_owned());
        }
        if width(&part) + width(&sentence) <= limit {
            part.push_str(&sentence);
            continue;
        }
        // one sentence wider than a passage: cut where the limit is
        let mut used = width(&part);
        for c in sentence.chars() {
            let own = width(c.encode_utf8(&mut [0; 4]));
            if used + own > limit && !part.is_empty() {
                parts.push(std::mem::take(&mut part));
                used = 0;
            }
            part.push(c);
            used += own;
        }
    }
    if !part.trim().is_empty() {
        parts.push(part.trim().to_owned());
    }
    parts
}

/// Sentences with their end marks and blanks; together they are the text. A line break ends a sentence.
pub(super) fn sentences(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let (mut sentences, mut start) = (Vec::new(), 0);
    for position in 0..chars.len() {
        let next = chars.get(position + 1);
        let ends = match chars[position] {
            '。' | '！' | '？' | '；' | '\n' => !matches!(next, Some('”' | '」' | '）')),
            '.' | '!' | '?' => {
                next.is_some_and(|c| c.is_whitespace()) && !chars[start..position].iter().all(char::is_ascii_digit)
            }
            '”' | '」' => position > 0 && matches!(chars[position - 1], '。' | '！' | '？'),
            _ => false,
        };
        if ends || position + 1 == chars.len() {
            sentences.push(chars[start..=position].iter().collect());
            start = position + 1;
        }
    }
    sentences
}

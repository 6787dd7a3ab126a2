//! Bodies as blocks: Markdown, HTML and plain text become headings, paragraphs, list items and tables of plain text.

use super::document::BodyFormat;
use super::html::{self, Piece};

/// A block of plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A heading.
    Heading {
        /// 1 to 6.
        level: usize,
        /// Its text.
        text: String,
    },
    /// A paragraph or a line of code.
    Paragraph(String),
    /// A list item with its marker: `- …` or `2. …`.
    Item(String),
    /// A table, one string per row, cells between bars; the first row is the head.
    Table(Vec<String>),
}

impl Block {
    /// Its text; rows of a table as lines.
    pub fn into_text(self) -> String {
        match self {
            Self::Heading { text, .. } | Self::Paragraph(text) | Self::Item(text) => text,
            Self::Table(rows) => rows.join("\n"),
        }
    }
}

/// The blocks of a body.
pub fn blocks(body: &str, format: BodyFormat) -> Vec<Block> {
    match format {
        BodyFormat::Markdown => markdown_blocks(body),
        BodyFormat::Html => html_blocks(body),
        BodyFormat::Text => body
            .split("\n\n")
            .map(|paragraph| paragraph.trim().to_owned())
            .filter(|paragraph| !paragraph.is_empty())
            .map(Block::Paragraph)
            .collect(),
    }
}

/// HTML made safe: only tags and attributes of a short list stay, everything else is dropped or escaped; the content of
/// scripts, styles and frames goes.
pub fn sanitise_html(source: &str) -> String {
    html::sanitise(source)
}

fn markdown_blocks(body: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut paragraph: Vec<String> = Vec::new();
    let mut fenced = false;
    let close = |paragraph: &mut Vec<String>, blocks: &mut Vec<Block>| {
        if !paragraph.is_empty() {
            blocks.push(Block::Paragraph(join_lines(paragraph)));
            paragraph.clear();
        }
    };
    for line in body.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            close(&mut paragraph, &mut blocks);
            fenced = !fenced;
        } else if fenced {
            blocks.push(Block::Paragraph(line.trim_end().to_owned()));
        } else if trimmed.is_empty() || is_rule(trimmed) {
            close(&mut paragraph, &mut blocks);
        } else if let Some((level, text)) = heading(trimmed) {
            close(&mut paragraph, &mut blocks);
            blocks.push(Block::Heading { level, text: inline(text) });
        } else if trimmed.starts_with('|') {
            close(&mut paragraph, &mut blocks);
            table_row(trimmed, &mut blocks);
        } else if let Some(item) = list_item(trimmed) {
            close(&mut paragraph, &mut blocks);
            blocks.push(Block::Item(item));
        } else if let (true, Some(Block::Item(item))) = (paragraph.is_empty() && line.starts_with("  "), blocks.last_mut()) {
            *item = join_lines(&[item.clone(), inline(trimmed)]); // a continued list item
        } else {
            paragraph.push(inline(trimmed.trim_start_matches("> ")));
        }
    }
    close(&mut paragraph, &mut blocks);
    blocks
}

/// Joins wrapped lines: a blank between Latin words, nothing between Chinese characters.
fn join_lines(lines: &[String]) -> String {
    let mut joined = String::new();
    for line in lines {
        let tight = joined.chars().last().is_none_or(|c| !c.is_ascii()) && line.chars().next().is_some_and(|c| !c.is_ascii());
        if !joined.is_empty() && !tight {
            joined.push(' ');
        }
        joined.push_str(line);
    }
    joined
}

fn is_rule(line: &str) -> bool {
    line.len() >= 3 && ["-", "*", "_", "="].iter().any(|mark| line.replace(' ', "").chars().all(|c| mark.starts_with(c)))
}

fn heading(line: &str) -> Option<(usize, &str)> {
    let level = line.chars().take_while(|c| *c == '#').count();
    let text = line.get(level..)?.strip_prefix(' ')?;
    (1..=6).contains(&level).then(|| (level, text.trim().trim_end_matches('#').trim_end()))
}

fn list_item(line: &str) -> Option<String> {
    if let Some(text) = ["- ", "* ", "+ "].iter().find_map(|mark| line.strip_prefix(mark)) {
        return Some(format!("- {}", inline(text.trim())));
    }
    let digits = line.chars().take_while(char::is_ascii_digit).count();
    let text = line.get(digits..)?.strip_prefix(['.', ')'])?.strip_prefix(' ')?;
    (1..=4).contains(&digits).then(|| format!("{}. {}", &line[..digits], inline(text.trim())))
}

fn table_row(line: &str, blocks: &mut Vec<Block>) {
    let cells: Vec<String> = line.trim_matches('|').split('|').map(|cell| inline(cell.trim())).collect();
    let delimiter = cells.iter().all(|cell| !cell.is_empty() && cell.chars().all(|c| matches!(c, '-' | ':')));
    let row = format!("| {} |", cells.join(" | "));
    match blocks.last_mut() {
        Some(Block::Table(rows)) if !delimiter => rows.push(row),
        Some(Block::Table(_)) => {}
        _ => blocks.push(Block::Table(vec![row])),
    }
}

/// Inline marks taken away: emphasis, code, links (their text stays), images (their description stays).
fn inline(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let (mut plain, mut at) = (String::new(), 0);
    while at < chars.len() {
        match chars[at] {
            '\\' if chars.get(at + 1).is_some_and(char::is_ascii_punctuation) => {
                plain.push(chars[at + 1]);
                at += 2;
            }
            '*' | '`' => at += 1,
            '!' if chars.get(at + 1) == Some(&'[') => at += 1,
            '[' => match link_text(&chars, at) {
                Some((label, end)) => {
                    plain.push_str(&label);
                    at = end;
                }
                None => {
                    plain.push('[');
                    at += 1;
                }
            },
            c => {
                plain.push(c);
                at += 1;
            }
        }
    }
    plain
}

/// `[label](target)` at a place: its label and where it ends.
fn link_text(chars: &[char], at: usize) -> Option<(String, usize)> {
    let close = at + chars[at..].iter().position(|c| *c == ']')?;
    if chars.get(close + 1) != Some(&'(') {
        return None;
    }
    let end = close + chars[close..].iter().position(|c| *c == ')')?;
    Some((chars[at + 1..close].iter().filter(|c| !matches!(c, '*' | '`')).collect(), end + 1))
}

/// What is open while HTML is read.
#[derive(Default)]
struct HtmlState {
    blocks: Vec<Block>,
    text: String,
    heading: Option<usize>,
    item: bool,
    rows: Option<Vec<String>>,
    cells: Vec<String>,
}

impl HtmlState {
    /// Ends the open block.
    fn close(&mut self) {
        let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        self.text.clear();
        if text.is_empty() {
            return;
        }
        if self.rows.is_some() {
            self.cells.push(text);
        } else if let Some(level) = self.heading {
            self.blocks.push(Block::Heading { level, text });
        } else if self.item {
            self.blocks.push(Block::Item(format!("- {text}")));
        } else {
            self.blocks.push(Block::Paragraph(text));
        }
    }

    fn end_row(&mut self) {
        self.close();
        let cells = std::mem::take(&mut self.cells);
        if let Some(rows) = self.rows.as_mut().filter(|_| !cells.is_empty()) {
            rows.push(format!("| {} |", cells.join(" | ")));
        }
    }

    fn end_table(&mut self) {
        self.end_row();
        if let Some(rows) = self.rows.take().filter(|rows| !rows.is_empty()) {
            self.blocks.push(Block::Table(rows));
        }
    }
}

fn html_blocks(source: &str) -> Vec<Block> {
    let mut state = HtmlState::default();
    for piece in html::pieces(source) {
        match piece {
            Piece::Text(text) => state.text.push_str(&text),
            Piece::Open { name, .. } => match name.as_str() {
                "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                    state.close();
                    state.heading = name[1..].parse().ok();
                }
                "li" => {
                    state.close();
                    state.item = true;
                }
                "table" => {
                    state.close();
                    state.rows = Some(Vec::new());
                }
                "tr" => state.end_row(),
                "br" if state.rows.is_some() => state.text.push(' '),
                "p" | "div" | "br" | "td" | "th" | "ul" | "ol" | "blockquote" | "pre" | "section" => state.close(),
                _ => {}
            },
            Piece::Close(name) => match name.as_str() {
                "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                    state.close();
                    state.heading = None;
                }
                "li" => {
                    state.close();
                    state.item = false;
                }
                "table" => state.end_table(),
                "tr" => state.end_row(),
                "td" | "th" if state.rows.is_some() => {
                    // an empty cell keeps its place
                    let before = state.cells.len();
                    state.close();
                    if state.cells.len() == before {
                        state.cells.push(String::new());
                    }
                }
                "p" | "div" | "ul" | "ol" | "blockquote" | "pre" | "section" if state.rows.is_none() => state.close(),
                _ => {}
            },
        }
    }
    state.end_table();
    state.close();
    state.blocks
}

//! Bodies as blocks: Markdown, HTML and plain text become headings, paragraphs, list items and tables of plain text.

use super::document::BodyFormat;
use super::html::{self, Piece};
use super::inline;

/// Deepest nesting of HTML tables that is read as tables.
const MAX_TABLES: usize = 100;

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
    let mut paragraph: Vec<&str> = Vec::new();
    let mut fenced = false;
    let close = |paragraph: &mut Vec<&str>, blocks: &mut Vec<Block>| {
        if !paragraph.is_empty() {
            blocks.push(Block::Paragraph(joined(&paragraph.join("\n"))));
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
            blocks.push(Block::Heading { level, text: inline::plain(text) });
        } else if trimmed.starts_with('|') {
            close(&mut paragraph, &mut blocks);
            table_row(trimmed, &mut blocks);
        } else if let Some(item) = list_item(trimmed) {
            close(&mut paragraph, &mut blocks);
            blocks.push(Block::Item(item));
        } else if let (true, Some(Block::Item(item))) = (paragraph.is_empty() && line.starts_with("  "), blocks.last_mut()) {
            // a continued list item
            item.push('\n');
            item.push_str(trimmed);
        } else {
            paragraph.push(trimmed.trim_start_matches("> "));
        }
    }
    close(&mut paragraph, &mut blocks);
    for block in &mut blocks {
        if let Block::Item(item) = block {
            *item = joined(item);
        }
    }
    blocks
}

/// Wrapped lines as one, without inline marks: a blank between Latin words, nothing between Chinese characters.
fn joined(wrapped: &str) -> String {
    let plain = inline::plain(wrapped);
    let mut joined = String::with_capacity(plain.len());
    for line in plain.lines().filter(|line| !line.is_empty()) {
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

/// A list item with its marker, its inline marks still in it: emphasis may reach into the next line.
fn list_item(line: &str) -> Option<String> {
    if let Some(text) = ["- ", "* ", "+ "].iter().find_map(|mark| line.strip_prefix(mark)) {
        return Some(format!("- {}", text.trim()));
    }
    let digits = line.chars().take_while(char::is_ascii_digit).count();
    let text = line.get(digits..)?.strip_prefix(['.', ')'])?.strip_prefix(' ')?;
    (1..=4).contains(&digits).then(|| format!("{}. {}", &line[..digits], text.trim()))
}

fn table_row(line: &str, blocks: &mut Vec<Block>) {
    let cells: Vec<String> = line.trim_matches('|').split('|').map(|cell| inline::plain(cell.trim())).collect();
    let delimiter = cells.iter().all(|cell| !cell.is_empty() && cell.chars().all(|c| matches!(c, '-' | ':')));
    let row = format!("| {} |", cells.join(" | "));
    match blocks.last_mut() {
        Some(Block::Table(rows)) if !delimiter => rows.push(row),
        Some(Block::Table(_)) => {}
        _ => blocks.push(Block::Table(vec![row])),
    }
}

/// A table that is being read: finished rows, the row and the cell under way.
#[derive(Default)]
struct OpenTable {
    rows: Vec<Vec<String>>,
    row: Vec<String>,
    /// Texts of the cell.
    cell: Vec<String>,
    in_cell: bool,
}

/// What is open while HTML is read.
#[derive(Default)]
struct HtmlState {
    blocks: Vec<Block>,
    text: String,
    heading: Option<usize>,
    item: bool,
    /// Outermost first.
    tables: Vec<OpenTable>,
    /// Tables too deep to be read as such.
    too_deep: usize,
}

impl HtmlState {
    /// Ends the open block; in a cell it becomes text of the cell.
    fn close(&mut self) {
        let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        self.text.clear();
        if text.is_empty() {
            return;
        }
        if let Some(table) = self.tables.last_mut() {
            table.cell.push(text);
        } else if let Some(level) = self.heading {
            self.blocks.push(Block::Heading { level, text });
        } else if self.item {
            self.blocks.push(Block::Item(format!("- {text}")));
        } else {
            self.blocks.push(Block::Paragraph(text));
        }
    }

    fn begin_table(&mut self) {
        self.close();
        if self.tables.len() < MAX_TABLES {
            self.tables.push(OpenTable::default());
        } else {
            self.too_deep += 1;
        }
    }

    /// Ends the open cell, or what stands in a row outside of cells; an empty cell keeps its place. Cells of tables that are
    /// too deep are text of the cell around them.
    fn end_cell(&mut self) {
        self.close();
        if self.too_deep > 0 {
            return;
        }
        if let Some(table) = self.tables.last_mut()
            && (table.in_cell || !table.cell.is_empty())
        {
            table.row.push(std::mem::take(&mut table.cell).join(" "));
            table.in_cell = false;
        }
    }

    fn begin_cell(&mut self) {
        self.end_cell();
        if let Some(table) = self.tables.last_mut() {
            table.in_cell = true;
        }
    }

    fn end_row(&mut self) {
        self.end_cell();
        let ends = self.too_deep == 0;
        if let Some(table) = self.tables.last_mut().filter(|table| ends && !table.row.is_empty()) {
            table.rows.push(std::mem::take(&mut table.row));
        }
    }

    fn end_table(&mut self) {
        if self.too_deep > 0 {
            self.close();
            self.too_deep -= 1;
            return;
        }
        self.end_row();
        let Some(table) = self.tables.pop() else { return };
        match self.tables.last_mut() {
            // a table inside a cell becomes text of the cell
            Some(outer) => {
                let rows = table.rows.iter().map(|row| row.join(" "));
                outer.cell.extend(rows.filter(|row| !row.trim().is_empty()));
            }
            None if table.rows.is_empty() => {}
            None => self.blocks.push(Block::Table(table.rows.iter().map(|row| format!("| {} |", row.join(" | "))).collect())),
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
                "table" => state.begin_table(),
                "tr" => state.end_row(),
                "td" | "th" => state.begin_cell(),
                "p" | "div" | "br" | "ul" | "ol" | "blockquote" | "pre" | "section" => state.close(),
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
                "td" | "th" => state.end_cell(),
                "p" | "div" | "ul" | "ol" | "blockquote" | "pre" | "section" => state.close(),
                _ => {}
            },
        }
    }
    while !state.tables.is_empty() {
        state.too_deep = 0;
        state.end_table();
    }
    state.close();
    state.blocks
}

//! Reading DOCX: a zip archive with WordprocessingML (ECMA-376 part 1, chapter 17). Headings, lists and tables become
//! Markdown; what was deleted under change tracking stays out.

use std::io::{Cursor, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Greatest size of one part of the archive when unpacked, in bytes: a small file may unpack to a very large one.
const MAX_PART_BYTES: u64 = 64 * 1024 * 1024;
/// Deepest nesting of tables that is read as tables.
const MAX_DEPTH: usize = 200;

/// The title (if the file names one) and the body as Markdown.
pub(super) fn read(bytes: &[u8]) -> Result<(Option<String>, String), String> {
    if bytes.starts_with(&[0xD0, 0xCF, 0x11, 0xE0]) {
        return Err("is an old .doc file or protected by a password; save it as .docx without one".to_owned());
    }
    let mut archive =
        zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| format!("is no DOCX file ({error}); save it again as .docx"))?;
    let document = part(&mut archive, "word/document.xml")?.ok_or("has no word/document.xml; save it again as .docx")?;
    let styles = part(&mut archive, "word/styles.xml")?.map(|text| heading_styles(&text)).transpose()?.unwrap_or_default();
    let title = part(&mut archive, "docProps/core.xml")?.and_then(|text| title_of(&text));
    Ok((title, Body::new(styles).read(&document)?))
}

type Archive<'a> = zip::ZipArchive<Cursor<&'a [u8]>>;

fn part(archive: &mut Archive<'_>, name: &str) -> Result<Option<String>, String> {
    let file = match archive.by_name(name) {
        Ok(file) => file,
        Err(zip::result::ZipError::FileNotFound) => return Ok(None),
        Err(error) => return Err(format!("{name}: {error}")),
    };
    let mut text = String::new();
    let mut limited = file.take(MAX_PART_BYTES + 1);
    limited.read_to_string(&mut text).map_err(|error| format!("{name}: {error}"))?;
    if text.len() as u64 > MAX_PART_BYTES {
        return Err(format!("{name} unpacks to more than {} MiB; split the file", MAX_PART_BYTES / (1024 * 1024)));
    }
    Ok(Some(text))
}

fn broken(error: impl std::fmt::Display) -> String {
    format!("holds broken XML: {error}")
}

/// The value of an attribute by its name without prefix.
fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = element.attributes().flatten().find(|attribute| attribute.key.local_name().as_ref() == name.as_bytes())?;
    Some(String::from_utf8_lossy(&found.value).into_owned())
}

/// Style ids that are headings, with their level (0: title).
fn heading_styles(text: &str) -> Result<Vec<(String, usize)>, String> {
    let mut reader = Reader::from_str(text);
    let (mut styles, mut id) = (Vec::new(), String::new());
    loop {
        match reader.read_event().map_err(broken)? {
            Event::Start(element) | Event::Empty(element) => match element.local_name().as_ref() {
                b"style" => id = attribute(&element, "styleId").unwrap_or_default(),
                b"name" => {
                    styles.extend(level_of(&attribute(&element, "val").unwrap_or_default()).map(|level| (id.clone(), level)))
                }
                _ => {}
            },
            Event::Eof => return Ok(styles),
            _ => {}
        }
    }
}

/// The level that a style name speaks of.
fn level_of(name: &str) -> Option<usize> {
    let name = name.to_lowercase();
    if name == "title" || name == "标题" {
        return Some(0);
    }
    let number = name.strip_prefix("heading").or_else(|| name.strip_prefix("标题"))?;
    number.trim().parse().ok().filter(|level| (1..=6).contains(level))
}

fn title_of(text: &str) -> Option<String> {
    let mut reader = Reader::from_str(text);
    let (mut inside, mut title) = (false, String::new());
    loop {
        match reader.read_event().ok()? {
            Event::Start(element) => inside = element.local_name().as_ref() == b"title",
            Event::Text(piece) if inside => title.push_str(&piece.decode().ok()?),
            Event::End(_) => inside = false,
            Event::Eof => return Some(title.trim().to_owned()).filter(|title| !title.is_empty()),
            _ => {}
        }
    }
}

/// A table that is being read: finished rows and the row under way.
#[derive(Default)]
struct Table {
    rows: Vec<Vec<String>>,
    cell: Vec<String>,
}

struct Body {
    styles: Vec<(String, usize)>,
    tables: Vec<Table>,
    out: Vec<String>,
    line: String,
    heading: Option<usize>,
    item: bool,
    in_text: bool,
}

impl Body {
    fn new(styles: Vec<(String, usize)>) -> Self {
        let (tables, out) = (Vec::new(), Vec::new());
        Self { styles, tables, out, line: String::new(), heading: None, item: false, in_text: false }
    }

    fn read(mut self, text: &str) -> Result<String, String> {
        let mut reader = Reader::from_str(text);
        loop {
            match reader.read_event().map_err(broken)? {
                Event::Start(element) => self.open(&element, false)?,
                Event::Empty(element) => self.open(&element, true)?,
                Event::End(element) => self.close(element.local_name().as_ref()),
                Event::Text(piece) if self.in_text => self.line.push_str(&piece.decode().map_err(broken)?),
                Event::GeneralRef(reference) if self.in_text => {
                    let name = reference.decode().map_err(broken)?;
                    let sign = reference.resolve_char_ref().map_err(broken)?.map(String::from);
                    self.line.push_str(
                        &sign
                            .or_else(|| quick_xml::escape::resolve_predefined_entity(&name).map(str::to_owned))
                            .unwrap_or_default(),
                    );
                }
                Event::Eof => break,
                _ => {}
            }
        }
        Ok(self.out.join("\n\n"))
    }

    fn open(&mut self, element: &BytesStart<'_>, empty: bool) -> Result<(), String> {
        let value = || attribute(element, "val");
        match element.local_name().as_ref() {
            b"t" => self.in_text = !empty,
            b"tab" => self.line.push(' '),
            b"br" | b"cr" => self.line.push('\n'),
            b"pStyle" => {
                let id = value().unwrap_or_default();
                let known = self.styles.iter().find(|(style, _)| *style == id).map(|(_, level)| *level);
                self.heading = known.or_else(|| level_of(&id));
            }
            b"outlineLvl" => {
                let level = value().and_then(|value| value.parse::<usize>().ok());
                self.heading = self.heading.or(level.filter(|level| *level < 6).map(|level| level + 1));
            }
            b"numPr" => self.item = true,
            b"tbl" => {
                if self.tables.len() == MAX_DEPTH {
                    return Err(format!("nests tables more than {MAX_DEPTH} deep; save it in a simpler form"));
                }
                self.tables.push(Table::default());
            }
            b"tr" => self.tables.iter_mut().last().into_iter().for_each(|table| table.rows.push(Vec::new())),
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &[u8]) {
        match name {
            b"t" => self.in_text = false,
            b"p" => self.paragraph(),
            b"tc" => {
                if let Some(table) = self.tables.last_mut() {
                    let cell = std::mem::take(&mut table.cell).join(" ");
                    table.rows.last_mut().into_iter().for_each(|row| row.push(cell.clone()));
                }
            }
            b"tbl" => {
                let Some(table) = self.tables.pop() else { return };
                let written = markdown_table(&table.rows);
                match self.tables.last_mut() {
                    // a table inside a cell becomes text of the cell
                    Some(outer) => outer.cell.extend(table.rows.into_iter().map(|row| row.join(" "))),
                    None => self.out.extend(written),
                }
            }
            _ => {}
        }
    }

    fn paragraph(&mut self) {
        let text = literal(std::mem::take(&mut self.line).trim());
        let (heading, item) = (self.heading.take(), std::mem::take(&mut self.item));
        if text.is_empty() {
            return;
        }
        if let Some(table) = self.tables.last_mut() {
            table.cell.push(text.replace('\n', " "));
            return;
        }
        self.out.push(match heading {
            Some(level) => format!("{} {}", "#".repeat(level.max(1)), text.replace('\n', " ")),
            None if item => format!("- {}", text.replace('\n', " ")),
            None => text.lines().map(escaped).collect::<Vec<_>>().join("\n"),
        });
    }
}

/// A text whose signs must not be read as inline marks.
fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '`' | '\\') {
            literal.push('\\');
        }
        literal.push(c);
    }
    literal
}

/// A line that must not be read as markup.
fn escaped(line: &str) -> String {
    let marked = ["#", "- ", "* ", "|", ">", "```", "~~~", "+++"].iter().any(|mark| line.trim_start().starts_with(mark));
    if marked { format!("\u{200B}{line}") } else { line.to_owned() }
}

fn markdown_table(rows: &[Vec<String>]) -> Option<String> {
    let columns = rows.iter().map(Vec::len).max().filter(|columns| *columns > 0)?;
    let row = |cells: &[String]| {
        let cell = |n: usize| cells.get(n).map_or_else(String::new, |text| text.replace('|', "\\|"));
        format!("| {} |", (0..columns).map(cell).collect::<Vec<_>>().join(" | "))
    };
    let mut lines: Vec<String> = rows.iter().map(|cells| row(cells)).collect();
    lines.insert(1, format!("|{}", " --- |".repeat(columns)));
    Some(lines.join("\n"))
}

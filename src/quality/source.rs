//! Reading TOML and JSON into one raw form, with the place of every key and value.

use std::collections::HashMap;
use std::ops::Range;

use serde_json::{Map, Value as Json};
use toml_edit::{Document, Item, TableLike, Value as TomlValue};

use super::error::{Problem, Severity};

/// Where keys and values of a document stand, by JSON pointer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    text: String,
    keys: HashMap<String, Range<usize>>,
    values: HashMap<String, Range<usize>>,
}

/// A document: its content, its name and the places in it.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) json: Json,
    pub(crate) places: Places,
}

/// What part of a pointer's place a problem points to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Spot {
    Key,
    Value,
    /// A code point inside a string value.
    Inside(usize),
}

/// Escapes a key for a JSON pointer.
pub(crate) fn pointer_key(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

impl Source {
    pub(crate) fn toml(name: &str, text: &str) -> Result<Self, Box<Problem>> {
        let document = Document::parse(text.to_owned()).map_err(|e| {
            let offset = e.span().map_or(0, |span| span.start);
            let (line, column) = line_column(text, offset);
            // What a quote that is not closed swallows is seen as missing only later.
            let written = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
            let open = ['\'', '"'].into_iter().find(|quote| written.matches(*quote).count() % 2 == 1);
            Box::new(Problem {
                file: name.to_owned(),
                line,
                column,
                pointer: String::new(),
                code: "toml_syntax",
                message: e.message().trim().replace('\n', ", "),
                hint: open.map(|quote| format!("is a quote {quote} missing on this line?")),
                severity: Severity::Error,
            })
        })?;
        let mut places = Places { text: text.to_owned(), ..Places::default() };
        let json = table(document.as_table(), "", &mut places);
        Ok(Self { name: name.to_owned(), json, places })
    }

    pub(crate) fn json(name: &str, json: Json) -> Self {
        Self { name: name.to_owned(), json, places: Places::default() }
    }

    /// Line and column of a pointer; the nearest parent with a known place stands in for an unknown one.
    pub(crate) fn place(&self, pointer: &str, spot: Spot) -> (usize, usize) {
        if self.places.text.is_empty() {
            return (0, 0);
        }
        let places = &self.places;
        let mut at = pointer;
        loop {
            let exact = at.len() == pointer.len();
            let value = places.values.get(at);
            let range = if exact && spot == Spot::Key { places.keys.get(at).or(value) } else { value.or(places.keys.get(at)) };
            if let Some(range) = range {
                let offset = match spot {
                    Spot::Inside(chars) if exact => inside(&places.text, range, chars),
                    _ => range.start,
                };
                return line_column(&places.text, offset);
            }
            match at.rfind('/') {
                Some(cut) => at = &at[..cut],
                None => return (1, 1),
            }
        }
    }
}

/// The byte offset of a code point of a string value: only plain single-line strings are resolved.
fn inside(text: &str, range: &Range<usize>, chars: usize) -> usize {
    let raw = &text[range.clone()];
    let plain = raw.len() >= 2
        && (raw.starts_with('\'') || (raw.starts_with('"') && !raw.contains('\\')))
        && !raw.starts_with("'''")
        && !raw.starts_with("\"\"\"");
    if !plain {
        return range.start;
    }
    let skip: usize = raw[1..].chars().take(chars).map(char::len_utf8).sum();
    range.start + 1 + skip
}

fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..floor_boundary(text, offset)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

fn floor_boundary(text: &str, mut offset: usize) -> usize {
    offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

fn table(table: &dyn TableLike, pointer: &str, places: &mut Places) -> Json {
    let mut map = Map::new();
    for (name, item) in table.iter() {
        let child = format!("{pointer}/{}", pointer_key(name));
        if let Some(span) = table.key(name).and_then(toml_edit::Key::span) {
            places.keys.insert(child.clone(), span);
        }
        if let Some(value) = item_json(item, &child, places) {
            map.insert(name.to_owned(), value);
        }
    }
    Json::Object(map)
}

fn item_json(item: &Item, pointer: &str, places: &mut Places) -> Option<Json> {
    if let Some(span) = item.span() {
        places.values.insert(pointer.to_owned(), span);
    }
    Some(match item {
        Item::None => return None,
        Item::Value(value) => value_json(value, pointer, places),
        Item::Table(inner) => table(inner, pointer, places),
        Item::ArrayOfTables(list) => Json::Array(
            list.iter()
                .enumerate()
                .map(|(i, inner)| {
                    let child = format!("{pointer}/{i}");
                    if let Some(span) = inner.span() {
                        places.values.insert(child.clone(), span);
                    }
                    table(inner, &child, places)
                })
                .collect(),
        ),
    })
}

fn value_json(value: &TomlValue, pointer: &str, places: &mut Places) -> Json {
    if let Some(span) = value.span() {
        places.values.insert(pointer.to_owned(), span);
    }
    match value {
        TomlValue::String(text) => Json::String(text.value().clone()),
        TomlValue::Integer(number) => Json::from(*number.value()),
        TomlValue::Float(number) => serde_json::Number::from_f64(*number.value()).map_or(Json::Null, Json::Number),
        TomlValue::Boolean(truth) => Json::Bool(*truth.value()),
        TomlValue::Datetime(moment) => Json::String(moment.value().to_string()),
        TomlValue::Array(list) => {
            Json::Array(list.iter().enumerate().map(|(i, v)| value_json(v, &format!("{pointer}/{i}"), places)).collect())
        }
        TomlValue::InlineTable(inner) => table(inner, pointer, places),
    }
}

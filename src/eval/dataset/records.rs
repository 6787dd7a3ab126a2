//! Records with named columns: JSON lists, JSON lines, CSV, TSV.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::source::Source;
use super::{expect_kind, length_slice, mapped};
use crate::conversation::{Language, Role};
use crate::eval::example::{Dataset, Example, Gold, Input, Span};
use crate::eval::task::{Kind, Task};
use crate::eval::{EvalError, Result};

/// A record and the line it begins in.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// From 1; for JSON lists the number of the record.
    pub line: usize,
    /// Its values.
    pub values: serde_json::Map<String, Value>,
}

/// Lines that are not blank, with their numbers from 1.
pub fn numbered_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(i, l)| (i + 1, l.trim_end_matches('\r'))).filter(|(_, l)| !l.trim().is_empty())
}

/// Reads records by the ending of the file's name.
///
/// # Errors
/// A line that is no record; an ending that is not known.
pub fn parse_records(file: &str, text: &str) -> Result<Vec<Record>> {
    match file.rsplit_once('.').map(|(_, end)| end) {
        Some("jsonl") => json_lines(file, text),
        Some("json") => json_list(file, text),
        Some("csv") => table(file, text, b','),
        Some("tsv") => table(file, text, b'\t'),
        _ => Err(EvalError::File { file: file.into(), problem: "known endings are .json, .jsonl, .csv, .tsv".into() }),
    }
}

fn json_lines(file: &str, text: &str) -> Result<Vec<Record>> {
    numbered_lines(text)
        .map(|(line, words)| match serde_json::from_str::<Value>(words) {
            Ok(Value::Object(values)) => Ok(Record { line, values }),
            Ok(_) => Err(EvalError::line(file, line, "is no JSON object")),
            Err(error) => Err(EvalError::line(file, line, format!("is no JSON: {error}"))),
        })
        .collect()
}

fn json_list(file: &str, text: &str) -> Result<Vec<Record>> {
    let value: Value = serde_json::from_str(text).map_err(|e| EvalError::line(file, e.line(), format!("is no JSON: {e}")))?;
    let list = match value {
        Value::Array(list) => list,
        // Hugging Face exports wrap the list.
        Value::Object(mut map) => match map.remove("data").or_else(|| map.remove("rows")) {
            Some(Value::Array(list)) => list,
            _ => return Err(EvalError::line(file, 1, "neither a list nor an object with a list under \"data\" or \"rows\"")),
        },
        _ => return Err(EvalError::line(file, 1, "neither a list nor an object")),
    };
    let record = |(number, value): (usize, Value)| match value {
        Value::Object(mut map) => match (map.len(), map.remove("row")) {
            (1, Some(Value::Object(inner))) => Ok(Record { line: number + 1, values: inner }),
            (_, row) => {
                map.extend(row.map(|r| ("row".to_owned(), r)));
                Ok(Record { line: number + 1, values: map })
            }
        },
        _ => Err(EvalError::File { file: file.into(), problem: format!("record {} is no object", number + 1) }),
    };
    list.into_iter().enumerate().map(record).collect()
}

fn table(file: &str, text: &str, delimiter: u8) -> Result<Vec<Record>> {
    let quoting = delimiter == b',';
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).quoting(quoting).from_reader(text.as_bytes());
    let failed = |error: csv::Error| {
        let line = error.position().map_or(1, |p| p.line() as usize);
        EvalError::line(file, line, error.to_string())
    };
    let heads = reader.headers().map_err(failed)?.clone();
    let mut records = Vec::new();
    for row in reader.records() {
        let row = row.map_err(failed)?;
        let line = row.position().map_or(1, |p| p.line() as usize);
        let values = heads.iter().zip(&row).map(|(h, v)| (h.trim().to_owned(), Value::String(v.to_owned()))).collect();
        records.push(Record { line, values });
    }
    Ok(records)
}

impl Record {
    /// A value as text; numbers and booleans are written out.
    fn text(&self, field: &str) -> Option<String> {
        match self.values.get(field)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(yes) => Some(yes.to_string()),
            _ => None,
        }
    }

    /// A list of labels: a JSON list, or a text parted by commas.
    fn list(&self, field: &str) -> Option<Vec<String>> {
        match self.values.get(field)? {
            Value::Array(list) => list.iter().map(|v| v.as_str().map(str::to_owned)).collect(),
            Value::String(text) => Some(text.split(',').map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect()),
            _ => None,
        }
    }
}

/// Examples of a records file: `[dataset.fields]` names the columns (`id`, `text`, `label`, `labels`, `spans`, `language`,
/// `situation`, and the slices).
pub(super) fn load(task: &Task, source: &Source) -> Result<Dataset> {
    expect_kind(task, &[Kind::Label, Kind::Labels, Kind::Spans, Kind::Text, Kind::Speed])?;
    let path = match &task.dataset.split {
        Some(split) => task.dataset.path.replace("{split}", split),
        None => task.dataset.path.clone(),
    };
    let file = source.name(&path);
    let records = parse_records(&file, &source.text(&path)?)?;
    let mut examples = Vec::new();
    for record in &records {
        examples.extend(example(task, &file, record)?);
    }
    Ok(Dataset { examples, sha256: String::new(), corpus: Vec::new() })
}

fn example(task: &Task, file: &str, record: &Record) -> Result<Option<Example>> {
    let field = |what: &str| task.dataset.fields.get(what).cloned().unwrap_or_else(|| what.to_owned());
    let missing = |what: &str| {
        let known = record.values.keys().cloned().collect::<Vec<_>>().join(", ");
        EvalError::line(file, record.line, format!("no \"{}\"; the columns are {known}", field(what)))
    };
    let text = record.text(&field("text")).ok_or_else(|| missing("text"))?;
    let Some(gold) = gold(task, file, record, &field, &missing, &text)? else { return Ok(None) };
    let id = record.text(&field("id")).unwrap_or_else(|| record.line.to_string());
    let language =
        record.text(&field("language")).and_then(|tag| Language::from_tag(&tag)).unwrap_or_else(|| Language::of_text(&text));
    let role = record.text(&field("role")).and_then(|r| Role::from_name(&r)).unwrap_or_default();
    let mut slices: BTreeMap<String, String> =
        task.slices.iter().filter_map(|slice| record.text(&field(slice)).map(|value| (slice.clone(), value))).collect();
    slices.insert("language".into(), language.name().into());
    slices.insert("length".into(), length_slice(&text).into());
    if let Gold::Label(labels) = &gold {
        slices.extend(labels.first().map(|l| ("label".to_owned(), l.clone())));
    }
    let situation = record.text(&field("situation")).unwrap_or_else(|| id.clone());
    Ok(Some(Example { id, input: Input::Text(text), gold, language, role, situation, slices }))
}

fn gold(
    task: &Task,
    file: &str,
    record: &Record,
    field: &dyn Fn(&str) -> String,
    missing: &dyn Fn(&str) -> EvalError,
    text: &str,
) -> Result<Option<Gold>> {
    Ok(match task.kind() {
        Kind::Label => {
            let label = record.text(&field("label")).ok_or_else(|| missing("label"))?;
            mapped(task, file, record.line, &label)?.map(|label| Gold::Label(vec![label]))
        }
        Kind::Labels => {
            let labels = record.list(&field("labels")).ok_or_else(|| missing("labels"))?;
            let mut ours = BTreeSet::new();
            for label in labels {
                ours.extend(mapped(task, file, record.line, &label)?);
            }
            Some(Gold::Labels(ours))
        }
        Kind::Spans => {
            let Some(Value::Array(list)) = record.values.get(&field("spans")) else { return Err(missing("spans")) };
            Some(Gold::Spans(spans(task, file, record.line, field, list, text.chars().count())?))
        }
        Kind::Speed => Some(Gold::None),
        _ => Some(Gold::Text(record.text(&field("label")).ok_or_else(|| missing("label"))?)),
    })
}

fn spans(
    task: &Task,
    file: &str,
    line: usize,
    field: &dyn Fn(&str) -> String,
    list: &[Value],
    length: usize,
) -> Result<BTreeSet<Span>> {
    let mut all = BTreeSet::new();
    for span in list {
        let place = |name: &str| span.get(field(name)).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        let kind = span.get(field("type")).and_then(Value::as_str);
        let (Some(start), Some(end), Some(kind)) = (place("start"), place("end"), kind) else {
            let problem = format!("a span needs \"{}\", \"{}\" and \"{}\"", field("type"), field("start"), field("end"));
            return Err(EvalError::line(file, line, problem));
        };
        if start >= end || end > length {
            let problem = format!("a span from {start} to {end} does not lie in a text of {length} characters");
            return Err(EvalError::line(file, line, problem));
        }
        all.extend(mapped(task, file, line, kind)?.map(|kind| Span { kind, start, end }));
    }
    Ok(all)
}

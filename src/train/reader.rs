//! Data files: JSON lines, CSV and CLINC150's JSON.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::data::{Complaints, OUT_OF_SCOPE, Row};
use super::error::TrainError;

/// Longest text of a row, code points.
const TEXT_MAX: usize = 100_000;

/// Rows of a file by split; most files hold training rows alone.
#[derive(Default)]
pub(super) struct Parts {
    pub train: Vec<Row>,
    pub dev: Vec<Row>,
    pub test: Vec<Row>,
}

impl Parts {
    /// All rows, whatever split the file puts them in; a file given as test file with splits of its own gives its test.
    pub(super) fn all(self) -> Vec<Row> {
        if self.test.is_empty() { self.train } else { self.test }
    }
}

/// How rows are read.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    /// Name of the head, which is the first name of the label field too.
    pub task: &'a str,
    /// Whether a row may have no label at all.
    pub several: bool,
    /// Whether rows without a label are left out instead of refused.
    pub skip_unlabelled: bool,
}

/// Reads a file by its ending.
pub(super) fn read(path: &Path, rules: Rules<'_>) -> Result<Parts, TrainError> {
    let bytes = std::fs::read(path).map_err(|source| TrainError::Unreadable { path: path.to_owned(), source })?;
    let Ok(text) = String::from_utf8(bytes) else {
        let line_of = "its bytes are no UTF-8";
        return Err(TrainError::data(format!("{}: {line_of}", path.display()), "save the file as UTF-8"));
    };
    let text = text.trim_start_matches('\u{feff}');
    match path.extension().and_then(|e| e.to_str()).unwrap_or_default() {
        "jsonl" | "ndjson" => Ok(Parts { train: json_lines(path, text, rules)?, ..Parts::default() }),
        "csv" | "tsv" => Ok(Parts { train: table(path, text, rules)?, ..Parts::default() }),
        "json" => clinc(path, text),
        other => Err(TrainError::data(
            format!("{}: a file that ends in \"{other}\" is not read", path.display()),
            "give .jsonl ({text, label} per line), .csv (text,category) or CLINC150's .json",
        )),
    }
}

/// Names under which a row may carry its labels, each with its plural, the task's own first.
fn label_fields(task: &str) -> Vec<String> {
    [task, "label", "intent", "category"].into_iter().flat_map(|name| [name.to_owned(), format!("{name}s")]).collect()
}

/// A label as it stands in the head; the public sets write `oos`.
fn label(name: &str) -> String {
    if name == "oos" { OUT_OF_SCOPE.to_owned() } else { name.to_owned() }
}

/// Ids seen so far and where.
#[derive(Default)]
struct Ids(HashMap<String, usize>);

impl Ids {
    fn check(&mut self, id: Option<String>, line: usize) -> Result<(), String> {
        let Some(id) = id else { return Ok(()) };
        match self.0.insert(id.clone(), line) {
            Some(first) => Err(format!("id \"{id}\" stands in line {first} already")),
            None => Ok(()),
        }
    }
}

fn checked(text: Option<&str>) -> Result<String, String> {
    let text = text.ok_or("`text` is missing or no text")?.trim();
    match text.chars().count() {
        0 => Err("`text` is blank".to_owned()),
        n if n > TEXT_MAX => Err(format!("`text` has {n} code points, at most {TEXT_MAX} are read")),
        _ => Ok(text.to_owned()),
    }
}

fn json_lines(path: &Path, text: &str, rules: Rules<'_>) -> Result<Vec<Row>, TrainError> {
    let fields = label_fields(rules.task);
    let (mut rows, mut ids, mut bad) = (Vec::new(), Ids::default(), Complaints::new(path));
    let lines = (1..).zip(text.lines()).filter(|(_, content)| !content.trim().is_empty());
    let parse = |content: &str| serde_json::from_str::<Map<String, Value>>(content).map_err(|e| format!("no JSON object: {e}"));
    let objects: Vec<_> = lines.map(|(line, content)| (line, parse(content))).collect();
    // One name, or its plural, holds the labels of the whole file: a row without it has no label, whatever else it carries.
    let holds = |o: &Map<String, Value>, name: &String| o.get(name).is_some_and(|v| !v.is_null());
    let filled = |names: &&[String]| objects.iter().flat_map(|(_, o)| o).any(|o| names.iter().any(|name| holds(o, name)));
    let names = fields.chunks(2).find(filled).unwrap_or_default();
    for (line, parsed) in objects {
        let row = parsed.and_then(|object| {
            let id = object.get("id").map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
            ids.check(id, line)?;
            let group = ["situation", "group"].iter().find_map(|f| object.get(*f)?.as_str()).map(str::to_owned);
            Ok(Row { text: checked(object.get("text").and_then(Value::as_str))?, labels: labels(&object, names)?, group })
        });
        match row {
            Ok(row) if row.labels.is_empty() && rules.skip_unlabelled => {}
            Ok(row) if row.labels.is_empty() && !rules.several => {
                bad.add(line, format!("no label in {} (`--skip-unlabelled` leaves such rows out)", fields.join(", ")));
            }
            Ok(row) => rows.push(row),
            Err(what) => bad.add(line, what),
        }
    }
    bad.end().map(|()| rows)
}

/// Labels of a row; none when no field has them.
fn labels(object: &Map<String, Value>, names: &[String]) -> Result<Vec<String>, String> {
    let Some((field, value)) = names.iter().find_map(|f| Some((f, object.get(f).filter(|v| !v.is_null())?))) else {
        return Ok(Vec::new());
    };
    let text = |v: &Value| match v {
        Value::String(s) if !s.trim().is_empty() => Ok(label(s.trim())),
        Value::Number(n) => Ok(n.to_string()),
        _ => Err(format!("`{field}` must be a label or a list of labels")),
    };
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        other => Ok(vec![text(other)?]),
    }
}

fn table(path: &Path, text: &str, rules: Rules<'_>) -> Result<Vec<Row>, TrainError> {
    let delimiter = if path.extension().is_some_and(|e| e == "tsv") { b'\t' } else { b',' };
    // A tab never stands in a text, so quotes of a tab-separated table are the text's own.
    let quoted = delimiter == b',';
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).quoting(quoted).flexible(true).from_reader(text.as_bytes());
    let unread = |e: csv::Error| TrainError::data(format!("{}: {e}", path.display()), "correct the table");
    let header: Vec<String> = reader.headers().map_err(unread)?.iter().map(|h| h.trim().to_lowercase()).collect();
    let place = |names: &[String]| names.iter().find_map(|n| header.iter().position(|h| h == n));
    let Some(text_at) = place(&["text".to_owned(), "utterance".to_owned()]) else {
        let what = format!("{}: no column `text` among {}", path.display(), header.join(", "));
        return Err(TrainError::data(what, "name the columns in the first line, for example text,category"));
    };
    let fields = label_fields(rules.task);
    let Some(label_at) = place(&fields) else {
        let what = format!("{}: no column for labels among {}", path.display(), header.join(", "));
        return Err(TrainError::data(what, format!("name it one of {}", fields.join(", "))));
    };
    let id_at = header.iter().position(|h| h == "id");
    let (mut rows, mut ids, mut bad) = (Vec::new(), Ids::default(), Complaints::new(path));
    for record in reader.records() {
        let record = record.map_err(unread)?;
        let line = record.position().map_or(0, |p| p.line() as usize);
        let row = (|| {
            if record.len() > header.len() {
                let fix = if quoted { "; a text with a comma needs quotes around it" } else { "" };
                return Err(format!("{} columns, the first line names {}{fix}", record.len(), header.len()));
            }
            ids.check(id_at.and_then(|at| record.get(at)).map(str::to_owned), line)?;
            let name = record.get(label_at).map(str::trim).filter(|l| !l.is_empty());
            if name.is_none() && !rules.skip_unlabelled {
                return Err(format!("column `{}` is empty (`--skip-unlabelled` leaves such rows out)", header[label_at]));
            }
            let labels = name.map(label).into_iter().collect();
            Ok(Row { text: checked(record.get(text_at))?, labels, group: None })
        })();
        match row {
            Ok(row) if row.labels.is_empty() => {}
            Ok(row) => rows.push(row),
            Err(what) => bad.add(line, what),
        }
    }
    bad.end().map(|()| rows)
}

/// CLINC150: an object of splits, each a list of pairs of text and label.
fn clinc(path: &Path, text: &str) -> Result<Parts, TrainError> {
    type Pairs = Vec<(String, String)>;
    let unread = |e| TrainError::data(format!("{}: {e}", path.display()), "give an object of splits with [text, label] pairs");
    let mut splits: HashMap<String, Pairs> = serde_json::from_str(text).map_err(unread)?;
    let mut bad = Complaints::new(path);
    let mut take = |names: [&str; 2]| {
        let mut rows = Vec::new();
        for name in names {
            for (place, (text, name)) in (1..).zip(splits.remove(name).unwrap_or_default()) {
                match checked(Some(&text)) {
                    Ok(text) => rows.push(Row { text, labels: vec![label(&name)], group: None }),
                    Err(what) => bad.add(place, what),
                }
            }
        }
        rows
    };
    let parts = Parts { train: take(["train", "oos_train"]), dev: take(["val", "oos_val"]), test: take(["test", "oos_test"]) };
    if let Some(name) = splits.keys().next() {
        let what = format!("{}: split \"{name}\" is not known", path.display());
        return Err(TrainError::data(what, "known are train, val, test and the same with oos_ before them"));
    }
    bad.end().map(|()| parts)
}

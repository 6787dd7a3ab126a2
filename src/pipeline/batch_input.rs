//! Conversations from files: JSON, JSONL and Parquet. One at a time, so memory does not grow with the files.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::{Map, Value, json};

use crate::conversation::Conversation;
use crate::quality::check_conversation;

/// Longest line, bytes: a conversation of the most turns with annotations is far below.
const LINE_MAX: u64 = 256 << 20;

/// One conversation of a file, not read yet: a text, or rows put together.
pub struct RawConversation {
    /// `file:line` or `file:row`.
    pub place: String,
    /// What stands there, or why it cannot be read.
    pub text: Result<Vec<u8>, String>,
}

impl RawConversation {
    /// Reads it. Errors say what is wrong, not what was said.
    ///
    /// # Errors
    /// Not a conversation of the interchange form, or one that cannot be scored.
    pub fn read(self) -> Result<Conversation, Refused> {
        let Self { place, text } = self;
        let outcome = text.and_then(|text| {
            let text = std::str::from_utf8(&text).map_err(|_| "not UTF-8".to_owned())?;
            let conversation: Conversation = serde_json::from_str(text).map_err(|e| reason(&e))?;
            if conversation.id.is_empty() {
                return Err("the conversation has no id".to_owned());
            }
            check_conversation(&conversation).map_err(|e| e.to_string())?;
            Ok(conversation)
        });
        outcome.map_err(|reason| Refused { place, reason })
    }
}

/// What JSON lacks, with its column: the line is in the place already.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    if error.line() > 1 {
        format!("{what} (line {} column {})", error.line(), error.column())
    } else {
        format!("{what} (column {})", error.column())
    }
}

/// Something in a file that is no conversation.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Refused {
    /// `file:line` or `file:row`.
    pub place: String,
    /// What is wrong.
    pub reason: String,
}

/// Kinds of files that [`conversations`] reads.
pub const CONVERSATION_FILES: [&str; 4] = ["json", "jsonl", "ndjson", "parquet"];

/// Files of some kinds, in folders and below them, sorted.
///
/// # Errors
/// A path is not there or a folder cannot be read; the message names it.
pub fn files_of(paths: &[PathBuf], kinds: &[&str]) -> Result<Vec<PathBuf>, String> {
    let mut all = Vec::new();
    for path in paths {
        if path.is_file() {
            all.push(path.clone());
        } else if path.is_dir() {
            let mut inside = Vec::new();
            walk(path, kinds, &mut inside)?;
            inside.sort();
            all.extend(inside);
        } else {
            return Err(format!("{}: there is no such file or folder", path.display()));
        }
    }
    Ok(all)
}

fn walk(folder: &Path, kinds: &[&str], out: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|e| format!("{}: {e}", folder.display()))?.path();
        if path.is_dir() {
            walk(&path, kinds, out)?;
        } else if is_kind(&path, kinds) {
            out.push(path);
        }
    }
    Ok(())
}

/// Whether a file's name ends in one of some kinds.
pub fn is_kind(path: &Path, kinds: &[&str]) -> bool {
    path.extension().is_some_and(|e| kinds.contains(&e.to_string_lossy().to_lowercase().as_str()))
}

/// Hands over every conversation of a file with the number of bytes read so far. `take` stops by an error.
///
/// A Parquet file has either a column `conversation` (or `body`) with the JSON of one conversation a row, or one row a
/// turn: `conversation_id` (or `call_id`), `role`, `text` and as far as known `start_ms`, `end_ms`, `turn_id`, and of the
/// conversation `language channel direction queue agent_id team started_at duration_ms hangup_by audio`; rows of a
/// conversation stand together, in their order.
///
/// # Errors
/// The file cannot be opened or read, or `take` failed.
pub fn conversations<E: From<String>>(path: &Path, mut take: impl FnMut(RawConversation, u64) -> Result<(), E>) -> Result<(), E> {
    let name = path.display().to_string();
    let failed = |e: std::io::Error| E::from(format!("{name}: {e}"));
    if is_kind(path, &["parquet"]) {
        return parquet_conversations(path, &name, take);
    }
    if is_kind(path, &["json"]) {
        let text = std::fs::read(path).map_err(failed)?;
        let bytes = text.len() as u64;
        return take(RawConversation { place: name, text: Ok(text) }, bytes);
    }
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(failed)?);
    let (mut number, mut bytes) = (0_u64, 0_u64);
    loop {
        let mut line = Vec::new();
        let read = (&mut reader).take(LINE_MAX).read_until(b'\n', &mut line).map_err(failed)?;
        if read == 0 {
            return Ok(());
        }
        number += 1;
        bytes += read as u64;
        let place = format!("{name}:{number}");
        if read as u64 == LINE_MAX {
            bytes += skip_line(&mut reader).map_err(failed)?;
            take(RawConversation { place, text: Err(format!("the line is longer than {} MiB", LINE_MAX >> 20)) }, bytes)?;
        } else if !line.iter().all(u8::is_ascii_whitespace) {
            take(RawConversation { place, text: Ok(line) }, bytes)?;
        }
    }
}

fn skip_line(reader: &mut impl BufRead) -> std::io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(skipped);
        }
        let (used, ends) = match buffer.iter().position(|b| *b == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), false),
        };
        reader.consume(used);
        skipped += used as u64;
        if ends {
            return Ok(skipped);
        }
    }
}

fn parquet_conversations<E: From<String>>(
    path: &Path,
    name: &str,
    mut take: impl FnMut(RawConversation, u64) -> Result<(), E>,
) -> Result<(), E> {
    let size = std::fs::metadata(path).map_err(|e| E::from(format!("{name}: {e}")))?.len();
    let file = File::open(path).map_err(|e| E::from(format!("{name}: {e}")))?;
    let not_parquet = |e: parquet::errors::ParquetError| E::from(format!("{name}: not readable as Parquet: {e}"));
    let reader = SerializedFileReader::new(file).map_err(not_parquet)?;
    let rows_in_all = reader.metadata().file_metadata().num_rows().max(1) as u64;
    let columns: Vec<String> =
        reader.metadata().file_metadata().schema_descr().columns().iter().map(|c| c.path().string()).collect();
    let has = |wanted: &[&str]| columns.iter().any(|c| wanted.contains(&c.as_str()));
    let whole = has(&["conversation", "body"]);
    if !(whole || (has(&["conversation_id", "call_id"]) && has(&["role"]) && has(&["text"]))) {
        return Err(E::from(format!(
            "{name}: needs a column conversation, or conversation_id, role and text; it has {}",
            columns.join(", ")
        )));
    }
    let mut open: Option<(String, u64, Map<String, Value>)> = None;
    let mut number = 0;
    let bytes = |number: u64| size * number / rows_in_all;
    for row in reader.get_row_iter(None).map_err(not_parquet)? {
        number += 1;
        let row = row.map_err(not_parquet)?;
        if whole {
            let text =
                text_of(&row, &["conversation", "body"]).map(String::into_bytes).ok_or_else(|| "the row is empty".to_owned());
            take(RawConversation { place: format!("{name}:{number}"), text }, bytes(number))?;
            continue;
        }
        let id = text_of(&row, &["conversation_id", "call_id"]).unwrap_or_default();
        if open.as_ref().is_some_and(|(known, _, _)| *known != id)
            && let Some(done) = open.take()
        {
            take(put_together(name, done), bytes(number))?;
        }
        let (_, _, head) = open.get_or_insert_with(|| (id.clone(), number, head_of_row(&id, &row)));
        if let Some(Value::Array(turns)) = head.get_mut("turns") {
            turns.push(turn_of_row(&row));
        }
    }
    match open {
        Some(done) => take(put_together(name, done), size),
        None => Ok(()),
    }
}

fn put_together(name: &str, (_, row, head): (String, u64, Map<String, Value>)) -> RawConversation {
    RawConversation { place: format!("{name}:{row}"), text: Ok(Value::Object(head).to_string().into_bytes()) }
}

fn head_of_row(id: &str, row: &Row) -> Map<String, Value> {
    let mut head = Map::new();
    head.insert("id".into(), json!(id));
    for key in
        ["language", "channel", "direction", "queue", "agent_id", "team", "started_at", "hangup_by", "audio", "duration_ms"]
    {
        if let Some(value) = value_of(row, key) {
            head.insert(key.into(), value);
        }
    }
    head.insert("turns".into(), json!([]));
    head
}

fn turn_of_row(row: &Row) -> Value {
    let mut turn = Map::new();
    for (key, column) in [
        ("id", "turn_id"),
        ("role", "role"),
        ("text", "text"),
        ("start_ms", "start_ms"),
        ("end_ms", "end_ms"),
        ("energy_db", "energy_db"),
    ] {
        if let Some(value) = value_of(row, column) {
            turn.insert(key.into(), value);
        }
    }
    Value::Object(turn)
}

fn text_of(row: &Row, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| match value_of(row, name)? {
        Value::String(text) => Some(text),
        Value::Null => None,
        other => Some(other.to_string()),
    })
}

fn value_of(row: &Row, name: &str) -> Option<Value> {
    let (_, field) = row.get_column_iter().find(|(column, _)| *column == name)?;
    Some(match field {
        Field::Bool(v) => json!(v),
        Field::Byte(v) => json!(v),
        Field::Short(v) => json!(v),
        Field::Int(v) => json!(v),
        Field::Long(v) | Field::TimestampMillis(v) => json!(v),
        Field::UByte(v) => json!(v),
        Field::UShort(v) => json!(v),
        Field::UInt(v) => json!(v),
        Field::ULong(v) => json!(v),
        Field::Float(v) => json!(v),
        Field::Double(v) => json!(v),
        Field::Str(v) => json!(v),
        Field::Bytes(v) => json!(String::from_utf8_lossy(v.data())),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::column::writer::ColumnWriter;
    use parquet::data_type::ByteArray;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    fn write(path: &Path, schema: &str, texts: &[Vec<&str>], times: &[Vec<i64>]) {
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let properties = Arc::new(WriterProperties::builder().build());
        let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let (mut texts, mut times) = (texts.iter(), times.iter());
        while let Some(mut column) = group.next_column().unwrap() {
            match column.untyped() {
                ColumnWriter::ByteArrayColumnWriter(writer) => {
                    let values: Vec<ByteArray> = texts.next().unwrap().iter().map(|t| ByteArray::from(*t)).collect();
                    writer.write_batch(&values, None, None).unwrap();
                }
                ColumnWriter::Int64ColumnWriter(writer) => {
                    writer.write_batch(times.next().unwrap(), None, None).unwrap();
                }
                _ => unreachable!("the schema has texts and times only"),
            }
            column.close().unwrap();
        }
        group.close().unwrap();
        writer.close().unwrap();
    }

    fn read(path: &Path) -> Vec<Conversation> {
        let mut all = Vec::new();
        conversations(path, |raw, _| {
            all.push(raw.read().unwrap());
            Ok::<(), String>(())
        })
        .unwrap();
        all
    }

    #[test]
    fn parquet_holds_conversations_or_turns() {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("whole.parquet");
        let body = r#"{"id":"c1","turns":[{"role":"agent","text":"您好","start_ms":0,"end_ms":900}]}"#;
        write(&whole, "message m { required binary conversation (UTF8); }", &[vec![body]], &[]);
        assert_eq!((read(&whole)[0].id.as_str(), read(&whole)[0].turns[0].end_ms), ("c1", Some(900)));
        let turns = folder.path().join("turns.parquet");
        let schema = "message m { required binary call_id (UTF8); required binary role (UTF8); required binary text (UTF8);
            required binary queue (UTF8); required int64 start_ms; required int64 end_ms; }";
        let texts = [vec!["a", "a", "b"], vec!["agent", "customer", "agent"], vec!["您好", "退款", "喂"], vec!["q", "q", "r"]];
        write(&turns, schema, &texts, &[vec![0, 1_000, 0], vec![900, 2_000, 500]]);
        let all = read(&turns);
        let shape: Vec<(&str, usize, Option<&str>)> =
            all.iter().map(|c| (c.id.as_str(), c.turns.len(), c.queue.as_deref())).collect();
        assert_eq!(shape, [("a", 2, Some("q")), ("b", 1, Some("r"))]);
        assert_eq!((all[0].turns[1].text.as_str(), all[0].turns[1].start_ms), ("退款", Some(1_000)));
        let other = folder.path().join("other.parquet");
        write(&other, "message m { required binary name (UTF8); }", &[vec!["x"]], &[]);
        let outcome = conversations(&other, |_, _| Ok::<(), String>(()));
        assert!(outcome.unwrap_err().contains("needs a column conversation"));
    }
}

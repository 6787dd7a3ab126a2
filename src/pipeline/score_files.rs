//! Where a batch of scorecards goes: a journal that survives a kill, and Parquet tables made of it.
//!
//! `scores.jsonl` is the journal: one scorecard a line, appended when a group is scored. A run that was killed leaves at
//! most one line cut; [`Journal::open`] cuts it off, knows what was scored, and the next run goes on, so every
//! conversation is scored exactly once.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use sha2::{Digest, Sha256};

use crate::quality::{Rule, RuleState, Scheme, Scorecard};

/// Rows of a Parquet row group; bounds the memory of writing.
const GROUP: usize = 20_000;

/// The journal of a scoring run.
pub struct Journal {
    path: PathBuf,
    writer: BufWriter<File>,
    done: HashSet<u128>,
}

#[derive(serde::Deserialize)]
struct Named {
    call_id: String,
}

fn key(call_id: &str) -> u128 {
    let mut bits = [0_u8; 16];
    bits.copy_from_slice(&Sha256::digest(call_id.as_bytes())[..16]);
    u128::from_be_bytes(bits)
}

impl Journal {
    /// Opens a journal or makes one; a line that a kill has cut is dropped.
    ///
    /// # Errors
    /// The file cannot be read or written, or it holds something else.
    pub fn open(path: &Path) -> Result<Self, String> {
        let failed = |e: std::io::Error| format!("{}: {e}", path.display());
        let mut done = HashSet::new();
        let mut whole = 0_u64;
        if path.is_file() {
            let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(failed)?);
            let mut line = Vec::new();
            loop {
                line.clear();
                let read = reader.read_until(b'\n', &mut line).map_err(failed)?;
                if read == 0 || line.last() != Some(&b'\n') {
                    break;
                }
                let named: Named = serde_json::from_slice(&line)
                    .map_err(|_| format!("{}: not a score file; name another --out folder", path.display()))?;
                done.insert(key(&named.call_id));
                whole += read as u64;
            }
        }
        let file = File::options().create(true).append(true).open(path).map_err(failed)?;
        // What is no file (a device, a pipe) has no half line to cut off.
        if file.metadata().map_err(failed)?.is_file() {
            file.set_len(whole).map_err(failed)?;
        }
        Ok(Self { path: path.to_owned(), writer: BufWriter::with_capacity(1 << 20, file), done })
    }

    /// Refuses to go on with results that other rules, another scheme or another encoder (by its version) made. The digest of
    /// all three stands beside the journal, in `<name>.inputs`.
    ///
    /// # Errors
    /// They are others than those of the results that are kept, or the digest cannot be read or written.
    pub fn expect_made_by<'v>(
        &self,
        rules: impl IntoIterator<Item = &'v Rule>,
        schemes: impl IntoIterator<Item = &'v Scheme>,
        encoder: &str,
    ) -> Result<(), String> {
        let rules = rules.into_iter().map(|rule| rule.source.to_string());
        let sources: Vec<String> = rules.chain(schemes.into_iter().map(|scheme| scheme.source.to_string())).collect();
        self.expect_inputs(sources.iter().map(String::as_str).chain([encoder]))
    }

    fn expect_inputs<'v>(&self, inputs: impl IntoIterator<Item = &'v str>) -> Result<(), String> {
        let place = self.path.with_extension("inputs");
        let mut digest = Sha256::new();
        for input in inputs {
            digest.update((input.len() as u64).to_le_bytes());
            digest.update(input);
        }
        let digest = format!("{:x}\n", digest.finalize());
        let failed = |e: std::io::Error| format!("{}: {e}", place.display());
        if !self.is_empty() && place.is_file() {
            if std::fs::read_to_string(&place).map_err(failed)? == digest {
                return Ok(());
            }
            return Err(format!(
                "{}: what is kept there was made with other rules, another scheme or another model; name another --out folder, or delete this one",
                self.path.display()
            ));
        }
        std::fs::write(&place, digest).map_err(failed)
    }

    /// Conversations that are scored.
    pub fn len(&self) -> usize {
        self.done.len()
    }

    /// Whether nothing is scored yet.
    pub fn is_empty(&self) -> bool {
        self.done.is_empty()
    }

    /// Whether a conversation is scored.
    pub fn has(&self, call_id: &str) -> bool {
        self.done.contains(&key(call_id))
    }

    /// Appends scorecards that were written as lines of JSON; when it returns they survive the death of the process.
    ///
    /// # Errors
    /// The disk is full or fails. What was appended before stays; a cut line is dropped by the next [`Journal::open`].
    pub fn append(&mut self, lines: &[(String, Vec<u8>)]) -> Result<(), String> {
        let mut all = || -> std::io::Result<()> {
            for (_, line) in lines {
                self.writer.write_all(line)?;
                self.writer.write_all(b"\n")?;
            }
            self.writer.flush()
        };
        all().map_err(|e| {
            format!("{}: {e}; what was scored before is kept: free space and run the same command again", self.path.display())
        })?;
        self.done.extend(lines.iter().map(|(call_id, _)| key(call_id)));
        Ok(())
    }
}

/// Hands over every scorecard of a journal.
///
/// # Errors
/// The file cannot be read, or `take` failed.
pub fn scorecards(path: &Path, mut take: impl FnMut(Scorecard) -> Result<(), String>) -> Result<(), String> {
    let failed = |e: String| format!("{}: {e}", path.display());
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(|e| failed(e.to_string()))?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(|e| failed(e.to_string()))? == 0 {
            return Ok(());
        }
        take(serde_json::from_slice(&line).map_err(|e| failed(e.to_string()))?)?;
    }
}

/// A column that is being filled.
enum Column {
    Text(Vec<Option<String>>),
    Number(Vec<Option<f64>>),
    Whole(Vec<Option<i64>>),
}

/// A value of a row.
enum Cell {
    Text(Option<String>),
    Number(Option<f64>),
    Whole(Option<i64>),
}

/// A Parquet file that is written in row groups.
struct Table {
    writer: SerializedFileWriter<File>,
    columns: Vec<Column>,
    rows: usize,
}

impl Table {
    /// `columns` are name and kind: `text`, `number` or `whole`; every value may be absent.
    fn create(path: &Path, columns: &[(&str, &str)]) -> Result<Self, ParquetError> {
        let fields: String = columns
            .iter()
            .map(|(name, kind)| match *kind {
                "number" => format!("optional double {name};"),
                "whole" => format!("optional int64 {name};"),
                _ => format!("optional binary {name} (UTF8);"),
            })
            .collect();
        let schema = Arc::new(parse_message_type(&format!("message rows {{ {fields} }}"))?);
        let properties = Arc::new(WriterProperties::builder().set_compression(Compression::SNAPPY).build());
        let file = File::create(path).map_err(|e| ParquetError::General(e.to_string()))?;
        let columns = columns
            .iter()
            .map(|(_, kind)| match *kind {
                "number" => Column::Number(Vec::new()),
                "whole" => Column::Whole(Vec::new()),
                _ => Column::Text(Vec::new()),
            })
            .collect();
        Ok(Self { writer: SerializedFileWriter::new(file, schema, properties)?, columns, rows: 0 })
    }

    fn push(&mut self, cells: Vec<Cell>) -> Result<(), ParquetError> {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            match (column, cell) {
                (Column::Text(values), Cell::Text(value)) => values.push(value),
                (Column::Number(values), Cell::Number(value)) => values.push(value),
                (Column::Whole(values), Cell::Whole(value)) => values.push(value),
                _ => return Err(ParquetError::General("a value does not fit its column".into())),
            }
        }
        self.rows += 1;
        if self.rows >= GROUP { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), ParquetError> {
        fn levels<T>(values: &[Option<T>]) -> Vec<i16> {
            values.iter().map(|v| i16::from(v.is_some())).collect()
        }
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        let mut columns = self.columns.iter_mut();
        while let Some(mut target) = group.next_column()? {
            match (columns.next(), target.untyped()) {
                (Some(Column::Text(values)), ColumnWriter::ByteArrayColumnWriter(writer)) => {
                    let present: Vec<ByteArray> = values.iter().flatten().map(|v| ByteArray::from(v.as_str())).collect();
                    writer.write_batch(&present, Some(&levels(values)), None)?;
                    values.clear();
                }
                (Some(Column::Number(values)), ColumnWriter::DoubleColumnWriter(writer)) => {
                    let present: Vec<f64> = values.iter().flatten().copied().collect();
                    writer.write_batch(&present, Some(&levels(values)), None)?;
                    values.clear();
                }
                (Some(Column::Whole(values)), ColumnWriter::Int64ColumnWriter(writer)) => {
                    let present: Vec<i64> = values.iter().flatten().copied().collect();
                    writer.write_batch(&present, Some(&levels(values)), None)?;
                    values.clear();
                }
                _ => return Err(ParquetError::General("a column has another kind than the schema".into())),
            }
            target.close()?;
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }

    fn close(mut self) -> Result<(), ParquetError> {
        self.flush()?;
        self.writer.close().map(drop)
    }
}

const SCORES: [(&str, &str); 13] = [
    ("score_id", "text"),
    ("call_id", "text"),
    ("agent_id", "text"),
    ("team", "text"),
    ("scheme_id", "text"),
    ("scheme_version", "whole"),
    ("total", "number"),
    ("max", "number"),
    ("fatal", "text"),
    ("hits", "whole"),
    ("dimensions", "text"),
    ("engine_version", "text"),
    ("revision", "whole"),
];

const HITS: [(&str, &str); 12] = [
    ("hit_id", "text"),
    ("score_id", "text"),
    ("call_id", "text"),
    ("agent_id", "text"),
    ("team", "text"),
    ("rule_id", "text"),
    ("rule_version", "whole"),
    ("level", "text"),
    ("kind", "text"),
    ("points", "number"),
    ("turn", "whole"),
    ("spans", "text"),
];

fn text(value: &str) -> Cell {
    Cell::Text(Some(value.to_owned()))
}

fn whole(value: Option<u64>) -> Cell {
    Cell::Whole(value.and_then(|v| i64::try_from(v).ok()))
}

/// Writes `scores.parquet` (a row for each scorecard; `fatal` = rule ids joined by spaces, `dimensions` = JSON
/// `{"id": score}`) and `hits.parquet` (a row for each hit sentence; `points` = points of the rule shared evenly by its
/// hits, `spans` = JSON `[[turn, start, end]]` in code points) from a journal, in bounded memory. The files appear whole.
///
/// # Errors
/// The journal cannot be read or the files cannot be written.
pub fn write_parquet(journal: &Path, folder: &Path) -> Result<(), String> {
    let part = |name: &str| folder.join(format!("{name}.part"));
    let failed = |name: &str, e: &dyn std::fmt::Display| format!("{}: {e}", folder.join(name).display());
    let mut scores = Table::create(&part("scores.parquet"), &SCORES).map_err(|e| failed("scores.parquet", &e))?;
    let mut hits = Table::create(&part("hits.parquet"), &HITS).map_err(|e| failed("hits.parquet", &e))?;
    scorecards(journal, |card| {
        scores.push(score_row(&card)).map_err(|e| failed("scores.parquet", &e))?;
        hit_rows(&card, |row| hits.push(row).map_err(|e| failed("hits.parquet", &e)))
    })?;
    scores.close().map_err(|e| failed("scores.parquet", &e))?;
    hits.close().map_err(|e| failed("hits.parquet", &e))?;
    for name in ["scores.parquet", "hits.parquet"] {
        std::fs::rename(part(name), folder.join(name)).map_err(|e| failed(name, &e))?;
    }
    Ok(())
}

fn score_row(card: &Scorecard) -> Vec<Cell> {
    let dimensions: serde_json::Map<String, serde_json::Value> =
        card.dimensions.iter().map(|d| (d.id.clone(), serde_json::json!(d.score))).collect();
    let hits = card.results.iter().filter(|r| r.result.state == RuleState::Hit).count();
    vec![
        text(&card.score_id),
        text(&card.call_id),
        Cell::Text(card.agent_id.clone()),
        Cell::Text(card.team.clone()),
        text(&card.scheme_id),
        whole(card.scheme_version),
        Cell::Number(card.total),
        Cell::Number(Some(card.max)),
        text(&card.fatal.join(" ")),
        whole(Some(hits as u64)),
        text(&serde_json::Value::Object(dimensions).to_string()),
        text(&card.engine_version),
        whole(Some(u64::from(card.revision))),
    ]
}

fn hit_rows(card: &Scorecard, mut push: impl FnMut(Vec<Cell>) -> Result<(), String>) -> Result<(), String> {
    for rule in card.results.iter().filter(|r| r.result.state == RuleState::Hit) {
        let share = rule.points / rule.result.hits.len().max(1) as f64;
        for hit in &rule.result.hits {
            push(vec![
                text(&hit.hit_id),
                text(&card.score_id),
                text(&card.call_id),
                Cell::Text(card.agent_id.clone()),
                Cell::Text(card.team.clone()),
                text(&rule.result.rule),
                whole(rule.result.version),
                text(rule.level.name()),
                text(rule.kind.name()),
                Cell::Number(Some(share)),
                whole(hit.turn.map(|t| t as u64)),
                text(&serde_json::to_string(&hit.spans).unwrap_or_default()),
            ])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_goes_on_with_the_same_inputs_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scores.jsonl");
        let mut journal = Journal::open(&path).unwrap();
        journal.expect_inputs(["rule one", "scheme"]).unwrap();
        journal.expect_inputs(["rule two", "scheme"]).unwrap();
        journal.append(&[("a".to_owned(), b"{\"call_id\":\"a\"}".to_vec())]).unwrap();
        let journal = Journal::open(&path).unwrap();
        journal.expect_inputs(["rule two", "scheme"]).unwrap();
        assert!(journal.expect_inputs(["rule one", "scheme"]).unwrap_err().contains("another --out"));
        assert!(journal.expect_inputs(["rule twos", "cheme"]).is_err(), "where one input ends and the next begins counts");
    }
}

//! Rules of other products, turned into ours, with a report of what became of every field.
//!
//! [`sca`] reads the rule JSON of Alibaba Cloud's Smart Conversation Analysis (`UploadRule`), [`contact_lens`] the rules
//! function of Amazon Connect Contact Lens. Nothing is dropped silently: each source field is *exact*, *approximate* (with
//! the reason) or *dropped* (with the reason), a field that is not known is *dropped* too.

mod contact_lens;
mod sca;
mod sca_operators;

use serde::Serialize;
use serde_json::{Map, Value};

use super::error::Problem;
use super::model::Rule;

pub use contact_lens::contact_lens;
pub use sca::sca;

/// How well a source field was taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fidelity {
    /// It means the same.
    Exact,
    /// It means nearly the same; the reason says what differs.
    Approximate,
    /// It has no counterpart; the reason says why.
    Dropped,
}

/// What became of a source field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReportLine {
    /// JSON Pointer into the source.
    pub source: String,
    /// How well it was taken over.
    pub result: Fidelity,
    /// What it became, or why not.
    pub reason: String,
}

/// Imported rules in their JSON form, and the report.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Import {
    /// The rules.
    pub imported: Vec<Value>,
    /// Every source field.
    pub report: Vec<ReportLine>,
}

impl Import {
    fn note(&mut self, source: &str, result: Fidelity, reason: impl Into<String>) {
        self.report.push(ReportLine { source: source.to_owned(), result, reason: reason.into() });
    }

    fn exact(&mut self, source: &str, what: &str) {
        self.note(source, Fidelity::Exact, what);
    }

    fn about(&mut self, source: &str, why: &str) {
        self.note(source, Fidelity::Approximate, why);
    }

    fn dropped(&mut self, source: &str, why: &str) {
        self.note(source, Fidelity::Dropped, why);
    }

    /// Keeps a rule if this engine accepts it; what it refuses is in the report.
    fn keep(&mut self, source: &str, rule: Value) {
        match Rule::from_json(&rule) {
            Ok(_) => self.imported.push(rule),
            Err(problems) => {
                let why =
                    problems.iter().map(|p: &Problem| format!("{} {}", p.pointer, p.message)).collect::<Vec<_>>().join("; ");
                self.dropped(source, &format!("the whole rule: {why}"));
            }
        }
    }

    /// How many fields have a result.
    pub fn count(&self, result: Fidelity) -> usize {
        self.report.iter().filter(|line| line.result == result).count()
    }

    /// The rules as a rule file.
    ///
    /// # Errors
    /// A value that TOML does not have; the importers make none.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(&serde_json::json!({ "rule": self.imported }))
    }
}

/// The fields of a source object, so that those nobody asked for can be reported.
struct Taken<'v> {
    map: &'v Map<String, Value>,
    at: String,
    asked: Vec<&'static str>,
}

impl<'v> Taken<'v> {
    fn new(map: &'v Map<String, Value>, at: &str) -> Self {
        Self { map, at: at.to_owned(), asked: Vec::new() }
    }

    fn get(&mut self, key: &'static str) -> Option<&'v Value> {
        self.asked.push(key);
        self.map.get(key).filter(|v| !v.is_null())
    }

    fn text(&mut self, key: &'static str) -> Option<&'v str> {
        self.get(key).and_then(Value::as_str).filter(|t| !t.is_empty())
    }

    fn number(&mut self, key: &'static str) -> Option<f64> {
        let value = self.get(key)?;
        value.as_f64().or_else(|| value.as_str()?.parse().ok())
    }

    fn whole(&mut self, key: &'static str) -> Option<i64> {
        self.number(key).map(|n| n.round() as i64)
    }

    fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.get(key).and_then(Value::as_bool)
    }

    fn texts(&mut self, key: &'static str) -> Vec<String> {
        match self.get(key) {
            Some(Value::Array(list)) => list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
            Some(Value::String(one)) => vec![one.clone()],
            _ => Vec::new(),
        }
    }

    fn path(&self, key: &str) -> String {
        format!("{}/{key}", self.at)
    }

    /// Reports every field that was not asked for.
    fn rest(self, import: &mut Import) {
        for key in self.map.keys().filter(|k| !self.asked.contains(&k.as_str())) {
            import.dropped(&format!("{}/{key}", self.at), "not a field whose meaning is documented");
        }
    }
}

/// An id that the rule language accepts.
fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_alphanumeric() || c == '_' || c == '-' {
            out.push(c);
        } else if !out.ends_with('-') {
            out.push('-');
        }
    }
    let out = out.trim_matches('-').to_owned();
    if out.is_empty() { "rule".into() } else { out }
}

//! Typed access to the raw form: every wrong type, unknown key and missing key becomes a [`Problem`].

use serde_json::{Map, Value as Json};

use super::error::{Problem, Severity, nearest};
use super::number::{Bounds, Ratio};
use super::source::{Source, Spot, pointer_key};
use crate::conversation::Role;

/// Collects the problems of one rule or scheme.
pub(crate) struct Report<'a> {
    source: &'a Source,
    /// Pointer of the rule inside its file, cut off in reports.
    root: String,
    pub(crate) problems: Vec<Problem>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(source: &'a Source, root: String) -> Self {
        Self { source, root, problems: Vec::new() }
    }

    pub(crate) fn push(&mut self, pointer: &str, spot: Spot, code: &'static str, message: String, hint: Option<String>) {
        self.add(pointer, spot, code, message, hint, Severity::Error);
    }

    pub(crate) fn warn(&mut self, pointer: &str, code: &'static str, message: String, hint: Option<String>) {
        self.add(pointer, Spot::Value, code, message, hint, Severity::Warning);
    }

    fn add(&mut self, pointer: &str, spot: Spot, code: &'static str, message: String, hint: Option<String>, severity: Severity) {
        let (line, column) = self.source.place(&format!("{}{pointer}", self.root), spot);
        let file = self.source.name.clone();
        self.problems.push(Problem { file, line, column, pointer: pointer.to_owned(), code, message, hint, severity });
    }

    pub(crate) fn bad(&mut self, pointer: &str, message: String) {
        self.push(pointer, Spot::Value, "bad_value", message, None);
    }

    pub(crate) fn failed(&self) -> bool {
        self.problems.iter().any(|p| p.severity == Severity::Error)
    }
}

/// A table and its pointer.
#[derive(Clone)]
pub(crate) struct Fields<'v> {
    pub(crate) map: &'v Map<String, Json>,
    pub(crate) pointer: String,
}

/// The hint for a name that is not among `known`.
pub(crate) fn did_you_mean<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    nearest(name, known).map(|near| format!("did you mean \"{near}\"?"))
}

impl<'v> Fields<'v> {
    /// Reads a table; keys outside `allowed` are reported.
    pub(crate) fn new(json: &'v Json, pointer: &str, allowed: &[&str], report: &mut Report) -> Option<Self> {
        let Json::Object(map) = json else {
            report.bad(pointer, "a table is expected here".into());
            return None;
        };
        let fields = Self { map, pointer: pointer.to_owned() };
        for key in map.keys().filter(|k| !allowed.contains(&k.as_str())) {
            let hint = did_you_mean(key, allowed.iter().copied());
            report.push(&fields.at(key), Spot::Key, "unknown_field", format!("\"{key}\" is not a key here"), hint);
        }
        Some(fields)
    }

    pub(crate) fn at(&self, key: &str) -> String {
        format!("{}/{}", self.pointer, pointer_key(key))
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'v Json> {
        self.map.get(key)
    }

    pub(crate) fn require(&self, key: &str, report: &mut Report) -> Option<&'v Json> {
        let found = self.map.get(key);
        if found.is_none() {
            report.push(&self.pointer, Spot::Value, "missing_field", format!("\"{key}\" is missing"), None);
        }
        found
    }

    pub(crate) fn text(&self, key: &str, report: &mut Report) -> Option<&'v str> {
        match self.map.get(key)? {
            Json::String(text) => Some(text),
            _ => {
                report.bad(&self.at(key), "a text is expected here".into());
                None
            }
        }
    }

    pub(crate) fn flag(&self, key: &str, default: bool, report: &mut Report) -> bool {
        match self.map.get(key) {
            None => default,
            Some(Json::Bool(truth)) => *truth,
            Some(_) => {
                report.bad(&self.at(key), "true or false is expected here".into());
                default
            }
        }
    }

    /// A whole number of at least `min`.
    pub(crate) fn int(&self, key: &str, min: i64, report: &mut Report) -> Option<i64> {
        let value = self.map.get(key)?;
        match value.as_i64().or_else(|| value.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 1e15).map(|f| f as i64)) {
            Some(number) if number >= min => Some(number),
            Some(_) => {
                report.bad(&self.at(key), format!("a whole number of at least {min} is expected here"));
                None
            }
            None => {
                report.bad(&self.at(key), "a whole number is expected here".into());
                None
            }
        }
    }

    pub(crate) fn count(&self, key: &str, default: usize, min: i64, report: &mut Report) -> usize {
        self.int(key, min, report).and_then(|n| usize::try_from(n).ok()).unwrap_or(default)
    }

    /// A decimal within `[low, high]`.
    pub(crate) fn decimal(&self, key: &str, low: i64, high: i64, report: &mut Report) -> Option<Ratio> {
        let value = self.map.get(key)?;
        match Ratio::of_json(value) {
            Some(number) if number >= Ratio::int(low) && number <= Ratio::int(high) => Some(number),
            Some(_) => {
                report.bad(&self.at(key), format!("a number between {low} and {high} is expected here"));
                None
            }
            None => {
                report.bad(&self.at(key), "a number is expected here".into());
                None
            }
        }
    }

    /// A word of a closed list.
    pub(crate) fn choice<T: Copy>(&self, key: &str, options: &[(&str, T)], report: &mut Report) -> Option<T> {
        let text = self.text(key, report)?;
        let found = options.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = options.iter().map(|(name, _)| *name).collect();
            let hint = did_you_mean(text, names.iter().copied());
            report.push(&self.at(key), Spot::Value, "bad_value", format!("\"{text}\" is none of {}", names.join(", ")), hint);
        }
        found
    }

    /// A list of texts that is not empty.
    pub(crate) fn texts(&self, key: &str, report: &mut Report) -> Option<Vec<String>> {
        let list = self.texts_or_none(key, report)?;
        if list.is_empty() {
            report.bad(&self.at(key), "the list is empty".into());
            return None;
        }
        Some(list)
    }

    /// A list of texts, possibly empty.
    pub(crate) fn texts_or_none(&self, key: &str, report: &mut Report) -> Option<Vec<String>> {
        let Json::Array(list) = self.map.get(key)? else {
            report.bad(&self.at(key), "a list of texts is expected here".into());
            return None;
        };
        let mut out = Vec::with_capacity(list.len());
        for (i, entry) in list.iter().enumerate() {
            match entry {
                Json::String(text) => out.push(text.clone()),
                _ => report.bad(&format!("{}/{i}", self.at(key)), "a text is expected here".into()),
            }
        }
        Some(out)
    }

    /// A role or a list of roles.
    pub(crate) fn roles(&self, key: &str, report: &mut Report) -> Option<Vec<Role>> {
        let value = self.map.get(key)?;
        let pointer = self.at(key);
        let entries: Vec<(String, &Json)> = match value {
            Json::Array(list) => list.iter().enumerate().map(|(i, v)| (format!("{pointer}/{i}"), v)).collect(),
            single => vec![(pointer.clone(), single)],
        };
        if entries.is_empty() {
            report.bad(&pointer, "the list is empty".into());
            return None;
        }
        let known = Role::ALL.map(Role::name);
        let mut roles = Vec::new();
        for (place, entry) in entries {
            match entry.as_str().map(|name| (name, Role::from_name(name).filter(|r| *r != Role::Mixed))) {
                Some((_, Some(role))) => roles.push(role),
                Some((name, None)) => {
                    let hint = did_you_mean(name, known);
                    report.push(
                        &place,
                        Spot::Value,
                        "bad_value",
                        format!("\"{name}\" is not a role ({})", known.join(", ")),
                        hint,
                    );
                }
                None => report.bad(&place, "a role is expected here".into()),
            }
        }
        Some(roles)
    }

    /// A comparison table such as `{ gt = 5000 }`.
    pub(crate) fn bounds(&self, key: &str, report: &mut Report) -> Option<Bounds> {
        let pointer = self.at(key);
        let fields = Fields::new(self.map.get(key)?, &pointer, &Bounds::KEYS, report)?;
        let mut bounds = Bounds::default();
        if fields.map.is_empty() {
            report.bad(&pointer, format!("give at least one of {}", Bounds::KEYS.join(", ")));
            return None;
        }
        for (name, value) in fields.map {
            let Some(slot) = bounds.slot(name) else { continue };
            *slot = Ratio::of_json(value);
            if slot.is_none() {
                report.bad(&fields.at(name), "a number is expected here".into());
            }
        }
        Some(bounds)
    }

    /// Like [`Fields::bounds`], but the key must be there.
    pub(crate) fn need_bounds(&self, key: &str, report: &mut Report) -> Option<Bounds> {
        self.require(key, report)?;
        self.bounds(key, report)
    }
}

//! Schemes: which rules make up a score, with which weight.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::error::Problem;
use super::fields::{Fields, Report};
use super::model::{Applies, Effect};
use super::number::Ratio;
use super::parse::{read_applies, read_effect};
use super::source::{Source, Spot};

/// How a dimension is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Base plus additions minus deductions.
    #[default]
    Points,
    /// Weighted share of questions.
    Form,
}

/// What an item asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// A rule, by id.
    Rule(String),
    /// An inspector, by the id of the question.
    Manual(String),
}

/// A range of a manual number, both ends included.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    pub(crate) from: Option<Ratio>,
    pub(crate) to: Option<Ratio>,
    pub(crate) value: Ratio,
}

#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) asks: Asks,
    pub(crate) effect: Option<Effect>,
    pub(crate) weight: Ratio,
    pub(crate) on_hit: Ratio,
    pub(crate) on_miss: Ratio,
    pub(crate) answers: Vec<(String, Ratio)>,
    pub(crate) ranges: Vec<Range>,
}

#[derive(Clone, Debug)]
pub(crate) struct Dimension {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) weight: Ratio,
    pub(crate) items: Vec<Item>,
}

/// A checked scheme.
#[derive(Clone, Debug)]
pub struct Scheme {
    /// Its name everywhere.
    pub id: String,
    /// For people.
    pub name: Option<String>,
    /// Set by the store at publication.
    pub version: Option<u64>,
    /// How dimensions are computed.
    pub mode: Mode,
    /// The scheme as JSON, with the keys of `[scheme]` at the top.
    pub source: Json,
    /// What its author should look at.
    pub warnings: Vec<Problem>,
    pub(crate) base: Ratio,
    pub(crate) min: Ratio,
    pub(crate) max: Ratio,
    pub(crate) fatal_score: Ratio,
    pub(crate) dimensions: Vec<Dimension>,
    pub(crate) applies: Applies,
}

const KEYS: [&str; 14] = [
    "id",
    "name",
    "version",
    "mode",
    "base",
    "min",
    "max",
    "fatal_score",
    "dimensions",
    "applies",
    "effective",
    "given",
    "note",
    "tags",
];
const MAX_ITEMS: usize = 5_000;
const WIDE: i64 = 1_000_000;

impl Scheme {
    /// Reads a TOML file with a `[scheme]` table. `Err` lists every problem.
    pub fn parse_toml(name: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let source = Source::toml(name, text).map_err(|problem| vec![*problem])?;
        let mut report = Report::new(&source, String::new());
        let top = Fields::new(&source.json, "", &["scheme"], &mut report);
        let scheme = top.as_ref().and_then(|t| t.require("scheme", &mut report));
        let mut problems = report.problems;
        if let Some(json) = scheme {
            match Self::read(&source, "/scheme", json) {
                Ok(scheme) if problems.is_empty() => return Ok(scheme),
                Ok(_) => {}
                Err(more) => problems.extend(more),
            }
        }
        Err(problems)
    }

    /// Reads the JSON form. `Err` lists every problem.
    pub fn from_json(json: &Json) -> Result<Self, Vec<Problem>> {
        let source = Source::json("", json.clone());
        Self::read(&source, "", json)
    }

    /// Ids of the rules it asks for.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.dimensions.iter().flat_map(|d| &d.items).filter_map(|i| match &i.asks {
            Asks::Rule(id) => Some(id.as_str()),
            Asks::Manual(_) => None,
        })
    }

    /// Ids of its dimensions.
    pub fn dimensions(&self) -> impl Iterator<Item = &str> {
        self.dimensions.iter().map(|d| d.id.as_str())
    }

    /// Whether it concerns a conversation.
    pub fn applies_to(&self, conversation: &crate::conversation::Conversation) -> bool {
        super::ruleset::applies(&self.applies, conversation) == Some(true)
    }

    /// The highest total.
    pub fn max(&self) -> f64 {
        if self.mode == Mode::Form { 100.0 } else { self.max.to_f64() }
    }

    fn read(source: &Source, root: &str, json: &Json) -> Result<Self, Vec<Problem>> {
        let mut report = Report::new(source, root.to_owned());
        let scheme = Self::build(json, &mut report);
        let failed = report.failed();
        match scheme {
            Some(mut scheme) if !failed => {
                scheme.warnings = report.problems;
                Ok(scheme)
            }
            _ => Err(report.problems),
        }
    }

    fn build(json: &Json, report: &mut Report) -> Option<Self> {
        let fields = Fields::new(json, "", &KEYS, report)?;
        let mode = fields.choice("mode", &[("points", Mode::Points), ("form", Mode::Form)], report).unwrap_or_default();
        let number = |key: &str, default: i64, report: &mut Report| {
            fields.decimal(key, -WIDE, WIDE, report).unwrap_or_else(|| Ratio::int(default))
        };
        let (base, min, max) = (number("base", 100, report), number("min", 0, report), number("max", 100, report));
        if min >= max {
            report.bad(&fields.at("max"), "`max` must lie above `min`".into());
        }
        let fatal_score = number("fatal_score", 0, report);
        let dimensions = match fields.require("dimensions", report)? {
            Json::Array(list) if !list.is_empty() => list
                .iter()
                .enumerate()
                .filter_map(|(i, d)| read_dimension(d, &format!("/dimensions/{i}"), mode, report))
                .collect(),
            _ => {
                report.bad("/dimensions", "a list of dimensions is expected here".into());
                Vec::new()
            }
        };
        let items: usize = dimensions.iter().map(|d: &Dimension| d.items.len()).sum();
        if items > MAX_ITEMS {
            report.push("/dimensions", Spot::Value, "limit", format!("{items} items, at most {MAX_ITEMS} are allowed"), None);
        }
        for (i, dimension) in dimensions.iter().enumerate() {
            if dimensions[..i].iter().any(|d| d.id == dimension.id) {
                report.push(
                    &format!("/dimensions/{i}/id"),
                    Spot::Value,
                    "duplicate_id",
                    format!("\"{}\" is used twice", dimension.id),
                    None,
                );
            }
        }
        let applies = read_applies(&fields, report);
        Some(Self {
            id: fields.text("id", report).unwrap_or("").to_owned(),
            name: fields.text("name", report).map(str::to_owned),
            version: fields.int("version", 0, report).and_then(|v| u64::try_from(v).ok()),
            mode,
            source: json.clone(),
            warnings: Vec::new(),
            base,
            min,
            max,
            fatal_score,
            dimensions,
            applies,
        })
    }
}

fn read_dimension(json: &Json, pointer: &str, mode: Mode, report: &mut Report) -> Option<Dimension> {
    let fields = Fields::new(json, pointer, &["id", "name", "weight", "items", "note"], report)?;
    fields.require("id", report);
    fields.require("items", report);
    let items = match fields.get("items")? {
        Json::Array(list) if !list.is_empty() => list
            .iter()
            .enumerate()
            .filter_map(|(i, item)| read_item(item, &format!("{pointer}/items/{i}"), mode, report))
            .collect(),
        _ => {
            report.bad(&fields.at("items"), "a list of items is expected here".into());
            return None;
        }
    };
    Some(Dimension {
        id: fields.text("id", report)?.to_owned(),
        name: fields.text("name", report).map(str::to_owned),
        weight: positive(&fields, "weight", report),
        items,
    })
}

/// A weight: above zero, by default 1.
fn positive(fields: &Fields, key: &str, report: &mut Report) -> Ratio {
    match fields.decimal(key, 0, WIDE, report) {
        Some(weight) if weight == Ratio::ZERO => {
            report.bad(&fields.at(key), "a weight lies above zero".into());
            Ratio::int(1)
        }
        Some(weight) => weight,
        None => Ratio::int(1),
    }
}

fn read_item(json: &Json, pointer: &str, mode: Mode, report: &mut Report) -> Option<Item> {
    let allowed =
        ["rule", "manual", "name", "effect", "points", "per", "cap", "weight", "on_hit", "on_miss", "answers", "ranges", "note"];
    let fields = Fields::new(json, pointer, &allowed, report)?;
    let asks = match (fields.text("rule", report), fields.text("manual", report)) {
        (Some(rule), None) => Asks::Rule(rule.to_owned()),
        (None, Some(id)) => Asks::Manual(id.to_owned()),
        _ => {
            report.push(pointer, Spot::Value, "missing_field", "give either `rule` or `manual`".into(), None);
            return None;
        }
    };
    let manual = matches!(asks, Asks::Manual(_));
    if manual && !fields.has("answers") && !fields.has("ranges") {
        report.push(pointer, Spot::Value, "missing_field", "a manual item needs `answers` or `ranges`".into(), None);
    }
    if !manual && (fields.has("answers") || fields.has("ranges")) {
        report.bad(pointer, "`answers` and `ranges` belong to manual items".into());
    }
    let form_keys = ["weight", "on_hit", "on_miss"].into_iter().find(|k| fields.has(k));
    if let Some(key) = form_keys.filter(|_| mode == Mode::Points) {
        report.bad(&fields.at(key), "this key belongs to mode \"form\"".into());
    }
    let fraction =
        |key: &str, default: i64, report: &mut Report| fields.decimal(key, 0, 1, report).unwrap_or_else(|| Ratio::int(default));
    Some(Item {
        effect: if fields.has("effect") { read_effect(&fields, report) } else { None },
        weight: positive(&fields, "weight", report),
        on_hit: fraction("on_hit", 0, report),
        on_miss: fraction("on_miss", 1, report),
        answers: read_answers(&fields, report),
        ranges: read_ranges(&fields, report),
        asks,
    })
}

fn read_answers(fields: &Fields, report: &mut Report) -> Vec<(String, Ratio)> {
    let Some(json) = fields.get("answers") else { return Vec::new() };
    let Json::Object(map) = json else {
        report.bad(&fields.at("answers"), "a table of answers and their values is expected here".into());
        return Vec::new();
    };
    let table = Fields { map, pointer: fields.at("answers") };
    map.keys().filter_map(|key| Some((key.clone(), table.decimal(key, -WIDE, WIDE, report)?))).collect()
}

fn read_ranges(fields: &Fields, report: &mut Report) -> Vec<Range> {
    let Some(json) = fields.get("ranges") else { return Vec::new() };
    let Json::Array(list) = json else {
        report.bad(&fields.at("ranges"), "a list of { from, to, value } is expected here".into());
        return Vec::new();
    };
    let mut out = Vec::new();
    for (i, entry) in list.iter().enumerate() {
        let place = format!("{}/{i}", fields.at("ranges"));
        let Some(range) = Fields::new(entry, &place, &["from", "to", "value"], report) else { continue };
        range.require("value", report);
        let (from, to) = (range.decimal("from", -WIDE, WIDE, report), range.decimal("to", -WIDE, WIDE, report));
        if let Some(value) = range.decimal("value", -WIDE, WIDE, report) {
            out.push(Range { from, to, value });
        }
    }
    out
}

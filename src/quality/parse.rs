//! From the raw form to a [`Rule`]: keys, types, lists and ids. What only shows when all conditions are known
//! (windows, circles, grains) is in `check.rs`.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::check;
use super::condition::read_condition;
use super::error::{Problem, Severity};
use super::expr::{self, Expr, Name};
use super::fields::{Fields, Report, did_you_mean};
use super::model::{Applies, Clock, Effect, EffectKind, Kind, Level, LiveOptions, Policy, Review, Rule};
use super::number::Ratio;
use super::operators::{Reading, meta::Meta};
use super::rule_test::RuleTest;
use super::sop::{self, SopFlows};
use super::source::{Source, Spot};

const MAX_CONDITIONS: usize = 200;
const RULE_KEYS: [&str; 16] = [
    "id",
    "name",
    "kind",
    "level",
    "tags",
    "version",
    "when",
    "evidence",
    "applies",
    "effective",
    "score",
    "live",
    "review",
    "lists",
    "conditions",
    "tests",
];

/// A file of rules.
#[derive(Clone, Debug)]
pub struct RuleFile;

impl RuleFile {
    /// Reads a TOML file of `[[rule]]` tables. A file with an error loads none of its rules: `Err` then lists
    /// every problem, warnings too. Warnings of sound rules are in [`Rule::warnings`].
    pub fn parse_toml(name: &str, text: &str) -> Result<Vec<Rule>, Vec<Problem>> {
        Self::parse_toml_with(name, text, &SopFlows::default())
    }

    /// Like [`RuleFile::parse_toml`], with the SOP graphs that `flow = { sop = "…" }` may name.
    pub fn parse_toml_with(name: &str, text: &str, sops: &SopFlows) -> Result<Vec<Rule>, Vec<Problem>> {
        let source = Source::toml(name, text).map_err(|problem| vec![*problem])?;
        let mut report = Report::new(&source, String::new());
        let lists = match Fields::new(&source.json, "", &["rule", "lists"], &mut report) {
            Some(top) => read_lists(&top, &mut report),
            None => BTreeMap::new(),
        };
        let mut problems = report.problems;
        let empty = Vec::new();
        let entries = match source.json.get("rule") {
            Some(Json::Array(list)) => list,
            None => {
                let mut report = Report::new(&source, String::new());
                report.push("", Spot::Value, "missing_field", "the file holds no [[rule]]".into(), None);
                problems.extend(report.problems);
                &empty
            }
            Some(_) => {
                let mut report = Report::new(&source, String::new());
                report.bad("/rule", "write [[rule]], so that the file can hold several".into());
                problems.extend(report.problems);
                &empty
            }
        };
        let mut rules: Vec<Rule> = Vec::new();
        let mut ids: Vec<&str> = Vec::new();
        for (i, entry) in entries.iter().enumerate() {
            let root = format!("/rule/{i}");
            let (rule, found) = read_rule(&source, &root, entry, &lists, sops);
            problems.extend(found);
            rules.extend(rule);
            if let Some(id) = entry.get("id").and_then(Json::as_str) {
                if ids.contains(&id) {
                    let mut report = Report::new(&source, root);
                    report.push("/id", Spot::Value, "duplicate_id", format!("the id \"{id}\" is used twice"), None);
                    problems.extend(report.problems);
                }
                ids.push(id);
            }
        }
        let failed = problems.iter().any(|p| p.severity == Severity::Error);
        if failed { Err(problems) } else { Ok(rules) }
    }
}

impl Rule {
    /// Reads one rule in its JSON form (store, API, vectors). `Err` lists every problem.
    pub fn from_json(json: &Json) -> Result<Self, Vec<Problem>> {
        Self::from_json_with(json, &SopFlows::default())
    }

    /// Like [`Rule::from_json`], with the SOP graphs that `flow = { sop = "…" }` may name.
    pub fn from_json_with(json: &Json, sops: &SopFlows) -> Result<Self, Vec<Problem>> {
        let source = Source::json("", json.clone());
        let (rule, problems) = read_rule(&source, "", json, &BTreeMap::new(), sops);
        rule.ok_or(problems)
    }
}

fn read_lists(fields: &Fields, report: &mut Report) -> BTreeMap<String, Vec<String>> {
    let mut lists = BTreeMap::new();
    let Some(json) = fields.get("lists") else { return lists };
    let Json::Object(map) = json else {
        report.bad(&fields.at("lists"), "a table of lists is expected here".into());
        return lists;
    };
    let table = Fields { map, pointer: fields.at("lists") };
    for name in map.keys() {
        if let Some(list) = table.texts(name, report) {
            if let Some(i) = list.iter().position(|w| w.trim().is_empty()) {
                report.bad(&format!("{}/{i}", table.at(name)), "a keyword must not be empty".into());
            }
            lists.insert(name.clone(), list);
        }
    }
    lists
}

fn read_rule(
    source: &Source,
    root: &str,
    json: &Json,
    file_lists: &BTreeMap<String, Vec<String>>,
    sops: &SopFlows,
) -> (Option<Rule>, Vec<Problem>) {
    let mut report = Report::new(source, root.to_owned());
    let expanded = sop::expand(json, sops, &mut report);
    let rule = build(&expanded, json, file_lists, &mut report);
    let failed = report.failed();
    let mut problems = report.problems;
    match rule {
        Some(mut rule) if !failed => {
            rule.warnings = problems;
            (Some(rule), Vec::new())
        }
        _ => {
            if !failed {
                problems.push(Problem {
                    file: source.name.clone(),
                    line: 0,
                    column: 0,
                    pointer: root.to_owned(),
                    code: "bad_value",
                    message: "the rule cannot be read".into(),
                    hint: None,
                    severity: Severity::Error,
                });
            }
            (None, problems)
        }
    }
}

fn build(json: &Json, original: &Json, file_lists: &BTreeMap<String, Vec<String>>, report: &mut Report) -> Option<Rule> {
    let fields = Fields::new(json, "", &RULE_KEYS, report)?;
    let id = read_id(&fields, report);
    fields.require("when", report);
    let mut lists = file_lists.clone();
    lists.extend(read_lists(&fields, report));
    // Lists of the file travel with the rule, so that its JSON form stands alone.
    let mut stored = original.clone();
    if let Json::Object(map) = &mut stored
        && !lists.is_empty()
    {
        map.insert("lists".into(), serde_json::to_value(&lists).unwrap_or_default());
    }
    let conditions_json = match fields.require("conditions", report) {
        Some(Json::Object(map)) if map.is_empty() => {
            report.bad("/conditions", "a rule needs at least one condition".into());
            None
        }
        Some(Json::Object(map)) => Some(map),
        Some(_) => {
            report.bad("/conditions", "a table of conditions is expected here".into());
            None
        }
        None => None,
    }?;
    if conditions_json.len() > MAX_CONDITIONS {
        let message = format!("{} conditions, at most {MAX_CONDITIONS} are allowed", conditions_json.len());
        report.push("/conditions", Spot::Value, "limit", message, None);
        return None;
    }
    let names: Vec<String> = conditions_json.keys().cloned().collect();
    let table = Fields { map: conditions_json, pointer: "/conditions".into() };
    let mut conditions = Vec::new();
    for name in &names {
        if !expr::is_id(name) {
            report.push(
                &table.at(name),
                Spot::Key,
                "bad_value",
                format!("\"{name}\" is not an id (letters, digits, _ and -)"),
                None,
            );
        }
        let mut cx = Reading { report: &mut *report, lists: &lists, conditions: &names };
        conditions.extend(read_condition(name, &conditions_json[name], &table.at(name), &mut cx));
    }
    let when = read_expr(&fields, "when", &names, "condition of this rule", report);
    let listed = read_evidence(&fields, &names, report);
    let live = read_live(&fields, &names, report);
    let tests = read_tests(&fields, report);
    let applies = read_applies(&fields, report);
    let score = read_score_effect(&fields, report);
    let header = read_header(&fields, report);
    if conditions.len() != names.len() {
        return None;
    }
    let (id, when) = (id?, when?);
    let evidence = listed.unwrap_or_else(|| positives(&when));
    let (kind, level, review) = header;
    let rule = Rule {
        name: fields.text("name", report).map(str::to_owned),
        kind,
        level,
        tags: fields.texts_or_none("tags", report).unwrap_or_default(),
        version: fields.int("version", 0, report).and_then(|v| u64::try_from(v).ok()),
        review,
        source: stored,
        warnings: Vec::new(),
        tests,
        id,
        when,
        evidence,
        conditions,
        applies,
        score,
        live,
    };
    check::check(&rule, &fields, report);
    Some(rule)
}

fn read_header(fields: &Fields, report: &mut Report) -> (Kind, Level, Review) {
    let kinds = [("violation", Kind::Violation), ("merit", Kind::Merit), ("info", Kind::Info)];
    let levels = [("serious", Level::Serious), ("medium", Level::Medium), ("light", Level::Light)];
    let reviews = [("human", Review::Human), ("auto", Review::Auto), ("auto_when_trusted", Review::AutoWhenTrusted)];
    (
        fields.choice("kind", &kinds, report).unwrap_or_default(),
        fields.choice("level", &levels, report).unwrap_or_default(),
        fields.choice("review", &reviews, report).unwrap_or_default(),
    )
}

fn read_id(fields: &Fields, report: &mut Report) -> Option<String> {
    fields.require("id", report)?;
    let id = fields.text("id", report)?;
    if !expr::is_id(id) {
        report.bad(&fields.at("id"), format!("\"{id}\" is not an id (letters, digits, _ and -)"));
        return None;
    }
    Some(id.to_owned())
}

/// Reads the expression under `key` and resolves its ids.
pub(crate) fn read_expr(fields: &Fields, key: &str, names: &[String], what: &str, report: &mut Report) -> Option<Expr<usize>> {
    let text = fields.text(key, report)?;
    let pointer = fields.at(key);
    let parsed = match expr::parse(text) {
        Ok(parsed) => parsed,
        Err(fault) => {
            let code = if fault.too_deep { "limit" } else { "expr_syntax" };
            report.push(&pointer, Spot::Inside(fault.offset), code, fault.message, None);
            return None;
        }
    };
    let mut known = true;
    let resolved = parsed.map(&mut |name: Name| -> Result<usize, ()> {
        Ok(names.iter().position(|n| *n == name.text).unwrap_or_else(|| {
            known = false;
            let hint = did_you_mean(&name.text, names.iter().map(String::as_str));
            report.push(&pointer, Spot::Inside(name.offset), "unknown_id", format!("\"{}\" is not a {what}", name.text), hint);
            0
        }))
    });
    resolved.ok().filter(|_| known)
}

fn positives(when: &Expr<usize>) -> Vec<usize> {
    let mut out = Vec::new();
    when.visit(true, &mut |id, positive| {
        if positive && !out.contains(id) {
            out.push(*id);
        }
    });
    out
}

fn read_evidence(fields: &Fields, names: &[String], report: &mut Report) -> Option<Vec<usize>> {
    let listed = fields.texts_or_none("evidence", report)?;
    let mut out = Vec::new();
    for (i, id) in listed.iter().enumerate() {
        match names.iter().position(|n| n == id) {
            Some(index) => out.push(index),
            None => {
                let hint = did_you_mean(id, names.iter().map(String::as_str));
                let message = format!("\"{id}\" is not a condition of this rule");
                report.push(&format!("/evidence/{i}"), Spot::Value, "unknown_id", message, hint);
            }
        }
    }
    Some(out)
}

fn read_live(fields: &Fields, names: &[String], report: &mut Report) -> LiveOptions {
    let mut live = LiveOptions::default();
    let allowed = ["clock", "policy", "deadline_ms", "deadline_from", "cooldown_ms"];
    let Some(table) = fields.get("live").and_then(|json| Fields::new(json, "/live", &allowed, report)) else { return live };
    let clocks = [("both", Clock::Both), ("live", Clock::Live), ("post", Clock::Post)];
    live.clock = table.choice("clock", &clocks, report).unwrap_or_default();
    live.policy = table.choice("policy", &[("settled", Policy::Settled), ("eager", Policy::Eager)], report).unwrap_or_default();
    live.deadline_ms = table.int("deadline_ms", 0, report);
    live.cooldown_ms = table.int("cooldown_ms", 0, report).unwrap_or(0);
    if let Some(id) = table.text("deadline_from", report) {
        live.deadline_from = names.iter().position(|n| n == id);
        if live.deadline_from.is_none() {
            let hint = did_you_mean(id, names.iter().map(String::as_str));
            report.push(
                "/live/deadline_from",
                Spot::Value,
                "unknown_id",
                format!("\"{id}\" is not a condition of this rule"),
                hint,
            );
        }
        if live.deadline_ms.is_none() {
            report.push("/live", Spot::Value, "missing_field", "`deadline_from` needs `deadline_ms`".into(), None);
        }
    }
    live
}

fn read_tests(fields: &Fields, report: &mut Report) -> Vec<RuleTest> {
    match fields.get("tests") {
        None => Vec::new(),
        Some(Json::Array(list)) => {
            list.iter().enumerate().filter_map(|(i, json)| RuleTest::read(json, &format!("/tests/{i}"), report)).collect()
        }
        Some(_) => {
            report.bad("/tests", "a list of tests is expected here".into());
            Vec::new()
        }
    }
}

/// Reads `applies` and `effective`.
pub(crate) fn read_applies(fields: &Fields, report: &mut Report) -> Applies {
    let mut applies = Applies::default();
    let allowed = ["channels", "queues", "languages", "directions", "agents", "teams", "meta"];
    let place = fields.at("applies");
    if let Some(table) = fields.get("applies").and_then(|json| Fields::new(json, &place, &allowed, report)) {
        applies.channels = closed_list(&table, "channels", &["voice", "chat", "email", "ticket"], report);
        applies.directions = closed_list(&table, "directions", &["inbound", "outbound"], report);
        applies.queues = table.texts("queues", report);
        applies.languages = table.texts("languages", report);
        applies.agents = table.texts("agents", report);
        applies.teams = table.texts("teams", report);
        match table.get("meta") {
            None => {}
            Some(Json::Array(list)) => {
                applies.meta = list
                    .iter()
                    .enumerate()
                    .filter_map(|(i, json)| Meta::read(json, &format!("{place}/meta/{i}"), report))
                    .collect();
            }
            Some(_) => report.bad(&table.at("meta"), "a list of meta tests is expected here".into()),
        }
    }
    let place = fields.at("effective");
    if let Some(table) = fields.get("effective").and_then(|json| Fields::new(json, &place, &["from", "to"], report)) {
        let mut moment = |key: &str| {
            let text = table.text(key, report)?;
            let parsed = chrono::DateTime::parse_from_rfc3339(text);
            if parsed.is_err() {
                report.bad(&table.at(key), format!("\"{text}\" is not a moment such as 2026-01-01T00:00:00+08:00"));
            }
            parsed.ok().map(|m| m.timestamp_millis())
        };
        applies.from = moment("from");
        applies.to = moment("to");
    }
    applies
}

fn closed_list(table: &Fields, key: &str, known: &[&str], report: &mut Report) -> Option<Vec<String>> {
    let list = table.texts(key, report)?;
    for (i, entry) in list.iter().enumerate().filter(|(_, e)| !known.contains(&e.as_str())) {
        let place = format!("{}/{i}", table.at(key));
        let hint = did_you_mean(entry, known.iter().copied());
        report.push(&place, Spot::Value, "bad_value", format!("\"{entry}\" is none of {}", known.join(", ")), hint);
    }
    Some(list)
}

fn read_score_effect(fields: &Fields, report: &mut Report) -> Option<Effect> {
    let table = Fields::new(fields.get("score")?, "/score", &["effect", "points", "per", "cap"], report)?;
    table.require("effect", report)?;
    read_effect(&table, report)
}

/// Reads `effect`, `points`, `per` and `cap` of a rule's score or a scheme's item.
pub(crate) fn read_effect(table: &Fields, report: &mut Report) -> Option<Effect> {
    let kinds = [
        ("add", EffectKind::Add),
        ("deduct", EffectKind::Deduct),
        ("set", EffectKind::Set),
        ("fatal", EffectKind::Fatal),
        ("flag", EffectKind::Flag),
    ];
    let kind = table.choice("effect", &kinds, report)?;
    let counted = matches!(kind, EffectKind::Add | EffectKind::Deduct | EffectKind::Set);
    if counted {
        table.require("points", report);
    }
    let points = table.decimal("points", 0, 1_000_000, report);
    Some(Effect {
        kind,
        points: points.unwrap_or(Ratio::ZERO),
        each: table.choice("per", &[("once", false), ("each", true)], report).unwrap_or(false),
        cap: table.decimal("cap", 0, 1_000_000, report),
    })
}

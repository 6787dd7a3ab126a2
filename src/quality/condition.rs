//! Reading one condition: its window, scope, need and operators.

use serde_json::Value as Json;

use super::expr::Expr;
use super::fields::{Fields, Report, did_you_mean};
use super::model::{Anchor, Condition, Need, Roles, Scope, TimeWindow, Where, Which};
use super::operators::{MORE_NAMES, NAMES, Operator, Reading};
use super::parse::read_expr;
use super::source::Spot;

const MAX_OPERATORS: usize = 50;
const KEYS: [&str; 11] = ["role", "sentences", "time", "anchor", "absolute", "scope", "need", "ops", "expr", "name", "note"];

pub(crate) fn read_condition(id: &str, json: &Json, pointer: &str, cx: &mut Reading) -> Option<Condition> {
    let allowed: Vec<&str> = KEYS.into_iter().chain(NAMES).chain(MORE_NAMES).collect();
    let fields = Fields::new(json, pointer, &allowed, cx.report)?;
    let operators = read_operators(&fields, cx);
    let roles = fields.roles("role", cx.report).map_or(Roles::ALL, |r| Roles::of(&r));
    let sentences = read_sentences(&fields, cx.report);
    let anchor = fields.get("anchor").and_then(|json| read_anchor(json, &fields.at("anchor"), cx));
    let (time, within_ms) = read_time(&fields, cx.report);
    let scopes = [("sentence", Scope::Sentence), ("clause", Scope::Clause), ("window", Scope::Window)];
    let scope = fields.choice("scope", &scopes, cx.report).unwrap_or_default();
    let need = read_need(&fields, cx.report);
    let absolute = fields.flag("absolute", false, cx.report);
    let (ops, expr) = operators?;
    let mut positive = vec![false; ops.len()];
    expr.visit(true, &mut |op, plus| positive[*op] |= plus);
    let per_window = ops.iter().any(Operator::per_window);
    Some(Condition {
        id: id.to_owned(),
        roles,
        sentences,
        time,
        within_ms,
        anchor,
        absolute,
        scope,
        need,
        placed_only: sentences.is_some() || anchor.is_some() || ops.iter().any(Operator::placed_only),
        cacheable: scope != Scope::Window && !per_window && ops.iter().all(Operator::cacheable),
        per_window,
        ops,
        positive,
        expr,
    })
}

fn read_operators(fields: &Fields, cx: &mut Reading) -> Option<(Vec<Operator>, Expr<usize>)> {
    let direct: Vec<&str> = NAMES.into_iter().chain(MORE_NAMES).filter(|n| fields.has(n)).collect();
    let ops = fields.get("ops");
    match (&direct[..], ops) {
        ([], None) => {
            let message = "a condition needs an operator, for example keyword = { any = [\"…\"] }".to_owned();
            cx.report.push(&fields.pointer, Spot::Value, "missing_field", message, None);
            None
        }
        ([name], None) => {
            let operator = Operator::read(name, &fields.map[*name], &fields.at(name), cx);
            let expr = if fields.has("expr") {
                read_expr(
                    fields,
                    "expr",
                    &["it".to_owned()],
                    "operator of this condition (a single one is called \"it\")",
                    cx.report,
                )
            } else {
                Some(Expr::Id(0))
            };
            Some((vec![operator?], expr?))
        }
        (_, None) => {
            let message = format!("{} operators stand side by side; name them under `ops`", direct.len());
            cx.report.push(&fields.at(direct[1]), Spot::Key, "bad_value", message, None);
            None
        }
        ([name, ..], Some(_)) => {
            let message = "an operator stands beside `ops`; move it under `ops`".to_owned();
            cx.report.push(&fields.at(name), Spot::Key, "bad_value", message, None);
            None
        }
        ([], Some(json)) => read_named(fields, json, cx),
    }
}

fn read_named(fields: &Fields, json: &Json, cx: &mut Reading) -> Option<(Vec<Operator>, Expr<usize>)> {
    let place = fields.at("ops");
    let Json::Object(map) = json else {
        cx.report.bad(&place, "a table of operators is expected here".into());
        return None;
    };
    if map.is_empty() || map.len() > MAX_OPERATORS {
        let code = if map.is_empty() { "bad_value" } else { "limit" };
        cx.report.push(&place, Spot::Value, code, format!("{} operators; 1 to {MAX_OPERATORS} are allowed", map.len()), None);
        return None;
    }
    let table = Fields { map, pointer: place };
    let names: Vec<String> = map.keys().cloned().collect();
    let mut ops = Vec::new();
    for (name, value) in map {
        let at = table.at(name);
        let Json::Object(inner) = value else {
            cx.report.bad(&at, "an operator is expected here, for example keyword = {…}".into());
            continue;
        };
        let mut keys = inner.iter();
        match (keys.next(), keys.next()) {
            (Some((operator, json)), None) => ops.extend(Operator::read(operator, json, &format!("{at}/{operator}"), cx)),
            _ => cx.report.bad(&at, "exactly one operator is expected here".into()),
        }
    }
    let expr = if fields.has("expr") {
        read_expr(fields, "expr", &names, "operator of this condition", cx.report)
    } else {
        Some(Expr::And((0..names.len()).map(Expr::Id).collect()))
    };
    (ops.len() == names.len()).then_some((ops, expr?))
}

fn read_sentences(fields: &Fields, report: &mut Report) -> Option<(i64, i64)> {
    let value = fields.get("sentences")?;
    let numbers: Option<Vec<i64>> = value.as_array().and_then(|list| list.iter().map(Json::as_i64).collect());
    match numbers.as_deref() {
        Some([from, to]) => Some((*from, *to)),
        _ => {
            report.bad(&fields.at("sentences"), "two whole numbers are expected here: [from, to]".into());
            None
        }
    }
}

fn read_need(fields: &Fields, report: &mut Report) -> Need {
    match fields.get("need") {
        None => Need::Any,
        Some(Json::String(word)) if word == "any" => Need::Any,
        Some(Json::String(word)) if word == "all" => Need::All,
        Some(Json::Number(_)) => Need::Count(fields.count("need", 1, 1, report)),
        Some(_) => {
            report.bad(&fields.at("need"), "\"any\", \"all\" or a number of at least 1 is expected here".into());
            Need::Any
        }
    }
}

fn read_anchor(json: &Json, pointer: &str, cx: &mut Reading) -> Option<Anchor> {
    let fields = Fields::new(json, pointer, &["of", "where", "hit"], cx.report)?;
    fields.require("of", cx.report);
    fields.require("where", cx.report);
    let places = [("before", Where::Before), ("after", Where::After), ("around", Where::Around), ("current", Where::Current)];
    let place = fields.choice("where", &places, cx.report);
    let which = match fields.get("hit") {
        None => Some(Which::Any),
        Some(Json::Number(_)) => {
            let before = cx.report.problems.len();
            let number = fields.count("hit", 1, 1, cx.report);
            (cx.report.problems.len() == before).then_some(Which::Nth(number))
        }
        Some(_) => fields.choice("hit", &[("last", Which::Last), ("every", Which::Every), ("any", Which::Any)], cx.report),
    };
    let of = fields.text("of", cx.report)?;
    let index = cx.conditions.iter().position(|c| c == of);
    if index.is_none() {
        let hint = did_you_mean(of, cx.conditions.iter().map(String::as_str));
        cx.report.push(&fields.at("of"), Spot::Value, "unknown_id", format!("\"{of}\" is not a condition of this rule"), hint);
    }
    Some(Anchor { of: index?, place: place?, which: which? })
}

fn read_time(fields: &Fields, report: &mut Report) -> (Option<TimeWindow>, Option<i64>) {
    let place = fields.at("time");
    let keys = ["first_ms", "last_ms", "from_ms", "to_ms", "first_pct", "last_pct", "from_pct", "to_pct", "within_ms"];
    let Some(table) = fields.get("time").and_then(|json| Fields::new(json, &place, &keys, report)) else {
        return (None, None);
    };
    if table.map.is_empty() {
        report.bad(&place, format!("give one of {}", keys.join(", ")));
        return (None, None);
    }
    let kinds: [&[&str]; 6] =
        [&["first_ms"], &["last_ms"], &["from_ms", "to_ms"], &["first_pct"], &["last_pct"], &["from_pct", "to_pct"]];
    let given = kinds.iter().filter(|kind| kind.iter().any(|k| table.has(k))).count();
    if given > 1 {
        report.push(&place, Spot::Value, "range_contradiction", "two kinds of time; give one".into(), None);
        return (None, None);
    }
    let within = table.int("within_ms", 0, report);
    if table.has("within_ms") && !fields.has("anchor") {
        report.push(&table.at("within_ms"), Spot::Value, "range_contradiction", "`within_ms` needs an anchor".into(), None);
    }
    if within == Some(0) {
        report.push(&place, Spot::Value, "empty_window", "the window has no length".into(), None);
    }
    (read_borders(&table, report), within)
}

fn read_borders(table: &Fields, report: &mut Report) -> Option<TimeWindow> {
    let before = report.problems.len();
    let mut ms = |key: &str| table.int(key, 0, report);
    let (first, last, from, to) = (ms("first_ms"), ms("last_ms"), ms("from_ms"), ms("to_ms"));
    // Percent may be out of range here, so that it is reported as an empty window.
    let mut pct = |key: &str| table.int(key, i64::MIN, report);
    let (first_pct, last_pct, from_pct, to_pct) = (pct("first_pct"), pct("last_pct"), pct("from_pct"), pct("to_pct"));
    if report.problems.len() > before {
        return None;
    }
    let percents = [first_pct, last_pct, from_pct, to_pct];
    let window = if let Some(first) = first {
        TimeWindow::Ms { from: 0, to: first }
    } else if let Some(last) = last {
        TimeWindow::LastMs(last)
    } else if from.is_some() || to.is_some() {
        TimeWindow::Ms { from: from.unwrap_or(0), to: to.unwrap_or(i64::MAX) }
    } else if percents.iter().any(Option::is_some) {
        let from = last_pct.map_or(from_pct.unwrap_or(0), |p| 100 - p);
        TimeWindow::Percent { from, to: first_pct.or(to_pct).unwrap_or(100) }
    } else {
        return None;
    };
    let empty = match window {
        TimeWindow::Ms { from, to } => from >= to,
        TimeWindow::LastMs(last) => last == 0,
        TimeWindow::Percent { from, to } => from >= to || percents.iter().flatten().any(|p| !(0..=100).contains(p)),
    };
    if empty {
        let message = "nothing can be in this window: borders in the wrong order, no length, or percent outside 0-100".to_owned();
        report.push(&table.pointer, Spot::Value, "empty_window", message, None);
    }
    Some(window)
}

//! Checks that need the whole rule: windows, grains, circles, and the warnings.

use super::fields::{Fields, Report};
use super::model::{Clock, Condition, Need, Rule, Scope, TimeWindow, Where};
use super::operators::Operator;
use super::source::{Spot, pointer_key};

pub(crate) fn check(rule: &Rule, fields: &Fields, report: &mut Report) {
    for condition in &rule.conditions {
        check_condition(rule, condition, fields, report);
    }
    check_circles(rule, report);
    if !report.failed() {
        warn(rule, report);
    }
}

fn place(condition: &Condition, rest: &str) -> String {
    format!("/conditions/{}{rest}", pointer_key(&condition.id))
}

fn check_condition(rule: &Rule, condition: &Condition, fields: &Fields, report: &mut Report) {
    let mut contradiction = |rest: &str, message: &str| {
        report.push(&place(condition, rest), Spot::Value, "range_contradiction", message.to_owned(), None);
    };
    let around = condition.anchor.is_some_and(|a| a.place == Where::Around);
    if condition.absolute && condition.anchor.is_some() {
        contradiction("/absolute", "`absolute` and `anchor` exclude each other");
    }
    if around && condition.sentences.is_none() {
        contradiction("/anchor", "`around` needs `sentences`, for example [-2, 2]");
    }
    if let Some((from, to)) = condition.sentences {
        let current = condition.anchor.is_some_and(|a| a.place == Where::Current);
        if current && (from, to) != (0, 0) {
            contradiction("/sentences", "`current` is the anchor sentence alone, [0, 0]");
        } else if from < 0 && to > 0 && !around {
            contradiction("/sentences", "from the end to the beginning is possible `around` an anchor only");
        } else if from == 0 || to == 0 {
            let meets = condition.anchor.map(|a| condition.roles.meets(rule.conditions[a.of].roles));
            let message = match meets {
                None => Some("sentence 0 is the anchor sentence, but there is no anchor; the first sentence is 1"),
                Some(false) => Some("sentence 0 is the anchor sentence, but its role can never be the role of this condition"),
                Some(true) => None,
            };
            if let Some(message) = message {
                report.push(&place(condition, "/sentences"), Spot::Value, "bad_position", message.to_owned(), None);
            }
        }
    }
    let windows = condition.ops.iter().filter(|op| op.per_window()).count();
    if windows > 0 && windows < condition.ops.len() {
        let message = "operators on sentences and operators on the window stand in one condition; make two conditions of them";
        report.push(&place(condition, ""), Spot::Value, "mixed_grain", message.to_owned(), None);
    }
    let refused = condition.ops.iter().any(|op| !op.accepts(condition.scope));
    let needs = condition.scope == Scope::Window && condition.need != Need::Any && has_need(fields, condition);
    if refused || needs {
        let message = if refused {
            "an operator of this condition refuses this scope"
        } else {
            "`need` counts sentences; with scope \"window\" there is one unit"
        };
        report.push(&place(condition, "/scope"), Spot::Value, "bad_scope", message.to_owned(), None);
    }
}

fn has_need(fields: &Fields, condition: &Condition) -> bool {
    fields.get("conditions").and_then(|c| c.get(&condition.id)).is_some_and(|c| c.get("need").is_some())
}

/// The conditions that a condition refers to.
fn references(condition: &Condition) -> Vec<usize> {
    let mut out: Vec<usize> = condition.anchor.map(|a| a.of).into_iter().collect();
    for op in &condition.ops {
        if let Operator::Flow(flow) = op {
            out.extend(flow.references());
        }
    }
    out
}

fn check_circles(rule: &Rule, report: &mut Report) {
    let count = rule.conditions.len();
    // 0 unseen, 1 on the path, 2 done.
    let mut state = vec![0_u8; count];
    let mut path: Vec<(usize, usize)> = Vec::new();
    for start in 0..count {
        if state[start] != 0 {
            continue;
        }
        path.push((start, 0));
        state[start] = 1;
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            let Some(target) = references(&rule.conditions[node]).get(*next).copied() else {
                state[node] = 2;
                path.pop();
                continue;
            };
            *next += 1;
            match state[target] {
                0 => {
                    state[target] = 1;
                    path.push((target, 0));
                }
                1 => {
                    let from = path.iter().position(|(n, _)| *n == target).unwrap_or(0);
                    let circle: Vec<usize> = path[from..].iter().map(|(n, _)| *n).collect();
                    report_circle(rule, &circle, report);
                }
                _ => {}
            }
        }
    }
}

fn report_circle(rule: &Rule, circle: &[usize], report: &mut Report) {
    let mut names: Vec<&str> = circle.iter().map(|c| rule.conditions[*c].id.as_str()).collect();
    names.push(names[0]);
    let message = format!("these refer to each other in a circle: {}", names.join(" -> "));
    let mut members: Vec<&Condition> = circle.iter().map(|c| &rule.conditions[*c]).collect();
    members.sort_by(|a, b| a.id.cmp(&b.id));
    let anchored = members.iter().find(|c| c.anchor.is_some());
    let pointer = match anchored {
        Some(condition) => place(condition, "/anchor/of"),
        None => place(members[0], "/flow/steps"),
    };
    report.push(&pointer, Spot::Value, "anchor_cycle", message, None);
}

fn warn(rule: &Rule, report: &mut Report) {
    let mut used = vec![false; rule.conditions.len()];
    rule.when.visit(true, &mut |id, _| used[*id] = true);
    rule.evidence.iter().chain(&rule.live.deadline_from).for_each(|id| used[*id] = true);
    for condition in &rule.conditions {
        references(condition).into_iter().for_each(|id| used[id] = true);
    }
    for (condition, _) in rule.conditions.iter().zip(&used).filter(|(_, used)| !**used) {
        let message = format!("nothing refers to the condition \"{}\"", condition.id);
        report.warn(&place(condition, ""), "unused_condition", message, None);
    }
    let mut open = None;
    rule.when.visit(true, &mut |id, positive| {
        if !positive && !closes(&rule.conditions[*id]) {
            open.get_or_insert(*id);
        }
    });
    if let Some(id) = open.filter(|_| rule.live.deadline_ms.is_none() && rule.live.clock != Clock::Post) {
        let message = format!("\"!{}\" is known only at the end of the call", rule.conditions[id].id);
        let hint = "give live.deadline_ms, a window that closes, or live.clock = \"post\"".to_owned();
        report.warn("/when", "no_deadline", message, Some(hint));
    }
    if !rule.tests.iter().any(|t| t.hit) || !rule.tests.iter().any(|t| !t.hit) {
        report.warn("", "no_test", "a rule needs a test that hits and one that misses".into(), None);
    }
    for condition in &rule.conditions {
        if let Some(word) = contradiction(condition) {
            report.warn(&place(condition, ""), "always_false", format!("\"{word}\" is both required and forbidden"), None);
        }
    }
}

/// Whether its window closes while the call goes on.
fn closes(condition: &Condition) -> bool {
    if matches!(condition.ops[..], [Operator::Meta(_)]) {
        return true;
    }
    if condition.per_window {
        return false;
    }
    let by_time = matches!(condition.time, Some(TimeWindow::Ms { to, .. }) if to != i64::MAX);
    let by_count = condition.sentences.is_some_and(|(from, to)| from >= 0 && to >= 0);
    match condition.anchor.map(|a| a.place) {
        None => by_time || by_count,
        Some(Where::Before | Where::Current) => true,
        Some(Where::After) => by_time || by_count || condition.within_ms.is_some(),
        Some(Where::Around) => true,
    }
}

/// A word that the conjunction of a condition both requires and forbids in the same unit.
fn contradiction(condition: &Condition) -> Option<String> {
    use super::expr::Expr;
    let parts = match &condition.expr {
        Expr::And(parts) => parts.as_slice(),
        single => std::slice::from_ref(single),
    };
    let (mut required, mut forbidden) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Expr::Id(op) => {
                if let Operator::Keyword(keyword) = &condition.ops[*op] {
                    if keyword.forbids() {
                        forbidden.extend(&keyword.written);
                    } else if keyword.requires_all() {
                        required.extend(&keyword.written);
                    }
                }
            }
            Expr::Not(inner) => {
                if let Expr::Id(op) = &**inner
                    && let Operator::Keyword(keyword) = &condition.ops[*op]
                    && (keyword.written.len() == 1 || !keyword.requires_all())
                    && !keyword.forbids()
                {
                    forbidden.extend(&keyword.written);
                }
            }
            _ => {}
        }
    }
    required.into_iter().find(|word| forbidden.contains(word)).cloned()
}

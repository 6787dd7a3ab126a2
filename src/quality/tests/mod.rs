mod importing;
mod language;
mod laws;
mod pack;
mod people;
mod scorecards;
mod scores;
mod speed;

use std::io::Cursor;

use super::*;
use crate::conversation::Conversation;

const VECTORS: &str = include_str!("../../../tests/fixtures/quality-vectors.jsonl");

#[test]
fn all_conformance_vectors_pass() {
    let report = conformance::run(Cursor::new(VECTORS)).unwrap();
    assert_eq!(report.differences, []);
    assert_eq!((report.passed, report.failed), (127, 0));
}

#[test]
fn a_wrong_vector_is_a_difference() {
    let line = VECTORS.lines().next().unwrap().replace("\"hit\":true", "\"hit\":false");
    let report = conformance::run(Cursor::new(format!("{line}\nnot json\n"))).unwrap();
    assert_eq!((report.passed, report.failed), (0, 2));
    assert_eq!(report.differences.last().unwrap().id, "line 2");
}

/// A rule of one condition `a`, from TOML.
fn rule(when: &str, conditions: &str) -> Rule {
    let text = format!("[[rule]]\nid = \"r\"\nwhen = \"{when}\"\n{conditions}");
    RuleFile::parse_toml("r.toml", &text).unwrap_or_else(|p| panic!("{}", list(&p))).remove(0)
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn dialogue(text: &str) -> Conversation {
    read_dialogue(text).unwrap()
}

fn evaluate(rule: &Rule, conversation: &Conversation) -> RuleResult {
    RuleSet::compile(vec![rule.clone()]).evaluate(conversation, &Models::default()).unwrap().remove(0)
}

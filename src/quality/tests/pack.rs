//! The rules and schemes that are delivered: sound, tested, and put together rightly.

use std::path::{Path, PathBuf};

use super::*;

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files
}

fn delivered() -> Vec<Rule> {
    let mut rules = Vec::new();
    for file in files("rules") {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        rules.extend(RuleFile::parse_toml(&name, &text).unwrap_or_else(|p| panic!("{}", list(&p))));
    }
    rules
}

#[test]
fn every_delivered_rule_is_sound_and_passes_its_tests() {
    let rules = delivered();
    assert!(rules.len() >= 40, "{} rules", rules.len());
    let mut wrong = Vec::new();
    for rule in &rules {
        wrong.extend(rule.warnings.iter().map(|w| format!("{}: {w}", rule.id)));
        for outcome in run_rule_tests(rule, &Models::default()).into_iter().filter(|o| !o.passed) {
            wrong.push(format!("{} / {}: {} {:?}", outcome.rule, outcome.test, outcome.differences.join("; "), outcome.trace));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ids_are_unique_over_all_files() {
    let mut ids: Vec<String> = delivered().into_iter().map(|r| r.id).collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

#[test]
fn every_delivered_scheme_knows_its_rules_and_scores() {
    let set = RuleSet::compile(delivered());
    let calls = [
        ("zh", dialogue("agent 您好，云朵商城，我是小林。\ncustomer 退款没到。\nagent 这个不归我管，你自己看。")),
        (
            "en",
            dialogue("agent Hello, this is Priya from Maple Home.\ncustomer Where is my refund?\nagent That's not my problem."),
        ),
    ];
    for file in files("schemes") {
        let text = std::fs::read_to_string(&file).unwrap();
        let scheme = Scheme::parse_toml(&file.display().to_string(), &text).unwrap_or_else(|p| panic!("{}", list(&p)));
        assert_eq!(scheme.id, file.file_stem().unwrap().to_string_lossy());
        let unknown: Vec<&str> = scheme.rules().filter(|id| set.rule(id).is_none()).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", scheme.id);
        for (language, call) in &calls {
            let call = Conversation { language: Some((*language).into()), ..call.clone() };
            let card = score("s", &call, &set, &scheme, &Models::default()).unwrap();
            let total = card.total.unwrap();
            assert!(total > 0.0 && total < 100.0, "{} {language}: {total}", scheme.id);
        }
    }
    assert_eq!(files("schemes").len(), 4);
}

//! The scorecard of the labelled conversations, with the authors' own annotations of turns.

use super::*;
use crate::quality::accuracy::{Accuracy, Labelled, answers};

/// The lowest accuracy of any question on a part of the labelled conversations. PRINT_WRONG names wrong answers; look at
/// `train` only when rules are changed.
fn lowest(split: &str) -> f64 {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut rules = Vec::new();
    for name in ["common.toml", "zh.toml", "en.toml"] {
        let text = std::fs::read_to_string(root.join("pipelines/rules").join(name)).unwrap();
        rules.extend(RuleFile::parse_toml(name, &text).unwrap_or_else(|p| panic!("{}", list(&p))));
    }
    let set = RuleSet::compile(rules);
    let mut accuracy = Accuracy::default();
    let print = split == "train" && option_env!("PRINT_WRONG").is_some();
    for file in ["zh.jsonl", "en.jsonl"] {
        let text = std::fs::read_to_string(root.join("datasets/conversations").join(file)).unwrap();
        for line in text.lines() {
            let labelled: Labelled = serde_json::from_str(line).unwrap();
            if labelled.labels.split != split {
                continue;
            }
            let said = answers(&labelled.with_gold(), &set, &Models::default()).unwrap();
            for wrong in accuracy.add(&labelled, &said) {
                if print {
                    eprintln!("{} {}: wanted {}, got {}", labelled.conversation.id, wrong.question, wrong.wanted, wrong.got);
                }
            }
        }
    }
    let shares = accuracy.shares();
    assert_eq!(shares.len(), 24, "twelve questions in two languages");
    for (language, question, share) in &shares {
        eprintln!(
            "{split} {language} {question} {:.3} [{:.3}, {:.3}] {}/{}",
            share.value, share.low, share.high, share.k, share.n
        );
    }
    shares.iter().map(|(_, _, share)| share.value).fold(1.0, f64::min)
}

#[test]
fn every_question_is_answered_right_nine_times_of_ten_where_rules_were_made() {
    assert!(lowest("train") >= 0.9);
}

#[test]
#[ignore = "a measurement, not a check: what was never looked at"]
fn what_was_never_looked_at() {
    lowest("test");
}

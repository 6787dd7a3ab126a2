//! Rules of other products, and thresholds from reviews.

use serde_json::json;

use super::*;
use crate::quality::import::{Fidelity, contact_lens, sca};
use crate::quality::tune::{propose, similar_places};

#[test]
fn an_uploaded_rule_means_the_same_here() {
    let source = json!([{
    "rid": 77, "name": "退款未确认", "level": 1, "lambda": "1 && !2", "triggers": ["1"], "autoReview": 1, "colour": "red",
    "conditions": [
        {"cid": "1", "lambda": "a", "check_range": {"role": "客户"},
         "operators": [{"oid": "a", "type": "INCLUDE_KEYWORDS", "operName": "x", "param": {"operKeyWords": ["退款"], "keywordMatchSize": 1}}]},
        {"cid": "2", "lambda": "a||b", "check_range": {"role": "客服", "range": {"from": 1, "to": 3}, "anchor": {"cid": "1", "location": "AFTER_ALL", "hit_time": 0}},
         "operators": [
            {"oid": "a", "type": "REGULAR_EXPRESSION", "param": {"regex": "为您.*退款"}},
            {"oid": "b", "type": "SIMILAR_MATCH", "param": {"similarlySentences": ["我来为您办理退款"], "score": 78}}]}
    ]}]);
    let made = sca(&source);
    assert_eq!(made.imported.len(), 1, "{:?}", made.report);
    let text = made.to_toml().unwrap();
    let rule = RuleFile::parse_toml("imported.toml", &text).unwrap_or_else(|p| panic!("{}\n{text}", list(&p))).remove(0);
    assert_eq!((rule.id.as_str(), rule.level.name()), ("sca-77", "medium"));
    let models = Models { similarity: Some(std::sync::Arc::new(|_, _| Some(0))), ..Models::default() };
    let state = |words: &str| RuleSet::compile(vec![rule.clone()]).evaluate(&dialogue(words), &models).unwrap()[0].state;
    assert_eq!(state("customer 我要退款\nagent 好的"), RuleState::Hit);
    assert_eq!(state("customer 我要退款\nagent 这就为您办理退款"), RuleState::Miss);
    let of = |at: &str| made.report.iter().find(|l| l.source == at).map(|l| l.result);
    assert_eq!(of("/0/colour"), Some(Fidelity::Dropped), "nothing is dropped silently");
    assert_eq!(of("/0/conditions/1/operators/1/param/score"), Some(Fidelity::Approximate));
    assert_eq!(of("/0/lambda"), Some(Fidelity::Exact));
}

#[test]
fn look_around_is_refused_with_its_reason() {
    let source = json!({"name": "x", "lambda": "a", "conditions": [{"cid": "a", "lambda": "b", "operators": [
        {"oid": "b", "type": "REGULAR_EXPRESSION", "param": {"regex": "(?<!不)保证"}}]}]});
    let made = sca(&source);
    assert_eq!(made.imported.len(), 0);
    assert!(made.report.iter().any(|l| l.result == Fidelity::Dropped && l.reason.contains("look-around")), "{:?}", made.report);
}

#[test]
fn a_rules_function_means_the_same_here() {
    let source = json!({
    "Name": "Escalation not handled", "Actions": [{"ActionType": "CREATE_TASK"}],
    "Function": {"Version": "2022-11-25", "RuleFunction": {"AND": [
        {"Operator": "CONTAINS_ANY", "Operands": ["manager", "supervisor"], "ComparisonValue": "$.ContactLens.PostCall.ExactMatch.Transcript",
         "Filters": [{"ComparisonValue": "$.ContactLens.PostCall.ParticipantRole", "Operands": ["CUSTOMER"]}]},
        {"Operator": "CONTAINS_ANY", "Negate": true, "Operands": ["let me get"], "ComparisonValue": "$.ContactLens.PostCall.ExactMatch.Transcript",
         "Filters": [{"ComparisonValue": "$.ContactLens.PostCall.ParticipantRole", "Operands": ["AGENT"]}]},
        {"Operator": "NumberGreaterOrEqualTo", "Operands": ["5"], "ComparisonValue": "$.ContactLens.PostCall.NonTalkTime.LongestTimeSecs"},
        {"Operator": "StringEquals", "Operands": ["billing"], "ComparisonValue": "$.Queue.QueueId"},
        {"Operator": "Unheard", "Operands": [], "ComparisonValue": "$.Something.Else"}
    ]}}});
    let made = contact_lens(&source);
    assert_eq!(made.imported.len(), 1, "{:?}", made.report);
    let text = made.to_toml().unwrap();
    let rule = RuleFile::parse_toml("imported.toml", &text).unwrap_or_else(|p| panic!("{}\n{text}", list(&p))).remove(0);
    let state = |words: &str, queue: &str| {
        let call = Conversation { queue: Some(queue.into()), ..dialogue(words) };
        RuleSet::compile(vec![rule.clone()]).evaluate(&call, &Models::default()).unwrap()[0].state
    };
    let waits = "customer 0-2 I want a manager\nagent 9-11 no";
    assert_eq!(state(waits, "billing"), RuleState::Hit);
    assert_eq!(state("customer 0-2 I want a manager\nagent 3-5 no", "billing"), RuleState::Miss);
    assert_eq!(state("customer 0-2 I want a manager\nagent 9-11 let me get him", "billing"), RuleState::Miss);
    assert_eq!(state(waits, "cards"), RuleState::NotApplicable);
    let dropped: Vec<&str> = made.report.iter().filter(|l| l.result == Fidelity::Dropped).map(|l| l.source.as_str()).collect();
    assert_eq!(dropped, ["/Actions", "/Function/RuleFunction/AND/4"]);
}

#[test]
fn a_threshold_is_proposed_between_what_should_hit_and_what_should_not() {
    let examples = [(95, true), (88, true), (86, true), (71, false), (64, false), (40, false), (69, true)];
    let best = propose(&examples, 0.9).unwrap();
    assert!((72..=86).contains(&best.score), "{}", best.score);
    assert_eq!((best.precision.value, best.recall.k), (1.0, 3));
    assert_eq!(propose(&[(80, true), (90, true)], 0.9), None, "one kind teaches nothing");
    let rule = rule("a", "conditions.a = { role = \"agent\", similar = { to = [\"您好\"], score = 78 } }");
    let places = similar_places(&rule);
    assert_eq!((places[0].condition.as_str(), places[0].score), ("a", 78));
    let models = Models { similarity: Some(std::sync::Arc::new(|_, _| Some(8_154))), ..Models::default() };
    assert_eq!(places[0].similarity("早上好", &models), Some(81));
    assert_eq!(places[0].similarity("早上好", &Models::default()), None);
}

/// A rule as the console of the source exports it: the head apart, several ranges, an anchor and example sentences.
const UPLOADED: &str = r#"{
  "rule": {
    "rid": 1204, "name": "外呼超时未结束且情绪高涨", "level": 0, "lambda": "a && b && !c", "triggers": ["a"],
    "business": [{"bid": 3, "businessName": "售后外呼"}], "fullCycle": 0,
    "effectiveStartTime": "2026-01-01 00:00:00", "effectiveEndTime": "2027-01-01",
    "scoreNum": -8, "scoreType": 3, "autoReview": 3, "qualityCheckType": 1, "modifyType": 5,
    "dialogues": [
      {"role": "客服", "words": "这边再给您说一遍！", "begin": 1000, "end": 3500, "emotionValue": 8},
      {"role": "客户", "words": "嗯", "begin": 4000, "end": 4300, "emotionValue": 3}
    ]
  },
  "conditions": [
    {"cid": "a", "lambda": "x && y", "check_range": {"role": "客服", "range": {"from": 1, "to": -1}},
     "operators": [
      {"oid": "x", "type": "ASR_EMOTION", "param": {"checkType": 3, "threshold": 7, "compareOperator": ">="}},
      {"oid": "y", "type": "DURATION", "param": {"interval": 2000, "compareOperator": "gt"}}]},
    {"cid": "b", "lambda": "g", "check_range": {"role": "客服"},
     "operators": [{"oid": "g", "type": "GRAB_WORDS", "param": {"interval": 800, "threshold": 3, "delayTime": 500}}]},
    {"cid": "c", "lambda": "t", "operators": [{"oid": "t", "type": "DURATION", "param": {"beginType": "DIALOGUE", "interval": 9000}}]},
    {"cid": "d", "lambda": "n", "operators": [{"oid": "n", "type": "FLOW_NODE", "param": {"node": 7}}]}
  ]
}"#;

#[test]
fn an_exported_rule_is_taken_over_field_by_field() {
    let made = sca(&serde_json::from_str(UPLOADED).unwrap());
    let of = |at: &str| made.report.iter().find(|l| l.source == at).map(|l| l.result);
    for (at, result) in [
        ("/rule/business", Fidelity::Exact),
        ("/rule/fullCycle", Fidelity::Exact),
        ("/rule/effectiveStartTime", Fidelity::Approximate),
        ("/rule/dialogues", Fidelity::Approximate),
        ("/rule/modifyType", Fidelity::Dropped),
        ("/conditions/0/operators", Fidelity::Approximate),
        ("/conditions/1/operators/0", Fidelity::Exact),
        ("/conditions/3/operators/0", Fidelity::Dropped),
    ] {
        assert_eq!(of(at), Some(result), "{at}: {:?}", made.report);
    }
    // A condition of which nothing is left makes no rule that always or never hits: it goes, with what asked for it.
    let rule = made.imported.first().unwrap_or_else(|| panic!("{:?}", made.report));
    assert_eq!(rule["when"], "(a && a-call) && b && !c");
    assert_eq!(rule["conditions"]["a-call"]["ops"]["y"]["measure"]["metric"], "call_ms");
    assert_eq!(rule["conditions"]["a"]["ops"]["x"]["energy"]["level"], json!({"ge": 7}));
    assert_eq!(rule["conditions"]["b"]["ops"]["g"]["interrupt"]["min_units"], 4);
    assert_eq!(rule["conditions"]["c"]["ops"]["t"]["hangup"]["gap_ms"], json!({"gt": 9000.0}));
    assert_eq!(rule["effective"]["from"], "2026-01-01T00:00:00+08:00");
    assert_eq!(rule["tests"][0]["conversation"]["turns"][0]["energy_db"], 80.0);
    let text = made.to_toml().unwrap();
    RuleFile::parse_toml("imported.toml", &text).unwrap_or_else(|p| panic!("{}\n{text}", list(&p)));
}

#[test]
fn how_points_count_and_an_open_time_are_taken_over() {
    let mut source: serde_json::Value = serde_json::from_str(UPLOADED).unwrap();
    let imported = |source: &serde_json::Value| sca(source).imported.remove(0);
    assert_eq!(imported(&source)["score"], json!({"effect": "deduct", "points": 8.0}));
    source["rule"]["scoreNumType"] = json!(0);
    assert_eq!(imported(&source)["score"], json!({"effect": "deduct", "points": 8.0, "per": "each"}));
    source["rule"]["scoreNumType"] = json!(1);
    source["conditions"][1]["check_range"]["TimeRange"] = json!({"from": 5000});
    let made = sca(&source);
    assert_eq!(made.imported[0]["score"], json!({"effect": "set", "points": 8.0}));
    assert_eq!(made.imported[0]["conditions"]["b"]["time"], json!({"from_ms": 5000}));
    let text = made.to_toml().unwrap();
    RuleFile::parse_toml("imported.toml", &text).unwrap_or_else(|p| panic!("{}\n{text}", list(&p)));
}

#[test]
fn at_most_and_nested_functions_mean_the_same_here() {
    let source = json!({"Name": "Calm and short", "RuleFunction": {"AND": [
        {"Operator": "NumberLessOrEqualTo", "Operands": ["1"], "ComparisonValue": "$.ContactLens.PostCall.Interruptions.Instances"},
        {"OR": [
            {"Operator": "NumberLessOrEqualTo", "Operands": ["70"], "ComparisonValue": "$.ContactLens.PostCall.Loudness.HighestLoudnessScore",
             "Filters": [{"ComparisonValue": "$.ContactLens.PostCall.ParticipantRole", "Operands": ["AGENT"]}]},
            {"Operator": "CONTAINS_ANY", "Negate": true, "ComparisonValue": "$.ContactLens.PostCall.PatternMatch.Transcript",
             "Operands": [{"Type": "PLAIN", "Value": "calm"}, {"Type": "PROXIMITY", "Distance": 3, "IsWithin": true}, {"Type": "LIST", "Values": ["down", "please"]}]}
        ]},
        {"Operator": "NumberGreaterOrEqualTo", "Operands": ["30"], "ComparisonValue": "$.Agent.AfterContactWorkDurationSecs"}
    ]}});
    let made = contact_lens(&source);
    assert_eq!(made.imported.len(), 1, "{:?}", made.report);
    let rule = Rule::from_json(&made.imported[0]).unwrap_or_else(|p| panic!("{}", list(&p)));
    let state = |words: &str, loud: f64| {
        let mut call = dialogue(words);
        call.metadata.insert("acw_ms".into(), serde_json::from_value(json!(31_000)).unwrap());
        call.turns.iter_mut().for_each(|t| t.energy_db = Some(loud));
        RuleSet::compile(vec![rule.clone()]).evaluate(&call, &Models::default()).unwrap()[0].state
    };
    let two = "customer 0-9 one two three four five six\nagent 3-10 no wait a moment\ncustomer 11-19 one two three four\nagent 13-20 no wait a moment";
    assert_eq!(state("customer 0-2 hello\nagent 3-5 hello", 60.0), RuleState::Hit);
    assert_eq!(state(two, 60.0), RuleState::Miss, "two interruptions are more than one");
    let one = two.lines().take(2).collect::<Vec<_>>().join("\n");
    assert_eq!(state(&one, 60.0), RuleState::Hit, "one is allowed");
    assert_eq!(state("agent 0-2 please calm down", 90.0), RuleState::Miss, "loud, and the words are there");
}

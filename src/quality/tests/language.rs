use super::*;

fn problems(text: &str) -> Vec<Problem> {
    RuleFile::parse_toml("rules/refund.toml", text).unwrap_err()
}

fn codes(conditions: &str) -> Vec<(String, String)> {
    let text = format!("[[rule]]\nid = \"r\"\nwhen = \"a\"\n{conditions}");
    match RuleFile::parse_toml("r.toml", &text) {
        Ok(rules) => rules[0].warnings.iter().map(|w| (w.code.to_owned(), w.pointer.clone())).collect(),
        Err(problems) => problems.iter().map(|p| (p.code.to_owned(), p.pointer.clone())).collect(),
    }
}

#[test]
fn evidence_names_every_true_part_of_an_or() {
    let either = "conditions.a = { expr = \"f || l\", ops = { f = { answer = { first_role = \"agent\" } }, \
                  l = { hangup = { last_role = \"customer\" } } } }";
    let turns = |text: &str| evaluate(&rule("a", either), &dialogue(text)).evidence.iter().map(|s| s.turn).collect::<Vec<_>>();
    assert_eq!(turns("agent 您好\ncustomer 再见"), [0, 1]);
    assert_eq!(turns("customer 喂\nagent 您好\ncustomer 再见"), [2]);
    assert_eq!(turns("agent 您好\nagent 再见"), [0]);
}

#[test]
fn a_mistake_is_shown_with_line_column_and_the_nearest_name() {
    let text = "# refunds\n[[rule]]\nid = \"refund-no-confirm\"\nwhen = \"refnd && !done\"\n\
        [rule.conditions.refund]\nkeyword = { any = [\"退款\"] }\n[rule.conditions.done]\nkeywrd = { any = [\"好\"] }\n";
    let found = problems(text);
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(
        shown.iter().any(
            |s| s.starts_with("rules/refund.toml:4:9 /when unknown_id: \"refnd\"") && s.ends_with("did you mean \"refund\"?")
        ),
        "{shown:?}"
    );
    assert!(
        shown.iter().any(|s| s.starts_with("rules/refund.toml:8:1 /conditions/done/keywrd unknown_field")
            && s.ends_with("did you mean \"keyword\"?")),
        "{shown:?}"
    );
}

#[test]
fn columns_count_code_points() {
    let found = problems("[[rule]]\nid = \"r\"\nwhen = \"好 && 退钱\"\n[rule.conditions.\"好\"]\nkeyword = { any = [\"好\"] }\n");
    assert_eq!((found[0].line, found[0].column, found[0].code), (3, 14, "unknown_id"));
}

#[test]
fn every_problem_is_reported_at_its_place() {
    for (conditions, expected) in [
        ("conditions.a.keyword = { any = [] }", ("bad_value", "/conditions/a/keyword/any")),
        ("conditions.a.keyword = { any = [\"@no\"] }", ("unknown_list", "/conditions/a/keyword/any/0")),
        ("conditions.a.regex.match = '(?=x)'", ("bad_regex", "/conditions/a/regex/match")),
        ("conditions.a.regex = { match = 'a', except = '(' }", ("bad_regex", "/conditions/a/regex/except")),
        ("conditions.a.pattern.any = [\"a ~x b\"]", ("bad_pattern", "/conditions/a/pattern/any/0")),
        ("conditions.a = { sentences = [0, 1], keyword.any = [\"x\"] }", ("bad_position", "/conditions/a/sentences")),
        ("conditions.a = { time = { first_pct = 120 }, keyword.any = [\"x\"] }", ("empty_window", "/conditions/a/time")),
        (
            "conditions.a = { time = { first_ms = 1, last_ms = 2 }, keyword.any = [\"x\"] }",
            ("range_contradiction", "/conditions/a/time"),
        ),
        (
            "conditions.a = { time = { within_ms = 5 }, keyword.any = [\"x\"] }",
            ("range_contradiction", "/conditions/a/time/within_ms"),
        ),
        ("conditions.a = { ops.x.keyword.any = [\"x\"], ops.y.hangup.by = \"agent\" }", ("mixed_grain", "/conditions/a")),
        ("conditions.a = { scope = \"clause\", silence.gap_ms.gt = 1 }", ("bad_scope", "/conditions/a/scope")),
        ("conditions.a = { scope = \"window\", need = 2, keyword.any = [\"x\"] }", ("bad_scope", "/conditions/a/scope")),
        ("conditions.a = { role = \"agnt\", keyword.any = [\"x\"] }", ("bad_value", "/conditions/a/role")),
        (
            "conditions.a = { anchor = { of = \"b\", where = \"after\" }, keyword.any = [\"x\"] }",
            ("unknown_id", "/conditions/a/anchor/of"),
        ),
        ("conditions.a.flow.steps = [\"b\"]", ("unknown_id", "/conditions/a/flow/steps/0")),
        ("evidence = [\"z\"]\nconditions.a.keyword.any = [\"x\"]", ("unknown_id", "/evidence/0")),
        ("conditions.a.keyword.any = [\"x\"]\nlive.deadline_ms = -1", ("bad_value", "/live/deadline_ms")),
        ("conditions.a.ask.question = \"\"", ("bad_value", "/conditions/a/ask/question")),
        ("conditions.a.label.any = [\"abus\"]", ("unknown_label", "/conditions/a/label/any/0")),
        ("conditions.a = { ops.x.keyword.all = [\"x\"], ops.y.keyword.none = [\"x\"] }", ("always_false", "/conditions/a")),
        ("conditions.a.keyword.any = [\"x\"]\nconditions.b.keyword.any = [\"y\"]", ("unused_condition", "/conditions/b")),
    ] {
        let found = codes(conditions);
        let expected = (expected.0.to_owned(), expected.1.to_owned());
        assert!(found.contains(&expected), "{conditions}: {found:?}");
    }
}

#[test]
fn circles_are_printed_and_expressions_are_bounded() {
    let conditions = "conditions.a = { anchor = { of = \"b\", where = \"after\" }, keyword.any = [\"x\"] }\n\
        conditions.b.flow.steps = [\"a\"]";
    assert_eq!(codes(conditions), [("anchor_cycle".to_owned(), "/conditions/a/anchor/of".to_owned())]);
    let deep = format!("{}a{}", "(".repeat(40), ")".repeat(40));
    let found =
        RuleFile::parse_toml("r", &format!("[[rule]]\nid=\"r\"\nwhen=\"{deep}\"\nconditions.a.keyword.any=[\"x\"]")).unwrap_err();
    assert_eq!(found[0].code, "limit");
    assert_eq!(problems("rule = [")[0].code, "toml_syntax");
    let twice = "[[rule]]\nid=\"r\"\nwhen=\"a\"\nconditions.a.keyword.any=[\"x\"]\n".repeat(2);
    assert_eq!(problems(&twice)[0].code, "duplicate_id");
}

#[test]
fn json_and_toml_are_one_form() {
    let rule = rule("a", "[rule.lists]\nx = [\"您好\"]\n[rule.conditions.a]\nkeyword = { any = [\"@x\"] }");
    let again = Rule::from_json(&rule.source).unwrap();
    let call = dialogue("agent 您好");
    assert_eq!(evaluate(&rule, &call), evaluate(&again, &call));
    assert_eq!(evaluate(&rule, &call).state, RuleState::Hit);
}

#[test]
fn words_end_where_the_language_says() {
    for (keyword, text, hit) in [
        ("卡", "信用卡", true),
        ("card", "a card.", true),
        ("card", "discard", false),
        ("85", "3.85", false),
        ("85", "85.", true),
        ("don't", "I Don\u{2019}t", true),
        ("thank you", "THANK\u{3000}you", true),
    ] {
        let rule = rule("a", &format!("conditions.a.keyword.any = [\"{keyword}\"]"));
        assert_eq!(evaluate(&rule, &dialogue(&format!("agent {text}"))).state == RuleState::Hit, hit, "{keyword} in {text}");
    }
}

#[test]
fn conversations_out_of_order_are_refused() {
    let mut call = dialogue("agent 0-1 a\ncustomer 2-3 b");
    call.turns.swap(0, 1);
    let set = RuleSet::compile(vec![rule("a", "conditions.a.keyword.any = [\"b\"]")]);
    let error = set.evaluate(&call, &Models::default()).unwrap_err();
    assert!(error.to_string().starts_with("turns_out_of_order: turn 1 starts at 0 ms"), "{error}");
    call.turns = vec![call.turns[0].clone(); MAX_TURNS + 1];
    assert!(matches!(set.evaluate(&call, &Models::default()), Err(ConversationError::TooManyTurns { .. })));
}

#[test]
fn hit_ids_survive_other_rules_and_other_turns() {
    let rule = rule("a", "conditions.a.keyword.any = [\"退款\"]");
    let mut call = dialogue("agent 您好\ncustomer 退款");
    call.turns[1].id = Some("t-9".into());
    let first = evaluate(&rule, &call).hits[0].hit_id.clone();
    call.turns.remove(0);
    assert_eq!(evaluate(&rule, &call).hits[0].hit_id, first);
    assert_eq!(first.len(), "hit_".len() + 26);
}

#[test]
fn an_encoder_gives_similarity() {
    let models = Models::default().with_encoder("letters", 100, |text| {
        let mut v = [0.0_f32; 26];
        text.bytes().filter(u8::is_ascii_lowercase).for_each(|b| v[usize::from(b - b'a')] += 1.0);
        let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt();
        (norm > 0.0).then(|| v.iter().map(|x| x / norm).collect())
    });
    let set = RuleSet::compile(vec![rule("a", "conditions.a.similar = { to = [\"abc\"], score = 81 }")]);
    let state = |text: &str, models: &Models| set.evaluate(&dialogue(text), models).unwrap()[0].state;
    assert_eq!(state("agent abd", &models), RuleState::Miss);
    assert_eq!(state("agent aabc", &models), RuleState::Hit);
    assert_eq!(state("agent 123", &models), RuleState::Na);
    assert_eq!(state("agent abc", &Models::default()), RuleState::Na);
}

#[test]
fn steps_come_from_a_shared_graph() {
    let step = |id: &str, word: &str| SopStep {
        id: id.into(),
        condition: serde_json::json!({"role": "agent", "keyword": {"any": [word]}}),
        guard: None,
        optional: false,
    };
    let sops = SopFlows([("refund".to_owned(), vec![step("greet", "您好"), step("bye", "再见")])].into());
    let text = "[[rule]]\nid=\"r\"\nwhen=\"f\"\nconditions.f.flow = { sop = \"refund\", on = \"broken\" }\nlive.clock = \"post\"";
    let rule = RuleFile::parse_toml_with("r", text, &sops).unwrap_or_else(|p| panic!("{}", list(&p))).remove(0);
    let result = evaluate(&rule, &dialogue("agent 您好\nagent 办好了"));
    assert_eq!((result.state, result.missing), (RuleState::Hit, vec!["refund-bye".to_owned()]));
    assert_eq!(RuleFile::parse_toml("r", text).unwrap_err()[0].code, "unknown_id");
}

#[test]
fn ten_usual_mistakes_are_named_with_their_place_and_the_way_out() {
    let rule = |body: &str| format!("[[rule]]\nid = \"r\"\nwhen = \"a\"\n[rule.conditions.a]\n{body}\n");
    for (text, place, code, says) in [
        (rule("keywords = { any = [\"退款\"] }"), "5:1", "unknown_field", "did you mean \"keyword\"?"),
        (rule("keyword = { any = \"退款\" }"), "5:19", "bad_value", "list"),
        (rule("intent = { any = [\"refund_stauts\"] }"), "5:19", "unknown_label", "did you mean \"refund_status\"?"),
        (rule("regex = { match = '工号 }"), "5:24", "toml_syntax", "is a quote ' missing"),
        (rule("time = { from_ms = 9000, to_ms = 3000 }\nkeyword = { any = [\"退款\"] }"), "5:8", "empty_window", "wrong order"),
        (rule("anchor = { of = \"a\", where = \"after\" }\nkeyword = { any = [\"退款\"] }"), "5:17", "anchor_cycle", "a -> a"),
        (rule("role = \"agnet\"\nkeyword = { any = [\"退款\"] }"), "5:8", "bad_value", "did you mean \"agent\"?"),
        (rule("sentences = [1, \"3\"]\nkeyword = { any = [\"退款\"] }"), "5:13", "bad_value", "whole numbers"),
        (rule("keyword = { any = [\"退款\"] }").repeat(2), "7:6", "duplicate_id", "\"r\""),
        (rule("keyword = { any = [\"退款\"] }").replace("when = \"a\"", "when = \"a & b\""), "3:11", "expr_syntax", "&&"),
        (
            rule("keyword = { any = [\"退款\"] }").replace("when = \"a\"", "level = \"serius\"\nwhen = \"a\""),
            "3:9",
            "bad_value",
            "did you mean \"serious\"?",
        ),
        (
            rule("keyword = { any = [\"@sorry\"] }").replace("[rule.cond", "lists.sorryy = [\"抱歉\"]\n[rule.cond"),
            "6:20",
            "unknown_list",
            "did you mean \"sorryy\"?",
        ),
    ] {
        let found = match RuleFile::parse_toml("rules.toml", &text) {
            Ok(rules) => rules.into_iter().flat_map(|r| r.warnings).collect(),
            Err(problems) => problems,
        };
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        let fits = |s: &String| s.starts_with(&format!("rules.toml:{place} ")) && s.contains(code) && s.contains(says);
        assert!(shown.iter().any(fits), "{code} at {place} saying {says}:\n{}\n{text}", shown.join("\n"));
    }
}

#[test]
fn patterns_that_would_explode_run_in_linear_time_or_are_refused() {
    // With backtracking each of these takes longer than the age of the world on a text like this.
    for pattern in ["(a+)+b", "(a|a)*b", "(a|aa)+$b", "(.*a){12}b", "(x+x+)+y|(a*)*b"] {
        let rule = rule("a", &format!("conditions.a = {{ role = \"agent\", regex.match = '{pattern}' }}"));
        let call = dialogue(&format!("agent {}", "a".repeat(20_000)));
        assert_eq!(evaluate(&rule, &call).state, RuleState::Miss, "{pattern}");
    }
    // And one whose automaton would not fit into memory is refused at its place.
    let found = codes("conditions.a.regex.match = '((\\w{100}){100}){100}'");
    assert_eq!(found, [("bad_regex".to_owned(), "/conditions/a/regex/match".to_owned())]);
}

use std::sync::Arc;

use super::*;
use crate::conversation::{Role, Turn};

const FORM: &str = r#"
[scheme]
id = "form"
mode = "form"
[[scheme.dimensions]]
id = "service"
weight = 2
items = [ { rule = "rude" }, { rule = "greet", weight = 2, on_hit = 1, on_miss = 0 } ]
[[scheme.dimensions]]
id = "judged"
items = [ { manual = "tone", answers = { good = 1, fair = 0.5, bad = 0 } } ]
"#;

fn rules() -> RuleSet {
    let text = r#"
        [[rule]]
        id = "rude"
        when = "a"
        score = { effect = "deduct", points = 4, per = "each", cap = 10 }
        conditions.a.keyword.any = ["管不了"]
        [[rule]]
        id = "greet"
        kind = "merit"
        when = "a"
        conditions.a = { role = "agent", sentences = [1, 2], keyword.any = ["您好"] }
    "#;
    RuleSet::compile(RuleFile::parse_toml("r", text).unwrap_or_else(|p| panic!("{}", list(&p))))
}

#[test]
fn a_form_weighs_questions_and_leaves_out_what_nobody_answered() {
    let scheme = Scheme::parse_toml("s", FORM).unwrap_or_else(|p| panic!("{}", list(&p)));
    let (set, call) = (rules(), dialogue("agent 您好\nagent 管不了"));
    let results = set.evaluate(&call, &Models::default()).unwrap();
    let card = scorecard("scr_1", &call, &set, &scheme, results.clone(), &ManualAnswers::new());
    assert_eq!((card.total, card.dimensions[0].score, card.dimensions[1].score), (Some(66.67), Some(66.67), None));
    let manual = [("tone".to_owned(), ManualAnswer::Choice("fair".into()))].into();
    let card = scorecard("scr_1", &call, &set, &scheme, results, &manual);
    assert_eq!(card.total, Some(61.11));
    let text = serde_json::to_string(&card).unwrap();
    assert_eq!(serde_json::from_str::<Scorecard>(&text).unwrap(), card);
}

#[test]
fn points_are_kept_within_bounds_and_a_fatal_item_ends_them() {
    let scheme = |item: &str| {
        Scheme::parse_toml("s", &format!("[scheme]\nid=\"s\"\n[[scheme.dimensions]]\nid=\"d\"\nitems=[{item}]")).unwrap()
    };
    let (set, call) = (rules(), dialogue("agent 管不了\nagent 管不了\nagent 管不了"));
    let total = |item: &str| score("x", &call, &set, &scheme(item), &Models::default()).unwrap();
    assert_eq!(total("{rule=\"rude\"}").total, Some(90.0));
    assert_eq!(total("{rule=\"rude\"}").results[0].points, -10.0);
    assert_eq!(total("{rule=\"rude\", effect=\"deduct\", points=60, per=\"each\"}").total, Some(0.0));
    assert_eq!(total("{rule=\"rude\", effect=\"set\", points=42.5}").total, Some(42.5));
    let fatal = total("{rule=\"rude\", effect=\"fatal\"}");
    assert_eq!((fatal.total, fatal.fatal), (Some(0.0), vec!["rude".to_owned()]));
    assert_eq!(total("{rule=\"nowhere\"}").total, None);
}

#[test]
fn a_scheme_with_mistakes_is_refused_with_places() {
    let text = "[scheme]\nid = \"s\"\nmin = 5\nmax = 5\n[[scheme.dimensions]]\nid = \"d\"\nitems = [ { rule = \"a\", effct = \"add\" } ]\n";
    let shown: Vec<String> = Scheme::parse_toml("s.toml", text).unwrap_err().iter().map(ToString::to_string).collect();
    assert!(shown.iter().any(|s| s.starts_with("s.toml:4:7 /max bad_value")), "{shown:?}");
    assert!(shown.iter().any(|s| s.contains("s.toml:7:25 /dimensions/0/items/0/effct unknown_field")), "{shown:?}");
}

#[test]
fn scoring_in_parallel_keeps_the_order() {
    let calls: Vec<Conversation> =
        (0..200).map(|i| Conversation { id: format!("c{i}"), ..dialogue("agent 您好\ncustomer 退款") }).collect();
    let scheme = Scheme::parse_toml("s", FORM).unwrap();
    let cards = score_all(&calls, &rules(), &scheme, &Models::default(), |c| format!("scr-{}", c.id));
    let ids: Vec<String> = cards.into_iter().map(|c| c.unwrap().score_id).collect();
    assert_eq!(ids, (0..200).map(|i| format!("scr-c{i}")).collect::<Vec<_>>());
}

fn agent(text: &str, start: i64, end: i64) -> Turn {
    Turn { role: Role::Agent, text: text.into(), start_ms: Some(start), end_ms: Some(end), ..Turn::default() }
}

#[test]
fn a_late_greeting_alerts_at_its_deadline_and_stays() {
    let rule = rule(
        "!greet",
        "level = \"serious\"\nconditions.greet = { role = \"agent\", time = { first_ms = 20000 }, keyword.any = [\"您好\"] }",
    );
    let mut live = LiveEvaluator::new(
        Arc::new(RuleSet::compile(vec![rule])),
        &Conversation { id: "c".into(), ..Conversation::default() },
        Models::default(),
    );
    assert_eq!(live.final_turn("u1", agent("请讲", 1_000, 3_000), true), []);
    assert_eq!(live.advance_clock(19_999), []);
    let change = live.advance_clock(20_000).remove(0);
    assert_eq!(
        (change.state, change.alert, change.settled, change.level, change.at_ms),
        (RuleState::Hit, true, true, "critical", 20_000)
    );
    live.final_turn("u2", agent("您好", 24_000, 26_000), true);
    let (results, changes) = live.end(Some(30_000), None);
    assert_eq!(results[0].state, RuleState::Hit);
    assert_eq!(changes[0].verdict, Some(Verdict::Confirmed));
}

#[test]
fn a_repeated_word_alerts_again_only_after_the_cooldown() {
    let rule = rule("a", "live.cooldown_ms = 10000\nconditions.a.keyword.any = [\"管不了\"]");
    let mut live = LiveEvaluator::new(Arc::new(RuleSet::compile(vec![rule])), &Conversation::default(), Models::default());
    let alerts: Vec<bool> = [(0, 1_000), (2_000, 3_000), (15_000, 16_000)]
        .into_iter()
        .enumerate()
        .map(|(i, (start, end))| {
            let key = i.to_string();
            live.advance_clock(end);
            let changes = live.final_turn(&key, agent("管不了", start, end), true);
            assert_eq!(changes[0].hits.len(), 1);
            changes[0].alert
        })
        .collect();
    assert_eq!(alerts, [true, false, true]);
}

#[test]
fn a_provisional_hit_is_retracted_when_its_rule_settles() {
    let rule = rule("!thanks", "live.deadline_ms = 10000\nconditions.thanks = { role = \"agent\", keyword.any = [\"谢谢\"] }");
    let mut live = LiveEvaluator::new(Arc::new(RuleSet::compile(vec![rule])), &Conversation::default(), Models::default());
    live.final_turn("1", agent("请讲", 0, 1_000), true);
    let fired = live.advance_clock(10_000).remove(0);
    assert_eq!((fired.state, fired.provisional, fired.alert), (RuleState::Hit, true, true));
    let back = live.final_turn("2", agent("谢谢", 11_000, 12_000), true);
    assert_eq!((back[0].state, back[0].verdict), (RuleState::Miss, Some(Verdict::Retracted)));
}

#[test]
fn an_annotation_that_comes_too_late_counts_as_absent() {
    let rule = rule("a", "conditions.a = { need = \"all\", sentences = [1, 1], label.none = [\"abuse\"] }");
    let mut live = LiveEvaluator::new(Arc::new(RuleSet::compile(vec![rule])), &Conversation::default(), Models::default());
    live.final_turn("1", agent("请讲", 0, 1_000), false);
    assert_eq!(live.advance_clock(3_000), []);
    let late = Turn { timed_out: vec!["labels".into()], ..Turn::default() };
    let change = live.annotated("1", &late, true).remove(0);
    assert_eq!((change.state, change.settled), (RuleState::Na, true));
    assert_eq!(live.conversation().turns[0].timed_out, ["labels"]);
}

#[test]
fn a_report_is_one_escaped_page_and_lines_are_quoted() {
    let (set, scheme) = (rules(), Scheme::parse_toml("s", FORM).unwrap());
    let mut report = report::Report::new("<week 1>", crate::conversation::Language::Zh, 2);
    for (i, words) in ["您好", "管不了 <b>", "管不了，管不了"].into_iter().enumerate() {
        let mut call = dialogue(&format!("agent {words}"));
        call.id = format!("=c{i},\"x\"");
        let card = score("s", &call, &set, &scheme, &Models::default()).unwrap();
        report.add(&card, Some(&call));
        let line = spreadsheet::csv_line(&card, &["service"]);
        assert!(line.starts_with(&format!("\"'=c{i},\"\"x\"\"\",")), "{line}");
    }
    let page = report.html();
    assert!(page.contains("&lt;week 1&gt;") && !page.contains("<week"));
    assert!(page.contains("低分会话") && page.contains("<svg") && page.contains("管不了"));
    assert_eq!(page.matches("<section>").count(), 2);
    assert!(!page.contains("http://") && !page.contains("https://"));
}

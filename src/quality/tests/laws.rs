//! The two laws of the live engine: fed turn by turn and ended it says what the batch says, and a settled state
//! that is not provisional is the final one.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::{Value as Json, json};

use super::*;
use crate::conversation::{EmotionScore, EntitySpan, MetadataValue, Named, Role, Turn};

/// What a live run saw: at each moment the state of each rule and whether it was provisional.
type Seen = Vec<(i64, Vec<(RuleState, bool)>)>;

fn without_annotations(turn: &Turn) -> Turn {
    Turn { intents: None, emotion: None, labels: None, entities: None, energy_db: None, ..turn.clone() }
}

/// Feeds a conversation at every moment at which something happens; annotations come one moment late.
fn feed(set: &Arc<RuleSet>, conversation: &Conversation, models: &Models) -> (Vec<RuleResult>, Seen) {
    let mut live = LiveEvaluator::new(Arc::clone(set), conversation, models.clone());
    let mut moments: Vec<i64> = conversation.turns.iter().flat_map(|t| [t.start_ms, t.end_ms]).flatten().collect();
    moments.extend(moments.clone().iter().flat_map(|m| [m - 1, m + 1, m + 2_500]));
    moments.sort_unstable();
    moments.dedup();
    let end = conversation.duration_ms.unwrap_or(i64::MAX);
    let mut seen = Seen::new();
    let (mut begun, mut finished, mut annotated) = (vec![false; conversation.turns.len()], Vec::new(), 0);
    for at in moments.into_iter().filter(|m| *m >= 0 && *m < end) {
        for (i, turn) in conversation.turns.iter().enumerate().filter(|(_, t)| t.start_ms.is_some_and(|s| s <= at)) {
            if !begun[i] {
                begun[i] = true;
                live.speech_started(&i.to_string(), turn.role, turn.start_ms.unwrap());
            }
        }
        while annotated < finished.len() {
            let i: usize = finished[annotated];
            live.annotated(&i.to_string(), &conversation.turns[i], true);
            annotated += 1;
        }
        for (i, turn) in conversation.turns.iter().enumerate() {
            if begun[i] && turn.end_ms.or(turn.start_ms).is_some_and(|e| e <= at) && !finished.contains(&i) {
                finished.push(i);
                live.final_turn(&i.to_string(), without_annotations(turn), false);
            }
        }
        live.advance_clock(at);
        seen.push((at, (0..set.rules().len()).map(|r| live.state(r)).collect()));
    }
    for (i, turn) in conversation.turns.iter().enumerate() {
        if !finished.contains(&i) {
            live.final_turn(&i.to_string(), without_annotations(turn), false);
        }
        live.annotated(&i.to_string(), turn, true);
    }
    let (results, _) = live.end(conversation.duration_ms, conversation.hangup_by);
    (results, seen)
}

/// Whether a rule fires on a silence that is still running: then a call that ends in silence, without another
/// sentence, takes the hit back (see docs/quality-vectors.md).
fn by_timer(rule: &Json) -> bool {
    rule.to_string().contains("\"silence\"")
}

fn check_laws(rule: &Json, conversation: &Conversation, models: &Models) -> Result<(), TestCaseError> {
    let Ok(compiled) = Rule::from_json(rule) else {
        // Vectors of refused rules have nothing to run; random rules are mended before they come here.
        prop_assert!(VECTORS.contains(&rule.to_string()), "refused: {}", rule);
        return Ok(());
    };
    let set = Arc::new(RuleSet::compile(vec![compiled]));
    let Ok(batch) = set.evaluate(conversation, models) else { return Ok(()) };
    let (live, seen) = feed(&set, conversation, models);
    prop_assert_eq!(&live, &batch, "law 1: {}", rule);
    let last_start = conversation.turns.iter().filter(|t| !t.text.trim().is_empty()).filter_map(|t| t.start_ms).max();
    for (at, states) in seen {
        let (state, provisional) = states[0];
        let timer = by_timer(rule) && last_start.is_none_or(|s| at > s);
        if state != RuleState::Pending && !provisional && !timer {
            prop_assert_eq!(
                state,
                batch[0].state,
                "law 2 at {} ms: {}\n{}",
                at,
                rule,
                serde_json::to_string(conversation).unwrap()
            );
        }
    }
    Ok(())
}

#[test]
fn the_laws_hold_for_every_vector() {
    for line in VECTORS.lines() {
        let vector: conformance::Vector = serde_json::from_str(line).unwrap();
        check_laws(&vector.rule, &vector.conversation, &vector.fixtures.models())
            .unwrap_or_else(|e| panic!("{}: {e}", vector.id));
    }
}

fn text() -> impl Strategy<Value = String> {
    let words = ["您好", "退款", "稍等", "好的", "投诉", "工号12", "谢谢", "card", "no", "再见", "请问您的订单号是多少", "嗯"];
    prop_oneof![
        9 => prop::collection::vec(prop::sample::select(words.to_vec()), 1..4).prop_map(|w| w.join("，")),
        1 => Just(" ".to_owned()),
    ]
}

/// An order number at the beginning, and each "12" as a telephone number.
fn entities(text: &str, order: bool) -> Vec<EntitySpan> {
    let chars: Vec<char> = text.chars().collect();
    let entity = |kind: &str, start: usize, end: usize| EntitySpan {
        kind: kind.into(),
        value: chars[start..end].iter().collect(),
        start,
        end,
        score: 0.9,
    };
    let mut all = Vec::new();
    if order && chars.len() > 1 {
        all.push(entity("order_no", 0, 2));
    }
    all.extend((0..chars.len().saturating_sub(1)).filter(|i| chars[*i..*i + 2] == ['1', '2']).map(|i| entity("phone", i, i + 2)));
    all
}

prop_compose! {
    fn turn()(
        role in prop::sample::select(vec![Role::Agent, Role::Customer, Role::Agent, Role::Customer, Role::Bot]),
        text in text(),
        gap in -1_500_i64..6_000,
        length in 0_i64..5_000,
        loud in prop::option::of(40_i64..95),
        valence in prop::option::of(-4_i64..4),
        label in prop::option::of(prop::sample::select(vec!["abuse", "apology"])),
        intent in prop::option::of(prop::sample::select(vec!["refund_request", "chit_chat"])),
        order in prop::bool::ANY,
        computed in prop::bool::weighted(0.8),
    ) -> (Turn, i64, i64) {
        let emotion = valence.map(|v| EmotionScore { name: if v < -1 { "angry".into() } else { "neutral".into() }, score: 0.9, valence: Some(v as f64) });
        let labels = computed.then(|| label.into_iter().map(|l| Named { name: l.into(), score: 0.8 }).collect());
        let intents = computed.then(|| intent.into_iter().map(|i| Named { name: i.into(), score: 0.7 }).collect());
        let entities = computed.then(|| entities(&text, order));
        let energy_db = loud.map(|l| l as f64);
        let turn = Turn { role, text, energy_db, emotion, labels, intents, entities, ..Turn::default() };
        (turn, gap, length)
    }
}

prop_compose! {
    fn conversation()(
        turns in prop::collection::vec(turn(), 0..12),
        tail in 0_i64..9_000,
        by in prop::option::of(prop::sample::select(vec![Role::Agent, Role::Customer])),
        tier in prop::bool::ANY,
        hold in prop::sample::select(vec![
            None,
            Some(Vec::new()),
            Some(vec![[3_000, 4_500]]),
            Some(vec![[1_000, 1_400], [5_000, 9_000]]),
        ]),
    ) -> Conversation {
        let mut placed: Vec<Turn> = Vec::new();
        let (mut end, mut start) = (0, 0);
        for (turn, gap, length) in turns {
            start = (end + gap).max(start);
            end = start + length;
            placed.push(Turn { start_ms: Some(start), end_ms: Some(end), ..turn });
        }
        let last = placed.iter().filter_map(|t| t.end_ms).max().unwrap_or(0);
        Conversation {
            id: "c".into(),
            language: Some("zh".into()),
            channel: Some(crate::conversation::Channel::Voice),
            hold,
            turns: placed,
            duration_ms: Some(last + tail + 1),
            hangup_by: by,
            metadata: if tier { [("tier".to_owned(), MetadataValue::Bool(true))].into() } else { BTreeMap::new() },
            ..Conversation::default()
        }
    }
}

fn operator() -> impl Strategy<Value = Json> {
    prop::sample::select(operators())
}

/// Operators that random rules are made of.
fn operators() -> Vec<Json> {
    vec![
        json!({"keyword": {"any": ["您好", "退款"]}}),
        json!({"keyword": {"none": ["谢谢"]}}),
        json!({"keyword": {"all": ["好的", "稍等"]}}),
        json!({"regex": {"match": "工号\\d+|投诉"}}),
        json!({"pattern": {"any": ["请问 ~6 订单"]}}),
        json!({"repeat": {"min_chars": 2, "within": 3}}),
        json!({"repeat": {"min_chars": 2, "times": 2, "within": 0}}),
        json!({"silence": {"gap_ms": {"gt": 2000}}}),
        json!({"silence": {"gap_ms": {"gt": 1000}, "between": "different"}}),
        json!({"silence": {"gap_ms": {"ge": 3000}, "trailing": true, "include_start": true, "excuse": {"before": ["稍等"]}}}),
        json!({"rate": {"per_min": {"gt": 120}}}),
        json!({"interrupt": {"overlap_ms": {"ge": 300}, "min_units": 1}}),
        json!({"speaker": {"is": "agent"}}),
        json!({"energy": {"level": {"ge": 7}}}),
        json!({"energy": {"mode": "jump", "level": {"ge": 1}}}),
        json!({"energy": {"mode": "span", "level": {"ge": 2}}}),
        json!({"emotion": {"any": ["angry"]}}),
        json!({"label": {"any": ["abuse"]}}),
        json!({"label": {"none": ["apology"]}}),
        json!({"trend": {"mode": "streak", "length": 2, "valence": {"le": -1}}}),
        json!({"measure": {"metric": "sentences", "value": {"ge": 2}}}),
        json!({"measure": {"metric": "talk_ms", "value": {"gt": 4000}}}),
        json!({"measure": {"metric": "hold_ms", "value": {"ge": 1000}}}),
        json!({"measure": {"metric": "call_ms", "value": {"lt": 9000}}}),
        json!({"answer": {"gap_ms": {"gt": 2000}}}),
        json!({"hangup": {"gap_ms": {"gt": 1000}}}),
        json!({"meta": {"key": "tier", "exists": true}}),
        json!({"keyword": {"of": ["您好", "退款", "谢谢"], "at_least": 2}}),
        json!({"keyword": {"any": ["退款"], "synonyms": {"退款": ["投诉"]}, "min_hits": 2}}),
        json!({"regex": {"match": "订单|再见", "except": "您好"}}),
        json!({"pattern": {"any": ["card <~3> no", "{您好, 谢谢} ~4 退款"]}}),
        json!({"similar": {"to": ["请问您的订单号是多少", "我要退款"], "score": 40}}),
        json!({"repeat": {"min_chars": 2, "of": "customer", "within": 4}}),
        json!({"entity": {"type": "order_no", "min_count": 1}}),
        json!({"entity": {"type": "phone", "in": ["12"]}}),
        json!({"silence": {"gap_ms": {"ge": 800}, "how": "turn", "back": 2}}),
        json!({"silence": {"gap_ms": {"lt": 4000}, "how": "turn_end", "hold": "include"}}),
        json!({"silence": {"gap_ms": {"gt": 2500}, "how": "own"}}),
        json!({"silence": {"gap_ms": {"gt": 1500}, "excuse": {"before": ["稍等"], "after": ["谢谢"], "max_ms": 4000}}}),
        json!({"rate": {"per_min": {"gt": 90}, "average": true}}),
        json!({"interrupt": {"overlap_ms": {"ge": 200}, "min_units": 1, "how": "to_previous_end", "after_ms": 300}}),
        json!({"energy": {"db": {"lt": 60}}}),
        json!({"intent": {"any": ["refund_request"], "top": 1}}),
        json!({"intent": {"none": ["chit_chat"]}}),
        json!({"emotion": {"all": ["neutral"]}}),
        json!({"trend": {"mode": "delta", "delta": {"lt": 0}, "min_sentences": 2}}),
        json!({"trend": {"mode": "mean", "valence": {"ge": 0}, "min_sentences": 1}}),
        json!({"measure": {"metric": "chars", "value": {"gt": 8}}}),
        json!({"measure": {"metric": "words", "value": {"le": 12}}}),
        json!({"measure": {"metric": "talk_pct", "value": {"lt": 100}}}),
        json!({"measure": {"metric": "response_first_ms", "value": {"gt": 0}}}),
        json!({"measure": {"metric": "response_avg_ms", "value": {"gt": 500}}}),
        json!({"measure": {"metric": "response_max_ms", "value": {"ge": 2000}}}),
        json!({"measure": {"metric": "speaker_changes", "value": {"ge": 2}}}),
        json!({"measure": {"metric": "nontalk_ms", "value": {"gt": 3000}}}),
        json!({"measure": {"metric": "nontalk_longest_ms", "value": {"ge": 2000}}}),
        json!({"measure": {"metric": "nontalk_pct", "value": {"lt": 60}}}),
        json!({"measure": {"metric": "hold_count", "value": {"ge": 1}}}),
        json!({"measure": {"metric": "hold_longest_ms", "value": {"lt": 2000}}}),
        json!({"measure": {"metric": "hold_pct", "value": {"gt": 5}}}),
        json!({"measure": {"metric": "answered_call_ms", "value": {"gt": 9000}}}),
        json!({"answer": {"first_role": "agent"}}),
        json!({"hangup": {"last_role": "customer"}}),
        json!({"hangup": {"by": "agent"}}),
        json!({"meta": {"key": "conversation.language", "eq": "zh"}}),
        json!({"knowledge": {"article": "refund", "question_score": 50, "answer_score": 50, "within": 2}}),
        json!({"knowledge": {"category": "money", "question_score": 50, "on": "unanswered", "within": 1}}),
        json!({"ask": {"question": "态度好吗", "min_confidence": 0.4, "require_quote": false}}),
    ]
}

/// Stand-ins for models that say the same of equal texts, and something of every text.
fn models() -> Models {
    let similarity = |unit: &str, sample: &str| {
        let shared = unit.chars().filter(|c| sample.contains(*c)).count();
        let longer = unit.chars().count().max(sample.chars().count()).max(1);
        u16::try_from((shared * 10_000 / longer).min(10_000)).ok()
    };
    let article = Article {
        id: "refund".into(),
        category: "money".into(),
        questions: vec!["退款".into()],
        answers: vec!["好的，稍等".into()],
        facts: vec![vec!["稍等".into(), "谢谢".into()]],
    };
    let ask = |question: &Question| {
        let answer = if question.window.len() % 2 == 0 { "yes" } else { "no" };
        Ok(Answer { answer: answer.into(), confidence: 0.8, quotes: Vec::new() })
    };
    Models {
        similarity: Some(Arc::new(similarity)),
        articles: Some(Arc::new(vec![article])),
        ask: Some(Arc::new(ask)),
        ..Models::default()
    }
}

#[test]
fn random_rules_are_made_of_every_operator() {
    let made = operators();
    let missing: Vec<&str> = crate::quality::operators::NAMES
        .into_iter()
        .chain(crate::quality::operators::MORE_NAMES)
        // Flows stand in every random rule.
        .filter(|name| *name != "flow" && !made.iter().any(|op| op.get(name).is_some()))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
    // And each can decide something: on some random conversation it is true, on some it is not.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let conversations: Vec<Conversation> = (0..400).map(|_| conversation().new_tree(&mut runner).unwrap().current()).collect();
    for op in made {
        let mut rule = json!({"id": "r", "when": "a", "conditions": {"a": op}});
        if rule["conditions"]["a"].get("knowledge").is_some() {
            rule["conditions"]["a"]["role"] = json!("customer");
        }
        let set = RuleSet::compile(vec![Rule::from_json(&rule).unwrap_or_else(|p| panic!("{rule}: {}", list(&p)))]);
        let states: Vec<RuleState> = conversations.iter().map(|c| set.evaluate(c, &models()).unwrap()[0].state).collect();
        // The language does not vary here.
        let fixed = rule.to_string().contains("conversation.language");
        assert!(states.contains(&RuleState::Hit), "never hits: {rule}");
        assert!(fixed || states.contains(&RuleState::Miss), "never misses: {rule}");
    }
}

fn window() -> impl Strategy<Value = Json> {
    let sentences = vec![
        json!(null),
        json!(null),
        json!(null),
        json!([1, 1]),
        json!([1, 3]),
        json!([2, 4]),
        json!([-1, -1]),
        json!([-3, -2]),
        json!([2, -1]),
        json!([0, 2]),
        json!([2, -2]),
    ];
    let times = vec![
        json!(null),
        json!(null),
        json!(null),
        json!({"first_ms": 8000}),
        json!({"from_ms": 3000, "to_ms": 12000}),
        json!({"last_ms": 6000}),
        json!({"first_pct": 50}),
        json!({"from_ms": 2000}),
        json!({"last_pct": 40}),
        json!({"from_pct": 20, "to_pct": 70}),
    ];
    let roles = vec![json!(null), json!("agent"), json!("customer"), json!(["agent", "bot"])];
    let needs = vec![json!(null), json!(null), json!(2), json!("all")];
    let scopes = vec![json!(null), json!(null), json!("clause"), json!("window")];
    let select = prop::sample::select;
    (select(sentences), select(times), select(roles), select(needs), select(scopes)).prop_map(|(s, t, r, n, c)| {
        let mut out = json!({});
        for (key, value) in [("sentences", s), ("time", t), ("role", r), ("need", n), ("scope", c)] {
            if !value.is_null() {
                out[key] = value;
            }
        }
        out
    })
}

fn condition(of: Option<&'static str>) -> impl Strategy<Value = Json> {
    let place = prop::sample::select(vec!["before", "after", "after", "around", "current"]);
    let hit = prop::sample::select(vec![json!(1), json!(2), json!("last"), json!("every"), json!("any")]);
    let within = prop::option::of(prop::sample::select(vec![2_000, 6_000]));
    let around = prop::sample::select(vec![json!([-2, -1]), json!([-1, 1]), json!([1, 2]), json!([0, 2])]);
    (window(), operator(), place, hit, within, around, prop::bool::weighted(0.7)).prop_map(
        move |(mut condition, operator, place, hit, within, around, anchored)| {
            for (key, value) in operator.as_object().unwrap() {
                condition[key] = value.clone();
            }
            if let Some(of) = of.filter(|_| anchored) {
                condition["anchor"] = json!({"of": of, "where": place, "hit": hit});
                match place {
                    "around" => condition["sentences"] = around,
                    "current" => {
                        condition.as_object_mut().unwrap().remove("sentences");
                    }
                    _ => {}
                }
                if let Some(within) = within {
                    condition["time"] = json!({"within_ms": within});
                }
            }
            condition
        },
    )
}

fn random_rule() -> impl Strategy<Value = Json> {
    let whens = vec!["a", "!a", "b", "!b", "a && !b", "b && !c", "!c", "c", "a || c", "f", "!f", "a && !f", "!(a && b) && c"];
    let flows = vec![
        json!({"flow": {"steps": ["a", "b"]}}),
        json!({"flow": {"steps": ["a", {"step": "b", "optional": true}, "c"], "on": "broken"}}),
        json!({"flow": {"steps": ["a", {"step": "c", "if": "b"}]}}),
        json!({"flow": {"steps": ["a", "b", "c"], "order": "any", "at_least": 2}}),
    ];
    (
        prop::sample::select(whens),
        condition(None),
        condition(Some("a")),
        condition(Some("b")),
        prop::sample::select(flows),
        prop::option::weighted(0.3, 1_000_i64..9_000),
    )
        .prop_map(|(when, a, b, c, f, deadline)| {
            let mut rule = json!({"id": "r", "when": when, "conditions": {"a": a, "b": b, "c": c, "f": f},
                "score": {"effect": "deduct", "points": 2, "per": "each", "cap": 5}});
            if let Some(deadline) = deadline {
                rule["live"] = json!({"deadline_ms": deadline});
            }
            mended(rule)
        })
}

/// Takes out of a random rule what the language refuses, key by key.
fn mended(mut rule: Json) -> Json {
    while let Err(problems) = Rule::from_json(&rule) {
        for problem in problems {
            let (parent, key) = problem.pointer.rsplit_once('/').unwrap();
            if let Some(table) = rule.pointer_mut(parent).and_then(Json::as_object_mut) {
                table.remove(key);
            }
        }
    }
    rule
}

proptest! {
    // PROPTEST_CASES raises the number for a longer look.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(1_500), ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold_for_random_rules(rule in random_rule(), conversation in conversation()) {
        check_laws(&rule, &conversation, &Models::default())?;
        check_laws(&rule, &conversation, &models())?;
    }
}

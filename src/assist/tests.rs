use super::*;
use crate::conversation::{
    Act, EmotionReading, EmotionSources, IntentScore, Language, OutOfScope, Role, Understanding, UtteranceId,
};

fn understood(intent: &str, emotion: &str, acts: &[&str]) -> Understanding {
    Understanding {
        utterance_id: UtteranceId::from("utt_1"),
        intents: vec![IntentScore { name: intent.into(), group: String::new(), confidence: Some(0.9), selected: true }],
        ambiguous: false,
        out_of_scope: OutOfScope::default(),
        entities: vec![],
        emotion: Some(EmotionReading {
            label: emotion.into(),
            valence: 0.0,
            arousal: None,
            confidence: Some(0.8),
            sources: EmotionSources { text: true, acoustic: false },
        }),
        acts: acts.iter().map(|a| Act { label: (*a).into(), confidence: Some(0.9) }).collect(),
        conduct: vec![],
        voice: None,
        models: vec![],
    }
}

#[test]
fn only_customers_with_something_to_answer_are_searched_for() {
    let asks = understood("refund_status", "neutral", &["ask"]);
    assert!(wants_search(Role::Customer, "我的退款什么时候到账", &asks, None).is_some());
    assert!(wants_search(Role::Agent, "我的退款什么时候到账", &asks, None).is_none());
    assert!(wants_search(Role::Customer, "好的好的谢谢你啊", &understood("thanks_bye", "neutral", &[]), None).is_none());
}

#[test]
fn a_short_question_takes_the_previous_turn_along() {
    let asks = understood("refund_status", "neutral", &["ask"]);
    let wish = wants_search(Role::Customer, "那要多久呢", &asks, Some("我想退货")).unwrap();
    assert_eq!(wish.query, "我想退货 那要多久");
}

#[test]
fn a_calmer_wording_comes_once_per_cool_down_and_in_the_language() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/templates/tone.toml");
    let mut advisor = Advisor::new(AdvisorConfig::default(), TemplateBook::load(&path).unwrap());
    let angry = understood("refund_status", "angry", &[]);
    let id = UtteranceId::from("utt_1");
    let mut at = |at_ms| {
        let moment = Moment { utterance_id: &id, at_ms, language: Language::En, understanding: &angry };
        advisor.suggest(moment, Found::default())
    };
    let first = at(1_000);
    assert_eq!(first.len(), 1);
    assert!(first[0].text.starts_with("I am very sorry"), "{}", first[0].text);
    assert!(at(30_000).is_empty());
    assert_eq!(at(62_000).len(), 1);
}

#[test]
fn a_query_has_no_fillers_and_no_long_numbers() {
    assert_eq!(rewritten("嗯那个就是我的订单80213557什么时候发货啊"), "我的订单什么时候发货");
    assert_eq!(
        rewritten("Um, you know, I mean, my refund for order 5570321 is late, 3 days"),
        "my refund for order  is late, 3 days"
    );
    assert_eq!(rewritten("嗯，啊"), "");
}

fn hit(document_id: &str, text: &str, score: f32) -> crate::knowledge::PassageHit {
    let passage = serde_json::json!({
        "passage_id": "psg_1", "document_id": document_id, "version": 1, "title": "t", "headings": [], "text": text,
        "highlights": [], "citation": {"start": 0, "end": text.chars().count()}, "score": score, "parts": {},
        "kind": "article", "language": "zh", "category": null, "tags": [],
    });
    serde_json::from_value(passage).unwrap()
}

#[test]
fn an_answer_that_the_agent_has_said_is_withdrawn_once() {
    let mut advisor = Advisor::new(AdvisorConfig::default(), TemplateBook::default());
    let calm = understood("refund_status", "neutral", &["ask"]);
    let id = UtteranceId::from("utt_1");
    let moment = Moment { utterance_id: &id, at_ms: 1_000, language: Language::Zh, understanding: &calm };
    let passages = [hit("doc_1", "审核通过后，退款三个工作日内原路退回。", 0.9)];
    let shown = advisor.suggest(moment, Found { passages: &passages, intent: None, degraded: &[] });
    let shown = shown.iter().find(|s| !s.citations.is_empty()).unwrap();
    assert!(advisor.agent_said("您好，请问有什么可以帮您", 2_000).is_empty());
    assert_eq!(advisor.agent_said("退款审核通过后三个工作日内会原路退回到您的卡上", 3_000), [shown.suggestion_id.clone()]);
    assert!(advisor.agent_said("退款审核通过后三个工作日内会原路退回到您的卡上", 4_000).is_empty());
}

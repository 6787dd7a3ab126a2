//! The shipped model: parity with PyTorch, the invariants of a batch, and texts that nobody expects.

use proptest::prelude::*;
use serde::Deserialize;

use super::{cosine, model, shipped};
use crate::inference::{EncoderModel, Encoding, Precision, Scratch, TokenSpan, head};

#[derive(Deserialize)]
struct Fixture {
    version: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    spans: Vec<(usize, usize)>,
    embedding: Vec<f32>,
    sentence: std::collections::BTreeMap<String, Vec<f32>>,
    tokens: std::collections::BTreeMap<String, Vec<u16>>,
}

fn encode(texts: &[&str], batch_tokens: usize) -> Vec<Encoding> {
    model().encode(texts, batch_tokens, &mut Scratch::default()).expect("texts are encoded")
}

#[test]
fn outputs_equal_those_of_pytorch() {
    let file = std::fs::read_to_string(shipped().join("parity.json")).expect("the fixture is there");
    let fixture: Fixture = serde_json::from_str(&file).expect("the fixture is JSON");
    assert_eq!(**model().version(), fixture.version);
    for case in fixture.cases {
        let encoding = encode(&[&case.text], 512).remove(0);
        let spans: Vec<TokenSpan> = case.spans.iter().map(|&(start, end)| TokenSpan { start, end }).collect();
        assert_eq!(encoding.tokens, spans, "{}", case.text);
        let likeness = cosine(&encoding.embedding, &case.embedding);
        assert!(likeness > 0.9999, "{}: cosine {likeness}", case.text);
        for (name, expected) in &case.sentence {
            let output = encoding.head(name).expect("the head is there");
            for (i, (p, e)) in output.probabilities.iter().zip(expected).enumerate() {
                assert!((p - e).abs() < 2e-3, "{} {name} {}: {p} for {e}", case.text, output.labels()[i]);
            }
            let best = (0..expected.len()).max_by(|&a, &b| expected[a].total_cmp(&expected[b])).expect("labels");
            assert_eq!(output.top().expect("labels").0, output.labels()[best], "{} {name}", case.text);
        }
        for (name, expected) in &case.tokens {
            assert_eq!(&encoding.token_head(name).expect("the head is there").tags, expected, "{} {name}", case.text);
        }
    }
}

#[test]
fn labels_are_those_of_the_taxonomy() {
    let specs = model().head_specs();
    let count = |name: &str| specs.iter().find(|s| s.name == name).map_or(0, |s| s.labels.len());
    assert_eq!([head::INTENT, head::ACT, head::EMOTION, head::CONDUCT, head::PUNCTUATION].map(count), [72, 13, 8, 10, 4]);
    let entity = specs.iter().find(|s| s.name == head::ENTITY).expect("the entity head");
    assert!(entity.labels.iter().any(|l| l == "B-verification_code") && entity.labels[0] == "O");
}

#[test]
fn a_batch_gives_what_single_texts_give() {
    let texts = [
        "退款怎么还没到",
        "Where is my parcel?",
        "",
        "嗯",
        "我要投诉你们的服务态度，三天了没人理我，你们到底管不管",
        "yes please",
        "👍",
    ];
    let singles: Vec<Encoding> = texts.iter().map(|t| encode(&[t], 512).remove(0)).collect();
    for budget in [1, 40, 4096] {
        assert_eq!(encode(&texts, budget), singles, "budget of {budget} tokens");
    }
}

#[test]
fn long_texts_are_cut_and_say_so() {
    for text in ["退款".repeat(50_000), "a".repeat(100_000), " ".repeat(100_000), "word ".repeat(20_000)] {
        let encoding = encode(&[&text], 512).remove(0);
        assert!(encoding.truncated);
        assert!(encoding.tokens.len() <= model().max_tokens());
        assert!(encoding.embedding.iter().all(|v| v.is_finite()));
    }
    assert!(!encode(&["short"], 512)[0].truncated);
}

#[test]
fn odd_texts_are_encoded() {
    let texts = [
        "",
        "\0\u{1}\u{7f}",
        "👩‍👩‍👧‍👦🏳️‍🌈",
        "\u{202e}abc\u{200b}\u{feff}",
        "ﷺ",
        "ｆｕｌｌ　ｗｉｄｔｈ",
        "[MASK][CLS][SEP]",
        "e\u{301}\u{301}\u{301}",
        "مرحبا שלום สวัสดี",
    ];
    for (text, encoding) in texts.iter().zip(encode(&texts, 512)) {
        let length = encoding.embedding.iter().map(|v| v * v).sum::<f32>();
        assert!((length - 1.0).abs() < 1e-4, "{text:?}: {length}");
        let characters = text.chars().count();
        assert!(encoding.tokens.iter().all(|t| t.start <= t.end && t.end <= characters), "{text:?}");
        assert!(encoding.punctuate(text).chars().count() >= characters, "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_text_gives_probabilities(text in "\\PC{0,60}") {
        let encoding = encode(&[&text], 512).remove(0);
        let intent = encoding.head(head::INTENT).expect("the intent head");
        prop_assert!((intent.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-3);
        prop_assert!(encoding.sentence_heads.iter().flat_map(|h| &h.probabilities).all(|p| (0.0..=1.0).contains(p)));
        prop_assert_eq!(encoding.token_head(head::ENTITY).expect("the entity head").tags.len(), encoding.tokens.len());
    }
}

#[test]
fn eight_bits_say_the_same() {
    let small = EncoderModel::load_in(&shipped(), Precision::Int8).expect("the model loads");
    let texts = ["我上周退的耳机钱还没到账", "where is my parcel", "请帮我转人工", "my card was stolen, block it", "谢谢", "ok"];
    let (a, b) = (encode(&texts, 256), small.encode(&texts, 256, &mut Scratch::default()).expect("encoded"));
    for ((text, a), b) in texts.iter().zip(&a).zip(&b) {
        assert!(cosine(&a.embedding, &b.embedding) > 0.99, "{text}: {}", cosine(&a.embedding, &b.embedding));
        assert_eq!(a.head("intent").and_then(|h| h.top()).map(|t| t.0), b.head("intent").and_then(|h| h.top()).map(|t| t.0));
    }
    let single = small.encode(&texts[1..2], 256, &mut Scratch::default()).expect("encoded");
    assert_eq!(single[0], b[1], "a batch gives what single texts give");
}

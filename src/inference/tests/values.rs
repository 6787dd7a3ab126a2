//! Decoding of outputs and the form of the n-gram bag.

use std::sync::Arc;

use crate::inference::ngrams::{bag_form, buckets};
use crate::inference::{Encoding, HeadKind, HeadSpec, NgramConfig, SentenceOutput, TaggedSpan, TokenOutput, TokenSpan};

fn spec(kind: HeadKind, labels: &[&str], thresholds: &[f32]) -> Arc<HeadSpec> {
    Arc::new(HeadSpec {
        name: if kind == HeadKind::Token { "punctuation" } else { "intent" }.to_owned(),
        kind,
        labels: labels.iter().map(|&l| l.to_owned()).collect(),
        temperature: 1.0,
        thresholds: thresholds.to_vec(),
        version: "test".into(),
    })
}

fn spans(count: usize) -> Vec<TokenSpan> {
    (0..count).map(|i| TokenSpan { start: i, end: i + 1 }).collect()
}

#[test]
fn tags_become_spans() {
    let tags = TokenOutput {
        spec: spec(HeadKind::Token, &["O", "B-date", "I-date", "B-amount", "I-amount"], &[]),
        tags: vec![1, 2, 1, 0, 4, 4, 2],
        probabilities: vec![0.5, 1.0, 0.8, 0.9, 0.6, 0.8, 0.7],
    };
    let span = |kind: &str, start, end, probability| TaggedSpan { kind: kind.to_owned(), start, end, probability };
    let expected = [span("date", 0, 2, 0.75), span("date", 2, 3, 0.8), span("amount", 4, 6, 0.7), span("date", 6, 7, 0.7)];
    let found = tags.spans(&spans(7));
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.iter().zip(&expected) {
        assert_eq!((&f.kind, f.start, f.end), (&e.kind, e.start, e.end));
        assert!((f.probability - e.probability).abs() < 1e-6);
    }
}

#[test]
fn selection_follows_kind_and_thresholds() {
    let names = |o: &SentenceOutput| o.selected().iter().map(|(l, _)| (*l).to_owned()).collect::<Vec<_>>();
    let softmax = spec(HeadKind::Softmax, &["a", "b", "c"], &[0.3, 0.3, 0.3]);
    assert_eq!(names(&SentenceOutput { spec: softmax.clone(), probabilities: vec![0.2, 0.45, 0.35] }), ["b", "c"]);
    assert_eq!(names(&SentenceOutput { spec: softmax, probabilities: vec![0.26, 0.24, 0.25] }), ["a"]);
    let sigmoid = spec(HeadKind::Sigmoid, &["a", "b", "c"], &[]);
    assert_eq!(names(&SentenceOutput { spec: sigmoid.clone(), probabilities: vec![0.6, 0.1, 0.9] }), ["c", "a"]);
    assert!(names(&SentenceOutput { spec: sigmoid, probabilities: vec![0.1; 3] }).is_empty());
}

fn punctuated(text: &str, tags: Vec<u16>, tokens: Vec<TokenSpan>) -> String {
    let output = TokenOutput {
        spec: spec(HeadKind::Token, &["none", "comma", "stop", "question"], &[]),
        probabilities: vec![1.0; tags.len()],
        tags,
    };
    Encoding {
        version: "test".into(),
        embedding: Vec::new(),
        sentence: Vec::new(),
        tokens,
        truncated: false,
        sentence_heads: Vec::new(),
        token_heads: vec![output],
    }
    .punctuate(text)
}

#[test]
fn marks_are_put_in() {
    assert_eq!(punctuated("你好请问几点", vec![0, 1, 0, 0, 0, 3], spans(6)), "你好，请问几点？");
    let words = vec![TokenSpan { start: 0, end: 2 }, TokenSpan { start: 3, end: 6 }, TokenSpan { start: 6, end: 8 }];
    // A mark after the first piece of a word is not set inside the word.
    assert_eq!(punctuated("hi refund", vec![1, 2, 3], words), "hi, refund?".replace("nd?", "n?d"));
    assert_eq!(punctuated("好。", vec![2, 2], spans(2)), "好。");
    assert_eq!(punctuated("", vec![], vec![]), "");
}

#[test]
fn the_bag_sees_letters_and_digits_alone() {
    assert_eq!(bag_form("ＡＢ，我的 No.7!").iter().collect::<String>(), " ab 我的 no 0 ");
    let config = NgramConfig { buckets: 29000, dim: 72, max: 4, words: false };
    let count_in = |text: &str, config: NgramConfig| {
        let mut count = 0;
        buckets(text, config, |b| {
            assert!(b < 29000);
            count += 1;
        });
        count
    };
    let count = |text: &str| count_in(text, config);
    assert_eq!(count("！？…  "), 0);
    // " 退款 ": two characters, three pairs, two triples, and no run of four since it holds Chinese.
    assert_eq!(count("退款"), 2 + 3 + 2);
    // " abc ": no single letters, four pairs, three triples, two runs of four.
    assert_eq!(count("abc"), 4 + 3 + 2);
    // Words of two and more letters, and pairs of words: "my refund" adds two words and one pair, "a refund" one word
    // and one pair; a word with Chinese in it is none and parts its neighbours.
    let words = NgramConfig { words: true, ..config };
    let more = |text: &str| count_in(text, words) - count(text);
    assert_eq!([more("my refund"), more("a refund"), more("app打不开 ok now"), more("你好")], [3, 2, 3, 0]);
}

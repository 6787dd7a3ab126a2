//! The handle: many callers, live switching of heads, and the end.

use std::sync::Arc;
use std::thread;

use super::{noise, shipped};
use crate::inference::{Encoder, EncoderModel, EncoderSettings, Head, HeadKind, HeadSpec, InferenceError, Scratch, head};

fn start(workers: usize, queue_jobs: usize) -> Encoder {
    let model = EncoderModel::load(&shipped()).expect("the model loads");
    Encoder::start(model, EncoderSettings { workers, queue_jobs, batch_tokens: 256 }).expect("workers start")
}

fn team_head(labels: &[&str], inputs: usize) -> Arc<Head> {
    let spec = HeadSpec {
        name: "team".into(),
        kind: HeadKind::Softmax,
        labels: labels.iter().map(|&l| l.to_owned()).collect(),
        temperature: 1.0,
        thresholds: vec![],
        version: "1".into(),
    };
    Arc::new(Head::new(spec, noise(labels.len() * inputs, 3), vec![0.0; labels.len()]).expect("a head"))
}

#[test]
fn many_callers_get_their_own_answers() {
    let encoder = start(2, 2);
    let texts: Vec<String> = (0..60).map(|i| format!("订单 {i} 到哪了 where is number {i}")).collect();
    let expected = encoder.model().encode(&texts, 256, &mut Scratch::default()).expect("encoded");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(encoder.encode_batch(texts.clone()).expect("encoded"), expected));
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let answers = runtime.block_on(async {
        let tasks: Vec<_> = texts.iter().map(|t| encoder.encode_async(t.clone())).collect();
        let mut answers = Vec::new();
        for answer in futures::future::join_all(tasks).await {
            answers.push(answer.expect("encoded"));
        }
        answers
    });
    assert_eq!(answers, expected);
    assert!(encoder.encode_batch(Vec::new()).expect("nothing to do").is_empty());
}

#[test]
fn vectors_alone_are_those_of_whole_encodings() {
    let encoder = start(2, 8);
    let texts: Vec<String> = (0..40).map(|i| format!("退款 {i} 多久到账 how long for number {i}")).collect();
    let whole: Vec<Vec<f32>> = encoder.encode_batch(texts.clone()).expect("encoded").into_iter().map(|e| e.embedding).collect();
    assert_eq!(encoder.embed_batch(texts.clone()).expect("vectors"), whole);
    let (both, pending) = thread::scope(|scope| {
        // Jobs of both kinds wait side by side for the same workers.
        let both = scope.spawn(|| encoder.encode_batch(texts.clone()).expect("encoded"));
        let pending = encoder.begin_embedding(texts[3].clone()).expect("it begins");
        (both.join().expect("a thread"), pending.wait().expect("a vector"))
    });
    assert_eq!(both.len(), texts.len());
    assert_eq!(pending, whole[3]);
    assert_eq!(encoder.embed(texts[3].clone()).expect("a vector"), whole[3]);
}

#[test]
fn heads_are_switched_live_and_back() {
    let encoder = start(1, 8);
    let width = encoder.model().sentence_size();
    assert!(encoder.encode("在吗").expect("encoded").head("team").is_none());
    assert!(encoder.set_head(team_head(&["a", "b"], width)).expect("it fits").is_none());
    assert_eq!(encoder.encode("在吗").expect("encoded").head("team").expect("the new head").probabilities.len(), 2);
    let old = encoder.set_head(team_head(&["a", "b", "c"], width)).expect("it fits").expect("the old head comes back");
    assert_eq!(encoder.encode("在吗").expect("encoded").head("team").expect("the newer head").probabilities.len(), 3);
    encoder.set_head(old).expect("it fits");
    let encoding = encoder.encode("在吗").expect("encoded");
    assert_eq!(encoding.head("team").expect("the old head").probabilities.len(), 2);
    assert!(encoding.head(head::INTENT).is_some());
    assert!(matches!(encoder.set_head(team_head(&["a", "b"], 32)), Err(InferenceError::Mismatch { .. })));
    assert!(encoder.remove_head("team").is_some() && encoder.remove_head("team").is_none());
}

#[test]
fn settings_without_which_nothing_runs_are_refused() {
    let model = EncoderModel::load(&shipped()).expect("the model loads");
    let settings = EncoderSettings { workers: 0, ..EncoderSettings::default() };
    assert!(matches!(Encoder::start(model, settings), Err(InferenceError::Setting { setting: "workers", .. })));
}

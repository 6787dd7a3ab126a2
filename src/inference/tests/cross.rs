//! The cross-encoder against candle's implementation of the same small random checkpoint.

use std::fs;

use candle_core::{DType, Device, Tensor};
use candle_nn::{VarBuilder, VarMap};
use candle_transformers::models::bert;

use super::stock::{WORDS, config, stir, tokenizer};
use crate::inference::CrossEncoder;

const QUERY: &str = "where is my parcel";
const PASSAGES: [&str; 3] = ["parcel lost", "退 款 please", "my card is lost where is my card"];

fn part(text: &str) -> Vec<u32> {
    text.split(' ').map(|word| WORDS.iter().position(|known| *known == word).expect("a known word") as u32 + 4).collect()
}

/// A BERT with a pooler and a classifier of so many labels, written as a checkpoint; and what candle makes of each pair.
fn checkpoint(dir: &std::path::Path, labels: usize) -> Vec<f32> {
    let config_json = config("bert", 32);
    fs::write(dir.join("config.json"), config_json.to_string()).unwrap();
    tokenizer(&dir.join("tokenizer.json"), [("[CLS]", 1), ("[PAD]", 0), ("[SEP]", 2), ("[UNK]", 3)]);
    let vars = VarMap::new();
    let builder = VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu);
    let model = bert::BertModel::load(builder.pp("bert"), &serde_json::from_value(config_json).unwrap()).unwrap();
    let pooler = candle_nn::linear(48, 48, builder.pp("bert.pooler.dense")).unwrap();
    let classifier = candle_nn::linear(48, labels, builder.pp("classifier")).unwrap();
    stir(&vars);
    vars.save(dir.join("model.safetensors")).unwrap();
    let score = |passage: &&str| {
        let (query, passage) = (part(QUERY), part(passage));
        let ids: Vec<u32> = [vec![1], query.clone(), vec![2], passage.clone(), vec![2]].concat();
        let types: Vec<u32> = [vec![0; query.len() + 2], vec![1; passage.len() + 1]].concat();
        let row = |values: Vec<u32>| Tensor::new(values, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
        let states = model.forward(&row(ids), &row(types), None).unwrap();
        let first = states.get(0).unwrap().get(0).unwrap().unsqueeze(0).unwrap();
        use candle_core::Module;
        let pooled = pooler.forward(&first).unwrap().tanh().unwrap();
        let logits: Vec<f32> = classifier.forward(&pooled).unwrap().get(0).unwrap().to_vec1().unwrap();
        let margin = if labels == 2 { logits[1] - logits[0] } else { logits[0] };
        1.0 / (1.0 + (-margin).exp())
    };
    PASSAGES.iter().map(score).collect()
}

#[test]
fn a_pair_scores_as_the_reference_says_with_one_label_and_with_two() {
    for labels in [1, 2] {
        let dir = tempfile::tempdir().unwrap();
        let expected = checkpoint(dir.path(), labels);
        let model = CrossEncoder::load(dir.path()).unwrap();
        let scores = model.score(QUERY, &PASSAGES).unwrap();
        for (score, expected) in scores.iter().zip(&expected) {
            assert!((score - expected).abs() < 1e-4, "{labels} labels: {scores:?}, expected {expected:?}");
        }
        assert!(scores.iter().any(|score| (score - scores[0]).abs() > 1e-3), "the random checkpoint tells passages apart");
        let alone = model.score(QUERY, &PASSAGES[1..2]).unwrap();
        assert!((alone[0] - scores[1]).abs() < 1e-5, "a score does not depend on the other passages");
        assert!(model.score(QUERY, &[&"parcel ".repeat(5_000)]).is_ok(), "what is too long is cut");
    }
}

#[test]
fn a_checkpoint_of_another_kind_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    checkpoint(dir.path(), 3);
    let message = CrossEncoder::load(dir.path()).err().expect("three labels").to_string();
    assert!(message.contains("3 rows") && message.contains("1 or 2 labels"), "{message}");
    let message = CrossEncoder::load(&dir.path().join("nowhere")).err().expect("no folder").to_string();
    assert!(message.contains("config.json"), "{message}");
}

//! Sequence classification checkpoints and cross-encoders in Hugging Face layout: small random ones of each architecture,
//! against candle's own models where it has them, else against candle's trunk with the layers of the reference behind it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Module, Tensor};
use candle_nn::{Linear, VarBuilder, VarMap, linear};
use candle_transformers::models::{bert, distilbert, modernbert, xlm_roberta};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::stock::{TEXTS, config, ids, stir, tokenizer};
use super::{model as shipped_model, shipped};
use crate::inference::{CLASSIFIER, CrossEncoder, EncoderModel, Encoding, Head, HeadKind, Pooling, Scratch};

const HIDDEN: usize = 48;
const LABELS: [&str; 3] = ["joy", "anger", "other"];

type Vars<'a> = VarBuilder<'a>;

fn dense(outputs: usize, at: &Vars<'_>, name: &str) -> Linear {
    linear(HIDDEN, outputs, at.pp(name)).expect("a layer")
}

fn tensor(row: &[u32]) -> Tensor {
    Tensor::new(vec![row.to_vec()], &Device::Cpu).expect("ids")
}

fn numbers(logits: &Tensor) -> Vec<f32> {
    logits.squeeze(0).and_then(|l| l.to_vec1()).expect("logits")
}

fn first_state(states: &Tensor) -> Tensor {
    states.get_on_dim(1, 0).and_then(|s| s.contiguous()).expect("a state")
}

/// Writes a checkpoint: `build` makes the reference over fresh weights and gives what computes its logits; they are asked
/// for after the weights were stirred.
fn checkpoint(
    dir: &Path,
    config: &Value,
    special: [(&str, u32); 4],
    build: impl FnOnce(Vars<'_>) -> Box<dyn Fn(&[u32], &[u32]) -> Vec<f32>>,
) -> Box<dyn Fn(&[u32], &[u32]) -> Vec<f32>> {
    let vars = VarMap::new();
    let reference = build(VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu));
    stir(&vars);
    vars.save(dir.join("model.safetensors")).expect("saved");
    fs::write(dir.join("config.json"), config.to_string()).expect("written");
    tokenizer(&dir.join("tokenizer.json"), special);
    reference
}

/// A configuration with labels; `architecture` is the class of the reference implementation.
fn labelled(mut config: Value, architecture: &str, labels: &[&str]) -> Value {
    let by_id: BTreeMap<String, &str> = labels.iter().enumerate().map(|(n, l)| (n.to_string(), *l)).collect();
    // candle reads texts here; nothing of ours reads it.
    let by_label: BTreeMap<&str, String> = labels.iter().enumerate().map(|(n, l)| (*l, n.to_string())).collect();
    config["architectures"] = json!([architecture]);
    config["id2label"] = json!(by_id);
    config["label2id"] = json!(by_label);
    config
}

const BERT: [(&str, u32); 4] = [("[CLS]", 1), ("[PAD]", 0), ("[SEP]", 2), ("[UNK]", 3)];
const ROBERTA: [(&str, u32); 4] = [("<s>", 0), ("<pad>", 1), ("</s>", 2), ("<unk>", 3)];

fn bert_reference(config: &Value, outputs: usize) -> impl FnOnce(Vars<'_>) -> Box<dyn Fn(&[u32], &[u32]) -> Vec<f32>> {
    let shape: bert::Config = serde_json::from_value(config.clone()).expect("a configuration");
    move |at| {
        let model = bert::BertModel::load(at.pp("bert"), &shape).expect("a model");
        let (pooler, last) = (dense(HIDDEN, &at, "bert.pooler.dense"), dense(outputs, &at, "classifier"));
        Box::new(move |row, types| {
            let states = model.forward(&tensor(row), &tensor(types), None).expect("states");
            let pooled = pooler.forward(&first_state(&states)).and_then(|p| p.tanh()).expect("pooled");
            numbers(&last.forward(&pooled).expect("logits"))
        })
    }
}

fn encode(model: &EncoderModel) -> Vec<Encoding> {
    model.encode(&TEXTS, 512, &mut Scratch::default()).expect("encoded")
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let exps: Vec<f32> = logits.iter().map(|l| l.exp()).collect();
    exps.iter().map(|e| e / exps.iter().sum::<f32>()).collect()
}

/// Compares the head of a checkpoint with the reference's logits.
fn same_labels(dir: &Path, opening: u32, reference: &dyn Fn(&[u32], &[u32]) -> Vec<f32>) {
    let encodings = encode(&EncoderModel::load(dir).expect("the checkpoint loads"));
    let mut tops = Vec::new();
    for (text, encoding) in TEXTS.iter().zip(&encodings) {
        let row = ids(text, opening, 2);
        let expected = softmax(&reference(&row, &vec![0; row.len()]));
        let output = encoding.head(CLASSIFIER).expect("a head");
        assert_eq!(output.labels().as_ref(), LABELS.map(str::to_owned).as_slice());
        for (found, expected) in output.probabilities.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-3, "{found} is not {expected}");
        }
        tops.push(output.probabilities[0]);
    }
    assert!((tops[0] - tops[1]).abs() > 1e-4, "the random checkpoint tells texts apart");
}

#[test]
fn bert_labels_equal_candles() {
    let dir = TempDir::new().expect("a folder");
    let config = labelled(config("bert", 32), "BertForSequenceClassification", &LABELS);
    let reference = checkpoint(dir.path(), &config, BERT, bert_reference(&config, LABELS.len()));
    same_labels(dir.path(), 1, &*reference);
}

#[test]
fn xlm_roberta_labels_equal_candles() {
    let dir = TempDir::new().expect("a folder");
    let config = labelled(config("xlm-roberta", 34), "XLMRobertaForSequenceClassification", &LABELS);
    let shape: xlm_roberta::Config = serde_json::from_value(config.clone()).expect("a configuration");
    let reference = checkpoint(dir.path(), &config, ROBERTA, |at| {
        let model = xlm_roberta::XLMRobertaForSequenceClassification::new(LABELS.len(), &shape, at).expect("a model");
        Box::new(move |row, types| {
            let row = tensor(row);
            numbers(&model.forward(&row, &row.ones_like().expect("mask"), &tensor(types)).expect("logits"))
        })
    });
    same_labels(dir.path(), 0, &*reference);
}

#[test]
fn distilbert_labels_equal_candles() {
    let dir = TempDir::new().expect("a folder");
    let plain = json!({
        "model_type": "distilbert", "vocab_size": 20, "dim": HIDDEN, "n_layers": 2, "n_heads": 4, "hidden_dim": 80, "activation": "gelu",
        "max_position_embeddings": 32, "initializer_range": 0.02, "pad_token_id": 0
    });
    let config = labelled(plain, "DistilBertForSequenceClassification", &LABELS);
    let shape: distilbert::Config = serde_json::from_value(config.clone()).expect("a configuration");
    let reference = checkpoint(dir.path(), &config, BERT, |at| {
        let model = distilbert::DistilBertModel::load(at.pp("distilbert"), &shape).expect("a model");
        let (before, last) = (dense(HIDDEN, &at, "pre_classifier"), dense(LABELS.len(), &at, "classifier"));
        Box::new(move |row, _| {
            let mask = Tensor::zeros((row.len(), row.len()), DType::U8, &Device::Cpu).expect("mask");
            let states = model.forward(&tensor(row), &mask).expect("states");
            let inner = before.forward(&first_state(&states)).and_then(|p| p.relu()).expect("a vector");
            numbers(&last.forward(&inner).expect("logits"))
        })
    });
    same_labels(dir.path(), 1, &*reference);
}

#[test]
fn modernbert_labels_equal_candles_with_both_poolings() {
    for pooling in ["cls", "mean"] {
        let dir = TempDir::new().expect("a folder");
        let plain = json!({
            "model_type": "modernbert", "vocab_size": 20, "hidden_size": HIDDEN, "num_hidden_layers": 4, "num_attention_heads": 4,
            "intermediate_size": 80, "hidden_activation": "gelu", "max_position_embeddings": 32, "layer_norm_eps": 1e-5, "norm_eps": 1e-5,
            "pad_token_id": 0, "global_attn_every_n_layers": 3, "global_rope_theta": 160_000.0, "local_attention": 4,
            "local_rope_theta": 10_000.0, "classifier_pooling": pooling, "classifier_activation": "gelu"
        });
        let config = labelled(plain, "ModernBertForSequenceClassification", &LABELS);
        let shape: modernbert::Config = serde_json::from_value(config.clone()).expect("a configuration");
        let reference = checkpoint(dir.path(), &config, BERT, |at| {
            let model = modernbert::ModernBertForSequenceClassification::load(at, &shape).expect("a model");
            Box::new(move |row, _| {
                let row = tensor(row);
                // candle gives probabilities here; their logarithms are logits up to a constant.
                let probabilities = model.forward(&row, &row.ones_like().expect("mask")).expect("probabilities");
                numbers(&probabilities.log().expect("logits"))
            })
        });
        same_labels(dir.path(), 1, &*reference);
    }
}

/// A BERT checkpoint with labels in a folder.
fn emotions(dir: &Path) {
    let config = labelled(config("bert", 32), "BertForSequenceClassification", &LABELS);
    drop(checkpoint(dir, &config, BERT, bert_reference(&config, LABELS.len())));
}

#[test]
fn a_checkpoint_answers_a_task_beside_the_shipped_encoder_under_the_labels_of_the_house() {
    let dir = TempDir::new().expect("a folder");
    emotions(dir.path());
    let plain = Head::of_checkpoint(dir.path(), "emotion").expect("a head");
    assert_eq!((plain.spec().name.as_str(), plain.spec().kind, plain.has_trunk()), ("emotion", HeadKind::Softmax, true));
    let names =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<BTreeMap<_, _>>();
    let merged = names(&[("joy", "satisfied"), ("anger", "angry"), ("other", "satisfied")]);
    let renamed = Head::of_checkpoint(dir.path(), "emotion").and_then(|h| h.with_labels(&merged)).expect("renamed");
    assert_eq!(renamed.spec().labels.as_ref(), ["satisfied".to_owned(), "angry".to_owned()]);
    let shared = EncoderModel::load(&shipped()).expect("the shipped model");
    shared.set_head(Arc::new(plain)).expect("it fits");
    let before: Vec<Vec<f32>> =
        encode(&shared).iter().map(|e| e.head("emotion").expect("a head").probabilities.clone()).collect();
    shared.set_head(Arc::new(renamed)).expect("it fits");
    for (before, after) in before.iter().zip(encode(&shared)) {
        let after = after.head("emotion").expect("a head");
        assert!((after.probability("satisfied").unwrap() - before[0] - before[2]).abs() < 1e-5);
        assert!((after.probability("angry").unwrap() - before[1]).abs() < 1e-5 && after.probability("joy").is_none());
    }
    for (pairs, expected) in [
        (vec![("glee", "satisfied")], "no label `glee`"),
        (vec![("joy", "x"), ("anger", "x"), ("other", "x")], "at least two labels"),
    ] {
        let refused = Head::of_checkpoint(dir.path(), "emotion").and_then(|h| h.with_labels(&names(&pairs)));
        let message = refused.err().expect("it is refused").to_string();
        assert!(message.contains(expected), "{message}");
    }
    let message = Head::of_checkpoint(&shipped(), "emotion").err().expect("no classifier").to_string();
    assert!(message.contains("ForSequenceClassification"), "{message}");
    assert!(shipped_model().head("emotion").is_some());
}

#[test]
fn several_labels_may_hold_and_missing_names_are_numbered() {
    let dir = TempDir::new().expect("a folder");
    emotions(dir.path());
    let path = dir.path().join("config.json");
    let mut file: Value = serde_json::from_str(&fs::read_to_string(&path).expect("read")).expect("json");
    file["problem_type"] = json!("multi_label_classification");
    file.as_object_mut().expect("an object").remove("id2label");
    fs::write(&path, file.to_string()).expect("written");
    let model = EncoderModel::load(dir.path()).expect("it loads");
    let spec = model.head(CLASSIFIER).expect("a head").spec().clone();
    assert_eq!(
        (spec.kind, spec.labels.as_ref()),
        (HeadKind::Sigmoid, ["LABEL_0", "LABEL_1", "LABEL_2"].map(str::to_owned).as_slice())
    );
    file["id2label"] = json!({"0": "a", "1": "b"});
    fs::write(&path, file.to_string()).expect("written");
    let message = EncoderModel::load(dir.path()).err().expect("it is refused").to_string();
    assert!(message.contains("2 labels") && message.contains("3 outputs"), "{message}");
}

#[test]
fn a_cross_encoder_equals_candle_and_does_not_care_for_its_neighbours() {
    let dir = TempDir::new().expect("a folder");
    let config = labelled(config("bert", 16), "BertForSequenceClassification", &["LABEL_0"]);
    let reference = checkpoint(dir.path(), &config, BERT, bert_reference(&config, 1));
    let model = CrossEncoder::load(dir.path()).expect("it loads");
    let scores = model.scores("where is my card", &TEXTS[..2]).expect("scored");
    for (passage, found) in TEXTS.iter().zip(&scores) {
        let (first, second) = (ids("where is my card", 1, 2), ids(passage, 1, 2));
        let row: Vec<u32> = first.iter().chain(&second[1..]).copied().collect();
        let types: Vec<u32> = (0..row.len()).map(|at| u32::from(at >= first.len())).collect();
        let expected = reference(&row, &types)[0];
        assert!((found.score - expected).abs() < 1e-3 * expected.abs().max(1.0), "{found:?} is not {expected}");
        assert!(!found.truncated && found.tokens == row.len() && (0.0..=1.0).contains(&found.probability()));
    }
    assert!(scores[0].score != scores[1].score);
    let long = TEXTS[2].repeat(40);
    let many: Vec<&str> = std::iter::repeat_n([TEXTS[0], &long], 200).flatten().collect();
    let all = model.scores("where is my card", &many).expect("scored");
    assert!(all.iter().step_by(2).all(|s| *s == scores[0]), "a score does not depend on the batch");
    assert!(all[1].truncated && all[1].tokens == model.max_tokens() && all[1].score.is_finite());
    assert!(model.scores("where", &[] as &[&str]).expect("none").is_empty());
    for odd in ["", "\u{0}", "😀"] {
        assert!(model.scores(odd, &[odd]).expect("scored")[0].score.is_finite());
    }
    let message = CrossEncoder::load(&shipped()).err().expect("no classifier").to_string();
    assert!(message.contains("no classifier"), "{message}");
    emotions(dir.path());
    let message = CrossEncoder::load(dir.path()).err().expect("three outputs").to_string();
    assert!(message.contains("this has 3"), "{message}");
}

#[test]
fn what_a_sentence_transformers_folder_says_beside_is_read_or_refused() {
    let dir = TempDir::new().expect("a folder");
    emotions(dir.path());
    fs::create_dir(dir.path().join("1_Pooling")).expect("a folder");
    let write = |name: &str, value: Value| fs::write(dir.path().join(name), value.to_string()).expect("written");
    let load = || crate::inference::ModelConfig::load(&dir.path().join("config.json"));
    write("1_Pooling/config.json", json!({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}));
    write("sentence_bert_config.json", json!({"max_seq_length": 7, "do_lower_case": false}));
    let config = load().expect("read");
    assert_eq!((config.pooling, config.max_tokens()), (Pooling::First, 7));
    let model = EncoderModel::load(dir.path()).expect("it loads");
    let encoding = encode(&model).remove(2);
    assert!(encoding.truncated && encoding.embedding.len() == HIDDEN);
    write("1_Pooling/config.json", json!({"pooling_mode_max_tokens": true}));
    assert!(load().err().expect("max is refused").to_string().contains("mean or the first"));
    write("1_Pooling/config.json", json!({"pooling_mode_mean_tokens": true}));
    write(
        "modules.json",
        json!([{"type": "sentence_transformers.models.Transformer"}, {"type": "sentence_transformers.models.Dense"}]),
    );
    assert!(load().err().expect("a dense module is refused").to_string().contains("`Dense`"));
}

//! Checkpoints in Hugging Face layout that are not our own, against candle's implementations: small random ones of
//! each architecture.

use std::fs;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::{VarBuilder, VarMap};
use candle_transformers::models::{bert, distilbert, modernbert, xlm_roberta};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::cosine;
use crate::inference::{EncoderModel, Encoding, Scratch};

const WORDS: [&str; 10] = ["refund", "parcel", "where", "is", "my", "退", "款", "card", "lost", "please"];
pub(super) const TEXTS: [&str; 3] = ["where is my parcel", "退 款 please", "card lost my card is lost where is my card please"];

/// A tokenizer of whole words with opening and closing tokens; `ids` are those of opening, padding, closing, unknown.
pub(super) fn tokenizer(path: &Path, ids: [(&str, u32); 4]) {
    let mut vocab: serde_json::Map<String, Value> = ids.iter().map(|(t, i)| ((*t).to_owned(), json!(i))).collect();
    for (i, word) in WORDS.iter().enumerate() {
        vocab.insert((*word).to_owned(), json!(i + 4));
    }
    let special: Vec<Value> = (ids.iter())
        .map(|(t, i)| json!({"id": i, "content": t, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}))
        .collect();
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": special, "normalizer": null,
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "decoder": null,
        "post_processor": {"type": "BertProcessing", "sep": [ids[2].0, ids[2].1], "cls": [ids[0].0, ids[0].1]},
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": ids[3].0}
    });
    fs::write(path, file.to_string()).expect("written");
}

/// Token ids of a text as the tokenizer above gives them.
pub(super) fn ids(text: &str, opening: u32, closing: u32) -> Vec<u32> {
    let words = text.split(' ').map(|w| WORDS.iter().position(|x| *x == w).expect("a known word") as u32 + 4);
    std::iter::once(opening).chain(words).chain(std::iter::once(closing)).collect()
}

fn mean_unit(states: &Tensor) -> Vec<f32> {
    let mean: Vec<f32> = states.squeeze(0).and_then(|s| s.mean(0)).and_then(|m| m.to_vec1()).expect("a mean");
    let norm = mean.iter().map(|v| v * v).sum::<f32>().sqrt();
    mean.iter().map(|v| v / norm).collect()
}

fn load_and_encode(dir: &Path) -> Vec<Encoding> {
    let model = EncoderModel::load(dir).expect("the checkpoint loads");
    model.encode(&TEXTS, 512, &mut Scratch::default()).expect("encoded")
}

fn agree(encodings: &[Encoding], references: &[Vec<f32>]) {
    assert_eq!(encodings.len(), references.len());
    for (encoding, reference) in encodings.iter().zip(references) {
        let likeness = cosine(&encoding.embedding, reference);
        assert!(likeness > 0.99999, "cosine {likeness}");
    }
    assert!(cosine(&references[0], &references[1]) < 0.999, "the random checkpoint tells texts apart");
}

/// Random weights of deviation 0.3 in place of candle's start values, so that every layer matters.
pub(super) fn stir(vars: &VarMap) {
    for var in vars.all_vars() {
        let shape = var.shape().clone();
        let noise = super::noise(shape.elem_count(), shape.elem_count() as u32 + shape.rank() as u32);
        let stirred = Tensor::from_vec(noise, shape, &Device::Cpu).and_then(|t| (t * 0.3)? + var.as_tensor()).expect("stirred");
        var.set(&stirred).expect("set");
    }
}

pub(super) fn config(model_type: &str, positions: usize) -> Value {
    json!({
        "model_type": model_type, "vocab_size": 20, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 80,
        "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "max_position_embeddings": positions,
        "type_vocab_size": 2, "initializer_range": 0.02, "layer_norm_eps": 1e-12, "pad_token_id": if model_type == "bert" { 0 } else { 1 },
        "position_embedding_type": "absolute", "architectures": ["Model"]
    })
}

#[test]
fn bert_equals_candle() {
    let dir = TempDir::new().expect("a folder");
    let config = config("bert", 32);
    let vars = VarMap::new();
    let builder = VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu);
    let shape: bert::Config = serde_json::from_value(config.clone()).expect("a configuration");
    let reference = bert::BertModel::load(builder.clone(), &shape).expect("a model");
    stir(&vars);
    vars.save(dir.path().join("model.safetensors")).expect("saved");
    fs::write(dir.path().join("config.json"), config.to_string()).expect("written");
    tokenizer(&dir.path().join("tokenizer.json"), [("[CLS]", 1), ("[PAD]", 0), ("[SEP]", 2), ("[UNK]", 3)]);
    let references: Vec<Vec<f32>> = (TEXTS.iter())
        .map(|text| {
            let ids = Tensor::new(vec![ids(text, 1, 2)], &Device::Cpu).expect("ids");
            mean_unit(&reference.forward(&ids, &ids.zeros_like().expect("types"), None).expect("states"))
        })
        .collect();
    agree(&load_and_encode(dir.path()), &references);
}

#[test]
fn xlm_roberta_equals_candle() {
    let dir = TempDir::new().expect("a folder");
    let config = config("xlm-roberta", 34);
    let vars = VarMap::new();
    let builder = VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu);
    let shape: xlm_roberta::Config = serde_json::from_value(config.clone()).expect("a configuration");
    let reference = xlm_roberta::XLMRobertaModel::new(&shape, builder.pp("roberta")).expect("a model");
    stir(&vars);
    vars.save(dir.path().join("model.safetensors")).expect("saved");
    fs::write(dir.path().join("config.json"), config.to_string()).expect("written");
    tokenizer(&dir.path().join("tokenizer.json"), [("<s>", 0), ("<pad>", 1), ("</s>", 2), ("<unk>", 3)]);
    let references: Vec<Vec<f32>> = (TEXTS.iter())
        .map(|text| {
            let ids = Tensor::new(vec![ids(text, 0, 2)], &Device::Cpu).expect("ids");
            let types = ids.zeros_like().expect("types");
            let states = reference.forward(&ids, &ids.ones_like().expect("mask"), &types, None, None, None).expect("states");
            mean_unit(&states)
        })
        .collect();
    agree(&load_and_encode(dir.path()), &references);
}

#[test]
fn distilbert_equals_candle() {
    let dir = TempDir::new().expect("a folder");
    let config = json!({
        "model_type": "distilbert", "vocab_size": 20, "dim": 48, "n_layers": 2, "n_heads": 4, "hidden_dim": 80, "activation": "gelu",
        "max_position_embeddings": 32, "initializer_range": 0.02, "pad_token_id": 0
    });
    let vars = VarMap::new();
    let builder = VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu);
    let shape: distilbert::Config = serde_json::from_value(config.clone()).expect("a configuration");
    let reference = distilbert::DistilBertModel::load(builder, &shape).expect("a model");
    stir(&vars);
    vars.save(dir.path().join("model.safetensors")).expect("saved");
    fs::write(dir.path().join("config.json"), config.to_string()).expect("written");
    tokenizer(&dir.path().join("tokenizer.json"), [("[CLS]", 1), ("[PAD]", 0), ("[SEP]", 2), ("[UNK]", 3)]);
    let references: Vec<Vec<f32>> = (TEXTS.iter())
        .map(|text| {
            let row = ids(text, 1, 2);
            let mask = Tensor::zeros((row.len(), row.len()), DType::U8, &Device::Cpu).expect("mask");
            let ids = Tensor::new(vec![row], &Device::Cpu).expect("ids");
            mean_unit(&reference.forward(&ids, &mask).expect("states"))
        })
        .collect();
    agree(&load_and_encode(dir.path()), &references);
}

#[test]
fn modernbert_equals_candle() {
    let dir = TempDir::new().expect("a folder");
    // A window of 4 leaves most tokens of the longest text out of sight in local layers.
    let config = json!({
        "model_type": "modernbert", "vocab_size": 20, "hidden_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4,
        "intermediate_size": 80, "hidden_activation": "gelu", "max_position_embeddings": 32, "layer_norm_eps": 1e-5, "norm_eps": 1e-5,
        "pad_token_id": 0, "global_attn_every_n_layers": 3, "global_rope_theta": 160_000.0, "local_attention": 4,
        "local_rope_theta": 10_000.0, "architectures": ["ModernBertModel"]
    });
    let vars = VarMap::new();
    let builder = VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu);
    let shape: modernbert::Config = serde_json::from_value(config.clone()).expect("a configuration");
    let reference = modernbert::ModernBert::load(builder, &shape).expect("a model");
    stir(&vars);
    vars.save(dir.path().join("model.safetensors")).expect("saved");
    fs::write(dir.path().join("config.json"), config.to_string()).expect("written");
    tokenizer(&dir.path().join("tokenizer.json"), [("[CLS]", 1), ("[PAD]", 0), ("[SEP]", 2), ("[UNK]", 3)]);
    let references: Vec<Vec<f32>> = (TEXTS.iter())
        .map(|text| {
            let ids = Tensor::new(vec![ids(text, 1, 2)], &Device::Cpu).expect("ids");
            mean_unit(&reference.forward(&ids, &ids.ones_like().expect("mask")).expect("states"))
        })
        .collect();
    agree(&load_and_encode(dir.path()), &references);
}

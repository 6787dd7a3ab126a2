//! Model folders that are not as they should be: each error names the file and the fix.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{noise, shipped};
use crate::inference::{EncoderModel, Head, HeadKind, HeadSpec, InferenceError};

/// A copy of the shipped folder.
fn copy() -> TempDir {
    let dir = TempDir::new().expect("a folder");
    for name in ["config.json", "tokenizer.json", "model.safetensors", "heads.toml"] {
        fs::copy(shipped().join(name), dir.path().join(name)).expect("a copy");
    }
    dir
}

fn refused(dir: &Path) -> String {
    match EncoderModel::load(dir) {
        Ok(_) => panic!("the folder should be refused"),
        Err(error) => error.to_string(),
    }
}

fn rewrite(dir: &Path, name: &str, from: &str, to: &str) {
    let path = dir.join(name);
    let text = fs::read_to_string(&path).expect("a text file");
    assert!(text.contains(from), "{name} holds no {from}");
    fs::write(&path, text.replacen(from, to, 1)).expect("written");
}

#[test]
fn missing_files_are_named_with_the_command_that_fetches_them() {
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let dir = copy();
        fs::remove_file(dir.path().join(name)).expect("removed");
        let message = refused(dir.path());
        assert!(message.contains(name) && message.contains("is missing") && message.contains("zhiyin models pull"), "{message}");
    }
}

#[test]
fn damaged_files_are_refused() {
    for (name, keep) in
        [("config.json", 20), ("tokenizer.json", 500), ("model.safetensors", 4000), ("model.safetensors", 3), ("heads.toml", 400)]
    {
        let dir = copy();
        let path = dir.path().join(name);
        let bytes = fs::read(&path).expect("read");
        fs::write(&path, &bytes[..keep]).expect("written");
        let message = refused(dir.path());
        assert!(message.contains(name) && message.contains("cannot be used"), "{message}");
    }
}

#[test]
fn contradictions_are_refused() {
    let cases = [
        ("config.json", "\"hidden_size\": 256", "\"hidden_size\": 128", "has shape"),
        ("config.json", "\"num_attention_heads\": 4", "\"num_attention_heads\": 7", "no multiple"),
        ("config.json", "\"vocab_size\": 10240", "\"vocab_size\": 900", "highest id"),
        ("config.json", "\"num_hidden_layers\": 4", "\"num_hidden_layers\": 5", "is missing"),
        ("config.json", "\"bert\"", "\"deberta-v2\"", "not supported"),
        ("config.json", "\"gelu\"", "\"relu\"", "activation"),
        ("heads.toml", "\"neutral\",", "", "has 8 thresholds for 7 labels"),
        ("heads.toml", "\"sad\"", "\"angry\"", "twice"),
        ("heads.toml", "  \"comma\",\n", "", "weights for 4"),
        ("heads.toml", "\"punctuation\"", "\"intent\"", "listed twice"),
        ("heads.toml", "\"softmax\"", "\"hardmax\"", "cannot be used"),
    ];
    for (name, from, to, expected) in cases {
        let dir = copy();
        rewrite(dir.path(), name, from, to);
        let message = refused(dir.path());
        assert!(message.contains(expected), "{name} {from}: {message}");
    }
}

#[test]
fn weights_must_be_numbers() {
    let spec = HeadSpec {
        name: "own".into(),
        kind: HeadKind::Softmax,
        labels: ["a".to_owned(), "b".to_owned()].into(),
        temperature: 1.0,
        thresholds: vec![],
        version: "1".into(),
    };
    let refused = |spec: HeadSpec, weight: Vec<f32>, bias: Vec<f32>| {
        matches!(Head::new(spec, weight, bias), Err(InferenceError::Mismatch { .. }))
    };
    assert!(refused(spec.clone(), vec![f32::NAN; 4], vec![0.0; 2]));
    assert!(refused(spec.clone(), vec![1.0; 5], vec![0.0; 2]));
    assert!(refused(spec.clone(), vec![1.0; 4], vec![0.0; 3]));
    assert!(refused(HeadSpec { labels: ["a".to_owned()].into(), ..spec.clone() }, vec![1.0; 2], vec![0.0]));
    assert!(refused(HeadSpec { temperature: 0.0, ..spec.clone() }, vec![1.0; 4], vec![0.0; 2]));
    assert!(refused(HeadSpec { thresholds: vec![0.5, 7.0], ..spec }, vec![1.0; 4], vec![0.0; 2]));
}

#[test]
fn an_own_head_is_saved_and_read_again() {
    let dir = TempDir::new().expect("a folder");
    let spec = HeadSpec {
        name: "team".into(),
        kind: HeadKind::Sigmoid,
        labels: ["甲".to_owned(), "b \"quoted\"".to_owned(), "c".to_owned()].into(),
        temperature: 1.25,
        thresholds: vec![0.25, 0.5, 0.75],
        version: "7".into(),
    };
    let head = Head::new(spec.clone(), noise(3 * 256, 1), noise(3, 2)).expect("a head");
    head.save(dir.path()).expect("saved");
    let again = Head::load(dir.path()).expect("read again");
    assert_eq!(**again.spec(), spec);
    assert_eq!(again.inputs(), 256);
    fs::remove_file(dir.path().join("head.safetensors")).expect("removed");
    assert!(matches!(Head::load(dir.path()), Err(InferenceError::Missing { .. })));
}

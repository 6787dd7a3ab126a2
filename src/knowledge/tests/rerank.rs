//! The cross-encoder in a search: a small checkpoint with random weights.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

use super::*;

const HIDDEN: usize = 16;
const VOCABULARY: [&str; 12] = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "退", "款", "到", "账", "卡", "丢", "refund", "card"];

/// A BERT for sequence classification with one layer and one label.
fn checkpoint(dir: &Path) {
    let config = json!({
        "model_type": "bert", "architectures": ["BertForSequenceClassification"], "vocab_size": VOCABULARY.len(), "hidden_size": HIDDEN, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 64, "type_vocab_size": 2,
    });
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let vocabulary: serde_json::Map<String, serde_json::Value> =
        VOCABULARY.iter().enumerate().map(|(id, token)| ((*token).to_owned(), json!(id))).collect();
    let special: Vec<serde_json::Value> = (VOCABULARY[..4].iter().enumerate())
        .map(|(id, token)| json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}))
        .collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": special,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "decoder": null,
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"}
    });
    std::fs::write(dir.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let layer = "bert.encoder.layer.0";
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("bert.embeddings.word_embeddings.weight".into(), vec![VOCABULARY.len(), HIDDEN]),
        ("bert.embeddings.position_embeddings.weight".into(), vec![64, HIDDEN]),
        ("bert.embeddings.token_type_embeddings.weight".into(), vec![2, HIDDEN]),
    ];
    let mut linear = |name: String, inputs: usize, outputs: usize| {
        shapes.push((format!("{name}.weight"), vec![outputs, inputs]));
        shapes.push((format!("{name}.bias"), vec![outputs]));
    };
    for part in ["self.query", "self.key", "self.value", "output.dense"] {
        linear(format!("{layer}.attention.{part}"), HIDDEN, HIDDEN);
    }
    linear(format!("{layer}.intermediate.dense"), HIDDEN, 32);
    linear(format!("{layer}.output.dense"), 32, HIDDEN);
    linear("bert.pooler.dense".into(), HIDDEN, HIDDEN);
    linear("classifier".into(), HIDDEN, 1);
    for norm in
        ["bert.embeddings.LayerNorm", &format!("{layer}.attention.output.LayerNorm"), &format!("{layer}.output.LayerNorm")]
    {
        shapes.push((format!("{norm}.weight"), vec![HIDDEN]));
        shapes.push((format!("{norm}.bias"), vec![HIDDEN]));
    }
    let mut state = 7_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from_bits(0x3f80_0000 | state >> 9) - 1.5
    };
    let data: HashMap<String, (Vec<usize>, Vec<u8>)> = shapes
        .into_iter()
        .map(|(name, shape)| {
            let count = shape.iter().product::<usize>();
            let bytes = (0..count).flat_map(|_| (1.6 * random()).to_le_bytes()).collect();
            (name, (shape, bytes))
        })
        .collect();
    let views: HashMap<&String, TensorView<'_>> =
        (data.iter()).map(|(name, (shape, bytes))| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())).collect();
    std::fs::write(dir.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn a_configured_cross_encoder_orders_the_best_and_its_share_is_explained() {
    let model = tempfile::tempdir().unwrap();
    checkpoint(model.path());
    let documents =
        [document("退款到账", "退款三天到账"), document("银行卡丢了", "卡丢了先挂失再退款"), document("退款规则", "退款要审核")];
    let search = |rerank: Option<&Path>, share: f32| {
        let folder = tempfile::tempdir().unwrap();
        let rerank = rerank.map(Path::to_path_buf);
        let config = KnowledgeConfig { rerank, rerank_share: share, rerank_depth: 2, tail_below: 0.0, ..lexical_config() };
        let index = KnowledgeIndex::open(folder.path(), config).unwrap();
        index.replace_all(&documents, None).unwrap();
        index.search(&SearchRequest { mode: SearchMode::Lexical, ..SearchRequest::new("退款到账") }, None).unwrap().passages
    };
    let plain = search(None, 0.7);
    assert!(plain.iter().all(|hit| hit.parts.rerank.is_none()));
    let read = search(Some(model.path()), 0.7);
    assert_eq!(read.iter().filter(|hit| hit.parts.rerank.is_some()).count(), 2, "only so many are read: {read:?}");
    for hit in &read {
        let before = plain.iter().find(|other| other.document_id == hit.document_id).unwrap().score;
        let expected = 0.3 * before + 0.7 * hit.parts.rerank.unwrap_or(0.0);
        assert!((hit.score - expected).abs() < 1e-5, "{} {expected}", hit.score);
    }
    assert!(read.windows(2).all(|pair| pair[0].score >= pair[1].score));
    let alone = search(Some(model.path()), 1.0);
    assert!(alone[0].parts.rerank >= alone[1].parts.rerank, "with all of the share it decides");
}

#[test]
fn a_folder_without_a_cross_encoder_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let config = KnowledgeConfig { rerank: Some(folder.path().join("none")), ..lexical_config() };
    let message = KnowledgeIndex::open(folder.path(), config).err().unwrap().to_string();
    assert!(message.contains("re-ranking model") && message.contains("config.json"), "{message}");
}

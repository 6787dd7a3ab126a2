//! Checkpoints in Hugging Face layout that are named in the configuration: a classifier answers a task, a cross-encoder ranks.

use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use zhiyin::app::App;
use zhiyin::config::{HeadSettings, Settings};
use zhiyin::inference::CrossEncoder;

use crate::support::{Service, home, settings};

const HIDDEN: usize = 32;
const WIDE: usize = 64;
const WORDS: [&str; 8] = ["refund", "parcel", "where", "is", "my", "退款", "card", "late"];

/// A random BERT for sequence classification: its labels are `labels`.
fn bert(dir: &Path, labels: &[&str]) {
    std::fs::create_dir_all(dir).unwrap();
    let by_id: serde_json::Map<String, Value> = labels.iter().enumerate().map(|(n, l)| (n.to_string(), json!(l))).collect();
    let config = json!({"architectures": ["BertForSequenceClassification"], "model_type": "bert", "vocab_size": 12, "hidden_size": HIDDEN,
        "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": WIDE, "hidden_act": "gelu", "max_position_embeddings": 16,
        "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pad_token_id": 0, "id2label": by_id});
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"];
    let vocab: serde_json::Map<String, Value> =
        special.iter().chain(&WORDS).enumerate().map(|(n, w)| ((*w).to_owned(), json!(n))).collect();
    let added: Vec<Value> = (special.iter().enumerate())
        .map(|(n, w)| json!({"id": n, "content": w, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}))
        .collect();
    let tokenizer = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "decoder": null,
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "[UNK]"}});
    std::fs::write(dir.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let mut shapes = vec![
        ("bert.embeddings.word_embeddings.weight".to_owned(), vec![12, HIDDEN]),
        ("bert.embeddings.position_embeddings.weight".to_owned(), vec![16, HIDDEN]),
        ("bert.embeddings.token_type_embeddings.weight".to_owned(), vec![2, HIDDEN]),
    ];
    let mut linear = |name: &str, outputs: usize, inputs: usize| {
        shapes.push((format!("{name}.weight"), vec![outputs, inputs]));
        shapes.push((format!("{name}.bias"), vec![outputs]));
    };
    let layer = "bert.encoder.layer.0";
    for name in ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"] {
        linear(&format!("{layer}.{name}"), HIDDEN, HIDDEN);
    }
    linear(&format!("{layer}.intermediate.dense"), WIDE, HIDDEN);
    linear(&format!("{layer}.output.dense"), HIDDEN, WIDE);
    linear("bert.pooler.dense", HIDDEN, HIDDEN);
    linear("classifier", labels.len(), HIDDEN);
    for name in
        ["bert.embeddings.LayerNorm", "bert.encoder.layer.0.attention.output.LayerNorm", "bert.encoder.layer.0.output.LayerNorm"]
    {
        shapes.push((format!("{name}.weight"), vec![HIDDEN]));
        shapes.push((format!("{name}.bias"), vec![HIDDEN]));
    }
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    let data: Vec<Vec<u8>> =
        shapes.iter().map(|(_, shape)| (0..shape.iter().product()).flat_map(|_| next().to_le_bytes()).collect()).collect();
    let views =
        shapes.iter().zip(&data).map(|((name, shape), bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    safetensors::serialize_to_file(views, None, &dir.join("model.safetensors")).unwrap();
}

fn head(model: &Path, labels: &[(&str, &str)]) -> HeadSettings {
    let labels = labels.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    HeadSettings { model: model.display().to_string(), labels }
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_named_in_the_configuration_answer_tasks_and_rank() {
    let models = tempfile::tempdir().unwrap();
    let (emotions, team, ranker) = (models.path().join("emotions"), models.path().join("team"), models.path().join("ranker"));
    bert(&emotions, &["joy", "anger"]);
    bert(&team, &["red", "blue", "green"]);
    bert(&ranker, &["LABEL_0"]);
    let service = Service::start_with(|settings: &mut Settings| {
        settings.heads.insert("emotion".into(), head(&emotions, &[("joy", "satisfied"), ("anger", "angry")]));
        settings.heads.insert("team".into(), head(&team, &[]));
        settings.knowledge.reranker = ranker.display().to_string();
    })
    .await;
    let (status, read) = service.post("/api/v1/understand", json!({"text": "where is my parcel"})).await;
    assert_eq!(status, 200, "{read}");
    assert!(["satisfied", "angry"].contains(&read["emotion"]["label"].as_str().unwrap()), "{read}");
    assert!(read["intents"].as_array().unwrap().len() > 1 && read["models"].to_string().contains("emotions@"), "{read}");

    let (status, labels) = service.post("/compat/tei/team/predict", json!({"inputs": "where is my parcel"})).await;
    assert_eq!(status, 200, "{labels}");
    let sum: f64 = labels.as_array().unwrap().iter().map(|l| l["score"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-4 && labels.as_array().unwrap().len() == 3, "{labels}");

    let (_, info) = service.get("/info").await;
    assert_eq!(info["rerank"], "ranker");
    let texts = ["my card is late", "refund", "退款 退款"];
    let (status, ranking) =
        service.post("/rerank", json!({"query": "where is my parcel", "texts": texts, "raw_scores": true})).await;
    assert_eq!(status, 200, "{ranking}");
    let scores = CrossEncoder::load(&ranker).unwrap().scores("where is my parcel", &texts).unwrap();
    for row in ranking.as_array().unwrap() {
        let index = row["index"].as_u64().unwrap() as usize;
        assert!((row["score"].as_f64().unwrap() - f64::from(scores[index].score)).abs() < 1e-4, "{row}");
    }
    let long = json!({"query": "where is my parcel", "texts": ["card ".repeat(50)]});
    let (status, refusal) = service.post("/rerank", long.clone()).await;
    assert_eq!(status, 422, "{refusal}");
    assert!(refusal["error"].as_str().unwrap().contains("less than 16 tokens"), "{refusal}");
    let (status, _) = service.post("/rerank", json!({"query": long["query"], "texts": long["texts"], "truncate": true})).await;
    assert_eq!(status, 200);

    let (_, models) = service.get("/api/v1/models").await;
    let listed = models.as_array().unwrap().iter().find(|m| m["id"] == "team").unwrap();
    assert_eq!((listed["task"].as_str(), listed["state"].as_str()), (Some("team"), Some("loaded")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_cannot_do_what_it_is_named_for_refuses_the_start_by_name() {
    let models = tempfile::tempdir().unwrap();
    let two = models.path().join("two");
    bert(&two, &["a", "b"]);
    let shipped = home().join("models/zhiyin-encoder-small");
    type Change = Box<dyn FnOnce(&mut Settings)>;
    let cases: [(Change, &str); 4] = [
        (
            Box::new({
                let two = two.clone();
                move |s: &mut Settings| s.knowledge.reranker = two.display().to_string()
            }),
            "this has 2",
        ),
        (
            Box::new({
                let two = two.clone();
                move |s: &mut Settings| drop(s.heads.insert("emotion".into(), head(&two, &[("x", "angry")])))
            }),
            "no label `x`",
        ),
        (
            Box::new(move |s: &mut Settings| drop(s.heads.insert("emotion".into(), head(&shipped, &[])))),
            "no checkpoint with labels",
        ),
        (
            Box::new(|s: &mut Settings| drop(s.heads.insert("emotion".into(), head(Path::new("no-such-model"), &[])))),
            "heads.emotion",
        ),
    ];
    for (change, expected) in cases {
        let store = tempfile::tempdir().unwrap();
        let mut settings = settings(&store);
        change(&mut settings);
        let error = match App::start(&home(), &settings).await {
            Ok(_) => panic!("{expected}: the start should be refused"),
            Err(error) => format!("{error:#}"),
        };
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

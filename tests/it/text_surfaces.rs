//! Rasa, text-embeddings-inference and OpenAI embeddings: answers, and what they say to bad input.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::Service;

/// Texts that no surface may stumble over.
const ODD: [&str; 9] = [
    "😀😀👍🏽",
    "\u{0}\u{1}\u{7f}",
    "请问 refund 的 деньги はいつ届きますか",
    "請問退貨的錢什麼時候到賬",
    "\u{202e}abc\u{202c}",
    "a",
    "    退款   ",
    "e\u{301}\u{200d}\u{fe0f}",
    "١٢٣٤٥٦",
];

#[tokio::test(flavor = "multi_thread")]
async fn rasa_parses_with_ranking_entities_and_its_own_errors() {
    let service = Service::start().await;
    for text in ["帮我查一下这个月的话费", "where is my parcel?", "😀我的手机号是13812345678"] {
        let (status, answer) = service.post("/model/parse", json!({"text": text, "message_id": "m", "extra": 1})).await;
        assert_eq!((status, answer["text"].as_str(), answer["message_id"].as_str()), (200, Some(text), Some("m")));
        let ranking: Vec<f64> =
            answer["intent_ranking"].as_array().unwrap().iter().map(|i| i["confidence"].as_f64().unwrap()).collect();
        assert!(ranking.windows(2).all(|pair| pair[0] >= pair[1]) && answer["intent"] == answer["intent_ranking"][0], "{answer}");
        let points: Vec<char> = text.chars().collect();
        for entity in answer["entities"].as_array().unwrap() {
            let (start, end) = (entity["start"].as_u64().unwrap() as usize, entity["end"].as_u64().unwrap() as usize);
            assert!(start < end && end <= points.len(), "{entity}");
        }
    }
    let (_, phone) = service.post("/model/parse", json!({"text": "😀我的手机号是13812345678"})).await;
    let entity = phone["entities"].as_array().unwrap().iter().find(|e| e["entity"] == "mobile").unwrap();
    assert_eq!((entity["start"].as_u64(), entity["value"].as_str()), (Some(7), Some("13812345678")));
    let (_, nonsense) = service.post("/compat/rasa/model/parse", json!({"text": "量子纠缠的薛定谔方程怎么推导"})).await;
    assert!(nonsense["intent_ranking"].as_array().unwrap().len() > 1, "{nonsense}");
    let (status, blank) = service.post("/model/parse", json!({"text": " "})).await;
    assert_eq!((status, blank["intent"]["name"].is_null()), (200, true));
    for (body, query) in
        [(json!({}), ""), (json!({"text": 1}), ""), (json!([]), ""), (json!({"text": "a"}), "?emulation_mode=LUIS")]
    {
        let (status, answer) = service.post(&format!("/model/parse{query}"), body).await;
        assert_eq!(
            (status, answer["reason"].as_str(), answer["status"].as_str()),
            (400, Some("BadRequest"), Some("failure")),
            "{answer}"
        );
    }
    let response = service.http.post(format!("{}/model/parse", service.base)).json(&json!({"text": "a"})).send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.json::<Value>().await.unwrap()["reason"], "NotAuthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn tei_embeds_ranks_predicts_and_refuses_in_its_own_words() {
    let service = Service::start().await;
    let (status, info) = service.get("/info").await;
    assert_eq!((status, info["rerank"].as_str()), (200, Some("cosine")));
    let labels = info["model_type"]["classifier"]["id2label"].as_object().unwrap().len();
    let (_, single) = service.post("/embed", json!({"inputs": "您好"})).await;
    let (_, batch) = service.post("/embed", json!({"inputs": ["where is my parcel", "您好"]})).await;
    let close = |a: &Value, b: &Value| {
        let pair = a.as_array().unwrap().iter().zip(b.as_array().unwrap());
        pair.map(|(x, y)| x.as_f64().unwrap() * y.as_f64().unwrap()).sum::<f64>()
    };
    assert!(close(&single[0], &batch[1]) > 0.9999);
    let (_, predicted) = service.post("/predict", json!({"inputs": [["我要退款"], ["a", "b"]]})).await;
    assert_eq!((predicted.as_array().unwrap().len(), predicted[0].as_array().unwrap().len()), (2, labels));
    let (_, raw) = service.post("/predict", json!({"inputs": "我要退款", "raw_scores": true})).await;
    assert_eq!(raw[0]["label"], predicted[0][0]["label"]);
    assert!(raw[0]["score"].as_f64().unwrap() <= 0.0);
    let (_, ranked) =
        service.post("/rerank", json!({"query": "退款", "texts": ["天气很好", "退款三天到账"], "return_text": true})).await;
    assert_eq!(ranked[0]["text"], "退款三天到账");
    let (status, left) =
        service.post("/embed", json!({"inputs": "退款".repeat(500), "truncate": true, "truncation_direction": "Left"})).await;
    assert_eq!((status, left.as_array().unwrap().len()), (200, 1));
    let long = "长".repeat(100_000);
    for (path, body, wanted, kind) in [
        ("/embed", json!({"inputs": vec!["a"; 33]}), 422, "Validation"),
        ("/predict", json!({"inputs": vec![vec!["a"]; 33]}), 422, "Validation"),
        ("/embed", json!({"inputs": []}), 400, "Empty"),
        ("/embed", json!({"inputs": ""}), 400, "Empty"),
        ("/embed", json!({}), 422, "Validation"),
        ("/embed", json!({"inputs": [1, 2]}), 422, "Validation"),
        ("/embed", json!({"inputs": "a", "dimensions": 0}), 422, "Validation"),
        ("/embed", json!({"inputs": "a", "normalize": "yes"}), 422, "Validation"),
        ("/embed", json!({"inputs": long}), 422, "Validation"),
        ("/predict", json!({"inputs": ["a", "b", "c"]}), 422, "Validation"),
        ("/predict", json!({"inputs": {"a": 1}}), 422, "Validation"),
        ("/rerank", json!({"query": "", "texts": ["a"]}), 400, "Empty"),
        ("/rerank", json!({"query": "a", "texts": []}), 400, "Empty"),
        ("/rerank", json!({"texts": ["a"]}), 422, "Validation"),
        ("/compat/tei/emotion/embed", json!({"inputs": "a"}), 424, "Backend"),
        ("/compat/tei/encoder/predict", json!({"inputs": "a"}), 424, "Backend"),
        ("/compat/tei/unknown/predict", json!({"inputs": "a"}), 404, "Validation"),
    ] {
        let (status, answer) = service.post(path, body).await;
        assert_eq!((status, answer["error_type"].as_str()), (wanted, Some(kind)), "{path} {answer}");
    }
    for text in ODD {
        let (status, answer) = service.post("/compat/tei/emotion", json!({"inputs": text})).await;
        assert_eq!(status, 200, "{text:?} {answer}");
        let sum: f64 = answer.as_array().unwrap().iter().map(|row| row["score"].as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_embeddings_come_as_numbers_and_as_base64() {
    let service = Service::start().await;
    let body = |format: &str| json!({"input": ["退款", "refund"], "model": "m", "encoding_format": format, "user": "u"});
    let (status, floats) = service.post("/v1/embeddings", body("float")).await;
    let (_, packed) = service.post("/v1/embeddings", body("base64")).await;
    assert_eq!((status, floats["data"][1]["index"].as_u64()), (200, Some(1)));
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let unpacked: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let numbers = floats["data"][0]["embedding"].as_array().unwrap();
    assert_eq!(unpacked.len(), numbers.len());
    assert!(unpacked.iter().zip(numbers).all(|(a, b)| (f64::from(*a) - b.as_f64().unwrap()).abs() < 1e-6));
    for bad in [
        json!({"model": "m"}),
        json!({"input": [], "model": "m"}),
        json!({"input": "", "model": "m"}),
        json!({"input": [[1]], "model": "m"}),
        json!({"input": "a"}),
        json!({"input": "a", "model": "m", "encoding_format": "int8"}),
        json!({"input": "a", "model": "m", "dimensions": 100_000}),
        json!({"input": vec!["a"; 2_049], "model": "m"}),
    ] {
        let (status, answer) = service.post("/v1/embeddings", bad).await;
        assert_eq!((status, answer["error"]["type"].as_str()), (400, Some("invalid_request_error")), "{answer}");
    }
    let (status, long) = service.post("/v1/embeddings", json!({"input": "长".repeat(100_000), "model": "m"})).await;
    assert_eq!((status, long["data"].as_array().unwrap().len()), (200, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn understanding_takes_batches_and_odd_texts_and_names_what_is_wrong() {
    let service = Service::start().await;
    let (status, answers) = service.post("/api/v1/understand", json!({"inputs": ODD})).await;
    assert_eq!((status, answers.as_array().unwrap().len()), (200, ODD.len()), "{answers}");
    let (status, long) = service.post("/api/v1/understand", json!({"text": "退款".repeat(50_000)})).await;
    assert_eq!(status, 200, "{}", long["code"]);
    for (body, status, code, pointer) in [
        (json!({"text": ""}), 422, "invalid_value", "/text"),
        (json!({"inputs": ["a", " "]}), 422, "invalid_value", "/inputs/1"),
        (json!({"turns": [{"role": "customer", "text": ""}]}), 422, "invalid_value", "/turns/0/text"),
        (json!({"txt": "a"}), 422, "unknown_field", "/txt"),
        (json!({"text": "a", "inputs": ["a"]}), 422, "invalid_value", ""),
    ] {
        let (got, problem) = service.post("/api/v1/understand", body).await;
        assert_eq!((got, problem["code"].as_str()), (status, Some(code)), "{problem}");
        assert_eq!(problem["errors"][0]["pointer"].as_str().unwrap_or_default(), pointer, "{problem}");
    }
    let (status, problem) = service.post("/api/v1/understand", json!({"inputs": vec!["a"; 257]})).await;
    assert_eq!((status, problem["code"].as_str()), (413, Some("too_many_items")));
    for path in ["/api/v1/understand", "/model/parse", "/embed", "/rerank", "/predict", "/v1/embeddings"] {
        for bytes in [&b"{\"text\": \"\xff\xfe\"}"[..], b"{", b"", b"null", b"\xef\xbb\xbf{}"] {
            let request = service.http.post(format!("{}{path}", service.base)).bearer_auth(&service.token);
            let response = request.header("content-type", "application/json").body(bytes.to_vec()).send().await.unwrap();
            assert!(matches!(response.status().as_u16(), 400 | 422), "{path} {bytes:?} {}", response.status());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_answer_is_read_with_the_customers_turn_before_it() {
    let service = Service::start().await;
    let mut changed = 0;
    for answer in ["对", "昨天那件", "那个吧", "就这样"] {
        let turns = json!([
            {"role": "customer", "text": "我想申请退款，上周买的耳机坏了"},
            {"role": "agent", "text": "您是想退掉昨天买的那件吗？"},
            {"role": "customer", "text": answer},
        ]);
        let (status, read) = service.post("/api/v1/understand", json!({"turns": turns})).await;
        assert_eq!(status, 200, "{read}");
        let (_, alone) = service.post("/api/v1/understand", json!({"text": answer})).await;
        let sure = alone["intents"][0]["confidence"].as_f64().unwrap() >= 0.95 && alone["out_of_scope"]["flag"] == false;
        let best = |answer: &Value| answer["intents"][0]["name"].clone();
        assert!(!sure || best(&read[2]) == best(&alone), "what is clear alone stays as it is: {answer}");
        changed += usize::from(read[2]["intents"] != alone["intents"]);
        assert!(read[1]["intents"].as_array().unwrap().is_empty(), "intents are the customer's");
    }
    assert!(changed > 0, "no short answer was read with the turn before it");
}

//! The contract of a vector home, kept by every implementation.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::test_server::TestServer;
use super::*;
use crate::conversation::IdKind;
use crate::knowledge::QdrantConfig;
use crate::knowledge::document::stable_id;

fn point(name: &str, vector: [f32; 4], queue: &str, expires_at_s: i64, generation: u64) -> VectorPoint {
    VectorPoint {
        passage_id: stable_id(IdKind::Passage, &[name]),
        document_id: format!("doc_{name}"),
        vector: vector.to_vec(),
        queues: vec![queue.to_owned()],
        audience: vec!["*".to_owned()],
        language: "zh".to_owned(),
        kind: "article".to_owned(),
        category: String::new(),
        tags: vec!["t".to_owned()],
        effective_from_s: 0,
        expires_at_s,
        generation,
    }
}

fn names(index: &dyn VectorIndex, filter: &VectorFilter) -> Vec<String> {
    let hits = index.search(&[1.0, 0.1, 0.0, 0.0], 10, filter).unwrap();
    assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score), "best first");
    hits.into_iter().map(|hit| hit.passage_id).collect()
}

fn ids(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| stable_id(IdKind::Passage, &[name])).collect()
}

/// Upsert replaces, search ranks by cosine and filters, old generations go, wrong lengths are refused.
fn check_contract(index: &dyn VectorIndex) {
    let all = VectorFilter::default();
    index
        .upsert(&[
            point("a", [1.0, 0.0, 0.0, 0.0], "billing", i64::MAX, 1),
            point("b", [0.7, 0.7, 0.0, 0.0], "*", i64::MAX, 1),
            point("c", [0.0, 0.0, 1.0, 0.0], "card", 1000, 1),
        ])
        .unwrap();
    assert_eq!((names(index, &all), index.count().unwrap()), (ids(&["a", "b", "c"]), 3));

    let queues = VectorFilter { queues: vec!["card".into(), "*".into()], ..VectorFilter::default() };
    assert_eq!(names(index, &queues), ids(&["b", "c"]));
    let valid = VectorFilter { as_of_s: Some(1000), ..VectorFilter::default() };
    assert_eq!(names(index, &valid), ids(&["a", "b"]), "expires_at is not included");
    let english = VectorFilter { languages: vec!["en".into()], ..VectorFilter::default() };
    assert!(names(index, &english).is_empty());
    let tagged = VectorFilter { tags: vec!["t".into()], kinds: vec!["article".into()], ..VectorFilter::default() };
    assert_eq!(names(index, &tagged).len(), 3);

    index.upsert(&[point("a", [0.0, 0.0, 0.0, 1.0], "billing", i64::MAX, 2)]).unwrap();
    assert_eq!(index.count().unwrap(), 3, "the same passage is replaced");
    assert_eq!(names(index, &all)[0], ids(&["b"])[0]);

    index.delete_older(Some("doc_b"), 2).unwrap();
    assert_eq!(index.count().unwrap(), 2, "only that document");
    index.delete_older(None, 2).unwrap();
    index.settle().unwrap();
    assert_eq!(names(index, &all), ids(&["a"]));

    assert!(index.search(&[1.0, 0.0], 3, &all).is_err(), "wrong length");
    assert!(index.search(&[f32::NAN, 0.0, 0.0, 0.0], 3, &all).is_err(), "not a number");
}

#[test]
fn embedded_keeps_the_contract_and_its_points() {
    let dir = tempfile::tempdir().unwrap();
    let index = EmbeddedVectors::open(dir.path(), 4).unwrap();
    check_contract(&index);
    drop(index);
    let again = EmbeddedVectors::open(dir.path(), 4).unwrap();
    assert_eq!(again.count().unwrap(), 1);
    drop(again);
    assert!(EmbeddedVectors::open(dir.path(), 8).is_err(), "another dimension is refused");
}

fn server_config(server: &TestServer) -> QdrantConfig {
    QdrantConfig { url: server.url.clone(), collection: "test".to_owned(), timeout_ms: 500, batch: 2, ..QdrantConfig::default() }
}

#[test]
fn server_keeps_the_contract_over_grpc() {
    let server = TestServer::start(None);
    check_contract(&ServerVectors::connect(&server_config(&server), 4).unwrap());
    assert!(server.behaviour.requests.load(Ordering::SeqCst) > 20, "the requests went over the network");
}

#[test]
fn writes_are_repeated_while_the_server_is_unavailable() {
    let server = TestServer::start(None);
    let index = ServerVectors::connect(&server_config(&server), 4).unwrap();
    let points = [point("a", [1.0, 0.0, 0.0, 0.0], "*", i64::MAX, 1)];
    server.behaviour.failures.store(2, Ordering::SeqCst);
    index.upsert(&points).unwrap();
    assert_eq!(index.count().unwrap(), 1);
    server.behaviour.failures.store(100, Ordering::SeqCst);
    assert!(index.upsert(&points).unwrap_err().to_string().contains("unavailable"), "at last it is an error");
}

#[test]
fn the_api_key_travels_with_every_request() {
    let server = TestServer::start(Some("open sesame"));
    let config = |key: &str| QdrantConfig { api_key: Some(key.to_owned()), ..server_config(&server) };
    check_contract(&ServerVectors::connect(&config("open sesame"), 4).unwrap());
    let wrong = ServerVectors::connect(&config("guess"), 4).unwrap();
    let error = wrong.count().unwrap_err().to_string();
    assert!(error.contains("API key"), "{error}");
    assert!(!error.contains("guess") && !format!("{:?}", config("guess")).contains("guess"), "a key is never shown");
}

#[test]
fn a_slow_server_costs_its_limit_once_and_is_asked_again_later() {
    let server = TestServer::start(None);
    let index = ServerVectors::connect(&QdrantConfig { timeout_ms: 80, ..server_config(&server) }, 4).unwrap();
    index.upsert(&[point("a", [1.0, 0.0, 0.0, 0.0], "*", i64::MAX, 1)]).unwrap();
    server.behaviour.delay_ms.store(1_000, Ordering::SeqCst);
    let search = || {
        let started = Instant::now();
        (index.search(&[1.0, 0.0, 0.0, 0.0], 3, &VectorFilter::default()), started.elapsed())
    };
    let (answer, took) = search();
    assert!(answer.is_err() && took < Duration::from_millis(100), "{took:?}");
    let asked = server.behaviour.requests.load(Ordering::SeqCst);
    let (answer, took) = search();
    assert!(answer.is_err() && took < Duration::from_millis(5), "{took:?}");
    assert_eq!(server.behaviour.requests.load(Ordering::SeqCst), asked, "not asked while it is known to be slow");
}

#[test]
fn tls_is_asked_for_by_the_address_and_a_plain_server_is_refused() {
    let server = TestServer::start(None);
    let config = QdrantConfig { url: server.url.replace("http://", "https://"), timeout_ms: 20, ..server_config(&server) };
    let index = ServerVectors::connect(&config, 4).unwrap();
    assert!(index.search(&[1.0, 0.0, 0.0, 0.0], 3, &VectorFilter::default()).is_err());
    assert_eq!(server.behaviour.requests.load(Ordering::SeqCst), 0, "nothing was said in the clear");
}

#[test]
fn server_keeps_the_contract_if_one_is_named() {
    let Ok(url) = std::env::var("QDRANT_URL") else {
        eprintln!("skipped: QDRANT_URL is not set");
        return;
    };
    let config = QdrantConfig {
        url,
        api_key: std::env::var("QDRANT_API_KEY").ok(),
        collection: format!("zhiyin_test_{}", ulid::Ulid::new()),
        timeout_ms: 2000,
        batch: 2,
    };
    check_contract(&ServerVectors::connect(&config, 4).unwrap());
}

#[test]
fn a_server_that_is_down_fails_within_its_limit() {
    let config = QdrantConfig { url: "http://127.0.0.1:9".to_owned(), timeout_ms: 100, ..QdrantConfig::default() };
    let index = ServerVectors::connect(&config, 4).unwrap();
    for _ in 0..3 {
        let started = std::time::Instant::now();
        assert!(index.search(&[1.0, 0.0, 0.0, 0.0], 3, &VectorFilter::default()).is_err());
        assert!(started.elapsed().as_millis() < 300);
    }
}

#[test]
fn passage_ids_survive_the_way_through_128_bits() {
    let id = stable_id(IdKind::Passage, &["x"]);
    assert_eq!(passage_id_of(bits_of(&id).unwrap()), id);
    assert!(bits_of("doc_1").is_err());
}

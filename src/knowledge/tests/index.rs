use chrono::{DateTime, Utc};

use super::*;

fn index(config: KnowledgeConfig) -> (tempfile::TempDir, KnowledgeIndex) {
    let dir = tempfile::tempdir().unwrap();
    let index = KnowledgeIndex::open(dir.path(), config).unwrap();
    (dir, index)
}

fn sample() -> Vec<Document> {
    vec![
        document("退款到账时间", "退款一至三个工作日原路退回。信用卡要七天。"),
        document("宽带断网报修", "请重启光猫，等待十秒。师傅二十四小时内上门。"),
        document("Internet outage", "Restart the router and wait ten seconds."),
    ]
}

#[test]
fn documents_come_change_and_go() {
    let (_dir, index) = index(lexical_config());
    assert_eq!(index.needs_rebuild(), Some(RebuildReason::New));
    let first = index.replace_all(&sample(), None).unwrap();
    assert_eq!((first.documents, first.passages, index.needs_rebuild()), (3, 3, None));
    let request = SearchRequest::new("退款多久到账");
    assert_eq!(titles(&index.search(&request, None).unwrap())[0], "退款到账时间");

    let mut changed = sample()[0].clone();
    (changed.version, changed.content.title) = (2, "退款新规".into());
    let second = index.upsert(&changed, None).unwrap();
    assert!(second.index_version > first.index_version);
    let answer = index.search(&request, None).unwrap();
    assert_eq!((answer.passages[0].title.as_str(), answer.passages[0].version, index.passage_count()), ("退款新规", 2, 3));
    assert_eq!(answer.index_version, second.index_version);
    assert_eq!(index.passage(&answer.passages[0].passage_id).unwrap().unwrap().title, "退款新规");

    index.remove(&changed.document_id).unwrap();
    assert!(!titles(&index.search(&request, None).unwrap()).contains(&"退款新规"));
    let twice = [sample()[0].clone(), changed];
    assert_eq!(index.replace_all(&twice, None).unwrap().documents, 1, "of two with one id the last");
}

#[test]
fn answers_carry_highlights_citation_and_explanation() {
    let (_dir, index) = index(lexical_config());
    index.replace_all(&sample(), None).unwrap();
    let request = SearchRequest { explain: true, ..SearchRequest::new("信用卡退款几天") };
    let hit = index.search(&request, None).unwrap().passages.remove(0);
    let text: Vec<char> = hit.text.chars().collect();
    let cut = |span: Highlight| text[span.start..span.end].iter().collect::<String>();
    assert!(hit.highlights.iter().any(|span| cut(*span).contains("信用卡")), "{:?}", hit.highlights);
    assert_eq!(cut(hit.citation), "信用卡要七天。");
    assert!(hit.score > 0.3 && hit.score <= 1.0 && hit.parts.lexical == Some(hit.score) && hit.parts.dense.is_none());
    let explain = hit.explain.unwrap();
    assert!(explain.terms.iter().any(|term| term.term == "信用卡" && term.matched && term.idf > 0.0));
    assert_eq!(explain.lexical_rank, Some(1));
}

#[test]
fn filters_and_validity_hold_for_words_and_vectors() {
    let (_dir, index) = index(KnowledgeConfig { tail_below: 0.0, ..hybrid_config() });
    let at = |second| DateTime::<Utc>::from_timestamp(second, 0);
    let mut documents = sample();
    documents[0].content.queues = vec!["aftersales".into()];
    documents[0].content.tags = vec!["退款".into()];
    documents[1].content.audience = vec!["agent".into()];
    documents[1].content.effective_from = at(1000);
    documents[1].content.expires_at = at(2000);
    index.replace_all(&documents, Some(&embed)).unwrap();
    let query = "退款 宽带 router";
    let vector = vector_of(query);
    let found = |request: &SearchRequest| {
        let mut found: Vec<String> = Vec::new();
        for mode in [SearchMode::Lexical, SearchMode::Dense, SearchMode::Hybrid] {
            let response = index.search(&SearchRequest { mode, ..request.clone() }, Some(&vector)).unwrap();
            let mut names: Vec<String> = titles(&response).into_iter().map(str::to_owned).collect();
            names.sort();
            assert!(found.is_empty() || found == names, "{mode:?}: {found:?} {names:?}");
            found = names;
        }
        found
    };
    let base = SearchRequest { as_of: at(1500), ..SearchRequest::new(query) };
    assert_eq!(found(&base).len(), 3);
    let filtered = |filters: Filters| found(&SearchRequest { filters, ..base.clone() });
    assert_eq!(filtered(Filters { queues: vec!["network".into()], ..Filters::default() }), ["Internet outage", "宽带断网报修"]);
    assert_eq!(
        filtered(Filters { audience: vec!["customer".into()], ..Filters::default() }),
        ["Internet outage", "退款到账时间"]
    );
    let customer = |queue: Option<&str>| Filters::for_audience(CUSTOMERS, queue.map(str::to_owned)).of_open_queues();
    assert_eq!(filtered(customer(None)), ["Internet outage"], "neither what is for agents nor what is for one queue");
    assert_eq!(filtered(customer(Some("aftersales"))), ["Internet outage", "退款到账时间"]);
    assert_eq!(filtered(Filters::for_audience(AGENTS, None)).len(), 3);
    assert_eq!(filtered(Filters { tags: vec!["退款".into()], ..Filters::default() }), ["退款到账时间"]);
    assert_eq!(found(&SearchRequest { languages: vec![Language::En], ..base.clone() }), ["Internet outage"]);
    for second in [999, 2000] {
        assert_eq!(found(&SearchRequest { as_of: at(second), ..base.clone() }), ["Internet outage", "退款到账时间"], "{second}");
    }
    assert_eq!(found(&SearchRequest::new(query)).len(), 2, "expired today");
}

#[test]
fn phrases_and_negation_work_in_chinese() {
    let (_dir, index) = index(hybrid_config());
    let documents = [document("甲", "退款到账要三天"), document("乙", "到账以后再退款"), document("丙", "退款要审核")];
    index.replace_all(&documents, Some(&embed)).unwrap();
    let found = |query: &str| {
        let mut names: Vec<String> = index
            .search(&SearchRequest::new(query), Some(&vector_of(query)))
            .unwrap()
            .passages
            .into_iter()
            .map(|hit| hit.title)
            .collect();
        names.sort();
        names
    };
    assert_eq!(found("退款").len(), 3);
    assert_eq!(found("\"退款到账\""), ["甲"]);
    assert_eq!(found("“款到”"), ["甲"], "a phrase needs no word boundary");
    assert_eq!(found("退款 -到账"), ["丙"]);
    assert_eq!(found("退款 -\"再退款\"").len(), 2);
    assert!(found("\"退款审核\"").is_empty());
}

#[test]
fn the_index_knows_whether_it_holds_exactly_some_documents() {
    let (_dir, index) = index(lexical_config());
    let (a, b) = (document("甲", "退款到账要三天"), document("乙", "到账以后再退款"));
    index.replace_all(&[a.clone(), b.clone()], None).unwrap();
    let holds = |documents: &[Document]| index.holds_exactly(documents).unwrap();
    assert!(holds(&[a.clone(), b.clone()]));
    assert!(!holds(std::slice::from_ref(&a)), "one too many");
    assert!(!holds(&[a.clone(), b.clone(), document("丙", "退款要审核")]), "one is missing");
    assert!(!holds(&[a.clone(), Document { version: 2, ..b.clone() }]), "an older version");
    index.remove(&b.document_id).unwrap();
    assert!(holds(&[a]));
}

#[test]
fn the_words_of_a_conversation_hold_no_operators() {
    let (_dir, index) = index(hybrid_config());
    index.replace_all(&[document("甲", "订单退款要三天")], Some(&embed)).unwrap();
    for said in ["页面提示“该订单暂不支持退款”怎么办", "订单 -退款 怎么办"] {
        let found = |spoken| {
            let request = SearchRequest { spoken, ..SearchRequest::new(said) };
            !index.search(&request, Some(&vector_of(said))).unwrap().passages.is_empty()
        };
        assert!(found(true) && !found(false), "{said}");
    }
}

#[test]
fn without_vectors_the_words_answer_and_say_so() {
    let (_dir, index) = index(hybrid_config());
    index.replace_all(&sample(), Some(&embed)).unwrap();
    assert_eq!(index.vector_count().unwrap(), Some(3));
    let request = SearchRequest::new("退款到账");
    let hybrid = index.search(&request, Some(&vector_of("退款到账"))).unwrap();
    assert!(hybrid.degraded.is_empty() && hybrid.passages[0].parts.dense.is_some());
    for vector in [None, Some([1.0_f32, 2.0].as_slice())] {
        let alone = index.search(&request, vector).unwrap();
        assert_eq!((alone.degraded.as_slice(), titles(&alone)[0]), (["dense".to_owned()].as_slice(), "退款到账时间"));
    }
    let failing = |_: &[&str]| Err("no model".into());
    let report = index.replace_all(&sample(), Some(&failing)).unwrap();
    assert_eq!((report.degraded.as_slice(), index.vector_count().unwrap()), (["dense".to_owned()].as_slice(), Some(0)));
    assert_eq!(titles(&index.search(&request, None).unwrap())[0], "退款到账时间");
}

#[test]
fn a_server_that_is_down_degrades_within_the_limit() {
    let server = QdrantConfig { url: "http://127.0.0.1:9".into(), timeout_ms: 100, ..QdrantConfig::default() };
    let (_dir, index) = index(KnowledgeConfig { vector: VectorBackend::Server(server), ..hybrid_config() });
    assert_eq!(index.replace_all(&sample(), Some(&embed)).unwrap().degraded, ["dense"]);
    let started = std::time::Instant::now();
    let answer = index.search(&SearchRequest::new("退款到账"), Some(&vector_of("退款"))).unwrap();
    assert_eq!((answer.degraded.as_slice(), titles(&answer)[0]), (["dense".to_owned()].as_slice(), "退款到账时间"));
    assert!(started.elapsed().as_millis() < 300);
}

#[test]
fn an_index_reopens_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let first = KnowledgeIndex::open(dir.path(), hybrid_config()).unwrap();
    let version = first.replace_all(&sample(), Some(&embed)).unwrap().index_version;
    drop(first);
    let again = KnowledgeIndex::open(dir.path(), hybrid_config()).unwrap();
    assert_eq!((again.needs_rebuild(), again.index_version(), again.passage_count()), (None, version, 3));
    assert_eq!(again.vector_count().unwrap(), Some(3));
}

#[test]
fn torn_and_foreign_directories_are_rebuilt() {
    let damage: [(&str, fn(&std::path::Path)); 6] = [
        ("truncated segment", |dir| {
            let store = std::fs::read_dir(dir.join("text")).unwrap().map(|entry| entry.unwrap().path());
            let store = store.into_iter().find(|path| path.extension().is_some_and(|e| e == "store")).unwrap();
            std::fs::write(store, b"torn").unwrap();
        }),
        ("meta gone", |dir| std::fs::remove_file(dir.join("text/meta.json")).unwrap()),
        ("meta garbage", |dir| std::fs::write(dir.join("text/meta.json"), b"{").unwrap()),
        ("vectors garbage", |dir| {
            for entry in std::fs::read_dir(dir.join("vectors/segments")).unwrap() {
                std::fs::write(entry.unwrap().path().join("segment.json"), b"garbage").unwrap();
            }
        }),
        ("format garbage", |dir| std::fs::write(dir.join("format.json"), b"?").unwrap()),
        ("other schema", |dir| {
            std::fs::write(dir.join("format.json"), br#"{"schema":99,"dimension":64,"embedding_model":""}"#).unwrap();
        }),
    ];
    for (name, break_it) in damage {
        let dir = tempfile::tempdir().unwrap();
        KnowledgeIndex::open(dir.path(), hybrid_config()).unwrap().replace_all(&sample(), Some(&embed)).unwrap();
        break_it(dir.path());
        let index = KnowledgeIndex::open(dir.path(), hybrid_config()).unwrap();
        match index.needs_rebuild() {
            Some(RebuildReason::Torn { .. } | RebuildReason::OtherSchema { found: 99 }) => {}
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(index.passage_count(), 0, "{name}");
        index.replace_all(&sample(), Some(&embed)).unwrap();
        assert_eq!((index.needs_rebuild(), index.passage_count(), index.vector_count().unwrap()), (None, 3, Some(3)), "{name}");
    }
    let dir = tempfile::tempdir().unwrap();
    KnowledgeIndex::open(dir.path(), hybrid_config()).unwrap().replace_all(&sample(), Some(&embed)).unwrap();
    let other = KnowledgeConfig { embedding_model: "another".into(), ..hybrid_config() };
    assert!(matches!(KnowledgeIndex::open(dir.path(), other).unwrap().needs_rebuild(), Some(RebuildReason::OtherModel { .. })));
}

#[test]
fn readers_never_see_a_gap_while_all_is_replaced() {
    let (_dir, index) = index(hybrid_config());
    index.replace_all(&sample(), Some(&embed)).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut searches = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let answer = index.search(&SearchRequest::new("退款到账"), Some(&vector_of("退款到账"))).unwrap();
                assert_eq!(titles(&answer)[0], "退款到账时间");
                searches += 1;
            }
            searches
        });
        for _ in 0..4 {
            index.replace_all(&sample(), Some(&embed)).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
    assert_eq!((index.passage_count(), index.vector_count().unwrap()), (3, Some(3)));
}

#[test]
fn searches_that_make_no_sense_are_refused() {
    let (_dir, index) = index(lexical_config());
    for request in [
        SearchRequest::new("  "),
        SearchRequest { top_k: 0, ..SearchRequest::new("x") },
        SearchRequest { top_k: 201, ..SearchRequest::new("x") },
        SearchRequest::new("长".repeat(2001)),
    ] {
        assert!(matches!(index.search(&request, None), Err(KnowledgeError::InvalidSearch { .. })));
    }
    assert!(serde_json::from_str::<SearchRequest>(r#"{"query":"x","topk":3}"#).is_err());
    for odd in ["\"", "-", "- -", "。。。", "的", "\u{0}", "“”", "-\"", "a\u{301}"] {
        assert!(index.search(&SearchRequest::new(odd), None).unwrap().passages.is_empty(), "{odd}");
    }
}

#[test]
fn rankings_are_fused_as_documented() {
    use super::super::fusion::fuse;
    let (lexical, dense) = ([(1, 0.9), (2, 0.5)], [(2, 0.8), (3, 0.7)]);
    let order = |fusion| {
        fuse(fusion, Some(&lexical), Some(&dense)).into_iter().map(|(key, f)| (key, f.parts.fused.unwrap())).collect::<Vec<_>>()
    };
    let weighted = order(Fusion::Weighted { lexical: 1.0, dense: 1.0 });
    assert_eq!(weighted.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [2, 1, 3]);
    assert!((weighted[0].1 - 0.65).abs() < 1e-6 && (weighted[1].1 - 0.45).abs() < 1e-6);
    let rrf = order(Fusion::Rrf { k: 60.0 });
    assert!(rrf[0].0 == 2 && (rrf[0].1 - (1.0 / 62.0 + 1.0 / 61.0) * 61.0 / 2.0).abs() < 1e-6);
    assert_eq!(
        fuse(Fusion::Rrf { k: 60.0 }, Some(&lexical), None)[0].1.parts.fused,
        Some(0.9),
        "one part alone keeps its scores"
    );
}

#[test]
fn search_goes_on_by_words_when_the_vector_server_is_slow_or_gone_and_says_so() {
    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};

    let server = crate::knowledge::vector::test_server::TestServer::start(None);
    let backend = QdrantConfig { url: server.url.clone(), timeout_ms: 80, ..QdrantConfig::default() };
    let config = KnowledgeConfig { vector: VectorBackend::Server(backend), ..hybrid_config() };
    let dir = tempfile::tempdir().unwrap();
    let index = KnowledgeIndex::open(dir.path(), config).unwrap();
    let report = index.replace_all(&[document("退款多久到账", "一至三个工作日原路退回。")], Some(&embed)).unwrap();
    assert!(report.degraded.is_empty());
    let vector = vector_of("退款到账");
    let search = || {
        let started = Instant::now();
        let answer = index.search(&SearchRequest::new("退款到账"), Some(&vector)).unwrap();
        (answer, started.elapsed())
    };
    assert!(search().0.degraded.is_empty() && search().0.passages[0].parts.dense.is_some());
    server.behaviour.delay_ms.store(2_000, Ordering::SeqCst);
    let (answer, took) = search();
    assert!(took < Duration::from_millis(100), "{took:?}");
    assert_eq!((answer.degraded, answer.passages.len()), (vec!["dense".to_owned()], 1));
    drop(server);
    let (answer, took) = search();
    assert!(took < Duration::from_millis(100), "{took:?}");
    assert_eq!((answer.degraded, answer.passages[0].title.as_str()), (vec!["dense".to_owned()], "退款多久到账"));
}

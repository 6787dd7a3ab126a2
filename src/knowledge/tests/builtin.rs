//! Does the right article come first? The built-in articles, words alone.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use super::*;

struct Builtin {
    _dir: tempfile::TempDir,
    index: KnowledgeIndex,
}

fn knowledge_dir() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/knowledge")
}

static BUILTIN: LazyLock<Builtin> = LazyLock::new(|| {
    let imported = import_dir(&knowledge_dir()).unwrap();
    assert!(imported.rejected.is_empty(), "{:?}", imported.rejected);
    let documents: Vec<Document> = imported
        .documents
        .into_iter()
        .map(|document| Document { document_id: document.document_id.unwrap(), version: 1, content: document.content })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let config = KnowledgeConfig { synonyms: Some(knowledge_dir().join("synonyms.toml")), ..lexical_config() };
    let index = KnowledgeIndex::open(dir.path(), config).unwrap();
    index.replace_all(&documents, None).unwrap();
    Builtin { _dir: dir, index }
});

fn search(query: &str) -> Vec<PassageHit> {
    BUILTIN.index.search(&SearchRequest { mode: SearchMode::Lexical, ..SearchRequest::new(query) }, None).unwrap().passages
}

fn check_first(cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (query, id) in cases {
        let hits = search(query);
        if hits.first().map(|hit| hit.document_id.clone()) != Some(document_id_of(id)) {
            let got: Vec<String> = hits.iter().take(3).map(|hit| format!("{} {:.2}", hit.title, hit.score)).collect();
            wrong.push(format!("{query} -> {got:?}, not {id}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn there_are_enough_articles_and_each_is_whole() {
    let documents = import_dir(&knowledge_dir()).unwrap().documents;
    for language in [Language::Zh, Language::En] {
        assert!(documents.iter().filter(|document| document.content.language == language).count() >= 26);
    }
    for document in &documents {
        let content = &document.content;
        assert!(
            (4..=16).contains(&content.questions.len()) && content.category.is_some() && content.body.contains("## "),
            "{}",
            content.title
        );
    }
    let ids: BTreeSet<_> = documents.iter().map(|document| document.document_id.clone()).collect();
    assert_eq!(ids.len(), documents.len());
}

#[test]
fn chinese_questions_find_their_article() {
    check_first(&[
        ("那钱什么时候到账", "zh-refund-delay"),
        ("都五天了退款的钱还没到", "zh-refund-delay"),
        ("到账了会通知我吗", "zh-refund-delay"),
        ("我这个月的话费多了六十块", "zh-bill-dispute"),
        ("是一个视频会员，我没有开通过为什么要扣我的钱", "zh-bill-dispute"),
        ("这是乱收费，把钱退给我", "zh-bill-dispute"),
        ("我要投诉你，叫你们经理来", "zh-complaint"),
        ("我的银行卡丢了怎么办", "zh-card-loss"),
        ("那我怎么办新卡", "zh-card-apply"),
        ("收货地址写错了能不能改一下", "zh-address-change"),
        ("家里断网了光猫一直闪红灯", "zh-broadband-fault"),
        ("下周出国手机怎么上网", "zh-roaming"),
        ("想提前把房贷还掉一部分", "zh-loan-repay"),
        ("刚买完就降价了能退差价不", "zh-price-protection"),
        ("我转账转错账户了", "zh-transfer-failed"),
        ("保险犹豫期几天可以全额退", "zh-policy-surrender"),
    ]);
}

#[test]
fn recognition_errors_do_not_hide_the_article() {
    check_first(&[
        ("我的退宽怎么还没到帐", "zh-refund-delay"),
        ("银行卡丢了要瓜失", "zh-card-loss"),
        ("牛量用完了想买加油包", "zh-data-package"),
        ("花票抬头开错了", "zh-invoice"),
        ("手机没有新号", "zh-no-signal"),
        ("携号赚网要什么条件", "zh-number-port"),
        ("申请里赔要什么材料", "zh-insurance-claim"),
    ]);
}

#[test]
fn english_questions_find_their_article() {
    check_first(&[
        ("I want to change the address of my order", "en-change-address"),
        ("my internet has been down since last night and there is a red light", "en-internet-down"),
        ("what time will the technician come", "en-internet-down"),
        ("I am still waiting for my refund it has been three weeks", "en-refund-late"),
        ("I want to speak to your supervisor right now", "en-complaint-supervisor"),
        ("someone stole my credit card please block it", "en-lost-card"),
        ("why is there a charge on my bill I never ordered", "en-unknown-charge"),
        ("my item arived brokn", "en-damaged-item"),
        ("how much is roming abroad", "en-roaming-abroad"),
        ("waive the late fee", "en-late-fee"),
        ("keep my number when I switch provider", "en-port-number"),
        ("payed off my lone early is there a penalty", "en-loan-early"),
    ]);
}

#[test]
fn unrelated_questions_share_little() {
    let queries = [
        "退款多久到账",
        "宽带断网报修",
        "银行卡挂失",
        "出国漫游资费",
        "保险犹豫期退保",
        "发票抬头修改",
        "携号转网条件",
        "房贷提前还款",
        "投诉要找主管",
        "快递三天没更新",
    ];
    let results: Vec<BTreeSet<String>> =
        queries.iter().map(|query| search(query).into_iter().take(8).map(|hit| hit.title).collect()).collect();
    let mut pairs = Vec::new();
    for (first, a) in results.iter().enumerate() {
        for (second, b) in results.iter().enumerate().skip(first + 1) {
            let shared: Vec<&String> = a.intersection(b).collect();
            if shared.len() > 1 {
                pairs.push(format!("{} and {} share {shared:?}", queries[first], queries[second]));
            }
        }
    }
    assert!(pairs.is_empty(), "{pairs:?}");
}

#[test]
fn evidence_tells_answers_from_noise() {
    let sure: Vec<f32> = ["退款多久到账", "怎么挂失银行卡", "how do I change my delivery address", "国际漫游怎么开通"]
        .iter()
        .map(|query| search(query)[0].score)
        .collect();
    let noise: Vec<f32> = ["今天天气真好啊", "你吃饭了没有", "my cat likes fish", "给我讲个笑话", "没有了，谢谢你", "好的，再见"]
        .iter()
        .map(|query| search(query).first().map_or(0.0, |hit| hit.score))
        .collect();
    let (least, most) = (sure.iter().copied().fold(1.0, f32::min), noise.iter().copied().fold(0.0, f32::max));
    assert!(least > most + 0.1, "{sure:?} {noise:?}");
}

#[test]
fn every_listed_question_finds_its_article() {
    let documents = import_dir(&knowledge_dir()).unwrap().documents;
    let (mut total, mut first) = (0, 0);
    for document in &documents {
        for question in &document.content.questions {
            total += 1;
            first +=
                usize::from(search(question).first().is_some_and(|hit| Some(&hit.document_id) == document.document_id.as_ref()));
        }
    }
    assert!(first * 100 >= total * 95, "{first} of {total}");
}

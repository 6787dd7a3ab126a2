use super::*;
use crate::conversation::{CallId, Role};
use crate::event::{Call, Draft, EventBody, NewCall, now_rfc3339};

async fn open(folder: &std::path::Path) -> Store {
    Store::open(&StoreConfig::new(folder)).await.unwrap()
}

fn speech(at_ms: i64) -> Draft {
    Draft::new(at_ms, EventBody::SpeechStarted { channel_index: 0, role: Role::Customer, start_ms: at_ms })
}

fn call(external_id: Option<&str>) -> Call {
    let request = NewCall { external_id: external_id.map(str::to_owned), ..NewCall::default() };
    Call::open(request, CallId::new(), &now_rfc3339())
}

#[tokio::test]
async fn numbers_go_on_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let id = CallId::new();
    let store = open(folder.path()).await;
    let log = EventLog::new(store.clone());
    log.append_with(&id, vec![speech(1), speech(2)], vec![]).await.unwrap();
    drop(log);
    store.close().await;
    let log = EventLog::new(open(folder.path()).await);
    let events = log.append_with(&id, vec![speech(3)], vec![]).await.unwrap();
    assert_eq!(events[0].seq, 3);
    let all = log.store().events(id.as_str(), 1, 100).await.unwrap();
    assert_eq!(all.iter().map(|e| e.at_ms).collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test]
async fn a_subscriber_gets_every_durable_event_once_whenever_it_joins() {
    let folder = tempfile::tempdir().unwrap();
    let log = EventLog::new(open(folder.path()).await);
    let id = CallId::new();
    let writer = {
        let (log, id) = (log.clone(), id.clone());
        tokio::spawn(async move {
            for at in 0..200 {
                log.append_with(&id, vec![speech(at)], vec![]).await.unwrap();
            }
        })
    };
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let mut subscription = log.subscribe(&id, 1).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 200 {
        match subscription.next().await.unwrap() {
            SubscriptionItem::Event(event) => seen.push(event.seq),
            SubscriptionItem::TooSlow { .. } => panic!("too slow"),
        }
    }
    writer.await.unwrap();
    assert_eq!(seen, (1..=200).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_failed_write_of_one_does_not_harm_the_others_of_its_group() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    store.write(vec![Write::Call(Box::new(call(Some("x"))))]).await.unwrap();
    let good = call(Some("y"));
    let (bad, fine) = tokio::join!(
        store.write(vec![Write::Call(Box::new(call(Some("x"))))]),
        store.write(vec![Write::Call(Box::new(good.clone()))]),
    );
    assert!(matches!(bad, Err(StoreError::Exists { .. })), "{bad:?}");
    fine.unwrap();
    assert_eq!(store.call(good.call_id.as_str()).await.unwrap().unwrap(), good);
}

#[tokio::test]
async fn the_audit_trail_cannot_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let entry = AuditEntry {
        time: now_rfc3339(),
        actor: "tok_a".into(),
        action: "token.create".into(),
        object: "tok_b".into(),
        detail: String::new(),
    };
    store.write(vec![Write::Audit(entry.clone())]).await.unwrap();
    assert_eq!(store.audit(10).await.unwrap(), [entry]);
    assert!(sqlx::query("DELETE FROM audit").execute(&store.readers).await.is_err());
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path()).await;
    let second = Store::open(&StoreConfig::new(folder.path())).await;
    assert!(matches!(second, Err(StoreError::InUse { .. })));
}

#[tokio::test]
async fn pages_are_stable_and_respect_row_filters() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    for n in 0..5 {
        let mut one = call(None);
        one.queue = Some(if n % 2 == 0 { "billing" } else { "card" }.into());
        one.created_at = format!("2026-01-01T00:00:0{n}.000Z");
        store.write(vec![Write::Call(Box::new(one))]).await.unwrap();
    }
    let rows = crate::access::RowFilter { queues: vec!["billing".into()], ..Default::default() };
    let first = store.list_calls(&CallFilter { rows: rows.clone(), limit: Some(2), ..Default::default() }).await.unwrap();
    assert_eq!((first.items.len(), first.more), (2, true));
    let last = first.items.last().unwrap();
    let after = Some((last.created_at.clone(), last.call_id.to_string()));
    let rest = store.list_calls(&CallFilter { rows, after, ..Default::default() }).await.unwrap();
    assert_eq!((rest.items.len(), rest.more), (1, false));
}

#[tokio::test]
async fn gaps_usage_and_searches_are_kept_once_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreConfig::new(folder.path())).await.unwrap();
    let gap = GapRow { gap_id: "gap_1".into(), time: "2026-03-01T10:00:00Z".into(), question: "q".into(), ..GapRow::default() };
    store.record_gap(gap.clone()).await.unwrap();
    store.record_gap(gap.clone()).await.unwrap();
    assert_eq!(store.gaps("2026-03-01T00:00:00Z", 10).await.unwrap(), vec![gap]);
    assert!(store.gaps("2026-03-02T00:00:00Z", 10).await.unwrap().is_empty());
    let used = UsageRow {
        day: "2026-03-01".into(),
        document_id: "doc_1".into(),
        action: "used".into(),
        count: 2,
        ..UsageRow::default()
    };
    let write = |row: &UsageRow| Write::Knowledge(KnowledgeWrite::Usage(row.clone()));
    store.write(vec![write(&used), write(&used)]).await.unwrap();
    assert_eq!(store.usage("2026-03-01").await.unwrap(), vec![UsageRow { count: 4, ..used }]);
    store.write(vec![Write::Knowledge(KnowledgeWrite::Forget { before: "2026-04-01T00:00:00Z".into() })]).await.unwrap();
    assert!(store.usage("2026-01-01").await.unwrap().is_empty() && store.gaps("", 10).await.unwrap().is_empty());
}

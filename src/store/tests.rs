use futures::FutureExt;

use super::*;
use crate::access::RowFilter;
use crate::conversation::{CallId, Role, UtteranceId};
use crate::event::{
    AlertLevel, AlertRaised, Call, CallState, Draft, EventBody, EventSink, NewCall, ResolveReason, TranscriptPartial, now_rfc3339,
};

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

/// A log with a started call of a queue.
async fn started(folder: &std::path::Path, queue: &str) -> (EventLog, Call) {
    let log = EventLog::new(open(folder).await);
    let call = Call { queue: Some(queue.into()), ..call(None) };
    let body = EventBody::CallStarted { call: Box::new(call.clone()) };
    log.append_with(&call.call_id, vec![Draft::new(0, body)], vec![]).await.unwrap();
    (log, call)
}

fn completed(call: &Call) -> Draft {
    Draft::new(9, EventBody::CallCompleted { call: Box::new(Call { state: CallState::Completed, ..call.clone() }) })
}

fn alert(alert_id: &str) -> Draft {
    let body = AlertRaised {
        alert_id: alert_id.into(),
        rule_id: "r".into(),
        rule_version: 1,
        level: AlertLevel::Warning,
        title: "r".into(),
        evidence: vec![],
        dedup_key: alert_id.into(),
        suggested_action: None,
    };
    Draft::new(1, EventBody::AlertRaised(body))
}

fn partial(utterance_id: &UtteranceId, rev: u32, text: &str) -> Draft {
    let body = TranscriptPartial {
        utterance_id: utterance_id.clone(),
        rev,
        channel_index: 0,
        role: Role::Customer,
        start_ms: 0,
        end_ms: 500,
        text: text.into(),
        stable_chars: 0,
        language: "en".into(),
    };
    Draft::new(500, EventBody::TranscriptPartial(body))
}

#[tokio::test]
async fn a_finished_call_leaves_nothing_in_memory_and_its_last_event_reaches_who_listens() {
    let folder = tempfile::tempdir().unwrap();
    let (log, call) = started(folder.path(), "billing").await;
    let mut listening = log.subscribe(&call.call_id, 2).await.unwrap();
    assert_eq!(log.held(), 1);
    log.append_with(&call.call_id, vec![completed(&call)], vec![]).await.unwrap();
    assert_eq!(log.held(), 0);
    match listening.next().await.unwrap() {
        SubscriptionItem::Event(event) => assert!(event.body.is_last()),
        SubscriptionItem::TooSlow { .. } => panic!("too slow"),
    }
    assert!(listening.next().now_or_never().is_none(), "the channel stays open");
    // A late reader and a late writer leave nothing either.
    let mut late = log.subscribe(&call.call_id, 1).await.unwrap();
    assert_eq!(log.held(), 0);
    assert!(matches!(late.next().await, Some(SubscriptionItem::Event(event)) if event.seq == 1));
    let events = log.append_with(&call.call_id, vec![speech(10)], vec![]).await.unwrap();
    assert_eq!((events[0].seq, log.held()), (3, 0));
    // Nor does a call that cannot be opened.
    let named = self::call(Some("x"));
    let opening = |call: &Call| vec![Draft::new(0, EventBody::CallStarted { call: Box::new(call.clone()) })];
    log.append_with(&named.call_id, opening(&named), vec![]).await.unwrap();
    let second = self::call(Some("x"));
    let refused = log.append_with(&second.call_id, opening(&second), vec![]).await;
    assert!(matches!(refused, Err(StoreError::Exists { .. })) && log.held() == 1, "{refused:?}");
}

#[tokio::test]
async fn callers_that_go_away_halfway_leave_no_number_to_be_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (log, call) = started(folder.path(), "billing").await;
    for at in 2..6 {
        // Given up at its first wait, as a handler is whose client closes the connection.
        drop(log.append_with(&call.call_id, vec![speech(at)], vec![]).now_or_never());
    }
    log.append_with(&call.call_id, vec![speech(6)], vec![]).await.unwrap();
    let kept = log.store().events(call.call_id.as_str(), 1, 100).await.unwrap();
    assert_eq!(kept.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn an_utterance_that_was_none_is_not_shown_to_who_comes_later() {
    let folder = tempfile::tempdir().unwrap();
    let (log, call) = started(folder.path(), "billing").await;
    let (spoken, noise) = (UtteranceId::new(), UtteranceId::new());
    for draft in [partial(&spoken, 1, "where is"), partial(&noise, 1, "thank"), partial(&noise, 2, "")] {
        log.show(&call.call_id, draft);
    }
    let mut later = log.subscribe(&call.call_id, 2).await.unwrap();
    match later.next().await.unwrap() {
        SubscriptionItem::Event(event) => {
            assert!(matches!(&event.body, EventBody::TranscriptPartial(p) if p.utterance_id == spoken));
        }
        SubscriptionItem::TooSlow { .. } => panic!("too slow"),
    }
    assert!(later.next().now_or_never().is_none());
}

#[tokio::test]
async fn an_alert_that_its_rule_takes_back_is_open_no_longer() {
    let folder = tempfile::tempdir().unwrap();
    let (log, call) = started(folder.path(), "billing").await;
    let over = |reason| EventBody::AlertResolved { alert_id: "alr_1".into(), reason, by: None, note: None };
    let seen = EventBody::AlertAcknowledged { alert_id: "alr_1".into(), by: "tok_a".into(), note: None };
    let state = || async { log.store().alert("alr_1").await.unwrap().unwrap().state };
    log.append_with(&call.call_id, vec![alert("alr_1"), alert("alr_2")], vec![]).await.unwrap();
    log.append_with(&call.call_id, vec![Draft::new(2, seen.clone())], vec![]).await.unwrap();
    assert_eq!(state().await, "acknowledged");
    log.append_with(&call.call_id, vec![Draft::new(3, over(ResolveReason::Retracted))], vec![]).await.unwrap();
    assert_eq!(state().await, "resolved");
    log.append_with(&call.call_id, vec![Draft::new(4, seen)], vec![]).await.unwrap();
    assert_eq!(state().await, "resolved", "who sees it late does not open it again");
    let open = log.store().alerts(Some("open"), None, &RowFilter::default(), 10).await.unwrap();
    assert_eq!(open.iter().map(|a| a.alert_id.as_str()).collect::<Vec<_>>(), ["alr_2"]);
}

#[tokio::test]
async fn a_limit_counts_only_what_the_reader_sees() {
    let folder = tempfile::tempdir().unwrap();
    let (log, billing) = started(folder.path(), "billing").await;
    log.append_with(&billing.call_id, vec![alert("alr_old")], vec![]).await.unwrap();
    let card = Call { queue: Some("card".into()), ..call(None) };
    let body = EventBody::CallStarted { call: Box::new(card.clone()) };
    let newer = (0..3).map(|n| alert(&format!("alr_{n}")));
    let drafts = [Draft::new(0, body)].into_iter().chain(newer).collect();
    log.append_with(&card.call_id, drafts, vec![]).await.unwrap();
    let store = log.store();
    let score = |score_id: &str, call_id: &str, queue: &str, created_at: &str| ScoreRow {
        score_id: score_id.into(),
        call_id: call_id.into(),
        scheme_id: "s".into(),
        clock: "post".into(),
        total: Some(90.0),
        agent_id: Some("a1".into()),
        queue: Some(queue.into()),
        created_at: created_at.into(),
        body: "{}".into(),
    };
    let scores = [
        score("scr_1", billing.call_id.as_str(), "billing", "2026-01-01T00:00:00.000Z"),
        score("scr_2", "imported", "billing", "2026-01-02T00:00:00.000Z"),
        score("scr_3", card.call_id.as_str(), "card", "2026-01-03T00:00:00.000Z"),
    ];
    store.write(scores.into_iter().map(Write::Score).collect()).await.unwrap();
    let rows = RowFilter { queues: vec!["billing".into()], ..RowFilter::default() };
    let alerts = store.alerts(Some("open"), Some("warning"), &rows, 1).await.unwrap();
    assert_eq!(alerts.iter().map(|a| a.alert_id.as_str()).collect::<Vec<_>>(), ["alr_old"]);
    let ids = |list: Vec<ScoreRow>| list.into_iter().map(|s| s.score_id).collect::<Vec<_>>();
    assert_eq!(ids(store.scores_seen(&rows, None, 1).await.unwrap()), ["scr_2"]);
    assert_eq!(ids(store.scores_seen(&rows, None, 9).await.unwrap()), ["scr_2", "scr_1"]);
    assert_eq!(ids(store.scores(None, 9).await.unwrap()), ["scr_3", "scr_2", "scr_1"]);
    let filter = ScoreFilter { rows: rows.clone(), limit: 9, ..ScoreFilter::default() };
    assert_eq!(ids(store.scores_where(&filter).await.unwrap()), ["scr_2", "scr_1"]);
    // A scorecard alone names no team.
    let team = RowFilter { teams: vec!["t1".into()], ..RowFilter::default() };
    assert!(store.scores_seen(&team, None, 9).await.unwrap().is_empty());
    let assignment = |n: usize, score_id: &str| AssignmentRow {
        assignment_id: format!("asg_{n}"),
        score_id: score_id.into(),
        assignee: "tok_b".into(),
        state: "assigned".into(),
        blind: false,
        calibration: None,
        created_at: format!("2026-01-0{n}T00:00:00.000Z"),
        body: "{}".into(),
    };
    let dealt = [assignment(1, "scr_1"), assignment(2, "scr_3")];
    store.write(dealt.into_iter().map(|a| Write::Quality(QualityWrite::Assignment(a))).collect()).await.unwrap();
    let seen = store.assignments_seen(("tok_a", &rows), Some("tok_b"), Some("assigned"), 1).await.unwrap();
    assert_eq!(seen.iter().map(|a| a.score_id.as_str()).collect::<Vec<_>>(), ["scr_1"]);
    assert_eq!(store.assignments_seen(("tok_a", &RowFilter::default()), None, None, 9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_reader_gets_his_own_jobs_and_those_of_the_kinds_he_may_see() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    for (job_id, kind, owner) in [("job_1", "import", "tok_a"), ("job_2", "score", "tok_b"), ("job_3", "import", "tok_b")] {
        let row = JobRow {
            job_id: job_id.into(),
            kind: kind.into(),
            state: "queued".into(),
            owner: owner.into(),
            done: 0,
            total: None,
            failed: 0,
            created_at: format!("2026-01-01T00:00:00.00{}Z", &job_id[4..]),
            started_at: None,
            finished_at: None,
            spec: "{}".into(),
            result: None,
            error: None,
        };
        store.write(vec![Write::Job(JobWrite::Row(Box::new(row)))]).await.unwrap();
    }
    let ids = |rows: Vec<JobRow>| rows.into_iter().map(|r| r.job_id).collect::<Vec<_>>();
    assert_eq!(ids(store.jobs_seen(("tok_a", &[]), None, None, 1).await.unwrap()), ["job_1"]);
    assert_eq!(ids(store.jobs_seen(("tok_a", &["score"]), None, Some("queued"), 9).await.unwrap()), ["job_2", "job_1"]);
    assert_eq!(ids(store.jobs_seen(("tok_c", &["score", "import"]), Some("import"), None, 9).await.unwrap()), ["job_3", "job_1"]);
}

#[tokio::test]
async fn an_answer_is_kept_for_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let answer = |key: &str, created_at: &str| IdempotentAnswer {
        token_id: "tok_a".into(),
        key: key.into(),
        body_hash: String::new(),
        status: 201,
        answer: "{}".into(),
        created_at: created_at.into(),
    };
    for (key, at) in
        [("old", "2026-01-01T10:00:00.000Z"), ("young", "2026-01-01T10:00:00.002Z"), ("new", "2026-01-02T10:00:00.001Z")]
    {
        store.write(vec![Write::Idempotent(answer(key, at))]).await.unwrap();
    }
    assert!(store.idempotent("tok_a", "old").await.unwrap().is_none());
    assert!(store.idempotent("tok_a", "young").await.unwrap().is_some());
    assert!(store.idempotent("tok_a", "new").await.unwrap().is_some());
}

#[tokio::test]
async fn a_chat_in_which_something_was_said_is_not_idle() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let chat = ChatRow {
        chat_id: "chat_1".into(),
        call_id: "call_1".into(),
        updated_at: "2026-01-01T00:00:00.000Z".into(),
        body: "{}".into(),
        ..ChatRow::default()
    };
    store.write(vec![Write::Chat(ChatWrite::Chat(chat))]).await.unwrap();
    assert_eq!(store.idle_chats("2026-01-01T00:30:00.000Z").await.unwrap().len(), 1);
    let said = ChatWrite::Said { chat_id: "chat_1".into(), at: "2026-01-01T00:29:00.000Z".into() };
    store.write(vec![Write::Chat(said)]).await.unwrap();
    assert!(store.idle_chats("2026-01-01T00:20:00.000Z").await.unwrap().is_empty());
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

//! Running calls without the interface: a log that is slow or refuses, a call that is too long to be scored, holds, consent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};
use zhiyin::app::{StageOptions, build_stages};
use zhiyin::config::Settings;
use zhiyin::conversation::{CallId, Channel, Role, TimeSpan, Utterance, UtteranceId};
use zhiyin::event::{
    Appended, Call, ChannelSpec, Consent, Draft, Event, EventBody, EventSink, MemorySink, NewCall, Record, SinkError, now_rfc3339,
};
use zhiyin::pipeline::{Admission, Attach, Command, Desk, Ending, Hub, HubConfig, NewMessage, Stages};

use crate::support::home;

/// A log that lets a write through for each permit, and refuses the first that closes a call if it is told to.
struct Log {
    inner: MemorySink,
    permits: Semaphore,
    refuse_completed: AtomicBool,
}

impl EventSink for Log {
    fn append<'a>(&'a self, call: &'a CallId, drafts: Vec<Draft>, records: Vec<Record>) -> Appended<'a> {
        Box::pin(async move {
            self.permits.acquire().await.map_err(|_| SinkError::Closed)?.forget();
            let closes = drafts.iter().any(|draft| matches!(draft.body, EventBody::CallCompleted { .. }));
            if closes && self.refuse_completed.swap(false, Ordering::Relaxed) {
                return Err(SinkError::Failed("no space".into()));
            }
            self.inner.append(call, drafts, records).await
        })
    }

    fn show(&self, call: &CallId, draft: Draft) {
        self.inner.show(call, draft);
    }
}

async fn stages(pipeline: &'static str) -> Arc<Stages> {
    tokio::task::spawn_blocking(move || {
        let options = StageOptions { recogniser: pipeline == "transcribe", pipeline, index: None, scheme: None };
        build_stages(&home(), &Settings::default(), options).unwrap().stages
    })
    .await
    .unwrap()
}

/// A hub, its log and the durable events in it.
async fn hub(pipeline: &'static str) -> (Hub, Arc<Log>, Arc<Mutex<Vec<EventBody>>>) {
    let stages = stages(pipeline).await;
    let kept: Arc<Mutex<Vec<EventBody>>> = Arc::default();
    let seen = Arc::clone(&kept);
    let inner = MemorySink::new(move |event| seen.lock().push(event.body.clone()));
    let log = Arc::new(Log { inner, permits: Semaphore::new(10_000), refuse_completed: AtomicBool::new(false) });
    let config = HubConfig {
        admission: Admission::up_to(1),
        resume_grace: Duration::from_secs(20),
        vad: zhiyin::vad::VadConfig::default(),
    };
    (Hub::new(stages, Arc::clone(&log) as Arc<dyn EventSink>, config), log, kept)
}

fn call(channel: Channel) -> Call {
    let request = NewCall { channel, languages: vec!["zh-CN".into()], ..NewCall::default() };
    Call::open(request, CallId::new(), &now_rfc3339())
}

async fn say(hub: &Hub, call_id: &CallId, text: &str) {
    hub.message(call_id, NewMessage { role: Role::Customer, text: text.into(), ..NewMessage::default() }).await.unwrap();
}

async fn over(hub: &Hub, call_id: &CallId) {
    for _ in 0..200 {
        if !hub.is_open(call_id) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the call is never over");
}

fn count(kept: &Mutex<Vec<EventBody>>, kind: &str) -> usize {
    kept.lock().iter().filter(|body| body.kind() == kind).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_while_its_call_opens_leaves_no_slot_without_a_call() {
    let (hub, log, kept) = hub("quality-review").await;
    log.permits.forget_permits(10_000);
    let call = call(Channel::Voice);
    assert!(tokio::time::timeout(Duration::from_millis(100), hub.open(call.clone())).await.is_err(), "the log is slow");
    log.permits.add_permits(10_000);
    hub.end(&call.call_id, Ending::default()).await.unwrap();
    over(&hub, &call.call_id).await;
    assert_eq!((count(&kept, "call.started"), hub.open_calls()), (1, (0, 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_last_event_was_refused_ends_once_and_is_completed_later() {
    let (hub, log, kept) = hub("quality-review").await;
    let call_id = hub.open(call(Channel::Chat)).await.unwrap().call_id;
    say(&hub, &call_id, "退款什么时候到").await;
    log.refuse_completed.store(true, Ordering::Relaxed);
    hub.end(&call_id, Ending::default()).await.unwrap();
    let late = NewMessage { role: Role::Customer, text: "还在吗".into(), ..NewMessage::default() };
    assert!(hub.message(&call_id, late).await.is_err(), "nothing comes behind the end");
    over(&hub, &call_id).await;
    assert_eq!([count(&kept, "call.ended"), count(&kept, "call.completed"), count(&kept, "message.added")], [1, 1, 1]);
    assert_eq!(kept.lock().last().map(EventBody::kind), Some("call.completed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_too_long_to_be_scored_is_completed_without_a_score() {
    let (hub, _, kept) = hub("quality-review").await;
    let call = call(Channel::Chat);
    let message = |n: i64| EventBody::MessageAdded {
        message_id: format!("msg_{n}"),
        utterance_id: UtteranceId::new(),
        role: Role::Customer,
        speaker: None,
        text: "好".into(),
        language: "zh-CN".into(),
        sent_at: now_rfc3339(),
        start_ms: n,
        external_id: None,
    };
    let events: Vec<Event> = (0..20_001).map(|n| Draft::new(n, message(n)).numbered(&call.call_id, n as u64 + 1, 0)).collect();
    hub.complete(&call, &events).await.unwrap();
    assert_eq!([count(&kept, "quality.scored"), count(&kept, "call.completed")], [0, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_that_is_withdrawn_stops_the_analysis_and_keeps_the_words() {
    let (hub, _, kept) = hub("quality-review").await;
    let call = hub.open(call(Channel::Chat)).await.unwrap();
    say(&hub, &call.call_id, "退款什么时候到").await;
    assert_eq!(count(&kept, "utterance.understood"), 1);
    let consent = Consent { analytics: false, ..call.consent };
    hub.update(Call { consent, ..call.clone() }).await.unwrap();
    say(&hub, &call.call_id, "你们都是骗子，我要投诉").await;
    hub.end(&call.call_id, Ending::default()).await.unwrap();
    over(&hub, &call.call_id).await;
    let kinds = ["message.added", "utterance.understood", "summary.ready", "quality.scored", "call.completed"];
    assert_eq!(kinds.map(|kind| count(&kept, kind)), [2, 1, 0, 0, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_on_hold_was_on_hold_to_the_end() {
    let (hub, _, kept) = hub("transcribe").await;
    let call = hub.open(call(Channel::Voice)).await.unwrap();
    let (notices, _inbox) = mpsc::unbounded_channel();
    let writer = hub.writer_id();
    let attach = Attach {
        writer,
        channels: vec![ChannelSpec { channel_index: 0, role: Role::Customer }],
        sample_rate_hz: 8_000,
        start_offset_ms: 0,
        replay: true,
        partials: false,
        resume: false,
        notices,
    };
    hub.attach(&call.call_id, attach).await.unwrap();
    let silence = |seconds: usize| Command::Audio { writer, samples: vec![vec![0.0; seconds * 8_000]] };
    hub.tell(&call.call_id, silence(1)).await.unwrap();
    hub.tell(&call.call_id, Command::Pause { reason: "hold".into() }).await.unwrap();
    // Who patches a call has read it before the hold.
    hub.update(Call { queue: Some("loan".into()), ..call.clone() }).await.unwrap();
    hub.tell(&call.call_id, silence(2)).await.unwrap();
    let ended = hub.end(&call.call_id, Ending::default()).await.unwrap();
    assert_eq!((ended.hold, ended.queue.as_deref()), (Some(vec![[1_000, 3_000]]), Some("loan")));
    let told = kept.lock().iter().find_map(|body| if let EventBody::CallEnded(e) = body { e.hold.clone() } else { None });
    assert_eq!(told, Some(vec![[1_000, 3_000]]));
}

fn spoken(speaker: &str, start_ms: i64) -> Utterance {
    Utterance {
        utterance_id: UtteranceId::new(),
        channel_index: Some(0),
        role: Role::Unknown,
        speaker: Some(speaker.into()),
        span: TimeSpan::new(start_ms, start_ms + 1_000),
        text: "请稍等".into(),
        raw_text: "请稍等".into(),
        language: "zh-CN".into(),
        confidence: None,
        words: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_that_of_its_speaker_from_its_place_on_and_a_hold_is_no_silence() {
    let stages = stages("quality-review").await;
    let desk = || Desk::new(Arc::clone(&stages), call(Channel::Voice));
    let mut named = desk();
    named.restore(spoken("speaker-1", 0), None);
    named.restore(spoken("speaker-1", 10_000), None);
    named.restore(spoken("speaker-2", 20_000), None);
    named.set_role("speaker-1", Role::Agent, 5_000);
    let roles: Vec<Role> = named.spoken().iter().map(|(utterance, _)| utterance.role).collect();
    assert_eq!(roles, [Role::Unknown, Role::Agent, Role::Unknown], "the first label is of an earlier life of the process");
    let silent = |drafts: &[Draft]| {
        drafts.iter().any(|d| matches!(&d.body, EventBody::AlertRaised(alert) if alert.rule_id == "silence-long"))
    };
    let (mut waiting, mut held) = (desk(), desk());
    for desk in [&mut waiting, &mut held] {
        desk.restore(spoken("speaker-1", 0), None);
    }
    held.hold_from(1_000);
    assert!(silent(&waiting.advance_clock(120_000)) && !silent(&held.advance_clock(120_000)));
}

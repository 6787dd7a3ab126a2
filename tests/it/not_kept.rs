//! A log that fails in the middle of a call: nothing that was said is lost, and nothing is written twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use zhiyin::app::{StageOptions, build_stages};
use zhiyin::config::Settings;
use zhiyin::conversation::{CallId, Role};
use zhiyin::event::{
    Appended, Call, ChannelSpec, Draft, EventBody, EventSink, MemorySink, NewCall, Record, SinkError, now_rfc3339,
};
use zhiyin::pipeline::{Attach, AudioNotice, Command, Ending, Hub, HubConfig};

use crate::support::{home, sample};

/// Refuses one transcript, then is well again.
struct Failing {
    inner: MemorySink,
    finals: AtomicUsize,
    refuse: usize,
}

impl EventSink for Failing {
    fn append<'a>(&'a self, call: &'a CallId, drafts: Vec<Draft>, records: Vec<Record>) -> Appended<'a> {
        let is_final = drafts.iter().any(|d| matches!(d.body, EventBody::TranscriptFinal(_)));
        if is_final && self.finals.fetch_add(1, Ordering::Relaxed) == self.refuse {
            return Box::pin(async { Err(SinkError::Failed("no space".into())) });
        }
        self.inner.append(call, drafts, records)
    }

    fn show(&self, call: &CallId, draft: Draft) {
        self.inner.show(call, draft);
    }
}

type Inbox = mpsc::UnboundedReceiver<AudioNotice>;

async fn attach(hub: &Hub, call_id: &CallId, rate_hz: u32, resume: bool) -> (u64, i64, Inbox) {
    let (notices, inbox) = mpsc::unbounded_channel();
    let writer = hub.writer_id();
    let channels =
        vec![ChannelSpec { channel_index: 0, role: Role::Customer }, ChannelSpec { channel_index: 1, role: Role::Agent }];
    let attach =
        Attach { writer, channels, sample_rate_hz: rate_hz, start_offset_ms: 0, replay: true, partials: false, resume, notices };
    let ready = hub.attach(call_id, attach).await.unwrap();
    (writer, ready.resume_from_ms, inbox)
}

/// Sends a recording from a place on; gives false if the socket was closed on the way, as a sender would see it.
async fn send(hub: &Hub, call_id: &CallId, from: (u64, i64), inbox: &mut Inbox, audio: &(u32, Vec<Vec<f32>>)) -> bool {
    let (writer, from_ms) = from;
    let per_ms = audio.0 as usize / 1_000;
    let length = audio.1[0].len();
    let mut at = from_ms as usize * per_ms;
    while at < length {
        let end = (at + 100 * per_ms).min(length);
        let samples = audio.1.iter().map(|channel| channel[at..end.min(channel.len())].to_vec()).collect();
        hub.tell(call_id, Command::Audio { writer, samples }).await.unwrap();
        at = end;
    }
    hub.tell(call_id, Command::AudioEnd { writer }).await.unwrap();
    loop {
        match tokio::time::timeout(Duration::from_secs(60), inbox.recv()).await.unwrap() {
            Some(AudioNotice::Closed { .. }) => return true,
            Some(AudioNotice::NotKept) | None => return false,
            Some(_) => {}
        }
    }
}

/// Plays a recording through a log that refuses final number `refuse`; gives the finals, and how often it was sent.
async fn played(audio: &(u32, Vec<Vec<f32>>), refuse: usize) -> (Vec<(u16, i64, String)>, usize) {
    let stages = tokio::task::spawn_blocking(|| {
        let options = StageOptions { recogniser: true, pipeline: "transcribe", index: None, scheme: None };
        build_stages(&home(), &Settings::default(), options).unwrap().stages
    })
    .await
    .unwrap();
    let kept: Arc<Mutex<Vec<(u16, i64, String)>>> = Arc::default();
    let seen = Arc::clone(&kept);
    let inner = MemorySink::new(move |event| {
        if let EventBody::TranscriptFinal(t) = &event.body {
            seen.lock().push((t.channel_index, t.start_ms, t.text.clone()));
        }
    });
    let sink = Failing { inner, finals: AtomicUsize::new(0), refuse };
    let config = HubConfig {
        admission: zhiyin::pipeline::Admission::up_to(1),
        resume_grace: Duration::from_secs(20),
        vad: zhiyin::vad::VadConfig::default(),
    };
    let hub = Hub::new(stages, Arc::new(sink), config);
    let call = Call::open(NewCall { languages: vec!["zh-CN".into()], ..NewCall::default() }, CallId::new(), &now_rfc3339());
    let call_id = hub.open(call).await.unwrap().call_id;
    let mut sent = 0;
    loop {
        let (writer, from_ms, mut inbox) = attach(&hub, &call_id, audio.0, sent > 0).await;
        sent += 1;
        assert!(sent < 5, "it never ended");
        if send(&hub, &call_id, (writer, from_ms), &mut inbox, audio).await {
            break;
        }
    }
    hub.end(&call_id, Ending::default()).await.unwrap();
    let mut finals = kept.lock().clone();
    finals.sort();
    (finals, sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_that_could_not_be_written_is_asked_for_again_and_written_once() {
    let (rate_hz, channels) = sample("zh-refund");
    let seconds = 24 * rate_hz as usize;
    let audio = (rate_hz, channels.into_iter().map(|channel| channel[..seconds].to_vec()).collect::<Vec<_>>());
    let (whole, sent) = played(&audio, usize::MAX).await;
    assert!(whole.len() >= 4 && sent == 1, "{whole:?}");
    for refuse in [0, 2] {
        let (finals, sent) = played(&audio, refuse).await;
        assert_eq!(sent, 2, "the sender was told");
        assert_eq!(finals.len(), whole.len(), "{finals:?} against {whole:?}");
        for (got, expected) in finals.iter().zip(&whole) {
            assert!(got.0 == expected.0 && (got.1 - expected.1).abs() <= 250, "{got:?} against {expected:?}");
        }
    }
}

use std::path::Path;

use super::*;
use crate::asr::tests::scripted_engine;
use crate::asr::{EngineConfig, ScriptedTrack};
use crate::audio::{decode_file, resample};
use crate::conversation::{CallId, Language, Role, Word};
use crate::event::{NewCall, now_rfc3339};

type Inbox = mpsc::UnboundedReceiver<AudioNotice>;

/// Two sentences at 8 kHz with silence around each, and a recogniser that knows them.
fn spoken() -> (Engine, Vec<f32>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/speech/sentences-en.opus");
    let audio = decode_file(&path).unwrap().channels.remove(0);
    let samples = resample(&audio, 8_000).unwrap();
    let word = |n: i64| Word { text: format!("w{n}"), start_ms: n * 300, end_ms: n * 300 + 300, confidence: Some(0.9) };
    let words = (0..samples.len() as i64 / 4_800).map(word).collect();
    let track = ScriptedTrack { samples, words, language: Language::En };
    (scripted_engine(vec![track], EngineConfig { decoders: 2, ..EngineConfig::default() }), audio)
}

fn ears() -> Ears {
    Ears::new(VadConfig::default(), 0, BTreeMap::new())
}

/// A socket for these channels; gives where it goes on and what it is told.
fn attach(ears: &mut Ears, engine: &Engine, writer: u64, channels: &[u16], rate_hz: u32) -> (i64, Inbox) {
    let (notices, inbox) = mpsc::unbounded_channel();
    let channels = channels.iter().map(|&channel_index| ChannelSpec { channel_index, role: Role::Customer }).collect();
    let attach = Attach {
        writer,
        channels,
        sample_rate_hz: rate_hz,
        start_offset_ms: 0,
        replay: true,
        partials: false,
        resume: true,
        notices,
    };
    let call = Call::open(NewCall { languages: vec!["en-US".into()], ..NewCall::default() }, CallId::new(), &now_rfc3339());
    (ears.attach(attach, Some(engine), &call).unwrap().resume_from_ms, inbox)
}

fn silence(ms: usize) -> Vec<f32> {
    vec![0.0; ms * 8]
}

fn send(ears: &mut Ears, writer: u64, samples: &[f32]) {
    samples.chunks(800).for_each(|frame| ears.push(writer, &[frame.to_vec()]));
}

fn received(ears: &Ears, channel: u16) -> i64 {
    ears.channels[&channel].listener.progress().received_ms
}

/// How many finals each of two channels has.
fn finals(heard: &[(u16, Heard)]) -> [usize; 2] {
    [0, 1].map(|channel| heard.iter().filter(|(index, h)| *index == channel && matches!(h, Heard::Final { .. })).count())
}

#[tokio::test]
async fn a_pause_holds_for_a_leg_that_comes_during_it() {
    let (engine, audio) = spoken();
    let mut ears = ears();
    let _a = attach(&mut ears, &engine, 1, &[0], 8_000);
    ears.pause();
    let _b = attach(&mut ears, &engine, 2, &[1], 8_000);
    for writer in [1, 2] {
        send(&mut ears, writer, &audio);
    }
    assert_eq!(finals(&ears.finish(None).await), [0, 0]);
    ears.resume();
    send(&mut ears, 2, &audio);
    let heard = ears.finish(None).await;
    assert!(finals(&heard)[0] == 0 && finals(&heard)[1] >= 2, "{:?}", finals(&heard));
}

#[tokio::test]
async fn what_fell_into_a_pause_is_not_heard_either_when_it_is_sent_again() {
    let (engine, audio) = spoken();
    let mut ears = ears();
    let (_, mut inbox) = attach(&mut ears, &engine, 1, &[0], 8_000);
    send(&mut ears, 1, &silence(1_000));
    ears.pause();
    send(&mut ears, 1, &audio);
    ears.go_back(&BTreeMap::from([(0, 500)]));
    assert!(std::iter::from_fn(|| inbox.try_recv().ok()).any(|notice| notice == AudioNotice::NotKept));
    let (from_ms, _inbox) = attach(&mut ears, &engine, 2, &[0], 8_000);
    assert_eq!(from_ms, 500);
    send(&mut ears, 2, &silence(500));
    send(&mut ears, 2, &audio);
    ears.resume();
    send(&mut ears, 2, &silence(1_000));
    assert_eq!(finals(&ears.finish(None).await), [0, 0]);
    // The pause is over, and its words stay withheld.
    ears.go_back(&BTreeMap::from([(0, 500)]));
    let _c = attach(&mut ears, &engine, 3, &[0], 8_000);
    send(&mut ears, 3, &silence(500));
    send(&mut ears, 3, &audio);
    send(&mut ears, 3, &silence(1_000));
    send(&mut ears, 3, &audio);
    let heard = ears.finish(None).await;
    let begins: Vec<i64> = heard.iter().filter(|(_, h)| matches!(h, Heard::Final { .. })).map(|(_, h)| h.start_ms()).collect();
    let again_ms = 2_000 + audio.len() as i64 / 8;
    assert!(begins.len() >= 2 && begins.iter().all(|start_ms| *start_ms >= again_ms), "{begins:?}");
}

#[tokio::test]
async fn each_leg_goes_on_where_it_was_and_moves_its_own_clock_alone() {
    let (engine, _) = spoken();
    let mut ears = ears();
    let _a = attach(&mut ears, &engine, 1, &[0], 8_000);
    let _b = attach(&mut ears, &engine, 2, &[1], 8_000);
    send(&mut ears, 1, &silence(6_000));
    send(&mut ears, 2, &silence(5_000));
    ears.detach(1);
    let (from_ms, _again) = attach(&mut ears, &engine, 3, &[0], 8_000);
    assert_eq!(from_ms, 6_000);
    ears.gap(2, None, 10_000);
    assert_eq!((received(&ears, 0), received(&ears, 1)), (6_000, 15_000));
    // One socket for both takes over: the first leg was behind, and the second does not hear twice what it had.
    let (from_ms, _both) = attach(&mut ears, &engine, 4, &[0, 1], 8_000);
    assert_eq!(from_ms, 6_000);
    ears.push(4, &[silence(10_000), silence(10_000)]);
    assert_eq!((received(&ears, 0), received(&ears, 1)), (16_000, 16_000));
}

#[tokio::test]
async fn the_end_of_a_leg_neither_cuts_the_other_nor_stops_its_clock() {
    let (engine, audio) = spoken();
    let mut ears = ears();
    let _a = attach(&mut ears, &engine, 1, &[0], 8_000);
    let (_, mut inbox) = attach(&mut ears, &engine, 2, &[1], 8_000);
    send(&mut ears, 1, &silence(1_000));
    // In the middle of the first sentence.
    send(&mut ears, 2, &audio[..8 * 3_000]);
    let heard = ears.finish(Some(1)).await;
    assert!(heard.iter().all(|(channel, _)| *channel == 0));
    assert!(ears.close(1) && !ears.is_deserted());
    let cut = |heard: &[(u16, Heard)]| {
        heard.iter().any(|(_, h)| match h {
            Heard::Notice(draft) => matches!(&draft.body, EventBody::SpeechEnded { endpoint, .. } if endpoint == "flush"),
            _ => false,
        })
    };
    assert!(!cut(&ears.take()), "the other still speaks");
    send(&mut ears, 2, &audio[8 * 3_000..]);
    send(&mut ears, 2, &silence(3_000));
    ears.mark(2, "here".into());
    assert_eq!(ears.received_ms(), Some(audio.len() as i64 / 8 + 3_000));
    let heard = ears.finish(Some(2)).await;
    ears.all_kept(Some(2));
    assert!(finals(&heard)[1] >= 2);
    assert!(std::iter::from_fn(|| inbox.try_recv().ok()).any(|notice| matches!(notice, AudioNotice::Marked { .. })));
    assert!(ears.close(2) && ears.is_deserted());
}

#[tokio::test]
async fn a_socket_that_comes_back_with_another_rate_keeps_the_time() {
    let (engine, audio) = spoken();
    let mut ears = ears();
    let _a = attach(&mut ears, &engine, 1, &[0], 8_000);
    send(&mut ears, 1, &silence(1_000));
    ears.detach(1);
    let (from_ms, _b) = attach(&mut ears, &engine, 2, &[0], 16_000);
    assert_eq!(from_ms, 1_000);
    let wide = resample(&audio, 8_000).unwrap();
    wide.chunks(1_600).for_each(|frame| ears.push(2, &[frame.to_vec()]));
    assert!((received(&ears, 0) - 1_000 - audio.len() as i64 / 8).abs() <= 1);
    assert!(finals(&ears.finish(None).await)[0] >= 2);
}

use std::path::Path;

use super::*;
use crate::asr::tests::{recall, scripted_engine, shipped_engine};
use crate::asr::{CallLanguage, EngineConfig, FinalTranscript, ScriptedTrack};
use crate::audio::{Encoding, FrameDecoder, decode_file, mulaw_encode, resample};
use crate::conversation::{Language, Word};
use crate::vad::sounds;

/// Two sentences with 1.2 s of silence around each, at 8 kHz.
fn sentences(name: &str) -> Vec<f32> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/speech").join(name);
    let recording = decode_file(&path).unwrap();
    assert_eq!(recording.sample_rate_hz, 8_000);
    recording.channels.into_iter().next().unwrap()
}

fn config(tags: &[&str]) -> ListenerConfig {
    let session = SessionConfig { language: CallLanguage::new(tags).unwrap(), ..SessionConfig::default() };
    ListenerConfig { rate_hz: 8_000, start_offset_ms: 0, vad: VadConfig::default(), session }
}

fn finals(events: &[AsrEvent]) -> Vec<&FinalTranscript> {
    events.iter().filter_map(|event| if let AsrEvent::Final(f) = event { Some(&**f) } else { None }).collect()
}

/// A recogniser that knows one recording: a word every 300 ms.
fn scripted(audio_8khz: &[f32]) -> (Engine, Vec<Word>) {
    let samples = resample(audio_8khz, 8_000).unwrap();
    let words: Vec<Word> = (0..samples.len() as i64 / 4_800)
        .map(|n| Word { text: format!("w{n}"), start_ms: n * 300, end_ms: n * 300 + 300, confidence: Some(0.9) })
        .collect();
    let track = ScriptedTrack { samples, words: words.clone(), language: Language::En };
    (scripted_engine(vec![track], EngineConfig { decoders: 2, ..EngineConfig::default() }), words)
}

fn listen(engine: &Engine, audio: &[f32], chunk: usize, config: ListenerConfig) -> Vec<AsrEvent> {
    let mut listener = Listener::new(engine, config).unwrap();
    let mut events: Vec<AsrEvent> = audio.chunks(chunk).flat_map(|part| listener.push(part)).collect();
    events.extend(listener.finish());
    events.extend(listener.drain_blocking());
    events
}

/// What finals say, without their ids and timings.
fn said(events: &[AsrEvent]) -> Vec<(i64, i64, String, Vec<Word>)> {
    let of = |f: &&FinalTranscript| {
        (f.utterance.span.start_ms, f.utterance.span.end_ms, f.utterance.text.clone(), f.utterance.words.clone())
    };
    finals(events).iter().map(of).collect()
}

/// Every utterance: started, partials in order, ended, one last word; last words ordered by start, without overlap.
fn check_order(events: &[AsrEvent]) {
    let mut last_end = i64::MIN;
    let mut open = None;
    let mut ended = std::collections::VecDeque::new();
    let mut rev = 0;
    for event in events {
        match event {
            AsrEvent::SpeechStarted { utterance_id, .. } => {
                assert_eq!(open.replace(utterance_id.clone()), None);
                rev = 0;
            }
            AsrEvent::Partial(partial) => {
                assert_eq!(open.as_ref(), Some(&partial.utterance_id));
                assert!(partial.rev > rev && partial.stable_chars <= partial.text.chars().count());
                rev = partial.rev;
            }
            AsrEvent::SpeechEnded { utterance_id, span, .. } => {
                assert_eq!(open.take().as_ref(), Some(utterance_id));
                assert!(span.start_ms >= last_end, "speech overlaps");
                last_end = span.end_ms;
                ended.push_back(utterance_id.clone());
            }
            AsrEvent::Final(found) => assert_eq!(ended.pop_front().as_ref(), Some(&found.utterance.utterance_id)),
            AsrEvent::Discarded { utterance_id, .. } | AsrEvent::Failed { utterance_id, .. } => {
                assert_eq!(ended.pop_front().as_ref(), Some(utterance_id));
            }
        }
    }
    assert!(open.is_none() && ended.is_empty(), "an utterance has no end");
}

#[test]
fn the_same_audio_in_other_chunks_gives_the_same_finals() {
    let audio = sentences("sentences-en.opus");
    let (engine, _) = scripted(&audio);
    let whole = listen(&engine, &audio, audio.len(), config(&["en-US"]));
    assert!(finals(&whole).len() >= 2, "{whole:?}");
    for chunk in [80, 160, 397, 4_000] {
        let events = listen(&engine, &audio, chunk, config(&["en-US"]));
        check_order(&events);
        assert_eq!(said(&events), said(&whole), "chunks of {chunk}");
    }
}

#[test]
fn every_word_of_the_speech_is_said_once_and_in_its_place() {
    let audio = sentences("sentences-zh.opus");
    let (engine, words) = scripted(&audio);
    let events = listen(&engine, &audio, 160, config(&["en-US"]));
    let heard: Vec<Word> = finals(&events).iter().flat_map(|f| f.utterance.words.clone()).collect();
    assert!(heard.len() >= 15, "{heard:?}");
    for word in &heard {
        let known = words.iter().find(|known| known.text == word.text).unwrap();
        assert!((known.start_ms - word.start_ms).abs() <= 160, "{word:?} is at {known:?}");
    }
    let mut texts: Vec<&str> = heard.iter().map(|word| word.text.as_str()).collect();
    texts.dedup();
    assert_eq!(texts.len(), heard.len(), "a word was said twice");
}

#[test]
fn gaps_and_pauses_keep_the_clock() {
    let audio = sentences("sentences-en.opus");
    let (engine, _) = scripted(&audio);
    let plain = said(&listen(&engine, &audio, 160, config(&["en-US"])));
    let duration_ms = audio.len() as i64 / 8;

    let mut listener = Listener::new(&engine, ListenerConfig { start_offset_ms: 5_000, ..config(&["en-US"]) }).unwrap();
    let mut events = listener.gap(60_000);
    events.extend(listener.pause());
    assert!(listener.push(&audio).is_empty(), "nothing is heard in a pause");
    events.extend(listener.resume());
    audio.chunks(160).for_each(|part| events.extend(listener.push(part)));
    events.extend(listener.flush());
    events.extend(listener.drain_blocking());
    check_order(&events);
    let shift = 5_000 + 60_000 + duration_ms;
    let shifted = said(&events);
    assert_eq!(shifted.len(), plain.len());
    for (late, early) in shifted.iter().zip(&plain) {
        assert!((late.0 - shift - early.0).abs() <= 64, "{} is not {} + {shift}", late.0, early.0);
        // a frame more or less at the edges may hold a word more or less
        assert!(late.3.len().abs_diff(early.3.len()) <= 1 && late.2.contains(&early.3[1].text), "{late:?}, {early:?}");
    }
    let progress = listener.progress();
    assert!((progress.received_ms - shift - duration_ms).abs() <= 1, "{progress:?}");
    assert_eq!((progress.pending_finals, progress.lag_ms), (0, 0));
    assert!(progress.received_ms - progress.final_ms < 1_000, "{progress:?}");
}

#[test]
fn a_flush_in_the_middle_of_a_word_ends_the_segment_there() {
    let audio = sentences("sentences-en.opus");
    let (engine, _) = scripted(&audio);
    let mut listener = Listener::new(&engine, config(&["en-US"])).unwrap();
    let mut events = listener.push(&audio[..8_000 * 3]);
    events.extend(listener.flush());
    events.extend(listener.drain_blocking());
    check_order(&events);
    let ended = finals(&events);
    assert_eq!(ended.last().unwrap().endpoint, Endpoint::Flush);
    assert!((ended.last().unwrap().utterance.span.end_ms - 3_000).abs() <= 220);
}

#[test]
fn two_interleaved_channels_are_kept_apart() {
    let left = sentences("sentences-en.opus");
    let (engine, _) = scripted(&left);
    let to_byte = |sample: f32| mulaw_encode((sample * 32_767.0) as i16);
    let bytes: Vec<u8> = left.iter().flat_map(|sample| [to_byte(*sample), 0xff]).collect();
    let mut decoder = FrameDecoder::new(Encoding::Mulaw, 2).unwrap();
    let mut listeners: Vec<Listener> = (0..2)
        .map(|channel_index| {
            let mut config = config(&["en-US"]);
            config.session.channel_index = channel_index;
            Listener::new(&engine, config).unwrap()
        })
        .collect();
    let mut events = [Vec::new(), Vec::new()];
    for frame in bytes.chunks(321) {
        for ((listener, samples), events) in listeners.iter_mut().zip(decoder.push(frame)).zip(&mut events) {
            events.extend(listener.push(&samples));
        }
    }
    for (listener, events) in listeners.iter_mut().zip(&mut events) {
        events.extend(listener.finish());
        events.extend(listener.drain_blocking());
    }
    assert!(events[0].iter().any(|event| matches!(event, AsrEvent::SpeechStarted { .. })));
    assert!(events[1].is_empty(), "the silent channel says {:?}", events[1]);
}

#[tokio::test]
async fn results_can_be_awaited() {
    let audio = sentences("sentences-en.opus");
    let (engine, _) = scripted(&audio);
    let mut listener = Listener::new(&engine, config(&["en-US"])).unwrap();
    let mut events = listener.push(&audio);
    events.extend(listener.finish());
    events.extend(tokio::time::timeout(Duration::from_secs(20), listener.drain()).await.unwrap());
    check_order(&events);
    assert!(finals(&events).len() >= 2);
}

#[test]
fn bad_settings_and_a_full_engine_are_refused() {
    let engine = scripted_engine(Vec::new(), EngineConfig { max_sessions: 1, ..EngineConfig::default() });
    let bad = ListenerConfig { rate_hz: 4_000, ..config(&["en"]) };
    assert!(matches!(Listener::new(&engine, bad), Err(ListenError::Audio(_))));
    let bad = ListenerConfig { vad: VadConfig { on_threshold: 2.0, ..VadConfig::default() }, ..config(&["en"]) };
    assert!(matches!(Listener::new(&engine, bad), Err(ListenError::Vad(_))));
    let _held = Listener::new(&engine, config(&["en"])).unwrap();
    assert!(matches!(Listener::new(&engine, config(&["en"])), Err(ListenError::Asr(AsrError::Overloaded { .. }))));
}

/// A sentence that stops for 0.7 s, longer than the usual 0.45 s, and goes on; `words` are what the recogniser hears in it.
fn with_a_stop(words: [&str; 2]) -> (Engine, Vec<f32>) {
    let spoken = sentences("sentences-en.opus");
    let voice = &spoken[8_000..8_000 * 4];
    // Softer, so that the recogniser does not take one half for the other.
    let again: Vec<f32> = voice.iter().map(|sample| sample * 0.7).collect();
    let audio = [&vec![0.0; 4_000], voice, &vec![0.0; 8_000 * 7 / 10], &again, &vec![0.0; 16_000]].concat();
    let samples = resample(&audio, 8_000).unwrap();
    let at = |text: &str, start_ms: i64| Word { text: text.into(), start_ms, end_ms: start_ms + 200, confidence: Some(0.9) };
    // In the middle of each half.
    let said = vec![at(words[0], 1_800), at(words[1], 5_500)];
    let track = ScriptedTrack { samples, words: said, language: Language::En };
    (scripted_engine(vec![track], EngineConfig { decoders: 2, ..EngineConfig::default() }), audio)
}

/// Plays no faster than the decoders, so that the words are known when the silence is judged; gives the reasons of the ends.
fn endpoints(engine: &Engine, audio: &[f32], by_meaning: bool) -> Vec<Endpoint> {
    let mut config = config(&["en-US"]);
    config.session.by_meaning = by_meaning;
    let mut listener = Listener::new(engine, config).unwrap();
    let mut events = Vec::new();
    for part in audio.chunks(160) {
        events.extend(listener.push(part));
        let idle = |stats: crate::asr::EngineStats| stats.queued_finals + stats.queued_partials == 0;
        while !idle(engine.stats()) {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    events.extend(listener.finish());
    events.extend(listener.drain_blocking());
    check_order(&events);
    let ended = events.iter().filter_map(|e| if let AsrEvent::SpeechEnded { endpoint, .. } = e { Some(*endpoint) } else { None });
    ended.collect()
}

#[test]
fn words_that_are_unfinished_wait_and_others_do_not() {
    // "because" leans on what follows, "parcel" does not.
    let (engine, audio) = with_a_stop(["because", "parcel"]);
    let by_silence = endpoints(&engine, &audio, false);
    let by_meaning = endpoints(&engine, &audio, true);
    assert!(by_silence.iter().all(|e| *e == Endpoint::Vad), "{by_silence:?}");
    assert_eq!(by_meaning.len() + 1, by_silence.len(), "the stop is bridged: {by_meaning:?} against {by_silence:?}");
    let (engine, audio) = with_a_stop(["parcel", "because"]);
    let by_meaning = endpoints(&engine, &audio, true);
    assert_eq!(by_meaning.len(), by_silence.len(), "{by_meaning:?}");
    assert_eq!(by_meaning.last(), Some(&Endpoint::Semantic), "it waited in vain, and says so");
}

// --- the shipped model ---

#[test]
fn spoken_sentences_become_finals_with_partials_before() {
    let patient = EngineConfig { decoders: 2, partial_patience_ms: 5_000, ..EngineConfig::default() };
    let engine = shipped_engine(patient);
    let english = "hello i want to change the address of my order thank you for calling how can i help you today";
    let chinese = "你 好 我 想 查 一 下 我 的 订 单 请 问 我 的 话 费 为 什 么 这 么 高";
    for (name, tag, expected) in [("sentences-en.opus", "en-US", english), ("sentences-zh.opus", "zh-CN", chinese)] {
        let mut listener = Listener::new(&engine, config(&["zh-CN", "en-US"])).unwrap();
        let mut events = Vec::new();
        for part in sentences(name).chunks(800) {
            events.extend(listener.push(part));
            // no faster than the decoders, so that there is room for partials
            while engine.stats().queued_partials > 0 {
                std::thread::sleep(Duration::from_millis(2));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        events.extend(listener.finish());
        events.extend(listener.drain_blocking());
        check_order(&events);
        let expected: Vec<&str> = expected.split(' ').collect();
        let words: Vec<Word> = finals(&events).iter().flat_map(|f| f.utterance.words.clone()).collect();
        let found = recall(&expected, &words);
        assert!(found >= 0.7, "{name}: {found:.2} of the words in {:?}", said(&events));
        assert!(finals(&events).iter().all(|f| f.utterance.language == tag), "{name}");
        assert!(finals(&events).iter().all(|f| f.voice.pitch_hz.is_some() && f.utterance.confidence.is_some()));
        assert!(events.iter().any(|event| matches!(event, AsrEvent::Partial(_))), "{name}: no partial");
    }
    let engine_stats = engine.stats();
    assert!(engine_stats.finals >= 4 && engine_stats.failed == 0, "{engine_stats:?}");
}

#[test]
fn what_is_no_speech_gives_no_words() {
    let engine = shipped_engine(EngineConfig { decoders: 2, ..EngineConfig::default() });
    let cases = [
        ("silence", vec![0.0; 16_000 * 20]),
        ("white noise", sounds::white_noise(20.0, 0.1, 11)),
        ("room noise", sounds::room_noise(20.0, 0.1, 12)),
        ("hold music", sounds::hold_music(30.0, 13)),
        ("ring tone", sounds::ring_tone(20.0)),
        ("ring tone (us)", sounds::ring_tone_us(20.0)),
        ("dtmf", sounds::dtmf(20.0, 14)),
    ];
    for (name, audio) in cases {
        let listen_config = ListenerConfig { rate_hz: 16_000, ..config(&["zh-CN", "en-US"]) };
        let events = listen(&engine, &audio, 1_600, listen_config);
        check_order(&events);
        assert_eq!(said(&events), [], "{name}");
    }
}

#[test]
fn an_engine_that_goes_away_fails_what_is_pending_instead_of_hanging() {
    let audio = sentences("sentences-en.opus");
    let (engine, _) = scripted(&audio);
    let mut listener = Listener::new(&engine, config(&["en-US"])).unwrap();
    let mut events = listener.push(&audio[..16_000]);
    drop(engine);
    events.extend(listener.push(&audio[16_000..]));
    events.extend(listener.finish());
    events.extend(listener.drain_blocking());
    check_order(&events);
    assert!(events.iter().any(|event| matches!(event, AsrEvent::Failed { .. })));
}

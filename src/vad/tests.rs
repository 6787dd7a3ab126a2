use std::path::Path;

use proptest::prelude::*;

use super::sounds;
use super::*;
use crate::audio::decode_file;

/// Two sentences of synthesised speech, 1.2 s of silence around each.
fn speech(name: &str) -> Vec<f32> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/speech").join(name);
    decode_file(&path).unwrap().to_model_rate().unwrap().remove(0)
}

/// Everything that a detector says about audio that comes in chunks of these lengths (repeated).
fn detect(samples: &[f32], chunks: &[usize], config: VadConfig) -> Vec<VadEvent> {
    let mut detector = SpeechDetector::new(config).unwrap();
    let mut events = Vec::new();
    let mut at = 0;
    for len in chunks.iter().cycle() {
        let end = (at + len).min(samples.len());
        events.extend(detector.push(&samples[at..end]));
        at = end;
        if at == samples.len() {
            break;
        }
    }
    events.extend(detector.flush());
    events
}

fn segments(events: &[VadEvent]) -> Vec<(u64, usize, Endpoint)> {
    let ended = events.iter().filter_map(|event| match event {
        VadEvent::Ended(segment) => Some((segment.start_sample, segment.samples.len(), segment.endpoint)),
        _ => None,
    });
    ended.collect()
}

fn speech_ms(events: &[VadEvent]) -> i64 {
    segments(events).iter().map(|(_, len, _)| *len as i64 / 16).sum()
}

#[test]
fn finds_both_sentences() {
    for name in ["sentences-en.opus", "sentences-zh.opus"] {
        let audio = speech(name);
        let found = segments(&detect(&audio, &[320], VadConfig::default()));
        let sentences = found.iter().filter(|(_, len, _)| *len > 8_000).count();
        assert!((2..=4).contains(&sentences), "{name}: {found:?}");
        let total: usize = found.iter().map(|(_, len, _)| len).sum();
        let spoken = audio.len() - 3 * 19_200;
        assert!(total as f64 > spoken as f64 * 0.9, "{name}: {total} of {spoken} samples");
        assert!(found[0].0.abs_diff(19_200) < 6_400, "{name} begins at {}", found[0].0);
        for pair in found.windows(2) {
            assert!(pair[0].0 + pair[0].1 as u64 <= pair[1].0, "segments overlap: {found:?}");
        }
    }
}

#[test]
fn segment_holds_the_audio_it_names() {
    let audio = speech("sentences-en.opus");
    for event in detect(&audio, &[777], VadConfig::default()) {
        if let VadEvent::Ended(segment) = event {
            let start = segment.start_sample as usize;
            assert_eq!(segment.samples[..], audio[start..start + segment.samples.len()]);
            assert!(segment.speech_end_sample <= segment.start_sample + segment.samples.len() as u64);
            assert!(segment.evidence.speech_ratio > 0.5, "{:?}", segment.evidence);
        }
    }
}

#[test]
fn a_long_speech_is_cut_without_loss() {
    let one = speech("sentences-en.opus");
    let sentence = &one[19_200..19_200 + 60_000];
    let long: Vec<f32> = sentence.iter().copied().cycle().take(16_000 * 25).collect();
    let config = VadConfig { max_segment_ms: 5_000, hangover_ms: 2_000, ..VadConfig::default() };
    let found = segments(&detect(&long, &[1_600], config));
    assert!(found.iter().any(|(_, _, endpoint)| *endpoint == Endpoint::MaxLength), "{found:?}");
    assert!(found.iter().all(|(_, len, _)| *len <= 5_000 * 16 + FRAME_SAMPLES), "{found:?}");
    for pair in found.windows(2) {
        assert_eq!(pair[0].0 + pair[0].1 as u64, pair[1].0, "a cut loses or repeats audio: {found:?}");
    }
}

#[test]
fn no_speech_in_tones_noise_and_silence() {
    let cases = [
        ("silence", vec![0.0; 16_000 * 20]),
        ("white noise", sounds::white_noise(20.0, 0.05, 1)),
        ("loud white noise", sounds::white_noise(20.0, 0.3, 2)),
        ("room noise", sounds::room_noise(20.0, 0.05, 3)),
        ("ring tone", sounds::ring_tone(20.0)),
        ("ring tone (us)", sounds::ring_tone_us(20.0)),
        ("dtmf", sounds::dtmf(20.0, 4)),
    ];
    for (name, audio) in cases {
        let events = detect(&audio, &[320], VadConfig::default());
        assert!(speech_ms(&events) < 1_000, "{name}: {} ms of speech in 20 s", speech_ms(&events));
    }
}

#[test]
fn every_start_has_one_end() {
    for audio in [speech("sentences-zh.opus"), sounds::hold_music(30.0, 7), sounds::dtmf(10.0, 8)] {
        let mut open = false;
        for event in detect(&audio, &[160], VadConfig::default()) {
            let begins = matches!(event, VadEvent::Started { .. });
            assert_ne!(open, begins, "starts and ends do not alternate");
            open = begins;
        }
        assert!(!open, "the flush left speech open");
    }
}

#[test]
fn settings_out_of_range_are_named() {
    let bad = VadConfig { hangover_ms: 20, ..VadConfig::default() };
    let error = SpeechDetector::new(bad).unwrap_err();
    assert_eq!(error.to_string(), "vad.hangover_ms = 20 is out of range: use 100 to 5000");
    let unknown: Result<VadConfig, _> = serde_json::from_str(r#"{"hangover":450}"#);
    assert!(unknown.unwrap_err().to_string().contains("hangover_ms"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn chunking_changes_nothing(chunks in prop::collection::vec(1usize..4_000, 1..8)) {
        let audio = speech("sentences-en.opus");
        let whole = segments(&detect(&audio, &[audio.len()], VadConfig::default()));
        prop_assert_eq!(segments(&detect(&audio, &chunks, VadConfig::default())), whole);
    }

    #[test]
    fn any_samples_are_survived(samples in prop::collection::vec(-1.0f32..=1.0, 0..6_000)) {
        let events = detect(&samples, &[100], VadConfig::default());
        prop_assert!(segments(&events).iter().all(|(start, len, _)| *start as usize + len <= samples.len()));
    }
}

#[test]
fn meaning_changes_how_long_silence_is_waited_for_within_its_bounds() {
    use super::{Endpoint, Patience};
    let known = VadConfig::default();
    assert_eq!(known.silence(None), (450, Endpoint::Vad));
    assert_eq!(known.silence(Some(Patience::Complete)), (350, Endpoint::Semantic));
    assert_eq!(known.silence(Some(Patience::Unfinished)), (1_000, Endpoint::Semantic));
    let off = VadConfig { complete_ms: 0, unfinished_ms: 0, ..known.clone() };
    assert_eq!(off.silence(Some(Patience::Complete)), (450, Endpoint::Vad));
    assert_eq!(off.silence(Some(Patience::Unfinished)), (450, Endpoint::Vad));
    let patient = VadConfig { hangover_ms: 2_000, ..known.clone() };
    assert_eq!(patient.silence(Some(Patience::Unfinished)), (2_000, Endpoint::Vad), "never sooner than usual");
    let hasty = VadConfig { complete_ms: 10, ..known };
    assert_eq!(hasty.silence(Some(Patience::Complete)).0, 200, "the padding is heard out");
}

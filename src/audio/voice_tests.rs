//! Voice features against Praat (`tests/fixtures/voice/reference.py`), and under known changes of gain and speed.

use std::path::Path;

use serde::Deserialize;

use super::{decode_file, level_db, resample, voice_features};

/// The level that counts as 0 dB, below full scale.
const FLOOR_DBFS: f64 = -90.0;
/// Relative change of a frequency by a semitone.
const SEMITONE: f64 = 0.059_463;

#[derive(Deserialize)]
struct Stretch {
    call: String,
    channel: usize,
    start_s: usize,
    pitch_hz: f64,
    level_dbfs: f64,
    pitch_faster_hz: f64,
}

/// The stretches of the reference with their samples and rate.
fn stretches() -> Vec<(Stretch, Vec<f32>, u32)> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(home.join("tests/fixtures/voice/reference.json")).unwrap();
    let rows: Vec<Stretch> = serde_json::from_str(&text).unwrap();
    let mut calls = std::collections::BTreeMap::new();
    rows.into_iter()
        .map(|row| {
            let recording = calls
                .entry(row.call.clone())
                .or_insert_with(|| decode_file(&home.join(format!("pipelines/samples/calls/{}.opus", row.call))).unwrap());
            let rate = recording.sample_rate_hz as usize;
            let part = recording.channels[row.channel][row.start_s * rate..(row.start_s + 1) * rate].to_vec();
            let rate_hz = recording.sample_rate_hz;
            (row, part, rate_hz)
        })
        .collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn pitch_and_level_agree_with_praat() {
    let rows = stretches();
    assert!(rows.len() >= 40);
    let (mut pitch_errors, mut level_errors) = (Vec::new(), Vec::new());
    for (row, samples, rate_hz) in &rows {
        let features = voice_features(&resample(samples, *rate_hz).unwrap());
        pitch_errors.push((features.pitch_hz.unwrap() / row.pitch_hz - 1.0).abs());
        level_errors.push((level_db(samples) + FLOOR_DBFS - row.level_dbfs).abs());
    }
    // Frames called voiced differ, so medians over a gliding voice do too; an octave error would be 50 % or 100 %.
    let near = pitch_errors.iter().filter(|error| **error < SEMITONE).count();
    assert!(pitch_errors.iter().all(|error| *error < 2.0 * SEMITONE), "{pitch_errors:?}");
    assert!(near * 100 >= rows.len() * 85, "{near} of {} within a semitone", rows.len());
    assert!(median(pitch_errors) < 0.02 && median(level_errors.clone()) < 0.1, "{level_errors:?}");
}

#[test]
fn faster_is_higher_as_praat_hears_it_and_louder_is_louder() {
    let mut near = 0;
    let rows = stretches();
    for (row, samples, rate_hz) in &rows {
        let plain = voice_features(&resample(samples, *rate_hz).unwrap());
        // read as if taken at 1.2 times the rate: 1.2 times faster and higher
        let faster = voice_features(&resample(samples, rate_hz * 6 / 5).unwrap());
        near += usize::from((faster.pitch_hz.unwrap() / row.pitch_faster_hz - 1.0).abs() < SEMITONE);
        let louder: Vec<f32> = samples.iter().map(|s| s * 0.5).collect();
        let quiet = voice_features(&resample(&louder, *rate_hz).unwrap());
        let change = plain.energy_db.unwrap() - quiet.energy_db.unwrap();
        assert!((change - 6.02).abs() < 0.2, "half the amplitude is 6 dB less, not {change}");
        assert!((quiet.pitch_hz.unwrap() / plain.pitch_hz.unwrap() - 1.0).abs() < 0.02, "gain does not change the pitch");
    }
    assert!(near * 100 >= rows.len() * 85, "{near} of {} within a semitone", rows.len());
}

#[test]
fn jitter_grows_with_the_wobble_of_the_period() {
    let voice = |wobble: f64| -> Vec<f32> {
        let (mut phase, mut samples) = (0.0_f64, Vec::new());
        for n in 0..32_000 {
            let t = f64::from(n) / 16_000.0;
            let hz = 150.0 * (1.0 + wobble * (std::f64::consts::TAU * 9.0 * t).sin());
            phase += std::f64::consts::TAU * hz / 16_000.0;
            samples.push((0.3 * (phase.sin() + 0.5 * (2.0 * phase).sin() + 0.25 * (3.0 * phase).sin())) as f32);
        }
        samples
    };
    let jitter = |wobble| voice_features(&voice(wobble)).jitter.unwrap();
    assert!(jitter(0.0) < 0.002, "{}", jitter(0.0));
    assert!(jitter(0.02) > 2.0 * jitter(0.0) && jitter(0.06) > 2.0 * jitter(0.02), "{} {}", jitter(0.02), jitter(0.06));
}

//! Sounds for tests, made from formulas and seeds: what a telephone carries beside speech. 16 kHz.

use std::f32::consts::TAU;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const RATE: f32 = 16_000.0;

fn samples(seconds: f32, mut at: impl FnMut(usize, f32) -> f32) -> Vec<f32> {
    (0..(seconds * RATE) as usize).map(|n| at(n, n as f32 / RATE).clamp(-1.0, 1.0)).collect()
}

/// White noise of a root mean square.
pub(crate) fn white_noise(seconds: f32, rms: f32, seed: u64) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(seed);
    let peak = rms * 3f32.sqrt();
    samples(seconds, |_, _| rng.random_range(-peak..=peak))
}

/// Low-pass filtered noise that swells: a room, traffic, breath.
pub(crate) fn room_noise(seconds: f32, rms: f32, seed: u64) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut low = 0.0f32;
    samples(seconds, |_, t| {
        low = 0.95 * low + 0.05 * rng.random_range(-1.0f32..=1.0);
        low * rms * 10.0 * (0.6 + 0.4 * (TAU * 0.3 * t).sin())
    })
}

/// Ring-back tone: 450 Hz, one second on, four off.
pub(crate) fn ring_tone(seconds: f32) -> Vec<f32> {
    samples(seconds, |_, t| if t % 5.0 < 1.0 { 0.3 * (TAU * 450.0 * t).sin() } else { 0.0 })
}

/// North American ring-back: 440 + 480 Hz, two seconds on, four off.
pub(crate) fn ring_tone_us(seconds: f32) -> Vec<f32> {
    samples(seconds, |_, t| if t % 6.0 < 2.0 { 0.2 * ((TAU * 440.0 * t).sin() + (TAU * 480.0 * t).sin()) } else { 0.0 })
}

/// Random digits of DTMF (ITU-T Q.23): 120 ms on, 80 ms off.
pub(crate) fn dtmf(seconds: f32, seed: u64) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(seed);
    let digits: Vec<(f32, f32)> = (0..(seconds / 0.2) as usize + 1)
        .map(|_| ([697.0, 770.0, 852.0, 941.0][rng.random_range(0..4)], [1_209.0, 1_336.0, 1_477.0][rng.random_range(0..3)]))
        .collect();
    samples(seconds, |_, t| {
        let (low, high) = digits[(t / 0.2) as usize];
        if t % 0.2 < 0.12 { 0.25 * ((TAU * low * t).sin() + (TAU * high * t).sin()) } else { 0.0 }
    })
}

/// Hold music: chords of decaying notes with overtones, a bass and a tune over them.
pub(crate) fn hold_music(seconds: f32, seed: u64) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(seed);
    let scale = [0, 2, 4, 5, 7, 9, 11, 12];
    let beats = (seconds / 0.4) as usize + 2;
    let tune: Vec<f32> = (0..beats).map(|_| 440.0 * 2f32.powf(scale[rng.random_range(0..8)] as f32 / 12.0)).collect();
    let roots: Vec<f32> = (0..beats).map(|_| 220.0 * 2f32.powf([0, 5, 7, 9][rng.random_range(0..4)] as f32 / 12.0)).collect();
    let note = |hz: f32, t: f32| (1..=5).map(|k| (TAU * hz * k as f32 * t).sin() / k as f32).sum::<f32>();
    samples(seconds, |_, t| {
        let beat = (t / 0.4) as usize;
        let bar = beat / 4 * 4;
        let (since_beat, since_bar) = (t % 0.4, t - bar as f32 * 0.4);
        let root = roots[bar];
        let chord = note(root, t) + note(root * 1.26, t) + note(root * 1.498, t);
        0.08 * chord * (-since_bar).exp() + 0.12 * note(tune[beat], t) * (-3.0 * since_beat).exp()
    })
}

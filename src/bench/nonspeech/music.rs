//! Hold music from formulas and seeds at 8 kHz: several instruments, tempi and keys, as a telephone carries it.

use std::f32::consts::TAU;

use rand::Rng;

use super::sounds::{Kind, RATE_HZ, at_level, random, samples};

const RATE: f32 = RATE_HZ as f32;
/// Semitones of the major scale.
const SCALE: [i32; 8] = [0, 2, 4, 5, 7, 9, 11, 12];

/// Kinds of music.
pub(super) const KINDS: &[Kind] = &[
    ("music_piano", |s, seed| piece(s, seed, 0.40, piano)),
    ("music_strings", |s, seed| piece(s, seed, 0.90, strings)),
    ("music_flute", |s, seed| piece(s, seed, 0.50, flute)),
    ("music_bells", |s, seed| piece(s, seed, 0.60, bells)),
    ("music_pop", |s, seed| with_drums(&piece(s, seed, 0.45, organ), seed)),
    ("music_box_narrow", |s, seed| narrow(&piece(s, seed, 0.30, bells))),
    ("music_gated", |s, seed| gated(&piece(s, seed, 0.50, strings))),
];

/// A note: its sound at a time since its begin, at a pitch, for its length.
type Instrument = fn(f32, f32, f32) -> f32;

/// Chords in bars of four beats, a bass and a tune over them.
fn piece(seconds: f32, seed: u64, beat_s: f32, instrument: Instrument) -> Vec<f32> {
    let mut random = random(seed);
    let key = 196.0 * 2_f32.powf(random.random_range(0..12) as f32 / 12.0);
    let beats = (seconds / beat_s) as usize + 5;
    let pitch = |semitone: i32| key * 2_f32.powf(semitone as f32 / 12.0);
    let tune: Vec<f32> = (0..beats).map(|_| 2.0 * pitch(SCALE[random.random_range(0..8)])).collect();
    let roots: Vec<i32> = (0..beats).map(|_| [0, 5, 7, 9][random.random_range(0..4)]).collect();
    let sound = samples(seconds, |t| {
        let beat = (t / beat_s) as usize;
        let bar = beat / 4 * 4;
        let (since_beat, since_bar) = (t % beat_s, t - bar as f32 * beat_s);
        let chord: f32 = [0, 4, 7].iter().map(|third| instrument(since_bar, pitch(roots[bar] + third), 4.0 * beat_s)).sum();
        0.3 * chord
            + 0.3 * instrument(since_bar, pitch(roots[bar]) / 2.0, 4.0 * beat_s)
            + 0.5 * instrument(since_beat, tune[beat], beat_s)
    });
    at_level(sound, -22.0)
}

fn harmonics(t: f32, hz: f32, count: i32, falling: f32) -> f32 {
    let audible = (1..=count).filter(|k| hz * (*k as f32) < 3_400.0);
    audible.map(|k| (TAU * hz * k as f32 * t).sin() / (k as f32).powf(falling)).sum()
}

fn piano(t: f32, hz: f32, _: f32) -> f32 {
    harmonics(t, hz, 6, 1.2) * (-2.5 * t).exp()
}

fn strings(t: f32, hz: f32, length: f32) -> f32 {
    let vibrato = hz * (1.0 + 0.006 * (TAU * 5.5 * t).sin() / (TAU * 5.5 * t.max(0.01)));
    harmonics(t, vibrato, 10, 1.0) * (t / 0.15).min(1.0) * ((length - t) / 0.1).clamp(0.0, 1.0)
}

fn flute(t: f32, hz: f32, length: f32) -> f32 {
    let tremolo = 1.0 + 0.15 * (TAU * 5.0 * t).sin();
    harmonics(t, hz, 3, 2.0) * tremolo * (t / 0.05).min(1.0) * ((length - t) / 0.05).clamp(0.0, 1.0)
}

fn bells(t: f32, hz: f32, _: f32) -> f32 {
    // Inharmonic partials of a struck bar.
    [1.0, 2.76, 5.4].iter().filter(|k| hz * *k < 3_400.0).map(|k| (TAU * hz * k * t).sin() * (-3.0 * k * t).exp()).sum()
}

fn organ(t: f32, hz: f32, length: f32) -> f32 {
    harmonics(t, hz, 8, 0.7) * (t / 0.02).min(1.0) * ((length - t) / 0.02).clamp(0.0, 1.0)
}

/// A kick on every beat, a snare on every second, hats between.
fn with_drums(music: &[f32], seed: u64) -> Vec<f32> {
    let mut random = random(seed ^ 3);
    let beat = 0.45;
    music
        .iter()
        .enumerate()
        .map(|(n, x)| {
            let t = n as f32 / RATE;
            let (number, since) = ((t / beat) as usize, t % beat);
            let noise = random.random_range(-1.0..=1.0_f32);
            let kick = (TAU * 70.0 * since).sin() * (-25.0 * since).exp();
            let snare = if number % 2 == 1 { noise * (-30.0 * since).exp() } else { 0.0 };
            let hat = noise * (-120.0 * (since % (beat / 2.0))).exp();
            (x + 0.35 * kick + 0.25 * snare + 0.08 * hat).clamp(-1.0, 1.0)
        })
        .collect()
}

/// Through a small loudspeaker: what lies below is taken away, the rest is overdriven.
fn narrow(music: &[f32]) -> Vec<f32> {
    let mut low = 0.0_f32;
    music
        .iter()
        .map(|x| {
            low += 0.35 * (x - low);
            (4.0 * (x - low)).tanh() * 0.3
        })
        .collect()
}

/// Chopped by a voice activity switch of the network, as mobiles do to music.
fn gated(music: &[f32]) -> Vec<f32> {
    let mut random = random(music.len() as u64);
    let mut open = true;
    music
        .chunks(RATE_HZ as usize / 10)
        .flat_map(|part| {
            open = if open { random.random_bool(0.8) } else { random.random_bool(0.4) };
            let gain = if open { 1.0 } else { 0.02 };
            part.iter().map(move |x| x * gain).collect::<Vec<_>>()
        })
        .collect()
}

//! Telephone sounds without speech, made from formulas and seeds at 8 kHz: silence, noise, tones, and what people do besides
//! talking. Levels are root mean squares in dB of full scale.

use std::f32::consts::TAU;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub(super) const RATE_HZ: u32 = 8_000;
const RATE: f32 = RATE_HZ as f32;

/// A kind of sound: a name, and a maker that takes seconds and a seed.
pub(super) type Kind = (&'static str, fn(f32, u64) -> Vec<f32>);

/// Noise, tones and noises of people and lines; music is in `music.rs`.
pub(super) const KINDS: &[Kind] = &[
    ("silence", |s, _| samples(s, |_| 0.0)),
    ("silence_dither", |s, seed| white(s, -90.0, seed)),
    ("silence_mulaw", |s, seed| companded(&white(s, -72.0, seed))),
    ("room_quiet", |s, seed| room(s, -60.0, seed)),
    ("room", |s, seed| room(s, -45.0, seed)),
    ("room_loud", |s, seed| room(s, -32.0, seed)),
    ("white_quiet", |s, seed| white(s, -50.0, seed)),
    ("white_loud", |s, seed| white(s, -25.0, seed)),
    ("pink", |s, seed| pink(s, -35.0, seed)),
    ("brown", |s, seed| brown(s, -30.0, seed)),
    ("ring_cn", |s, _| cadence(s, &[450.0], &[1.0, 4.0])),
    ("ring_us", |s, _| cadence(s, &[440.0, 480.0], &[2.0, 4.0])),
    ("ring_uk", |s, _| cadence(s, &[400.0, 450.0], &[0.4, 0.2, 0.4, 2.0])),
    ("busy_cn", |s, _| cadence(s, &[450.0], &[0.35, 0.35])),
    ("busy_us", |s, _| cadence(s, &[480.0, 620.0], &[0.5, 0.5])),
    ("dial_tone", |s, _| cadence(s, &[350.0, 440.0], &[1_000.0, 0.0])),
    ("special_information", |s, _| special_information(s)),
    ("fax", |s, _| cadence(s, &[1_100.0], &[0.5, 3.0])),
    ("dtmf", dtmf),
    ("modem", modem),
    ("breath", breath),
    ("cough", cough),
    ("key_clicks", key_clicks),
    ("knocks", knocks),
    ("hum_50", |s, seed| hum(s, 50.0, seed)),
    ("hum_60", |s, seed| hum(s, 60.0, seed)),
    ("clipping", clipping),
    ("crackle", crackle),
    ("gsm_buzz", gsm_buzz),
    ("frame_loss", |s, seed| frame_loss(&room(s, -35.0, seed), seed)),
    ("comfort_noise", comfort_noise),
    ("wind", wind),
];

pub(super) fn samples(seconds: f32, mut at: impl FnMut(f32) -> f32) -> Vec<f32> {
    (0..(seconds * RATE) as usize).map(|n| at(n as f32 / RATE).clamp(-1.0, 1.0)).collect()
}

pub(super) fn random(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

/// The same sound at another level.
pub(super) fn at_level(mut sound: Vec<f32>, db: f32) -> Vec<f32> {
    let rms = (sound.iter().map(|x| x * x).sum::<f32>() / sound.len().max(1) as f32).sqrt();
    let gain = if rms > 0.0 { 10_f32.powf(db / 20.0) / rms } else { 0.0 };
    sound.iter_mut().for_each(|x| *x = (*x * gain).clamp(-1.0, 1.0));
    sound
}

/// White noise. The network of a codec would round it; so does a 16-bit sample here.
pub(super) fn white(seconds: f32, db: f32, seed: u64) -> Vec<f32> {
    let mut random = random(seed);
    let peak = 10_f32.powf(db / 20.0) * 3_f32.sqrt();
    samples(seconds, |_| (random.random_range(-peak..=peak) * 32_768.0).round() / 32_768.0)
}

/// One-pole low-pass noise that swells: a room.
fn room(seconds: f32, db: f32, seed: u64) -> Vec<f32> {
    let mut random = random(seed);
    let (mut low, swell) = (0.0, random.random_range(0.1..0.5_f32));
    let sound = samples(seconds, |t| {
        low = 0.9 * low + 0.1 * random.random_range(-1.0..=1.0_f32);
        low * (0.7 + 0.3 * (TAU * swell * t).sin())
    });
    at_level(sound, db)
}

/// Pink noise: Voss' sum of eight random values, each renewed half as often as the one before.
fn pink(seconds: f32, db: f32, seed: u64) -> Vec<f32> {
    let mut random = random(seed);
    let (mut values, mut n) = ([0.0_f32; 8], 0_u32);
    let sound = samples(seconds, |_| {
        n += 1;
        let place = (n.trailing_zeros() as usize).min(7);
        values[place] = random.random_range(-1.0..=1.0);
        values.iter().sum::<f32>() / 8.0
    });
    at_level(sound, db)
}

fn brown(seconds: f32, db: f32, seed: u64) -> Vec<f32> {
    let (mut random, mut value) = (random(seed), 0.0_f32);
    let sound = samples(seconds, |_| {
        value = 0.998 * value + 0.02 * random.random_range(-1.0..=1.0_f32);
        value
    });
    at_level(sound, db)
}

/// Tones that go on and off: seconds on, off, on, off …
fn cadence(seconds: f32, hz: &[f32], times: &[f32]) -> Vec<f32> {
    let period: f32 = times.iter().sum();
    samples(seconds, |t| {
        let mut left = t % period;
        let on = times.iter().position(|time| {
            let here = left < *time;
            left -= time;
            here
        });
        let sounding = on.is_some_and(|place| place % 2 == 0);
        if sounding { hz.iter().map(|hz| 0.2 * (TAU * hz * t).sin()).sum() } else { 0.0 }
    })
}

/// The three rising tones before an announcement (ITU-T E.180), every four seconds.
fn special_information(seconds: f32) -> Vec<f32> {
    samples(seconds, |t| match t % 4.0 {
        x if x < 0.33 => 0.25 * (TAU * 950.0 * t).sin(),
        x if x < 0.66 => 0.25 * (TAU * 1_400.0 * t).sin(),
        x if x < 0.99 => 0.25 * (TAU * 1_800.0 * t).sin(),
        _ => 0.0,
    })
}

/// Random digits (ITU-T Q.23), 60 to 200 ms each, in groups.
fn dtmf(seconds: f32, seed: u64) -> Vec<f32> {
    let mut random = random(seed);
    let mut sound = Vec::new();
    while sound.len() < (seconds * RATE) as usize {
        let low = [697.0, 770.0, 852.0, 941.0][random.random_range(0..4)];
        let high = [1_209.0, 1_336.0, 1_477.0, 1_633.0][random.random_range(0..4)];
        sound.extend(samples(random.random_range(0.06..0.2), |t| 0.22 * ((TAU * low * t).sin() + (TAU * high * t).sin())));
        let pause = if random.random_bool(0.1) { 2.0 } else { random.random_range(0.05..0.3) };
        sound.extend(samples(pause, |_| 0.0));
    }
    sound.truncate((seconds * RATE) as usize);
    sound
}

/// Frequency shift keying at 300 baud (ITU-T V.21).
fn modem(seconds: f32, seed: u64) -> Vec<f32> {
    let mut random = random(seed);
    let (mut phase, mut hz, mut next) = (0.0_f32, 980.0, 0.0);
    samples(seconds, |t| {
        if t >= next {
            next += 1.0 / 300.0;
            hz = if random.random_bool(0.5) { 980.0 } else { 1_180.0 };
        }
        phase = (phase + hz / RATE) % 1.0;
        0.2 * (TAU * phase).sin()
    })
}

/// A two-pole resonator over a source: a formant.
fn formant(source: &[f32], hz: f32, width_hz: f32) -> Vec<f32> {
    let r = (-std::f32::consts::PI * width_hz / RATE).exp();
    let (a1, a2) = (2.0 * r * (TAU * hz / RATE).cos(), -r * r);
    let (mut y1, mut y2) = (0.0, 0.0);
    source
        .iter()
        .map(|x| {
            let y = (1.0 - r) * x + a1 * y1 + a2 * y2;
            (y2, y1) = (y1, y);
            y
        })
        .collect()
}

/// Breathing into the microphone: noise through a wide mouth, in and out every four seconds.
fn breath(seconds: f32, seed: u64) -> Vec<f32> {
    let noise = white(seconds, -10.0, seed);
    let (low, high) = (formant(&noise, 600.0, 700.0), formant(&noise, 1_700.0, 900.0));
    let mut t = 0.0_f32;
    let sound = low.iter().zip(&high).map(|(low, high)| {
        t += 1.0 / RATE;
        let phase = (t % 4.0) / 4.0;
        let inwards = (-((phase - 0.2) / 0.08).powi(2)).exp();
        let outwards = (-((phase - 0.6) / 0.14).powi(2)).exp();
        inwards * (0.4 * low + high) + outwards * (low + 0.5 * high)
    });
    at_level(sound.collect(), -30.0)
}

/// Coughs and throat clearing: bursts with a falling formant, every few seconds.
fn cough(seconds: f32, seed: u64) -> Vec<f32> {
    let mut random = random(seed);
    let mut sound = room(seconds, -60.0, seed);
    let mut at = 1.0;
    while at < seconds - 1.0 {
        for burst in 0..random.random_range(1..4) {
            let noise = white(0.35, -8.0, seed ^ (at * 1_000.0) as u64 ^ burst);
            let shaped = formant(&noise, random.random_range(500.0..1_200.0), 300.0);
            let start = ((at + 0.35 * burst as f32) * RATE) as usize;
            for (n, x) in shaped.iter().enumerate() {
                let decay = (-(n as f32) / (0.08 * RATE)).exp();
                if let Some(place) = sound.get_mut(start + n) {
                    *place = (*place + 1.5 * x * decay).clamp(-1.0, 1.0);
                }
            }
        }
        at += random.random_range(2.0..6.0);
    }
    sound
}

/// Short decaying bursts of `hz` at random times.
fn bursts(seconds: f32, seed: u64, (hz, decay_s, per_s): (f32, f32, f64)) -> Vec<f32> {
    let mut random = random(seed);
    // Long silent at first; not infinite, whose sine is no number.
    let mut since = 10.0_f32;
    let (mut pitch, mut loud) = (hz, 0.3);
    let sound = samples(seconds, |_| {
        if random.random_bool(per_s / f64::from(RATE_HZ)) {
            (since, pitch, loud) = (0.0, hz * random.random_range(0.7..1.4), random.random_range(0.1..0.6));
        }
        since += 1.0 / RATE;
        let noise = random.random_range(-1.0..=1.0_f32);
        let decay = (-since / decay_s).exp();
        loud * decay * (0.5 * (TAU * pitch * since).sin() + 0.5 * noise)
    });
    let floor = room(seconds, -65.0, seed ^ 1);
    sound.iter().zip(floor).map(|(a, b)| (a + b).clamp(-1.0, 1.0)).collect()
}

fn key_clicks(seconds: f32, seed: u64) -> Vec<f32> {
    bursts(seconds, seed, (2_500.0, 0.006, 6.0))
}

fn knocks(seconds: f32, seed: u64) -> Vec<f32> {
    bursts(seconds, seed, (180.0, 0.05, 1.2))
}

/// Mains with harmonics, drifting in level, over hiss.
fn hum(seconds: f32, hz: f32, seed: u64) -> Vec<f32> {
    let hiss = white(seconds, -60.0, seed);
    let hums = samples(seconds, |t| {
        let level = 0.08 + 0.04 * (TAU * 0.11 * t).sin();
        level * (1..=12).map(|k| (TAU * hz * k as f32 * t).sin() / k as f32).sum::<f32>()
    });
    hums.iter().zip(hiss).map(|(a, b)| a + b).collect()
}

/// Swelling noise and rumble driven far beyond full scale.
fn clipping(seconds: f32, seed: u64) -> Vec<f32> {
    let noise = brown(seconds, -12.0, seed);
    let mut t = 0.0_f32;
    noise
        .iter()
        .map(|x| {
            t += 1.0 / RATE;
            (x * 8.0 * (0.5 + 0.5 * (TAU * 0.4 * t).sin())).clamp(-0.99, 0.99)
        })
        .collect()
}

/// Single samples at full scale: a bad contact.
fn crackle(seconds: f32, seed: u64) -> Vec<f32> {
    let mut random = random(seed);
    samples(seconds, |_| {
        if random.random_bool(0.002) { random.random_range(-0.9..=0.9) } else { random.random_range(-0.002..=0.002) }
    })
}

/// A mobile beside the line: bursts at 217 Hz, in the pattern of a phone that registers.
fn gsm_buzz(seconds: f32, seed: u64) -> Vec<f32> {
    let mut random = random(seed);
    samples(seconds, |t| {
        let frame = t % 4.0;
        let on = frame < 1.2 && (frame * 6.0) % 1.0 < 0.7;
        let slot = (t * 217.0) % 1.0 < 0.125;
        if on && slot { 0.4 * random.random_range(0.6..1.0_f32) } else { 0.0 }
    })
}

/// Noise whose frames of 20 ms get lost in runs and are repeated, each fainter, as decoders conceal it.
fn frame_loss(sound: &[f32], seed: u64) -> Vec<f32> {
    let mut random = random(seed);
    let frame = RATE_HZ as usize / 50;
    let (mut good, mut losing, mut fade) = (vec![0.0; frame], false, 1.0_f32);
    let mut out = Vec::with_capacity(sound.len());
    for part in sound.chunks(frame) {
        losing = if losing { random.random_bool(0.7) } else { random.random_bool(0.1) };
        if losing {
            fade *= 0.8;
            out.extend(good.iter().take(part.len()).map(|x| x * fade));
        } else {
            fade = 1.0;
            good = part.to_vec();
            out.extend_from_slice(part);
        }
    }
    out
}

/// Comfort noise whose spectrum and level jump twice a second (ITU-T G.711 Appendix II), µ-law.
fn comfort_noise(seconds: f32, seed: u64) -> Vec<f32> {
    let mut random = random(seed);
    let mut sound = Vec::new();
    while sound.len() < (seconds * RATE) as usize {
        let noise = white(0.48, -20.0, random.random());
        let shaped = formant(&noise, random.random_range(200.0..2_500.0), random.random_range(300.0..1_500.0));
        sound.extend(at_level(shaped, random.random_range(-58.0..-42.0)));
    }
    sound.truncate((seconds * RATE) as usize);
    companded(&sound)
}

/// Gusts: low noise with a slow random level.
fn wind(seconds: f32, seed: u64) -> Vec<f32> {
    let mut random = random(seed);
    let rumble = brown(seconds, -20.0, seed ^ 2);
    let hiss = formant(&white(seconds, -10.0, seed), 400.0, 300.0);
    let (mut level, mut aim) = (0.0_f32, 0.5);
    let gusts = rumble.iter().zip(&hiss).map(|(rumble, hiss)| {
        if random.random_bool(0.5 / f64::from(RATE_HZ)) {
            aim = random.random_range(0.0..1.0);
        }
        level += (aim - level) * 2.0 / RATE;
        level * (rumble + hiss)
    });
    at_level(gusts.collect(), -28.0)
}

/// Through µ-law and back (ITU-T G.711, in its continuous form).
fn companded(sound: &[f32]) -> Vec<f32> {
    const MU: f32 = 255.0;
    let forth = |x: f32| x.signum() * (1.0 + MU * x.abs()).ln() / (1.0 + MU).ln();
    let back = |y: f32| y.signum() * ((1.0 + MU).powf(y.abs()) - 1.0) / MU;
    sound.iter().map(|x| back((forth(*x) * 128.0).round() / 128.0)).collect()
}

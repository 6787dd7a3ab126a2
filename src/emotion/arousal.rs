//! Arousal from the voice, against the speaker's own earlier utterances.

/// What is measured of one spoken utterance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VoiceSample {
    /// Mean level, dB.
    pub energy_db: f32,
    /// Median pitch in hertz, if enough of it is voiced.
    pub pitch_hz: Option<f32>,
    /// Units a minute.
    pub rate_per_min: Option<f32>,
}

/// Utterances of a speaker that are needed before arousal is claimed.
const BASELINE_MIN: u32 = 2;

/// Running mean and variance (Welford 1962).
#[derive(Clone, Copy, Debug, Default)]
struct Running {
    n: u32,
    mean: f32,
    m2: f32,
}

impl Running {
    fn add(&mut self, x: f32) {
        self.n += 1;
        let delta = x - self.mean;
        self.mean += delta / self.n as f32;
        self.m2 += delta * (x - self.mean);
    }

    /// Standard score of `x`; the deviation is at least `floor`, since few utterances tell little about it.
    fn z(&self, x: f32, floor: f32) -> f32 {
        let deviation = if self.n > 1 { (self.m2 / (self.n - 1) as f32).sqrt() } else { 0.0 };
        ((x - self.mean) / deviation.max(floor)).clamp(-4.0, 4.0)
    }
}

/// Arousal of one speaker's utterances, one after the other.
#[derive(Clone, Debug, Default)]
pub struct ArousalMeter {
    energy_db: Running,
    pitch_semitones: Running,
    rate: Running,
}

impl ArousalMeter {
    /// Arousal in [0, 1] of the next utterance, `None` until the speaker's baseline stands.
    pub fn measure(&mut self, sample: VoiceSample) -> Option<f32> {
        let semitones = sample.pitch_hz.filter(|hz| *hz > 0.0).map(|hz| 12.0 * (hz / 100.0).log2());
        let arousal = (self.energy_db.n >= BASELINE_MIN).then(|| {
            let energy = self.energy_db.z(sample.energy_db, 3.0);
            let pitch = semitones.map_or(0.0, |s| self.pitch_semitones.z(s, 1.5));
            let rate = sample.rate_per_min.map_or(0.0, |r| self.rate.z(r, 30.0));
            1.0 / (1.0 + (-(0.9 * energy + 0.6 * pitch + 0.4 * rate)).exp())
        });
        self.energy_db.add(sample.energy_db);
        if let Some(s) = semitones {
            self.pitch_semitones.add(s);
        }
        if let Some(r) = sample.rate_per_min {
            self.rate.add(r);
        }
        arousal
    }
}

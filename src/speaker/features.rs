//! The spectrum of a voice as mel-frequency cepstral coefficients (Davis and Mermelstein, 1980) of the telephone band, frame
//! by frame. Computed as `models/recipes/speaker/projection.py` does.

use std::sync::{Arc, LazyLock};

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use crate::audio::MODEL_RATE_HZ;

/// Frame and hop in samples at 16 kHz: 25 ms and 10 ms.
pub(super) const WINDOW_SAMPLES: usize = 400;
pub(super) const HOP_SAMPLES: usize = 160;
const FFT_SAMPLES: usize = 512;
const MELS: usize = 26;
/// Coefficients of a frame; the first one is loudness and left out of the statistics.
pub(super) const CEPSTRA: usize = 20;
const LOW_HZ: f64 = 150.0;
const HIGH_HZ: f64 = 3_700.0;
const PRE_EMPHASIS: f32 = 0.97;
/// Frames this far below the loudest are no voice.
const ACTIVE_RANGE_DB: f32 = 30.0;

/// One frame of 25 ms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Mean power, dB below full scale.
    pub level_db: f32,
    pub cepstra: [f32; CEPSTRA],
}

struct Tables {
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    /// First line and weights of each mel filter.
    filters: Vec<(usize, Vec<f32>)>,
    cosines: Vec<[f32; MELS]>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let step = std::f64::consts::TAU / (WINDOW_SAMPLES - 1) as f64;
    Tables {
        fft: RealFftPlanner::new().plan_fft_forward(FFT_SAMPLES),
        window: (0..WINDOW_SAMPLES).map(|n| (0.54 - 0.46 * (n as f64 * step).cos()) as f32).collect(),
        filters: mel_filters(),
        cosines: (0..CEPSTRA).map(cosine_row).collect(),
    }
});

fn cosine_row(k: usize) -> [f32; MELS] {
    let scale = (2.0 / MELS as f64).sqrt();
    std::array::from_fn(|n| (scale * (std::f64::consts::PI * k as f64 * (n as f64 + 0.5) / MELS as f64).cos()) as f32)
}

/// Triangles, even on the mel scale.
fn mel_filters() -> Vec<(usize, Vec<f32>)> {
    let mel = |hz: f64| 1_127.0 * (1.0 + hz / 700.0).ln();
    let hz = |mel: f64| 700.0 * ((mel / 1_127.0).exp() - 1.0);
    let (low, high) = (mel(LOW_HZ), mel(HIGH_HZ));
    let edge = |i: usize| hz(low + (high - low) * i as f64 / (MELS + 1) as f64);
    let line_hz = f64::from(MODEL_RATE_HZ) / FFT_SAMPLES as f64;
    (0..MELS)
        .map(|i| {
            let (from, middle, to) = (edge(i), edge(i + 1), edge(i + 2));
            let first = (from / line_hz).ceil() as usize;
            let last = (to / line_hz).floor() as usize;
            let weight = |line: usize| {
                let at = line as f64 * line_hz;
                ((at - from) / (middle - from)).min((to - at) / (to - middle)).max(0.0) as f32
            };
            (first, (first..=last).map(weight).collect())
        })
        .collect()
}

/// Frames of samples at 16 kHz.
pub(super) fn frames(samples: &[f32]) -> Vec<Frame> {
    let tables = &*TABLES;
    let mut input = vec![0.0f32; FFT_SAMPLES];
    let mut spectrum = vec![Complex::default(); FFT_SAMPLES / 2 + 1];
    let mut found = Vec::with_capacity(samples.len() / HOP_SAMPLES);
    for (number, frame) in samples.windows(WINDOW_SAMPLES).step_by(HOP_SAMPLES).enumerate() {
        let before = (number > 0).then(|| samples[number * HOP_SAMPLES - 1]);
        let mut previous = before.unwrap_or(0.0);
        input.fill(0.0);
        for ((slot, &sample), weight) in input.iter_mut().zip(frame).zip(&tables.window) {
            *slot = (sample - PRE_EMPHASIS * previous) * weight;
            previous = sample;
        }
        // Lengths are those of the plan, so it cannot refuse.
        if tables.fft.process(&mut input, &mut spectrum).is_err() {
            continue;
        }
        let power = frame.iter().map(|s| f64::from(s * s)).sum::<f64>() / WINDOW_SAMPLES as f64;
        let mut mels = [0.0f32; MELS];
        for (mel, (first, weights)) in mels.iter_mut().zip(&tables.filters) {
            let energy: f32 = weights.iter().zip(&spectrum[*first..]).map(|(weight, line)| weight * line.norm_sqr()).sum();
            *mel = (energy + 1e-10).ln();
        }
        let cepstra = std::array::from_fn(|k| tables.cosines[k].iter().zip(&mels).map(|(c, mel)| c * mel).sum());
        found.push(Frame { level_db: (10.0 * (power + 1e-10).log10()) as f32, cepstra });
    }
    found
}

/// Which frames are voice: those not far below the loudest.
pub(super) fn active(frames: &[Frame]) -> Vec<bool> {
    let loudest = frames.iter().map(|frame| frame.level_db).fold(f32::NEG_INFINITY, f32::max);
    frames.iter().map(|frame| frame.level_db > loudest - ACTIVE_RANGE_DB).collect()
}

/// Means and log standard deviations of the coefficients but the first; `None` without frames.
pub(super) fn statistics<'a>(frames: impl Iterator<Item = &'a Frame> + Clone) -> Option<[f32; 2 * (CEPSTRA - 1)]> {
    let count = frames.clone().count();
    if count == 0 {
        return None;
    }
    let mut statistics = [0.0f32; 2 * (CEPSTRA - 1)];
    for k in 1..CEPSTRA {
        let mean = frames.clone().map(|f| f64::from(f.cepstra[k])).sum::<f64>() / count as f64;
        let variance = frames.clone().map(|f| (f64::from(f.cepstra[k]) - mean).powi(2)).sum::<f64>() / count as f64;
        statistics[k - 1] = mean as f32;
        statistics[CEPSTRA - 1 + k - 1] = (variance.sqrt() + 1e-3).ln() as f32;
    }
    Some(statistics)
}

//! Is a frame a steady tone or steady noise? Ring tones, DTMF, beeps and held notes put their energy into a few lines of the
//! spectrum that stay where they are; hiss puts it into all of them for longer than any fricative. A voice has many lines,
//! and they move.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::FRAME_SAMPLES;

/// Analysis window: two frames, 32 ms, 31.25 Hz per line.
const WINDOW_SAMPLES: usize = 2 * FRAME_SAMPLES;
/// Lines from 200 to 3 500 Hz: the telephone band.
const FIRST_LINE: usize = 6;
const LAST_LINE: usize = 112;
/// Lines around a peak that belong to it (the main lobe of a Hann window).
const LOBE: usize = 2;
/// Peaks whose energy is counted: DTMF and most ring tones have two, a chord three.
const PEAKS: usize = 3;
/// Share of the energy in the peaks from which a frame may be a tone.
const PEAK_SHARE: f32 = 0.88;
/// Correlation of the spectrum with that of eight frames (128 ms) ago from which it counts as steady.
const STEADINESS: f32 = 0.97;
const STEADY_FRAMES: usize = 8;
/// Spectral flatness (geometric over arithmetic mean) from which a frame is flat; white noise has 0.56 on average.
const FLATNESS: f32 = 0.42;
/// Noise is steady if so many of the last frames (384 ms) are flat.
const NOISE_FRAMES: u32 = 24;
const MIN_FLAT_FRAMES: u32 = 20;

/// What the spectrum says of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Texture {
    /// Nothing against speech.
    Open,
    /// A steady tone.
    Tone,
    /// Steady noise.
    Noise,
}

/// Streaming measurement, one flag per frame.
pub(super) struct SpectrumGuard {
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    previous: Vec<f32>,
    input: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    history: std::collections::VecDeque<Vec<f32>>,
    /// One bit per frame, the newest lowest: was it flat.
    flat: u32,
}

impl SpectrumGuard {
    pub(super) fn new() -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(WINDOW_SAMPLES);
        let spectrum = fft.make_output_vec();
        let step = std::f32::consts::TAU / WINDOW_SAMPLES as f32;
        Self {
            fft,
            window: (0..WINDOW_SAMPLES).map(|n| 0.5 - 0.5 * (n as f32 * step).cos()).collect(),
            previous: vec![0.0; FRAME_SAMPLES],
            input: vec![0.0; WINDOW_SAMPLES],
            spectrum,
            history: std::collections::VecDeque::with_capacity(STEADY_FRAMES + 1),
            flat: 0,
        }
    }

    /// What the spectrum around this frame is. `frame` has [`FRAME_SAMPLES`] samples.
    pub(super) fn texture(&mut self, frame: &[f32]) -> Texture {
        let samples = self.previous.iter().chain(frame);
        for ((slot, sample), weight) in self.input.iter_mut().zip(samples).zip(&self.window) {
            *slot = sample * weight;
        }
        self.previous.copy_from_slice(frame);
        // Buffers have the lengths of the plan, so it cannot refuse; a frame without spectrum says nothing.
        if self.fft.process(&mut self.input, &mut self.spectrum).is_err() {
            return Texture::Open;
        }
        let lines: Vec<f32> = self.spectrum[FIRST_LINE..=LAST_LINE].iter().map(|line| line.norm_sqr()).collect();
        let peaked = peak_share(&lines) >= PEAK_SHARE;
        self.flat = (self.flat << 1) | u32::from(flatness(&lines) >= FLATNESS);
        let steady = self.history.front().is_some_and(|before| correlation(before, &lines) >= STEADINESS);
        let full = self.history.len() == STEADY_FRAMES;
        self.history.push_back(lines);
        if full {
            self.history.pop_front();
        }
        if full && peaked && steady {
            Texture::Tone
        } else if (self.flat & ((1 << NOISE_FRAMES) - 1)).count_ones() >= MIN_FLAT_FRAMES {
            Texture::Noise
        } else {
            Texture::Open
        }
    }
}

/// Share of the energy that lies in the strongest peaks; 0 for silence.
fn peak_share(lines: &[f32]) -> f32 {
    let total: f32 = lines.iter().sum();
    if total <= f32::MIN_POSITIVE {
        return 0.0;
    }
    let mut rest = lines.to_vec();
    let mut in_peaks = 0.0;
    for _ in 0..PEAKS {
        let Some((peak, _)) = rest.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)) else { break };
        let lobe = peak.saturating_sub(LOBE)..(peak + LOBE + 1).min(rest.len());
        in_peaks += rest[lobe.clone()].iter().sum::<f32>();
        rest[lobe].fill(0.0);
    }
    in_peaks / total
}

/// Geometric over arithmetic mean of the lines, 0 to 1; 0 for silence.
fn flatness(lines: &[f32]) -> f32 {
    let mean = lines.iter().sum::<f32>() / lines.len() as f32;
    if mean <= 1e-9 {
        return 0.0;
    }
    let log_mean = lines.iter().map(|line| line.max(f32::MIN_POSITIVE).ln()).sum::<f32>() / lines.len() as f32;
    log_mean.exp() / mean
}

/// Cosine of two power spectra.
fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let dot: f32 = a.iter().zip(b).map(|(x, y)| x * y).sum();
    let norms = a.iter().map(|x| x * x).sum::<f32>().sqrt() * b.iter().map(|x| x * x).sum::<f32>().sqrt();
    if norms > 0.0 { dot / norms } else { 0.0 }
}

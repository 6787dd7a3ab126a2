//! Features of a voice over a span: loudness, pitch, jitter. They say how it was said, never what or by whom.

use super::MODEL_RATE_HZ;

/// The level that counts as 0 dB, in dB below full scale: about the quantisation noise of 16 bit. Active speech at
/// the usual telephone level of -26 dB (ITU-T P.56) then reads 64, near its sound pressure in a room.
const FLOOR_DBFS: f64 = -90.0;
/// Highest level given.
const MAX_LEVEL_DB: f64 = 110.0;
/// Frames this far below the loudest do not count as voice.
const ACTIVE_RANGE_DB: f64 = 30.0;
/// Analysis frame and hop in samples at 16 kHz: 40 ms and 20 ms.
const FRAME_SAMPLES: usize = 640;
const HOP_SAMPLES: usize = 320;
/// Pitch is looked for on every second sample (8 kHz), from 60 to 400 Hz.
const DECIMATION: usize = 2;
const MIN_PITCH_HZ: f64 = 60.0;
const MAX_PITCH_HZ: f64 = 400.0;
/// YIN's absolute threshold: below it a dip of the normalised difference is a period.
const YIN_THRESHOLD: f64 = 0.15;

/// Features of one span of one channel; `None` where nothing could be measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct VoiceFeatures {
    /// Mean level of the active frames, dB above the calibrated floor, 0 to 110.
    pub energy_db: Option<f64>,
    /// Median fundamental frequency of the voiced frames in hertz, 60 to 400.
    pub pitch_hz: Option<f64>,
    /// Mean relative change of the period between neighbouring voiced frames, 0 to 1.
    pub jitter: Option<f64>,
    /// Share of active frames with a pitch, 0 to 1.
    pub voiced_share: Option<f64>,
}

/// The level of samples in dB above the calibrated floor, 0 to 110; 0 for digital silence.
pub fn level_db(samples: &[f32]) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    let power = samples.iter().map(|&s| f64::from(s) * f64::from(s)).sum::<f64>() / samples.len() as f64;
    if power <= 0.0 {
        return 0.0;
    }
    (10.0 * power.log10() - FLOOR_DBFS).clamp(0.0, MAX_LEVEL_DB)
}

/// Measures a span of samples at 16 kHz. Pitch is YIN (de Cheveigné and Kawahara, 2002) without its last step.
pub fn voice_features(samples: &[f32]) -> VoiceFeatures {
    let frames: Vec<&[f32]> = samples.windows(FRAME_SAMPLES).step_by(HOP_SAMPLES).collect();
    let levels: Vec<f64> = frames.iter().map(|frame| level_db(frame)).collect();
    let loudest = levels.iter().copied().fold(0.0, f64::max);
    if loudest <= 0.0 {
        return VoiceFeatures::default();
    }
    let active: Vec<usize> = (0..frames.len()).filter(|&i| levels[i] > (loudest - ACTIVE_RANGE_DB).max(0.0)).collect();
    let energy_db = active.iter().map(|&i| levels[i]).sum::<f64>() / active.len() as f64;
    let periods: Vec<(usize, f64)> = active.iter().filter_map(|&i| period_s(frames[i]).map(|p| (i, p))).collect();
    let mut pitches: Vec<f64> = periods.iter().map(|(_, period)| 1.0 / period).collect();
    pitches.sort_by(f64::total_cmp);
    let changes: Vec<f64> = periods
        .windows(2)
        .filter(|pair| pair[1].0 == pair[0].0 + 1)
        .map(|pair| ((pair[1].1 - pair[0].1).abs() / pair[0].1).min(1.0))
        .collect();
    VoiceFeatures {
        energy_db: Some(energy_db),
        pitch_hz: pitches.get(pitches.len() / 2).copied(),
        jitter: (!changes.is_empty()).then(|| changes.iter().sum::<f64>() / changes.len() as f64),
        voiced_share: Some(periods.len() as f64 / active.len() as f64),
    }
}

/// The period of a frame in seconds, `None` if it has none.
fn period_s(frame: &[f32]) -> Option<f64> {
    let rate = f64::from(MODEL_RATE_HZ) / DECIMATION as f64;
    // Averaging neighbours keeps what lies above 4 kHz from folding into the pitch range.
    let x: Vec<f64> = frame.chunks_exact(DECIMATION).map(|pair| f64::from(pair[0]) + f64::from(pair[1])).collect();
    let shortest = (rate / MAX_PITCH_HZ) as usize;
    let longest = ((rate / MIN_PITCH_HZ) as usize).min(x.len() / 2);
    let window = x.len() - longest;
    let mut difference = vec![0.0f64; longest + 1];
    for (lag, value) in difference.iter_mut().enumerate().skip(1) {
        *value = (0..window).map(|i| (x[i] - x[i + lag]).powi(2)).sum();
    }
    let mut running = 0.0;
    let mut normalised = vec![1.0f64; longest + 1];
    for lag in 1..=longest {
        running += difference[lag];
        normalised[lag] = if running > 0.0 { difference[lag] * lag as f64 / running } else { 1.0 };
    }
    let mut lag = (shortest..longest).find(|&lag| normalised[lag] < YIN_THRESHOLD)?;
    while lag + 1 < longest && normalised[lag + 1] < normalised[lag] {
        lag += 1;
    }
    let (before, here, after) = (normalised[lag - 1], normalised[lag], normalised[lag + 1]);
    let curvature = before - 2.0 * here + after;
    let shift = if curvature > 0.0 { ((before - after) / (2.0 * curvature)).clamp(-0.5, 0.5) } else { 0.0 };
    Some((lag as f64 + shift) / rate)
}

//! Any rate to 16 kHz, streaming, with exact time.

use rubato::{FftFixedIn, Resampler as _};

use super::AudioError;

/// The rate of everything behind this room, in hertz.
pub const MODEL_RATE_HZ: u32 = 16_000;
/// Lowest and highest rate of a recording in hertz.
pub(super) const RATE_RANGE_HZ: (u32, u32) = (8_000, 48_000);
/// Block length aimed at, per second: 100 means blocks of 10 ms.
const BLOCKS_PER_S: u32 = 100;

/// Streaming conversion of one channel to 16 kHz by FFT blocks (rubato); chunk sizes do not change its output.
///
/// The delay of the filter is taken out: sample `n` of the output is at `n / 16 000` s of the input. What has
/// not come out yet is at most one block of 10 ms (longer for odd rates) plus half a block of filter.
pub struct Resampler {
    rate_hz: u32,
    inner: Option<FftFixedIn<f32>>,
    waiting: Vec<f32>,
    skip_samples: usize,
    taken_samples: u64,
    given_samples: u64,
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resampler")
            .field("rate_hz", &self.rate_hz)
            .field("taken_samples", &self.taken_samples)
            .field("given_samples", &self.given_samples)
            .finish_non_exhaustive()
    }
}

impl Resampler {
    /// A converter from `rate_hz` to 16 kHz.
    ///
    /// # Errors
    /// [`AudioError::UnsupportedRate`] outside 8 000 to 48 000 Hz.
    pub fn new(rate_hz: u32) -> Result<Self, AudioError> {
        let (min_hz, max_hz) = RATE_RANGE_HZ;
        let unsupported = || AudioError::UnsupportedRate { sample_rate_hz: rate_hz, min_hz, max_hz };
        if !(min_hz..=max_hz).contains(&rate_hz) {
            return Err(unsupported());
        }
        let inner = if rate_hz == MODEL_RATE_HZ {
            None
        } else {
            let block = block_samples(rate_hz);
            Some(FftFixedIn::new(rate_hz as usize, MODEL_RATE_HZ as usize, block, 1, 1).map_err(|_| unsupported())?)
        };
        let skip_samples = inner.as_ref().map_or(0, |resampler| resampler.output_delay());
        Ok(Self { rate_hz, inner, waiting: Vec::new(), skip_samples, taken_samples: 0, given_samples: 0 })
    }

    /// The rate of the input in hertz.
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Input taken so far, in samples of the input rate.
    pub fn taken_samples(&self) -> u64 {
        self.taken_samples
    }

    /// Takes samples, gives those that are ready, at 16 kHz. Values that are not finite become 0; all are kept in [-1, 1].
    pub fn push(&mut self, samples: &[f32]) -> Vec<f32> {
        self.taken_samples += samples.len() as u64;
        let clean = samples.iter().map(|&sample| tame(sample));
        if self.inner.is_none() {
            self.given_samples += samples.len() as u64;
            return clean.collect();
        }
        self.waiting.extend(clean);
        self.convert_blocks()
    }

    /// The rest, so that in all `round(taken * 16 000 / rate)` samples were given. The converter is ready for new input
    /// whose time goes on from here.
    pub fn finish(&mut self) -> Vec<f32> {
        let Some(inner) = &mut self.inner else { return Vec::new() };
        let due = exact_samples(self.taken_samples, self.rate_hz).saturating_sub(self.given_samples) as usize;
        let mut rest = Vec::new();
        let zeros = inner.input_frames_max();
        while rest.len() < due {
            self.waiting.extend(std::iter::repeat_n(0.0, zeros));
            rest.extend(self.convert_blocks());
        }
        rest.truncate(due);
        if let Some(inner) = &mut self.inner {
            inner.reset();
            self.skip_samples = inner.output_delay();
        }
        self.waiting.clear();
        self.given_samples = exact_samples(self.taken_samples, self.rate_hz);
        rest
    }

    fn convert_blocks(&mut self) -> Vec<f32> {
        let Some(inner) = &mut self.inner else { return Vec::new() };
        let mut out = Vec::new();
        let mut start = 0;
        loop {
            let need = inner.input_frames_next();
            let Some(block) = self.waiting.get(start..start + need) else { break };
            // The block has the length that the converter asked for, so it cannot refuse; silence keeps the time if it did.
            let converted = inner.process(&[block], None).map(|mut channels| channels.pop().unwrap_or_default());
            let converted = converted.unwrap_or_else(|_| vec![0.0; exact_samples(need as u64, self.rate_hz) as usize]);
            start += need;
            let skipped = self.skip_samples.min(converted.len());
            self.skip_samples -= skipped;
            out.extend(converted[skipped..].iter().map(|&sample| tame(sample)));
        }
        self.waiting.drain(..start);
        self.given_samples += out.len() as u64;
        out
    }
}

/// Input samples of one block: about 10 ms, a whole number of output samples, and even, because the filter of an odd block
/// has its centre between two samples and would shift the time by half of one.
fn block_samples(rate_hz: u32) -> usize {
    let (mut unit, mut rest) = (rate_hz, MODEL_RATE_HZ);
    while rest > 0 {
        (unit, rest) = (rest, unit % rest);
    }
    let unit = (rate_hz / unit) as usize;
    let blocks = ((rate_hz / BLOCKS_PER_S) as usize).div_ceil(unit);
    let block = blocks * unit;
    if block.is_multiple_of(2) { block } else { block + unit }
}

/// `round(samples * 16 000 / rate)`.
fn exact_samples(samples: u64, rate_hz: u32) -> u64 {
    let scaled = u128::from(samples) * u128::from(MODEL_RATE_HZ);
    ((scaled + u128::from(rate_hz) / 2) / u128::from(rate_hz)) as u64
}

fn tame(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }
}

/// A whole channel to 16 kHz.
///
/// # Errors
/// [`AudioError::UnsupportedRate`] outside 8 000 to 48 000 Hz.
pub fn resample(samples: &[f32], rate_hz: u32) -> Result<Vec<f32>, AudioError> {
    let mut resampler = Resampler::new(rate_hz)?;
    let mut out = resampler.push(samples);
    out.extend(resampler.finish());
    Ok(out)
}

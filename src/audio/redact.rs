//! Redaction by silence.

use crate::conversation::TimeSpan;

/// A copy of a channel in which every span is digital silence. A sample is silenced if any part of it lies in a span;
/// spans outside the recording are ignored.
pub fn silence_spans(samples: &[f32], rate_hz: u32, spans: &[TimeSpan]) -> Vec<f32> {
    let mut out = samples.to_vec();
    let rate = i128::from(rate_hz);
    let len = out.len() as i128;
    for span in spans {
        let start = (i128::from(span.start_ms) * rate).div_euclid(1_000).clamp(0, len) as usize;
        let end = -(-i128::from(span.end_ms) * rate).div_euclid(1_000);
        let end = end.clamp(0, len) as usize;
        if start < end {
            out[start..end].fill(0.0);
        }
    }
    out
}

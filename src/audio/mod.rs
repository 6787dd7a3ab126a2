//! Sound: frames off the wire, recordings, rates, G.711, voice features, redaction. Knows hertz and samples, not words.
//!
//! Two ways in, one currency (`f32` samples in [-1, 1], one `Vec` per channel):
//!
//! ```text
//! live   bytes -> FrameDecoder -> samples per channel -> Resampler -> 16 kHz
//! batch  file  -> decode       -> Recording           -> resample  -> 16 kHz
//! ```
//!
//! Time is counted in samples and never estimated: after `finish` a [`Resampler`] has given exactly
//! `round(n * 16 000 / rate)` samples for `n` samples taken, without delay.
//!
//! ```
//! use zhiyin::audio::{Encoding, FrameDecoder, Resampler};
//! let mut frames = FrameDecoder::new(Encoding::Mulaw, 2)?;
//! let channels = frames.push(&[0xff; 320]); // 20 ms of silence, two channels at 8 kHz
//! let mut resampler = Resampler::new(8_000)?;
//! let mut samples = resampler.push(&channels[0]);
//! samples.extend(resampler.finish());
//! assert_eq!(samples.len(), 320);
//! # Ok::<(), zhiyin::audio::AudioError>(())
//! ```

mod decode;
mod encode;
mod error;
mod frame;
mod g711;
mod ogg_opus;
mod redact;
mod resample;
mod voice;

pub use decode::{DecodeOptions, Recording, decode, decode_file};
pub use encode::{encode_ogg_opus, encode_wav};
pub use error::AudioError;
pub use frame::{Encoding, FrameDecoder, LIVE_RATES_HZ};
pub use g711::{alaw_decode, alaw_encode, mulaw_decode, mulaw_encode};
pub use redact::silence_spans;
pub use resample::{MODEL_RATE_HZ, Resampler, resample};
pub use voice::{VoiceFeatures, level_db, voice_features};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod voice_tests;

//! Where is speech, where does it end: a neural detector, a guard against what is not speech, endpoint rules.
//!
//! ```text
//! 16 kHz samples -> 16 ms frames -> probability of voice (earshot) + texture (spectrum)
//!                -> endpoint rules -> VadEvent::Started, VadEvent::Ended(SpeechSegment)
//! ```
//!
//! The same audio in other chunks gives the same events: everything is decided on whole frames.
//!
//! ```
//! use zhiyin::vad::{SpeechDetector, VadConfig};
//! let mut detector = SpeechDetector::new(VadConfig::default())?;
//! assert!(detector.push(&vec![0.0; 16_000]).is_empty()); // a second of silence
//! assert!(detector.flush().is_none());
//! # Ok::<(), zhiyin::vad::VadError>(())
//! ```

mod config;
mod detector;
mod error;
mod texture;

pub use config::VadConfig;
pub use detector::{Endpoint, FRAME_SAMPLES, OpenSegment, Patience, SpeechDetector, SpeechEvidence, SpeechSegment, VadEvent};
pub use error::VadError;

#[cfg(test)]
pub(crate) mod sounds;
#[cfg(test)]
mod tests;

//! Personal data: found in text and over turns, masked in text, and located in audio.
//!
//! ```text
//! text -> Folded (one code point each) -> cues ("卡号", "my number is")
//!                                      -> runs of digits, written or said -> numbers (form, checksum, cue)
//!                                      -> marks (e-mail, plate, passport), places, names
//!      -> Finding{kind, start, end} -> mask | audio_spans
//! turns -> Watcher -> findings of this turn, and of earlier ones that it proves
//! ```
//!
//! Rules and checksums only; no model runs here, so a text costs microseconds. What counts as personal and what does not is
//! written in `datasets/personal-data/README.md`; precision and recall are measured there by [`measure`].
//!
//! ```
//! use zhiyin::privacy::{find, mask};
//! let text = "my number is one three eight double zero one three eight treble zero";
//! assert!(mask(text, &find(text)).starts_with("my number is *** *****"));
//! ```

mod checks;
mod cue;
mod detector;
mod digits;
mod error;
mod folded;
mod kind;
mod marks;
mod mask;
mod measure;
mod names;
mod numbers;
mod places;
mod watcher;

pub use checks::{bank_card, id_card, luhn, social_security};
pub use detector::find;
pub use error::PrivacyError;
pub use kind::{Finding, Kind, KindSet};
pub use mask::{MASK, audio_spans, default_kinds, mask, mask_words, masked_value, of_kinds, redact_conversation};
pub use measure::{Counts, Difference, Marked, MarkedSpan, MarkedTurn, Measured, Share, measure};
pub use watcher::{Seen, Watcher};

#[cfg(test)]
mod tests;

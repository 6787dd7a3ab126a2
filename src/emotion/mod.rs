//! Emotion: of one utterance, its course over a conversation, and what it forebodes.
//!
//! # What the numbers mean
//! * **valence** of an utterance = 5 x sum p(label) v(label), in [-5, 5]; v: neutral 0, satisfied 0.7, grateful 0.8,
//!   anxious -0.4, confused -0.2, disappointed -0.6, sad -0.6, angry -1 (`pipelines/taxonomy/emotion.toml`).
//! * **arousal** comes from the voice alone: the logistic function of 0.9 z(energy) + 0.6 z(pitch) + 0.4 z(rate),
//!   where z compares an utterance with the earlier ones of the same speaker. It claims excitement, no emotion.
//! * **trend** of a role: exponentially weighted mean of the valences, the newest weighing 0.4.
//! * **escalation** in [0, 1]: see [`Course::escalation`]. **Predicted satisfaction** 1 to 5: see
//!   [`Course::predicted_satisfaction`].
//!
//! ```
//! use zhiyin::conversation::Role;
//! use zhiyin::emotion::Course;
//! let mut course = Course::default();
//! course.observe(Role::Customer, -4.0, &["complaint_threat"]);
//! assert!(course.escalation() > 0.5 && course.predicted_satisfaction() < 3.0);
//! ```

mod arousal;
mod correlation;
mod course;
mod reading;

pub use arousal::{ArousalMeter, VoiceSample};
pub use correlation::{Correlation, pearson, spearman};
pub use course::Course;
pub use reading::{VALENCES, read, valence};

#[cfg(test)]
mod tests;

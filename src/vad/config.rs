//! Settings of voice activity.

use serde::{Deserialize, Serialize};

use super::{Endpoint, Patience, VadError};

/// When speech begins and ends. Times are rounded to frames of 16 ms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VadConfig {
    /// Probability of voice from which a frame begins speech, 0 to 1.
    pub on_threshold: f32,
    /// Probability of voice from which a frame continues speech, below `on_threshold`.
    pub off_threshold: f32,
    /// Voiced time within a window of twice its length that begins speech, 32 to 1 000.
    pub min_speech_ms: u32,
    /// Silence that ends speech, 100 to 5 000.
    pub hangover_ms: u32,
    /// Silence that ends a question that is complete by its words, 0 to 5 000; 0: as any other. More than
    /// `hangover_ms` counts as that, less than `padding_ms` as that.
    pub complete_ms: u32,
    /// Silence that ends speech whose words are unfinished (a number, a conjunction, a filler), 0 to 5 000; less than
    /// `hangover_ms` counts as that.
    pub unfinished_ms: u32,
    /// Audio kept before and after speech, 0 to 1 000 and not more than `hangover_ms`.
    pub padding_ms: u32,
    /// Longest segment, 1 000 to 30 000; a longer one is cut at its quietest point.
    pub max_segment_ms: u32,
    /// Frames softer than this many dB above the calibrated floor of the audio room are never speech, 0 to 110.
    pub min_level_db: f32,
    /// A segment is kept only if at most this share of its frames is steady tone (ring tone, DTMF, beeps), 0 to 1.
    pub max_tonal_ratio: f32,
    /// A segment is kept only if the mean probability of voice over its frames is at least this, 0 to 1. Measured: speech
    /// at the telephone 0.8 to 0.9, hiss and DTMF 0.5, rooms and music 0.5 to 0.76.
    pub min_mean_probability: f32,
}

impl Default for VadConfig {
    fn default() -> Self {
        Self {
            on_threshold: 0.6,
            off_threshold: 0.4,
            min_speech_ms: 96,
            hangover_ms: 450,
            complete_ms: 350,
            unfinished_ms: 1_000,
            padding_ms: 200,
            max_segment_ms: 10_000,
            min_level_db: 25.0,
            max_tonal_ratio: 0.25,
            min_mean_probability: 0.6,
        }
    }
}

impl VadConfig {
    /// Silence that ends speech, in milliseconds, and what then ended it.
    pub(super) fn silence(&self, patience: Option<Patience>) -> (u32, Endpoint) {
        let by_meaning = match patience {
            None => self.hangover_ms,
            Some(Patience::Complete) if self.complete_ms > 0 => self.complete_ms.clamp(self.padding_ms, self.hangover_ms),
            Some(Patience::Unfinished) => self.unfinished_ms.max(self.hangover_ms),
            Some(Patience::Complete) => self.hangover_ms,
        };
        (by_meaning, if by_meaning == self.hangover_ms { Endpoint::Vad } else { Endpoint::Semantic })
    }

    /// Checks every range.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn check(&self) -> Result<(), VadError> {
        let rule = |setting, value: f64, holds: bool, range| {
            if holds { Ok(()) } else { Err(VadError::Setting { setting, value, range }) }
        };
        let unit = 0.0..=1.0f32;
        rule("on_threshold", self.on_threshold.into(), unit.contains(&self.on_threshold), "0 to 1")?;
        let below = unit.contains(&self.off_threshold) && self.off_threshold <= self.on_threshold;
        rule("off_threshold", self.off_threshold.into(), below, "0 to vad.on_threshold")?;
        rule("min_speech_ms", self.min_speech_ms.into(), (32..=1_000).contains(&self.min_speech_ms), "32 to 1000")?;
        rule("hangover_ms", self.hangover_ms.into(), (100..=5_000).contains(&self.hangover_ms), "100 to 5000")?;
        let complete = self.complete_ms <= 5_000;
        rule("complete_ms", self.complete_ms.into(), complete, "0 to 5000")?;
        let unfinished = self.unfinished_ms <= 5_000;
        rule("unfinished_ms", self.unfinished_ms.into(), unfinished, "0 to 5000")?;
        let padded = self.padding_ms <= 1_000 && self.padding_ms <= self.hangover_ms;
        rule("padding_ms", self.padding_ms.into(), padded, "0 to 1000, not above vad.hangover_ms")?;
        let longest = (1_000..=30_000).contains(&self.max_segment_ms);
        rule("max_segment_ms", self.max_segment_ms.into(), longest, "1000 to 30000")?;
        rule("min_level_db", self.min_level_db.into(), (0.0..=110.0).contains(&self.min_level_db), "0 to 110")?;
        rule("max_tonal_ratio", self.max_tonal_ratio.into(), unit.contains(&self.max_tonal_ratio), "0 to 1")?;
        let mean = self.min_mean_probability;
        rule("min_mean_probability", mean.into(), unit.contains(&mean), "0 to 1")
    }
}

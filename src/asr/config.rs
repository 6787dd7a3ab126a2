//! Settings of recognition.

use serde::{Deserialize, Serialize};

use super::AsrError;

/// The pool and its sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// Decoder threads, each with a state of its own and one thread of computation; 0 means one per core, 1 to 64.
    pub decoders: usize,
    /// Sessions (audio channels) at once, 1 to 4 096. One more is refused at once.
    pub max_sessions: usize,
    /// New speech before the first partial of an utterance, in milliseconds, 100 to 5 000.
    pub first_partial_ms: u32,
    /// New speech between partials, in milliseconds, 100 to 10 000.
    pub partial_interval_ms: u32,
    /// A partial that waited longer than this is dropped, in milliseconds, 50 to 5 000.
    pub partial_patience_ms: u32,
    /// Whether the final before is given to the recogniser as a prompt (docs/listening.md).
    pub carry_over: bool,
    /// When a text counts as invented.
    pub gate: GateConfig,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            decoders: 0,
            max_sessions: 64,
            first_partial_ms: 180,
            partial_interval_ms: 400,
            partial_patience_ms: 400,
            carry_over: false,
            gate: GateConfig::default(),
        }
    }
}

/// Limits beyond which a text is taken for invented and dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GateConfig {
    /// Highest probability of 'no speech' with a text that is less sure than `sure_log_probability`, 0 to 1.
    pub max_no_speech: f32,
    /// Mean log-probability per token below which a text is dropped, natural logarithm, at most 0.
    pub min_log_probability: f32,
    /// The same for the words of a partial, which are fewer and shown for a moment only.
    pub min_partial_log_probability: f32,
    /// Mean log-probability per token from which weak evidence of speech is forgiven, at most 0.
    pub sure_log_probability: f32,
    /// Lowest share of voiced frames for a text that is less sure, 0 to 1.
    pub min_speech_ratio: f32,
    /// Share of active frames with a pitch below which a text has to be surer still, 0 to 1: breath and coughs have none, and
    /// neither have some short digits.
    pub min_voiced_share: f32,
    /// Mean log-probability per token that a text without a pitch needs, at most 0.
    pub unvoiced_log_probability: f32,
    /// Longest audio without a pitch in which a text may stand at all, milliseconds: a digit has no pitch for three quarters of
    /// a second, longer it is breath.
    pub max_unvoiced_ms: u32,
    /// Mean probability of voice from which `min_log_probability` is enough; at 0.5 `sure_log_probability` is asked for, and
    /// in between what lies in between. 0.5 to 1.
    pub clear_speech_probability: f32,
    /// Highest ratio of text length to its deflated length.
    pub max_compression: f32,
    /// Most times that a group of words may stand in a row.
    pub max_repeats: usize,
    /// Most words (Chinese: characters) per second.
    pub max_words_per_s: f32,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            max_no_speech: 0.6,
            min_log_probability: -0.8,
            min_partial_log_probability: -1.0,
            sure_log_probability: -0.35,
            min_speech_ratio: 0.4,
            min_voiced_share: 0.02,
            unvoiced_log_probability: -0.12,
            max_unvoiced_ms: 1_000,
            clear_speech_probability: 0.82,
            max_compression: 2.4,
            max_repeats: 4,
            max_words_per_s: 12.0,
        }
    }
}

impl EngineConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn check(&self) -> Result<(), AsrError> {
        let rule = |setting, value: f64, holds: bool, range| {
            if holds { Ok(()) } else { Err(AsrError::Setting { setting, value, range }) }
        };
        let time = |setting, value: u32, range: std::ops::RangeInclusive<u32>, text| {
            rule(setting, f64::from(value), range.contains(&value), text)
        };
        rule("decoders", self.decoders as f64, self.decoders <= 64, "0 to 64")?;
        rule("max_sessions", self.max_sessions as f64, (1..=4_096).contains(&self.max_sessions), "1 to 4096")?;
        time("first_partial_ms", self.first_partial_ms, 100..=5_000, "100 to 5000")?;
        time("partial_interval_ms", self.partial_interval_ms, 100..=10_000, "100 to 10000")?;
        time("partial_patience_ms", self.partial_patience_ms, 50..=5_000, "50 to 5000")?;
        let unit = |value: f32| (0.0..=1.0).contains(&value);
        let gate = &self.gate;
        rule("gate.max_no_speech", gate.max_no_speech.into(), unit(gate.max_no_speech), "0 to 1")?;
        rule("gate.min_speech_ratio", gate.min_speech_ratio.into(), unit(gate.min_speech_ratio), "0 to 1")?;
        rule("gate.min_voiced_share", gate.min_voiced_share.into(), unit(gate.min_voiced_share), "0 to 1")?;
        rule("gate.max_repeats", gate.max_repeats as f64, gate.max_repeats >= 1, "1 or more")?;
        rule("gate.max_compression", gate.max_compression.into(), gate.max_compression >= 1.0, "1 or more")
    }

    /// The number of decoder threads: as set, or one per core.
    pub(super) fn decoder_count(&self) -> usize {
        if self.decoders > 0 { self.decoders } else { num_cpus::get().clamp(1, 64) }
    }
}

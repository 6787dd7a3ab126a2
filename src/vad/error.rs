//! What can be wrong with the settings of voice activity.

/// Why a detector could not be made.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum VadError {
    /// A setting is outside its range.
    #[error("vad.{setting} = {value} is out of range: use {range}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// What it was set to.
        value: f64,
        /// What is allowed.
        range: &'static str,
    },
}

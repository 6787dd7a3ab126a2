//! `[heads.TASK]`: which model answers a task instead of the encoder's own head.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A head of the configuration. `[heads]` maps a task (`intent`, `emotion`, `conduct`, `act`, or a name of one's own) to one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadSettings {
    /// Model id or folder: a head of `zhiyin train`, or a sequence classification checkpoint in Hugging Face layout.
    pub model: String,
    /// Names for its labels: `{ joy = "satisfied", anger = "angry" }`. Several may be given one name; others keep theirs.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

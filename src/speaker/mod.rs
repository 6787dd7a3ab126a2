//! Who speaks, when all parties share one channel: turns, speaker labels, roles.
//!
//! ```text
//! segment -> changes (pauses where the voice changes) -> parts, each one turn
//! part    -> embed (20 numbers of its voice)          -> Diarizer: speaker labels, corrected as more is heard
//! words   -> agent_evidence (wording, greeting)       -> name_roles: who is the agent
//! ```
//!
//! An embedding tells the two voices of one call apart. It is kept as long as the call runs and compared with nothing outside
//! it: this room recognises nobody.
//!
//! ```
//! use zhiyin::speaker::{Diarizer, embed};
//! let mut diarizer = Diarizer::default();
//! let tone: Vec<f32> = (0..16_000).map(|n| (n as f32 * 0.05).sin() * 0.3).collect();
//! diarizer.take(embed(&tone));
//! assert_eq!(diarizer.labels(), [0]);
//! ```

mod changes;
mod diarizer;
mod embedding;
mod features;
mod roles;

pub use changes::changes;
pub use diarizer::{Diarizer, MAX_SPEAKERS};
pub use embedding::{DIMENSIONS, SpeakerEmbedding, embed};
pub use roles::{RoleEvidence, agent_evidence, is_greeting, name_roles};

#[cfg(test)]
mod tests;

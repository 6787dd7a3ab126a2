//! The shared words of the product: who spoke when, what was said and what was understood.
//!
//! Plain values without I/O. Two families:
//!
//! * [`Conversation`] and [`Turn`]: the interchange form of a whole conversation (one JSON object), in which
//!   conversations are imported, scored, tested and passed to the command line.
//! * [`Utterance`] and its annotations ([`Understanding`]): what the live flow produces, one at a time.
//!
//! [`Conversation::from_utterances`] leads from the second to the first.
//!
//! ```
//! use zhiyin::conversation::{Conversation, Role};
//! let json = r#"{"id":"c1","channel":"chat","language":"en",
//!   "turns":[{"role":"customer","text":"Where is my parcel?","start_ms":0,"end_ms":0}]}"#;
//! let conversation: Conversation = serde_json::from_str(json).unwrap();
//! assert_eq!(conversation.turns[0].role, Role::Customer);
//! ```

mod id;
mod role;
mod transcript;
mod understanding;

pub use id::{CallId, IdKind, UtteranceId, new_id};
pub use role::{Channel, Direction, Language, Role};
pub use transcript::{
    AudioLayout, Conversation, EmotionScore, EntitySpan, MetadataValue, Named, TimeSpan, Turn, Utterance, Word,
};
pub use understanding::{
    Act, Conduct, EmotionReading, EmotionSources, Entity, IntentScore, OutOfScope, Understanding, VoiceReading,
};

#[cfg(test)]
mod tests;

//! The versioned wire vocabulary: everything that happens in a call, as numbered events.
//!
//! An [`Event`] is an envelope around one [`EventBody`]. *Durable* events take the next `seq` of their call
//! (from 1, without gaps); *ephemeral* ones ([`EventBody::TranscriptPartial`]) carry the `seq` of the last
//! durable event and a running `sub`. The order of a call is `(seq, sub)`.
//!
//! Stages make [`Draft`]s; an [`EventSink`] numbers them, makes them durable and only then shows them.
//!
//! ```
//! use zhiyin::event::{Draft, EventBody};
//! let draft = Draft::new(1_200, EventBody::SpeechStarted {
//!     channel_index: 0, role: zhiyin::conversation::Role::Customer, start_ms: 1_200,
//! });
//! assert!(draft.body.is_durable());
//! assert_eq!(draft.body.kind(), "speech.started");
//! ```

mod body;
mod call;
mod envelope;
mod revised;
mod sink;

pub use body::{
    AlertEvidence, AlertLevel, AlertRaised, CallEnded, EventBody, QualityScored, Redaction, ResolveReason, RiskUpdated,
    StageNotice, SuggestionUpdated, Timings, TranscriptFinal, TranscriptPartial, WithdrawReason,
};
pub use call::{
    AgentRef, AudioSpec, Call, CallState, ChannelSpec, Consent, CustomerRef, Encoding, HotWord, NewCall, Participant,
    millis_between,
};
pub use envelope::{Draft, EVENT_VERSION, Event, now_rfc3339};
pub use revised::{ReviseCause, TranscriptRevised};
pub use sink::{Appended, EventSink, MemorySink, Record, SinkError};

#[cfg(test)]
mod tests;

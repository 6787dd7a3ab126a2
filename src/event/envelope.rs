//! The envelope of an event and the draft that it is made from.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::EventBody;
use crate::conversation::CallId;

/// Version of the event vocabulary.
pub const EVENT_VERSION: u8 = 1;

/// One event of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Version of the vocabulary, 1.
    pub v: u8,
    /// The call.
    pub call_id: CallId,
    /// Number of the event in its call, from 1; ephemeral events carry the number of the last durable one.
    pub seq: u64,
    /// 0 for durable events; 1, 2, 3… for ephemeral ones behind the same `seq`.
    pub sub: u32,
    /// Type and data.
    #[serde(flatten)]
    pub body: EventBody,
    /// Wall clock, RFC 3339 in UTC with milliseconds.
    pub time: String,
    /// Place in the recording, milliseconds from the first sample.
    pub at_ms: i64,
    /// Trace this event belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// An event before it has a number and a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Place in the recording, milliseconds from the first sample.
    pub at_ms: i64,
    /// Type and data.
    pub body: EventBody,
}

impl Draft {
    /// A draft at a place in the recording.
    pub fn new(at_ms: i64, body: EventBody) -> Self {
        Self { at_ms, body }
    }

    /// The event with its number and the present time.
    pub fn numbered(self, call_id: &CallId, seq: u64, sub: u32) -> Event {
        Event {
            v: EVENT_VERSION,
            call_id: call_id.clone(),
            seq,
            sub,
            body: self.body,
            time: now_rfc3339(),
            at_ms: self.at_ms,
            trace_id: None,
        }
    }
}

/// The present time as the wire writes it.
pub fn now_rfc3339() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

//! The frames of the audio socket, `zhiyin.audio.v1`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::event::{ChannelSpec, Encoding, HotWord};

/// What a client says; samples come as binary frames.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub(super) enum ClientFrame {
    /// First frame.
    #[serde(rename = "audio.start")]
    Start(Box<StartFrame>),
    /// Samples were lost.
    #[serde(rename = "audio.gap")]
    Gap {
        /// Channel; all if absent.
        channel_index: Option<u16>,
        /// How much.
        duration_ms: u64,
    },
    /// Nothing is heard until `audio.resume`.
    #[serde(rename = "audio.pause")]
    Pause {
        /// `hold`, `payment`, `consent` or `mute`.
        #[serde(default)]
        reason: String,
    },
    /// Listening goes on.
    #[serde(rename = "audio.resume")]
    Resume,
    /// What is pending becomes final now.
    #[serde(rename = "audio.flush")]
    Flush {
        /// Channel; all if absent.
        channel_index: Option<u16>,
    },
    /// What the recogniser may expect from the next segment on.
    #[serde(rename = "hints.update")]
    Hints {
        /// Words that are likely to be said; they replace those of the call, not those of its queue.
        hot_words: Vec<HotWord>,
    },
    /// Echoed when everything before it is final.
    #[serde(rename = "audio.mark")]
    Mark {
        /// Name.
        name: String,
    },
    /// That was all.
    #[serde(rename = "audio.end")]
    End,
}

/// Types of [`ClientFrame`]: others are answered by an error, and the socket stays.
pub(super) const CLIENT_TYPES: [&str; 8] =
    ["audio.start", "audio.gap", "audio.pause", "audio.resume", "audio.flush", "audio.mark", "audio.end", "hints.update"];

/// How the samples are written.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StartFrame {
    /// Encoding; what `NewCall` said by default.
    pub(super) encoding: Option<Encoding>,
    /// 8 000, 16 000, 24 000 or 48 000.
    pub(super) sample_rate_hz: Option<u32>,
    /// Channels in the order of the interleaved samples.
    pub(super) channels: Option<Vec<ChannelSpec>>,
    /// `live` or `replay`.
    #[serde(default)]
    pub(super) pace: Pace,
    /// Come back, or take over.
    #[serde(default)]
    pub(super) resume: bool,
    /// Where the first sample lies in the call.
    #[serde(default)]
    pub(super) start_offset_ms: i64,
    /// Events to be sent back on this socket.
    pub(super) events: Option<Vec<String>>,
}

/// How fast audio comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Pace {
    /// As it is spoken.
    #[default]
    Live,
    /// As fast as it is taken.
    Replay,
}

/// What the server says.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(tag = "type")]
pub(super) enum ServerFrame {
    /// The client may send.
    #[serde(rename = "audio.ready")]
    Ready {
        /// Call.
        call_id: String,
        /// Send from here on.
        resume_from_ms: i64,
        /// How far live audio may run ahead.
        max_ahead_ms: i64,
    },
    /// How far the call is.
    #[serde(rename = "audio.ack")]
    Ack {
        /// Received.
        received_ms: i64,
        /// Final.
        final_ms: i64,
        /// Behind.
        lag_ms: i64,
    },
    /// Recognition is behind.
    #[serde(rename = "audio.slow")]
    Slow {
        /// How far.
        lag_ms: i64,
    },
    /// This node goes away: reconnect with `resume`.
    #[serde(rename = "audio.drain")]
    Drain {
        /// Until when.
        deadline_ms: u64,
    },
    /// Everything before a mark is final.
    #[serde(rename = "audio.marked")]
    Marked {
        /// Name.
        name: String,
        /// Place.
        at_ms: i64,
    },
    /// Everything is final.
    #[serde(rename = "audio.closed")]
    Closed {
        /// Length.
        duration_ms: i64,
        /// Finals.
        n_utterances: u64,
    },
    /// Something cannot be used.
    #[serde(rename = "error")]
    Error {
        /// Code.
        code: String,
        /// What, and how to mend it.
        detail: String,
        /// Whether the socket closes.
        fatal: bool,
    },
}

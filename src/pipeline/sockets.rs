//! What an audio socket says to a call when it comes, and what it is told.

use tokio::sync::mpsc;

use crate::event::ChannelSpec;

/// A socket that wants to send audio.
#[derive(Debug)]
pub struct Attach {
    /// Number of the socket, unique in the process.
    pub writer: u64,
    /// Channels it sends, in the order of its frames.
    pub channels: Vec<ChannelSpec>,
    /// Rate of its samples.
    pub sample_rate_hz: u32,
    /// Where its first sample lies in the call, milliseconds.
    pub start_offset_ms: i64,
    /// Faster than real time is allowed; the sender is slowed down instead.
    pub replay: bool,
    /// Whether revisable texts are wanted.
    pub partials: bool,
    /// It comes back, or takes over from another.
    pub resume: bool,
    /// Where notices to it go.
    pub notices: mpsc::UnboundedSender<AudioNotice>,
}

/// The answer to a socket that may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioReady {
    /// Send from here on.
    pub resume_from_ms: i64,
    /// How far it may run ahead.
    pub max_ahead_ms: i64,
}

/// What a sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudioNotice {
    /// How far the call is, every second.
    Ack {
        /// Audio received.
        received_ms: i64,
        /// Everything before is final.
        final_ms: i64,
        /// Audio not yet worked off.
        lag_ms: i64,
    },
    /// Recognition is behind.
    Slow {
        /// How far.
        lag_ms: i64,
    },
    /// Everything before a mark is final.
    Marked {
        /// Name of the mark.
        name: String,
        /// Its place.
        at_ms: i64,
    },
    /// Everything is final; the socket may close.
    Closed {
        /// Length.
        duration_ms: i64,
        /// Final utterances.
        n_utterances: u64,
    },
    /// Another socket took over.
    TakenOver,
    /// More than [`MAX_AHEAD_MS`](super::MAX_AHEAD_MS) ahead of real time.
    TooFarAhead,
    /// This node goes away.
    Drain,
    /// What was heard could not be kept: come back and send again from `resume_from_ms`.
    NotKept,
    /// The call ended.
    CallEnded,
}

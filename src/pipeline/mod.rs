//! The flows: stages put together, for running calls and for finished conversations.
//!
//! ```text
//! LIVE   audio | message -> Ears/Listener -> final -> Desk (understand, search, suggest, rules) -> Drafts -> EventSink
//! BATCH  Conversation -> annotate -> scorecard, summary
//! ```
//!
//! [`Hub`] holds the running calls; each is one task with a mailbox ([`Command`]), so that its events have one order. The
//! [`Desk`] knows no clock and no sink: live, batch and evaluation run the same stage code. Which stages run is said by a
//! pipeline file ([`PipelineSpec`]).
//!
//! ```
//! use zhiyin::pipeline::PipelineSpec;
//! let problems = PipelineSpec::parse("id = \"x\"\n[[stage]]\nname = \"assist\"\n").unwrap_err();
//! assert_eq!(problems[0], "stage \"assist\" needs \"passage\", which nothing before it gives");
//! ```

mod admission;
mod after_call;
mod batch;
mod batch_input;
mod bot;
mod call_heard;
mod call_message;
mod call_task;
mod desk;
mod ears;
mod entities;
mod error;
mod guarded;
mod heads;
mod heard;
mod hub;
mod in_force;
pub mod listen;
mod overlap;
mod parties;
mod rewrite;
mod score_files;
mod sockets;
mod spec;
mod stages;

pub use admission::{Admission, Refusal};
pub use after_call::scorecard;
pub use batch::annotate;
pub use batch_input::{CONVERSATION_FILES, RawConversation, Refused, conversations, files_of, is_kind};
pub use bot::{Backend, Bot, Talker};
pub use call_task::{Attach, AudioNotice, AudioReady, Command, Ending, NewMessage, Said};
pub use desk::{Desk, head_of};
pub use ears::MAX_AHEAD_MS;
pub use error::PipelineError;
pub use guarded::Guarded;
pub use heads::{HeadError, HeadSwitch, activate, load_head};
pub use hub::{Hub, HubConfig, spoken_in};
pub use in_force::{InForce, overlay};
pub use listen::{ListenError, Listener, ListenerConfig};
pub use rewrite::Rewriter;
pub use score_files::{Journal, scorecards, write_parquet};
pub use spec::{PipelineSpec, STAGE_KINDS, StageKind};
pub use stages::{Stages, Understood};

#[cfg(test)]
mod tests;

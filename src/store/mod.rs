//! Everything that outlives the process: calls, their event log, suggestions, alerts, documents, scorecards, tokens.
//!
//! One SQLite database in WAL mode. All writes go through one writer task that commits in groups: a write is
//! answered when its group is durable (`synchronous` NORMAL by default: survives the death of the process; FULL:
//! loss of power too). Reads use their own connections.
//!
//! [`EventLog`] is the [`EventSink`](crate::event::EventSink) of the service: it numbers events, commits them, and only
//! then hands them to subscribers.
//!
//! ```no_run
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! use zhiyin::store::{Store, StoreConfig};
//! let store = Store::open(&StoreConfig::new("data")).await?;
//! let calls = store.list_calls(&Default::default()).await?;
//! # Ok(()) }
//! ```

mod calls;
mod chat;
mod error;
mod jobs;
mod knowledge;
mod log;
mod quality;
mod records;
mod redact;
mod rows;
mod schema;
mod write;

pub use calls::{CallFilter, Page};
pub use chat::{ChatRow, ChatWrite};
pub use error::StoreError;
pub use jobs::{JobItemRow, JobRow, JobWrite};
pub use knowledge::{GapRow, KnowledgeWrite, PassageFeedbackRow, SearchRow, UsageRow};
pub use log::{EventLog, Subscription, SubscriptionItem, WALL_CAPACITY};
pub use quality::{AppealRow, AssignmentRow, CallChoice, JudgementRow, QualityDocument, QualityWrite, ScoreFilter};
pub use records::{AlertRow, AuditEntry, DocumentRow, FeedbackRow, IdempotentAnswer, ScoreRow, SuggestionRow};
pub use schema::{Store, StoreConfig};
pub use write::Write;

#[cfg(test)]
mod tests;

//! The chat front: a message and what was understood and found for it -> reply, slots, hand-over.
//!
//! ```text
//! pipelines/chat.toml, chat/webhooks.toml, chat/flows/*.toml -> FlowBook (checked)
//! State + Heard (message, vector, intents, passages) -> Dialogue::turn -> Turn (state, reply, acts, hand-over)
//!                                                          |  Needs(CallRequest) ^  Searches ^
//!                                                          +-> a business call --+ CallResult |
//!                                                          +-> a search of the articles ------+ passages
//! ```
//!
//! Everything is pure: no clock, no store, no network. A business call ([`Outcome::Needs`]) or a search of the articles
//! ([`Outcome::Searches`]) is asked for and comes back as a value; then the same turn is made again with it. Flows are explained in `docs/chat-flows.md`. Answers out of articles
//! are quotations: [`grounded`] holds for each of them.
//!
//! ```no_run
//! # fn f() -> Result<(), Box<dyn std::error::Error>> {
//! use zhiyin::chat::{CallResults, Dialogue, FlowBook, Heard, Outcome, State};
//! use zhiyin::conversation::Language;
//! let dialogue = Dialogue::new(FlowBook::load("pipelines".as_ref(), &[])?);
//! let today = chrono::NaiveDate::from_ymd_opt(2026, 3, 10).ok_or("no such day")?;
//! let state = State::new(Language::Zh, today);
//! let heard = Heard { text: "我的快递到哪了".into(), ..Heard::default() };
//! if let Outcome::Turn(turn) = dialogue.turn(&state, &heard, &CallResults::new()) {
//!     println!("{}", turn.text()); // asks for the order number
//! }
//! # Ok(()) }
//! ```

mod answer;
mod book;
mod condition;
mod config;
mod correct;
mod dates;
mod dialogue;
mod error;
mod flow;
mod form;
mod handover;
mod in_flow;
mod message;
mod offer;
mod state;
mod story;
mod support;
mod trigger;
mod turn;
mod values;

pub use answer::{Answer, Citation, extract, grounded, overlap};
pub use book::{FlowBook, toml_files};
pub use condition::{Comparison, Condition};
pub use config::{ChatConfig, Cue, Limits, Thresholds};
pub use dialogue::Dialogue;
pub use error::{ChatError, Problem};
pub use flow::{
    Flow, Row, Slot, SlotKind, SlotOption, Step, Table, Then, Trigger, Triggers, Webhook, Webhooks, When, WordLists, Words,
};
pub use form::{CallRequest, CallResult, CallResults};
pub use handover::{HandOver, Reason};
pub use message::{Message, units};
pub use state::{Ends, Frame, Offer, State};
pub use story::{Backend, Story, StoryFile, StoryTurn, acts_written, difference, end_difference, load_stories};
pub use support::{is_supported, supported};
pub use trigger::Fit;
pub use turn::{Act, Button, Gap, Heard, Outcome, Turn};

#[cfg(test)]
mod flow_tests;
#[cfg(test)]
mod tests;

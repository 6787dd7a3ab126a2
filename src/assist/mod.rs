//! Suggestions to the agent: what was understood + what the knowledge base found -> a suggestion, with its reason.
//!
//! Pure: no clock, no store, no model. [`Advisor`] keeps the little state of one conversation (what was shown and when)
//! so that nothing is shown twice within the cool-down. The flow: [`wants_search`] says whether an utterance asks for
//! knowledge and with which query; the caller searches; [`Advisor::suggest`] decides what is worth showing.
//!
//! ```
//! use zhiyin::assist::{Advisor, AdvisorConfig};
//! let advisor = Advisor::new(AdvisorConfig::default(), Default::default());
//! assert_eq!(advisor.shown(), 0);
//! ```

mod advisor;
mod error;
mod query;
mod suggestion;
mod template;

pub use advisor::{Advisor, AdvisorConfig, Found, Moment};
pub use error::AssistError;
pub use query::{SearchWish, rewritten, wants_search};
pub use suggestion::{Citation, Suggestion, SuggestionKind, SuggestionTrigger, Why};
pub use template::{Template, TemplateBook};

#[cfg(test)]
mod tests;

//! What a conversation was about: an extractive summary with the turns it comes from.
//!
//! Nothing is invented: every section quotes turns. The reason is the customer's first turn with a wish, steps are
//! what the agent explained or did, the outcome is the last of them before the closing, promises are turns in which
//! the agent promised something.
//!
//! ```
//! use zhiyin::conversation::{Conversation, Language};
//! let summary = zhiyin::insight::summarise(&Conversation::default(), Language::En);
//! assert!(summary.sections.is_empty());
//! ```

mod summary;

pub use summary::{Summary, SummarySection, summarise};

#[cfg(test)]
mod tests;

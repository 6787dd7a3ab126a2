//! Quality inspection: rules over conversations, schemes that make scores of them, and the same rules on a
//! conversation that still goes on.
//!
//! The flow: [`RuleFile::parse_toml`] reads and checks rules (every problem with file, line and column) →
//! [`RuleSet::compile`] puts them together → [`RuleSet::evaluate`] gives a [`RuleResult`] with evidence for each
//! rule → [`score`] makes a [`Scorecard`] of them by a [`Scheme`] → [`report::html`] shows many. Live, a
//! [`LiveEvaluator`] takes sentences, annotations and the clock and says what each of them changed; after the end it
//! says exactly what the batch says.
//!
//! Logic has three values: a rule hits only on *true*, and what cannot be measured (an annotation that was not
//! computed, a model that is not there) is *na* and costs nobody points.
//!
//! ```
//! use zhiyin::conversation::Conversation;
//! use zhiyin::quality::{Models, RuleFile, RuleSet, RuleState};
//! let rules = RuleFile::parse_toml("rules.toml", r#"
//!     [[rule]]
//!     id = "greeting-missing"
//!     when = "!greet"
//!     [rule.conditions.greet]
//!     role = "agent"
//!     sentences = [1, 3]
//!     keyword = { any = ["您好"] }
//! "#).unwrap();
//! let rules = RuleSet::compile(rules);
//! let call: Conversation = serde_json::from_str(
//!     r#"{"id":"c1","turns":[{"role":"agent","text":"喂？","start_ms":0,"end_ms":900}]}"#).unwrap();
//! let results = rules.evaluate(&call, &Models::default()).unwrap();
//! assert_eq!(results[0].state, RuleState::Hit);
//! ```

pub mod accuracy;
pub mod agreement;
mod check;
mod classes;
mod condition;
pub mod conformance;
pub mod diff;
mod error;
mod evaluate;
mod expr;
mod fields;
mod flow_run;
pub mod import;
mod live;
mod model;
mod models;
mod number;
mod operators;
mod parse;
mod replay;
pub mod report;
pub mod review;
mod rule_test;
mod ruleset;
mod scheme;
mod score;
mod sentence;
mod silence_timer;
mod sop;
mod source;
pub mod spreadsheet;
mod text;
mod trace;
pub mod tune;
mod value;
mod window;

pub use error::{ConversationError, Problem, Severity};
pub use live::{LiveChange, LiveEvaluator, Verdict};
pub use model::{Clock, EffectKind, Kind, Level, Policy, Review, Rule, Span};
pub use models::{Answer, Article, AskFn, Models, Question, Quote, SimilarityFn};
pub use parse::RuleFile;
pub use rule_test::{RuleTest, TestOutcome, quote, read_dialogue, run_rule_tests};
pub use ruleset::{MAX_TURNS, RuleHit, RuleResult, RuleSet, RuleState, check_conversation};
pub use scheme::{Mode, Scheme};
pub use score::{
    DimensionScore, ENGINE_VERSION, Given, ManualAnswer, ManualAnswers, Scorecard, ScoredRule, score, score_all, scorecard,
};
pub use sop::{SopFlows, SopStep};
pub use trace::trace;

#[cfg(test)]
mod tests;

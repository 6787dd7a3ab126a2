//! Evaluation: whether something is better, and by how much.
//!
//! ```text
//! Task (a file) -> Dataset (examples) -> System (predictions) -> score (outcomes, statistics) -> TaskResult
//! TaskResult + baseline -> compare (paired tests) -> Gate, report
//! ```
//!
//! A [`Task`] says what is measured on what; a [`System`] answers: the built-in stages, a served Zhiyin, or a file of
//! predictions that any program may have written. [`run_task`] gives a [`TaskResult`] with intervals, slices and a
//! [`Receipt`]; [`compare()`] puts two of them side by side, example by example. Nothing is left out silently: what cannot be
//! read is refused with its line, what is not there is named with the way to get it.
//!
//! ```
//! use zhiyin::eval::statistics::{mcnemar_exact, wilson};
//! use zhiyin::eval::metrics::edits;
//! // 80 of 2,000 examples became wrong, 40 became right: no accident.
//! assert!(mcnemar_exact(80, 40) < 0.001);
//! let interval = wilson(90.0, 100.0).unwrap();
//! assert!(interval.low > 0.82 && interval.high < 0.95);
//! assert_eq!(edits(&['a', 'b', 'c'], &['a', 'c', 'd']).errors(), 2);
//! ```

mod compare;
pub mod dataset;
mod error;
mod errors;
mod example;
mod gate;
pub mod metrics;
mod normalise;
mod prediction;
mod receipt;
mod report;
mod result;
mod run;
mod score;
mod score_checks;
mod score_text;
pub mod statistics;
mod subset;
mod system;
mod task;
mod threshold;

pub use compare::{Changed, Comparison, MetricComparison, SliceComparison, Verdict, adjust, compare};
pub use error::{EvalError, Result};
pub use errors::{Cluster, Conflict, ErrorReport, Mistake, Neighbour, analyse_errors};
pub use example::{CorpusDocument, Dataset, Dialogue, Example, Gold, Input, Span};
pub use gate::{Gate, GateFailure, gate};
pub use normalise::{Normaliser, characters, words};
pub use prediction::{ChainOutcome, Prediction, PredictionForm, StoryOutcome, Timing, read_predictions};
pub use receipt::{Machine, Receipt};
pub use report::{ReportEntry, html};
pub use result::{MetricResult, SliceResult, TaskResult};
pub use run::{RunOptions, run_task, scored_again};
pub use score::{Outcome, Scored, score};
pub use subset::{Subset, blind_id, exported};
pub use system::{BuiltIn, BusinessRoom, ChatRig, Heard, ModelRef, Recorded, Served, System, SystemIdentity, by_turn};
pub use task::{DatasetSpec, Kind, MetricSpec, PROFILES, QuestionSpec, RunSpec, STAGES, Task, load_tasks, select};
pub use threshold::{Costs, ThresholdPoint, sweep};

#[cfg(test)]
mod tests;

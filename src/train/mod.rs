//! Heads of one's own: labelled texts to a model that the service switches to while it runs.
//!
//! ```text
//! jsonl, csv, CLINC150's json -> Dataset (checked) -> train / dev / test
//!   texts -> n-gram vectors -> one linear SVM per label ---------------------\
//!   texts -> shared trunk (frozen) or a copy of it, tuned -> linear layer ---- + -> temperature -> Head
//!                                                    both weighed on dev ----/
//! ```
//!
//! A head is one linear map over a sentence vector and the n-grams of the text, so serving it costs microseconds when the
//! trunk is frozen, and one more pass of the trunk when it was tuned ([`Mode::Full`]). Out-of-scope rows (label `oos` or
//! `out_of_scope`) make a label of their own, set so that a chosen share of the dev split's other rows is rejected.
//!
//! Invariants: no test row is ever looked at before the head is final; a training row that also stands in the test file is
//! left out and counted; the folder of the head appears whole or not at all.
//!
//! ```no_run
//! use std::path::Path;
//! use zhiyin::inference::EncoderModel;
//! use zhiyin::train::{Dataset, Mode, TrainSettings, train};
//! let folder = Path::new("models/zhiyin-encoder-small");
//! let settings = TrainSettings { mode: Mode::Frozen, ..TrainSettings::new("intent") };
//! let data = Dataset::load(Path::new("my.jsonl"), None, None, &settings)?;
//! let trained = train(&data, &EncoderModel::load(folder)?, folder, &settings, &|_| ())?;
//! trained.save(Path::new("models/my-intent"), "zhiyin train …")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batches;
mod card;
mod config;
mod data;
mod dense;
mod error;
mod metrics;
mod network;
mod optimizer;
mod reader;
mod rows_check;
mod svm;
mod trainer;
mod tuned;

pub use config::{Mode, TrainSettings};
pub use data::{Dataset, Row};
pub use error::TrainError;
pub use metrics::Report;
pub use rows_check::{RowsReport, check_rows};
pub use trainer::{Progress, Trained, train};

#[cfg(test)]
mod tests;

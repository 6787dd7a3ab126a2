//! Systems that tasks run on: the built-in stages (with any model folder), a served Zhiyin over HTTP, and what another
//! system wrote into a file.

mod built_in;
mod calls;
mod dialogue;
mod listening;
mod recorded;
mod segments;
mod served;

use serde::{Deserialize, Serialize};

use super::Result;
use super::example::Dataset;
use super::prediction::Prediction;
use super::task::Task;

pub use built_in::BuiltIn;
pub use dialogue::{BusinessRoom, ChatRig};
pub use listening::{Heard, by_turn};
pub use recorded::Recorded;
pub use served::Served;

/// A model that took part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRef {
    /// Its id.
    pub id: String,
    /// sha256 over the checksums of its files; empty where the system does not say.
    pub sha256: String,
}

/// Who answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemIdentity {
    /// `built-in`, an address, a file.
    pub name: String,
    /// Models.
    pub models: Vec<ModelRef>,
}

/// Says how far it is: items done.
pub type Progress<'a> = &'a (dyn Fn(usize) + Sync);

/// Answers the items of a task.
pub trait System {
    /// Who it is.
    fn identity(&self) -> SystemIdentity;

    /// One prediction for each item, in their order.
    ///
    /// # Errors
    /// The system cannot run this stage, or failed.
    fn predict(&self, task: &Task, dataset: &Dataset, progress: Progress<'_>) -> Result<Vec<Prediction>>;
}

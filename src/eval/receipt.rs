//! What a result was made with, so that it can be made again.

use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::system::SystemIdentity;

/// The machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Cores.
    pub cores: usize,
    /// Name of the processor.
    pub cpu: String,
}

/// Everything that a result depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Commit of the source folder; `unknown` outside of one.
    pub commit: String,
    /// Whether files differ from that commit.
    pub changed_files: bool,
    /// Version of the program.
    pub program: String,
    /// Who answered, with which models.
    pub system: SystemIdentity,
    /// Where the data lies.
    pub dataset: String,
    /// The split that was read, if the data has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// sha256 of the data that was read; of a part of a task, of the names of its items as well.
    pub dataset_sha256: String,
    /// Seed of every draw.
    pub seed: u64,
    /// Resamples of the bootstrap.
    pub draws: usize,
    /// The machine.
    pub machine: Machine,
    /// When it was run, RFC 3339.
    pub at: String,
    /// How long the system took, seconds.
    pub took_s: f64,
}

/// Commit of a source folder, and whether files differ from it.
pub(super) fn commit(home: &Path) -> (String, bool) {
    let ask = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(home).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = ask(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".into());
    // Reports and results that lie about say nothing about the program.
    let changed = ask(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|lines| !lines.is_empty());
    (commit, changed)
}

/// This machine.
pub(super) fn machine() -> Machine {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|l| l.strip_prefix("model name")).and_then(|l| l.split_once(':'));
    Machine { cores: num_cpus::get(), cpu: name.map_or_else(|| "unknown".to_owned(), |(_, n)| n.trim().to_owned()) }
}

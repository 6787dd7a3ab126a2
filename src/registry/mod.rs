//! Models: what is here, whether it is whole, and how another one gets here.
//!
//! ```text
//! models/<id>/card.toml + files   (shipped, read only)  \
//!                                                        > Registry::resolve -> ResolvedModel { dir, card }
//! <store>/models/<id>/…           (pulled, the user's)  /        | packed files are unpacked once into
//!                                                                | <store>/cache/models/<id>/<digest>/
//! spec -> PullSource -> Fetch (hub, URL, folder) -> staging folder -> checked -> <store>/models/<id>/
//! ```
//!
//! * [`Card`]: `card.toml`, what a model is, its files with checksums, its licence, its measured results.
//! * [`Registry`]: finds a model by id or path, checks it before use ([`Registry::resolve`]) or throughout
//!   ([`Registry::verify`]), fetches one ([`Registry::pull`]) and takes one away ([`Registry::remove`]).
//! * [`Routes`]: which head answers each task, kept over restarts ([`Registry::change_route`]).
//! * [`RegistryError`]: names the file, what is wrong with it, and the command that mends it.
//!
//! Invariants: nothing under `models/<id>` is ever half written (a folder takes its place by one rename); no file is used
//! before its checksum was compared; the shipped folder is never written to; the network is used by `pull` alone.
//!
//! ```
//! use zhiyin::registry::{HubSettings, Registry, RegistryConfig};
//! # let home = tempfile::tempdir().unwrap();
//! # let store = tempfile::tempdir().unwrap();
//! let registry = Registry::open(RegistryConfig::new(home.path(), store.path(), HubSettings::default()));
//! let error = registry.resolve("whisper-smal").unwrap_err();
//! assert!(error.to_string().contains("did you mean `whisper-small`?"));
//! ```

mod active;
mod card;
mod checksum;
mod config;
mod content;
mod download;
mod error;
mod local;
mod model;
mod public_sets;
mod pull;
mod source;
mod staging;
mod transfer;
mod unpack;
mod verify;

pub use active::{Route, RouteChange, Routes};
pub use card::{Card, CardFile, Codec, Measured, ModelKind, PackedFile};
pub use config::{HubSettings, RegistryConfig};
pub use error::RegistryError;
pub use model::{Listing, ModelEntry, Place, Registry, ResolvedModel};
pub use public_sets::PublicSet;
pub use pull::{PullProgress, PullRequest};
pub use source::{KNOWN_MODELS, KnownModel};
pub use verify::{FileReport, FileState, VerifyReport};

#[cfg(test)]
mod tests;

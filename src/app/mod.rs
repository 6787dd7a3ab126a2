//! The composition root: the only room that knows every other one.
//!
//! [`build_stages`] loads models, rules and the knowledge index; [`App::start`] puts the service together; [`player`]
//! plays recordings through a running service as a telephone system would.

mod assets;
mod player;
mod service;
mod stages;

pub use assets::{load_rules, load_samples, load_scheme, Sample};
pub use player::{play, PlayOptions, Played};
pub use service::{App, AppError, FirstToken};
pub use stages::{build_stages, registry, Built, StageOptions};

#[cfg(test)]
mod tests;

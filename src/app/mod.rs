//! The composition root: the only room that knows every other one.
//!
//! [`build_stages`] loads models, rules and the knowledge index; [`App::start`] puts the service together; [`player`]
//! plays recordings through a running service as a telephone system would.

mod assets;
mod chat;
mod evaluation;
mod learning;
mod player;
mod service;
mod stages;
mod work;

pub use assets::{Sample, load_rules, load_samples, load_scheme, load_schemes};
pub use chat::{bot_around, build_bot, chat_book};
pub use evaluation::evaluation_system;
pub use player::{PlayOptions, Played, play};
pub use service::{App, AppError, FirstToken, vad_config};
pub use stages::{Built, StageOptions, build_stages, knowledge_config, registry};

#[cfg(test)]
mod tests;

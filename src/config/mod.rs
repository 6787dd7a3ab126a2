//! Raw settings -> resolved settings, once, at start.
//!
//! Settings come from built-in defaults, a TOML file and `ZHIYIN_…` environment variables (`ZHIYIN_SERVER__LISTEN`
//! sets `server.listen`), later ones winning. An unknown key, a missing named file or a contradiction refuses to
//! start; all problems are listed at once, with the nearest known name.
//!
//! ```
//! use zhiyin::config::Settings;
//! let problems = Settings::from_toml("[server]\nlisen = \"127.0.0.1:1\"\n").unwrap_err();
//! assert!(problems.to_string().contains("did you mean \"listen\""));
//! ```

mod chat;
mod error;
mod heads;
mod home;
mod secret;
mod settings;

pub use chat::{ChatSettings, SiteKey};
pub use error::{ConfigError, Problem};
pub use heads::HeadSettings;
pub use home::{HomeError, find_home, hub_settings};
pub use secret::Secret;
pub use settings::{
    AsrSettings, EncoderSettings, KnowledgeSettings, LimitSettings, LogSettings, QualitySettings, ServerSettings, Settings,
    StoreSettings, SuggestionSettings, SyncMode, VadSettings,
};

#[cfg(test)]
mod tests;

//! Structured logs on standard error.

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// What libraries say that is none of an operator's business, unless the filter names them: settings of a server, which the
/// embedded vector engine is not, and a partial that was given up for a final, which whisper.cpp calls a failure. Real
/// failures of recognition are errors of their own.
const QUIET: [(&str, &str); 2] = [("qdrant_edge", "error"), ("whisper_rs", "off")];

/// Sends logs to standard error. `filter` is a tracing directive such as `info` or `zhiyin=debug`; an unreadable
/// one is replaced by `info`. A second call has no effect.
pub fn init_logs(filter: &str, format: LogFormat) {
    let named = |target: &str| filter.contains(target);
    let quiet = QUIET.iter().filter(|(target, _)| !named(target));
    let directives = quiet.filter_map(|(target, level)| format!("{target}={level}").parse().ok());
    let filter = directives.fold(EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info")), EnvFilter::add_directive);
    let registry = tracing_subscriber::registry().with(filter);
    let done = match format {
        LogFormat::Text => registry.with(fmt::layer().with_writer(std::io::stderr).with_target(false)).try_init(),
        LogFormat::Json => registry.with(fmt::layer().json().with_writer(std::io::stderr)).try_init(),
    };
    if done.is_err() {
        tracing::debug!("logs were set up before");
    }
}

//! Logs and metrics. The law: logs carry ids, lengths and durations, never a word that a customer or an agent
//! said; every metric is declared once, here, with its help text.
//!
//! ```no_run
//! zhiyin::telemetry::init_logs("info", zhiyin::telemetry::LogFormat::Text);
//! let metrics = zhiyin::telemetry::install_metrics().expect("first installation");
//! println!("{}", metrics.render());
//! ```

mod log;
mod metric;

pub use log::{LogFormat, init_logs};
pub use metric::{METRICS, MetricsError, MetricsHandle, install_metrics};

#[cfg(test)]
mod tests;

//! The Prometheus registry and the list of all metrics.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Every metric: kind, name, help text. The unit is the end of the name.
pub const METRICS: &[(&str, &str)] = &[
    ("zhiyin_stage_received_total", "Values a stage received, by stage."),
    ("zhiyin_stage_emitted_total", "Values a stage emitted, by stage."),
    ("zhiyin_stage_failed_total", "Values a stage failed on, by stage and error code."),
    ("zhiyin_stage_duration_seconds", "Time a stage took for one value, by stage."),
    ("zhiyin_stage_queue_seconds", "Time a value waited for a stage, by stage."),
    ("zhiyin_asr_real_time_factor", "Decoding time over audio time, per final."),
    ("zhiyin_asr_lag_seconds", "How far recognition is behind the audio received."),
    ("zhiyin_asr_partials_shed_total", "Partials dropped under load."),
    ("zhiyin_calls_open", "Calls that are open."),
    ("zhiyin_streams_open", "Open audio sockets and event streams, by kind."),
    ("zhiyin_compat_unknown_total", "Fields, parameters and messages of other products that are not known here, by surface."),
    ("zhiyin_compat_late_total", "Chunks of a media stream that came too late to be heard, by surface."),
    ("zhiyin_permits_refused_total", "Requests refused because the node is full, by class."),
    ("zhiyin_audio_taken_back_total", "Times that audio was asked for again because what it said could not be kept."),
    ("zhiyin_events_appended_total", "Durable events written."),
    ("zhiyin_event_commit_seconds", "Time from append to durable."),
    ("zhiyin_http_requests_total", "HTTP requests, by route and status."),
    ("zhiyin_http_duration_seconds", "Time of HTTP requests, by route."),
    ("zhiyin_suggestions_total", "Suggestions, by kind and outcome."),
    ("zhiyin_alerts_total", "Alerts, by level."),
    ("zhiyin_chat_replies_total", "Replies of the bot, by whether they rest on a passage or a flow."),
    ("zhiyin_chat_searches_total", "Searches of the articles that the bot made."),
    ("zhiyin_chat_calls_total", "Business calls of the bot, by state."),
    ("zhiyin_chat_rewrites_total", "Answers that were reworded, by whether the wording was kept."),
];

fn kind_of(name: &str) -> Kind {
    match name {
        _ if name.ends_with("_total") => Kind::Counter,
        _ if name.ends_with("_seconds") || name.ends_with("_factor") => Kind::Histogram,
        _ => Kind::Gauge,
    }
}

/// Why metrics could not be installed.
#[derive(Debug, thiserror::Error)]
#[error("metrics cannot be installed: {0}")]
pub struct MetricsError(String);

/// Renders the metrics of the process.
#[derive(Clone)]
pub struct MetricsHandle(PrometheusHandle);

impl MetricsHandle {
    /// The Prometheus text form.
    pub fn render(&self) -> String {
        self.0.render()
    }
}

/// Installs the recorder of the process and declares every metric. A process has one; later calls get the same.
pub fn install_metrics() -> Result<MetricsHandle, MetricsError> {
    static HANDLE: std::sync::OnceLock<Result<MetricsHandle, String>> = std::sync::OnceLock::new();
    HANDLE.get_or_init(|| build().map_err(|e| e.to_string())).clone().map_err(MetricsError)
}

fn build() -> Result<MetricsHandle, metrics_exporter_prometheus::BuildError> {
    const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0];
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_factor".into()), SECONDS)?
        .install_recorder()?;
    for (name, help) in METRICS {
        match kind_of(name) {
            Kind::Counter => metrics::describe_counter!(*name, *help),
            Kind::Gauge => metrics::describe_gauge!(*name, *help),
            Kind::Histogram => metrics::describe_histogram!(*name, *help),
        }
    }
    Ok(MetricsHandle(handle))
}

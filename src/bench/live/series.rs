//! The same measurement for growing numbers of calls, each in a process of its own, so that memory and counters are its own;
//! table and picture of them for the documentation.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use anyhow::Context;
use serde_json::Value;

use super::plot::svg;
use crate::cli::Session;

/// Load average above which a machine is not called quiet.
const QUIET: f64 = 0.5;
/// Where the table stands in a document.
const BEGIN: &str = "<!-- live series: begin -->";
const END: &str = "<!-- live series: end -->";

/// Columns of the table: head and figure.
const COLUMNS: [(&str, &str); 13] = [
    ("calls", "calls"),
    ("first partial p50", "first_partial_p50_ms"),
    ("p95", "first_partial_p95_ms"),
    ("final p50", "final_p50_ms"),
    ("p95", "final_p95_ms"),
    ("by meaning p95", "final_meaning_p95_ms"),
    ("churn", "partial_churn"),
    ("lag max", "lag_max_ms"),
    ("decoder rtf", "rtf"),
    ("partials shed of", "shed_partials"),
    ("times degraded", "degraded"),
    ("finals lost of", "lost_finals"),
    ("MiB", "rss_mib"),
];

/// Where the results of a series go.
pub(super) struct Outputs {
    pub(super) plot: Option<PathBuf>,
    pub(super) document: Option<PathBuf>,
}

/// Runs the series; each line of `bench live --json` is printed as it comes.
pub(super) async fn run(session: &Session, calls: &[usize], outputs: &Outputs) -> anyhow::Result<ExitCode> {
    // Before anything is written: a document without a place for the table would cost the whole run.
    let document = outputs.document.as_deref().map(read_document).transpose()?;
    let load = load_average();
    let mut series = Vec::new();
    for calls in calls {
        let line = measure(session, *calls).await?;
        println!("{line}");
        series.push(line);
    }
    if let Some(path) = &outputs.plot {
        std::fs::write(path, svg(&series)).with_context(|| format!("plot {}", path.display()))?;
    }
    if let (Some(path), Some(text)) = (&outputs.document, document) {
        let text = with_table(&text, &table(&series, load)).context("the markers of the table")?;
        std::fs::write(path, text).with_context(|| format!("document {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure(session: &Session, calls: usize) -> anyhow::Result<Value> {
    let mut command = tokio::process::Command::new(std::env::current_exe()?);
    if let Some(file) = &session.config_file {
        command.arg("--config").arg(file);
    }
    command.args(["bench", "live", "--json", "--calls", &calls.to_string()]).stdout(Stdio::piped()).kill_on_drop(true);
    let output = command.output().await?;
    anyhow::ensure!(output.status.success(), "bench live --calls {calls} ended with {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().last().context("bench live printed nothing")?;
    serde_json::from_str(line).context("the last line of bench live")
}

fn read_document(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("document {}", path.display()))?;
    anyhow::ensure!(with_table(&text, "").is_some(), "{} needs the lines {BEGIN} and {END}", path.display());
    Ok(text)
}

/// The text with another table between its markers.
fn with_table(text: &str, table: &str) -> Option<String> {
    let (head, rest) = text.split_once(BEGIN)?;
    let (_, tail) = rest.split_once(END)?;
    Some(format!("{head}{BEGIN}\n{table}{END}{tail}"))
}

/// Processes that wanted a core, on average over the minute before the series.
fn load_average() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

fn table(series: &[Value], load: Option<f64>) -> String {
    let first = series.first().cloned().unwrap_or_default();
    let quiet = match load {
        Some(load) if load <= QUIET => format!("quiet (load average {load:.2} before)"),
        Some(load) => format!("**busy with other work** (load average {load:.2} before): latencies are too high"),
        None => "of unknown load".to_owned(),
    };
    let text = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
    let models: Vec<&str> = first["models"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut out = format!(
        "Measured {} on {} cores ({}), commit {}, models {}; the machine was {quiet}. Times in milliseconds.\n\n",
        chrono::Utc::now().format("%Y-%m-%d"),
        first["machine"]["cores"],
        text(&first["machine"]["cpu"]),
        text(&first["commit"]),
        models.join(", "),
    );
    let heads: Vec<&str> = COLUMNS.iter().map(|(head, _)| *head).collect();
    let _ = writeln!(out, "| {} |\n|{}", heads.join(" | "), " --- |".repeat(COLUMNS.len()));
    for row in series {
        let figure = |name: &str| row["figures"][name].as_f64().unwrap_or(0.0);
        let cell = |name: &str| match name {
            "partial_churn" | "rtf" => format!("{:.3}", figure(name)),
            "shed_partials" => format!("{:.0} of {:.0}", figure(name), figure("partials_asked")),
            "lost_finals" => format!("{:.0} of {:.0}", figure(name), figure("finals")),
            "final_meaning_p95_ms" if figure("finals_meaning") == 0.0 => "–".to_owned(),
            _ => format!("{:.0}", figure(name)),
        };
        let cells: Vec<String> = COLUMNS.iter().map(|(_, name)| cell(name)).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    let whole = |row: &&Value| ["degraded", "lost_finals", "failed_calls"].iter().all(|name| row["figures"][*name] == 0.0);
    let most = series.iter().filter(whole).filter_map(|row| row["figures"]["calls"].as_f64()).fold(0.0, f64::max);
    let _ = writeln!(out, "\nMost calls of this series that ran with nothing degraded and nothing lost: **{most:.0}**.");
    out
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{BEGIN, END, table, with_table};

    fn row(calls: u32, degraded: u32) -> Value {
        json!({"bench": "live", "commit": "abc", "machine": {"cores": 2, "cpu": "test"}, "models": ["m"],
            "figures": {"calls": calls, "degraded": degraded, "lost_finals": 0.0, "failed_calls": 0.0, "finals": 40.0}})
    }

    #[test]
    fn the_table_names_the_most_calls_that_ran_whole_and_says_if_the_machine_was_busy() {
        let series = [row(1, 0), row(8, 0), row(16, 3)];
        let text = table(&series, Some(6.0));
        assert!(text.contains("nothing lost: **8**") && text.contains("busy with other work"), "{text}");
        assert_eq!(text.lines().filter(|l| l.starts_with("| ")).count(), 5);
        assert!(table(&series, Some(0.1)).contains("quiet (load average 0.10"));
    }

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nz\n");
        assert_eq!(with_table(&text, "new\n").unwrap(), format!("a\n{BEGIN}\nnew\n{END}\nz\n"));
        assert_eq!(with_table("no place", "new"), None);
    }
}

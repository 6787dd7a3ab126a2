//! What a figure was measured on, and how it is printed.

use serde_json::{Map, Value, json};

/// Name of the processor, as the kernel gives it.
pub(super) fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|l| l.strip_prefix("model name")).and_then(|l| l.split_once(':'));
    name.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned())
}

/// Commit of the source folder the program runs from; `unknown` outside one.
pub(super) fn commit() -> String {
    let home = crate::config::find_home().unwrap_or_default();
    let asked = std::process::Command::new("git").arg("-C").arg(home).args(["rev-parse", "--short", "HEAD"]).output();
    let text = asked.ok().filter(|o| o.status.success()).map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    text.unwrap_or_else(|| "unknown".to_owned())
}

/// Resident memory of a process in MiB, by `/proc/<pid>/status`.
pub(super) fn rss_mib(pid: u32) -> f64 {
    status_mib(pid, "VmRSS:")
}

/// The most resident memory that a process ever had, in MiB.
pub(super) fn peak_rss_mib(pid: u32) -> f64 {
    status_mib(pid, "VmHWM:")
}

fn status_mib(pid: u32, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|l| l.strip_prefix(field))
        .and_then(|l| l.trim().trim_end_matches(" kB").trim().parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1_024.0
}

/// Processor time of this process so far, user and system, seconds (`/proc/self/stat`).
pub(super) fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name in brackets: fields 14 and 15 of the whole line, in clock ticks of 10 ms.
    let fields: Vec<&str> = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// The value below which a share of the values lies (nearest rank); 0 without values.
pub(super) fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = ((share * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

/// Prints the figures: a table for people, or the one line of the contract as the last of the output.
pub(super) fn print<N: AsRef<str>>(bench: &str, models: &[String], figures: &[(N, f64)], as_json: bool) {
    if !as_json {
        for (name, value) in figures {
            println!("{:<28} {value:>12.3}", name.as_ref());
        }
        return;
    }
    let mut map = Map::new();
    for (name, value) in figures {
        map.insert(name.as_ref().to_owned(), json!((value * 1_000.0).round() / 1_000.0));
    }
    let line = json!({
        "bench": bench,
        "commit": commit(),
        "machine": { "cores": num_cpus::get(), "cpu": cpu() },
        "models": models,
        "figures": Value::Object(map),
    });
    println!("{line}");
}

/// Ids of loaded models.
pub(super) fn model_ids(models: &[Value]) -> Vec<String> {
    models.iter().filter_map(|m| m["id"].as_str().map(str::to_owned)).collect()
}

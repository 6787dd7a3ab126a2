//! Tables of results on the terminal, and the one JSON line.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::eval::{Comparison, Gate, TaskResult, Verdict};

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"))
}

/// Metrics of results with their intervals.
pub(super) fn table(results: &[&TaskResult]) {
    println!("{:<34} {:<26} {:>9}  {:<19} {:>8} {:>7}", "task", "metric", "value", "95 % interval", "n", "target");
    for result in results {
        for (place, metric) in result.metrics.iter().enumerate() {
            let interval = metric.interval.map_or_else(|| "-".to_owned(), |i| format!("{:.4} - {:.4}", i.low, i.high));
            let task = if place == 0 { result.task.as_str() } else { "" };
            let target = metric.target.map_or_else(String::new, |t| t.to_string());
            println!("{task:<34} {:<26} {:>9}  {interval:<19} {:>8} {target:>7}", metric.key, number(metric.value), result.n);
        }
    }
}

/// Every metric on every slice, a table a task.
pub(super) fn slices(results: &[&TaskResult]) {
    for result in results.iter().filter(|r| !r.slices.is_empty()) {
        let keys: Vec<&str> = result
            .metrics
            .iter()
            .map(|m| m.key.as_str())
            .filter(|k| result.slices.iter().any(|s| s.metrics.contains_key(*k)))
            .collect();
        let heads: String = keys.iter().map(|k| format!(" {k:>width$}", width = k.len().max(9))).collect();
        println!("\n{:<52} {:>6}{heads}", format!("{} by slice", result.task), "n");
        for slice in &result.slices {
            let cell = |k: &&str| format!(" {:>width$}", number(slice.metrics.get(*k).copied()), width = k.len().max(9));
            let cells: String = keys.iter().map(cell).collect();
            println!("{:<52} {:>6}{cells}", format!("  {} = {}", slice.slice, slice.value), slice.n);
        }
    }
}

/// One checksum over results: equal digests are equal results, whatever the clock said.
pub(super) fn digest(results: &[&TaskResult]) -> String {
    let all: String = results.iter().map(|r| r.digest.as_str()).collect();
    Sha256::digest(all.as_bytes()).iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// Everything but predictions, for machines.
pub(super) fn json(results: &[&TaskResult], missing: &[String]) -> Value {
    let tasks: Vec<Value> = results
        .iter()
        .map(|r| {
            json!({ "task": r.task, "version": r.version, "n": r.n, "clusters": r.clusters, "digest": r.digest,
                "metrics": r.metrics, "receipt": r.receipt })
        })
        .collect();
    json!({ "tasks": tasks, "missing": missing, "digest": digest(results) })
}

/// Differences with their tests.
pub(super) fn comparisons(all: &[Comparison]) {
    println!(
        "{:<34} {:<26} {:>9} {:>9} {:>9}  {:<19} {:>7} {:>7} {:>9}  verdict",
        "task", "metric", "before", "now", "change", "95 % interval", "p", "Holm", "seen from"
    );
    for comparison in all {
        for (place, metric) in comparison.metrics.iter().enumerate() {
            let interval = metric.interval.map_or_else(|| "-".to_owned(), |i| format!("{:+.4} {:+.4}", i.low, i.high));
            let verdict = match metric.verdict {
                Verdict::Better => "better",
                Verdict::Worse => "WORSE",
                Verdict::NoDifference => "no difference",
                Verdict::NotMeasured => "not measured",
            };
            let flips = metric.flips.map_or_else(String::new, |(w, b)| format!(" ({w} broke, {b} mended)"));
            println!(
                "{:<34} {:<26} {:>9} {:>9} {:>9}  {interval:<19} {:>7} {:>7} {:>9}  {verdict}{flips}",
                if place == 0 { comparison.task.as_str() } else { "" },
                metric.key,
                number(metric.baseline),
                number(metric.candidate),
                metric.difference.map_or_else(|| "-".to_owned(), |d| format!("{d:+.4}")),
                number(metric.p_value),
                number(metric.p_holm),
                number(metric.detectable),
            );
        }
        comparison.notes.iter().for_each(|note| println!("    note: {note}"));
        let slices = comparison.slices.iter().filter(|s| s.p_bh.is_some_and(|p| p < 0.05));
        for slice in slices {
            let (n, p) = (slice.n, number(slice.p_bh));
            println!(
                "    slice {} = {} ({n} items): {:+.4}, p {p} (BH)",
                slice.slice,
                slice.value,
                slice.difference.unwrap_or(0.0)
            );
        }
    }
}

/// What the gate says, with the examples that broke.
pub(super) fn gate(gate: &Gate) {
    for failure in &gate.failures {
        println!(
            "REGRESSION {} {}: {:.4} -> {:.4}, worse by {:.4} (allowed {:.4}), p {:.5} (Holm)",
            failure.task, failure.metric, failure.baseline, failure.candidate, failure.loss, failure.threshold, failure.p_holm
        );
        for change in &failure.broken {
            println!("    {}  expected {} | before {} | now {}", change.id, change.expected, change.before, change.now);
            println!("        {}", change.text);
        }
    }
    let word = if gate.passed() { "passed" } else { "FAILED" };
    println!("gate {word}: {} guarded metrics compared, {} regressions", gate.compared, gate.failures.len());
}

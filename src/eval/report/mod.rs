//! One self-contained HTML page: tables, plots as inline SVG, and the examples that changed. It loads nothing from anywhere.

mod plots;

use std::fmt::Write as _;

use super::compare::{Changed, Comparison, MetricComparison, Verdict};
use super::example::Dataset;
use super::metrics::Statistic;
use super::result::{MetricResult, TaskResult};
use super::score::{Scored, score};
use super::task::{Kind, Task};

/// Examples that a section shows.
const EXAMPLES: usize = 60;

/// A task on the page.
pub struct ReportEntry<'a> {
    /// The task.
    pub task: &'a Task,
    /// Its data.
    pub dataset: &'a Dataset,
    /// The result.
    pub result: &'a TaskResult,
    /// Against a baseline.
    pub comparison: Option<&'a Comparison>,
}

/// Text made safe for HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = "body{font:15px/1.5 system-ui,'Noto Sans SC',sans-serif;margin:2rem auto;max-width:84rem;padding:0 1rem;color:#1c2430;background:#fff}\
h1{font-size:1.6rem}h2{font-size:1.2rem;border-bottom:1px solid #d5dae1;padding-bottom:.2rem;margin-top:2.5rem}\
table{border-collapse:collapse;margin:.6rem 0}th,td{text-align:left;padding:.2rem .7rem;border-bottom:1px solid #e6e9ee;vertical-align:top}\
td.n{text-align:right;font-variant-numeric:tabular-nums}.worse{color:#b3261e}.better{color:#146c2e}.note{color:#5b6472;font-size:.9rem}\
.plots{display:flex;flex-wrap:wrap;gap:1.5rem}figure{margin:0}.wide{overflow-x:auto;max-width:100%;min-width:0}td{white-space:pre-line;overflow-wrap:anywhere}.wide td{white-space:nowrap}figcaption{font-size:.9rem;color:#5b6472}svg text{font:11px system-ui,'Noto Sans SC',sans-serif;fill:#333b47}\
details{margin:.5rem 0}summary{cursor:pointer}@media(prefers-color-scheme:dark){body{background:#14181f;color:#dfe4ec}svg text{fill:#c5ccd8}th,td,h2{border-color:#333b47}}";

/// The page. `title` heads it; `missing` says what was not run and why.
pub fn html(title: &str, entries: &[ReportEntry<'_>], missing: &[String]) -> String {
    let mut page = String::new();
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{0}</title><style>{STYLE}</style><h1>{0}</h1>",
        escape(title)
    );
    overview(&mut page, entries);
    if !missing.is_empty() {
        page.push_str("<h2>Not run</h2><ul>");
        for reason in missing {
            let _ = write!(page, "<li>{}</li>", escape(reason));
        }
        page.push_str("</ul>");
    }
    for entry in entries {
        section(&mut page, entry);
    }
    page.push_str("</html>\n");
    page
}

fn overview(page: &mut String, entries: &[ReportEntry<'_>]) {
    page.push_str(
        "<table><tr><th>task</th><th>items</th><th>metric</th><th>value</th><th>95 % interval</th><th>against baseline</th></tr>",
    );
    for entry in entries {
        let Some(metric) = entry.result.metrics.first() else { continue };
        let against = entry.comparison.and_then(|c| c.metrics.first()).map_or_else(String::new, difference_cell);
        let _ = write!(
            page,
            "<tr><td><a href=\"#{0}\">{0}</a></td><td class=\"n\">{1}</td><td>{2}</td><td class=\"n\">{3}</td><td class=\"n\">{4}</td><td>{against}</td></tr>",
            escape(&entry.task.id),
            entry.result.n,
            escape(&metric.key),
            number(metric.value),
            interval_cell(metric),
        );
    }
    page.push_str("</table>");
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |v| format!("{v:.4}"))
}

fn interval_cell(metric: &MetricResult) -> String {
    metric.interval.map_or_else(|| "–".to_owned(), |i| format!("{:.4} – {:.4}", i.low, i.high))
}

fn difference_cell(metric: &MetricComparison) -> String {
    let class = match metric.verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        _ => "",
    };
    let Some(difference) = metric.difference else { return "not measured".into() };
    let p = metric.p_holm.map_or_else(String::new, |p| format!(", p = {p:.4} (Holm)"));
    let flips = metric.flips.map_or_else(String::new, |(worse, better)| format!("; {worse} broke, {better} mended"));
    format!("<span class=\"{class}\">{difference:+.4}{p}{flips}</span>")
}

fn section(page: &mut String, entry: &ReportEntry<'_>) {
    let (task, result) = (entry.task, entry.result);
    let _ = write!(page, "<h2 id=\"{0}\">{0}</h2><p>{1}</p>", escape(&task.id), escape(&task.title));
    metrics_table(page, entry);
    for note in entry.comparison.iter().flat_map(|c| &c.notes) {
        let _ = write!(page, "<p class=\"note\">{}</p>", escape(note));
    }
    let (kept, predictions, ..) = super::run::scored_again(task, entry.dataset, result);
    let scored = score(task, &kept.examples, &predictions);
    page.push_str("<div class=\"plots\">");
    draw(page, entry, &scored, &predictions);
    page.push_str("</div>");
    slice_table(page, result);
    if let Some(comparison) = entry.comparison {
        changed_table(page, &comparison.changed);
    } else {
        wrong_table(page, &scored, &kept);
    }
    receipt(page, result);
}

fn metrics_table(page: &mut String, entry: &ReportEntry<'_>) {
    page.push_str("<table><tr><th>metric</th><th>value</th><th>95 % interval</th><th>detectable</th><th>target</th><th>against baseline</th></tr>");
    for metric in &entry.result.metrics {
        let against = entry
            .comparison
            .and_then(|c| c.metrics.iter().find(|m| m.key == metric.key))
            .map_or_else(String::new, difference_cell);
        let _ = write!(
            page,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{against}</td></tr>",
            escape(&metric.key),
            number(metric.value),
            interval_cell(metric),
            number(metric.detectable),
            metric.target.map_or_else(String::new, |t| t.to_string()),
        );
    }
    page.push_str("</table>");
}

fn draw(page: &mut String, entry: &ReportEntry<'_>, scored: &Scored, predictions: &[super::prediction::Prediction]) {
    let kind = entry.task.kind();
    if matches!(kind, Kind::Label | Kind::Checks) {
        page.push_str(&plots::confusion(&scored.outcomes));
    }
    let confident = scored.confidence.iter().any(Option::is_some);
    if kind == Kind::Label && confident {
        let confidence: Vec<f64> = scored.confidence.iter().map(|c| c.unwrap_or(1.0)).collect();
        let right: Vec<bool> = scored.outcomes.iter().map(|o| o.right).collect();
        page.push_str(&plots::reliability_diagram(&confidence, &right));
        if let Statistic::RiskArea { order, .. } = Statistic::risk_area(confidence.clone(), right.clone()) {
            page.push_str(&plots::risk_coverage(&confidence, &right, &order));
        }
    }
    let times = |of: fn(&super::prediction::Timing) -> Option<f64>| -> Vec<f64> {
        predictions.iter().filter_map(|p| p.timing.as_ref().and_then(of)).collect()
    };
    for (name, values) in [
        ("latency", times(|t| t.latency_ms)),
        ("time to final", times(|t| t.time_to_final_ms)),
        ("first partial", times(|t| t.first_partial_ms)),
    ] {
        if !values.is_empty() {
            page.push_str(&plots::latency_cdf(name, values));
        }
    }
    let key = entry.result.metrics.first().map_or("", |m| m.key.as_str());
    for slice in &entry.task.slices {
        let bars: Vec<_> = entry.result.slices.iter().filter(|s| s.slice == *slice).collect();
        if bars.len() > 1 {
            page.push_str(&plots::slice_bars(slice, key, &bars));
        }
    }
}

/// Every metric on every slice.
fn slice_table(page: &mut String, result: &TaskResult) {
    let keys: Vec<&str> = result
        .metrics
        .iter()
        .map(|m| m.key.as_str())
        .filter(|k| result.slices.iter().any(|s| s.metrics.contains_key(*k)))
        .collect();
    if keys.is_empty() {
        return;
    }
    let heads: String = keys.iter().map(|k| format!("<th>{}</th>", escape(k))).collect();
    let _ = write!(
        page,
        "<details><summary>{} slices, every metric</summary><div class=\"wide\"><table><tr><th>slice</th><th></th><th>items</th>{heads}</tr>",
        result.slices.len()
    );
    for slice in &result.slices {
        let cell = |k: &&str| format!("<td class=\"n\">{}</td>", number(slice.metrics.get(*k).copied()));
        let cells: String = keys.iter().map(cell).collect();
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td>{cells}</tr>",
            escape(&slice.slice),
            escape(&slice.value),
            slice.n
        );
    }
    page.push_str("</table></div></details>");
}

fn changed_table(page: &mut String, changed: &[Changed]) {
    let (broke, mended) = (
        changed.iter().filter(|c| c.was_right && !c.is_right).count(),
        changed.iter().filter(|c| !c.was_right && c.is_right).count(),
    );
    let _ = write!(
        page,
        "<details{}><summary>{} answers changed: {broke} broke, {mended} mended</summary><table><tr><th></th><th>text</th><th>expected</th><th>before</th><th>now</th></tr>",
        if broke > 0 { " open" } else { "" },
        changed.len()
    );
    for change in changed.iter().take(EXAMPLES) {
        let (class, mark) = match (change.was_right, change.is_right) {
            (true, false) => ("worse", "broke"),
            (false, true) => ("better", "mended"),
            _ => ("", "differs"),
        };
        let _ = write!(
            page,
            "<tr><td class=\"{class}\">{mark}<br><span class=\"note\">{}</span></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&change.id),
            escape(&change.text),
            escape(&change.expected),
            escape(&change.before),
            escape(&change.now)
        );
    }
    page.push_str("</table>");
    if changed.len() > EXAMPLES {
        let _ = write!(
            page,
            "<p class=\"note\">and {} more; all of them are in the JSON of the comparison</p>",
            changed.len() - EXAMPLES
        );
    }
    page.push_str("</details>");
}

fn wrong_table(page: &mut String, scored: &Scored, dataset: &Dataset) {
    let wrong: Vec<_> = scored.outcomes.iter().filter(|o| !o.right).collect();
    if wrong.is_empty() {
        return;
    }
    let _ = write!(
        page,
        "<details><summary>{} items are not right{}</summary><table><tr><th>item</th><th>text</th><th>expected</th><th>got</th></tr>",
        wrong.len(),
        if wrong.len() > EXAMPLES { format!("; {EXAMPLES} of them, spread over the data") } else { String::new() }
    );
    let spread = |place: usize| wrong[place * wrong.len() / EXAMPLES.min(wrong.len())];
    for outcome in (0..EXAMPLES.min(wrong.len())).map(spread) {
        let base = outcome.id.split('#').next().unwrap_or(&outcome.id);
        let text = dataset.examples.iter().find(|e| e.id == base).map(super::example::Example::shown).unwrap_or_default();
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&outcome.id),
            escape(&text),
            escape(&outcome.expected),
            escape(&outcome.got)
        );
    }
    page.push_str("</table></details>");
}

fn receipt(page: &mut String, result: &TaskResult) {
    let receipt = &result.receipt;
    let models: Vec<String> = receipt.system.models.iter().map(|m| format!("{} sha256 {}", m.id, m.sha256)).collect();
    let _ = write!(
        page,
        "<p class=\"note\">version {} · {} items in {} clusters · commit {}{} · {} · {} · data {}, split {}, sha256 {} · seed {} · {} draws · {} x {} · {} · took {} s · digest {}</p>",
        result.version,
        result.n,
        result.clusters,
        escape(&receipt.commit),
        if receipt.changed_files { " with changed files" } else { "" },
        escape(&receipt.system.name),
        escape(&models.join(", ")),
        escape(&receipt.dataset),
        escape(receipt.split.as_deref().unwrap_or("all")),
        receipt.dataset_sha256.get(..16).unwrap_or(""),
        receipt.seed,
        receipt.draws,
        receipt.machine.cores,
        escape(&receipt.machine.cpu),
        escape(&receipt.at),
        receipt.took_s,
        result.digest.get(..16).unwrap_or("")
    );
}

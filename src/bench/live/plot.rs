//! The series as a picture: latencies over the number of calls, as SVG without scripts or fonts of its own.

use std::fmt::Write as _;

use serde_json::Value;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
/// Left, top, right, bottom of the plotted area.
const AREA: [f64; 4] = [70.0, 40.0, 560.0, 360.0];
/// Latencies are cut here: above it a call is not live any more.
const TOP_MS: f64 = 2_000.0;

/// One line of the plot: figure, name, colour, dashed.
const LINES: [(&str, &str, &str, bool); 5] = [
    ("final_p50_ms", "final p50", "#1f5fa8", true),
    ("final_p95_ms", "final p95", "#1f5fa8", false),
    ("final_meaning_p95_ms", "final by meaning p95", "#7a3fa0", false),
    ("first_partial_p50_ms", "first partial p50", "#2a8a4a", true),
    ("first_partial_p95_ms", "first partial p95", "#2a8a4a", false),
];
/// Aims: value and name.
const AIMS: [(f64, &str); 3] = [(300.0, "aim: first partial p50"), (600.0, "aim: first partial p95"), (700.0, "aim: final p95")];

/// The picture of a series; each value is one line of `bench live --json`.
pub(super) fn svg(series: &[Value]) -> String {
    let calls: Vec<f64> = series.iter().filter_map(|row| row["figures"]["calls"].as_f64()).collect();
    let most = calls.iter().copied().fold(2.0, f64::max).log2();
    let [left, top, right, bottom] = AREA;
    let x = |calls: f64| left + calls.max(1.0).log2() / most * (right - left);
    let y = |ms: f64| bottom - ms.min(TOP_MS) / TOP_MS * (bottom - top);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
         <text x=\"{left}\" y=\"22\" font-size=\"14\">Latency over voice calls at once (two channels each)</text>\n"
    );
    for step in 0..=4 {
        let ms = TOP_MS / 4.0 * f64::from(step);
        let _ = writeln!(
            out,
            "<path d=\"M{left} {0:.1}H{right}\" stroke=\"#dddddd\"/><text x=\"{1:.1}\" y=\"{2:.1}\" text-anchor=\"end\">{ms:.0}</text>",
            y(ms),
            left - 8.0,
            y(ms) + 4.0
        );
    }
    for (ms, name) in AIMS {
        let _ = writeln!(
            out,
            "<path d=\"M{left} {0:.1}H{right}\" stroke=\"#c0392b\" stroke-dasharray=\"2 4\"/>\
             <text x=\"{1:.1}\" y=\"{2:.1}\" fill=\"#c0392b\" font-size=\"11\">{name}</text>",
            y(ms),
            right + 6.0,
            y(ms) + 4.0
        );
    }
    for n in &calls {
        let _ = writeln!(out, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{n:.0}</text>", x(*n), bottom + 18.0);
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">voice calls at once</text>\
         <text x=\"16\" y=\"{:.1}\" transform=\"rotate(-90 16 {:.1})\" text-anchor=\"middle\">milliseconds (cut at {TOP_MS:.0})</text>",
        (left + right) / 2.0,
        bottom + 40.0,
        (top + bottom) / 2.0,
        (top + bottom) / 2.0
    );
    for (place, (figure, name, colour, dashed)) in LINES.into_iter().enumerate() {
        draw(&mut out, series, (figure, colour, dashed), &x, &y);
        let at = top + 20.0 + 18.0 * place as f64;
        let dash = if dashed { " stroke-dasharray=\"6 3\"" } else { "" };
        let _ = writeln!(
            out,
            "<path d=\"M{0:.1} {at:.1}h24\" stroke=\"{colour}\" stroke-width=\"2\"{dash}/><text x=\"{1:.1}\" y=\"{2:.1}\">{name}</text>",
            right + 12.0,
            right + 42.0,
            at + 4.0
        );
    }
    out.push_str("</svg>\n");
    out
}

/// A line through the points that have a value; 0 means that nothing was measured.
fn draw(
    out: &mut String,
    series: &[Value],
    (figure, colour, dashed): (&str, &str, bool),
    x: &dyn Fn(f64) -> f64,
    y: &dyn Fn(f64) -> f64,
) {
    let points: Vec<(f64, f64)> = series
        .iter()
        .filter_map(|row| Some((row["figures"]["calls"].as_f64()?, row["figures"][figure].as_f64()?)))
        .filter(|(_, ms)| *ms > 0.0)
        .map(|(calls, ms)| (x(calls), y(ms)))
        .collect();
    if points.is_empty() {
        return;
    }
    let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    let dash = if dashed { " stroke-dasharray=\"6 3\"" } else { "" };
    let _ = writeln!(out, "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dash}/>", path.join("L"));
    for (x, y) in points {
        let _ = writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::svg;

    #[test]
    fn every_measured_figure_is_a_line_and_more_calls_lie_to_the_right() {
        let row = |calls: u32, ms: u32| json!({"figures": {"calls": calls, "final_p95_ms": ms, "first_partial_p50_ms": 0}});
        let picture = svg(&[row(1, 400), row(8, 600), row(32, 9_000)]);
        assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
        // Only what was measured: one line of three points, the last one cut at the top.
        assert_eq!(picture.matches("<circle").count(), 3);
        assert!(picture.contains("M70.0 296.0L364.0 264.0L560.0 40.0"), "{picture}");
    }
}

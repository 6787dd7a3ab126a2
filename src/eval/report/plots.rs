//! Plots as inline SVG.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::escape;
use crate::eval::metrics::{reliability, risk_curve};
use crate::eval::result::SliceResult;
use crate::eval::score::Outcome;

/// Labels up to which a matrix has large cells.
const SMALL: usize = 24;
/// Confusions that are named in words.
const CONFUSED: usize = 15;
/// Side of a square plot, pixels.
const SIDE: f64 = 260.0;
const MARGIN: f64 = 36.0;

fn figure(caption: &str, width: f64, height: f64, body: &str) -> String {
    format!(
        "<figure><svg role=\"img\" aria-label=\"{0}\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\">{body}</svg><figcaption>{0}</figcaption></figure>",
        escape(caption)
    )
}

/// A square from 0 to 1 on both axes.
struct Square {
    body: String,
}

impl Square {
    fn new(x_label: &str, y_label: &str, y_max: f64) -> Self {
        let mut body = String::new();
        let end = MARGIN + SIDE;
        let _ = write!(body, "<path d=\"M{MARGIN} 8V{0}H{end}\" fill=\"none\" stroke=\"#8a93a1\"/>", SIDE + 8.0);
        for tick in 0..=4 {
            let share = f64::from(tick) / 4.0;
            let (x, y) = (MARGIN + share * SIDE, 8.0 + (1.0 - share) * SIDE);
            let _ = write!(body, "<text x=\"{x:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{share}</text>", SIDE + 22.0);
            let _ = write!(
                body,
                "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{:.2}</text>",
                MARGIN - 4.0,
                y + 4.0,
                share * y_max
            );
        }
        let _ = write!(
            body,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
            MARGIN + SIDE / 2.0,
            SIDE + 38.0,
            escape(x_label)
        );
        let _ = write!(body, "<text x=\"{:.0}\" y=\"20\">{}</text>", MARGIN + 6.0, escape(y_label));
        Self { body }
    }

    fn at(x: f64, y: f64) -> (f64, f64) {
        (MARGIN + x.clamp(0.0, 1.0) * SIDE, 8.0 + (1.0 - y.clamp(0.0, 1.0)) * SIDE)
    }

    fn line(&mut self, points: &[(f64, f64)], colour: &str, dashed: bool) {
        let mut path = String::new();
        for (number, (x, y)) in points.iter().enumerate() {
            let (x, y) = Self::at(*x, *y);
            let _ = write!(path, "{}{x:.1} {y:.1}", if number == 0 { "M" } else { "L" });
        }
        let dash = if dashed { " stroke-dasharray=\"4 4\"" } else { "" };
        let _ = write!(self.body, "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"{dash}/>");
    }

    fn done(self, caption: &str) -> String {
        figure(caption, SIDE + MARGIN + 14.0, SIDE + 44.0, &self.body)
    }
}

/// Share of right answers against confidence; the size of a dot is the number of items.
pub(super) fn reliability_diagram(confidence: &[f64], right: &[bool]) -> String {
    let mut square = Square::new("confidence", "accuracy", 1.0);
    square.line(&[(0.0, 0.0), (1.0, 1.0)], "#8a93a1", true);
    let bins = reliability(confidence, right, &vec![1; right.len()]);
    let most = bins.iter().map(|b| b.n).fold(1.0, f64::max);
    for bin in bins.iter().filter(|b| b.n > 0.0) {
        let (x, y) = Square::at(bin.confidence, bin.accuracy);
        let radius = 2.5 + 8.0 * (bin.n / most).sqrt();
        let _ = write!(
            square.body,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" fill=\"#2f6fdf\" fill-opacity=\".6\"><title>{:.0} items: confidence {:.3}, accuracy {:.3}</title></circle>",
            bin.n, bin.confidence, bin.accuracy
        );
    }
    square.done("Reliability: dots below the line are over-confident")
}

/// Error rate of the most confident share.
pub(super) fn risk_coverage(confidence: &[f64], right: &[bool], order: &[u32]) -> String {
    let points = risk_curve(confidence, right, order, &vec![1; right.len()]);
    let top = points.iter().map(|(_, risk)| *risk).fold(0.05, f64::max);
    let mut square = Square::new("coverage", "risk (error rate)", top);
    let scaled: Vec<(f64, f64)> = points.iter().map(|(coverage, risk)| (*coverage, risk / top)).collect();
    square.line(&scaled, "#2f6fdf", false);
    square.done("Risk and coverage: errors among the most confident share")
}

/// Cumulative distribution of times.
pub(super) fn latency_cdf(name: &str, mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let (least, most) = (values.first().copied().unwrap_or(0.0), values.last().copied().unwrap_or(1.0));
    let width = (most - least).max(1e-9);
    let mut square = Square::new(&format!("{least:.1} ms to {most:.1} ms"), "share of items", 1.0);
    let count = values.len() as f64;
    let points: Vec<(f64, f64)> = values.iter().enumerate().map(|(i, v)| ((v - least) / width, (i + 1) as f64 / count)).collect();
    square.line(&points, "#2f6fdf", false);
    let at = |share: f64| values[((share * count).ceil() as usize).clamp(1, values.len()) - 1];
    square.done(&format!("Distribution of {name}: p50 {:.1} ms, p95 {:.1} ms", at(0.5), at(0.95)))
}

/// Sizes of a confusion matrix by its number of labels.
struct Grid {
    cell: f64,
    left: f64,
    top: f64,
    font: f64,
}

impl Grid {
    fn of(labels: &[&str]) -> Self {
        let (cell, font) = if labels.len() <= SMALL { (24.0, 11.0) } else { (15.0, 9.0) };
        // A Chinese character is as wide as two Latin ones.
        let width = |l: &&str| l.chars().map(|c| if c.is_ascii() { 1.0 } else { 2.0 }).sum::<f64>();
        let longest = labels.iter().map(width).fold(4.0, f64::max);
        let side = longest * font * 0.6 + 12.0;
        Self { cell, left: side, top: side, font }
    }
}

/// Expected against given labels: every label, and the most frequent confusions in words.
pub(super) fn confusion(outcomes: &[Outcome]) -> String {
    let mut cells: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut totals: BTreeMap<&str, usize> = BTreeMap::new();
    for outcome in outcomes {
        let (expected, got) = (name_of(&outcome.expected), name_of(&outcome.got));
        *cells.entry((expected, got)).or_default() += 1;
        *totals.entry(expected).or_default() += 1;
        totals.entry(got).or_default();
    }
    let labels: Vec<&str> = totals.keys().copied().collect();
    let grid = Grid::of(&labels);
    let side = labels.len() as f64 * grid.cell;
    let mut body = frame(&labels, &grid);
    let place: BTreeMap<&str, usize> = labels.iter().enumerate().map(|(at, l)| (*l, at)).collect();
    for ((expected, got), n) in &cells {
        let (row, column) = (place[expected], place[got]);
        let (x, y) = (grid.left + column as f64 * grid.cell, grid.top + row as f64 * grid.cell);
        let total = totals[expected].max(1);
        // The least share is still seen.
        let share = 0.12 + 0.88 * *n as f64 / total as f64;
        let colour = if row == column { "#2f6fdf" } else { "#c8442f" };
        let _ = write!(
            body,
            "<rect x=\"{x:.0}\" y=\"{y:.0}\" width=\"{0}\" height=\"{0}\" fill=\"{colour}\" fill-opacity=\"{share:.2}\"><title>{1} as {2}: {n} of {total}</title></rect><text x=\"{3:.1}\" y=\"{4:.1}\" text-anchor=\"middle\" pointer-events=\"none\" style=\"font-size:{5}px{6}\">{n}</text>",
            grid.cell,
            escape(expected),
            escape(got),
            x + grid.cell / 2.0,
            y + grid.cell / 2.0 + grid.font * 0.35,
            if *n > 99 { grid.font - 3.0 } else { grid.font },
            if share > 0.6 { ";fill:#fff" } else { "" },
        );
    }
    let caption =
        format!("Confusions of {} labels: rows are expected, columns are given; shades are shares of a row", labels.len());
    let plot = figure(&caption, grid.left + side + 12.0, grid.top + side + 6.0, &body);
    format!("<div class=\"wide\">{plot}</div>{}", confused_most(&cells, &totals))
}

/// The empty matrix: names of rows and columns, and lines between the cells.
fn frame(labels: &[&str], grid: &Grid) -> String {
    let Grid { cell, left, top, font } = *grid;
    let side = labels.len() as f64 * cell;
    let mut body = String::new();
    for (at, label) in labels.iter().enumerate() {
        let (middle, line) = (at as f64 * cell + cell / 2.0 + font * 0.35, at as f64 * cell);
        let label = escape(label);
        let _ = write!(
            body,
            "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\" style=\"font-size:{font}px\">{label}</text><text transform=\"translate({:.1} {:.0}) rotate(-90)\" style=\"font-size:{font}px\">{label}</text><path d=\"M{left} {:.0}h{side}M{:.0} {top}v{side}\" stroke=\"#8a93a1\" stroke-opacity=\".25\" fill=\"none\"/>",
            left - 5.0,
            top + middle,
            left + middle,
            top - 5.0,
            top + line,
            left + line,
        );
    }
    let _ = write!(body, "<path d=\"M{left} {top}h{side}v{side}h-{side}z\" stroke=\"#8a93a1\" fill=\"none\"/>");
    body
}

/// No label at all has a name, too.
fn name_of(label: &str) -> &str {
    if label.is_empty() { "(none)" } else { label }
}

/// The most frequent confusions as a table.
fn confused_most(cells: &BTreeMap<(&str, &str), usize>, totals: &BTreeMap<&str, usize>) -> String {
    let mut wrong: Vec<(&(&str, &str), &usize)> = cells.iter().filter(|((expected, got), _)| expected != got).collect();
    wrong.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    if wrong.is_empty() {
        return String::new();
    }
    let row = |((expected, got), n): &(&(&str, &str), &usize)| {
        format!(
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{n}</td><td class=\"n\">{}</td></tr>",
            escape(expected),
            escape(got),
            totals[expected]
        )
    };
    let rows: String = wrong.iter().take(CONFUSED).map(row).collect();
    format!("<table><tr><th>expected</th><th>given</th><th>times</th><th>of</th></tr>{rows}</table>")
}

/// Values of a slice with their intervals.
pub(super) fn slice_bars(slice: &str, metric: &str, bars: &[&SliceResult]) -> String {
    let (row, left, width) = (18.0, 170.0, 220.0);
    let most = bars
        .iter()
        .filter_map(|b| b.interval.map(|i| i.high).or(b.metric))
        .fold(1e-9, f64::max)
        .max(if bars.iter().all(|b| b.metric.is_none_or(|m| m <= 1.0)) { 1.0 } else { 0.0 });
    let mut body = String::new();
    for (number, bar) in bars.iter().enumerate() {
        let y = 6.0 + number as f64 * row;
        let x = |v: f64| left + (v / most).clamp(0.0, 1.0) * width;
        let _ = write!(
            body,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{} ({})</text>",
            left - 6.0,
            y + 12.0,
            escape(&bar.value),
            bar.n
        );
        let Some(value) = bar.metric else { continue };
        let _ = write!(
            body,
            "<rect x=\"{left}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"13\" fill=\"#2f6fdf\" fill-opacity=\".55\"/>",
            x(value) - left
        );
        if let Some(interval) = bar.interval {
            let middle = y + 6.5;
            let _ = write!(
                body,
                "<path d=\"M{:.1} {middle:.1}H{:.1}\" stroke=\"#1c2430\" stroke-width=\"1.5\"/>",
                x(interval.low),
                x(interval.high)
            );
        }
        let _ = write!(body, "<text x=\"{:.0}\" y=\"{:.0}\">{value:.3}</text>", left + width + 6.0, y + 12.0);
    }
    figure(
        &format!("{metric} by {slice}, with 95 % intervals (items)"),
        left + width + 60.0,
        14.0 + bars.len() as f64 * row,
        &body,
    )
}

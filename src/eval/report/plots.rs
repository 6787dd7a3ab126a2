//! Plots as inline SVG.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::escape;
use crate::eval::metrics::{reliability, risk_curve};
use crate::eval::result::SliceResult;
use crate::eval::score::Outcome;

/// Labels up to which the whole matrix is drawn; above, only those with most confusions.
const MATRIX: usize = 16;
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

/// Expected against given labels; of many labels those with most confusions.
pub(super) fn confusion(outcomes: &[Outcome]) -> String {
    let mut cells: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut wrong: BTreeMap<&str, usize> = BTreeMap::new();
    for outcome in outcomes {
        *cells.entry((&outcome.expected, &outcome.got)).or_default() += 1;
        for label in [outcome.expected.as_str(), outcome.got.as_str()] {
            *wrong.entry(label).or_default() += usize::from(!outcome.right);
        }
    }
    let all = wrong.len();
    let mut labels: Vec<&str> = wrong.keys().copied().collect();
    labels.sort_by_key(|l| (std::cmp::Reverse(wrong[l]), *l));
    labels.truncate(MATRIX);
    labels.sort_unstable();
    let (cell, left, top) = (24.0, 150.0, 130.0);
    let mut body = String::new();
    for (row, expected) in labels.iter().enumerate() {
        let y = top + row as f64 * cell;
        let _ =
            write!(body, "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>", left - 6.0, y + 16.0, escape(expected));
        let x = left + row as f64 * cell + 15.0;
        let _ = write!(body, "<text transform=\"translate({x:.0} {:.0}) rotate(-60)\">{}</text>", top - 8.0, escape(expected));
        let total: usize = cells.iter().filter(|((e, _), _)| e == expected).map(|(_, n)| n).sum();
        for (column, got) in labels.iter().enumerate() {
            let n = cells.get(&(*expected, *got)).copied().unwrap_or(0);
            let share = n as f64 / total.max(1) as f64;
            let colour = if row == column { "#2f6fdf" } else { "#c8442f" };
            let x = left + column as f64 * cell;
            let _ = write!(
                body,
                "<rect x=\"{x:.0}\" y=\"{y:.0}\" width=\"{cell}\" height=\"{cell}\" fill=\"{colour}\" fill-opacity=\"{share:.2}\" stroke=\"#8a93a1\" stroke-opacity=\".3\"><title>{} as {}: {n} of {total}</title></rect>",
                escape(expected),
                escape(got)
            );
            if n > 0 {
                let _ = write!(body, "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{n}</text>", x + cell / 2.0, y + 16.0);
            }
        }
    }
    let caption = match all > MATRIX {
        true => format!("Confusions: rows are expected; {MATRIX} of {all} labels, those with most errors"),
        false => "Confusions: rows are expected, columns are given".to_owned(),
    };
    let side = labels.len() as f64 * cell;
    figure(&caption, left + side + 70.0, top + side + 10.0, &body)
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

//! Predictions against what should have come out: outcomes of items, and a statistic for each metric.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::example::{Example, Gold};
use super::metrics::{ClassCounts, Count, Statistic};
use super::prediction::Prediction;
use super::task::{Kind, MetricSpec, Task};
use super::{score_checks, score_text};

/// What became of one item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The item.
    pub id: String,
    /// What should have come out.
    pub expected: String,
    /// What came out.
    pub got: String,
    /// Whether it is right as a whole.
    pub right: bool,
}

/// Everything that follows from the predictions of a task.
#[derive(Clone, Debug)]
pub struct Scored {
    /// Outcomes of the items; for rule checks an item is a question of a conversation.
    pub outcomes: Vec<Outcome>,
    /// What an item is drawn together with: a number for each situation.
    pub clusters: Vec<u32>,
    /// Slices of each item.
    pub slices: Vec<BTreeMap<String, String>>,
    /// A statistic for each metric of the task, in its order.
    pub statistics: Vec<Statistic>,
    /// Confidence of each item, where the system gave one.
    pub confidence: Vec<Option<f64>>,
}

/// Items and their numbers while they are put together.
pub(super) struct Sheet {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) situations: Vec<String>,
    pub(super) slices: Vec<BTreeMap<String, String>>,
    pub(super) confidence: Vec<Option<f64>>,
}

impl Sheet {
    pub(super) fn new() -> Self {
        Self { outcomes: Vec::new(), situations: Vec::new(), slices: Vec::new(), confidence: Vec::new() }
    }

    pub(super) fn push(&mut self, example: &Example, outcome: Outcome, confidence: Option<f64>) {
        self.outcomes.push(outcome);
        self.situations.push(example.situation.clone());
        self.slices.push(example.slices.clone());
        self.confidence.push(confidence);
    }

    fn right(&self) -> Vec<bool> {
        self.outcomes.iter().map(|o| o.right).collect()
    }
}

/// Scores predictions that are in the order of the examples (see [`super::prediction::read_predictions`]).
pub fn score(task: &Task, examples: &[Example], predictions: &[Prediction]) -> Scored {
    let mut sheet = Sheet::new();
    let pairs: Vec<(&Example, &Prediction)> = examples.iter().zip(predictions).collect();
    let statistics = match task.kind() {
        Kind::Label => labels_one(task, &pairs, &mut sheet),
        Kind::Labels => labels_many(task, &pairs, &mut sheet),
        Kind::Spans => spans(task, &pairs, &mut sheet),
        Kind::Text => score_text::text(task, &pairs, &mut sheet),
        Kind::Chain => score_text::chain(task, &pairs, &mut sheet),
        Kind::Ranking => score_checks::ranking(task, &pairs, &mut sheet),
        Kind::Suggestions => score_checks::suggestions(task, &pairs, &mut sheet),
        Kind::Checks => score_checks::checks(task, &pairs, &mut sheet),
        Kind::Stories => score_checks::stories(task, &pairs, &mut sheet),
        Kind::Speed => score_checks::speed(task, &pairs, &mut sheet),
    };
    let by_item = task.cluster == "item";
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    let clusters = sheet
        .situations
        .iter()
        .enumerate()
        .map(|(item, situation)| {
            if by_item {
                return item as u32;
            }
            let next = numbers.len() as u32;
            *numbers.entry(situation).or_insert(next)
        })
        .collect();
    let Sheet { outcomes, slices, confidence, .. } = sheet;
    Scored { outcomes, clusters, slices, statistics, confidence }
}

/// Numbers for names, in the order in which they come.
#[derive(Default)]
pub(super) struct Names {
    known: BTreeMap<String, u32>,
}

impl Names {
    pub(super) fn of(&mut self, name: &str) -> u32 {
        let next = self.known.len() as u32;
        *self.known.entry(name.to_owned()).or_insert(next)
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

pub(super) fn count_of(metric: &MetricSpec) -> Count {
    match metric.name.as_str() {
        "precision" => Count::Precision,
        "recall" => Count::Recall,
        _ => Count::F1,
    }
}

/// Sums for micro averages of items with (tp, fp, fn).
pub(super) fn micro(count: Count, items: &[(f64, f64, f64)]) -> Statistic {
    let of = |f: fn(&(f64, f64, f64)) -> f64| items.iter().map(f).collect::<Vec<f64>>();
    match count {
        Count::F1 => Statistic::Ratio { num: of(|i| 2.0 * i.0), den: of(|i| 2.0 * i.0 + i.1 + i.2) },
        Count::Precision => Statistic::Ratio { num: of(|i| i.0), den: of(|i| i.0 + i.1) },
        Count::Recall => Statistic::Ratio { num: of(|i| i.0), den: of(|i| i.0 + i.2) },
    }
}

pub(super) fn yes(right: bool) -> f64 {
    f64::from(u8::from(right))
}

fn labels_one(task: &Task, pairs: &[(&Example, &Prediction)], sheet: &mut Sheet) -> Vec<Statistic> {
    let mut names = Names::default();
    let (mut gold, mut predicted, mut outside, mut scores) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (example, prediction) in pairs {
        let Gold::Label(accepted) = &example.gold else { continue };
        let got = prediction.label.clone().unwrap_or_default();
        let right = accepted.contains(&got);
        let main = accepted.first().cloned().unwrap_or_default();
        // Of several right labels the one that was given counts, else the main one.
        let expected = if right { got.clone() } else { main };
        gold.push(names.of(&expected));
        predicted.push(names.of(&got));
        outside.push(accepted.iter().any(|l| l == "out_of_scope"));
        scores.push(prediction.out_of_scope.unwrap_or(0.0));
        sheet.push(example, Outcome { id: example.id.clone(), expected, got, right }, prediction.confidence);
    }
    let right = sheet.right();
    // An answer without a confidence counts as certain.
    let confidence: Vec<f64> = sheet.confidence.iter().map(|c| c.unwrap_or(1.0)).collect();
    let statistic = |metric: &MetricSpec| match metric.name.as_str() {
        "f1" if metric.aggregation() == "macro" => {
            Statistic::Macro(ClassCounts::single(Count::F1, names.len(), &gold, &predicted))
        }
        "kappa" => Statistic::Kappa { group: vec![0; gold.len()], gold: gold.clone(), predicted: predicted.clone() },
        "ece" => Statistic::Calibration { confidence: confidence.clone(), right: right.clone() },
        "aurc" => Statistic::risk_area(confidence.clone(), right.clone()),
        "coverage_at_5_risk" => Statistic::coverage_at_risk(confidence.clone(), right.clone(), 0.05),
        "oos_auroc" => Statistic::auroc(scores.clone(), outside.clone()),
        // Accuracy, which micro-averaged F1 of single labels equals.
        _ => Statistic::mean(right.iter().map(|r| yes(*r)).collect()),
    };
    task.metrics.iter().map(statistic).collect()
}

fn labels_many(task: &Task, pairs: &[(&Example, &Prediction)], sheet: &mut Sheet) -> Vec<Statistic> {
    let mut names = Names::default();
    let mut counts: Vec<Vec<(u32, u32, u32, u32)>> = Vec::new();
    for (example, prediction) in pairs {
        let Gold::Labels(gold) = &example.gold else { continue };
        let got: BTreeSet<String> = prediction.labels.iter().flatten().cloned().collect();
        let row = gold.union(&got).map(|label| {
            let (there, found) = (gold.contains(label), got.contains(label));
            (names.of(label), u32::from(there && found), u32::from(!there && found), u32::from(there && !found))
        });
        counts.push(row.collect());
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(", ");
        let outcome = Outcome { id: example.id.clone(), expected: list(gold), got: list(&got), right: *gold == got };
        sheet.push(example, outcome, prediction.confidence);
    }
    counted(task, sheet, &counts, names.len())
}

fn spans(task: &Task, pairs: &[(&Example, &Prediction)], sheet: &mut Sheet) -> Vec<Statistic> {
    let mut names = Names::default();
    let mut counts: Vec<Vec<(u32, u32, u32, u32)>> = Vec::new();
    let asked = |kind: &str| task.run.labels.is_empty() || task.run.labels.iter().any(|l| l == kind);
    for (example, prediction) in pairs {
        let Gold::Spans(all) = &example.gold else { continue };
        let gold: BTreeSet<_> = all.iter().filter(|s| asked(&s.kind)).cloned().collect();
        let got: BTreeSet<_> = prediction.spans.iter().flatten().filter(|s| asked(&s.kind)).cloned().collect();
        let mut row: BTreeMap<u32, (u32, u32, u32)> = BTreeMap::new();
        for span in gold.union(&got) {
            let entry = row.entry(names.of(&span.kind)).or_default();
            let (there, found) = (gold.contains(span), got.contains(span));
            entry.0 += u32::from(there && found);
            entry.1 += u32::from(!there && found);
            entry.2 += u32::from(there && !found);
        }
        counts.push(row.into_iter().map(|(class, (tp, fp, missed))| (class, tp, fp, missed)).collect());
        let text = example.shown();
        let outcome = Outcome {
            id: example.id.clone(),
            expected: written_spans(&text, gold.iter()),
            got: written_spans(&text, got.iter()),
            right: gold == got,
        };
        sheet.push(example, outcome, prediction.confidence);
    }
    counted(task, sheet, &counts, names.len())
}

/// `type "words"` of each span, parted by commas.
fn written_spans<'a>(text: &str, spans: impl Iterator<Item = &'a super::example::Span>) -> String {
    let chars: Vec<char> = text.chars().collect();
    let words = |s: &super::example::Span| chars.get(s.start..s.end.min(chars.len())).unwrap_or(&[]).iter().collect::<String>();
    spans.map(|s| format!("{} \"{}\"", s.kind, words(s))).collect::<Vec<_>>().join(", ")
}

fn counted(task: &Task, sheet: &Sheet, counts: &[Vec<(u32, u32, u32, u32)>], classes: usize) -> Vec<Statistic> {
    let sums: Vec<(f64, f64, f64)> = counts
        .iter()
        .map(|row| {
            row.iter().fold((0.0, 0.0, 0.0), |sum, (_, tp, fp, missed)| {
                (sum.0 + f64::from(*tp), sum.1 + f64::from(*fp), sum.2 + f64::from(*missed))
            })
        })
        .collect();
    let statistic = |metric: &MetricSpec| match (metric.name.as_str(), metric.aggregation()) {
        ("exact_match", _) => Statistic::mean(sheet.outcomes.iter().map(|o| yes(o.right)).collect()),
        (_, "macro") => Statistic::Macro(ClassCounts::new(count_of(metric), classes, counts.to_vec())),
        _ => micro(count_of(metric), &sums),
    };
    task.metrics.iter().map(statistic).collect()
}

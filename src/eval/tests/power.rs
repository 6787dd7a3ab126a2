//! What the gate sees and what it lets pass: planted regressions and changes that are none.

use super::{example, task};
use crate::eval::compare::{adjust, compare};
use crate::eval::example::{Dataset, Example, Gold};
use crate::eval::gate::gate;
use crate::eval::prediction::Prediction;
use crate::eval::receipt::{Machine, Receipt};
use crate::eval::result::TaskResult;
use crate::eval::statistics::{Draws, mcnemar_exact, paired_effect};
use crate::eval::system::SystemIdentity;
use crate::eval::task::Task;

const EXAMPLES: usize = 2_000;
const DRAWS: usize = 1_000;
/// Share of examples on which the two systems differ.
const DISCORDANT: f64 = 0.06;

fn result(task: &Task, right: &[bool], resamples: usize) -> TaskResult {
    let answer = |(i, right): (usize, &bool)| Prediction {
        label: Some(if *right { "order_status" } else { "roaming" }.into()),
        ..Prediction::to(i.to_string())
    };
    let receipt = Receipt {
        commit: "test".into(),
        changed_files: false,
        program: "test".into(),
        system: SystemIdentity { name: "test".into(), models: Vec::new() },
        dataset: "test".into(),
        split: None,
        dataset_sha256: String::new(),
        seed: 1,
        draws: resamples,
        machine: Machine { cores: 1, cpu: "test".into() },
        at: String::new(),
        took_s: 0.0,
    };
    TaskResult {
        task: task.id.clone(),
        version: 1,
        receipt,
        n: right.len(),
        clusters: right.len(),
        digest: String::new(),
        metrics: Vec::new(),
        slices: Vec::new(),
        predictions: right.iter().enumerate().map(answer).collect(),
    }
}

fn dataset() -> Dataset {
    let item = |i: usize| {
        let mut example: Example = example(&i.to_string(), "text", Gold::Label(vec!["order_status".into()]));
        // Two hundred situations of ten.
        example.situation = (i / 10).to_string();
        example
    };
    Dataset { examples: (0..EXAMPLES).map(item).collect(), sha256: String::new(), corpus: Vec::new() }
}

/// Answers before and after: `DISCORDANT` of the examples differ, of these `worse` became wrong.
fn pair(random: &mut Draws, worse: f64) -> (Vec<bool>, Vec<bool>) {
    (0..EXAMPLES)
        .map(|_| {
            let right = random.unit() < 0.85;
            match random.unit() < DISCORDANT {
                true if random.unit() < worse => (true, false),
                true => (false, true),
                false => (right, right),
            }
        })
        .unzip()
}

/// Share of draws in which the gate fails.
fn failures(task: &Task, worse: f64, draws: usize, resamples: usize, seed: u64) -> f64 {
    let data = dataset();
    let mut random = Draws::new(seed);
    let mut task = task.clone();
    task.slices.clear();
    let mut failed = 0;
    for _ in 0..draws {
        let (before, now) = pair(&mut random, worse);
        let comparison = compare(&task, &data, &result(&task, &before, resamples), &result(&task, &now, resamples)).unwrap();
        let mut all = vec![comparison];
        adjust(&mut all);
        failed += usize::from(!gate(&all).passed());
    }
    failed as f64 / draws as f64
}

/// 80 of 120 discordant pairs became worse: two points of 2,000 examples.
const TWO_POINTS: f64 = 2.0 / 3.0;

#[test]
fn a_planted_regression_of_two_points_is_caught_and_a_change_that_is_none_is_not() {
    // The exact test of items does not read the resamples; few make the thousand draws quick.
    let task = task("intent", &["accuracy"], "item");
    let power = failures(&task, TWO_POINTS, DRAWS, 2, 20_260_105);
    let alarms = failures(&task, 0.5, DRAWS, 2, 20_260_106);
    println!("McNemar: power {power:.3}, false alarms {alarms:.3}");
    assert!(power >= 0.9, "power {power}");
    assert!(alarms <= 0.07, "false alarms {alarms}");
    assert!(power < 1.0 || alarms > 0.0, "a gate that knows neither error was not tested");
}

#[test]
fn the_bootstrap_over_situations_holds_the_same_figures() {
    let task = task("intent", &["accuracy"], "situation");
    let power = failures(&task, TWO_POINTS, 150, 300, 20_260_107);
    let alarms = failures(&task, 0.5, 300, 300, 20_260_108);
    println!("bootstrap over situations: power {power:.3}, false alarms {alarms:.3}");
    assert!(power >= 0.9, "power {power}");
    assert!(alarms <= 0.07, "false alarms {alarms}");
}

#[test]
fn the_gate_needs_both_size_and_certainty() {
    let data = dataset();
    let judged = |gate_at: f64, broken: usize, mended: usize| {
        let mut task = task("intent", &["accuracy"], "item");
        task.metrics[0].gate = Some(gate_at);
        let mut before = vec![true; EXAMPLES];
        let mut now = before.clone();
        before[..mended].fill(false);
        now[mended..mended + broken].fill(false);
        let comparison = compare(&task, &data, &result(&task, &before, 20), &result(&task, &now, 20)).unwrap();
        gate(&[comparison])
    };
    // Certain, but smaller than what is allowed.
    assert!(judged(0.05, 80, 10).passed());
    // Larger than allowed, but chance would do.
    assert!(judged(0.001, 6, 3).passed());
    let failed = judged(0.01, 80, 40);
    assert_eq!(failed.failures.len(), 1);
    assert_eq!(failed.failures[0].broken.len(), 50, "examples are shown, up to the limit");
    assert!((failed.failures[0].loss - 0.02).abs() < 1e-9);
    assert!(judged(0.01, 40, 80).passed(), "better is no regression");
}

#[test]
fn the_minimum_detectable_effect_is_what_the_test_sees_with_power_of_four_fifths() {
    let effect = paired_effect(DISCORDANT, EXAMPLES);
    let mut random = Draws::new(7);
    let worse = (1.0 + effect / DISCORDANT) / 2.0;
    let seen = (0..2_000)
        .filter(|_| {
            let (before, now) = pair(&mut random, worse);
            let count = |from: bool| before.iter().zip(&now).filter(|(b, n)| **b == from && **n != from).count() as u64;
            mcnemar_exact(count(true), count(false)) < 0.05
        })
        .count() as f64
        / 2_000.0;
    assert!((0.74..0.86).contains(&seen), "an effect of {effect:.4} is seen with power {seen}");
}

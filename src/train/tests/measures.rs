use crate::train::TrainSettings;
use crate::train::metrics::{loss, report, temperature};

fn names(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|l| (*l).to_owned()).collect()
}

#[test]
fn figures_by_hand() {
    let settings = TrainSettings::new("intent");
    let logits = vec![vec![2.0, 0.0, 1.0], vec![0.0, 2.0, 3.0], vec![0.0, 1.0, 4.0], vec![1.0, 0.0, 0.5]];
    let targets = vec![vec![0], vec![1], vec![2], vec![1]];
    let found = report(&logits, &targets, &names(&["a", "b", "out_of_scope"]), 1.0, &settings);
    // In scope: a right, b right among in-scope labels, the last wrong; b's first row is rejected.
    assert!((found.accuracy - 2.0 / 3.0).abs() < 1e-6);
    assert_eq!(found.out_of_scope_recall, Some(1.0));
    assert!((found.false_rejection.unwrap() - 1.0 / 3.0).abs() < 1e-6);
    assert_eq!(found.accuracy_with_rejection, Some(0.5));
    // F1: a 2/3 (one true, one false positive), b 0 (two missed), out_of_scope 2/3.
    assert!((found.macro_f1 - 4.0 / 9.0).abs() < 1e-6, "{found:?}");
}

#[test]
fn rows_out_of_scope_are_counted_where_no_label_says_so() {
    let logits = vec![vec![2.0, 0.0], vec![0.0, 1.0], vec![1.0, 0.0]];
    let found = report(&logits, &[vec![0], vec![1], vec![]], &names(&["a", "b"]), 1.0, &TrainSettings::new("intent"));
    assert!((found.accuracy - 1.0).abs() < 1e-6 && found.out_of_scope_recall.is_none());
    // a: one true and one false positive; b right.
    assert!((found.macro_f1 - 5.0 / 6.0).abs() < 1e-6, "{found:?}");
}

#[test]
fn several_labels_count_each() {
    let settings = TrainSettings::new("conduct");
    let logits = vec![vec![1.0, -1.0], vec![1.0, 1.0], vec![-1.0, -1.0]];
    let found = report(&logits, &[vec![0], vec![0], vec![]], &names(&["a", "b"]), 1.0, &settings);
    assert!((found.accuracy - 2.0 / 3.0).abs() < 1e-6);
    assert!((found.macro_f1 - 1.0).abs() < 1e-6);
}

#[test]
fn the_temperature_finds_the_scale_of_overconfident_logits() {
    let settings = TrainSettings::new("intent");
    // Right three times of four with logits that claim far more: the best confidence is 3/4, a gap of ln 3.
    let logits = vec![vec![10.0, 0.0]; 4];
    let targets = vec![vec![0], vec![0], vec![0], vec![1]];
    let found = temperature(&logits, &targets, &settings);
    assert!((10.0 / found - 3.0f32.ln()).abs() < 0.01, "{found}");
    assert!(loss(&logits, &targets, found, &settings) < loss(&logits, &targets, 1.0, &settings));
}

//! Metrics against scikit-learn, jiwer, trec_eval, scipy and statsmodels; `tests/fixtures/metrics/reference.py` made the
//! values.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{example, home, task};
use crate::conversation::Language;
use crate::eval::example::Gold;
use crate::eval::metrics::{Statistic, edits};
use crate::eval::normalise::{Normaliser, characters, words};
use crate::eval::prediction::Prediction;
use crate::eval::score::score;
use crate::eval::statistics::{benjamini_hochberg, holm, mcnemar_exact, mcnemar_worse, wilson};

fn reference() -> Value {
    let path = home().join("tests/fixtures/metrics/reference.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn close(found: f64, expected: &Value, what: &str) {
    let expected = expected.as_f64().unwrap();
    assert!((found - expected).abs() < 1e-9, "{what}: {found}, the reference says {expected}");
}

#[test]
fn single_labels_agree_with_scikit_learn() {
    let r = &reference()["single"];
    let (gold, predicted, confidence) = (strings(&r["gold"]), strings(&r["predicted"]), numbers(&r["confidence"]));
    let task = task("intent", &["accuracy", "f1/macro", "kappa", "ece"], "item");
    let examples: Vec<_> =
        gold.iter().enumerate().map(|(i, l)| example(&i.to_string(), "text", Gold::Label(vec![l.clone()]))).collect();
    let answer = |(i, l): (usize, &String)| Prediction {
        label: Some(l.clone()),
        confidence: Some(confidence[i]),
        ..Prediction::to(i.to_string())
    };
    let predictions: Vec<_> = predicted.iter().enumerate().map(answer).collect();
    let scored = score(&task, &examples, &predictions);
    for (statistic, name) in scored.statistics.iter().zip(["accuracy", "macro_f1", "kappa", "ece"]) {
        close(statistic.whole().unwrap(), &r[name], name);
    }
}

#[test]
fn several_labels_agree_with_scikit_learn() {
    let r = &reference()["several"];
    let names = ["f1/micro", "f1/macro", "precision/micro", "precision/macro", "recall/micro", "recall/macro", "exact_match"];
    let task = task("act", &names, "item");
    let rows = |key: &str| -> Vec<Vec<String>> { r[key].as_array().unwrap().iter().map(strings).collect() };
    let examples: Vec<_> = rows("gold")
        .into_iter()
        .enumerate()
        .map(|(i, l)| example(&i.to_string(), "text", Gold::Labels(l.into_iter().collect())))
        .collect();
    let predictions: Vec<_> = rows("predicted")
        .into_iter()
        .enumerate()
        .map(|(i, l)| Prediction { labels: Some(l), ..Prediction::to(i.to_string()) })
        .collect();
    let scored = score(&task, &examples, &predictions);
    for (metric, statistic) in task.metrics.iter().zip(&scored.statistics) {
        close(statistic.whole().unwrap(), &r[metric.key()], &metric.key());
    }
}

#[test]
fn area_under_the_curve_agrees_with_scikit_learn_ties_included() {
    let r = &reference()["auroc"];
    let positive = r["positive"].as_array().unwrap().iter().map(|v| v.as_bool().unwrap()).collect();
    close(Statistic::auroc(numbers(&r["score"]), positive).whole().unwrap(), &r["auroc"], "auroc");
}

#[test]
fn error_rates_agree_with_jiwer() {
    let r = &reference()["edits"];
    let rate = |key: &str, language: Language, by_word: bool| -> (usize, f64) {
        let (mut errors, mut all) = (0, 0);
        for pair in r[key].as_array().unwrap() {
            let pair = strings(pair);
            let (a, b) = (Normaliser::Plain.apply(&pair[0], language), Normaliser::Plain.apply(&pair[1], language));
            let counts = if by_word { edits(&words(&a), &words(&b)) } else { edits(&characters(&a), &characters(&b)) };
            errors += counts.errors();
            all += counts.reference;
        }
        (errors, errors as f64 / all as f64)
    };
    close(rate("zh", Language::Zh, false).1, &r["cer_zh"], "cer_zh");
    close(rate("en", Language::En, false).1, &r["cer_en"], "cer_en");
    let (errors, wer) = rate("en", Language::En, true);
    close(wer, &r["wer_en"], "wer_en");
    assert_eq!(errors as u64, r["en_errors"].as_u64().unwrap());
}

#[test]
fn rankings_agree_with_trec_eval() {
    let r = &reference()["ranking"];
    let names = ["ndcg_at_10", "mrr_at_10", "recall_at_1", "recall_at_5", "recall_at_10"];
    let task = task("search", &names, "item");
    let (mut examples, mut predictions) = (Vec::new(), Vec::new());
    for (query, judged) in r["qrels"].as_object().unwrap() {
        let relevant: BTreeMap<String, u32> =
            judged.as_object().unwrap().iter().map(|(d, s)| (d.clone(), s.as_u64().unwrap() as u32)).collect();
        examples.push(example(query, "text", Gold::Relevant(relevant)));
        predictions.push(Prediction { ranking: Some(strings(&r["lists"][query])), ..Prediction::to(query) });
    }
    let scored = score(&task, &examples, &predictions);
    for (name, statistic) in names.iter().zip(&scored.statistics) {
        close(statistic.whole().unwrap(), &r[name], name);
    }
}

#[test]
fn tests_and_intervals_agree_with_scipy_and_statsmodels() {
    let r = &reference()["tests"];
    let row = |v: &Value| numbers(v);
    for case in r["mcnemar"].as_array().unwrap().iter().map(row) {
        close(mcnemar_exact(case[0] as u64, case[1] as u64), &case[2].into(), "mcnemar");
    }
    for case in r["mcnemar_worse"].as_array().unwrap().iter().map(row) {
        close(mcnemar_worse(case[0] as u64, case[1] as u64), &case[2].into(), "mcnemar, one-sided");
    }
    for case in r["wilson"].as_array().unwrap().iter().map(row) {
        let interval = wilson(case[0], case[1]).unwrap();
        close(interval.low, &case[2].into(), "wilson, lower");
        close(interval.high, &case[3].into(), "wilson, upper");
    }
    let p = numbers(&r["p"]);
    for (found, expected) in holm(&p).into_iter().zip(numbers(&r["holm"])) {
        close(found, &expected.into(), "holm");
    }
    for (found, expected) in benjamini_hochberg(&p).into_iter().zip(numbers(&r["benjamini_hochberg"])) {
        close(found, &expected.into(), "benjamini and hochberg");
    }
}

//! From a task and predictions to a result, a comparison and a page.

use std::collections::BTreeMap;

use super::{example, home, task};
use crate::conversation::TimeSpan;
use crate::eval::compare::{Verdict, adjust, compare};
use crate::eval::errors::analyse_errors;
use crate::eval::example::{Dataset, Gold};
use crate::eval::prediction::Prediction;
use crate::eval::report::{ReportEntry, html};
use crate::eval::result::TaskResult;
use crate::eval::run::{RunOptions, run_task};
use crate::eval::score::score;
use crate::eval::system::{Heard, Recorded, System, by_turn};
use crate::eval::task::Task;
use crate::eval::threshold::{Costs, sweep};

const LABELS: [&str; 3] = ["roaming", "card_loss", "order_status"];

fn items() -> Dataset {
    let item = |i: usize| example(&format!("i{i}"), &"字".repeat(i % 30 + 1), Gold::Label(vec![LABELS[i % 3].into()]));
    Dataset { examples: (0..240).map(item).collect(), sha256: "0".repeat(64), corpus: Vec::new() }
}

/// Every `wrong`-th answer is wrong.
fn answers(wrong: usize) -> String {
    let line = |i: usize| {
        let label = LABELS[if i % wrong == 0 { (i + 1) % 3 } else { i % 3 }];
        format!("{{\"id\":\"i{i}\",\"label\":\"{label}\",\"confidence\":{}}}", 0.5 + (i % 50) as f64 / 100.0)
    };
    (0..240).map(line).collect::<Vec<_>>().join("\n")
}

fn run(task: &Task, wrong: usize) -> TaskResult {
    let file = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
    std::fs::write(file.path(), answers(wrong)).unwrap();
    let system = Recorded::new(file.path(), &home());
    let folder = home();
    let options = RunOptions { seed: 3, draws: 200, home: &folder, split: None };
    run_task(task, &items(), &system as &dyn System, options, &|_| {}).unwrap()
}

fn intent_task() -> Task {
    task("intent", &["accuracy", "f1/macro", "ece", "aurc", "coverage_at_5_risk", "oos_auroc"], "item")
}

#[test]
fn two_runs_with_one_seed_are_identical_and_another_seed_moves_only_intervals() {
    let task = intent_task();
    let (a, b) = (run(&task, 10), run(&task, 10));
    assert_eq!(a.digest, b.digest);
    assert_eq!((&a.metrics, &a.slices), (&b.metrics, &b.slices));
    assert_ne!(a.digest, run(&task, 9).digest, "another answer is another result");
    let accuracy = a.metric("accuracy").unwrap();
    assert_eq!(accuracy.value, Some(0.9));
    let (interval, wilson) = (accuracy.interval.unwrap(), accuracy.wilson.unwrap());
    assert!(interval.low < 0.9 && 0.9 < interval.high && (interval.low - wilson.low).abs() < 0.03);
    assert_eq!(a.metric("oos_auroc").unwrap().value, None, "nothing is out of scope here: not defined, and not 0");
    assert_eq!(a.slices.iter().filter(|s| s.slice == "length").map(|s| s.n).sum::<usize>(), 240);
}

#[test]
fn a_result_survives_its_file() {
    let task = intent_task();
    let result = run(&task, 10);
    let folder = tempfile::tempdir().unwrap();
    result.write(folder.path()).unwrap();
    let all = TaskResult::read_all(folder.path()).unwrap();
    assert_eq!(all["x/y"], result);
    let file = folder.path().join("x.y.json");
    let lines = std::fs::read_to_string(&file).unwrap().lines().filter(|l| l.starts_with("{\"id\"")).count();
    assert_eq!(lines, 240, "one prediction a line");
    std::fs::write(&file, "{\n\"task\": 1}").unwrap();
    assert!(TaskResult::read(&file).unwrap_err().to_string().contains("x.y.json:2:"));
}

#[test]
fn a_comparison_names_what_changed_and_a_page_shows_it() {
    let task = intent_task();
    let data = items();
    let (before, now) = (run(&task, 10), run(&task, 4));
    let mut all = vec![compare(&task, &data, &before, &now).unwrap()];
    adjust(&mut all);
    let accuracy = &all[0].metrics[0];
    // 60 wrong of which 12 were wrong before; 24 were wrong before.
    assert_eq!(accuracy.flips, Some((48, 12)));
    assert_eq!(accuracy.test, "McNemar, exact");
    assert_eq!(accuracy.verdict, Verdict::Worse);
    assert!(accuracy.p_holm.unwrap() >= accuracy.p_value.unwrap());
    assert!(all[0].changed[0].was_right && !all[0].changed[0].is_right, "what broke comes first");
    let page = html(
        "Title <x>",
        &[ReportEntry { task: &task, dataset: &data, result: &now, comparison: Some(&all[0]) }],
        &["absent".into()],
    );
    for part in ["Title &lt;x&gt;", "Reliability", "Risk and coverage", "Confusions", "by length", "48 broke", "absent", "digest"]
    {
        assert!(page.contains(part), "the page lacks {part}");
    }
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"), "the page loads nothing");
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
}

#[test]
fn results_of_another_version_or_without_shared_items_are_refused() {
    let task = intent_task();
    let data = items();
    let (result, mut other) = (run(&task, 10), run(&task, 10));
    other.version = 2;
    assert!(compare(&task, &data, &other, &result).unwrap_err().to_string().contains("run it again"));
    let mut fewer = run(&task, 10);
    fewer.predictions.truncate(200);
    let compared = compare(&task, &data, &fewer, &result).unwrap();
    assert_eq!(compared.n, 200);
    assert!(compared.notes[0].contains("lacks 40"), "{:?}", compared.notes);
    fewer.predictions.clear();
    assert!(compare(&task, &data, &fewer, &result).unwrap_err().to_string().contains("no item in common"));
}

#[test]
fn words_of_an_utterance_go_to_the_turn_it_overlaps_or_lies_nearest_to() {
    let turns = [("t0".to_owned(), Some(TimeSpan::new(0, 1_000))), ("t1".to_owned(), Some(TimeSpan::new(5_000, 6_000)))];
    let heard = |start, end, text: &str| Heard { span: TimeSpan::new(start, end), text: text.into(), ..Heard::default() };
    let all = by_turn(
        &turns,
        &[heard(100, 900, "one"), heard(1_100, 1_300, "noise"), heard(5_100, 5_400, "two"), heard(5_500, 5_900, "three")],
    );
    assert_eq!(all["t0"].text, "one noise");
    assert_eq!(all["t1"].text, "two three");
}

#[test]
fn the_cheapest_threshold_follows_the_costs() {
    let (confidence, right) = ([0.2, 0.4, 0.6, 0.8], [false, false, true, true]);
    let (points, best) = sweep(&confidence, &right, Costs { wrong: 10.0, abstain: 1.0, right: 0.0 });
    assert_eq!(points.len(), 5);
    assert!(points[best].threshold > 0.4 && points[best].threshold <= 0.6);
    assert_eq!((points[best].precision, points[best].coverage, points[best].cost), (1.0, 0.5, 0.5));
    let (points, best) = sweep(&confidence, &right, Costs { wrong: 0.5, abstain: 1.0, right: 0.0 });
    assert_eq!((points[best].coverage, best), (1.0, 0), "cheap mistakes: answer everything");
}

#[test]
fn mistakes_are_grouped_and_a_contradiction_with_the_training_data_is_proposed() {
    let task = task("intent", &["accuracy"], "item");
    let make = |id: &str, text: &str, label: &str| example(id, text, Gold::Label(vec![label.into()]));
    let data = Dataset {
        examples: vec![
            make("a", "where is my parcel", "roaming"),
            make("b", "where is my big parcel", "roaming"),
            make("c", "z", "card_loss"),
            make("d", "w", "card_loss"),
        ],
        sha256: String::new(),
        corpus: Vec::new(),
    };
    let train = Dataset {
        examples: vec![make("t1", "Where is my parcel?", "order_status"), make("t2", "z!", "card_loss")],
        sha256: String::new(),
        corpus: Vec::new(),
    };
    let unit = |x: f32, y: f32| vec![x / x.hypot(y), y / x.hypot(y)];
    let vectors = [unit(1.0, 0.0), unit(1.0, 0.1), unit(0.0, 1.0), unit(0.1, 1.0)];
    let predictions: Vec<Prediction> = [("a", "order_status"), ("b", "order_status"), ("c", "roaming"), ("d", "card_loss")]
        .map(|(id, label)| Prediction { label: Some(label.into()), ..Prediction::to(id) })
        .to_vec();
    let scored = score(&task, &data.examples, &predictions);
    let report = analyse_errors(&data, &scored.outcomes, &vectors, &train, &[unit(1.0, 0.05), unit(0.0, 1.0)], 1);
    assert_eq!((report.wrong, report.items), (3, 4));
    assert_eq!(report.clusters.iter().map(|c| c.mistakes.len()).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(report.clusters[0].confusions, [("roaming".to_owned(), "order_status".to_owned(), 2)]);
    let conflicts: BTreeMap<&str, &str> = report.conflicts.iter().map(|c| (c.id.as_str(), c.proposed.as_str())).collect();
    assert_eq!(conflicts, BTreeMap::from([("a", "order_status"), ("b", "order_status")]));
}

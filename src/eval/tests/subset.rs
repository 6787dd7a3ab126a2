//! A part of a task, items without labels, and answers of a reader.

use std::path::PathBuf;

use super::home;
use crate::eval::dataset::DataPlaces;
use crate::eval::statistics::wilson;
use crate::eval::system::Recorded;
use crate::eval::{RunOptions, Subset, Task, blind_id, exported, load_tasks, run_task};

fn intent() -> Task {
    load_tasks(&home().join("eval/tasks")).unwrap().into_iter().find(|t| t.id == "intent/service-en").unwrap()
}

fn places() -> DataPlaces {
    DataPlaces { home: home(), public: Vec::new() }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn listed(path: &std::path::Path) -> Subset {
    Subset { items: Some(path.to_owned()), ..Subset::default() }
}

#[test]
fn what_a_reader_gets_tells_no_label_and_his_answers_are_scored() {
    let task = intent();
    let part = Subset { limit: Some(50), ..Subset::default() }.load(&task, &places(), 1).unwrap();
    assert_eq!(part.examples.len(), 50);
    let blind = exported(&task, &part, false, 1);
    assert_eq!(blind.lines().count(), 50);
    for (line, example) in blind.lines().zip(&part.examples) {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let fields: Vec<&String> = row.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["id", "language", "text"], "nothing but the words");
        assert!(row["id"].as_str().unwrap().starts_with("blind-"));
        assert!(!blind.contains(&format!("\"{}\"", example.id)), "no id of the data");
    }
    assert_ne!(blind, exported(&task, &part, false, 2), "the seed decides the order");
    assert_eq!(blind, exported(&task, &part, false, 1));
    // A reader who is right about the first forty.
    let items = file(&blind);
    let chosen = listed(items.path()).load(&task, &places(), 1).unwrap();
    assert_eq!(chosen.examples.len(), 50);
    let answer = |(place, example): (usize, &crate::eval::Example)| {
        let crate::eval::Gold::Label(accepted) = &example.gold else { panic!("labels") };
        let wrong = ["order_cancel", "delivery_delay"].into_iter().find(|l| !accepted.iter().any(|a| a == l)).unwrap();
        let label = if place < 40 { accepted[0].as_str() } else { wrong };
        format!("{{\"id\":\"{}\",\"label\":\"{label}\"}}", blind_id(&example.id))
    };
    let answers: Vec<String> = chosen.examples.iter().enumerate().map(answer).collect();
    let answers = file(&answers.join("\n"));
    let folder = home();
    let options = RunOptions { seed: 1, draws: 50, home: &folder, split: None };
    let result = run_task(&task, &chosen, &Recorded::new(answers.path(), &home()), options, &|_| {}).unwrap();
    assert_eq!(result.metrics[0].value, Some(0.8));
    assert_eq!(result.n, 50);
    assert!(result.predictions.iter().all(|p| !p.id.starts_with("blind-")), "results bear the ids of the data");
    assert!(wilson(40.0, 50.0).unwrap().low > 0.6);
}

#[test]
fn another_split_is_another_state_of_the_data() {
    let task = intent();
    let whole = Subset::default().load(&task, &places(), 1).unwrap();
    let dev = Subset { split: Some("dev".into()), ..Subset::default() }.load(&task, &places(), 1).unwrap();
    let ids = |d: &crate::eval::Dataset| d.examples.iter().map(|e| e.id.clone()).collect::<std::collections::HashSet<_>>();
    assert!(ids(&whole).is_disjoint(&ids(&dev)) && !dev.examples.is_empty());
    let few = Subset { limit: Some(20), ..Subset::default() }.load(&task, &places(), 1).unwrap();
    let others = Subset { limit: Some(20), ..Subset::default() }.load(&task, &places(), 2).unwrap();
    assert_eq!(few.examples.len(), 20);
    assert_ne!(few.sha256, whole.sha256, "a part is not the whole");
    assert_ne!(few.sha256, others.sha256);
    let nothing = Subset { split: Some("tset".into()), ..Subset::default() }.load(&task, &places(), 1).unwrap_err();
    assert!(nothing.to_string().contains("tset"), "{nothing}");
}

#[test]
fn a_list_of_items_that_does_not_fit_is_refused_with_its_line() {
    let task = intent();
    let known = Subset { limit: Some(1), ..Subset::default() }.load(&task, &places(), 1).unwrap().examples[0].id.clone();
    let refused = |text: &str| listed(file(text).path()).load(&task, &places(), 1).unwrap_err().to_string();
    assert!(refused("{\"id\":\"nobody\"}").contains(":1: id \"nobody\" is no item of task intent/service-en"));
    assert!(refused(&format!("{{\"id\":\"{known}\"}}\n\n{{\"id\":\"{known}\"}}")).contains(":3: id"));
    assert!(refused("{\"text\":\"x\"}").contains(":1: no \"id\""));
    assert!(refused("[").contains(":1:"));
    assert!(refused("\n").contains("names no item"));
    let gone = Subset { items: Some(PathBuf::from("/nowhere.jsonl")), ..Subset::default() }.load(&task, &places(), 1);
    assert!(gone.unwrap_err().to_string().contains("/nowhere.jsonl"));
}

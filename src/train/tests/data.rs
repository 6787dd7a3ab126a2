use std::path::PathBuf;

use crate::train::{Dataset, TrainSettings};

/// Writes a file and reads it as training data; errors as text.
fn load(name: &str, text: &str, settings: &TrainSettings) -> Result<Dataset, String> {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let data = Dataset::load(&path, None, None, settings).map_err(|e| e.to_string())?;
    data.labels(settings).map_err(|e| e.to_string())?;
    Ok(data)
}

fn refused(name: &str, text: &str) -> String {
    load(name, text, &TrainSettings::new("intent")).unwrap_err()
}

#[test]
fn all_forms_are_read() {
    let settings = TrainSettings::new("intent");
    let lines = "{\"text\": \"查账单\", \"intent\": \"bill\"}\n\n{\"text\": \"hello\", \"intents\": [\"chat\", \"bill\"]}\n";
    let data = load("a.jsonl", lines, &settings).unwrap();
    assert_eq!(data.train[1].labels, ["chat", "bill"]);
    let table = "text,category\n\"where, is it\",track\nlost it,card\n";
    assert_eq!(load("a.csv", table, &settings).unwrap().train[0].text, "where, is it");
    let clinc =
        r#"{"train": [["a b", "x"], ["c d", "y"]], "oos_train": [["e f", "oos"]], "val": [["g", "x"]], "test": [["h", "y"]]}"#;
    let data = load("a.json", clinc, &settings).unwrap();
    assert_eq!((data.train.len(), data.dev.len(), data.test.len()), (3, 1, 1));
    assert_eq!(data.labels(&settings).unwrap(), ["x", "y", "out_of_scope"]);
}

#[test]
fn bad_rows_are_named_with_their_lines() {
    let twice = "{\"id\": 1, \"text\": \"a\", \"label\": \"x\"}\n{\"id\": 1, \"text\": \"b\", \"label\": \"y\"}";
    let message = refused("a.jsonl", twice);
    assert!(message.contains("line 2") && message.contains("line 1 already"), "{message}");
    let unlabelled = "{\"text\": \"a\", \"label\": \"x\"}\n{\"text\": \"b\"}\n{\"text\": \"c\", \"label\": null}\n{\"text\": \" \", \"label\": \"y\"}";
    let message = refused("a.jsonl", unlabelled);
    for part in ["3 rows", "line 2: no label", "line 3: no label", "line 4: `text` is blank", "--skip-unlabelled"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(refused("a.jsonl", "{\"text\": 7, \"label\": \"x\"}").contains("line 1: `text` is missing or no text"));
    assert!(refused("a.jsonl", "no json").contains("no JSON object"));
    assert!(refused("a.csv", "text,category\nhello,\n").contains("line 2"));
    assert!(refused("a.csv", "sentence,category\nhello,x\n").contains("no column `text`"));
    assert!(refused("a.json", "{\"trian\": [[\"a\", \"b\"]]}").contains("\"trian\" is not known"));
    assert!(refused("a.txt", "x").contains("ends in \"txt\""));
}

#[test]
fn labels_of_another_task_are_not_learnt() {
    let lines = "{\"text\": \"a\", \"emotion\": \"angry\", \"intent\": \"refund\"}\n{\"text\": \"b\", \"emotion\": null, \"intent\": \"refund\"}\n{\"text\": \"c\", \"emotion\": \"sad\"}";
    let settings = TrainSettings { skip_unlabelled: true, ..TrainSettings::new("emotion") };
    let data = load("a.jsonl", lines, &settings).unwrap();
    assert_eq!(data.labels(&settings).unwrap(), ["angry", "sad"]);
    assert_eq!(data.train.len(), 2);
}

#[test]
fn a_table_with_stray_commas_or_quotes_is_not_read_askew() {
    let message = refused("a.csv", "text,category\nmy card, it is lost,card_lost\nhello,chat\n");
    assert!(message.contains("line 2: 3 columns"), "{message}");
    let table = "text\tcategory\n\"refund\trefund\nwhere \"is\" it\ttrack\n";
    let data = load("a.tsv", table, &TrainSettings::new("intent")).unwrap();
    assert_eq!(data.train.iter().map(|row| row.text.as_str()).collect::<Vec<_>>(), ["\"refund", "where \"is\" it"]);
}

#[test]
fn a_dev_split_of_whole_groups_leaves_every_label_its_rows() {
    let line = |i: usize, label: &str, group: &str| {
        format!("{{\"text\": \"text {i}\", \"label\": \"{label}\", \"situation\": \"{group}\"}}")
    };
    let mut lines: Vec<String> = (0..12).map(|i| line(i, "rare", "one")).collect();
    lines.extend((12..60).map(|i| line(i, "common", &format!("s{i}"))));
    let settings = TrainSettings::new("intent");
    let data = load("a.jsonl", &lines.join("\n"), &settings).unwrap().with_dev(&settings).unwrap();
    assert_eq!(data.train.iter().filter(|row| row.labels == ["rare"]).count(), 12, "the only group of a label stays");
    assert!(!data.dev.is_empty());
    let whole: Vec<String> = (0..40).map(|i| line(i, ["x", "y"][i % 2], "all")).collect();
    let refused = load("a.jsonl", &whole.join("\n"), &settings).unwrap().with_dev(&settings).unwrap_err().to_string();
    assert!(refused.contains("groups are too large"), "{refused}");
}

#[test]
fn data_that_teaches_nothing_is_refused() {
    assert!(refused("a.jsonl", "").contains("no training rows"));
    let one = "{\"text\": \"a\", \"label\": \"x\"}\n{\"text\": \"b\", \"label\": \"x\"}";
    assert!(refused("a.jsonl", one).contains("have 1 label"));
    let stranger = r#"{"train": [["a b", "x"], ["c d", "y"]], "test": [["h", "z"]]}"#;
    assert!(refused("a.json", stranger).contains("no training row has: z"));
}

#[test]
fn skipped_rows_and_several_labels_are_the_callers_choice() {
    let lines = "{\"text\": \"a\", \"label\": \"x\"}\n{\"text\": \"b\"}\n{\"text\": \"c\", \"label\": \"y\"}";
    let settings = TrainSettings { skip_unlabelled: true, ..TrainSettings::new("intent") };
    assert_eq!(load("a.jsonl", lines, &settings).unwrap().train.len(), 2);
    let lines = "{\"text\": \"a\", \"conduct\": [\"polite\", \"apology\"]}\n{\"text\": \"b\", \"conduct\": []}";
    assert_eq!(load("a.jsonl", lines, &TrainSettings::new("conduct")).unwrap().train[1].labels.len(), 0);
}

#[test]
fn test_text_never_trains_and_groups_stay_together() {
    let text = r#"{"train": [["Where is it?", "x"], ["c d", "y"], ["e f", "x"]], "test": [["where is it", "x"]]}"#;
    let data = load("a.json", text, &TrainSettings::new("intent")).unwrap();
    assert_eq!((data.leaked, data.train.len()), (1, 2));
    let lines: Vec<String> = (0..60)
        .map(|i| format!("{{\"text\": \"text {i}\", \"label\": \"l{}\", \"situation\": \"s{}\"}}", i % 2, i / 3))
        .collect();
    let settings = TrainSettings::new("intent");
    let data = load("a.jsonl", &lines.join("\n"), &settings).unwrap().with_dev(&settings).unwrap();
    assert!(!data.dev.is_empty() && data.train.len() + data.dev.len() == 60);
    for row in &data.dev {
        assert!(data.train.iter().all(|t| t.group != row.group));
    }
}

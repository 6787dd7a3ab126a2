//! Task files, datasets and predictions: what is read, and what is refused with its line.

use std::collections::HashSet;
use std::io::Write as _;

use proptest::prelude::*;

use super::{example, home, task};
use crate::conversation::Language;
use crate::eval::dataset::records::parse_records;
use crate::eval::dataset::{DataPlaces, TarEntries, load, parse_qrels, parse_rasa};
use crate::eval::example::{Gold, Span};
use crate::eval::metrics::edits;
use crate::eval::normalise::{Normaliser, occurrences, words};
use crate::eval::prediction::{PredictionForm, read_predictions};
use crate::eval::task::{Task, load_tasks};
use crate::eval::{EvalError, select};

fn refused(text: &str) -> String {
    Task::parse("t.toml", "x/y", text).unwrap_err().to_string()
}

const SOUND: &str = "id = \"x/y\"\nversion = 1\ntitle = \"t\"\nstage = \"intent\"\nlanguages = [\"zh\"]\nprofiles = [\"fast\"]\n[dataset]\nadapter = \"records\"\npath = \"x.jsonl\"\n[[metric]]\nname = \"accuracy\"\n";

#[test]
fn a_broken_task_file_is_refused_with_its_line_and_the_near_name() {
    assert!(Task::parse("t.toml", "x/y", SOUND).is_ok());
    assert!(refused(&SOUND.replace("version = 1", "version = 1\nversoin = 2")).starts_with("t.toml:3: unknown field `versoin`"));
    assert_eq!(
        refused(&SOUND.replace("accuracy", "acuracy")),
        "t.toml:11: there is no metric \"acuracy\"; did you mean \"accuracy\"?"
    );
    assert_eq!(refused(&SOUND.replace("accuracy", "wer")), "t.toml:11: metric \"wer\" does not fit stage \"intent\"");
    assert_eq!(
        refused(&SOUND.replace("\"intent\"", "\"intents\"")).lines().next().unwrap(),
        "t.toml:4: there is no stage \"intents\"; did you mean \"intent\"?"
    );
    let many = refused(&SOUND.replace("[\"fast\"]", "[\"quick\"]").replace("\"x/y\"", "\"x/z\""));
    assert!(many.contains("t.toml:1: id is \"x/z\"") && many.contains("t.toml:6: there is no profile \"quick\""), "{many}");
    let wrong_way = refused(&SOUND.replace("name = \"accuracy\"", "name = \"accuracy\"\ndirection = \"lower\""));
    assert!(wrong_way.contains("direction is higher"), "{wrong_way}");
    assert!(refused("id = ").starts_with("t.toml:1:"));
}

#[test]
fn every_shipped_task_is_sound_and_its_data_can_be_read_or_is_named_as_absent() {
    let tasks = load_tasks(&home().join("eval/tasks")).unwrap();
    assert!(tasks.len() >= 30, "{} tasks", tasks.len());
    let places = DataPlaces { home: home(), public: Vec::new() };
    let mut read = 0;
    for task in &tasks {
        match load(task, &places, 1) {
            Ok(dataset) => {
                assert_eq!(dataset.sha256.len(), 64);
                read += 1;
            }
            Err(EvalError::Absent { how, .. }) => assert!(!how.is_empty()),
            Err(error) => panic!("{}: {error}", task.id),
        }
    }
    assert!(read >= 20, "{read} tasks with data");
    assert!(select(&tasks, &["intent/service-hz".into()], "fast").unwrap_err().to_string().contains("intent/service-zh"));
    assert!(select(&tasks, &["intent".into()], "fast").unwrap().len() >= 3);
}

#[test]
fn a_public_set_that_is_not_here_says_how_to_get_it() {
    let tasks = load_tasks(&home().join("eval/tasks")).unwrap();
    let task = tasks.iter().find(|t| t.id == "privacy/presidio").unwrap();
    let error = load(task, &DataPlaces { home: home(), public: Vec::new() }, 1).unwrap_err().to_string();
    assert!(error.contains("https://github.com/microsoft/presidio-research") && error.contains("--data"), "{error}");
}

fn refused_predictions(text: &str) -> String {
    let task = task("intent", &["accuracy"], "item");
    let examples =
        [example("a", "x", Gold::Label(vec!["roaming".into()])), example("b", "y", Gold::Label(vec!["card_loss".into()]))];
    let known: HashSet<String> = ["roaming", "card_loss"].map(String::from).into();
    match read_predictions("p.jsonl", text, PredictionForm::Jsonl, &task, &examples, Some(&known)) {
        Ok(found) => {
            assert_eq!(found.iter().map(|p| p.id.as_str()).collect::<Vec<_>>(), ["a", "b"], "in the order of the items");
            "read".into()
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn predictions_that_do_not_fit_are_refused_with_their_line() {
    let good = "{\"id\":\"b\",\"label\":\"roaming\"}\n\n{\"id\":\"a\",\"label\":\"roaming\",\"confidence\":0.5}\n";
    assert_eq!(refused_predictions(good), "read");
    let line = |text: &str| refused_predictions(text);
    assert!(line("{\"id\":\"a\",\"label\":\"roaming\"}").contains("p.jsonl: 1 items have no prediction, the first is \"b\""));
    assert!(line(&format!("{good}{{\"id\":\"c\",\"label\":\"roaming\"}}")).contains("p.jsonl:4: id \"c\" is no item"));
    assert!(
        line(&format!("{good}{{\"id\":\"a\",\"label\":\"roaming\"}}"))
            .contains("p.jsonl:4: id \"a\" stands there twice, first in line 3")
    );
    assert!(
        line(&good.replacen("roaming", "romaing", 1))
            .contains("p.jsonl:1: there is no label \"romaing\"; did you mean \"roaming\"?")
    );
    assert!(line(&good.replace("0.5", "1.5")).contains("p.jsonl:3: id \"a\": confidence 1.5 lies outside of 0 to 1"));
    assert!(line(&good.replacen("label", "lable", 1)).contains("p.jsonl:1: no prediction: unknown field `lable`"));
    assert!(line("{\"id\":\"a\"}").contains("p.jsonl:1: id \"a\" has no \"label\""));
    assert!(line("nonsense").contains("p.jsonl:1: no prediction"));
}

#[test]
fn kaldi_text_and_trec_runs_are_predictions_too() {
    let task_of = |stage, metric| task(stage, &[metric], "item");
    let spoken = [example("u1", "u1", Gold::Text("hello there".into()))];
    let read = read_predictions(
        "hyp.txt",
        "u1 hello  there\n",
        PredictionForm::of_file("hyp.txt"),
        &task_of("recognise", "wer"),
        &spoken,
        None,
    );
    assert_eq!(read.unwrap()[0].text.as_deref(), Some("hello  there"));
    let query = [example("q", "q", Gold::Relevant([("d2".to_owned(), 1)].into()))];
    let run = "q Q0 d1 1 0.5 me\nq Q0 d2 2 0.9 me\n";
    let read =
        read_predictions("x.run", run, PredictionForm::of_file("x.run"), &task_of("search", "ndcg_at_10"), &query, None).unwrap();
    assert_eq!(read[0].ranking.as_deref().unwrap(), ["d2", "d1"], "the score decides, not the rank");
    let wrong = read_predictions("x.run", "q Q0 d1 1\n", PredictionForm::Trec, &task_of("search", "ndcg_at_10"), &query, None);
    assert!(wrong.unwrap_err().to_string().starts_with("x.run:1: a run has 6 columns"));
}

#[test]
fn records_in_all_forms_say_the_same_and_point_at_their_lines() {
    let rows = |name: &str, text: &str| {
        parse_records(name, text).unwrap().into_iter().map(|r| r.values["label"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let expected = ["roaming", "card_loss"];
    assert_eq!(rows("x.jsonl", "{\"text\":\"a\",\"label\":\"roaming\"}\n{\"text\":\"b\",\"label\":\"card_loss\"}"), expected);
    assert_eq!(rows("x.json", "[{\"label\":\"roaming\"},{\"label\":\"card_loss\"}]"), expected);
    assert_eq!(rows("x.json", "{\"data\":[{\"label\":\"roaming\"},{\"label\":\"card_loss\"}]}"), expected);
    assert_eq!(rows("x.json", "{\"rows\":[{\"row\":{\"label\":\"roaming\"}},{\"row\":{\"label\":\"card_loss\"}}]}"), expected);
    assert_eq!(rows("x.csv", "text,label\n\"a, b\",roaming\nb,card_loss\n"), expected);
    assert_eq!(rows("x.tsv", "text\tlabel\n\"a\troaming\nb\tcard_loss\n"), expected);
    let wrong = |name: &str, text: &str| parse_records(name, text).unwrap_err().to_string();
    assert!(wrong("x.jsonl", "{}\n\n[1]").starts_with("x.jsonl:3: is no JSON object"));
    assert!(wrong("x.csv", "a,b\n1,2\n3\n").starts_with("x.csv:3:"));
    assert!(wrong("x.json", "[1").starts_with("x.json:1:"));
    assert!(wrong("x.parquet", "").contains("known endings"));
}

/// Writes files and reads them with a task of an adapter.
fn loaded(
    adapter: &str,
    stage: &str,
    metric: &str,
    path: &str,
    files: &[(&str, &str)],
) -> crate::eval::Result<Vec<(String, String)>> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("pipelines")).unwrap();
    std::os::unix::fs::symlink(home().join("pipelines/taxonomy"), folder.path().join("pipelines/taxonomy")).unwrap();
    for (name, text) in files {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::File::create(file).unwrap().write_all(text.as_bytes()).unwrap();
    }
    let mut task = task(stage, &[metric], "item");
    task.dataset.adapter = adapter.into();
    task.dataset.path = path.into();
    let dataset = load(&task, &DataPlaces { home: folder.path().to_owned(), public: Vec::new() }, 1)?;
    Ok(dataset.examples.iter().map(|e| (e.id.clone(), format!("{:?}", e.gold))).collect())
}

#[test]
fn an_empty_split_an_unknown_label_and_a_repeated_id_are_refused() {
    let records = |text: &str| loaded("records", "intent", "accuracy", "x.jsonl", &[("x.jsonl", text)]);
    assert_eq!(records("{\"id\":\"1\",\"text\":\"a\",\"label\":\"roaming\"}").unwrap().len(), 1);
    assert!(records("\n").unwrap_err().to_string().contains("holds no item for stage \"intent\""));
    assert!(
        records("{\"id\":\"1\",\"text\":\"a\",\"label\":\"roamin\"}")
            .unwrap_err()
            .to_string()
            .contains("did you mean \"roaming\"?")
    );
    let twice = "{\"id\":\"1\",\"text\":\"a\",\"label\":\"roaming\"}\n".repeat(2);
    assert!(records(&twice).unwrap_err().to_string().contains("id \"1\" stands there twice (items 1 and 2)"));
    assert!(
        records("{\"id\":\"1\",\"txt\":\"a\"}")
            .unwrap_err()
            .to_string()
            .contains("x.jsonl:1: no \"text\"; the columns are id, txt")
    );
}

#[test]
fn beir_trec_and_kaldi_folders_are_read() {
    let beir = |qrels: &str| {
        let files = [
            ("b/corpus.jsonl", "{\"_id\":\"d1\",\"title\":\"T\",\"text\":\"x\"}\n{\"_id\":\"d2\",\"text\":\"y\"}\n"),
            ("b/queries.jsonl", "{\"_id\":\"q1\",\"text\":\"what\"}\n"),
            ("b/qrels/test.tsv", qrels),
        ];
        loaded("beir", "search", "ndcg_at_10", "b", &files)
    };
    let read = beir("query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\n").unwrap();
    assert_eq!(read, [("q1".to_owned(), "Relevant({\"d1\": 2})".to_owned())]);
    assert!(
        beir("query-id\tcorpus-id\tscore\nq1\td9\t1\n").unwrap_err().to_string().contains("document \"d9\" is not in the corpus")
    );
    assert!(beir("query-id\tcorpus-id\tscore\nq2\td1\t1\n").unwrap_err().to_string().contains("its text is missing"));
    assert!(beir("q1 d1 1\n").unwrap_err().to_string().contains("test.tsv:1: 3 columns"));
    assert!(parse_qrels("q.txt", "q 0 d 1\nq 0 d 2\n").unwrap_err().to_string().starts_with("q.txt:2:"));
    let kaldi = loaded("kaldi", "recognise", "wer", "k", &[("k/text", "u1 hello there\nu2 bye\n")]).unwrap();
    assert_eq!(kaldi[0], ("u1".to_owned(), "Text(\"hello there\")".to_owned()));
    let command = loaded("kaldi", "recognise", "wer", "k", &[("k/text", "u1 hello\n"), ("k/wav.scp", "u1 sox x |\n")]);
    assert!(command.unwrap_err().to_string().contains("commands are not run"));
}

#[test]
fn rasa_training_data_is_read_with_its_entities() {
    let text = "version: \"3.1\"\n\nnlu:\n- intent: order_status\n  examples: |\n    - where is order [A-17](order_no)\n    - 我的[耳机]{\"entity\": \"product\", \"value\": \"x\"}到哪了\n- synonym: hi\n  examples: |\n    - hello\n- intent: greet\n  examples: |\n    - hi [there]\n";
    let read = parse_rasa("nlu.yml", text).unwrap();
    assert_eq!(
        read.iter().map(|e| (e.line, e.intent.as_str())).collect::<Vec<_>>(),
        [(6, "order_status"), (7, "order_status"), (13, "greet")]
    );
    assert_eq!(read[1].text, "我的耳机到哪了");
    assert_eq!(read[1].spans, [Span { kind: "product".into(), start: 2, end: 4 }]);
    assert_eq!(read[2].text, "hi [there]");
    let wrong = |text: &str| parse_rasa("nlu.yml", text).unwrap_err().to_string();
    assert!(wrong("nlu:\n- intent: x\n  examples: |\n    where is it\n").starts_with("nlu.yml:4: an example begins"));
    assert!(wrong("nlu:\n- intnet: x\n").starts_with("nlu.yml:2: \"intnet\" is not known"));
    assert!(wrong("nlu:\n- intent: x\n  examples: |\n    - a [b](c\n").starts_with("nlu.yml:4: \"(\" behind"));
}

/// A tar archive with one file, as `tar` writes it.
fn tar_of(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = vec![0_u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    header[148..156].copy_from_slice(b"        ");
    header[156] = b'0';
    header[257..263].copy_from_slice(b"ustar\0");
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = header;
    archive.extend_from_slice(content);
    archive.resize(archive.len().div_ceil(512) * 512 + 1_024, 0);
    archive
}

#[test]
fn an_archive_is_read_and_a_damaged_one_is_refused() {
    let archive = tar_of("set/a.txt", b"one => 1\n");
    let read: Vec<_> = TarEntries::new(&archive).collect::<Result<_, _>>().unwrap();
    assert_eq!(read, [("set/a.txt".to_owned(), &b"one => 1\n"[..])]);
    assert!(TarEntries::new(&archive[..600]).next().unwrap().is_ok(), "the padding at the end may be missing");
    assert!(TarEntries::new(&archive[..515]).next().unwrap().unwrap_err().contains("ends within a file"));
    let mut damaged = archive.clone();
    damaged[0] ^= 1;
    assert!(TarEntries::new(&damaged).next().unwrap().is_err());
}

#[test]
fn texts_are_made_comparable_as_documented() {
    let plain = |text: &str, language| Normaliser::Plain.apply(text, language);
    assert_eq!(plain("It’s  FINE, isn't it?", Language::En), "it's fine isn't it");
    assert_eq!(plain("订单号是，８２６０。", Language::Zh), "订单号是 8260");
    assert_eq!(Normaliser::Written.apply("退款一百二十元", Language::Zh), Normaliser::Written.apply("退款120元", Language::Zh));
    assert_eq!(words("我要 refund 20 元"), ["我", "要", "refund", "20", "元"]);
    assert_eq!(occurrences("退 款 退款", "退款"), 2);
    assert_eq!(occurrences("order reorder order", "order"), 2);
}

proptest! {
    #[test]
    fn no_parser_panics(text in ".{0,200}", lines in proptest::collection::vec("[\\[\\](){}:|\"\\-a-z 0-9\t]{0,30}", 0..12)) {
        let lines = lines.join("\n");
        for text in [&text, &lines] {
            let _ = parse_rasa("f", text);
            let _ = parse_rasa("f", &format!("nlu:\n- intent: x\n  examples: |\n    - {text}"));
            let _ = parse_qrels("f", text);
            for name in ["f.json", "f.jsonl", "f.csv", "f.tsv"] {
                let _ = parse_records(name, text);
            }
            let _ = Task::parse("f", "x/y", text);
            let task = task("search", &["ndcg_at_10"], "item");
            for form in [PredictionForm::Jsonl, PredictionForm::Kaldi, PredictionForm::Trec] {
                let _ = read_predictions("f", text, form, &task, &[], None);
            }
        }
    }

    #[test]
    fn no_archive_panics(bytes in proptest::collection::vec(any::<u8>(), 0..2_000), at in 0_usize..512, value in any::<u8>()) {
        TarEntries::new(&bytes).for_each(drop);
        let mut archive = tar_of("set/a.txt", &bytes);
        archive[at] = value;
        TarEntries::new(&archive).for_each(drop);
    }

    #[test]
    fn a_marked_sentence_gives_its_words_and_places_back(before in "[a-z退款 ]{0,8}", inside in "[a-z单号]{1,6}", after in "[a-z了 ]{0,8}") {
        let text = format!("nlu:\n- intent: x\n  examples: |\n    - y{before}[{inside}](product){after}z\n");
        let read = parse_rasa("f", &text).unwrap();
        prop_assert_eq!(&read[0].text, &format!("y{before}{inside}{after}z"));
        let span = &read[0].spans[0];
        let words: String = read[0].text.chars().skip(span.start).take(span.end - span.start).collect();
        prop_assert_eq!(words, inside);
    }

    #[test]
    fn edits_are_a_distance(a in "[ab]{0,8}", b in "[ab]{0,8}", c in "[ab]{0,8}") {
        let [a, b, c] = [a, b, c].map(|s| s.chars().collect::<Vec<_>>());
        let d = |x: &[char], y: &[char]| edits(x, y).errors();
        prop_assert_eq!(d(&a, &b), d(&b, &a));
        prop_assert_eq!(d(&a, &b) == 0, a == b);
        prop_assert!(d(&a, &c) <= d(&a, &b) + d(&b, &c));
        let counts = edits(&a, &b);
        prop_assert_eq!(counts.reference + counts.insertions, b.len() + counts.deletions);
    }

    #[test]
    fn what_was_made_comparable_stays_so(text in "[a-z0-9退款，。?!' .]{0,40}") {
        let once = Normaliser::Plain.apply(&text, Language::Zh);
        prop_assert_eq!(Normaliser::Plain.apply(&once, Language::Zh), once);
    }
}

#[test]
fn a_path_outside_of_the_product_is_refused() {
    assert!(refused(&SOUND.replace("x.jsonl", "../x.jsonl")).contains("path must lie below"));
}

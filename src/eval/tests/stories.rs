//! Dialogues and stories of the chat: how they are read, and how what the bot did is counted.

use super::{home, task};
use crate::eval::dataset::{DataPlaces, load};
use crate::eval::example::{Dialogue, Example, Gold, Input};
use crate::eval::prediction::{Prediction, StoryOutcome};
use crate::eval::score::score;
use crate::eval::task::Task;

fn shipped(id: &str) -> Vec<Example> {
    let tasks = crate::eval::load_tasks(&home().join("eval/tasks")).unwrap();
    let task: Task = tasks.into_iter().find(|t| t.id == id).unwrap();
    load(&task, &DataPlaces { home: home(), public: Vec::new() }, 1).unwrap().examples
}

#[test]
fn the_dialogues_and_stories_of_the_product_are_read_as_what_they_are() {
    let dialogues = shipped("chat/dialogue");
    let count =
        |fits: fn(&Dialogue) -> bool| dialogues.iter().filter(|e| matches!(&e.input, Input::Dialogue(d) if fits(d))).count();
    let (questions, procedures, handovers) = (
        count(|d| matches!(d, Dialogue::Question { .. })),
        count(|d| matches!(d, Dialogue::Procedure { .. })),
        count(|d| matches!(d, Dialogue::HandOver { .. })),
    );
    assert_eq!(questions + procedures + handovers, dialogues.len());
    assert!(questions >= 100 && procedures >= 50 && handovers >= 100, "{questions} {procedures} {handovers}");
    let stories = shipped("chat/stories");
    assert!(stories.len() >= 200, "{} stories", stories.len());
    let kinds: std::collections::BTreeSet<&str> = stories.iter().map(|e| e.slices["kind"].as_str()).collect();
    assert!(kinds.contains("correction") && kinds.contains("digression"), "{kinds:?}");
    assert!(stories.iter().any(|e| matches!(e.gold, Gold::Story { answerable, .. } if answerable > 0)));
}

fn refused(line: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("d")).unwrap();
    std::fs::write(folder.path().join("d/x.jsonl"), format!("\n{line}\n")).unwrap();
    let mut task = task("chat", &["pass_rate"], "item");
    task.dataset.adapter = "stories".into();
    task.dataset.path = "d".into();
    load(&task, &DataPlaces { home: folder.path().to_owned(), public: Vec::new() }, 1).unwrap_err().to_string()
}

#[test]
fn a_dialogue_that_says_not_what_must_come_of_it_is_refused_with_its_line() {
    let wrong = refused("{\"id\":\"a\",\"language\":\"zh\",\"text\":\"x\"}");
    assert!(wrong.contains("x.jsonl:2: id \"a\" is no question (text, relevant)"), "{wrong}");
    assert!(
        refused("{\"id\":\"a\",\"language\":\"xx\",\"turns\":[\"x\"],\"handoff\":true}").contains("x.jsonl:2: language \"xx\"")
    );
    assert!(refused("{\"id\":\"a\",\"language\":\"zh\",\"turns\":[],\"handoff\":true}").contains("x.jsonl:2:"));
    assert!(refused("{\"id\":\"a\",\"langauge\":\"zh\"}").contains("x.jsonl:2: unknown field `langauge`"));
}

#[test]
fn what_the_bot_did_is_counted_as_the_metrics_say() {
    let names = [
        "pass_rate",
        "answer_precision",
        "answer_coverage",
        "answer_recall",
        "handover_recall",
        "handover_precision",
        "ungrounded_citations",
    ];
    let task = task("chat", &names, "item");
    let item = |id: &str, answerable, handovers| super::example(id, id, Gold::Story { answerable, handovers });
    let examples = [
        item("right", 1, 0),
        item("wrong", 1, 0),
        item("silent", 1, 0),
        item("foolish", 0, 0),
        item("angry", 0, 1),
        item("calm", 0, 0),
    ];
    let story = |id: &str, passed, answered, right, handed_over, needless| {
        let story =
            StoryOutcome { passed, answered, right, handed_over, needless, citations: answered, ..StoryOutcome::default() };
        Prediction { story: Some(story), ..Prediction::to(id) }
    };
    let mut predictions = vec![
        story("right", true, 1, 1, 0, 0),
        story("wrong", false, 1, 0, 0, 0),
        story("silent", false, 0, 0, 0, 0),
        story("foolish", false, 1, 0, 0, 0),
        story("angry", true, 0, 0, 1, 0),
        story("calm", false, 0, 0, 0, 1),
    ];
    if let Some(wrong) = &mut predictions[1].story {
        wrong.ungrounded = 1;
    }
    let scored = score(&task, &examples, &predictions);
    let values: Vec<f64> = scored.statistics.iter().map(|s| s.whole().unwrap()).collect();
    let third = 1.0 / 3.0;
    // Of three answers one is right; of three answerable questions two were answered and one rightly.
    assert_eq!(values, [third, third, 2.0 * third, third, 1.0, 0.5, third]);
}

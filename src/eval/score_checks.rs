//! Rankings, suggestions, answers of inspections, stories, times.

use std::collections::{BTreeMap, BTreeSet};

use super::example::{Dialogue, Example, Gold, Input};
use super::metrics::{ClassCounts, Statistic, ndcg, recall, reciprocal_rank};
use super::prediction::Prediction;
use super::score::{Names, Outcome, Sheet, count_of, micro, yes};
use super::task::{MetricSpec, Task};

/// Documents of a ranking that a report shows.
const SHOWN: usize = 3;

/// A measure of a ranking against the relevant documents and how relevant each is.
type RankMeasure<'m> = &'m dyn Fn(&[String], &BTreeMap<String, u32>) -> f64;

pub(super) fn ranking(task: &Task, pairs: &[(&Example, &Prediction)], sheet: &mut Sheet) -> Vec<Statistic> {
    let mut rows: Vec<(&[String], &BTreeMap<String, u32>)> = Vec::new();
    for (example, prediction) in pairs {
        let Gold::Relevant(relevant) = &example.gold else { continue };
        let documents = prediction.ranking.as_deref().unwrap_or(&[]);
        rows.push((documents, relevant));
        let outcome = Outcome {
            id: example.id.clone(),
            expected: relevant.keys().cloned().collect::<Vec<_>>().join(", "),
            got: documents.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", "),
            right: documents.first().is_some_and(|d| relevant.get(d).is_some_and(|r| *r > 0)),
        };
        sheet.push(example, outcome, prediction.confidence);
    }
    let mean = |of: RankMeasure<'_>| Statistic::mean(rows.iter().map(|(d, r)| of(d, r)).collect());
    let statistic = |metric: &MetricSpec| match metric.name.as_str() {
        "mrr_at_10" => mean(&|d, r| reciprocal_rank(d, r, 10)),
        "recall_at_1" => mean(&|d, r| recall(d, r, 1)),
        "recall_at_5" => mean(&|d, r| recall(d, r, 5)),
        "recall_at_10" => mean(&|d, r| recall(d, r, 10)),
        _ => mean(&|d, r| ndcg(d, r, 10)),
    };
    task.metrics.iter().map(statistic).collect()
}

/// Turns back that a suggestion may still answer: what was asked two customer turns ago is still the subject.
const STILL_ASKED: usize = 2;

pub(super) fn suggestions(task: &Task, pairs: &[(&Example, &Prediction)], sheet: &mut Sheet) -> Vec<Statistic> {
    // Per conversation: shown, right, answerable questions, answered, minutes.
    let mut rows: Vec<[f64; 5]> = Vec::new();
    for (example, prediction) in pairs {
        let (Gold::Answers(turns), Input::Conversation(conversation)) = (&example.gold, &example.input) else { continue };
        let shown = prediction.suggested.as_deref().unwrap_or(&[]);
        let mut asked: BTreeMap<&str, &BTreeSet<String>> = BTreeMap::new();
        let mut by_turn: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let customer: Vec<(&str, &BTreeSet<String>)> = answered_turns(conversation, turns)
            .into_iter()
            .map(|(turn, subject, documents)| {
                if !documents.is_empty() {
                    asked.insert(subject, documents);
                }
                (turn, documents)
            })
            .collect();
        for (place, (turn, _)) in customer.iter().enumerate() {
            let recent = customer[place.saturating_sub(STILL_ASKED)..=place].iter();
            by_turn.insert(turn, recent.flat_map(|(_, d)| d.iter().map(String::as_str)).collect());
        }
        let is_right =
            |(turn, document): &(String, String)| by_turn.get(turn.as_str()).is_some_and(|d| d.contains(document.as_str()));
        let right = shown.iter().filter(|s| is_right(s)).count();
        let answered = asked.values().filter(|documents| shown.iter().any(|s| is_right(s) && documents.contains(&s.1))).count();
        let end_ms = conversation.duration_ms.or_else(|| conversation.turns.last().and_then(|t| t.end_ms)).unwrap_or(0);
        rows.push([shown.len() as f64, right as f64, asked.len() as f64, answered as f64, end_ms as f64 / 60_000.0]);
        let wrong: Vec<String> = shown.iter().filter(|s| !is_right(s)).map(|(turn, d)| format!("{turn}: {d}")).collect();
        let outcome = Outcome {
            id: example.id.clone(),
            expected: asked.keys().copied().collect::<Vec<_>>().join(", "),
            got: format!("{answered} of {} answered; wrong: {}", asked.len(), wrong.join(", ")),
            right: answered == asked.len() && wrong.is_empty(),
        };
        sheet.push(example, outcome, None);
    }
    let over = |num: &dyn Fn(&[f64; 5]) -> f64, den: usize| Statistic::Ratio {
        num: rows.iter().map(num).collect(),
        den: rows.iter().map(|r| r[den]).collect(),
    };
    let statistic = |metric: &MetricSpec| match metric.name.as_str() {
        "coverage" => over(&|r| r[3], 2),
        "interruptions_per_min" => over(&|r| r[0] - r[1], 4),
        _ => over(&|r| r[1], 0),
    };
    task.metrics.iter().map(statistic).collect()
}

/// Customer turns of a conversation with what they ask for.
fn answered_turns<'a>(
    conversation: &'a crate::conversation::Conversation,
    gold: &'a [(String, BTreeSet<String>)],
) -> Vec<(&'a str, &'a str, &'a BTreeSet<String>)> {
    let customer = conversation.turns.iter().filter(|t| t.role == crate::conversation::Role::Customer);
    customer
        .zip(gold)
        .map(|(turn, (subject, documents))| (turn.id.as_deref().unwrap_or(""), subject.as_str(), documents))
        .collect()
}

pub(super) fn checks(task: &Task, pairs: &[(&Example, &Prediction)], sheet: &mut Sheet) -> Vec<Statistic> {
    let (mut questions, mut answers) = (Names::default(), Names::default());
    let (mut group, mut gold, mut got) = (Vec::new(), Vec::new(), Vec::new());
    let (mut counts, mut errors) = (Vec::new(), Vec::new());
    for (example, prediction) in pairs {
        let Gold::Checks(expected) = &example.gold else { continue };
        let given = prediction.checks.clone().unwrap_or_default();
        let asked: Vec<_> = task.questions.iter().filter(|q| expected.contains_key(&q.id)).collect();
        let error = (points(&asked, expected) - points(&asked, &given)).abs();
        for (place, question) in asked.iter().enumerate() {
            let (right_answer, answer) = (&expected[&question.id], given.get(&question.id).map_or("na", String::as_str));
            let number = questions.of(&question.id);
            group.push(number);
            gold.push(answers.of(right_answer));
            got.push(answers.of(answer));
            let (there, found) = (*right_answer == question.violation, answer == question.violation);
            counts.push(vec![(number, u32::from(there && found), u32::from(!there && found), u32::from(there && !found))]);
            errors.push((place == 0).then_some(error));
            let id = format!("{}#{}", example.id, question.id);
            let outcome = Outcome { id, expected: right_answer.clone(), got: answer.to_owned(), right: right_answer == answer };
            sheet.push(example, outcome, None);
            if let Some(slices) = sheet.slices.last_mut() {
                slices.insert("question".into(), question.id.clone());
            }
        }
    }
    let sums: Vec<(f64, f64, f64)> = counts
        .iter()
        .map(|row| row.first().map_or((0.0, 0.0, 0.0), |c| (f64::from(c.1), f64::from(c.2), f64::from(c.3))))
        .collect();
    let statistic = |metric: &MetricSpec| match (metric.name.as_str(), metric.aggregation()) {
        ("kappa", _) => Statistic::Kappa { group: group.clone(), gold: gold.clone(), predicted: got.clone() },
        ("score_error", _) => Statistic::Ratio {
            num: errors.iter().map(|e| e.unwrap_or(0.0)).collect(),
            den: errors.iter().map(|e| yes(e.is_some())).collect(),
        },
        (_, "macro") => Statistic::Macro(ClassCounts::new(count_of(metric), questions.len(), counts.clone())),
        _ => micro(count_of(metric), &sums),
    };
    task.metrics.iter().map(statistic).collect()
}

/// 100 times the share of the answered questions without a violation; 100 if none was answered.
fn points(questions: &[&super::task::QuestionSpec], answers: &BTreeMap<String, String>) -> f64 {
    let answered: Vec<bool> =
        questions.iter().filter_map(|q| answers.get(&q.id).filter(|a| *a != "na").map(|a| *a != q.violation)).collect();
    if answered.is_empty() {
        return 100.0;
    }
    100.0 * answered.iter().filter(|good| **good).count() as f64 / answered.len() as f64
}

pub(super) fn stories(task: &Task, pairs: &[(&Example, &Prediction)], sheet: &mut Sheet) -> Vec<Statistic> {
    // Per story: passed, answered, right, answerable, handed over, due, handed over at all, cited, ungrounded.
    let mut rows: Vec<[f64; 9]> = Vec::new();
    for (example, prediction) in pairs {
        let Gold::Story { answerable, handovers } = &example.gold else { continue };
        let story = prediction.story.clone().unwrap_or_default();
        let number = |v: u32| f64::from(v);
        rows.push([
            yes(story.passed),
            number(story.answered),
            number(story.right),
            number(*answerable),
            number(story.handed_over.min(*handovers)),
            number(*handovers),
            number(story.handed_over + story.needless),
            number(story.citations),
            number(story.ungrounded),
        ]);
        let went = if story.passed { "as written" } else { "differs" };
        let got = story.note.as_ref().map_or_else(|| went.to_owned(), |note| format!("{went}: {note}"));
        sheet.push(example, Outcome { id: example.id.clone(), expected: wanted(example), got, right: story.passed }, None);
    }
    let over = |num: usize, den: usize| Statistic::Ratio {
        num: rows.iter().map(|r| r[num]).collect(),
        den: rows.iter().map(|r| r[den]).collect(),
    };
    // Answers beyond what can be answered are no coverage.
    let covered =
        || Statistic::Ratio { num: rows.iter().map(|r| r[1].min(r[3])).collect(), den: rows.iter().map(|r| r[3]).collect() };
    let statistic = |metric: &MetricSpec| match metric.name.as_str() {
        "answer_precision" => over(2, 1),
        "answer_coverage" => covered(),
        "answer_recall" => over(2, 3),
        "handover_recall" => over(4, 5),
        "handover_precision" => over(4, 6),
        "ungrounded_citations" => over(8, 7),
        _ => Statistic::mean(rows.iter().map(|r| r[0]).collect()),
    };
    task.metrics.iter().map(statistic).collect()
}

/// What a story wants, in words.
fn wanted(example: &Example) -> String {
    let Input::Dialogue(dialogue) = &example.input else { return "as written".into() };
    match &**dialogue {
        Dialogue::Question { relevant, .. } if relevant.is_empty() => "no answer".into(),
        Dialogue::Question { relevant, .. } => format!("answer {}", relevant.join(" or ")),
        Dialogue::Procedure { decision, .. } => format!("decision {decision}"),
        Dialogue::HandOver { due, .. } => if *due { "a person takes over" } else { "the bot goes on" }.into(),
        Dialogue::Story { story, .. } => story.turns.iter().map(|t| t.bot.as_str()).collect::<Vec<_>>().join(" ; "),
    }
}

pub(super) fn speed(task: &Task, pairs: &[(&Example, &Prediction)], sheet: &mut Sheet) -> Vec<Statistic> {
    let mut times: Vec<Option<f64>> = Vec::new();
    for (example, prediction) in pairs {
        let latency_ms = prediction.timing.and_then(|t| t.latency_ms);
        times.push(latency_ms);
        let got = latency_ms.map_or_else(String::new, |t| format!("{t:.2} ms"));
        sheet.push(example, Outcome { id: example.id.clone(), expected: String::new(), got, right: true }, None);
    }
    let statistic = |metric: &MetricSpec| match metric.name.as_str() {
        "items_per_s" => Statistic::Ratio {
            num: times.iter().map(|t| yes(t.is_some())).collect(),
            den: times.iter().map(|t| t.unwrap_or(0.0) / 1_000.0).collect(),
        },
        "latency_p95_ms" => Statistic::quantile(times.clone(), 0.95),
        _ => Statistic::quantile(times.clone(), 0.5),
    };
    task.metrics.iter().map(statistic).collect()
}

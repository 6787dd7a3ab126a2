//! Texts against texts: recognition, normalisation, and the chain from audio to readings.

use super::example::{Example, Gold};
use super::metrics::{EditCounts, Statistic, edits};
use super::normalise::{Normaliser, characters, occurrences, words};
use super::prediction::{Prediction, Timing};
use super::score::{Outcome, Sheet, yes};
use super::task::{MetricSpec, Task};

fn ratio<T>(items: &[T], num: impl Fn(&T) -> f64, den: impl Fn(&T) -> f64) -> Statistic {
    Statistic::Ratio { num: items.iter().map(num).collect(), den: items.iter().map(den).collect() }
}

/// Edits and keywords of one item.
struct Compared {
    characters: EditCounts,
    words: EditCounts,
    keywords: usize,
    found: usize,
    timing: Timing,
}

pub(super) fn text(task: &Task, pairs: &[(&Example, &Prediction)], sheet: &mut Sheet) -> Vec<Statistic> {
    let normaliser = Normaliser::named(task.run.normaliser.as_deref());
    let keywords: Vec<String> =
        task.run.keywords.iter().map(|k| Normaliser::Plain.apply(k, crate::conversation::Language::of_text(k))).collect();
    let mut compared = Vec::new();
    // Written forms are compared as they stand: "3:00" and "3.00" are not the same.
    let exactly = task.stage == "normalise";
    for (example, prediction) in pairs {
        let Gold::Text(reference) = &example.gold else { continue };
        let got = prediction.text.clone().unwrap_or_default();
        let (a, b) = (normaliser.apply(reference, example.language), normaliser.apply(&got, example.language));
        let in_both = |k: &String| occurrences(&a, k).min(occurrences(&b, k));
        compared.push(Compared {
            characters: edits(&characters(&a), &characters(&b)),
            words: edits(&words(&a), &words(&b)),
            keywords: keywords.iter().map(|k| occurrences(&a, k)).sum(),
            found: keywords.iter().map(in_both).sum(),
            timing: prediction.timing.unwrap_or_default(),
        });
        // Where a mark stood, a blank may or may not be left: words decide.
        let right = if exactly { reference.trim() == got.trim() } else { words(&a) == words(&b) };
        sheet.push(example, Outcome { id: example.id.clone(), expected: reference.clone(), got, right }, prediction.confidence);
    }
    let times =
        |of: fn(&Timing) -> Option<f64>, share: f64| Statistic::quantile(compared.iter().map(|c| of(&c.timing)).collect(), share);
    let statistic = |metric: &MetricSpec| match metric.name.as_str() {
        "cer" => ratio(&compared, |c| c.characters.errors() as f64, |c| c.characters.reference as f64),
        "wer" => ratio(&compared, |c| c.words.errors() as f64, |c| c.words.reference as f64),
        "keyword_recall" => ratio(&compared, |c| c.found as f64, |c| c.keywords as f64),
        "invented_words" => ratio(&compared, |c| c.words.insertions as f64, |c| c.words.reference as f64),
        "confidence_auroc" => confidence_auroc(sheet),
        "time_to_final_p50_ms" => times(|t| t.time_to_final_ms, 0.5),
        "time_to_final_p95_ms" => times(|t| t.time_to_final_ms, 0.95),
        "first_partial_p50_ms" => times(|t| t.first_partial_ms, 0.5),
        "first_partial_p95_ms" => times(|t| t.first_partial_ms, 0.95),
        "partial_churn" => ratio(&compared, |c| c.timing.churn.unwrap_or(0.0), |c| yes(c.timing.churn.is_some())),
        _ => Statistic::mean(sheet.outcomes.iter().map(|o| yes(o.right)).collect()),
    };
    task.metrics.iter().map(statistic).collect()
}

/// Items without a confidence are left out: nothing was recognised there.
fn confidence_auroc(sheet: &Sheet) -> Statistic {
    let score: Vec<f64> = sheet.confidence.iter().map(|c| c.unwrap_or(0.0)).collect();
    let positive = sheet.outcomes.iter().map(|o| o.right).collect();
    match Statistic::auroc(score, positive) {
        Statistic::Auroc { score, positive, mut order } => {
            order.retain(|item| sheet.confidence[*item as usize].is_some());
            Statistic::Auroc { score, positive, order }
        }
        other => other,
    }
}

/// One customer turn, read from the reference and from audio.
struct Turn {
    intent_reference: bool,
    intent_audio: bool,
    emotion_reference: bool,
    emotion_audio: bool,
    intent_flip: bool,
    emotion_flip: bool,
    characters: EditCounts,
    verdicts: (f64, f64),
    shift: Option<f64>,
}

pub(super) fn chain(task: &Task, pairs: &[(&Example, &Prediction)], sheet: &mut Sheet) -> Vec<Statistic> {
    let normaliser = Normaliser::named(task.run.normaliser.as_deref());
    let mut turns = Vec::new();
    for (example, prediction) in pairs {
        let Gold::Chain { intent, emotion, text } = &example.gold else { continue };
        let outcome = prediction.chain.clone().unwrap_or_default();
        let got = prediction.label.clone().unwrap_or_default();
        let heard = prediction.text.clone().unwrap_or_default();
        let (a, b) = (normaliser.apply(text, example.language), normaliser.apply(&heard, example.language));
        let verdicts = outcome.verdicts.map_or((0.0, 0.0), |(flips, all)| (f64::from(flips), f64::from(all)));
        turns.push(Turn {
            intent_reference: outcome.reference_intent == *intent,
            intent_audio: got == *intent,
            emotion_reference: outcome.reference_emotion == *emotion,
            emotion_audio: outcome.emotion == *emotion,
            intent_flip: outcome.reference_intent != got,
            emotion_flip: outcome.reference_emotion != outcome.emotion,
            characters: edits(&characters(&a), &characters(&b)),
            verdicts,
            shift: outcome.score_shift,
        });
        let expected = format!("{} / {} ({text})", outcome.reference_intent, outcome.reference_emotion);
        let right = outcome.reference_intent == got && outcome.reference_emotion == outcome.emotion;
        let got = format!("{got} / {} ({heard})", outcome.emotion);
        sheet.push(example, Outcome { id: example.id.clone(), expected, got, right }, prediction.confidence);
    }
    let share = |of: fn(&Turn) -> bool| Statistic::mean(turns.iter().map(|t| yes(of(t))).collect());
    let statistic = |metric: &MetricSpec| match metric.name.as_str() {
        "intent_accuracy_reference" => share(|t| t.intent_reference),
        "intent_accuracy_audio" => share(|t| t.intent_audio),
        "intent_cost" => Statistic::mean(turns.iter().map(|t| yes(t.intent_reference) - yes(t.intent_audio)).collect()),
        "intent_flips" => share(|t| t.intent_flip),
        "emotion_accuracy_reference" => share(|t| t.emotion_reference),
        "emotion_accuracy_audio" => share(|t| t.emotion_audio),
        "emotion_flips" => share(|t| t.emotion_flip),
        "verdict_flips" => ratio(&turns, |t| t.verdicts.0, |t| t.verdicts.1),
        "score_shift" => ratio(&turns, |t| t.shift.unwrap_or(0.0), |t| yes(t.shift.is_some())),
        _ => ratio(&turns, |t| t.characters.errors() as f64, |t| t.characters.reference as f64),
    };
    task.metrics.iter().map(statistic).collect()
}

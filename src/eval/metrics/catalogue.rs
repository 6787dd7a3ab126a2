//! The one list of metrics.

use serde::{Deserialize, Serialize};

use crate::eval::task::Kind;

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

impl Direction {
    /// How much better `candidate` is than `baseline`; negative: worse.
    pub fn gain(self, candidate: f64, baseline: f64) -> f64 {
        match self {
            Self::Higher => candidate - baseline,
            Self::Lower => baseline - candidate,
        }
    }
}

/// A metric that a task may ask for.
#[derive(Clone, Copy, Debug)]
pub struct MetricDef {
    /// Its name in task files and results.
    pub name: &'static str,
    /// Kinds of task that have it.
    pub kinds: &'static [Kind],
    /// How it may be added up; the first is the default.
    pub aggregations: &'static [&'static str],
    /// Which way is better.
    pub direction: Direction,
    /// Whether it depends on the clock: it is no part of the digest of a run and differs from run to run.
    pub timed: bool,
    /// What it is.
    pub what: &'static str,
}

const fn metric(
    name: &'static str,
    kinds: &'static [Kind],
    aggregations: &'static [&'static str],
    direction: Direction,
    what: &'static str,
) -> MetricDef {
    MetricDef { name, kinds, aggregations, direction, timed: false, what }
}

const fn timed(name: &'static str, kinds: &'static [Kind], direction: Direction, what: &'static str) -> MetricDef {
    MetricDef { name, kinds, aggregations: &["all"], direction, timed: true, what }
}

use Direction::{Higher, Lower};
use Kind::{Chain, Checks, Label, Labels, Ranking, Spans, Speed, Stories, Suggestions, Text};

/// Every metric, with what it means.
pub const METRICS: &[MetricDef] = &[
    metric("accuracy", &[Label], &["mean"], Higher, "share of items with the right label"),
    metric("f1", &[Label, Labels, Spans, Checks], &["macro", "micro"], Higher, "harmonic mean of precision and recall"),
    metric("precision", &[Labels, Spans, Checks], &["micro", "macro"], Higher, "share of what was found that is right"),
    metric("recall", &[Labels, Spans, Checks], &["micro", "macro"], Higher, "share of what is there that was found"),
    metric("exact_match", &[Labels, Text], &["mean"], Higher, "share of items that are right as a whole"),
    metric("kappa", &[Label, Checks], &["macro"], Higher, "Cohen's kappa: agreement beyond chance; per question, then the mean"),
    metric("ece", &[Label], &["mean"], Lower, "expected calibration error over 15 bins of equal width"),
    metric("aurc", &[Label], &["mean"], Lower, "area under the risk-coverage curve"),
    metric("coverage_at_5_risk", &[Label], &["mean"], Higher, "share that can be answered, most confident first, at 5 % errors"),
    metric("oos_auroc", &[Label], &["mean"], Higher, "how well out-of-scope texts are told from the others (area under the ROC)"),
    metric(
        "cer",
        &[Text, Chain],
        &["micro"],
        Lower,
        "character error rate after normalisation: edits over characters of the reference",
    ),
    metric(
        "confidence_auroc",
        &[Text],
        &["mean"],
        Higher,
        "how well the confidence tells texts without an error from the others (area under the ROC)",
    ),
    metric("wer", &[Text], &["micro"], Lower, "word error rate after normalisation; a Chinese character counts as a word"),
    metric("keyword_recall", &[Text], &["micro"], Higher, "share of the keywords of the references that were recognised"),
    metric(
        "invented_words",
        &[Text],
        &["micro"],
        Lower,
        "inserted words over words of the references; sounds without speech included",
    ),
    metric("ndcg_at_10", &[Ranking], &["mean"], Higher, "normalised discounted cumulative gain of the first 10"),
    metric("mrr_at_10", &[Ranking], &["mean"], Higher, "reciprocal rank of the first right document among 10"),
    metric("recall_at_1", &[Ranking], &["mean"], Higher, "share of the right documents at the first place"),
    metric("recall_at_5", &[Ranking], &["mean"], Higher, "share of the right documents among the first 5"),
    metric("recall_at_10", &[Ranking], &["mean"], Higher, "share of the right documents among the first 10"),
    metric("precision_at_k", &[Suggestions], &["micro"], Higher, "share of the suggested documents that answer what was asked"),
    metric("coverage", &[Suggestions], &["micro"], Higher, "share of the answerable questions that got a right suggestion"),
    metric("interruptions_per_min", &[Suggestions], &["micro"], Lower, "wrong suggestions a minute of conversation"),
    metric(
        "score_error",
        &[Checks],
        &["mean"],
        Lower,
        "mean distance of a conversation's score from the score by the authors' answers, of 100 points",
    ),
    metric("pass_rate", &[Stories], &["mean"], Higher, "share of stories that went as written, every turn"),
    metric("answer_precision", &[Stories], &["micro"], Higher, "share of given answers that were right"),
    metric("answer_coverage", &[Stories], &["micro"], Higher, "share of answerable turns that were answered"),
    metric("answer_recall", &[Stories], &["micro"], Higher, "share of answerable turns that were answered rightly"),
    metric("handover_recall", &[Stories], &["micro"], Higher, "share of the hand-overs that were due and made"),
    metric("handover_precision", &[Stories], &["micro"], Higher, "share of the hand-overs that were made and due"),
    metric("ungrounded_citations", &[Stories], &["micro"], Lower, "share of cited passages that do not hold what was said"),
    metric("intent_accuracy_reference", &[Chain], &["mean"], Higher, "intents right, read from the reference transcript"),
    metric("intent_accuracy_audio", &[Chain], &["mean"], Higher, "intents right, read from the recognised transcript"),
    metric("intent_cost", &[Chain], &["mean"], Lower, "intent accuracy lost by recognition"),
    metric("intent_flips", &[Chain], &["mean"], Lower, "share of turns whose intent changed by recognition"),
    metric("emotion_accuracy_reference", &[Chain], &["mean"], Higher, "emotions right, read from the reference transcript"),
    metric("emotion_accuracy_audio", &[Chain], &["mean"], Higher, "emotions right, read from the recognised transcript"),
    metric("emotion_flips", &[Chain], &["mean"], Lower, "share of turns whose emotion changed by recognition"),
    metric("verdict_flips", &[Chain], &["micro"], Lower, "share of rule verdicts that changed by recognition"),
    metric("score_shift", &[Chain], &["mean"], Lower, "mean change of the quality score by recognition, of 100 points"),
    timed("time_to_final_p50_ms", &[Text], Lower, "from the end of speech to the final text, median"),
    timed("time_to_final_p95_ms", &[Text], Lower, "from the end of speech to the final text, 95th percentile"),
    timed("first_partial_p50_ms", &[Text], Lower, "from the begin of speech to the first partial text, median"),
    timed("first_partial_p95_ms", &[Text], Lower, "from the begin of speech to the first partial text, 95th percentile"),
    timed("partial_churn", &[Text], Lower, "characters that partial texts took back over characters of the final text"),
    timed("latency_p50_ms", &[Speed], Lower, "time for one item, median"),
    timed("latency_p95_ms", &[Speed], Lower, "time for one item, 95th percentile"),
    timed("items_per_s", &[Speed], Higher, "items a second, one after the other"),
];

impl MetricDef {
    /// Finds a metric by name.
    pub fn of(name: &str) -> Option<&'static Self> {
        METRICS.iter().find(|m| m.name == name)
    }
}

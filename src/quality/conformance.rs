//! Conformance vectors: conversations, rules and what the rules must say.

use std::collections::HashMap;
use std::io::BufRead;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::live::LiveEvaluator;
use super::model::{Rule, Span};
use super::models::{Answer, Article, Models, Quote};
use super::ruleset::{RuleSet, RuleState};
use super::scheme::Scheme;
use super::score::{Given, ManualAnswers, total};
use super::text::fold_text;
use crate::conversation::Conversation;

/// One vector.
#[derive(Clone, Debug, Deserialize)]
pub struct Vector {
    /// Its name.
    pub id: String,
    /// What it shows.
    #[serde(default)]
    pub note: String,
    /// The conversation.
    pub conversation: Conversation,
    /// The rule, in its JSON form.
    pub rule: Json,
    /// Stand-ins for models.
    #[serde(default)]
    pub fixtures: Fixtures,
    /// A scheme with the results of other rules.
    #[serde(default)]
    pub scheme: Option<Json>,
    /// What must come out.
    pub expect: Expected,
}

/// Stand-ins for models; an absent one means "not configured".
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Fixtures {
    similarity: Option<Vec<SimilarityFixture>>,
    articles: Option<Vec<Article>>,
    llm: Option<Vec<AskFixture>>,
}

#[derive(Clone, Debug, Deserialize)]
struct SimilarityFixture {
    text: String,
    sample: String,
    score: f64,
}

#[derive(Clone, Debug, Deserialize)]
struct AskFixture {
    question: String,
    answer: String,
    #[serde(default)]
    confidence: f64,
    #[serde(default)]
    quotes: Vec<Quote>,
}

/// What a vector expects.
#[derive(Clone, Debug, Deserialize)]
pub struct Expected {
    hit: bool,
    #[serde(default)]
    evidence: Option<Vec<Span>>,
    state: Option<RuleState>,
    score_delta: Option<f64>,
    score: Option<f64>,
    #[serde(default)]
    live: Vec<LiveStep>,
    error: Option<ExpectedError>,
}

#[derive(Clone, Debug, Deserialize)]
struct LiveStep {
    at_ms: i64,
    state: RuleState,
    #[serde(default)]
    provisional: bool,
}

#[derive(Clone, Debug, Deserialize)]
struct ExpectedError {
    code: String,
    at: String,
}

/// A vector that came out otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The vector, or `line N` for a line that cannot be read.
    pub id: String,
    /// What differs: `state`, `evidence`, `live 20000`, …
    pub field: String,
    /// What the vector says.
    pub expected: String,
    /// What came out.
    pub got: String,
}

/// The outcome of a file of vectors.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ConformanceReport {
    /// Vectors without a difference.
    pub passed: usize,
    /// Vectors with one.
    pub failed: usize,
    /// All differences.
    pub differences: Vec<Difference>,
}

impl Fixtures {
    /// The models that they stand for.
    pub fn models(&self) -> Models {
        let mut models = Models::default();
        if let Some(pairs) = &self.similarity {
            let scores: HashMap<(String, String), u16> = pairs
                .iter()
                .map(|p| ((fold_text(&p.text), fold_text(&p.sample)), (p.score * 100.0).round().clamp(0.0, 10_000.0) as u16))
                .collect();
            models.similarity = Some(Arc::new(move |unit: &str, sample: &str| {
                Some(scores.get(&(fold_text(unit), fold_text(sample))).copied().unwrap_or(0))
            }));
        }
        models.articles = self.articles.clone().map(Arc::new);
        if let Some(answers) = self.llm.clone() {
            models.ask = Some(Arc::new(move |question| {
                let known = answers.iter().find(|a| a.question == question.question);
                let known = known.ok_or_else(|| "no answer to this question".to_owned())?;
                Ok(Answer { answer: known.answer.clone(), confidence: known.confidence, quotes: known.quotes.clone() })
            }));
        }
        models
    }
}

/// Runs a file of vectors, one JSON object a line. A line that cannot be read counts as failed.
pub fn run(reader: impl BufRead) -> std::io::Result<ConformanceReport> {
    let mut report = ConformanceReport::default();
    for (number, line) in reader.lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let differences = match serde_json::from_str::<Vector>(&line) {
            Ok(vector) => run_vector(&vector),
            Err(error) => vec![Difference {
                id: format!("line {}", number + 1),
                field: "vector".into(),
                expected: "a vector".into(),
                got: error.to_string(),
            }],
        };
        if differences.is_empty() {
            report.passed += 1;
        } else {
            report.failed += 1;
        }
        report.differences.extend(differences);
    }
    Ok(report)
}

struct Checker<'v> {
    vector: &'v Vector,
    differences: Vec<Difference>,
}

impl Checker<'_> {
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, field: &str, expected: T, got: T) {
        if expected != got {
            self.differences.push(Difference {
                id: self.vector.id.clone(),
                field: field.to_owned(),
                expected: format!("{expected:?}"),
                got: format!("{got:?}"),
            });
        }
    }
}

/// Runs one vector.
pub fn run_vector(vector: &Vector) -> Vec<Difference> {
    let mut checker = Checker { vector, differences: Vec::new() };
    let expect = &vector.expect;
    let rule = Rule::from_json(&vector.rule);
    if let Some(error) = &expect.error {
        let expected = vec![(error.code.clone(), error.at.clone())];
        let got = match &rule {
            Ok(_) => Vec::new(),
            Err(problems) => problems
                .iter()
                .filter(|p| p.severity == super::error::Severity::Error)
                .map(|p| (p.code.to_owned(), p.pointer.clone()))
                .collect(),
        };
        checker.same("error", expected, got);
        return checker.differences;
    }
    match rule {
        Ok(rule) => check_rule(&mut checker, rule),
        Err(problems) => {
            let got: Vec<String> = problems.iter().map(ToString::to_string).collect();
            checker.same("rule", Vec::new(), got);
        }
    }
    checker.differences
}

fn check_rule(checker: &mut Checker, rule: Rule) {
    let (vector, expect) = (checker.vector, &checker.vector.expect);
    let models = vector.fixtures.models();
    let effect = rule.score.clone();
    let set = RuleSet::compile(vec![rule]);
    let result = match set.evaluate(&vector.conversation, &models) {
        Ok(mut results) => results.remove(0),
        Err(error) => {
            checker.same("conversation", String::new(), error.to_string());
            return;
        }
    };
    let state = expect.state.unwrap_or(if expect.hit { RuleState::Hit } else { RuleState::Miss });
    checker.same("state", state, result.state);
    checker.same("hit", expect.hit, result.state == RuleState::Hit);
    if let Some(evidence) = &expect.evidence {
        checker.same("evidence", evidence.clone(), result.evidence.clone());
    }
    if let Some(delta) = expect.score_delta {
        checker.same("score_delta", delta, result.score_delta);
    }
    if let Some(expected) = expect.score {
        let got = scheme_total(vector, &set, &result, effect);
        checker.same("score", Ok(Some(expected)), got);
    }
    for step in &expect.live {
        let got = LiveEvaluator::state_at(&set, 0, &vector.conversation, step.at_ms, &models);
        checker.same(&format!("live {}", step.at_ms), (step.state, step.provisional), got);
    }
}

fn scheme_total(
    vector: &Vector,
    set: &RuleSet,
    result: &super::ruleset::RuleResult,
    effect: Option<super::model::Effect>,
) -> Result<Option<f64>, String> {
    let json = vector.scheme.as_ref().ok_or("the vector has no scheme")?;
    let scheme = Scheme::from_json(json).map_err(|p| p.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let mut given: HashMap<String, Given> = match json.get("given") {
        Some(given) => serde_json::from_value(given.clone()).map_err(|e| e.to_string())?,
        None => HashMap::new(),
    };
    let id = set.rules()[0].id.clone();
    given.insert(id.clone(), Given { state: result.state, n: result.hit_count() });
    let of = |rule: &str| Some((*given.get(rule)?, effect.as_ref().filter(|_| rule == id)));
    Ok(total(&scheme, &of, &ManualAnswers::new()).total)
}

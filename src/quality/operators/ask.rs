//! `ask`: a question to a language model. It never makes a hit by failing.

use serde_json::Value as Json;

use crate::quality::fields::{Fields, Report};
use crate::quality::model::Span;
use crate::quality::models::Question;
use crate::quality::number::Ratio;
use crate::quality::sentence::View;
use crate::quality::value::Value;

#[derive(Clone, Debug)]
pub(crate) struct Ask {
    question: String,
    expect_yes: bool,
    provider: Option<String>,
    min_confidence: Ratio,
    require_quote: bool,
    max_tokens: Option<i64>,
    monthly_budget: Option<f64>,
}

impl Ask {
    pub(crate) fn read(json: &Json, pointer: &str, report: &mut Report) -> Option<Self> {
        let allowed = ["question", "expect", "provider", "min_confidence", "require_quote", "max_tokens", "monthly_budget"];
        let fields = Fields::new(json, pointer, &allowed, report)?;
        fields.require("question", report);
        let question = fields.text("question", report)?;
        if question.trim().is_empty() {
            report.bad(&fields.at("question"), "the question is empty".into());
        }
        let half = Ratio::new(1, 2).unwrap_or(Ratio::ZERO);
        Some(Self {
            question: question.to_owned(),
            expect_yes: fields.choice("expect", &[("yes", true), ("no", false)], report).unwrap_or(true),
            provider: fields.text("provider", report).map(str::to_owned),
            min_confidence: fields.decimal("min_confidence", 0, 1, report).unwrap_or(half),
            require_quote: fields.flag("require_quote", true, report),
            max_tokens: fields.int("max_tokens", 1, report),
            monthly_budget: fields.decimal("monthly_budget", 0, i64::MAX, report).map(Ratio::to_f64),
        })
    }

    pub(crate) fn test(&self, members: &[usize], view: &View) -> (Value, Vec<Span>) {
        let Some(provider) = &view.models.ask else { return (Value::Na, Vec::new()) };
        let window = members.iter().map(|m| (*m, view.sentence(*m).role.name(), view.sentence(*m).text())).collect();
        let question = Question {
            question: &self.question,
            provider: self.provider.as_deref(),
            max_tokens: self.max_tokens,
            monthly_budget: self.monthly_budget,
            window,
        };
        let Ok(answer) = provider(&question) else { return (Value::Na, Vec::new()) };
        let sure = Ratio::of_f64(answer.confidence).is_some_and(|c| c >= self.min_confidence);
        let yes = match answer.answer.as_str() {
            "yes" if sure => true,
            "no" if sure => false,
            _ => return (Value::Na, Vec::new()),
        };
        if yes != self.expect_yes {
            return (Value::False, Vec::new());
        }
        let spans: Vec<Span> = answer.quotes.iter().filter_map(|q| locate(q.turn, &q.text, members, view)).collect();
        (if self.require_quote && spans.is_empty() { Value::Na } else { Value::True }, spans)
    }
}

/// Where a quote stands literally in its turn.
fn locate(turn: usize, quote: &str, members: &[usize], view: &View) -> Option<Span> {
    if quote.is_empty() || !members.contains(&turn) {
        return None;
    }
    let text = view.sentence(turn).text();
    let start = text[..text.find(quote)?].chars().count();
    Some(Span { turn, start, end: start + quote.chars().count() })
}

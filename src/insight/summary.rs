//! The extractive summary.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::conversation::{Conversation, Language, Named, Role, Turn};

/// One part of a summary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SummarySection {
    /// `reason`, `steps`, `outcome`, `promises`.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Utterances that it comes from.
    pub evidence: Vec<String>,
}

/// A summary of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Summary {
    /// `so_far` or `call`.
    pub scope: String,
    /// Its parts.
    pub sections: Vec<SummarySection>,
    /// Intent that the call was about.
    pub disposition: Option<String>,
    /// Fields for a ticket.
    pub fields: BTreeMap<String, String>,
    /// `extractive` or `generated`.
    pub method: String,
    /// Model, for generated ones.
    pub model: Option<String>,
}

/// Intents that are no reason for a contact.
const NO_REASON: [&str; 6] = ["affirm", "deny", "provide_info", "thanks_bye", "chit_chat", "out_of_scope"];
/// Most turns quoted as steps.
const STEPS_MAX: usize = 4;
/// Code points of a quoted turn.
const QUOTE_MAX: usize = 120;

/// Summarises a whole, annotated conversation. Sections without a turn that supports them are left out.
pub fn summarise(conversation: &Conversation, language: Language) -> Summary {
    let turns = &conversation.turns;
    let reason = reason(turns);
    let steps: Vec<usize> = by_agent(turns, &["inform", "instruct"]).collect();
    let promises: Vec<usize> = by_agent(turns, &["promise"]).collect();
    let mut sections = Vec::new();
    let mut add = |name: &str, places: &[usize]| {
        if !places.is_empty() {
            sections.push(section(name, turns, places, language));
        }
    };
    add("reason", reason.as_slice());
    let outcome = steps.last().copied();
    let first_steps: Vec<usize> = steps.iter().copied().filter(|p| Some(*p) != outcome).take(STEPS_MAX).collect();
    add("steps", &first_steps);
    add("outcome", outcome.as_slice());
    add("promises", &promises);
    let disposition = disposition(turns);
    let mut fields = BTreeMap::new();
    for entity in turns.iter().filter(|t| t.role == Role::Customer).flat_map(|t| t.entities.iter().flatten()) {
        if matches!(entity.kind.as_str(), "order_no" | "amount" | "product" | "plan" | "date") {
            fields.entry(entity.kind.clone()).or_insert_with(|| entity.value.clone());
        }
    }
    Summary { scope: "call".into(), sections, disposition, fields, method: "extractive".into(), model: None }
}

/// The customer's first turn with a wish; without one, the customer's longest among the first three.
fn reason(turns: &[Turn]) -> Option<usize> {
    let customers = || turns.iter().enumerate().filter(|(_, t)| t.role == Role::Customer);
    let wish = |turn: &Turn| {
        let best = turn.intents.iter().flatten().max_by(|a, b| a.score.total_cmp(&b.score));
        best.is_some_and(|i| i.score >= 0.5 && !NO_REASON.contains(&i.name.as_str()))
    };
    let first = customers().find(|(_, t)| wish(t)).map(|(place, _)| place);
    first.or_else(|| customers().take(3).max_by_key(|(_, t)| t.text.chars().count()).map(|(place, _)| place))
}

fn by_agent<'a>(turns: &'a [Turn], labels: &'a [&str]) -> impl Iterator<Item = usize> + 'a {
    let has =
        move |named: &Option<Vec<Named>>| named.iter().flatten().any(|n| labels.contains(&n.name.as_str()) && n.score >= 0.5);
    turns
        .iter()
        .enumerate()
        .filter(move |(_, t)| matches!(t.role, Role::Agent | Role::Bot) && has(&t.labels))
        .map(|(place, _)| place)
}

/// The intent with the greatest sum of scores over the customer's turns.
fn disposition(turns: &[Turn]) -> Option<String> {
    let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
    for intent in turns.iter().filter(|t| t.role == Role::Customer).flat_map(|t| t.intents.iter().flatten()) {
        if !NO_REASON.contains(&intent.name.as_str()) {
            *sums.entry(&intent.name).or_default() += intent.score;
        }
    }
    sums.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(name, _)| name.to_owned())
}

fn section(name: &str, turns: &[Turn], places: &[usize], language: Language) -> SummarySection {
    let separator = match language {
        Language::Zh => "；",
        Language::En => " / ",
    };
    let quotes: Vec<String> = places.iter().map(|&p| quote(&turns[p].text)).collect();
    let evidence = places.iter().map(|&p| turns[p].id.clone().unwrap_or_else(|| p.to_string())).collect();
    SummarySection { name: name.to_owned(), text: quotes.join(separator), evidence }
}

fn quote(text: &str) -> String {
    if text.chars().count() <= QUOTE_MAX {
        return text.trim().to_owned();
    }
    text.chars().take(QUOTE_MAX - 1).chain(['…']).collect()
}

//! Events and scorecards for people at a terminal.

use crate::event::{AlertLevel, Event, EventBody};
use crate::quality::{RuleState, Scorecard};

/// A line for an event; `None` for those that a person need not see.
pub(super) fn event_line(event: &Event) -> Option<String> {
    let at = clock(event.at_ms);
    match &event.body {
        EventBody::TranscriptFinal(t) => {
            let confidence = t.confidence.map(|c| format!(" ({:.0} %)", c * 100.0)).unwrap_or_default();
            Some(format!("{at}  {:<8} {}{confidence}", t.role.name(), t.text))
        }
        EventBody::MessageAdded { role, text, .. } => Some(format!("{at}  {:<8} {text}", role.name())),
        EventBody::UtteranceUnderstood(u) => {
            let mut parts = Vec::new();
            if let Some(intent) = u.top_intent() {
                parts.push(format!("intent {} {:.2}", intent.name, intent.confidence.unwrap_or(0.0)));
            }
            if let Some(emotion) = u.emotion.as_ref().filter(|e| e.label != "neutral") {
                parts.push(format!("{} {:+.1}", emotion.label, emotion.valence));
            }
            parts.extend(u.conduct.iter().map(|c| c.label.clone()));
            parts.extend(u.entities.iter().map(|e| format!("{}={}", e.kind, e.value)));
            (!parts.is_empty()).then(|| format!("           ~ {}", parts.join(", ")))
        }
        EventBody::SuggestionCreated(s) => {
            let source = s.citations.first().map(|c| format!(" [{}]", c.document_id)).unwrap_or_default();
            Some(format!("           > {}{source}\n             {}", s.title, s.text))
        }
        EventBody::AlertRaised(a) => {
            let mark = match a.level {
                AlertLevel::Critical => "!!!",
                AlertLevel::Warning => "!!",
                AlertLevel::Info => "!",
            };
            Some(format!("           {mark} alert: {} ({})", a.title, a.rule_id))
        }
        EventBody::AlertResolved { .. } => Some("           alert taken back".into()),
        EventBody::RiskUpdated(r) => {
            Some(format!("           = escalation {:.2}, predicted satisfaction {:.1}", r.escalation, r.predicted_satisfaction))
        }
        EventBody::StageDegraded(n) => Some(format!("           ? {} degraded: {}", n.stage, n.effect)),
        EventBody::SummaryReady(s) => {
            let sections: Vec<String> = s.sections.iter().map(|p| format!("  {:<9} {}", p.name, p.text)).collect();
            let about = s.disposition.as_deref().unwrap_or("-");
            Some(format!("\nsummary (about {about})\n{}", sections.join("\n")))
        }
        EventBody::CallEnded(e) => Some(format!("{at}  the call ended ({})", e.reason)),
        _ => None,
    }
}

/// A scorecard as a table.
pub(super) fn scorecard(card: &Scorecard) -> String {
    let total = card.total.map_or("-".to_owned(), |t| format!("{t:.1}"));
    let mut text = format!("scorecard {} (scheme {}): {total} of {:.0}\n", card.call_id, card.scheme_id, card.max);
    for dimension in &card.dimensions {
        let score = dimension.score.map_or("-".to_owned(), |s| format!("{s:.1}"));
        text.push_str(&format!("  {:<24} {score:>6}\n", dimension.name.as_deref().unwrap_or(&dimension.id)));
    }
    for rule in &card.results {
        let mark = match rule.result.state {
            RuleState::Hit => "hit ",
            RuleState::Miss => "-   ",
            RuleState::NotApplicable => continue,
            _ => "n/a ",
        };
        let name = rule.name.as_deref().unwrap_or(&rule.result.rule);
        let points = if rule.points == 0.0 { String::new() } else { format!("{:+.1}", rule.points) };
        text.push_str(&format!("  {mark} {:<32} {points:>6}  {name}\n", rule.result.rule));
    }
    text
}

/// `mm:ss.t` of a place in a recording.
pub(super) fn clock(ms: i64) -> String {
    format!("{:02}:{:02}.{}", ms / 60_000, ms / 1_000 % 60, ms / 100 % 10)
}

//! Work after the call: scorecard and summary, then the last event of all.

use super::{PipelineError, Stages};
use crate::conversation::{Conversation, IdKind, Language, new_id};
use crate::event::{Call, CallState, Draft, EventBody, EventSink, QualityScored, Record};
use crate::insight::summarise;
use crate::quality::{RuleState, Scorecard, score};

/// Scores and summarises a finished conversation and closes its log with `call.completed`. One that may not be analysed, or that
/// cannot be scored, is closed without.
///
/// # Errors
/// Events could not be kept.
pub async fn finish(stages: &Stages, sink: &dyn EventSink, call: &Call, conversation: Conversation) -> Result<(), PipelineError> {
    let at_ms = call.duration_ms.unwrap_or(0);
    let language = conversation.language.as_deref().and_then(Language::from_tag).unwrap_or_else(|| {
        let text: String = conversation.turns.iter().map(|t| t.text.as_str()).collect();
        Language::of_text(&text)
    });
    let mut drafts = Vec::new();
    let mut records = Vec::new();
    let may_analyse = call.consent.analytics;
    if stages.spec.has("summary") && may_analyse {
        drafts.push(Draft::new(at_ms, EventBody::SummaryReady(summarise(&conversation, language))));
    }
    if stages.spec.has("score") && may_analyse && !conversation.turns.is_empty() {
        match scorecard(stages, &conversation) {
            Ok(card) => {
                records.push(record(&card, &conversation));
                drafts.push(Draft::new(at_ms, EventBody::QualityScored(in_brief(&card))));
            }
            // It would fail again: the call is over all the same.
            Err(error) => tracing::error!(call_id = %call.call_id, %error, "a call is completed without a scorecard"),
        }
    }
    let call = Call { state: CallState::Completed, ..call.clone() };
    drafts.push(Draft::new(at_ms, EventBody::CallCompleted { call: Box::new(call.clone()) }));
    sink.append(&call.call_id, drafts, records).await?;
    Ok(())
}

/// The scorecard of an annotated conversation with the rules and scheme of these stages.
///
/// # Errors
/// The conversation is not of its form (turns out of order, too many turns).
pub fn scorecard(stages: &Stages, conversation: &Conversation) -> Result<Scorecard, PipelineError> {
    Ok(score(&new_id(IdKind::Score), conversation, &stages.rules(), &stages.scheme(), &stages.models)?)
}

fn in_brief(card: &Scorecard) -> QualityScored {
    QualityScored {
        score_id: card.score_id.clone(),
        scheme_id: card.scheme_id.clone(),
        scheme_version: card.scheme_version,
        clock: "post".into(),
        total: card.total,
        max: card.max,
        fatal: card.fatal.clone(),
        n_hits: card.results.iter().filter(|r| r.result.state == RuleState::Hit).count(),
        n_pending: 0,
        changed_hits: Vec::new(),
    }
}

fn record(card: &Scorecard, conversation: &Conversation) -> Record {
    Record::Score {
        score_id: card.score_id.clone(),
        scheme_id: card.scheme_id.clone(),
        clock: "post".into(),
        total: card.total,
        agent_id: conversation.agent_id.clone(),
        queue: conversation.queue.clone(),
        body: serde_json::to_string(card).unwrap_or_default(),
    }
}

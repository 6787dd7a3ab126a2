//! Messages of a call: kept, answered, followed up.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::PipelineError;
use super::call_task::CallTask;
use super::guarded::Guarded;
use crate::conversation::{IdKind, Language, Role, TimeSpan, Utterance, UtteranceId, new_id};
use crate::event::{Draft, EventBody, Record, millis_between, now_rfc3339};

/// A message of a text conversation.
#[derive(Clone, Debug, Default)]
pub struct NewMessage {
    /// Who.
    pub role: Role,
    /// Words.
    pub text: String,
    /// RFC 3339; now by default.
    pub sent_at: Option<String>,
    /// Name in the sending system.
    pub external_id: Option<String>,
    /// `msg_…`; made here by default.
    pub message_id: Option<String>,
    /// Events that are kept together with it, behind it.
    pub with: Vec<EventBody>,
    /// Rows that are kept together with it.
    pub records: Vec<Record>,
    /// The encoding of the text, where it was made already: nothing is encoded twice.
    pub encoding: Option<Arc<crate::inference::Encoding>>,
    /// Said by the bot or to it: it is answered as soon as it is durable, and nobody waits for suggestions.
    pub led_by_bot: bool,
}

/// A final of the caller, for who answers it.
#[derive(Clone, Debug)]
pub struct Said {
    /// Which utterance.
    pub utterance_id: UtteranceId,
    /// The readable words as they were said; in memory alone, what is kept has its personal data masked.
    pub text: String,
}

impl CallTask {
    /// Keeps a message, answers and does what follows from it. In a conversation that the bot leads the answer does not wait
    /// for what follows.
    pub(super) async fn take_message(
        &mut self,
        message: NewMessage,
        reply: oneshot::Sender<Result<Utterance, PipelineError>>,
    ) -> Result<(), PipelineError> {
        let led_by_bot = message.led_by_bot;
        match self.message(message).await {
            Ok(kept) if led_by_bot => {
                let _ = reply.send(Ok(kept.utterance.clone()));
                self.follow_message(kept).await?;
            }
            Ok(kept) => {
                let utterance = kept.utterance.clone();
                let _ = reply.send(self.follow_message(kept).await.map(|()| utterance));
            }
            Err(error) => drop(reply.send(Err(error))),
        }
        Ok(())
    }

    /// Makes a message durable.
    async fn message(&mut self, message: NewMessage) -> Result<Guarded, PipelineError> {
        self.go_live().await?;
        let sent_at = message.sent_at.unwrap_or_else(now_rfc3339);
        let since_start_ms = millis_between(&self.desk.call().started_at, &sent_at).unwrap_or(0).max(0);
        // In a voice call a message stands at its place in the recording.
        let start_ms = if self.is_voice() { self.now_ms() } else { since_start_ms };
        let language = match self.desk.call().languages.as_slice() {
            [only] => only.clone(),
            _ => Language::of_text(&message.text).name().to_owned(),
        };
        let utterance = Utterance {
            utterance_id: UtteranceId::new(),
            channel_index: None,
            role: message.role,
            speaker: None,
            span: TimeSpan::new(start_ms, start_ms),
            text: message.text.clone(),
            raw_text: message.text.clone(),
            language: language.clone(),
            confidence: None,
            words: Vec::new(),
        };
        let (encoding, led_by_bot) = (message.encoding, message.led_by_bot);
        let guarded = Guarded { encoding, led_by_bot, ..self.desk.guard(utterance) };
        let utterance = guarded.utterance.clone();
        let body = EventBody::MessageAdded {
            message_id: message.message_id.unwrap_or_else(|| new_id(IdKind::Message)),
            utterance_id: utterance.utterance_id.clone(),
            role: message.role,
            speaker: None,
            text: utterance.text.clone(),
            language,
            sent_at,
            start_ms,
            external_id: message.external_id.clone(),
        };
        let record = message.external_id.map(|external_id| Record::Message {
            external_id,
            utterance_id: utterance.utterance_id.to_string(),
            body: serde_json::to_string(&utterance).unwrap_or_default(),
        });
        let call_id = self.desk.call().call_id.clone();
        let drafts = [body].into_iter().chain(message.with).map(|body| Draft::new(start_ms, body)).collect();
        let records = record.into_iter().chain(message.records).collect();
        self.sink.append(&call_id, drafts, records).await?;
        Ok(guarded)
    }

    /// Everything that follows from a message.
    async fn follow_message(&mut self, guarded: Guarded) -> Result<(), PipelineError> {
        let at_ms = guarded.utterance.span.end_ms;
        self.follow_up(guarded, None).await?;
        // The clock of a voice call is its audio.
        let drafts = if self.is_voice() { Vec::new() } else { self.desk.advance_clock(at_ms) };
        Ok(self.append(drafts).await?)
    }
}

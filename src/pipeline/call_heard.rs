//! What a call does with what its ears have heard: it is kept, then understood; and what cannot be kept is asked for again.

use std::collections::BTreeMap;
use std::time::Instant;

use super::PipelineError;
use super::call_task::{CallTask, Said};
use super::guarded::Guarded;
use super::heard::Heard;
use super::parties::Corrections;
use crate::conversation::{Language, Role, Utterance, UtteranceId};
use crate::emotion::VoiceSample;
use crate::event::{Draft, EventBody};
use crate::speaker::SpeakerEmbedding;

impl CallTask {
    /// Takes what was heard, in order. A channel of which something could not be kept is not taken any further: its sender has
    /// to come back and send again from there.
    pub(super) async fn keep(&mut self, heard: Vec<(u16, Heard)>) -> Result<(), PipelineError> {
        let mut lost: BTreeMap<u16, i64> = BTreeMap::new();
        let mut failed = None;
        for (channel, heard) in heard {
            if lost.contains_key(&channel) {
                continue;
            }
            let start_ms = heard.start_ms();
            match self.take_heard(heard).await {
                Ok(()) => {}
                Err(error) => {
                    lost.insert(channel, start_ms);
                    failed.get_or_insert(error);
                }
            }
        }
        let Some(error) = failed else { return Ok(()) };
        metrics::counter!("zhiyin_audio_taken_back_total").increment(1);
        self.ears.go_back(&lost);
        // What was being said begins anew when it comes again.
        for utterance_id in std::mem::take(&mut self.open_utterances) {
            drop(self.desk.speech_dropped(&utterance_id, self.ears.clock_ms().unwrap_or(0)));
        }
        self.lost_at = Some(Instant::now() + self.resume_grace);
        self.lost_reason = "media_lost";
        Err(error)
    }

    /// What follows from an utterance that is kept: its failure is told in the log and costs no words.
    async fn follow(&mut self, guarded: Guarded, voice: Option<VoiceSample>) {
        if let Err(error) = self.follow_up(guarded, voice).await {
            tracing::error!(call_id = %self.desk.call().call_id, %error, "what follows from an utterance was not kept");
        }
    }

    /// An utterance of a channel with several parties gets its speaker; gives what it corrects of earlier ones.
    fn name_speaker(&mut self, utterance: &mut Utterance, voice: Option<SpeakerEmbedding>, language: Language) -> Corrections {
        let (Some(voice), Some(channel)) = (voice, utterance.channel_index) else { return Corrections::default() };
        let direction = self.desk.call().direction;
        let who = (&utterance.utterance_id, utterance.span.start_ms);
        let said = (utterance.raw_text.as_str(), language);
        let (speaker, role, corrections) = self.parties.take(channel, who, voice, said, direction);
        utterance.speaker = Some(speaker);
        utterance.role = role;
        corrections
    }

    /// Tells what is known better now about who speaks.
    async fn correct(&mut self, corrections: Corrections) {
        let drafts = self.parties.tell(corrections, &mut self.desk);
        if let Err(error) = self.append(drafts).await {
            tracing::error!(call_id = %self.desk.call().call_id, %error, "a correction of speakers was not kept");
        }
    }

    async fn take_heard(&mut self, heard: Heard) -> Result<(), PipelineError> {
        match heard {
            Heard::Partial(draft) => self.sink.show(&self.desk.call().call_id, draft),
            Heard::Started { utterance_id, role, start_ms, draft } => {
                self.open_utterances.insert(utterance_id.clone());
                let mut drafts = vec![draft];
                drafts.extend(self.desk.speech_started(&utterance_id, role, start_ms));
                self.append(drafts).await?;
            }
            Heard::Dropped { utterance_id, at_ms, draft } => {
                self.open_utterances.remove(&utterance_id);
                if draft.body.is_durable() {
                    self.append(vec![draft]).await?;
                } else {
                    self.sink.show(&self.desk.call().call_id, draft);
                }
                let drafts = self.desk.speech_dropped(&utterance_id, at_ms);
                self.append(drafts).await?;
            }
            Heard::Notice(draft) => self.append(vec![draft]).await?,
            Heard::Final { mut event, mut utterance, voice, embedding } => {
                let language = Language::from_tag(&utterance.language).unwrap_or_else(|| Language::of_text(&utterance.raw_text));
                utterance.text = self.stages.normalise(&utterance.raw_text, language);
                let corrections = self.name_speaker(&mut utterance, embedding, language);
                let guarded = self.desk.guard(utterance);
                event.text.clone_from(&guarded.utterance.text);
                event.raw_text.clone_from(&guarded.utterance.raw_text);
                event.words.clone_from(&guarded.utterance.words);
                event.role = guarded.utterance.role;
                event.speaker.clone_from(&guarded.utterance.speaker);
                event.redactions = guarded.redactions.iter().map(Into::into).collect();
                let utterance = &guarded.utterance;
                let at_ms = utterance.span.end_ms;
                let utterance_id = utterance.utterance_id.clone();
                let spoken_ms = utterance.span.duration_ms();
                self.append(vec![Draft::new(at_ms, EventBody::TranscriptFinal(*event))]).await?;
                self.open_utterances.remove(&utterance_id);
                self.speaking_ms += spoken_ms;
                if let Some(listener) = self.answers.as_ref().filter(|_| guarded.utterance.role == Role::Customer) {
                    // A listener that is gone hears nothing; the call goes on.
                    let _ = listener.send(Said { utterance_id: utterance_id.clone(), text: guarded.said.clone() });
                }
                self.follow(guarded, voice).await;
                self.correct(corrections).await;
                self.hear_acts(&utterance_id).await;
            }
        }
        Ok(())
    }

    /// The acts of an utterance on a shared channel may say more about who is who.
    async fn hear_acts(&mut self, utterance_id: &UtteranceId) {
        let Some((utterance, Some(understanding))) = self.desk.spoken().last() else { return };
        if utterance.utterance_id != *utterance_id || utterance.speaker.is_none() {
            return;
        }
        let acts: Vec<&str> = understanding.acts.iter().map(|act| act.label.as_str()).collect();
        let corrections = self.parties.read(utterance_id, &acts, self.desk.call().direction);
        self.correct(corrections).await;
    }

    /// Everything that follows from a final. A failing encoder degrades the call, it does not end it.
    pub(super) async fn follow_up(&mut self, guarded: Guarded, voice: Option<VoiceSample>) -> Result<(), PipelineError> {
        let at_ms = guarded.utterance.span.end_ms;
        let (revised, records) = self.desk.redact_earlier(&guarded);
        if !records.is_empty() {
            self.sink.append(&self.desk.call().call_id, revised, records).await?;
        }
        let utterance = guarded.utterance.clone();
        match self.desk.take(guarded, voice).await {
            Ok(drafts) => Ok(self.append(drafts).await?),
            Err(error) => {
                tracing::warn!(call_id = %self.desk.call().call_id, %error, "understanding is left out");
                let notice = crate::event::StageNotice {
                    stage: "encode".into(),
                    level: 0,
                    cause: "encoder_failed".into(),
                    effect: "no understanding and no suggestions for this utterance".into(),
                    n_dropped: 1,
                    since_ms: at_ms,
                };
                let mut drafts = vec![Draft::new(at_ms, EventBody::StageDegraded(notice))];
                // Rules that read words alone go on.
                drafts.extend(self.desk.keep(utterance));
                Ok(self.append(drafts).await?)
            }
        }
    }
}

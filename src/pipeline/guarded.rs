//! Personal data taken out of an utterance before anything is kept of it.

use super::desk::Desk;
use crate::conversation::{Understanding, Utterance};
use crate::event::{Draft, EventBody, Record, ReviseCause, TranscriptRevised};
use crate::privacy::{Finding, mask, mask_words, masked_value, of_kinds};

/// An utterance without the personal data that must not be kept, and what was said, for the models in memory alone.
#[derive(Clone, Debug)]
pub struct Guarded {
    /// Masked; everything that is stored or sent is made from this.
    pub utterance: Utterance,
    /// The readable text as it was said; never stored.
    pub said: String,
    /// What was masked in the readable text.
    pub redactions: Vec<Finding>,
    /// Earlier utterances in which this one proved personal data: their number from 0, and what goes out of them.
    pub earlier: Vec<(usize, Finding)>,
    /// The encoding of what was said, where it was made already.
    pub encoding: Option<std::sync::Arc<crate::inference::Encoding>>,
    /// The bot leads the conversation: nobody waits for suggestions.
    pub led_by_bot: bool,
}

impl From<Utterance> for Guarded {
    /// An utterance from which nothing has to be taken out.
    fn from(utterance: Utterance) -> Self {
        Self {
            said: utterance.text.clone(),
            utterance,
            redactions: Vec::new(),
            earlier: Vec::new(),
            encoding: None,
            led_by_bot: false,
        }
    }
}

impl Desk {
    /// Takes out of the next utterance what the settings do not allow to be kept. Every utterance passes here once, in order.
    pub fn guard(&mut self, utterance: Utterance) -> Guarded {
        let speaker = utterance.role.name();
        let raw = self.watcher.look(speaker, &utterance.raw_text);
        let seen = self.watcher.take(speaker, &utterance.text);
        let kinds = &self.stages.privacy;
        let redactions = of_kinds(seen.findings, kinds);
        if redactions.is_empty() {
            return Guarded { earlier: earlier_of(seen.earlier, kinds), ..Guarded::from(utterance) };
        }
        metrics::counter!("zhiyin_redactions_total").increment(redactions.len() as u64);
        let raw = if utterance.raw_text == utterance.text { redactions.clone() } else { of_kinds(raw, kinds) };
        let masked = mask(&utterance.text, &redactions);
        // Where the recognised text shows fewer of them, its places are not known: then all of it goes.
        let (raw_text, words) = if raw.len() < redactions.len() {
            let words = utterance.words.iter().map(|w| crate::conversation::Word { text: masked_value(&w.text), ..w.clone() });
            (masked_value(&utterance.raw_text), words.collect())
        } else {
            (mask(&utterance.raw_text, &raw), mask_words(&utterance.raw_text, &utterance.words, &raw))
        };
        Guarded {
            said: utterance.text.clone(),
            utterance: Utterance { text: masked, raw_text, words, ..utterance },
            redactions,
            earlier: earlier_of(seen.earlier, kinds),
            encoding: None,
            led_by_bot: false,
        }
    }

    /// Takes what an utterance proved out of earlier ones: in memory now, in the log by the records that come back, and told
    /// by `transcript.revised`.
    pub fn redact_earlier(&mut self, guarded: &Guarded) -> (Vec<Draft>, Vec<Record>) {
        let at_ms = guarded.utterance.span.end_ms;
        let mut drafts = Vec::new();
        let mut records = Vec::new();
        for (place, finding) in &guarded.earlier {
            let Some((utterance, understanding)) = self.spoken.get_mut(*place) else { continue };
            let findings = vec![finding.clone()];
            let text = mask(&utterance.text, &findings);
            if text == utterance.text {
                continue; // taken out when it was said
            }
            utterance.text = text;
            utterance.raw_text = masked_value(&utterance.raw_text);
            for word in &mut utterance.words {
                word.text = masked_value(&word.text);
            }
            if let Some(understanding) = understanding {
                mask_entities(understanding, &findings);
            }
            let revised = TranscriptRevised {
                utterance_id: utterance.utterance_id.clone(),
                revision: 2,
                cause: ReviseCause::Redaction,
                role: utterance.role,
                speaker: None,
                start_ms: utterance.span.start_ms,
                end_ms: utterance.span.end_ms,
                text: utterance.text.clone(),
                redactions: findings.iter().map(Into::into).collect(),
            };
            drafts.push(Draft::new(at_ms, EventBody::TranscriptRevised(revised)));
            records.push(Record::Redact { utterance_id: utterance.utterance_id.clone(), findings });
        }
        (drafts, records)
    }
}

fn earlier_of(earlier: Vec<(usize, Finding)>, kinds: &crate::privacy::KindSet) -> Vec<(usize, Finding)> {
    earlier.into_iter().filter(|(_, finding)| kinds.contains(&finding.kind)).collect()
}

/// Masks the entities that personal data touches; kinds and places stay.
pub(super) fn mask_entities(understanding: &mut Understanding, findings: &[Finding]) {
    for entity in &mut understanding.entities {
        if findings.iter().any(|f| f.start < entity.end && entity.start < f.end) {
            entity.text = masked_value(&entity.text);
            entity.value = masked_value(&entity.value);
        }
    }
}

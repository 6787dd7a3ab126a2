//! Transcripts that change after their final: what a person corrects, and personal data that shows itself late.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{EventBody, Redaction};
use crate::conversation::{Role, UtteranceId};
use crate::privacy::{Finding, MASK, mask, masked_value};

/// Why a transcript changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviseCause {
    /// A second, slower pass heard better.
    SecondPass,
    /// A person corrected it.
    HumanEdit,
    /// The speaker was somebody else.
    RoleFix,
    /// Personal data was taken out.
    Redaction,
}

/// The newest words of an utterance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TranscriptRevised {
    /// The utterance.
    pub utterance_id: UtteranceId,
    /// 2 and up.
    pub revision: u32,
    /// Why.
    pub cause: ReviseCause,
    /// Who.
    pub role: Role,
    /// Speaker label, if it is another one now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
    /// From.
    pub start_ms: i64,
    /// To.
    pub end_ms: i64,
    /// Readable words.
    pub text: String,
    /// Personal data that was taken out.
    pub redactions: Vec<Redaction>,
}

impl From<&Finding> for Redaction {
    fn from(finding: &Finding) -> Self {
        Self { kind: finding.kind.name().to_owned(), start: finding.start, end: finding.end }
    }
}

impl EventBody {
    /// Takes personal data out of an event that has the words of an utterance; true if it has. The recognised words and the
    /// text before normalisation have other places, so there everything that can be read goes.
    pub fn take_out(&mut self, utterance: &UtteranceId, findings: &[Finding]) -> bool {
        match self {
            Self::TranscriptFinal(transcript) if transcript.utterance_id == *utterance => {
                transcript.text = mask(&transcript.text, findings);
                transcript.raw_text = masked_value(&transcript.raw_text);
                for word in &mut transcript.words {
                    word.text = masked_value(&word.text);
                }
                transcript.redactions.extend(findings.iter().map(Redaction::from));
            }
            Self::TranscriptRevised(revised) if revised.utterance_id == *utterance => {
                revised.text = mask(&revised.text, findings);
            }
            Self::MessageAdded { utterance_id, text, .. } if utterance_id == utterance => *text = mask(text, findings),
            Self::UtteranceUnderstood(understanding) if understanding.utterance_id == *utterance => {
                for entity in &mut understanding.entities {
                    if findings.iter().any(|f| f.start < entity.end && entity.start < f.end) {
                        entity.text = MASK.to_string().repeat(entity.text.chars().count());
                        entity.value = masked_value(&entity.value);
                    }
                }
            }
            _ => return false,
        }
        true
    }
}

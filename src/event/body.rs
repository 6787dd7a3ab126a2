//! The types of events and their data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Call;
use crate::assist::Suggestion;
use crate::conversation::{Role, Understanding, UtteranceId, Word};
use crate::insight::Summary;

/// Type and data of an event; the names are the wire's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", content = "data")]
pub enum EventBody {
    /// A call was opened.
    #[serde(rename = "call.started")]
    CallStarted {
        /// The call.
        call: Box<Call>,
    },
    /// A call was changed.
    #[serde(rename = "call.updated")]
    CallUpdated {
        /// The call.
        call: Box<Call>,
    },
    /// Somebody began to speak.
    #[serde(rename = "speech.started")]
    SpeechStarted {
        /// Channel.
        channel_index: u16,
        /// Who.
        role: Role,
        /// When.
        start_ms: i64,
    },
    /// Somebody stopped speaking.
    #[serde(rename = "speech.ended")]
    SpeechEnded {
        /// Channel.
        channel_index: u16,
        /// Who.
        role: Role,
        /// From.
        start_ms: i64,
        /// To.
        end_ms: i64,
        /// `vad`, `semantic`, `flush` or `max_length`.
        endpoint: String,
    },
    /// A revisable transcript; ephemeral.
    #[serde(rename = "transcript.partial")]
    TranscriptPartial(TranscriptPartial),
    /// A transcript that stays.
    #[serde(rename = "transcript.final")]
    TranscriptFinal(TranscriptFinal),
    /// The words of an utterance changed after their final.
    #[serde(rename = "transcript.revised")]
    TranscriptRevised(super::TranscriptRevised),
    /// Speakers were told apart anew.
    #[serde(rename = "speaker.updated")]
    SpeakerUpdated {
        /// Speaker label.
        speaker: String,
        /// Its role.
        role: Role,
        /// Confidence in [0, 1].
        role_confidence: Option<f32>,
        /// From when on.
        applies_from_ms: i64,
    },
    /// Escalation risk and predicted satisfaction.
    #[serde(rename = "risk.updated")]
    RiskUpdated(RiskUpdated),
    /// What was understood of an utterance.
    #[serde(rename = "utterance.understood")]
    UtteranceUnderstood(Box<Understanding>),
    /// A suggestion to the agent.
    #[serde(rename = "suggestion.created")]
    SuggestionCreated(Box<Suggestion>),
    /// A suggestion changed.
    #[serde(rename = "suggestion.updated")]
    SuggestionUpdated(SuggestionUpdated),
    /// A suggestion is taken back.
    #[serde(rename = "suggestion.withdrawn")]
    SuggestionWithdrawn {
        /// Which.
        suggestion_id: String,
        /// Why.
        reason: WithdrawReason,
    },
    /// A live rule fired.
    #[serde(rename = "alert.raised")]
    AlertRaised(AlertRaised),
    /// Somebody saw an alert.
    #[serde(rename = "alert.acknowledged")]
    AlertAcknowledged {
        /// Which.
        alert_id: String,
        /// Who.
        by: String,
        /// Note.
        note: Option<String>,
    },
    /// An alert is over.
    #[serde(rename = "alert.resolved")]
    AlertResolved {
        /// Which.
        alert_id: String,
        /// Why.
        reason: ResolveReason,
        /// Who.
        by: Option<String>,
        /// Note.
        note: Option<String>,
    },
    /// A message of a text conversation; it is its own final.
    #[serde(rename = "message.added")]
    MessageAdded {
        /// The message.
        message_id: String,
        /// The utterance that it is.
        utterance_id: UtteranceId,
        /// Who.
        role: Role,
        /// Speaker label.
        speaker: Option<String>,
        /// Words.
        text: String,
        /// BCP 47 tag.
        language: String,
        /// RFC 3339.
        sent_at: String,
        /// Milliseconds from the start of the conversation.
        start_ms: i64,
        /// Name in the sending system.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        external_id: Option<String>,
    },
    /// A person is asked to take over from the bot.
    #[serde(rename = "handoff.requested")]
    HandoffRequested {
        /// Why.
        reason: crate::chat::Reason,
        /// Suggested queue.
        queue: Option<String>,
        /// 1 at once, 2 soon, 3 in turn.
        priority: u8,
        /// Everything that he needs to know.
        context: Box<crate::chat::HandOver>,
    },
    /// A person took over; the bot is silent.
    #[serde(rename = "handoff.accepted")]
    HandoffAccepted {
        /// Who.
        agent: String,
        /// How long the customer waited.
        waited_ms: i64,
    },
    /// The bot goes on.
    #[serde(rename = "handoff.returned")]
    HandoffReturned {
        /// Who gave it back.
        by: String,
        /// What he did.
        note: Option<String>,
    },
    /// A summary.
    #[serde(rename = "summary.ready")]
    SummaryReady(Summary),
    /// A scorecard.
    #[serde(rename = "quality.scored")]
    QualityScored(QualityScored),
    /// A stage works less well.
    #[serde(rename = "stage.degraded")]
    StageDegraded(StageNotice),
    /// It works again.
    #[serde(rename = "stage.recovered")]
    StageRecovered(StageNotice),
    /// The call is over; work after it follows.
    #[serde(rename = "call.ended")]
    CallEnded(CallEnded),
    /// Last event of all.
    #[serde(rename = "call.completed")]
    CallCompleted {
        /// The call; its state is `completed` or `failed`.
        call: Box<Call>,
    },
}

impl EventBody {
    /// The type as the wire writes it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CallStarted { .. } => "call.started",
            Self::CallUpdated { .. } => "call.updated",
            Self::SpeechStarted { .. } => "speech.started",
            Self::SpeechEnded { .. } => "speech.ended",
            Self::TranscriptPartial(_) => "transcript.partial",
            Self::TranscriptFinal(_) => "transcript.final",
            Self::TranscriptRevised(_) => "transcript.revised",
            Self::SpeakerUpdated { .. } => "speaker.updated",
            Self::RiskUpdated(_) => "risk.updated",
            Self::UtteranceUnderstood(_) => "utterance.understood",
            Self::SuggestionCreated(_) => "suggestion.created",
            Self::SuggestionUpdated(_) => "suggestion.updated",
            Self::SuggestionWithdrawn { .. } => "suggestion.withdrawn",
            Self::AlertRaised(_) => "alert.raised",
            Self::AlertAcknowledged { .. } => "alert.acknowledged",
            Self::AlertResolved { .. } => "alert.resolved",
            Self::MessageAdded { .. } => "message.added",
            Self::HandoffRequested { .. } => "handoff.requested",
            Self::HandoffAccepted { .. } => "handoff.accepted",
            Self::HandoffReturned { .. } => "handoff.returned",
            Self::SummaryReady(_) => "summary.ready",
            Self::QualityScored(_) => "quality.scored",
            Self::StageDegraded(_) => "stage.degraded",
            Self::StageRecovered(_) => "stage.recovered",
            Self::CallEnded(_) => "call.ended",
            Self::CallCompleted { .. } => "call.completed",
        }
    }

    /// Whether the event takes a number and is kept.
    pub fn is_durable(&self) -> bool {
        !matches!(self, Self::TranscriptPartial(_))
    }

    /// Whether this is the last event of a call.
    pub fn is_last(&self) -> bool {
        matches!(self, Self::CallCompleted { .. })
    }
}

/// A revisable transcript of an utterance that is still spoken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TranscriptPartial {
    /// The utterance, the same as in its final.
    pub utterance_id: UtteranceId,
    /// Revision, from 1.
    pub rev: u32,
    /// Channel.
    pub channel_index: u16,
    /// Who.
    pub role: Role,
    /// From.
    pub start_ms: i64,
    /// To (so far).
    pub end_ms: i64,
    /// Words so far.
    pub text: String,
    /// This many first code points change in no later partial.
    pub stable_chars: usize,
    /// BCP 47 tag.
    pub language: String,
}

/// Where the time of a final went, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Timings {
    /// From the last sample's place in real time to its arrival.
    pub capture: f32,
    /// From the end of speech to the decision that it ended.
    pub vad: f32,
    /// Waiting for a decoder.
    pub asr_queue: f32,
    /// Decoding.
    pub asr: f32,
}

/// A transcript that stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TranscriptFinal {
    /// The utterance.
    pub utterance_id: UtteranceId,
    /// 1.
    pub revision: u32,
    /// Channel.
    pub channel_index: u16,
    /// Who.
    pub role: Role,
    /// Speaker label.
    pub speaker: Option<String>,
    /// From.
    pub start_ms: i64,
    /// To.
    pub end_ms: i64,
    /// Readable words.
    pub text: String,
    /// Words as recognised.
    pub raw_text: String,
    /// BCP 47 tag.
    pub language: String,
    /// Mean word probability in [0, 1].
    pub confidence: Option<f32>,
    /// Words with times and probabilities.
    pub words: Vec<Word>,
    /// Personal data that was taken out.
    #[serde(default)]
    pub redactions: Vec<Redaction>,
    /// Where the time went.
    pub timings_ms: Timings,
    /// Stretches in which another channel was heard too, `[start_ms, end_ms]` within the utterance, as far as it was known then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overlaps: Vec<[i64; 2]>,
    /// The final changed code points that a partial had called stable.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rewrites_stable: bool,
}

/// Personal data that was taken out of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Redaction {
    /// Kind, from the closed list of personal data.
    pub kind: String,
    /// First code point.
    pub start: usize,
    /// First code point behind it.
    pub end: usize,
}

/// Escalation risk and predicted satisfaction while the call runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RiskUpdated {
    /// In [0, 1].
    pub escalation: f32,
    /// 1 to 5.
    pub predicted_satisfaction: f32,
    /// Mean valence of the last utterances per role, -5 to 5.
    pub emotion_trend: BTreeMap<String, f32>,
    /// Clearly negative utterances of the customer in a row, up to now.
    #[serde(default)]
    pub negative_streak: u32,
}

/// Fields of a suggestion that changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SuggestionUpdated {
    /// Which.
    pub suggestion_id: String,
    /// New revision.
    pub rev: u32,
    /// New words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// New score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
}

/// Why a suggestion is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WithdrawReason {
    /// A better one came.
    Superseded,
    /// Its time is over.
    Stale,
    /// The agent said it.
    SaidByAgent,
    /// The article is no longer valid.
    SourceExpired,
}

/// Level of an alert, from the level of its rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertLevel {
    /// Rule level light.
    Info,
    /// Rule level medium.
    Warning,
    /// Rule level serious.
    Critical,
}

/// Evidence of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertEvidence {
    /// Utterance.
    pub utterance_id: String,
    /// First code point.
    pub start: usize,
    /// First code point behind it.
    pub end: usize,
    /// Start of the utterance.
    pub start_ms: i64,
    /// End of the utterance.
    pub end_ms: i64,
}

/// A live rule fired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertRaised {
    /// Its name.
    pub alert_id: String,
    /// The rule.
    pub rule_id: String,
    /// Its version.
    pub rule_version: u64,
    /// Level.
    pub level: AlertLevel,
    /// Name of the rule.
    pub title: String,
    /// Where.
    pub evidence: Vec<AlertEvidence>,
    /// Alerts with equal keys are one.
    pub dedup_key: String,
    /// What a supervisor may do.
    pub suggested_action: Option<String>,
}

/// Why an alert is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResolveReason {
    /// Somebody handled it.
    Handled,
    /// The rule took it back.
    Retracted,
}

/// A scorecard in brief.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QualityScored {
    /// Its name.
    pub score_id: String,
    /// Scheme.
    pub scheme_id: String,
    /// Its version, if it has one.
    pub scheme_version: Option<u64>,
    /// `live` or `post`.
    pub clock: String,
    /// Total, `None` if nothing could be scored.
    pub total: Option<f64>,
    /// Best possible.
    pub max: f64,
    /// Fatal rules that hit.
    pub fatal: Vec<String>,
    /// Rules that hit.
    pub n_hits: usize,
    /// Rules not decided yet.
    pub n_pending: usize,
    /// Rules whose result differs from the live one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed_hits: Vec<String>,
}

/// A stage degraded or recovered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StageNotice {
    /// Which stage.
    pub stage: String,
    /// Step of the overload ladder, 1 to 5; 0 outside it.
    pub level: u8,
    /// Why.
    pub cause: String,
    /// What users notice.
    pub effect: String,
    /// Values dropped so far.
    pub n_dropped: u64,
    /// Since when, milliseconds from the first sample.
    pub since_ms: i64,
}

/// The end of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallEnded {
    /// Who hung up.
    pub hangup_by: Option<Role>,
    /// Why: `hangup`, `media_lost`, `interrupted`…
    pub reason: String,
    /// Length.
    pub duration_ms: i64,
    /// When it was answered.
    pub answered_ms: i64,
    /// Times on hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Vec<[i64; 2]>>,
    /// Time spoken, per role.
    pub talk_ms: BTreeMap<String, i64>,
    /// Time nobody spoke.
    pub silence_ms: i64,
}

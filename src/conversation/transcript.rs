//! Conversations as stored and exchanged, and the final utterances that they are made of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Channel, Direction, Role, Understanding, UtteranceId};

/// A stretch of a recording, half open `[start_ms, end_ms)`, in milliseconds from its first sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TimeSpan {
    /// First millisecond.
    pub start_ms: i64,
    /// First millisecond behind it.
    pub end_ms: i64,
}

impl TimeSpan {
    /// The span from `start_ms` to `end_ms`.
    pub fn new(start_ms: i64, end_ms: i64) -> Self {
        Self { start_ms, end_ms }
    }

    /// Its length in milliseconds, not below 0.
    pub fn duration_ms(self) -> i64 {
        (self.end_ms - self.start_ms).max(0)
    }
}

/// A name with a score in [0, 1]: an intent, a label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Named {
    /// The label, from a closed list.
    pub name: String,
    /// Its score in [0, 1].
    #[serde(default = "one")]
    pub score: f64,
}

fn one() -> f64 {
    1.0
}

/// The emotion of a turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EmotionScore {
    /// The label, from the closed list of emotions.
    pub name: String,
    /// Its score in [0, 1].
    #[serde(default = "one")]
    pub score: f64,
    /// Valence in [-5, 5].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valence: Option<f64>,
}

/// An entity in the text of a turn; positions are code points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EntitySpan {
    /// The kind, from the closed list.
    #[serde(rename = "type")]
    pub kind: String,
    /// The normalised value.
    #[serde(default)]
    pub value: String,
    /// First code point.
    #[serde(default)]
    pub start: usize,
    /// First code point behind it.
    #[serde(default)]
    pub end: usize,
    /// Confidence in [0, 1].
    #[serde(default = "one")]
    pub score: f64,
}

/// How the parties lie in the audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AudioLayout {
    /// A channel per party.
    Stereo,
    /// All parties in one channel.
    Mono,
}

/// A value of the flat metadata map of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MetadataValue {
    /// Yes or no.
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// A text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

/// One turn: what one party said or wrote at once. An absent annotation means "was not computed"; an empty
/// list means "computed, nothing found".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Turn {
    /// Its name; absent: its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Who spoke.
    #[serde(default)]
    pub role: Role,
    /// Tells parties of one role apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
    /// The words.
    #[serde(default)]
    pub text: String,
    /// Start in milliseconds from the first sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<i64>,
    /// End in milliseconds from the first sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<i64>,
    /// Overrides the language of the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Mean loudness, dB above the calibrated floor, 0 to 110.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_db: Option<f64>,
    /// Ranked intents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intents: Option<Vec<Named>>,
    /// Emotion from the words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emotion: Option<EmotionScore>,
    /// Conduct and acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<Named>>,
    /// Entities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entities: Option<Vec<EntitySpan>>,
    /// Names of the annotations that came too late; they count as absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timed_out: Vec<String>,
}

/// A whole conversation, the only form in which conversations are exchanged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Conversation {
    /// Its name.
    #[serde(default)]
    pub id: String,
    /// The medium.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// BCP 47 tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Who began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// The queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The employee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The employee's team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// How the parties lie in the audio; absent: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<AudioLayout>,
    /// When it was answered, milliseconds from the first sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_ms: Option<i64>,
    /// When it was hung up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// Who hung up: `agent`, `customer`, `system`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hangup_by: Option<Role>,
    /// Times on hold, `[start_ms, end_ms]` without overlap; absent: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Vec<[i64; 2]>>,
    /// Flat map of what the telephone system knows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    pub metadata: BTreeMap<String, MetadataValue>,
    /// The turns, sorted by `start_ms`.
    #[serde(default)]
    pub turns: Vec<Turn>,
}

/// A recognised word and its place in the recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Word {
    /// The word (for Chinese: a segmented word or a character).
    pub text: String,
    /// Start in milliseconds.
    pub start_ms: i64,
    /// End in milliseconds.
    pub end_ms: i64,
    /// Probability in [0, 1], `None` when it was not measured.
    pub confidence: Option<f32>,
}

/// One final utterance of the live flow: immutable once made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Utterance {
    /// Its name, stable from the first partial on.
    pub utterance_id: UtteranceId,
    /// Place in the audio, `None` for text.
    pub channel_index: Option<u16>,
    /// Who spoke.
    pub role: Role,
    /// Tells parties of one role apart.
    pub speaker: Option<String>,
    /// Place in the recording (text: the time of sending on both ends).
    pub span: TimeSpan,
    /// Readable text.
    pub text: String,
    /// Text as recognised, before normalisation.
    pub raw_text: String,
    /// BCP 47 tag.
    pub language: String,
    /// Mean word probability in [0, 1], `None` for text.
    pub confidence: Option<f32>,
    /// Words with times, empty for text.
    pub words: Vec<Word>,
}

impl Conversation {
    /// A conversation from final utterances and what was understood of them, sorted by start.
    ///
    /// `head` gives everything but the turns.
    pub fn from_utterances(head: Conversation, utterances: &[(Utterance, Option<Understanding>)]) -> Conversation {
        let mut turns: Vec<Turn> = utterances.iter().map(|(u, a)| u.to_turn(a.as_ref())).collect();
        turns.sort_by_key(|turn| turn.start_ms);
        Conversation { turns, ..head }
    }
}

impl Utterance {
    /// The turn of the interchange form; annotations that are `None` stay absent.
    pub fn to_turn(&self, understanding: Option<&Understanding>) -> Turn {
        let base = Turn {
            id: Some(self.utterance_id.to_string()),
            role: self.role,
            speaker: self.speaker.clone(),
            text: self.text.clone(),
            start_ms: Some(self.span.start_ms),
            end_ms: Some(self.span.end_ms),
            language: Some(self.language.clone()),
            ..Turn::default()
        };
        match understanding {
            Some(understanding) => understanding.annotate(base),
            None => base,
        }
    }
}

//! The call as the wire shows it, and what opens one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::conversation::{CallId, Channel, Direction, Role};

/// How samples are written on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// 16-bit little-endian linear samples.
    #[default]
    PcmS16le,
    /// G.711 µ-law.
    Mulaw,
    /// G.711 A-law.
    Alaw,
}

/// State of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// Opened, nothing said yet.
    #[default]
    Created,
    /// Running.
    Live,
    /// Ended; work after the call goes on.
    Post,
    /// Everything is done.
    Completed,
    /// Work after the call failed.
    Failed,
}

impl CallState {
    /// The wire name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Live => "live",
            Self::Post => "post",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// Whether words can still come.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Created | Self::Live)
    }
}

/// The agent of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentRef {
    /// Employee id.
    pub id: String,
    /// Team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
}

/// The customer of a call, by a hashed reference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomerRef {
    /// Opaque reference, for example `hash:9f…`.
    #[serde(rename = "ref")]
    pub reference: String,
}

/// One channel of the audio.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelSpec {
    /// Place in the interleaved audio.
    pub channel_index: u16,
    /// Who is heard on it.
    pub role: Role,
}

/// The audio of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AudioSpec {
    /// `stereo` (a channel per party) or `mono`.
    #[serde(default)]
    pub layout: Option<String>,
    /// How samples are written.
    #[serde(default)]
    pub encoding: Encoding,
    /// 8 000, 16 000, 24 000 or 48 000.
    #[serde(default = "default_rate_hz")]
    pub sample_rate_hz: u32,
    /// The channels.
    #[serde(default)]
    pub channels: Vec<ChannelSpec>,
}

fn default_rate_hz() -> u32 {
    8_000
}

/// What the parties agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// The recording may be kept.
    #[serde(default = "yes")]
    pub recording: bool,
    /// The conversation may be analysed.
    #[serde(default = "yes")]
    pub analytics: bool,
    /// The customer's words may go to a server of somebody else, such as the one that rewords answers. Never by default.
    #[serde(default)]
    pub third_party: bool,
}

fn yes() -> bool {
    true
}

impl Default for Consent {
    fn default() -> Self {
        Self { recording: true, analytics: true, third_party: false }
    }
}

/// A word to be recognised with preference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HotWord {
    /// The word, at most 50 code points.
    pub text: String,
    /// Preference, 1 to 10.
    #[serde(default = "default_weight")]
    pub weight: f32,
}

fn default_weight() -> f32 {
    5.0
}

/// The request that opens a call. Unknown fields are refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCall {
    /// Name in the telephone system; at most one call has it.
    #[serde(default)]
    pub external_id: Option<String>,
    /// The medium.
    #[serde(default)]
    pub channel: Channel,
    /// Who began.
    #[serde(default)]
    pub direction: Direction,
    /// The queue.
    #[serde(default)]
    pub queue: Option<String>,
    /// The agent.
    #[serde(default)]
    pub agent: Option<AgentRef>,
    /// The customer.
    #[serde(default)]
    pub customer: Option<CustomerRef>,
    /// BCP 47 tags, most probable first.
    #[serde(default)]
    pub languages: Vec<String>,
    /// Pipeline to run, `live-assist` by default.
    #[serde(default)]
    pub pipeline: Option<String>,
    /// The audio of a voice call.
    #[serde(default)]
    pub audio: Option<AudioSpec>,
    /// What the parties agreed to.
    #[serde(default)]
    pub consent: Option<Consent>,
    /// Words to be recognised with preference.
    #[serde(default)]
    pub hot_words: Vec<HotWord>,
    /// Times on hold, if the client reports them all.
    #[serde(default)]
    pub hold: Option<Vec<[i64; 2]>>,
    /// When it was answered, RFC 3339.
    #[serde(default)]
    pub answered_at: Option<String>,
    /// When it began, RFC 3339; now by default.
    #[serde(default)]
    pub started_at: Option<String>,
    /// Flat map, at most 64 keys and 16 KiB.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// Free labels.
    #[serde(default)]
    pub labels: Vec<String>,
}

/// A party of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Participant {
    /// What it is.
    pub role: Role,
    /// Where it is heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_index: Option<u16>,
}

/// A call as the wire shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Call {
    /// Its name.
    pub call_id: CallId,
    /// State.
    pub state: CallState,
    /// Name in the telephone system.
    pub external_id: Option<String>,
    /// The medium.
    pub channel: Channel,
    /// Who began.
    pub direction: Direction,
    /// The queue.
    pub queue: Option<String>,
    /// The agent.
    pub agent: Option<AgentRef>,
    /// The customer.
    pub customer: Option<CustomerRef>,
    /// BCP 47 tags.
    pub languages: Vec<String>,
    /// Pipeline.
    pub pipeline: String,
    /// The audio of a voice call.
    pub audio: Option<AudioSpec>,
    /// What the parties agreed to.
    pub consent: Consent,
    /// Words to be recognised with preference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hot_words: Vec<HotWord>,
    /// Flat map.
    #[schema(value_type = Object)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// Free labels.
    #[serde(default)]
    pub labels: Vec<String>,
    /// When it was opened, RFC 3339.
    pub created_at: String,
    /// When its recording begins.
    pub started_at: String,
    /// When it was answered.
    pub answered_at: String,
    /// The same, milliseconds from the first sample.
    pub answered_ms: i64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// Who hung up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hangup_by: Option<Role>,
    /// Times on hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Vec<[i64; 2]>>,
    /// Number of the last durable event.
    pub last_seq: u64,
    /// The parties.
    pub participants: Vec<Participant>,
}

impl Call {
    /// A new call from its request; times default to now.
    pub fn open(request: NewCall, call_id: CallId, now: &str) -> Self {
        let participants = match &request.audio {
            Some(audio) if !audio.channels.is_empty() => {
                audio.channels.iter().map(|c| Participant { role: c.role, channel_index: Some(c.channel_index) }).collect()
            }
            _ => [Role::Customer, Role::Agent].map(|role| Participant { role, channel_index: None }).to_vec(),
        };
        let started_at = request.started_at.unwrap_or_else(|| now.to_owned());
        let answered_at = request.answered_at.unwrap_or_else(|| started_at.clone());
        let answered_ms = millis_between(&started_at, &answered_at).unwrap_or(0).max(0);
        Self {
            call_id,
            state: CallState::Created,
            external_id: request.external_id,
            channel: request.channel,
            direction: request.direction,
            queue: request.queue,
            agent: request.agent,
            customer: request.customer,
            languages: request.languages,
            pipeline: request.pipeline.unwrap_or_else(|| "live-assist".to_owned()),
            audio: request.audio,
            consent: request.consent.unwrap_or_default(),
            hot_words: request.hot_words,
            metadata: request.metadata,
            labels: request.labels,
            created_at: now.to_owned(),
            started_at,
            answered_at,
            answered_ms,
            ended_at: None,
            duration_ms: None,
            hangup_by: None,
            hold: request.hold,
            last_seq: 0,
            participants,
        }
    }

    /// The role heard on a channel; unknown if it was not said.
    pub fn role_of(&self, channel_index: u16) -> Role {
        self.participants.iter().find(|p| p.channel_index == Some(channel_index)).map_or(Role::Unknown, |p| p.role)
    }
}

/// Milliseconds from one RFC 3339 time to another; `None` if one cannot be read.
pub fn millis_between(from: &str, to: &str) -> Option<i64> {
    let parse = |text: &str| chrono::DateTime::parse_from_rfc3339(text).ok();
    Some((parse(to)? - parse(from)?).num_milliseconds())
}

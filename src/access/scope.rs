//! Scopes, roles and row filters.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! scopes {
    ($($(#[$doc:meta])* $name:ident = $wire:literal),* $(,)?) => {
        /// One permission.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        pub enum Scope { $($(#[$doc])* #[serde(rename = $wire)] $name),* }

        impl Scope {
            /// All scopes.
            pub const ALL: &'static [Scope] = &[$(Self::$name),*];
            /// The wire name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $wire),* }
            }
        }
    };
}

scopes! {
    /// Read calls and transcripts.
    CallsRead = "calls:read",
    /// Open, change and end calls, add messages.
    CallsWrite = "calls:write",
    /// Send audio.
    AudioWrite = "audio:write",
    /// Hear recordings.
    AudioRead = "audio:read",
    /// Read events.
    EventsRead = "events:read",
    /// Read suggestions.
    SuggestionsRead = "suggestions:read",
    /// Say what became of a suggestion.
    SuggestionsFeedback = "suggestions:feedback",
    /// Acknowledge and resolve alerts.
    AlertsWrite = "alerts:write",
    /// Search and read knowledge.
    KnowledgeRead = "knowledge:read",
    /// Write knowledge.
    KnowledgeWrite = "knowledge:write",
    /// Read chats.
    ChatRead = "chat:read",
    /// Chat.
    ChatWrite = "chat:write",
    /// Read rules, schemes and scores.
    QualityRead = "quality:read",
    /// Write rules and schemes.
    QualityWrite = "quality:write",
    /// Score conversations.
    QualityScore = "quality:score",
    /// Review scores.
    QualityReview = "quality:review",
    /// Decide appeals.
    QualityJudge = "quality:judge",
    /// Search and query conversations.
    InsightsRead = "insights:read",
    /// List models.
    ModelsRead = "models:read",
    /// Load and route models.
    ModelsWrite = "models:write",
    /// Run evaluations.
    EvalRun = "eval:run",
    /// Read evaluations.
    EvalRead = "eval:read",
    /// Manage webhooks.
    WebhooksWrite = "webhooks:write",
    /// Run models on texts and audio.
    Infer = "infer",
    /// Manage tokens.
    AdminTokens = "admin:tokens",
    /// Manage roles.
    AdminRoles = "admin:roles",
    /// Read the audit trail and the configuration.
    AdminAudit = "admin:audit",
    /// Erase, retain, hold.
    AdminPrivacy = "admin:privacy",
}

/// Which calls a principal sees. Empty lists do not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RowFilter {
    /// Only these queues.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<String>,
    /// Only these teams.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<String>,
    /// Only calls of this agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
}

impl RowFilter {
    /// Whether a call with these properties is visible.
    pub fn admits(&self, queue: Option<&str>, team: Option<&str>, agent_id: Option<&str>) -> bool {
        let within =
            |list: &[String], value: Option<&str>| list.is_empty() || value.is_some_and(|v| list.iter().any(|known| known == v));
        within(&self.queues, queue)
            && within(&self.teams, team)
            && self.agent_id.as_deref().is_none_or(|own| agent_id == Some(own))
    }

    /// Whether it hides anything at all.
    pub fn restricts(&self) -> bool {
        *self != Self::default()
    }

    /// Whether another filter admits nothing that this one hides.
    pub fn covers(&self, other: &Self) -> bool {
        let within =
            |own: &[String], list: &[String]| own.is_empty() || (!list.is_empty() && list.iter().all(|v| own.contains(v)));
        within(&self.queues, &other.queues)
            && within(&self.teams, &other.teams)
            && (self.agent_id.is_none() || self.agent_id == other.agent_id)
    }
}

/// A named set of scopes.
#[derive(Clone, Copy, Debug)]
pub struct RoleDefinition {
    /// Its name.
    pub name: &'static str,
    /// What it may do.
    pub scopes: &'static [Scope],
}

use Scope as S;

/// The roles that come with the product.
pub const SHIPPED_ROLES: &[RoleDefinition] = &[
    RoleDefinition {
        name: "agent",
        scopes: &[
            S::CallsRead,
            S::EventsRead,
            S::SuggestionsRead,
            S::SuggestionsFeedback,
            S::KnowledgeRead,
            S::ChatRead,
            S::ChatWrite,
        ],
    },
    RoleDefinition {
        name: "supervisor",
        scopes: &[
            S::CallsRead,
            S::CallsWrite,
            S::EventsRead,
            S::SuggestionsRead,
            S::AlertsWrite,
            S::KnowledgeRead,
            S::QualityRead,
            S::QualityReview,
            S::InsightsRead,
            S::AudioRead,
        ],
    },
    RoleDefinition {
        name: "qa",
        scopes: &[
            S::CallsRead,
            S::EventsRead,
            S::AudioRead,
            S::QualityRead,
            S::QualityWrite,
            S::QualityScore,
            S::QualityReview,
            S::QualityJudge,
            S::InsightsRead,
        ],
    },
    RoleDefinition { name: "editor", scopes: &[S::KnowledgeRead, S::KnowledgeWrite, S::CallsRead, S::InsightsRead] },
    RoleDefinition {
        name: "engineer",
        scopes: &[
            S::Infer,
            S::ModelsRead,
            S::ModelsWrite,
            S::EvalRead,
            S::EvalRun,
            S::InsightsRead,
            S::QualityRead,
            S::KnowledgeRead,
        ],
    },
    RoleDefinition {
        name: "integrator",
        scopes: &[
            S::CallsRead,
            S::CallsWrite,
            S::AudioWrite,
            S::EventsRead,
            S::SuggestionsRead,
            S::SuggestionsFeedback,
            S::ChatRead,
            S::ChatWrite,
            S::WebhooksWrite,
            S::KnowledgeRead,
            S::Infer,
        ],
    },
    RoleDefinition { name: "auditor", scopes: &[S::AdminAudit, S::CallsRead, S::QualityRead] },
    RoleDefinition { name: "admin", scopes: Scope::ALL },
];

/// The shipped role of this name.
pub fn shipped_role(name: &str) -> Option<&'static RoleDefinition> {
    SHIPPED_ROLES.iter().find(|role| role.name == name)
}

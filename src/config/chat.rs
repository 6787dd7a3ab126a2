//! Settings of the chat bot.

use serde::{Deserialize, Serialize};

use super::Secret;

/// A web site whose visitors may chat without a token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteKey {
    /// What the page sends in `X-Site-Key`.
    pub key: Secret,
    /// Origins of the pages, such as `https://shop.example`.
    pub origins: Vec<String>,
    /// Queue of its conversations.
    #[serde(default)]
    pub queue: Option<String>,
}

/// Chat bot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatSettings {
    /// Base address of business calls; empty: every call says its fallback; `sample`: the sample answers of
    /// `pipelines/chat/webhooks.toml`, to try the bot out.
    pub webhook_url: String,
    /// Key of their signature, `whsec_…`.
    pub webhook_secret: Secret,
    /// Base address (`…/v1`) of a server that rewords quotations; empty: they are said as they are.
    pub rewrite_url: String,
    /// Its key.
    pub rewrite_key: Secret,
    /// Its model.
    pub rewrite_model: String,
    /// How long it may take, milliseconds.
    pub rewrite_timeout_ms: u64,
    /// A conversation without a message for so long ends, minutes.
    pub idle_min: u64,
    /// A reply that takes longer is an apology and a hand-over, milliseconds.
    pub deadline_ms: u64,
    /// Minutes east of Greenwich of the customers: what "today" means.
    pub utc_offset_min: i32,
    /// Web sites whose visitors may chat.
    pub sites: Vec<SiteKey>,
}

impl Default for ChatSettings {
    fn default() -> Self {
        Self {
            webhook_url: String::new(),
            webhook_secret: Secret::default(),
            rewrite_url: String::new(),
            rewrite_key: Secret::default(),
            rewrite_model: String::new(),
            rewrite_timeout_ms: 4_000,
            idle_min: 30,
            deadline_ms: 15_000,
            utc_offset_min: 480,
            sites: Vec::new(),
        }
    }
}

//! What handlers share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use serde_json::Value;

use crate::access::{Principal, RateLimiter, TicketBook, TokenRecord, hash_secret};
use crate::config::{LimitSettings, ServerSettings};
use crate::conversation::CallId;
use crate::event::Call;
use crate::pipeline::{HeadSwitch, Hub};
use crate::store::{EventLog, Store, StoreError, Write};
use crate::telemetry::MetricsHandle;

use super::{JobDesk, KnowledgeShelf, Problem};

/// Plays a sample call of this id in the background; the answer is the id of the call.
pub type SamplePlayer = Arc<dyn Fn(String) -> BoxFuture<'static, Result<String, Problem>> + Send + Sync>;

/// Everything that handlers need. Clones share it.
#[derive(Clone)]
pub struct ApiContext {
    /// Running calls.
    pub hub: Hub,
    /// The event log and the store below it.
    pub log: EventLog,
    /// Tokens in force.
    pub tokens: Arc<TokenBook>,
    /// Tickets of browser sockets.
    pub tickets: Arc<TicketBook>,
    /// Requests a second.
    pub limiter: Arc<RateLimiter>,
    /// Sizes.
    pub limits: Arc<LimitSettings>,
    /// Network settings.
    pub server: Arc<ServerSettings>,
    /// Metrics of the process.
    pub metrics: MetricsHandle,
    /// Whether models are loaded and warm.
    pub ready: Arc<AtomicBool>,
    /// Loaded models, as `GET /models` shows them.
    pub models: Arc<Vec<Value>>,
    /// Which head answers each task.
    pub heads: Arc<HeadSwitch>,
    /// Settings with secrets masked, as `GET /admin/config` shows them.
    pub settings: Arc<Value>,
    /// Knowledge documents and their index.
    pub shelf: KnowledgeShelf,
    /// Long work.
    pub jobs: JobDesk,
    /// Rules whose hits became more or fewer than they were.
    pub drift: Arc<super::DriftBook>,
    /// Evaluation.
    pub evaluations: super::EvaluationDesk,
    /// The chat bot.
    pub chat: Arc<super::ChatDesk>,
    /// Plays a sample call and gives its call id.
    pub player: SamplePlayer,
    /// Sample calls that the page offers: `{id, title, language}`.
    pub samples: Arc<Vec<Value>>,
}

impl ApiContext {
    /// The store.
    pub fn store(&self) -> &Store {
        self.log.store()
    }

    /// Whether models are loaded and warm.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// A call that the principal may see.
    ///
    /// # Errors
    /// `unknown_call`, `outside_row_filter`, or the store fails.
    pub(super) async fn visible_call(&self, call_id: &str, principal: &Principal) -> Result<Call, Problem> {
        let call = self.store().call(call_id).await?;
        let call = call.ok_or_else(|| Problem::new("unknown_call", "there is no call of this id"))?;
        if admits(principal, &call) {
            Ok(call)
        } else {
            Err(Problem::new("outside_row_filter", "the token's row filter excludes this call"))
        }
    }

    /// Whether the principal may see events of a call.
    pub(super) async fn may_see(&self, call_id: &CallId, principal: &Principal) -> bool {
        self.visible_call(call_id.as_str(), principal).await.is_ok()
    }
}

/// Whether a principal may see a call.
pub(super) fn admits(principal: &Principal, call: &Call) -> bool {
    let agent = call.agent.as_ref();
    let (team, agent_id) = (agent.and_then(|a| a.team.as_deref()), agent.map(|a| a.id.as_str()));
    principal.row_filter.admits(call.queue.as_deref(), team, agent_id)
}

/// Tokens in force, by the hash of their secret.
#[derive(Default)]
pub struct TokenBook {
    by_hash: parking_lot::RwLock<HashMap<String, TokenRecord>>,
}

impl TokenBook {
    /// Reads all tokens of the store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn load(store: &Store) -> Result<Self, StoreError> {
        let book = Self::default();
        for token in store.tokens().await? {
            book.insert(token);
        }
        Ok(book)
    }

    /// Whether there is no token at all.
    pub fn is_empty(&self) -> bool {
        self.by_hash.read().is_empty()
    }

    fn insert(&self, token: TokenRecord) {
        self.by_hash.write().insert(token.secret_sha256.clone(), token);
    }

    /// Keeps a token, new or changed.
    ///
    /// # Errors
    /// The store cannot write.
    pub async fn keep(&self, store: &Store, token: TokenRecord) -> Result<(), StoreError> {
        store.write(vec![Write::Token(token.clone())]).await?;
        self.insert(token);
        Ok(())
    }

    /// All tokens, revoked ones too.
    pub fn all(&self) -> Vec<TokenRecord> {
        let mut all: Vec<_> = self.by_hash.read().values().cloned().collect();
        all.sort_by(|a, b| a.token_id.cmp(&b.token_id));
        all
    }

    /// For whom a secret stands.
    ///
    /// # Errors
    /// `unauthenticated` or `token_expired`.
    pub fn principal(&self, secret: &str) -> Result<Principal, Problem> {
        let tokens = self.by_hash.read();
        let token = tokens
            .get(&hash_secret(secret))
            .filter(|t| t.revoked_at.is_none())
            .ok_or_else(|| Problem::new("unauthenticated", "the token is not known"))?;
        // An end that cannot be read is past: a token does not live for ever by mistake.
        let ahead = |end: &str| chrono::DateTime::parse_from_rfc3339(end).is_ok_and(|end| end > chrono::Utc::now());
        if token.expires_at.as_deref().is_some_and(|end| !ahead(end)) {
            return Err(Problem::new("token_expired", "make a new token"));
        }
        Ok(Principal { token_id: token.token_id.clone(), scopes: token.scopes.clone(), row_filter: token.row_filter.clone() })
    }
}

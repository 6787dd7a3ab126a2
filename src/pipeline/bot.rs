//! The bot of the service: the dialogue engine with the models, the articles and the business calls around it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use chrono::{DateTime, FixedOffset, NaiveDate, Utc};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::rewrite::Rewriter;
use super::{PipelineError, Stages};
use crate::chat::{CallRequest, CallResult, CallResults, Dialogue, FlowBook, Heard, Outcome, State, Turn};
use crate::conversation::{Language, Role, UtteranceId};
use crate::knowledge::SearchResponse;

/// Business calls of one turn at most.
const CALLS_MAX: usize = 8;
/// Largest answer of a business call, bytes.
const ANSWER_MAX: usize = 64 << 10;

/// Where business calls go.
#[derive(Clone, Default)]
pub struct Backend {
    /// Base address; empty: there is none and every call says its fallback.
    pub url: String,
    /// Key of the signature; empty: unsigned.
    pub secret: String,
}

/// The bot. It keeps nothing of a conversation.
pub struct Bot {
    dialogue: Dialogue,
    stages: Arc<Stages>,
    backend: Backend,
    http: reqwest::Client,
    rewriter: Option<Rewriter>,
}

/// A conversation as the bot needs it.
#[derive(Clone, Debug)]
pub struct Talker<'a> {
    /// Makes repeated business calls of one message known as such: the same for the same message.
    pub key: &'a str,
    /// Queue whose articles may answer besides those for all.
    pub queue: Option<String>,
    /// The customer agreed that his words are processed by others (the rewriting server).
    pub consent: bool,
}

impl Bot {
    /// Puts the bot together and computes the vectors of all examples.
    ///
    /// # Errors
    /// The encoder failed.
    pub fn new(
        mut book: FlowBook,
        stages: Arc<Stages>,
        backend: Backend,
        rewriter: Option<Rewriter>,
    ) -> Result<Self, PipelineError> {
        let encodings = stages.encoder.encode_batch(book.example_texts())?;
        book.embed(encodings.into_iter().map(|e| e.embedding));
        Ok(Self { dialogue: Dialogue::new(book), stages, backend, http: reqwest::Client::new(), rewriter })
    }

    /// The engine.
    pub fn dialogue(&self) -> &Dialogue {
        &self.dialogue
    }

    /// The models and articles around it.
    pub fn stages(&self) -> &Arc<Stages> {
        &self.stages
    }

    /// Today where the service stands, `utc_offset_min` minutes east of Greenwich.
    pub fn today(utc_offset_min: i32) -> NaiveDate {
        let now: DateTime<Utc> = Utc::now();
        FixedOffset::east_opt(utc_offset_min * 60).map_or(now.date_naive(), |zone| now.with_timezone(&zone).date_naive())
    }

    /// Hears one message and replies.
    ///
    /// # Errors
    /// The encoder failed.
    pub async fn reply(&self, state: &State, text: &str, talker: &Talker<'_>) -> Result<Turn, PipelineError> {
        self.reply_at(state, text, talker, None).await
    }

    /// As [`Self::reply`], with business calls to another backend.
    ///
    /// # Errors
    /// The encoder failed.
    pub async fn reply_at(
        &self,
        state: &State,
        text: &str,
        talker: &Talker<'_>,
        backend: Option<&Backend>,
    ) -> Result<Turn, PipelineError> {
        let heard = self.hear(state, text, talker.queue.clone()).await?;
        let mut results = CallResults::new();
        for _ in 0..CALLS_MAX {
            match self.dialogue.turn(state, &heard, &results) {
                Outcome::Turn(turn) => return Ok(self.reworded(*turn, text, talker).await),
                Outcome::Needs(request) => self.make(request, &mut results, talker, backend).await,
            }
        }
        Err(PipelineError::Dialogue("a turn needed more business calls than are allowed".into()))
    }

    /// Begins a flow by name.
    ///
    /// # Errors
    /// There is no such flow, or it makes too many calls.
    pub async fn start(
        &self,
        state: &State,
        flow: &str,
        slots: &[(String, String)],
        talker: &Talker<'_>,
    ) -> Result<Turn, PipelineError> {
        if self.dialogue.book().flow(flow).is_none() {
            return Err(PipelineError::Dialogue(format!("there is no flow \"{flow}\"")));
        }
        let mut results = CallResults::new();
        for _ in 0..CALLS_MAX {
            match self.dialogue.start(state, flow, slots, &results) {
                Outcome::Turn(turn) => return Ok(*turn),
                Outcome::Needs(request) => self.make(request, &mut results, talker, None).await,
            }
        }
        Err(PipelineError::Dialogue("a turn needed more business calls than are allowed".into()))
    }

    /// Everything that the models and the articles say to a message.
    async fn hear(&self, state: &State, text: &str, queue: Option<String>) -> Result<Heard, PipelineError> {
        let limit = self.dialogue.book().config.limits.message_chars;
        let text: String = text.chars().take(limit).collect();
        let query = self.dialogue.query(state, &text);
        let encoding = self.stages.encoder.encode_async(text.clone()).await?;
        let understood = self.stages.read(&UtteranceId::new(), Role::Customer, &text, &encoding, None, None);
        let vector = if query == text.trim() {
            encoding.embedding.clone()
        } else {
            self.stages.encoder.encode_async(query.clone()).await?.embedding
        };
        let language = Language::of_text(&query);
        let found: SearchResponse = match query.chars().any(char::is_alphanumeric) {
            true => self.stages.search(query.clone(), Some(vector), queue, language).await,
            false => SearchResponse { passages: Vec::new(), index_version: 0, degraded: Vec::new() },
        };
        Ok(Heard {
            text,
            vector: Some(encoding.embedding),
            intents: understood.intents,
            emotion: understood.emotion,
            conduct: understood.conduct,
            query,
            passages: found.passages,
        })
    }

    /// An answer in the words of the rewriting server, if there is one and the customer agreed.
    async fn reworded(&self, mut turn: Turn, question: &str, talker: &Talker<'_>) -> Turn {
        let (Some(rewriter), Some(citation)) = (&self.rewriter, turn.citations.first()) else { return turn };
        if !talker.consent {
            return turn;
        }
        if let Some(text) = rewriter.reword(question, citation, turn.state.language).await
            && let Some(first) = turn.said.first_mut()
        {
            *first = text;
        }
        turn
    }

    async fn make(&self, request: CallRequest, results: &mut CallResults, talker: &Talker<'_>, backend: Option<&Backend>) {
        let backend = backend.unwrap_or(&self.backend);
        let started = std::time::Instant::now();
        let outcome = self.call(&request, talker, backend).await;
        let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let state = if outcome.is_ok() { "ok" } else { "failed" };
        metrics::counter!("zhiyin_chat_calls_total", "state" => state).increment(1);
        let result = match outcome {
            Ok(values) => CallResult::Gave(values),
            Err(cause) => {
                tracing::warn!(webhook = %request.webhook, elapsed_ms, cause, "a business call failed");
                CallResult::Failed
            }
        };
        results.insert(request.key, result);
    }

    async fn call(
        &self,
        request: &CallRequest,
        talker: &Talker<'_>,
        backend: &Backend,
    ) -> Result<BTreeMap<String, String>, &'static str> {
        let webhook = self.dialogue.book().webhook(&request.webhook).ok_or("unknown call")?;
        if backend.url.is_empty() {
            return Err("no chat.webhook_url is set");
        }
        let body = serde_json::json!({ "type": webhook.name, "timestamp": crate::event::now_rfc3339(), "data": request.input });
        let body = body.to_string();
        let id = call_id(talker.key, &request.key);
        let timestamp = Utc::now().timestamp().to_string();
        let mut post = self
            .http
            .post(format!("{}{}", backend.url.trim_end_matches('/'), webhook.path))
            .timeout(Duration::from_millis(webhook.timeout_ms))
            .header("content-type", "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", &timestamp);
        if !backend.secret.is_empty() {
            post = post.header("webhook-signature", sign(&backend.secret, &id, &timestamp, &body));
        }
        let answer = post.body(body).send().await.map_err(|e| if e.is_timeout() { "time-out" } else { "not reachable" })?;
        if !answer.status().is_success() {
            return Err("refused");
        }
        let bytes = answer.bytes().await.map_err(|_| "answer broke off")?;
        if bytes.len() > ANSWER_MAX {
            return Err("answer too large");
        }
        let values: HashMap<String, serde_json::Value> =
            serde_json::from_slice(&bytes).map_err(|_| "answer is no JSON object")?;
        Ok(values.into_iter().filter_map(|(key, value)| plain(&value).map(|v| (key, v))).collect())
    }
}

/// A value of a JSON answer as flows know it: yes and no for booleans, nothing for lists and objects.
fn plain(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text.chars().filter(|c| !c.is_control()).take(500).collect()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        serde_json::Value::Bool(flag) => Some(if *flag { "yes" } else { "no" }.to_owned()),
        _ => None,
    }
}

/// The same for the same call of the same message, so that the other side makes it once.
fn call_id(conversation: &str, key: &str) -> String {
    let hash = Sha256::digest(format!("{conversation}\n{key}"));
    format!("msg_{}", hash[..16].iter().map(|b| format!("{b:02x}")).collect::<String>())
}

/// The signature of Standard Webhooks 1.0.0: `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`.
fn sign(secret: &str, id: &str, timestamp: &str, body: &str) -> String {
    let decoded = secret.strip_prefix("whsec_").and_then(|s| base64::engine::general_purpose::STANDARD.decode(s).ok());
    let key = decoded.unwrap_or_else(|| secret.as_bytes().to_vec());
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { return String::new() };
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes()))
}

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
use crate::chat::{CallRequest, CallResult, CallResults, Dialogue, FlowBook, Heard, Outcome, State, Turn, grounded};
use crate::conversation::{Language, Role, UtteranceId};
use crate::inference::Encoding;
use crate::knowledge::{CUSTOMERS, Filters, PassageHit, SearchRequest};
use crate::privacy::{find, mask, of_kinds};

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
    utc_offset_min: i32,
}

/// A conversation as the bot needs it.
#[derive(Clone, Debug)]
pub struct Talker<'a> {
    /// Makes repeated business calls of one message known as such: the same for the same message.
    pub key: &'a str,
    /// Queue whose articles may answer besides those for all queues; without one only those.
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
        book.embed(stages.encoder.embed_batch(book.example_texts())?);
        Ok(Self { dialogue: Dialogue::new(book), stages, backend, http: reqwest::Client::new(), rewriter, utc_offset_min: 0 })
    }

    /// The same bot for customers who live `utc_offset_min` minutes east of Greenwich: on which day a moment of a business
    /// call lies. Without it days are those of UTC.
    #[must_use]
    pub fn in_zone(self, utc_offset_min: i32) -> Self {
        Self { utc_offset_min, ..self }
    }

    /// The engine.
    pub fn dialogue(&self) -> &Dialogue {
        &self.dialogue
    }

    /// The engine, to compare settings.
    pub fn dialogue_mut(&mut self) -> &mut Dialogue {
        &mut self.dialogue
    }

    /// Everything that models and articles say to a message, whether the engine would ask for it or not.
    ///
    /// # Errors
    /// The encoder failed.
    pub async fn listen(&self, state: &State, text: &str) -> Result<Heard, PipelineError> {
        let encoding = self.encode(text).await?;
        let mut heard = self.hear(state, text, &encoding);
        heard.passages = Some(self.search(state, &heard, None).await?);
        Ok(heard)
    }

    /// The models and articles around it.
    pub fn stages(&self) -> &Arc<Stages> {
        &self.stages
    }

    /// Today where the service stands, `utc_offset_min` minutes east of Greenwich.
    pub fn today(utc_offset_min: i32) -> NaiveDate {
        day_of(Utc::now(), utc_offset_min)
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
        let encoding = self.encode(text).await?;
        self.reply_encoded(state, (text, &*encoding), talker, backend).await
    }

    /// The encoding of a message as the bot reads it. Who needs it too, such as the desk of the call, is given the same one.
    ///
    /// # Errors
    /// The encoder failed.
    pub async fn encode(&self, text: &str) -> Result<Arc<Encoding>, PipelineError> {
        Ok(Arc::new(self.stages.encoder.encode_async(self.cut(text)).await?))
    }

    /// As [`Self::reply_at`], for a message with its encoding.
    ///
    /// # Errors
    /// The encoder failed on the question that is searched for, or the turn makes too many calls.
    pub async fn reply_encoded(
        &self,
        state: &State,
        (text, encoding): (&str, &Encoding),
        talker: &Talker<'_>,
        backend: Option<&Backend>,
    ) -> Result<Turn, PipelineError> {
        let mut heard = self.hear(state, text, encoding);
        let mut results = CallResults::new();
        for _ in 0..=CALLS_MAX {
            match self.dialogue.turn(state, &heard, &results) {
                Outcome::Turn(turn) => return Ok(self.kept(self.reworded(*turn, text, talker).await)),
                Outcome::Needs(request) => self.make(request, &mut results, talker, backend).await,
                Outcome::Searches => heard.passages = Some(self.search(state, &heard, talker.queue.clone()).await?),
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
                Outcome::Turn(turn) => return Ok(self.kept(*turn)),
                Outcome::Needs(request) => self.make(request, &mut results, talker, None).await,
                Outcome::Searches => break,
            }
        }
        Err(PipelineError::Dialogue("a turn needed more business calls than are allowed".into()))
    }

    fn cut(&self, text: &str) -> String {
        text.chars().take(self.dialogue.book().config.limits.message_chars).collect()
    }

    /// Everything that the models say to a message; the articles are asked when the engine wants them.
    fn hear(&self, state: &State, text: &str, encoding: &Encoding) -> Heard {
        let text = self.cut(text);
        let query = self.dialogue.query(state, &text);
        let understood = self.stages.read(&UtteranceId::new(), Role::Customer, &text, encoding, None, None);
        Heard {
            text,
            vector: Some(encoding.embedding.clone()),
            intents: understood.intents,
            emotion: understood.emotion,
            conduct: understood.conduct,
            query,
            passages: None,
        }
    }

    /// Passages for the question of a message. A question that goes on from the one before is encoded together with it.
    /// Articles written for the intents of the message rank first, in the middle of a flow those of the flow too.
    async fn search(&self, state: &State, heard: &Heard, queue: Option<String>) -> Result<Vec<PassageHit>, PipelineError> {
        if !heard.query.chars().any(char::is_alphanumeric) {
            return Ok(Vec::new());
        }
        let vector = match &heard.vector {
            Some(vector) if heard.query == heard.text.trim() => vector.clone(),
            _ => self.stages.encoder.embed_async(heard.query.clone()).await?,
        };
        metrics::counter!("zhiyin_chat_searches_total").increment(1);
        let request = SearchRequest {
            top_k: 4,
            languages: vec![Language::of_text(&heard.query)],
            filters: Filters::for_audience(CUSTOMERS, queue).of_open_queues(),
            intents: self.intents_in_flow(state, heard),
            intent_share: Some(self.dialogue.book().config.thresholds.intent_share),
            ..SearchRequest::new(heard.query.clone())
        };
        Ok(self.stages.find(request, Some(vector)).await.passages)
    }

    /// The intents of the message; in the middle of a flow the flow's own have a share in them.
    fn intents_in_flow(&self, state: &State, heard: &Heard) -> Vec<(String, f32)> {
        let book = self.dialogue.book();
        let flow = state.stack.last().and_then(|frame| book.flow(&frame.flow));
        let of_flow = flow.map_or(0.0, |_| book.config.thresholds.flow_intent);
        let own = heard.intents.iter().filter_map(|i| Some((i.name.clone(), i.confidence? * (1.0 - of_flow))));
        own.chain(flow.into_iter().flat_map(|flow| &flow.intents).map(|intent| (intent.clone(), of_flow))).collect()
    }

    /// A turn as it may be kept: what the customer wrote is remembered without the personal data that the settings do not
    /// allow to be stored. Slots stay: the flow and the person who takes over need them.
    fn kept(&self, mut turn: Turn) -> Turn {
        let mask = |text: &mut String| *text = self.masked(text);
        let state = &mut turn.state;
        state.opening.iter_mut().chain(&mut state.topic).for_each(mask);
        state.offer.iter_mut().for_each(|offer| offer.text = self.masked(&offer.text));
        let contexts = state.handed_over.iter_mut().chain(&mut turn.hand_over);
        contexts.for_each(|context| context.summary = self.masked(&context.summary));
        turn
    }

    /// A text without the personal data that the settings do not allow to be stored.
    pub fn masked(&self, text: &str) -> String {
        let kinds = &self.stages.privacy;
        if kinds.is_empty() {
            return text.to_owned();
        }
        mask(text, &of_kinds(find(text), kinds))
    }

    /// Whether answers are reworded by a server for customers who agreed.
    pub fn rewords(&self) -> bool {
        self.rewriter.is_some()
    }

    /// An answer in the words of the rewriting server, if there is one and the customer agreed.
    async fn reworded(&self, mut turn: Turn, question: &str, talker: &Talker<'_>) -> Turn {
        let (Some(rewriter), Some(citation)) = (&self.rewriter, turn.citations.first()) else { return turn };
        if !talker.consent {
            return turn;
        }
        // Whatever is sent out has its personal data masked, of every kind.
        let question = mask(question, &find(question));
        if let Some(text) = rewriter.reword(&question, citation, turn.state.language).await
            && let Some(quotation) = turn.said.iter_mut().find(|said| grounded(said, &citation.quote))
        {
            *quotation = text;
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
        Ok(values.into_iter().filter_map(|(key, value)| plain(&value, self.utc_offset_min).map(|v| (key, v))).collect())
    }
}

/// On which day a moment lies, `utc_offset_min` minutes east of Greenwich; an offset that no place has counts as UTC.
fn day_of(moment: DateTime<Utc>, utc_offset_min: i32) -> NaiveDate {
    let zone = utc_offset_min.checked_mul(60).and_then(FixedOffset::east_opt);
    zone.map_or(moment.date_naive(), |zone| moment.with_timezone(&zone).date_naive())
}

/// A value of a JSON answer as flows know it: yes and no for booleans, the customer's day for a moment (RFC 3339), nothing
/// for lists and objects.
fn plain(value: &serde_json::Value, utc_offset_min: i32) -> Option<String> {
    match value {
        serde_json::Value::String(text) => match DateTime::parse_from_rfc3339(text.trim()) {
            Ok(moment) => Some(day_of(moment.with_timezone(&Utc), utc_offset_min).to_string()),
            Err(_) => Some(text.chars().filter(|c| !c.is_control()).take(500).collect()),
        },
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

#[cfg(test)]
mod tests {
    use super::{day_of, plain};
    use chrono::{DateTime, Utc};
    use serde_json::json;

    #[test]
    fn a_moment_of_a_business_call_lies_on_the_customers_day() {
        let day = |text: &str, offset| plain(&json!(text), offset).unwrap();
        // 23:30 in London is the next morning in Beijing, and still the evening before in New York.
        assert_eq!(day("2026-03-06T23:30:00Z", 480), "2026-03-07");
        assert_eq!(day("2026-03-06T23:30:00Z", -300), "2026-03-06");
        assert_eq!(day("2026-03-07T02:00:00+08:00", 0), "2026-03-06");
        assert_eq!(day("2026-03-07T00:00:00+08:00", 480), "2026-03-07");
        assert_eq!(day("2028-02-29T18:00:00Z", 480), "2028-03-01");
        // A day is a day in every zone, and what is no moment stays as it is.
        assert_eq!(day("2026-03-06", -720), "2026-03-06");
        assert_eq!(day("2026-03-06 23:30", 480), "2026-03-06 23:30");
    }

    #[test]
    fn an_offset_that_no_place_has_counts_as_utc() {
        let moment: DateTime<Utc> = "2026-03-06T23:30:00Z".parse().unwrap();
        for offset in [i32::MAX, i32::MIN, 100_000] {
            assert_eq!(day_of(moment, offset).to_string(), "2026-03-06");
        }
    }

    #[test]
    fn values_of_answers_are_plain() {
        assert_eq!(plain(&json!(true), 0).as_deref(), Some("yes"));
        assert_eq!(plain(&json!(96.5), 0).as_deref(), Some("96.5"));
        assert_eq!(plain(&json!("a\u{0}b"), 0).as_deref(), Some("ab"));
        assert_eq!(plain(&json!(["a"]), 0), None);
        assert_eq!(plain(&json!(null), 0), None);
    }
}

//! Chats as all surfaces use them: opened, answered once per message, handed over, ended. A chat is also a call of channel
//! chat: every message of either side is one of its utterances, so agent assist, events and quality rules see it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;
use utoipa::ToSchema;

use super::{ApiContext, Problem};
use crate::access::Principal;
use crate::chat::{Button, Citation, HandOver, State};
use crate::conversation::{CallId, IdKind, Language, Role, new_id};
use crate::event::{Call, Consent, Draft, EventBody, NewCall, millis_between, now_rfc3339};
use crate::pipeline::{Bot, Ending, Talker};
use crate::store::{ChatRow, ChatWrite, Write};

/// The bot and what it is told by the settings.
pub struct ChatDesk {
    /// The bot.
    pub bot: Bot,
    /// Settings.
    pub settings: crate::config::ChatSettings,
    busy: Mutex<HashSet<String>>,
    freed: Notify,
}

/// How long a message waits for a chat that a person's request is just changing.
pub(super) const SHORTLY: Duration = Duration::from_millis(250);

impl ChatDesk {
    /// A desk for a bot.
    pub fn new(bot: Bot, settings: crate::config::ChatSettings) -> Self {
        Self { bot, settings, busy: Mutex::default(), freed: Notify::new() }
    }

    /// The only one who answers in a chat until the value is dropped.
    ///
    /// # Errors
    /// `state_conflict`: another message of it is being answered.
    pub(super) fn take(self: &Arc<Self>, chat_id: &str) -> Result<Busy, Problem> {
        if !self.busy.lock().insert(chat_id.to_owned()) {
            return Err(Problem::new("state_conflict", "another message of this chat is being answered; wait for its reply"));
        }
        Ok(Busy { desk: Arc::clone(self), chat_id: chat_id.to_owned() })
    }

    /// The same, waiting for who has the chat.
    ///
    /// # Errors
    /// `state_conflict`: it was not free in time.
    pub(super) async fn take_within(self: &Arc<Self>, chat_id: &str, patience: Duration) -> Result<Busy, Problem> {
        let free = async {
            loop {
                // Listened for before it is looked at: a chat that becomes free between the two is not missed.
                let freed = self.freed.notified();
                if let Ok(busy) = self.take(chat_id) {
                    return busy;
                }
                freed.await;
            }
        };
        match tokio::time::timeout(patience, free).await {
            Ok(busy) => Ok(busy),
            Err(_) => self.take(chat_id),
        }
    }

    /// Longer than one turn of the bot: its words are encoded and answered within the deadline each.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_millis(self.settings.deadline_ms) * 2 + Duration::from_secs(5)
    }
}

/// Frees the chat however the answer ends.
pub(super) struct Busy {
    desk: Arc<ChatDesk>,
    chat_id: String,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.desk.busy.lock().remove(&self.chat_id);
        self.desk.freed.notify_waiters();
    }
}

/// Who speaks first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    /// The bot answers until a person is asked for.
    #[default]
    BotFirst,
    /// A person answers; the bot is silent until it is given the chat.
    HumanFirst,
    /// The bot greets and offers a person.
    CustomerChoice,
}

/// A chat as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) chat_id: String,
    pub(super) call_id: CallId,
    pub(super) owner: String,
    pub(super) source: Option<String>,
    pub(super) mode: Mode,
    pub(super) queue: Option<String>,
    pub(super) created_at: String,
    /// When a person was asked for.
    pub(super) handed_at: Option<String>,
    pub(super) ended: bool,
    pub(super) state: State,
}

/// What opens a chat.
#[derive(Clone, Debug, Default)]
pub(super) struct Opening {
    pub(super) owner: String,
    pub(super) name: Option<String>,
    pub(super) source: Option<String>,
    pub(super) language: Option<Language>,
    pub(super) mode: Mode,
    pub(super) queue: Option<String>,
    pub(super) customer: Option<Value>,
    pub(super) consent: Option<Consent>,
    pub(super) metadata: serde_json::Map<String, Value>,
}

/// A reply of the bot.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Reply {
    pub(super) message_id: String,
    /// `bot`, or `human` when a person has the chat and the text is empty.
    pub(super) role: String,
    pub(super) text: String,
    /// The text in pieces; joined by line breaks they are the text.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(super) parts: Vec<String>,
    pub(super) language: String,
    pub(super) sent_at: String,
    pub(super) citations: Vec<Citation>,
    pub(super) buttons: Vec<Button>,
    pub(super) intent: Option<String>,
    pub(super) confidence: Option<f32>,
    /// Whether the reply rests on a passage or a flow.
    pub(super) answered: bool,
    pub(super) handoff: Option<HandOver>,
}

impl Session {
    pub(super) fn row(&self, name: Option<String>) -> ChatRow {
        ChatRow {
            chat_id: self.chat_id.clone(),
            call_id: self.call_id.to_string(),
            owner: self.owner.clone(),
            name,
            ended: self.ended,
            updated_at: now_rfc3339(),
            body: serde_json::to_string(self).unwrap_or_default(),
        }
    }
}

impl ApiContext {
    /// Opens a chat and its call; the greeting is the bot's first message.
    pub(super) async fn open_chat(&self, opening: Opening) -> Result<(Session, Option<String>), Problem> {
        if self.hub.is_draining() {
            return Err(Problem::new("draining", "try another node"));
        }
        let language = opening.language.unwrap_or_default();
        let flow = opening.metadata.get("flow").and_then(Value::as_str).map(str::to_owned);
        let bot = &self.chat.bot;
        if let Some(flow) = flow.as_ref().filter(|f| bot.dialogue().book().flow(f).is_none()) {
            return Err(Problem::invalid("/metadata/flow", format!("there is no flow \"{flow}\"")));
        }
        let mut request = json!({ "channel": "chat", "metadata": opening.metadata, "direction": if flow.is_some() { "outbound" } else { "inbound" } });
        if let Some(customer) = &opening.customer {
            request["customer"] = customer.clone();
        }
        if let Some(consent) = opening.consent {
            request["consent"] = json!(consent);
        }
        if let Some(queue) = &opening.queue {
            request["queue"] = queue.clone().into();
        }
        let request: NewCall = serde_json::from_value(request)
            .map_err(|e| Problem::new("invalid_value", format!("the chat cannot be opened: {e}")))?;
        let call = self.hub.open(Call::open(request, CallId::new(), &now_rfc3339())).await?;
        let mut state = State::new(language, Bot::today(self.chat.settings.utc_offset_min));
        state.human = opening.mode == Mode::HumanFirst;
        let mut session = Session {
            chat_id: new_id(IdKind::Chat),
            call_id: call.call_id,
            owner: opening.owner,
            source: opening.source,
            mode: opening.mode,
            queue: opening.queue,
            created_at: now_rfc3339(),
            handed_at: None,
            ended: false,
            state,
        };
        let row = Write::Chat(ChatWrite::Chat(session.row(opening.name)));
        if let Err(error) = self.store().write(vec![row]).await {
            self.hub.end(&session.call_id, Ending { hangup_by: None, reason: "not_opened".into() }).await?;
            return Err(error.into());
        }
        let greeting = match opening.mode {
            Mode::HumanFirst => None,
            _ => Some(self.greet(&mut session, flow.as_deref()).await?.text),
        };
        Ok((session, greeting))
    }

    /// What the bot says first: the greeting, or the beginning of a flow.
    pub(super) async fn greet(&self, session: &mut Session, flow: Option<&str>) -> Result<Reply, Problem> {
        let bot = &self.chat.bot;
        let (said, buttons) = match flow {
            Some(flow) => {
                let talker = Talker { key: &session.chat_id, queue: session.queue.clone(), consent: false };
                let turn = bot.start(&session.state, flow, &[], &talker).await?;
                session.state = turn.state;
                (turn.said, turn.buttons)
            }
            None => (vec![bot.dialogue().book().config.text("greeting", session.state.language).to_owned()], Vec::new()),
        };
        let reply = Reply {
            message_id: new_id(IdKind::Message),
            role: "bot".into(),
            text: said.join("\n"),
            parts: said,
            language: session.state.language.name().to_owned(),
            sent_at: now_rfc3339(),
            citations: Vec::new(),
            buttons,
            intent: None,
            confidence: None,
            answered: flow.is_some(),
            handoff: None,
        };
        self.add_bot_message(session, reply.text.clone(), reply.message_id.clone(), None, Vec::new()).await?;
        Ok(reply)
    }

    /// A chat that the principal may see.
    pub(super) async fn visible_chat(&self, chat_id: &str, principal: &Principal) -> Result<Session, Problem> {
        let row = self.store().chat(chat_id).await?.ok_or_else(|| Problem::not_found("chat"))?;
        self.visible_call(&row.call_id, principal).await?;
        read(&row)
    }

    /// A chat that the principal may see, as it stands once nobody else answers in it, and nobody else's until the first
    /// value is dropped.
    pub(super) async fn held_chat(&self, chat_id: &str, principal: &Principal) -> Result<(Busy, Session), Problem> {
        self.visible_chat(chat_id, principal).await?;
        let busy = self.chat.take_within(chat_id, self.chat.patience()).await?;
        // Read behind the lock: the bot's turn has changed it.
        Ok((busy, self.visible_chat(chat_id, principal).await?))
    }

    /// The open chat of an owner's own name, or a new one.
    pub(super) async fn chat_named(&self, opening: Opening) -> Result<Session, Problem> {
        let name = opening.name.clone().unwrap_or_default();
        if let Some(row) = self.store().chat_by_name(&opening.owner, &name).await? {
            return read(&row);
        }
        let owner = opening.owner.clone();
        match self.open_chat(opening).await {
            Ok((session, _)) => Ok(session),
            // Another request of this name was first.
            Err(problem) => match self.store().chat_by_name(&owner, &name).await? {
                Some(row) => read(&row),
                None => Err(problem),
            },
        }
    }

    /// Changes a chat and writes an event of it in one commit.
    pub(super) async fn change_chat(&self, session: &Session, body: EventBody) -> Result<(), Problem> {
        let at_ms = millis_between(&session.created_at, &now_rfc3339()).unwrap_or(0).max(0);
        let row = Write::Chat(ChatWrite::Chat(session.row(None)));
        self.log.append_with(&session.call_id, vec![Draft::new(at_ms, body)], vec![row]).await?;
        Ok(())
    }

    /// Ends a chat and its call.
    pub(super) async fn end_chat(&self, mut session: Session, by: Option<Role>, reason: &str) -> Result<(), Problem> {
        if session.ended {
            return Ok(());
        }
        session.ended = true;
        self.store().write(vec![Write::Chat(ChatWrite::Chat(session.row(None)))]).await?;
        if self.hub.is_open(&session.call_id) {
            self.hub.end(&session.call_id, Ending { hangup_by: by, reason: reason.to_owned() }).await?;
        }
        Ok(())
    }

    /// Ends chats in which nothing was said for too long. Runs until the service drains.
    pub async fn end_idle_chats(self, every: Duration) {
        let idle = chrono::Duration::minutes(i64::try_from(self.chat.settings.idle_min).unwrap_or(30));
        loop {
            // Looked at often, so that a stopping service does not wait for this.
            let next = tokio::time::Instant::now() + every;
            while tokio::time::Instant::now() < next {
                if self.hub.is_draining() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let before = (chrono::Utc::now() - idle).to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
            let rows = self.store().idle_chats(&before).await.unwrap_or_default();
            for row in rows {
                if let Err(problem) = self.end_idle_chat(&row.chat_id, &before).await {
                    tracing::warn!(code = %problem.code, "an idle chat could not be ended");
                }
            }
        }
    }

    async fn end_idle_chat(&self, chat_id: &str, before: &str) -> Result<(), Problem> {
        // A chat that is being answered is not idle, nor is one in which something was said since the list was made.
        let Ok(_busy) = self.chat.take(chat_id) else { return Ok(()) };
        match self.store().chat(chat_id).await? {
            Some(row) if row.updated_at.as_str() < before => self.end_chat(read(&row)?, None, "idle").await,
            _ => Ok(()),
        }
    }
}

/// The event of a hand-over.
pub(super) fn requested(context: HandOver) -> EventBody {
    EventBody::HandoffRequested {
        reason: context.reason,
        queue: context.queue.clone(),
        priority: context.priority,
        context: Box::new(context),
    }
}

pub(super) fn read(row: &ChatRow) -> Result<Session, Problem> {
    let mut session: Session = serde_json::from_str(&row.body).map_err(|error| {
        // The error itself may quote what the customer said.
        let (line, column) = (error.line(), error.column());
        tracing::error!(chat_id = %row.chat_id, line, column, "a stored chat cannot be read");
        Problem::new("internal", "the chat cannot be read")
    })?;
    session.ended |= row.ended;
    Ok(session)
}

//! Chats as all surfaces use them: opened, answered once per message, handed over, ended. A chat is also a call of channel
//! chat: every message of either side is one of its utterances, so agent assist, events and quality rules see it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{ApiContext, Problem};
use crate::access::Principal;
use crate::chat::{Button, Citation, HandOver, Reason, State, Turn};
use crate::conversation::{CallId, IdKind, Language, Role, new_id};
use crate::event::{Call, Draft, EventBody, NewCall, Record, millis_between, now_rfc3339};
use crate::pipeline::{Bot, Ending, NewMessage, Talker};
use crate::store::{ChatRow, ChatWrite, GapRow, KnowledgeWrite, Write};

/// The bot and what it is told by the settings.
pub struct ChatDesk {
    /// The bot.
    pub bot: Bot,
    /// Settings.
    pub settings: crate::config::ChatSettings,
    busy: Mutex<HashSet<String>>,
}

impl ChatDesk {
    /// A desk for a bot.
    pub fn new(bot: Bot, settings: crate::config::ChatSettings) -> Self {
        Self { bot, settings, busy: Mutex::default() }
    }

    fn take(self: &Arc<Self>, chat_id: &str) -> Result<Busy, Problem> {
        if !self.busy.lock().insert(chat_id.to_owned()) {
            return Err(Problem::new("state_conflict", "another message of this chat is being answered; wait for its reply"));
        }
        Ok(Busy { desk: Arc::clone(self), chat_id: chat_id.to_owned() })
    }
}

/// Frees the chat however the answer ends.
struct Busy {
    desk: Arc<ChatDesk>,
    chat_id: String,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.desk.busy.lock().remove(&self.chat_id);
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
    fn row(&self, name: Option<String>) -> ChatRow {
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
        let greeting = match (&flow, opening.mode) {
            (_, Mode::HumanFirst) => None,
            (Some(flow), _) => {
                let talker = Talker { key: &session.chat_id, queue: session.queue.clone(), consent: false };
                let turn = bot.start(&session.state, flow, &[], &talker).await?;
                session.state = turn.state.clone();
                Some(turn.text())
            }
            (None, _) => Some(bot.dialogue().book().config.text("greeting", language).to_owned()),
        };
        if let Some(text) = &greeting {
            self.add_bot_message(&session, text.clone(), new_id(IdKind::Message), None, Vec::new()).await?;
        }
        Ok((session, greeting))
    }

    /// A chat that the principal may see.
    pub(super) async fn visible_chat(&self, chat_id: &str, principal: &Principal) -> Result<Session, Problem> {
        let row = self.store().chat(chat_id).await?.ok_or_else(|| Problem::not_found("chat"))?;
        self.visible_call(&row.call_id, principal).await?;
        read(&row)
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

    async fn add_bot_message(
        &self,
        session: &Session,
        text: String,
        message_id: String,
        reply: Option<[String; 3]>,
        with: Vec<EventBody>,
    ) -> Result<(), Problem> {
        let record = Record::Chat {
            chat_id: session.chat_id.clone(),
            session: serde_json::to_string(session).unwrap_or_default(),
            owner: session.owner.clone(),
            reply,
        };
        let message = NewMessage {
            role: Role::Bot,
            text,
            message_id: Some(message_id),
            with,
            records: vec![record],
            ..NewMessage::default()
        };
        self.hub.message(&session.call_id, message).await?;
        Ok(())
    }

    /// Answers a message. The same `client_message_id` gets the same reply; it takes effect once.
    pub(super) async fn chat_message(&self, chat_id: &str, text: &str, client_message_id: &str) -> Result<Reply, Problem> {
        let _busy = self.chat.take(chat_id)?;
        if let Some(known) = self.store().chat_reply(chat_id, client_message_id).await? {
            return serde_json::from_str(&known).map_err(|_| Problem::new("internal", "a stored reply cannot be read"));
        }
        // Read behind the lock: another front end may have spoken meanwhile.
        let row = self.store().chat(chat_id).await?.ok_or_else(|| Problem::not_found("chat"))?;
        let mut session = read(&row)?;
        if session.ended || !self.hub.is_open(&session.call_id) {
            return Err(Problem::new("call_ended", "the chat is over; open a new one"));
        }
        if text.trim().is_empty() {
            return Err(Problem::invalid("/text", "must not be blank"));
        }
        if text.chars().count() > self.limits.message_chars {
            return Err(Problem::invalid("/text", format!("at most {} code points", self.limits.message_chars)));
        }
        // After a crash between message and reply the message is there already.
        if self.store().message(session.call_id.as_str(), client_message_id).await?.is_none() {
            let external_id = Some(client_message_id.to_owned());
            let message = NewMessage { role: Role::Customer, text: text.to_owned(), external_id, ..NewMessage::default() };
            self.hub.message(&session.call_id, message).await?;
        }
        let key = format!("{chat_id}/{client_message_id}");
        let consent = self.store().call(session.call_id.as_str()).await?.is_some_and(|c| c.consent.analytics);
        let talker = Talker { key: &key, queue: session.queue.clone(), consent };
        let deadline = Duration::from_millis(self.chat.settings.deadline_ms);
        let turn = match tokio::time::timeout(deadline, self.chat.bot.reply(&session.state, text, &talker)).await {
            Ok(Ok(turn)) => turn,
            Ok(Err(error)) => {
                tracing::error!(chat_id, %error, "the bot failed");
                self.apology(&session.state)
            }
            Err(_) => self.apology(&session.state),
        };
        self.keep(&mut session, turn, client_message_id).await
    }

    /// What is said when the bot fails or is too slow.
    fn apology(&self, state: &State) -> Turn {
        let context = HandOver {
            reason: Reason::FormFailed,
            queue: None,
            priority: Reason::FormFailed.priority(),
            summary: state.opening.clone().unwrap_or_default(),
            intent: None,
            flow: state.stack.last().map(|f| f.flow.clone()),
            slots: state.slots(),
            emotion: None,
        };
        let mut state = state.clone();
        state.handed_over = Some(context.clone());
        Turn {
            said: vec![self.chat.bot.dialogue().book().config.text("deadline", state.language).to_owned()],
            state,
            buttons: Vec::new(),
            citations: Vec::new(),
            acts: vec![crate::chat::Act::HandOver(Reason::FormFailed)],
            hand_over: Some(context),
            gap: None,
            intent: None,
            answered: false,
        }
    }

    /// Makes a turn durable: the bot's message, what it remembers, the reply, hand-over and gap.
    async fn keep(&self, session: &mut Session, turn: Turn, client_message_id: &str) -> Result<Reply, Problem> {
        session.state = turn.state.clone();
        let reply = Reply {
            message_id: new_id(IdKind::Message),
            role: if session.state.human { "human" } else { "bot" }.to_owned(),
            text: turn.text(),
            parts: turn.said.clone(),
            language: session.state.language.name().to_owned(),
            sent_at: now_rfc3339(),
            citations: turn.citations,
            buttons: turn.buttons,
            intent: turn.intent.as_ref().map(|(name, _)| name.clone()),
            confidence: turn.intent.as_ref().map(|(_, p)| *p),
            answered: turn.answered,
            handoff: turn.hand_over.clone(),
        };
        let mut with = Vec::new();
        if let Some(context) = turn.hand_over {
            session.handed_at = Some(now_rfc3339());
            with.push(requested(context));
        }
        if let Some(gap) = turn.gap {
            let row = GapRow {
                gap_id: format!("gap_{}", reply.message_id.trim_start_matches("msg_")),
                time: now_rfc3339(),
                source: "chat".into(),
                reason: "nothing_found".into(),
                language: gap.language.name().into(),
                question: crate::privacy::mask(&gap.question, &crate::privacy::find(&gap.question)),
                intent: gap.intent,
                call_id: Some(session.call_id.to_string()),
                ..GapRow::default()
            };
            self.store().write(vec![Write::Knowledge(KnowledgeWrite::Gap(row))]).await?;
        }
        let body = serde_json::to_string(&reply).unwrap_or_default();
        let stored = [client_message_id.to_owned(), reply.message_id.clone(), body.clone()];
        metrics::counter!("zhiyin_chat_replies_total", "answered" => if reply.answered { "yes" } else { "no" }).increment(1);
        if reply.text.is_empty() {
            // A person has the chat: nothing is said, but the message counts as answered.
            let [client_message_id, message_id, body] = stored;
            let rows = vec![
                Write::Chat(ChatWrite::Chat(session.row(None))),
                Write::Chat(ChatWrite::Reply { chat_id: session.chat_id.clone(), client_message_id, message_id, body }),
            ];
            self.store().write(rows).await?;
        } else {
            self.add_bot_message(session, reply.text.clone(), reply.message_id.clone(), Some(stored), with).await?;
        }
        Ok(reply)
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
            for session in rows.iter().filter_map(|row| read(row).ok()) {
                if let Err(problem) = self.end_chat(session, None, "idle").await {
                    tracing::warn!(code = %problem.code, "an idle chat could not be ended");
                }
            }
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
        tracing::error!(chat_id = %row.chat_id, %error, "a stored chat cannot be read");
        Problem::new("internal", "the chat cannot be read")
    })?;
    session.ended |= row.ended;
    Ok(session)
}

//! The bot on the telephone: a final of the caller is a turn of the same dialogue engine; the reply is a message of the call
//! and goes to the telephony side as text to speak.
//!
//! ```text
//! final of the caller -> Command::Listen -> PhoneBot::answer (engine, articles, business calls) -> message.added of role bot
//!                                                                                              -> Reply on the socket
//! ```
//!
//! The call has a chat of its own: it is handed over, taken and given back by the routes of chats, and goes on behind a lost
//! socket where it stood.

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::chat_desk::{Mode, Reply, Session, read};
use super::{ApiContext, Problem};
use crate::chat::State;
use crate::conversation::{IdKind, Language, new_id};
use crate::event::{Call, now_rfc3339};
use crate::pipeline::{Bot, Command, Said};
use crate::store::{ChatWrite, Write};

/// The bot of one telephone call.
pub(super) struct PhoneBot {
    context: ApiContext,
    chat_id: String,
    heard: mpsc::UnboundedReceiver<Said>,
    replies: mpsc::UnboundedSender<Reply>,
}

impl PhoneBot {
    /// Puts the bot on an open call and lets it speak first; its replies come out of the channel. A call that the bot was on
    /// already goes on where it stood, without a second greeting. `flow` begins a flow by name, as a survey does.
    ///
    /// # Errors
    /// There is no such flow, the call is over, or the store fails.
    pub(super) async fn join(
        context: &ApiContext,
        call: &Call,
        owner: &str,
        flow: Option<&str>,
    ) -> Result<mpsc::UnboundedReceiver<Reply>, Problem> {
        if let Some(flow) = flow.filter(|f| context.chat.bot.dialogue().book().flow(f).is_none()) {
            return Err(Problem::invalid("/metadata/flow", format!("there is no flow \"{flow}\"")));
        }
        let (sender, heard) = mpsc::unbounded_channel();
        let (replies, spoken) = mpsc::unbounded_channel();
        context.hub.tell(&call.call_id, Command::Listen { listener: sender }).await?;
        let chat_id = match context.store().chat_of_call(call.call_id.as_str()).await? {
            Some(row) => row.chat_id,
            None => {
                let mut session = new_session(context, call, owner);
                context.store().write(vec![Write::Chat(ChatWrite::Chat(session.row(None)))]).await?;
                let greeting = context.greet(&mut session, flow).await?;
                let _ = replies.send(greeting);
                session.chat_id
            }
        };
        let bot = Self { context: context.clone(), chat_id, heard, replies };
        tokio::spawn(bot.run());
        Ok(spoken)
    }

    /// Answers until the call is over or nobody listens to the replies.
    async fn run(mut self) {
        while let Some(said) = self.heard.recv().await {
            match self.answer(&said).await {
                Ok(reply) if reply.text.is_empty() => {}
                Ok(reply) => {
                    if self.replies.send(reply).is_err() {
                        return;
                    }
                }
                Err(problem) => tracing::warn!(chat_id = %self.chat_id, code = %problem.code, "a caller got no answer"),
            }
        }
    }

    /// Answers what was heard; the same utterance gets one answer.
    async fn answer(&self, said: &Said) -> Result<Reply, Problem> {
        let context = &self.context;
        let _busy = context.chat.take_within(&self.chat_id, context.chat.patience()).await?;
        let id = said.utterance_id.as_str();
        if let Some(known) = context.store().chat_reply(&self.chat_id, id).await? {
            return serde_json::from_str(&known).map_err(|_| Problem::new("internal", "a stored reply cannot be read"));
        }
        let row = context.store().chat(&self.chat_id).await?.ok_or_else(|| Problem::not_found("chat"))?;
        let mut session = read(&row)?;
        let encoding = context.encoded(&session, &said.text).await;
        let turn = context.bot_turn(&mut session, &said.text, encoding, id).await?;
        context.keep(&mut session, turn, id).await
    }
}

fn new_session(context: &ApiContext, call: &Call, owner: &str) -> Session {
    let language = call.languages.first().and_then(|tag| Language::from_tag(tag)).unwrap_or_default();
    Session {
        chat_id: new_id(IdKind::Chat),
        call_id: call.call_id.clone(),
        owner: owner.to_owned(),
        source: Some("phone".into()),
        mode: Mode::BotFirst,
        queue: call.queue.clone(),
        created_at: now_rfc3339(),
        handed_at: None,
        ended: false,
        state: State::new(language, Bot::today(context.chat.settings.utc_offset_min)),
    }
}

/// A reply as the telephony side gets it: `text` is what is shown, `speech` what is spoken (sources of answers left out).
pub(super) fn spoken(context: &ApiContext, reply: &Reply) -> Value {
    let language = Language::from_tag(&reply.language).unwrap_or_default();
    let source = context.chat.bot.dialogue().book().config.text("source", language);
    let sources: Vec<String> = reply.citations.iter().map(|c| source.replace("{title}", &c.title)).collect();
    let speech: Vec<&str> = reply.parts.iter().filter(|part| !sources.contains(part)).map(String::as_str).collect();
    json!({
        "message_id": reply.message_id, "text": reply.text, "speech": speech.join("\n"), "language": reply.language,
        "answered": reply.answered, "handoff": reply.handoff,
    })
}

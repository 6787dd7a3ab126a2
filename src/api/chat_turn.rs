//! One answer of the bot: heard once, made durable together with everything that it changes, the same for the same message.

use std::sync::Arc;
use std::time::Duration;

use super::chat_desk::{Reply, SHORTLY, Session, read, requested};
use super::{ApiContext, Problem};
use crate::chat::{Act, Dialogue, HandOver, Reason, State, Turn};
use crate::conversation::{IdKind, Role, new_id};
use crate::event::{EventBody, Record, now_rfc3339};
use crate::inference::Encoding;
use crate::pipeline::{Bot, NewMessage, Talker};
use crate::store::{ChatWrite, GapRow, KnowledgeWrite, Write};

impl ApiContext {
    /// Adds a message of the bot to the call, with what it changes, in one commit.
    pub(super) async fn add_bot_message(
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
            led_by_bot: true,
            ..NewMessage::default()
        };
        self.hub.message(&session.call_id, message).await?;
        Ok(())
    }

    /// Answers a message. The same `client_message_id` gets the same reply; it takes effect once.
    pub(super) async fn chat_message(&self, chat_id: &str, text: &str, client_message_id: &str) -> Result<Reply, Problem> {
        let _busy = self.chat.take_within(chat_id, SHORTLY).await?;
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
        let encoding = self.encoded(&session, text).await;
        // After a crash between message and reply the message is there already.
        if self.store().message(session.call_id.as_str(), client_message_id).await?.is_none() {
            let message = NewMessage {
                role: Role::Customer,
                text: text.to_owned(),
                external_id: Some(client_message_id.to_owned()),
                encoding: encoding.clone(),
                led_by_bot: !session.state.human && session.state.handed_over.is_none(),
                ..NewMessage::default()
            };
            self.hub.message(&session.call_id, message).await?;
        }
        let turn = self.bot_turn(&mut session, text, encoding, client_message_id).await?;
        self.keep(&mut session, turn, client_message_id).await
    }

    /// The encoding of a message, made once for the bot and for the desk of the call; `None`: the encoder failed or is too
    /// slow, and the bot will apologise.
    pub(super) async fn encoded(&self, session: &Session, text: &str) -> Option<Arc<Encoding>> {
        match tokio::time::timeout(self.deadline(), self.chat.bot.encode(text)).await {
            Ok(Ok(encoding)) => Some(encoding),
            Ok(Err(error)) => {
                tracing::error!(chat_id = %session.chat_id, %error, "the encoder failed");
                None
            }
            Err(_) => None,
        }
    }

    fn deadline(&self) -> Duration {
        Duration::from_millis(self.chat.settings.deadline_ms)
    }

    /// What the bot does with something that the customer said and that is durable already.
    pub(super) async fn bot_turn(
        &self,
        session: &mut Session,
        text: &str,
        encoding: Option<Arc<Encoding>>,
        client_message_id: &str,
    ) -> Result<Turn, Problem> {
        let Some(encoding) = encoding else { return Ok(apology(self.chat.bot.dialogue(), &session.state)) };
        // A conversation may go on past midnight, or be taken up days later: rules count from today.
        session.state.today = Bot::today(self.chat.settings.utc_offset_min);
        let key = format!("{}/{client_message_id}", session.chat_id);
        let bot = &self.chat.bot;
        let consent = bot.rewords() && self.store().call(session.call_id.as_str()).await?.is_some_and(|c| c.consent.third_party);
        let talker = Talker { key: &key, queue: session.queue.clone(), consent };
        let turn = bot.reply_encoded(&session.state, (text, &*encoding), &talker, None);
        Ok(match tokio::time::timeout(self.deadline(), turn).await {
            Ok(Ok(turn)) => turn,
            Ok(Err(error)) => {
                tracing::error!(chat_id = %session.chat_id, %error, "the bot failed");
                apology(bot.dialogue(), &session.state)
            }
            Err(_) => apology(bot.dialogue(), &session.state),
        })
    }

    /// Makes a turn durable: the bot's message, what it remembers, the reply, hand-over and gap. What is kept of the reply has
    /// the personal data masked that the settings do not allow to be stored.
    pub(super) async fn keep(&self, session: &mut Session, turn: Turn, client_message_id: &str) -> Result<Reply, Problem> {
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
        let kept = Reply {
            text: self.chat.bot.masked(&reply.text),
            parts: reply.parts.iter().map(|part| self.chat.bot.masked(part)).collect(),
            ..reply.clone()
        };
        let body = serde_json::to_string(&kept).unwrap_or_default();
        let stored = [client_message_id.to_owned(), reply.message_id.clone(), body];
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
}

/// What is said when the bot fails or is too slow. Nothing is handed over twice: a person who is there is not interrupted,
/// and a customer who waits for one is told so.
fn apology(dialogue: &Dialogue, state: &State) -> Turn {
    let text = |name: &str| vec![dialogue.book().config.text(name, state.language).to_owned()];
    let turn = Turn {
        said: Vec::new(),
        state: state.clone(),
        buttons: Vec::new(),
        citations: Vec::new(),
        acts: Vec::new(),
        hand_over: None,
        gap: None,
        intent: None,
        answered: false,
    };
    if state.human {
        return turn;
    }
    if state.handed_over.is_some() {
        return Turn { said: text("waiting"), ..turn };
    }
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
    Turn {
        said: text("deadline"),
        state: State { handed_over: Some(context.clone()), ..state.clone() },
        acts: vec![Act::HandOver(Reason::FormFailed)],
        hand_over: Some(context),
        ..turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::FlowBook;
    use crate::conversation::Language;

    #[test]
    fn a_bot_that_fails_hands_over_once_and_does_not_interrupt_a_person() {
        let pipelines = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines"));
        let dialogue = Dialogue::new(FlowBook::load(pipelines, &[]).unwrap_or_else(|error| panic!("{error}")));
        let today = chrono::NaiveDate::from_ymd_opt(2026, 3, 10).unwrap();
        let first = apology(&dialogue, &State::new(Language::En, today));
        assert!(first.hand_over.is_some() && first.state.handed_over == first.hand_over && !first.said.is_empty());
        let second = apology(&dialogue, &first.state);
        assert_eq!((second.hand_over, second.acts.len(), &second.state), (None, 0, &first.state));
        assert_eq!(second.said, [dialogue.book().config.text("waiting", Language::En)]);
        let with_person = apology(&dialogue, &State { human: true, ..first.state });
        assert!(with_person.said.is_empty() && with_person.hand_over.is_none() && with_person.acts.is_empty());
    }
}

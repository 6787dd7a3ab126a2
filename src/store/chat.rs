//! Chats: rows, and how they are read and written.

use sqlx::{Row, SqliteConnection};

use super::{Store, StoreError};

/// A chat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatRow {
    /// `chat_…`.
    pub chat_id: String,
    /// The call that it is.
    pub call_id: String,
    /// Token or site that opened it.
    pub owner: String,
    /// The owner's own name for it.
    pub name: Option<String>,
    /// Over.
    pub ended: bool,
    /// RFC 3339 of the last message.
    pub updated_at: String,
    /// JSON of the session.
    pub body: String,
}

/// One change of the chats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChatWrite {
    /// A chat, new or changed.
    Chat(ChatRow),
    /// Something was said in a chat: it is not idle.
    Said {
        /// Chat.
        chat_id: String,
        /// RFC 3339.
        at: String,
    },
    /// The reply to a message; the first one stays.
    Reply {
        /// Chat.
        chat_id: String,
        /// Name of the message that it answers.
        client_message_id: String,
        /// Message of the bot.
        message_id: String,
        /// JSON of the reply.
        body: String,
    },
    /// A verdict on a reply; the last one of an actor stays.
    Feedback {
        /// Message of the bot.
        message_id: String,
        /// Token or visitor.
        actor: String,
        /// RFC 3339.
        at: String,
        /// JSON of the verdict.
        body: String,
    },
    /// A visitor, or that he was seen again.
    Visitor {
        /// SHA-256 of his ticket.
        ticket_sha256: String,
        /// His chat.
        chat_id: String,
        /// RFC 3339.
        seen_at: String,
    },
}

pub(super) async fn apply(write: &ChatWrite, db: &mut SqliteConnection) -> Result<(), StoreError> {
    match write {
        ChatWrite::Chat(row) => {
            sqlx::query(
                "INSERT INTO chats (chat_id, call_id, owner, name, ended, updated_at, body) VALUES (?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT (chat_id) DO UPDATE SET ended = excluded.ended, updated_at = excluded.updated_at, body = excluded.body",
            )
            .bind(&row.chat_id)
            .bind(&row.call_id)
            .bind(&row.owner)
            .bind(&row.name)
            .bind(row.ended)
            .bind(&row.updated_at)
            .bind(&row.body)
            .execute(db)
            .await?;
        }
        ChatWrite::Said { chat_id, at } => {
            sqlx::query("UPDATE chats SET updated_at = ? WHERE chat_id = ?").bind(at).bind(chat_id).execute(db).await?;
        }
        ChatWrite::Reply { chat_id, client_message_id, message_id, body } => {
            sqlx::query("INSERT OR IGNORE INTO chat_replies (chat_id, client_message_id, message_id, body) VALUES (?, ?, ?, ?)")
                .bind(chat_id)
                .bind(client_message_id)
                .bind(message_id)
                .bind(body)
                .execute(db)
                .await?;
        }
        ChatWrite::Feedback { message_id, actor, at, body } => {
            sqlx::query("INSERT OR REPLACE INTO chat_feedback (message_id, actor, at, body) VALUES (?, ?, ?, ?)")
                .bind(message_id)
                .bind(actor)
                .bind(at)
                .bind(body)
                .execute(db)
                .await?;
        }
        ChatWrite::Visitor { ticket_sha256, chat_id, seen_at } => {
            sqlx::query("INSERT OR REPLACE INTO chat_visitors (ticket_sha256, chat_id, seen_at) VALUES (?, ?, ?)")
                .bind(ticket_sha256)
                .bind(chat_id)
                .bind(seen_at)
                .execute(db)
                .await?;
        }
    }
    Ok(())
}

const COLUMNS: &str = "SELECT chat_id, call_id, owner, name, ended, updated_at, body FROM chats";

impl Store {
    /// One chat.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn chat(&self, chat_id: &str) -> Result<Option<ChatRow>, StoreError> {
        self.one_chat(" WHERE chat_id = ?", &[chat_id]).await
    }

    /// The chat of a call.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn chat_of_call(&self, call_id: &str) -> Result<Option<ChatRow>, StoreError> {
        self.one_chat(" WHERE call_id = ?", &[call_id]).await
    }

    /// The open chat that an owner knows by a name of his own.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn chat_by_name(&self, owner: &str, name: &str) -> Result<Option<ChatRow>, StoreError> {
        self.one_chat(" WHERE owner = ? AND name = ? AND ended = 0", &[owner, name]).await
    }

    async fn one_chat(&self, condition: &str, values: &[&str]) -> Result<Option<ChatRow>, StoreError> {
        let mut query = sqlx::QueryBuilder::new(COLUMNS);
        let mut parts = condition.split('?');
        query.push(parts.next().unwrap_or_default());
        for (value, part) in values.iter().zip(parts) {
            query.push_bind(*value).push(part);
        }
        Ok(query.build().fetch_optional(&self.readers).await?.map(|r| chat(&r)))
    }

    /// Open chats without a message since a moment (RFC 3339).
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn idle_chats(&self, before: &str) -> Result<Vec<ChatRow>, StoreError> {
        let mut query = sqlx::QueryBuilder::new(COLUMNS);
        query.push(" WHERE ended = 0 AND updated_at < ").push_bind(before).push(" LIMIT 500");
        Ok(query.build().fetch_all(&self.readers).await?.iter().map(chat).collect())
    }

    /// The reply that was given to a message.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn chat_reply(&self, chat_id: &str, client_message_id: &str) -> Result<Option<String>, StoreError> {
        let row = sqlx::query("SELECT body FROM chat_replies WHERE chat_id = ? AND client_message_id = ?")
            .bind(chat_id)
            .bind(client_message_id)
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.map(|r| r.get(0)))
    }

    /// A reply of a chat by the bot's message.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn chat_reply_by_message(&self, chat_id: &str, message_id: &str) -> Result<Option<String>, StoreError> {
        let row = sqlx::query("SELECT body FROM chat_replies WHERE chat_id = ? AND message_id = ?")
            .bind(chat_id)
            .bind(message_id)
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.map(|r| r.get(0)))
    }

    /// The chat of a visitor and when he was last seen, by the hash of his ticket.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn chat_visitor(&self, ticket_sha256: &str) -> Result<Option<(String, String)>, StoreError> {
        let row = sqlx::query("SELECT chat_id, seen_at FROM chat_visitors WHERE ticket_sha256 = ?")
            .bind(ticket_sha256)
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.map(|r| (r.get(0), r.get(1))))
    }
}

fn chat(r: &sqlx::sqlite::SqliteRow) -> ChatRow {
    ChatRow {
        chat_id: r.get(0),
        call_id: r.get(1),
        owner: r.get(2),
        name: r.get(3),
        ended: r.get(4),
        updated_at: r.get(5),
        body: r.get(6),
    }
}

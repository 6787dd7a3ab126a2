-- Chats: what the bot remembers, replies by the id of the message they answer, visitors of web sites, verdicts.
CREATE TABLE chats (
    chat_id    TEXT PRIMARY KEY,
    call_id    TEXT NOT NULL UNIQUE,
    owner      TEXT NOT NULL,
    name       TEXT,
    ended      INTEGER NOT NULL,
    updated_at TEXT NOT NULL,
    body       TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX chats_open ON chats (updated_at) WHERE ended = 0;
-- A front end that has a name of its own for a conversation (Rasa's sender, OpenAI's user) finds the open one by it.
CREATE UNIQUE INDEX chats_by_name ON chats (owner, name) WHERE ended = 0 AND name IS NOT NULL;

CREATE TABLE chat_replies (
    chat_id           TEXT NOT NULL,
    client_message_id TEXT NOT NULL,
    message_id        TEXT NOT NULL,
    body              TEXT NOT NULL,
    PRIMARY KEY (chat_id, client_message_id)
) WITHOUT ROWID;
CREATE INDEX chat_replies_by_message ON chat_replies (message_id);

CREATE TABLE chat_feedback (
    message_id TEXT NOT NULL,
    actor      TEXT NOT NULL,
    at         TEXT NOT NULL,
    body       TEXT NOT NULL,
    PRIMARY KEY (message_id, actor)
) WITHOUT ROWID;

CREATE TABLE chat_visitors (
    ticket_sha256 TEXT PRIMARY KEY,
    chat_id       TEXT NOT NULL,
    seen_at       TEXT NOT NULL
) WITHOUT ROWID;

-- Calls, their event log and everything that hangs on it.
CREATE TABLE calls (
    call_id     TEXT PRIMARY KEY,
    external_id TEXT UNIQUE,
    state       TEXT NOT NULL,
    channel     TEXT NOT NULL,
    queue       TEXT,
    agent_id    TEXT,
    team        TEXT,
    created_at  TEXT NOT NULL,
    body        TEXT NOT NULL
);
CREATE INDEX calls_by_time ON calls (created_at DESC, call_id);
CREATE INDEX calls_open ON calls (state) WHERE state IN ('created', 'live', 'post');

CREATE TABLE events (
    call_id TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    type    TEXT NOT NULL,
    time    TEXT NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (call_id, seq)
) WITHOUT ROWID;

-- Messages of text conversations by their name in the sending system: a repeated message is not added again.
CREATE TABLE messages (
    call_id      TEXT NOT NULL,
    external_id  TEXT NOT NULL,
    utterance_id TEXT NOT NULL,
    body         TEXT NOT NULL,
    PRIMARY KEY (call_id, external_id)
) WITHOUT ROWID;

CREATE TABLE suggestions (
    suggestion_id TEXT PRIMARY KEY,
    call_id       TEXT NOT NULL,
    state         TEXT NOT NULL,
    body          TEXT NOT NULL
);
CREATE INDEX suggestions_by_call ON suggestions (call_id);

CREATE TABLE suggestion_feedback (
    suggestion_id TEXT NOT NULL,
    action        TEXT NOT NULL,
    actor         TEXT NOT NULL,
    at            TEXT NOT NULL,
    body          TEXT NOT NULL,
    PRIMARY KEY (suggestion_id, action, actor)
) WITHOUT ROWID;

CREATE TABLE alerts (
    alert_id TEXT PRIMARY KEY,
    call_id  TEXT NOT NULL,
    state    TEXT NOT NULL,
    level    TEXT NOT NULL,
    time     TEXT NOT NULL,
    body     TEXT NOT NULL
);
CREATE INDEX alerts_by_state ON alerts (state, time DESC);

-- Knowledge documents with all their versions.
CREATE TABLE documents (
    document_id TEXT PRIMARY KEY,
    changed_at  TEXT NOT NULL,
    body        TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE scores (
    score_id   TEXT PRIMARY KEY,
    call_id    TEXT NOT NULL,
    scheme_id  TEXT NOT NULL,
    clock      TEXT NOT NULL,
    total      REAL,
    agent_id   TEXT,
    queue      TEXT,
    created_at TEXT NOT NULL,
    body       TEXT NOT NULL
);
CREATE INDEX scores_by_call ON scores (call_id);
CREATE INDEX scores_by_time ON scores (created_at DESC, score_id);

CREATE TABLE tokens (
    token_id      TEXT PRIMARY KEY,
    secret_sha256 TEXT NOT NULL UNIQUE,
    body          TEXT NOT NULL
);

CREATE TABLE idempotency (
    token_id   TEXT NOT NULL,
    key        TEXT NOT NULL,
    body_hash  TEXT NOT NULL,
    status     INTEGER NOT NULL,
    answer     TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (token_id, key)
) WITHOUT ROWID;

-- Append only.
CREATE TABLE audit (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    time   TEXT NOT NULL,
    actor  TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is append only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is append only'); END;

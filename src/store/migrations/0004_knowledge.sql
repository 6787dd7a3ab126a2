-- Questions that the knowledge base did not answer, or answered badly.
CREATE TABLE knowledge_gaps (
    gap_id      TEXT PRIMARY KEY,
    time        TEXT NOT NULL,
    source      TEXT NOT NULL,
    reason      TEXT NOT NULL,
    language    TEXT NOT NULL,
    question    TEXT NOT NULL,
    intent      TEXT,
    call_id     TEXT,
    document_id TEXT,
    score       REAL
) WITHOUT ROWID;
CREATE INDEX knowledge_gaps_by_time ON knowledge_gaps (time);

-- What became of articles that were shown, counted per day, agent and topic (an intent; empty if unknown).
CREATE TABLE knowledge_usage (
    day         TEXT NOT NULL,
    document_id TEXT NOT NULL,
    topic       TEXT NOT NULL,
    agent       TEXT NOT NULL,
    action      TEXT NOT NULL,
    count       INTEGER NOT NULL,
    PRIMARY KEY (day, document_id, topic, agent, action)
) WITHOUT ROWID;

-- Searches and what they found.
CREATE TABLE knowledge_searches (
    search_id   TEXT PRIMARY KEY,
    time        TEXT NOT NULL,
    actor       TEXT NOT NULL,
    language    TEXT NOT NULL,
    query       TEXT NOT NULL,
    results     INTEGER NOT NULL,
    score       REAL,
    document_id TEXT
) WITHOUT ROWID;
CREATE INDEX knowledge_searches_by_time ON knowledge_searches (time);

-- Verdicts on passages; the last one of an actor stays.
CREATE TABLE passage_feedback (
    passage_id  TEXT NOT NULL,
    actor       TEXT NOT NULL,
    document_id TEXT NOT NULL,
    verdict     TEXT NOT NULL,
    at          TEXT NOT NULL,
    body        TEXT NOT NULL,
    PRIMARY KEY (passage_id, actor)
) WITHOUT ROWID;

-- Long work. An item and its effects are committed together, so that each takes effect once, whatever happens between.
CREATE TABLE jobs (
    job_id      TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,
    state       TEXT NOT NULL,
    owner       TEXT NOT NULL,
    done        INTEGER NOT NULL,
    total       INTEGER,
    failed      INTEGER NOT NULL,
    created_at  TEXT NOT NULL,
    started_at  TEXT,
    finished_at TEXT,
    spec        TEXT NOT NULL,
    result      TEXT,
    error       TEXT
);
CREATE INDEX jobs_open ON jobs (state) WHERE state IN ('queued', 'running');

CREATE TABLE job_items (
    job_id TEXT NOT NULL,
    item   INTEGER NOT NULL,
    key    TEXT NOT NULL,
    state  TEXT NOT NULL,
    body   TEXT,
    PRIMARY KEY (job_id, item)
) WITHOUT ROWID;
CREATE INDEX job_items_open ON job_items (job_id, item) WHERE state = 'pending';

-- Rules and schemes with all their versions; a published body never changes.
CREATE TABLE quality_documents (
    kind         TEXT NOT NULL,
    id           TEXT NOT NULL,
    version      INTEGER NOT NULL,
    state        TEXT NOT NULL,
    changed_at   TEXT NOT NULL,
    changed_by   TEXT NOT NULL,
    body         TEXT NOT NULL,
    PRIMARY KEY (kind, id, version)
) WITHOUT ROWID;

-- Work of people on scorecards.
CREATE TABLE assignments (
    assignment_id TEXT PRIMARY KEY,
    score_id      TEXT NOT NULL,
    assignee      TEXT NOT NULL,
    state         TEXT NOT NULL,
    blind         INTEGER NOT NULL,
    calibration   TEXT,
    created_at    TEXT NOT NULL,
    body          TEXT NOT NULL,
    UNIQUE (score_id, assignee, calibration)
);
CREATE INDEX assignments_by_assignee ON assignments (assignee, state, created_at);

-- One row for each judgement of a hit (or of a rule without a hit); the newest of a hit counts.
CREATE TABLE judgements (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    score_id     TEXT NOT NULL,
    call_id      TEXT NOT NULL,
    rule_id      TEXT NOT NULL,
    rule_version INTEGER,
    hit_id       TEXT NOT NULL,
    verdict      TEXT NOT NULL,
    stage        TEXT NOT NULL,
    author       TEXT NOT NULL,
    at           TEXT NOT NULL,
    body         TEXT NOT NULL
);
CREATE INDEX judgements_by_score ON judgements (score_id, id);
CREATE INDEX judgements_by_rule ON judgements (rule_id, id);

CREATE TABLE appeals (
    appeal_id  TEXT PRIMARY KEY,
    score_id   TEXT NOT NULL,
    state      TEXT NOT NULL,
    created_at TEXT NOT NULL,
    body       TEXT NOT NULL
);
CREATE INDEX appeals_by_score ON appeals (score_id);

CREATE TABLE calibrations (
    calibration_id TEXT PRIMARY KEY,
    created_at     TEXT NOT NULL,
    body           TEXT NOT NULL
);

-- What scorecards were before people changed them.
CREATE TABLE score_history (
    score_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    at       TEXT NOT NULL,
    author   TEXT NOT NULL,
    body     TEXT NOT NULL,
    PRIMARY KEY (score_id, revision)
) WITHOUT ROWID;
CREATE TRIGGER quality_documents_frozen BEFORE UPDATE OF body ON quality_documents
WHEN OLD.state IN ('published', 'retired') AND NEW.body <> OLD.body
BEGIN SELECT RAISE(ABORT, 'a published version never changes'); END;

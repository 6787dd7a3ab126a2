//! The writer task: collects writes and commits them in groups.

use sqlx::{SqliteConnection, SqlitePool};
use tokio::sync::{mpsc, oneshot};

use super::StoreError;
use super::knowledge::{self, KnowledgeWrite};
use super::records::{AlertRow, AuditEntry, DocumentRow, FeedbackRow, IdempotentAnswer, ScoreRow, SuggestionRow};
use crate::access::TokenRecord;
use crate::event::{Call, Event};

/// One change of the store.
#[derive(Clone, Debug)]
pub enum Write {
    /// A call, new or changed.
    Call(Box<Call>),
    /// A numbered event.
    Event(std::sync::Arc<Event>),
    /// A message of a text conversation under its external name.
    Message {
        /// Call.
        call_id: String,
        /// Name in the sending system.
        external_id: String,
        /// Utterance.
        utterance_id: String,
        /// The answer that was given, JSON.
        body: String,
    },
    /// Personal data goes out of the words of an utterance.
    Redact {
        /// Call.
        call_id: String,
        /// Utterance.
        utterance_id: crate::conversation::UtteranceId,
        /// What goes.
        findings: Vec<crate::privacy::Finding>,
    },
    /// A suggestion, new or changed.
    Suggestion(SuggestionRow),
    /// What became of a suggestion; the first of its kind by an actor stays.
    Feedback(FeedbackRow),
    /// An alert, new or changed.
    Alert(AlertRow),
    /// What became of an alert; one that is resolved stays so.
    AlertState {
        /// Alert.
        alert_id: String,
        /// `acknowledged` or `resolved`.
        state: &'static str,
    },
    /// A document with all its versions.
    Document(DocumentRow),
    /// All versions of a document go.
    PurgeDocument(String),
    /// A change of the chats.
    Chat(super::ChatWrite),
    /// A scorecard.
    Score(ScoreRow),
    /// A token, new or changed.
    Token(TokenRecord),
    /// An answer kept for repetition.
    Idempotent(IdempotentAnswer),
    /// An entry of the audit trail.
    Audit(AuditEntry),
    /// A job or its items.
    Job(super::jobs::JobWrite),
    /// Rules, schemes, and what people did with scorecards.
    Quality(super::quality::QualityWrite),
    /// What the knowledge base learns from.
    Knowledge(KnowledgeWrite),
}

/// Writes that hold together, and who waits for them.
pub(super) struct Job {
    pub(super) writes: Vec<Write>,
    pub(super) reply: oneshot::Sender<Result<(), StoreError>>,
}

/// Most jobs in one commit.
const GROUP_MAX: usize = 256;

/// Runs until every sender is gone.
pub(super) async fn run_writer(pool: SqlitePool, mut mailbox: mpsc::Receiver<Job>) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while mailbox.recv_many(&mut group, GROUP_MAX).await > 0 {
        let started = std::time::Instant::now();
        let outcome = commit(&pool, &group).await;
        metrics::histogram!("zhiyin_event_commit_seconds").record(started.elapsed().as_secs_f64());
        match outcome {
            Ok(()) => group.drain(..).for_each(|job| drop(job.reply.send(Ok(())))),
            // One of them is at fault: each gets a commit and an answer of its own.
            Err(_) if group.len() > 1 => {
                for job in group.drain(..) {
                    let outcome = commit(&pool, std::slice::from_ref(&job)).await;
                    drop(job.reply.send(outcome));
                }
            }
            Err(error) => group.drain(..).for_each(|job| drop(job.reply.send(Err(clone_of(&error))))),
        }
    }
    pool.close().await;
}

fn clone_of(error: &StoreError) -> StoreError {
    match error {
        StoreError::DiskFull => StoreError::DiskFull,
        StoreError::Exists { what, id } => StoreError::Exists { what, id: id.clone() },
        other => StoreError::Database(other.to_string()),
    }
}

async fn commit(pool: &SqlitePool, jobs: &[Job]) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await?;
    for write in jobs.iter().flat_map(|job| &job.writes) {
        apply(write, &mut transaction).await?;
    }
    transaction.commit().await?;
    Ok(())
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Database(e.to_string()))
}

async fn apply(write: &Write, db: &mut SqliteConnection) -> Result<(), StoreError> {
    match write {
        Write::Call(call) => apply_call(call, db).await,
        Write::Event(event) => apply_event(event, db).await,
        Write::Message { call_id, external_id, utterance_id, body } => {
            sqlx::query("INSERT INTO messages (call_id, external_id, utterance_id, body) VALUES (?, ?, ?, ?)")
                .bind(call_id)
                .bind(external_id)
                .bind(utterance_id)
                .bind(body)
                .execute(db)
                .await?;
            Ok(())
        }
        Write::Redact { call_id, utterance_id, findings } => super::redact::apply(call_id, utterance_id, findings, db).await,
        Write::Suggestion(row) => {
            sqlx::query("INSERT OR REPLACE INTO suggestions (suggestion_id, call_id, state, body) VALUES (?, ?, ?, ?)")
                .bind(&row.suggestion_id)
                .bind(&row.call_id)
                .bind(&row.state)
                .bind(&row.body)
                .execute(db)
                .await?;
            Ok(())
        }
        Write::Feedback(row) => {
            sqlx::query(
                "INSERT OR IGNORE INTO suggestion_feedback (suggestion_id, action, actor, at, body) VALUES (?, ?, ?, ?, ?)",
            )
            .bind(&row.suggestion_id)
            .bind(&row.action)
            .bind(&row.actor)
            .bind(&row.at)
            .bind(&row.body)
            .execute(db)
            .await?;
            Ok(())
        }
        Write::Alert(row) => {
            sqlx::query("INSERT OR REPLACE INTO alerts (alert_id, call_id, state, level, time, body) VALUES (?, ?, ?, ?, ?, ?)")
                .bind(&row.alert_id)
                .bind(&row.call_id)
                .bind(&row.state)
                .bind(&row.level)
                .bind(&row.time)
                .bind(&row.body)
                .execute(db)
                .await?;
            Ok(())
        }
        Write::AlertState { alert_id, state } => {
            sqlx::query("UPDATE alerts SET state = ? WHERE alert_id = ? AND state <> 'resolved'")
                .bind(state)
                .bind(alert_id)
                .execute(db)
                .await?;
            Ok(())
        }
        Write::Document(row) => {
            sqlx::query("INSERT OR REPLACE INTO documents (document_id, changed_at, body) VALUES (?, ?, ?)")
                .bind(&row.document_id)
                .bind(&row.changed_at)
                .bind(&row.body)
                .execute(db)
                .await?;
            Ok(())
        }
        Write::PurgeDocument(id) => {
            sqlx::query("DELETE FROM documents WHERE document_id = ?").bind(id).execute(db).await?;
            Ok(())
        }
        Write::Chat(change) => super::chat::apply(change, db).await,
        Write::Score(row) => apply_score(row, db).await,
        Write::Job(write) => super::jobs::apply(write, db).await,
        Write::Quality(write) => super::quality::apply(write, db).await,
        Write::Token(token) => {
            sqlx::query("INSERT OR REPLACE INTO tokens (token_id, secret_sha256, body) VALUES (?, ?, ?)")
                .bind(&token.token_id)
                .bind(&token.secret_sha256)
                .bind(json(token)?)
                .execute(db)
                .await?;
            Ok(())
        }
        Write::Idempotent(row) => apply_answer(row, db).await,
        Write::Knowledge(write) => knowledge::apply(write, db).await,
        Write::Audit(entry) => {
            sqlx::query("INSERT INTO audit (time, actor, action, object, detail) VALUES (?, ?, ?, ?, ?)")
                .bind(&entry.time)
                .bind(&entry.actor)
                .bind(&entry.action)
                .bind(&entry.object)
                .bind(&entry.detail)
                .execute(db)
                .await?;
            Ok(())
        }
    }
}

async fn apply_call(call: &Call, db: &mut SqliteConnection) -> Result<(), StoreError> {
    let outcome = sqlx::query(
        "INSERT INTO calls (call_id, external_id, state, channel, queue, agent_id, team, created_at, body)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (call_id) DO UPDATE SET state = excluded.state, queue = excluded.queue,
         agent_id = excluded.agent_id, team = excluded.team, body = excluded.body",
    )
    .bind(call.call_id.as_str())
    .bind(&call.external_id)
    .bind(call.state.name())
    .bind(call.channel.name())
    .bind(&call.queue)
    .bind(call.agent.as_ref().map(|a| a.id.clone()))
    .bind(call.agent.as_ref().and_then(|a| a.team.clone()))
    .bind(&call.created_at)
    .bind(json(call)?)
    .execute(db)
    .await;
    match outcome {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(e)) if e.is_unique_violation() => {
            Err(StoreError::Exists { what: "call", id: call.external_id.clone().unwrap_or_default() })
        }
        Err(error) => Err(error.into()),
    }
}

async fn apply_event(event: &Event, db: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO events (call_id, seq, type, time, body) VALUES (?, ?, ?, ?, ?)")
        .bind(event.call_id.as_str())
        .bind(i64::try_from(event.seq).unwrap_or(i64::MAX))
        .bind(event.body.kind())
        .bind(&event.time)
        .bind(json(event)?)
        .execute(db)
        .await?;
    Ok(())
}

/// Keeps an answer and lets go those whose time is over.
async fn apply_answer(row: &IdempotentAnswer, db: &mut SqliteConnection) -> Result<(), StoreError> {
    if let Ok(now) = chrono::DateTime::parse_from_rfc3339(&row.created_at) {
        let oldest = now.with_timezone(&chrono::Utc) - IdempotentAnswer::LIFE;
        sqlx::query("DELETE FROM idempotency WHERE created_at < ?")
            .bind(oldest.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
            .execute(&mut *db)
            .await?;
    }
    sqlx::query(
        "INSERT OR REPLACE INTO idempotency (token_id, key, body_hash, status, answer, created_at) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(&row.token_id)
    .bind(&row.key)
    .bind(&row.body_hash)
    .bind(row.status)
    .bind(&row.answer)
    .bind(&row.created_at)
    .execute(db)
    .await?;
    Ok(())
}

async fn apply_score(row: &ScoreRow, db: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT OR REPLACE INTO scores (score_id, call_id, scheme_id, clock, total, agent_id, queue, created_at, body)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&row.score_id)
    .bind(&row.call_id)
    .bind(&row.scheme_id)
    .bind(&row.clock)
    .bind(row.total)
    .bind(&row.agent_id)
    .bind(&row.queue)
    .bind(&row.created_at)
    .bind(&row.body)
    .execute(db)
    .await?;
    Ok(())
}

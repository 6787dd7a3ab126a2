//! Rows other than calls and events: plain values, and how they are read.

use sqlx::Row;

use super::rows::{admitted_calls, admitted_scores, own};
use super::{Store, StoreError};
use crate::access::{RowFilter, TokenRecord};

/// A suggestion and its state (`open`, `withdrawn`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuggestionRow {
    /// `sug_…`.
    pub suggestion_id: String,
    /// Its call.
    pub call_id: String,
    /// State.
    pub state: String,
    /// JSON of the suggestion.
    pub body: String,
}

/// What became of a suggestion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedbackRow {
    /// Suggestion.
    pub suggestion_id: String,
    /// `shown`, `clicked`, `used`, `dismissed`, `wrong`.
    pub action: String,
    /// Token id.
    pub actor: String,
    /// RFC 3339.
    pub at: String,
    /// JSON of the feedback.
    pub body: String,
}

/// An alert and its state (`open`, `acknowledged`, `resolved`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRow {
    /// `alr_…`.
    pub alert_id: String,
    /// Its call.
    pub call_id: String,
    /// State.
    pub state: String,
    /// Level.
    pub level: String,
    /// RFC 3339.
    pub time: String,
    /// JSON of the alert.
    pub body: String,
}

/// A knowledge document with all its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentRow {
    /// `doc_…`.
    pub document_id: String,
    /// RFC 3339.
    pub changed_at: String,
    /// JSON of its history.
    pub body: String,
}

/// A scorecard.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreRow {
    /// `scr_…`.
    pub score_id: String,
    /// Its call.
    pub call_id: String,
    /// Scheme.
    pub scheme_id: String,
    /// `live` or `post`.
    pub clock: String,
    /// Total.
    pub total: Option<f64>,
    /// Agent.
    pub agent_id: Option<String>,
    /// Queue.
    pub queue: Option<String>,
    /// RFC 3339.
    pub created_at: String,
    /// JSON of the scorecard.
    pub body: String,
}

/// An answer kept for a repeated request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotentAnswer {
    /// Whose.
    pub token_id: String,
    /// `Idempotency-Key`.
    pub key: String,
    /// SHA-256 of method, path and body.
    pub body_hash: String,
    /// HTTP status.
    pub status: u16,
    /// Body of the answer.
    pub answer: String,
    /// RFC 3339.
    pub created_at: String,
}

impl IdempotentAnswer {
    /// How long an answer is kept.
    pub const LIFE: chrono::Duration = chrono::Duration::hours(24);
}

/// An entry of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct AuditEntry {
    /// RFC 3339.
    pub time: String,
    /// Token id.
    pub actor: String,
    /// For example `token.create`.
    pub action: String,
    /// Id of what was acted on.
    pub object: String,
    /// More, without secrets and words of conversations.
    pub detail: String,
}

impl Store {
    /// Suggestions of a call, oldest first; `state` restricts.
    pub async fn suggestions(&self, call_id: &str, state: Option<&str>) -> Result<Vec<SuggestionRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT suggestion_id, call_id, state, body FROM suggestions
             WHERE call_id = ? AND (? IS NULL OR state = ?) ORDER BY suggestion_id",
        )
        .bind(call_id)
        .bind(state)
        .bind(state)
        .fetch_all(&self.readers)
        .await?;
        Ok(rows.into_iter().map(suggestion).collect())
    }

    /// One suggestion.
    pub async fn suggestion(&self, suggestion_id: &str) -> Result<Option<SuggestionRow>, StoreError> {
        let row = sqlx::query("SELECT suggestion_id, call_id, state, body FROM suggestions WHERE suggestion_id = ?")
            .bind(suggestion_id)
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.map(suggestion))
    }

    /// What became of a suggestion, in the order of time.
    pub async fn feedback(&self, suggestion_id: &str) -> Result<Vec<FeedbackRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT suggestion_id, action, actor, at, body FROM suggestion_feedback WHERE suggestion_id = ? ORDER BY at",
        )
        .bind(suggestion_id)
        .fetch_all(&self.readers)
        .await?;
        Ok(rows
            .into_iter()
            .map(|r| FeedbackRow { suggestion_id: r.get(0), action: r.get(1), actor: r.get(2), at: r.get(3), body: r.get(4) })
            .collect())
    }

    /// Alerts of calls that a filter admits, newest first.
    pub async fn alerts(
        &self,
        state: Option<&str>,
        level: Option<&str>,
        rows: &RowFilter,
        limit: u32,
    ) -> Result<Vec<AlertRow>, StoreError> {
        let mut query = sqlx::QueryBuilder::new(
            "SELECT alert_id, call_id, state, level, time, body FROM alerts
             WHERE EXISTS (SELECT 1 FROM calls WHERE calls.call_id = alerts.call_id",
        );
        admitted_calls(&mut query, rows);
        query.push(")");
        own(&mut query, "state", state);
        own(&mut query, "level", level);
        query.push(" ORDER BY time DESC, alert_id LIMIT ").push_bind(limit);
        let rows = query.build().fetch_all(&self.readers).await?;
        Ok(rows.into_iter().map(alert).collect())
    }

    /// One alert.
    pub async fn alert(&self, alert_id: &str) -> Result<Option<AlertRow>, StoreError> {
        let row = sqlx::query("SELECT alert_id, call_id, state, level, time, body FROM alerts WHERE alert_id = ?")
            .bind(alert_id)
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.map(alert))
    }

    /// All documents, or one.
    pub async fn documents(&self, document_id: Option<&str>) -> Result<Vec<DocumentRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT document_id, changed_at, body FROM documents WHERE ? IS NULL OR document_id = ? ORDER BY document_id",
        )
        .bind(document_id)
        .bind(document_id)
        .fetch_all(&self.readers)
        .await?;
        Ok(rows.into_iter().map(|r| DocumentRow { document_id: r.get(0), changed_at: r.get(1), body: r.get(2) }).collect())
    }

    /// Scorecards, newest first; of one call, or all.
    pub async fn scores(&self, call_id: Option<&str>, limit: u32) -> Result<Vec<ScoreRow>, StoreError> {
        self.scores_seen(&RowFilter::default(), call_id, limit).await
    }

    /// The same of those that a filter admits.
    pub async fn scores_seen(&self, rows: &RowFilter, call_id: Option<&str>, limit: u32) -> Result<Vec<ScoreRow>, StoreError> {
        let mut query = sqlx::QueryBuilder::new(
            "SELECT score_id, call_id, scheme_id, clock, total, agent_id, queue, created_at, body FROM scores WHERE 1 = 1",
        );
        own(&mut query, "call_id", call_id);
        admitted_scores(&mut query, rows);
        query.push(" ORDER BY created_at DESC, score_id LIMIT ").push_bind(limit);
        let rows = query.build().fetch_all(&self.readers).await?;
        Ok(rows.into_iter().map(score).collect())
    }

    /// One scorecard.
    pub async fn score(&self, score_id: &str) -> Result<Option<ScoreRow>, StoreError> {
        let row = sqlx::query(
            "SELECT score_id, call_id, scheme_id, clock, total, agent_id, queue, created_at, body FROM scores WHERE score_id = ?",
        )
        .bind(score_id)
        .fetch_optional(&self.readers)
        .await?;
        Ok(row.map(score))
    }

    /// All tokens, revoked ones too.
    pub async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        let rows = sqlx::query("SELECT token_id, body FROM tokens ORDER BY token_id").fetch_all(&self.readers).await?;
        rows.into_iter()
            .map(|r| {
                let body: String = r.get(1);
                serde_json::from_str(&body).map_err(|e| StoreError::Corrupt {
                    what: "token",
                    id: r.get(0),
                    message: e.to_string(),
                })
            })
            .collect()
    }

    /// The answer kept for a key.
    pub async fn idempotent(&self, token_id: &str, key: &str) -> Result<Option<IdempotentAnswer>, StoreError> {
        let row = sqlx::query(
            "SELECT token_id, key, body_hash, status, answer, created_at FROM idempotency WHERE token_id = ? AND key = ?",
        )
        .bind(token_id)
        .bind(key)
        .fetch_optional(&self.readers)
        .await?;
        Ok(row.map(|r| IdempotentAnswer {
            token_id: r.get(0),
            key: r.get(1),
            body_hash: r.get(2),
            status: r.get(3),
            answer: r.get(4),
            created_at: r.get(5),
        }))
    }

    /// The audit trail, newest first.
    pub async fn audit(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let rows = sqlx::query("SELECT time, actor, action, object, detail FROM audit ORDER BY id DESC LIMIT ?")
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        Ok(rows
            .into_iter()
            .map(|r| AuditEntry { time: r.get(0), actor: r.get(1), action: r.get(2), object: r.get(3), detail: r.get(4) })
            .collect())
    }
}

fn suggestion(r: sqlx::sqlite::SqliteRow) -> SuggestionRow {
    SuggestionRow { suggestion_id: r.get(0), call_id: r.get(1), state: r.get(2), body: r.get(3) }
}

fn alert(r: sqlx::sqlite::SqliteRow) -> AlertRow {
    AlertRow { alert_id: r.get(0), call_id: r.get(1), state: r.get(2), level: r.get(3), time: r.get(4), body: r.get(5) }
}

pub(super) fn score(r: sqlx::sqlite::SqliteRow) -> ScoreRow {
    ScoreRow {
        score_id: r.get(0),
        call_id: r.get(1),
        scheme_id: r.get(2),
        clock: r.get(3),
        total: r.get(4),
        agent_id: r.get(5),
        queue: r.get(6),
        created_at: r.get(7),
        body: r.get(8),
    }
}

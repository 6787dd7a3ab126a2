//! What the knowledge base learns from: gaps, usage by day, searches, verdicts.

use sqlx::{Row, SqliteConnection};

use super::records::FeedbackRow;
use super::{Store, StoreError, Write};

/// A question that the knowledge base did not answer, or answered badly.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GapRow {
    /// `gap_…`; a repeated id is written once.
    pub gap_id: String,
    /// RFC 3339.
    pub time: String,
    /// Who asked: `search`, `assist`, `ask`, `chat`, `feedback`.
    pub source: String,
    /// `nothing_found`, `weak` or `not_helpful`.
    pub reason: String,
    /// `zh` or `en`.
    pub language: String,
    /// The question, personal data masked by the caller.
    pub question: String,
    /// Intent, if one was understood.
    pub intent: Option<String>,
    /// Call or chat in which it was asked.
    pub call_id: Option<String>,
    /// The article that came nearest.
    pub document_id: Option<String>,
    /// Its score in [0, 1].
    pub score: Option<f64>,
}

/// How often something became of an article on one day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageRow {
    /// `2026-01-31`, UTC.
    pub day: String,
    /// Article.
    pub document_id: String,
    /// Intent; empty if unknown.
    pub topic: String,
    /// Agent or token; empty if unknown.
    pub agent: String,
    /// `shown`, `clicked`, `used`, `dismissed` or `wrong`.
    pub action: String,
    /// How often; adds up in the table.
    pub count: i64,
}

/// A search and what it found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchRow {
    /// ULID.
    pub search_id: String,
    /// RFC 3339.
    pub time: String,
    /// Token id.
    pub actor: String,
    /// `zh` or `en`.
    pub language: String,
    /// The query, personal data masked by the caller.
    pub query: String,
    /// Passages in the answer.
    pub results: i64,
    /// Best score in [0, 1].
    pub score: Option<f64>,
    /// Best article.
    pub document_id: Option<String>,
}

/// A verdict on a passage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassageFeedbackRow {
    /// `psg_…`
    pub passage_id: String,
    /// Token id.
    pub actor: String,
    /// Its article.
    pub document_id: String,
    /// `helpful`, `not_helpful`, `outdated` or `incorrect`.
    pub verdict: String,
    /// RFC 3339.
    pub at: String,
    /// JSON of the feedback.
    pub body: String,
}

/// One change of what the knowledge base learns from.
#[derive(Clone, Debug)]
pub enum KnowledgeWrite {
    /// A gap.
    Gap(GapRow),
    /// Counts to add.
    Usage(UsageRow),
    /// A search.
    Search(SearchRow),
    /// A verdict; the last one of an actor stays.
    PassageFeedback(PassageFeedbackRow),
    /// What became of a suggestion, and the count of its article if this was not reported before.
    Feedback {
        /// The report; the first of its kind by an actor stays.
        row: FeedbackRow,
        /// What to count.
        usage: Option<UsageRow>,
    },
    /// A suggestion left the screen.
    Withdrawn {
        /// Which.
        suggestion_id: String,
    },
    /// Gaps before this moment (RFC 3339) and searches and usage of that time go.
    Forget {
        /// RFC 3339.
        before: String,
    },
}

pub(super) async fn apply(write: &KnowledgeWrite, db: &mut SqliteConnection) -> Result<(), StoreError> {
    match write {
        KnowledgeWrite::Gap(row) => gap(row, db).await,
        KnowledgeWrite::Usage(row) => usage(row, db).await,
        KnowledgeWrite::Feedback { row, usage: counted } => {
            let written = sqlx::query(
                "INSERT OR IGNORE INTO suggestion_feedback (suggestion_id, action, actor, at, body) VALUES (?, ?, ?, ?, ?)",
            )
            .bind(&row.suggestion_id)
            .bind(&row.action)
            .bind(&row.actor)
            .bind(&row.at)
            .bind(&row.body)
            .execute(&mut *db)
            .await?;
            match counted {
                Some(counted) if written.rows_affected() > 0 => usage(counted, db).await,
                _ => Ok(()),
            }
        }
        KnowledgeWrite::Search(row) => {
            sqlx::query(
                "INSERT OR IGNORE INTO knowledge_searches (search_id, time, actor, language, query, results, score, document_id)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(&row.search_id)
            .bind(&row.time)
            .bind(&row.actor)
            .bind(&row.language)
            .bind(&row.query)
            .bind(row.results)
            .bind(row.score)
            .bind(&row.document_id)
            .execute(db)
            .await?;
            Ok(())
        }
        KnowledgeWrite::PassageFeedback(row) => {
            sqlx::query(
                "INSERT OR REPLACE INTO passage_feedback (passage_id, actor, document_id, verdict, at, body) VALUES (?, ?, ?, ?, ?, ?)",
            )
            .bind(&row.passage_id)
            .bind(&row.actor)
            .bind(&row.document_id)
            .bind(&row.verdict)
            .bind(&row.at)
            .bind(&row.body)
            .execute(db)
            .await?;
            Ok(())
        }
        KnowledgeWrite::Withdrawn { suggestion_id } => {
            let update = "UPDATE suggestions SET state = 'withdrawn' WHERE suggestion_id = ?";
            sqlx::query(update).bind(suggestion_id).execute(db).await?;
            Ok(())
        }
        KnowledgeWrite::Forget { before } => {
            let day = before.get(..10).unwrap_or(before);
            sqlx::query("DELETE FROM knowledge_gaps WHERE time < ?").bind(before).execute(&mut *db).await?;
            sqlx::query("DELETE FROM knowledge_searches WHERE time < ?").bind(before).execute(&mut *db).await?;
            sqlx::query("DELETE FROM knowledge_usage WHERE day < ?").bind(day).execute(db).await?;
            Ok(())
        }
    }
}

async fn usage(row: &UsageRow, db: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO knowledge_usage (day, document_id, topic, agent, action, count) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (day, document_id, topic, agent, action) DO UPDATE SET count = count + excluded.count",
    )
    .bind(&row.day)
    .bind(&row.document_id)
    .bind(&row.topic)
    .bind(&row.agent)
    .bind(&row.action)
    .bind(row.count)
    .execute(db)
    .await?;
    Ok(())
}

async fn gap(row: &GapRow, db: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT OR IGNORE INTO knowledge_gaps
         (gap_id, time, source, reason, language, question, intent, call_id, document_id, score)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&row.gap_id)
    .bind(&row.time)
    .bind(&row.source)
    .bind(&row.reason)
    .bind(&row.language)
    .bind(&row.question)
    .bind(&row.intent)
    .bind(&row.call_id)
    .bind(&row.document_id)
    .bind(row.score)
    .execute(db)
    .await?;
    Ok(())
}

impl Store {
    /// Keeps a question that the knowledge base did not answer, or answered badly. A repeated id is kept once.
    ///
    /// # Errors
    /// The database refused.
    pub async fn record_gap(&self, row: GapRow) -> Result<(), StoreError> {
        self.write(vec![Write::Knowledge(KnowledgeWrite::Gap(row))]).await
    }

    /// Gaps from a moment on (RFC 3339, UTC), newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn gaps(&self, since: &str, limit: u32) -> Result<Vec<GapRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT gap_id, time, source, reason, language, question, intent, call_id, document_id, score
             FROM knowledge_gaps WHERE time >= ? ORDER BY time DESC, gap_id LIMIT ?",
        )
        .bind(since)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        let row = |r: sqlx::sqlite::SqliteRow| GapRow {
            gap_id: r.get(0),
            time: r.get(1),
            source: r.get(2),
            reason: r.get(3),
            language: r.get(4),
            question: r.get(5),
            intent: r.get(6),
            call_id: r.get(7),
            document_id: r.get(8),
            score: r.get(9),
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Usage from a day on (`2026-01-31`).
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn usage(&self, since_day: &str) -> Result<Vec<UsageRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT day, document_id, topic, agent, action, count FROM knowledge_usage WHERE day >= ? ORDER BY day, document_id",
        )
        .bind(since_day)
        .fetch_all(&self.readers)
        .await?;
        let row = |r: sqlx::sqlite::SqliteRow| UsageRow {
            day: r.get(0),
            document_id: r.get(1),
            topic: r.get(2),
            agent: r.get(3),
            action: r.get(4),
            count: r.get(5),
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Searches from a moment on (RFC 3339, UTC), newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn searches(&self, since: &str, limit: u32) -> Result<Vec<SearchRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT search_id, time, actor, language, query, results, score, document_id
             FROM knowledge_searches WHERE time >= ? ORDER BY time DESC, search_id LIMIT ?",
        )
        .bind(since)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        let row = |r: sqlx::sqlite::SqliteRow| SearchRow {
            search_id: r.get(0),
            time: r.get(1),
            actor: r.get(2),
            language: r.get(3),
            query: r.get(4),
            results: r.get(5),
            score: r.get(6),
            document_id: r.get(7),
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Verdicts on passages of one article, or of all.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn passage_feedback(&self, document_id: Option<&str>) -> Result<Vec<PassageFeedbackRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT passage_id, actor, document_id, verdict, at, body FROM passage_feedback
             WHERE ? IS NULL OR document_id = ? ORDER BY at",
        )
        .bind(document_id)
        .bind(document_id)
        .fetch_all(&self.readers)
        .await?;
        let row = |r: sqlx::sqlite::SqliteRow| PassageFeedbackRow {
            passage_id: r.get(0),
            actor: r.get(1),
            document_id: r.get(2),
            verdict: r.get(3),
            at: r.get(4),
            body: r.get(5),
        };
        Ok(rows.into_iter().map(row).collect())
    }
}

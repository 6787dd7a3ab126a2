//! Rules and schemes with their versions, and what people did with scorecards.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::records::ScoreRow;
use super::rows::{admitted_calls, admitted_scores, own};
use super::{Store, StoreError};
use crate::access::RowFilter;

/// A version of a rule or scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QualityDocument {
    /// `rule` or `scheme`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// From 1.
    pub version: i64,
    /// `draft`, `checked`, `published` or `retired`.
    pub state: String,
    /// RFC 3339.
    pub changed_at: String,
    /// Token id.
    pub changed_by: String,
    /// JSON.
    pub body: String,
}

/// Somebody is to look at a scorecard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignmentRow {
    /// Its id.
    pub assignment_id: String,
    /// The scorecard.
    pub score_id: String,
    /// Token id of who.
    pub assignee: String,
    /// `assigned` or `reviewed`.
    pub state: String,
    /// Whether the machine's answers are hidden.
    pub blind: bool,
    /// The calibration it belongs to.
    pub calibration: Option<String>,
    /// RFC 3339.
    pub created_at: String,
    /// JSON: how it was chosen; for calibrations the answers.
    pub body: String,
}

/// What somebody said of a hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgementRow {
    /// The scorecard.
    pub score_id: String,
    /// The conversation.
    pub call_id: String,
    /// The rule.
    pub rule_id: String,
    /// Its version.
    pub rule_version: Option<i64>,
    /// The hit; empty for the rule on the whole conversation.
    pub hit_id: String,
    /// `true_hit`, `false_hit`, `missed`, `true_miss` or `not_applicable`.
    pub verdict: String,
    /// `review`, `appeal` or `final`.
    pub stage: String,
    /// Token id.
    pub author: String,
    /// RFC 3339.
    pub at: String,
    /// JSON: turn, comment.
    pub body: String,
}

/// An appeal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppealRow {
    /// `apl_…`.
    pub appeal_id: String,
    /// The scorecard.
    pub score_id: String,
    /// `appealed`, `decided` or `closed`.
    pub state: String,
    /// RFC 3339.
    pub created_at: String,
    /// JSON.
    pub body: String,
}

/// A change of what this file holds.
#[derive(Clone, Debug)]
pub enum QualityWrite {
    /// A version of a rule or scheme; the body of a published one never changes.
    Document(QualityDocument),
    /// An assignment, new or changed.
    Assignment(AssignmentRow),
    /// A judgement; they are only added.
    Judgement(JudgementRow),
    /// An appeal, new or changed.
    Appeal(AppealRow),
    /// A calibration: its id, time and JSON.
    Calibration(String, String, String),
    /// A scorecard's earlier revision: score, revision, time, author, JSON. The first one kept stays.
    History(String, u32, String, String, String),
}

/// Which scorecards.
#[derive(Clone, Debug, Default)]
pub struct ScoreFilter {
    /// Scheme.
    pub scheme_id: Option<String>,
    /// Agent.
    pub agent_id: Option<String>,
    /// Queue.
    pub queue: Option<String>,
    /// Made at or after, RFC 3339.
    pub from: Option<String>,
    /// Made before, RFC 3339.
    pub to: Option<String>,
    /// Total below.
    pub below: Option<f64>,
    /// A rule that hit.
    pub rule_id: Option<String>,
    /// Whether there is a judgement.
    pub reviewed: Option<bool>,
    /// What the reader may see.
    pub rows: RowFilter,
    /// Behind this `(created_at, score_id)`.
    pub after: Option<(String, String)>,
    /// At most this many.
    pub limit: u32,
}

/// Which finished calls a job runs over.
#[derive(Clone, Debug, Default)]
pub struct CallChoice {
    /// Queue.
    pub queue: Option<String>,
    /// Agent.
    pub agent_id: Option<String>,
    /// Medium.
    pub channel: Option<String>,
    /// Opened at or after, RFC 3339.
    pub from: Option<String>,
    /// Opened before, RFC 3339.
    pub to: Option<String>,
    /// What the asker may see.
    pub rows: RowFilter,
}

pub(super) async fn apply(write: &QualityWrite, db: &mut SqliteConnection) -> Result<(), StoreError> {
    match write {
        QualityWrite::Document(d) => {
            sqlx::query(
                "INSERT INTO quality_documents (kind, id, version, state, changed_at, changed_by, body) VALUES (?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT (kind, id, version) DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at,
                 changed_by = excluded.changed_by, body = excluded.body",
            )
            .bind(&d.kind)
            .bind(&d.id)
            .bind(d.version)
            .bind(&d.state)
            .bind(&d.changed_at)
            .bind(&d.changed_by)
            .bind(&d.body)
        }
        QualityWrite::Assignment(a) => sqlx::query(
            "INSERT INTO assignments (assignment_id, score_id, assignee, state, blind, calibration, created_at, body)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (assignment_id) DO UPDATE SET state = excluded.state, body = excluded.body",
        )
        .bind(&a.assignment_id)
        .bind(&a.score_id)
        .bind(&a.assignee)
        .bind(&a.state)
        .bind(a.blind)
        .bind(&a.calibration)
        .bind(&a.created_at)
        .bind(&a.body),
        QualityWrite::Judgement(j) => sqlx::query(
            "INSERT INTO judgements (score_id, call_id, rule_id, rule_version, hit_id, verdict, stage, author, at, body)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&j.score_id)
        .bind(&j.call_id)
        .bind(&j.rule_id)
        .bind(j.rule_version)
        .bind(&j.hit_id)
        .bind(&j.verdict)
        .bind(&j.stage)
        .bind(&j.author)
        .bind(&j.at)
        .bind(&j.body),
        QualityWrite::Appeal(a) => sqlx::query(
            "INSERT INTO appeals (appeal_id, score_id, state, created_at, body) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (appeal_id) DO UPDATE SET state = excluded.state, body = excluded.body",
        )
        .bind(&a.appeal_id)
        .bind(&a.score_id)
        .bind(&a.state)
        .bind(&a.created_at)
        .bind(&a.body),
        QualityWrite::Calibration(id, at, body) => {
            sqlx::query("INSERT OR REPLACE INTO calibrations (calibration_id, created_at, body) VALUES (?, ?, ?)")
                .bind(id)
                .bind(at)
                .bind(body)
        }
        QualityWrite::History(score_id, revision, at, author, body) => {
            sqlx::query("INSERT OR IGNORE INTO score_history (score_id, revision, at, author, body) VALUES (?, ?, ?, ?, ?)")
                .bind(score_id)
                .bind(revision)
                .bind(at)
                .bind(author)
                .bind(body)
        }
    }
    .execute(db)
    .await?;
    Ok(())
}

impl Store {
    /// Versions of rules (`kind` = `rule`) or schemes (`scheme`), of one id or all, by id and version.
    pub async fn quality_documents(&self, kind: &str, id: Option<&str>) -> Result<Vec<QualityDocument>, StoreError> {
        let rows = sqlx::query(
            "SELECT kind, id, version, state, changed_at, changed_by, body FROM quality_documents
             WHERE kind = ?1 AND (?2 IS NULL OR id = ?2) ORDER BY id, version",
        )
        .bind(kind)
        .bind(id)
        .fetch_all(&self.readers)
        .await?;
        Ok(rows
            .iter()
            .map(|r| QualityDocument {
                kind: r.get(0),
                id: r.get(1),
                version: r.get(2),
                state: r.get(3),
                changed_at: r.get(4),
                changed_by: r.get(5),
                body: r.get(6),
            })
            .collect())
    }

    /// Assignments, newest first.
    pub async fn assignments(
        &self,
        assignee: Option<&str>,
        state: Option<&str>,
        calibration: Option<&str>,
        score_id: Option<&str>,
    ) -> Result<Vec<AssignmentRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT assignment_id, score_id, assignee, state, blind, calibration, created_at, body FROM assignments
             WHERE (?1 IS NULL OR assignee = ?1) AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR calibration = ?3)
             AND (?4 IS NULL OR score_id = ?4) ORDER BY created_at DESC, assignment_id LIMIT 1000",
        )
        .bind(assignee)
        .bind(state)
        .bind(calibration)
        .bind(score_id)
        .fetch_all(&self.readers)
        .await?;
        Ok(rows.iter().map(assignment).collect())
    }

    /// Assignments on scorecards that a reader may see, newest first; of calibrations only his own.
    pub async fn assignments_seen(
        &self,
        (reader, rows): (&str, &RowFilter),
        assignee: Option<&str>,
        state: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AssignmentRow>, StoreError> {
        let mut query = sqlx::QueryBuilder::new(
            "SELECT assignment_id, score_id, assignee, state, blind, calibration, created_at, body FROM assignments
             WHERE (calibration IS NULL OR assignee = ",
        );
        query.push_bind(reader).push(")");
        own(&mut query, "assignee", assignee);
        own(&mut query, "state", state);
        if rows.restricts() {
            query.push(" AND EXISTS (SELECT 1 FROM scores WHERE scores.score_id = assignments.score_id");
            admitted_scores(&mut query, rows);
            query.push(")");
        }
        query.push(" ORDER BY created_at DESC, assignment_id LIMIT ").push_bind(limit);
        let rows = query.build().fetch_all(&self.readers).await?;
        Ok(rows.iter().map(assignment).collect())
    }

    /// Judgements of a scorecard, oldest first.
    pub async fn judgements_of_score(&self, score_id: &str) -> Result<Vec<JudgementRow>, StoreError> {
        self.judgements("score_id", score_id).await
    }

    /// Judgements of a rule, oldest first.
    pub async fn judgements_of_rule(&self, rule_id: &str) -> Result<Vec<JudgementRow>, StoreError> {
        self.judgements("rule_id", rule_id).await
    }

    async fn judgements(&self, column: &'static str, value: &str) -> Result<Vec<JudgementRow>, StoreError> {
        let query = format!(
            "SELECT score_id, call_id, rule_id, rule_version, hit_id, verdict, stage, author, at, body FROM judgements
             WHERE {column} = ? ORDER BY id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query)).bind(value).fetch_all(&self.readers).await?;
        Ok(rows
            .iter()
            .map(|r| JudgementRow {
                score_id: r.get(0),
                call_id: r.get(1),
                rule_id: r.get(2),
                rule_version: r.get(3),
                hit_id: r.get(4),
                verdict: r.get(5),
                stage: r.get(6),
                author: r.get(7),
                at: r.get(8),
                body: r.get(9),
            })
            .collect())
    }

    /// What people last said of every judged hit: `(hit_id, true?)`.
    pub async fn judged_hits(&self) -> Result<Vec<(String, bool)>, StoreError> {
        let rows = sqlx::query(
            "SELECT hit_id, verdict FROM judgements WHERE verdict IN ('true_hit', 'false_hit') AND hit_id <> '' ORDER BY id",
        )
        .fetch_all(&self.readers)
        .await?;
        Ok(rows.iter().map(|r| (r.get(0), r.get::<String, _>(1) == "true_hit")).collect())
    }

    /// Appeals, newest first; of a scorecard, in a state, or all.
    pub async fn appeals(&self, score_id: Option<&str>, state: Option<&str>) -> Result<Vec<AppealRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT appeal_id, score_id, state, created_at, body FROM appeals
             WHERE (?1 IS NULL OR score_id = ?1) AND (?2 IS NULL OR state = ?2) ORDER BY created_at DESC LIMIT 1000",
        )
        .bind(score_id)
        .bind(state)
        .fetch_all(&self.readers)
        .await?;
        Ok(rows.iter().map(appeal).collect())
    }

    /// One appeal.
    pub async fn appeal(&self, appeal_id: &str) -> Result<Option<AppealRow>, StoreError> {
        let row = sqlx::query("SELECT appeal_id, score_id, state, created_at, body FROM appeals WHERE appeal_id = ?")
            .bind(appeal_id)
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.as_ref().map(appeal))
    }

    /// The JSON of a calibration.
    pub async fn calibration(&self, id: &str) -> Result<Option<String>, StoreError> {
        let row =
            sqlx::query("SELECT body FROM calibrations WHERE calibration_id = ?").bind(id).fetch_optional(&self.readers).await?;
        Ok(row.map(|r| r.get(0)))
    }

    /// Earlier revisions of a scorecard as JSON, oldest first.
    pub async fn score_history(&self, score_id: &str) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query("SELECT body FROM score_history WHERE score_id = ? ORDER BY revision")
            .bind(score_id)
            .fetch_all(&self.readers)
            .await?;
        Ok(rows.iter().map(|r| r.get(0)).collect())
    }

    /// Scorecards of a filter, newest first.
    pub async fn scores_where(&self, filter: &ScoreFilter) -> Result<Vec<ScoreRow>, StoreError> {
        let mut query = sqlx::QueryBuilder::new(
            "SELECT score_id, call_id, scheme_id, clock, total, agent_id, queue, created_at, body FROM scores WHERE clock = 'post'",
        );
        for (column, value) in [("scheme_id", &filter.scheme_id), ("agent_id", &filter.agent_id), ("queue", &filter.queue)] {
            own(&mut query, column, value.as_deref());
        }
        admitted_scores(&mut query, &filter.rows);
        if let Some(from) = &filter.from {
            query.push(" AND created_at >= ").push_bind(from);
        }
        if let Some(to) = &filter.to {
            query.push(" AND created_at < ").push_bind(to);
        }
        if let Some(below) = filter.below {
            query.push(" AND total < ").push_bind(below);
        }
        if let Some(rule) = &filter.rule_id {
            query.push(
                " AND EXISTS (SELECT 1 FROM json_each(scores.body, '$.results') AS r
                 WHERE r.value ->> '$.rule' = ",
            );
            query.push_bind(rule).push(" AND r.value ->> '$.state' = 'hit')");
        }
        if let Some(reviewed) = filter.reviewed {
            query.push(if reviewed { " AND" } else { " AND NOT" });
            query.push(" EXISTS (SELECT 1 FROM judgements AS j WHERE j.score_id = scores.score_id)");
        }
        if let Some((created_at, score_id)) = &filter.after {
            query.push(" AND (created_at < ").push_bind(created_at);
            query.push(" OR (created_at = ").push_bind(created_at);
            query.push(" AND score_id > ").push_bind(score_id).push("))");
        }
        query.push(" ORDER BY created_at DESC, score_id LIMIT ").push_bind(filter.limit);
        let rows = query.build().fetch_all(&self.readers).await?;
        Ok(rows.into_iter().map(super::records::score).collect())
    }

    /// State of a rule in post-call scorecards, of all or those made at or after a time: `(created_at date, version,
    /// state, number)`.
    pub async fn rule_states(
        &self,
        rule_id: &str,
        from: Option<&str>,
    ) -> Result<Vec<(String, Option<i64>, String, u64)>, StoreError> {
        let rows = sqlx::query(
            "SELECT substr(scores.created_at, 1, 10), r.value ->> '$.version', r.value ->> '$.state', COUNT(*)
             FROM scores, json_each(scores.body, '$.results') AS r
             WHERE scores.clock = 'post' AND scores.created_at >= ?1 AND r.value ->> '$.rule' = ?2 GROUP BY 1, 2, 3 ORDER BY 1",
        )
        .bind(from.unwrap_or_default())
        .bind(rule_id)
        .fetch_all(&self.readers)
        .await?;
        Ok(rows.iter().map(|r| (r.get(0), r.get(1), r.get(2), u64::try_from(r.get::<i64, _>(3)).unwrap_or(0))).collect())
    }

    /// Ids of finished calls, oldest first.
    pub async fn chosen_calls(&self, choice: &CallChoice) -> Result<Vec<String>, StoreError> {
        let mut query = sqlx::QueryBuilder::new("SELECT call_id FROM calls WHERE state = 'completed'");
        for (column, value) in [("queue", &choice.queue), ("agent_id", &choice.agent_id), ("channel", &choice.channel)] {
            own(&mut query, column, value.as_deref());
        }
        admitted_calls(&mut query, &choice.rows);
        if let Some(from) = &choice.from {
            query.push(" AND created_at >= ").push_bind(from);
        }
        if let Some(to) = &choice.to {
            query.push(" AND created_at < ").push_bind(to);
        }
        query.push(" ORDER BY created_at, call_id");
        let rows = query.build().fetch_all(&self.readers).await?;
        Ok(rows.iter().map(|r| r.get(0)).collect())
    }
}

fn appeal(r: &SqliteRow) -> AppealRow {
    AppealRow { appeal_id: r.get(0), score_id: r.get(1), state: r.get(2), created_at: r.get(3), body: r.get(4) }
}

fn assignment(r: &SqliteRow) -> AssignmentRow {
    AssignmentRow {
        assignment_id: r.get(0),
        score_id: r.get(1),
        assignee: r.get(2),
        state: r.get(3),
        blind: r.get(4),
        calibration: r.get(5),
        created_at: r.get(6),
        body: r.get(7),
    }
}

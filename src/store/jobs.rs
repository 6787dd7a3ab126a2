//! Long work and its items.

use sqlx::{Row, SqliteConnection};

use super::rows::{one_of, own};
use super::{Store, StoreError};

/// A job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRow {
    /// `job_…`.
    pub job_id: String,
    /// Which kind of work.
    pub kind: String,
    /// `queued`, `running`, `succeeded`, `failed` or `cancelled`.
    pub state: String,
    /// Id of the token that asked for it.
    pub owner: String,
    /// Items worked, failed ones included.
    pub done: u64,
    /// Items in all; unknown until the job is planned.
    pub total: Option<u64>,
    /// Items that failed.
    pub failed: u64,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub started_at: Option<String>,
    /// RFC 3339.
    pub finished_at: Option<String>,
    /// What was asked for, JSON.
    pub spec: String,
    /// What came of it, JSON.
    pub result: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

/// An item of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobItemRow {
    /// Its number, from 0.
    pub item: u64,
    /// Its name, for example the id of a call.
    pub key: String,
    /// `pending`, `done` or `failed`.
    pub state: String,
    /// What came of it (JSON), or why it failed.
    pub body: Option<String>,
}

/// A change of a job.
#[derive(Clone, Debug)]
pub enum JobWrite {
    /// The whole row.
    Row(Box<JobRow>),
    /// All its items, by name. They are planned once: a second plan changes nothing.
    Plan {
        /// Job.
        job_id: String,
        /// Names.
        keys: Vec<String>,
    },
    /// An item was worked. Fails, with everything it is committed with, if it was worked before.
    Item {
        /// Job.
        job_id: String,
        /// Number.
        item: u64,
        /// Whether it failed.
        failed: bool,
        /// What came of it.
        body: Option<String>,
    },
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

pub(super) async fn apply(write: &JobWrite, db: &mut SqliteConnection) -> Result<(), StoreError> {
    match write {
        JobWrite::Row(row) => apply_row(row, db).await,
        JobWrite::Plan { job_id, keys } => {
            for (item, key) in keys.iter().enumerate() {
                sqlx::query("INSERT OR IGNORE INTO job_items (job_id, item, key, state) VALUES (?, ?, ?, 'pending')")
                    .bind(job_id)
                    .bind(number(item as u64))
                    .bind(key)
                    .execute(&mut *db)
                    .await?;
            }
            sqlx::query("UPDATE jobs SET total = ? WHERE job_id = ?")
                .bind(number(keys.len() as u64))
                .bind(job_id)
                .execute(db)
                .await?;
            Ok(())
        }
        JobWrite::Item { job_id, item, failed, body } => {
            let state = if *failed { "failed" } else { "done" };
            let changed =
                sqlx::query("UPDATE job_items SET state = ?, body = ? WHERE job_id = ? AND item = ? AND state = 'pending'")
                    .bind(state)
                    .bind(body)
                    .bind(job_id)
                    .bind(number(*item))
                    .execute(&mut *db)
                    .await?
                    .rows_affected();
            if changed == 0 {
                return Err(StoreError::Exists { what: "the result of job item", id: format!("{job_id}/{item}") });
            }
            sqlx::query("UPDATE jobs SET done = done + 1, failed = failed + ? WHERE job_id = ?")
                .bind(i64::from(*failed))
                .bind(job_id)
                .execute(db)
                .await?;
            Ok(())
        }
    }
}

async fn apply_row(row: &JobRow, db: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO jobs (job_id, kind, state, owner, done, total, failed, created_at, started_at, finished_at, spec, result, error)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (job_id) DO UPDATE SET state = excluded.state, started_at = excluded.started_at,
         finished_at = excluded.finished_at, result = excluded.result, error = excluded.error",
    )
    .bind(&row.job_id)
    .bind(&row.kind)
    .bind(&row.state)
    .bind(&row.owner)
    .bind(number(row.done))
    .bind(row.total.map(number))
    .bind(number(row.failed))
    .bind(&row.created_at)
    .bind(&row.started_at)
    .bind(&row.finished_at)
    .bind(&row.spec)
    .bind(&row.result)
    .bind(&row.error)
    .execute(db)
    .await?;
    Ok(())
}

const COLUMNS: &str = "job_id, kind, state, owner, done, total, failed, created_at, started_at, finished_at, spec, result, error";

impl Store {
    /// One job.
    pub async fn job(&self, job_id: &str) -> Result<Option<JobRow>, StoreError> {
        let query = format!("SELECT {COLUMNS} FROM jobs WHERE job_id = ?");
        let row = sqlx::query(sqlx::AssertSqlSafe(query)).bind(job_id).fetch_optional(&self.readers).await?;
        Ok(row.map(|r| job(&r)))
    }

    /// Jobs that a reader may see, his own and those of some kinds, newest first.
    pub async fn jobs_seen(
        &self,
        (reader, kinds): (&str, &[&str]),
        kind: Option<&str>,
        state: Option<&str>,
        limit: u32,
    ) -> Result<Vec<JobRow>, StoreError> {
        let mut query = sqlx::QueryBuilder::new(format!("SELECT {COLUMNS} FROM jobs WHERE (owner = "));
        query.push_bind(reader).push(" OR (1 = ").push_bind(i64::from(!kinds.is_empty()));
        one_of(&mut query, "kind", kinds);
        query.push("))");
        own(&mut query, "kind", kind);
        own(&mut query, "state", state);
        query.push(" ORDER BY created_at DESC, job_id LIMIT ").push_bind(limit);
        let rows = query.build().fetch_all(&self.readers).await?;
        Ok(rows.iter().map(job).collect())
    }

    /// Jobs that a start has to take up, oldest first.
    pub async fn open_jobs(&self) -> Result<Vec<JobRow>, StoreError> {
        let query = format!("SELECT {COLUMNS} FROM jobs WHERE state IN ('queued', 'running') ORDER BY created_at, job_id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(&self.readers).await?;
        Ok(rows.iter().map(job).collect())
    }

    /// Items of a job in a state, in their order, from a number on.
    pub async fn job_items(&self, job_id: &str, state: &str, from: u64, limit: u32) -> Result<Vec<JobItemRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT item, key, state, body FROM job_items WHERE job_id = ? AND state = ? AND item >= ? ORDER BY item LIMIT ?",
        )
        .bind(job_id)
        .bind(state)
        .bind(number(from))
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        Ok(rows.iter().map(item).collect())
    }
}

fn job(r: &sqlx::sqlite::SqliteRow) -> JobRow {
    JobRow {
        job_id: r.get(0),
        kind: r.get(1),
        state: r.get(2),
        owner: r.get(3),
        done: count(r.get(4)),
        total: r.get::<Option<i64>, _>(5).map(count),
        failed: count(r.get(6)),
        created_at: r.get(7),
        started_at: r.get(8),
        finished_at: r.get(9),
        spec: r.get(10),
        result: r.get(11),
        error: r.get(12),
    }
}

fn item(r: &sqlx::sqlite::SqliteRow) -> JobItemRow {
    JobItemRow { item: count(r.get(0)), key: r.get(1), state: r.get(2), body: r.get(3) }
}

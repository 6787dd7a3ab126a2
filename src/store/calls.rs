//! Reading calls and their events.

use sqlx::Row;

use super::rows::{admitted_calls, own};
use super::{Store, StoreError};
use crate::access::RowFilter;
use crate::event::{Call, Event};

/// Which calls, and from where.
#[derive(Clone, Debug, Default)]
pub struct CallFilter {
    /// State name.
    pub state: Option<String>,
    /// Queue.
    pub queue: Option<String>,
    /// Agent.
    pub agent_id: Option<String>,
    /// Medium.
    pub channel: Option<String>,
    /// What the reader may see.
    pub rows: RowFilter,
    /// Behind this `(created_at, call_id)`.
    pub after: Option<(String, String)>,
    /// At most this many, 50 by default, 200 at most.
    pub limit: Option<u32>,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Whether there are more behind them.
    pub more: bool,
}

impl Store {
    /// One call.
    pub async fn call(&self, call_id: &str) -> Result<Option<Call>, StoreError> {
        let row =
            sqlx::query("SELECT call_id, body FROM calls WHERE call_id = ?").bind(call_id).fetch_optional(&self.readers).await?;
        row.map(|r| call(&r)).transpose()
    }

    /// The call of an external name.
    pub async fn call_by_external_id(&self, external_id: &str) -> Result<Option<Call>, StoreError> {
        let row = sqlx::query("SELECT call_id, body FROM calls WHERE external_id = ?")
            .bind(external_id)
            .fetch_optional(&self.readers)
            .await?;
        row.map(|r| call(&r)).transpose()
    }

    /// Calls, newest first.
    pub async fn list_calls(&self, filter: &CallFilter) -> Result<Page<Call>, StoreError> {
        let limit = filter.limit.unwrap_or(50).clamp(1, 200);
        let mut query = sqlx::QueryBuilder::new("SELECT call_id, body FROM calls WHERE 1 = 1");
        for (column, value) in
            [("state", &filter.state), ("queue", &filter.queue), ("agent_id", &filter.agent_id), ("channel", &filter.channel)]
        {
            own(&mut query, column, value.as_deref());
        }
        admitted_calls(&mut query, &filter.rows);
        if let Some((created_at, call_id)) = &filter.after {
            query.push(" AND (created_at < ").push_bind(created_at);
            query.push(" OR (created_at = ").push_bind(created_at);
            query.push(" AND call_id > ").push_bind(call_id).push("))");
        }
        query.push(" ORDER BY created_at DESC, call_id LIMIT ").push_bind(limit + 1);
        let rows = query.build().fetch_all(&self.readers).await?;
        let more = rows.len() > limit as usize;
        let items = rows.iter().take(limit as usize).map(call).collect::<Result<_, _>>()?;
        Ok(Page { items, more })
    }

    /// Calls that were not finished: what a start after a crash has to take up.
    pub async fn unfinished_calls(&self) -> Result<Vec<Call>, StoreError> {
        let rows = sqlx::query("SELECT call_id, body FROM calls WHERE state IN ('created', 'live', 'post')")
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(call).collect()
    }

    /// Durable events of a call from a number on, as they were written.
    pub async fn events(&self, call_id: &str, from_seq: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        let rows = sqlx::query("SELECT body FROM events WHERE call_id = ? AND seq >= ? ORDER BY seq LIMIT ?")
            .bind(call_id)
            .bind(i64::try_from(from_seq).unwrap_or(i64::MAX))
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|r| {
                let body: String = r.get(0);
                serde_json::from_str(&body).map_err(|e| StoreError::Corrupt {
                    what: "event of",
                    id: call_id.to_owned(),
                    message: e.to_string(),
                })
            })
            .collect()
    }

    /// Number of the last durable event of a call, 0 if there is none.
    pub async fn last_seq(&self, call_id: &str) -> Result<u64, StoreError> {
        let row = sqlx::query("SELECT COALESCE(MAX(seq), 0) FROM events WHERE call_id = ?")
            .bind(call_id)
            .fetch_one(&self.readers)
            .await?;
        Ok(u64::try_from(row.get::<i64, _>(0)).unwrap_or(0))
    }

    /// Whether a call is over and its work after the end is done: its last event is in the log.
    pub async fn is_over(&self, call_id: &str) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT 1 FROM calls WHERE call_id = ? AND state IN ('completed', 'failed')")
            .bind(call_id)
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.is_some())
    }

    /// The answer given to a message with this external name.
    pub async fn message(&self, call_id: &str, external_id: &str) -> Result<Option<String>, StoreError> {
        let row = sqlx::query("SELECT body FROM messages WHERE call_id = ? AND external_id = ?")
            .bind(call_id)
            .bind(external_id)
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.map(|r| r.get(0)))
    }
}

fn call(row: &sqlx::sqlite::SqliteRow) -> Result<Call, StoreError> {
    let body: String = row.get(1);
    serde_json::from_str(&body).map_err(|e| StoreError::Corrupt { what: "call", id: row.get(0), message: e.to_string() })
}

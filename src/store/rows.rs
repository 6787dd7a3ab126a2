//! Row filters as conditions of a query, so that a limit counts only what the reader may see.

use sqlx::{QueryBuilder, Sqlite};

use crate::access::RowFilter;

/// ` AND …` for everything that a filter restricts, on the table `calls`.
pub(super) fn admitted_calls(query: &mut QueryBuilder<Sqlite>, rows: &RowFilter) {
    one_of(query, "calls.queue", &rows.queues);
    one_of(query, "calls.team", &rows.teams);
    own(query, "calls.agent_id", rows.agent_id.as_deref());
}

/// The same on the table `scores`: a scorecard of a stored call is seen by whom the call is, one of an imported conversation
/// by its agent and queue.
pub(super) fn admitted_scores(query: &mut QueryBuilder<Sqlite>, rows: &RowFilter) {
    if !rows.restricts() {
        return;
    }
    query.push(" AND (EXISTS (SELECT 1 FROM calls WHERE calls.call_id = scores.call_id");
    admitted_calls(query, rows);
    query.push(")");
    // A scorecard knows no team.
    if rows.teams.is_empty() {
        query.push(" OR (1 = 1");
        one_of(query, "scores.queue", &rows.queues);
        own(query, "scores.agent_id", rows.agent_id.as_deref());
        query.push(")");
    }
    query.push(")");
}

/// ` AND column IN (…)`; nothing for an empty list.
pub(super) fn one_of<T: AsRef<str>>(query: &mut QueryBuilder<Sqlite>, column: &str, list: &[T]) {
    if list.is_empty() {
        return;
    }
    query.push(format!(" AND {column} IN ("));
    let mut parts = query.separated(", ");
    for value in list {
        parts.push_bind(value.as_ref());
    }
    query.push(")");
}

/// ` AND column = …`; nothing without a value.
pub(super) fn own(query: &mut QueryBuilder<Sqlite>, column: &str, value: Option<&str>) {
    if let Some(value) = value {
        query.push(format!(" AND {column} = ")).push_bind(value);
    }
}

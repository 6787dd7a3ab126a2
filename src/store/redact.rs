//! Personal data that showed itself late goes out of what is already in the log.

use sqlx::{Row as _, SqliteConnection};

use super::StoreError;
use crate::conversation::{Utterance, UtteranceId};
use crate::event::Event;
use crate::privacy::{Finding, mask, masked_value};

/// Masks the findings in every stored event that has the words of the utterance, and in the kept answer to its message.
/// Numbers, times and types of the events stay.
pub(super) async fn apply(
    call_id: &str,
    utterance_id: &UtteranceId,
    findings: &[Finding],
    db: &mut SqliteConnection,
) -> Result<(), StoreError> {
    let rows = sqlx::query(
        "SELECT seq, body FROM events
         WHERE call_id = ? AND type IN ('transcript.final', 'transcript.revised', 'message.added', 'utterance.understood') AND instr(body, ?) > 0",
    )
    .bind(call_id)
    .bind(utterance_id.as_str())
    .fetch_all(&mut *db)
    .await?;
    for row in rows {
        let body: String = row.try_get("body")?;
        let mut event: Event = serde_json::from_str(&body).map_err(|e| StoreError::Database(e.to_string()))?;
        if event.body.take_out(utterance_id, findings) {
            sqlx::query("UPDATE events SET body = ? WHERE call_id = ? AND seq = ?")
                .bind(json(&event)?)
                .bind(call_id)
                .bind(row.try_get::<i64, _>("seq")?)
                .execute(&mut *db)
                .await?;
        }
    }
    let answer = sqlx::query("SELECT external_id, body FROM messages WHERE call_id = ? AND utterance_id = ?")
        .bind(call_id)
        .bind(utterance_id.as_str())
        .fetch_optional(&mut *db)
        .await?;
    if let Some(row) = answer {
        let body: String = row.try_get("body")?;
        let utterance: Utterance = serde_json::from_str(&body).map_err(|e| StoreError::Database(e.to_string()))?;
        let masked =
            Utterance { text: mask(&utterance.text, findings), raw_text: masked_value(&utterance.raw_text), ..utterance };
        sqlx::query("UPDATE messages SET body = ? WHERE call_id = ? AND external_id = ?")
            .bind(json(&masked)?)
            .bind(call_id)
            .bind(row.try_get::<String, _>("external_id")?)
            .execute(&mut *db)
            .await?;
    }
    Ok(())
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Database(e.to_string()))
}

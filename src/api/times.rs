//! Times of requests in the form of the store, in which they can be compared as text.

use chrono::{DateTime, SecondsFormat, Utc};

use super::Problem;

/// An RFC 3339 time of any offset, in UTC with milliseconds.
///
/// # Errors
/// `invalid_value` with the pointer of the field, if it is no such time.
pub(super) fn in_utc(pointer: &str, time: &str) -> Result<String, Problem> {
    let read = DateTime::parse_from_rfc3339(time);
    let read = read.map_err(|_| Problem::invalid(pointer, "not an RFC 3339 time, such as 2026-12-01T08:00:00+08:00"))?;
    Ok(read.with_timezone(&Utc).to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// The same of a field that may be absent.
///
/// # Errors
/// As [`in_utc`].
pub(super) fn maybe_in_utc(pointer: &str, time: Option<&str>) -> Result<Option<String>, Problem> {
    time.map(|time| in_utc(pointer, time)).transpose()
}

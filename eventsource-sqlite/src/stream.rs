use eventsource_core::{StreamId, Version};
use rusqlite::{Connection, OptionalExtension, Statement};

/// A stream's newest event: its version and position.
pub(crate) fn newest(
    statement: &mut Statement<'_>,
    stream: &StreamId,
) -> rusqlite::Result<Option<(i64, i64)>> {
    let parameters = (stream.aggregate_id().into_bytes(), stream.aggregate_type().as_str());
    statement.query_row(parameters, |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

/// The statement that [`newest`] runs.
pub(crate) const NEWEST: &str = include_str!("sql/newest_of_stream.sql");

/// The stream's version; none if it has no event.
pub(crate) fn version(
    connection: &Connection,
    stream: &StreamId,
) -> eventsource_core::Result<Option<Version>> {
    let found = connection
        .prepare_cached(NEWEST)
        .and_then(|mut statement| newest(&mut statement, stream))
        .map_err(|error| crate::error::failed("reading a stream's version", error))?;
    found.map(|(version, _)| Version::try_from(version)).transpose()
}

/// The first and the last version among the stream's events that lie behind `after` and not behind `until`; the last is
/// lower than the first if there is none.
///
/// Versions rise with positions, and the stream's index is ordered by version. So a part of the log is looked up as a
/// part of the stream, however long it is, and pages of a stream never begin at its first event again.
pub(crate) fn versions_between(
    connection: &Connection,
    stream: &StreamId,
    after: i64,
    until: i64,
) -> rusqlite::Result<(i64, i64)> {
    let newest = newest(&mut *connection.prepare_cached(NEWEST)?, stream)?;
    let Some(newest) = newest else { return Ok((1, 0)) };
    let first = first_behind(connection, stream, after, newest)?;
    let last = first_behind(connection, stream, until, newest)? - 1;
    Ok((first, last))
}

/// The lowest version from which on all events lie behind `position`.
fn first_behind(
    connection: &Connection,
    stream: &StreamId,
    position: i64,
    (newest_version, newest_position): (i64, i64),
) -> rusqlite::Result<i64> {
    if position == 0 {
        return Ok(1);
    }
    if newest_position <= position {
        return Ok(newest_version + 1);
    }
    let mut next = connection.prepare_cached(include_str!("sql/next_of_stream.sql"))?;
    let (id, aggregate_type) = (stream.aggregate_id().into_bytes(), stream.aggregate_type().as_str());
    // Whatever has version `low - 1` lies at or before `position`, and whatever has `high` behind it.
    let (mut low, mut high) = (1, newest_version);
    while low < high {
        let middle = low + (high - low) / 2;
        let (found, lies_at): (i64, i64) =
            next.query_row((id, aggregate_type, middle), |row| Ok((row.get(0)?, row.get(1)?)))?;
        if lies_at > position {
            high = middle;
        } else {
            low = found + 1;
        }
    }
    Ok(low)
}

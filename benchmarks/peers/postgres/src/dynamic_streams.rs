use std::sync::Arc;

use common::{Event, Failure, Stream, System, broken};
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use sqlx::postgres::PgRow;
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{PgPool, Row};

/// The published SQL, driven through the same pool as the others. Values are bound, where the original writes them into
/// the text: that is kinder to it.
pub(crate) struct DynamicStreams(PgPool);

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS events (
    sequence_number BIGSERIAL PRIMARY KEY,
    occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
    event_type TEXT NOT NULL,
    payload JSONB NOT NULL,
    metadata JSONB DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS idx_events_event_type ON events (event_type);
CREATE INDEX IF NOT EXISTS idx_events_occurred_at ON events (occurred_at);
CREATE INDEX IF NOT EXISTS idx_events_payload_gin ON events USING gin (payload jsonb_path_ops);
CREATE INDEX IF NOT EXISTS idx_events_metadata_gin ON events USING gin (metadata jsonb_path_ops);
";
const ROWS_AT_ONCE: u64 = 5_000;

impl System for DynamicStreams {
    async fn open(place: &str) -> Result<Self, Failure> {
        let pool = crate::pool(place).await?;
        if let Err(error) = sqlx::raw_sql(SCHEMA).execute(&pool).await
            && !crate::is_conflict(&error)
        {
            return Err(broken(error));
        }
        Ok(Self(pool))
    }

    async fn append(&self, stream: Stream, expected: u64, events: Vec<Event>) -> Result<(), Failure> {
        let filter = [json!({ "order": stream.0 })];
        let expected = if expected == 0 { 0 } else { self.query(&filter).await?.1 };
        self.append_if(&filter, expected, &events).await
    }

    async fn read_stream(&self, stream: Stream) -> Result<u64, Failure> {
        Ok(self.query(&[json!({ "order": stream.0 })]).await?.0)
    }

    async fn decide(&self, event: Event) -> Result<(), Failure> {
        let filter = [json!({ "course": event.payload.course }), json!({ "student": event.payload.student })];
        let (_, last) = self.query(&filter).await?;
        self.append_if(&filter, last, &[event]).await
    }

    async fn find_type(&self, event_type: &'static str) -> Result<u64, Failure> {
        let rows = sqlx::query(
            "SELECT event_type, occurred_at, payload, metadata, sequence_number FROM events \
             WHERE event_type = $1 ORDER BY sequence_number ASC",
        )
        .bind(event_type)
        .fetch(&self.0);
        Ok(count(rows).await?.0)
    }

    async fn find_customer(&self, customer: &'static str) -> Result<u64, Failure> {
        Ok(self.query(&[json!({ "customer": customer })]).await?.0)
    }

    async fn feed(&self) -> Result<u64, Failure> {
        let rows = sqlx::query(
            "SELECT event_type, occurred_at, payload, metadata, sequence_number FROM events ORDER BY sequence_number ASC",
        )
        .fetch(&self.0);
        Ok(count(rows).await?.0)
    }

    async fn preload(self: Arc<Self>, size: u64) -> Result<(), Failure> {
        let mut first = 0;
        while first < size {
            let events: Vec<Event> = (first..size.min(first + ROWS_AT_ONCE))
                .map(|number| Event::preloaded(number, size).2)
                .collect();
            let types: Vec<&str> = events.iter().map(|event| event.event_type).collect();
            let payloads = events.iter().map(|event| serde_json::to_string(&event.payload));
            let payloads = payloads.collect::<Result<Vec<_>, _>>().map_err(broken)?;
            sqlx::query(
                "INSERT INTO events (occurred_at, event_type, payload, metadata) \
                 SELECT now(), e.type, e.payload::jsonb, '{}' FROM unnest($1::text[], $2::text[]) AS e(type, payload)",
            )
            .bind(types)
            .bind(payloads)
            .execute(&self.0)
            .await
            .map_err(broken)?;
            first += ROWS_AT_ONCE;
        }
        Ok(())
    }

    /// Numbers are given out in another order each time, and times are those of the appends.
    async fn rows(&self) -> Result<Vec<String>, Failure> {
        let sql =
            "SELECT (to_jsonb(events) - 'sequence_number' - 'occurred_at')::text FROM events ORDER BY 1";
        sqlx::query_scalar(sql).fetch_all(&self.0).await.map_err(broken)
    }
}

impl DynamicStreams {
    /// How many events match any of these, and the last one's number.
    async fn query(&self, filter: &[Value]) -> Result<(u64, i64), Failure> {
        let sql = format!(
            "SELECT event_type, occurred_at, payload, metadata, sequence_number FROM events WHERE {} \
             ORDER BY sequence_number ASC",
            matching(filter)
        );
        let query = filter.iter().fold(sqlx::query(&sql), |query, value| query.bind(value));
        count(query.fetch(&self.0)).await
    }

    async fn append_if(&self, filter: &[Value], expected: i64, events: &[Event]) -> Result<(), Failure> {
        let context = format!(
            "WITH context AS (SELECT MAX(sequence_number) AS max_seq FROM events WHERE {})",
            matching(filter)
        );
        let number = filter.len() + 1;
        let first = number + 1;
        let sql = if events.len() == 1 {
            format!(
                "{context} INSERT INTO events (event_type, occurred_at, payload, metadata) \
                 SELECT ${first}, ${}, ${}, ${} FROM context WHERE (COALESCE(max_seq, 0) = ${number})",
                first + 1,
                first + 2,
                first + 3
            )
        } else {
            let rows: Vec<String> = (0..events.len())
                .map(|index| first + 4 * index)
                .map(|first| {
                    format!(
                        "SELECT ${first}::text, ${}::timestamp with time zone, ${}::jsonb, ${}::jsonb",
                        first + 1,
                        first + 2,
                        first + 3
                    )
                })
                .collect();
            format!(
                "{context}, vals AS ({}) INSERT INTO events (event_type, occurred_at, payload, metadata) \
                 SELECT vals.* FROM context, vals WHERE (COALESCE(max_seq, 0) = ${number})",
                rows.join(" UNION ALL ")
            )
        };
        let mut query =
            filter.iter().fold(sqlx::query(&sql), |query, value| query.bind(value)).bind(expected);
        let now = DateTime::<Utc>::from_timestamp(1_700_000_000, 0);
        for event in events {
            let payload = serde_json::to_value(&event.payload).map_err(broken)?;
            query = query.bind(event.event_type).bind(now).bind(payload).bind(json!({}));
        }
        let inserted = query.execute(&self.0).await.map_err(broken)?.rows_affected();
        if inserted >= events.len() as u64 { Ok(()) } else { Err(Failure::Conflict) }
    }
}

fn matching(filter: &[Value]) -> String {
    let predicates: Vec<String> = (1..=filter.len()).map(|number| format!("payload @> ${number}")).collect();
    format!("({})", predicates.join(" OR "))
}

async fn count(
    rows: futures_util::stream::BoxStream<'_, Result<PgRow, sqlx::Error>>,
) -> Result<(u64, i64), Failure> {
    rows.try_fold((0, 0), |(count, _), row| {
        let event: (String, DateTime<Utc>, Value, Value) = (row.get(0), row.get(1), row.get(2), row.get(3));
        std::hint::black_box(event);
        std::future::ready(Ok((count + 1, row.get(4))))
    })
    .await
    .map_err(broken)
}

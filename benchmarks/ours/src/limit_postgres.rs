use std::pin::pin;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{Event, Failure, PAGE as PROJECTED, Stream, System, View, broken};
use eventsource_core::EventStore;
use eventsource_postgres::{PostgresConfig, PostgresStore};
use futures_util::StreamExt;
use serde_json::value::RawValue;
use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{Json, ToSql, Type};
use tokio_postgres::{Client, NoTls, Row, Statement};
use uuid::Uuid;

use crate::postgres::{COUNT, COUNTS};

/// A prepared insert of many rows into our tables, with our indexes, through 16 connections; reading is one statement for
/// 5,000 rows that decodes every column. Nothing is checked, and positions are given out by the client.
pub(crate) struct InsertLimit(Connections);

/// A binary COPY into the same tables; what it reads is `InsertLimit`'s.
pub(crate) struct CopyLimit(Connections);

const CONNECTIONS: usize = 16;
const PAGE: i64 = 5_000;

struct Connections {
    connections: Vec<Mutex<Connection>>,
    next: AtomicUsize,
    position: AtomicI64,
}

struct Connection {
    client: Client,
    insert_events: Statement,
    insert_tags: Statement,
    page: Statement,
    stream: Statement,
    by_type: Statement,
    by_customer: Statement,
}

impl System for InsertLimit {
    async fn open(place: &str) -> Result<Self, Failure> {
        Connections::open(place).await.map(Self)
    }

    async fn append(&self, stream: Stream, expected: u64, events: Vec<Event>) -> Result<(), Failure> {
        let rows = Rows::new(&self.0, stream, expected, &events)?;
        let mut connection = self.0.connection().await;
        let Connection { client, insert_events, insert_tags, .. } = &mut *connection;
        // Pipelined: one round trip, one commit.
        let transaction = client.transaction().await.map_err(broken)?;
        let events: [&(dyn ToSql + Sync); 8] = [
            &rows.positions,
            &rows.ids,
            &rows.streams,
            &rows.versions,
            &rows.types,
            &rows.payloads,
            &rows.tag_lists,
            &rows.indexes,
        ];
        let tags: [&(dyn ToSql + Sync); 2] = [&rows.tags, &rows.tag_positions];
        let (inserted, tagged) = tokio::join!(
            transaction.execute(&*insert_events, &events),
            transaction.execute(&*insert_tags, &tags)
        );
        inserted.map_err(broken)?;
        tagged.map_err(broken)?;
        transaction.commit().await.map_err(broken)
    }

    async fn read_stream(&self, stream: Stream) -> Result<u64, Failure> {
        self.0.read_stream(stream).await
    }

    async fn find_type(&self, event_type: &'static str) -> Result<u64, Failure> {
        let connection = self.0.connection().await;
        read(&connection.client, &connection.by_type, &[&event_type]).await.map(|(count, _)| count)
    }

    async fn find_customer(&self, customer: &'static str) -> Result<u64, Failure> {
        let connection = self.0.connection().await;
        read(&connection.client, &connection.by_customer, &[&customer]).await.map(|(count, _)| count)
    }

    async fn feed(&self) -> Result<u64, Failure> {
        self.0.feed(PAGE).await
    }

    async fn project(&self, _name: &str, view: View) -> Result<u64, Failure> {
        match view {
            View::None => self.0.feed(PROJECTED as i64).await,
            View::Empty => Err(Failure::absent("a bare loop keeps no checkpoint")),
            View::Counts => self.0.count_by_type().await,
        }
    }
}

impl System for CopyLimit {
    async fn open(place: &str) -> Result<Self, Failure> {
        Connections::open(place).await.map(Self)
    }

    async fn append(&self, stream: Stream, expected: u64, events: Vec<Event>) -> Result<(), Failure> {
        let rows = Rows::new(&self.0, stream, expected, &events)?;
        let mut connection = self.0.connection().await;
        let transaction = connection.client.transaction().await.map_err(broken)?;
        let sink = transaction.copy_in(COPY_EVENTS).await.map_err(broken)?;
        let types = [
            Type::INT8,
            Type::UUID,
            Type::UUID,
            Type::VARCHAR,
            Type::INT8,
            Type::VARCHAR,
            Type::TIMESTAMPTZ,
            Type::JSONB,
            Type::TEXT_ARRAY,
            Type::INT4,
        ];
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
        for index in 0..rows.ids.len() {
            let tags = rows.tags_of(index);
            let row: [&(dyn ToSql + Sync); 10] = [
                &rows.positions[index],
                &rows.ids[index],
                &rows.streams[index],
                &Stream::TYPE,
                &rows.versions[index],
                &rows.types[index],
                &rows.time,
                &rows.payloads[index],
                &tags,
                &rows.indexes[index],
            ];
            writer.as_mut().write(&row).await.map_err(broken)?;
        }
        writer.finish().await.map_err(broken)?;
        let sink = transaction.copy_in(COPY_TAGS).await.map_err(broken)?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &[Type::TEXT, Type::INT8]));
        for (tag, position) in rows.tags.iter().zip(&rows.tag_positions) {
            writer.as_mut().write(&[tag, position]).await.map_err(broken)?;
        }
        writer.finish().await.map_err(broken)?;
        transaction.commit().await.map_err(broken)
    }

    async fn read_stream(&self, _stream: Stream) -> Result<u64, Failure> {
        Err(Failure::absent("COPY is for writing; see limit-postgres-insert"))
    }

    async fn feed(&self) -> Result<u64, Failure> {
        Err(Failure::absent("COPY is for writing; see limit-postgres-insert"))
    }
}

const COPY_EVENTS: &str = "COPY events (global_position, event_id, aggregate_id, aggregate_type, version, event_type, \
    timestamp, payload, tags, append_index) FROM STDIN (FORMAT binary)";
const COPY_TAGS: &str = "COPY event_tags (tag, position) FROM STDIN (FORMAT binary)";
const INSERT_EVENTS: &str = "INSERT INTO events (global_position, event_id, aggregate_id, aggregate_type, version, \
    event_type, timestamp, payload, tags, append_index) \
    SELECT e.position, e.id, e.stream, 'Order', e.version, e.type, now(), e.payload, e.tags::text[], e.index \
    FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::jsonb[], $7::text[], $8::int[]) \
    AS e(position, id, stream, version, type, payload, tags, index)";
const INSERT_TAGS: &str =
    "INSERT INTO event_tags (tag, position) SELECT * FROM unnest($1::text[], $2::bigint[])";
/// What the store reads.
const SELECT: &str = "SELECT global_position, event_id, aggregate_id, aggregate_type, version, event_type, \
    schema_version, timestamp, created_at, payload::text, tags, tenant_id, actor_id, correlation_id, causation_id, \
    metadata::text, append_index FROM events";

impl Connections {
    async fn open(place: &str) -> Result<Self, Failure> {
        // The store makes the tables.
        let store =
            PostgresStore::connect(PostgresConfig::new(place).max_connections(1)).await.map_err(broken)?;
        let head = store.head().await.map_err(broken)?.to_i64();
        store.close().await.map_err(broken)?;
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Mutex::new(Connection::open(place).await.map_err(broken)?));
        }
        Ok(Self { connections, next: AtomicUsize::new(0), position: AtomicI64::new(head) })
    }

    /// A connection that is free, or the one whose turn it is.
    async fn connection(&self) -> MutexGuard<'_, Connection> {
        match self.connections.iter().find_map(|connection| connection.try_lock().ok()) {
            Some(free) => free,
            None => {
                let next = self.next.fetch_add(1, Ordering::Relaxed) % self.connections.len();
                self.connections[next].lock().await
            }
        }
    }

    async fn read_stream(&self, stream: Stream) -> Result<u64, Failure> {
        let connection = self.connection().await;
        read(&connection.client, &connection.stream, &[&stream.0]).await.map(|(count, _)| count)
    }

    async fn feed(&self, rows: i64) -> Result<u64, Failure> {
        let connection = self.connection().await;
        let (mut all, mut position) = (0, 0);
        loop {
            let (count, last) = read(&connection.client, &connection.page, &[&position, &rows]).await?;
            all += count;
            position = last;
            if count < rows as u64 {
                return Ok(all);
            }
        }
    }

    /// A transaction for each page, a round trip for each of its events, as a view has it.
    async fn count_by_type(&self) -> Result<u64, Failure> {
        let mut connection = self.connection().await;
        let Connection { client, page, .. } = &mut *connection;
        client.batch_execute(COUNTS).await.map_err(broken)?;
        let upsert = client.prepare(COUNT).await.map_err(broken)?;
        let (mut all, mut position) = (0, 0_i64);
        loop {
            let transaction = client.transaction().await.map_err(broken)?;
            let rows = transaction.query(&*page, &[&position, &(PROJECTED as i64)]).await.map_err(broken)?;
            for row in &rows {
                position = decode(row);
                let event_type: &str = row.get(5);
                transaction.execute(&upsert, &[&event_type]).await.map_err(broken)?;
            }
            transaction.commit().await.map_err(broken)?;
            all += rows.len() as u64;
            if (rows.len() as u64) < PROJECTED {
                return Ok(all);
            }
        }
    }
}

impl Connection {
    async fn open(place: &str) -> Result<Self, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(place, NoTls).await?;
        // It ends with the client, whose calls report whatever went wrong.
        drop(tokio::spawn(connection));
        client.batch_execute("SET jit = off").await?;
        Ok(Self {
            insert_events: client.prepare(INSERT_EVENTS).await?,
            insert_tags: client.prepare(INSERT_TAGS).await?,
            page: client
                .prepare(&format!("{SELECT} WHERE global_position > $1 ORDER BY global_position LIMIT $2"))
                .await?,
            stream: client
                .prepare(&format!(
                    "{SELECT} WHERE aggregate_id = $1 AND aggregate_type = 'Order' ORDER BY version"
                ))
                .await?,
            by_type: client
                .prepare(&format!("{SELECT} WHERE event_type = $1 ORDER BY global_position"))
                .await?,
            by_customer: client
                .prepare(&format!(
                    "{SELECT} WHERE jsonb_hash_extended(payload -> 'customer', 0) \
                     = jsonb_hash_extended(to_jsonb($1::text), 0) AND payload ->> 'customer' = $1 \
                     ORDER BY global_position"
                ))
                .await?,
            client,
        })
    }
}

/// Reads and decodes; the number of rows and the last one's position.
async fn read(
    client: &Client,
    statement: &Statement,
    values: &[&(dyn ToSql + Sync)],
) -> Result<(u64, i64), Failure> {
    let rows = client.query_raw(statement, values.iter().copied()).await.map_err(broken)?;
    let mut rows = pin!(rows);
    let (mut count, mut last) = (0, 0);
    while let Some(row) = rows.next().await {
        let row = row.map_err(broken)?;
        last = decode(&row);
        count += 1;
    }
    Ok((count, last))
}

/// Takes every column, and hands out the position.
fn decode(row: &Row) -> i64 {
    let stream: (Option<Uuid>, Option<String>, Option<i64>) = (row.get(2), row.get(3), row.get(4));
    let event: (Uuid, String, i32, String, Vec<String>) =
        (row.get(1), row.get(5), row.get(6), row.get(9), row.get(10));
    let times: (SystemTime, SystemTime) = (row.get(7), row.get(8));
    let ids: [Option<Uuid>; 3] = [row.get(11), row.get(13), row.get(14)];
    let texts: [Option<String>; 2] = [row.get(12), row.get(15)];
    std::hint::black_box((stream, event, times, ids, texts, row.get::<_, i32>(16)));
    row.get(0)
}

/// Columns.
struct Rows {
    positions: Vec<i64>,
    ids: Vec<Uuid>,
    streams: Vec<Uuid>,
    versions: Vec<i64>,
    types: Vec<&'static str>,
    payloads: Vec<Json<Box<RawValue>>>,
    tag_lists: Vec<String>,
    indexes: Vec<i32>,
    tags: Vec<String>,
    tag_positions: Vec<i64>,
    time: SystemTime,
}

impl Rows {
    fn new(
        connections: &Connections,
        stream: Stream,
        expected: u64,
        events: &[Event],
    ) -> Result<Self, Failure> {
        let count = i64::try_from(events.len()).map_err(broken)?;
        let first = connections.position.fetch_add(count, Ordering::Relaxed) + 1;
        let positions: Vec<i64> = (first..first + count).collect();
        let tags: Vec<String> = events
            .iter()
            .flat_map(|event| event.tags().map(|(key, value)| format!("{key}:{value}")))
            .collect();
        Ok(Self {
            ids: events.iter().map(|event| event.id).collect(),
            streams: vec![stream.0; events.len()],
            versions: (expected as i64 + 1..=expected as i64 + count).collect(),
            types: events.iter().map(|event| event.event_type).collect(),
            payloads: events
                .iter()
                .map(|event| serde_json::value::to_raw_value(&event.payload).map(Json))
                .collect::<Result<_, _>>()
                .map_err(broken)?,
            tag_lists: tags.chunks(2).map(|tags| format!("{{\"{}\",\"{}\"}}", tags[0], tags[1])).collect(),
            indexes: (0..events.len() as i32).collect(),
            tag_positions: positions.iter().flat_map(|position| [*position; 2]).collect(),
            positions,
            tags,
            time: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        })
    }

    fn tags_of(&self, index: usize) -> &[String] {
        &self.tags[2 * index..2 * index + 2]
    }
}

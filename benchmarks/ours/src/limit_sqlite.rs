use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use common::{Event, Failure, PAGE, Stream, System, View, broken};
use eventsource_core::EventStore;
use eventsource_sqlite::{SqliteConfig, SqliteStore};
use rusqlite::{Connection, params};

use crate::sqlite::{COUNT, COUNTS};

/// One transaction of prepared inserts into our tables, with our indexes and our settings, on one connection under a mutex;
/// reading is one statement that decodes every column. Nothing is checked.
pub(crate) struct SqliteLimit {
    // Outside of async code nothing waits for it but what is measured.
    connection: Arc<Mutex<Connection>>,
}

impl System for SqliteLimit {
    async fn open(place: &str) -> Result<Self, Failure> {
        let path = Path::new(place).join("events.db");
        // The store makes the tables and sets the file up.
        let store = SqliteStore::open(SqliteConfig::file(&path)).await.map_err(broken)?;
        store.close().await.map_err(broken)?;
        let connection = Connection::open(&path).map_err(broken)?;
        connection
            .execute_batch(
                "PRAGMA synchronous = FULL; PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 4096; \
                 PRAGMA foreign_keys = OFF;",
            )
            .map_err(broken)?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    async fn append(&self, stream: Stream, expected: u64, events: Vec<Event>) -> Result<(), Failure> {
        self.blocking(move |connection| insert(connection, stream, expected, &events)).await
    }

    async fn read_stream(&self, stream: Stream) -> Result<u64, Failure> {
        self.blocking(move |connection| {
            let sql =
                format!("{SELECT} WHERE aggregate_id = ?1 AND aggregate_type = 'Order' ORDER BY version");
            read(connection, &sql, params![stream.0.as_bytes()])
        })
        .await
    }

    async fn find_type(&self, event_type: &'static str) -> Result<u64, Failure> {
        self.blocking(move |connection| {
            let sql = format!("{SELECT} WHERE event_type = ?1 ORDER BY global_position");
            read(connection, &sql, params![event_type])
        })
        .await
    }

    async fn find_customer(&self, customer: &'static str) -> Result<u64, Failure> {
        self.blocking(move |connection| {
            let sql = format!("{SELECT} WHERE payload ->> '$.customer' = ?1 ORDER BY global_position");
            read(connection, &sql, params![customer])
        })
        .await
    }

    async fn feed(&self) -> Result<u64, Failure> {
        self.blocking(|connection| read(connection, &format!("{SELECT} ORDER BY global_position"), [])).await
    }

    async fn project(&self, _name: &str, view: View) -> Result<u64, Failure> {
        if view == View::Empty {
            return Err(Failure::absent("a bare loop keeps no checkpoint"));
        }
        self.blocking(move |connection| project(connection, view)).await
    }
}

impl SqliteLimit {
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let connection = self.connection.clone();
        tokio::task::spawn_blocking(move || {
            work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
        .map_err(broken)?
        .map_err(broken)
    }
}

/// What the store reads.
const SELECT: &str = "SELECT global_position, event_id, aggregate_id, aggregate_type, version, event_type, \
    schema_version, tags, timestamp, created_at, payload, tenant_id, actor_id, correlation_id, causation_id, metadata, \
    append_index FROM events";

fn insert(
    connection: &mut Connection,
    stream: Stream,
    expected: u64,
    events: &[Event],
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    {
        let mut head: i64 = transaction
            .prepare_cached("SELECT head FROM log WHERE id = 1")?
            .query_row([], |row| row.get(0))?;
        let mut insert_event = transaction.prepare_cached(
            "INSERT INTO events (global_position, event_id, aggregate_id, aggregate_type, version, event_type, \
             schema_version, tags, timestamp, created_at, append_index, payload) \
             VALUES (?1, ?2, ?3, 'Order', ?4, ?5, 1, ?6, ?7, ?7, ?8, ?9)",
        )?;
        let mut insert_tag =
            transaction.prepare_cached("INSERT INTO older_tags (tag, position) VALUES (?1, ?2)")?;
        for (index, event) in (0_i64..).zip(events) {
            head += 1;
            let tags = event.tags().map(|(key, value)| format!("{key}:{value}"));
            let payload = serde_json::to_string(&event.payload).unwrap_or_default();
            let list = serde_json::to_string(&tags).unwrap_or_default();
            insert_event.execute(params![
                head,
                event.id.as_bytes(),
                stream.0.as_bytes(),
                expected as i64 + index + 1,
                event.event_type,
                list,
                1_700_000_000_000_000_i64 + head,
                index,
                payload
            ])?;
            for tag in tags {
                insert_tag.execute(params![tag, head])?;
            }
        }
        transaction.prepare_cached("UPDATE log SET head = ?1 WHERE id = 1")?.execute([head])?;
    }
    transaction.commit()
}

/// Reads pages; with a view, each is one transaction that counts its events.
fn project(connection: &mut Connection, view: View) -> rusqlite::Result<u64> {
    connection.execute_batch(COUNTS)?;
    let (mut count, mut position) = (0, 0_i64);
    loop {
        let transaction = connection.transaction()?;
        let before = count;
        {
            let sql = format!("{SELECT} WHERE global_position > ?1 ORDER BY global_position LIMIT ?2");
            let mut page = transaction.prepare_cached(&sql)?;
            let mut rows = page.query(params![position, PAGE as i64])?;
            let mut upsert = transaction.prepare_cached(COUNT)?;
            while let Some(row) = rows.next()? {
                let event_type = decode(row)?;
                if view == View::Counts {
                    upsert.execute([event_type])?;
                }
                position = row.get(0)?;
                count += 1;
            }
        }
        transaction.commit()?;
        if count - before < PAGE {
            return Ok(count);
        }
    }
}

fn read(connection: &mut Connection, sql: &str, values: impl rusqlite::Params) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        std::hint::black_box(decode(row)?);
        count += 1;
    }
    Ok(count)
}

/// Takes every column, and hands out the event's type.
fn decode(row: &rusqlite::Row<'_>) -> rusqlite::Result<String> {
    let decoded: (i64, [u8; 16], [u8; 16], String, i64) =
        (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
    let rest: (i64, String, i64, i64, String) =
        (row.get(6)?, row.get(7)?, row.get(8)?, row.get(9)?, row.get(10)?);
    let ids: [Option<[u8; 16]>; 3] = [row.get(11)?, row.get(13)?, row.get(14)?];
    let texts: [Option<String>; 2] = [row.get(12)?, row.get(15)?];
    std::hint::black_box((decoded, rest, ids, texts, row.get::<_, i64>(16)?));
    row.get(5)
}

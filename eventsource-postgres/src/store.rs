use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use eventsource_core::{
    Append, Appended, Capabilities, Capability, ChangeSignal, Changes, Error, EventStore, Filter, LogId,
    LogIdentity, Page, Position, ReadOptions, Result, StreamId, Version,
};
use sqlx::postgres::PgPool;
use tokio::sync::{Mutex, Notify, Semaphore, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::timeout;

use crate::changes::Watcher;
use crate::committer::{Committer, Request};
use crate::config::{CommitMode, PostgresConfig};
use crate::log::Log;
use crate::pool_statistics::PoolStatistics;
use crate::schema;

/// A log in a schema of a PostgreSQL database. Cloning it shares everything.
///
/// Appends made concurrently are committed together; each has its own verdict. Any number of stores, in any number of
/// processes, may share a log.
///
/// ```
/// use eventsource_core::{EventStore, EventStoreExt, ExpectedVersion, NewEvent, Result, StreamId};
/// use eventsource_postgres::{PostgresConfig, PostgresStore};
///
/// async fn place(url: &str, order: StreamId) -> Result<()> {
///     let store = PostgresStore::connect(PostgresConfig::new(url)).await?;
///     let placed = NewEvent::new("OrderPlaced", "…")?.tag("customer", "cust-123")?;
///     store.append_to_stream(order, ExpectedVersion::NoStream, vec![placed]).await?;
///     store.close().await
/// }
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    log: Arc<Log>,
    shared: Arc<Shared>,
}

/// What ends with the last clone, or when the store is closed.
struct Shared {
    /// Where appends and changes come from; none when the store is closed.
    open: RwLock<Option<Open>>,
    committing: Mutex<Option<JoinHandle<()>>>,
    watching: AbortHandle,
    pool: Ownership,
    /// For payloads that wait, in KiB.
    room: Arc<Semaphore>,
}

/// How many KiB of payload wait at most; an append that is larger waits alone.
const ROOM: u32 = 256 << 10;

fn room_of(append: &Append) -> u32 {
    let bytes: usize = append.each_event().map(|(_, event)| event.payload().as_json().len()).sum();
    u32::try_from(bytes >> 10).unwrap_or(ROOM).clamp(1, ROOM)
}

struct Open {
    queue: mpsc::Sender<Request>,
    changes: ChangeSignal,
    wanted: Arc<Notify>,
}

/// Whose pool it is, and so who closes it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ownership {
    Ours,
    Callers,
}

impl PostgresStore {
    /// How long to wait for connections that are to be closed.
    const CLOSING: Duration = Duration::from_secs(10);

    /// Connects, and brings the log's tables up to date or creates them.
    ///
    /// # Errors
    /// `InvalidInput` if the configuration has no meaning, `Unavailable` if the server can't be reached, `Backend` if it
    /// refuses the role, or if the log was migrated by a newer program. With [inline views](PostgresConfig::inline) also
    /// what catching them up fails with: `Refused`, and `Conflict` for a checkpoint that does not belong to the log.
    pub async fn connect(config: PostgresConfig) -> Result<Self> {
        config.check()?;
        let pool = config.pool().await?;
        Self::start(pool, &config, Ownership::Ours).await
    }

    /// Works on a pool of the caller's, who keeps it: closing the store leaves it open. The connections'
    /// `default_transaction_isolation` must be `read committed`, which is PostgreSQL's default.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    pub async fn from_pool(pool: PgPool, config: PostgresConfig) -> Result<Self> {
        config.check()?;
        Self::start(pool, &config, Ownership::Callers).await
    }

    async fn start(pool: PgPool, config: &PostgresConfig, ownership: Ownership) -> Result<Self> {
        let id = schema::migrate(&pool, &config.schema, &config.payload_index).await?;
        if config.commit != CommitMode::Flushed {
            schema::announce_pipelined(&pool, &config.schema).await?;
        }
        let log = Arc::new(Log::new(pool, config, id)?);
        let changes = ChangeSignal::new();
        let wanted = Arc::new(Notify::new());
        let (queue, waiting) = mpsc::channel(config.queue_capacity);
        let committer = Committer::new(Arc::clone(&log), changes.clone(), waiting, config.batch_limit);
        let watcher = Watcher {
            log: Arc::clone(&log),
            changes: changes.clone(),
            wanted: Arc::clone(&wanted),
            poll_interval: config.poll_interval,
        };
        let shared = Shared {
            open: RwLock::new(Some(Open { queue, changes, wanted })),
            committing: Mutex::new(Some(tokio::spawn(committer.run()))),
            watching: tokio::spawn(watcher.run()).abort_handle(),
            pool: ownership,
            room: Arc::new(Semaphore::new(ROOM as usize)),
        };
        let store = Self { log, shared: Arc::new(shared) };
        if let Err(error) = store.open_views().await {
            // Why it can't be opened says more than how it closes.
            let _ = store.close().await;
            return Err(error);
        }
        Ok(store)
    }

    /// The pool, for the application's own statements; and for transactions that [`append_in`](Self::append_in) joins.
    ///
    /// Let a `begin` on it come to its end, in a task of its own if need be: sqlx (0.9) gives the connection of one that is
    /// dropped before its answer back to the pool with the transaction open, also to the store. Through a pooler, make your
    /// statements unnamed: `.persistent(false)`.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.log.pool
    }

    /// How many connections there are and how many are in use.
    #[must_use]
    pub fn pool_statistics(&self) -> PoolStatistics {
        PoolStatistics::of(&self.log.pool)
    }

    pub(crate) fn log(&self) -> Result<&Log> {
        self.opened(|_| ())?;
        Ok(&self.log)
    }

    fn opened<T>(&self, use_it: impl FnOnce(&Open) -> T) -> Result<T> {
        let open = self.shared.open.read().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().map(use_it).ok_or_else(|| Error::closed("the store is closed"))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventStore for PostgresStore {
    async fn append(&self, append: Append) -> Result<Appended> {
        append.validate()?;
        let queue = self.opened(|open| open.queue.clone())?;
        let (verdict, told) = oneshot::channel();
        // Kept until the verdict is told, so that appends whose callers are gone can't fill the memory.
        let room = Arc::clone(&self.shared.room)
            .acquire_many_owned(room_of(&append))
            .await
            .map_err(|_| Error::closed("the store is closed"))?;
        queue
            .send(Request { append, verdict, _room: room })
            .await
            .map_err(|_| Error::closed("the runtime that the store was opened on has ended"))?;
        drop(queue);
        told.await.map_err(|_| {
            Error::outcome_unknown("the runtime that the store was opened on ended before the verdict")
        })?
    }

    async fn read_page(&self, filter: &Filter, options: &ReadOptions) -> Result<Page> {
        self.log()?.read_page(filter, options).await
    }

    async fn head(&self) -> Result<Position> {
        self.log()?.head().await
    }

    async fn stream_version(&self, stream: &StreamId) -> Result<Option<Version>> {
        self.log()?.stream_version(stream).await
    }

    fn changes(&self) -> Changes {
        self.opened(|open| {
            let changes = open.changes.subscribe();
            open.wanted.notify_one();
            changes
        })
        // A signal that is gone: whoever waits for it is told that the store is closed.
        .unwrap_or_else(|_| ChangeSignal::new().subscribe())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
            .with(Capability::Durable)
            .with(Capability::Shared)
            .with(Capability::Transactional)
            .with(Capability::Snapshots)
            .with(Capability::Outbox)
            .with(Capability::Checkpoints)
            .with(Capability::DeadLetters)
            .with(Capability::Leases)
            .with(Capability::Inline)
    }

    async fn close(&self) -> Result<()> {
        // The committer ends when the queue's last sender is gone and what was accepted is committed.
        drop(self.shared.open.write().unwrap_or_else(PoisonError::into_inner).take());
        self.shared.watching.abort();
        // Whoever gives up closing leaves the handle to whoever tries again.
        let mut committing = self.shared.committing.lock().await;
        let ended = match committing.as_mut() {
            Some(running) => running.await,
            None => Ok(()),
        };
        *committing = None;
        self.log.flusher.close().await;
        if self.shared.pool == Ownership::Ours {
            // While a server is gone, the pool's own attempts to connect can hold this up for minutes.
            timeout(Self::CLOSING, self.log.pool.close()).await.map_err(|_| {
                Error::backend("some connections could not be closed in order: the server may be gone")
            })?;
        }
        ended.map_err(|error| Error::backend("the committer did not end in order").with_source(error))
    }
}

#[async_trait]
impl LogIdentity for PostgresStore {
    async fn log_id(&self) -> Result<LogId> {
        self.log()?.id().await.map(LogId::new)
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("schema", &self.log.schema)
            .field("pool", &self.pool_statistics())
            .finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{Clock, Error, Filter, OutboxFilter, Result};
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use crate::error::reading;
use crate::inline::InlineViews;
use crate::inline_view::PostgresInlineView;
use crate::schema_name::SchemaName;

/// How a [`PostgresStore`](crate::PostgresStore) connects and works.
///
/// ```
/// use std::time::Duration;
/// use eventsource_postgres::{PostgresConfig, Workload};
///
/// let config = PostgresConfig::new("postgres://app:secret@localhost/shop")
///     .schema("orders")?
///     .workload(Workload::Heavy)
///     .lock_timeout(Duration::from_secs(2));
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok::<(), eventsource_core::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct PostgresConfig {
    url: Option<String>,
    pub(crate) schema: SchemaName,
    max_connections: u32,
    min_connections: u32,
    acquire_timeout: Duration,
    max_lifetime: Option<Duration>,
    idle_timeout: Option<Duration>,
    connection_test: ConnectionTest,
    pub(crate) statements: Statements,
    pub(crate) commit: CommitMode,
    pub(crate) lock_timeout: Duration,
    pub(crate) answer_timeout: Duration,
    pub(crate) queue_capacity: usize,
    pub(crate) batch_limit: usize,
    pub(crate) poll_interval: Duration,
    pub(crate) wake_up: WakeUp,
    pub(crate) payload_index: PayloadIndex,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) outbox: Option<Filter>,
    pub(crate) inline: InlineViews,
}

impl PostgresConfig {
    /// A store in the schema `public` of the database at `url`, for a [medium](Workload::Medium) workload.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: Some(url.into()), ..Self::for_pool() }
    }

    /// A store on a pool of the caller's: what is said about connections does not apply.
    pub fn for_pool() -> Self {
        Self {
            url: None,
            schema: SchemaName::default(),
            max_connections: 0,
            min_connections: 0,
            acquire_timeout: Duration::from_secs(30),
            max_lifetime: Some(Duration::from_secs(30 * 60)),
            idle_timeout: Some(Duration::from_secs(10 * 60)),
            connection_test: ConnectionTest::AfterIdle(Duration::from_secs(1)),
            statements: Statements::Prepared,
            commit: CommitMode::Flushed,
            lock_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(60),
            queue_capacity: 1024,
            batch_limit: 256,
            poll_interval: Duration::from_millis(100),
            wake_up: WakeUp::Poll,
            payload_index: PayloadIndex::None,
            clock: None,
            outbox: None,
            inline: InlineViews::default(),
        }
        .workload(Workload::Medium)
    }

    /// Puts the log into this schema, which is created if it does not exist. Each schema is a log of its own, with its
    /// own lock: it is how tenants or contexts scale out.
    ///
    /// # Errors
    /// `InvalidInput` unless it is a letter or underscore and then letters, digits or underscores, ASCII, 63 in all at
    /// most, and does not begin with `pg_`. Capitals stay capitals.
    pub fn schema(mut self, name: &str) -> Result<Self> {
        self.schema = name.parse()?;
        Ok(self)
    }

    /// Sizes the pool ([`Workload::Medium`] unless set), in place of what was said before about the most and the fewest
    /// connections.
    pub fn workload(mut self, workload: Workload) -> Self {
        (self.min_connections, self.max_connections) = match workload {
            Workload::Light => (2, 5),
            Workload::Medium => (5, 15),
            Workload::Heavy => (10, 30),
        };
        self
    }

    /// Opens at most so many connections, as the [workload](Self::workload) says unless set; at least 1. To be said after
    /// the workload.
    ///
    /// Three quarters of them read at once at most: the others are left to appends, to transactions and to your own
    /// statements. A connection that has read goes back to the pool when nobody has read with it for 10 milliseconds.
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections.max(1);
        self.min_connections = self.min_connections.min(self.max_connections);
        self
    }

    /// Keeps at least so many connections open, as the [workload](Self::workload) says unless set; no more than the most.
    /// To be said after the workload.
    pub fn min_connections(mut self, connections: u32) -> Self {
        self.min_connections = connections;
        self
    }

    /// Waits at most so long for a connection (30 s unless set), then fails with `Unavailable`.
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// Replaces connections of this age (30 min unless set); none is replaced for its age with `None`.
    pub fn max_lifetime(mut self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.max_lifetime = lifetime.into();
        self
    }

    /// Closes connections that were not used for so long (10 min unless set), down to the minimum.
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.idle_timeout = timeout.into();
        self
    }

    /// When to make sure that a connection is alive before it is used ([after a second](ConnectionTest::AfterIdle) without
    /// use, unless set).
    pub fn test_before_acquire(mut self, test: ConnectionTest) -> Self {
        self.connection_test = test;
        self
    }

    /// Works through a pooler in transaction mode, such as pgbouncer (any version): no named prepared statements, no
    /// start-up parameters but the usual, every call in a transaction of its own. It costs some round trips a call.
    ///
    /// Statements of your own, in a view or on the store's pool, need `.persistent(false)` in sqlx, or they have names.
    ///
    /// The driver parses an unnamed statement and executes it in two steps, and between two steps outside a transaction
    /// the pooler may switch servers; that is why a transaction is put around everything.
    pub fn through_pgbouncer(mut self) -> Self {
        self.statements = Statements::Unnamed;
        self
    }

    /// When the log's lock is let go of ([`CommitMode::Flushed`] unless set).
    pub fn commit(mut self, mode: CommitMode) -> Self {
        self.commit = mode;
        self
    }

    /// Waits at most so long for other writers (10 s unless set), then fails with `Unavailable`.
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// Waits at most so long for the answer to an append (60 s unless set), then fails with `OutcomeUnknown`. It should
    /// be longer than the lock timeout.
    pub fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer_timeout = timeout;
        self
    }

    /// Lets so many appends wait to be sent (1,024 unless set); further callers wait for a place. At least 1.
    pub fn queue_capacity(mut self, appends: usize) -> Self {
        self.queue_capacity = appends.max(1);
        self
    }

    /// Commits at most so many appends together (256 unless set). At least 1.
    pub fn batch_limit(mut self, appends: usize) -> Self {
        self.batch_limit = appends.max(1);
        self
    }

    /// Looks for other processes' events this often, while somebody waits for [changes](crate::PostgresStore) (100 ms
    /// unless set). At least every millisecond.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Hears of other processes' events at once, by NOTIFY, and still polls. To be set alike in all of them, because
    /// writers notify only then. It needs a connection of its own, and can't go through pgbouncer in transaction mode.
    pub fn listen(mut self) -> Self {
        self.wake_up = WakeUp::ListenAndPoll;
        self
    }

    /// Builds an index for payload predicates when the log is created or opened ([`PayloadIndex::None`] unless set). On a
    /// large log that takes long and holds up writers: build it by hand then, `CONCURRENTLY`, under the name that
    /// [`PayloadIndex`] says.
    ///
    /// # Errors
    /// `InvalidInput` if a key of [`PayloadIndex::Keys`] is no ASCII letter or underscore and then letters, digits or
    /// underscores, or is longer than 40 characters.
    pub fn payload_index(mut self, index: PayloadIndex) -> Result<Self> {
        index.check()?;
        self.payload_index = index;
        Ok(self)
    }

    /// Takes the time of recording from `clock` instead of the server.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Puts the events that match into the outbox, in the transaction that appends them: [`Filter::all`] for every one. Off
    /// if not set. All processes that append to the log should say the same. Opening the store is `InvalidInput` if the
    /// filter has bounds on time: see [`OutboxFilter::new`].
    pub fn outbox(mut self, publish: Filter) -> Self {
        self.outbox = Some(publish);
        self
    }

    /// Keeps a view within the appends themselves, for those who must read their own writes: an append that was acknowledged
    /// is in the view, and one that the view can't take is [`Refused`](eventsource_core::ErrorKind::Refused). See
    /// [`PostgresInlineView`].
    pub fn inline(mut self, view: PostgresInlineView) -> Self {
        self.inline.add(view);
        self
    }

    pub(crate) async fn pool(&self) -> Result<PgPool> {
        let url = self.url.as_deref().ok_or_else(|| {
            Error::invalid_input("a configuration for a pool names no database to connect to")
        })?;
        let options = PgConnectOptions::from_str(url).map_err(reading)?;
        let options = match self.statements {
            // A server's defaults must not stand in the way of every append, nor JIT in that of short reads.
            Statements::Prepared => {
                options.options([("default_transaction_isolation", "read committed"), ("jit", "off")])
            }
            Statements::Unnamed => options.statement_cache_capacity(0).extra_float_digits(None),
        };
        let test = self.connection_test;
        PgPoolOptions::new()
            .max_connections(self.max_connections)
            .min_connections(self.min_connections.min(self.max_connections))
            .acquire_timeout(self.acquire_timeout)
            .max_lifetime(self.max_lifetime)
            .idle_timeout(self.idle_timeout)
            .test_before_acquire(test == ConnectionTest::Always)
            .before_acquire(move |connection, state| {
                Box::pin(async move {
                    match test {
                        ConnectionTest::AfterIdle(idle) if state.idle_for >= idle => {
                            Ok(connection.ping().await.is_ok())
                        }
                        _ => Ok(true),
                    }
                })
            })
            .connect_with(options)
            .await
            .map_err(reading)
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.wake_up == WakeUp::ListenAndPoll && self.statements == Statements::Unnamed {
            return Err(Error::invalid_input("LISTEN does not work through pgbouncer in transaction mode"));
        }
        self.inline.check()?;
        self.outbox.clone().map(OutboxFilter::new).transpose().map(drop)
    }
}

impl fmt::Debug for PostgresConfig {
    /// Everything but the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("schema", &self.schema)
            .field("max_connections", &self.max_connections)
            .field("min_connections", &self.min_connections)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("max_lifetime", &self.max_lifetime)
            .field("idle_timeout", &self.idle_timeout)
            .field("connection_test", &self.connection_test)
            .field("statements", &self.statements)
            .field("commit", &self.commit)
            .field("lock_timeout", &self.lock_timeout)
            .field("answer_timeout", &self.answer_timeout)
            .field("queue_capacity", &self.queue_capacity)
            .field("batch_limit", &self.batch_limit)
            .field("poll_interval", &self.poll_interval)
            .field("wake_up", &self.wake_up)
            .field("payload_index", &self.payload_index)
            .field("clock", &self.clock)
            .field("outbox", &self.outbox)
            .field("inline", &self.inline)
            .finish_non_exhaustive()
    }
}

/// How many connections a pool has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Workload {
    /// 2 to 5: development, one worker, little traffic.
    Light,
    /// 5 to 15: a usual web application.
    Medium,
    /// 10 to 30: much traffic, background workers, many tenants.
    Heavy,
}

/// When a connection is asked whether it is alive before it is used; that takes a round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionTest {
    /// Never: whoever gets a dead one sees an error.
    Never,
    /// When it was not used for this long.
    AfterIdle(Duration),
    /// Every time the pool gives it out. Within moments of each other, batches of appends and reads use one again without.
    Always,
}

/// Which index payload predicates have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayloadIndex {
    /// None: a predicate looks at every event that the rest of the filter leaves over.
    None,
    /// `idx_events_payload`, a GIN index (`jsonb_path_ops`): for any predicate; it slows appends down.
    Gin,
    /// `idx_events_payload_KEY` for each of these top-level keys, in log order: for predicates on them.
    Keys(Vec<String>),
}

impl PayloadIndex {
    const MAX_KEY_BYTES: usize = 40;

    fn check(&self) -> Result<()> {
        let Self::Keys(keys) = self else { return Ok(()) };
        for key in keys {
            if key.len() > Self::MAX_KEY_BYTES || !crate::schema_name::is_plain(key) {
                return Err(Error::invalid_input(
                    "a key of a payload index is an ASCII identifier of 40 at most",
                ));
            }
        }
        Ok(())
    }

    /// Whether there is an index for this key.
    pub(crate) fn has_key(&self, key: &str) -> bool {
        matches!(self, Self::Keys(keys) if keys.iter().any(|each| each == key))
    }
}

/// When an append lets go of the log's lock. It changes nothing about what is promised: an append is acknowledged, and an
/// event is read, only when it is as durable as the server's own `synchronous_commit` makes a commit.
///
/// A store that pipelines marks the log, for good: from then on every store on it, of whatever mode, that reads something
/// newer than it knows to be durable waits for a flush before it returns. One flush serves all of a store that wait when it
/// begins, on a connection beside the pool; where flushes take a millisecond or more, there are up to four. Programs of other
/// makes that read the tables do not wait, and may see what a crash of the server takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommitMode {
    /// When the commit was flushed. Other processes wait for each flush; nobody who reads ever does.
    Flushed,
    /// Before the flush, if others wait: other appends of this store, or another process for the lock. A lone caller's
    /// append is flushed at once. For many processes, or slow disks, or synchronous standbys.
    Adaptive,
    /// Always before the flush.
    Pipelined,
}

/// How statements reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Statements {
    /// Prepared once for a connection and kept.
    Prepared,
    /// Unnamed, each in a transaction.
    Unnamed,
}

/// How a store hears of other processes' events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WakeUp {
    Poll,
    ListenAndPoll,
}

use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use eventsource_core::{Capability, Clock, Error, Filter, OutboxFilter, Result, SystemClock};

use crate::inline::InlineViews;
use crate::inline_view::SqliteInlineView;

/// Where a store lies and how it behaves.
///
/// ```
/// use eventsource_sqlite::{SqliteConfig, Synchronous};
///
/// let config = SqliteConfig::file("/var/lib/shop/events.db").synchronous(Synchronous::Normal).readers(8);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use]
pub struct SqliteConfig {
    pub(crate) location: Location,
    pub(crate) synchronous: Synchronous,
    pub(crate) busy_timeout: Duration,
    pub(crate) readers: usize,
    pub(crate) queue_capacity: usize,
    pub(crate) batch_limit: usize,
    pub(crate) poll_interval: Duration,
    clock: Arc<dyn Clock>,
    /// What was asked for; checked when the store is opened.
    publish: Option<Filter>,
    pub(crate) outbox: Option<OutboxFilter>,
    pub(crate) inline: InlineViews,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    File(PathBuf),
    Memory,
}

/// What an acknowledged append survives. Both levels keep the log whole: after any crash it is a prefix of what was
/// committed.
///
/// | level | the process is killed | the system crashes or loses power |
/// |---|---|---|
/// | [`Full`](Self::Full) | nothing is lost | nothing is lost |
/// | [`Normal`](Self::Normal) | nothing is lost | the newest appends may be lost, acknowledged or not |
///
/// With `Full`, the store flushes the WAL itself after a commit, once for all that wait, and gives no answer before: nothing
/// that it acknowledges, refuses or lets read rests on what is not flushed. SQLite flushes at checkpoints, at both levels
/// (it runs at `PRAGMA synchronous = NORMAL`, <https://sqlite.org/pragma.html#pragma_synchronous>). It holds as far as the
/// disk tells the truth when asked to flush. On macOS `fsync` does not ask the drive; with `Full` this store does
/// (`F_FULLFSYNC`, also at checkpoints: <https://sqlite.org/pragma.html#pragma_fullfsync>).
///
/// If a flush fails, the appends that waited for it are `OutcomeUnknown`, the reads `Unavailable`, and the store
/// writes nothing more until it is opened again: a later flush that succeeds proves nothing of what an earlier one lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Synchronous {
    /// Every commit is flushed before it is acknowledged, or read through a store.
    #[default]
    Full,
    /// Commits are flushed from time to time.
    Normal,
}

impl SqliteConfig {
    /// Longer than the flushes that were measured (`docs/adr/0004`): to give up is for holders who hang.
    const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

    /// A store in a file, which is created where there is none. Its directory must exist.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self::at(Location::File(path.as_ref().to_owned()))
    }

    /// A store that is gone when it is closed. It has one connection, which reads between two writes.
    pub fn in_memory() -> Self {
        Self::at(Location::Memory)
    }

    /// Sets what an acknowledged append survives; [`Synchronous::Full`] if not set.
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// Sets how long to wait for a lock that another process holds, before it is `Unavailable`; 60 seconds if not set.
    ///
    /// Whoever commits holds the write lock while the disk flushes, and a disk that others write to can take some
    /// seconds for one flush. Longer than that is for holders who hang.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Sets how many connections read at most; 4 if not set. They are opened when they are first needed. Opening the store
    /// is `InvalidInput` with 0.
    pub fn readers(mut self, connections: usize) -> Self {
        self.readers = connections;
        self
    }

    /// Sets how many appends may wait for the writer before further ones wait for a place; 4,096 if not set. An append
    /// takes a place for every 64 KiB of its payload, begun ones too, so what waits is bounded in bytes as well. Opening the
    /// store is `InvalidInput` with 0.
    pub fn queue_capacity(mut self, appends: usize) -> Self {
        self.queue_capacity = appends;
        self
    }

    /// Sets how many appends share one transaction at most, counted as in the queue; 512 if not set. Opening the store is
    /// `InvalidInput` with 0.
    pub fn batch_limit(mut self, appends: usize) -> Self {
        self.batch_limit = appends;
        self
    }

    /// Sets how often to look for what other processes have appended, while somebody waits for it; 25 milliseconds if
    /// not set. Opening the store is `InvalidInput` if it is zero.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// Sets the clock that says when an event is recorded; the machine's, if not set.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Puts the events that match into the outbox, in the transaction that appends them: [`Filter::all`] for every one. Off
    /// if not set. All processes that append to the log should say the same. Opening the store is `InvalidInput` if the
    /// filter has bounds on time: see [`OutboxFilter::new`].
    pub fn outbox(mut self, publish: Filter) -> Self {
        self.publish = Some(publish);
        self
    }

    /// Keeps a view within the appends themselves, for those who must read their own writes: an append that was acknowledged
    /// is in the view, and one that the view can't take is [`Refused`](eventsource_core::ErrorKind::Refused). See
    /// [`SqliteInlineView`]. Not for a store in memory, where nobody could read a view.
    pub fn inline(mut self, view: SqliteInlineView) -> Self {
        self.inline.add(view);
        self
    }

    /// What the clock says. It is somebody else's: if it panics, that ends no thread of the store.
    pub(crate) fn now(&self) -> Result<DateTime<Utc>> {
        let now = panic::catch_unwind(AssertUnwindSafe(|| self.clock.now()));
        now.map_err(|_| Error::backend("the store's clock panicked"))
    }

    fn at(location: Location) -> Self {
        Self {
            location,
            synchronous: Synchronous::Full,
            busy_timeout: Self::BUSY_TIMEOUT,
            readers: 4,
            queue_capacity: 4_096,
            batch_limit: 512,
            poll_interval: Duration::from_millis(25),
            clock: Arc::new(SystemClock),
            publish: None,
            outbox: None,
            inline: InlineViews::default(),
        }
    }

    /// The configuration with an absolute path, if it makes sense: the process may change its directory later, and an
    /// absolute path is never taken for a URI.
    pub(crate) fn checked(mut self) -> Result<Self> {
        let positive = |what, number: usize| match number {
            0 => Err(Error::invalid_input(format!("`{what}` is at least 1"))),
            _ => Ok(()),
        };
        positive("readers", self.readers)?;
        positive("queue_capacity", self.queue_capacity)?;
        positive("batch_limit", self.batch_limit)?;
        if self.poll_interval.is_zero() {
            return Err(Error::invalid_input("`poll_interval` is longer than nothing"));
        }
        self.inline.check()?;
        if self.location == Location::Memory && !self.inline.is_empty() {
            return Err(Error::unsupported(Capability::Inline));
        }
        self.outbox = self.publish.clone().map(OutboxFilter::new).transpose()?;
        if let Location::File(path) = &mut self.location {
            *path = std::path::absolute(&*path).map_err(|error| {
                Error::invalid_input(format!("{path:?} is no path for a database file")).with_source(error)
            })?;
        }
        Ok(self)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {path:?}"),
            Self::Memory => f.write_str("the database in memory"),
        }
    }
}

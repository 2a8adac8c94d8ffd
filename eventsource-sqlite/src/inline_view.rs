use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{ConsumerName, Error, Filter, Result};

use crate::projection::SqliteView;

/// A view that a store keeps within its appends: every append that succeeds through the store leaves the view with the
/// append's events in it, in the same transaction.
///
/// What the view's handler fails on is not appended: that append, and no other, is
/// [`Refused`](eventsource_core::ErrorKind::Refused). The view's checkpoint is the one that a consumer of the same name has,
/// so that a view can move between the two.
///
/// The view is complete whatever others do. Where another process, or a store that was opened without the view, has
/// appended in between, the next append through a store with it first applies what is missing, in log order. Opening
/// the store catches the view up, however far that is, in pages, outside of any append.
///
/// ```
/// use eventsource_core::{Append, EventStore, HandlerError, NewEvent, Purpose, RecordedEvent};
/// use eventsource_sqlite::{SqliteConfig, SqliteInlineView, SqliteStore, SqliteView};
/// use rusqlite::{Connection, Transaction};
///
/// struct Counts;
///
/// impl SqliteView for Counts {
///     fn apply(
///         &self,
///         transaction: &Transaction<'_>,
///         event: &RecordedEvent,
///         _purpose: Purpose,
///     ) -> Result<(), HandlerError> {
///         transaction
///             .prepare_cached(
///                 "INSERT INTO counts (event_type, count) VALUES (?1, 1)
///                  ON CONFLICT (event_type) DO UPDATE SET count = count + 1",
///             )?
///             .execute([event.event_type().as_str()])?;
///         Ok(())
///     }
///
///     fn prepare(&self, transaction: &Transaction<'_>) -> Result<(), HandlerError> {
///         let sql = "CREATE TABLE IF NOT EXISTS counts (event_type TEXT PRIMARY KEY, count INTEGER NOT NULL)";
///         transaction.execute(sql, [])?;
///         Ok(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("shop.db");
/// let counts = SqliteInlineView::new("counts", Counts)?;
/// let store = SqliteStore::open(SqliteConfig::file(&path).inline(counts)).await?;
/// store.append(Append::events([NewEvent::new("OrderPlaced", "cust-123")?])).await?;
///
/// let own = Connection::open(&path)?;
/// let count: u32 = own.query_row("SELECT count FROM counts WHERE event_type = 'OrderPlaced'", [], |row| row.get(0))?;
/// assert_eq!(count, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct SqliteInlineView {
    pub(crate) name: ConsumerName,
    pub(crate) filter: Filter,
    pub(crate) view: Arc<dyn SqliteView>,
    pub(crate) most_behind: u64,
    pub(crate) timeout: Duration,
}

impl SqliteInlineView {
    /// Keeps `view`, whose checkpoint has this name, with every event of the log.
    ///
    /// It is [prepared](SqliteView::prepare) and caught up when the store is opened.
    ///
    /// # Errors
    /// `InvalidInput` if the name is empty, too long or holds a NUL.
    pub fn new(name: impl TryInto<ConsumerName, Error: Into<Error>>, view: impl SqliteView) -> Result<Self> {
        let name = name.try_into().map_err(Into::into)?;
        let (filter, view) = (Filter::all(), Arc::new(view));
        Ok(Self { name, filter, view, most_behind: 1_000, timeout: Duration::from_secs(10) })
    }

    /// Only events that match.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets how many events an append makes up for at most that others have appended in between; 1,000 if not set. Where the
    /// log has grown by more positions than that, it is events that match that count, whatever their size. If more are
    /// missing, appends are refused until the store is opened again, or a consumer of the view's name has caught up.
    pub fn most_behind(mut self, events: u64) -> Self {
        self.most_behind = events;
        self
    }

    /// Sets how long the handler may take for one event; 10 seconds if not set. All other writers wait meanwhile. It
    /// can't be interrupted: one that has taken longer has failed when it returns.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl fmt::Debug for SqliteInlineView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteInlineView")
            .field("name", &self.name)
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}

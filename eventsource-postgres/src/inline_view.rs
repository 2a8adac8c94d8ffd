use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{ConsumerName, Error, Filter, Result};

use crate::projection::PostgresView;

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
/// use async_trait::async_trait;
/// use eventsource_core::{HandlerError, Purpose, RecordedEvent, Result};
/// use eventsource_postgres::{PostgresConfig, PostgresInlineView, PostgresStore, PostgresView};
/// use sqlx::PgConnection;
///
/// struct Counts;
///
/// #[async_trait]
/// impl PostgresView for Counts {
///     async fn apply(
///         &self,
///         connection: &mut PgConnection,
///         event: &RecordedEvent,
///         _purpose: Purpose,
///     ) -> Result<(), HandlerError> {
///         sqlx::query(
///             "INSERT INTO counts (event_type, count) VALUES ($1, 1)
///              ON CONFLICT (event_type) DO UPDATE SET count = counts.count + 1",
///         )
///         .bind(event.event_type().as_str())
///         .execute(connection)
///         .await?;
///         Ok(())
///     }
///
///     async fn prepare(&self, connection: &mut PgConnection) -> Result<(), HandlerError> {
///         let sql = "CREATE TABLE IF NOT EXISTS counts (event_type text PRIMARY KEY, count bigint NOT NULL)";
///         sqlx::query(sql).execute(connection).await?;
///         Ok(())
///     }
/// }
///
/// async fn open(url: &str) -> Result<PostgresStore> {
///     let counts = PostgresInlineView::new("counts", Counts)?;
///     PostgresStore::connect(PostgresConfig::new(url).inline(counts)).await
/// }
/// ```
#[derive(Clone)]
#[must_use]
pub struct PostgresInlineView {
    pub(crate) name: ConsumerName,
    pub(crate) filter: Filter,
    pub(crate) view: Arc<dyn PostgresView>,
    pub(crate) most_behind: u64,
    pub(crate) timeout: Duration,
}

impl PostgresInlineView {
    /// Keeps `view`, whose checkpoint has this name, with every event of the log.
    ///
    /// It is [prepared](PostgresView::prepare) and caught up when the store is opened.
    ///
    /// # Errors
    /// `InvalidInput` if the name is empty, too long or holds a NUL.
    pub fn new(
        name: impl TryInto<ConsumerName, Error: Into<Error>>,
        view: impl PostgresView,
    ) -> Result<Self> {
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

    /// Sets how long the handler may take for one event; 10 seconds if not set. All other writers wait meanwhile. The
    /// server cancels statements that take longer, and ends the transaction if it hears nothing for so long.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl fmt::Debug for PostgresInlineView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresInlineView")
            .field("name", &self.name)
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}

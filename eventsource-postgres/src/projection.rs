use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use eventsource_core::{
    Delivery, DeliveryError, ErrorKind, HandlerError, HandlerTimedOut, Purpose, Record, RecordedEvent,
    SaveJudgement, Sink,
};
use futures_util::FutureExt as _;
use sqlx::postgres::PgConnection;
use tokio::time::{Instant, timeout};

use crate::PostgresStore;
use crate::error::reading;
use crate::writing::{commit, has_ended_it};

/// A view in the log's own database: how an event changes it.
///
/// ```
/// use async_trait::async_trait;
/// use eventsource_core::{HandlerError, Purpose, RecordedEvent};
/// use eventsource_postgres::{PostgresProjection, PostgresStore, PostgresView};
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
/// }
///
/// fn counting(store: &PostgresStore) -> PostgresProjection {
///     store.project(Counts)
/// }
/// ```
#[async_trait]
pub trait PostgresView: Send + Sync + 'static {
    /// Changes the view within the transaction that `connection` is in, which commits together with the consumer's
    /// checkpoint. Don't end the transaction. Through a pooler, make statements unnamed: `.persistent(false)`; sqlx gives
    /// them names otherwise, which the next server doesn't know.
    ///
    /// # Errors
    /// Whatever stands in the way: nothing of the transaction is left then. After a failed statement the transaction
    /// can't go on: hand the error on.
    async fn apply(
        &self,
        connection: &mut PgConnection,
        event: &RecordedEvent,
        purpose: Purpose,
    ) -> Result<(), HandlerError>;

    /// Makes what the view needs, such as by `CREATE TABLE IF NOT EXISTS`: a store that keeps the view
    /// [inline](crate::PostgresConfig::inline) calls it whenever it is opened, one process at a time. Without one, nothing
    /// is done.
    ///
    /// # Errors
    /// Whatever stands in the way: the store is not opened then.
    async fn prepare(&self, connection: &mut PgConnection) -> Result<(), HandlerError> {
        let _ = connection;
        Ok(())
    }

    /// Puts what a [`Purpose::Rebuild`] has built in the place of the view that is in use, such as by renaming tables.
    /// Without one, nothing is done: the next release reads the new tables.
    ///
    /// # Errors
    /// Whatever stands in the way: both views are as they were then.
    async fn switch(&self, connection: &mut PgConnection) -> Result<(), HandlerError> {
        let _ = connection;
        Ok(())
    }
}

/// What a consumer delivers to so that a view in the log's own database is exactly-once: view, checkpoint and fence are
/// one transaction.
#[derive(Clone)]
pub struct PostgresProjection {
    store: PostgresStore,
    view: Arc<dyn PostgresView>,
}

impl PostgresStore {
    /// Keeps a view in this database: hand the result to a consumer.
    ///
    /// A page of events is one transaction; if the handler fails on one of them, nothing of the page is left. The server
    /// ends a transaction that it hears nothing from for half as long again as the handler's timeout, so that a consumer
    /// that was paused holds no locks. Where the consumer's policy sets no timeout, nobody limits the handler, and nobody
    /// ends the transaction of a consumer that was paused: whoever is to take over waits for it.
    pub fn project(&self, view: impl PostgresView) -> PostgresProjection {
        PostgresProjection { store: self.clone(), view: Arc::new(view) }
    }
}

#[async_trait]
impl Sink for PostgresProjection {
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        let log = self.store.log()?;
        let (mut transaction, id) = log.begin_for_handler(delivery.timeout).await?;
        let mut locked = None;
        match &delivery.record {
            // Before any work: of two instances, one waits here, and is refused when the other has committed.
            Record::Checkpoint(save) => {
                locked = log.lock_checkpoint(&mut transaction, save.consumer()).await?;
                if save.judge(locked.as_ref())? == SaveJudgement::Stored {
                    // Who has lost its lease is told so, also where somebody else has done just the same.
                    if let Some(fence) = save.fence() {
                        log.check_fence(&mut transaction, fence).await?;
                    }
                    transaction.rollback().await.map_err(reading)?;
                    return Ok(());
                }
            }
            // The live consumer takes its checkpoint before its view: whoever does it the other way round meets it halfway.
            Record::Switch { from, to } => {
                if log.inline.has(to) {
                    log.lock(&mut transaction).await?;
                }
                log.lock_checkpoint(&mut transaction, to).await?;
                // So does whoever tries a letter again.
                log.hand_over_letters(&mut transaction, from.consumer(), to).await?;
            }
            // Somebody else may be trying it, or may have resolved it.
            Record::Resolved { key, .. } => {
                if !log.lock_letter(&mut transaction, key).await? {
                    transaction.rollback().await.map_err(reading)?;
                    return Ok(());
                }
            }
        }
        let mut heard = Instant::now();
        for (index, event) in delivery.events.iter().enumerate() {
            // Handlers that ask the database for nothing are silent together.
            if delivery.timeout.is_some_and(|limit| heard.elapsed() > limit / 4) {
                // If it fails, so does what follows, and says why.
                let _ = sqlx::raw_sql("SELECT 1").execute(&mut *transaction).await;
                heard = Instant::now();
            }
            apply(&*self.view, &mut transaction, event, delivery.purpose, delivery.timeout)
                .await
                .map_err(|error| DeliveryError::event(0, index, of_store(error, delivery.timeout)))?;
        }
        let recorded = match &delivery.record {
            Record::Checkpoint(save) => {
                let saved = log.save_over(&mut transaction, save, locked, Some(id)).await;
                saved.map(|judgement| judgement == SaveJudgement::Write)
            }
            Record::Resolved { key, by } => match log.check_within(&mut transaction, id).await {
                Ok(()) => log.resolve(&mut transaction, key, by).await,
                Err(error) => Err(error),
            },
            Record::Switch { from, to } => {
                let switched = self.view.switch(&mut transaction).await;
                switched.map_err(|error| DeliveryError::page(of_store(error, delivery.timeout)))?;
                log.check_within(&mut transaction, id).await?;
                log.hand_over(&mut transaction, from, to).await?;
                // Where it is kept inline, nobody sees it without what was appended meanwhile.
                log.bring_up_to_head(&mut transaction, to).await?;
                Ok(true)
            }
        };
        match recorded {
            Ok(true) => commit(transaction).await.map_err(DeliveryError::store),
            Ok(false) => transaction.rollback().await.map_err(|error| reading(error).into()),
            // The transaction has failed, or is over: some handler went on after an error, or has ended it.
            Err(error) if error.kind() == ErrorKind::InvalidInput && !delivery.events.is_empty() => {
                Err(DeliveryError::page(error.into()))
            }
            // Where a handler has ended it, a pooler may send what follows to another server, where it fails somehow.
            Err(error) => match log.is_within(&mut transaction, id).await {
                Ok(false) if !delivery.events.is_empty() => Err(DeliveryError::page(has_ended_it().into())),
                _ => Err(error.into()),
            },
        }
    }
}

/// Lets a view take an event; it panics or takes too long only for itself.
pub(crate) async fn apply(
    view: &dyn PostgresView,
    connection: &mut PgConnection,
    event: &RecordedEvent,
    purpose: Purpose,
    limit: Option<Duration>,
) -> Result<(), HandlerError> {
    let applying = AssertUnwindSafe(view.apply(connection, event, purpose)).catch_unwind();
    let applied = match limit {
        None => applying.await,
        Some(limit) => match timeout(limit, applying).await {
            Ok(applied) => applied,
            Err(_) => return Err(HandlerTimedOut { timeout: limit }.into()),
        },
    };
    applied.unwrap_or_else(|_| Err("the handler panicked".into()))
}

/// A handler that hands on what the server does not give is not to blame, nor is its event.
pub(crate) fn of_store(error: HandlerError, limit: Option<Duration>) -> HandlerError {
    const CANCELLED: &str = "57014";
    let error = match error.downcast::<sqlx::Error>() {
        Ok(error) => *error,
        Err(error) => return error,
    };
    let code = error.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
    let was_cancelled = code.as_deref() == Some(CANCELLED);
    if let (true, Some(timeout)) = (was_cancelled, limit) {
        return HandlerTimedOut { timeout }.into();
    }
    let error = reading(error);
    // What is cancelled would be cancelled again: whoever tries again should count.
    if error.kind() == ErrorKind::Unavailable && !was_cancelled {
        return error.into();
    }
    // The server's own words say more than the kind; payloads are cut out of them already.
    std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string).into()
}

impl fmt::Debug for PostgresProjection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresProjection").field("store", &self.store).finish_non_exhaustive()
    }
}

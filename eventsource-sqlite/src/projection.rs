use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use eventsource_core::{
    Delivery, DeliveryError, ErrorKind, HandlerError, HandlerTimedOut, Purpose, Record, RecordedEvent,
    SaveJudgement, Sink,
};
use rusqlite::Transaction;

use crate::error::failed;
use crate::handler::{self, Worker};
use crate::store::SqliteStore;
use crate::write::Ending;
use crate::{checkpoints, dead_letters, read};

/// A view in the log's own file: how an event changes it.
///
/// A closure is one:
/// ```
/// # use eventsource_core::{HandlerError, RecordedEvent};
/// # use eventsource_sqlite::{SqliteProjection, SqliteStore};
/// # use rusqlite::Transaction;
/// # fn count(store: &SqliteStore) -> SqliteProjection {
/// store.project(|transaction: &Transaction<'_>, event: &RecordedEvent| -> Result<(), HandlerError> {
///     transaction
///         .prepare_cached(
///             "INSERT INTO counts (event_type, count) VALUES (?1, 1)
///              ON CONFLICT (event_type) DO UPDATE SET count = count + 1",
///         )?
///         .execute([event.event_type().as_str()])?;
///     Ok(())
/// })
/// # }
/// ```
pub trait SqliteView: Send + Sync + 'static {
    /// Changes the view within `transaction`, which commits together with the consumer's checkpoint.
    ///
    /// It runs on the store's only writing connection: appends wait meanwhile. Don't end the transaction.
    ///
    /// # Errors
    /// Whatever stands in the way: nothing of the transaction is left then.
    fn apply(
        &self,
        transaction: &Transaction<'_>,
        event: &RecordedEvent,
        purpose: Purpose,
    ) -> Result<(), HandlerError>;

    /// Makes what the view needs, such as by `CREATE TABLE IF NOT EXISTS`: a store that keeps the view
    /// [inline](crate::SqliteConfig::inline) calls it whenever it is opened. Without one, nothing is done.
    ///
    /// # Errors
    /// Whatever stands in the way: the store is not opened then.
    fn prepare(&self, transaction: &Transaction<'_>) -> Result<(), HandlerError> {
        let _ = transaction;
        Ok(())
    }

    /// Puts what a [`Purpose::Rebuild`] has built in the place of the view that is in use, such as by renaming tables.
    /// Without one, nothing is done: the next release reads the new tables.
    ///
    /// # Errors
    /// Whatever stands in the way: both views are as they were then.
    fn switch(&self, transaction: &Transaction<'_>) -> Result<(), HandlerError> {
        let _ = transaction;
        Ok(())
    }
}

impl<F> SqliteView for F
where
    F: Fn(&Transaction<'_>, &RecordedEvent) -> Result<(), HandlerError> + Send + Sync + 'static,
{
    fn apply(
        &self,
        transaction: &Transaction<'_>,
        event: &RecordedEvent,
        _purpose: Purpose,
    ) -> Result<(), HandlerError> {
        self(transaction, event)
    }
}

/// What a consumer delivers to so that a view in the log's own file is exactly-once: view, checkpoint and fence are one
/// transaction.
#[derive(Clone)]
pub struct SqliteProjection {
    store: SqliteStore,
    view: Arc<dyn SqliteView>,
}

impl SqliteStore {
    /// Keeps a view in this file: hand the result to a consumer. Create the view's tables on a connection of your own,
    /// after the store was opened.
    ///
    /// A page of events is one transaction; if the handler fails on one of them, nothing of the page is left. A handler
    /// can't be interrupted; one that has taken longer than its timeout has failed when it returns.
    pub fn project(&self, view: impl SqliteView) -> SqliteProjection {
        SqliteProjection { store: self.clone(), view: Arc::new(view) }
    }
}

#[async_trait]
impl Sink for SqliteProjection {
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        let (view, delivery, now) = (self.view.clone(), delivery.clone(), self.store.now()?);
        let inline = self.store.shared.config.inline.clone();
        let appended = self
            .store
            .write::<_, DeliveryError>("projecting", move |transaction| {
                let head = |doing| read::head(transaction).map_err(|error| failed(doing, error));
                let before = head("projecting")?;
                if let Record::Resolved { key, .. } = &delivery.record
                    && !dead_letters::is_open(transaction, key)?
                {
                    return Ok(Ending::RollBack(false));
                }
                for (index, event) in delivery.events.iter().enumerate() {
                    let apply = || apply(&*view, transaction, event, delivery.purpose, delivery.timeout);
                    handler::work(Worker::Projection, apply)
                        .map_err(|error| DeliveryError::event(0, index, of_store(error)))?;
                }
                let kept = match &delivery.record {
                    Record::Checkpoint(save) => {
                        checkpoints::save(transaction, save, now)? == SaveJudgement::Write
                    }
                    Record::Resolved { key, by } => dead_letters::resolve(transaction, key, by, now)?,
                    Record::Switch { from, to } => {
                        switch(&*view, transaction).map_err(|error| DeliveryError::page(of_store(error)))?;
                        dead_letters::hand_over(transaction, from.consumer(), to, now)?;
                        checkpoints::hand_over(transaction, from, to, now)?;
                        // Where it is kept inline, nobody sees it without what was appended meanwhile.
                        inline.named(to).bring_up_to_head(transaction, now)?;
                        true
                    }
                };
                let appended = head("projecting")? != before;
                // What is recorded already was done already.
                Ok(if kept { Ending::Commit(appended) } else { Ending::RollBack(false) })
            })
            .await?;
        if appended {
            self.store.notify();
        }
        Ok(())
    }
}

/// Lets a view take an event; it panics, ends the transaction or takes too long only for itself.
pub(crate) fn apply(
    view: &dyn SqliteView,
    transaction: &Transaction<'_>,
    event: &RecordedEvent,
    purpose: Purpose,
    timeout: Option<Duration>,
) -> Result<(), HandlerError> {
    let begun = Instant::now();
    catch_unwind(AssertUnwindSafe(|| view.apply(transaction, event, purpose)))
        .unwrap_or_else(|_| Err("the handler panicked".into()))?;
    within(transaction)?;
    match timeout {
        Some(timeout) if begun.elapsed() > timeout => Err(HandlerTimedOut { timeout }.into()),
        _ => Ok(()),
    }
}

fn switch(view: &dyn SqliteView, transaction: &Transaction<'_>) -> Result<(), HandlerError> {
    handler::work(Worker::Projection, || view.switch(transaction))?;
    within(transaction)
}

/// That the handler has left the transaction open.
fn within(transaction: &Transaction<'_>) -> Result<(), HandlerError> {
    if handler::is_over(transaction) { Err("the handler has ended the transaction".into()) } else { Ok(()) }
}

/// A handler that hands on what the machine does not give is not to blame, nor is its event.
pub(crate) fn of_store(error: HandlerError) -> HandlerError {
    match error.downcast::<rusqlite::Error>() {
        Ok(error) => {
            let error = failed("projecting", *error);
            if error.kind() == ErrorKind::Unavailable {
                return error.into();
            }
            // The handler's own words say more than the kind.
            std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string).into()
        }
        Err(error) => error,
    }
}

impl fmt::Debug for SqliteProjection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteProjection").field("store", &self.store).finish_non_exhaustive()
    }
}

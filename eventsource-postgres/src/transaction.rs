use eventsource_core::{Append, Appended, Result};
use sqlx::{Postgres, Transaction};

use crate::PostgresStore;

impl PostgresStore {
    /// Appends within the caller's transaction, beside the caller's own tables: the events are there when it commits,
    /// and never if it rolls back.
    ///
    /// It takes the log's lock and holds it until the transaction ends, and every other writer waits meanwhile: append
    /// last, commit soon. Others are woken by polling, or by NOTIFY where that is configured.
    ///
    /// Views that the store keeps [inline](crate::PostgresConfig::inline) take the events in your transaction.
    ///
    /// After a `Conflict`, and after `Refused` by a view, nothing of the append is in the transaction, which can go on.
    /// After every other error roll it back.
    ///
    /// ```
    /// # use eventsource_core::{Append, NewEvent, Result};
    /// # use eventsource_postgres::PostgresStore;
    /// # async fn pay(store: &PostgresStore) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut transaction = store.pool().begin().await?;
    /// sqlx::query("UPDATE invoices SET paid = true WHERE id = $1").bind(7).execute(&mut *transaction).await?;
    /// let paid = NewEvent::new("InvoicePaid", &7)?.tag("invoice", 7)?;
    /// store.append_in(&mut transaction, Append::events([paid])).await?;
    /// transaction.commit().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for `EventStore::append`; `InvalidInput` also if the transaction's isolation level is not READ COMMITTED (its
    /// snapshot would be older than the lock, and duplicates would get in), or if the transaction has failed already.
    /// The outcome is the transaction's: `OutcomeUnknown` only if a view's handler has ended it, or may have.
    pub async fn append_in(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        append: Append,
    ) -> Result<Appended> {
        self.log()?.append_in(transaction, &append).await
    }
}

use std::ops::{Deref, DerefMut};

use eventsource_core::Result;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Postgres, SqlSafeStr, Transaction};

use crate::config::Statements;
use crate::error::reading;
use crate::log::Log;
use crate::readers::Reader;

/// A connection for statements that write nothing.
///
/// Through a pooler it is a transaction, because there only a transaction's statements run on one server.
pub(crate) enum ReadConnection {
    Reader(Reader),
    Transaction(Transaction<'static, Postgres>),
}

impl ReadConnection {
    /// Gives it back to the next one who reads, where all was read; ends a transaction now instead of some time after it
    /// was dropped.
    pub(crate) async fn release(self) -> Result<()> {
        match self {
            Self::Reader(reader) => {
                reader.rest();
                Ok(())
            }
            Self::Transaction(transaction) => transaction.rollback().await.map_err(reading),
        }
    }
}

impl Log {
    pub(crate) async fn reader(&self) -> Result<ReadConnection> {
        match self.statements {
            Statements::Prepared => self.readers.acquire().await.map(ReadConnection::Reader),
            Statements::Unnamed => {
                let begun = begin(&self.pool, "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY").await;
                begun.map(ReadConnection::Transaction).map_err(reading)
            }
        }
    }
}

impl Deref for ReadConnection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match self {
            Self::Reader(reader) => reader,
            Self::Transaction(transaction) => transaction,
        }
    }
}

impl DerefMut for ReadConnection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self {
            Self::Reader(reader) => reader,
            Self::Transaction(transaction) => transaction,
        }
    }
}

/// Begins a transaction, as `statement` says. Every transaction of the store's own begins here.
///
/// In a task, which goes on where the caller is dropped: the driver counts a transaction once BEGIN is answered, so a
/// `begin_with` that is dropped before gives the connection back to the pool with a transaction open that nobody ends.
/// Appends on that connection would be acknowledged and not committed.
pub(crate) async fn begin(
    pool: &PgPool,
    statement: impl SqlSafeStr + Send + 'static,
) -> sqlx::Result<Transaction<'static, Postgres>> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin_with(statement).await });
    begun.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

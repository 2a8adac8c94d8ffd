use std::ops::{Deref, DerefMut};

use eventsource_core::Result;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Postgres, SqlSafeStr, Transaction};

use crate::config::Statements;
use crate::error::reading;

/// A connection for statements that write nothing.
///
/// Through a pooler it is a transaction, because there only a transaction's statements run on one server.
pub(crate) enum ReadConnection {
    Pooled(PoolConnection<Postgres>),
    Transaction(Transaction<'static, Postgres>),
}

impl ReadConnection {
    pub(crate) async fn acquire(pool: &PgPool, statements: Statements) -> Result<Self> {
        match statements {
            Statements::Prepared => pool.acquire().await.map(Self::Pooled),
            Statements::Unnamed => {
                begin(pool, "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY").await.map(Self::Transaction)
            }
        }
        .map_err(reading)
    }

    /// Ends a transaction now instead of some time after it was dropped.
    pub(crate) async fn release(self) -> Result<()> {
        match self {
            Self::Pooled(_) => Ok(()),
            Self::Transaction(transaction) => transaction.rollback().await.map_err(reading),
        }
    }
}

impl Deref for ReadConnection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match self {
            Self::Pooled(connection) => connection,
            Self::Transaction(transaction) => transaction,
        }
    }
}

impl DerefMut for ReadConnection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self {
            Self::Pooled(connection) => connection,
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

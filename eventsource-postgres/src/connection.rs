use std::ops::{Deref, DerefMut};

use eventsource_core::Result;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Postgres, Transaction};

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
                pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY").await.map(Self::Transaction)
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

//! Transactions for what is kept beside the log.

use std::time::Duration;

use chrono::{DateTime, Utc};
use eventsource_core::{Error, Result, to_microseconds};
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Executor as _, Postgres, Row as _, Transaction};
use tokio::time::{sleep, timeout};

use crate::connection::begin;
use crate::error::{Asked, Failure, reading};
use crate::log::Log;

/// What a transaction sets for itself.
const LIMITS: &str = "set_config('lock_timeout', $1, true), \
     set_config('statement_timeout', $2, true), \
     set_config('idle_in_transaction_session_timeout', $3, true)";

impl Log {
    /// Begins a transaction that waits for no lock longer than an append would. A transaction also where one statement
    /// would do: through a pooler, only a transaction's statements run on one server.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Postgres>> {
        self.begin_limited(self.answer_timeout).await
    }

    /// As [`begin`](Self::begin); the server cancels statements that take longer than `limit`, and ends it if nothing is
    /// heard from it for half as long again, so that a client that was paused holds no lock for ever.
    pub(crate) async fn begin_limited(&self, limit: Duration) -> Result<Transaction<'static, Postgres>> {
        self.begin_asking(&format!("SELECT {LIMITS}"), Some(limit)).await.map(|(transaction, _)| transaction)
    }

    /// As [`begin_limited`](Self::begin_limited), for a handler, which may end the transaction, and may take as long as it
    /// likes where there is no limit; with what tells this transaction from others.
    pub(crate) async fn begin_for_handler(
        &self,
        limit: Option<Duration>,
    ) -> Result<(Transaction<'static, Postgres>, TransactionId)> {
        let (transaction, row) =
            self.begin_asking(&format!("SELECT txid_current(), {LIMITS}"), limit).await?;
        Ok((transaction, TransactionId::of(&row, 0)?))
    }

    async fn begin_asking(
        &self,
        sql: &str,
        limit: Option<Duration>,
    ) -> Result<(Transaction<'static, Postgres>, PgRow)> {
        let mut transaction =
            begin(&self.pool, "BEGIN ISOLATION LEVEL READ COMMITTED").await.map_err(reading)?;
        let setting = |limit: Option<Duration>| format!("{}ms", limit.map_or(0, milliseconds));
        let silent = limit.map(|limit| limit.saturating_add(limit / 2));
        let asking = self.query(sql).bind(&self.lock_timeout).bind(setting(limit)).bind(setting(silent));
        let row = asking.fetch_one(&mut *transaction).await.map_err(reading)?;
        Ok((transaction, row))
    }

    /// Whether the connection is in that transaction still: a handler may have ended it, and begun another.
    pub(crate) async fn is_within(&self, connection: &mut PgConnection, id: TransactionId) -> Result<bool> {
        // As one message: outside a transaction, a pooler may send each to another server.
        let asking = connection.fetch_one(sqlx::raw_sql("SELECT txid_current_if_assigned()"));
        let row = asking.await.map_err(reading)?;
        let current: Option<i64> = row.try_get(0).map_err(reading)?;
        Ok(current == Some(id.0))
    }

    /// Refuses to go on if it is not.
    pub(crate) async fn check_within(&self, connection: &mut PgConnection, id: TransactionId) -> Result<()> {
        if self.is_within(connection, id).await? { Ok(()) } else { Err(has_ended_it()) }
    }

    /// Whether it is certain that nothing of a transaction is left, and nothing will be: it was rolled back, whoever did
    /// it. Nothing of the store's may be under way in it any more; if its connection was lost, the server may still be
    /// about to end it.
    pub(crate) async fn is_undone(&self, id: TransactionId) -> bool {
        const PAUSE: Duration = Duration::from_millis(10);
        let ended = async {
            loop {
                match self.status(id).await.ok().flatten().as_deref() {
                    Some("aborted") => return true,
                    // It has the log's lock: nobody could append meanwhile.
                    Some("in progress") => sleep(PAUSE).await,
                    _ => return false,
                }
            }
        };
        timeout(self.answer_timeout, ended).await.unwrap_or(false)
    }

    async fn status(&self, id: TransactionId) -> sqlx::Result<Option<String>> {
        // As one message: outside a transaction, a pooler may send each to another server.
        let asking = sqlx::raw_sql(AssertSqlSafe(format!("SELECT txid_status({})", id.0)));
        self.pool.fetch_one(asking).await?.try_get(0)
    }

    /// A statement in which `{schema}` stands for the log's.
    pub(crate) fn query(&self, sql: &str) -> Query<'static, Postgres, PgArguments> {
        sqlx::query(AssertSqlSafe(self.schema.fill_in(sql))).persistent(self.is_preparing())
    }

    /// The time by the store's own clock; without one, the database's is taken.
    pub(crate) fn now(&self) -> Result<Option<DateTime<Utc>>> {
        self.clock.as_ref().map(|clock| to_microseconds(clock.now())).transpose()
    }
}

/// What tells a transaction from others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TransactionId(i64);

impl TransactionId {
    /// What `txid_current()` says, in a column.
    pub(crate) fn of(row: &PgRow, column: usize) -> Result<Self> {
        row.try_get(column).map(Self).map_err(reading)
    }

    pub(crate) fn as_i64(self) -> i64 {
        self.0
    }
}

/// What is said of a handler that has ended the transaction which it was given.
pub(crate) fn has_ended_it() -> Error {
    Error::invalid_input("the view's handler has ended the transaction that it was given")
}

/// A time as the server's settings take it; 0 would be no limit.
pub(crate) fn milliseconds(limit: Duration) -> u128 {
    limit.as_millis().clamp(1, 2_147_483_647)
}

/// Commits; if the answer is lost, the outcome is unknown.
pub(crate) async fn commit(transaction: Transaction<'_, Postgres>) -> Result<()> {
    transaction.commit().await.map_err(|error| Failure::new(error, Asked::Commit).to_error())
}

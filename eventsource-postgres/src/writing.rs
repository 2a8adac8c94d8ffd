//! Transactions for what is kept beside the log.

use std::time::Duration;

use chrono::{DateTime, Utc};
use eventsource_core::{Result, to_microseconds};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres, Transaction};

use crate::connection::begin;
use crate::error::{Asked, Failure, reading};
use crate::log::Log;

impl Log {
    /// Begins a transaction that waits for no lock longer than an append would. A transaction also where one statement
    /// would do: through a pooler, only a transaction's statements run on one server.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Postgres>> {
        self.begin_limited(self.answer_timeout).await
    }

    /// As [`begin`](Self::begin); the server ends it if nothing is heard from it for `limit`, so that a client that
    /// was paused holds no lock for ever, and cancels statements that take longer.
    pub(crate) async fn begin_limited(&self, limit: Duration) -> Result<Transaction<'static, Postgres>> {
        let mut transaction =
            begin(&self.pool, "BEGIN ISOLATION LEVEL READ COMMITTED").await.map_err(reading)?;
        let limit = format!("{}ms", limit.as_millis().clamp(1, 2_147_483_647));
        self.query(
            "SELECT set_config('lock_timeout', $1, true), \
             set_config('idle_in_transaction_session_timeout', $2, true), \
             set_config('statement_timeout', $2, true)",
        )
        .bind(&self.lock_timeout)
        .bind(limit)
        .execute(&mut *transaction)
        .await
        .map_err(reading)?;
        Ok(transaction)
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

/// Commits; if the answer is lost, the outcome is unknown.
pub(crate) async fn commit(transaction: Transaction<'_, Postgres>) -> Result<()> {
    transaction.commit().await.map_err(|error| Failure::new(error, Asked::Commit).to_error())
}

use eventsource_core::{Append, Appended, Capability, Error, ErrorKind, Result};
use rusqlite::{Connection, Transaction, TransactionState};

use crate::append::{Appender, Retries, in_savepoint, verdict};
use crate::config::Location;
use crate::error::failed;
use crate::store::SqliteStore;
use crate::{filter, handler, payload, schema};

impl SqliteStore {
    /// Appends within a transaction of yours, beside your own tables: both are committed, or neither is.
    ///
    /// The transaction belongs to a connection of yours to the same file. Begin it with
    /// [`TransactionBehavior::Immediate`](rusqlite::TransactionBehavior::Immediate). One that was begun deferred and has
    /// read already can't always get the write lock, however long it waits, and is `Unavailable` then. It holds the
    /// log's write lock until you end it: append last, commit soon.
    ///
    /// The events are visible once you have committed, and what the commit promises depends on your connection's
    /// `synchronous`: at FULL it makes everything durable that was committed before as well. A conflict or a repetition is
    /// told when what it rests on is durable. [`changes`](eventsource_core::EventStore::changes) wakes after the poll
    /// interval. After an error nothing of the append is in the transaction, which goes on, unless SQLite has rolled it back
    /// itself (when the disk is full, for instance), or the handler of a view has ended it.
    ///
    /// Views that the store keeps [inline](crate::SqliteConfig::inline) take the events in your transaction.
    ///
    /// Positions of a transaction that you roll back are given to others; nobody has seen them.
    ///
    /// It blocks: call it where you use the connection.
    ///
    /// ```
    /// use eventsource_core::{Append, EventStore, NewEvent};
    /// use eventsource_sqlite::{SqliteConfig, SqliteStore};
    /// use rusqlite::{Connection, TransactionBehavior};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("shop.db");
    /// let store = SqliteStore::open(SqliteConfig::file(&path)).await?;
    /// let mut own = Connection::open(&path)?;
    /// own.execute_batch("CREATE TABLE stock (item TEXT PRIMARY KEY, left INTEGER NOT NULL)")?;
    ///
    /// let transaction = own.transaction_with_behavior(TransactionBehavior::Immediate)?;
    /// transaction.execute("INSERT INTO stock VALUES ('chair', 3)", [])?;
    /// let counted = NewEvent::new("StockCounted", &("chair", 3))?;
    /// let appended = store.append_in(&transaction, Append::events([counted]))?;
    /// transaction.commit()?;
    /// assert_eq!(store.head().await?, appended.last);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`append`](eventsource_core::EventStore::append), and `Unsupported` for a store in memory, `InvalidInput`
    /// if the transaction is on another database. Whatever the kind, nothing was written.
    pub fn append_in(&self, transaction: &Transaction<'_>, append: Append) -> Result<Appended> {
        if self.shared.config.location == Location::Memory {
            return Err(Error::unsupported(Capability::Transactional));
        }
        append.validate()?;
        self.check()?;
        if handler::is_inline() {
            return Err(Error::invalid_input("a view that is kept inline can't append"));
        }
        lock(transaction).map_err(not_ours)?;
        if schema::log_id(transaction).map_err(not_ours)? != self.shared.log_id {
            return Err(Error::invalid_input("the transaction is on another log's database"));
        }
        let broken = |error| failed("appending in a transaction", error);
        let views = &self.shared.config.inline;
        if append.conditions().iter().any(|condition| filter::reads_payload(condition.filter()))
            || views.read_payloads()
        {
            payload::register_once(transaction).map_err(broken)?;
        }
        let mut appender = Appender::new(transaction, self.shared.config.outbox.as_ref()).map_err(broken)?;
        let mut pending = appender.begin().map_err(broken)?;
        let now = self.shared.config.now()?;
        let before = pending.head();
        let verdict = verdict(in_savepoint(transaction, || {
            let appended = appender.append(&append, &mut pending, now, Retries::LookedUp)?;
            if !appended.replayed {
                appender.finish(&mut pending)?;
            }
            views.bring_up(transaction, before, pending.head(), now)?;
            Ok(appended)
        }));
        // These tell of what others have committed. What is appended is the caller's to commit.
        let tells = |error: &Error| error.is_conflict() || error.kind() == ErrorKind::Refused;
        if verdict.as_ref().map_or_else(tells, |appended| appended.replayed) {
            self.flush()?;
        }
        verdict
    }
}

/// Takes the write lock, if the transaction does not hold it. What is checked afterwards holds until it ends: SQLite
/// gives the lock only to a transaction that sees the newest commit.
fn lock(connection: &Connection) -> rusqlite::Result<()> {
    if connection.transaction_state(Some("main"))? != TransactionState::Write {
        connection.execute("UPDATE main.log SET head = head WHERE id = 1", [])?;
    }
    Ok(())
}

fn not_ours(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        // No such table, no such column.
        Some(rusqlite::ErrorCode::Unknown) => {
            Error::invalid_input("the transaction is on a database that holds no log").with_source(error)
        }
        _ => failed("looking at the transaction's log", error),
    }
}

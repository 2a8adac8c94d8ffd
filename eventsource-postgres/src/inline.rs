use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use eventsource_core::{
    Append, Appended, Checkpoint, CheckpointSave, CheckpointStore, Conflict, ConsumerName, Error, ErrorKind,
    LogId, Position, Purpose, ReadOptions, RecordedEvent, Result, ViewRefusal,
};
use futures_util::FutureExt as _;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Postgres, Row as _, Transaction};
use tokio::time::timeout;
use uuid::Uuid;

use crate::PostgresStore;
use crate::append::{Answered, Verdict};
use crate::call::{Asked, Call};
use crate::connection;
use crate::error::{self, Failure, reading};
use crate::inline_view::PostgresInlineView;
use crate::log::Log;
use crate::log_state::LogState;
use crate::projection::{self, of_store};
use crate::schema::LOG_LOCK_CLASS;
use crate::writing::{TransactionId, commit, milliseconds};

/// How many events are read at a time.
const PAGE: u64 = 500;

/// The views that a store keeps within its appends. Where there are none, nothing is done.
#[derive(Clone, Debug, Default)]
pub(crate) struct InlineViews(Vec<PostgresInlineView>);

impl InlineViews {
    pub(crate) fn add(&mut self, view: PostgresInlineView) {
        self.0.push(view);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one has this name.
    pub(crate) fn has(&self, name: &ConsumerName) -> bool {
        self.0.iter().any(|view| view.name == *name)
    }

    /// Refuses what makes no sense.
    pub(crate) fn check(&self) -> Result<()> {
        for (index, view) in self.0.iter().enumerate() {
            ReadOptions::new().validate(&view.filter)?;
            if self.0[..index].iter().any(|earlier| earlier.name == view.name) {
                return Err(Error::invalid_input(format!("two inline views are called {}", view.name)));
            }
        }
        Ok(())
    }

    /// How long the server hears nothing or works on one statement at most.
    fn limit(&self) -> Duration {
        self.0.iter().map(|view| view.timeout).max().unwrap_or_default()
    }
}

impl PostgresStore {
    /// Prepares the views and catches them up, in as many transactions as it takes.
    pub(crate) async fn open_views(&self) -> Result<()> {
        let log = self.log()?;
        for view in &log.inline.0 {
            if let Some(checkpoint) = self.load_checkpoint(&view.name).await? {
                checkpoint.verify(self, self).await?;
            }
            log.prepare(view).await?;
            while log.catch_up(view).await? {}
        }
        Ok(())
    }
}

impl Log {
    /// Appends what is called for and lets the views take it, in one transaction.
    pub(crate) async fn append_with_views(&self, call: Call, asked: &Asked<'_>) -> Result<Answered, Failure> {
        // The server ends it, should this process be paused: it has the log's lock.
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = {}",
            milliseconds(self.inline.limit())
        );
        let nothing = |error| Failure::new(error, error::Asked::Nothing);
        let begun = timeout(self.answer_timeout, connection::begin(&self.pool, AssertSqlSafe(begin))).await;
        let mut transaction = begun.map_err(|_| Failure::of_views(unanswered()))?.map_err(nothing)?;
        let called = timeout(self.answer_timeout, self.call_function(&mut transaction, call)).await;
        let row = called.map_err(|_| Failure::of_views(unanswered()))?.map_err(nothing)?;
        let answered = asked.answered(&row).map_err(Failure::of_views)?;
        // Who repeats an append is told that it succeeded, so the views must have it, too.
        let takes_part = |verdict: &Verdict| !matches!(verdict, Verdict::Conflict(_));
        if !answered.verdicts.iter().any(takes_part) {
            self.answered_in_time(async { transaction.rollback().await.map_err(reading) })
                .await
                .map_err(Failure::of_views)?;
            return Ok(answered);
        }
        let failed = match self.updating_batch(&mut transaction, &answered).await {
            Ok(updating) => {
                let brought_up = updating.bring_up_all(&mut transaction).await;
                brought_up.err().map(|error| (error, Some(updating.transaction)))
            }
            Err(error) => Some((error, None)),
        };
        if let Some((error, handled)) = failed {
            // The log's lock is given back before anybody goes on. If that fails, the connection is lost, and the lock with it.
            let _ = self.answered_in_time(async { transaction.rollback().await.map_err(reading) }).await;
            // A handler may have committed before it failed.
            let undone = match handled {
                Some(id) => self.is_undone(id).await,
                None => true,
            };
            return Err(Failure::of_views(if undone { error } else { unknown(error) }));
        }
        match timeout(self.answer_timeout, transaction.commit()).await {
            Ok(committed) => committed.map_err(|error| Failure::new(error, error::Asked::Commit))?,
            Err(_) => return Err(Failure::timed_out()),
        }
        Ok(answered)
    }

    /// Appends in a transaction of the caller's, and lets the views take it there.
    pub(crate) async fn append_in_with_views(
        &self,
        connection: &mut PgConnection,
        append: &Append,
    ) -> Result<Appended> {
        // What a view fails on is undone, and the caller's transaction goes on.
        let mut savepoint = connection.begin().await.map_err(reading)?;
        let begun = async {
            let appended = self.append_within(&mut savepoint, append).await?;
            let updating = self.updating_append(&mut savepoint, &appended).await?;
            Result::Ok((appended, updating))
        };
        let (appended, updating) = match begun.await {
            Ok(begun) => begun,
            Err(error) => {
                // If it can't be undone, the transaction is lost as a whole, and says so to whoever goes on.
                let _ = savepoint.rollback().await;
                return Err(error);
            }
        };
        match updating.bring_up_all(&mut savepoint).await {
            Ok(()) => savepoint.commit().await.map_err(reading).map(|()| appended),
            // Where a handler has ended the transaction, the savepoint is gone, and who knows what was committed.
            Err(error) => match savepoint.rollback().await {
                Ok(()) => Err(error),
                Err(_) => Err(unknown(error)),
            },
        }
    }

    /// Applies what the view of this name lacks, if it is kept inline. The transaction has the log's lock.
    pub(crate) async fn bring_up_to_head(
        &self,
        transaction: &mut PgConnection,
        name: &ConsumerName,
    ) -> Result<()> {
        for view in self.inline.0.iter().filter(|view| view.name == *name) {
            let head = self.head_within(transaction).await?;
            let updating = self.updating(transaction, head, head, Limit::AsItIs).await?;
            updating.bring_up(transaction, view).await?;
        }
        Ok(())
    }

    /// Takes the log's lock until the transaction ends.
    pub(crate) async fn lock(&self, transaction: &mut PgConnection) -> Result<()> {
        let sql = include_str!("sql/lock.sql").replace("{lock_class}", &LOG_LOCK_CLASS.to_string());
        self.query(&sql).execute(transaction).await.map_err(reading)?;
        Ok(())
    }

    async fn updating_batch(
        &self,
        transaction: &mut PgConnection,
        answered: &Answered,
    ) -> Result<Updating<'_>> {
        let before = answered.snapshot.head;
        let ends = answered.verdicts.iter().filter_map(|verdict| match verdict {
            Verdict::Appended(appended) => Some(appended.last),
            Verdict::Conflict(_) | Verdict::IdTaken => None,
        });
        let until = ends.max().unwrap_or(before);
        let limit = Limit::PerStatement(self.inline.limit());
        self.updating(transaction, before, until, limit).await
    }

    async fn updating_append(
        &self,
        transaction: &mut PgConnection,
        appended: &Appended,
    ) -> Result<Updating<'_>> {
        let head = self.head_within(transaction).await?;
        let before = if appended.replayed { head } else { Position::from_raw(appended.first.to_raw() - 1) };
        self.updating(transaction, before, head, Limit::AsItIs).await
    }

    /// Makes the view's checkpoint and whatever else it needs, one process at a time.
    async fn prepare(&self, view: &PostgresInlineView) -> Result<()> {
        let mut transaction = self.begin().await?;
        let id = self.id_within(&mut transaction).await?;
        self.query(include_str!("sql/begin_checkpoint.sql"))
            .bind(view.name.as_str().to_owned())
            .bind(id)
            .bind(self.now()?)
            .execute(&mut *transaction)
            .await
            .map_err(reading)?;
        self.lock_checkpoint(&mut transaction, &view.name).await?;
        let prepared = AssertUnwindSafe(view.view.prepare(&mut transaction)).catch_unwind().await;
        prepared.unwrap_or_else(|_| Err("it panicked".into())).map_err(|error| {
            let error = of_store(error, None);
            Error::backend(format!("the view {} can't be prepared", view.name)).with_source(error)
        })?;
        commit(transaction).await
    }

    /// Applies a page of what the view lacks; returns whether there is more.
    async fn catch_up(&self, view: &PostgresInlineView) -> Result<bool> {
        let mut transaction: Transaction<'static, Postgres> = self.begin_limited(view.timeout).await?;
        let head = self.head_within(&mut transaction).await?;
        let updating = self.updating(&mut transaction, head, head, Limit::AsItIs).await?;
        let begun = match updating.begin(&mut transaction, view).await {
            Ok(begun) => begun,
            Err(error) => return self.judge_anew(transaction, error).await,
        };
        // Another process, which opened the log as well, may have been faster.
        if begun.save.position() >= head {
            return transaction.rollback().await.map_err(reading).map(|()| false);
        }
        let (begun, more) = updating.page(&mut transaction, view, begun).await?;
        updating.put(&mut transaction, view, if more { begun } else { begun.scanned_to(head) }).await?;
        commit(transaction).await?;
        Ok(more)
    }

    /// Whether a checkpoint that lay ahead of the head does so still: another process may have appended, and moved it, since
    /// the head was read.
    async fn judge_anew(&self, mut transaction: Transaction<'_, Postgres>, error: Error) -> Result<bool> {
        let Some(Conflict::CheckpointAhead { position, .. }) = error.conflict() else { return Err(error) };
        let head = self.head_within(&mut transaction).await?;
        transaction.rollback().await.map_err(reading)?;
        if *position <= head { Ok(true) } else { Err(error) }
    }

    async fn updating(
        &self,
        transaction: &mut PgConnection,
        before: Position,
        until: Position,
        limit: Limit,
    ) -> Result<Updating<'_>> {
        let limit = match limit {
            Limit::AsItIs => None,
            Limit::PerStatement(limit) => Some(milliseconds(limit).to_string()),
        };
        let identifying = self.query(include_str!("sql/begin_views.sql")).bind(limit).fetch_one(transaction);
        let row = self.answered_in_time(async { identifying.await.map_err(reading) }).await?;
        let log_id = LogId::new(row.try_get(0).map_err(reading)?);
        let transaction = TransactionId::of(&row, 1)?;
        Ok(Updating { log: self, log_id, transaction, before, until })
    }

    async fn id_within(&self, transaction: &mut PgConnection) -> Result<Uuid> {
        let row = self.query("SELECT id FROM {schema}.log").fetch_one(transaction).await.map_err(reading)?;
        row.try_get(0).map_err(reading)
    }

    async fn head_within(&self, transaction: &mut PgConnection) -> Result<Position> {
        let asking = self.query(LogState::STATEMENT).fetch_one(transaction);
        let row = self.answered_in_time(async { asking.await.map_err(reading) }).await?;
        Ok(LogState::decode(&row, 0)?.head)
    }

    /// Waits for an answer before which nothing is committed.
    async fn answered_in_time<T>(&self, asking: impl Future<Output = Result<T>>) -> Result<T> {
        timeout(self.answer_timeout, asking).await.unwrap_or_else(|_| Err(unanswered()))
    }
}

/// How long the server may work on a statement from now on, in this transaction.
enum Limit {
    AsItIs,
    PerStatement(Duration),
}

/// A transaction in which views are brought up.
struct Updating<'l> {
    log: &'l Log,
    log_id: LogId,
    /// What tells it from others.
    transaction: TransactionId,
    /// What lies behind was appended in it.
    before: Position,
    until: Position,
}

/// A view's step forward.
struct Begun {
    stored: Option<Checkpoint>,
    save: CheckpointSave,
    last: Option<RecordedEvent>,
}

impl Begun {
    fn scanned_to(self, position: Position) -> Self {
        Self { save: self.save.scanned_to(position), ..self }
    }
}

impl Updating<'_> {
    /// Brings up all views. A handler may have ended the transaction, also where it fails.
    async fn bring_up_all(&self, connection: &mut PgConnection) -> Result<()> {
        for view in &self.log.inline.0 {
            self.bring_up(connection, view).await?;
        }
        Ok(())
    }

    /// Applies what the view lacks, and moves its checkpoint.
    async fn bring_up(&self, connection: &mut PgConnection, view: &PostgresInlineView) -> Result<()> {
        let mut begun = self.begin(connection, view).await?;
        if begun.save.position() >= self.until {
            return Ok(());
        }
        self.refuse_if_far_behind(connection, view, begun.save.position()).await?;
        loop {
            let (next, more) = self.page(connection, view, begun).await?;
            begun = next;
            if !more {
                break;
            }
        }
        self.put(connection, view, begun.scanned_to(self.until)).await
    }

    /// Locks the view's checkpoint; it must belong to this log.
    async fn begin(&self, connection: &mut PgConnection, view: &PostgresInlineView) -> Result<Begun> {
        let stored = self.log.answered_in_time(self.log.lock_checkpoint(connection, &view.name)).await?;
        let save = match &stored {
            Some(stored) => {
                stored.verify_place(self.log_id, self.before)?;
                CheckpointSave::following(stored)
            }
            None => CheckpointSave::first(view.name.clone(), self.log_id),
        };
        Ok(Begun { stored, save, last: None })
    }

    async fn refuse_if_far_behind(
        &self,
        connection: &mut PgConnection,
        view: &PostgresInlineView,
        position: Position,
    ) -> Result<()> {
        let head = self.before;
        if head.to_raw().saturating_sub(position.to_raw()) <= view.most_behind {
            return Ok(());
        }
        let (mut after, mut room) = (position, view.most_behind);
        loop {
            let options = ReadOptions::new().after(after).until(head);
            let limit = PAGE.min(room.saturating_add(1));
            let reading = self.log.page_within(connection, &view.filter, &options, limit);
            let (missing, _) = self.log.answered_in_time(reading).await?;
            let Some(left) = room.checked_sub(missing.events.len() as u64) else {
                return Err(ViewRefusal::Behind { view: view.name.clone(), position, head }.into());
            };
            match missing.events.last() {
                Some(last) if missing.more => (after, room) = (last.position(), left),
                _ => return Ok(()),
            }
        }
    }

    /// Applies the next page; returns whether there are more.
    async fn page(
        &self,
        connection: &mut PgConnection,
        view: &PostgresInlineView,
        begun: Begun,
    ) -> Result<(Begun, bool)> {
        let Begun { stored, mut save, mut last } = begun;
        let options = ReadOptions::new().after(save.position()).until(self.until);
        let reading = self.log.page_within(connection, &view.filter, &options, PAGE);
        let (page, _) = self.log.answered_in_time(reading).await?;
        for event in page.events {
            self.apply(connection, view, &event).await?;
            save = save.past(&event);
            last = Some(event);
        }
        Ok((Begun { stored, save, last }, page.more))
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        view: &PostgresInlineView,
        event: &RecordedEvent,
    ) -> Result<()> {
        let limit = Some(view.timeout);
        let applied = projection::apply(&*view.view, connection, event, Purpose::Live, limit).await;
        applied
            .map_err(|error| ViewRefusal::of_handler(&view.name, event, self.before, of_store(error, limit)))
    }

    async fn put(
        &self,
        connection: &mut PgConnection,
        view: &PostgresInlineView,
        begun: Begun,
    ) -> Result<()> {
        let Begun { stored, save, last } = begun;
        let (last_event, before) = (save.last_event(), stored.as_ref().map(Checkpoint::mark));
        let putting = self
            .log
            .query(include_str!("sql/put_inline_checkpoint.sql"))
            .bind(save.consumer().as_str().to_owned())
            .bind(save.log_id().as_uuid())
            .bind(save.position().to_i64())
            .bind(last_event.map(|last| last.position.to_i64()))
            .bind(last_event.map(|last| last.id.as_uuid()))
            .bind(last_event.map(|last| last.event_type.as_str().to_owned()))
            .bind(save.events_processed().cast_signed())
            .bind(before.map_or(0, |before| before.resets).cast_signed())
            .bind(self.log.now()?)
            .bind(self.transaction.as_i64())
            .bind(before.map_or(Position::START, |before| before.position).to_i64())
            .execute(connection);
        match self.log.answered_in_time(async { putting.await.map_err(reading) }).await {
            Ok(written) if written.rows_affected() == 1 => Ok(()),
            Ok(_) if stored.is_none() => Err(Error::unavailable(format!(
                "another instance has just begun the checkpoint of {}",
                view.name
            ))),
            // What the handler has ended it with, nobody can tell.
            Ok(_) => Err(Error::outcome_unknown(format!(
                "the handler of the view {} has ended the transaction that the append was in",
                view.name
            ))),
            // The transaction has failed: the handler went on after an error.
            Err(error) if error.kind() == ErrorKind::InvalidInput => match last {
                Some(event) => Err(ViewRefusal::of_handler(&view.name, &event, self.before, error.into())),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }
}

/// What a view failed with, where nobody can tell that the append is undone.
fn unknown(error: Error) -> Error {
    if error.kind() == ErrorKind::OutcomeUnknown {
        return error;
    }
    Error::outcome_unknown(
        "a view failed, and nobody can tell that the append is undone: the view's handler may have ended the transaction",
    )
    .with_source(error)
}

fn unanswered() -> Error {
    Error::unavailable("no answer came within the answer timeout; nothing was committed")
}

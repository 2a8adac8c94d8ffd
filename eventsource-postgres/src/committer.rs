use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{Append, Appended, ChangeSignal, Error, EventId, Result};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Executor as _, Postgres, Row as _};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::append::{Answered, Commit, Verdict};
use crate::call::Call;
use crate::config::{CommitMode, Statements};
use crate::connection::begin;
use crate::deadline::Deadline;
use crate::durable::Seen;
use crate::error::{Asked, Failure, reading};
use crate::log::Log;
use crate::replay::Judgement;
use crate::reply::Reply;

/// An append that waits for its verdict.
pub(crate) struct Request {
    pub(crate) append: Append,
    pub(crate) verdict: oneshot::Sender<Result<Appended>>,
    /// Its share of what may wait.
    pub(crate) _room: OwnedSemaphorePermit,
}

/// Commits what is waiting, a batch at a time, until nobody can ask any more and the queue is empty.
///
/// One batch is under way at a time: the log's lock serialises them anyway, and what waits meanwhile makes the next one
/// larger.
pub(crate) struct Committer {
    log: Arc<Log>,
    changes: ChangeSignal,
    queue: mpsc::Receiver<Request>,
    /// Taken from the queue, but it could not join the last batch.
    held: Option<Request>,
    /// How many will be waiting when everybody asks again who was told a verdict of the last batch.
    expected: usize,
    /// Kept from batch to batch, since when: giving it back to the pool costs a round trip.
    kept: Option<(PoolConnection<Postgres>, Instant)>,
    idle: Deadline,
    answers: Deadline,
    batch_limit: usize,
    /// How long the last call took.
    called: Duration,
    /// Batches that are committed and whose callers are yet to be told; each returns how long they waited for a flush.
    replies: JoinSet<Duration>,
    /// How long that was the last time.
    flushed: Duration,
}

impl Committer {
    /// A batch's size beyond the number of its appends; a larger append goes alone.
    const MOST_EVENTS: usize = 4_096;
    const MOST_BYTES: usize = 8 << 20;
    /// What a call costs by itself matters little for so many appends.
    const ENOUGH: usize = 32;
    /// How long a batch waits at most for those who wait for a flush.
    const PATIENCE: Duration = Duration::from_millis(20);
    /// How many batches wait for a flush at most before the next one is begun.
    const MOST_REPLIES: usize = 64;
    /// How long the connection is kept while nothing is asked.
    const IDLE: Duration = Duration::from_millis(10);
    /// How long it is kept at all, so that the pool can end it when it is too old.
    const KEEP: Duration = Duration::from_secs(10);

    pub(crate) fn new(
        log: Arc<Log>,
        changes: ChangeSignal,
        queue: mpsc::Receiver<Request>,
        batch_limit: usize,
    ) -> Self {
        Self {
            changes,
            queue,
            held: None,
            expected: 0,
            kept: None,
            idle: Deadline::new(Self::IDLE),
            answers: Deadline::new(log.answer_timeout),
            batch_limit,
            called: Duration::ZERO,
            replies: JoinSet::new(),
            flushed: Duration::ZERO,
            log,
        }
    }

    pub(crate) async fn run(mut self) {
        while let Some(batch) = self.next_batch().await {
            self.commit(batch).await;
        }
        while self.replies.join_next().await.is_some() {}
    }

    async fn next_batch(&mut self) -> Option<Vec<Request>> {
        let first = match self.held.take() {
            Some(held) => held,
            None => self.next_request().await?,
        };
        self.await_flushes().await;
        self.await_others().await;
        let mut size = Size::default();
        size.add(&first.append);
        let mut batch = vec![first];
        while batch.len() < self.batch_limit {
            let Ok(request) = self.queue.try_recv() else { break };
            if size.can_take(&request.append) {
                size.add(&request.append);
                batch.push(request);
            } else {
                self.held = Some(request);
                break;
            }
        }
        Some(batch)
    }

    async fn next_request(&mut self) -> Option<Request> {
        if self.kept.is_some() {
            if let Some(request) = self.idle.limit(self.queue.recv()).await {
                return request;
            }
            self.kept = None;
        }
        self.queue.recv().await
    }

    /// Where a call takes longer than a flush, whoever waits for a flush can join, if the batch is small: where many
    /// processes want the log's lock, callers fall into groups otherwise, each of which waits for it in turn.
    async fn await_flushes(&mut self) {
        let is_small = 1 + self.queue.len() < Self::ENOUGH;
        if self.log.commit == CommitMode::Flushed || self.called <= self.flushed || !is_small {
            return;
        }
        // The next one may never end.
        let patience = self.flushed.min(Self::PATIENCE);
        let told = async {
            while let Some(Ok(flushed)) = self.replies.join_next().await {
                self.flushed = flushed;
            }
        };
        let _ = timeout(patience, told).await;
    }

    /// Lets those ask again who were told the last verdicts, before the batch is closed: as long as some do and others
    /// have not. One has been taken from the queue.
    async fn await_others(&self) {
        let enough = self.expected.min(self.batch_limit);
        let mut waiting = 0;
        while waiting < 1 + self.queue.len() && 1 + self.queue.len() < enough {
            waiting = 1 + self.queue.len();
            tokio::task::yield_now().await;
        }
    }

    async fn commit(&mut self, requests: Vec<Request>) {
        let begun = Instant::now();
        let called = self.call(&requests).await;
        self.called = begun.elapsed();
        match called {
            Ok(called) => self.reply(requests, called).await,
            Err(failure) if requests.len() > 1 && failure.blames_a_request() => {
                // Nothing was written. One of them is to blame; the others must not suffer.
                for request in requests {
                    let alone = vec![request];
                    match self.call(&alone).await {
                        Ok(called) => self.reply(alone, called).await,
                        Err(failure) => fail(alone, &failure),
                    }
                }
            }
            Err(failure) => fail(requests, &failure),
        }
    }

    async fn call(&mut self, requests: &[Request]) -> Result<Called, Failure> {
        let commit = match self.log.commit {
            CommitMode::Flushed => Commit::Flushed,
            CommitMode::Pipelined => Commit::Deferred,
            CommitMode::Adaptive if requests.len() > 1 || !self.queue.is_empty() => Commit::Deferred,
            CommitMode::Adaptive => Commit::FlushedUnlessContended,
        };
        let appends: Vec<&Append> = requests.iter().map(|request| &request.append).collect();
        let (call, asked) = Call::new(&appends, &self.log, commit).map_err(Failure::encoding)?;
        let known = self.log.flusher.durable.last();
        if !self.log.inline.is_empty() {
            let answered = self.log.append_with_views(call, &asked).await?;
            return Ok(Called { answered, known });
        }
        let row = self.call_and_commit(call).await?;
        let answered = asked.answered(&row).map_err(Failure::decoding)?;
        Ok(Called { answered, known })
    }

    /// Tells the verdicts: here, if they can be told at once, else beside the batches that follow.
    async fn reply(&mut self, requests: Vec<Request>, called: Called) {
        let (log, changes, told) = (Arc::clone(&self.log), self.changes.clone(), requests.len());
        let reply = Reply::new(log, changes, requests, called.answered, called.known);
        if reply.is_ready() {
            self.expected = told + usize::from(self.held.is_some()) + self.queue.len();
            return reply.tell();
        }
        // They are told at some time.
        self.expected = usize::MAX;
        while let Some(Ok(flushed)) = self.replies.try_join_next() {
            self.flushed = flushed;
        }
        if self.replies.len() >= Self::MOST_REPLIES {
            self.replies.join_next().await;
        }
        self.replies.spawn(reply.settle_and_tell());
    }

    /// A connection of the pool that is in no transaction. The driver (sqlx 0.9.0) gives one back with its transaction
    /// open if a `begin` is given up while its answer is awaited, and what is appended there would not be committed.
    async fn acquire(&self) -> Result<PoolConnection<Postgres>, Failure> {
        let nothing = |error| Failure::new(error, Asked::Nothing);
        let mut connection = self.log.pool.acquire().await.map_err(nothing)?;
        let checking = async {
            // As one message, this begins its own transaction, at the same time, unless there is one already.
            let asked = connection.fetch_one(sqlx::raw_sql("SELECT now() = statement_timestamp()")).await;
            let is_clean = match asked.and_then(|row| row.try_get::<bool, _>(0)) {
                Err(error) if is_in_failed_transaction(&error) => false,
                answer => answer?,
            };
            if !is_clean {
                sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await?;
            }
            Ok(())
        };
        match timeout(self.log.answer_timeout, checking).await {
            Ok(checked) => checked.map_err(nothing)?,
            Err(_) => {
                // Nobody may be given this connection: its answer could still come.
                drop(connection.detach());
                return Err(nothing(io::Error::from(io::ErrorKind::TimedOut).into()));
            }
        }
        Ok(connection)
    }

    /// Calls the function in a transaction of its own and waits for the commit.
    async fn call_and_commit(&mut self, call: Call) -> Result<PgRow, Failure> {
        let nothing = |error| Failure::new(error, Asked::Nothing);
        let lost = |error| Failure::new(error, Asked::Commit);
        let Log { pool, statements, answer_timeout, .. } = &*self.log;
        match statements {
            Statements::Prepared => {
                let (mut connection, since) = match self.kept.take() {
                    Some(kept) => kept,
                    None => (self.acquire().await?, Instant::now()),
                };
                let call = self.log.call_function(&mut connection, call);
                match self.answers.limit(call).await {
                    Some(answer) => {
                        let row = answer.map_err(lost)?;
                        // Others need it more, where it is the pool's last one.
                        let is_spare =
                            pool.num_idle() > 0 || pool.size() < pool.options().get_max_connections();
                        if is_spare && since.elapsed() < Self::KEEP {
                            self.kept = Some((connection, since));
                        }
                        Ok(row)
                    }
                    None => {
                        // Nobody may be given this connection: its answer could still come.
                        drop(connection.detach());
                        Err(Failure::timed_out())
                    }
                }
            }
            Statements::Unnamed => {
                let begun = begin(pool, "BEGIN ISOLATION LEVEL READ COMMITTED");
                let mut transaction = match timeout(*answer_timeout, begun).await {
                    Ok(begun) => begun.map_err(nothing)?,
                    Err(_) => return Err(nothing(io::Error::from(io::ErrorKind::TimedOut).into())),
                };
                // What is lost before COMMIT was sent is rolled back.
                let call = self.log.call_function(&mut transaction, call);
                let row = match timeout(*answer_timeout, call).await {
                    Ok(answer) => answer.map_err(nothing)?,
                    Err(_) => return Err(Failure::timed_out()),
                };
                match timeout(*answer_timeout, transaction.commit()).await {
                    Ok(committed) => committed.map_err(lost)?,
                    Err(_) => return Err(Failure::timed_out()),
                }
                Ok(row)
            }
        }
    }
}

impl Log {
    pub(crate) async fn call_function(
        &self,
        connection: &mut PgConnection,
        call: Call,
    ) -> sqlx::Result<PgRow> {
        let query =
            sqlx::query_with(AssertSqlSafe(call.statement), call.arguments).persistent(self.is_preparing());
        // The driver returns the row only after the server said that it is ready again: committed.
        connection.fetch_one(query).await
    }

    /// The same function in a transaction of the caller's.
    pub(crate) async fn append_in(&self, connection: &mut PgConnection, append: &Append) -> Result<Appended> {
        append.validate()?;
        if !self.inline.is_empty() {
            return self.append_in_with_views(connection, append).await;
        }
        self.append_within(connection, append).await
    }

    /// Appends in a transaction, and leaves views to others.
    pub(crate) async fn append_within(
        &self,
        connection: &mut PgConnection,
        append: &Append,
    ) -> Result<Appended> {
        // The commit is the caller's, and flushed as the caller says.
        let (call, asked) = Call::new(&[append], self, Commit::Flushed)?;
        let known = self.flusher.durable.last();
        let row = self.call_function(connection, call).await.map_err(reading)?;
        let mut answered = asked.answered(&row)?;
        let (result, snapshot) = match answered.verdicts.pop() {
            Some(Verdict::Appended(appended)) => return Ok(appended),
            Some(Verdict::Conflict(conflict)) => (Err(conflict.into()), answered.snapshot),
            Some(Verdict::IdTaken) => {
                let Judgement { result, snapshot } = self.judge_repeated(connection, append).await?;
                (result, snapshot)
            }
            None => return Err(Error::backend("the log's function gave no verdict")),
        };
        self.settle_within(connection, &snapshot, known).await?;
        result
    }
}

/// Whether a statement was refused because one before it has failed, in the same transaction.
fn is_in_failed_transaction(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("25P02"))
}

fn fail(requests: Vec<Request>, failure: &Failure) {
    for request in requests {
        let _ = request.verdict.send(Err(failure.to_error()));
    }
}

/// What a call came to.
struct Called {
    answered: Answered,
    /// What was durable before.
    known: Option<Seen>,
}

/// What a batch holds so far, to tell which append it can still take.
#[derive(Default)]
struct Size {
    events: usize,
    bytes: usize,
    ids: HashSet<EventId>,
}

impl Size {
    fn add(&mut self, append: &Append) {
        self.events += append.event_count();
        self.bytes += bytes(append);
        self.ids.extend(append.each_event().map(|(_, event)| event.event_id()));
    }

    fn can_take(&self, append: &Append) -> bool {
        self.events + append.event_count() <= Committer::MOST_EVENTS
            && self.bytes + bytes(append) <= Committer::MOST_BYTES
            // The one that comes second must find the first one stored.
            && append.each_event().all(|(_, event)| !self.ids.contains(&event.event_id()))
            // Only the server knows when the others' events occur, if they don't say so.
            && append.conditions().iter().all(|condition| {
                let scope = condition.filter().scope();
                scope.occurred_from().is_none() && scope.occurred_until().is_none()
            })
    }
}

fn bytes(append: &Append) -> usize {
    append.each_event().map(|(_, event)| event.payload().as_json().len()).sum()
}

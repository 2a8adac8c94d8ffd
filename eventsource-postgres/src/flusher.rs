use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use eventsource_core::Position;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::timeout;
use uuid::Uuid;

use crate::config::Statements;
use crate::error::{Asked, Failure};
use crate::schema_name::SchemaName;

/// An event that somebody was shown. Its id tells it from another one that came to lie there after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) position: Position,
    pub(crate) id: Uuid,
}

/// Makes durable what was seen, with one flush for all who wait. It costs nothing before somebody waits.
#[derive(Debug)]
pub(crate) struct Flusher {
    /// Everything up to here is durable.
    durable: Arc<AtomicU64>,
    asking: mpsc::UnboundedSender<Ask>,
}

enum Ask {
    Flush(Waiting),
    Close { closed: oneshot::Sender<()> },
}

/// One who waits for a flush, and what was seen.
struct Waiting {
    seen: Option<Seen>,
    told: oneshot::Sender<Result<(), Failure>>,
}

impl Flusher {
    /// Starts its task, which ends with the flusher.
    pub(crate) fn start(
        options: Arc<PgConnectOptions>,
        schema: &SchemaName,
        statements: Statements,
        answer_timeout: Duration,
    ) -> Self {
        let durable = Arc::new(AtomicU64::new(Position::START.to_raw()));
        let (asking, asked) = mpsc::unbounded_channel();
        let task = Task {
            options,
            statement: schema.fill_in("SELECT {schema}.flush_log($1, $2)").into(),
            statements,
            answer_timeout,
            durable: Arc::clone(&durable),
            asked,
            connection: None,
        };
        tokio::spawn(task.run());
        Self { durable, asking }
    }

    /// Up to where everything is known to be durable. What is seen later can be compared with it only if it was asked
    /// before: a crash in between takes back what is not durable, and gives its positions to others.
    pub(crate) fn durable(&self) -> Position {
        Position::from_raw(self.durable.load(Ordering::SeqCst))
    }

    /// Up to here everything is durable: a commit behind it was flushed.
    pub(crate) fn is_durable(&self, position: Position) {
        self.durable.fetch_max(position.to_raw(), Ordering::SeqCst);
    }

    /// The log's head went back: another server has taken over, or a backup. What was known was about another log.
    pub(crate) fn forget(&self) {
        self.durable.store(Position::START.to_raw(), Ordering::SeqCst);
    }

    /// Returns when everything that was visible when this was called is durable; and this event, if one is given, is
    /// still what was seen. Without one, the caller must make sure that its server is the same as before.
    pub(crate) async fn flush(&self, seen: Option<Seen>) -> Result<(), Failure> {
        let (told, answer) = oneshot::channel();
        // Whoever is gone answers as one who went before.
        let _ = self.asking.send(Ask::Flush(Waiting { seen, told }));
        answer.await.unwrap_or_else(|_| Err(Failure::closed()))
    }

    /// Lets go of the connection.
    pub(crate) async fn close(&self) {
        let (closed, done) = oneshot::channel();
        if self.asking.send(Ask::Close { closed }).is_ok() {
            // The task is gone if it doesn't answer.
            let _ = done.await;
        }
    }
}

struct Task {
    options: Arc<PgConnectOptions>,
    statement: Arc<str>,
    statements: Statements,
    answer_timeout: Duration,
    durable: Arc<AtomicU64>,
    asked: mpsc::UnboundedReceiver<Ask>,
    /// Its own: those of the pool may all be taken by those who wait for it.
    connection: Option<PgConnection>,
}

impl Task {
    /// How long the connection is kept while nobody asks.
    const IDLE: Duration = Duration::from_secs(10);

    async fn run(mut self) {
        while let Some(first) = self.next().await {
            // Whoever asks by the time that the flush begins is served by it.
            yield_now().await;
            let mut waiting = Vec::new();
            let mut next = Some(first);
            let mut closing = None;
            while let Some(ask) = next {
                match ask {
                    Ask::Flush(each) => waiting.push(each),
                    Ask::Close { closed } => closing = Some(closed),
                }
                next = self.asked.try_recv().ok();
            }
            if !waiting.is_empty() {
                self.serve(waiting).await;
            }
            if let Some(closed) = closing {
                self.disconnect().await;
                let _ = closed.send(());
                return;
            }
        }
    }

    async fn next(&mut self) -> Option<Ask> {
        if self.connection.is_some() {
            if let Ok(ask) = timeout(Self::IDLE, self.asked.recv()).await {
                return ask;
            }
            self.disconnect().await;
        }
        self.asked.recv().await
    }

    async fn serve(&mut self, waiting: Vec<Waiting>) {
        let mut seen: Vec<Seen> = waiting.iter().filter_map(|each| each.seen).collect();
        seen.sort_unstable_by_key(|seen| (seen.position, seen.id));
        seen.dedup();
        let flushed = self.flush(&seen).await;
        if let Ok(missing) = &flushed
            && let Some(last) = seen.iter().rfind(|seen| !missing.contains(seen))
        {
            self.durable.fetch_max(last.position.to_raw(), Ordering::SeqCst);
        }
        for Waiting { seen, told } in waiting {
            let answer = match &flushed {
                Ok(missing) if seen.is_some_and(|seen| missing.contains(&seen)) => Err(Failure::taken_back()),
                Ok(_) => Ok(()),
                Err(failure) => Err(failure.clone()),
            };
            // Whoever no longer waits does not want to know.
            let _ = told.send(answer);
        }
    }

    /// Flushes, and returns which of these the log has lost.
    async fn flush(&mut self, seen: &[Seen]) -> Result<Vec<Seen>, Failure> {
        let was_connected = self.connection.is_some();
        match self.try_flush(seen).await {
            // What was idle may have been cut long ago. The events themselves say whether the server has crashed since.
            Err(_) if was_connected => self.try_flush(seen).await,
            answer => answer,
        }
    }

    async fn try_flush(&mut self, seen: &[Seen]) -> Result<Vec<Seen>, Failure> {
        let connection = self.connection.take();
        let flushing = async {
            let mut connection = match connection {
                Some(connection) => connection,
                None => PgConnection::connect_with(&self.options).await?,
            };
            let missing = call(&mut connection, &self.statement, self.statements, seen).await?;
            Ok((connection, missing))
        };
        match timeout(self.answer_timeout, flushing).await {
            Ok(Ok((connection, missing))) => {
                self.connection = Some(connection);
                let index = |ordinal: i32| usize::try_from(ordinal - 1).ok();
                Ok(missing.into_iter().filter_map(|ordinal| seen.get(index(ordinal)?).copied()).collect())
            }
            Ok(Err(error)) => Err(Failure::new(error, Asked::Nothing)),
            Err(_) => Err(Failure::unflushed_in_time()),
        }
    }

    async fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take() {
            // A connection that can't even be closed in order is gone as well.
            let _ = timeout(self.answer_timeout, connection.close()).await;
        }
    }
}

async fn call(
    connection: &mut PgConnection,
    statement: &Arc<str>,
    statements: Statements,
    seen: &[Seen],
) -> sqlx::Result<Vec<i32>> {
    let positions: Vec<i64> = seen.iter().map(|seen| seen.position.to_i64()).collect();
    let ids: Vec<Uuid> = seen.iter().map(|seen| seen.id).collect();
    let query = sqlx::query_scalar(AssertSqlSafe(Arc::clone(statement)))
        .persistent(statements == Statements::Prepared)
        .bind(positions)
        .bind(ids);
    match statements {
        Statements::Prepared => query.fetch_one(connection).await,
        Statements::Unnamed => {
            let mut transaction = connection.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
            let missing = query.fetch_one(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(missing)
        }
    }
}

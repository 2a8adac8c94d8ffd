use std::mem;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use uuid::Uuid;

use crate::config::Statements;
use crate::durable::{Durable, Seen};
use crate::error::{Asked, Failure};
use crate::schema_name::SchemaName;

/// Makes durable what was seen, with one flush for all who wait. It costs nothing before somebody waits.
#[derive(Debug)]
pub(crate) struct Flusher {
    pub(crate) durable: Arc<Durable>,
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
        let durable = Arc::new(Durable::default());
        let (asking, asked) = mpsc::unbounded_channel();
        let server = Arc::new(Server {
            options,
            statement: schema.fill_in("SELECT {schema}.flush_log($1, $2)").into(),
            statements,
            answer_timeout,
            durable: Arc::clone(&durable),
        });
        let task = Task {
            server,
            asked,
            waiting: Vec::new(),
            closing: None,
            connections: Vec::new(),
            under_way: JoinSet::new(),
            begun: Instant::now(),
            took: Duration::ZERO,
            is_opening: false,
            last_refusal: None,
        };
        tokio::spawn(task.run());
        Self { durable, asking }
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

/// Serves all who wait when a flush begins with that one flush.
///
/// Where flushes are slow, another one is begun beside it: the server lets those that wait at the same time share what they wait
/// for, be it `commit_delay` or a standby. One after the other, who asks during a flush would wait for two; and, told later
/// than the others, ask during a flush the next time, too.
struct Task {
    server: Arc<Server>,
    asked: mpsc::UnboundedReceiver<Ask>,
    waiting: Vec<Waiting>,
    closing: Option<oneshot::Sender<()>>,
    /// Its own: those of the pool may all be taken by those who wait for a flush. Nobody uses them now.
    connections: Vec<PgConnection>,
    under_way: JoinSet<Ended>,
    /// When the last flush was begun, and how long the last one took that has ended.
    begun: Instant,
    took: Duration,
    is_opening: bool,
    /// When the server last had no further connection.
    last_refusal: Option<Instant>,
}

/// What something under way has come to.
enum Ended {
    Flush(Line),
    Opening(Option<PgConnection>),
}

/// What a flush is sent on.
struct Line {
    /// None yet, or none that is good any more.
    connection: Option<PgConnection>,
    /// How long the flush took, if it came to an end.
    took: Option<Duration>,
}

impl Task {
    /// How long connections are kept while nobody asks, and how long a server that has none is not asked for one.
    const IDLE: Duration = Duration::from_secs(10);
    /// How many flushes are under way at most.
    const MOST: usize = 4;
    /// What takes less time is waited for.
    const SLOW: Duration = Duration::from_millis(1);

    async fn run(mut self) {
        loop {
            let is_connected = !self.connections.is_empty();
            tokio::select! {
                ask = self.asked.recv(), if self.closing.is_none() => match ask {
                    Some(ask) => self.take(ask),
                    None => break,
                },
                Some(ended) = self.under_way.join_next() => self.end(ended.ok()),
                () = sleep_until(self.begun + Self::SLOW), if !self.waiting.is_empty() && !self.is_slow() => {}
                () = sleep(Self::IDLE), if is_connected => self.disconnect().await,
            }
            // Whoever asks by the time that the flush begins, or all is closed, is served by it.
            yield_now().await;
            while let Ok(ask) = self.asked.try_recv() {
                self.take(ask);
            }
            self.begin();
            if self.flushes() == 0
                && let Some(closed) = self.closing.take()
            {
                // A connection that is being opened is for nobody now.
                self.under_way.abort_all();
                self.disconnect().await;
                let _ = closed.send(());
                return;
            }
        }
        while self.under_way.join_next().await.is_some() {}
    }

    fn take(&mut self, ask: Ask) {
        match ask {
            Ask::Flush(waiting) => self.waiting.push(waiting),
            Ask::Close { closed } => self.closing = Some(closed),
        }
    }

    fn end(&mut self, ended: Option<Ended>) {
        let connection = match ended {
            Some(Ended::Flush(line)) => {
                self.took = line.took.unwrap_or(self.took);
                line.connection
            }
            Some(Ended::Opening(connection)) => {
                self.is_opening = false;
                if connection.is_none() {
                    self.last_refusal = Some(Instant::now());
                }
                connection
            }
            None => None,
        };
        self.connections.extend(connection);
    }

    /// How many flushes are under way.
    fn flushes(&self) -> usize {
        self.under_way.len().saturating_sub(usize::from(self.is_opening))
    }

    /// Whether the flushes are slow, by the last one that ended or the one that is under way.
    fn is_slow(&self) -> bool {
        self.took >= Self::SLOW || self.begun.elapsed() >= Self::SLOW
    }

    /// Begins a flush for all who wait, or sees to a connection for it; or leaves them to the one that is under way.
    fn begin(&mut self) {
        let is_alone = self.flushes() == 0;
        if self.waiting.is_empty() || !is_alone && !self.is_slow() {
            return;
        }
        let (server, connection) = (Arc::clone(&self.server), self.connections.pop());
        if is_alone || connection.is_some() {
            let waiting = mem::take(&mut self.waiting);
            let line = Line { connection, took: None };
            self.begun = Instant::now();
            self.under_way.spawn(async move { Ended::Flush(server.serve(line, waiting).await) });
        } else if !self.is_opening
            && self.closing.is_none()
            && self.flushes() < Self::MOST
            && self.last_refusal.is_none_or(|refusal| refusal.elapsed() > Self::IDLE)
        {
            // They wait for it no longer than for a flush that is under way.
            self.is_opening = true;
            self.under_way.spawn(async move { Ended::Opening(server.connect().await) });
        }
    }

    async fn disconnect(&mut self) {
        for connection in mem::take(&mut self.connections) {
            // A connection that can't even be closed in order is gone as well.
            let _ = timeout(self.server.answer_timeout, connection.close()).await;
        }
    }
}

/// Where and how to flush.
struct Server {
    options: Arc<PgConnectOptions>,
    statement: Arc<str>,
    statements: Statements,
    answer_timeout: Duration,
    durable: Arc<Durable>,
}

impl Server {
    async fn connect(&self) -> Option<PgConnection> {
        timeout(self.answer_timeout, PgConnection::connect_with(&self.options)).await.ok()?.ok()
    }

    /// Flushes once, and tells those who wait.
    async fn serve(&self, mut line: Line, waiting: Vec<Waiting>) -> Line {
        let mut seen: Vec<Seen> = waiting.iter().filter_map(|each| each.seen).collect();
        seen.sort_unstable_by_key(|seen| (seen.position, seen.id));
        seen.dedup();
        let flushed = self.flush(&mut line, &seen).await;
        if let Ok(missing) = &flushed
            && let Some(last) = seen.iter().rfind(|seen| !missing.contains(seen))
        {
            self.durable.raise(*last);
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
        line
    }

    /// Flushes, and returns which of these the log has lost.
    async fn flush(&self, line: &mut Line, seen: &[Seen]) -> Result<Vec<Seen>, Failure> {
        let was_connected = line.connection.is_some();
        match self.try_flush(line, seen).await {
            // What was idle may have been cut long ago. The events themselves say whether the server has crashed since.
            Err(_) if was_connected => self.try_flush(line, seen).await,
            answer => answer,
        }
    }

    async fn try_flush(&self, line: &mut Line, seen: &[Seen]) -> Result<Vec<Seen>, Failure> {
        let connection = line.connection.take();
        let flushing = async {
            let mut connection = match connection {
                Some(connection) => connection,
                None => PgConnection::connect_with(&self.options).await?,
            };
            let begun = Instant::now();
            let missing = call(&mut connection, &self.statement, self.statements, seen).await?;
            Ok((connection, missing, begun.elapsed()))
        };
        match timeout(self.answer_timeout, flushing).await {
            Ok(Ok((connection, missing, took))) => {
                *line = Line { connection: Some(connection), took: Some(took) };
                let index = |ordinal: i32| usize::try_from(ordinal - 1).ok();
                Ok(missing.into_iter().filter_map(|ordinal| seen.get(index(ordinal)?).copied()).collect())
            }
            Ok(Err(error)) => Err(Failure::new(error, Asked::Nothing)),
            Err(_) => Err(Failure::unflushed_in_time()),
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

//! What only a server can go through: it is stopped at once, killed, or cuts its clients' connections, while writers
//! write and readers read. The witness judges what is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use conformance_tests::witness::{Outcome, Recorder, Summary, Tail, Witness};
use eventsource_core::{
    Append, ErrorKind, EventStore, EventStoreExt, ExpectedVersion, Filter, NewEvent, Position, ReadOptions,
    StreamId,
};
use eventsource_postgres::{PostgresConfig, PostgresStore};
use futures_util::TryStreamExt;
use sqlx::{Connection, PgConnection};
use test_servers::{LocalPostgres, Postgres};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use uuid::Uuid;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acknowledged_appends_survive_a_server_that_is_stopped_at_once() -> Result {
    let mut trial = Trial::begin("stopped_at_once").await?;
    for _ in 0..3 {
        trial.let_them_append(100).await;
        trial.server.stop_immediate().await?;
        sleep(Duration::from_millis(100)).await;
        trial.server.start().await?;
    }
    trial.end().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acknowledged_appends_survive_a_server_that_is_killed() -> Result {
    let mut trial = Trial::begin("killed").await?;
    for _ in 0..3 {
        trial.let_them_append(100).await;
        trial.server.kill().await?;
        trial.server.start().await?;
    }
    trial.end().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acknowledged_appends_survive_connections_that_are_cut() -> Result {
    let trial = Trial::begin("cut").await?;
    let mut other = PgConnection::connect(&trial.url).await?;
    let mut cut = 0;
    for _ in 0..12 {
        trial.let_them_append(20).await;
        let terminated: Vec<(bool,)> = sqlx::query_as(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .fetch_all(&mut other)
        .await?;
        cut += terminated.len();
    }
    other.close().await?;
    assert!(cut > 12, "only {cut} connections were cut");
    trial.end().await?;
    Ok(())
}

/// Writers and readers on a server of their own.
struct Trial {
    server: LocalPostgres,
    url: String,
    store: Arc<PostgresStore>,
    recorder: Recorder,
    over: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Result>>,
    readers: Vec<JoinHandle<Result<Tail>>>,
}

impl Trial {
    const WRITERS: usize = 6;
    const PATIENCE: Duration = Duration::from_secs(2);

    async fn begin(name: &str) -> Result<Self> {
        let server = Postgres::own().start().await?;
        let url = server.create_database(name).await?;
        let config = PostgresConfig::new(&url).lock_timeout(Self::PATIENCE).acquire_timeout(Self::PATIENCE);
        let store = Arc::new(PostgresStore::connect(config).await?);
        let (recorder, over) = (Recorder::new(), Arc::new(AtomicBool::new(false)));
        let tasks = (0..Self::WRITERS)
            .map(|number| {
                let (store, recorder, over) = (store.clone(), recorder.clone(), over.clone());
                tokio::spawn(write(number, store, recorder, over))
            })
            .collect();
        let readers = [Filter::all(), Filter::tagged("writer", 1)?]
            .into_iter()
            .map(|filter| {
                let tail = recorder.tail(format!("reader of {filter:?}"), filter, Position::START);
                tokio::spawn(read(tail, store.clone(), over.clone()))
            })
            .collect();
        Ok(Self { server, url, store, recorder, over, tasks, readers })
    }

    /// Until some more appends were acknowledged, so that the blow falls while others are under way.
    async fn let_them_append(&self, appends: usize) {
        let acknowledged = || {
            let history = self.recorder.snapshot();
            history.attempts.iter().filter(|each| matches!(each.outcome, Outcome::Acknowledged(_))).count()
        };
        let before = acknowledged();
        // A writer that is done before it is over has failed: `end` says how.
        while acknowledged() < before + appends && !self.tasks.iter().any(JoinHandle::is_finished) {
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn end(self) -> Result<Summary> {
        self.let_them_append(100).await;
        self.over.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await??;
        }
        for reader in self.readers {
            reader.await??.finish(&*self.store, 50).await?;
        }
        let log: Vec<_> = self.store.read(Filter::all(), ReadOptions::new()).try_collect().await?;
        let summary = Witness::of(&log).judge(&[self.recorder.snapshot()])?;
        println!("{summary:?}");
        assert!(summary.acknowledged >= 200, "{summary:?}");
        assert!(summary.not_written + summary.unknown_stored + summary.unknown_absent > 0, "{summary:?}");
        self.store.close().await?;
        Ok(summary)
    }
}

/// Appends until it is over: to a stream of its own, to one that all share, and under a condition; what fails is
/// repeated as it was, as a caller should.
async fn write(
    number: usize,
    store: Arc<PostgresStore>,
    recorder: Recorder,
    over: Arc<AtomicBool>,
) -> Result {
    let own = StreamId::new("Own", Uuid::now_v7())?;
    let shared = StreamId::new("Shared", Uuid::from_u128(1))?;
    let boundary = Filter::tagged("writer", number)?;
    let mut expected = ExpectedVersion::NoStream;
    let mut seen = Position::START;
    for count in 0.. {
        let event = || NewEvent::new("Written", &count)?.tag("writer", number);
        let append = Append::to_stream(own.clone(), expected, [event()?, event()?])
            .and_stream(shared.clone(), ExpectedVersion::Any, [event()?])
            .fail_if(boundary.clone())
            .after(seen);
        let name = format!("append {count} of writer {number}");
        let appended = loop {
            match recorder.append(&*store, name.as_str(), append.clone()).await {
                Ok(appended) => break appended,
                Err(error) if error.is_retryable() => sleep(Duration::from_millis(20)).await,
                Err(error) => return Err(format!("{name}: {error:?}").into()),
            }
        };
        // Nobody else writes to its own stream and boundary: each append must find them as it left them.
        expected = appended.version_of(&own).into();
        seen = appended.last;
        if over.load(Ordering::SeqCst) {
            break;
        }
    }
    Ok(())
}

async fn read(mut tail: Tail, store: Arc<PostgresStore>, over: Arc<AtomicBool>) -> Result<Tail> {
    while !over.load(Ordering::SeqCst) {
        match tail.look(&*store, 50).await {
            Ok(_) => sleep(Duration::from_millis(1)).await,
            Err(error) if error.kind() == ErrorKind::Unavailable => sleep(Duration::from_millis(20)).await,
            Err(error) => return Err(format!("a reader met {error:?}").into()),
        }
    }
    Ok(tail)
}

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use conformance_tests::witness::{Outcome, Recorder, Summary, Tail, Verdict, Witness};
use eventsource_core::{
    Append, ErrorKind, EventStore, EventStoreExt, ExpectedVersion, Filter, NewEvent, Position, ReadOptions,
    StreamId,
};
use eventsource_postgres::{CommitMode, PostgresConfig, PostgresStore};
use futures_util::TryStreamExt;
use sqlx::{Connection, PgConnection};
use test_servers::{LocalPostgres, LocalPostgresBuilder};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use uuid::Uuid;

pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Writers and readers on a server of their own, which may come to harm.
pub(crate) struct Trial {
    pub(crate) server: LocalPostgres,
    pub(crate) url: String,
    /// As in processes of their own: one that commits as the trial says, and one that was opened before it and knows
    /// nothing of that. Both write and read.
    pub(crate) stores: [Arc<PostgresStore>; 2],
    recorder: Recorder,
    over: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Result>>,
    readers: Vec<JoinHandle<Result<Tail>>>,
}

#[allow(dead_code, reason = "every test binary uses a part of it")]
impl Trial {
    const WRITERS: usize = 6;
    const PATIENCE: Duration = Duration::from_secs(2);

    pub(crate) async fn begin(name: &str, server: LocalPostgresBuilder, mode: CommitMode) -> Result<Self> {
        let server = server.start().await?;
        let url = server.create_database(name).await?;
        let older = Arc::new(PostgresStore::connect(config(&url)).await?);
        let store = Arc::new(PostgresStore::connect(config(&url).commit(mode)).await?);
        let (recorder, over) = (Recorder::new(), Arc::new(AtomicBool::new(false)));
        let stores = [store, older];
        Ok(Self { server, url, stores, recorder, over, tasks: Vec::new(), readers: Vec::new() })
    }

    /// Lets them all begin; every third one writes in the other process.
    pub(crate) fn run(&mut self) -> Result {
        self.run_on(&[0, 0, 1])
    }

    /// Lets them all begin, the writers on these stores in turn.
    pub(crate) fn run_on(&mut self, stores: &[usize]) -> Result {
        for number in 0..Self::WRITERS {
            let store = self.stores[stores[number % stores.len()]].clone();
            let task = write(number, store, self.recorder.clone(), self.over.clone());
            self.tasks.push(tokio::spawn(task));
        }
        for filter in [Filter::all(), Filter::tagged("writer", 1)?] {
            for store in &self.stores {
                let tail =
                    self.recorder.tail(format!("reader of {filter:?}"), filter.clone(), Position::START);
                let reading = read(tail, store.clone(), self.recorder.clone(), self.over.clone());
                self.readers.push(tokio::spawn(reading));
            }
        }
        Ok(())
    }

    /// Where the appends end that were acknowledged.
    pub(crate) fn acknowledged(&self) -> Vec<Position> {
        let attempts = self.recorder.snapshot().attempts;
        let ends = attempts.into_iter().filter_map(|attempt| match attempt.outcome {
            Outcome::Acknowledged(appended) => Some(appended.last),
            _ => None,
        });
        ends.collect()
    }

    /// Until some more appends were acknowledged, so that the blow falls while others are under way.
    pub(crate) async fn let_them_append(&self, appends: usize) {
        let before = self.acknowledged().len();
        // A writer that is done before it is over has failed: `end` says how.
        while self.acknowledged().len() < before + appends && !self.tasks.iter().any(JoinHandle::is_finished)
        {
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Until events are visible, to whoever looks past the store, that were acknowledged to nobody.
    pub(crate) async fn wait_for_unacknowledged(&self) -> Result {
        let mut own = PgConnection::connect(&self.url).await?;
        loop {
            let head: i64 =
                sqlx::query_scalar("SELECT max(global_position) FROM events").fetch_one(&mut own).await?;
            if self.acknowledged().iter().max().is_some_and(|last| last.to_i64() < head) {
                return Ok(());
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Kills every process of the server at one moment, in the middle of whatever each is doing, as a power cut would.
    /// (If only its first process is killed, the others end the statements that they are in.)
    pub(crate) async fn cut_the_power(&mut self) -> Result {
        let mut own = PgConnection::connect(&self.url).await?;
        let processes: Vec<i32> =
            sqlx::query_scalar("SELECT pid FROM pg_stat_activity").fetch_all(&mut own).await?;
        signal("STOP", &processes)?;
        self.server.kill().await?;
        signal("KILL", &processes)
    }

    /// Ends it in order; the witness must find nothing.
    pub(crate) async fn end(mut self) -> Result<Summary> {
        self.let_them_append(100).await;
        self.over.store(true, Ordering::SeqCst);
        for task in self.tasks.drain(..) {
            task.await??;
        }
        for reader in self.readers.drain(..) {
            reader.await??.finish(&*self.stores[0], 50).await?;
        }
        let summary = self.judge(&self.url).await??;
        println!("{summary:?}");
        assert!(summary.acknowledged >= 200, "{summary:?}");
        assert!(summary.not_written + summary.unknown_stored + summary.unknown_absent > 0, "{summary:?}");
        Ok(summary)
    }

    /// From now on, whoever fails gives up.
    pub(crate) fn is_over(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Ends it where everybody stands, whatever has become of them.
    pub(crate) async fn stop(&mut self) {
        self.is_over();
        for task in self.tasks.drain(..) {
            // What a writer failed with, the witness can tell as well.
            let _ = task.await;
        }
        for reader in self.readers.drain(..) {
            let _ = reader.await;
        }
    }

    /// What the witness says to the log in this database.
    pub(crate) async fn judge(&self, url: &str) -> Result<std::result::Result<Summary, Verdict>> {
        let store = PostgresStore::connect(config(url)).await?;
        let log: Vec<_> = store.read(Filter::all(), ReadOptions::new()).try_collect().await?;
        store.close().await?;
        for store in &self.stores {
            store.close().await?;
        }
        Ok(Witness::of(&log).judge(&[self.recorder.snapshot()]))
    }
}

fn config(url: &str) -> PostgresConfig {
    // No connection is made that nobody asked for: trying that on a dead server would hold up closing.
    PostgresConfig::new(url).min_connections(0).lock_timeout(Trial::PATIENCE).acquire_timeout(Trial::PATIENCE)
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
                Err(error) if error.is_retryable() && over.load(Ordering::SeqCst) => return Ok(()),
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

async fn read(
    mut tail: Tail,
    store: Arc<PostgresStore>,
    recorder: Recorder,
    over: Arc<AtomicBool>,
) -> Result<Tail> {
    while !over.load(Ordering::SeqCst) {
        let looked = async {
            tail.look(&*store, 50).await?;
            recorder.head(&*store).await
        };
        match looked.await {
            Ok(_) => sleep(Duration::from_millis(1)).await,
            Err(error) if error.kind() == ErrorKind::Unavailable => sleep(Duration::from_millis(20)).await,
            Err(error) => return Err(format!("a reader met {error:?}").into()),
        }
    }
    Ok(tail)
}

/// Sends a signal to processes, some of which may have ended.
pub(crate) fn signal(name: &str, processes: &[i32]) -> Result {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{name}")).args(processes.iter().map(i32::to_string)).stderr(Stdio::null());
    kill.status()?;
    Ok(())
}

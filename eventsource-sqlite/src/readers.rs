use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use eventsource_core::{Error, Result};
use rusqlite::Connection;

use crate::answer::{Answer, Undurable, Wrote};
use crate::config::SqliteConfig;
use crate::connection;
use crate::files::Files;
use crate::flusher::{By, Flusher};
use crate::queue::{Places, Queue, Queued};

/// A read on whatever connection is free, or the reason why there is none. It leaves an answer to give.
pub(crate) type ReadJob = Box<dyn FnOnce(Result<&Connection>) -> Answer + Send>;

/// How many connections a store reads with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatistics {
    /// How many are open.
    pub size: usize,
    /// How many are reading.
    pub in_use: usize,
    /// How many are open and wait for work.
    pub idle: usize,
    /// How many there can be.
    pub max: usize,
}

impl PoolStatistics {
    pub(crate) fn of(size: usize, in_use: usize, max: usize) -> Self {
        let in_use = in_use.min(size);
        Self { size, in_use, idle: size - in_use, max }
    }
}

impl fmt::Display for PoolStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, in_use, idle, max } = self;
        write!(f, "{size} of {max} connections open, {in_use} in use, {idle} idle")
    }
}

/// A few threads, each with a connection of its own that can only read. Each opens it when it first has work.
pub(crate) struct Readers {
    queue: Queue<ReadJob>,
    counts: Arc<Counts>,
    opened: Arc<OnceLock<Opened>>,
    max: usize,
}

/// What a store has opened before anybody reads.
struct Opened {
    /// It reads these files and no others that have taken their places.
    files: Files,
    /// Gone when the store is.
    flusher: Weak<Flusher>,
}

#[derive(Debug, Default)]
struct Counts {
    open: AtomicUsize,
    in_use: AtomicUsize,
}

impl Readers {
    /// How many reads may wait for each connection, before further ones wait for a place.
    const WAITING_PER_READER: usize = 256;

    pub(crate) fn start(config: &SqliteConfig) -> Result<(Self, Vec<JoinHandle<()>>)> {
        let (queue, jobs, places) = Queue::new(config.readers.saturating_mul(Self::WAITING_PER_READER));
        let jobs = Arc::new(Mutex::new(jobs));
        let counts = Arc::new(Counts::default());
        let opened = Arc::new(OnceLock::new());
        let start = |_| {
            let reader = Reader {
                jobs: jobs.clone(),
                places: places.clone(),
                counts: counts.clone(),
                config: config.clone(),
                opened: opened.clone(),
                connection: None,
            };
            thread::Builder::new()
                .name("eventsource-sqlite-reader".to_owned())
                .spawn(move || reader.run())
                .map_err(|error| {
                    Error::unavailable("a thread to read with can't be started").with_source(error)
                })
        };
        let threads = (0..config.readers).map(start).collect::<Result<_>>()?;
        Ok((Self { queue, counts, opened, max: config.readers }, threads))
    }

    /// Makes it read these files, and answer when what was read is durable.
    pub(crate) fn open(&self, files: Files, flusher: &Arc<Flusher>) {
        // It is set once, when the store is opened.
        let _ = self.opened.set(Opened { files, flusher: Arc::downgrade(flusher) });
    }

    pub(crate) async fn send(&self, job: ReadJob) -> Result<()> {
        self.queue.send(job, 1).await
    }

    pub(crate) fn close(&self) {
        self.queue.close();
    }

    pub(crate) fn statistics(&self) -> PoolStatistics {
        let open = self.counts.open.load(Ordering::Relaxed);
        PoolStatistics::of(open, self.counts.in_use.load(Ordering::Relaxed), self.max)
    }
}

struct Reader {
    jobs: Arc<Mutex<Receiver<Queued<ReadJob>>>>,
    places: Places,
    counts: Arc<Counts>,
    config: SqliteConfig,
    opened: Arc<OnceLock<Opened>>,
    connection: Option<Connection>,
}

impl Reader {
    fn run(mut self) {
        while let Some(Queued { job, places }) = self.next() {
            self.places.free(places);
            self.counts.in_use.fetch_add(1, Ordering::Relaxed);
            let answer = job(self.connection());
            // Whoever is told may look at the statistics.
            self.counts.in_use.fetch_sub(1, Ordering::Relaxed);
            self.settle(answer);
        }
        if self.connection.is_some() {
            self.counts.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The threads take turns: one waits for a job, the others wait for it to have one.
    fn next(&self) -> Option<Queued<ReadJob>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
    }

    fn settle(&self, answer: Answer) {
        let flusher = self.opened.get().and_then(|opened| opened.flusher.upgrade());
        match (&self.connection, flusher) {
            (Some(connection), Some(flusher)) => {
                flusher.settle(connection, Wrote::Nothing, vec![answer], By::Caller);
            }
            (Some(_), None) => answer(Err(&Undurable::ended())),
            // Nothing was read.
            (None, _) => answer(Ok(())),
        }
    }

    fn connection(&mut self) -> Result<&Connection> {
        match &mut self.connection {
            Some(connection) => Ok(connection),
            none => {
                let connection = connection::open_reader(&self.config)?;
                self.opened.get().map_or(Ok(()), |opened| opened.files.check_database())?;
                self.counts.open.fetch_add(1, Ordering::Relaxed);
                Ok(none.insert(connection))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use eventsource_core::{EventStore as _, Position};

    use super::*;
    use crate::SqliteStore;

    async fn reads_after_panics(config: SqliteConfig) -> Result<()> {
        let readers = config.readers;
        let store = SqliteStore::open(config).await?;
        for _ in 0..=readers {
            let read: Result<()> = store.read(|_| panic!("a read that panics")).await;
            let error = read.expect_err("it panicked");
            assert!(error.is_retryable() && !error.is_closed(), "{error:?}");
            assert_eq!(store.head().await?, Position::START);
        }
        assert_eq!(store.pool_statistics().in_use, 0);
        store.close().await?;
        assert!(store.head().await.expect_err("the store is closed").is_closed());
        Ok(())
    }

    #[tokio::test]
    async fn a_read_that_panics_fails_alone() -> Result<()> {
        let directory = tempfile::tempdir().map_err(|error| Error::backend(error.to_string()))?;
        reads_after_panics(SqliteConfig::file(directory.path().join("events.db")).readers(2)).await?;
        reads_after_panics(SqliteConfig::in_memory()).await
    }
}

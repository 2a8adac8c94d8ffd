use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use eventsource_core::{
    Append, Appended, Capabilities, Capability, ChangeSignal, Changes, Error, EventStore, Filter, LogId,
    LogIdentity, Page, Position, ReadOptions, Result, StreamId, Version, to_microseconds,
};
use rusqlite::{Connection, Transaction};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use crate::answer::{Undurable, Wrote};
use crate::committer::{self, Committer, Job, Request, Watching, WriteJob};
use crate::config::{Location, SqliteConfig, Synchronous};
use crate::error::failed;
use crate::files::{Files, OpenFiles};
use crate::flusher::{Disk, Flusher, FlusherThread};
use crate::queue::Queue;
use crate::readers::{PoolStatistics, ReadJob, Readers};
use crate::wal_file::{Flush, FlushToDisk};
use crate::write::{Ending, Outcome, write_in};
use crate::{connection, page, read, schema, stream};

/// An event store in a SQLite file.
///
/// Cloning it shares everything. Its threads end when it is closed, or when the last clone is dropped. It works on any
/// async executor.
#[derive(Clone)]
pub struct SqliteStore {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) config: SqliteConfig,
    pub(crate) log_id: Uuid,
    writer: Queue<Job>,
    /// None in memory: there, the writer reads.
    readers: Option<Readers>,
    signal: Signal,
    watching: Watching,
    /// Gone when the writer's thread is.
    flusher: Weak<Flusher>,
    ended: watch::Receiver<Ended>,
}

/// None when the store is closed or the writer's thread has ended, so that those who wait learn of it.
#[derive(Clone)]
struct Signal(Arc<Mutex<Option<ChangeSignal>>>);

impl Signal {
    fn get(&self) -> MutexGuard<'_, Option<ChangeSignal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of the writer's thread: nothing yet, or how it ended.
type Ended = Option<std::result::Result<(), String>>;

impl SqliteStore {
    /// Opens the store, and creates it or brings its schema up to date where needed. Several processes may do so at
    /// once.
    ///
    /// # Errors
    /// `InvalidInput` if the configuration makes no sense, if the directory does not exist, or if the file is not an
    /// event store's, or a newer version's. Nothing is changed then. `Unavailable` if the file can't be opened or
    /// written, or if another process holds it for longer than the busy timeout; `Corrupt` if it is damaged. With
    /// [inline views](SqliteConfig::inline) also what catching them up fails with: `Refused`, and `Conflict` for a checkpoint
    /// that does not belong to the log.
    pub async fn open(config: SqliteConfig) -> Result<Self> {
        Self::open_with(config, Arc::new(FlushToDisk)).await
    }

    /// Opens the store, and flushes so.
    pub(crate) async fn open_with(config: SqliteConfig, flush: Arc<dyn Flush>) -> Result<Self> {
        let config = config.checked()?;
        let (readers, reader_threads) = match config.location {
            Location::File(_) => {
                let (readers, threads) = Readers::start(&config)?;
                (Some(readers), threads)
            }
            Location::Memory => (None, Vec::new()),
        };
        let (writer, jobs, places) = Queue::new(config.queue_capacity);
        let changes = ChangeSignal::new();
        let signal = Signal(Arc::new(Mutex::new(Some(changes.clone()))));
        let watching = Watching::default();
        let committer =
            Committer { jobs, places, signal: changes, watching: watching.clone(), config: config.clone() };
        let (opened, found) = oneshot::channel();
        let (end, ended) = watch::channel(None);
        let at_end = signal.clone();
        thread::Builder::new()
            .name("eventsource-sqlite-writer".to_owned())
            .spawn(move || write(committer, flush, reader_threads, opened, AtEnd(at_end), end))
            .map_err(|error| {
                Error::unavailable("a thread to write with can't be started").with_source(error)
            })?;
        let Found { log_id, files, flusher } =
            found.await.map_err(|_| Error::backend("the writer's thread has ended"))??;
        if let (Some(readers), Some(files)) = (&readers, files) {
            readers.open(files, &flusher);
        }
        let flusher = Arc::downgrade(&flusher);
        let shared = Shared { config, log_id, writer, readers, signal, watching, flusher, ended };
        let store = Self { shared: Arc::new(shared) };
        if let Err(error) = store.open_views().await {
            // Why it can't be opened says more than how it closes.
            let _ = store.close().await;
            return Err(error);
        }
        Ok(store)
    }

    /// How many connections it reads with.
    #[must_use]
    pub fn pool_statistics(&self) -> PoolStatistics {
        let alone = || {
            let size = usize::from(self.shared.ended.borrow().is_none());
            PoolStatistics::of(size, 0, 1)
        };
        self.shared.readers.as_ref().map_or_else(alone, Readers::statistics)
    }

    /// How many appends wait for the writer; large ones count as several (see [`SqliteConfig::queue_capacity`]).
    #[must_use]
    pub fn queue_length(&self) -> usize {
        self.shared.writer.len()
    }

    /// Runs `job` on a connection that is free. If it panics, that fails this read, and no other.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let job: ReadJob = Box::new(move |connection| {
            // If the future was dropped, nobody asks any more.
            let read = |connection| {
                let read = catch_unwind(AssertUnwindSafe(|| job(connection)));
                read.unwrap_or_else(|_| Err(Error::unavailable("what was to read panicked")))
            };
            let result = (!answer.is_closed()).then(|| connection.and_then(read));
            Box::new(move |fate| {
                let told = |result: Result<T>| fate.map_err(Undurable::of_read).and(result);
                drop(result.map(|result| answer.send(told(result))));
            })
        });
        match &self.shared.readers {
            Some(readers) => readers.send(job).await?,
            None => self.shared.writer.send(Job::Read(job), 1).await?,
        }
        // Others may go on; if not, the next read learns that the store is closed.
        answered.await.map_err(|_| Error::unavailable("the thread that was to read has ended"))?
    }

    /// Runs `work` in a transaction of its own on the writer's connection, and commits if it says so. Whatever it fails
    /// with, or if it panics, nothing of it is left.
    pub(crate) async fn write<T, E>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<Ending<T>, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let timeout = self.shared.config.busy_timeout;
        let job: WriteJob = Box::new(move |connection| {
            let came = match connection {
                // If the future was dropped, nobody asks any more.
                _ if answer.is_closed() => return (Wrote::Nothing, Box::new(|_| ())),
                Ok(connection) => write_in(connection, timeout, doing, work),
                Err(error) => Outcome::Undone(Err(error.into())),
            };
            (came.wrote(), Box::new(move |fate| drop(answer.send(came.told(fate)))))
        });
        self.shared.writer.send(Job::Write(job), 1).await?;
        answered.await.map_err(|_| Error::outcome_unknown("the writer's thread has ended"))?
    }

    /// Makes durable all that anybody has committed so far, if this store promises that of what it says.
    pub(crate) fn flush(&self) -> Result<()> {
        let flusher = self.shared.flusher.upgrade();
        flusher.ok_or_else(|| Undurable::ended().of_read())?.flush_now()
    }

    /// Whether it makes sense to write.
    pub(crate) fn check(&self) -> Result<()> {
        let flusher = self.shared.flusher.upgrade();
        flusher.ok_or_else(|| Undurable::ended().of_read())?.check()
    }

    /// Wakes those who wait for changes.
    pub(crate) fn notify(&self) {
        if let Some(signal) = &*self.shared.signal.get() {
            signal.notify();
        }
    }

    /// The time that what is kept beside the log is stamped with.
    pub(crate) fn now(&self) -> Result<DateTime<Utc>> {
        to_microseconds(self.shared.config.now()?)
    }
}

#[async_trait]
impl EventStore for SqliteStore {
    async fn append(&self, append: Append) -> Result<Appended> {
        append.validate()?;
        let (answer, answered) = oneshot::channel();
        let places = committer::places(&append);
        self.shared.writer.send(Job::Append(Request { append, answer }), places).await?;
        answered.await.map_err(|_| Error::outcome_unknown("the writer's thread has ended"))?
    }

    async fn read_page(&self, filter: &Filter, options: &ReadOptions) -> Result<Page> {
        options.validate(filter)?;
        let (filter, options) = (filter.clone(), options.clone());
        let (hand_over, parts) = mpsc::unbounded_channel();
        let reading = self.read(move |connection| read::page(connection, &filter, &options, hand_over));
        page::decoded(reading, parts).await
    }

    async fn head(&self) -> Result<Position> {
        let head = |connection: &Connection| {
            Position::try_from(read::head(connection).map_err(|error| failed("reading the head", error))?)
        };
        self.read(head).await
    }

    async fn stream_version(&self, stream: &StreamId) -> Result<Option<Version>> {
        let stream = stream.clone();
        self.read(move |connection| stream::version(connection, &stream)).await
    }

    fn changes(&self) -> Changes {
        let changes = match &*self.shared.signal.get() {
            Some(signal) => signal.subscribe(),
            None => ChangeSignal::new().subscribe(),
        };
        if self.shared.watching.begin() {
            // If the store is closed there is nothing to watch, and `changes` says so.
            let _ = self.shared.writer.send_unbounded(Job::Watch);
        }
        changes
    }

    fn capabilities(&self) -> Capabilities {
        match self.shared.config.location {
            Location::File(_) => Capabilities::none()
                .with(Capability::Durable)
                .with(Capability::Shared)
                .with(Capability::Transactional)
                .with(Capability::Inline),
            Location::Memory => Capabilities::none(),
        }
        .with(Capability::Snapshots)
        .with(Capability::Outbox)
        .with(Capability::Checkpoints)
        .with(Capability::DeadLetters)
        .with(Capability::Leases)
    }

    async fn close(&self) -> Result<()> {
        self.shared.signal.get().take();
        if let Some(readers) = &self.shared.readers {
            readers.close();
        }
        self.shared.writer.close();
        let mut ended = self.shared.ended.clone();
        let ended = ended
            .wait_for(Option::is_some)
            .await
            .map_err(|_| Error::backend("the writer's thread ended out of turn"))?;
        match &*ended {
            Some(Err(message)) => Err(Error::backend(message.clone())),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl LogIdentity for SqliteStore {
    async fn log_id(&self) -> Result<LogId> {
        let id = |connection: &Connection| {
            schema::log_id(connection).map_err(|error| failed("reading the log's identity", error))
        };
        self.read(id).await.map(LogId::new)
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("location", &self.shared.config.location)
            .field("log_id", &self.shared.log_id)
            .finish_non_exhaustive()
    }
}

/// Ends the signal when the writer's thread ends, for whatever reason.
struct AtEnd(Signal);

impl Drop for AtEnd {
    fn drop(&mut self) {
        self.0.get().take();
    }
}

/// What was found when the store was opened.
struct Found {
    log_id: Uuid,
    /// None in memory.
    files: Option<Files>,
    flusher: Arc<Flusher>,
}

/// The life of the writer's thread.
fn write(
    committer: Committer,
    flush: Arc<dyn Flush>,
    readers: Vec<JoinHandle<()>>,
    opened: oneshot::Sender<Result<Found>>,
    _at_end: AtEnd,
    end: watch::Sender<Ended>,
) {
    let config = committer.config.clone();
    let (connection, flusher, flushing) = match open(&committer, flush) {
        Ok((connection, found, flushing)) => {
            let flusher = found.flusher.clone();
            if opened.send(Ok(found)).is_err() {
                tracing::debug!(location = %config.location, "nobody waited for the store to open");
            }
            (connection, flusher, flushing)
        }
        Err(error) => {
            let _ = opened.send(Err(error));
            return;
        }
    };
    let done = committer.run(&connection, &flusher);
    for reader in readers {
        // A reader that panicked has told its caller, by giving no answer.
        let _ = reader.join();
    }
    // Whoever still waits is told.
    drop(flushing);
    let flushes = flusher.check_flushes();
    drop(flusher);
    let ended = done.and(committer::end(connection, flushes));
    if let Err(error) = &ended {
        tracing::warn!(location = %config.location, error = %error, "the store was not closed in order");
    }
    end.send_replace(Some(ended.map_err(|error| error.to_string())));
}

fn open(committer: &Committer, flush: Arc<dyn Flush>) -> Result<(Connection, Found, FlusherThread)> {
    let config = &committer.config;
    let connection = connection::open_writer(config)?;
    let log_id = schema::migrate(&connection, config)?;
    connection::set_up_writer(&connection, config)
        .map_err(|error| failed("setting the connection up", error))?;
    let files = Files::of(&connection);
    let disk = match (&files, config.synchronous) {
        (Some(files), Synchronous::Full) => Some(Disk { wal: files.open_wal()?, flush }),
        _ => None,
    };
    let open_files = files.clone().map(OpenFiles::new);
    let flusher = Arc::new(Flusher::new(disk, open_files, committer.signal.clone()));
    let flushing = flusher.start()?;
    Ok((connection, Found { log_id, files, flusher }, flushing))
}

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;

use eventsource_core::{Append, Appended, ChangeSignal, Error, Result};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::append::Appender;
use crate::batch;
use crate::changes::OthersChanges;
use crate::config::{Location, SqliteConfig};
use crate::connection::{LARGE_WAL, patiently};
use crate::error::failed;
use crate::files::Files;
use crate::queue::{Places, Queued};
use crate::readers::{GiveAnswer, ReadJob};
use crate::wal::WalGuard;

/// What the writer is asked to do.
pub(crate) enum Job {
    Append(Request),
    /// A read, where there is no other connection.
    Read(ReadJob),
    /// A transaction of its own, for what is kept beside the log.
    Write(WriteJob),
    /// Somebody waits for changes: look for those that others make.
    Watch,
}

/// A transaction that begins and ends by itself. It leaves an answer to give.
pub(crate) type WriteJob = Box<dyn FnOnce(&Connection) -> GiveAnswer + Send>;

/// An append and where its verdict goes.
pub(crate) struct Request {
    pub(crate) append: Append,
    pub(crate) answer: oneshot::Sender<Result<Appended>>,
}

/// The one thread that writes: it takes what is waiting, writes it in one transaction, and hands out the verdicts.
pub(crate) struct Committer {
    pub(crate) jobs: Receiver<Queued<Job>>,
    pub(crate) places: Places,
    pub(crate) signal: ChangeSignal,
    pub(crate) watching: Watching,
    pub(crate) config: SqliteConfig,
}

/// Whether the writer looks for what others commit. It does not while nobody waits for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watching(Arc<AtomicBool>);

impl Watching {
    /// Whether the writer must be told to begin.
    pub(crate) fn begin(&self) -> bool {
        !self.0.swap(true, Ordering::SeqCst)
    }

    fn end(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Committer {
    /// Works until everybody who could send a job is gone, and everything that was sent is done.
    pub(crate) fn run(self, connection: &Connection, files: Option<Files>) -> Result<()> {
        let (mut appender, mut others) = self.prepare(connection)?;
        let mut files = files.map(|files| OpenFiles { files, in_place: true, wal: WalGuard::new(LARGE_WAL) });
        let mut jobs = Vec::with_capacity(self.config.batch_limit.min(1_024));
        while self.receive(connection, &mut others, &mut jobs) {
            self.work(connection, &mut appender, &mut files, &mut jobs);
            self.look(connection, &mut others);
        }
        Ok(())
    }

    fn prepare<'c>(&self, connection: &'c Connection) -> Result<(Appender<'c>, OthersChanges)> {
        let broken = |error| failed("preparing to write", error);
        let timeout = self.config.busy_timeout;
        let outbox = self.config.outbox.as_ref();
        let appender = patiently(timeout, || Appender::new(connection, outbox)).map_err(broken)?;
        let interval = self.config.poll_interval;
        let others = patiently(timeout, || OthersChanges::new(connection, interval)).map_err(broken)?;
        Ok((appender, others))
    }

    /// Waits for jobs and takes those that are there; returns whether there were any before the end.
    fn receive(&self, connection: &Connection, others: &mut OthersChanges, jobs: &mut Vec<Job>) -> bool {
        let mut places = 0;
        let mut next = self.first(connection, others);
        while let Some(queued) = next {
            places += queued.places;
            jobs.push(queued.job);
            let room = places < self.config.batch_limit;
            next = room.then(|| self.jobs.try_recv().ok()).flatten();
        }
        self.places.free(places);
        !jobs.is_empty()
    }

    fn first(&self, connection: &Connection, others: &mut OthersChanges) -> Option<Queued<Job>> {
        loop {
            if self.is_watched() {
                match self.jobs.recv_timeout(others.due_in()) {
                    Ok(job) => return Some(job),
                    Err(RecvTimeoutError::Disconnected) => return None,
                    Err(RecvTimeoutError::Timeout) => self.look(connection, others),
                }
            } else {
                return self.jobs.recv().ok();
            }
        }
    }

    fn is_watched(&self) -> bool {
        if self.config.location == Location::Memory {
            return false;
        }
        if self.signal.is_unused() {
            self.watching.end();
        }
        // Whoever came in between found it begun and sent nothing, or sends a job.
        !self.signal.is_unused()
    }

    /// Wakes those who wait, if others have committed. A failure to look is as good as a change: whoever waits then
    /// looks, and is told what is wrong.
    fn look(&self, connection: &Connection, others: &mut OthersChanges) {
        if self.is_watched() && others.due_in().is_zero() && others.look(connection).unwrap_or(true) {
            self.signal.notify();
        }
    }

    fn work(
        &self,
        connection: &Connection,
        appender: &mut Appender<'_>,
        files: &mut Option<OpenFiles>,
        jobs: &mut Vec<Job>,
    ) {
        let mut requests = Vec::with_capacity(jobs.len());
        let mut others = Vec::new();
        let mut foreign = false;
        for job in jobs.drain(..) {
            match job {
                Job::Append(request) => requests.push(request),
                Job::Read(read) => {
                    others.push(Box::new(move |connection: &Connection| read(Ok(connection))) as WriteJob);
                }
                Job::Write(write) => {
                    others.push(write);
                    foreign = true;
                }
                Job::Watch => {}
            }
        }
        if !requests.is_empty() {
            self.append(connection, appender, files, requests);
        }
        for job in others {
            job(connection)();
        }
        if foreign {
            // On this same connection: `data_version` doesn't tell if they appended.
            appender.forget();
        }
    }

    fn append(
        &self,
        connection: &Connection,
        appender: &mut Appender<'_>,
        files: &mut Option<OpenFiles>,
        requests: Vec<Request>,
    ) {
        if let Some(files) = files
            && !files.in_place
            && let Err(error) = files.look()
        {
            return refuse(requests, || Error::unavailable(error.to_string()));
        }
        let now = match self.config.now() {
            Ok(now) => now,
            Err(error) => return refuse(requests, || Error::backend(error.to_string())),
        };
        let appends = requests.iter().map(|request| &request.append);
        let verdicts =
            batch::write(connection, appender, appends, now, self.config.busy_timeout, &self.config.inline);
        if verdicts.wrote {
            self.signal.notify();
        }
        let found = match files {
            Some(files) if verdicts.wrote => files.look(),
            _ => Ok(0),
        };
        for (request, mut verdict) in requests.into_iter().zip(verdicts.each) {
            if let (Ok(_), Err(error)) = (&verdict, &found) {
                verdict = Err(Error::outcome_unknown(error.to_string()));
            }
            // Whoever asked may have gone; what was written stays.
            let _ = request.answer.send(verdict);
        }
        // Nobody waits for this.
        if let (Some(files), Ok(wal_size)) = (files, found)
            && let Err(error) = files.wal.see_to(connection, wal_size)
        {
            tracing::warn!(location = %self.config.location, %error, "the WAL can't be written back");
        }
    }
}

/// What the writer knows of its files.
struct OpenFiles {
    files: Files,
    /// Whether they were in their places when it last looked.
    in_place: bool,
    wal: WalGuard,
}

impl OpenFiles {
    /// Returns the size of the WAL in bytes, if the files are in their places.
    fn look(&mut self) -> Result<u64> {
        let found = self.files.check();
        self.in_place = found.is_ok();
        found
    }
}

fn refuse(requests: Vec<Request>, error: impl Fn() -> Error) {
    for request in requests {
        let _ = request.answer.send(Err(error()));
    }
}

/// Ends the writer's connection: the readers are gone, and the WAL goes into the database.
pub(crate) fn end(connection: Connection, readers: Vec<JoinHandle<()>>) -> Result<()> {
    for reader in readers {
        // A reader that panicked has told its caller; nothing of it is left.
        let _ = reader.join();
    }
    // Another process may be reading the WAL; then the last to close does it.
    let checkpoint = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    connection.close().map_err(|(_, error)| failed("closing the database", error))?;
    checkpoint.map_err(|error| failed("writing the WAL back", error))
}

/// How many places of the queue an append takes.
pub(crate) fn places(append: &Append) -> usize {
    const BYTES_PER_PLACE: usize = 64 << 10;
    append.each_event().map(|(_, event)| event.payload().as_json().len()).sum::<usize>() / BYTES_PER_PLACE + 1
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::connection::open_writer;
    use crate::queue::Queue;

    /// Somebody has the whole database to himself while the writer gets ready.
    #[test]
    fn a_lock_at_the_start_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let config = SqliteConfig::file(directory.path().join("events.db"));
        crate::schema::migrate(&open_writer(&config).unwrap(), &config).unwrap();
        let own = Connection::open(directory.path().join("events.db")).unwrap();
        own.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
        let (_queue, jobs, places) = Queue::new(1);
        let signal = ChangeSignal::new();
        let committer =
            Committer { jobs, places, signal, watching: Watching::default(), config: config.clone() };
        let (locked, known) = mpsc::channel();
        let preparing = thread::spawn(move || {
            let writer = open_writer(&config).unwrap();
            let direct = Appender::new(&writer, None).map(drop).unwrap_err();
            locked.send(direct.sqlite_error_code()).unwrap();
            committer.prepare(&writer).map(drop)
        });
        let refused = known.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(refused, Some(rusqlite::ErrorCode::DatabaseBusy), "the lock is in the way");
        drop(own);
        preparing.join().unwrap().unwrap();
    }
}

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use eventsource_core::{Append, Appended, ChangeSignal, Error, ErrorKind, Result};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::sync::oneshot;

use crate::answer::{Answer, Fate, Wrote};
use crate::append::Appender;
use crate::batch;
use crate::changes::OthersChanges;
use crate::config::{Location, SqliteConfig};
use crate::connection::{LARGE_WAL, patiently};
use crate::error::failed;
use crate::flusher::{By, Flusher};
use crate::held::Held;
use crate::queue::{Places, Queued};
use crate::readers::ReadJob;
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

/// A transaction that begins and ends by itself, or the reason why there is none. It leaves an answer to give.
pub(crate) type WriteJob = Box<dyn FnOnce(Result<&Connection>) -> (Wrote, Answer) + Send>;

/// An append and where its verdict goes.
pub(crate) struct Request {
    pub(crate) append: Append,
    pub(crate) answer: oneshot::Sender<Result<Appended>>,
}

/// The one thread that writes: it takes what is waiting, writes it in one transaction, and leaves the verdicts to the
/// flusher, which gives them when they are durable.
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
    pub(crate) fn run(self, connection: &Connection, flusher: &Flusher) -> Result<()> {
        let (mut appender, mut others) = self.prepare(connection)?;
        let mut wal = WalGuard::new(LARGE_WAL);
        let mut jobs = Vec::with_capacity(self.config.batch_limit.min(1_024));
        let mut held = Held::default();
        loop {
            let waiting = self.settle(connection, flusher, &mut held);
            if held.is_empty() {
                // Nobody waits for this. What the WAL may have lost on the disk goes nowhere else.
                if flusher.check_flushes().is_ok()
                    && let Err(error) = wal.see_to(connection, flusher.take_wal_size())
                {
                    tracing::warn!(location = %self.config.location, %error, "the WAL can't be written back");
                }
                self.look(connection, &mut others);
            }
            let Some(first) = waiting.or_else(|| self.first(connection, &mut others)) else { return Ok(()) };
            self.receive(first, &mut jobs);
            self.work(connection, &mut appender, flusher, &mut held, &mut jobs);
        }
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

    /// Leaves the answers that are held to the flusher, unless others wait by whom they can be joined. Returns the first
    /// of those who wait.
    fn settle(&self, connection: &Connection, flusher: &Flusher, held: &mut Held) -> Option<Queued<Job>> {
        if held.is_empty() {
            return None;
        }
        let waiting = self.jobs.try_recv().ok();
        let quick = held.is_quicker_than_a_flush(flusher);
        if waiting.is_none() || !quick {
            // Who is alone need not wait for a thread to wake up.
            let alone = waiting.is_none() && (quick || held.is_one());
            held.settle(connection, flusher, if alone { By::Caller } else { By::Thread });
        }
        waiting
    }

    /// Takes the jobs that are there.
    fn receive(&self, first: Queued<Job>, jobs: &mut Vec<Job>) {
        let mut places = 0;
        let mut next = Some(first);
        while let Some(queued) = next {
            places += queued.places;
            jobs.push(queued.job);
            let room = places < self.config.batch_limit;
            next = room.then(|| self.jobs.try_recv().ok()).flatten();
        }
        self.places.free(places);
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
        flusher: &Flusher,
        held: &mut Held,
        jobs: &mut Vec<Job>,
    ) {
        let mut requests = Vec::with_capacity(jobs.len());
        let mut others = Vec::new();
        let mut foreign = false;
        for job in jobs.drain(..) {
            match job {
                Job::Append(request) => requests.push(request),
                Job::Read(read) => {
                    others.push(Box::new(move |connection: Result<&Connection>| {
                        (Wrote::Nothing, read(connection))
                    }) as WriteJob);
                }
                Job::Write(write) => {
                    others.push(write);
                    foreign = true;
                }
                Job::Watch => {}
            }
        }
        if !requests.is_empty() {
            held.begin();
            held.take(self.append(connection, appender, flusher, requests));
        }
        for job in others {
            if !held.is_quicker_than_a_flush(flusher) {
                held.settle(connection, flusher, By::Thread);
            }
            held.begin();
            let (wrote, answer) = job(flusher.check().map(|()| connection));
            held.take((wrote, vec![answer]));
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
        flusher: &Flusher,
        requests: Vec<Request>,
    ) -> (Wrote, Vec<Answer>) {
        if let Err(error) = flusher.check() {
            return refuse(requests, || error.clone());
        }
        let now = match self.config.now() {
            Ok(now) => now,
            Err(error) => return refuse(requests, || Error::backend(error.to_string())),
        };
        let appends = requests.iter().map(|request| &request.append);
        let verdicts =
            batch::write(connection, appender, appends, now, self.config.busy_timeout, &self.config.inline);
        let wrote = if verdicts.wrote { Wrote::Events } else { Wrote::Nothing };
        let answers = requests.into_iter().zip(verdicts.each).map(|(request, verdict)| {
            Box::new(move |fate: Fate<'_>| {
                // Whoever asked may have gone; what was written stays.
                let _ = request.answer.send(told(verdict, fate));
            }) as Answer
        });
        (wrote, answers.collect())
    }
}

/// What a verdict is to the caller.
fn told(verdict: Result<Appended>, fate: Fate<'_>) -> Result<Appended> {
    match (verdict, fate) {
        (verdict, Ok(())) => verdict,
        (Ok(_), Err(undurable)) => Err(undurable.of_write()),
        (Err(error), Err(_)) if error.kind() == ErrorKind::OutcomeUnknown => Err(error),
        // What stood in the way may be gone tomorrow.
        (Err(_), Err(undurable)) => Err(undurable.of_read()),
    }
}

fn refuse(requests: Vec<Request>, error: impl Fn() -> Error) -> (Wrote, Vec<Answer>) {
    let refusal = |request: Request| {
        let error = error();
        Box::new(move |_: Fate<'_>| drop(request.answer.send(Err(error)))) as Answer
    };
    (Wrote::Nothing, requests.into_iter().map(refusal).collect())
}

/// Ends the writer's connection, when nobody needs it any more: the WAL goes into the database.
pub(crate) fn end(connection: Connection, flushes: Result<()>) -> Result<()> {
    let checkpoint = match flushes {
        // Another process may be reading the WAL; then the last to close does it.
        Ok(()) => connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(|error| failed("writing the WAL back", error)),
        // What the WAL may have lost on the disk goes nowhere else.
        Err(error) => {
            let kept = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            kept.map_err(|error| failed("keeping the WAL", error)).and(Err(error))
        }
    };
    connection.close().map_err(|(_, error)| failed("closing the database", error))?;
    checkpoint
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

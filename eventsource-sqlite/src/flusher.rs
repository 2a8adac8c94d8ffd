use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use eventsource_core::{ChangeSignal, Error, Result};
use rusqlite::Connection;

use crate::answer::{Answer, Fate, Undurable, Wrote};
use crate::files::OpenFiles;
use crate::frontier::Frontier;
use crate::wal_file::{Flush, WalFile};

/// Holds answers back until what they rest on is durable. One flush serves all that wait.
///
/// SQLite commits without a flush (`synchronous = NORMAL`). It flushes the WAL by itself before it writes it back
/// (`walCheckpoint`) and when it begins it anew (`walFrames`); all other flushes are these.
pub(crate) struct Flusher {
    /// None where nobody waits for the disk.
    disk: Option<Disk>,
    /// None in memory.
    files: Option<OpenFiles>,
    signal: ChangeSignal,
    state: Mutex<State>,
    /// Whoever has it flushes. The kernel tells one of those who flush at once that something could not be written, and
    /// the others that all is well.
    turn: Mutex<()>,
    /// There is something to do for the thread, or it is to end.
    work: Condvar,
    /// Fewer answers wait.
    room: Condvar,
}

/// What is flushed, and how.
pub(crate) struct Disk {
    pub(crate) wal: WalFile,
    pub(crate) flush: Arc<dyn Flush>,
}

/// Who flushes, if it is to be flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// Whoever hands the answers in, unless somebody is flushing already: no thread need be woken.
    Caller,
    /// The flusher's thread: the caller has something else to do.
    Thread,
}

#[derive(Default)]
struct State {
    waiting: Vec<Waiting>,
    /// All up to here is durable; none is known to be at first.
    durable: Option<Frontier>,
    /// A flush that failed may have dropped what it was to write. The next one succeeds all the same, and proves
    /// nothing (<https://wiki.postgresql.org/wiki/Fsync_Errors>). So it is the last.
    failed: Option<Undurable>,
    /// What a flush has taken lately.
    time: Duration,
    flushing: Flushing,
    thread: Thread,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Flushing {
    #[default]
    Nobody,
    Somebody,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Thread {
    Works,
    #[default]
    Ended,
}

/// Answers, and how far the WAL was committed when they were found. None if that is not known.
struct Waiting {
    frontier: Option<Frontier>,
    wrote: Wrote,
    answers: Vec<Answer>,
}

impl Flusher {
    /// How many batches and reads wait for a flush, before others wait for that.
    const MOST_WAITING: usize = 32;

    pub(crate) fn new(disk: Option<Disk>, files: Option<OpenFiles>, signal: ChangeSignal) -> Self {
        let (work, room) = (Condvar::new(), Condvar::new());
        Self { disk, files, signal, state: Mutex::default(), turn: Mutex::default(), work, room }
    }

    /// Starts its thread, if there is something to flush.
    pub(crate) fn start(self: &Arc<Self>) -> Result<FlusherThread> {
        if self.disk.is_none() {
            return Ok(FlusherThread { flusher: self.clone(), thread: None });
        }
        self.state().thread = Thread::Works;
        let flusher = self.clone();
        let thread = thread::Builder::new()
            .name("eventsource-sqlite-flusher".to_owned())
            .spawn(move || AtEnd(&flusher).0.run())
            .map_err(|error| {
                Error::unavailable("a thread to flush with can't be started").with_source(error)
            })?;
        Ok(FlusherThread { flusher: self.clone(), thread: Some(thread) })
    }

    /// Gives these answers when all is durable that `connection` has seen or written; in no transaction.
    pub(crate) fn settle(&self, connection: &Connection, wrote: Wrote, answers: Vec<Answer>, by: By) {
        let Some(disk) = &self.disk else {
            return self.give(vec![Waiting { frontier: None, wrote, answers }], Ok(()));
        };
        let mine = Waiting { frontier: Frontier::look(connection, &disk.wal), wrote, answers };
        let mut state = self.state();
        loop {
            if let Some(fate) = state.fate(&mine) {
                drop(state);
                return self.give(vec![mine], fate.as_ref().copied());
            }
            let alone = state.waiting.is_empty() && state.flushing == Flushing::Nobody;
            if by == By::Caller && alone || state.thread == Thread::Ended {
                state.flushing = Flushing::Somebody;
                drop(state);
                return self.flush(disk, vec![mine]);
            }
            if state.waiting.len() < Self::MOST_WAITING {
                state.waiting.push(mine);
                if alone {
                    self.work.notify_one();
                }
                return;
            }
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Makes durable all that anybody has committed so far.
    pub(crate) fn flush_now(&self) -> Result<()> {
        let Some(disk) = &self.disk else { return Ok(()) };
        self.sync(disk).map(drop).map_err(|failed| failed.of_read())
    }

    /// Whether it makes sense to write: what can't be flushed, or goes to files that are not in their places, is lost.
    pub(crate) fn check(&self) -> Result<()> {
        self.check_flushes()?;
        let found = self.files.as_ref().map_or(Ok(()), OpenFiles::look_again);
        found.map_err(|error| Error::unavailable(error.to_string()))
    }

    /// Whether no flush has failed.
    pub(crate) fn check_flushes(&self) -> Result<()> {
        self.state().failed.as_ref().map_or(Ok(()), |failed| Err(failed.of_read()))
    }

    /// How long a flush takes, as far as is known; no time where none is needed.
    pub(crate) fn time_of_a_flush(&self) -> Duration {
        self.state().time
    }

    /// The size of the WAL in bytes after a flush, if there was one since this was last asked.
    pub(crate) fn take_wal_size(&self) -> u64 {
        self.files.as_ref().map_or(0, OpenFiles::take_wal_size)
    }

    fn run(&self) {
        let Some(disk) = &self.disk else { return };
        let mut state = self.state();
        loop {
            if state.waiting.is_empty() && state.thread == Thread::Ended {
                return;
            }
            if state.waiting.is_empty() || state.flushing == Flushing::Somebody {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let waiting = mem::take(&mut state.waiting);
            self.room.notify_all();
            state.flushing = Flushing::Somebody;
            drop(state);
            self.flush(disk, waiting);
            state = self.state();
        }
    }

    /// Flushes once for all of these, unless an earlier flush was enough for them, and gives the answers.
    fn flush(&self, disk: &Disk, waiting: Vec<Waiting>) {
        let flushing = Done(self);
        let mut open = Vec::new();
        let mut settled = Vec::new();
        {
            let state = self.state();
            for each in waiting {
                match state.fate(&each) {
                    Some(fate) => settled.push((each, fate)),
                    None => open.push(each),
                }
            }
        }
        for (each, fate) in settled {
            self.give(vec![each], fate.as_ref().copied());
        }
        let flushed = if open.is_empty() { Ok(None) } else { self.sync(disk).map(Some) };
        if let Ok(Some(time)) = flushed {
            let mut state = self.state();
            state.time = (state.time * 7 + time) / 8;
            open.iter().filter_map(|each| each.frontier).for_each(|frontier| state.advance(frontier));
        }
        drop(flushing);
        self.give(open, flushed.as_ref().map(drop));
    }

    /// Flushes, one at a time, unless a flush has failed; returns how long it took.
    fn sync(&self, disk: &Disk) -> std::result::Result<Duration, Undurable> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failed) = &self.state().failed {
            return Err(failed.clone());
        }
        let begun = Instant::now();
        disk.flush.flush(&disk.wal).map_err(|error| self.has_failed(error))?;
        Ok(begun.elapsed())
    }

    fn give(&self, waiting: Vec<Waiting>, fate: Fate<'_>) {
        let wrote = |what: fn(&Wrote) -> bool| waiting.iter().any(|each| what(&each.wrote));
        let found = match &self.files {
            Some(files) if wrote(|wrote| *wrote != Wrote::Nothing) => files.look(),
            _ => Ok(()),
        };
        let misplaced = found.map_err(|error| Undurable::misplaced(&error));
        if wrote(|wrote| *wrote == Wrote::Events) {
            self.signal.notify();
        }
        for Waiting { wrote, answers, .. } in waiting {
            let fate = match (&misplaced, wrote) {
                (Err(misplaced), Wrote::Something | Wrote::Events) => fate.and(Err(misplaced)),
                _ => fate,
            };
            for answer in answers {
                answer(fate);
            }
        }
    }

    fn has_failed(&self, error: io::Error) -> Undurable {
        let failed = Undurable::unflushed(error);
        tracing::error!(%failed, "the store stops");
        let failed = self.state().failed.get_or_insert(failed).clone();
        // Whoever waits for events looks, and is told.
        self.signal.notify();
        failed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What becomes of these answers, if that is known without a flush.
    fn fate(&self, waiting: &Waiting) -> Option<std::result::Result<(), Undurable>> {
        if waiting.frontier.is_some_and(|frontier| frontier.is_within(self.durable)) {
            return Some(Ok(()));
        }
        self.failed.clone().map(Err)
    }

    fn advance(&mut self, frontier: Frontier) {
        // A WAL that was begun anew has other salts. To keep the older ones would be as sound, and cost a flush.
        if !frontier.is_within(self.durable) {
            self.durable = Some(frontier);
        }
    }
}

/// The flusher's thread. Ending it, or dropping this, waits for it: it settles what waits.
pub(crate) struct FlusherThread {
    flusher: Arc<Flusher>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for FlusherThread {
    fn drop(&mut self) {
        self.flusher.state().thread = Thread::Ended;
        self.flusher.work.notify_one();
        if let Some(thread) = self.thread.take() {
            // If it panicked, those who waited have been told.
            let _ = thread.join();
        }
    }
}

/// Whatever ends a flush, a panic as well: somebody else can flush.
struct Done<'f>(&'f Flusher);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.flushing = Flushing::Nobody;
        if !state.waiting.is_empty() {
            self.0.work.notify_one();
        }
    }
}

/// Whatever ends the thread: nobody waits for it any more.
struct AtEnd<'f>(&'f Flusher);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.thread = Thread::Ended;
        state.waiting.clear();
        self.0.room.notify_all();
    }
}

#[cfg(test)]
mod tests;

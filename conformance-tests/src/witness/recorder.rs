use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eventsource_core::{Append, Appended, EventStore, Filter, Page, Position, ReadOptions, Result};

use super::note::{self, Note};
use super::{HeadSeen, History, Look, Outcome, Span};

/// Keeps the history of a process. Clones keep the same one.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    ticks: AtomicU64,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    history: History,
    journal: Option<Box<dyn Write + Send>>,
}

impl Recorder {
    /// A recorder of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A recorder that writes everything to `journal` as well, before and after it happens: from a child process's
    /// standard output, [`History::from_journal`] tells what it did, even if it was killed.
    #[must_use]
    pub fn with_journal(journal: impl Write + Send + 'static) -> Self {
        let recorder = Self::default();
        recorder.kept().journal = Some(Box::new(journal));
        recorder
    }

    /// Appends, and keeps what it came to. If the future is dropped, the outcome is unknown.
    ///
    /// # Errors
    /// The store's.
    pub async fn append(
        &self,
        store: &dyn EventStore,
        name: impl Into<String>,
        append: Append,
    ) -> Result<Appended> {
        let pending = self.begin(name, append.clone());
        let answer = store.append(append).await;
        pending.end(Outcome::of(&answer));
        answer
    }

    /// Keeps that an append is about to be asked for: of unknown outcome until [`Pending::end`] says more.
    pub fn begin(&self, name: impl Into<String>, append: Append) -> Pending {
        let mut kept = self.kept();
        let attempt = kept.history.attempts.len();
        kept.take(Note::Began { name: name.into(), append, tick: self.tick() });
        Pending { recorder: self.clone(), attempt }
    }

    /// Asks for the head, and keeps it.
    ///
    /// # Errors
    /// The store's.
    pub async fn head(&self, store: &dyn EventStore) -> Result<Position> {
        let began = self.tick();
        let head = store.head().await?;
        let span = Span { began, ended: self.tick() };
        self.kept().take(Note::Head(HeadSeen { head, span }));
        Ok(head)
    }

    /// A reader that begins behind `after`, whose every look is kept.
    pub fn tail(&self, name: impl Into<String>, filter: Filter, after: Position) -> Tail {
        let mut kept = self.kept();
        let reader = kept.history.readers.len();
        kept.take(Note::Reads { name: name.into(), filter: filter.clone() });
        Tail { recorder: self.clone(), reader, filter, cursor: after }
    }

    /// What was kept until now.
    #[must_use]
    pub fn snapshot(&self) -> History {
        self.kept().history.clone()
    }

    fn tick(&self) -> u64 {
        self.shared.ticks.fetch_add(1, Ordering::SeqCst)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn take(&mut self, note: Note) {
        if let Some(journal) = &mut self.journal {
            note::write(&note, journal).expect("whoever started this process reads its journal");
        }
        self.history.take(note);
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("history", &self.history).finish_non_exhaustive()
    }
}

/// An append under way.
#[derive(Debug)]
#[must_use = "without its end, the outcome stays unknown"]
pub struct Pending {
    recorder: Recorder,
    attempt: usize,
}

impl Pending {
    /// Keeps what it came to.
    pub fn end(self, outcome: Outcome) {
        let tick = self.recorder.tick();
        self.recorder.kept().take(Note::Ended { attempt: self.attempt, outcome, tick });
    }
}

/// A reader that goes on from where it was.
#[derive(Debug)]
pub struct Tail {
    recorder: Recorder,
    reader: usize,
    filter: Filter,
    cursor: Position,
}

impl Tail {
    /// Reads the next page, of at most `limit` events, and moves on.
    ///
    /// # Errors
    /// The store's; the reader stays where it is.
    pub async fn look(&mut self, store: &dyn EventStore, limit: u64) -> Result<Page> {
        let options = ReadOptions::new().after(self.cursor).limit(limit);
        let began = self.recorder.tick();
        let page = store.read_page(&self.filter, &options).await?;
        let look = Look {
            after: self.cursor,
            events: page.events.iter().map(|event| (event.position(), event.id())).collect(),
            scanned_to: page.scanned_to(&options),
            head: page.head,
            span: Span { began, ended: self.recorder.tick() },
        };
        self.cursor = look.scanned_to;
        self.recorder.kept().take(Note::Looked { reader: self.reader, look });
        Ok(page)
    }

    /// Reads on until there is no more, and says that everything is over: what this reader has not seen, it missed.
    ///
    /// # Errors
    /// The store's.
    pub async fn finish(mut self, store: &dyn EventStore, limit: u64) -> Result<()> {
        while self.look(store, limit).await?.more {}
        self.recorder.kept().take(Note::Finished { reader: self.reader });
        Ok(())
    }

    /// Where it stands.
    #[must_use]
    pub fn cursor(&self) -> Position {
        self.cursor
    }
}

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eventsource_core::{Append, Appended, EventStore, Filter, Page, Position, ReadOptions, Result};

use super::{Attempt, HeadSeen, History, Look, Outcome, Reader, Span};

/// Keeps the history of a process. Clones keep the same one.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    ticks: AtomicU64,
    history: Mutex<History>,
}

impl Recorder {
    /// A recorder of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
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
        let span = Span { began: self.tick(), ended: u64::MAX };
        let mut history = self.history();
        history.attempts.push(Attempt { name: name.into(), append, outcome: Outcome::Unknown, span });
        Pending { recorder: self.clone(), index: history.attempts.len() - 1 }
    }

    /// Asks for the head, and keeps it.
    ///
    /// # Errors
    /// The store's.
    pub async fn head(&self, store: &dyn EventStore) -> Result<Position> {
        let began = self.tick();
        let head = store.head().await?;
        let span = Span { began, ended: self.tick() };
        self.history().heads.push(HeadSeen { head, span });
        Ok(head)
    }

    /// A reader that begins behind `after`, whose every look is kept.
    pub fn tail(&self, name: impl Into<String>, filter: Filter, after: Position) -> Tail {
        let reader =
            Reader { name: name.into(), filter: filter.clone(), looks: Vec::new(), finished: false };
        let mut history = self.history();
        history.readers.push(reader);
        Tail { recorder: self.clone(), index: history.readers.len() - 1, filter, cursor: after }
    }

    /// What was kept until now.
    #[must_use]
    pub fn snapshot(&self) -> History {
        self.history().clone()
    }

    fn tick(&self) -> u64 {
        self.shared.ticks.fetch_add(1, Ordering::SeqCst)
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.shared.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An append under way.
#[derive(Debug)]
#[must_use = "without its end, the outcome stays unknown"]
pub struct Pending {
    recorder: Recorder,
    index: usize,
}

impl Pending {
    /// Keeps what it came to.
    pub fn end(self, outcome: Outcome) {
        let ended = self.recorder.tick();
        let attempt = &mut self.recorder.history().attempts[self.index];
        attempt.outcome = outcome;
        attempt.span.ended = ended;
    }
}

/// A reader that goes on from where it was.
#[derive(Debug)]
pub struct Tail {
    recorder: Recorder,
    index: usize,
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
        self.recorder.history().readers[self.index].looks.push(look);
        Ok(page)
    }

    /// Reads on until there is no more, and says that everything is over: what this reader has not seen, it missed.
    ///
    /// # Errors
    /// The store's.
    pub async fn finish(mut self, store: &dyn EventStore, limit: u64) -> Result<()> {
        while self.look(store, limit).await?.more {}
        self.recorder.history().readers[self.index].finished = true;
        Ok(())
    }

    /// Where it stands.
    #[must_use]
    pub fn cursor(&self) -> Position {
        self.cursor
    }
}

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use eventsource_core::{
    Append, Appended, Capabilities, Changes, Error, EventStore, Filter, Page, Position, ReadOptions, Result,
    StreamId, Version,
};

/// A store whose appends go wrong on the way, as on a bad network: one [`Fault`] for each, as long as there are any.
#[derive(Clone, Debug)]
pub struct Faulty<S> {
    store: S,
    faults: Arc<Mutex<VecDeque<Fault>>>,
}

/// What happens to an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It never reaches the store, and the caller is told so: `Unavailable`.
    BeforeCommit,
    /// The store answers, and the answer is lost: `OutcomeUnknown`.
    AfterCommit,
    /// It reaches the store late.
    Late(Duration),
    /// Its answer comes late.
    AnsweredLate(Duration),
}

impl<S> Faulty<S> {
    /// A store whose next appends meet these faults, one each.
    pub fn new(store: S, faults: impl IntoIterator<Item = Fault>) -> Self {
        Self { store, faults: Arc::new(Mutex::new(faults.into_iter().collect())) }
    }

    fn next_fault(&self) -> Fault {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).pop_front().unwrap_or(Fault::None)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: EventStore> EventStore for Faulty<S> {
    async fn append(&self, append: Append) -> Result<Appended> {
        let fault = self.next_fault();
        match fault {
            Fault::BeforeCommit => return Err(Error::unavailable("the append was lost on its way")),
            Fault::Late(delay) => tokio::time::sleep(delay).await,
            Fault::None | Fault::AfterCommit | Fault::AnsweredLate(_) => {}
        }
        let answer = self.store.append(append).await;
        match fault {
            Fault::AfterCommit => Err(Error::outcome_unknown("the answer was lost on its way")),
            Fault::AnsweredLate(delay) => {
                tokio::time::sleep(delay).await;
                answer
            }
            Fault::None | Fault::BeforeCommit | Fault::Late(_) => answer,
        }
    }

    async fn read_page(&self, filter: &Filter, options: &ReadOptions) -> Result<Page> {
        self.store.read_page(filter, options).await
    }

    async fn head(&self) -> Result<Position> {
        self.store.head().await
    }

    async fn stream_version(&self, stream: &StreamId) -> Result<Option<Version>> {
        self.store.stream_version(stream).await
    }

    fn changes(&self) -> Changes {
        self.store.changes()
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn close(&self) -> Result<()> {
        self.store.close().await
    }
}

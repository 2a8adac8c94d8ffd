use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use async_trait::async_trait;
use eventsource_core::{
    Append, Appended, Capabilities, Changes, Error, EventStore, Filter, Page, Position, ReadOptions, Result,
    Snapshot, SnapshotKey, SnapshotSaved, SnapshotStore, StreamId, Version,
};

use crate::{Fault, Faults};

/// Any store, with calls that go wrong on the way, as on a bad network. Its clones meet the same faults in turn.
///
/// What gets through means what it always means: an append whose answer is lost is stored, and the same append again is
/// answered with its first result.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use eventsource_core::{Append, ErrorKind, EventStore, NewEvent};
/// use eventsource_memory::MemoryStore;
/// use eventsource_testing::{Fault, Faults, Faulty};
///
/// let store = Faulty::new(MemoryStore::new()).on_append(Faults::in_order([Fault::AfterCommit]));
/// let append = Append::events([NewEvent::new("Paid", &())?]);
/// let lost = store.append(append.clone()).await.unwrap_err();
/// assert_eq!(lost.kind(), ErrorKind::OutcomeUnknown);
/// assert!(store.append(append).await?.replayed);
/// assert_eq!(store.faults_met(), 1);
/// # Ok::<(), eventsource_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Faulty<S> {
    store: S,
    on_append: Arc<Mutex<Faults>>,
    on_read: Arc<Mutex<Faults>>,
    on_snapshots: Arc<Mutex<Faults>>,
    met: Arc<AtomicU64>,
}

impl<S> Faulty<S> {
    /// A store without faults yet.
    #[must_use]
    pub fn new(store: S) -> Self {
        let none = || Arc::new(Mutex::new(Faults::none()));
        Self { store, on_append: none(), on_read: none(), on_snapshots: none(), met: Arc::default() }
    }

    /// Sets what appends meet.
    #[must_use]
    pub fn on_append(mut self, faults: Faults) -> Self {
        self.on_append = Arc::new(Mutex::new(faults));
        self
    }

    /// Sets what reading the log meets: pages, the head, streams' versions.
    #[must_use]
    pub fn on_read(mut self, faults: Faults) -> Self {
        self.on_read = Arc::new(Mutex::new(faults));
        self
    }

    /// Sets what saving, loading and deleting snapshots meets.
    #[must_use]
    pub fn on_snapshots(mut self, faults: Faults) -> Self {
        self.on_snapshots = Arc::new(Mutex::new(faults));
        self
    }

    /// How many calls have met a fault: a test should see that some did.
    #[must_use]
    pub fn faults_met(&self) -> u64 {
        self.met.load(Ordering::SeqCst)
    }

    /// The store, without faults.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.store
    }

    fn next(&self, faults: &Mutex<Faults>) -> Fault {
        let fault = faults.lock().unwrap_or_else(PoisonError::into_inner).next_fault();
        if fault != Fault::None {
            self.met.fetch_add(1, Ordering::SeqCst);
        }
        fault
    }

    async fn read<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        through(self.next(&self.on_read), call, unanswered).await
    }

    async fn snapshot<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        through(self.next(&self.on_snapshots), call, unanswered).await
    }
}

fn unanswered() -> Error {
    Error::unavailable("the answer was lost on its way")
}

async fn through<T>(
    fault: Fault,
    call: impl Future<Output = Result<T>>,
    lost: impl FnOnce() -> Error,
) -> Result<T> {
    match fault {
        Fault::None => call.await,
        Fault::BeforeCommit => Err(Error::unavailable("the call was lost on its way")),
        Fault::AfterCommit => {
            let _nobody_hears = call.await;
            Err(lost())
        }
        Fault::Late(delay) => {
            tokio::time::sleep(delay).await;
            call.await
        }
        Fault::AnsweredLate(delay) => {
            let answer = call.await;
            tokio::time::sleep(delay).await;
            answer
        }
        Fault::Cancelled { polls } => polled(call, polls).await.unwrap_or_else(|| Err(lost())),
    }
}

/// The future's answer, if it has one after so many polls; it is dropped otherwise.
async fn polled<T>(future: impl Future<Output = T>, polls: u32) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        let answer = future.as_mut().poll(context).map(Some);
        if answer.is_pending() && left == 0 { Poll::Ready(None) } else { answer }
    })
    .await
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: EventStore> EventStore for Faulty<S> {
    async fn append(&self, append: Append) -> Result<Appended> {
        let lost = || Error::outcome_unknown("the answer was lost on its way");
        through(self.next(&self.on_append), self.store.append(append), lost).await
    }

    async fn read_page(&self, filter: &Filter, options: &ReadOptions) -> Result<Page> {
        self.read(self.store.read_page(filter, options)).await
    }

    async fn head(&self) -> Result<Position> {
        self.read(self.store.head()).await
    }

    async fn stream_version(&self, stream: &StreamId) -> Result<Option<Version>> {
        self.read(self.store.stream_version(stream)).await
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

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SnapshotStore> SnapshotStore for Faulty<S> {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<SnapshotSaved> {
        self.snapshot(self.store.save_snapshot(snapshot)).await
    }

    async fn load_snapshot(&self, key: &SnapshotKey) -> Result<Option<Snapshot>> {
        self.snapshot(self.store.load_snapshot(key)).await
    }

    async fn delete_snapshot(&self, key: &SnapshotKey) -> Result<()> {
        self.snapshot(self.store.delete_snapshot(key)).await
    }
}

mod checkpoints;
mod dead_letters;
mod leases;
mod log;
mod outbox;
mod snapshots;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use eventsource_core::{Error, Result};

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
///
/// Whatever the store keeps beside the log goes wrong as well: snapshots, checkpoints, dead letters, leases, the outbox.
/// Each kind of call has its own faults, counted from 1. So a consumer or a relay can be run on a bad network:
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use eventsource_consumers::{Consumer, each_event};
/// use eventsource_core::{CheckpointStore, ConsumerName, EventStoreExt, NewEvent};
/// use eventsource_memory::MemoryStore;
/// use eventsource_testing::{Fault, Faults, Faulty};
///
/// let store = Faulty::new(MemoryStore::new()).on_checkpoints(Faults::none().nth(2, Fault::AfterCommit));
/// store.append_events(vec![NewEvent::new("Paid", &())?]).await?;
/// let handler = each_event(|_, _| async { Ok(()) });
/// Consumer::new("receipts", store.clone())?.run_until_caught_up(handler).await?;
///
/// let checkpoint = store.load_checkpoint(&ConsumerName::new("receipts")?).await?.expect("it was saved");
/// assert_eq!((checkpoint.events_processed, store.faults_met()), (1, 1));
/// # Ok::<(), eventsource_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Faulty<S> {
    store: S,
    lines: [Line; Kind::COUNT],
    met: Arc<AtomicU64>,
}

/// The faults of one kind of call.
type Line = Arc<Mutex<Faults>>;

#[derive(Clone, Copy)]
enum Kind {
    Append,
    Read,
    Snapshots,
    Checkpoints,
    DeadLetters,
    Leases,
    Outbox,
}

impl Kind {
    const COUNT: usize = Self::Outbox as usize + 1;
}

impl<S> Faulty<S> {
    /// A store without faults yet.
    #[must_use]
    pub fn new(store: S) -> Self {
        let lines = std::array::from_fn(|_| Arc::new(Mutex::new(Faults::none())));
        Self { store, lines, met: Arc::default() }
    }

    /// Sets what appends meet.
    #[must_use]
    pub fn on_append(self, faults: Faults) -> Self {
        self.on(Kind::Append, faults)
    }

    /// Sets what reading the log meets: pages, the head, streams' versions, which log it is.
    #[must_use]
    pub fn on_read(self, faults: Faults) -> Self {
        self.on(Kind::Read, faults)
    }

    /// Sets what saving, loading and deleting snapshots meets.
    #[must_use]
    pub fn on_snapshots(self, faults: Faults) -> Self {
        self.on(Kind::Snapshots, faults)
    }

    /// Sets what loading, saving, resetting, listing and deleting checkpoints meets.
    #[must_use]
    pub fn on_checkpoints(self, faults: Faults) -> Self {
        self.on(Kind::Checkpoints, faults)
    }

    /// Sets what whatever is done with dead letters meets.
    #[must_use]
    pub fn on_dead_letters(self, faults: Faults) -> Self {
        self.on(Kind::DeadLetters, faults)
    }

    /// Sets what a group's members meet: announcing themselves, and their leases.
    #[must_use]
    pub fn on_leases(self, faults: Faults) -> Self {
        self.on(Kind::Leases, faults)
    }

    /// Sets what relays meet: claims, settlements, and whatever else is done with the outbox.
    #[must_use]
    pub fn on_outbox(self, faults: Faults) -> Self {
        self.on(Kind::Outbox, faults)
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

    fn on(mut self, kind: Kind, faults: Faults) -> Self {
        self.lines[kind as usize] = Arc::new(Mutex::new(faults));
        self
    }

    /// A call that leaves everything as it is: whether it was carried out is of no account.
    async fn asking<T>(&self, kind: Kind, call: impl Future<Output = Result<T>>) -> Result<T> {
        through(self.next(kind), call, || Error::unavailable("the answer was lost on its way")).await
    }

    /// A call that changes something, and so may have done that when its answer is lost.
    async fn changing<T>(&self, kind: Kind, call: impl Future<Output = Result<T>>) -> Result<T> {
        through(self.next(kind), call, || Error::outcome_unknown("the answer was lost on its way")).await
    }

    fn next(&self, kind: Kind) -> Fault {
        let line = &self.lines[kind as usize];
        let fault = line.lock().unwrap_or_else(PoisonError::into_inner).next_fault();
        if fault != Fault::None {
            self.met.fetch_add(1, Ordering::SeqCst);
        }
        fault
    }
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

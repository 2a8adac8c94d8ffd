use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::snapshot_policy::Progress;
use crate::{
    Clock, EventId, Payload, Position, RecordedEvent, Result, Snapshot, SnapshotKey, SnapshotPolicy,
    SnapshotSaved, SnapshotStore, SystemClock, TenantId, Version,
};

/// Snapshots as a [`Repository`](crate::Repository) and a [`DecisionMaker`](crate::DecisionMaker) use them: where they
/// are kept, when they are taken, and what became of them. Clones share the counts.
///
/// Whatever goes wrong with a snapshot is counted and never fails a command: the log is folded instead. One that can't
/// be read, has another schema version or was taken of another log, or of one that was cut back since, is deleted.
///
/// ```
/// use eventsource_core::{SnapshotPolicy, SnapshotStore, Snapshots};
///
/// async fn start(store: impl SnapshotStore + Clone + 'static) {
///     // Saved before the command returns:
///     let _inline = Snapshots::new(store.clone(), SnapshotPolicy::never().events(100));
///     // Saved by a task of yours, which ends when the last of its snapshots is dropped:
///     let (_snapshots, worker) = Snapshots::in_background(store, SnapshotPolicy::never().events(100), 64);
///     // tokio::spawn(worker.run());
///     # drop(worker);
/// }
/// ```
#[derive(Clone)]
pub struct Snapshots {
    store: Arc<dyn SnapshotStore>,
    policy: SnapshotPolicy,
    clock: Arc<dyn Clock>,
    tenant: Option<TenantId>,
    counts: Arc<Counts>,
    queue: Option<mpsc::Sender<Snapshot>>,
}

/// What became of snapshots, as counted by all clones of a [`Snapshots`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotStatistics {
    /// Loaded and built upon.
    pub used: u64,
    /// Looked for and not there.
    pub absent: u64,
    /// Deleted: it could not be read.
    pub unreadable: u64,
    /// Deleted: its state was written under another schema version.
    pub other_schema: u64,
    /// Deleted: the log does not hold what it was taken of. The log was restored, or is another one.
    pub ahead: u64,
    /// Saved.
    pub saved: u64,
    /// Not saved: a newer one was there.
    pub stale: u64,
    /// Not saved: too many were waiting for the background worker, or it was gone.
    pub dropped: u64,
    /// The store failed, at loading, saving or deleting.
    pub failed: u64,
}

#[derive(Default)]
struct Counts {
    used: AtomicU64,
    absent: AtomicU64,
    unreadable: AtomicU64,
    other_schema: AtomicU64,
    ahead: AtomicU64,
    saved: AtomicU64,
    stale: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Snapshots {
    /// Snapshots that are saved before the command returns that made them due.
    #[must_use]
    pub fn new(store: impl SnapshotStore + 'static, policy: SnapshotPolicy) -> Self {
        Self {
            store: Arc::new(store),
            policy,
            clock: Arc::new(SystemClock),
            tenant: None,
            counts: Arc::default(),
            queue: None,
        }
    }

    /// Snapshots that wait for a worker to save them, at most `waiting` at a time; what is due beyond that is not
    /// taken, and counted as [`dropped`](SnapshotStatistics::dropped).
    pub fn in_background(
        store: impl SnapshotStore + 'static,
        policy: SnapshotPolicy,
        waiting: usize,
    ) -> (Self, SnapshotWorker) {
        let mut snapshots = Self::new(store, policy);
        let (queue, waiting) = mpsc::channel(waiting.max(1));
        let worker =
            SnapshotWorker { store: snapshots.store.clone(), waiting, counts: snapshots.counts.clone() };
        snapshots.queue = Some(queue);
        (snapshots, worker)
    }

    /// Takes the time from `clock`.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Only this tenant's, found and saved.
    #[must_use]
    pub fn in_tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// What became of them.
    #[must_use]
    pub fn statistics(&self) -> SnapshotStatistics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = &*self.counts;
        SnapshotStatistics {
            used: read(&counts.used),
            absent: read(&counts.absent),
            unreadable: read(&counts.unreadable),
            other_schema: read(&counts.other_schema),
            ahead: read(&counts.ahead),
            saved: read(&counts.saved),
            stale: read(&counts.stale),
            dropped: read(&counts.dropped),
            failed: read(&counts.failed),
        }
    }

    fn key(&self, key: SnapshotKey) -> SnapshotKey {
        match self.tenant {
            Some(tenant) => key.in_tenant(tenant),
            None => key,
        }
    }

    async fn load<T>(&self, key: SnapshotKey, codec: &StateCodec<T>) -> Option<Restored<T>> {
        let key = self.key(key);
        let found = match self.store.load_snapshot(&key).await {
            Ok(Some(found)) => found,
            Ok(None) => {
                count(&self.counts.absent);
                return None;
            }
            Err(error) if error.kind() == crate::ErrorKind::Corrupt => {
                self.delete(&key, &self.counts.unreadable).await;
                return None;
            }
            Err(_) => {
                count(&self.counts.failed);
                return None;
            }
        };
        if found.schema_version != codec.schema_version {
            self.delete(&key, &self.counts.other_schema).await;
            return None;
        }
        let Ok(state) = (codec.decode)(&found.state) else {
            self.delete(&key, &self.counts.unreadable).await;
            return None;
        };
        let progress = Progress { taken_at: Some(found.taken_at), ..Progress::default() };
        let at = At { version: found.version, position: found.position, event_id: found.event_id };
        Some(Restored { state, at, progress })
    }

    async fn delete(&self, key: &SnapshotKey, why: &AtomicU64) {
        count(why);
        if self.store.delete_snapshot(key).await.is_err() {
            count(&self.counts.failed);
        }
    }

    /// Saves a snapshot, or hands it to the worker. The time of the snapshot, if one was taken.
    async fn take<T>(&self, key: SnapshotKey, codec: &StateCodec<T>, at: At, state: &T) -> Result<Progress> {
        let taken_at = self.clock.now();
        let snapshot = Snapshot {
            key: self.key(key),
            version: at.version,
            position: at.position,
            event_id: at.event_id,
            schema_version: codec.schema_version,
            state: (codec.encode)(state)?,
            taken_at,
        };
        match &self.queue {
            None => save(&*self.store, &self.counts, snapshot).await,
            Some(queue) => {
                if queue.try_send(snapshot).is_err() {
                    count(&self.counts.dropped);
                }
            }
        }
        Ok(Progress { taken_at: Some(taken_at), ..Progress::default() })
    }
}

async fn save(store: &dyn SnapshotStore, counts: &Counts, snapshot: Snapshot) {
    count(match store.save_snapshot(snapshot).await {
        Ok(SnapshotSaved::Saved) => &counts.saved,
        Ok(SnapshotSaved::Stale) => &counts.stale,
        Err(_) => &counts.failed,
    });
}

impl fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshots")
            .field("store", &self.store)
            .field("policy", &self.policy)
            .field("statistics", &self.statistics())
            .finish_non_exhaustive()
    }
}

/// What saves snapshots in the background: run it as a task.
#[derive(Debug)]
#[must_use = "snapshots wait until it runs"]
pub struct SnapshotWorker {
    store: Arc<dyn SnapshotStore>,
    waiting: mpsc::Receiver<Snapshot>,
    counts: Arc<Counts>,
}

impl SnapshotWorker {
    /// Saves what is waiting, one after the other, until the last of the [`Snapshots`] is dropped and nothing waits.
    pub async fn run(mut self) {
        while let Some(snapshot) = self.waiting.recv().await {
            save(&*self.store, &self.counts, snapshot).await;
        }
    }
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counts")
    }
}

/// The last event in a state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub(crate) version: Option<Version>,
    pub(crate) position: Position,
    pub(crate) event_id: EventId,
}

impl At {
    pub(crate) fn event(event: &RecordedEvent) -> Self {
        Self { version: event.version(), position: event.position(), event_id: event.id() }
    }
}

/// A state from a snapshot, and where to fold on.
pub(crate) struct Restored<T> {
    pub(crate) state: T,
    pub(crate) at: At,
    pub(crate) progress: Progress,
}

/// How a state is written down, and under which version of its shape.
pub(crate) struct StateCodec<T> {
    schema_version: u32,
    encode: fn(&T) -> Result<Payload>,
    decode: fn(&Payload) -> Result<T>,
}

impl<T: Serialize + DeserializeOwned> StateCodec<T> {
    pub(crate) fn new(schema_version: u32) -> Self {
        Self { schema_version, encode: Payload::from_serialize, decode: |payload| payload.deserialize() }
    }
}

impl<T> Clone for StateCodec<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for StateCodec<T> {}

/// The snapshots of one kind of state.
pub(crate) struct StateSnapshots<T> {
    pub(crate) snapshots: Snapshots,
    pub(crate) codec: StateCodec<T>,
}

impl<T> StateSnapshots<T> {
    pub(crate) async fn load(&self, key: SnapshotKey) -> Option<Restored<T>> {
        self.snapshots.load(key, &self.codec).await
    }

    pub(crate) fn used(&self) {
        count(&self.snapshots.counts.used);
    }

    /// Deletes one that the log does not bear out.
    pub(crate) async fn drop_ahead(&self, key: SnapshotKey) {
        self.snapshots.delete(&self.snapshots.key(key), &self.snapshots.counts.ahead).await;
    }

    /// Takes a snapshot if one is due. A state that serde can't write down is counted, and fails nothing.
    pub(crate) async fn consider(
        &self,
        key: impl FnOnce() -> Option<SnapshotKey>,
        at: At,
        state: &T,
        since: &mut Progress,
    ) {
        if !self.snapshots.policy.is_due(since, || self.snapshots.clock.now()) {
            return;
        }
        let Some(key) = key() else { return };
        match self.snapshots.take(key, &self.codec, at, state).await {
            Ok(progress) => *since = progress,
            Err(_) => count(&self.snapshots.counts.failed),
        }
    }
}

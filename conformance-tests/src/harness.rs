use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use eventsource_core::{
    Append, Appended, Capability, CheckpointStore, Clock, DeadLetters, Error, EventStore, Filter, Leases,
    LogIdentity, Outbox, Position, Result, Sink, SnapshotStore, TenantId, TenantStore,
};

use crate::beside::Beside;

/// What a backend brings to be tested: an empty log as often as it is asked for one.
#[async_trait]
pub trait Harness: Send + Sync + 'static {
    /// What failures call the backend, such as `sqlite`.
    fn name(&self) -> &'static str;

    /// Each capability that the store has not, with the reason. The suite compares it with what the store declares,
    /// and runs the capability's refusal in place of what needs it.
    fn lacks(&self) -> &'static [(Capability, &'static str)];

    /// An empty log of its own, and a store on it.
    ///
    /// # Errors
    /// Whatever stood in the way; the case has failed then.
    async fn fresh(&self, setup: Setup) -> Result<Fixture>;

    /// The view that `tenant` has of `store`: the core's, unless the backend has one of its own.
    fn tenant_store(&self, store: Arc<dyn EventStore>, tenant: TenantId) -> Arc<dyn EventStore> {
        Arc::new(TenantStore::new(store, tenant))
    }

    /// The tenant's own snapshots in `store`, which keeps snapshots beside `events`. As for
    /// [`tenant_store`](Self::tenant_store).
    fn tenant_snapshots(
        &self,
        events: Arc<dyn EventStore>,
        store: Arc<dyn SnapshotStore>,
        tenant: TenantId,
    ) -> Arc<dyn SnapshotStore> {
        Arc::new(TenantStore::new(Beside { events, snapshots: store }, tenant))
    }

    /// A store on the log at an [`address`](Log::address) that another process gave. For [`Capability::Shared`].
    ///
    /// # Errors
    /// `Unsupported` where stores are not shared.
    async fn attach(&self, _address: &str) -> Result<Stores> {
        Err(Error::unsupported(Capability::Shared))
    }

    /// The same with the view kept inline, as [`Setup::with_inline`] says, with every event. For [`Capability::Inline`].
    ///
    /// # Errors
    /// `Unsupported` where no view is kept inline; whatever opening a store with one fails with.
    async fn attach_inline(&self, _address: &str) -> Result<Stores> {
        Err(Error::unsupported(Capability::Inline))
    }
}

/// What a case wants of its store.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Setup {
    /// Where the store takes the time from; from wherever it does by default, if there is none.
    pub clock: Option<Arc<dyn Clock>>,
    /// How long the store waits at most for a log that somebody else holds; as long as by default, if there is none. A
    /// store that by default waits for [`PATIENCE`](Self::PATIENCE) at most need not look at it.
    pub patience: Option<Duration>,
    /// Which events the store puts into its outbox; none, if there is none. For [`Capability::Outbox`].
    pub outbox: Option<Filter>,
    /// Which events the [`View`] that is kept within the appends has, under the name [`INLINE`](Self::INLINE); there is none,
    /// if there is no filter. For [`Capability::Inline`].
    pub inline: Option<Filter>,
}

impl Setup {
    /// What the view that is kept inline is called.
    pub const INLINE: &str = "inline";
    /// How many events of others an append makes up for at most.
    pub const MOST_BEHIND: u64 = 20;

    /// How long at most an append of an [`impatient`](Self::impatient) store MUST wait for a log that somebody else
    /// holds, and how long at least it should: half of it.
    pub const PATIENCE: Duration = Duration::from_secs(6);

    /// Time comes from `clock`.
    #[must_use]
    pub fn with_clock(clock: impl Clock) -> Self {
        Self { clock: Some(Arc::new(clock)), ..Self::default() }
    }

    /// The store puts the events that match into its outbox.
    #[must_use]
    pub fn with_outbox(filter: Filter) -> Self {
        Self { outbox: Some(filter), ..Self::default() }
    }

    /// The store keeps the view, with the events that match, within its appends, and makes up for
    /// [`MOST_BEHIND`](Self::MOST_BEHIND) events of others at most.
    #[must_use]
    pub fn with_inline(filter: Filter) -> Self {
        Self { inline: Some(filter), ..Self::default() }
    }

    /// The store waits for [`PATIENCE`](Self::PATIENCE) at most.
    #[must_use]
    pub fn impatient() -> Self {
        Self { patience: Some(Self::PATIENCE), ..Self::default() }
    }
}

/// A store and where its log lies.
pub struct Fixture {
    /// The store under test, and what it stores beside the log.
    pub stores: Stores,
    /// Its log.
    pub log: Arc<dyn Log>,
}

impl Fixture {
    /// A store whose log nothing else can reach.
    pub fn new(stores: impl Into<Stores>) -> Self {
        Self::on(Unreachable, stores)
    }

    /// A store on `log`.
    pub fn on(log: impl Log, stores: impl Into<Stores>) -> Self {
        Self { stores: stores.into(), log: Arc::new(log) }
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture").field("stores", &self.stores).finish_non_exhaustive()
    }
}

/// A store of events, and what it stores beside them: one trait object for each capability of that kind.
#[derive(Clone, Debug)]
pub struct Stores {
    /// The store of events.
    pub events: Arc<dyn EventStore>,
    /// Where it keeps snapshots. For [`Capability::Snapshots`].
    pub snapshots: Option<Arc<dyn SnapshotStore>>,
    /// Its outbox. For [`Capability::Outbox`].
    pub outbox: Option<Arc<dyn Outbox>>,
    /// What consumers keep: for [`Capability::Checkpoints`], and which log it is.
    pub identity: Option<Arc<dyn LogIdentity>>,
    /// For [`Capability::Checkpoints`].
    pub checkpoints: Option<Arc<dyn CheckpointStore>>,
    /// For [`Capability::DeadLetters`].
    pub dead_letters: Option<Arc<dyn DeadLetters>>,
    /// For [`Capability::Leases`].
    pub leases: Option<Arc<dyn Leases>>,
    /// A view in the log's own database, for [`Capability::Transactional`].
    pub view: Option<Arc<dyn View>>,
}

impl Stores {
    /// Keeps snapshots here.
    #[must_use]
    pub fn with_snapshots(mut self, snapshots: Arc<dyn SnapshotStore>) -> Self {
        self.snapshots = Some(snapshots);
        self
    }

    /// Adds the store's outbox.
    #[must_use]
    pub fn with_outbox(mut self, outbox: Arc<dyn Outbox>) -> Self {
        self.outbox = Some(outbox);
        self
    }

    /// With what consumers keep, all of it in one store.
    #[must_use]
    pub fn with_consumers<S>(self, store: Arc<S>) -> Self
    where
        S: LogIdentity + CheckpointStore + DeadLetters + Leases + 'static,
    {
        Self {
            identity: Some(store.clone()),
            checkpoints: Some(store.clone()),
            dead_letters: Some(store.clone()),
            leases: Some(store),
            ..self
        }
    }

    /// With a view that is kept in the log's own database.
    #[must_use]
    pub fn with_view(self, view: impl View + 'static) -> Self {
        Self { view: Some(Arc::new(view)), ..self }
    }
}

impl<S: EventStore + 'static> From<Arc<S>> for Stores {
    /// A store of events and of nothing else.
    fn from(events: Arc<S>) -> Self {
        Self {
            events,
            snapshots: None,
            outbox: None,
            identity: None,
            checkpoints: None,
            dead_letters: None,
            leases: None,
            view: None,
        }
    }
}

/// Where a fixture's log lies, for what the store itself does not show. Dropping it removes the log.
///
/// A backend writes the methods that belong to its capabilities; the others refuse.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// One more store on this log, whether or not others are open. For [`Capability::Durable`].
    ///
    /// # Errors
    /// `Unsupported` where a log is gone with its store.
    async fn open(&self) -> Result<Stores> {
        Err(Error::unsupported(Capability::Durable))
    }

    /// Makes the stored event at `position` undecodable. For [`Capability::Durable`].
    ///
    /// # Errors
    /// `Unsupported` where there is nothing to damage.
    async fn damage(&self, _position: Position) -> Result<()> {
        Err(Error::unsupported(Capability::Durable))
    }

    /// What [`Harness::attach`] finds this log by, in another process. For [`Capability::Shared`].
    fn address(&self) -> Option<String> {
        None
    }

    /// Begins a transaction of the caller's own on a connection of its own, inserts a row into a table of the
    /// caller's own, appends in the same transaction, and leaves it open. A refused append is rolled back with its
    /// row. For [`Capability::Transactional`].
    ///
    /// # Errors
    /// As for [`EventStore::append`], and `Unsupported` where there are no transactions.
    async fn hold(&self, _append: Append) -> Result<Box<dyn Held>> {
        Err(Error::unsupported(Capability::Transactional))
    }

    /// How many rows the caller's own table has. For [`Capability::Transactional`].
    ///
    /// # Errors
    /// `Unsupported` where there are no transactions.
    async fn own_rows(&self) -> Result<u64> {
        Err(Error::unsupported(Capability::Transactional))
    }

    /// Removes the log after the case. What dropping does need not be done here.
    ///
    /// # Errors
    /// Whatever stood in the way; the case has failed then.
    async fn remove(&self) -> Result<()> {
        Ok(())
    }
}

/// A transaction that is open, with an append in it. Dropping it rolls back.
#[async_trait]
pub trait Held: Send {
    /// What the append came to, if the transaction commits.
    fn appended(&self) -> &Appended;

    /// Commits.
    ///
    /// # Errors
    /// `Backend`, `OutcomeUnknown`.
    async fn commit(self: Box<Self>) -> Result<()>;

    /// Rolls back.
    ///
    /// # Errors
    /// `Backend`.
    async fn roll_back(self: Box<Self>) -> Result<()>;
}

/// A view that says what was applied to it, through a [`Sink`] that records checkpoints in the same transaction.
///
/// Applying an event adds its position to the list, whether or not it is there already; an event of type `Poison` is added
/// and then fails, on one of type `Panic` the handler panics, and on one of type `Commit` it commits the transaction that it
/// is given, as if that were right. While rebuilding, another list is written, which takes the place of the first when it is
/// switched.
#[async_trait]
pub trait View: fmt::Debug + Sink {
    /// The positions in the order in which they were added.
    ///
    /// # Errors
    /// `Backend`.
    async fn applied(&self) -> Result<Vec<Position>>;
}

struct Unreachable;

impl Log for Unreachable {}

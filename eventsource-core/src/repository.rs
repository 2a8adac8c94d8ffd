use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::event_ids::Ids;
use crate::reading::Reading;
use crate::retry::append_for_certain;
use crate::snapshots::{At, Restored, StateCodec, StateSnapshots};
use crate::{
    Aggregate, AggregateRoot, Append, Decoder, EventIds, EventStore, EventStoreExt, ExecuteError, Filter,
    Participant, PlainDecoder, ReadOptions, RecordedEvent, Result, RetryPolicy, SnapshotKey, Snapshots,
    StreamId, Version,
};

/// Loads aggregates from a store and saves what they decide.
///
/// ```
/// use eventsource_core::{Aggregate, DomainEvent, EventStore, Repository};
/// use serde::{Deserialize, Serialize};
/// use uuid::Uuid;
///
/// #[derive(Serialize, Deserialize)]
/// #[serde(tag = "type", content = "data")]
/// enum AccountEvent {
///     Deposited { cents: u64 },
///     Withdrawn { cents: u64 },
/// }
/// impl DomainEvent for AccountEvent {}
///
/// enum AccountCommand {
///     Deposit(u64),
///     Withdraw(u64),
/// }
///
/// #[derive(Debug)]
/// struct Overdrawn;
/// impl std::fmt::Display for Overdrawn {
///     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
///         f.write_str("the balance is too low")
///     }
/// }
/// impl std::error::Error for Overdrawn {}
///
/// #[derive(Default)]
/// struct Account {
///     cents: u64,
/// }
///
/// impl Aggregate for Account {
///     const TYPE: &'static str = "Account";
///     type Command = AccountCommand;
///     type Event = AccountEvent;
///     type Rejection = Overdrawn;
///
///     fn decide(&self, command: &AccountCommand) -> Result<Vec<AccountEvent>, Overdrawn> {
///         match *command {
///             AccountCommand::Deposit(cents) => Ok(vec![AccountEvent::Deposited { cents }]),
///             AccountCommand::Withdraw(cents) if cents <= self.cents => Ok(vec![AccountEvent::Withdrawn { cents }]),
///             AccountCommand::Withdraw(_) => Err(Overdrawn),
///         }
///     }
///
///     fn apply(&mut self, event: &AccountEvent) {
///         match event {
///             AccountEvent::Deposited { cents } => self.cents += cents,
///             AccountEvent::Withdrawn { cents } => self.cents -= cents,
///         }
///     }
/// }
///
/// async fn salary<S: EventStore>(store: S, account: Uuid) -> Result<u64, Box<dyn std::error::Error>> {
///     let accounts = Repository::<Account, S>::new(store);
///     let account = accounts.execute(account, &AccountCommand::Deposit(250_000)).await?;
///     Ok(account.state().cents)
/// }
/// ```
pub struct Repository<A: Aggregate, S> {
    store: S,
    retry: RetryPolicy,
    ids: Ids,
    snapshots: Option<StateSnapshots<A>>,
    decoder: Arc<dyn Decoder<A::Event>>,
    aggregate: PhantomData<fn() -> A>,
}

impl<A: Aggregate, S: EventStore> Repository<A, S> {
    /// A repository over a store; an `Arc<dyn EventStore>` will do.
    #[must_use]
    pub fn new(store: S) -> Self {
        let (retry, decoder) = (RetryPolicy::default(), Arc::new(PlainDecoder));
        Self { store, retry, ids: Ids::default(), snapshots: None, decoder, aggregate: PhantomData }
    }

    /// How stored events are read: with an [`EventRegistry`](crate::EventRegistry)'s decoder, those of older names and
    /// schemas as well.
    #[must_use]
    pub fn decoder(mut self, decoder: impl Decoder<A::Event> + 'static) -> Self {
        self.decoder = Arc::new(decoder);
        self
    }

    /// How [`execute`](Self::execute) tries again when others were faster, or when the store's answer was lost.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Gives events their ids, in place of those that [`DomainEvent::encode`](crate::DomainEvent::encode) gave them: fresh
    /// ones, unless it is written otherwise.
    #[must_use]
    pub fn ids(mut self, ids: impl EventIds) -> Self {
        self.ids = Ids::of(ids);
        self
    }

    /// Keeps snapshots, so that loading folds only what came since. Raise `schema_version` whenever the state's own
    /// shape, or what [`Aggregate::apply`] makes of the events, changes: older snapshots are not read then.
    #[must_use]
    pub fn snapshots(mut self, snapshots: Snapshots, schema_version: u32) -> Self
    where
        A: Serialize + DeserializeOwned,
    {
        self.snapshots = Some(StateSnapshots { snapshots, codec: StateCodec::new(schema_version) });
        self
    }

    /// A new aggregate, which exists once it is saved.
    ///
    /// # Errors
    /// `InvalidInput` if the id is the nil UUID, or [`Aggregate::TYPE`] no aggregate type.
    pub fn create(&self, id: Uuid) -> Result<AggregateRoot<A>> {
        AggregateRoot::new(id)
    }

    /// The aggregate with this id; none if it has no event. Its events are read page by page.
    ///
    /// # Errors
    /// As for [`EventStore::read_page`]; `Corrupt` if an event can't be decoded.
    pub async fn load(&self, id: Uuid) -> Result<Option<AggregateRoot<A>>> {
        let root = self.load_or_create(id).await?;
        Ok(root.version().is_some().then_some(root))
    }

    /// The aggregate with this id, new if it has no event.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub async fn load_or_create(&self, id: Uuid) -> Result<AggregateRoot<A>> {
        let mut root = self.fold(id, None).await?;
        self.consider_snapshot(&mut root).await;
        Ok(root)
    }

    /// The aggregate as it was at this version; none if it never came to it. Saving it conflicts if it went on.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub async fn load_at(&self, id: Uuid, version: Version) -> Result<Option<AggregateRoot<A>>> {
        let root = self.fold(id, Some(version)).await?;
        Ok((root.version() == Some(version)).then_some(root))
    }

    /// The aggregate as the store knew it at this time: its events up to the first one that was recorded later. None
    /// if it had no event. Saving it conflicts if it went on.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub async fn load_as_of(&self, id: Uuid, time: DateTime<Utc>) -> Result<Option<AggregateRoot<A>>> {
        let mut root = AggregateRoot::new(id)?;
        self.fold_into(&mut root, ReadOptions::new(), |event| event.recorded_at() <= time).await?;
        Ok(root.version().is_some().then_some(root))
    }

    /// Whether the aggregate has an event.
    ///
    /// # Errors
    /// As for [`EventStore::stream_version`].
    pub async fn exists(&self, id: Uuid) -> Result<bool> {
        self.store.exists(&StreamId::new(A::TYPE, id)?).await
    }

    /// The version of the aggregate's newest event; none if it has no event.
    ///
    /// # Errors
    /// As for [`EventStore::stream_version`].
    pub async fn version(&self, id: Uuid) -> Result<Option<Version>> {
        self.store.stream_version(&StreamId::new(A::TYPE, id)?).await
    }

    /// Appends what was decided, and returns the version that the aggregate has since. Saving again after an error
    /// that is retryable stores nothing twice.
    ///
    /// # Errors
    /// As for [`EventStore::append`]: a conflict if somebody else was faster.
    pub async fn save(&self, root: &mut AggregateRoot<A>) -> Result<Option<Version>> {
        self.save_with(root, &RetryPolicy::never()).await?;
        self.consider_snapshot(root).await;
        Ok(root.version())
    }

    /// Loads, decides and saves; decides anew from the newest state if others were faster, as the
    /// [`RetryPolicy`] says. What was decided is saved again, as often, while the store's answer is lost.
    ///
    /// # Errors
    /// [`ExecuteError::Rejected`] with the aggregate's own rejection; [`ExecuteError::Store`] as for
    /// [`load`](Self::load) and [`save`](Self::save). With `OutcomeUnknown` the command may have been carried out:
    /// executing it again would be another command.
    pub async fn execute(
        &self,
        id: Uuid,
        command: &A::Command,
    ) -> Result<AggregateRoot<A>, ExecuteError<A::Rejection>> {
        let mut pauses = self.retry.pauses_between();
        loop {
            let mut root = self.fold(id, None).await?;
            if let Err(rejection) = root.execute(command) {
                self.consider_snapshot(&mut root).await;
                return Err(ExecuteError::Rejected(rejection));
            }
            match self.save_with(&mut root, &self.retry).await {
                Ok(()) => {
                    self.consider_snapshot(&mut root).await;
                    return Ok(root);
                }
                Err(error) if error.is_conflict() && pauses.pause().await => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The aggregate with this id, to take part in a [`UnitOfWork`](crate::UnitOfWork).
    #[must_use]
    pub fn participant(&self, id: Uuid) -> Participant<'_, A, S> {
        Participant { repository: self, id }
    }

    async fn save_with(&self, root: &mut AggregateRoot<A>, retry: &RetryPolicy) -> Result<()> {
        if root.has_pending() {
            root.encode(&self.ids)?;
            let appended = append_for_certain(&self.store, || root.add_to(Append::none()), retry).await?;
            root.saved(&appended);
        }
        Ok(())
    }

    /// The state, up to a version if one is given: from a snapshot, if there is one that fits, else from the first event.
    pub(crate) async fn fold(&self, id: Uuid, until: Option<Version>) -> Result<AggregateRoot<A>> {
        let mut root = AggregateRoot::new(id)?;
        let options =
            until.map_or_else(ReadOptions::new, |version| ReadOptions::new().until_version(version));
        if let Some(snapshots) = &self.snapshots {
            let key = SnapshotKey::stream(root.stream().clone());
            let restored = snapshots.load(key.clone()).await;
            // One that was taken later is of no use, and nothing is wrong with it.
            let fits = |restored: &Restored<A>| until.is_none_or(|until| restored.at.version <= Some(until));
            if let Some(restored) = restored.filter(fits) {
                root.restore(restored);
                if self.fold_on(&mut root, options.clone()).await? {
                    snapshots.used();
                    return Ok(root);
                }
                snapshots.drop_ahead(key).await;
                root = AggregateRoot::new(id)?;
            }
        }
        self.fold_into(&mut root, options, |_| true).await?;
        Ok(root)
    }

    /// Folds what came since a snapshot. False if the log has not the event that the snapshot was taken at.
    async fn fold_on(&self, root: &mut AggregateRoot<A>, options: ReadOptions) -> Result<bool> {
        let Some(At { version: Some(version), event_id, .. }) = root.at() else { return Ok(false) };
        let mut is_borne_out = None;
        // From the snapshot's own event on: if it lies elsewhere, or nowhere, the log is not the one it was taken of.
        self.fold_into(root, options.from_version(version), |event| {
            *is_borne_out.get_or_insert_with(|| (event.version(), event.id()) == (Some(version), event_id))
        })
        .await?;
        Ok(is_borne_out == Some(true))
    }

    /// Folds the stream page by page, as long as the events are wanted. What is in the state already is passed over.
    async fn fold_into(
        &self,
        root: &mut AggregateRoot<A>,
        options: ReadOptions,
        mut wanted: impl FnMut(&RecordedEvent) -> bool,
    ) -> Result<()> {
        let mut reading = Reading::new(Filter::all().in_stream(root.stream().clone()), options);
        loop {
            let page = reading.next_page(&self.store).await?;
            for event in &page.events {
                if !wanted(event) {
                    return Ok(());
                }
                if event.version() > root.version() {
                    root.replay(event, &*self.decoder)?;
                }
            }
            if !page.more {
                return Ok(());
            }
        }
    }

    pub(crate) async fn consider_snapshot(&self, root: &mut AggregateRoot<A>) {
        let Some(snapshots) = &self.snapshots else { return };
        if root.has_pending() {
            return;
        }
        let (Some(at), stream) = (root.at(), root.stream().clone()) else { return };
        let (state, progress) = root.state_and_progress();
        snapshots.consider(|| Some(SnapshotKey::stream(stream)), at, state, progress).await;
    }
}

impl<A: Aggregate, S: fmt::Debug> fmt::Debug for Repository<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository").field("store", &self.store).finish_non_exhaustive()
    }
}

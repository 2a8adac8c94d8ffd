use std::fmt;
use std::marker::PhantomData;

use futures_util::TryStreamExt;
use uuid::Uuid;

use crate::{
    Aggregate, AggregateRoot, DomainEvent, Error, ErrorKind, EventStore, EventStoreExt, ExpectedVersion,
    NewEvent, Result, StreamId, Version,
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
pub struct Repository<A, S> {
    store: S,
    aggregate: PhantomData<fn() -> A>,
}

impl<A: Aggregate, S: EventStore> Repository<A, S> {
    /// How often [`execute`](Self::execute) decides anew when others were faster.
    const ATTEMPTS: usize = 10;

    /// A repository over a store; an `Arc<dyn EventStore>` will do.
    #[must_use]
    pub fn new(store: S) -> Self {
        Self { store, aggregate: PhantomData }
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
        let mut root = self.create(id)?;
        let stream = root.stream().clone();
        let mut events = self.store.read_stream(&stream);
        while let Some(recorded) = events.try_next().await? {
            root.replay(&A::Event::decode(&recorded)?, recorded.version());
        }
        Ok(root)
    }

    /// Whether the aggregate has an event.
    ///
    /// # Errors
    /// As for [`EventStore::stream_version`].
    pub async fn exists(&self, id: Uuid) -> Result<bool> {
        self.store.exists(&StreamId::new(A::TYPE, id)?).await
    }

    /// Appends what was decided, and returns the version that the aggregate has since. Saving again after an error
    /// that is retryable stores nothing twice.
    ///
    /// # Errors
    /// As for [`EventStore::append`]: a conflict if somebody else was faster.
    pub async fn save(&self, root: &mut AggregateRoot<A>) -> Result<Option<Version>> {
        if root.pending_with_ids().is_empty() {
            return Ok(root.version());
        }
        let events: Vec<NewEvent> = root
            .pending_with_ids()
            .iter()
            .map(|(id, event)| Ok(event.encode()?.id(*id)))
            .collect::<Result<_>>()?;
        let expected = ExpectedVersion::from(root.version());
        let appended = self.store.append_to_stream(root.stream().clone(), expected, events).await?;
        root.saved(appended.version_of(root.stream()));
        Ok(root.version())
    }

    /// Loads, decides and saves; decides anew from the newest state if others were faster, up to ten times. What was
    /// decided is saved again, up to ten times, while the store's answer is lost.
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
        let mut attempt = 1;
        loop {
            let mut root = self.load_or_create(id).await?;
            root.execute(command).map_err(ExecuteError::Rejected)?;
            match self.save_for_certain(&mut root).await {
                Ok(()) => return Ok(root),
                Err(error) if error.is_conflict() && attempt < Self::ATTEMPTS => attempt += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Saves until the store's answer arrives. Deciding anew after a lost one could carry out a command twice.
    async fn save_for_certain(&self, root: &mut AggregateRoot<A>) -> Result<()> {
        let mut lost = None;
        for _ in 0..Self::ATTEMPTS {
            let Err(error) = self.save(root).await else { return Ok(()) };
            // Event ids are judged first, so a conflict also says that the append whose answer was lost wrote nothing.
            if error.is_conflict() || (lost.is_none() && error.kind() != ErrorKind::OutcomeUnknown) {
                return Err(error);
            }
            // Whatever became of this attempt says nothing of the one whose answer was lost.
            let is_retryable = error.is_retryable();
            lost.get_or_insert(error);
            if !is_retryable {
                break;
            }
        }
        lost.map_or(Ok(()), Err)
    }
}

impl<A, S: fmt::Debug> fmt::Debug for Repository<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Why a command was not carried out.
#[derive(Debug)]
pub enum ExecuteError<R> {
    /// The domain said no.
    Rejected(R),
    /// The store did.
    Store(Error),
}

impl<R> From<Error> for ExecuteError<R> {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl<R: fmt::Display> fmt::Display for ExecuteError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl<R: std::error::Error> std::error::Error for ExecuteError<R> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Rejected(rejection) => rejection.source(),
            Self::Store(error) => error.source(),
        }
    }
}

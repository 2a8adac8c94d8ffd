mod own_streams;
mod snapshots;

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    Append, AppendCondition, Appended, Capabilities, Capability, Changes, Conflict, Error, EventStore,
    ExpectedVersion, Filter, Page, Position, ReadOptions, Result, StreamId, TenantId, Version,
};
use own_streams::OwnStreams;

/// One tenant's view of a store that several tenants share: it sees and touches that tenant's events and no others.
///
/// What is appended is stamped with the tenant; what is read, and every condition, is narrowed to it. An event or a
/// filter that names another tenant is refused as `InvalidInput`.
///
/// **A stream belongs to the tenant of its first event.** To the others it is as if it did not exist: it has no
/// version and no events. Only appending to it is refused, as `InvalidInput`, because a stream's id can be taken once.
/// That holds under concurrency: of two tenants who create one stream at once, one does. The check is part of the
/// append, not a look before it.
///
/// ```
/// use eventsource_core::{EventStore, EventStoreExt, Filter, NewEvent, Result, TenantId, TenantStore};
///
/// async fn rename(store: impl EventStore, tenant: TenantId) -> Result<usize> {
///     let mine = TenantStore::new(store, tenant);
///     mine.append_events(vec![NewEvent::new("CompanyRenamed", "Acme")?]).await?;
///     // Nobody else's, whoever shares the store:
///     Ok(mine.query(&Filter::all()).await?.events.len())
/// }
/// ```
///
/// Over a store that keeps snapshots, it keeps the tenant's: it is a [`SnapshotStore`](crate::SnapshotStore).
///
/// # What a tenant can learn of others
/// - That they are there: positions and the head are the whole log's, so they tell how much all tenants write
///   together; [`changes`](EventStore::changes) wakes for everybody's appends.
/// - That a stream id or an event id is taken, if it guesses one: that it is, and nothing else.
///
/// No refusal names a version, a position or an event type of another tenant.
///
/// # Who writes past it
/// A tenant's view trusts that whoever appends to the store does so through a view: an event of one tenant that was
/// put into another's stream without one lies there, and each sees its own. Whoever deletes a whole stream and lets
/// another tenant have its id should open new views: a view remembers which streams are its own.
///
/// # In a transaction of yours
/// [`prepare`](Self::prepare) makes an append the tenant's before a backend's `append_in` has it.
///
/// [`close`](EventStore::close) closes the store, for all tenants. A view needs no closing.
#[derive(Clone, Debug)]
pub struct TenantStore<S> {
    store: S,
    tenant: TenantId,
    own: Arc<OwnStreams>,
}

impl<S> TenantStore<S> {
    /// How many streams a view remembers to be its own, about; whose another one is, it looks up.
    const REMEMBERED: usize = 8_192;

    /// The view that `tenant` has of `store`.
    #[must_use]
    pub fn new(store: S, tenant: TenantId) -> Self {
        Self { store, tenant, own: Arc::new(OwnStreams::new(Self::REMEMBERED)) }
    }

    /// Whose view it is.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    fn scoped(&self, mut append: Append) -> Result<Append> {
        append.each_event_mut().try_for_each(|event| event.metadata_mut().stamp(self.tenant))?;
        for condition in append.conditions_mut() {
            let filter = std::mem::replace(condition.filter_mut(), Filter::all());
            *condition.filter_mut() = filter.scoped_to(self.tenant)?;
        }
        Ok(append)
    }
}

/// Whose a stream is. The first two never change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    This,
    Another,
    Nobody,
}

impl<S: EventStore> TenantStore<S> {
    async fn owner(&self, stream: &StreamId) -> Result<Owner> {
        if self.own.contains(stream) {
            return Ok(Owner::This);
        }
        let filter = Filter::all().in_stream(stream.clone());
        let page = self.store.read_page(&filter, &ReadOptions::new().limit(1)).await?;
        Ok(match page.events.first() {
            None => Owner::Nobody,
            Some(first) if first.metadata().tenant_id() == Some(self.tenant) => {
                self.own.insert(stream);
                Owner::This
            }
            Some(_) => Owner::Another,
        })
    }

    /// The append as this view makes it, for a backend's `append_in`: stamped, its conditions narrowed, and its streams the
    /// tenant's own or nobody's. Give what `append_in` then fails with to [`refusal`](Self::refusal).
    ///
    /// A stream that does not exist yet is guarded from here on: if anybody creates it before the transaction has the
    /// log's lock, that is a conflict, and the whole is to be done again. It looks at the store, on a connection of the store's:
    /// call it before the transaction begins.
    ///
    /// ```
    /// use eventsource_core::{Append, Appended, EventStore, Result, TenantStore};
    ///
    /// // `append_in` begins the transaction, changes tables of its own, calls the store's `append_in`, and commits.
    /// async fn place<S: EventStore>(
    ///     mine: &TenantStore<S>,
    ///     append: Append,
    ///     append_in: impl AsyncFnOnce(Append) -> Result<Appended>,
    /// ) -> Result<Appended> {
    ///     let append = mine.prepare(append).await?;
    ///     match append_in(append).await {
    ///         Ok(appended) => Ok(appended),
    ///         Err(error) => Err(mine.refusal(error).await),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` as for [`append`](EventStore::append); a conflict if a stream is expected to exist and does not.
    pub async fn prepare(&self, append: Append) -> Result<Append> {
        let mut append = self.scoped(append)?;
        append.validate()?;
        for stream in self.absent_streams(&append).await? {
            match append.expected_mut(&stream) {
                Some(expected) if *expected == ExpectedVersion::Any => *expected = ExpectedVersion::NoStream,
                Some(expected) => {
                    let expected = *expected;
                    return Err(Conflict::StreamVersion { stream, expected, actual: None }.into());
                }
                None => {}
            }
        }
        Ok(append)
    }

    /// The append's streams that are to exist, or may, and don't: each may be another tenant's a moment later.
    async fn absent_streams(&self, append: &Append) -> Result<Vec<StreamId>> {
        let mut absent = Vec::new();
        for part in append.parts() {
            let Some(stream) = part.stream() else { continue };
            // Whoever takes a new stream only, takes no other's.
            if part.expected() == ExpectedVersion::NoStream {
                continue;
            }
            match self.owner(stream).await? {
                Owner::This => {}
                Owner::Another => return Err(belongs_to_another(stream)),
                Owner::Nobody => absent.push(stream.clone()),
            }
        }
        Ok(absent)
    }

    fn remember(&self, appended: &Appended, append_streams: &[StreamId]) {
        // A repeated append says nothing of how its streams began.
        if !appended.replayed {
            append_streams.iter().for_each(|stream| self.own.insert(stream));
        }
    }

    /// What the tenant may know of a refusal of what [`prepare`](Self::prepare) made: nothing of other tenants. If the store
    /// can't tell whose a stream is, that is the error.
    pub async fn refusal(&self, error: Error) -> Error {
        match self.disclosed(&error).await {
            Ok(None) => error,
            Ok(Some(instead)) | Err(instead) => instead,
        }
    }

    /// What to say in place of this error, if it says too much.
    async fn disclosed(&self, error: &Error) -> Result<Option<Error>> {
        if let Some(refusal) = error.view_refusal().filter(|refusal| !refusal.is_of_the_append()) {
            // What the view's handler says, it says of an event that may be another tenant's.
            return Ok(Some(refusal.clone().into()));
        }
        match error.conflict() {
            Some(Conflict::StreamVersion { stream, .. }) => match self.owner(stream).await? {
                Owner::This | Owner::Nobody => Ok(None),
                Owner::Another => Ok(Some(belongs_to_another(stream))),
            },
            Some(Conflict::DuplicateEvent { event_id, position }) => {
                let there = ReadOptions::new().after(position.just_before()).until(*position).limit(1);
                let found = self.store.read_page(&Filter::all().in_tenant(self.tenant), &there).await?;
                let is_anothers = found.events.is_empty();
                Ok(is_anothers.then(|| Error::invalid_input(format!("event id {event_id} is taken"))))
            }
            // Conditions are narrowed to the tenant, so what they name is its own.
            _ => Ok(None),
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: EventStore> EventStore for TenantStore<S> {
    async fn append(&self, append: Append) -> Result<Appended> {
        let append = self.scoped(append)?;
        append.validate()?;
        let streams: Vec<StreamId> =
            append.parts().iter().filter_map(|part| part.stream()).cloned().collect();
        // Every round but the last learns whose another of the streams is.
        for _ in 0..=streams.len() {
            let absent = self.absent_streams(&append).await?;
            if absent.is_empty() {
                return match self.store.append(append).await {
                    Ok(appended) => {
                        self.remember(&appended, &streams);
                        Ok(appended)
                    }
                    Err(error) => Err(self.refusal(error).await),
                };
            }
            match self.store.append(only_if_absent(append.clone(), &absent)).await {
                Ok(appended) => {
                    self.remember(&appended, &streams);
                    return Ok(appended);
                }
                Err(error) if one_was_created(&error, &append, &absent) => {}
                Err(error) => return Err(self.refusal(error).await),
            }
        }
        Err(Error::unavailable("the append's streams come and go"))
    }

    async fn read_page(&self, filter: &Filter, options: &ReadOptions) -> Result<Page> {
        let filter = filter.clone().scoped_to(self.tenant)?;
        let page = self.store.read_page(&filter, options).await?;
        if let (Some(stream), Some(first)) = (filter.scope().stream(), page.events.first())
            && first.version() == Some(Version::FIRST)
        {
            self.own.insert(stream);
        }
        Ok(page)
    }

    /// The head of the whole log: a number that tells how much all tenants write together.
    async fn head(&self) -> Result<Position> {
        self.store.head().await
    }

    async fn stream_version(&self, stream: &StreamId) -> Result<Option<Version>> {
        match self.owner(stream).await? {
            Owner::This => self.store.stream_version(stream).await,
            Owner::Another | Owner::Nobody => Ok(None),
        }
    }

    fn changes(&self) -> Changes {
        self.store.changes()
    }

    /// Those of the store that hold through a view. A transaction of a caller's is joined by what
    /// [`prepare`](TenantStore::prepare) makes, not through the view itself.
    fn capabilities(&self) -> Capabilities {
        let of_the_store = self.store.capabilities();
        [Capability::Durable, Capability::Shared, Capability::Snapshots]
            .into_iter()
            .filter(|capability| of_the_store.has(*capability))
            .fold(Capabilities::none(), Capabilities::with)
    }

    /// Closes the store, for all tenants.
    async fn close(&self) -> Result<()> {
        self.store.close().await
    }
}

/// The same append, which comes to the same as long as these streams are absent, and is refused if one of them is not.
fn only_if_absent(mut append: Append, absent: &[StreamId]) -> Append {
    for stream in absent {
        match append.expected_mut(stream) {
            Some(expected) if *expected == ExpectedVersion::Any => *expected = ExpectedVersion::NoStream,
            // It expects the stream to exist, so it is refused if the stream is absent; and also if it is not, in place
            // of the conditions, which nobody would come to then.
            _ => {
                let exists = AppendCondition::new(Filter::all().in_stream(stream.clone()));
                *append.conditions_mut() = vec![exists];
            }
        }
    }
    append
}

/// Whether what [`only_if_absent`] made of `append` was refused because one of the streams is no longer absent.
fn one_was_created(error: &Error, append: &Append, absent: &[StreamId]) -> bool {
    match error.conflict() {
        Some(Conflict::StreamVersion { stream, actual, .. }) => actual.is_some() && absent.contains(stream),
        // Where a stream that does not exist is expected to, the conditions are not the append's own.
        Some(Conflict::Condition { .. }) => append.parts().iter().any(|part| {
            part.expected() != ExpectedVersion::Any
                && part.stream().is_some_and(|stream| absent.contains(stream))
        }),
        _ => false,
    }
}

fn belongs_to_another(stream: &StreamId) -> Error {
    Error::invalid_input(format!("stream {stream} belongs to another tenant"))
}

use std::fmt;
use std::future::Future;

use uuid::Uuid;

use crate::event_ids::Ids;
use crate::retry::append_for_certain;
use crate::{
    Aggregate, AggregateRoot, Append, Appended, EventIds, EventStore, ExecuteError, Repository, Result,
    RetryPolicy,
};

/// Several aggregates in one command: what is decided for all of them is one append, guarded by the versions of all.
///
/// An aggregate that takes part and decides nothing is guarded as well: if it has changed since it was loaded, that is
/// a conflict.
///
/// ```
/// # use eventsource_core::{Aggregate, AggregateRoot, EventStore, Repository, UnitOfWork};
/// # use uuid::Uuid;
/// # type Failure = Box<dyn std::error::Error + Send + Sync>;
/// async fn order<O: Aggregate, I: Aggregate, S: EventStore>(
///     store: S,
///     (orders, items): (&Repository<O, S>, &Repository<I, S>),
///     (order, place): (Uuid, O::Command),
///     (item, take): (Uuid, I::Command),
/// ) -> Result<(), Failure> {
///     let work = UnitOfWork::new(store);
///     work.execute((orders.participant(order), items.participant(item)), |(order, item)| {
///         order.execute(&place)?;
///         item.execute(&take)?;
///         Ok::<_, Failure>(())
///     })
///     .await
///     .map_err(|error| error.to_string())?;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct UnitOfWork<S> {
    store: S,
    retry: RetryPolicy,
    ids: Ids,
}

impl<S: EventStore> UnitOfWork<S> {
    /// Appends to this store, which must be the one that the aggregates are loaded from.
    #[must_use]
    pub fn new(store: S) -> Self {
        Self { store, retry: RetryPolicy::default(), ids: Ids::default() }
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

    /// Saves what is pending in all of them, or nothing; none if nothing is pending in any. Saving again after an error
    /// that is retryable stores nothing twice.
    ///
    /// Give it a tuple of up to eight `&mut AggregateRoot`, or a `Vec` of them.
    ///
    /// # Errors
    /// As for [`EventStore::append`]: a conflict if one of them has changed since it was loaded. `InvalidInput` if one
    /// stands in it twice.
    pub async fn save(&self, mut roots: impl Roots) -> Result<Option<Appended>> {
        self.save_with(&mut roots, &RetryPolicy::never()).await
    }

    /// Loads all, lets `command` decide, and saves all; loads and decides anew if others were faster, as the
    /// [`RetryPolicy`] says. What was decided is saved again, as often, while the store's answer is lost.
    ///
    /// Give it a tuple of up to eight [participants](Repository::participant), or a `Vec` of them.
    ///
    /// # Errors
    /// [`ExecuteError::Rejected`] with what `command` returned; [`ExecuteError::Store`] as for
    /// [`Repository::execute`].
    pub async fn execute<P: Participants, R>(
        &self,
        participants: P,
        command: impl Fn(&mut P::Roots) -> Result<(), R>,
    ) -> Result<P::Roots, ExecuteError<R>> {
        let mut pauses = self.retry.pauses_between();
        loop {
            let mut roots = participants.load().await?;
            command(&mut roots).map_err(ExecuteError::Rejected)?;
            let saved = self.save_with(&mut P::all(&mut roots), &self.retry).await;
            match saved {
                Ok(_) => {
                    participants.consider_snapshots(&mut roots).await;
                    return Ok(roots);
                }
                Err(error) if error.is_conflict() && pauses.pause().await => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn save_with(&self, roots: &mut impl Roots, retry: &RetryPolicy) -> Result<Option<Appended>> {
        roots.encode(&self.ids)?;
        let append = roots.add_to(Append::none());
        if append.parts().is_empty() {
            return Ok(None);
        }
        let appended = append_for_certain(&self.store, || append.clone(), retry).await?;
        roots.saved(&appended);
        Ok(Some(appended))
    }
}

impl<S: fmt::Debug> fmt::Debug for UnitOfWork<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnitOfWork").field("store", &self.store).finish_non_exhaustive()
    }
}

/// An aggregate that takes part in a [`UnitOfWork`]: see [`Repository::participant`].
pub struct Participant<'r, A: Aggregate, S> {
    pub(crate) repository: &'r Repository<A, S>,
    pub(crate) id: Uuid,
}

impl<A: Aggregate, S> fmt::Debug for Participant<'_, A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Participant").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a [`UnitOfWork`] loads: tuples and `Vec`s of [`Participant`].
pub trait Participants: Sync + sealed::Participants {}

/// What a [`UnitOfWork`] saves: tuples and `Vec`s of `&mut AggregateRoot`.
pub trait Roots: Send + sealed::Roots {}

impl<P: Sync + sealed::Participants> Participants for P {}

impl<R: Send + sealed::Roots> Roots for R {}

mod sealed {
    use super::{Append, Appended, Future, Ids, Result};

    pub trait Roots {
        fn encode(&mut self, ids: &Ids) -> Result<()>;
        fn add_to(&self, append: Append) -> Append;
        fn saved(&mut self, appended: &Appended);
    }

    pub trait Participants {
        type Roots: Send;
        fn load(&self) -> impl Future<Output = Result<Self::Roots>> + Send;
        fn all(roots: &mut Self::Roots) -> impl super::Roots;
        fn consider_snapshots(&self, roots: &mut Self::Roots) -> impl Future<Output = ()> + Send;
    }
}

impl<A: Aggregate> sealed::Roots for &mut AggregateRoot<A> {
    fn encode(&mut self, ids: &Ids) -> Result<()> {
        AggregateRoot::encode(self, ids)
    }

    fn add_to(&self, append: Append) -> Append {
        AggregateRoot::add_to(self, append)
    }

    fn saved(&mut self, appended: &Appended) {
        AggregateRoot::saved(self, appended);
    }
}

impl<A: Aggregate> sealed::Roots for Vec<&mut AggregateRoot<A>> {
    fn encode(&mut self, ids: &Ids) -> Result<()> {
        self.iter_mut().try_for_each(|root| root.encode(ids))
    }

    fn add_to(&self, append: Append) -> Append {
        self.iter().fold(append, |append, root| root.add_to(append))
    }

    fn saved(&mut self, appended: &Appended) {
        self.iter_mut().for_each(|root| root.saved(appended));
    }
}

impl<A: Aggregate, S: EventStore> sealed::Participants for Vec<Participant<'_, A, S>> {
    type Roots = Vec<AggregateRoot<A>>;

    async fn load(&self) -> Result<Self::Roots> {
        let mut roots = Vec::with_capacity(self.len());
        for participant in self {
            roots.push(participant.repository.fold(participant.id, None).await?);
        }
        Ok(roots)
    }

    fn all(roots: &mut Self::Roots) -> impl Roots {
        roots.iter_mut().collect::<Vec<_>>()
    }

    async fn consider_snapshots(&self, roots: &mut Self::Roots) {
        for (participant, root) in self.iter().zip(roots) {
            participant.repository.consider_snapshot(root).await;
        }
    }
}

macro_rules! tuples {
    ($(($($aggregate:ident $store:ident $index:tt),+))+) => { $(
        impl<$($aggregate: Aggregate),+> sealed::Roots for ($(&mut AggregateRoot<$aggregate>,)+) {
            fn encode(&mut self, ids: &Ids) -> Result<()> {
                $( self.$index.encode(ids)?; )+
                Ok(())
            }

            fn add_to(&self, append: Append) -> Append {
                $( let append = self.$index.add_to(append); )+
                append
            }

            fn saved(&mut self, appended: &Appended) {
                $( self.$index.saved(appended); )+
            }
        }

        impl<$($aggregate: Aggregate, $store: EventStore),+> sealed::Participants
            for ($(Participant<'_, $aggregate, $store>,)+)
        {
            type Roots = ($(AggregateRoot<$aggregate>,)+);

            async fn load(&self) -> Result<Self::Roots> {
                Ok(($(self.$index.repository.fold(self.$index.id, None).await?,)+))
            }

            fn all(roots: &mut Self::Roots) -> impl Roots {
                ($(&mut roots.$index,)+)
            }

            async fn consider_snapshots(&self, roots: &mut Self::Roots) {
                $( self.$index.repository.consider_snapshot(&mut roots.$index).await; )+
            }
        }
    )+ };
}

tuples! {
    (A Sa 0)
    (A Sa 0, B Sb 1)
    (A Sa 0, B Sb 1, C Sc 2)
    (A Sa 0, B Sb 1, C Sc 2, D Sd 3)
    (A Sa 0, B Sb 1, C Sc 2, D Sd 3, E Se 4)
    (A Sa 0, B Sb 1, C Sc 2, D Sd 3, E Se 4, F Sf 5)
    (A Sa 0, B Sb 1, C Sc 2, D Sd 3, E Se 4, F Sf 5, G Sg 6)
    (A Sa 0, B Sb 1, C Sc 2, D Sd 3, E Se 4, F Sf 5, G Sg 6, H Sh 7)
}

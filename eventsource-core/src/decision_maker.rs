use std::fmt;

use crate::event_ids::Ids;
use crate::reading::Reading;
use crate::retry::append_for_certain;
use crate::views::Slot;
use crate::{
    Append, AppendCondition, Decided, Decision, DomainEvent, EventIds, EventStore, ExecuteError, Filter,
    NewEvent, Position, Reach, ReadOptions, Result, RetryPolicy, Snapshots, Views, decision,
};

/// Makes decisions over boundaries: reads what they must know, decides, and appends if that still holds
/// ([dynamic consistency boundaries](https://dcb.events)).
///
/// ```
/// use eventsource_core::{Boundary, DecisionMaker, DomainEvent, EventStore, ExecuteError, Result, Tag};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// #[serde(tag = "type", content = "data")]
/// enum CourseEvent {
///     CourseDefined { course: String, capacity: u64 },
///     StudentSubscribed { student: String, course: String },
/// }
/// use CourseEvent::*;
///
/// impl DomainEvent for CourseEvent {
///     fn tags(&self) -> Result<Vec<Tag>> {
///         match self {
///             CourseDefined { course, .. } => Ok(vec![Tag::new("course", course)?]),
///             StudentSubscribed { student, course } => {
///                 Ok(vec![Tag::new("student", student)?, Tag::new("course", course)?])
///             }
///         }
///     }
/// }
///
/// async fn subscribe<S: EventStore>(
///     decisions: &DecisionMaker<S>,
///     student: &str,
///     course: &str,
/// ) -> Result<(), ExecuteError<&'static str>> {
///     let capacity = Boundary::of_types(["CourseDefined"]).tagged("course", course).fold(0, |_, event| match event {
///         CourseDefined { capacity, .. } => capacity,
///         StudentSubscribed { .. } => 0,
///     });
///     let subscriptions = || Boundary::of_types(["StudentSubscribed"]);
///     let taken = subscriptions().tagged("course", course).count();
///     let courses = subscriptions().tagged("student", student).count();
///     decisions
///         .decide((capacity, taken, courses), |(capacity, taken, courses)| match () {
///             () if taken >= capacity => Err("the course is full"),
///             () if courses >= 5 => Err("the student has enough courses"),
///             () => Ok(vec![StudentSubscribed { student: student.into(), course: course.into() }]),
///         })
///         .await?;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct DecisionMaker<S> {
    store: S,
    retry: RetryPolicy,
    ids: Ids,
    snapshots: Option<Snapshots>,
}

impl<S: EventStore> DecisionMaker<S> {
    /// Decides on what this store knows; an `Arc<dyn EventStore>` will do.
    #[must_use]
    pub fn new(store: S) -> Self {
        Self { store, retry: RetryPolicy::default(), ids: Ids::default(), snapshots: None }
    }

    /// How it tries again when others were faster, or when the store's answer was lost.
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

    /// Keeps the state of those views that say [how](crate::ViewSnapshot), so that only what came since is read.
    #[must_use]
    pub fn snapshots(mut self, snapshots: Snapshots) -> Self {
        self.snapshots = Some(snapshots);
        self
    }

    /// Reads what the decision must know, decides, and appends what follows, unless something was appended meanwhile
    /// that its views' guards match. Then it reads and decides anew, as the [`RetryPolicy`] says. What was decided is
    /// appended again, as often, while the store's answer is lost; it is never stored twice.
    ///
    /// # Errors
    /// [`ExecuteError::Rejected`] with the decision's own rejection; [`ExecuteError::Store`] as for
    /// [`EventStore::append`] and [`EventStore::read_page`]. A conflict says which event came between. With
    /// `OutcomeUnknown` the decision may have been carried out: making it again would be another one.
    pub async fn make<D: Decision>(
        &self,
        decision: &D,
    ) -> Result<Decided<D::Event>, ExecuteError<D::Rejection>> {
        let mut pauses = self.retry.pauses_between();
        loop {
            let known = self.known(&decision.views()).await?;
            let (guards, head) = (known.guards, known.head);
            let events = decision.decide(known.state).map_err(ExecuteError::Rejected)?;
            if events.is_empty() {
                return Ok(Decided { events, appended: None });
            }
            let encoded: Vec<NewEvent> =
                events.iter().map(|event| self.ids.encode(event)).collect::<Result<_>>()?;
            let append = guarded(Append::events(encoded), guards, head);
            match append_for_certain(&self.store, || append.clone(), &self.retry).await {
                Ok(appended) => return Ok(Decided { events, appended: Some(appended) }),
                Err(error) if error.is_conflict() && pauses.pause().await => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The same for views and a closure over their state: see [`make`](Self::make).
    ///
    /// # Errors
    /// As for [`make`](Self::make).
    pub async fn decide<V, E, R>(
        &self,
        views: V,
        decide: impl Fn(V::State) -> Result<Vec<E>, R> + Send + Sync,
    ) -> Result<Decided<E>, ExecuteError<R>>
    where
        V: Views,
        E: DomainEvent,
    {
        self.make(&decision(views, decide)).await
    }

    /// What the views know now: to look at, or to decide by hand.
    ///
    /// # Errors
    /// As for [`EventStore::read_page`]; `InvalidInput` if a view's filter makes no sense, or if together they pass a
    /// filter's limits.
    pub async fn known<V: Views>(&self, views: &V) -> Result<Known<V::State>> {
        let mut foldings = views.begin()?;
        let mut slots = V::slots(&mut foldings);
        if let Some(snapshots) = &self.snapshots {
            for slot in &mut slots {
                slot.restore(snapshots).await?;
            }
        }
        let guards = merge(slots.iter().filter_map(|slot| slot.guard()))?;
        let mut head = self.fold(&mut slots).await?;
        if let Some(snapshots) = &self.snapshots {
            while slots.iter().any(|slot| slot.is_unproven()) {
                // The log is not the one that these snapshots were taken of, or not any more.
                for slot in slots.iter_mut().filter(|slot| slot.is_unproven()) {
                    slot.drop_snapshot(snapshots).await?;
                }
                head = self.fold(&mut slots).await?;
            }
            for slot in &mut slots {
                slot.consider_snapshot(snapshots).await?;
            }
        }
        drop(slots);
        Ok(Known { state: V::finish(foldings), head, guards })
    }

    /// Folds what the views have not yet, up to one head for all. Those whose snapshots the log does not bear out are left
    /// as they are.
    async fn fold(&self, slots: &mut [&mut dyn Slot]) -> Result<Position> {
        let mut head = None;
        let mut rest: Vec<&mut &mut dyn Slot> = slots.iter_mut().collect();
        while let Some(first) = rest.first() {
            // One query for all that share a scope: nearly always that is one query.
            let (reach, scope) = (first.reach(), first.filter().scope().clone());
            let group: Vec<_> = match reach {
                Reach::Newest => vec![rest.remove(0)],
                Reach::All => rest
                    .extract_if(.., |slot| slot.reach() == reach && *slot.filter().scope() == scope)
                    .collect(),
            };
            head = Some(self.fold_group(group, reach, head).await?);
        }
        match head {
            Some(head) => Ok(head),
            None => self.store.head().await,
        }
    }

    /// Folds views that one filter can read for, up to `head`, or to the head that it finds.
    async fn fold_group(
        &self,
        mut group: Vec<&mut &mut dyn Slot>,
        reach: Reach,
        head: Option<Position>,
    ) -> Result<Position> {
        let mut filters = group.iter().map(|slot| slot.filter().clone());
        let first = filters.next().unwrap_or_else(Filter::all);
        let filter = filters.try_fold(first, Filter::or)?;
        let mut options =
            ReadOptions::new().after(group.iter().map(|slot| slot.reads_after()).min().unwrap_or_default());
        if let Some(head) = head {
            options = options.until(head);
        }
        if reach == Reach::Newest {
            options = options.backward().limit(1);
        }
        let mut reading = Reading::new(filter, options);
        let (mut found, mut is_borne_out) = (head, true);
        loop {
            let page = reading.next_page(&self.store).await?;
            let head = *found.get_or_insert(page.head);
            let is_alone = group.len() == 1;
            for event in &page.events {
                for slot in &mut group {
                    if (is_alone || slot.filter().matches(event)) && !slot.offer(event)? {
                        is_borne_out = false;
                    }
                }
            }
            if !page.more || !is_borne_out {
                return Ok(head);
            }
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for DecisionMaker<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecisionMaker").field("store", &self.store).finish_non_exhaustive()
    }
}

/// What views know, and as of when.
#[derive(Clone, Debug)]
pub struct Known<T> {
    /// What they know.
    pub state: T,
    /// The log's head at that moment.
    pub head: Position,
    guards: Vec<Filter>,
}

impl<T> Known<T> {
    /// Lets an append fail if something was appended since that the views' guards match.
    pub fn guard(&self, append: Append) -> Append {
        guarded(append, self.guards.clone(), self.head)
    }
}

fn guarded(append: Append, guards: Vec<Filter>, head: Position) -> Append {
    guards.into_iter().fold(append, |append, guard| append.condition(AppendCondition::new(guard).after(head)))
}

/// As few filters as possible that find together what these find: one for each scope.
fn merge<'f>(filters: impl Iterator<Item = &'f Filter>) -> Result<Vec<Filter>> {
    let mut merged: Vec<Filter> = Vec::new();
    for filter in filters {
        match merged.iter_mut().find(|other| other.scope() == filter.scope()) {
            Some(same) => *same = same.clone().or(filter.clone())?,
            None => merged.push(filter.clone()),
        }
    }
    Ok(merged)
}

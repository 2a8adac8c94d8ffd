use std::fmt;

use crate::view::Reach;
use crate::{Decoder, DomainEvent, Error, EventType, Filter, FilterItem, Fold, RecordedEvent, Result};

/// Which events a view looks at: what a decision depends on, and nothing else. It turns into a view as an iterator
/// turns into a value: by [`fold`](Self::fold), [`count`](Self::count), [`exists`](Self::exists), [`last`](Self::last).
///
/// ```
/// use eventsource_core::Boundary;
///
/// // How many have subscribed to the course.
/// let taken = Boundary::of_types(["StudentSubscribed"]).tagged("course", "c1").count();
/// # let _ = taken;
/// ```
///
/// What makes no filter (an empty tag, say) is told as `InvalidInput` when the decision is made.
#[derive(Clone, Debug)]
#[must_use = "a boundary does nothing until a view is made of it"]
pub struct Boundary {
    /// The filter as far as it is known; or why there is none. An error can't be cloned, its sentence can.
    filter: Result<Part, String>,
}

#[derive(Clone, Debug)]
enum Part {
    Item(FilterItem),
    Whole(Filter),
}

impl Boundary {
    /// The events of any of these types.
    pub fn of_types<T: TryInto<EventType, Error: Into<Error>>>(types: impl IntoIterator<Item = T>) -> Self {
        Self::item(FilterItem::new().event_types(types))
    }

    /// The events that carry the tag `key:value`.
    pub fn of_tag(key: impl fmt::Display, value: impl fmt::Display) -> Self {
        Self::item(FilterItem::new().tag(key, value))
    }

    /// The events that a filter finds.
    pub fn of(filter: Filter) -> Self {
        Self { filter: Ok(Part::Whole(filter)) }
    }

    /// Of these, those that carry the tag `key:value` as well.
    pub fn tagged(self, key: impl fmt::Display, value: impl fmt::Display) -> Self {
        self.narrowed(|item| item.tag(key, value))
    }

    /// These, and those of another boundary.
    pub fn or(self, other: Self) -> Self {
        let either = || self.filter()?.or(other.filter()?);
        Self { filter: either().map(Part::Whole).map_err(|error: Error| error.to_string()) }
    }

    /// The view that folds the events, in log order, beginning with `initial`.
    ///
    /// ```
    /// use eventsource_core::{Boundary, DomainEvent};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)]
    /// # #[serde(tag = "type", content = "data")]
    /// # enum CourseEvent { CourseDefined { capacity: u32 }, CapacityChanged { capacity: u32 } }
    /// # impl DomainEvent for CourseEvent {}
    /// # use CourseEvent::*;
    ///
    /// let capacity = Boundary::of_types(["CourseDefined", "CapacityChanged"])
    ///     .tagged("course", "c1")
    ///     .fold(None, |_, event| match event {
    ///         CourseDefined { capacity } | CapacityChanged { capacity } => Some(capacity),
    ///     });
    /// # let _ = capacity;
    /// ```
    pub fn fold<T, E>(
        self,
        initial: T,
        evolve: impl Fn(T, E) -> T + Send + Sync,
    ) -> Fold<T, impl Fn(T, &RecordedEvent) -> Result<T> + Send + Sync>
    where
        T: Clone + Send + Sync,
        E: DomainEvent,
    {
        self.fold_recorded(initial, move |state, event, _| evolve(state, event))
    }

    /// The same with what the log knows of each event: when it occurred, who did it, where it lies.
    pub fn fold_recorded<T, E>(
        self,
        initial: T,
        evolve: impl Fn(T, E, &RecordedEvent) -> T + Send + Sync,
    ) -> Fold<T, impl Fn(T, &RecordedEvent) -> Result<T> + Send + Sync>
    where
        T: Clone + Send + Sync,
        E: DomainEvent,
    {
        Fold::new(self, initial, move |state, recorded: &RecordedEvent| {
            Ok(evolve(state, E::decode(recorded)?, recorded))
        })
    }

    /// The same for events of older names and schemas as well, as `decoder` reads them. The boundary must find them too:
    /// by tags alone, or by the decoder's [`event_types`](Decoder::event_types).
    pub fn fold_with<T, E>(
        self,
        decoder: impl Decoder<E>,
        initial: T,
        evolve: impl Fn(T, E) -> T + Send + Sync,
    ) -> Fold<T, impl Fn(T, &RecordedEvent) -> Result<T> + Send + Sync>
    where
        T: Clone + Send + Sync,
    {
        Fold::new(self, initial, move |state, recorded: &RecordedEvent| {
            Ok(decoder.decode(recorded)?.into_iter().fold(state, &evolve))
        })
    }

    /// The view of how many there are.
    pub fn count(self) -> Fold<u64> {
        Fold::new(self, 0, |count, _| Ok(count + 1))
    }

    /// The view of whether there is one.
    pub fn exists(self) -> Fold<bool> {
        Fold::new(self, false, |_, _| Ok(true))
    }

    /// The view of the newest event, if any; no older one is read.
    pub fn last<E: DomainEvent + Clone>(self) -> Fold<Option<E>> {
        let newest: fn(Option<E>, &RecordedEvent) -> Result<Option<E>> =
            |_, event| E::decode(event).map(Some);
        Fold::new(self, None, newest).reaching(Reach::Newest)
    }

    pub(crate) fn filter(&self) -> Result<Filter> {
        match &self.filter {
            Ok(Part::Item(item)) => Filter::any_of([item.clone()]),
            Ok(Part::Whole(filter)) => Ok(filter.clone()),
            Err(why) => Err(Error::invalid_input(why.clone())),
        }
    }

    fn item(item: Result<FilterItem>) -> Self {
        Self { filter: item.map(Part::Item).map_err(|error| error.to_string()) }
    }

    fn narrowed(self, narrow: impl FnOnce(FilterItem) -> Result<FilterItem>) -> Self {
        match self.filter {
            Ok(Part::Item(item)) => Self::item(narrow(item)),
            Ok(Part::Whole(_)) => {
                Self { filter: Err("a boundary of a whole filter is narrowed in the filter".to_owned()) }
            }
            Err(_) => self,
        }
    }
}

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::snapshots::StateCodec;
use crate::{Filter, RecordedEvent, Result};

/// A small state that a decision must know: which events it comes from, and how each changes it.
///
/// Most views are made of a [`Boundary`](crate::Boundary) in a line; a type of its own is for those that are named,
/// shared or large.
///
/// ```
/// use eventsource_core::{Filter, RecordedEvent, Result, View};
///
/// /// How many have subscribed to a course.
/// struct Subscriptions {
///     course: String,
/// }
///
/// impl View for Subscriptions {
///     type State = u32;
///
///     fn filter(&self) -> Result<Filter> {
///         Filter::tagged("course", &self.course)
///     }
///
///     fn initial(&self) -> u32 {
///         0
///     }
///
///     fn evolve(&self, taken: &mut u32, event: &RecordedEvent) -> Result<()> {
///         *taken += u32::from(event.event_type() == "StudentSubscribed");
///         Ok(())
///     }
/// }
/// ```
pub trait View: Send + Sync {
    /// What is known.
    type State: Send + Sync;

    /// Which events it comes from.
    ///
    /// # Errors
    /// `InvalidInput` if that makes no filter.
    fn filter(&self) -> Result<Filter>;

    /// What is known before the first event.
    fn initial(&self) -> Self::State;

    /// What is known after `event`, which matches the filter; events come in log order.
    /// [`E::decode(event)`](crate::DomainEvent::decode) makes it a typed one.
    ///
    /// # Errors
    /// `Corrupt` if the event can't be decoded.
    fn evolve(&self, state: &mut Self::State, event: &RecordedEvent) -> Result<()>;

    /// What must not have been appended since, for a decision to hold: what the view is made of, unless this is
    /// written. None if a decision may build on it though it has changed since.
    ///
    /// # Errors
    /// `InvalidInput` if that makes no filter.
    fn guard(&self) -> Result<Option<Filter>> {
        self.filter().map(Some)
    }

    /// How its state is kept between decisions; not at all, unless this is written.
    fn snapshot(&self) -> Option<ViewSnapshot<Self::State>> {
        None
    }

    /// How much of what matches is read: all of it, unless this is written.
    fn reach(&self) -> Reach {
        Reach::All
    }
}

/// How much of what matches a view's filter is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Every event.
    All,
    /// The newest event only.
    Newest,
}

/// Under which name and which version of its shape a view's state is kept.
///
/// Raise the version whenever the state's shape, or what the view makes of the events, changes: older snapshots are not
/// read then. The filter is part of a snapshot's key, so one name does for all courses.
pub struct ViewSnapshot<T> {
    pub(crate) name: String,
    pub(crate) codec: StateCodec<T>,
}

impl<T: Serialize + DeserializeOwned> ViewSnapshot<T> {
    /// A name that no other kind of view has, and a version from 1.
    #[must_use]
    pub fn new(name: impl Into<String>, schema_version: u32) -> Self {
        Self { name: name.into(), codec: StateCodec::new(schema_version) }
    }
}

impl<T> Clone for ViewSnapshot<T> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), codec: self.codec }
    }
}

impl<T> fmt::Debug for ViewSnapshot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewSnapshot").field("name", &self.name).finish_non_exhaustive()
    }
}

macro_rules! forward {
    ($($wrapper:ty;)*) => { $(
        #[deny(clippy::missing_trait_methods)]
        impl<V: View + ?Sized> View for $wrapper {
            type State = V::State;

            fn filter(&self) -> Result<Filter> {
                (**self).filter()
            }

            fn initial(&self) -> Self::State {
                (**self).initial()
            }

            fn evolve(&self, state: &mut Self::State, event: &RecordedEvent) -> Result<()> {
                (**self).evolve(state, event)
            }

            fn guard(&self) -> Result<Option<Filter>> {
                (**self).guard()
            }

            fn snapshot(&self) -> Option<ViewSnapshot<Self::State>> {
                (**self).snapshot()
            }

            fn reach(&self) -> Reach {
                (**self).reach()
            }
        }
    )* };
}

forward! {
    Box<V>;
    &V;
}

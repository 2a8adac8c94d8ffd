use std::fmt;
use std::mem;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Boundary, Filter, Reach, RecordedEvent, Result, View, ViewSnapshot};

/// A view that a [`Boundary`] was folded into.
pub struct Fold<T, F = fn(T, &RecordedEvent) -> Result<T>> {
    boundary: Boundary,
    guard: Guard,
    initial: T,
    evolve: F,
    reach: Reach,
    snapshot: Option<ViewSnapshot<T>>,
}

enum Guard {
    Same,
    None,
    Other(Boundary),
}

impl<T, F> Fold<T, F> {
    pub(crate) fn new(boundary: Boundary, initial: T, evolve: F) -> Self {
        Self { boundary, guard: Guard::Same, initial, evolve, reach: Reach::All, snapshot: None }
    }

    pub(crate) fn reaching(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }

    /// Lets a decision hold though what the view looks at has changed since.
    #[must_use]
    pub fn unguarded(mut self) -> Self {
        self.guard = Guard::None;
        self
    }

    /// Guards by another boundary than the one that is read: a smaller one, where not every change matters.
    #[must_use]
    pub fn guarded_by(mut self, boundary: Boundary) -> Self {
        self.guard = Guard::Other(boundary);
        self
    }

    /// Keeps the state between decisions, if the [`DecisionMaker`](crate::DecisionMaker) keeps snapshots: see
    /// [`ViewSnapshot`].
    #[must_use]
    pub fn snapshot(mut self, name: impl Into<String>, schema_version: u32) -> Self
    where
        T: Serialize + DeserializeOwned,
    {
        self.snapshot = Some(ViewSnapshot::new(name, schema_version));
        self
    }
}

impl<T, F> View for Fold<T, F>
where
    T: Clone + Send + Sync,
    F: Fn(T, &RecordedEvent) -> Result<T> + Send + Sync,
{
    type State = T;

    fn filter(&self) -> Result<Filter> {
        self.boundary.filter()
    }

    fn initial(&self) -> T {
        self.initial.clone()
    }

    fn evolve(&self, state: &mut T, event: &RecordedEvent) -> Result<()> {
        let before = mem::replace(state, self.initial.clone());
        *state = (self.evolve)(before, event)?;
        Ok(())
    }

    fn guard(&self) -> Result<Option<Filter>> {
        match &self.guard {
            Guard::Same => self.boundary.filter().map(Some),
            Guard::None => Ok(None),
            Guard::Other(boundary) => boundary.filter().map(Some),
        }
    }

    fn snapshot(&self) -> Option<ViewSnapshot<T>> {
        self.snapshot.clone()
    }

    fn reach(&self) -> Reach {
        self.reach
    }
}

impl<T, F> fmt::Debug for Fold<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fold").field("boundary", &self.boundary).finish_non_exhaustive()
    }
}

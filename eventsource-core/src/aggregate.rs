use crate::{DomainEvent, Result};

/// A thing whose state is the sum of its events, and which decides by that state alone.
///
/// Both functions are pure: no clock, no database, no chance. The value itself is the state; its `Default` is what it
/// is before the first event. See [`Repository`](crate::Repository) for an example.
pub trait Aggregate: Default + Send + Sync + 'static {
    /// The aggregate type of its streams.
    const TYPE: &'static str;
    /// What can be asked of it.
    type Command: Send + Sync;
    /// What can happen to it.
    type Event: DomainEvent;
    /// Why it says no.
    type Rejection: std::error::Error + Send + Sync + 'static;

    /// What follows from `command` in this state: events, none if there is nothing to do, or a rejection.
    ///
    /// # Errors
    /// The domain's own, where the domain says no.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Rejection>;

    /// The state after `event`. It never says no: what has happened has happened.
    fn apply(&mut self, event: &Self::Event);
}

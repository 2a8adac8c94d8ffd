use std::fmt;
use std::sync::Arc;

use crate::{DomainEvent, EventId, NewEvent, Result};

/// Where the ids of events come from that a [`Repository`](crate::Repository), a
/// [`DecisionMaker`](crate::DecisionMaker) or a [`UnitOfWork`](crate::UnitOfWork) appends. Tests bring their own.
///
/// An id that was given MUST NOT be given again, also by another process: an event whose id is stored is refused.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use eventsource_core::{EventId, EventIds};
/// use uuid::Uuid;
///
/// /// Counts from 1, for a test that compares logs.
/// #[derive(Debug, Default)]
/// struct Counted(AtomicU64);
///
/// impl EventIds for Counted {
///     fn next_id(&self) -> EventId {
///         let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
///         EventId::new(Uuid::from_u128(number.into())).expect("no number from 1 on is the nil UUID")
///     }
/// }
/// ```
pub trait EventIds: fmt::Debug + Send + Sync + 'static {
    /// An id that was never given.
    fn next_id(&self) -> EventId;
}

impl<I: EventIds + ?Sized> EventIds for Arc<I> {
    fn next_id(&self) -> EventId {
        (**self).next_id()
    }
}

/// The ids that a user set; if none were, an event keeps the one that it was encoded with. Public as the sealed traits that
/// name it are.
#[derive(Clone, Debug, Default)]
pub struct Ids(Option<Arc<dyn EventIds>>);

impl Ids {
    pub(crate) fn of(ids: impl EventIds) -> Self {
        Self(Some(Arc::new(ids)))
    }

    pub(crate) fn encode(&self, event: &impl DomainEvent) -> Result<NewEvent> {
        let event = event.encode()?;
        Ok(match &self.0 {
            Some(ids) => event.id(ids.next_id()),
            None => event,
        })
    }
}

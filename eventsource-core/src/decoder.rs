use std::sync::Arc;

use crate::{DomainEvent, EventSchema, EventType, RecordedEvent, Result};

/// Turns stored events into typed ones: what everything that reads events as an `E` asks.
///
/// [`PlainDecoder`] takes them as they were written. An [`EventRegistry`](crate::EventRegistry) knows older names and
/// schemas as well: one stored event may then be several typed ones, or none.
pub trait Decoder<E>: Send + Sync {
    /// What the stored event says, in order. All of it lies at the event's position: handle it as one.
    ///
    /// # Errors
    /// `Corrupt` if the event is unknown or can't be decoded. It is never left out.
    fn decode(&self, event: &RecordedEvent) -> Result<Decoded<E>>;

    /// The event types to ask a store for, old names included: every other event is none of `E`'s.
    ///
    /// # Errors
    /// `InvalidInput` as for [`EventSchema::all_of`].
    fn event_types(&self) -> Result<Vec<EventType>>;
}

macro_rules! forward {
    ($($wrapper:ty;)*) => { $(
        #[deny(clippy::missing_trait_methods)]
        impl<E, D: Decoder<E> + ?Sized> Decoder<E> for $wrapper {
            fn decode(&self, event: &RecordedEvent) -> Result<Decoded<E>> {
                (**self).decode(event)
            }

            fn event_types(&self) -> Result<Vec<EventType>> {
                (**self).event_types()
            }
        }
    )* };
}

forward! {
    Arc<D>;
    Box<D>;
    &D;
}

/// Events as they were written: [`DomainEvent::decode`], and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlainDecoder;

impl<E: DomainEvent> Decoder<E> for PlainDecoder {
    fn decode(&self, event: &RecordedEvent) -> Result<Decoded<E>> {
        E::decode(event).map(Decoded::One)
    }

    fn event_types(&self) -> Result<Vec<EventType>> {
        EventSchema::all_of::<E>()?.iter().map(|schema| EventType::new(schema.name())).collect()
    }
}

/// What one stored event says.
///
/// ```
/// use eventsource_core::{DomainEvent, Decoder, PlainDecoder, RecordedEvent, Result};
///
/// /// Folds an event into a state, whatever reads it.
/// fn fold<E>(decoder: &impl Decoder<E>, event: &RecordedEvent, mut apply: impl FnMut(E)) -> Result<()> {
///     decoder.decode(event)?.into_iter().for_each(&mut apply);
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded<E> {
    /// Nothing any more.
    None,
    /// One event.
    One(E),
    /// Several, in order.
    Many(Vec<E>),
}

impl<E> Decoded<E> {
    /// Adds an event behind the others.
    pub fn push(&mut self, event: E) {
        *self = match std::mem::replace(self, Self::None) {
            Self::None => Self::One(event),
            Self::One(first) => Self::Many(vec![first, event]),
            Self::Many(mut events) => {
                events.push(event);
                Self::Many(events)
            }
        };
    }

    /// The same, with something else made of each event.
    pub fn map<T>(self, mut f: impl FnMut(E) -> T) -> Decoded<T> {
        match self {
            Self::None => Decoded::None,
            Self::One(event) => Decoded::One(f(event)),
            Self::Many(events) => Decoded::Many(events.into_iter().map(f).collect()),
        }
    }
}

impl<E> IntoIterator for Decoded<E> {
    type Item = E;
    type IntoIter = std::iter::Chain<std::option::IntoIter<E>, std::vec::IntoIter<E>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, many) = match self {
            Self::None => (None, Vec::new()),
            Self::One(event) => (Some(event), Vec::new()),
            Self::Many(events) => (None, events),
        };
        one.into_iter().chain(many)
    }
}

use std::any::{TypeId, type_name};
use std::fmt;
use std::marker::PhantomData;

use super::{EventRegistry, Missing};
use crate::{Decoded, Decoder, DomainEvent, Error, EventType, RecordedEvent, Result};

/// Reads stored events as `E` with what an [`EventRegistry`] knows.
///
/// A stored event that can't be read as an `E` is an error: one that nothing registered knows, one of a version that is
/// not registered, one of a name that only other registered types read. Ask the store for
/// [`event_types`](Decoder::event_types) only, and such events don't come up; or say what becomes of them:
/// [`skip_unknown`](Self::skip_unknown), [`keep_unknown`](Self::keep_unknown).
pub struct RegistryDecoder<E> {
    registry: EventRegistry,
    event_types: Vec<EventType>,
    unknown: Unknown,
    event: PhantomData<fn() -> E>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unknown {
    Refuse,
    Skip,
}

/// What a stored event is to `E`.
enum Reading<E> {
    Known(Decoded<E>),
    /// Another type reads it.
    Foreign,
    Missing(Missing),
}

impl<E: DomainEvent> RegistryDecoder<E> {
    pub(super) fn new(registry: EventRegistry, event_types: Vec<EventType>) -> Self {
        Self { registry, event_types, unknown: Unknown::Refuse, event: PhantomData }
    }

    /// Leaves out events of names that are not `E`'s. An unregistered version of a registered name is still an error:
    /// a newer program wrote it, and leaving it out would be to misread the log.
    #[must_use]
    pub fn skip_unknown(mut self) -> Self {
        self.unknown = Unknown::Skip;
        self
    }

    /// Hands on events that can't be read as an `E` as they are stored.
    #[must_use]
    pub fn keep_unknown(self) -> KeepingDecoder<E> {
        KeepingDecoder { decoder: self }
    }

    fn read(&self, event: &RecordedEvent) -> Result<Reading<E>> {
        let (mut read, mut foreign) = (Decoded::None, false);
        let missing = self.registry.each_current(event, |current, readers| {
            if readers.contains(&TypeId::of::<E>()) {
                read.push(E::decode(current)?);
            } else {
                foreign = true;
            }
            Ok(())
        })?;
        Ok(match (missing, read) {
            (Some(missing), _) => Reading::Missing(missing),
            (None, Decoded::None) if foreign => Reading::Foreign,
            (None, read) => Reading::Known(read),
        })
    }
}

impl<E: DomainEvent> Decoder<E> for RegistryDecoder<E> {
    fn decode(&self, event: &RecordedEvent) -> Result<Decoded<E>> {
        match self.read(event)? {
            Reading::Known(decoded) => Ok(decoded),
            Reading::Foreign | Reading::Missing(Missing::Name) if self.unknown == Unknown::Skip => {
                Ok(Decoded::None)
            }
            // Others of this name become `E`'s, so `E` has asked for it: a split that has nothing for `E` this time.
            Reading::Foreign if self.event_types.binary_search(event.event_type()).is_ok() => {
                Ok(Decoded::None)
            }
            Reading::Missing(missing) => Err(missing.refuse(event, &self.registry.nodes)),
            Reading::Foreign => Err(Error::corrupt(format!(
                "the event {} at position {} is none of {}'s, but another registered type's",
                event.event_type(),
                event.position(),
                type_name::<E>()
            ))),
        }
    }

    fn event_types(&self) -> Result<Vec<EventType>> {
        Ok(self.event_types.clone())
    }
}

/// A [`RegistryDecoder`] that keeps what it can't read.
///
/// A store that is asked for [`event_types`](Decoder::event_types) gives no unknown names; ask for more to keep them.
pub struct KeepingDecoder<E> {
    decoder: RegistryDecoder<E>,
}

/// An event, or one that can't be read as an `E`.
#[derive(Clone, Debug, PartialEq)]
pub enum Kept<E> {
    /// It is one of `E`'s.
    Known(E),
    /// It is not, and this is how it is stored.
    Unknown(RecordedEvent),
}

impl<E: DomainEvent> Decoder<Kept<E>> for KeepingDecoder<E> {
    fn decode(&self, event: &RecordedEvent) -> Result<Decoded<Kept<E>>> {
        Ok(match self.decoder.read(event)? {
            Reading::Known(decoded) => decoded.map(Kept::Known),
            Reading::Foreign | Reading::Missing(_) => Decoded::One(Kept::Unknown(event.clone())),
        })
    }

    fn event_types(&self) -> Result<Vec<EventType>> {
        self.decoder.event_types()
    }
}

impl<E> Clone for RegistryDecoder<E> {
    fn clone(&self) -> Self {
        let Self { registry, event_types, unknown, event } = self;
        Self {
            registry: registry.clone(),
            event_types: event_types.clone(),
            unknown: *unknown,
            event: *event,
        }
    }
}

impl<E> Clone for KeepingDecoder<E> {
    fn clone(&self) -> Self {
        Self { decoder: self.decoder.clone() }
    }
}

impl<E> fmt::Debug for RegistryDecoder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryDecoder")
            .field("event_types", &self.event_types)
            .field("unknown", &self.unknown)
            .finish_non_exhaustive()
    }
}

impl<E> fmt::Debug for KeepingDecoder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepingDecoder")
            .field("event_types", &self.decoder.event_types)
            .finish_non_exhaustive()
    }
}

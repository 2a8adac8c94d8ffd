//! The words and promises of the event store: types, traits, and everything that needs no database.
//!
//! One append-only [log](EventStore) holds every event at a [`Position`]. A *stream* ([`StreamId`], an aggregate's
//! events with [`Version`]s) and a *boundary* (any set of events that a [`Filter`] describes) are two views of it, and
//! one [`Append`] can be guarded by both. Commit order is position order, so a reader's cursor is one number and
//! nothing is ever skipped.
//!
//! Pick a store by picking a crate: `eventsource-memory`, `eventsource-sqlite`, `eventsource-postgres`. They mean the
//! same, errors included; `conformance-tests` is the proof, and any other backend can run it.

// What the derive macro writes names this crate, also in this crate's own tests.
#[cfg(all(test, feature = "derive"))]
extern crate self as eventsource_core;

mod aggregate;
mod append;
mod capability;
mod changes;
mod clock;
mod conflict;
mod context;
mod decoder;
#[cfg(feature = "derive")]
mod derive_support;
mod domain_event;
mod error;
mod event;
mod event_schema;
mod filter;
mod metadata;
mod name;
mod payload;
mod position;
mod read;
mod registry;
mod repository;
mod store;
mod store_ext;
mod stream;
mod tag;
mod tenant_router;
mod tenant_store;
mod with_context;

pub use aggregate::{Aggregate, AggregateRoot};
pub use append::{Append, AppendCondition, AppendPart, Appended};
pub use capability::{Capabilities, Capability};
pub use changes::{ChangeSignal, Changes};
pub use clock::{Clock, SystemClock, to_microseconds};
pub use conflict::Conflict;
pub use context::Context;
pub use decoder::{Decoded, Decoder, PlainDecoder};
pub use domain_event::DomainEvent;
pub use error::{Error, ErrorKind, Result};
pub use event::{EventId, NewEvent, RecordedEvent};
pub use event_schema::EventSchema;
pub use filter::{Filter, FilterItem, Fingerprint, PayloadPath, PayloadPredicate, Scalar, Scope};
pub use metadata::{Metadata, TenantId};
pub use name::{AggregateType, EventType};
pub use payload::Payload;
pub use position::Position;
pub use read::{Direction, EventStream, Page, Queried, ReadOptions};
pub use registry::{
    EventRegistry, EventRegistryBuilder, KeepingDecoder, Kept, RegistryDecoder, RegistryError,
    RegistryProblem,
};
pub use repository::{ExecuteError, Repository};
pub use store::EventStore;
pub use store_ext::EventStoreExt;
pub use stream::{ExpectedVersion, StreamId, Version};
pub use tag::Tag;
pub use tenant_router::{Routed, TenantRouter};
pub use tenant_store::TenantStore;
pub use with_context::WithContext;

/// See the [trait](trait@DomainEvent).
#[cfg(feature = "derive")]
pub use eventsource_macros::DomainEvent;

#[doc(hidden)]
#[cfg(feature = "derive")]
pub mod __private {
    pub use crate::derive_support::*;
}

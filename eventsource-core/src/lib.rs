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
mod aggregate_root;
mod append;
mod boundary;
mod capability;
mod changes;
mod checkpoint;
mod checkpoint_store;
mod clock;
mod conflict;
mod context;
mod dead_letter;
mod dead_letters;
mod decision;
mod decision_maker;
mod decoder;
mod delivery;
#[cfg(feature = "derive")]
mod derive_support;
mod domain_event;
mod error;
mod event;
mod event_bus;
mod event_ids;
mod event_json;
mod event_schema;
mod execute_error;
mod filter;
mod fold;
mod lease;
mod leases;
mod log_identity;
mod metadata;
mod name;
mod outbox;
mod payload;
mod position;
mod publisher;
mod read;
mod reading;
mod registry;
mod relay;
mod repository;
mod retry;
mod shared_names;
mod snapshot;
mod snapshot_policy;
mod snapshot_store;
mod snapshots;
mod store;
mod store_ext;
mod stream;
mod tag;
mod tagged;
mod tenant_router;
mod tenant_store;
mod unit_of_work;
mod view;
mod view_refusal;
mod views;
mod with_causes;
mod with_context;

pub use aggregate::Aggregate;
pub use aggregate_root::AggregateRoot;
pub use append::{Append, AppendCondition, AppendPart, Appended};
pub use boundary::Boundary;
pub use capability::{Capabilities, Capability};
pub use changes::{ChangeSignal, Changes};
pub use checkpoint::{Checkpoint, CheckpointMark, CheckpointSave, LastEvent, SaveJudgement};
pub use checkpoint_store::CheckpointStore;
pub use clock::{Clock, SystemClock, to_microseconds};
pub use conflict::Conflict;
pub use context::Context;
pub use dead_letter::{
    DeadLetter, DeadLetterKey, DeadLetterQuery, DeadLetterState, NewDeadLetter, Resolution, check_resolver,
};
pub use dead_letters::DeadLetters;
pub use decision::{Decided, Decision, decision};
pub use decision_maker::{DecisionMaker, Known};
pub use decoder::{Decoded, Decoder, PlainDecoder};
pub use delivery::{
    Delivery, DeliveryError, DeliveryFailure, HandlerError, HandlerTimedOut, Purpose, Record, Sink,
};
pub use domain_event::DomainEvent;
pub use error::{Error, ErrorKind, Result};
pub use event::{EventId, NewEvent, RecordedEvent};
pub use event_bus::{BusSubscription, EventBus, TypedBusSubscription, WhenFull};
pub use event_ids::EventIds;
pub use event_schema::EventSchema;
pub use execute_error::ExecuteError;
pub use filter::{Filter, FilterItem, Fingerprint, PayloadPath, PayloadPredicate, Scalar, Scope};
pub use fold::Fold;
pub use lease::{Fence, FencingToken, Lease, LeaseKey, MemberId};
pub use leases::Leases;
pub use log_identity::{LogId, LogIdentity};
pub use metadata::{Metadata, TenantId};
pub use name::{AggregateType, ConsumerName, EventType};
pub use outbox::{
    Claim, ClaimId, ClaimRequest, Outbox, OutboxEntry, OutboxFilter, OutboxStatistics, Outcome, Settlement,
};
pub use payload::Payload;
pub use position::Position;
pub use publisher::EventPublisher;
pub use read::{Direction, EventStream, Page, Queried, ReadOptions};
pub use registry::{
    EventRegistry, EventRegistryBuilder, KeepingDecoder, Kept, RegistryDecoder, RegistryError,
    RegistryProblem,
};
pub use relay::{Relay, RelayConfig, RelayReport};
pub use repository::Repository;
pub use retry::RetryPolicy;
pub use shared_names::SharedNames;
pub use snapshot::{Snapshot, SnapshotKey, SnapshotSaved, SnapshotSubject};
pub use snapshot_policy::SnapshotPolicy;
pub use snapshot_store::SnapshotStore;
pub use snapshots::{SnapshotStatistics, SnapshotWorker, Snapshots};
pub use store::EventStore;
pub use store_ext::EventStoreExt;
pub use stream::{ExpectedVersion, StreamId, Version};
pub use tag::Tag;
pub use with_causes::WithCauses;
pub use with_context::WithContext;

/// See the [trait](trait@DomainEvent).
#[cfg(feature = "derive")]
pub use eventsource_macros::DomainEvent;

#[doc(hidden)]
#[cfg(feature = "derive")]
pub mod __private {
    pub use crate::derive_support::*;
}
pub use tenant_router::{Routed, TenantRouter};
pub use tenant_store::TenantStore;
pub use unit_of_work::{Participant, Participants, Roots, UnitOfWork};
pub use view::{Reach, View, ViewSnapshot};
pub use view_refusal::ViewRefusal;
pub use views::{Views, known_of};

//! The words and promises of the event store: types, traits, and everything that needs no database.
//!
//! One append-only [log](EventStore) holds every event at a [`Position`]. A *stream* ([`StreamId`], an aggregate's
//! events with [`Version`]s) and a *boundary* (any set of events that a [`Filter`] describes) are two views of it, and
//! one [`Append`] can be guarded by both. Commit order is position order, so a reader's cursor is one number and
//! nothing is ever skipped.
//!
//! Pick a store by picking a crate: `eventsource-memory`, `eventsource-sqlite`, `eventsource-postgres`. They mean the
//! same, errors included; `conformance-tests` is the proof, and any other backend can run it.

mod aggregate;
mod append;
mod capability;
mod changes;
mod checkpoint;
mod checkpoint_store;
mod clock;
mod conflict;
mod dead_letter;
mod dead_letters;
mod delivery;
mod domain_event;
mod error;
mod event;
mod filter;
mod lease;
mod leases;
mod log_identity;
mod metadata;
mod name;
mod payload;
mod position;
mod read;
mod repository;
mod store;
mod store_ext;
mod stream;
mod tag;

pub use aggregate::{Aggregate, AggregateRoot};
pub use append::{Append, AppendCondition, AppendPart, Appended};
pub use capability::{Capabilities, Capability};
pub use changes::{ChangeSignal, Changes};
pub use checkpoint::{Checkpoint, CheckpointMark, CheckpointSave, LastEvent, SaveJudgement};
pub use checkpoint_store::CheckpointStore;
pub use clock::{Clock, SystemClock, to_microseconds};
pub use conflict::Conflict;
pub use dead_letter::{
    DeadLetter, DeadLetterKey, DeadLetterQuery, DeadLetterState, NewDeadLetter, Resolution, check_resolver,
};
pub use dead_letters::DeadLetters;
pub use delivery::{
    Delivery, DeliveryError, DeliveryFailure, HandlerError, HandlerTimedOut, Purpose, Record, Sink,
};
pub use domain_event::DomainEvent;
pub use error::{Error, ErrorKind, Result};
pub use event::{EventId, NewEvent, RecordedEvent};
pub use filter::{Filter, FilterItem, Fingerprint, PayloadPath, PayloadPredicate, Scalar, Scope};
pub use lease::{Fence, FencingToken, Lease, LeaseKey, MemberId};
pub use leases::Leases;
pub use log_identity::{LogId, LogIdentity};
pub use metadata::{Metadata, TenantId};
pub use name::{AggregateType, ConsumerName, EventType};
pub use payload::Payload;
pub use position::Position;
pub use read::{Direction, EventStream, Page, Queried, ReadOptions};
pub use repository::{ExecuteError, Repository};
pub use store::EventStore;
pub use store_ext::EventStoreExt;
pub use stream::{ExpectedVersion, StreamId, Version};
pub use tag::Tag;

use std::fmt;

use crate::{
    ConsumerName, EventId, EventType, ExpectedVersion, FencingToken, LeaseKey, LogId, Position, StreamId,
    Version,
};

/// What stood in the way of an append, or of a consumer's record.
///
/// Where several things did, all stores name the same one: event ids first, then streams in the append's order, then
/// conditions in theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conflict {
    /// A stream was not as expected.
    StreamVersion {
        /// Which.
        stream: StreamId,
        /// What the append expected.
        expected: ExpectedVersion,
        /// What version the stream had, if it existed.
        actual: Option<Version>,
    },
    /// An event matched a condition's filter.
    Condition {
        /// Where the first event lies that matched.
        position: Position,
        /// What kind of event it is.
        event_type: EventType,
    },
    /// An event with this id is stored, and not as this very append.
    DuplicateEvent {
        /// The first of the append's ids that is taken.
        event_id: EventId,
        /// Where the event lies that has it.
        position: Position,
    },
    /// A checkpoint is not as its consumer left it: another instance has moved it, or it was reset or deleted.
    CheckpointMoved {
        /// Whose.
        consumer: ConsumerName,
        /// Where the consumer left it; none if it had none.
        expected: Option<Position>,
        /// Where it is; none if there is none.
        found: Option<Position>,
    },
    /// A checkpoint is a place in another log.
    OtherLog {
        /// Whose.
        consumer: ConsumerName,
        /// The checkpoint's log.
        checkpoint: LogId,
        /// The log that it was to be used with.
        log: LogId,
    },
    /// A checkpoint lies ahead of the log's head: the log was restored from a backup that is older.
    CheckpointAhead {
        /// Whose.
        consumer: ConsumerName,
        /// Where the checkpoint is.
        position: Position,
        /// Where the log ends.
        head: Position,
    },
    /// The last event that a consumer has done is another one now: the log was restored, and written to since.
    OtherHistory {
        /// Whose checkpoint.
        consumer: ConsumerName,
        /// Where.
        position: Position,
        /// The event that the consumer has done.
        expected: EventId,
        /// The event that lies there now.
        found: EventId,
    },
    /// Somebody else has taken a lease since.
    Fenced {
        /// The lease.
        lease: LeaseKey,
        /// The token of whoever is refused.
        token: FencingToken,
        /// The newest token, if the lease is known at all.
        newest: Option<FencingToken>,
    },
}

impl Conflict {
    /// Whether a consumer's checkpoint does not belong to the log as it is: what a restored backup looks like. Somebody
    /// has to decide then, and reset it.
    #[must_use]
    pub fn is_divergence(&self) -> bool {
        matches!(self, Self::OtherLog { .. } | Self::CheckpointAhead { .. } | Self::OtherHistory { .. })
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StreamVersion { stream, expected, actual: Some(actual) } => {
                write!(f, "stream {stream} is at version {actual}, and the append expected {expected}")
            }
            Self::StreamVersion { stream, expected, actual: None } => {
                write!(f, "stream {stream} does not exist, and the append expected {expected}")
            }
            Self::Condition { position, event_type } => {
                write!(f, "the event {event_type} at position {position} matches the append's condition")
            }
            Self::DuplicateEvent { event_id, position } => {
                write!(f, "event id {event_id} is taken by the event at position {position}")
            }
            Self::CheckpointMoved { consumer, expected, found } => {
                let place = |position: &Option<Position>| {
                    position.map_or_else(|| "absent".to_owned(), |position| format!("at {position}"))
                };
                let (expected, found) = (place(expected), place(found));
                write!(
                    f,
                    "the checkpoint of {consumer} was {expected} and is {found}: another instance \
                    has moved it, or it was reset"
                )
            }
            Self::OtherLog { consumer, checkpoint, log } => {
                write!(
                    f,
                    "the checkpoint of {consumer} is a place in the log {checkpoint}, and this is \
                    the log {log}; reset it to begin with this one"
                )
            }
            Self::CheckpointAhead { consumer, position, head } => {
                write!(
                    f,
                    "the checkpoint of {consumer} is at {position}, and the log ends at {head}: it was \
                    probably restored from an older backup; what the consumer has built holds events that the \
                    log has lost, so rebuild it, or reset the checkpoint"
                )
            }
            Self::OtherHistory { consumer, position, expected, found } => {
                write!(
                    f,
                    "the last event that {consumer} has done is {expected} at {position}, and {found} \
                    lies there now: the log was probably restored from an older backup and written to since; \
                    rebuild what the consumer has built, or reset its checkpoint"
                )
            }
            Self::Fenced { lease, token, newest } => {
                let newest = newest.map_or_else(|| "none".to_owned(), |newest| newest.to_string());
                write!(
                    f,
                    "the lease {lease} is somebody else's by now: this token is {token}, the newest \
                    is {newest}"
                )
            }
        }
    }
}

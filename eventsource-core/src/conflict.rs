use std::fmt;

use crate::{EventId, EventType, ExpectedVersion, Position, StreamId, Version};

/// What stood in an append's way.
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
        }
    }
}

use chrono::{DateTime, Utc};

use crate::clock::to_microseconds;
use crate::name::check_text;
use crate::{Error, EventId, Fingerprint, Payload, Position, Result, StreamId, TenantId, Version};

/// A state, and up to where in the log it is the sum of the events: what needs not be folded again.
///
/// A snapshot is never the truth: whoever finds none, or one that does not fit, folds the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Of what.
    pub key: SnapshotKey,
    /// The stream's version, if it is a stream's: that of the last event in the state.
    pub version: Option<Version>,
    /// Where the last event in the state lies. For a stream that was appended to together with others, that may be the
    /// last event of the whole append.
    pub position: Position,
    /// The id of the last event in the state: a log that does not have it in its place is not the one that this was taken of.
    pub event_id: EventId,
    /// The version of the state's own shape: what was written under another one is not read.
    pub schema_version: u32,
    /// The state.
    pub state: Payload,
    /// When it was taken, to the microsecond.
    pub taken_at: DateTime<Utc>,
}

impl Snapshot {
    /// What every store MUST call before it saves: the snapshot as it is kept.
    ///
    /// # Errors
    /// `InvalidInput` if a stream's has no version or a view's has one, or for a schema version of 0 or beyond 2³¹-1.
    pub fn checked(mut self) -> Result<Self> {
        if self.version.is_some() != matches!(self.key.subject, SnapshotSubject::Stream(_)) {
            return Err(Error::invalid_input("a stream's snapshot has a version, and no other has"));
        }
        if self.schema_version == 0 || i32::try_from(self.schema_version).is_err() {
            return Err(Error::invalid_input("a schema version lies between 1 and 2147483647"));
        }
        self.taken_at = to_microseconds(self.taken_at)?;
        Ok(self)
    }

    /// Whether this one says more than `other` of the same subject, and so must not be replaced by it: the one
    /// definition. A stream's is judged by version, a view's by position.
    #[must_use]
    pub fn is_newer_than(&self, other: &Self) -> bool {
        match (self.version, other.version) {
            (Some(own), Some(others)) => own > others,
            _ => self.position > other.position,
        }
    }
}

/// What a snapshot is found by.
///
/// The tenant is part of it: under another tenant, or under none, nothing is found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SnapshotKey {
    subject: SnapshotSubject,
    tenant: Option<TenantId>,
}

/// What a snapshot is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SnapshotSubject {
    /// An aggregate. A stream belongs to one tenant, so there is one snapshot of it, whoever saves it.
    Stream(StreamId),
    /// A view or a projection: its name, and the filter of what was folded.
    View {
        /// The name, never empty, of 255 bytes at most.
        name: String,
        /// The filter's identity.
        filter: Fingerprint,
    },
}

impl SnapshotKey {
    /// The longest name, in bytes.
    pub const MAX_NAME_BYTES: usize = 255;

    /// The key of an aggregate's snapshot.
    #[must_use]
    pub fn stream(stream: StreamId) -> Self {
        Self { subject: SnapshotSubject::Stream(stream), tenant: None }
    }

    /// The key of a view's or a projection's snapshot.
    ///
    /// # Errors
    /// `InvalidInput` if the name is empty, longer than [`MAX_NAME_BYTES`](Self::MAX_NAME_BYTES) or contains a NUL
    /// character.
    pub fn view(name: impl Into<String>, filter: Fingerprint) -> Result<Self> {
        let name = name.into();
        check_text("a snapshot's name", &name, Self::MAX_NAME_BYTES)?;
        Ok(Self { subject: SnapshotSubject::View { name, filter }, tenant: None })
    }

    /// The same for one tenant.
    #[must_use]
    pub fn in_tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// Of what.
    #[must_use]
    pub fn subject(&self) -> &SnapshotSubject {
        &self.subject
    }

    /// For whom, if for one tenant.
    #[must_use]
    pub fn tenant(&self) -> Option<TenantId> {
        self.tenant
    }
}

/// What saving a snapshot came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotSaved {
    /// It is the one that is loaded now.
    Saved,
    /// A newer one was there, and is still.
    Stale,
}

use std::fmt;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{Conflict, ConsumerName, Result};

/// One of the shares of a group's work.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseKey {
    /// The group.
    pub group: ConsumerName,
    /// The share's number, from 0.
    pub partition: u32,
}

impl fmt::Display for LeaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.group, self.partition)
    }
}

/// A member of a group: one instance of a program, from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(Uuid);

impl MemberId {
    /// A member that nobody else is.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::now_v7())
    }

    /// The member that a UUID stands for.
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The UUID.
    #[must_use]
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number that grows each time a lease is taken: the newest one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(u64);

impl FencingToken {
    /// For backends: the token that a stored number stands for.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn to_raw(self) -> u64 {
        self.0
    }

    /// The token of whoever takes the lease next.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A share of a group's work that a member may do until it expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which share.
    pub key: LeaseKey,
    /// Whose.
    pub member: MemberId,
    /// What tells it from all leases on this share before.
    pub token: FencingToken,
    /// Until when nobody else can take it, by the store's clock.
    pub expires_at: DateTime<Utc>,
}

impl Lease {
    /// What its holder's writes are guarded by.
    #[must_use]
    pub fn fence(&self) -> Fence {
        Fence { key: self.key.clone(), token: self.token }
    }
}

/// "Only as long as nobody else has taken this lease": what guards a write from a member that was paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The lease.
    pub key: LeaseKey,
    /// The token that the writer was given.
    pub token: FencingToken,
}

impl Fence {
    /// Whether a write may go ahead where the lease's newest token is `newest`: the one definition. Every store MUST ask
    /// it in the transaction of the write, under a lock that keeps the lease as it is until the commit.
    ///
    /// # Errors
    /// `Conflict`: somebody else has taken the lease since.
    pub fn judge(&self, newest: Option<FencingToken>) -> Result<()> {
        if newest == Some(self.token) {
            return Ok(());
        }
        Err(Conflict::Fenced { lease: self.key.clone(), token: self.token, newest }.into())
    }
}

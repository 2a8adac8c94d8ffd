use std::fmt;

/// What a store may or may not be able to do, beyond what its types say.
///
/// There are few on purpose: each one is a promise that the contract must test both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Capability {
    /// What was acknowledged is still there after the process was killed.
    Durable,
    /// Several processes can append to and read the same log at once.
    Shared,
    /// An append can join a transaction of the caller's, beside the caller's own tables.
    Transactional,
    /// It keeps snapshots: it is a [`SnapshotStore`](crate::SnapshotStore).
    Snapshots,
    /// Events that are to be published are put into an outbox in the same transaction: [`Outbox`](crate::Outbox).
    Outbox,
    /// It keeps consumers' checkpoints, and tells which log it holds ([`CheckpointStore`](crate::CheckpointStore),
    /// [`LogIdentity`](crate::LogIdentity)).
    Checkpoints,
    /// It keeps events that consumers failed on ([`DeadLetters`](crate::DeadLetters)).
    DeadLetters,
    /// It shares work among a group's members ([`Leases`](crate::Leases)).
    Leases,
    /// A view in its own database can be kept within the appends themselves, also within those that join a transaction of
    /// the caller's and beside other processes: whoever has this is [`Transactional`](Self::Transactional) and
    /// [`Shared`](Self::Shared) as well.
    Inline,
}

impl Capability {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Durable,
        Self::Shared,
        Self::Transactional,
        Self::Snapshots,
        Self::Outbox,
        Self::Checkpoints,
        Self::DeadLetters,
        Self::Leases,
        Self::Inline,
    ];
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Durable => "durable",
            Self::Shared => "shared between processes",
            Self::Transactional => "transactional",
            Self::Snapshots => "one that keeps snapshots",
            Self::Outbox => "one with an outbox",
            Self::Checkpoints => "a keeper of checkpoints",
            Self::DeadLetters => "a keeper of dead letters",
            Self::Leases => "a keeper of leases",
            Self::Inline => "one that keeps views inline",
        })
    }
}

/// The capabilities that a store declares; the contract suite holds it to them.
///
/// ```
/// use eventsource_core::{Capabilities, Capability};
///
/// let capabilities = Capabilities::none().with(Capability::Durable);
/// assert!(capabilities.has(Capability::Durable));
/// assert!(!capabilities.has(Capability::Shared));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities(u16);

impl Capabilities {
    /// No capability at all.
    #[must_use]
    pub const fn none() -> Self {
        Self(0)
    }

    /// Adds one.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | 1 << capability as u16)
    }

    /// Whether it is declared.
    #[must_use]
    pub const fn has(&self, capability: Capability) -> bool {
        self.0 & 1 << capability as u16 != 0
    }

    /// Those that are declared.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.iter().copied().filter(move |capability| self.has(*capability))
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

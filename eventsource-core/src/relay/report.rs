/// What a [`Relay`](crate::Relay) has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayReport {
    /// Events that were published, and that is written down.
    pub published: u64,
    /// Attempts that failed and are made again.
    pub retried: u64,
    /// Events that were given up.
    pub given_up: u64,
    /// Entries that were given back untried: behind one that failed, or when the relay was stopped.
    pub released: u64,
    /// Entries of which it could not write down what came of them, because the lease was lost or the store was away.
    /// Somebody tries them again.
    pub unsettled: u64,
}

impl RelayReport {
    pub(super) fn add(&mut self, other: Self) {
        self.published += other.published;
        self.retried += other.retried;
        self.given_up += other.given_up;
        self.released += other.released;
        self.unsettled += other.unsettled;
    }
}

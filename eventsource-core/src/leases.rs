use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{ConsumerName, Lease, LeaseKey, MemberId, Result};

/// Shares a group's work among its members: rows with an expiry and a token that grows, no sessions, no locks that last.
///
/// Time is the store's: the database's clock, or the one that the store was given. Members' own clocks don't matter.
#[async_trait]
pub trait Leases: fmt::Debug + Send + Sync {
    /// Says that `member` is at work in `group` for so long, and returns all who are, in an order that all see alike.
    ///
    /// # Errors
    /// `Unavailable`, `OutcomeUnknown`, `Backend`.
    async fn announce(
        &self,
        group: &ConsumerName,
        member: MemberId,
        time_to_live: Duration,
    ) -> Result<Vec<MemberId>>;

    /// Says that `member` has left `group`.
    ///
    /// # Errors
    /// As for [`announce`](Self::announce).
    async fn withdraw(&self, group: &ConsumerName, member: MemberId) -> Result<()>;

    /// Takes a lease that nobody holds, or that has expired, with a token that is larger than all before. None if
    /// somebody holds it, `member` too.
    ///
    /// # Errors
    /// As for [`announce`](Self::announce).
    async fn acquire_lease(
        &self,
        key: &LeaseKey,
        member: MemberId,
        time_to_live: Duration,
    ) -> Result<Option<Lease>>;

    /// Holds a lease for so long from now on, under the same token. None if somebody else has taken it since, or if it
    /// was released; one that has only expired is held again.
    ///
    /// # Errors
    /// As for [`announce`](Self::announce).
    async fn renew_lease(&self, lease: &Lease, time_to_live: Duration) -> Result<Option<Lease>>;

    /// Lets go of a lease, so that others need not wait until it expires. One that somebody else has taken stays theirs.
    /// Its fence holds nobody back until it is taken again.
    ///
    /// # Errors
    /// As for [`announce`](Self::announce).
    async fn release_lease(&self, lease: &Lease) -> Result<()>;

    /// The leases of a group that are held, expired ones too, by partition.
    ///
    /// # Errors
    /// As for [`announce`](Self::announce).
    async fn leases(&self, group: &ConsumerName) -> Result<Vec<Lease>>;
}

macro_rules! forward {
    ($($wrapper:ty;)*) => { $(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: Leases + ?Sized> Leases for $wrapper {
            async fn announce(
                &self,
                group: &ConsumerName,
                member: MemberId,
                time_to_live: Duration,
            ) -> Result<Vec<MemberId>> {
                (**self).announce(group, member, time_to_live).await
            }

            async fn withdraw(&self, group: &ConsumerName, member: MemberId) -> Result<()> {
                (**self).withdraw(group, member).await
            }

            async fn acquire_lease(
                &self,
                key: &LeaseKey,
                member: MemberId,
                time_to_live: Duration,
            ) -> Result<Option<Lease>> {
                (**self).acquire_lease(key, member, time_to_live).await
            }

            async fn renew_lease(&self, lease: &Lease, time_to_live: Duration) -> Result<Option<Lease>> {
                (**self).renew_lease(lease, time_to_live).await
            }

            async fn release_lease(&self, lease: &Lease) -> Result<()> {
                (**self).release_lease(lease).await
            }

            async fn leases(&self, group: &ConsumerName) -> Result<Vec<Lease>> {
                (**self).leases(group).await
            }
        }
    )* };
}

forward! {
    Arc<S>;
    Box<S>;
    &S;
}

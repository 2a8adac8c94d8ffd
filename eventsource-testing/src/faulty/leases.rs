use std::time::Duration;

use async_trait::async_trait;
use eventsource_core::{ConsumerName, Lease, LeaseKey, Leases, MemberId, Result};

use super::{Faulty, Kind};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Leases> Leases for Faulty<S> {
    async fn announce(
        &self,
        group: &ConsumerName,
        member: MemberId,
        time_to_live: Duration,
    ) -> Result<Vec<MemberId>> {
        self.changing(Kind::Leases, self.store.announce(group, member, time_to_live)).await
    }

    async fn withdraw(&self, group: &ConsumerName, member: MemberId) -> Result<()> {
        self.changing(Kind::Leases, self.store.withdraw(group, member)).await
    }

    async fn acquire_lease(
        &self,
        key: &LeaseKey,
        member: MemberId,
        time_to_live: Duration,
    ) -> Result<Option<Lease>> {
        self.changing(Kind::Leases, self.store.acquire_lease(key, member, time_to_live)).await
    }

    async fn renew_lease(&self, lease: &Lease, time_to_live: Duration) -> Result<Option<Lease>> {
        self.changing(Kind::Leases, self.store.renew_lease(lease, time_to_live)).await
    }

    async fn release_lease(&self, lease: &Lease) -> Result<()> {
        self.changing(Kind::Leases, self.store.release_lease(lease)).await
    }

    async fn leases(&self, group: &ConsumerName) -> Result<Vec<Lease>> {
        self.asking(Kind::Leases, self.store.leases(group)).await
    }
}

use std::time::Duration;

use async_trait::async_trait;
use eventsource_core::{
    Claim, ClaimId, ClaimRequest, EventId, Outbox, OutboxEntry, OutboxStatistics, Result, Settlement,
};

use super::{Faulty, Kind};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Outbox> Outbox for Faulty<S> {
    async fn claim(&self, request: &ClaimRequest) -> Result<Claim> {
        self.changing(Kind::Outbox, self.store.claim(request)).await
    }

    async fn settle(&self, claim: ClaimId, settlements: &[Settlement]) -> Result<Vec<EventId>> {
        self.changing(Kind::Outbox, self.store.settle(claim, settlements)).await
    }

    async fn extend(&self, claim: ClaimId, lease: Duration) -> Result<u64> {
        self.changing(Kind::Outbox, self.store.extend(claim, lease)).await
    }

    async fn failed(&self, limit: usize) -> Result<Vec<OutboxEntry>> {
        self.asking(Kind::Outbox, self.store.failed(limit)).await
    }

    async fn retry_failed(&self, events: Option<&[EventId]>) -> Result<u64> {
        self.changing(Kind::Outbox, self.store.retry_failed(events)).await
    }

    async fn delete_published(&self, older_than: Duration) -> Result<u64> {
        self.changing(Kind::Outbox, self.store.delete_published(older_than)).await
    }

    async fn statistics(&self) -> Result<OutboxStatistics> {
        self.asking(Kind::Outbox, self.store.statistics()).await
    }
}

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{FutureExt, StreamExt, future, stream};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::timeout;

use super::lease::Lease;
use super::{Relay, RelayReport, is_passing};
use crate::{ClaimId, ErrorKind, EventId, OutboxEntry, Outcome, Result, Settlement, WithCauses};

/// One claim, from the first publishing to the last settling.
pub(super) struct Batch<'r> {
    relay: &'r Relay,
    claim: ClaimId,
    lease: Lease,
    stopping: &'r AtomicBool,
}

impl<'r> Batch<'r> {
    pub(super) fn new(relay: &'r Relay, claim: ClaimId, stopping: &'r AtomicBool) -> Self {
        Self { relay, claim, lease: Lease::new(relay.request.lease()), stopping }
    }

    /// Publishes and settles side by side, so that neither waits for the other and what is published is soon written down.
    pub(super) async fn publish(&self, entries: Vec<OutboxEntry>) -> RelayReport {
        // Never more than the claim has entries.
        let (tell, told) = mpsc::unbounded_channel();
        let publishing = async move {
            let tell = &tell;
            stream::iter(by_stream(entries))
                .for_each_concurrent(self.relay.config.concurrency, |group| self.in_order(group, tell))
                .await;
        };
        // The sender goes with the publishing, which ends the settling.
        let work = future::join(publishing, self.settle_all(told));
        tokio::select! {
            biased;
            ((), report) = work => report,
            () = self.lease.keep(&*self.relay.outbox, self.claim) => RelayReport::default(),
        }
    }

    /// Publishes one stream's entries one after the other. Behind one that is to be tried again, none is tried.
    async fn in_order(&self, mut entries: VecDeque<OutboxEntry>, tell: &UnboundedSender<Settlement>) {
        while let Some(entry) = entries.pop_front() {
            let settlement = if self.stopping.load(Ordering::Relaxed) || !self.lease.is_held() {
                Settlement::released(entry.event.id())
            } else {
                self.attempt(&entry).await
            };
            let goes_on = matches!(settlement.outcome(), Outcome::Published | Outcome::GivenUp { .. });
            // Whoever settles waits for the last of them.
            let _ = tell.send(settlement);
            if !goes_on {
                break;
            }
        }
        for entry in entries {
            let _ = tell.send(Settlement::released(entry.event.id()));
        }
    }

    async fn attempt(&self, entry: &OutboxEntry) -> Settlement {
        let event_id = entry.event.id();
        let config = &self.relay.config;
        // A panic is the publisher's; it must not take the other streams' events along.
        let publishing = AssertUnwindSafe(self.relay.publisher.publish(&entry.event)).catch_unwind();
        let (error, is_final) = match timeout(config.publish_timeout, publishing).await {
            Ok(Ok(Ok(()))) => return Settlement::published(event_id),
            Ok(Ok(Err(error))) => (WithCauses(&error).to_string(), error.kind() == ErrorKind::InvalidInput),
            Ok(Err(_)) => ("the publisher panicked".to_owned(), false),
            Err(_) => (format!("not published within {:?}", config.publish_timeout), false),
        };
        match config.delay_after(entry.failed_attempts.saturating_add(1)) {
            Some(delay) if !is_final => Settlement::retry(event_id, delay, &error),
            _ => {
                tracing::error!(%event_id, error, "an event was given up, it waits among the failed ones");
                Settlement::given_up(event_id, &error)
            }
        }
    }

    async fn settle_all(&self, mut told: UnboundedReceiver<Settlement>) -> RelayReport {
        let mut report = RelayReport::default();
        let mut settlements = Vec::new();
        while told.recv_many(&mut settlements, self.relay.request.limit()).await > 0 {
            match self.settle(&settlements).await {
                Ok(lost) => settlements.iter().for_each(|settlement| count(&mut report, settlement, &lost)),
                Err(error) => {
                    tracing::warn!(error = %error, "a relay can't write down what it has published");
                    report.unsettled += settlements.len() as u64;
                }
            }
            settlements.clear();
        }
        report
    }

    /// Settles, again and again if need be, as long as the claim lasts.
    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<EventId>> {
        let mut pauses = self.relay.config.pauses();
        loop {
            let error = match self.relay.outbox.settle(self.claim, settlements).await {
                Err(error) if is_passing(&error) && self.lease.is_held() => error,
                settled => return settled,
            };
            tracing::debug!(error = %error, "a relay settles again");
            pauses.pause().await;
        }
    }
}

fn count(report: &mut RelayReport, settlement: &Settlement, lost: &[EventId]) {
    let counter = if lost.contains(&settlement.event_id()) {
        &mut report.unsettled
    } else {
        match settlement.outcome() {
            Outcome::Published => &mut report.published,
            Outcome::Released => &mut report.released,
            Outcome::Retry { .. } => &mut report.retried,
            Outcome::GivenUp { .. } => &mut report.given_up,
        }
    };
    *counter += 1;
}

/// Entries of one stream together, in order; one without a stream alone.
fn by_stream(entries: Vec<OutboxEntry>) -> Vec<VecDeque<OutboxEntry>> {
    let mut known = HashMap::new();
    let mut groups: Vec<VecDeque<OutboxEntry>> = Vec::new();
    for entry in entries {
        match entry.event.stream() {
            None => groups.push([entry].into()),
            Some(stream) => {
                let group = *known.entry(stream.clone()).or_insert(groups.len());
                match groups.get_mut(group) {
                    Some(group) => group.push_back(entry),
                    None => groups.push([entry].into()),
                }
            }
        }
    }
    groups
}

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use eventsource_core::{
    Claim, ClaimId, ClaimRequest, EventId, Outbox, OutboxEntry, OutboxFilter, OutboxStatistics, Outcome,
    Position, RecordedEvent, Result, Settlement, StreamId,
};

use crate::MemoryStore;

#[async_trait]
impl Outbox for MemoryStore {
    async fn claim(&self, request: &ClaimRequest) -> Result<Claim> {
        self.change(|state, now| Ok(state.outbox.claim(request, now)))
    }

    async fn settle(&self, claim: ClaimId, settlements: &[Settlement]) -> Result<Vec<EventId>> {
        self.change(|state, now| Ok(state.outbox.settle(claim, settlements, now)))
    }

    async fn extend(&self, claim: ClaimId, lease: Duration) -> Result<u64> {
        self.change(|state, now| Ok(state.outbox.extend(claim, lease, now)))
    }

    async fn failed(&self, limit: usize) -> Result<Vec<OutboxEntry>> {
        self.look(|state| state.outbox.failed(limit))
    }

    async fn retry_failed(&self, events: Option<&[EventId]>) -> Result<u64> {
        self.change(|state, _| Ok(state.outbox.retry_failed(events)))
    }

    async fn delete_published(&self, older_than: Duration) -> Result<u64> {
        self.change(|state, now| Ok(state.outbox.delete_published(older_than, now)))
    }

    async fn statistics(&self) -> Result<OutboxStatistics> {
        self.change(|state, now| Ok(state.outbox.statistics(now)))
    }
}

/// The events that are to be published, by position, and those that were.
#[derive(Default)]
pub(crate) struct PendingEvents {
    /// None where the outbox is off.
    filter: Option<OutboxFilter>,
    pending: BTreeMap<Position, Pending>,
    /// Those of the pending that are held, or were when somebody last claimed.
    held: BTreeSet<Position>,
    failed: BTreeMap<Position, OutboxEntry>,
    /// When each was published.
    published: BTreeMap<Position, DateTime<Utc>>,
}

struct Pending {
    entry: OutboxEntry,
    /// Until then nobody may claim it: it is claimed, or waits for its next attempt.
    held_until: Option<DateTime<Utc>>,
    claim: Option<ClaimId>,
}

impl Pending {
    fn is_held(&self, now: DateTime<Utc>) -> bool {
        self.held_until.is_some_and(|until| until > now)
    }

    fn is_in_flight(&self, now: DateTime<Utc>) -> bool {
        self.claim.is_some() && self.is_held(now)
    }
}

impl PendingEvents {
    pub(crate) fn of(filter: OutboxFilter) -> Self {
        Self { filter: Some(filter), ..Self::default() }
    }

    /// Puts an event in that was just written, if it is to be published.
    pub(crate) fn put(&mut self, event: &RecordedEvent) {
        if self.filter.as_ref().is_some_and(|filter| filter.matches(event)) {
            let entry = OutboxEntry { event: event.clone(), failed_attempts: 0, last_error: None };
            self.pending.insert(event.position(), Pending { entry, held_until: None, claim: None });
        }
    }

    pub(crate) fn claim(&mut self, request: &ClaimRequest, now: DateTime<Utc>) -> Claim {
        let id = ClaimId::random();
        self.let_go(now);
        let held: HashSet<StreamId> = self
            .held
            .iter()
            .filter_map(|position| self.pending.get(position)?.entry.event.stream().cloned())
            .collect();
        let free = self.pending.iter_mut().filter(|(_, pending)| {
            !pending.is_held(now) && pending.entry.event.stream().is_none_or(|stream| !held.contains(stream))
        });
        let mut entries = Vec::new();
        for (position, pending) in free.take(request.limit()) {
            pending.held_until = Some(later(now, request.lease()));
            pending.claim = Some(id);
            self.held.insert(*position);
            entries.push(pending.entry.clone());
        }
        Claim { id, entries }
    }

    /// Frees what is no longer held. It is free for good, also for who is told an earlier time: were it held again, but not
    /// among the held, its stream would be claimed from behind it on.
    fn let_go(&mut self, now: DateTime<Utc>) {
        self.held.retain(|position| {
            let Some(pending) = self.pending.get_mut(position) else { return false };
            if !pending.is_held(now) {
                (pending.claim, pending.held_until) = (None, None);
            }
            pending.held_until.is_some()
        });
    }

    pub(crate) fn settle(
        &mut self,
        claim: ClaimId,
        settlements: &[Settlement],
        now: DateTime<Utc>,
    ) -> Vec<EventId> {
        let held = self.held.iter().filter_map(|position| self.pending.get_key_value(position));
        let ours = held.filter(|(_, pending)| pending.claim == Some(claim) && pending.is_held(now));
        let mut ours: BTreeMap<EventId, Position> =
            ours.map(|(position, pending)| (pending.entry.event.id(), *position)).collect();
        let mut lost = Vec::new();
        for settlement in settlements {
            // Once settled it is no longer the claim's.
            match ours.remove(&settlement.event_id()) {
                Some(position) => self.settle_one(position, settlement.outcome(), now),
                None => lost.push(settlement.event_id()),
            }
        }
        lost
    }

    fn settle_one(&mut self, position: Position, outcome: &Outcome, now: DateTime<Utc>) {
        let Some(mut pending) = self.pending.remove(&position) else { return };
        self.held.remove(&position);
        (pending.claim, pending.held_until) = (None, None);
        match outcome {
            Outcome::Published => {
                self.published.insert(position, now);
                return;
            }
            Outcome::Retry { after, error } => {
                pending.held_until = Some(later(now, *after));
                fail(&mut pending.entry, error);
                self.held.insert(position);
            }
            Outcome::GivenUp { error } => {
                fail(&mut pending.entry, error);
                self.failed.insert(position, pending.entry);
                return;
            }
            // Nobody tried.
            _ => {}
        }
        self.pending.insert(position, pending);
    }

    pub(crate) fn extend(&mut self, claim: ClaimId, lease: Duration, now: DateTime<Utc>) -> u64 {
        let mut count = 0;
        for position in &self.held {
            let Some(pending) = self.pending.get_mut(position) else { continue };
            if pending.claim == Some(claim) && pending.is_held(now) {
                pending.held_until = Some(later(now, lease));
                count += 1;
            }
        }
        count
    }

    pub(crate) fn failed(&self, limit: usize) -> Vec<OutboxEntry> {
        self.failed.values().take(limit).cloned().collect()
    }

    pub(crate) fn retry_failed(&mut self, events: Option<&[EventId]>) -> u64 {
        let named = |entry: &OutboxEntry| events.is_none_or(|events| events.contains(&entry.event.id()));
        let again = self.failed.extract_if(.., |_, entry| named(entry));
        let mut count = 0;
        for (position, entry) in again {
            let entry = OutboxEntry { failed_attempts: 0, ..entry };
            self.pending.insert(position, Pending { entry, held_until: None, claim: None });
            count += 1;
        }
        count
    }

    pub(crate) fn delete_published(&mut self, older_than: Duration, now: DateTime<Utc>) -> u64 {
        let before = self.published.len();
        let until = earlier(now, older_than);
        self.published.retain(|_, published_at| *published_at > until);
        (before - self.published.len()) as u64
    }

    pub(crate) fn statistics(&self, now: DateTime<Utc>) -> OutboxStatistics {
        let in_flight = self.pending.values().filter(|pending| pending.is_in_flight(now)).count() as u64;
        let oldest = self.pending.values().map(|pending| pending.entry.event.recorded_at()).min();
        OutboxStatistics {
            pending: self.pending.len() as u64 - in_flight,
            in_flight,
            published: self.published.len() as u64,
            failed: self.failed.len() as u64,
            // A clock that was set back makes nothing older than now.
            oldest_pending: oldest.map(|since| (now - since).to_std().unwrap_or_default()),
        }
    }
}

fn fail(entry: &mut OutboxEntry, error: &str) {
    entry.failed_attempts = entry.failed_attempts.saturating_add(1);
    entry.last_error = Some(error.to_owned());
}

fn later(now: DateTime<Utc>, duration: Duration) -> DateTime<Utc> {
    let end = TimeDelta::from_std(duration).ok().and_then(|duration| now.checked_add_signed(duration));
    end.unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn earlier(now: DateTime<Utc>, duration: Duration) -> DateTime<Utc> {
    let start = TimeDelta::from_std(duration).ok().and_then(|duration| now.checked_sub_signed(duration));
    start.unwrap_or(DateTime::<Utc>::MIN_UTC)
}

//! A naive outbox above the naive model, and what broken ones do.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use eventsource_core::{
    Append, Claim, ClaimId, ClaimRequest, EventId, EventStoreExt, Filter, Outbox, OutboxEntry,
    OutboxStatistics, Outcome, Position, ReadOptions, RecordedEvent, Result, Settlement, Version,
};
use futures_util::TryStreamExt;

use crate::defect::Defect;
use crate::store::Mutant;

/// An entry and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    entry: OutboxEntry,
    state: State,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Pending { held_until: Option<DateTime<Utc>>, claim: Option<ClaimId> },
    Published(DateTime<Utc>),
    Failed,
}

const FREE: State = State::Pending { held_until: None, claim: None };

impl Row {
    fn new(event: RecordedEvent) -> Self {
        Self { entry: OutboxEntry { event, failed_attempts: 0, last_error: None }, state: FREE }
    }

    fn is_held(&self, now: DateTime<Utc>) -> bool {
        matches!(self.state, State::Pending { held_until: Some(until), .. } if until > now)
    }

    fn is_pending(&self) -> bool {
        matches!(self.state, State::Pending { .. })
    }

    fn is_of(&self, wanted: ClaimId) -> bool {
        matches!(self.state, State::Pending { claim: Some(claim), .. } if claim == wanted)
    }
}

impl Mutant {
    /// Puts what was just appended into the outbox.
    pub(crate) async fn fill_outbox(&self, first: Position, last: Position, replayed: bool) -> Result<()> {
        let ground = &self.ground;
        let Some(filter) = &ground.publish else { return Ok(()) };
        if replayed && ground.defect != Defect::PublishesARetryAgain {
            return Ok(());
        }
        if ground.defect == Defect::ForgetsToPublish && last.to_raw().is_multiple_of(4) {
            return Ok(());
        }
        let after = Position::from_raw(first.to_raw() - 1);
        let options = ReadOptions::new().after(after).until(last);
        let events: Vec<_> = ground.model.read(Filter::all(), options).try_collect().await?;
        let everything = ground.defect == Defect::PublishesEverything;
        let events = events.into_iter().filter(|event| everything || filter.matches(event));
        ground.rows().extend(events.map(Row::new));
        Ok(())
    }

    /// What a store does that writes entries apart from the events: they are there although the append was refused.
    pub(crate) fn fill_outbox_beforehand(&self, append: &Append) {
        if self.ground.defect == Defect::PublishesWhatIsRefused && self.ground.publish.is_some() {
            let position = Position::MAX;
            let rows = append.each_event().map(|(stream, event)| {
                let stream = stream.map(|stream| (stream.clone(), Version::FIRST));
                Row::new(RecordedEvent::new(event.clone(), position, stream, self.ground.clock.now()))
            });
            self.ground.rows().extend(rows);
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Outbox for Mutant {
    async fn claim(&self, request: &ClaimRequest) -> Result<Claim> {
        self.check_open()?;
        let (id, now, defect) = (ClaimId::random(), self.ground.clock.now(), self.ground.defect);
        let mut rows = self.ground.rows();
        rows.sort_by_key(|row| row.entry.event.position());
        let earlier = self.ground.latest.fetch_max(now.timestamp_micros(), Ordering::SeqCst);
        let held_at = match DateTime::from_timestamp_micros(earlier) {
            Some(earlier) if defect == Defect::FreesAStreamBeforeItsEntries => now.max(earlier),
            _ => now,
        };
        let held: BTreeSet<_> = rows
            .iter()
            .filter(|row| row.is_held(held_at) && defect != Defect::ClaimsBehindWhatIsHeld)
            .filter_map(|row| row.entry.event.stream().cloned())
            .collect();
        let mut free: Vec<&mut Row> = rows
            .iter_mut()
            .filter(|row| row.is_pending() && (!row.is_held(now) || defect == Defect::ClaimsWhatIsClaimed))
            .filter(|row| row.entry.event.stream().is_none_or(|stream| !held.contains(stream)))
            .collect();
        if defect == Defect::ClaimsTheNewestFirst {
            free.reverse();
        }
        let mut entries = Vec::new();
        for row in free.into_iter().take(request.limit()) {
            row.state = State::Pending { held_until: Some(later(now, request.lease())), claim: Some(id) };
            entries.push(row.entry.clone());
        }
        Ok(Claim { id, entries })
    }

    async fn settle(&self, claim: ClaimId, settlements: &[Settlement]) -> Result<Vec<EventId>> {
        self.check_open()?;
        let (now, defect) = (self.ground.clock.now(), self.ground.defect);
        let mut rows = self.ground.rows();
        let mut lost = Vec::new();
        for settlement in settlements {
            let id = settlement.event_id();
            let row = rows.iter_mut().find(|row| {
                let is_ours = row.is_of(claim) && row.is_held(now) || defect == Defect::SettlesWhatWasLost;
                row.entry.event.id() == id && row.is_pending() && is_ours
            });
            match row {
                Some(row) => settle(row, settlement.outcome(), now, defect),
                None => lost.push(id),
            }
        }
        Ok(lost)
    }

    async fn extend(&self, claim: ClaimId, lease: Duration) -> Result<u64> {
        self.check_open()?;
        let now = self.ground.clock.now();
        let mut count = 0;
        for row in self.ground.rows().iter_mut().filter(|row| row.is_of(claim) && row.is_held(now)) {
            row.state = State::Pending { held_until: Some(later(now, lease)), claim: Some(claim) };
            count += 1;
        }
        Ok(count)
    }

    async fn failed(&self, limit: usize) -> Result<Vec<OutboxEntry>> {
        self.check_open()?;
        let rows = self.ground.rows();
        let failed = rows.iter().filter(|row| row.state == State::Failed);
        Ok(failed.take(limit).map(|row| row.entry.clone()).collect())
    }

    async fn retry_failed(&self, events: Option<&[EventId]>) -> Result<u64> {
        self.check_open()?;
        let mut count = 0;
        for row in self.ground.rows().iter_mut().filter(|row| row.state == State::Failed) {
            if events.is_none_or(|events| events.contains(&row.entry.event.id())) {
                row.entry.failed_attempts = 0;
                row.state = FREE;
                count += 1;
            }
        }
        Ok(count)
    }

    async fn delete_published(&self, older_than: Duration) -> Result<u64> {
        self.check_open()?;
        let now = self.ground.clock.now();
        let is_old = |row: &Row| match row.state {
            State::Published(at) => (now - at).to_std().is_ok_and(|age| age >= older_than),
            State::Pending { .. } => self.ground.defect == Defect::DeletesWhatWaits,
            State::Failed => false,
        };
        let mut rows = self.ground.rows();
        let before = rows.len();
        rows.retain(|row| !is_old(row));
        Ok((before - rows.len()) as u64)
    }

    async fn statistics(&self) -> Result<OutboxStatistics> {
        self.check_open()?;
        let now = self.ground.clock.now();
        let mut statistics = OutboxStatistics::default();
        for row in self.ground.rows().iter() {
            match &row.state {
                State::Pending { claim: Some(_), .. } if row.is_held(now) => statistics.in_flight += 1,
                State::Pending { .. } => statistics.pending += 1,
                State::Published(_) => statistics.published += 1,
                State::Failed => statistics.failed += 1,
            }
            if row.is_pending() {
                let age = (now - row.entry.event.recorded_at()).to_std().unwrap_or_default();
                statistics.oldest_pending = statistics.oldest_pending.max(Some(age));
            }
        }
        Ok(statistics)
    }
}

fn settle(row: &mut Row, outcome: &Outcome, now: DateTime<Utc>, defect: Defect) {
    row.state = match outcome {
        Outcome::Published => State::Published(now),
        Outcome::Retry { error, .. } | Outcome::GivenUp { error } => {
            row.entry.failed_attempts += 1;
            row.entry.last_error = Some(error.clone());
            match outcome {
                Outcome::Retry { .. } if defect == Defect::DropsWhatFailed => State::Published(now),
                Outcome::Retry { after, .. } => {
                    State::Pending { held_until: Some(later(now, *after)), claim: None }
                }
                _ => State::Failed,
            }
        }
        _ => FREE,
    };
}

fn later(now: DateTime<Utc>, duration: Duration) -> DateTime<Utc> {
    now + TimeDelta::from_std(duration).expect("a case waits for little")
}

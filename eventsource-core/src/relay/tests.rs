//! What the contract's stores can't show: an outbox that is away, forgets its leases, or holds what nobody can read.

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::*;
use crate::{
    Claim, ClaimId, EventId, NewEvent, OutboxEntry, OutboxStatistics, Position, RecordedEvent, Settlement,
};

/// An outbox that says what the test wants.
#[derive(Debug, Default)]
struct Scripted {
    claims: Mutex<Vec<Result<Vec<OutboxEntry>>>>,
    settles: Mutex<Vec<Result<Vec<EventId>>>>,
    extensions: Mutex<Vec<Result<u64>>>,
    settled: Mutex<Vec<Settlement>>,
    asked_to_extend: AtomicUsize,
}

fn next<T>(script: &Mutex<Vec<Result<T>>>, otherwise: T) -> Result<T> {
    let mut script = script.lock().unwrap();
    if script.is_empty() { Ok(otherwise) } else { script.remove(0) }
}

#[async_trait]
impl Outbox for Scripted {
    async fn claim(&self, _: &ClaimRequest) -> Result<Claim> {
        Ok(Claim { id: ClaimId::random(), entries: next(&self.claims, Vec::new())? })
    }

    async fn settle(&self, _: ClaimId, settlements: &[Settlement]) -> Result<Vec<EventId>> {
        let lost = next(&self.settles, Vec::new())?;
        self.settled.lock().unwrap().extend_from_slice(settlements);
        Ok(lost)
    }

    async fn extend(&self, _: ClaimId, _: Duration) -> Result<u64> {
        self.asked_to_extend.fetch_add(1, Ordering::SeqCst);
        next(&self.extensions, 1)
    }

    async fn failed(&self, _: usize) -> Result<Vec<OutboxEntry>> {
        Ok(Vec::new())
    }

    async fn retry_failed(&self, _: Option<&[EventId]>) -> Result<u64> {
        Ok(0)
    }

    async fn delete_published(&self, _: Duration) -> Result<u64> {
        Ok(0)
    }

    async fn statistics(&self) -> Result<OutboxStatistics> {
        Ok(OutboxStatistics::default())
    }
}

/// Takes a minute for each event.
#[derive(Debug, Default)]
struct Slow(AtomicUsize);

const MINUTE: Duration = Duration::from_secs(60);

#[async_trait]
impl EventPublisher for Slow {
    async fn publish(&self, _: &RecordedEvent) -> Result<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        sleep(MINUTE).await;
        Ok(())
    }
}

fn entries(count: u64) -> Vec<OutboxEntry> {
    let stream = crate::StreamId::new("Order", uuid::Uuid::from_u128(1)).unwrap();
    (1..=count)
        .map(|number| {
            let in_stream = Some((stream.clone(), crate::Version::new(number).unwrap()));
            let event = NewEvent::new("Happened", &number).unwrap();
            let position = Position::from_raw(number);
            let event = RecordedEvent::new(event, position, in_stream, chrono::DateTime::UNIX_EPOCH);
            OutboxEntry { event, failed_attempts: 0, last_error: None }
        })
        .collect()
}

fn away<T>() -> Result<T> {
    Err(Error::unavailable("away"))
}

fn relay(outbox: &Arc<Scripted>, publisher: &Arc<Slow>) -> Relay {
    let config = RelayConfig::new("a relay").lease(MINUTE / 2).publish_timeout(MINUTE * 2);
    Relay::new(outbox.clone(), publisher.clone(), config).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_extended_as_long_as_it_takes() {
    let outbox = Arc::new(Scripted { claims: Mutex::new(vec![Ok(entries(3))]), ..Scripted::default() });
    let publisher = Arc::new(Slow::default());
    let report = relay(&outbox, &publisher).drain().await.unwrap();
    assert_eq!((report.published, report.unsettled), (3, 0));
    assert!(outbox.asked_to_extend.load(Ordering::SeqCst) >= 12, "three minutes, and a lease of half of one");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_lost_ends_the_publishing() {
    let outbox = Arc::new(Scripted {
        claims: Mutex::new(vec![Ok(entries(3))]),
        extensions: Mutex::new(vec![Ok(1), Ok(0)]),
        ..Scripted::default()
    });
    let publisher = Arc::new(Slow::default());
    let report = relay(&outbox, &publisher).drain().await.unwrap();
    assert_eq!(publisher.0.load(Ordering::SeqCst), 1, "the second is somebody else's by now");
    assert_eq!((report.published, report.released), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_can_not_be_extended_lasts_as_long_as_it_was_given() {
    let outbox = Arc::new(Scripted {
        claims: Mutex::new(vec![Ok(entries(2))]),
        extensions: Mutex::new((0..20).map(|_| away()).collect()),
        ..Scripted::default()
    });
    let publisher = Arc::new(Slow::default());
    relay(&outbox, &publisher).drain().await.unwrap();
    assert_eq!(publisher.0.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_settled_is_settled_again_and_then_left_to_others() {
    let outbox = Arc::new(Scripted {
        claims: Mutex::new(vec![Ok(entries(1)), Ok(entries(1))]),
        settles: Mutex::new(vec![away(), away(), Ok(Vec::new()), Err(Error::corrupt("broken"))]),
        ..Scripted::default()
    });
    let publisher = Arc::new(Slow::default());
    let report = relay(&outbox, &publisher).drain().await.unwrap();
    assert_eq!((report.published, report.unsettled), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_asked_again_less_and_less_often() {
    let claims = (0..6).map(|_| away()).chain([Ok(entries(1))]).collect();
    let outbox = Arc::new(Scripted { claims: Mutex::new(claims), ..Scripted::default() });
    let publisher = Arc::new(Slow::default());
    let begun = Instant::now();
    let report = relay(&outbox, &publisher).run(sleep(MINUTE * 10)).await.unwrap();
    assert_eq!(report.published, 1);
    // Pauses of 1, 2, 4, 8, 16 and 32 seconds at least, and a minute for the event.
    assert!(begun.elapsed() >= Duration::from_secs(63 + 60));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_read_ends_the_relay() {
    let claims = Mutex::new(vec![Err(Error::corrupt("an entry can't be decoded"))]);
    let outbox = Arc::new(Scripted { claims, ..Scripted::default() });
    let error = relay(&outbox, &Arc::new(Slow::default())).run(std::future::pending()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

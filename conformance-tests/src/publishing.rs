//! A publisher that goes wrong on purpose and remembers what it has delivered.

use std::collections::{BTreeSet, VecDeque};
use std::future::pending;
use std::sync::Mutex;

use async_trait::async_trait;
use eventsource_core::{Error, EventPublisher, OutboxStatistics, RecordedEvent, Result};
use proptest::prelude::RngExt;
use proptest::test_runner::TestRng;
use tokio::sync::{Semaphore, watch};

use crate::witness::{Delivery, Publication, Witness};
use crate::{CaseResult, Cx, random};

/// How a publisher takes an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It is delivered.
    Good,
    /// It is not delivered, and the relay is told so.
    Fails,
    /// It is delivered, and the relay is told that it was not.
    LosesTheAnswer,
    /// Nothing happens, and nobody is told.
    Hangs,
    /// It is delivered, and nobody is told.
    DeliversAndHangs,
    /// It never can be delivered.
    Refuses,
    /// It breaks down.
    Panics,
}

/// A publisher with moods.
#[derive(Debug)]
pub(crate) struct Moody {
    moods: Moods,
    /// Publishing takes a permit.
    gate: Semaphore,
    begun: watch::Sender<usize>,
    deliveries: watch::Sender<Vec<RecordedEvent>>,
}

#[derive(Debug)]
enum Moods {
    Good,
    Towards(String, Mutex<VecDeque<Mood>>),
    /// One of so many is bad in each of five ways.
    Random(Box<Mutex<TestRng>>, u32),
}

impl Moody {
    /// Always in a good mood.
    pub(crate) fn good() -> Self {
        Self::of(Moods::Good, Semaphore::MAX_PERMITS)
    }

    /// In these moods, one after the other, towards events of this type; in a good one afterwards, and towards others.
    pub(crate) fn towards(event_type: &str, moods: impl IntoIterator<Item = Mood>) -> Self {
        let moods = Mutex::new(moods.into_iter().collect());
        Self::of(Moods::Towards(event_type.to_owned(), moods), Semaphore::MAX_PERMITS)
    }

    /// In a mood that the case's seed decides, a bad one every other time.
    pub(crate) fn at_random(cx: &Cx) -> Self {
        Self::random(cx, 10)
    }

    /// In a mood that the case's seed decides, a bad one every fourth time.
    pub(crate) fn mostly_good(cx: &Cx) -> Self {
        Self::random(cx, 20)
    }

    fn random(cx: &Cx, sides: u32) -> Self {
        let numbers = Box::new(Mutex::new(random::numbers(cx, 4_711)));
        Self::of(Moods::Random(numbers, sides), Semaphore::MAX_PERMITS)
    }

    /// Delivers nothing until it is opened.
    pub(crate) fn gated() -> Self {
        Self::of(Moods::Good, 0)
    }

    fn of(moods: Moods, permits: usize) -> Self {
        let (begun, deliveries) = (watch::Sender::new(0), watch::Sender::new(Vec::new()));
        Self { moods, gate: Semaphore::new(permits), begun, deliveries }
    }

    pub(crate) fn open(&self) {
        self.gate.add_permits(1_000);
    }

    /// Waits until something is being published.
    pub(crate) async fn begun(&self) {
        let mut begun = self.begun.subscribe();
        begun.wait_for(|begun| *begun > 0).await.expect("it is not gone while it is asked");
    }

    /// Waits until so many were delivered.
    pub(crate) async fn delivered(&self, count: usize) {
        let mut deliveries = self.deliveries.subscribe();
        deliveries.wait_for(|events| events.len() >= count).await.expect("it is not gone while it is asked");
    }

    /// Everything that was delivered, in the order of delivery.
    pub(crate) fn deliveries(&self) -> Vec<RecordedEvent> {
        self.deliveries.borrow().clone()
    }

    /// How many different events were delivered.
    pub(crate) fn count_delivered(&self) -> u64 {
        let deliveries = self.deliveries.borrow();
        deliveries.iter().map(RecordedEvent::id).collect::<BTreeSet<_>>().len() as u64
    }

    /// Whether every event of the log was delivered, as it is, and nothing else; and each stream's events came in order,
    /// as far as they came for the first time.
    pub(crate) fn is_complete(&self, log: &[RecordedEvent]) -> CaseResult {
        let published = log.len() as u64;
        let publication = Publication {
            deliveries: self.deliveries(),
            delivery: Delivery::AtLeastOnce,
            end: OutboxStatistics { published, ..OutboxStatistics::default() },
            looks: Vec::new(),
        };
        Ok(Witness::of(log).judge_publication(&publication)?)
    }

    fn mood_towards(&self, event: &RecordedEvent) -> Mood {
        match &self.moods {
            Moods::Good => Mood::Good,
            Moods::Towards(event_type, moods) if event.event_type() == event_type.as_str() => {
                moods.lock().expect("nothing panics under it").pop_front().unwrap_or(Mood::Good)
            }
            Moods::Towards(..) => Mood::Good,
            Moods::Random(numbers, sides) => {
                match numbers.lock().expect("nothing panics under it").random_range(0..*sides) {
                    0 => Mood::Hangs,
                    1 => Mood::DeliversAndHangs,
                    2 => Mood::LosesTheAnswer,
                    3 | 4 => Mood::Fails,
                    _ => Mood::Good,
                }
            }
        }
    }

    fn deliver(&self, event: &RecordedEvent) {
        self.deliveries.send_modify(|deliveries| deliveries.push(event.clone()));
    }
}

#[async_trait]
impl EventPublisher for Moody {
    async fn publish(&self, event: &RecordedEvent) -> Result<()> {
        let mood = self.mood_towards(event);
        self.begun.send_modify(|begun| *begun += 1);
        self.gate.acquire().await.expect("it is never closed").forget();
        match mood {
            Mood::Good => self.deliver(event),
            Mood::Fails => return Err(away()),
            Mood::LosesTheAnswer => {
                self.deliver(event);
                return Err(away());
            }
            Mood::Hangs => pending().await,
            Mood::DeliversAndHangs => {
                self.deliver(event);
                pending().await
            }
            Mood::Refuses => return Err(Error::invalid_input("the broker will never take it")),
            Mood::Panics => panic!("a publisher's own bug, by design"),
        }
        Ok(())
    }
}

fn away() -> Error {
    Error::unavailable("the broker is away").with_source("by design")
}

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{
    ConsumerName, DeadLetter, DeadLetterKey, DeadLetterQuery, DeadLetterState, Delivery, DeliveryFailure,
    Error, ErrorKind, Filter, NewDeadLetter, Position, ReadOptions, Record, Result, Sink, WithCauses,
};

use crate::handler::IntoSink;
use crate::{ConsumerStore, Rebuild};

/// Tries parked events again, with the consumer's own handler.
///
/// The consumer may be running meanwhile, and an exactly-once view takes each event once. Where a key is held, its events
/// are tried in log order, and none behind one that fails again.
///
/// A group's dead letters lie under the names of its partitions
/// ([`ConsumerGroup::partition_name`](crate::ConsumerGroup::partition_name)): each has an office of its own.
pub struct DeadLetterOffice {
    consumer: ConsumerName,
    store: ConsumerStore,
    sink: Arc<dyn Sink>,
    timeout: Option<Duration>,
}

/// What trying again came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retried {
    /// So many are resolved.
    pub resolved: u64,
    /// So many have failed again.
    pub failed: u64,
    /// So many were left: one before them has failed, or somebody else tries them.
    pub left: u64,
}

/// What trying one again came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    Resolved,
    Failed,
    Left,
}

impl DeadLetterOffice {
    /// After so long, whoever has been trying an event is taken to be gone.
    const ABANDONED: Duration = Duration::from_secs(15 * 60);
    const PAGE: u32 = 100;

    /// For this consumer's dead letters; `sink` is what the consumer delivers to.
    ///
    /// # Errors
    /// `InvalidInput` if the name is empty, too long or holds a NUL.
    pub fn new(
        consumer: impl TryInto<ConsumerName, Error: Into<Error>>,
        store: impl Into<ConsumerStore>,
        sink: impl IntoSink,
    ) -> Result<Self> {
        let store = store.into();
        let sink = sink.into_sink(&store);
        let consumer = consumer.try_into().map_err(Into::into)?;
        Ok(Self { consumer, store, sink, timeout: Some(Duration::from_secs(30)) })
    }

    /// Sets how long the handler may take for one event; 30 seconds if not set, and as long as it likes with `None`.
    #[must_use]
    pub fn handler_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Tries one event again, on behalf of `by`; true if it is resolved.
    ///
    /// # Errors
    /// `InvalidInput` if it is not parked, is resolved, or is being tried by somebody else; what the stores fail with.
    pub async fn retry(&self, key: &DeadLetterKey, by: &str) -> Result<bool> {
        match self.retry_one(key, by).await? {
            Trial::Resolved => Ok(true),
            Trial::Failed => Ok(false),
            Trial::Left => Err(Error::invalid_input(
                "no such event waits to be tried again: it is resolved, or tried by somebody",
            )),
        }
    }

    /// Tries all of the consumer's dead letters again, in log order, on behalf of `by`.
    ///
    /// # Errors
    /// What the stores fail with.
    pub async fn retry_all(&self, by: &str) -> Result<Retried> {
        let (mut retried, mut after) = (Retried::default(), Position::START);
        let mut blocked = BTreeSet::new();
        loop {
            let query = DeadLetterQuery::all().of(self.consumer.clone()).after(after).limit(Self::PAGE);
            let letters = self.store.dead_letters.dead_letters(&query).await?;
            let Some(last) = letters.last() else { return Ok(retried) };
            after = last.position;
            for letter in letters.into_iter().filter(|letter| letter.state != DeadLetterState::Resolved) {
                let is_blocked = letter.ordering_key.as_ref().is_some_and(|key| blocked.contains(key));
                let trial = if is_blocked {
                    Trial::Left
                } else {
                    match self.retry_one(&letter.key, by).await {
                        // Its event is gone from the log; that is no reason to leave the others.
                        Err(error) if error.kind() == ErrorKind::Corrupt => Trial::Failed,
                        trial => trial?,
                    }
                };
                match trial {
                    Trial::Resolved => {
                        retried.resolved += 1;
                        continue;
                    }
                    Trial::Failed => retried.failed += 1,
                    Trial::Left => retried.left += 1,
                }
                blocked.extend(letter.ordering_key);
            }
        }
    }

    async fn retry_one(&self, key: &DeadLetterKey, by: &str) -> Result<Trial> {
        eventsource_core::check_resolver(by)?;
        let Some(letter) = self.store.dead_letters.begin_retry(key, Self::ABANDONED).await? else {
            return Ok(Trial::Left);
        };
        let before = Position::from_raw(letter.position.to_raw().saturating_sub(1));
        let options = ReadOptions::new().after(before).until(letter.position).limit(1);
        let found = self.store.events.read_page(&Filter::all(), &options).await?.events.pop();
        let Some(event) = found.filter(|event| event.id() == key.event_id) else {
            return Err(Error::corrupt(format!(
                "the parked event {} is not in the log any more",
                key.event_id
            )));
        };
        let delivery = Delivery {
            events: vec![event.clone()],
            record: Record::Resolved { key: key.clone(), by: by.to_owned() },
            purpose: Rebuild::purpose_of(&self.consumer),
            timeout: self.timeout,
        };
        let error = match self.sink.deliver(&delivery).await.map_err(|error| error.cause) {
            Ok(()) => return Ok(Trial::Resolved),
            Err(DeliveryFailure::Event { error, .. } | DeliveryFailure::Page(error)) => {
                WithCauses(&*error).to_string()
            }
            // Not the event's fault; it counts as tried by somebody until it is taken for abandoned.
            Err(DeliveryFailure::Store(error)) => {
                // It may be resolved, for all we know.
                if error.kind() != ErrorKind::OutcomeUnknown {
                    self.put_back(&letter, event, &letter.error, letter.attempts).await?;
                }
                return Err(error);
            }
            Err(_) => return Err(Error::backend("a delivery failed in an unknown way")),
        };
        self.put_back(&letter, event, &error, letter.attempts.saturating_add(1)).await?;
        Ok(Trial::Failed)
    }

    async fn put_back(
        &self,
        letter: &DeadLetter,
        event: eventsource_core::RecordedEvent,
        error: &str,
        attempts: u32,
    ) -> Result<()> {
        let again = NewDeadLetter::new(self.consumer.clone(), event, error, attempts);
        self.store.dead_letters.park(&again.holding(letter.ordering_key.clone())).await
    }
}

impl std::fmt::Debug for DeadLetterOffice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetterOffice").field("consumer", &self.consumer).finish_non_exhaustive()
    }
}

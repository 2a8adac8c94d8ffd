//! What cases begin with: events, streams, and looks at the log.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use eventsource_core::{
    Append, Appended, Clock, Conflict, ConsumerName, Decision, DecisionMaker, DomainEvent, Error, ErrorKind,
    EventStore, EventStoreExt, Filter, NewEvent, Page, Payload, Position, ReadOptions, RecordedEvent, Result,
    StreamId, TenantId,
};
use futures_util::TryStreamExt;
use tokio::sync::Barrier;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::{CaseResult, Failure};

/// An event of this type with an empty object.
pub(crate) fn event(event_type: &str) -> NewEvent {
    with_json(event_type, "{}")
}

/// So many events of type `Happened`.
pub(crate) fn events(count: usize) -> Vec<NewEvent> {
    (0..count).map(|_| event("Happened")).collect()
}

/// An event of this type with this JSON.
pub(crate) fn with_json(event_type: &str, json: &str) -> NewEvent {
    NewEvent::from_payload(
        event_type.try_into().expect("a case names a valid type"),
        Payload::from_json(json).expect("a case names valid JSON"),
    )
}

/// An event of this type with the tag `key:value`.
pub(crate) fn tagged(event_type: &str, key: &str, value: &str) -> NewEvent {
    event(event_type).tag(key, value).expect("a case names a valid tag")
}

/// The filter for the tag `key:value`.
pub(crate) fn tag(key: &str, value: &str) -> Filter {
    Filter::tagged(key, value).expect("a case names a valid tag")
}

/// The filter for these event types.
pub(crate) fn types<const N: usize>(event_types: [&str; N]) -> Filter {
    Filter::event_types(event_types).expect("a case names valid types")
}

/// A stream of type `Order` that nobody else has.
pub(crate) fn stream() -> StreamId {
    stream_of("Order")
}

/// A stream of this type that nobody else has.
pub(crate) fn stream_of(aggregate_type: &str) -> StreamId {
    StreamId::new(aggregate_type, Uuid::now_v7()).expect("a case names a valid type")
}

/// A tenant that nobody else has.
pub(crate) fn tenant() -> TenantId {
    TenantId::new(Uuid::now_v7()).expect("a fresh id is not nil")
}

/// A time in RFC 3339.
pub(crate) fn time(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).expect("a case names a valid time").to_utc()
}

/// A clock that stands still until it is set.
#[derive(Clone, Debug)]
pub(crate) struct SettableClock(Arc<Mutex<DateTime<Utc>>>);

impl SettableClock {
    pub(crate) fn at(time: DateTime<Utc>) -> Self {
        Self(Arc::new(Mutex::new(time)))
    }

    pub(crate) fn set(&self, time: DateTime<Utc>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = time;
    }
}

impl Clock for SettableClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A little while: long enough for other tasks to come to where they wait.
pub(crate) async fn a_while() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// The whole log.
pub(crate) async fn log_of(store: &dyn EventStore) -> Result<Vec<RecordedEvent>> {
    found(store, Filter::all()).await
}

/// Everything that matches, in log order.
pub(crate) async fn found(store: &dyn EventStore, filter: Filter) -> Result<Vec<RecordedEvent>> {
    store.read(filter, ReadOptions::new()).try_collect().await
}

/// Everything that matches within the options, in the order that it is read.
pub(crate) async fn read(
    store: &dyn EventStore,
    filter: Filter,
    options: ReadOptions,
) -> Result<Vec<RecordedEvent>> {
    store.read(filter, options).try_collect().await
}

/// One page of the log behind `after`, of any event.
pub(crate) async fn page_after(store: &dyn EventStore, after: Position, limit: u64) -> Result<Page> {
    store.read_page(&Filter::all(), &ReadOptions::new().after(after).limit(limit)).await
}

/// The positions of events.
pub(crate) fn positions(events: &[RecordedEvent]) -> Vec<Position> {
    events.iter().map(RecordedEvent::position).collect()
}

/// The types of events.
pub(crate) fn names(events: &[RecordedEvent]) -> Vec<&str> {
    events.iter().map(|event| event.event_type().as_str()).collect()
}

/// The error that something refused must have been refused with.
#[track_caller]
pub(crate) fn refused<T>(kind: ErrorKind, result: Result<T>) -> CaseResult<Error> {
    match result {
        Ok(_) => Err(Failure::new(format!("it was not refused; {kind:?} was expected"))),
        Err(error) if error.kind() == kind => Ok(error),
        Err(error) => Err(Failure::new(format!("refused as {error:?}; {kind:?} was expected"))),
    }
}

/// That something was refused because the store is closed, and that trying again makes no sense.
#[track_caller]
pub(crate) fn closed<T>(result: Result<T>) -> CaseResult {
    let error = refused(ErrorKind::Unavailable, result)?;
    let retryable = Failure::new(format!("trying again is said to make sense: {error:?}"));
    if error.is_retryable() { Err(retryable) } else { Ok(()) }
}

/// The conflict that something must have been refused with.
#[track_caller]
pub(crate) fn conflict<T>(result: Result<T>) -> CaseResult<Conflict> {
    let error = refused(ErrorKind::Conflict, result)?;
    error.conflict().cloned().ok_or_else(|| Failure::new(format!("{error:?} names no conflict")))
}

/// What each of these appends comes to when all are begun at once.
pub(crate) async fn race(
    store: &Arc<dyn EventStore>,
    appends: impl IntoIterator<Item = Append>,
) -> Vec<Result<Appended>> {
    let appends: Vec<Append> = appends.into_iter().collect();
    let barrier = Arc::new(Barrier::new(appends.len()));
    let racers: Vec<_> = appends
        .into_iter()
        .map(|append| {
            let (store, barrier) = (Arc::clone(store), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                store.append(append).await
            })
        })
        .collect();
    let mut results = Vec::new();
    for racer in racers {
        results.push(racer.await.expect("a racer finishes"));
    }
    results
}

/// What a decision appends if nothing comes between, or why the domain forbids it: so that a case can put something
/// between.
pub(crate) async fn decided<D: Decision>(
    store: &dyn EventStore,
    decision: D,
) -> CaseResult<Result<Append, D::Rejection>> {
    let known = DecisionMaker::new(store).known(&decision.views()).await?;
    let guard = known.guard(Append::events([]));
    Ok(match decision.decide(known.state) {
        Ok(events) => {
            let events: Vec<_> = events.iter().map(DomainEvent::encode).collect::<Result<_>>()?;
            let append = Append::events(events);
            Ok(guard.conditions().iter().cloned().fold(append, Append::condition))
        }
        Err(rejection) => Err(rejection),
    })
}

/// What each of these comes to when all are begun at once.
pub(crate) async fn race_all<F>(racers: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let racers: Vec<F> = racers.into_iter().collect();
    let barrier = Arc::new(Barrier::new(racers.len()));
    let tasks: Vec<_> = racers
        .into_iter()
        .map(|racer| {
            let barrier = Arc::clone(&barrier);
            tokio::spawn(async move {
                barrier.wait().await;
                racer.await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("a racer finishes"));
    }
    answers
}

/// Whether a task is still at work; asked by a loop that would otherwise keep its thread to itself.
pub(crate) async fn still_running<T>(task: &JoinHandle<T>) -> bool {
    tokio::task::yield_now().await;
    !task.is_finished()
}

/// A consumer's name.
pub(crate) fn name(name: &str) -> ConsumerName {
    ConsumerName::new(name).expect("a case names a valid consumer")
}

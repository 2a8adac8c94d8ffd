//! What holds when appends and their answers are lost on the way.

use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{
    Aggregate, Append, DomainEvent, ErrorKind, EventStore, ExecuteError, ExpectedVersion, Position,
    Repository,
};
use eventsource_testing::{Fault, Faults, Faulty};
use proptest::prelude::RngExt;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::given::{conflict, events, log_of, refused, stream, tag, tagged};
use crate::witness::{Recorder, Witness};
use crate::{CaseResult, Cx, Failure, random};

pub async fn a_retry_after_a_lost_acknowledgement_stores_nothing_twice(cx: Cx) -> CaseResult {
    let store = Faulty::new(cx.store().clone()).on_append(Faults::in_order([Fault::AfterCommit]));
    let append = Append::to_stream(stream(), ExpectedVersion::NoStream, events(3));
    refused(ErrorKind::OutcomeUnknown, store.append(append.clone()).await)?;
    let retried = store.append(append).await?;
    assert!(retried.replayed, "{retried:?}");
    assert_eq!(log_of(cx.store()).await?.len(), 3);
    Ok(())
}

pub async fn a_retry_after_a_lost_append_is_written(cx: Cx) -> CaseResult {
    let store = Faulty::new(cx.store().clone()).on_append(Faults::in_order([Fault::BeforeCommit]));
    let append = Append::to_stream(stream(), ExpectedVersion::NoStream, events(3));
    refused(ErrorKind::Unavailable, store.append(append.clone()).await)?;
    assert_eq!(cx.store().head().await?, Position::START);
    assert!(!store.append(append).await?.replayed);
    assert_eq!(log_of(cx.store()).await?.len(), 3);
    Ok(())
}

pub async fn a_retry_is_answered_whatever_happened_since(cx: Cx) -> CaseResult {
    let store = Faulty::new(cx.store().clone()).on_append(Faults::in_order([Fault::AfterCommit]));
    let (order, seat) = (stream(), tag("seat", "1"));
    let taken = Append::to_stream(order.clone(), ExpectedVersion::NoStream, [tagged("Taken", "seat", "1")])
        .fail_if(seat);
    refused(ErrorKind::OutcomeUnknown, store.append(taken.clone()).await)?;
    // Neither its expected version nor its condition holds any more.
    store.append(Append::to_stream(order, ExpectedVersion::Any, [tagged("Left", "seat", "1")])).await?;
    assert!(store.append(taken).await?.replayed);
    assert_eq!(log_of(cx.store()).await?.len(), 2);
    Ok(())
}

pub async fn a_retry_after_a_lost_refusal_is_refused_again(cx: Cx) -> CaseResult {
    let store =
        Faulty::new(cx.store().clone()).on_append(Faults::in_order([Fault::None, Fault::AfterCommit]));
    let order = stream();
    store.append(Append::to_stream(order.clone(), ExpectedVersion::NoStream, events(1))).await?;
    let late = Append::to_stream(order, ExpectedVersion::NoStream, events(1));
    refused(ErrorKind::OutcomeUnknown, store.append(late.clone()).await)?;
    conflict(store.append(late).await)?;
    assert_eq!(log_of(cx.store()).await?.len(), 1);
    Ok(())
}

pub async fn whatever_is_lost_each_append_is_stored_once(cx: Cx) -> CaseResult {
    let recorder = Recorder::new();
    let writers = (0..6).map(|writer| {
        let mut numbers = random::numbers(&cx, writer);
        let store: Arc<dyn EventStore> =
            Arc::new(Faulty::new(cx.store().clone()).on_append(faults(numbers.random())));
        let recorder = recorder.clone();
        tokio::spawn(async move {
            for number in 0..25 {
                let append = Append::to_stream(stream(), ExpectedVersion::NoStream, events(2));
                until_acknowledged(&*store, &recorder, &format!("{writer}.{number}"), append).await?;
            }
            Ok::<_, Failure>(())
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await??;
    }
    let log = log_of(cx.store()).await?;
    assert_eq!(log.len(), 6 * 25 * 2);
    Witness::of(&log).judge(&[recorder.snapshot()])?;
    Ok(())
}

fn faults(seed: u64) -> Faults {
    let moment = Duration::from_micros(500);
    Faults::random(seed)
        .percent(15, Fault::BeforeCommit)
        .percent(30, Fault::AfterCommit)
        .percent(10, Fault::Late(moment))
        .percent(10, Fault::AnsweredLate(moment))
        .percent(10, Fault::Cancelled { polls: 1 })
        .percent(5, Fault::Cancelled { polls: 2 })
}

async fn until_acknowledged(
    store: &dyn EventStore,
    recorder: &Recorder,
    name: &str,
    append: Append,
) -> CaseResult {
    loop {
        match recorder.append(store, name, append.clone()).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_retryable() => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// An account that takes any sum: deciding twice would pay twice.
#[derive(Debug, Default)]
struct Account(u64);

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum AccountEvent {
    Deposited(u64),
}

impl DomainEvent for AccountEvent {}

impl Aggregate for Account {
    const TYPE: &'static str = "Account";
    type Command = u64;
    type Event = AccountEvent;
    type Rejection = std::convert::Infallible;

    fn decide(&self, cents: &u64) -> Result<Vec<AccountEvent>, std::convert::Infallible> {
        Ok(vec![AccountEvent::Deposited(*cents)])
    }

    fn apply(&mut self, event: &AccountEvent) {
        let AccountEvent::Deposited(cents) = event;
        self.0 += cents;
    }
}

pub async fn a_command_whose_answer_is_lost_is_carried_out_once(cx: Cx) -> CaseResult {
    let faults =
        [Fault::AfterCommit, Fault::AfterCommit, Fault::None, Fault::AfterCommit, Fault::BeforeCommit];
    let accounts =
        Repository::<Account, _>::new(Faulty::new(cx.store().clone()).on_append(Faults::in_order(faults)));
    let id = Uuid::now_v7();
    for _ in 0..2 {
        accounts.execute(id, &5).await.expect("it is carried out");
    }
    assert_eq!(accounts.load_or_create(id).await?.state().0, 10);
    assert_eq!(log_of(cx.store()).await?.len(), 2);
    Ok(())
}

pub async fn a_command_that_may_have_been_carried_out_says_so(cx: Cx) -> CaseResult {
    let faults = std::iter::once(Fault::AfterCommit).chain([Fault::BeforeCommit; 9]);
    let accounts =
        Repository::<Account, _>::new(Faulty::new(cx.store().clone()).on_append(Faults::in_order(faults)));
    let Err(ExecuteError::Store(error)) = accounts.execute(Uuid::now_v7(), &5).await else {
        panic!("the answer is lost")
    };
    // The last attempts were `Unavailable`, which would say that nothing was written.
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    assert_eq!(log_of(cx.store()).await?.len(), 1);
    Ok(())
}

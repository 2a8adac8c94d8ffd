//! A poison event under each policy: nothing is dropped, and nobody waits who need not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use eventsource_consumers::{
    Consumer, DeadLetterOffice, FailurePolicy, OrderingKey, Outcome, each_event, each_page,
};
use eventsource_core::{
    Append, ConsumerName, DeadLetterQuery, DeadLetterState, ErrorKind, Position, RecordedEvent,
};
use tokio::time::timeout;

use crate::bad_network::BadNetwork;
use crate::consuming::{Diary, consumer, quick};
use crate::given::{event, log_of, positions, refused, tagged};
use crate::{CaseResult, Cx};

const PATIENCE: Duration = Duration::from_secs(40);

fn query() -> DeadLetterQuery {
    DeadLetterQuery::all().of(ConsumerName::new("orders").expect("it is valid"))
}

/// Events for customers a and b; the second of a's is poison.
async fn given_poison(cx: &Cx) -> CaseResult<Vec<Position>> {
    let of = |name, customer| tagged(name, "customer", customer);
    let events = [of("A", "a"), of("Poison", "a"), of("B", "b"), of("A", "a"), of("B", "b"), event("None")];
    cx.store().append(Append::events(events)).await?;
    Ok(positions(&log_of(cx.store()).await?))
}

pub async fn a_consumer_that_stops_stays_before_the_event(cx: Cx) -> CaseResult {
    let log = given_poison(&cx).await?;
    let (diary, policy) = (Diary::default(), quick(FailurePolicy::stop()).attempts(3));
    let stopped = consumer(&cx, "orders")?.policy(policy).run(diary.handler()).await;
    let error = refused(ErrorKind::Backend, stopped)?;
    assert!(error.to_string().contains("3 times"), "{error}");
    assert_eq!(std::error::Error::source(&error).map(ToString::to_string).as_deref(), Some("poison"));
    assert_eq!((diary.handled(), diary.tries(log[1])), (log[..1].to_vec(), 3));
    assert_eq!(cx.dead_letters().count_dead_letters(&query()).await?, 0);
    diary.heal();
    consumer(&cx, "orders")?.run_until_caught_up(diary.handler()).await?;
    assert_eq!(diary.handled(), log);
    Ok(())
}

pub async fn a_parked_event_lets_all_others_pass(cx: Cx) -> CaseResult {
    let log = given_poison(&cx).await?;
    let (diary, policy) = (Diary::default(), quick(FailurePolicy::park()).attempts(2));
    consumer(&cx, "orders")?.policy(policy).run_until_caught_up(diary.handler()).await?;
    assert_eq!(diary.handled(), [log[0], log[2], log[3], log[4], log[5]]);
    let parked = cx.dead_letters().dead_letters(&query()).await?;
    let [letter] = &parked[..] else { panic!("{parked:?}") };
    assert_eq!((letter.position, letter.attempts, letter.error.as_str()), (log[1], 2, "poison"));
    let checkpoint = cx.checkpoints().load_checkpoint(&letter.key.consumer).await?.expect("it is there");
    assert_eq!((checkpoint.position, checkpoint.events_processed), (log[5], 5));
    // It is passed over for good: a new instance does not try it.
    consumer(&cx, "orders")?.policy(policy).run_until_caught_up(diary.handler()).await?;
    assert_eq!(diary.tries(log[1]), 2);
    Ok(())
}

pub async fn a_parked_event_holds_back_its_key(cx: Cx) -> CaseResult {
    let log = given_poison(&cx).await?;
    let (diary, policy) = (Diary::default(), quick(FailurePolicy::park_and_hold()).attempts(2));
    let run = async || {
        let consumer = consumer(&cx, "orders")?.policy(policy);
        let key = eventsource_consumers::OrderingKey::tag("customer");
        CaseResult::Ok(consumer.ordering_key(key).run_until_caught_up(diary.handler()).await?)
    };
    assert_eq!(run().await?, Outcome::CaughtUp);
    assert_eq!(diary.handled(), [log[0], log[2], log[4], log[5]]);
    // Also for an instance that did not see it fail.
    cx.store().append(Append::events([tagged("A", "customer", "a"), tagged("B", "customer", "b")])).await?;
    let log = positions(&log_of(cx.store()).await?);
    run().await?;
    assert_eq!(diary.handled()[4..], [log[7]]);
    let parked: Vec<_> = cx.dead_letters().dead_letters(&query()).await?;
    assert_eq!(
        parked.iter().map(|each| (each.position, each.attempts)).collect::<Vec<_>>(),
        [(log[1], 2), (log[3], 0), (log[6], 0)]
    );

    // The first one fails again: nothing behind it is tried.
    let office = DeadLetterOffice::new("orders", cx.consumer_store(), diary.handler())?;
    let retried = office.retry_all("ann").await?;
    assert_eq!((retried.resolved, retried.failed, retried.left), (0, 1, 2));
    diary.heal();
    let retried = office.retry_all("ann").await?;
    assert_eq!((retried.resolved, retried.failed, retried.left), (3, 0, 0));
    assert_eq!(diary.handled()[5..], [log[1], log[3], log[6]]);
    let resolved = query().in_state(DeadLetterState::Resolved);
    assert_eq!(cx.dead_letters().count_dead_letters(&resolved).await?, 3);

    // And its key is free again.
    let next = cx.store().append(Append::events([tagged("A", "customer", "a")])).await?.last;
    run().await?;
    assert_eq!(diary.handled()[8..], [next]);
    Ok(())
}

pub async fn one_parked_event_can_be_tried_again(cx: Cx) -> CaseResult {
    let log = given_poison(&cx).await?;
    let (diary, policy) = (Diary::default(), quick(FailurePolicy::park()).attempts(1));
    consumer(&cx, "orders")?.policy(policy).run_until_caught_up(diary.handler()).await?;
    let key = cx.dead_letters().dead_letters(&query()).await?.remove(0).key;
    let office = DeadLetterOffice::new("orders", cx.consumer_store(), diary.handler())?;
    assert!(!office.retry(&key, "ann").await?);
    assert_eq!(cx.dead_letters().dead_letters(&query()).await?[0].attempts, 2);
    diary.heal();
    assert!(office.retry(&key, "ann").await?);
    refused(ErrorKind::InvalidInput, office.retry(&key, "ann").await)?;
    assert_eq!(diary.handled().last(), Some(&log[1]));
    Ok(())
}

pub async fn a_handler_that_hangs_or_panics_has_failed(cx: Cx) -> CaseResult {
    let log = given_poison(&cx).await?;
    let policy = quick(FailurePolicy::park()).attempts(2).handler_timeout(Duration::from_millis(30));
    let tried = Arc::new(AtomicU32::new(0));
    let handler = each_event({
        let tried = tried.clone();
        move |event: RecordedEvent, _| {
            let tried = tried.clone();
            async move {
                if event.event_type().as_str() == "Poison" {
                    if tried.fetch_add(1, Ordering::SeqCst) == 0 {
                        std::future::pending::<()>().await;
                    }
                    panic!("a handler's panic");
                }
                Ok(())
            }
        }
    });
    let run = consumer(&cx, "orders")?.policy(policy).run_until_caught_up(handler);
    timeout(PATIENCE, run).await??;
    assert_eq!(tried.load(Ordering::SeqCst), 2);
    let parked = cx.dead_letters().dead_letters(&query()).await?;
    assert_eq!(parked.iter().map(|each| each.position).collect::<Vec<_>>(), [log[1]]);
    Ok(())
}

pub async fn of_a_page_that_fails_the_culprit_is_found(cx: Cx) -> CaseResult {
    let log = given_poison(&cx).await?;
    let pages = Arc::new(std::sync::Mutex::new(Vec::new()));
    let handler = each_page({
        let pages = pages.clone();
        move |events: Vec<RecordedEvent>, _| {
            let poisoned = events.iter().any(|event| event.event_type().as_str() == "Poison");
            if !poisoned {
                pages.lock().expect("nothing panics under it").push(positions(&events));
            }
            async move { if poisoned { Err("poison".into()) } else { Ok(()) } }
        }
    });
    let policy = quick(FailurePolicy::park()).attempts(2);
    consumer(&cx, "orders")?.policy(policy).run_until_caught_up(handler).await?;
    let handled: Vec<_> = pages.lock().expect("nothing panics under it").concat();
    assert_eq!(handled, [log[0], log[2], log[3], log[4], log[5]]);
    let parked = cx.dead_letters().dead_letters(&query()).await?;
    assert_eq!((parked.len(), parked[0].position), (1, log[1]));
    Ok(())
}

pub async fn whatever_answers_are_lost_every_event_is_handled_or_parked(cx: Cx) -> CaseResult {
    let of = |number: usize| {
        let name = if number % 11 == 3 { "Poison" } else { "Good" };
        tagged(name, "customer", &(number % 8).to_string())
    };
    cx.store().append(Append::events((0..60).map(of))).await?;
    let (mut handled, mut parked, mut poisoned) = (Vec::new(), Vec::new(), BTreeSet::new());
    for event in log_of(cx.store()).await? {
        if event.event_type() == "Poison" {
            poisoned.insert(event.tags().to_vec());
        }
        let list = if poisoned.contains(event.tags()) { &mut parked } else { &mut handled };
        list.push(event.position());
    }
    let (network, diary) = (BadNetwork::before(&cx), Diary::default());
    let consumer = Consumer::new("orders", network.consumer_store())?
        .page_size(7)
        .poll_interval(Duration::from_millis(10))
        .policy(quick(FailurePolicy::park_and_hold()).attempts(2))
        .ordering_key(OrderingKey::tag("customer"));
    let run = consumer.run_until_caught_up(diary.handler());
    assert_eq!(timeout(PATIENCE, run).await??, Outcome::CaughtUp);
    network.was_bad_for_a_consumer()?;
    assert_eq!(diary.handled(), handled);
    let letters = cx.dead_letters().dead_letters(&query()).await?;
    assert_eq!(letters.iter().map(|letter| letter.position).collect::<Vec<_>>(), parked);
    Ok(())
}

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::{Error, NewEvent, Position};

/// Long enough for anybody who makes progress.
const PATIENCE: Duration = Duration::from_secs(30);

fn event(event_type: &str, position: u64) -> RecordedEvent {
    let event = NewEvent::new(event_type, &position).unwrap();
    RecordedEvent::new(event, Position::from_raw(position), None, chrono::DateTime::UNIX_EPOCH)
}

async fn positions(subscription: &mut BusSubscription) -> Vec<u64> {
    let mut positions = Vec::new();
    while let Some(event) = subscription.next().await {
        positions.push(event.position().to_raw());
    }
    positions
}

#[tokio::test]
async fn each_subscriber_gets_what_matches_in_order() {
    let bus = EventBus::new();
    let mut all = bus.subscribe(Filter::all(), 10, WhenFull::Wait);
    let mut some = bus.subscribe(Filter::event_types(["B"]).unwrap(), 10, WhenFull::Wait);
    for (position, event_type) in (1..).zip(["A", "B", "A", "B"]) {
        bus.publish(&event(event_type, position)).await.unwrap();
    }
    let mut late = bus.subscribe(Filter::all(), 10, WhenFull::Wait);
    drop(bus);
    assert_eq!(positions(&mut all).await, [1, 2, 3, 4]);
    assert_eq!(positions(&mut some).await, [2, 4]);
    assert_eq!(positions(&mut late).await, [0; 0], "what came before is not its own");
}

#[tokio::test]
async fn a_full_buffer_does_what_its_subscriber_chose() {
    let bus = EventBus::new();
    let mut oldest = bus.subscribe(Filter::all(), 2, WhenFull::DropOldest);
    let mut newest = bus.subscribe(Filter::all(), 2, WhenFull::DropNewest);
    for position in 1..=5 {
        bus.publish(&event("A", position)).await.unwrap();
    }
    drop(bus);
    assert_eq!((oldest.missed(), newest.missed()), (3, 3));
    assert_eq!(positions(&mut oldest).await, [4, 5]);
    assert_eq!(positions(&mut newest).await, [1, 2]);
}

#[tokio::test]
async fn whoever_chose_so_is_waited_for_and_loses_nothing() {
    let bus = EventBus::new();
    let mut slow = bus.subscribe(Filter::all(), 1, WhenFull::Wait);
    let mut quick = bus.subscribe(Filter::all(), 10, WhenFull::DropNewest);
    let (first, second, third) = (event("A", 1), event("A", 2), event("A", 3));
    bus.publish(&first).await.unwrap();
    let mut waiting = Box::pin(bus.publish(&second));
    assert!(waiting.as_mut().now_or_never().is_none(), "there is no room");
    // The others have it already.
    assert_eq!((quick.next().await, quick.next().await), (Some(first.clone()), Some(second.clone())));
    assert_eq!(slow.next().await, Some(first));
    timeout(PATIENCE, waiting).await.unwrap().unwrap();
    let mut waiting = Box::pin(bus.publish(&third));
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(slow.next().await, Some(second));
    timeout(PATIENCE, waiting).await.unwrap().unwrap();
    assert_eq!((slow.next().await, slow.missed()), (Some(third), 0));
}

#[tokio::test]
async fn a_subscriber_that_goes_away_holds_up_nobody() {
    let bus = EventBus::new();
    let gone = bus.subscribe(Filter::all(), 1, WhenFull::Wait);
    bus.publish(&event("A", 1)).await.unwrap();
    let second = event("A", 2);
    let mut waiting = Box::pin(bus.publish(&second));
    assert!(waiting.as_mut().now_or_never().is_none());
    drop(gone);
    timeout(PATIENCE, waiting).await.unwrap().unwrap();
    timeout(PATIENCE, bus.publish(&second)).await.unwrap().unwrap();
    assert_eq!(format!("{bus:?}"), "EventBus { subscribers: 0 }");
}

#[tokio::test]
async fn a_handler_that_fails_or_panics_disturbs_nobody_not_even_itself() {
    let bus = EventBus::new();
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut bad = bus.subscribe(Filter::all(), 10, WhenFull::Wait);
    let mut good = bus.subscribe(Filter::all(), 10, WhenFull::Wait);
    let handling = tokio::spawn(async move {
        bad.run(|event| {
            let position = event.position().to_raw();
            assert_ne!(position, 1, "a handler's own bug, before it is awaited");
            let tell = tell.clone();
            async move {
                assert_ne!(position, 2, "a handler's own bug");
                tell.send(position).map_err(|_| Error::backend("nobody listens"))?;
                if position == 3 { Err(Error::backend("it failed")) } else { Ok(()) }
            }
        })
        .await;
        bad.failed()
    });
    for position in 1..=4 {
        timeout(PATIENCE, bus.publish(&event("A", position))).await.unwrap().unwrap();
    }
    drop(bus);
    assert_eq!(handling.await.unwrap(), 3);
    assert_eq!((told.recv().await, told.recv().await, told.recv().await), (Some(3), Some(4), None));
    assert_eq!(positions(&mut good).await, [1, 2, 3, 4]);
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(tag = "type", content = "data")]
enum Order {
    Placed(u64),
    Shipped(u64),
}

impl DomainEvent for Order {}

#[tokio::test]
async fn a_typed_subscriber_gets_what_its_type_knows_decoded() {
    let bus = EventBus::new();
    let mut orders = bus.subscribe_to::<Order>(10, WhenFull::Wait).unwrap();
    let counted = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut handled = bus.subscribe_to::<Order>(10, WhenFull::Wait).unwrap();
    let misfit = NewEvent::new("Placed", "not a number").unwrap();
    let misfit = RecordedEvent::new(misfit, Position::from_raw(3), None, chrono::DateTime::UNIX_EPOCH);
    for event in [&event("Placed", 1), &event("Unknown", 2), &misfit, &event("Shipped", 4)] {
        bus.publish(event).await.unwrap();
    }
    drop(bus);
    let (first, decoded) = orders.next().await.unwrap();
    assert_eq!((first.position().to_raw(), decoded.unwrap()), (1, Order::Placed(1)));
    let (broken, not_decoded) = orders.next().await.unwrap();
    assert_eq!((broken, not_decoded.unwrap_err().kind()), (misfit, crate::ErrorKind::Corrupt));
    assert_eq!(orders.next().await.unwrap().1.unwrap(), Order::Shipped(4));
    assert!(orders.next().await.is_none());

    let counting = counted.clone();
    handled
        .run(move |order, _| {
            counting.lock().unwrap().push(order);
            async { Ok(()) }
        })
        .await;
    assert_eq!(*counted.lock().unwrap(), [Order::Placed(1), Order::Shipped(4)]);
    assert_eq!((handled.failed(), handled.missed()), (1, 0));
}

//! What a failing test of a projection says.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::panic::AssertUnwindSafe;
use std::sync::Mutex;

use async_trait::async_trait;
use eventsource_consumers::{Context, EventHandler};
use eventsource_core::{HandlerError, NewEvent, RecordedEvent};
use eventsource_testing::{GivenLog, given_log};
use futures_util::FutureExt as _;

/// Counts every delivery, and fails on the event type `Poison`.
#[derive(Default)]
struct Counter(Mutex<u32>);

#[async_trait]
impl EventHandler for Counter {
    async fn handle(&self, event: &RecordedEvent, _: &Context) -> Result<(), HandlerError> {
        if event.event_type() == "Poison" {
            return Err("it can't be digested".into());
        }
        *self.0.lock().unwrap() += 1;
        Ok(())
    }
}

fn log(event_types: &[&str]) -> GivenLog {
    let events = event_types.iter().map(|event_type| NewEvent::new(*event_type, &()).unwrap());
    given_log::<Never>([]).and_stored(events)
}

/// For a log without typed events.
#[derive(serde::Serialize, serde::Deserialize)]
enum Never {}
impl eventsource_core::DomainEvent for Never {}

async fn failure(test: impl Future<Output = ()>) -> String {
    let panic = AssertUnwindSafe(test).catch_unwind().await.unwrap_err();
    panic.downcast_ref::<String>().unwrap().clone()
}

#[tokio::test]
async fn a_view_that_is_as_expected_passes() {
    let counter = Counter::default();
    let handled = log(&["A", "B"]).when_delivered_to(&counter).await;
    handled.then(2, *counter.0.lock().unwrap());
}

#[tokio::test]
async fn a_view_that_counts_twice_is_told_apart() {
    let counter = Counter::default();
    let message = failure(async {
        let handled = log(&["A", "B"]).when_redelivered_to(&counter).await;
        handled.then(2, *counter.0.lock().unwrap());
    })
    .await;
    assert_eq!(
        message,
        "the view is another\n\ngiven\n  1. A null\n  2. B null\nwhen\n  it is delivered twice\n\
         then (- expected, + found)\n- 2\n+ 4\n"
    );
}

#[tokio::test]
async fn a_handler_that_fails_is_told_with_its_event() {
    let message = failure(async {
        log(&["A", "Poison"]).when_delivered_to(&Counter::default()).await;
    })
    .await;
    assert!(message.starts_with("the handler failed on the event at position 2: "), "{message}");
}
